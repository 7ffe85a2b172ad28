//! The one enum of stores: each act goes to the database that was opened.

use super::down::Down;
use super::postgres::Postgres;
use super::sqlite::Sqlite;
use super::*;

/// The kinds of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

/// An open database.
#[allow(clippy::large_enum_variant)] // There are two of them in a process.
pub enum Store {
    /// PostgreSQL.
    Postgres(Postgres),
    /// SQLite.
    Sqlite(Sqlite),
    /// One that does not answer.
    Down(Down),
}

impl Store {
    /// Why it cannot be asked; nothing for one that can.
    #[must_use]
    pub fn down(&self) -> Option<StoreError> {
        match self {
            Store::Down(down) => Some(down.error()),
            _ => None,
        }
    }

    /// Opens a database. `redacted` is the URL without its password, for messages.
    ///
    /// # Errors
    /// `Unreachable` or `Login`.
    pub async fn open(
        engine: Engine,
        url: &str,
        redacted: &str,
        access: Access,
    ) -> Result<Store, StoreError> {
        Ok(match engine {
            Engine::Postgres => Store::Postgres(Postgres::connect(url, redacted, access).await?),
            Engine::Sqlite => Store::Sqlite(Sqlite::connect(url, redacted, access).await?),
        })
    }
}

/// Sends an act to the open database.
macro_rules! each {
    ($self:ident . $act:ident ( $($arg:expr),* ) . await) => {
        match $self {
            Store::Postgres(store) => store.while_it_answers(Box::pin(store.$act($($arg),*))).await,
            Store::Sqlite(store) => store.$act($($arg),*).await,
            Store::Down(down) => Err(down.error()),
        }
    };
    ($self:ident . $act:ident ( $($arg:expr),* )) => {
        match $self {
            Store::Postgres(store) => store.$act($($arg),*),
            Store::Sqlite(store) => store.$act($($arg),*),
            Store::Down(_) => unreachable!("nothing is built in a database that does not answer"),
        }
    };
}

impl Acts for Store {
    async fn identity(&self) -> Result<Identity, StoreError> {
        each!(self.identity().await)
    }
    async fn tables(&self) -> Result<Vec<TableName>, StoreError> {
        each!(self.tables().await)
    }
    async fn catalog(&self, table: &TableName) -> Result<Catalog, StoreError> {
        each!(self.catalog(table).await)
    }
    async fn digest_dialect(&self, scan: &Scan) -> Result<Option<String>, StoreError> {
        each!(self.digest_dialect(scan).await)
    }
    fn spelled(&self, table: &TableName) -> String {
        match self {
            // It only ever stands in a statement that is not run.
            Store::Down(_) => table.to_string(),
            _ => each!(self.spelled(table)),
        }
    }
    fn kind_of(&self, spelled: &str) -> ColumnType {
        each!(self.kind_of(spelled))
    }
    fn spell_type(&self, kind: &ColumnType) -> String {
        each!(self.spell_type(kind))
    }
    fn hollow(&self, table: &Catalog) -> String {
        each!(self.hollow(table))
    }
    fn given(&self, table: &Catalog, rows: &[&Row<'static>]) -> Result<String, StoreError> {
        each!(self.given(table, rows))
    }
    async fn volatile(&self, functions: &[String]) -> Result<Vec<String>, StoreError> {
        each!(self.volatile(functions).await)
    }
    async fn describe(&self, query: &str) -> Result<Vec<Described>, StoreError> {
        each!(self.describe(query).await)
    }
    async fn digest(&self, scan: &Scan) -> Result<Digest, StoreError> {
        each!(self.digest(scan).await)
    }
    async fn rows(&self, scan: Scan) -> Result<RowStream, StoreError> {
        each!(self.rows(scan).await)
    }
    async fn lookup(
        &self,
        scan: &Scan,
        keys: &[Key<'static>],
    ) -> Result<Vec<Row<'static>>, StoreError> {
        each!(self.lookup(scan, keys).await)
    }
    async fn split(&self, scan: &Scan, parts: usize) -> Result<Vec<Key<'static>>, StoreError> {
        each!(self.split(scan, parts).await)
    }
    async fn write_position(&self) -> Result<Option<u64>, StoreError> {
        each!(self.write_position().await)
    }
    async fn slot(&self, name: &str) -> Result<Option<Slot>, StoreError> {
        each!(self.slot(name).await)
    }
    async fn replication(&self) -> Result<Replication, StoreError> {
        each!(self.replication().await)
    }
    async fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        each!(self.waiting().await)
    }
    async fn emit(&self, message: &str) -> Result<bool, StoreError> {
        each!(self.emit(message).await)
    }
    async fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, StoreError> {
        each!(self.query(sql).await)
    }
    async fn runs(&self) -> Result<Vec<RunRecord>, StoreError> {
        each!(self.runs().await)
    }
    async fn journal(&self, run: &str) -> Result<Vec<Entry>, StoreError> {
        each!(self.journal(run).await)
    }
    async fn unconfirmed(&self, table: &TableName) -> Result<Vec<Entry>, StoreError> {
        each!(self.unconfirmed(table).await)
    }
    async fn is_captured(&self, table: &Catalog) -> Result<bool, StoreError> {
        each!(self.is_captured(table).await)
    }
    async fn effects(&self, table: &Catalog) -> Result<Vec<Effect>, StoreError> {
        each!(self.effects(table).await)
    }
    async fn start(&self, permit: &WritePermit, start: &Start) -> Result<(), StoreError> {
        each!(self.start(permit, start).await)
    }
    async fn repair(
        &self,
        permit: &WritePermit,
        target: &Target,
        writes: &[Write],
    ) -> Result<Vec<Outcome>, StoreError> {
        each!(self.repair(permit, target, writes).await)
    }
    async fn confirm(
        &self,
        permit: &WritePermit,
        entries: &[(String, i64)],
        confirmation: Confirmation,
    ) -> Result<(), StoreError> {
        each!(self.confirm(permit, entries, confirmation).await)
    }
    async fn finish(
        &self,
        permit: &WritePermit,
        run: &str,
        state: RunState,
    ) -> Result<(), StoreError> {
        each!(self.finish(permit, run, state).await)
    }
    async fn obstacles(&self, table: &Catalog) -> Result<Vec<Obstacle>, StoreError> {
        each!(self.obstacles(table).await)
    }
    fn encoder(&self, shadow: &Shadow) -> Box<dyn Encoder> {
        each!(self.encoder(shadow))
    }
    async fn begin(&self, permit: &WritePermit, shadow: &Shadow) -> Result<(), StoreError> {
        each!(self.begin(permit, shadow).await)
    }
    async fn append(
        &self,
        permit: &WritePermit,
        shadow: &Shadow,
        batch: Batch,
        mark: &Mark,
    ) -> Result<(), StoreError> {
        each!(self.append(permit, shadow, batch, mark).await)
    }
    async fn settle(
        &self,
        permit: &WritePermit,
        shadow: &Shadow,
        by: &mut dyn Settle,
    ) -> Result<(), StoreError> {
        each!(self.settle(permit, shadow, by).await)
    }
    async fn replace(
        &self,
        permit: &WritePermit,
        shadow: &Shadow,
        rows: &[(Key<'static>, Option<Row<'static>>, Version)],
        memo: &str,
    ) -> Result<(), StoreError> {
        each!(self.replace(permit, shadow, rows, memo).await)
    }

    async fn take_up(
        &self,
        permit: &WritePermit,
        name: &TableName,
        run: &str,
        binding: &str,
    ) -> Result<bool, StoreError> {
        each!(self.take_up(permit, name, run, binding).await)
    }

    async fn stands(&self, permit: &WritePermit, run: &str, note: &Note) -> Result<(), StoreError> {
        each!(self.stands(permit, run, note).await)
    }

    async fn unfinished(&self, name: &TableName) -> Result<Vec<Unfinished>, StoreError> {
        each!(self.unfinished(name).await)
    }

    async fn abandon(
        &self,
        permit: &WritePermit,
        name: &TableName,
        run: &str,
    ) -> Result<(), StoreError> {
        each!(self.abandon(permit, name, run).await)
    }

    async fn pause(&self, permit: &WritePermit, run: &str, paused: bool) -> Result<(), StoreError> {
        each!(self.pause(permit, run, paused).await)
    }

    async fn pauses(&self) -> Result<Vec<Unfinished>, StoreError> {
        each!(self.pauses().await)
    }

    async fn held(&self, run: &str) -> Result<Held, StoreError> {
        each!(self.held(run).await)
    }
    async fn quarantined(&self) -> Result<Vec<Kept>, StoreError> {
        each!(self.quarantined().await)
    }
    async fn release(
        &self,
        permit: &WritePermit,
        of: (&str, &str),
        one: Option<Position<'_>>,
        standing: Standing,
    ) -> Result<(), StoreError> {
        each!(self.release(permit, of, one, standing).await)
    }
    async fn memos(&self, run: &str) -> Result<Vec<Memo>, StoreError> {
        each!(self.memos(run).await)
    }
    async fn state(&self, shadow: &Shadow) -> Result<StateStream, StoreError> {
        each!(self.state(shadow).await)
    }
    async fn build(&self, permit: &WritePermit, shadow: &Shadow) -> Result<(), StoreError> {
        each!(self.build(permit, shadow).await)
    }
    fn shadow_table(&self, shadow: &Shadow) -> TableName {
        each!(self.shadow_table(shadow))
    }
    async fn seal(&self, permit: &WritePermit, shadow: &Shadow) -> Result<(), StoreError> {
        each!(self.seal(permit, shadow).await)
    }
    async fn old_snapshots(&self, shadow: &Shadow) -> Result<Vec<Blocker>, StoreError> {
        each!(self.old_snapshots(shadow).await)
    }
    async fn swap(
        &self,
        permit: &WritePermit,
        shadows: &[Shadow],
        fence: &Fence<'_>,
    ) -> Result<Vec<Swapped>, StoreError> {
        each!(self.swap(permit, shadows, fence).await)
    }
    async fn swap_back(
        &self,
        permit: &WritePermit,
        starts: &[Start],
        fence: &Fence<'_>,
    ) -> Result<Vec<Swapped>, StoreError> {
        each!(self.swap_back(permit, starts, fence).await)
    }
    async fn old_tables(&self) -> Result<Vec<OldTable>, StoreError> {
        each!(self.old_tables().await)
    }
    async fn drop_old(&self, permit: &WritePermit, run: &str) -> Result<Option<u64>, StoreError> {
        each!(self.drop_old(permit, run).await)
    }
    async fn end(
        &self,
        permit: &WritePermit,
        shadow: &Shadow,
        state: RunState,
    ) -> Result<(), StoreError> {
        each!(self.end(permit, shadow, state).await)
    }
    async fn stage(&self, permit: &WritePermit, staging: &Staging) -> Result<(), StoreError> {
        each!(self.stage(permit, staging).await)
    }
    async fn expose(
        &self,
        permit: &WritePermit,
        shadows: &[Shadow],
        exact: bool,
    ) -> Result<Vec<TableName>, StoreError> {
        each!(self.expose(permit, shadows, exact).await)
    }
    async fn unstage(&self, permit: &WritePermit, run: &str) -> Result<(), StoreError> {
        each!(self.unstage(permit, run).await)
    }
    async fn clear(&self, permit: &WritePermit, shadow: &Shadow) -> Result<(), StoreError> {
        each!(self.clear(permit, shadow).await)
    }
    async fn fill(
        &self,
        permit: &WritePermit,
        shadow: &Shadow,
        query: &str,
    ) -> Result<(), StoreError> {
        each!(self.fill(permit, shadow, query).await)
    }
}
