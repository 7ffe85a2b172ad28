//! SQLite: the embedded store. What differs from a server:
//! - A swap exchanges contents by difference in one transaction, so nothing of the table's schema changes; the old
//!   contents are not kept.
//! - There is one writer at a time; waiting for it is bounded by [`BUSY_TIMEOUT`].
//! - Any column may hold any value. Reading names a value that is not of its column's declared type; writing refuses
//!   one that the column would change (decimals beyond 64-bit integers and floats, NaN).
//! - Sessions that only read open the file read-only and work on a file or directory that cannot be written.

mod bind;
mod catalog;
mod effects;
mod error;
mod journal;
mod load;
mod lock;
mod quarantine;
mod read;
mod repair;
mod resume;
mod run;
mod session;
mod settle;
mod stage;
mod swap;
mod touch;
mod value;

use std::collections::HashMap;
use std::fs;
use std::str::FromStr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::Mutex;

use crate::projection::cell::{Cell, Row};
use crate::projection::change::Key;
use crate::projection::record::Position;
use crate::projection::types::ColumnType;
use crate::projection::version::Version;

use super::dialect::sqlite::Bind;
use super::dialect::sqlite_load;
use super::{
    Access, Acts, Batch, Blocker, Catalog, CatalogColumn, Confirmation, Described, Digest, Effect,
    Encoder, Entry, Fence, Held, Identity, Kept, Mark, Memo, Note, Obstacle, OldTable, Outcome,
    Replication, RowStream, RunRecord, RunState, Scan, Settle, Shadow, Slot, Staging, Standing,
    Start, StateStream, StoreError, Swapped, TableName, Target, Unfinished, Waiting, Write,
    WritePermit,
};
use error::Doing;
use lock::RunLock;
use session::{DatabaseFile, arguments, fetch, int, maybe, probe, run, words};

/// How long a statement waits for another process's lock.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    file: Arc<DatabaseFile>,
    access: Access,
    writer: Mutex<Option<SqliteConnection>>,
    locks: std::sync::Mutex<HashMap<String, RunLock>>,
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
        let mut file = DatabaseFile::new(path, redacted);
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

impl Acts for Sqlite {
    async fn identity(&self) -> Result<Identity, StoreError> {
        catalog::identity(self).await
    }

    async fn tables(&self) -> Result<Vec<TableName>, StoreError> {
        catalog::tables(self).await
    }

    async fn catalog(&self, table: &TableName) -> Result<Catalog, StoreError> {
        catalog::catalog(self, table).await
    }

    /// SQLite has no hash of rows.
    async fn digest_dialect(&self, _: &Scan) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    fn kind_of(&self, spelled: &str) -> ColumnType {
        value::kind(spelled)
    }

    fn spell_type(&self, kind: &ColumnType) -> String {
        value::declared(kind)
    }

    fn spelled(&self, table: &TableName) -> String {
        super::dialect::sqlite::table(table)
    }

    fn hollow(&self, table: &Catalog) -> String {
        super::dialect::sqlite_stage::hollow(table)
    }

    fn given(&self, table: &Catalog, rows: &[&Row<'static>]) -> Result<String, StoreError> {
        let bound = |row: &&Row<'static>| -> Result<Vec<Bind>, StoreError> {
            let cells = table.columns.iter().zip(row.iter());
            let bind = |(column, cell): (&CatalogColumn, &Cell<'_>)| {
                let held = value::affinity(&column.sql_type);
                value::bind(cell, &column.column.kind, held).map_err(|problem| {
                    StoreError::Refused(format!("{}: {problem}", column.column.name))
                })
            };
            cells.map(bind).collect()
        };
        let rows: Vec<Vec<Bind>> = rows.iter().map(bound).collect::<Result<_, _>>()?;
        Ok(super::dialect::sqlite_stage::given(table, &rows))
    }

    /// A file declares no functions of its own, and the built-in ones are known by name.
    async fn volatile(&self, _: &[String]) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    async fn describe(&self, query: &str) -> Result<Vec<Described>, StoreError> {
        catalog::columns_of(self, query).await
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
    async fn write_position(&self) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    async fn slot(&self, _: &str) -> Result<Option<Slot>, StoreError> {
        Ok(None)
    }

    async fn replication(&self) -> Result<Replication, StoreError> {
        Ok(Replication::default())
    }

    async fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        Ok(Vec::new())
    }

    async fn emit(&self, _: &str) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, StoreError> {
        read::query(self, sql).await
    }

    async fn runs(&self) -> Result<Vec<RunRecord>, StoreError> {
        journal::runs(self).await
    }

    async fn journal(&self, run: &str) -> Result<Vec<Entry>, StoreError> {
        journal::journal(self, run).await
    }

    async fn unconfirmed(&self, table: &TableName) -> Result<Vec<Entry>, StoreError> {
        journal::unconfirmed(self, table).await
    }

    /// SQLite has no replication.
    async fn is_captured(&self, _: &Catalog) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn effects(&self, table: &Catalog) -> Result<Vec<Effect>, StoreError> {
        effects::effects(self, table).await
    }

    async fn start(&self, _permit: &WritePermit, start: &Start) -> Result<(), StoreError> {
        run::start(self, start).await
    }

    async fn repair(
        &self,
        _permit: &WritePermit,
        target: &Target,
        writes: &[Write],
    ) -> Result<Vec<Outcome>, StoreError> {
        repair::repair(self, target, writes).await
    }

    async fn confirm(
        &self,
        _permit: &WritePermit,
        entries: &[(String, i64)],
        confirmation: Confirmation,
    ) -> Result<(), StoreError> {
        journal::confirm(self, entries, confirmation).await
    }

    async fn finish(
        &self,
        _permit: &WritePermit,
        run: &str,
        state: RunState,
    ) -> Result<(), StoreError> {
        run::finish(self, run, state).await
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
        mark: &Mark,
    ) -> Result<(), StoreError> {
        load::append(self, shadow, batch, mark).await
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
        memo: &str,
    ) -> Result<(), StoreError> {
        load::replace(self, shadow, rows, memo).await
    }

    async fn take_up(
        &self,
        _: &WritePermit,
        name: &TableName,
        run: &str,
        binding: &str,
    ) -> Result<bool, StoreError> {
        resume::take_up(self, name, run, binding).await
    }

    async fn stands(&self, _: &WritePermit, run: &str, note: &Note) -> Result<(), StoreError> {
        resume::note(self, run, note).await
    }

    async fn unfinished(&self, name: &TableName) -> Result<Vec<Unfinished>, StoreError> {
        resume::unfinished(self, name).await
    }

    async fn abandon(
        &self,
        _: &WritePermit,
        name: &TableName,
        run: &str,
    ) -> Result<(), StoreError> {
        resume::abandon(self, name, run).await
    }

    async fn pause(&self, _: &WritePermit, run: &str, paused: bool) -> Result<(), StoreError> {
        resume::pause(self, run, paused).await
    }

    async fn pauses(&self) -> Result<Vec<Unfinished>, StoreError> {
        resume::pauses(self).await
    }

    async fn held(&self, run: &str) -> Result<Held, StoreError> {
        resume::held(self, run).await
    }

    async fn memos(&self, run: &str) -> Result<Vec<Memo>, StoreError> {
        resume::memos(self, run).await
    }

    async fn quarantined(&self) -> Result<Vec<Kept>, StoreError> {
        quarantine::quarantined(self).await
    }

    async fn release(
        &self,
        _permit: &WritePermit,
        of: (&str, &str),
        one: Option<Position<'_>>,
        standing: Standing,
    ) -> Result<(), StoreError> {
        quarantine::release(self, of, one, standing).await
    }

    async fn state(&self, shadow: &Shadow) -> Result<StateStream, StoreError> {
        settle::state(self, shadow).await
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

    async fn swap(
        &self,
        _: &WritePermit,
        shadows: &[Shadow],
        fence: &Fence<'_>,
    ) -> Result<Vec<Swapped>, StoreError> {
        swap::swap(self, shadows, fence).await
    }

    async fn swap_back(
        &self,
        _: &WritePermit,
        _: &[Start],
        _: &Fence<'_>,
    ) -> Result<Vec<Swapped>, StoreError> {
        Err(StoreError::Refused(
            "a swap in SQLite exchanges contents in place and keeps no old table".to_owned(),
        ))
    }

    async fn old_tables(&self) -> Result<Vec<OldTable>, StoreError> {
        Ok(Vec::new())
    }

    async fn drop_old(&self, _: &WritePermit, _: &str) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    async fn stage(&self, _: &WritePermit, staging: &Staging) -> Result<(), StoreError> {
        stage::stage(self, staging).await
    }

    async fn expose(
        &self,
        _: &WritePermit,
        shadows: &[Shadow],
        _: bool,
    ) -> Result<Vec<TableName>, StoreError> {
        stage::expose(self, shadows).await
    }

    async fn unstage(&self, _: &WritePermit, run: &str) -> Result<(), StoreError> {
        stage::unstage(self, run).await
    }

    async fn clear(&self, _: &WritePermit, shadow: &Shadow) -> Result<(), StoreError> {
        stage::clear(self, shadow).await
    }

    async fn fill(&self, _: &WritePermit, shadow: &Shadow, query: &str) -> Result<(), StoreError> {
        stage::fill(self, shadow, query).await
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
