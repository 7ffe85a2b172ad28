//! PostgreSQL. Connections and the acts; each act lives in the file that the dispatch below names.

mod ask;
mod build;
mod carry;
mod catalog;
mod connect;
mod encode;
mod fail;
mod lease;
mod load;
mod old;
mod pooler;
mod pressure;
mod pulse;
mod quarantine;
mod read;
mod repair;
mod run;
mod stage;
mod stream;
mod swap;
mod touch;

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgPool};
use tokio::sync::Mutex;

use self::ask::{affected, all, execute, get, one};
use super::dialect::postgres_load;
use super::{
    Access, Acts, Batch, Blocker, Catalog, Confirmation, Described, Digest, Effect, Encoder, Entry,
    Fence, Held, Identity, Kept, Mark, Memo, Note, Obstacle, OldTable, Outcome, Replication,
    RowStream, RunRecord, RunState, Scan, Settle, Shadow, Slot, Staging, Standing, Start,
    StateStream, StoreError, Swapped, TableName, Target, Unfinished, Waiting, Write, WritePermit,
};
use crate::projection::cell::Row;
use crate::projection::change::Key;
use crate::projection::record::Position;
use crate::projection::types::ColumnType;
use crate::projection::version::Version;
use lease::Leases;
use pulse::Pulse;

/// Connections of the pool.
const CONNECTIONS_MAX: u32 = 6;
/// Longest wait for a connection.
const CONNECT_SECONDS_MAX: u64 = 10;
/// Longest statement of a session that only reads; those that build indexes have no bound.
const READ_STATEMENT_SECONDS_MAX: u32 = 3_600;
/// Longest wait for a lock outside the swap's own ladder.
const LOCK_SECONDS_MAX: u32 = 5;
/// Longest pause within a transaction before the server ends it.
const IDLE_SECONDS_MAX: u32 = 300;
/// Oldest server whose catalog is understood.
const VERSION_MIN: i32 = 120_000;

/// A PostgreSQL database.
#[derive(Debug)]
pub struct Postgres {
    pool: PgPool,
    options: PgConnectOptions,
    session: String,
    database: String,
    version: i32,
    encoding: String,
    held: Leases,
    pulse: Pulse,
    /// The process numbers of our sessions, as the server gave them.
    sessions: Arc<std::sync::Mutex<Vec<i32>>>,
    /// After the last write of a run's shadow: next transaction number and time.
    boundaries: Mutex<HashMap<String, (i64, String)>>,
}

impl Acts for Postgres {
    async fn identity(&self) -> Result<Identity, StoreError> {
        self.read_identity().await
    }

    async fn tables(&self) -> Result<Vec<TableName>, StoreError> {
        self.read_tables().await
    }

    async fn catalog(&self, table: &TableName) -> Result<Catalog, StoreError> {
        self.read_catalog(table).await
    }

    async fn digest_dialect(&self, scan: &Scan) -> Result<Option<String>, StoreError> {
        self.name_digest(scan).await
    }

    fn kind_of(&self, spelled: &str) -> ColumnType {
        super::dialect::postgres::spelled_type(spelled)
    }

    fn spell_type(&self, kind: &ColumnType) -> String {
        super::dialect::postgres::type_name(kind)
    }

    fn spelled(&self, table: &TableName) -> String {
        super::dialect::postgres::table(table)
    }

    fn hollow(&self, table: &Catalog) -> String {
        super::dialect::postgres_stage::hollow(table)
    }

    fn given(&self, table: &Catalog, rows: &[&Row<'static>]) -> Result<String, StoreError> {
        Ok(super::dialect::postgres_stage::given(table, rows))
    }

    async fn volatile(&self, functions: &[String]) -> Result<Vec<String>, StoreError> {
        self.read_volatile(functions).await
    }

    async fn describe(&self, query: &str) -> Result<Vec<Described>, StoreError> {
        self.read_columns_of(query).await
    }

    async fn digest(&self, scan: &Scan) -> Result<Digest, StoreError> {
        self.read_digest(scan).await
    }

    async fn rows(&self, scan: Scan) -> Result<RowStream, StoreError> {
        self.read_rows(&scan).await
    }

    async fn lookup(
        &self,
        scan: &Scan,
        keys: &[Key<'static>],
    ) -> Result<Vec<Row<'static>>, StoreError> {
        self.read_keys(scan, keys).await
    }

    async fn split(&self, scan: &Scan, parts: usize) -> Result<Vec<Key<'static>>, StoreError> {
        self.read_split(scan, parts).await
    }

    async fn write_position(&self) -> Result<Option<u64>, StoreError> {
        self.read_position().await
    }

    async fn slot(&self, name: &str) -> Result<Option<Slot>, StoreError> {
        self.read_slot(name).await
    }

    async fn replication(&self) -> Result<Replication, StoreError> {
        self.read_replication().await
    }

    async fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        self.read_waiting().await
    }

    async fn emit(&self, message: &str) -> Result<bool, StoreError> {
        self.emit_message(message).await
    }

    async fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, StoreError> {
        self.read_query(sql).await
    }

    async fn runs(&self) -> Result<Vec<RunRecord>, StoreError> {
        self.read_runs().await
    }

    async fn journal(&self, run: &str) -> Result<Vec<Entry>, StoreError> {
        self.read_journal(run).await
    }

    async fn unconfirmed(&self, table: &TableName) -> Result<Vec<Entry>, StoreError> {
        self.read_unconfirmed(table).await
    }

    async fn is_captured(&self, table: &Catalog) -> Result<bool, StoreError> {
        self.read_captured(table).await
    }

    async fn effects(&self, table: &Catalog) -> Result<Vec<Effect>, StoreError> {
        self.read_effects(table).await
    }

    async fn start(&self, _permit: &WritePermit, start: &Start) -> Result<(), StoreError> {
        self.start_run(start).await
    }

    async fn repair(
        &self,
        _permit: &WritePermit,
        target: &Target,
        writes: &[Write],
    ) -> Result<Vec<Outcome>, StoreError> {
        self.repair_rows(target, writes).await
    }

    async fn confirm(
        &self,
        _permit: &WritePermit,
        entries: &[(String, i64)],
        confirmation: Confirmation,
    ) -> Result<(), StoreError> {
        self.confirm_repairs(entries, confirmation).await
    }

    async fn finish(
        &self,
        _permit: &WritePermit,
        run: &str,
        state: RunState,
    ) -> Result<(), StoreError> {
        self.finish_run(run, state).await
    }

    async fn obstacles(&self, table: &Catalog) -> Result<Vec<Obstacle>, StoreError> {
        self.read_obstacles(table).await
    }

    fn encoder(&self, shadow: &Shadow) -> Box<dyn Encoder> {
        Box::new(encode::CopyEncoder::new(shadow))
    }

    async fn begin(&self, _permit: &WritePermit, shadow: &Shadow) -> Result<(), StoreError> {
        self.begin_run(shadow).await
    }

    async fn append(
        &self,
        _permit: &WritePermit,
        shadow: &Shadow,
        batch: Batch,
        mark: &Mark,
    ) -> Result<(), StoreError> {
        self.append_batch(shadow, batch, mark).await
    }

    async fn settle(
        &self,
        _permit: &WritePermit,
        shadow: &Shadow,
        by: &mut dyn Settle,
    ) -> Result<(), StoreError> {
        self.settle_later(shadow, by).await
    }

    async fn replace(
        &self,
        _permit: &WritePermit,
        shadow: &Shadow,
        rows: &[(Key<'static>, Option<Row<'static>>, Version)],
        memo: &str,
    ) -> Result<(), StoreError> {
        self.replace_rows(shadow, rows, memo).await
    }

    async fn take_up(
        &self,
        _permit: &WritePermit,
        name: &TableName,
        run: &str,
        binding: &str,
    ) -> Result<bool, StoreError> {
        self.take_run_up(name, run, binding).await
    }

    async fn stands(
        &self,
        _permit: &WritePermit,
        run: &str,
        note: &Note,
    ) -> Result<(), StoreError> {
        self.write_note(run, note).await
    }

    async fn unfinished(&self, name: &TableName) -> Result<Vec<Unfinished>, StoreError> {
        self.find_unfinished(name).await
    }

    async fn pause(
        &self,
        _permit: &WritePermit,
        run: &str,
        paused: bool,
    ) -> Result<(), StoreError> {
        self.write_pause(run, paused).await
    }

    async fn abandon(
        &self,
        _permit: &WritePermit,
        name: &TableName,
        run: &str,
    ) -> Result<(), StoreError> {
        self.abandon_run(name, run).await
    }

    async fn pauses(&self) -> Result<Vec<Unfinished>, StoreError> {
        self.read_pauses().await
    }

    async fn held(&self, run: &str) -> Result<Held, StoreError> {
        self.read_held(run).await
    }

    async fn memos(&self, run: &str) -> Result<Vec<Memo>, StoreError> {
        self.read_memos(run).await
    }

    async fn quarantined(&self) -> Result<Vec<Kept>, StoreError> {
        self.read_quarantined().await
    }

    async fn release(
        &self,
        _permit: &WritePermit,
        of: (&str, &str),
        one: Option<Position<'_>>,
        standing: Standing,
    ) -> Result<(), StoreError> {
        self.write_release(of, one, standing).await
    }

    async fn state(&self, shadow: &Shadow) -> Result<StateStream, StoreError> {
        self.read_state(shadow).await
    }

    async fn build(&self, _permit: &WritePermit, shadow: &Shadow) -> Result<(), StoreError> {
        self.build_shadow(shadow).await
    }

    fn shadow_table(&self, shadow: &Shadow) -> TableName {
        postgres_load::shadow_table(shadow)
    }

    async fn seal(&self, _permit: &WritePermit, shadow: &Shadow) -> Result<(), StoreError> {
        self.seal_shadow(shadow).await
    }

    async fn old_snapshots(&self, shadow: &Shadow) -> Result<Vec<Blocker>, StoreError> {
        self.find_old_snapshots(shadow).await
    }

    async fn swap(
        &self,
        _permit: &WritePermit,
        shadows: &[Shadow],
        fence: &Fence<'_>,
    ) -> Result<Vec<Swapped>, StoreError> {
        self.swap_tables(shadows, fence).await
    }

    async fn swap_back(
        &self,
        _permit: &WritePermit,
        starts: &[Start],
        fence: &Fence<'_>,
    ) -> Result<Vec<Swapped>, StoreError> {
        self.put_back(starts, fence).await
    }

    async fn old_tables(&self) -> Result<Vec<OldTable>, StoreError> {
        self.read_old_tables().await
    }

    async fn drop_old(&self, _permit: &WritePermit, run: &str) -> Result<Option<u64>, StoreError> {
        self.drop_old_table(run).await
    }

    async fn stage(&self, _permit: &WritePermit, staging: &Staging) -> Result<(), StoreError> {
        self.begin_staging(staging).await
    }

    async fn expose(
        &self,
        _permit: &WritePermit,
        shadows: &[Shadow],
        exact: bool,
    ) -> Result<Vec<TableName>, StoreError> {
        self.expose_staged(shadows, exact).await
    }

    async fn unstage(&self, _permit: &WritePermit, run: &str) -> Result<(), StoreError> {
        self.end_staging(run).await
    }

    async fn clear(&self, _permit: &WritePermit, shadow: &Shadow) -> Result<(), StoreError> {
        self.clear_shadow(shadow).await
    }

    async fn fill(
        &self,
        _permit: &WritePermit,
        shadow: &Shadow,
        query: &str,
    ) -> Result<(), StoreError> {
        self.fill_shadow(shadow, query).await
    }

    async fn end(
        &self,
        _permit: &WritePermit,
        shadow: &Shadow,
        state: RunState,
    ) -> Result<(), StoreError> {
        self.end_run(shadow, state).await
    }
}
