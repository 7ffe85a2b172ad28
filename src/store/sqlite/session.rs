//! Sessions: opening the file with just the rights that are needed, and running statements.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, ConnectOptions, Row as _, SqliteConnection};

use crate::store::StoreError;
use crate::store::dialect::sqlite::Bind;

use super::BUSY_TIMEOUT;
use super::error::{self, Doing};

/// Page cache of the session that writes, in KiB: enough to sort and compare without spilling small tables.
const WRITER_CACHE_KIB: u32 = 65_536;

/// Rows between SQLite's thread and the reader.
const ROWS_AHEAD: usize = 512;

/// Where the database is and how it may be opened; shared with the tasks that stream rows.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    pub(super) path: PathBuf,
    pub(super) shown: String,
    /// Set when the directory cannot be written and nobody has the file open, so that WAL's index cannot be made:
    /// then it is read as a file that does not change, and this is what it looked like.
    frozen: Option<Stamp>,
}

/// What shows that a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
}

impl DatabaseFile {
    pub(super) fn new(path: PathBuf, shown: &str) -> DatabaseFile {
        DatabaseFile {
            path,
            shown: shown.to_owned(),
            frozen: None,
        }
    }

    pub(super) fn doing<'a>(&'a self, table: &'a str, act: &'a str) -> Doing<'a> {
        Doing {
            database: &self.shown,
            table,
            act,
        }
    }

    pub(super) async fn open(&self, read_only: bool) -> Result<SqliteConnection, StoreError> {
        let mut options = SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(false)
            .read_only(read_only)
            .immutable(read_only && self.frozen.is_some())
            .busy_timeout(BUSY_TIMEOUT)
            .row_buffer_size(ROWS_AHEAD)
            .foreign_keys(true)
            .disable_statement_logging();
        if !read_only {
            options = options.pragma("cache_size", format!("-{WRITER_CACHE_KIB}"));
        }
        let opened = options.connect().await;
        opened.map_err(|e| error::failed(self.doing("", "opening"), &e))
    }

    /// Reads something, and finds out whether the file can only be read as one that does not change.
    pub(super) async fn look(&mut self) -> Result<(), StoreError> {
        let mut session = self.open(true).await?;
        let Err(problem) = probe(&mut session).await else {
            return Ok(());
        };
        let stamp = stamp(&self.path).filter(|_| error::is_frozen(&problem) && self.is_idle());
        if stamp.is_none() {
            return Err(error::failed(self.doing("", "opening"), &problem));
        }
        self.frozen = stamp;
        let mut session = self.open(true).await?;
        probe(&mut session)
            .await
            .map_err(|e| error::failed(self.doing("", "opening"), &e))
    }

    /// Whether no log or journal lies beside the file, which would hold a part of its contents.
    fn is_idle(&self) -> bool {
        ["-wal", "-journal"].iter().all(|suffix| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(suffix);
            fs::metadata(name).map_or(true, |m| m.len() == 0)
        })
    }

    /// Fails when a file that was read as unchanging has changed.
    pub(super) fn still_frozen(&self) -> Result<(), StoreError> {
        if self.frozen.is_none() || (self.frozen == stamp(&self.path) && self.is_idle()) {
            return Ok(());
        }
        Err(StoreError::Busy {
            problem: format!(
                "{}: the file was written while it was read from a directory that cannot be written",
                self.shown
            ),
        })
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp {
        modified: metadata.modified().ok()?,
        length: metadata.len(),
    })
}

pub(super) async fn probe(session: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    fetch(session, "SELECT count(*) FROM sqlite_schema", Vec::new())
        .await
        .map(|_| ())
}

pub(super) fn arguments(binds: Vec<Bind>) -> Result<SqliteArguments, sqlx::Error> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(binds.len(), 0);
    for bind in binds {
        let added = match bind {
            Bind::Null => arguments.add(None::<i64>),
            Bind::Int(i) => arguments.add(i),
            Bind::Real(f) => arguments.add(f),
            Bind::Text(t) => arguments.add(t),
            Bind::Blob(b) => arguments.add(b),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// Runs a statement; how many rows it changed.
pub(super) async fn run(
    session: &mut SqliteConnection,
    sql: &str,
    binds: Vec<Bind>,
) -> Result<u64, sqlx::Error> {
    let arguments = arguments(binds)?;
    let query = sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(false);
    Ok(query.execute(session).await?.rows_affected())
}

/// Runs a statement for its rows.
pub(super) async fn fetch(
    session: &mut SqliteConnection,
    sql: &str,
    binds: Vec<Bind>,
) -> Result<Vec<SqliteRow>, sqlx::Error> {
    let arguments = arguments(binds)?;
    let query = sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(false);
    query.fetch_all(session).await
}

/// The integer in a column of a row of SQLite's own making.
pub(super) fn int(row: &SqliteRow, at: usize) -> i64 {
    row.try_get_unchecked(at).unwrap_or_default()
}

/// The text in a column of a row of SQLite's own making; nothing for NULL.
pub(super) fn words(row: &SqliteRow, at: usize) -> String {
    maybe(row, at).unwrap_or_default()
}

/// The same, and whether there is one.
pub(super) fn maybe(row: &SqliteRow, at: usize) -> Option<String> {
    row.try_get_unchecked(at).unwrap_or_default()
}
