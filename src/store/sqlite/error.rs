//! SQLite's result codes as what the operator has to do about them.

use sqlx::error::DatabaseError;

use crate::store::StoreError;

/// What was being done, for messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doing<'a> {
    /// The database as it may be shown.
    pub(super) database: &'a str,
    /// The table, or nothing.
    pub(super) table: &'a str,
    /// The act.
    pub(super) act: &'a str,
}

/// Primary result codes that are told apart; see "Result and Error Codes" in SQLite's manual.
mod code {
    pub(super) const ERROR: u32 = 1;
    pub(super) const PERM: u32 = 3;
    pub(super) const BUSY: u32 = 5;
    pub(super) const LOCKED: u32 = 6;
    pub(super) const READONLY: u32 = 8;
    pub(super) const IOERR: u32 = 10;
    pub(super) const CORRUPT: u32 = 11;
    pub(super) const FULL: u32 = 13;
    pub(super) const CANTOPEN: u32 = 14;
    pub(super) const TOOBIG: u32 = 18;
    pub(super) const CONSTRAINT: u32 = 19;
    pub(super) const MISMATCH: u32 = 20;
    pub(super) const AUTH: u32 = 23;
    pub(super) const NOTADB: u32 = 26;
    /// A journal of a writer that died, which a reader may not roll back.
    pub(super) const READONLY_ROLLBACK: u32 = 776;
}

/// The extended result code.
pub(super) fn extended(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error().and_then(DatabaseError::code)?;
    code.parse().ok()
}

/// Whether the file could not be opened or locked in the way that WAL needs: a directory that is not writable.
pub(super) fn is_frozen(error: &sqlx::Error) -> bool {
    extended(error).is_some_and(|c| matches!(c & 0xff, code::CANTOPEN | code::READONLY))
}

/// What the database has against one row that is written: a constraint, a type, or whatever goes wrong in a trigger.
pub(super) fn of_the_row(error: &sqlx::Error) -> Option<String> {
    let refused = matches!(
        extended(error)? & 0xff,
        code::ERROR | code::CONSTRAINT | code::MISMATCH | code::TOOBIG
    );
    let driver = error.as_database_error().filter(|_| refused);
    driver.map(|driver| driver.message().to_owned())
}

/// The error that the operator sees.
pub(super) fn failed(doing: Doing<'_>, error: &sqlx::Error) -> StoreError {
    let database = doing.database.to_owned();
    let Some(driver) = error.as_database_error() else {
        return match error {
            sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed | sqlx::Error::Configuration(_) => {
                StoreError::Unreachable {
                    database,
                    problem: error.to_string(),
                }
            }
            _ => sql(doing, error.to_string()),
        };
    };
    let problem = driver.message().to_owned();
    let extended = extended(error).unwrap_or_default();
    match extended & 0xff {
        code::BUSY | code::LOCKED => StoreError::Busy {
            problem: format!(
                "{database}: {}: {problem} (another process writes to the file; SQLite has one writer at a time)",
                doing.act
            ),
        },
        _ if extended == code::READONLY_ROLLBACK => StoreError::Unreachable {
            database,
            problem: "a writer died and left a journal that a reader may not roll back; open the file once with \
                      a program that may write, for example sqlite3 FILE 'SELECT 1 FROM sqlite_schema'"
                .to_owned(),
        },
        code::READONLY | code::PERM | code::AUTH => StoreError::Denied {
            act: format!("{database}: {}", doing.act),
            problem,
        },
        code::CANTOPEN | code::NOTADB | code::CORRUPT | code::IOERR => {
            StoreError::Unreachable { database, problem }
        }
        code::FULL => sql(
            doing,
            format!("{problem}: make room, then run the same command again"),
        ),
        code::CONSTRAINT | code::MISMATCH | code::TOOBIG => StoreError::Value {
            table: doing.table.to_owned(),
            problem,
        },
        _ => match problem.strip_prefix("no such table: ") {
            Some(table) => StoreError::NoTable {
                table: table.trim_start_matches("main.").to_owned(),
                database,
                hint: String::new(),
            },
            None => sql(doing, problem),
        },
    }
}

fn sql(doing: Doing<'_>, problem: String) -> StoreError {
    StoreError::Sql {
        act: format!("{}: {}", doing.database, doing.act),
        problem,
    }
}
