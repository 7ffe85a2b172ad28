//! The one table of exit codes, and how an error finds its place in it.

use std::process::ExitCode;

use super::flags::Usage;
use super::wiring::Problems;
use crate::projection::cast::CastError;
use crate::projection::counts::CountError;
use crate::projection::decode::DecodeError;
use crate::projection::diff::OrderError;
use crate::snapshot::SnapshotError;
use crate::store::StoreError;
use crate::strategies::replay::Holes;
use crate::strategies::{Bug, Interrupted, Refused};
use crate::stream::StreamError;

/// How a command ended. Any code that is not in this table is a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; in sync.
    Done,
    /// Drift found.
    Drift,
    /// Wrong usage or playbook.
    Usage,
    /// A safety check said no, or nobody consented.
    Refused,
    /// A system could not be reached.
    Unreachable,
    /// Stopped part-way, or the verdict is unknown; the same command goes on.
    Incomplete,
    /// A lock or another run stands in the way.
    Busy,
    /// A bug in trueup.
    Bug,
    /// Interrupted; state is clean.
    Interrupted,
}

/// For `--help`.
pub(super) const TABLE: &str = "\
Exit status:
  0    done; in sync
  1    drift found; findings (doctor)
  2    wrong usage or playbook
  3    refused: a safety check said no, or nobody consented
  4    a system could not be reached
  5    incomplete: stopped part-way, or the verdict is unknown; the same command goes on
  6    busy: a lock or another run stands in the way; try again
  70   a bug in trueup
  130  interrupted; state is clean
Any other code is a failure.";

impl Exit {
    /// Its number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Drift => 1,
            Exit::Usage => 2,
            Exit::Refused => 3,
            Exit::Unreachable => 4,
            Exit::Incomplete => 5,
            Exit::Busy => 6,
            Exit::Bug => 70,
            Exit::Interrupted => 130,
        }
    }

    /// Of several outcomes, the one that counts: the first of this list that occurred.
    #[must_use]
    pub fn of_all(exits: &[Exit]) -> Exit {
        const ORDER: [Exit; 9] = [
            Exit::Bug,
            Exit::Interrupted,
            Exit::Usage,
            Exit::Drift,
            Exit::Incomplete,
            Exit::Unreachable,
            Exit::Busy,
            Exit::Refused,
            Exit::Done,
        ];
        ORDER
            .into_iter()
            .find(|e| exits.contains(e))
            .unwrap_or(Exit::Done)
    }

    /// The place of an error: the first cause in its chain that has one.
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Exit {
        error.chain().find_map(of_cause).unwrap_or(Exit::Bug)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    if let Some(e) = cause.downcast_ref::<StoreError>() {
        return of_store(e);
    }
    if let Some(e) = cause.downcast_ref::<StreamError>() {
        return Some(of_stream(e));
    }
    if let Some(e) = cause.downcast_ref::<SnapshotError>() {
        return Some(of_snapshot(e));
    }
    if cause.is::<Problems>() || cause.is::<Usage>() {
        Some(Exit::Usage)
    } else if cause.is::<Refused>()
        || cause.is::<crate::demo::Refused>()
        || cause.is::<DecodeError>()
        || cause.is::<Holes>()
        || cause.is::<CastError>()
        || cause.is::<OrderError>()
    {
        Some(Exit::Refused)
    } else if cause.is::<Interrupted>() {
        Some(Exit::Interrupted)
    } else if cause.is::<Bug>() || cause.is::<CountError>() {
        Some(Exit::Bug)
    } else {
        None
    }
}

fn of_store(error: &StoreError) -> Option<Exit> {
    Some(match error {
        StoreError::Unreachable { .. } | StoreError::Login { .. } => Exit::Unreachable,
        StoreError::Denied { .. } | StoreError::Refused(_) | StoreError::Value { .. } => {
            Exit::Refused
        }
        StoreError::NoTable { .. } => Exit::Usage,
        StoreError::Busy { .. } | StoreError::Unique { .. } => Exit::Busy,
        StoreError::Sql { .. } | StoreError::Ungrouped { .. } => Exit::Incomplete,
        // It only carries another error, which comes next in the chain.
        StoreError::Sink(e) => Exit::of(e),
    })
}

fn of_stream(error: &StreamError) -> Exit {
    match error {
        StreamError::NoTopic { .. } | StreamError::Config { .. } => Exit::Usage,
        StreamError::Unreachable { .. } | StreamError::Registry { .. } | StreamError::Io { .. } => {
            Exit::Unreachable
        }
        StreamError::Stalled { .. } => Exit::Incomplete,
        _ => Exit::Refused,
    }
}

fn of_snapshot(error: &SnapshotError) -> Exit {
    match error {
        SnapshotError::NoSnapshot { .. } | SnapshotError::Id { .. } | SnapshotError::Url { .. } => {
            Exit::Usage
        }
        SnapshotError::Io { .. } | SnapshotError::Objects { .. } => Exit::Unreachable,
        SnapshotError::Damaged { .. }
        | SnapshotError::Newer { .. }
        | SnapshotError::NoTable { .. }
        | SnapshotError::Table { .. }
        | SnapshotError::Value { .. } => Exit::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_every_code() {
        use Exit::{Bug, Busy, Done, Drift, Incomplete, Interrupted, Refused, Unreachable, Usage};
        for exit in [
            Done,
            Drift,
            Usage,
            Refused,
            Unreachable,
            Incomplete,
            Busy,
            Bug,
            Interrupted,
        ] {
            assert!(
                TABLE
                    .lines()
                    .any(|l| l.trim_start().starts_with(&format!("{} ", exit.code()))),
                "{exit:?}"
            );
        }
        assert_eq!(Exit::of_all(&[Done, Refused, Drift, Incomplete]), Drift);
        assert_eq!(Exit::of(&anyhow::anyhow!("who knows")), Bug);
    }

    #[test]
    fn an_error_under_context_keeps_its_place() {
        let refused =
            anyhow::Error::new(crate::strategies::Refused::because("no")).context("view v");
        assert_eq!(Exit::of(&refused), Exit::Refused);
    }
}
