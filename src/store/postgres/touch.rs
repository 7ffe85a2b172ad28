//! What changed in staged sources.

use super::encode::CopyEncoder;
use super::load::{DELETE_KEYS_MAX, UNHURRIED, write};
use super::stage::DERIVE_MEMORY;
use super::{Postgres, RowStream, Scan, Shadow, StoreError, TableName, WritePermit, execute, get};
use crate::projection::cell::Row;
use crate::projection::change::Key;
use crate::store::Encoder;
use crate::store::dialect::postgres as quotes;
use crate::store::dialect::touch::Quotes;
use crate::store::dialect::{
    postgres_load as load, postgres_settle as settling, postgres_touch as sql,
};
use crate::store::touch::{Touch, Touched, nowhere};

/// Keys exchanged by one statement.
const EXCHANGE_KEYS_MAX: usize = 50_000;

const QUOTES: Quotes = Quotes {
    name: quotes::quoted,
    table: quotes::table,
};

impl Touch for Postgres {
    async fn watch(&self, _permit: &WritePermit, shadows: &[Shadow]) -> Result<(), StoreError> {
        let statements: Vec<String> = shadows.iter().map(sql::watch).collect();
        self.in_one("watching the staged sources", &statements)
            .await
    }

    async fn note(&self, _permit: &WritePermit, shadow: &Shadow) -> Result<(), StoreError> {
        let act = format!("noting what changes in {}", load::shadow_table(shadow));
        self.in_one(&act, &sql::note(shadow)).await
    }

    async fn gather(&self, _permit: &WritePermit, shadow: &Shadow) -> Result<u64, StoreError> {
        let act = format!("gathering what changed in {}", load::shadow_table(shadow));
        self.in_one(&act, &sql::gather(shadow)).await?;
        let counted = self.ask(&act, &sql::count(shadow)).await?;
        let rows: i64 = counted.first().map_or(Ok(0), |row| get(row, 0))?;
        Ok(rows.unsigned_abs())
    }

    async fn renew(&self, _permit: &WritePermit, shadow: &Shadow) -> Result<(), StoreError> {
        self.in_one("exposing the staged sources", &sql::renew(shadow))
            .await
    }

    async fn touched_rows(&self, scan: Scan) -> Result<RowStream, StoreError> {
        self.read_derived(&scan).await
    }

    async fn forget(&self, _permit: &WritePermit, shadows: &[Shadow]) -> Result<(), StoreError> {
        let statements: Vec<String> = shadows.iter().map(sql::forget).collect();
        self.in_one("forgetting what changed", &statements).await
    }

    async fn exchange(
        &self,
        _permit: &WritePermit,
        shadow: &Shadow,
        keys: &[Key<'static>],
        rows: &[Row<'static>],
    ) -> Result<(), StoreError> {
        let name = load::shadow_table(shadow);
        let act = name.to_string();
        let fail = |e| self.fail(&act, e);
        let mut encoder = CopyEncoder::new(shadow);
        for row in rows {
            encoder.settled(row, &nowhere());
        }
        let keys: Vec<&Key<'static>> = keys.iter().collect();
        let mut tx = self.begin_transaction().await?;
        execute(&mut tx, UNHURRIED).await.map_err(fail)?;
        for chunk in keys.chunks(DELETE_KEYS_MAX) {
            execute(&mut tx, &settling::delete_keys(shadow, &name, chunk))
                .await
                .map_err(fail)?;
        }
        write(&mut tx, shadow, encoder.take()).await.map_err(fail)?;
        tx.commit().await.map_err(fail)?;
        self.written(shadow).await;
        Ok(())
    }

    async fn exchange_by(
        &self,
        _permit: &WritePermit,
        shadow: &Shadow,
        keys: &[Key<'static>],
        query: &str,
    ) -> Result<bool, StoreError> {
        let act = format!("exchanging rows of {}", load::shadow_table(shadow));
        let mut statements = vec![DERIVE_MEMORY.to_owned()];
        for some in keys.chunks(EXCHANGE_KEYS_MAX) {
            statements.extend(sql::exchange(shadow, query, some));
        }
        self.in_one(&act, &statements).await?;
        self.written(shadow).await;
        Ok(true)
    }

    fn touched(&self, shadow: &Shadow) -> Touched {
        sql::touched(shadow)
    }

    fn each_once(&self, selects: &[String], names: &[&str], filled: &[&str]) -> String {
        QUOTES.each_once(selects, names, filled)
    }

    fn column_of(&self, table: &TableName, column: &str) -> String {
        QUOTES.column_of(table, column)
    }

    fn narrowed(&self, query: &str, key: &[&str], keys: &[Key<'static>]) -> Option<String> {
        Some(sql::narrowed(query, key, keys))
    }

    fn any_keys(&self, table: &TableName, key: &[&str], rows: usize) -> String {
        QUOTES.any_keys(table, key, rows)
    }
}
