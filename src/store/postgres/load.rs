//! The load: begin, append, settle, replace.

use sqlx::PgConnection;

use super::encode::CopyEncoder;
use super::read::Reader;
use super::{Batch, Mark, Postgres, Settle, Shadow, StoreError, all, execute, get, one};
use crate::projection::cell::{Cell, Row};
use crate::projection::change::{Change, Key, Op};
use crate::projection::mapping::key_of;
use crate::projection::types::Column;
use crate::projection::version::Version;
use crate::store::dialect::postgres_load::Nature;
use crate::store::dialect::{
    postgres_build as building, postgres_load as sql, postgres_run as runs,
    postgres_settle as settling,
};
use crate::store::marks;
use crate::store::{Encoder, RunKind, Settled, Start, state};

/// Bytes of one COPY message.
const CHUNK_BYTES: usize = 256 << 10;
/// Later changes between two looks at what is final.
const TAKE_CHANGES: usize = 2_000;
/// Keys deleted by one statement.
pub(super) const DELETE_KEYS_MAX: usize = 50_000;

/// No statement of a load has a time limit, and none waits for the disk: the positions are committed with the rows, so
/// that a crash loses both.
pub(super) const UNHURRIED: &str =
    "SET LOCAL statement_timeout = 0; SET LOCAL synchronous_commit = off";

impl Postgres {
    pub(super) async fn begin_run(&self, shadow: &Shadow) -> Result<(), StoreError> {
        if shadow.run.is_empty() || shadow.run.len() > sql::RUN_BYTES_MAX {
            return Err(StoreError::Refused(format!(
                "a run's id has 1 to {} bytes, not {}",
                sql::RUN_BYTES_MAX,
                shadow.run.len()
            )));
        }
        let live = &shadow.live;
        let start = Start {
            run: shadow.run.clone(),
            kind: RunKind::Replay,
            table: live.table.clone(),
            table_id: live.id,
            reverts: None,
        };
        self.locked(&start, async |tx| {
            let act = format!("beginning a run on {}", live.table);
            let fail = |e| self.fail(&act, e);
            let row = one(tx, &sql::nature(live.id)).await.map_err(fail)?;
            let nature = Nature {
                method: get(&row, 0)?,
                tablespace: get(&row, 1)?,
                identities: get(&row, 2)?,
                options: options(tx, live.id).await.map_err(fail)??,
            };
            self.record(&start, tx).await?;
            execute(tx, &sql::create(shadow, &nature, self.version))
                .await
                .map_err(fail)
        })
        .await
    }

    /// What was written makes older snapshots blind to it.
    pub(super) async fn written(&self, shadow: &Shadow) {
        self.boundaries.lock().await.remove(&shadow.run);
    }

    pub(super) async fn append_batch(
        &self,
        shadow: &Shadow,
        batch: Batch,
        mark: &Mark,
    ) -> Result<(), StoreError> {
        let act = sql::shadow_table(shadow).to_string();
        let fail = |e| self.fail(&act, e);
        let mut tx = self.begin_transaction().await?;
        execute(&mut tx, UNHURRIED).await.map_err(fail)?;
        write(&mut tx, shadow, batch).await.map_err(fail)?;
        execute(&mut tx, &sql::positions(&shadow.run, &mark.next))
            .await
            .map_err(fail)?;
        self.keep(shadow, &mark.quarantined, &mut tx).await?;
        self.remember(shadow, "loaded", &mark.memo, &mut tx).await?;
        self.fence(&shadow.run, &mut tx).await?;
        crate::crash_point!("load.appending");
        tx.commit().await.map_err(fail)?;
        self.written(shadow).await;
        Ok(())
    }

    /// Notes something that the load of a shadow has to know to go on; nothing of an empty one.
    async fn remember(
        &self,
        shadow: &Shadow,
        column: &str,
        memo: &str,
        tx: &mut PgConnection,
    ) -> Result<(), StoreError> {
        if memo.is_empty() {
            return Ok(());
        }
        let name = &shadow.live.table.name;
        execute(tx, &runs::remember(&shadow.run, name, column, memo))
            .await
            .map_err(|e| self.fail(&sql::shadow_table(shadow).to_string(), e))
    }

    pub(super) async fn settle_later(
        &self,
        shadow: &Shadow,
        by: &mut dyn Settle,
    ) -> Result<(), StoreError> {
        let act = format!("settling {}", sql::shadow_table(shadow));
        let fail = |e| self.fail(&act, e);
        if let Some(truncate) = by.truncated() {
            let mut tx = self.begin_transaction().await?;
            execute(&mut tx, UNHURRIED).await.map_err(fail)?;
            for sql in settling::clear(shadow, &truncate) {
                execute(&mut tx, &sql).await.map_err(fail)?;
            }
            self.fence(&shadow.run, &mut tx).await?;
            tx.commit().await.map_err(fail)?;
            self.written(shadow).await;
        }
        let mut tx = self.begin_transaction().await?;
        execute(&mut tx, UNHURRIED).await.map_err(fail)?;
        let row = one(&mut tx, &settling::any_later(shadow))
            .await
            .map_err(fail)?;
        if !get::<bool>(&row, 0)? {
            return tx.rollback().await.map_err(fail);
        }
        // A table just filled has no statistics, and a wrong plan here is a nested loop over the shadow.
        execute(&mut tx, &settling::analyze_later(shadow))
            .await
            .map_err(fail)?;
        execute(&mut tx, &settling::move_held(shadow))
            .await
            .map_err(fail)?;
        execute(&mut tx, &settling::move_gone(shadow))
            .await
            .map_err(fail)?;
        self.fence(&shadow.run, &mut tx).await?;
        tx.commit().await.map_err(fail)?;
        self.written(shadow).await;
        crate::crash_point!("settle.moved");

        let mut tx = self.begin_transaction().await?;
        execute(&mut tx, UNHURRIED).await.map_err(fail)?;
        self.settle_all(shadow, by, &mut tx).await?;
        execute(&mut tx, &settling::empty_later(shadow))
            .await
            .map_err(fail)?;
        self.remember(shadow, "settled", &by.memo(), &mut tx)
            .await?;
        self.fence(&shadow.run, &mut tx).await?;
        tx.commit().await.map_err(fail)?;
        self.written(shadow).await;
        Ok(())
    }

    /// Reads on another connection, since this one is writing.
    async fn settle_all(
        &self,
        shadow: &Shadow,
        by: &mut dyn Settle,
        tx: &mut PgConnection,
    ) -> Result<(), StoreError> {
        let (copy, kinds) = settling::copy_later(shadow);
        let columns = kinds.into_iter().enumerate().map(|(at, kind)| Column {
            name: shadow
                .columns
                .get(at)
                .map_or("trueup", |c| &c.name)
                .to_owned(),
            kind,
            nullable: true,
        });
        let table = sql::later_table(shadow).to_string();
        let mut rows = self
            .stream(copy, Reader::new(table, columns.collect()))
            .await?;
        let mut encoder = CopyEncoder::new(shadow);
        let mut since = 0;
        while let Some(batch) = rows.recv().await {
            for row in batch? {
                let (change, held) = later(shadow, row).ok_or_else(|| {
                    StoreError::Refused("a later change that trueup did not write".to_owned())
                })?;
                if held {
                    by.held(change)?;
                } else {
                    by.change(change)?;
                }
                since += 1;
            }
            if since >= TAKE_CHANGES {
                since = 0;
                self.write_settled(shadow, by.take(false)?, &mut encoder, tx)
                    .await?;
            }
        }
        self.write_settled(shadow, by.take(true)?, &mut encoder, tx)
            .await
    }

    async fn write_settled(
        &self,
        shadow: &Shadow,
        settled: Vec<Settled>,
        encoder: &mut CopyEncoder,
        tx: &mut PgConnection,
    ) -> Result<(), StoreError> {
        for settled in &settled {
            match settled {
                Settled::Row(row, version) => encoder.settled(row, version),
                Settled::Gone(key, version) => encoder.gone(key, version),
            }
        }
        let act = sql::shadow_table(shadow).to_string();
        let written = write(tx, shadow, encoder.take()).await;
        written.map_err(|e| match self.fail(&act, e) {
            StoreError::Unique { table, problem } => StoreError::Unique {
                table,
                problem: format!(
                    "the log was read to where two rows of {} have one value of a unique index ({problem}); the same command \
                     reads on from there; when it stops so again and again, the log has such rows for good",
                    shadow.live.table
                ),
            },
            other => other,
        })
    }

    pub(super) async fn replace_rows(
        &self,
        shadow: &Shadow,
        rows: &[(Key<'static>, Option<Row<'static>>, Version)],
        memo: &str,
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let act = sql::shadow_table(shadow).to_string();
        let fail = |e| self.fail(&act, e);
        let mut tx = self.begin_transaction().await?;
        execute(&mut tx, UNHURRIED).await.map_err(fail)?;
        let keys: Vec<&Key<'static>> = rows.iter().map(|(key, ..)| key).collect();
        for chunk in keys.chunks(DELETE_KEYS_MAX) {
            for from in [sql::shadow_table(shadow), sql::gone_table(shadow)] {
                execute(&mut tx, &settling::delete_keys(shadow, &from, chunk))
                    .await
                    .map_err(fail)?;
            }
        }
        let mut encoder = CopyEncoder::new(shadow);
        for (key, row, version) in rows {
            match row {
                Some(row) => encoder.settled(row, version),
                None => encoder.gone(key, version),
            }
        }
        write(&mut tx, shadow, encoder.take()).await.map_err(fail)?;
        self.remember(shadow, "settled", memo, &mut tx).await?;
        self.fence(&shadow.run, &mut tx).await?;
        tx.commit().await.map_err(fail)?;
        self.written(shadow).await;
        Ok(())
    }
}

/// Storage parameters of a table.
pub(super) async fn options(
    connection: &mut PgConnection,
    oid: i64,
) -> Result<Result<Vec<(String, String)>, StoreError>, sqlx::Error> {
    let rows = all(connection, &building::options(oid)).await?;
    Ok(rows.iter().map(|r| Ok((get(r, 0)?, get(r, 1)?))).collect())
}

async fn copy_in(connection: &mut PgConnection, sql: &str, text: &[u8]) -> Result<(), sqlx::Error> {
    if text.is_empty() {
        return Ok(());
    }
    let mut copy = connection.copy_in_raw(sql).await?;
    for chunk in text.chunks(CHUNK_BYTES) {
        copy.send(chunk).await?;
    }
    copy.finish().await.map(drop)
}

/// Writes a batch into the tables of the shadow.
pub(super) async fn write(
    connection: &mut PgConnection,
    shadow: &Shadow,
    batch: Batch,
) -> Result<(), sqlx::Error> {
    let [first, again, gone] = copied(shadow, batch);
    copy_in(connection, &sql::copy_first(shadow), &first).await?;
    copy_in(connection, &sql::copy_again(shadow), &again).await?;
    copy_in(connection, &sql::copy_gone(shadow), &gone).await
}

/// The COPY text of a batch: first rows, later changes, tombstones. Plain rows are encoded here.
fn copied(shadow: &Shadow, batch: Batch) -> [Vec<u8>; 3] {
    match batch {
        Batch::Copy { first, again, gone } => [first, again, gone],
        Batch::Rows { first, again, gone } => {
            let mut encoder = CopyEncoder::new(shadow);
            for (row, origin) in &first {
                encoder.first(row, origin);
            }
            for (key, row, origin) in &again {
                encoder.again(key, row.as_ref(), origin);
            }
            for (key, version) in &gone {
                encoder.gone(key, version);
            }
            match encoder.take() {
                Batch::Copy { first, again, gone } => [first, again, gone],
                Batch::Rows { .. } => Default::default(),
            }
        }
    }
}

/// A row of the table of later changes, and whether it was the shadow's own. `None` when trueup did not write it.
fn later(shadow: &Shadow, mut row: Row<'static>) -> Option<(Change<'static>, bool)> {
    let mut version = row.split_off(shadow.columns.len());
    let besides = version.split_off(sql::TRAILING.len().min(version.len()));
    let version = state::version(&version)?;
    let [arrival, gone, holes] = <[Cell<'static>; 3]>::try_from(besides).ok()?;
    let key = key_of(&row, &shadow.key);
    let int = |cell: &Cell<'_>| match cell {
        Cell::Int(i) => i64::try_from(*i).ok(),
        _ => None,
    };
    if let Cell::Array(holes) = holes {
        for hole in &holes {
            marks::put_back(&mut row, int(hole)?)?;
        }
    }
    let op = if gone == Cell::Bool(true) {
        Op::Delete
    } else if shadow.key.iter().any(|at| row[*at] == Cell::Unchanged) {
        Op::Lost
    } else {
        Op::Put(row)
    };
    Some((Change { key, version, op }, int(&arrival)? < 0))
}
