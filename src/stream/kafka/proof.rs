//! Reads gaps a second time, to prove that they hold no record.
//!
//! In a topic that is not compacted, an offset without a record is a transaction marker or an aborted record,
//! or else the first reading lost something. A second consumer, placed at the start of the gap, tells. What it
//! finds on the way is remembered, so that a topic full of transactions costs one more sequential reading,
//! not one seek for each marker.

use std::collections::HashMap;
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

/// The second reader. It has no connection before the first gap.
pub(super) struct Proof<'k> {
    kafka: &'k Kafka,
    reader: Option<Reader>,
    /// The partition that the reader is placed on.
    placed: Option<(String, i32)>,
    seen: HashMap<(String, i32), Seen>,
}

impl<'k> Proof<'k> {
    pub(super) fn new(kafka: &'k Kafka) -> Proof<'k> {
        Proof {
            kafka,
            reader: None,
            placed: None,
            seen: HashMap::new(),
        }
    }

    /// Proves that `from..to` holds no record; `false` if `stop` was set before that was known.
    pub(super) fn prove(
        &mut self,
        (topic, partition): (&str, i32),
        (from, to): (i64, i64),
        stop: &AtomicBool,
    ) -> Result<bool, StreamError> {
        let key = (topic.to_owned(), partition);
        let known = self
            .seen
            .get(&key)
            .is_some_and(|seen| seen.from <= from && to <= seen.to);
        if !known && !self.extend(&key, from, to, stop)? {
            return Ok(false);
        }
        let seen = self.seen.entry(key).or_default();
        if seen.holds(from, to) {
            return Err(StreamError::Lost {
                topic: topic.to_owned(),
                partition,
                from,
                to,
            });
        }
        seen.forget(to);
        Ok(true)
    }

    /// Reads until all of `from..to` is known.
    fn extend(
        &mut self,
        key: &(String, i32),
        from: i64,
        to: i64,
        stop: &AtomicBool,
    ) -> Result<bool, StreamError> {
        let kafka = self.kafka;
        let near = |seen: &Seen| seen.from <= from && from - seen.to <= PROOF_AHEAD_OFFSETS;
        let goes_on = self.placed.as_ref() == Some(key) && self.seen.get(key).is_some_and(near);
        let refused = |error| kafka.config.refused(&error);
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(
                kafka
                    .config
                    .prover()
                    .create_with_context(Ears::default())
                    .map_err(refused)?,
            ),
        };
        let (topic, partition) = (key.0.as_str(), key.1);
        if !goes_on {
            place(kafka, reader, topic, partition, from)?;
            self.placed = Some(key.clone());
            self.seen.insert(key.clone(), Seen::start(from));
        }
        let seen = self.seen.entry(key.clone()).or_default();
        let failed = |error| kafka.client.failed("reading a gap again", &error);
        let mut batch = Batch::new(reader, BATCH_RECORDS).map_err(failed)?;
        let mut heard = Instant::now();
        while seen.to < to {
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            if batch.fill(BATCH_WAIT) > 0 {
                heard = Instant::now();
            } else if heard.elapsed() >= kafka.patience {
                return Err(StreamError::Stalled {
                    topic: topic.to_owned(),
                    partition,
                    offset: seen.to,
                    seconds: kafka.patience.as_secs(),
                });
            }
            for message in batch.iter() {
                // Left over from the partition that the reader was placed on before.
                if message.partition() != partition || message.topic() != Some(topic) {
                    continue;
                }
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

fn place(
    kafka: &Kafka,
    reader: &Reader,
    topic: &str,
    partition: i32,
    from: i64,
) -> Result<(), StreamError> {
    let failed = |error| kafka.client.failed("reading a gap again", &error);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(from))
        .map_err(failed)?;
    // Only a partition that was let go starts at its new offset for certain.
    reader.unassign().map_err(failed)?;
    reader.assign(&list).map_err(failed)
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
