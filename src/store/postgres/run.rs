//! Runs: the lock that is a run's life, trueup's own tables, and what dead runs left behind.

use sqlx::{Connection, PgConnection};

use super::{
    Postgres, RunRecord, RunState, Start, StoreError, TableName, affected, all, execute, get, one,
};
use crate::store::RunKind;
use crate::store::dialect::{postgres_load as load, postgres_run as sql, postgres_swap as swaps};

impl Postgres {
    pub(super) async fn start_run(&self, start: &Start) -> Result<(), StoreError> {
        self.locked(start, async |tx| self.record(start, tx).await)
            .await
    }

    /// Records a run that begins.
    pub(super) async fn record(
        &self,
        start: &Start,
        tx: &mut PgConnection,
    ) -> Result<(), StoreError> {
        match affected(tx, &sql::record(start)).await {
            Ok(1) => Ok(()),
            Ok(_) => Err(StoreError::Refused(format!(
                "there has been a run {} already",
                start.run
            ))),
            Err(e) => Err(self.fail(&format!("beginning a run on {}", start.table), e)),
        }
    }

    /// Takes the table's lock and does `work` in one transaction, after trueup's own tables are up to date and dead runs
    /// are cleared away. The lock stays with the run when all went well.
    pub(super) async fn locked(
        &self,
        start: &Start,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let lock = self.lock_table(&start.table).await?;
        let begun = async {
            let act = format!("beginning a run on {}", start.table);
            let mut tx = self.begin_transaction().await?;
            self.own_tables(&mut tx).await?;
            self.bury(&mut tx, &start.table, &act).await?;
            work(&mut tx).await?;
            tx.commit().await.map_err(|e| self.fail(&act, e))
        };
        if let Err(problem) = begun.await {
            unlock(lock).await;
            return Err(problem);
        }
        self.hold(&start.run, lock, 0).await;
        Ok(())
    }

    /// Dead runs on a table whose lock is held: shadows go, journals stay.
    async fn bury(
        &self,
        tx: &mut PgConnection,
        live: &TableName,
        act: &str,
    ) -> Result<(), StoreError> {
        let fail = |e| self.fail(act, e);
        let mut leftovers = String::new();
        for row in all(tx, &sql::running(live)).await.map_err(fail)? {
            let (dead, kind): (String, String) = (get(&row, 0)?, get(&row, 1)?);
            tracing::info!(run = dead, table = %live, "closing a run that died");
            leftovers.push_str(&if RunKind::builds(&kind) {
                load::discard(&dead)
            } else {
                sql::closed(&dead, RunState::Incomplete)
            });
            leftovers.push(';');
        }
        for row in all(tx, &sql::emptied(live)).await.map_err(fail)? {
            leftovers.push_str(&load::drop_emptied(&get::<String>(&row, 0)?));
            leftovers.push(';');
        }
        execute(tx, &leftovers).await.map_err(fail)
    }

    /// Makes trueup's own tables, or brings them up to date.
    pub(super) async fn own_tables(&self, tx: &mut PgConnection) -> Result<(), StoreError> {
        let fail = |e| self.fail("making trueup's own tables", e);
        all(tx, sql::OWN_TABLES_LOCK).await.map_err(fail)?;
        let version = self.own_version(tx).await?;
        if version == sql::OWN_VERSION {
            return Ok(());
        }
        execute(tx, &sql::migrate(version)).await.map_err(fail)
    }

    /// The version of trueup's own tables, 0 when there are none.
    pub(super) async fn own_version(
        &self,
        connection: &mut PgConnection,
    ) -> Result<usize, StoreError> {
        let fail = |e| self.fail("reading the version of trueup's own tables", e);
        let row = one(connection, sql::OWN_VERSION_FOUND)
            .await
            .map_err(fail)?;
        if !get::<bool>(&row, 0)? {
            return Ok(0);
        }
        let row = one(connection, sql::OWN_VERSION_READ).await.map_err(fail)?;
        let version: Option<i32> = get(&row, 0)?;
        let version = usize::try_from(version.unwrap_or(0)).unwrap_or(0);
        if version <= sql::OWN_VERSION {
            return Ok(version);
        }
        Err(StoreError::Refused(format!(
            "{}: trueup's own tables are of version {version}, this program knows version {}: use the newer trueup",
            self.database,
            sql::OWN_VERSION
        )))
    }

    pub(super) async fn has_journal(&self) -> Result<bool, StoreError> {
        let mut connection = self.acquire().await?;
        Ok(self.own_version(&mut connection).await? >= sql::JOURNAL_VERSION)
    }

    pub(super) async fn read_runs(&self) -> Result<Vec<RunRecord>, StoreError> {
        let mut connection = self.acquire().await?;
        let version = self.own_version(&mut connection).await?;
        if version == 0 {
            return Ok(Vec::new());
        }
        let rows = all(&mut connection, &sql::runs(version))
            .await
            .map_err(|e| self.fail("reading the runs", e))?;
        let count = |row, at| Ok::<_, StoreError>(u64::try_from(get::<i64>(row, at)?).unwrap_or(0));
        let record = |row| {
            Ok(RunRecord {
                id: get(row, 0)?,
                kind: get(row, 1)?,
                state: get(row, 2)?,
                table: TableName {
                    schema: get(row, 3)?,
                    name: get(row, 4)?,
                },
                started_at: get(row, 5)?,
                ended_at: get(row, 6)?,
                reverts: get(row, 7)?,
                inserted: count(row, 8)?,
                updated: count(row, 9)?,
                deleted: count(row, 10)?,
                unconfirmed: count(row, 11)?,
                undone: count(row, 12)?,
                stage: get(row, 13)?,
                alive: get(row, 14)?,
                records: count(row, 15)?,
                old_table: get(row, 16)?,
                old_dropped_at: get(row, 17)?,
            })
        };
        rows.iter().map(record).collect()
    }

    pub(super) async fn finish_run(&self, run: &str, state: RunState) -> Result<(), StoreError> {
        let act = format!("ending run {run}");
        let mut connection = self.acquire().await?;
        let ended = affected(&mut connection, &sql::closed(run, state)).await;
        self.release(run).await;
        if ended.map_err(|e| self.fail(&act, e))? == 1 {
            return Ok(());
        }
        Err(StoreError::Refused(format!(
            "run {run} is not running any more"
        )))
    }
}

/// Unlocks and closes. The server notices a closed connection some time later, and until then the next run on the table
/// would be told that this one is alive.
pub(super) async fn unlock(mut session: PgConnection) {
    // Whatever goes wrong here, the end of the session is the end of the lock.
    let _ = execute(&mut session, swaps::UNLOCK).await;
    let _ = session.close().await;
}
