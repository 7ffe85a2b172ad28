//! What changed in staged sources.

use crate::projection::cell::Row;
use crate::projection::change::Key;
use crate::store::dialect::sqlite as quotes;
use crate::store::dialect::touch::Quotes;
use crate::store::dialect::{sqlite_load as load, sqlite_touch as dialect};
use crate::store::touch::{Touch, Touched, nowhere};
use crate::store::{Acts, RowStream, Scan, Shadow, StoreError, TableName, WritePermit};

use super::bind::{Binder, insert, insert_rows};
use super::error::failed;
use super::load::execute;
use super::{Sqlite, fetch, int};

const QUOTES: Quotes = Quotes {
    name: quotes::quoted,
    table: quotes::table,
};

impl Sqlite {
    async fn all_of(&self, act: &str, statements: Vec<String>) -> Result<(), StoreError> {
        let doing = self.file.doing("", act);
        self.write(doing, async |session| {
            for sql in &statements {
                execute(session, doing, sql, Vec::new()).await?;
            }
            Ok(())
        })
        .await
    }
}

impl Touch for Sqlite {
    async fn watch(&self, _permit: &WritePermit, shadows: &[Shadow]) -> Result<(), StoreError> {
        let statements = shadows.iter().flat_map(dialect::watch).collect();
        self.all_of("watching the staged sources", statements).await
    }

    async fn note(&self, _permit: &WritePermit, shadow: &Shadow) -> Result<(), StoreError> {
        let statements = dialect::note(shadow).to_vec();
        self.all_of("noting what changes", statements).await
    }

    async fn gather(&self, _permit: &WritePermit, shadow: &Shadow) -> Result<u64, StoreError> {
        let act = "gathering what changed";
        self.all_of(act, dialect::gather(shadow).to_vec()).await?;
        let mut session = self.reader().await?;
        let counted = fetch(&mut session, &dialect::count(shadow), Vec::new()).await;
        let counted = counted.map_err(|e| failed(self.file.doing("", act), &e))?;
        Ok(counted.first().map_or(0, |row| int(row, 0)).unsigned_abs())
    }

    /// What is exposed is a view.
    async fn renew(&self, _: &WritePermit, _: &Shadow) -> Result<(), StoreError> {
        Ok(())
    }

    async fn touched_rows(&self, scan: Scan) -> Result<RowStream, StoreError> {
        self.rows(scan).await
    }

    async fn forget(&self, _permit: &WritePermit, shadows: &[Shadow]) -> Result<(), StoreError> {
        let statements = shadows.iter().flat_map(dialect::forget).collect();
        self.all_of("forgetting what changed", statements).await
    }

    async fn exchange(
        &self,
        _permit: &WritePermit,
        shadow: &Shadow,
        keys: &[Key<'static>],
        rows: &[Row<'static>],
    ) -> Result<(), StoreError> {
        let shown = shadow.live.table.to_string();
        let doing = self.file.doing(&shown, "exchanging rows of the shadow");
        let binder = Binder::new(shadow, doing.table);
        self.write(doing, async |session| {
            let sql = |rows| load::remove(shadow, rows);
            let width = shadow.key.len();
            insert(session, doing, keys, width, sql, |key, out| {
                binder.key(key, out)
            })
            .await?;
            insert_rows(session, doing, shadow, rows, |row| {
                (row.as_slice(), nowhere())
            })
            .await
        })
        .await
    }

    /// It runs a query that groups for all of its keys, whatever is asked of it.
    async fn exchange_by(
        &self,
        _: &WritePermit,
        _: &Shadow,
        _: &[Key<'static>],
        _: &str,
    ) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn touched(&self, shadow: &Shadow) -> Touched {
        dialect::touched(shadow)
    }

    /// No shadow here holds a NULL in its key.
    fn each_once(&self, selects: &[String], names: &[&str], _: &[&str]) -> String {
        QUOTES.each_once(selects, names, names)
    }

    fn column_of(&self, table: &TableName, column: &str) -> String {
        QUOTES.column_of(table, column)
    }

    /// Nor here.
    fn narrowed(&self, _: &str, _: &[&str], _: &[Key<'static>]) -> Option<String> {
        None
    }

    fn any_keys(&self, table: &TableName, key: &[&str], rows: usize) -> String {
        QUOTES.any_keys(table, key, rows)
    }
}
