//! A look at both ends of ranges, for the plan.

use std::convert::Infallible;
use std::sync::atomic::AtomicBool;

use super::super::types::{OwnedRecord, Peek, Range};
use super::super::{Flow, ReadError, StreamError};
use super::{Gaps, Kafka};

impl Kafka {
    pub(in super::super) fn peek(
        &self,
        ranges: &[Range],
        per_partition: usize,
    ) -> Result<Vec<Peek>, StreamError> {
        let mut peeks = vec![Peek::default(); ranges.len()];
        if per_partition == 0 {
            return Ok(peeks);
        }
        self.collect(ranges, |index, record| {
            let first = &mut peeks[index].first;
            first.push(record);
            if first.len() < per_partition {
                Flow::Next
            } else {
                Flow::Enough
            }
        })?;
        // Half of a transactional topic may be markers.
        let tail = i64::try_from(per_partition)
            .unwrap_or(i64::MAX)
            .saturating_mul(2)
            .saturating_add(8);
        let mut tails = ranges.to_vec();
        for range in &mut tails {
            range.from = range.from.max(range.to.saturating_sub(tail));
        }
        self.collect(&tails, |index, record| {
            let last = &mut peeks[index].last;
            if last.len() == per_partition {
                last.remove(0);
            }
            last.push(record);
            Flow::Next
        })?;
        Ok(peeks)
    }

    fn collect(
        &self,
        ranges: &[Range],
        mut each: impl FnMut(usize, OwnedRecord) -> Flow,
    ) -> Result<(), StreamError> {
        let never = AtomicBool::new(false);
        let read = self.read(ranges, &never, Gaps::Accept, |index, record| {
            Ok::<_, Infallible>(each(index, OwnedRecord::of(&ranges[index].topic, record)))
        });
        match read {
            Ok(_) => Ok(()),
            Err(ReadError::Stream(error)) => Err(error),
            Err(ReadError::Sink(never)) => match never {},
        }
    }
}
