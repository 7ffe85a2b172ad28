//! What a database says of those who follow it, and of what our own sessions wait for.

use std::fmt;

use super::Blocker;

/// Who follows a database, and how far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replication {
    /// The position in the database's own log up to which it is written; `None` where it has none, or follows another.
    pub position: Option<u64>,
    /// How far this database is behind the one that it follows itself, in seconds; `None` when it follows none.
    pub behind_seconds: Option<f64>,
    /// Those who follow it.
    pub followers: Vec<Follower>,
    /// The role that may not see how far its followers are, though there are some.
    pub hidden_from: Option<String>,
}

/// One who follows a database.
#[derive(Clone, Debug, PartialEq)]
pub struct Follower {
    /// What it calls itself.
    pub name: String,
    /// How far it is: what a replica has replayed, or what a logical reader was sent.
    pub position: u64,
}

/// A statement of ours that has not ended, and who keeps it from that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Process number.
    pub pid: i64,
    /// How long it has run, in seconds.
    pub age_seconds: u64,
    /// The statement, its beginning.
    pub statement: String,
    /// What the session waits for, by the database's own words; `None` when it is at work.
    pub waits_for: Option<String>,
    /// The tables on which it waits for a lock.
    pub tables: Vec<String>,
    /// Whose locks are in the way.
    pub blockers: Vec<Blocker>,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "pid {} has run for {} s: {}",
            self.pid, self.age_seconds, self.statement
        )?;
        if !self.tables.is_empty() {
            write!(f, "; it waits for a lock on {}", self.tables.join(", "))?;
        } else if let Some(wait) = &self.waits_for {
            write!(f, "; it waits for {wait}")?;
        }
        for blocker in &self.blockers {
            write!(f, "; blocked by {blocker}")?;
        }
        Ok(())
    }
}
