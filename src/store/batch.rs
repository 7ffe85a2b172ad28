//! How a load comes to a store and is settled there: rows in bulk, with where they bring the shadow to.

use super::Quarantined;
use super::Settled;
use crate::projection::cell::Row;
use crate::projection::change::{Change, Key};
use crate::projection::version::Version;

/// Where a loaded row comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The version of the change.
    pub version: Version,
    /// Its place in the order of arrival, from 0.
    pub arrival: u64,
}

/// Next offset to read, by topic and partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextOffset {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// The first offset that is not in the shadow yet.
    pub offset: i64,
}

/// Where a load stands: recorded in the transaction that brought it there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The offsets that it goes on at.
    pub next: Vec<NextOffset>,
    /// Whatever else the loader has to know to go on, in its own words; nothing is recorded of an empty one.
    pub memo: String,
    /// Records on the way there that could not be applied, to be kept.
    pub quarantined: Vec<Quarantined>,
}

/// Collects the rows of one batch in the store's own bulk form, without I/O, so that it can run on the thread that
/// reads the log. `first` is for a complete row whose key was not seen before; everything else is `again`.
pub trait Encoder: Send {
    /// A complete row of a key seen for the first time.
    fn first(&mut self, row: &Row<'_>, origin: &Origin);
    /// Any change of a key that may have been seen before: `Some(row)` to put (cells may be `Unchanged` or `Added`), `None` to
    /// delete; the key is given apart, since a delete has no other cells.
    fn again(&mut self, key: &Key<'_>, row: Option<&Row<'_>>, origin: &Origin);
    /// A key that is gone, and the version that removed it: a tombstone as [`super::Acts::state`] gives it, of a key that is not in
    /// the shadow.
    fn gone(&mut self, key: &Key<'_>, version: &Version);
    /// Bytes collected so far.
    fn bytes(&self) -> usize;
    /// Takes what was collected and starts afresh.
    fn take(&mut self) -> Batch;
}

/// Rows in a store's own bulk form.
#[derive(Debug)]
pub enum Batch {
    /// COPY text of first rows, of later changes and of tombstones.
    Copy {
        /// For the shadow.
        first: Vec<u8>,
        /// For the table of later changes.
        again: Vec<u8>,
        /// For the table of tombstones.
        gone: Vec<u8>,
    },
    /// Plain rows.
    Rows {
        /// For the shadow.
        first: Vec<(Row<'static>, Origin)>,
        /// For the table of later changes.
        again: Vec<(Key<'static>, Option<Row<'static>>, Origin)>,
        /// For the table of tombstones.
        gone: Vec<(Key<'static>, Version)>,
    },
}

/// What a store hands over and takes back while it settles the keys that occur more than once.
pub trait Settle {
    /// The row or tombstone of the shadow whose key has later changes: it came first.
    ///
    /// # Errors
    /// Whatever stops the run; the store then changes nothing.
    fn held(&mut self, change: Change<'static>) -> anyhow::Result<()>;
    /// A later change, in order of arrival within its key; keys come one after the other.
    ///
    /// # Errors
    /// As for `held`.
    fn change(&mut self, change: Change<'static>) -> anyhow::Result<()>;
    /// What became of all keys before the one being handed over, each once; called now and then, and at the end with `true`.
    /// A key that is left out has neither a row nor a tombstone afterwards.
    ///
    /// # Errors
    /// As for `held`.
    fn take(&mut self, end: bool) -> anyhow::Result<Vec<Settled>>;
    /// A truncate that the shadow has to be cleared of first: rows and tombstones of older versions go, uncounted.
    fn truncated(&self) -> Option<Version> {
        None
    }
    /// What to remember with all of it, in its own words: asked for once, at the end.
    fn memo(&self) -> String {
        String::new()
    }
}
