//! The log: where records come from. Kafka, or an archive of recorded topics as files.
//!
//! Owns: connecting, reading ranges of partitions in arrival order, and the proof that nothing inside a
//! range was skipped; and opening what is framed with the id of a schema, with the schemas that a registry has.
//! Knows nothing of what the bytes mean, of databases or of the playbook; of the crate it imports only
//! [`crate::projection::record`] and [`crate::projection::framed`].
//! Everything here blocks: call it from a thread of its own, never from an async task.
//! One more kind of log is one more folder beside `kafka/` and `archive/`, and one more arm below.

mod archive;
mod error;
mod identity;
mod kafka;
pub mod limits;
mod progress;
mod registry;
mod types;

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use crate::projection::record::Record;

pub use archive::Archive;
pub use archive::ArchiveConfig;
pub use error::ReadError;
pub use error::StreamError;
pub use kafka::Kafka;
pub use kafka::KafkaConfig;
pub use registry::Registry;
pub use registry::RegistryConfig;
pub use types::{
    Cleanup, Extent, Group, GroupState, Member, Outcome, OwnedFrame, OwnedRecord, Peek, Range,
    Topic,
};

use registry::Opener;

/// A log that can be asked for its topics and read.
#[derive(Debug)]
pub enum Log {
    /// A Kafka cluster.
    Kafka(Kafka),
    /// Recorded topics in files.
    Archive(Archive),
}

impl Log {
    /// Partitions, offsets and retention of a topic.
    ///
    /// # Errors
    /// [`StreamError::NoTopic`] with names that look alike; [`StreamError::Unreachable`]; for an archive
    /// also what is wrong with its files.
    pub fn topic(&self, name: &str) -> Result<Topic, StreamError> {
        match self {
            Log::Kafka(kafka) => kafka.topic(name),
            Log::Archive(archive) => archive.topic(name),
        }
    }

    /// Pushes every record of `ranges` into `each`, partitions interleaved, each partition in order.
    ///
    /// What is framed with the id of a schema is opened if the log has a registry: see
    /// [`crate::projection::record::Frame`].
    ///
    /// Between two records of a partition nothing is missing: on Kafka a gap in a topic that is not compacted
    /// is read a second time, *before* the record behind it is handed out, to prove that it holds only
    /// transaction markers and aborted records. Ends early, with [`Outcome::stopped`], once `stop` is set, or
    /// after the record for which `each` returned `Break`; that record counts as read.
    ///
    /// # Errors
    /// [`ReadError::Sink`] is what `each` returned. Every [`StreamError`] means that the ranges were not
    /// read to their ends; what `each` was given until then is still contiguous.
    pub fn read<E>(
        &self,
        ranges: &[Range],
        stop: &AtomicBool,
        mut each: impl FnMut(&Record<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<Outcome, ReadError<E>> {
        let mut opener = Opener::new(self.registry());
        let each = |_: usize, record: &Record<'_>| {
            let record = opener.open(record)?;
            each(&record).map(Flow::from).map_err(ReadError::Sink)
        };
        let read = match self {
            Log::Kafka(kafka) => kafka.read(ranges, stop, kafka::Gaps::Prove, each),
            Log::Archive(archive) => archive.read(ranges, stop, each),
        };
        read.map_err(|error| match error {
            ReadError::Stream(error) => ReadError::Stream(error),
            ReadError::Sink(error) => error,
        })
    }

    fn registry(&self) -> Option<&Registry> {
        match self {
            Log::Kafka(kafka) => kafka.registry.as_ref(),
            Log::Archive(archive) => archive.registry.as_ref(),
        }
    }

    /// [`Log::read`] for who can neither fail nor be stopped from outside.
    ///
    /// # Errors
    /// As [`Log::read`].
    pub fn scan(
        &self,
        ranges: &[Range],
        mut each: impl FnMut(&Record<'_>) -> ControlFlow<()>,
    ) -> Result<(), StreamError> {
        let never = AtomicBool::new(false);
        match self.read(ranges, &never, |record| Ok::<_, Infallible>(each(record))) {
            Ok(_) => Ok(()),
            Err(ReadError::Stream(error)) => Err(error),
            Err(ReadError::Sink(never)) => match never {},
        }
    }

    /// The first and the last records of each range, at most `per_partition` of either, in the order of
    /// `ranges`. Meant for the plan: it is cheap on Kafka, and one pass over an archive. The two may overlap
    /// in a short range; the last ones may be fewer than asked for where markers or holes end a range.
    ///
    /// # Errors
    /// As [`Log::read`].
    pub fn peek(&self, ranges: &[Range], per_partition: usize) -> Result<Vec<Peek>, StreamError> {
        let mut peeks = match self {
            Log::Kafka(kafka) => kafka.peek(ranges, per_partition),
            Log::Archive(archive) => archive.peek(ranges, per_partition),
        }?;
        let mut opener = Opener::new(self.registry());
        for peek in &mut peeks {
            for record in peek.first.iter_mut().chain(&mut peek.last) {
                let open = |r: &Record<'_>| {
                    let opened = opener.open(r)?;
                    Ok::<_, StreamError>(OwnedRecord::of(&record.topic, &opened))
                };
                *record = record.lend(open)?;
            }
        }
        Ok(peeks)
    }

    /// For each partition the first offset whose record was written at `time_ms` (milliseconds since 1970) or later; its
    /// end where there is none.
    ///
    /// # Errors
    /// As [`Log::topic`]; for an archive also when a record has no time.
    pub fn offsets_at(&self, topic: &str, time_ms: i64) -> Result<Vec<(i32, i64)>, StreamError> {
        match self {
            Log::Kafka(kafka) => kafka.offsets_at(topic, time_ms),
            Log::Archive(archive) => archive.offsets_at(topic, time_ms),
        }
    }

    /// A consumer group seen from outside, without joining it: state, members, and the committed offsets of
    /// all partitions of `topics`.
    ///
    /// # Errors
    /// [`StreamError::Unsupported`] for an archive; else as [`Log::topic`].
    pub fn group(&self, name: &str, topics: &[&str]) -> Result<Group, StreamError> {
        match self {
            Log::Kafka(kafka) => kafka.group(name, topics),
            Log::Archive(_) => Err(no_groups(name)),
        }
    }

    /// Every topic in which a consumer group has committed offsets.
    ///
    /// # Errors
    /// As [`Log::group`].
    pub fn group_topics(&self, name: &str) -> Result<Vec<String>, StreamError> {
        match self {
            Log::Kafka(kafka) => kafka.group_topics(name),
            Log::Archive(_) => Err(no_groups(name)),
        }
    }

    /// Sets the offsets (topic, partition, next offset) that the members of a consumer group go on at. The cluster refuses it
    /// while the group has any.
    ///
    /// # Errors
    /// As [`Log::group`].
    pub fn set_group_offsets(
        &self,
        name: &str,
        offsets: &[(String, i32, i64)],
    ) -> Result<(), StreamError> {
        match self {
            Log::Kafka(kafka) => kafka.set_group_offsets(name, offsets),
            Log::Archive(_) => Err(no_groups(name)),
        }
    }

    /// The broker that gives a partition, for a message; `None` for an archive, and while there is none.
    ///
    /// # Errors
    /// As [`Log::topic`].
    pub fn broker(&self, topic: &str, partition: i32) -> Result<Option<String>, StreamError> {
        match self {
            Log::Kafka(kafka) => kafka.broker(topic, partition),
            Log::Archive(_) => Ok(None),
        }
    }

    /// A setting of the cluster's brokers; `None` for an archive, and where we may not look.
    ///
    /// # Errors
    /// As [`Log::topic`].
    pub fn cluster_setting(&self, name: &str) -> Result<Option<String>, StreamError> {
        match self {
            Log::Kafka(kafka) => kafka.cluster_setting(name),
            Log::Archive(_) => Ok(None),
        }
    }
}

fn no_groups(name: &str) -> StreamError {
    StreamError::Unsupported {
        what: format!("an archive has no consumer groups (asked for \"{name}\")"),
    }
}

/// What to do after a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// Go on.
    Next,
    /// No more of this record's range; its rest is neither read nor checked.
    Enough,
    /// End the read.
    Stop,
}

impl From<ControlFlow<()>> for Flow {
    fn from(flow: ControlFlow<()>) -> Flow {
        match flow {
            ControlFlow::Continue(()) => Flow::Next,
            ControlFlow::Break(()) => Flow::Stop,
        }
    }
}
