//! What goes in and out of a log.

use std::sync::Arc;

use crate::projection::record::Frame;
use crate::projection::record::Position;
use crate::projection::record::Record;

/// The offsets that a partition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Partition number.
    pub partition: i32,
    /// The first offset that can still be read.
    pub start: i64,
    /// The next offset to be written (on Kafka the high watermark, records of open transactions included).
    pub end: i64,
}

/// What the log does with old records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// Deletes them by age or size.
    Delete,
    /// Keeps the newest of each key.
    Compact,
    /// Both.
    CompactDelete,
    /// Not known: an archive, or a cluster that does not let us look.
    Unknown,
}

/// A topic as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// All its partitions, by number.
    pub extents: Vec<Extent>,
    /// What happens to old records.
    pub cleanup: Cleanup,
    /// How long a tombstone stays in a compacted topic, in milliseconds; `None` if not known.
    pub delete_retention_ms: Option<u64>,
    /// How long records stay, in milliseconds, -1 for ever; `None` if not known.
    pub retention_ms: Option<i64>,
    /// How large a partition grows before its oldest records go, in bytes, -1 without a bound; `None` if not known.
    pub retention_bytes: Option<i64>,
    /// The id of the cluster; `None` for an archive.
    pub cluster_id: Option<String>,
}

/// Offsets of a partition to read: `from` included, `to` not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Topic name.
    pub topic: Arc<str>,
    /// Partition number.
    pub partition: i32,
    /// The first offset.
    pub from: i64,
    /// The offset after the last.
    pub to: i64,
}

impl Range {
    /// What came into a topic between two looks at its ends; a partition that was not there at the first is new.
    #[must_use]
    pub fn between(topic: &Arc<str>, from: &[Extent], to: &[Extent]) -> Vec<Range> {
        let start = |e: &Extent| {
            let before = from.iter().find(|b| b.partition == e.partition);
            before.map_or(e.start, |b| b.end.max(e.start))
        };
        to.iter()
            .map(|e| Range {
                topic: Arc::clone(topic),
                partition: e.partition,
                from: start(e),
                to: e.end,
            })
            .filter(|r| r.from < r.to)
            .collect()
    }
}

/// How far a read came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// For each range, in the order given: topic, partition, and the next offset to read.
    pub next: Vec<(Arc<str>, i32, i64)>,
    /// Whether it was stopped before the ends of the ranges.
    pub stopped: bool,
    /// Records handed out.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Offsets inside the ranges that hold no record: markers and aborted records, or holes of compaction.
    pub gaps: u64,
}

/// A record that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRecord {
    /// Topic name.
    pub topic: Arc<str>,
    /// Partition number.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// The key, if any.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// The headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Whether the key came framed.
    pub key_frame: OwnedFrame,
    /// Whether the value came framed.
    pub value_frame: OwnedFrame,
}

/// A [`Frame`] that owns what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OwnedFrame {
    /// See [`Frame::None`].
    #[default]
    None,
    /// See [`Frame::Opened`].
    Opened {
        /// The Connect schema.
        schema: String,
        /// The bytes as they came.
        bytes: Vec<u8>,
    },
    /// See [`Frame::Sealed`].
    Sealed {
        /// Why it could not be opened.
        problem: String,
    },
}

impl OwnedFrame {
    fn of(frame: Frame<'_>) -> OwnedFrame {
        match frame {
            Frame::None => OwnedFrame::None,
            Frame::Opened { schema, bytes } => OwnedFrame::Opened {
                schema: schema.to_owned(),
                bytes: bytes.to_vec(),
            },
            Frame::Sealed { problem } => OwnedFrame::Sealed {
                problem: problem.to_owned(),
            },
        }
    }

    fn lend(&self) -> Frame<'_> {
        match self {
            OwnedFrame::None => Frame::None,
            OwnedFrame::Opened { schema, bytes } => Frame::Opened { schema, bytes },
            OwnedFrame::Sealed { problem } => Frame::Sealed { problem },
        }
    }
}

impl OwnedRecord {
    /// Copies a record.
    pub fn of(topic: &Arc<str>, record: &Record<'_>) -> OwnedRecord {
        OwnedRecord {
            topic: Arc::clone(topic),
            partition: record.at.partition,
            offset: record.at.offset,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record
                .headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
                .collect(),
            key_frame: OwnedFrame::of(record.key_frame),
            value_frame: OwnedFrame::of(record.value_frame),
        }
    }

    /// Calls `f` with the record as a log would have handed it out.
    pub fn lend<R>(&self, f: impl FnOnce(&Record<'_>) -> R) -> R {
        let headers: Vec<(&str, &[u8])> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .collect();
        f(&Record {
            at: Position {
                topic: &self.topic,
                partition: self.partition,
                offset: self.offset,
            },
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &headers,
            key_frame: self.key_frame.lend(),
            value_frame: self.value_frame.lend(),
        })
    }
}

/// Both ends of a range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peek {
    /// Its first records, oldest first.
    pub first: Vec<OwnedRecord>,
    /// Its last records, oldest first.
    pub last: Vec<OwnedRecord>,
}

/// What a consumer group is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupState {
    /// Known, and nobody is in it.
    Empty,
    /// Its members consume.
    Stable,
    /// Members come or go.
    Rebalancing,
    /// The cluster does not know it (any more).
    Dead,
    /// The cluster named a state that we do not know: somebody may be in it.
    Unknown,
}

/// One who is in a consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The name that it gave itself.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
}

/// A consumer group seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What it is doing.
    pub state: GroupState,
    /// Who is in it. A static member that is away stays listed until its session times out.
    pub members: Vec<Member>,
    /// Topic, partition and committed next offset, which is `None` where nothing was ever committed (or the
    /// commit expired). Not checked against the extents: it may lie before the start or beyond the end.
    pub committed: Vec<(String, i32, Option<i64>)>,
}
