//! Keys that the log names more than once, folded: the store hands their changes over in order of arrival, and takes the
//! final rows and tombstones back.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::Refused;
use crate::limits;
use crate::projection::cast::CastError;
use crate::projection::cell::Cell;
use crate::projection::change::{Change, Key};
use crate::projection::counts::Counts;
use crate::projection::fold::{Conflict, Fold, Folded, Verdict};
use crate::projection::start::Start;
use crate::projection::text;
use crate::projection::types::ColumnType;
use crate::projection::version::{Order, Version};
use crate::store::Settle;
use crate::store::Settled;

/// Folds what the store hands over. It lives through all rounds of a load.
#[derive(Clone)]
pub struct Settler {
    fold: Fold,
    start: Option<Start>,
    current: Option<Key<'static>>,
    /// The newest truncate, and that which the shadow has been cleared of already.
    truncated: Option<Version>,
    cleared: Option<Version>,
    conflicts: Vec<(Key<'static>, Conflict)>,
    conflicting: u64,
    /// Keys whose row is incomplete: to be settled from the primary.
    pub incomplete: Vec<(Key<'static>, Version)>,
    /// Keys whose row came from the primary.
    pub settled: BTreeSet<Key<'static>>,
    /// What became of the changes.
    pub counts: Counts,
}

/// What a settler has to know to go on where another one stopped. Keys are the texts of their cells.
#[derive(Serialize, Deserialize)]
struct Memo {
    counts: Counts,
    incomplete: Vec<(Vec<String>, Version)>,
    settled: Vec<Vec<String>>,
}

impl Settler {
    /// A settler under one order.
    #[must_use]
    pub fn new(order: Order) -> Settler {
        Settler {
            fold: Fold::new(order),
            start: None,
            current: None,
            truncated: None,
            cleared: None,
            conflicts: Vec::new(),
            conflicting: 0,
            incomplete: Vec::new(),
            settled: BTreeSet::new(),
            counts: Counts::default(),
        }
    }

    /// Settles domain events: a row begins there.
    #[must_use]
    pub fn beginning(mut self, start: Option<Start>) -> Settler {
        self.fold = self.fold.beginning(start.clone());
        self.start = start;
        self
    }

    /// Goes on where the settler stopped that left this memo; `kinds` are the types of the key.
    ///
    /// # Errors
    /// For a memo that trueup did not write.
    pub fn go_on(mut self, memo: &str, kinds: &[ColumnType]) -> Result<Settler> {
        let memo: Memo =
            serde_json::from_str(memo).context("what the run remembers of its settling")?;
        let read = |texts: &Vec<String>| key_of_texts(texts, kinds);
        self.counts = memo.counts;
        for (key, version) in &memo.incomplete {
            self.incomplete.push((read(key)?, *version));
        }
        self.settled = memo.settled.iter().map(read).collect::<Result<_>>()?;
        Ok(self)
    }

    /// Goes by the newest truncate that was read.
    pub fn truncate(&mut self, newest: Option<Version>) {
        self.truncated = newest;
        self.fold.begin_at(newest);
    }

    /// The shadow has been cleared of what the newest truncate removed.
    pub fn cleared(&mut self) {
        self.cleared = self.truncated;
    }

    /// What another settler needs to go on from here.
    #[must_use]
    pub fn remembered(&self) -> String {
        let texts = |key: &Key<'_>| -> Vec<String> {
            let text = |cell| text::of(cell).unwrap_or_default();
            key.0.iter().map(text).collect()
        };
        let incomplete = self.incomplete.iter().map(|(key, v)| (texts(key), *v));
        let memo = Memo {
            counts: self.counts.clone(),
            incomplete: incomplete.collect(),
            settled: self.settled.iter().map(texts).collect(),
        };
        serde_json::json!(memo).to_string()
    }

    fn apply(&mut self, change: Change<'static>) -> Verdict {
        if self.current.as_ref() != Some(&change.key) {
            self.current = Some(change.key.clone());
        }
        let key = change.key.clone();
        let verdict = self.fold.apply(change);
        if let Verdict::Conflict(conflict) = verdict {
            let new = self.conflicts.last().is_none_or(|(last, _)| *last != key);
            self.conflicting += u64::from(new);
            if new && self.conflicts.len() < limits::KEYS_SHOWN_MAX {
                self.conflicts.push((key, conflict));
            }
        }
        verdict
    }

    fn finish(&mut self, folded: Vec<Folded>) -> Result<Vec<Settled>, Refused> {
        let mut settled = Vec::with_capacity(folded.len());
        for mut done in folded {
            if let Some(start) = &self.start
                && let Some(row) = done.row.take()
            {
                let whole = start.whole(row).map_err(|wrong| unfit(&done, &wrong))?;
                done.row = Some(whole);
            }
            if done.is_incomplete() {
                self.incomplete.push((done.key, done.version));
                continue;
            }
            settled.push(match done.row {
                Some(row) => Settled::Row(row, done.version),
                None => Settled::Gone(done.key, done.version),
            });
        }
        Ok(settled)
    }

    /// Refuses when an order did not decide, naming keys.
    ///
    /// # Errors
    /// As said.
    fn decided(&self) -> Result<(), Refused> {
        if self.conflicts.is_empty() {
            return Ok(());
        }
        let mut reasons = Vec::new();
        for (key, conflict) in &self.conflicts {
            reasons.push(match conflict {
                Conflict::TwoPartitions { held, arriving } => format!(
                    "key {key} is in partitions {} (offset {}) and {} (offset {}), and the records carry no source position: nothing says which is newer",
                    held.place(), held.offset, arriving.place(), arriving.offset
                ),
                Conflict::EpochBreak { higher, later } => format!(
                    "key {key}: the record at partition {} offset {} is later by the source's clock than that at partition {} offset {}, but its source position is lower",
                    later.place(), later.offset, higher.place(), higher.offset
                ),
            });
        }
        let more = self.conflicting - self.conflicts.len() as u64;
        if more > 0 {
            reasons.push(format!("… and {more} more keys"));
        }
        reasons.push(match self.conflicts[0].1 {
            Conflict::TwoPartitions { .. } => "name a field that orders them in the source's `order_by:`".to_owned(),
            Conflict::EpochBreak { .. } => {
                "if the primary was restored or failed over there, name the first offsets after it in the source's `epochs:`; \
                 if not, `order_by: source.lsn` takes the positions at their word"
                    .to_owned()
            }
        });
        Err(Refused(reasons))
    }
}

/// The key that texts of its cells say; `kinds` are their types.
///
/// # Errors
/// For texts that trueup did not write.
pub fn key_of_texts(texts: &[String], kinds: &[ColumnType]) -> Result<Key<'static>> {
    let cells = texts.iter().zip(kinds).map(|(text, kind)| {
        let cell = text::read(kind, text).map(Cell::into_owned);
        cell.with_context(|| format!("{text} is no {kind}"))
    });
    Ok(Key(cells.collect::<Result<_>>()?))
}

/// Why the events of a key do not come to a row that its table takes.
fn unfit(done: &Folded, wrong: &CastError) -> Refused {
    let Version {
        partition, offset, ..
    } = done.version;
    Refused::because(format!(
        "the events of key {} up to offset {offset} of partition {partition} come to a row that the table does not take: {wrong}; \
         correct `on:`, or let the column be NULL or larger",
        done.key
    ))
}

impl Settle for Settler {
    fn truncated(&self) -> Option<Version> {
        self.truncated.filter(|_| self.truncated != self.cleared)
    }

    fn memo(&self) -> String {
        self.remembered()
    }

    fn held(&mut self, change: Change<'static>) -> Result<()> {
        self.apply(change);
        Ok(())
    }

    fn change(&mut self, change: Change<'static>) -> Result<()> {
        let verdict = self.apply(change);
        self.counts.verdict(verdict);
        Ok(())
    }

    fn take(&mut self, end: bool) -> Result<Vec<Settled>> {
        if !end && self.fold.bytes() < limits::SETTLE_BYTES_MAX {
            return Ok(Vec::new());
        }
        let folded = match (&self.current, end) {
            (Some(current), false) => self.fold.drain_but(current),
            _ => {
                self.current = None;
                self.fold.drain()
            }
        };
        if end {
            self.decided()?;
        }
        Ok(self.finish(folded)?)
    }
}
