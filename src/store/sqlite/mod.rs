//! SQLite: the embedded store. What differs from a server:
//! - A swap exchanges contents by difference in one transaction, so nothing of the table's schema changes; the old
//!   contents are not kept.
//! - There is one writer at a time; waiting for it is bounded by [`BUSY_TIMEOUT`].
//! - Any column may hold any value. Reading names a value that is not of its column's declared type; writing refuses
//!   one that the column would change (decimals beyond 64-bit integers and floats, NaN).
//! - Sessions that only read open the file read-only and work on a file or directory that cannot be written.

mod bind;
mod catalog;
mod error;
mod load;
mod lock;
mod read;
mod settle;
mod swap;
mod value;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, ConnectOptions, Row as _, SqliteConnection};
use tokio::sync::Mutex;

use crate::projection::cell::Row;
use crate::projection::change::Key;
use crate::projection::version::Version;

use super::dialect::sqlite::Bind;
use super::dialect::sqlite_load;
use super::{
    Access, Acts, Batch, Blocker, Catalog, Digest, Encoder, Identity, NextOffset, Obstacle,
    RowStream, RunState, Scan, Settle, Shadow, StoreError, Swapped, TableName, WritePermit,
};
use error::Doing;
use lock::RunLock;

/// How long a statement waits for another process's lock.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Page cache of the session that writes, in KiB: enough to sort and compare without spilling small tables.
const WRITER_CACHE_KIB: u32 = 65_536;

/// Rows between SQLite's thread and the reader.
const ROWS_AHEAD: usize = 512;

/// A SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    file: Arc<DatabaseFile>,
    access: Access,
    writer: Mutex<Option<SqliteConnection>>,
    locks: std::sync::Mutex<HashMap<String, RunLock>>,
}

/// Where the database is and how it may be opened; shared with the tasks that stream rows.
#[derive(Debug)]
struct DatabaseFile {
    path: PathBuf,
    shown: String,
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

impl Sqlite {
    /// Opens the database of a `sqlite:path` URL. Messages name it as `redacted`.
    ///
    /// # Errors
    /// When the file does not exist, is no database or cannot be read.
    pub async fn connect(url: &str, redacted: &str, access: Access) -> Result<Sqlite, StoreError> {
        let unreachable = |problem: String| StoreError::Unreachable {
            database: redacted.to_owned(),
            problem,
        };
        let given = SqliteConnectOptions::from_str(url).map_err(|e| unreachable(e.to_string()))?;
        let given = given.get_filename();
        let path = fs::canonicalize(given).map_err(|error| {
            let hint = "trueup never creates a database: check the path, which is taken from the working directory";
            unreachable(format!("{}: {error}; {hint}", given.display()))
        })?;
        let mut file = DatabaseFile {
            path,
            shown: redacted.to_owned(),
            frozen: None,
        };
        let mut writer = None;
        if access == Access::Write {
            let mut session = file.open(false).await?;
            // Rolls back what a writer that died left behind, which the read-only sessions could not.
            probe(&mut session)
                .await
                .map_err(|e| error::failed(file.doing("", "opening"), &e))?;
            writer = Some(session);
        }
        file.look().await?;
        Ok(Sqlite {
            file: Arc::new(file),
            access,
            writer: Mutex::new(writer),
            locks: std::sync::Mutex::default(),
        })
    }

    /// A session that cannot write.
    async fn reader(&self) -> Result<SqliteConnection, StoreError> {
        self.file.open(true).await
    }

    fn locks(&self) -> std::sync::MutexGuard<'_, HashMap<String, RunLock>> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` in one transaction that holds the write lock from its start. After an error, or when the caller
    /// goes away, nothing of it has happened.
    async fn write<T>(
        &self,
        doing: Doing<'_>,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.access == Access::Read {
            return Err(StoreError::Denied {
                act: format!("{}: {}", self.file.shown, doing.act),
                problem: "the store was opened for reading only".to_owned(),
            });
        }
        let mut held = self.writer.lock().await;
        // Taken out: should this future be dropped, the session goes with it and rolls back.
        let mut session = match held.take() {
            Some(session) => session,
            None => self.file.open(false).await?,
        };
        run(&mut session, "BEGIN IMMEDIATE", Vec::new())
            .await
            .map_err(|e| error::failed(doing, &e))?;
        let mut done = work(&mut session).await;
        if done.is_ok()
            && let Err(problem) = run(&mut session, "COMMIT", Vec::new()).await
        {
            done = Err(error::failed(doing, &problem));
        }
        // An error may have ended the transaction already; a session that is not clean is not kept.
        if done.is_ok() || run(&mut session, "ROLLBACK", Vec::new()).await.is_ok() {
            *held = Some(session);
        }
        done
    }
}

impl DatabaseFile {
    fn doing<'a>(&'a self, table: &'a str, act: &'a str) -> Doing<'a> {
        Doing {
            database: &self.shown,
            table,
            act,
        }
    }

    async fn open(&self, read_only: bool) -> Result<SqliteConnection, StoreError> {
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
    async fn look(&mut self) -> Result<(), StoreError> {
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
    fn still_frozen(&self) -> Result<(), StoreError> {
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

async fn probe(session: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    fetch(session, "SELECT count(*) FROM sqlite_schema", Vec::new())
        .await
        .map(|_| ())
}

fn arguments(binds: Vec<Bind>) -> Result<SqliteArguments, sqlx::Error> {
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
async fn run(
    session: &mut SqliteConnection,
    sql: &str,
    binds: Vec<Bind>,
) -> Result<u64, sqlx::Error> {
    let arguments = arguments(binds)?;
    let query = sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(false);
    Ok(query.execute(session).await?.rows_affected())
}

/// Runs a statement for its rows.
async fn fetch(
    session: &mut SqliteConnection,
    sql: &str,
    binds: Vec<Bind>,
) -> Result<Vec<SqliteRow>, sqlx::Error> {
    let arguments = arguments(binds)?;
    let query = sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(false);
    query.fetch_all(session).await
}

/// The integer in a column of a row of SQLite's own making.
fn int(row: &SqliteRow, at: usize) -> i64 {
    row.try_get_unchecked(at).unwrap_or_default()
}

/// The text in a column of a row of SQLite's own making; nothing for NULL.
fn words(row: &SqliteRow, at: usize) -> String {
    let found: Option<String> = row.try_get_unchecked(at).unwrap_or_default();
    found.unwrap_or_default()
}

impl Acts for Sqlite {
    async fn identity(&self) -> Result<Identity, StoreError> {
        catalog::identity(self).await
    }

    async fn catalog(&self, table: &TableName) -> Result<Catalog, StoreError> {
        catalog::catalog(self, table).await
    }

    /// SQLite has no hash of rows.
    async fn digest_dialect(&self, _: &Scan) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    async fn digest(&self, _: &Scan) -> Result<Digest, StoreError> {
        let problem = "SQLite has no hash of rows; compare the rows themselves";
        Err(StoreError::Refused(problem.to_owned()))
    }

    async fn rows(&self, scan: Scan) -> Result<RowStream, StoreError> {
        read::rows(self, scan).await
    }

    async fn lookup(
        &self,
        scan: &Scan,
        keys: &[Key<'static>],
    ) -> Result<Vec<Row<'static>>, StoreError> {
        read::lookup(self, scan, keys).await
    }

    async fn split(&self, scan: &Scan, parts: usize) -> Result<Vec<Key<'static>>, StoreError> {
        read::split(self, scan, parts).await
    }

    /// SQLite keeps no log that has positions.
    async fn write_position(&self) -> Result<Option<[u64; 3]>, StoreError> {
        Ok(None)
    }

    async fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, StoreError> {
        read::query(self, sql).await
    }

    async fn obstacles(&self, table: &Catalog) -> Result<Vec<Obstacle>, StoreError> {
        catalog::obstacles(self, table).await
    }

    fn encoder(&self, _: &Shadow) -> Box<dyn Encoder> {
        Box::new(load::Collected::default())
    }

    async fn begin(&self, _: &WritePermit, shadow: &Shadow) -> Result<(), StoreError> {
        load::begin(self, shadow).await
    }

    async fn append(
        &self,
        _: &WritePermit,
        shadow: &Shadow,
        batch: Batch,
        next: &[NextOffset],
    ) -> Result<(), StoreError> {
        load::append(self, shadow, batch, next).await
    }

    async fn settle(
        &self,
        _: &WritePermit,
        shadow: &Shadow,
        by: &mut dyn Settle,
    ) -> Result<(), StoreError> {
        settle::settle(self, shadow, by).await
    }

    async fn replace(
        &self,
        _: &WritePermit,
        shadow: &Shadow,
        rows: &[(Key<'static>, Option<Row<'static>>, Version)],
    ) -> Result<(), StoreError> {
        load::replace(self, shadow, rows).await
    }

    async fn build(&self, _: &WritePermit, shadow: &Shadow) -> Result<(), StoreError> {
        swap::build(self, shadow).await
    }

    fn shadow_table(&self, shadow: &Shadow) -> TableName {
        sqlite_load::shadow_name(&shadow.run, &shadow.live.table)
    }

    async fn seal(&self, _: &WritePermit, shadow: &Shadow) -> Result<(), StoreError> {
        swap::seal(self, shadow).await
    }

    /// Contents are exchanged in one transaction, so that an older snapshot sees the old rows.
    async fn old_snapshots(&self, _: &Shadow) -> Result<Vec<Blocker>, StoreError> {
        Ok(Vec::new())
    }

    async fn swap(&self, _: &WritePermit, shadow: &Shadow) -> Result<Swapped, StoreError> {
        swap::swap(self, shadow).await
    }

    async fn end(
        &self,
        _: &WritePermit,
        shadow: &Shadow,
        state: RunState,
    ) -> Result<(), StoreError> {
        swap::end(self, shadow, state).await
    }
}
