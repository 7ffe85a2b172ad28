//! Records that cannot be applied. Each is set aside whole, and its key is blocked: what comes later would build on a hole.

use std::collections::BTreeMap;

use anyhow::{Context as _, Error, Result};

use super::Loader;
use crate::limits;
use crate::projection::change::{Change, Key};
use crate::projection::record::Record;
use crate::projection::text;
use crate::projection::version::Version;
use crate::store::Quarantined;
use crate::strategies::Refused;

/// What becomes of a record that cannot be applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBad {
    /// It stops the run.
    #[default]
    Stop,
    /// It is set aside, and its key is blocked.
    Quarantine,
}

/// The records that a load has set aside.
#[derive(Debug, Default)]
pub(super) struct Bad {
    pub(super) on_bad: OnBad,
    /// Keys of the table, each with the newest version that was kept away from it.
    blocked: BTreeMap<Key<'static>, Version>,
    /// Records since the last batch.
    kept: Vec<Quarantined>,
    /// Records in all.
    all: usize,
}

impl Bad {
    pub(super) fn is_empty(&self) -> bool {
        self.blocked.is_empty()
    }

    /// Blocks keys that a load which died had blocked.
    pub(super) fn go_on(&mut self, blocked: Vec<(Key<'static>, Version)>) {
        self.all = blocked.len();
        self.blocked.extend(blocked);
    }

    /// Whether a change of this key is kept away from the table.
    pub(super) fn blocks(&mut self, key: &Key<'static>, version: &Version) -> bool {
        let Some(newest) = self.blocked.get_mut(key) else {
            return false;
        };
        *newest = (*newest).max(*version);
        true
    }

    /// Sets a record aside for this reason.
    ///
    /// # Errors
    /// When so many are bad that it is not the records that are wrong.
    pub(super) fn set_aside(
        &mut self,
        record: &Record<'_>,
        (key, version): (Key<'static>, Version),
        reason: &Error,
    ) -> Result<()> {
        self.all += 1;
        if self.all > limits::QUARANTINED_MAX {
            let problem = format!(
                "more than {} records cannot be applied; this is the next one: {reason:#}",
                limits::QUARANTINED_MAX
            );
            return Err(Refused::because(problem).into());
        }
        let cells = key.0.iter();
        let texts = cells.map(|cell| text::of(cell).unwrap_or_default());
        let said = format!("{reason:#}");
        // Where it stands is kept beside it.
        let reason = said.strip_prefix(&format!("record {}: ", record.at));
        let reason = reason.unwrap_or(&said).to_owned();
        let kept = Quarantined::of(record, texts.collect(), version, reason);
        self.kept.push(kept);
        let newest = self.blocked.entry(key).or_insert(version);
        *newest = (*newest).max(version);
        Ok(())
    }

    /// The records since the last batch.
    pub(super) fn take(&mut self) -> Vec<Quarantined> {
        std::mem::take(&mut self.kept)
    }

    /// The blocked keys.
    pub(super) fn blocked(&self) -> Vec<(Key<'static>, Version)> {
        let blocked = self.blocked.iter();
        blocked
            .map(|(key, newest)| (key.clone(), *newest))
            .collect()
    }

    /// The rows of all blocked keys are as they should be.
    pub(super) fn unblock(&mut self) {
        self.blocked.clear();
    }
}

impl Loader {
    /// What becomes of records that cannot be applied.
    #[must_use]
    pub fn on_bad(mut self, on_bad: OnBad) -> Loader {
        self.bad.on_bad = on_bad;
        self
    }

    /// Goes on with keys that are blocked, each with the newest version that was kept away from it.
    #[must_use]
    pub fn blocking(mut self, blocked: Vec<(Key<'static>, Version)>) -> Loader {
        self.bad.go_on(blocked);
        self
    }

    /// The keys that are blocked, each with the newest version that was kept away from it.
    #[must_use]
    pub fn blocked(&self) -> Vec<(Key<'static>, Version)> {
        self.bad.blocked()
    }

    /// The rows of the blocked keys have been put right.
    pub fn unblock(&mut self) {
        self.bad.unblock();
    }

    /// A record that cannot be applied is kept, and its key blocked, where that is asked for; and where it has a key.
    pub(super) fn set_aside(&mut self, record: &Record<'_>, problem: Error) -> Result<()> {
        if self.bad.on_bad == OnBad::Stop {
            return Err(problem);
        }
        let (key, version) = self.decoder.key(record)?;
        let key = self.mapping.key(key);
        let key = key.with_context(|| format!("record {}: its key", record.at))?;
        // Whatever comes of it later, it is not the first of its key.
        self.seen.is_first(key.0.iter());
        self.bad.set_aside(record, (key, version), &problem)?;
        self.counts.quarantined += 1;
        Ok(())
    }

    /// Whether the key of a change is blocked; then it is counted.
    pub(super) fn is_blocked(&mut self, change: &Change<'_>) -> Result<bool> {
        if self.bad.is_empty() {
            return Ok(false);
        }
        let key = self.mapping.key(change.key.clone())?.into_owned();
        let blocks = self.bad.blocks(&key, &change.version);
        self.counts.blocked += u64::from(blocks);
        Ok(blocks)
    }
}
