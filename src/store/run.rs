//! Runs, as the read store's own tables record them.

use super::{NextOffset, TableName};

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunKind {
    /// Builds a shadow from the log.
    Replay,
    /// Repairs rows in place.
    Reconcile,
    /// Takes the repairs of another run back.
    Undo,
    /// Puts the old table of another run back in its place.
    Rollback,
    /// Keeps sources staged for another run.
    Staging,
}

impl RunKind {
    /// Its word in the run table.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            RunKind::Replay => "replay",
            RunKind::Reconcile => "reconcile",
            RunKind::Undo => "undo",
            RunKind::Rollback => "rollback",
            RunKind::Staging => "staging",
        }
    }
}

impl RunKind {
    /// Whether what it builds is nobody's but its own, so that nothing of it is to be kept when it died.
    #[must_use]
    pub fn builds(word: &str) -> bool {
        [RunKind::Replay, RunKind::Staging]
            .iter()
            .any(|kind| kind.word() == word)
    }
}

/// How a run ended, or that it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Underway; or dead, when nobody holds the table's lock.
    Running,
    /// The shadow took the live table's place.
    Swapped,
    /// The shadow was built and left beside the live table (`--no-swap`).
    Kept,
    /// Given up; nothing of it is left.
    Discarded,
    /// Everything that it set out to write is written.
    Done,
    /// It ended before that; what it wrote is journalled.
    Incomplete,
}

impl RunState {
    /// Its word in the run table.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            RunState::Running => "running",
            RunState::Swapped => "swapped",
            RunState::Kept => "kept",
            RunState::Discarded => "discarded",
            RunState::Done => "done",
            RunState::Incomplete => "incomplete",
        }
    }
}

/// A run that writes into the live table itself, about to begin.
#[derive(Clone, Debug)]
pub struct Start {
    /// The run's id.
    pub run: String,
    /// What it does.
    pub kind: RunKind,
    /// The table that it writes.
    pub table: TableName,
    /// The table's identity, as [`super::Catalog::id`].
    pub table_id: i64,
    /// The run that it takes back.
    pub reverts: Option<String>,
}

/// A run as it stands in the run table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// The run's id.
    pub id: String,
    /// `replay`, `reconcile`, `undo`, `rollback` or `staging`.
    pub kind: String,
    /// `running` …
    pub state: String,
    /// The table that it wrote.
    pub table: TableName,
    /// When it began, as the database writes it in UTC.
    pub started_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// The run that it takes back.
    pub reverts: Option<String>,
    /// What it is doing, or was when it died.
    pub stage: Option<String>,
    /// Whether somebody is at it.
    pub alive: bool,
    /// The offsets that it has been brought to, added up.
    pub records: u64,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows updated.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// Of all these, those after which the primary was not read again.
    pub unconfirmed: u64,
    /// Of all these, those that a later run has taken back.
    pub undone: u64,
    /// Where its swap put the old table, as SQL spells it; `None` also when it is back in its place.
    pub old_table: Option<String>,
    /// When that table was dropped.
    pub old_dropped_at: Option<String>,
}

impl RunRecord {
    /// Whether it is of this run: one that builds several tables records each as its own.
    #[must_use]
    pub fn is_of(&self, run: &str) -> bool {
        let rest = self.id.strip_prefix(run);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    }
}

/// How far the table of a run holds the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// What its offsets are bound to.
    pub binding: Option<String>,
    /// The offsets, as its loads or its swap recorded them; none where neither did.
    pub next: Vec<NextOffset>,
}

/// What a run's record says of it while it is underway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// What its work is bound to, in the words of whoever runs it; nothing leaves it as it is.
    pub binding: Option<String>,
    /// What it is doing.
    pub stage: String,
}

/// A run that did not end: dead, or underway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Its id.
    pub run: String,
    /// What its work is bound to; nothing when it died before that was noted.
    pub binding: Option<String>,
    /// What it was doing last.
    pub stage: Option<String>,
    /// When it began, as the database writes it in UTC.
    pub started_at: String,
    /// Whether somebody is at it.
    pub alive: bool,
}

/// What the load of one table remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memo {
    /// The table.
    pub table: String,
    /// From its last batch.
    pub loaded: Option<String>,
    /// From its last settling.
    pub settled: Option<String>,
}
