//! Records that were set aside: kept with the batch that passed over them.

use sqlx::PgConnection;

use super::{Postgres, StoreError, all, execute, get};
use crate::projection::record::Position;
use crate::store::dialect::postgres_quarantine as sql;
use crate::store::quarantine::Columns;
use crate::store::{Kept, Quarantined, Shadow, Standing};

impl Postgres {
    /// Keeps records in the transaction that carries the load beyond them.
    pub(super) async fn keep(
        &self,
        shadow: &Shadow,
        records: &[Quarantined],
        tx: &mut PgConnection,
    ) -> Result<(), StoreError> {
        execute(
            tx,
            &sql::keep(&shadow.run, &shadow.live.table.name, records),
        )
        .await
        .map_err(|e| self.fail("keeping records that cannot be applied", e))
    }

    pub(super) async fn read_quarantined(&self) -> Result<Vec<Kept>, StoreError> {
        let mut connection = self.acquire().await?;
        if self.own_version(&mut connection).await? < sql::VERSION {
            return Ok(Vec::new());
        }
        let rows = all(&mut connection, sql::KEPT)
            .await
            .map_err(|e| self.fail("reading the quarantined records", e))?;
        let read = |row| {
            let columns = Columns {
                run: get(row, 0)?,
                table: get(row, 1)?,
                topic: get(row, 2)?,
                partition: get(row, 3)?,
                offset: get(row, 4)?,
                key: get(row, 5)?,
                reason: get(row, 6)?,
                record: get(row, 7)?,
                standing: get(row, 8)?,
                kept_at: get(row, 9)?,
            };
            columns.read()
        };
        rows.iter().map(read).collect()
    }

    pub(super) async fn write_release(
        &self,
        of: (&str, &str),
        one: Option<Position<'_>>,
        standing: Standing,
    ) -> Result<(), StoreError> {
        let act = "noting what became of quarantined records";
        self.ask(act, &sql::release(of, one, standing))
            .await
            .map(drop)
    }
}
