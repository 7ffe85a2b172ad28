//! What a swap meets and what it leaves.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use super::{NextOffset, TableName};

/// Something on a table that the swap cannot carry over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// What kind of thing: `trigger`, `foreign key`, `view` …
    pub what: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.name)
    }
}

/// A session of the database that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// Process number.
    pub pid: i64,
    /// Who.
    pub user: String,
    /// The program's own name.
    pub application: String,
    /// How long its transaction has been open, in seconds.
    pub age_seconds: u64,
    /// What it runs.
    pub query: String,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "pid {} ({}, {}), {} s: {}",
            self.pid, self.user, self.application, self.age_seconds, self.query
        )
    }
}

/// What a swap did.
#[derive(Clone, Debug)]
pub struct Swapped {
    /// Where the old table is kept; `None` when contents were exchanged in place.
    pub old: Option<TableName>,
    /// How long readers could have waited, in milliseconds.
    pub locked_ms: u64,
    /// Tries it took.
    pub attempts: u32,
    /// What is not as it was and could not be helped, such as a foreign key that old rows break. Of several tables swapped
    /// together, the first has all of it.
    pub warnings: Vec<String>,
}

/// A table that a swap has put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldTable {
    /// The run that did.
    pub run: String,
    /// The table whose place it had.
    pub live: TableName,
    /// What it is called now.
    pub old: TableName,
    /// How long ago that was.
    pub age: Duration,
    /// Its size in bytes, indexes included.
    pub bytes: u64,
}

/// The moment of a swap: that nobody writes the live tables, asked again under its locks, and how far its tables then are.
pub struct Fence<'a> {
    /// The role whose sessions must be gone.
    pub writer_role: Option<&'a str>,
    /// How far the projector is, by a query and what it gave before: it must give the same.
    pub checkpoint: Option<(&'a str, Vec<Vec<Option<String>>>)>,
    /// Asks whatever else knows; why not, when somebody may write.
    pub still: &'a Still<'a>,
    /// How far the tables hold the log: recorded in the transaction with each run that has no positions of a load of its own.
    pub holds: &'a [NextOffset],
    /// When the tries must end.
    pub until: Option<std::time::Instant>,
}

/// A question that is asked elsewhere.
pub type Still<'a> =
    dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> + Send + Sync + 'a;

impl Fence<'static> {
    /// For tables that nobody else writes.
    #[must_use]
    pub fn none() -> Fence<'static> {
        Fence {
            writer_role: None,
            checkpoint: None,
            still: &|| Box::pin(async { Ok(()) }),
            holds: &[],
            until: None,
        }
    }
}
