//! The shadow becomes the live table's twin: keys, indexes, comments, grants, owner; then it is sealed.

use sqlx::{Connection, PgConnection};

use super::fail::is_unique_violation;
use super::load::options;
use super::{Postgres, Shadow, StoreError, TableName, all, execute, get, one};
use crate::store::dialect::postgres_build::{self as building, Grant, Index};
use crate::store::dialect::{
    postgres as sql, postgres_hanging as hanging, postgres_load as load,
    postgres_settle as settling, postgres_swap as swaps, postgres_twin as twins,
};

/// Memory for sorting an index, for this transaction only.
const INDEX_MEMORY: &str = "256MB";

impl Postgres {
    /// One transaction, and the run's row remembers it: a second call does nothing.
    pub(super) async fn build_shadow(&self, shadow: &Shadow) -> Result<(), StoreError> {
        self.still_held(&shadow.run, &shadow.live.table).await?;
        if shadow.staged {
            return self.build_staged(shadow).await;
        }
        let act = format!("building {}", load::shadow_table(shadow));
        let fail = |e| self.fail(&act, e);
        let mut tx = self.begin_transaction().await?;
        execute(
            &mut tx,
            &format!(
                "SET LOCAL statement_timeout = 0; SET LOCAL maintenance_work_mem = '{INDEX_MEMORY}'"
            ),
        )
        .await
        .map_err(fail)?;
        let built = one(&mut tx, &building::is_built(&shadow.run)).await;
        if get(&built.map_err(fail)?, 0)? {
            return tx.rollback().await.map_err(fail);
        }
        let live = &shadow.live;
        let row = one(&mut tx, &swaps::id_of(&live.table))
            .await
            .map_err(fail)?;
        if get::<Option<i64>>(&row, 0)? != Some(live.id) {
            return Err(StoreError::Refused(format!(
                "{} was replaced by another table since the plan",
                live.table
            )));
        }
        for row in all(&mut tx, &building::indexes(shadow.live.id))
            .await
            .map_err(fail)?
        {
            let index = index(&row)?;
            let statements = building::create_index(shadow, &index).map_err(StoreError::Refused)?;
            for statement in statements {
                if let Err(e) = execute(&mut tx, &statement).await {
                    tx.rollback().await.map_err(fail)?;
                    return Err(self.not_unique(shadow, &index.name, e, &act).await);
                }
            }
        }
        let twin = load::shadow_table(shadow);
        self.dress(shadow.live.id, &twin, &mut tx, &act).await?;
        // Last: the run's row is not to be locked for as long as an index takes.
        execute(&mut tx, &building::mark_built(&shadow.run))
            .await
            .map_err(fail)?;
        self.fence(&shadow.run, &mut tx).await?;
        tx.commit().await.map_err(fail)?;
        self.written(shadow).await;
        Ok(())
    }

    /// Says which rows a unique index does not take together, when that is why it could not be built.
    async fn not_unique(
        &self,
        shadow: &Shadow,
        index: &str,
        error: sqlx::Error,
        act: &str,
    ) -> StoreError {
        let live = &shadow.live.table;
        if !is_unique_violation(&error) {
            return self.fail(act, error);
        }
        let keys = self.sharing(shadow, index).await.unwrap_or_default();
        let shown = if keys.is_empty() {
            String::new()
        } else {
            format!(": keys {}", keys.join("; keys "))
        };
        StoreError::Unique {
            table: live.to_string(),
            problem: format!(
                "rows that the log gives to {live} have one value of its unique index {index}{shown}; \
                 {live} is as it was; if the primary allows such rows, drop the index, else see why the log has them"
            ),
        }
    }

    /// Keys of the shadow whose rows share a value of a unique index of the live table, a group each, not all of them.
    async fn sharing(&self, shadow: &Shadow, index: &str) -> Result<Vec<String>, StoreError> {
        let act = "looking for rows that share a value";
        let parts = self
            .ask(act, &building::index_parts(shadow.live.id, index))
            .await?;
        let Some(row) = parts.first() else {
            return Ok(Vec::new());
        };
        let (expressions, predicate): (Vec<String>, Option<String>) = (get(row, 0)?, get(row, 1)?);
        let asked = building::sharing(shadow, &expressions, predicate.as_deref());
        let groups = self.ask(act, &asked).await?;
        groups.iter().map(|row| get(row, 0)).collect()
    }

    /// Comment, owner, likeness and grants of a live table, for one that is to take its place.
    pub(super) async fn dress(
        &self,
        live: i64,
        twin: &TableName,
        tx: &mut PgConnection,
        act: &str,
    ) -> Result<(), StoreError> {
        let fail = |e| self.fail(act, e);
        let name = sql::table(twin);
        let row = one(tx, &building::owner(live)).await.map_err(fail)?;
        let (owner, comment): (String, Option<String>) = (get(&row, 0)?, get(&row, 1)?);
        let comment = comment.map_or("NULL".to_owned(), |c| sql::string(&c));
        execute(tx, &format!("COMMENT ON TABLE {name} IS {comment}"))
            .await
            .map_err(fail)?;
        if !get::<bool>(&row, 3)? {
            execute(tx, &building::change_owner(twin, &owner))
                .await
                .map_err(fail)?;
        }
        execute(tx, hanging::WHOLE_NAMES).await.map_err(fail)?;
        for row in all(tx, &twins::likeness(live, twin)).await.map_err(fail)? {
            execute(tx, &get::<String>(&row, 0)?).await.map_err(fail)?;
        }
        execute(tx, hanging::USUAL_NAMES).await.map_err(fail)?;
        let id: i64 = get(&one(tx, &swaps::id_of(twin)).await.map_err(fail)?, 0)?;
        let now = one(tx, &building::owner(id)).await.map_err(fail)?;
        let wanted = self.grants(live, tx, act).await?;
        let some = get::<bool>(&row, 2)? || get::<bool>(&now, 2)?;
        if some || wanted.iter().any(|g| g.column.is_some()) {
            let now = self.grants(id, tx, act).await?;
            for statement in building::replay_grants(twin, &now, &wanted) {
                execute(tx, &statement).await.map_err(fail)?;
            }
        }
        Ok(())
    }

    async fn grants(
        &self,
        oid: i64,
        tx: &mut PgConnection,
        act: &str,
    ) -> Result<Vec<Grant>, StoreError> {
        let rows = all(tx, &building::grants(oid))
            .await
            .map_err(|e| self.fail(act, e))?;
        rows.iter()
            .map(|row| {
                Ok(Grant {
                    column: get(row, 0)?,
                    grantor: get(row, 1)?,
                    grantee: get(row, 2)?,
                    right: get(row, 3)?,
                    grantable: get(row, 4)?,
                })
            })
            .collect()
    }

    /// Foreign columns are carried over as they are now, and statistics gathered. What only the load needed stays until the
    /// swap takes it off: until then a later process can go on loading.
    pub(super) async fn seal_shadow(&self, shadow: &Shadow) -> Result<(), StoreError> {
        self.still_held(&shadow.run, &shadow.live.table).await?;
        let act = format!("sealing {}", load::shadow_table(shadow));
        let fail = |e| self.fail(&act, e);
        let mut tx = self.begin_transaction().await?;
        execute(&mut tx, "SET LOCAL statement_timeout = 0")
            .await
            .map_err(fail)?;
        if let Some(carry) = settling::carry(shadow) {
            execute(&mut tx, &carry).await.map_err(fail)?;
        }
        tx.commit().await.map_err(fail)?;
        let mut session = self.dedicated().await?;
        let vacuum = format!(
            "VACUUM (ANALYZE) {}",
            sql::table(&load::shadow_table(shadow))
        );
        execute(&mut session, "SET statement_timeout = 0")
            .await
            .map_err(fail)?;
        execute(&mut session, &vacuum).await.map_err(fail)?;
        let _ = session.close().await;
        self.written(shadow).await;
        Ok(())
    }

    /// What takes off a shadow all that only its load needed.
    pub(super) async fn strip(
        &self,
        shadow: &Shadow,
        session: &mut PgConnection,
    ) -> Result<String, StoreError> {
        let act = format!("finishing {}", load::shadow_table(shadow));
        let options = options(session, shadow.live.id).await;
        Ok(load::seal(
            shadow,
            &options.map_err(|e| self.fail(&act, e))??,
        ))
    }
}

fn index(row: &sqlx::postgres::PgRow) -> Result<Index, StoreError> {
    let constraint: Option<String> = get(row, 4)?;
    let constraint = match constraint {
        Some(name) => Some((name, get(row, 5)?, get(row, 6)?, get(row, 7)?)),
        None => None,
    };
    Ok(Index {
        name: get(row, 0)?,
        definition: get(row, 1)?,
        start: get(row, 2)?,
        comment: get(row, 3)?,
        constraint,
        options: get(row, 8)?,
        deferrable: (get(row, 9)?, get(row, 10)?),
        tablespace: get(row, 11)?,
    })
}
