//! The databases, behind one enum and one trait of whole acts: each act is atomic, or its comment says what is left
//! behind. A store knows rows and tables; it knows nothing of logs, playbooks or strategies. SQL text is made in
//! `dialect`, which is pure. To add a database: one file, one variant, and the compiler lists the rest.

mod batch;
pub mod dialect;
mod dispatch;
pub mod down;
pub mod error;
mod marks;
pub mod permit;
pub mod postgres;
mod pressure;
mod quarantine;
pub mod repair;
pub mod run;
pub mod scan;
pub mod sqlite;
mod state;
mod swap;
pub mod touch;

use std::fmt;

use tokio::sync::mpsc;

use crate::projection::cell::Row;
use crate::projection::change::Key;
use crate::projection::record::Position;
use crate::projection::types::{Column, ColumnType};
use crate::projection::version::Version;

pub use batch::{Batch, Encoder, Mark, NextOffset, Origin, Settle};
pub use dispatch::{Engine, Store};
pub use error::StoreError;
pub use permit::WritePermit;
pub use pressure::{Follower, Replication, Waiting};
pub use quarantine::{Kept, Quarantined, Standing};
pub use repair::{Confirmation, Effect, Entry, Outcome, Target, Write};
pub use run::{Held, Memo, Note, RunKind, RunRecord, RunState, Start, Unfinished};
pub use scan::{Described, Digest, Output, Relation, Scan};
pub use state::{Settled, StateBatch, StateStream};
pub use swap::{Blocker, Fence, Obstacle, OldTable, Still, Swapped};
pub use touch::{Touch, Touched};

/// A table's name, as two identifiers that are always quoted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableName {
    /// Schema; `None` leaves it to the connection (PostgreSQL: the search path; SQLite: `main`).
    pub schema: Option<String>,
    /// Table.
    pub name: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// What a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Every session is read-only, enforced by the database.
    Read,
    /// Sessions may write.
    Write,
}

/// Who the database is, for telling two of them apart and for deciding what may be compared inside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Names the database itself: system identifier and database, or the file.
    pub database: String,
    /// `PostgreSQL 15` or `SQLite 3`.
    pub engine: String,
    /// Text encoding of the database.
    pub encoding: String,
}

/// A column as the catalog has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogColumn {
    /// Name, type, nullability.
    pub column: Column,
    /// The database's own spelling of the type, for casts: `character varying(20)`.
    pub sql_type: String,
    /// Whether the database fills it when it is not written: a default or an identity.
    pub has_default: bool,
    /// Whether it is computed from other columns and must not be written.
    pub generated: bool,
    /// Whether its values, or its elements, are texts of a fixed list (an `ENUM`).
    pub is_list: bool,
}

/// A table as the catalog has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    /// Its full name, the schema resolved.
    pub table: TableName,
    /// Its identity within the database (PostgreSQL: the OID), to notice that it was replaced.
    pub id: i64,
    /// Its columns in order.
    pub columns: Vec<CatalogColumn>,
    /// The primary key's columns in key order; empty without one.
    pub primary_key: Vec<String>,
    /// Columns of every unique key without a predicate, the primary key included.
    pub unique_keys: Vec<Vec<String>>,
    /// Columns of every other index over plain columns without a predicate: what queries of this table count on to be
    /// quick. Empty where the database is not asked for them.
    pub indexes: Vec<Vec<String>>,
    /// About how many rows it has; `None` when the database does not know.
    pub rows_estimate: Option<u64>,
    /// Its size on disk in bytes, indexes included; 0 when unknown.
    pub bytes: u64,
}

impl Catalog {
    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&CatalogColumn> {
        self.columns.iter().find(|c| c.column.name == name)
    }
}

/// Batches of rows in key order; a closed channel is the end, an `Err` the last item.
pub type RowStream = mpsc::Receiver<Result<Vec<Row<'static>>, StoreError>>;

/// A replication slot: how far its reader, the connector, has confirmed the primary's log.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// First word of the position up to which everything is confirmed.
    pub confirmed: u64,
    /// Whether somebody reads it now.
    pub active: bool,
    /// Bytes of the primary's log that are not confirmed.
    pub behind_bytes: u64,
    /// How long the newest confirmed position took, in seconds, where the role may know.
    pub seconds: Option<f64>,
}

/// A table being built beside the live one.
#[derive(Clone, Debug)]
pub struct Shadow {
    /// The run that builds it; part of every name that it creates.
    pub run: String,
    /// The live table.
    pub live: Catalog,
    /// The columns that are loaded, in the order of a loaded row; the others keep their default or are carried.
    pub columns: Vec<Column>,
    /// Which of `columns` are the key.
    pub key: Vec<usize>,
    /// Columns of the live table that nobody loads and that are carried over by key.
    pub carried: Vec<String>,
    /// Words of a rank that are stored.
    pub rank_words: usize,
    /// Whether it stands for itself, in a [`Staging`]: then `live` is only the shape of it, and no table.
    pub staged: bool,
}

/// The sources of query views, loaded into an area of their own.
#[derive(Clone, Debug)]
pub struct Staging {
    /// The run of the area.
    pub run: String,
    /// Whose it is: one name stages once at a time.
    pub name: String,
    /// The tables in it.
    pub shadows: Vec<Shadow>,
}

impl Staging {
    /// What its run is recorded under, in the place of a table.
    #[must_use]
    pub fn table(&self) -> TableName {
        TableName {
            schema: None,
            name: format!("staging of {}", self.name),
        }
    }
}

/// The acts. Those that write take a [`WritePermit`].
#[allow(async_fn_in_trait)] // Awaited on one task only, so no bound on the futures is needed.
pub trait Acts {
    /// Who the database is.
    async fn identity(&self) -> Result<Identity, StoreError>;
    /// The tables and views of the database, its own and trueup's left out, by name.
    async fn tables(&self) -> Result<Vec<TableName>, StoreError>;
    /// A table's columns and keys.
    async fn catalog(&self, table: &TableName) -> Result<Catalog, StoreError>;
    /// The name of the hash that [`Acts::digest`] would use for this scan, or `None` when it cannot hash it. Digests are
    /// comparable only when both stores give the same name.
    async fn digest_dialect(&self, scan: &Scan) -> Result<Option<String>, StoreError>;
    /// A table's name as the database's own SQL spells it, every part quoted.
    fn spelled(&self, table: &TableName) -> String;
    /// The type that the database means by this spelling.
    fn kind_of(&self, spelled: &str) -> ColumnType;
    /// How the database spells a type.
    fn spell_type(&self, kind: &ColumnType) -> String;
    /// A SELECT that gives a table's columns, of their types, and no row.
    fn hollow(&self, table: &Catalog) -> String;
    /// A SELECT that gives these rows as a table's columns, of their types; they have its cells in order.
    fn given(&self, table: &Catalog, rows: &[&Row<'static>]) -> Result<String, StoreError>;
    /// Those of these functions that may give another answer each time, as the database declares them.
    async fn volatile(&self, functions: &[String]) -> Result<Vec<String>, StoreError>;
    /// The columns that a query gives, without running it.
    async fn describe(&self, query: &str) -> Result<Vec<Described>, StoreError>;
    /// Count and mixed hash of a scan.
    async fn digest(&self, scan: &Scan) -> Result<Digest, StoreError>;
    /// The rows of a scan in key order, in one short read-only transaction of its own.
    async fn rows(&self, scan: Scan) -> Result<RowStream, StoreError>;
    /// The rows of a scan that have one of these keys, in key order.
    async fn lookup(
        &self,
        scan: &Scan,
        keys: &[Key<'static>],
    ) -> Result<Vec<Row<'static>>, StoreError>;
    /// Keys that cut the scan into about `parts` equal parts, ascending; fewer when it has fewer rows.
    async fn split(&self, scan: &Scan, parts: usize) -> Result<Vec<Key<'static>>, StoreError>;
    /// The position in the database's own log that everything visible now lies before; `None` where it has none.
    async fn write_position(&self) -> Result<Option<u64>, StoreError>;
    /// The replication slot of that name; `None` where there is none.
    async fn slot(&self, name: &str) -> Result<Option<Slot>, StoreError>;
    /// Who follows the database, and how far; nobody where it has no replicas.
    async fn replication(&self) -> Result<Replication, StoreError>;
    /// The statements of this store that have not ended, and who is in their way; none where the database does not tell.
    async fn waiting(&self) -> Result<Vec<Waiting>, StoreError>;
    /// Puts a message into the database's own log, if it has one and the role may; whether it did. Whoever reads that log
    /// then confirms this position even where nothing is written. It is no write: no table, no transaction number.
    async fn emit(&self, message: &str) -> Result<bool, StoreError>;
    /// The first column and row of a query of the playbook, as text rows (checkpoint queries).
    async fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, StoreError>;

    /// What the recorded runs are, oldest first; none when trueup never wrote here.
    async fn runs(&self) -> Result<Vec<RunRecord>, StoreError>;
    /// The repairs of a run in the order in which they were written.
    async fn journal(&self, run: &str) -> Result<Vec<Entry>, StoreError>;
    /// Repairs of this table whose run died before the primary was read again.
    async fn unconfirmed(&self, table: &TableName) -> Result<Vec<Entry>, StoreError>;
    /// Whether the table is published to a replication slot of its database, as a primary's tables are.
    async fn is_captured(&self, table: &Catalog) -> Result<bool, StoreError>;
    /// Triggers, foreign keys and rules that a write into the table sets off.
    async fn effects(&self, table: &Catalog) -> Result<Vec<Effect>, StoreError>;

    /// Begins a run that writes into the live table: takes the table's run lock, brings trueup's own tables up to date,
    /// closes what dead runs left open, and records the run. Fails with `Busy` when another run on the table is alive.
    async fn start(&self, permit: &WritePermit, start: &Start) -> Result<(), StoreError>;
    /// Repairs rows, each fenced by its row before and journalled, all in one transaction; no two of them may have one key.
    /// Where one is blocked, each goes in a transaction of its own, so that it does not hold up the others. One outcome for
    /// each write, in their order.
    async fn repair(
        &self,
        permit: &WritePermit,
        target: &Target,
        writes: &[Write],
    ) -> Result<Vec<Outcome>, StoreError>;
    /// Notes in the journal what the primary said after these repairs: run and number.
    async fn confirm(
        &self,
        permit: &WritePermit,
        entries: &[(String, i64)],
        confirmation: Confirmation,
    ) -> Result<(), StoreError>;
    /// Ends a run that [`Acts::start`] began, and gives its lock up.
    async fn finish(
        &self,
        permit: &WritePermit,
        run: &str,
        state: RunState,
    ) -> Result<(), StoreError>;

    /// What hangs on the table and would not survive a swap; also whether the role may swap it at all.
    async fn obstacles(&self, table: &Catalog) -> Result<Vec<Obstacle>, StoreError>;
    /// The bulk form of this store.
    fn encoder(&self, shadow: &Shadow) -> Box<dyn Encoder>;
    /// Creates trueup's own tables where they are missing, removes what dead runs on this table left behind, records
    /// the run and creates its shadow. Fails with `Busy` when another run on the table is alive.
    async fn begin(&self, permit: &WritePermit, shadow: &Shadow) -> Result<(), StoreError>;
    /// Takes up a run that died, with everything that it built: its lock is taken as by [`Acts::begin`], and it is underway
    /// again. `false`, with nothing changed, when it is not there any more, or is not bound to the same. `name` is what it
    /// is recorded under: a table, or a staging area.
    async fn take_up(
        &self,
        permit: &WritePermit,
        name: &TableName,
        run: &str,
        binding: &str,
    ) -> Result<bool, StoreError>;
    /// Notes in a run's record what it is bound to, and where it stands.
    async fn stands(&self, permit: &WritePermit, run: &str, note: &Note) -> Result<(), StoreError>;
    /// The runs that were begun to build something in place of this table or area and did not end, oldest first: dead, or
    /// underway.
    async fn unfinished(&self, name: &TableName) -> Result<Vec<Unfinished>, StoreError>;
    /// Removes what a dead run has built for this table or area. Fails with `Busy` when a run on it is alive.
    async fn abandon(
        &self,
        permit: &WritePermit,
        name: &TableName,
        run: &str,
    ) -> Result<(), StoreError>;
    /// Notes that a run is about to pause the projector, or that the projector was resumed after it.
    async fn pause(&self, permit: &WritePermit, run: &str, paused: bool) -> Result<(), StoreError>;
    /// Runs that paused the projector and died before it was resumed.
    async fn pauses(&self) -> Result<Vec<Unfinished>, StoreError>;
    /// How far the table of a run holds the log; nothing of a run that there is not.
    async fn held(&self, run: &str) -> Result<Held, StoreError>;
    /// What the loads of a run remember, by table.
    async fn memos(&self, run: &str) -> Result<Vec<Memo>, StoreError>;
    /// The records that runs have set aside, in their order in the log.
    async fn quarantined(&self) -> Result<Vec<Kept>, StoreError>;
    /// Notes what became of the open records that a run set aside for a table, or of one of them.
    async fn release(
        &self,
        permit: &WritePermit,
        of: (&str, &str),
        one: Option<Position<'_>>,
        standing: Standing,
    ) -> Result<(), StoreError>;
    /// Appends a batch and where the load then stands in one transaction.
    async fn append(
        &self,
        permit: &WritePermit,
        shadow: &Shadow,
        batch: Batch,
        mark: &Mark,
    ) -> Result<(), StoreError>;
    /// Settles the keys that may occur more than once: each is handed over in order of arrival and replaced by what
    /// comes back, a row or a tombstone, which stay for later rounds. Atomic: after a failure it can be run again.
    async fn settle(
        &self,
        permit: &WritePermit,
        shadow: &Shadow,
        by: &mut dyn Settle,
    ) -> Result<(), StoreError>;
    /// Writes these rows into the shadow, replacing rows and tombstones of the same keys; `None` leaves a tombstone of that
    /// version. `memo` is remembered as that of [`Settle::memo`] is. One transaction.
    async fn replace(
        &self,
        permit: &WritePermit,
        shadow: &Shadow,
        rows: &[(Key<'static>, Option<Row<'static>>, Version)],
        memo: &str,
    ) -> Result<(), StoreError>;
    /// What the shadow holds between a settle and the seal: rows, then tombstones, each in key order as [`Acts::rows`] has
    /// it, in one short read-only transaction. Fails while later changes wait.
    async fn state(&self, shadow: &Shadow) -> Result<StateStream, StoreError>;
    /// Builds keys, indexes and whatever else hangs on the live table, with the live table's names.
    async fn build(&self, permit: &WritePermit, shadow: &Shadow) -> Result<(), StoreError>;
    /// A scan of the shadow instead of the live table.
    fn shadow_table(&self, shadow: &Shadow) -> TableName;
    /// Makes the shadow ready for the swap: foreign columns carried over as they are now, statistics gathered. It can still be
    /// loaded after that.
    async fn seal(&self, permit: &WritePermit, shadow: &Shadow) -> Result<(), StoreError>;
    /// Sessions whose snapshot is older than the load: they would see an empty table after a swap.
    async fn old_snapshots(&self, shadow: &Shadow) -> Result<Vec<Blocker>, StoreError>;
    /// Puts the shadows in their live tables' places, all in one transaction with their runs' own rows. Tries a ladder of
    /// lock timeouts, and asks the fence under the locks; `Busy` names who blocks, or writes. After an error nothing has changed, or the runs' rows say that it has. One
    /// answer for each, in their order.
    async fn swap(
        &self,
        permit: &WritePermit,
        shadows: &[Shadow],
        fence: &Fence<'_>,
    ) -> Result<Vec<Swapped>, StoreError>;
    /// Puts the old tables that runs have kept (`reverts` of each) back in their places, by the same swap; the runs that do it
    /// are those that [`Acts::start`] began. The rows are as they were: who wants newer ones writes them into the tables before.
    async fn swap_back(
        &self,
        permit: &WritePermit,
        starts: &[Start],
        fence: &Fence<'_>,
    ) -> Result<Vec<Swapped>, StoreError>;
    /// The old tables that swaps have left, oldest first.
    async fn old_tables(&self) -> Result<Vec<OldTable>, StoreError>;
    /// Drops the old table of a run, and notes that in its record; nothing that depends on the table goes with it. Gives the
    /// bytes freed, `None` when the run keeps no old table. `Busy` when somebody reads it, or a run on the live table is alive.
    async fn drop_old(&self, permit: &WritePermit, run: &str) -> Result<Option<u64>, StoreError>;
    /// Ends the run without a swap: `Kept` leaves the sealed shadow, `Discarded` removes all of it.
    async fn end(
        &self,
        permit: &WritePermit,
        shadow: &Shadow,
        state: RunState,
    ) -> Result<(), StoreError>;

    /// Makes a staging area with its tables, after removing what a dead run of the same name left. Fails with `Busy` when
    /// another one is alive. Its tables are loaded, settled and built as shadows are, and neither sealed nor swapped.
    async fn stage(&self, permit: &WritePermit, staging: &Staging) -> Result<(), StoreError>;
    /// Shows staged tables as exactly their own columns, for a query to read; what they are called, in their order. `exact`
    /// makes tables with a key of them, where a query needs more than views.
    async fn expose(
        &self,
        permit: &WritePermit,
        shadows: &[Shadow],
        exact: bool,
    ) -> Result<Vec<TableName>, StoreError>;
    /// Removes a staging area.
    async fn unstage(&self, permit: &WritePermit, run: &str) -> Result<(), StoreError>;
    /// Empties a shadow, and forgets where its load stood.
    async fn clear(&self, permit: &WritePermit, shadow: &Shadow) -> Result<(), StoreError>;
    /// Fills an empty shadow with what a query gives, by the names of its columns.
    async fn fill(
        &self,
        permit: &WritePermit,
        shadow: &Shadow,
        query: &str,
    ) -> Result<(), StoreError>;
}
