//! What became of every record: each is counted where it happens, and the sum must hold at the end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::decode::Ignored;
use super::fold::Verdict;

/// The counts of one pass over the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records read.
    pub read: u64,
    /// Changes that were their key's newest when they came.
    pub put: u64,
    /// Deletes that were their key's newest when they came.
    pub deleted: u64,
    /// Truncates.
    pub truncated: u64,
    /// Changes that lost against a newer version of their key.
    pub stale: u64,
    /// Redeliveries: the same position with the same content.
    pub duplicate: u64,
    /// Records that say nothing about rows, by kind.
    pub ignored: BTreeMap<Ignored, u64>,
    /// Records kept aside because they cannot be applied.
    pub quarantined: u64,
    /// Records of keys that a quarantined record blocks.
    pub blocked: u64,
}

/// Counts that do not add up: a bug.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{read} records were read, but {accounted} are accounted for; this is a bug in trueup")]
pub struct CountError {
    read: u64,
    accounted: u64,
}

impl Counts {
    /// Counts what the fold said of one change.
    pub fn verdict(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Put => self.put += 1,
            Verdict::Deleted => self.deleted += 1,
            Verdict::Truncated => self.truncated += 1,
            Verdict::Stale => self.stale += 1,
            Verdict::Duplicate => self.duplicate += 1,
            Verdict::Conflict(_) => self.blocked += 1,
        }
    }

    /// Counts a record that says nothing about rows.
    pub fn ignored(&mut self, kind: Ignored) {
        *self.ignored.entry(kind).or_default() += 1;
    }

    /// Adds those of another pass.
    pub fn add(&mut self, other: &Counts) {
        self.read += other.read;
        self.put += other.put;
        self.deleted += other.deleted;
        self.truncated += other.truncated;
        self.stale += other.stale;
        self.duplicate += other.duplicate;
        self.quarantined += other.quarantined;
        self.blocked += other.blocked;
        for (kind, n) in &other.ignored {
            *self.ignored.entry(*kind).or_default() += n;
        }
    }

    /// Whether every record read is accounted for.
    ///
    /// # Errors
    /// When not.
    pub fn check(&self) -> Result<(), CountError> {
        let ignored: u64 = self.ignored.values().sum();
        let accounted = self.put
            + self.deleted
            + self.truncated
            + self.stale
            + self.duplicate
            + ignored
            + self.quarantined
            + self.blocked;
        if accounted == self.read {
            Ok(())
        } else {
            Err(CountError {
                read: self.read,
                accounted,
            })
        }
    }
}
