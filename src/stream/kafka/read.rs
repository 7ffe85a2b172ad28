//! The hot path: ranges of partitions, one consumer, one queue.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use crate::projection::record::Frame;
use crate::projection::record::Position;
use crate::projection::record::Record;

use super::super::limits::{BATCH_RECORDS, BATCH_WAIT};
use super::super::progress::Progress;
use super::super::types::{Cleanup, Outcome, Range};
use super::super::{Flow, ReadError, StreamError};
use super::client::{Client, Ears};
use super::config::Reader;
use super::proof::Proof;
use super::raw::{Batch, Message};
use super::trouble::trouble;
use super::{Gaps, Kafka};

/// What goes on in one read.
struct Reading<'k> {
    kafka: &'k Kafka,
    reader: &'k Reader,
    progress: Progress,
    /// For each lane, whether its gaps are to be proven empty.
    prove: Vec<bool>,
    /// For each lane, where the broker said that it ends, if that is before the end of the range.
    held_at: Vec<Option<i64>>,
    proof: Proof<'k>,
    /// The lane of the last message, by topic handle and partition: no name is compared within a run.
    last: Option<(usize, i32, usize)>,
}

/// What came of one message.
enum Step {
    Next,
    /// The reader of the records wants no more.
    Ended,
    /// `stop` was set while something else was waited for.
    Stopped,
}

impl Kafka {
    pub(in super::super) fn read<E>(
        &self,
        ranges: &[Range],
        stop: &AtomicBool,
        gaps: Gaps,
        mut each: impl FnMut(usize, &Record<'_>) -> Result<Flow, E>,
    ) -> Result<Outcome, ReadError<E>> {
        let progress = Progress::new(ranges)?;
        if progress.open == 0 {
            return Ok(progress.outcome(false));
        }
        let prove = self.check(ranges, gaps)?;
        let failed = |error: KafkaError| self.client.failed("starting to read", &error);
        let reader: Reader = self
            .config
            .reader()
            .create_with_context(Ears::default())
            .map_err(|error| self.config.refused(&error))?;
        let mut list = TopicPartitionList::with_capacity(ranges.len());
        for Range {
            topic,
            partition,
            from,
            ..
        } in ranges.iter().filter(|range| range.from < range.to)
        {
            list.add_partition_offset(topic, *partition, Offset::Offset(*from))
                .map_err(failed)?;
        }
        reader.assign(&list).map_err(failed)?;
        let mut batch = Batch::new(&reader, BATCH_RECORDS).map_err(failed)?;
        let mut reading = Reading {
            kafka: self,
            reader: &reader,
            progress,
            prove,
            held_at: vec![None; ranges.len()],
            proof: Proof::new(self),
            last: None,
        };
        let mut heard = Instant::now();
        while reading.progress.open > 0 {
            if stop.load(Ordering::Relaxed) {
                return Ok(reading.progress.outcome(true));
            }
            if batch.fill(BATCH_WAIT) == 0 {
                if heard.elapsed() >= self.patience {
                    return Err(reading.stalled().into());
                }
                continue;
            }
            match reading.batch(&batch, stop, &mut each)? {
                Step::Next => heard = Instant::now(),
                Step::Ended => {
                    let stopped = reading.progress.open > 0;
                    return Ok(reading.progress.outcome(stopped));
                }
                Step::Stopped => return Ok(reading.progress.outcome(true)),
            }
        }
        Ok(reading.progress.outcome(false))
    }

    /// Whether topics and partitions are there, which the library would only wait for; and for each range,
    /// whether its gaps are to be proven empty.
    fn check(&self, ranges: &[Range], gaps: Gaps) -> Result<Vec<bool>, StreamError> {
        let mut known: HashMap<&str, (Vec<i32>, bool)> = HashMap::new();
        let mut prove = Vec::with_capacity(ranges.len());
        for Range {
            topic, partition, ..
        } in ranges
        {
            let (partitions, prove_it) = match known.entry(topic) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    let partitions = self.partitions(topic)?;
                    let prove_it = gaps == Gaps::Prove
                        && !matches!(
                            self.known_policy(topic)?.cleanup,
                            Cleanup::Compact | Cleanup::CompactDelete
                        );
                    unknown.insert((partitions, prove_it))
                }
            };
            if !partitions.contains(partition) {
                return Err(StreamError::NoPartition {
                    topic: topic.to_string(),
                    partition: *partition,
                    count: partitions.len(),
                });
            }
            prove.push(*prove_it);
        }
        Ok(prove)
    }
}

impl Reading<'_> {
    fn batch<E>(
        &mut self,
        batch: &Batch<'_>,
        stop: &AtomicBool,
        each: &mut impl FnMut(usize, &Record<'_>) -> Result<Flow, E>,
    ) -> Result<Step, ReadError<E>> {
        let mut headers = Vec::new();
        for message in batch.iter() {
            let Some(index) = self.lane(message) else {
                if message.error() != 0 {
                    trouble(self.kafka, message, message.offset())?;
                }
                continue;
            };
            let lane = &self.progress.lanes[index];
            if lane.done {
                continue;
            }
            let (offset, next, to) = (message.offset(), lane.next, lane.range.to);
            if message.error() != 0 {
                if !self.event(index, message, stop)? {
                    return Ok(Step::Stopped);
                }
                continue;
            }
            if offset != next {
                if offset < next {
                    return Err(self.backwards(index, offset).into());
                }
                if !self.gap(index, offset.min(to), stop)? {
                    return Ok(Step::Stopped);
                }
            }
            if offset >= to {
                self.close(index);
                continue;
            }
            if self.kafka.headers {
                message.headers(&mut headers);
            }
            let (key, value) = (message.key(), message.value());
            let bytes = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
            let topic = &*self.progress.lanes[index].range.topic;
            let at = Position {
                topic,
                partition: message.partition(),
                offset,
            };
            let flow = each(
                index,
                &Record {
                    at,
                    key,
                    value,
                    headers: &headers,
                    key_frame: Frame::None,
                    value_frame: Frame::None,
                },
            )
            .map_err(ReadError::Sink)?;
            self.progress.took(index, offset, bytes);
            match flow {
                Flow::Next => {}
                Flow::Enough => self.close(index),
                Flow::Stop => return Ok(Step::Ended),
            }
        }
        Ok(Step::Next)
    }

    fn lane(&mut self, message: Message<'_>) -> Option<usize> {
        let (handle, partition) = (message.topic_handle(), message.partition());
        if let Some((last_handle, last_partition, index)) = self.last
            && (last_handle, last_partition) == (handle, partition)
        {
            return Some(index);
        }
        let index = self.progress.find(message.topic()?, partition)?;
        self.last = Some((handle, partition, index));
        Some(index)
    }

    /// The offsets of a lane up to `to` did not come: counts them once they are known to hold no record.
    /// `false` if `stop` was set meanwhile.
    fn gap(&mut self, index: usize, to: i64, stop: &AtomicBool) -> Result<bool, StreamError> {
        let lane = &self.progress.lanes[index];
        let at = (&lane.range.topic, lane.range.partition);
        if self.prove[index] && !self.proof.prove(at, (lane.next, to), stop)? {
            return Ok(false);
        }
        self.progress.skip(index, to);
        Ok(true)
    }

    /// No more of this lane, which would else go on being fetched.
    fn close(&mut self, index: usize) {
        self.progress.close(index);
        let range = &self.progress.lanes[index].range;
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(&range.topic, range.partition);
        if let Err(error) = self.reader.pause(&list) {
            tracing::debug!(topic = &*range.topic, range.partition, %error, "could not pause");
        }
    }

    /// An event of one lane; `false` if `stop` was set while it was looked into.
    fn event(
        &mut self,
        index: usize,
        message: Message<'_>,
        stop: &AtomicBool,
    ) -> Result<bool, StreamError> {
        let lane = &self.progress.lanes[index];
        if message.error() != RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF as i32 {
            trouble(self.kafka, message, lane.next)?;
            return Ok(true);
        }
        let (end, to) = (message.offset(), lane.range.to);
        if end >= to {
            // The rest of the range are markers, aborted records or holes.
            if lane.next < to && !self.gap(index, to, stop)? {
                return Ok(false);
            }
            self.progress.close(index);
            return Ok(true);
        }
        // Committed readers are shown an end below the log's while a transaction is open. An end that the log
        // itself has is another matter: nothing will ever come.
        let topic = lane.range.topic.to_string();
        let partition = lane.range.partition;
        let (start, log_end) = self.kafka.client.watermarks(&topic, partition)?;
        if log_end < to {
            return Err(StreamError::OutOfRange {
                topic,
                partition,
                offset: to - 1,
                start,
                end: log_end,
            });
        }
        self.held_at[index] = Some(end);
        Ok(true)
    }

    fn backwards(&self, index: usize, offset: i64) -> StreamError {
        let lane = &self.progress.lanes[index];
        StreamError::Kafka {
            brokers: self.kafka.config.brokers.clone(),
            what: format!(
                "reading {} partition {}",
                lane.range.topic, lane.range.partition
            ),
            reason: format!(
                "offset {offset} came after {}; run the same command again",
                lane.next - 1
            ),
        }
    }

    /// Nothing came for too long: says why, as well as can be known.
    fn stalled(&self) -> StreamError {
        let seconds = self.kafka.patience.as_secs();
        let open = || {
            self.progress
                .lanes
                .iter()
                .zip(&self.held_at)
                .filter(|(lane, _)| !lane.done)
        };
        let Some((lane, held_at)) = open()
            .find(|(_, held)| held.is_some())
            .or_else(|| open().next())
        else {
            unreachable!("a read with no open lane has ended");
        };
        let (topic, partition) = (lane.range.topic.to_string(), lane.range.partition);
        // A new connection: the old one may not have noticed that its broker is gone.
        if let Err(error) = Client::connect(&self.kafka.config) {
            return error;
        }
        match held_at {
            Some(offset) => StreamError::OpenTransaction {
                topic,
                partition,
                offset: *offset,
                to: lane.range.to,
                seconds,
            },
            None => StreamError::Stalled {
                topic,
                partition,
                offset: lane.next,
                seconds,
            },
        }
    }
}
