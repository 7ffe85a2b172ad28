//! Staging: the sources of query views, loaded into a schema of their own and derived from there.

use super::load::UNHURRIED;
use super::{Postgres, Shadow, StoreError, TableName, execute};
use crate::store::dialect::{postgres_load as load, postgres_stage as sql};
use crate::store::{RunKind, Staging, Start};

/// Gives a transaction memory for sorting and hashing while a view is derived.
pub(super) const DERIVE_MEMORY: &str = "SET LOCAL work_mem = '128MB'";

impl Postgres {
    /// The area's run holds a lock of its own, so that two runs of one playbook do not stage at once, and what a dead one
    /// left is removed.
    pub(super) async fn begin_staging(&self, staging: &Staging) -> Result<(), StoreError> {
        let start = Start {
            run: staging.run.clone(),
            kind: RunKind::Staging,
            table: staging.table(),
            table_id: 0,
            reverts: None,
        };
        self.locked(&start, async |tx| {
            let fail = |e| self.fail("staging sources", e);
            self.record(&start, tx).await?;
            execute(tx, &sql::create_area(&staging.run))
                .await
                .map_err(fail)?;
            for shadow in &staging.shadows {
                execute(tx, &sql::create(shadow)).await.map_err(fail)?;
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn end_staging(&self, run: &str) -> Result<(), StoreError> {
        let fail = |e| self.fail("removing the staged sources", e);
        let mut tx = self.begin_transaction().await?;
        execute(&mut tx, &load::discard(run)).await.map_err(fail)?;
        tx.commit().await.map_err(fail)?;
        self.release(run).await;
        Ok(())
    }

    pub(super) async fn build_staged(&self, shadow: &Shadow) -> Result<(), StoreError> {
        let act = format!("building the key of {}", load::shadow_table(shadow));
        self.in_one(&act, &[sql::build(shadow)]).await
    }

    pub(super) async fn expose_staged(
        &self,
        shadows: &[Shadow],
        exact: bool,
    ) -> Result<Vec<TableName>, StoreError> {
        let statements: Vec<String> = shadows.iter().map(|s| sql::expose(s, exact)).collect();
        self.in_one("exposing the staged sources", &statements)
            .await?;
        Ok(shadows.iter().map(sql::exposed).collect())
    }

    pub(super) async fn clear_shadow(&self, shadow: &Shadow) -> Result<(), StoreError> {
        let act = format!("emptying {}", load::shadow_table(shadow));
        let forgotten = Postgres::forgotten(&shadow.run, &shadow.live.table.name);
        self.in_one(&act, &[sql::clear(shadow), forgotten]).await?;
        self.written(shadow).await;
        Ok(())
    }

    pub(super) async fn fill_shadow(&self, shadow: &Shadow, query: &str) -> Result<(), StoreError> {
        let act = format!("deriving {}", shadow.live.table);
        self.in_one(&act, &[DERIVE_MEMORY.to_owned(), sql::fill(shadow, query)])
            .await?;
        self.written(shadow).await;
        Ok(())
    }

    /// Statements in one transaction that takes its time.
    pub(super) async fn in_one(&self, act: &str, statements: &[String]) -> Result<(), StoreError> {
        let fail = |e| self.fail(act, e);
        let mut tx = self.begin_transaction().await?;
        execute(&mut tx, UNHURRIED).await.map_err(fail)?;
        for statement in statements {
            execute(&mut tx, statement).await.map_err(fail)?;
        }
        tx.commit().await.map_err(fail)
    }
}
