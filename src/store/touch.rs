//! What a store does so that query views are brought up to date by what changed: it notes the rows of staged sources before
//! they change, shows them beside what they have become, and exchanges rows of a view.

use super::{RowStream, Scan, Shadow, Store, StoreError, TableName, WritePermit};
use crate::projection::cell::Row;
use crate::projection::change::Key;
use crate::projection::version::{Rank, Version};

/// What a query reads in the place of a staged source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Its changed rows, as they were before and as they are now.
    pub changed: TableName,
    /// All its rows as they are now, and the changed ones as they were before.
    pub both: TableName,
}

/// The acts. What is noted stays until it is forgotten, over any number of settlements, and noting it twice changes nothing.
#[allow(async_fn_in_trait)] // Awaited on one task only, so no bound on the futures is needed.
pub trait Touch {
    /// Makes what the following acts need beside these staged sources, where it is not there.
    async fn watch(&self, permit: &WritePermit, shadows: &[Shadow]) -> Result<(), StoreError>;
    /// Notes the keys that have later changes, and their rows as they still are: before they are settled.
    async fn note(&self, permit: &WritePermit, shadow: &Shadow) -> Result<(), StoreError>;
    /// Shows the changed rows as they were and as they are, and how many these are.
    async fn gather(&self, permit: &WritePermit, shadow: &Shadow) -> Result<u64, StoreError>;
    /// Brings the table that [`super::Acts::expose`] has copied up to date by what is noted.
    async fn renew(&self, permit: &WritePermit, shadow: &Shadow) -> Result<(), StoreError>;
    /// The rows of a scan of changed rows, as [`super::Acts::rows`] has them, with the memory that deriving takes.
    async fn touched_rows(&self, scan: Scan) -> Result<RowStream, StoreError>;
    /// Forgets what was noted of these.
    async fn forget(&self, permit: &WritePermit, shadows: &[Shadow]) -> Result<(), StoreError>;
    /// Removes the shadow's rows of these keys and writes these rows, in one transaction.
    async fn exchange(
        &self,
        permit: &WritePermit,
        shadow: &Shadow,
        keys: &[Key<'static>],
        rows: &[Row<'static>],
    ) -> Result<(), StoreError>;
    /// The same with what a query gives for these keys, where the database finds that sooner than the rest of the query;
    /// whether it does.
    async fn exchange_by(
        &self,
        permit: &WritePermit,
        shadow: &Shadow,
        keys: &[Key<'static>],
        query: &str,
    ) -> Result<bool, StoreError>;
    /// What a query reads to see the changed rows of a staged source.
    fn touched(&self, shadow: &Shadow) -> Touched;
    /// A SELECT of the keys that all of these give, each once, its columns named so. Those of `filled` are never NULL: a
    /// NULL there is no key.
    fn each_once(&self, selects: &[String], names: &[&str], filled: &[&str]) -> String;
    /// A SELECT of one column of a table.
    fn column_of(&self, table: &TableName, column: &str) -> String;
    /// A query that gives those rows of a query, if it gives them sooner, that have one of these keys; others may come with
    /// them.
    fn narrowed(&self, query: &str, key: &[&str], keys: &[Key<'static>]) -> Option<String>;
    /// A SELECT of the keys of about so many rows of a table, any of them.
    fn any_keys(&self, table: &TableName, key: &[&str], rows: usize) -> String;
}

/// The version of a row that no record has brought: older than any other.
pub(super) fn nowhere() -> Version {
    Version {
        rank: Rank::default(),
        partition: 0,
        offset: 0,
        clock: None,
    }
}

/// Sends an act to the open database.
macro_rules! each {
    ($self:ident . $act:ident ( $($arg:expr),* ) . await) => {
        match $self {
            Store::Postgres(store) => store.$act($($arg),*).await,
            Store::Sqlite(store) => store.$act($($arg),*).await,
            Store::Down(down) => Err(down.error()),
        }
    };
    ($self:ident . $act:ident ( $($arg:expr),* )) => {
        match $self {
            Store::Postgres(store) => store.$act($($arg),*),
            Store::Sqlite(store) => store.$act($($arg),*),
            Store::Down(_) => unreachable!("nothing is staged in a database that does not answer"),
        }
    };
}

impl Touch for Store {
    async fn watch(&self, permit: &WritePermit, shadows: &[Shadow]) -> Result<(), StoreError> {
        each!(self.watch(permit, shadows).await)
    }
    async fn note(&self, permit: &WritePermit, shadow: &Shadow) -> Result<(), StoreError> {
        each!(self.note(permit, shadow).await)
    }
    async fn gather(&self, permit: &WritePermit, shadow: &Shadow) -> Result<u64, StoreError> {
        each!(self.gather(permit, shadow).await)
    }
    async fn renew(&self, permit: &WritePermit, shadow: &Shadow) -> Result<(), StoreError> {
        each!(self.renew(permit, shadow).await)
    }
    async fn touched_rows(&self, scan: Scan) -> Result<RowStream, StoreError> {
        each!(self.touched_rows(scan).await)
    }
    async fn forget(&self, permit: &WritePermit, shadows: &[Shadow]) -> Result<(), StoreError> {
        each!(self.forget(permit, shadows).await)
    }
    async fn exchange(
        &self,
        permit: &WritePermit,
        shadow: &Shadow,
        keys: &[Key<'static>],
        rows: &[Row<'static>],
    ) -> Result<(), StoreError> {
        each!(self.exchange(permit, shadow, keys, rows).await)
    }
    async fn exchange_by(
        &self,
        permit: &WritePermit,
        shadow: &Shadow,
        keys: &[Key<'static>],
        query: &str,
    ) -> Result<bool, StoreError> {
        each!(self.exchange_by(permit, shadow, keys, query).await)
    }
    fn touched(&self, shadow: &Shadow) -> Touched {
        each!(self.touched(shadow))
    }
    fn each_once(&self, selects: &[String], names: &[&str], filled: &[&str]) -> String {
        each!(self.each_once(selects, names, filled))
    }
    fn column_of(&self, table: &TableName, column: &str) -> String {
        each!(self.column_of(table, column))
    }
    fn narrowed(&self, query: &str, key: &[&str], keys: &[Key<'static>]) -> Option<String> {
        each!(self.narrowed(query, key, keys))
    }
    fn any_keys(&self, table: &TableName, key: &[&str], rows: usize) -> String {
        each!(self.any_keys(table, key, rows))
    }
}
