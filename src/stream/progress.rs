//! How far each range of a read has come; the same for every kind of log.

use std::collections::HashMap;
use std::sync::Arc;

use super::StreamError;
use super::types::Outcome;
use super::types::Range;

/// One range on its way.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) range: Range,
    /// The next offset expected.
    pub(super) next: i64,
    /// Nothing more is wanted of it.
    pub(super) done: bool,
}

/// All ranges of a read.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) lanes: Vec<Lane>,
    /// Lanes not done.
    pub(super) open: usize,
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) gaps: u64,
    by_name: HashMap<Arc<str>, HashMap<i32, usize>>,
    /// Records come in runs of one partition, so the last answer is usually the next one.
    last: usize,
}

impl Progress {
    /// Checks that the ranges can be read together.
    pub(super) fn new(ranges: &[Range]) -> Result<Progress, StreamError> {
        let mut by_name: HashMap<Arc<str>, HashMap<i32, usize>> = HashMap::new();
        for (index, range) in ranges.iter().enumerate() {
            let Range {
                topic,
                partition,
                from,
                to,
            } = range;
            let problem = if *from < 0 || to < from || *partition < 0 {
                "is no range"
            } else if by_name
                .entry(Arc::clone(topic))
                .or_default()
                .insert(*partition, index)
                .is_some()
            {
                "is asked for twice"
            } else {
                continue;
            };
            let problem =
                format!("{topic} partition {partition}, offsets {from} to {to}, {problem}");
            return Err(StreamError::Config { problem });
        }
        let lanes: Vec<Lane> = ranges
            .iter()
            .map(|range| Lane {
                range: range.clone(),
                next: range.from,
                done: range.from == range.to,
            })
            .collect();
        let open = lanes.iter().filter(|lane| !lane.done).count();
        Ok(Progress {
            lanes,
            open,
            records: 0,
            bytes: 0,
            gaps: 0,
            by_name,
            last: 0,
        })
    }

    /// The lane of a partition.
    pub(super) fn find(&mut self, topic: &str, partition: i32) -> Option<usize> {
        if let Some(lane) = self.lanes.get(self.last)
            && lane.range.partition == partition
            && &*lane.range.topic == topic
        {
            return Some(self.last);
        }
        let index = *self.by_name.get(topic)?.get(&partition)?;
        self.last = index;
        Some(index)
    }

    /// Nothing more is wanted of this lane.
    pub(super) fn close(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        if !lane.done {
            lane.done = true;
            self.open -= 1;
        }
    }

    /// The offsets up to `to` are known to hold no record.
    pub(super) fn skip(&mut self, index: usize, to: i64) {
        let lane = &mut self.lanes[index];
        self.gaps += u64::try_from(to - lane.next).unwrap_or(0);
        lane.next = to;
    }

    /// A record was handed out.
    pub(super) fn took(&mut self, index: usize, offset: i64, bytes: usize) {
        self.records += 1;
        self.bytes += bytes as u64;
        let lane = &mut self.lanes[index];
        lane.next = offset + 1;
        if lane.next >= lane.range.to {
            self.close(index);
        }
    }

    pub(super) fn outcome(self, stopped: bool) -> Outcome {
        Outcome {
            next: self
                .lanes
                .into_iter()
                .map(|lane| (lane.range.topic, lane.range.partition, lane.next))
                .collect(),
            stopped,
            records: self.records,
            bytes: self.bytes,
            gaps: self.gaps,
        }
    }
}
