//! What swaps have left behind: old tables that come back in their places, or go.

use std::time::Duration;

use sqlx::Connection;

use super::swap::Exchanging;
use super::{Fence, Postgres, Start, StoreError, Swapped, TableName, all, execute, get};
use crate::store::OldTable;
use crate::store::dialect::postgres_swap::{self as swaps, Taking};
use crate::store::dialect::{postgres_load as load, postgres_run as sql};

/// How long dropping an old table may wait for whoever still reads it.
const DROP_LIMITS: &str = "SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '60s'";

impl Postgres {
    pub(super) async fn put_back(
        &self,
        starts: &[Start],
        fence: &Fence<'_>,
    ) -> Result<Vec<Swapped>, StoreError> {
        let mut takings = Vec::with_capacity(starts.len());
        for start in starts {
            takings.push(self.come_back(start).await?);
        }
        self.take_places(&Exchanging {
            takings: &takings,
            try_out: &[],
            finish: &[],
            fence,
        })
        .await
    }

    /// An old table, dressed as the one that it will replace.
    async fn come_back(&self, start: &Start) -> Result<Taking, StoreError> {
        let reverts = start.reverts.as_deref().unwrap_or_default();
        let act = format!("taking the swap of run {reverts} back");
        let fail = |e| self.fail(&act, e);
        self.still_held(&start.run, &start.table).await?;
        let mut tx = self.begin_transaction().await?;
        let kept = all(&mut tx, &swaps::kept_by(reverts)).await.map_err(fail)?;
        let live = TableName {
            schema: kept.first().map(|row| get(row, 0)).transpose()?,
            name: kept.first().map_or(Ok(String::new()), |row| get(row, 1))?,
        };
        if live != start.table {
            let problem = format!("run {reverts} keeps no old table of {}", start.table);
            return Err(StoreError::Refused(problem));
        }
        let from = TableName {
            schema: Some(load::old_schema(reverts)),
            name: live.name,
        };
        // Whatever was changed at the live table since it took this place is changed at the old one, which nobody reads.
        execute(&mut tx, "SET LOCAL statement_timeout = 0")
            .await
            .map_err(fail)?;
        self.dress(start.table_id, &from, &mut tx, &act).await?;
        tx.commit().await.map_err(fail)?;
        Ok(Taking {
            run: start.run.clone(),
            place: start.table.clone(),
            id: start.table_id,
            from,
            reverts: Some(reverts.to_owned()),
        })
    }

    pub(super) async fn read_old_tables(&self) -> Result<Vec<OldTable>, StoreError> {
        let mut connection = self.acquire().await?;
        let version = self.own_version(&mut connection).await?;
        if version == 0 {
            return Ok(Vec::new());
        }
        let rows = all(&mut connection, &sql::old_tables(version))
            .await
            .map_err(|e| self.fail("looking for old tables", e))?;
        let unsigned = |n: i64| u64::try_from(n).unwrap_or(0);
        let old = |row| {
            let run: String = get(row, 0)?;
            let name: String = get(row, 2)?;
            Ok(OldTable {
                old: TableName {
                    schema: Some(load::old_schema(&run)),
                    name: name.clone(),
                },
                live: TableName {
                    schema: Some(get(row, 1)?),
                    name,
                },
                age: Duration::from_secs(unsigned(get(row, 3)?)),
                bytes: unsigned(get(row, 4)?),
                run,
            })
        };
        rows.iter().map(old).collect()
    }

    /// One transaction, in which the table's own run lock is held: nobody takes the table back meanwhile.
    pub(super) async fn drop_old_table(&self, run: &str) -> Result<Option<u64>, StoreError> {
        let act = format!("dropping the old table of run {run}");
        let fail = |e| self.fail(&act, e);
        let mut session = self.dedicated().await?;
        let mut tx = session.begin().await.map_err(fail)?;
        execute(&mut tx, DROP_LIMITS).await.map_err(fail)?;
        self.own_tables(&mut tx).await?;
        let held = all(&mut tx, &sql::hold_old(run)).await.map_err(fail)?;
        let Some(row) = held.first() else {
            return Ok(None);
        };
        let bytes: i64 = get(row, 0)?;
        let live = TableName {
            schema: Some(get(row, 1)?),
            name: get(row, 2)?,
        };
        let asked = format!(
            "SELECT pg_try_advisory_xact_lock({})",
            sql::lock_number(&live)
        );
        let free = all(&mut tx, &asked).await.map_err(fail)?;
        if !free.first().map_or(Ok(false), |row| get(row, 0))? {
            let problem = format!("a run on {live} is alive");
            return Err(StoreError::Busy { problem });
        }
        execute(&mut tx, &sql::drop_old(run, &live.name))
            .await
            .map_err(fail)?;
        tx.commit().await.map_err(fail)?;
        let _ = session.close().await;
        Ok(Some(u64::try_from(bytes).unwrap_or(0)))
    }
}
