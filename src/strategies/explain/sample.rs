//! Which of the rows that agree are looked at: a part of them by a hash of the key, so that it is the same in every run.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use anyhow::Result;

use crate::limits;
use crate::projection::change::Key;
use crate::projection::diff::Difference;
use crate::projection::mapping::key_of;
use crate::projection::trace::Suspect;
use crate::report::progress::Counter;
use crate::strategies::compare::Comparison;

/// Parts that keys are told into.
const PARTS: u64 = 10_000;

/// The rows that agree, in buckets that fit into memory.
pub(super) struct Sampling<'a> {
    comparison: &'a Comparison<'a>,
    /// So many of [`PARTS`].
    parts: u64,
    buckets: u64,
}

impl<'a> Sampling<'a> {
    /// A share of the rows, from 0 to 1.
    pub(super) fn new(comparison: &'a Comparison<'a>, share: f64) -> Sampling<'a> {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let parts = (share.clamp(0.0, 1.0) * PARTS as f64).ceil() as u64;
        let rows = comparison.rows_estimate.unwrap_or(0);
        let wanted = rows.saturating_mul(parts) / PARTS;
        Sampling {
            comparison,
            parts,
            buckets: wanted.div_ceil(limits::EXPLAIN_KEYS).max(1),
        }
    }

    /// How many passes are made.
    pub(super) fn buckets(&self) -> u64 {
        self.buckets
    }

    /// The rows of one bucket that are no differences.
    pub(super) async fn rows(
        &mut self,
        bucket: u64,
        differences: &[Difference],
        counter: &Counter,
    ) -> Result<Vec<Suspect>> {
        let mut suspects = Vec::new();
        if self.parts == 0 {
            return Ok(suspects);
        }
        let differing: BTreeSet<&Key<'static>> = differences.iter().map(|d| &d.key).collect();
        let mut stream = self.comparison.expected_rows().await?;
        loop {
            let rows = self.comparison.next_expected(&mut stream).await?;
            if rows.is_empty() {
                return Ok(suspects);
            }
            counter.add(rows.len() as u64);
            for row in rows {
                let key = key_of(&row, self.comparison.key());
                if self.bucket(&key) == Some(bucket) && !differing.contains(&key) {
                    suspects.push(Suspect {
                        key,
                        stored: Some(row.clone()),
                        primary: Some(row),
                    });
                }
            }
        }
    }

    /// The bucket of a key; `None` when it is not in the sample.
    fn bucket(&self, key: &Key<'static>) -> Option<u64> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
        (hash % PARTS < self.parts).then_some(hash / PARTS % self.buckets)
    }
}
