//! Reads gaps a second time, to prove that they hold no record.
//!
//! In a topic that is not compacted, an offset without a record is a transaction marker or an aborted record,
//! or else the first reading lost something. A second consumer, placed at the start of the gap, tells. What it
//! finds on the way is remembered, so that a topic full of transactions costs one more sequential reading,
//! not one seek for each marker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rdkafka::consumer::Consumer;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::super::StreamError;
use super::super::limits::{BATCH_RECORDS, BATCH_WAIT, PROOF_AHEAD_OFFSETS};
use super::Kafka;
use super::client::Ears;
use super::config::Reader;
use super::raw::Batch;
use super::trouble::trouble;

/// What a second reading has found: every offset in `from..to` that is in no run holds no record.
#[derive(Debug, Default)]
struct Seen {
    from: i64,
    to: i64,
    /// Half-open stretches of records, ascending, apart from each other.
    runs: Vec<(i64, i64)>,
}

impl Seen {
    fn start(from: i64) -> Seen {
        Seen {
            from,
            to: from,
            runs: Vec::new(),
        }
    }

    fn record(&mut self, offset: i64) {
        if offset < self.to {
            return;
        }
        match self.runs.last_mut() {
            Some(run) if run.1 == offset => run.1 = offset + 1,
            _ => self.runs.push((offset, offset + 1)),
        }
        self.to = offset + 1;
    }

    /// Nothing below is asked for again: gaps come in order.
    fn forget(&mut self, below: i64) {
        let keep = self.runs.partition_point(|run| run.1 <= below);
        self.runs.drain(..keep);
        self.from = self.from.max(below);
    }

    /// Whether a record lies in `from..to`.
    fn holds(&self, from: i64, to: i64) -> bool {
        let first = self.runs.partition_point(|run| run.1 <= from);
        self.runs.get(first).is_some_and(|run| run.0 < to)
    }
}

/// A partition that the second reader is on.
struct Placed {
    topic: Arc<str>,
    partition: i32,
    seen: Seen,
}

/// The second reader. It has no connection before the first gap.
pub(super) struct Proof<'k> {
    kafka: &'k Kafka,
    reader: Option<Reader>,
    placed: Vec<Placed>,
}

impl<'k> Proof<'k> {
    pub(super) fn new(kafka: &'k Kafka) -> Proof<'k> {
        Proof {
            kafka,
            reader: None,
            placed: Vec::new(),
        }
    }

    /// Proves that `from..to` holds no record; `false` if `stop` was set before that was known.
    pub(super) fn prove(
        &mut self,
        (topic, partition): (&Arc<str>, i32),
        (from, to): (i64, i64),
        stop: &AtomicBool,
    ) -> Result<bool, StreamError> {
        let index = self.place(topic, partition, from)?;
        if self.placed[index].seen.to < to && !self.extend(index, to, stop)? {
            return Ok(false);
        }
        let seen = &mut self.placed[index].seen;
        if seen.holds(from, to) {
            return Err(StreamError::Lost {
                topic: topic.to_string(),
                partition,
                from,
                to,
            });
        }
        seen.forget(to);
        Ok(true)
    }

    /// Puts the reader where it finds `from`, unless that is known or soon will be.
    fn place(&mut self, topic: &Arc<str>, partition: i32, from: i64) -> Result<usize, StreamError> {
        let kafka = self.kafka;
        let found = self
            .placed
            .iter()
            .position(|placed| placed.partition == partition && placed.topic == *topic);
        if let Some(index) = found {
            let seen = &self.placed[index].seen;
            if seen.from <= from && from - seen.to <= PROOF_AHEAD_OFFSETS {
                return Ok(index);
            }
        }
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(
                kafka
                    .config
                    .prover()
                    .create_with_context(Ears::default())
                    .map_err(|error| kafka.config.refused(&error))?,
            ),
        };
        let failed = |error| kafka.client.failed("reading a gap again", &error);
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, partition, Offset::Offset(from))
            .map_err(failed)?;
        // Only a partition that was let go starts at its new offset for certain. What was fetched of it before
        // is dropped by the library; the other partitions go on.
        if found.is_some() {
            reader.incremental_unassign(&list).map_err(failed)?;
        }
        reader.incremental_assign(&list).map_err(failed)?;
        let seen = Seen::start(from);
        Ok(match found {
            Some(index) => {
                self.placed[index].seen = seen;
                index
            }
            None => {
                self.placed.push(Placed {
                    topic: Arc::clone(topic),
                    partition,
                    seen,
                });
                self.placed.len() - 1
            }
        })
    }

    /// Reads until all offsets of a partition up to `to` are known. What comes of the others is remembered too.
    fn extend(&mut self, index: usize, to: i64, stop: &AtomicBool) -> Result<bool, StreamError> {
        let Proof {
            kafka,
            reader: Some(reader),
            placed,
        } = self
        else {
            unreachable!("a partition is placed by a reader");
        };
        let mut batch = Batch::new(reader, BATCH_RECORDS)
            .map_err(|error| kafka.client.failed("reading a gap again", &error))?;
        let mut heard = Instant::now();
        let mut last = index;
        while placed[index].seen.to < to {
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            if batch.fill(BATCH_WAIT) > 0 {
                heard = Instant::now();
            } else if heard.elapsed() >= kafka.patience {
                return Err(StreamError::Stalled {
                    topic: placed[index].topic.to_string(),
                    partition: placed[index].partition,
                    offset: placed[index].seen.to,
                    seconds: kafka.patience.as_secs(),
                });
            }
            for message in batch.iter() {
                let is = |placed: &Placed| {
                    placed.partition == message.partition()
                        && message.topic() == Some(&*placed.topic)
                };
                if !is(&placed[last]) {
                    match placed.iter().position(is) {
                        Some(index) => last = index,
                        None => continue,
                    }
                }
                let seen = &mut placed[last].seen;
                match message.error() {
                    0 => seen.record(message.offset()),
                    code if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF as i32 => {
                        seen.to = seen.to.max(message.offset());
                    }
                    _ => trouble(kafka, message, seen.to)?,
                }
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seen_knows_records_from_holes() {
        let mut seen = Seen::start(10);
        [10, 11, 14, 15, 20]
            .into_iter()
            .for_each(|offset| seen.record(offset));
        seen.record(14);
        assert_eq!(seen.runs, [(10, 12), (14, 16), (20, 21)]);
        assert!(!seen.holds(12, 14) && !seen.holds(16, 20));
        assert!(seen.holds(12, 15) && seen.holds(15, 20) && seen.holds(19, 21));
        seen.forget(14);
        assert_eq!((seen.from, seen.to, seen.runs.len()), (14, 21, 2));
        assert!(!seen.holds(16, 20) && seen.holds(14, 15));
    }
}
