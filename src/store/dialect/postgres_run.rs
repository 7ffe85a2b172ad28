//! trueup's own tables, and the statements about runs.

use super::postgres::{quoted, string, table};
use super::postgres_load::old_schema;
use crate::store::{RunState, Start, TableName};

/// What brings trueup's own tables from one version to the next; the first makes them.
pub const MIGRATIONS: [&str; 3] = [
    "CREATE TABLE trueup.meta (version integer NOT NULL); INSERT INTO trueup.meta VALUES (0); \
     CREATE TABLE trueup.run (id text PRIMARY KEY, kind text NOT NULL, table_schema text NOT NULL, table_name text NOT NULL, \
     table_id bigint NOT NULL, state text NOT NULL, started_at timestamptz NOT NULL DEFAULT clock_timestamp(), ended_at timestamptz, \
     heartbeat_at timestamptz, built boolean NOT NULL DEFAULT FALSE, old_table text); \
     CREATE TABLE trueup.position (run text NOT NULL, topic text NOT NULL, partition integer NOT NULL, next_offset bigint NOT NULL, \
     PRIMARY KEY (run, topic, partition))",
    "ALTER TABLE trueup.run ADD COLUMN reverts text; \
     CREATE TABLE trueup.journal (run text NOT NULL REFERENCES trueup.run, number bigint NOT NULL, kind text NOT NULL, key json NOT NULL, \
     before json, after json, confirmation text NOT NULL, written_at timestamptz NOT NULL DEFAULT clock_timestamp(), undone_by text, \
     PRIMARY KEY (run, number)); \
     CREATE INDEX journal_unconfirmed ON trueup.journal (run) WHERE confirmation = 'unconfirmed'",
    "ALTER TABLE trueup.run ADD COLUMN old_dropped_at timestamptz",
];

/// Version of trueup's own tables that this program writes.
pub const OWN_VERSION: usize = MIGRATIONS.len();

/// The first version that has a journal.
pub const JOURNAL_VERSION: usize = 2;

/// The first version that knows which old tables are gone.
const OLD_DROPPED_VERSION: usize = 3;

/// Only one session at a time may make trueup's own tables: two first runs on two tables would both try.
pub const OWN_TABLES_LOCK: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended('trueup own tables', 7))";

/// The version of trueup's own tables, or NULL where there are none.
pub const OWN_VERSION_FOUND: &str = "SELECT to_regclass('trueup.meta') IS NOT NULL";

/// That version, where the table is there.
pub const OWN_VERSION_READ: &str = "SELECT max(version) FROM trueup.meta";

/// The schema, and every migration after `version`.
#[must_use]
pub fn migrate(version: usize) -> String {
    let mut sql = "CREATE SCHEMA IF NOT EXISTS trueup".to_owned();
    for migration in MIGRATIONS.iter().skip(version) {
        sql.push_str("; ");
        sql.push_str(migration);
    }
    sql.push_str(&format!("; UPDATE trueup.meta SET version = {OWN_VERSION}"));
    sql
}

/// The number of a table's advisory lock. It is of the name, since a swap changes the OID.
#[must_use]
pub fn lock_number(name: &TableName) -> String {
    format!(
        "hashtextextended({}, 7)",
        string(&format!("trueup {}", table(name)))
    )
}

/// Runs that another session may have left as running: id and kind.
#[must_use]
pub fn running(live: &TableName) -> String {
    format!(
        "SELECT id, kind FROM trueup.run AS r WHERE state = 'running' AND {}",
        of_table(live)
    )
}

/// Runs whose swap is done, but whose empty schema is still there.
#[must_use]
pub fn emptied(live: &TableName) -> String {
    format!(
        "SELECT id FROM trueup.run AS r WHERE state = 'swapped' AND to_regnamespace(quote_ident('trueup_' || id)) IS NOT NULL AND {}",
        of_table(live)
    )
}

/// The condition for runs `r` on a table.
pub(super) fn of_table(live: &TableName) -> String {
    let schema = live.schema.as_deref().unwrap_or_default();
    format!(
        "r.table_schema = {} AND r.table_name = {}",
        string(schema),
        string(&live.name)
    )
}

/// Marks a run as ended; changes one row, when it was running.
#[must_use]
pub fn ended(run: &str, state: RunState) -> String {
    format!(
        "UPDATE trueup.run SET state = {}, ended_at = clock_timestamp() WHERE id = {} AND state = 'running'",
        string(state.word()),
        string(run)
    )
}

/// Records a run.
#[must_use]
pub fn record(start: &Start) -> String {
    format!(
        "INSERT INTO trueup.run (id, kind, table_schema, table_name, table_id, state, heartbeat_at, reverts) \
         VALUES ({}, '{}', {}, {}, {}, 'running', clock_timestamp(), {})",
        string(&start.run),
        start.kind.word(),
        string(start.table.schema.as_deref().unwrap_or_default()),
        string(&start.table.name),
        start.table_id,
        start.reverts.as_deref().map_or("NULL".to_owned(), string),
    )
}

/// Every run, oldest first, with what its journal counts. Before there was a journal, all counts are 0.
#[must_use]
pub fn runs(version: usize) -> String {
    let (reverts, counts, journal) = if version < JOURNAL_VERSION {
        (
            "NULL::text",
            "0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint",
            "",
        )
    } else {
        (
            "r.reverts",
            "j.inserted, j.updated, j.deleted, j.unconfirmed, j.undone",
            " CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE kind = 'insert'), count(*) FILTER (WHERE kind = 'update'), \
             count(*) FILTER (WHERE kind = 'delete'), count(*) FILTER (WHERE confirmation = 'unconfirmed'), count(undone_by) \
             FROM trueup.journal WHERE run = r.id) AS j (inserted, updated, deleted, unconfirmed, undone)",
        )
    };
    let dropped = if version < OLD_DROPPED_VERSION {
        "NULL::text"
    } else {
        "r.old_dropped_at::text"
    };
    format!(
        "SELECT r.id, r.kind, r.state, nullif(r.table_schema, ''), r.table_name, \
         r.started_at::text, r.ended_at::text, {reverts}, {counts}, r.old_table, {dropped} FROM trueup.run AS r{journal} ORDER BY r.started_at, r.id"
    )
}

/// Old tables that swapped runs have kept, oldest first: run, schema and name of the live table, seconds since the swap, bytes.
#[must_use]
pub fn old_tables(version: usize) -> String {
    let kept = if version < OLD_DROPPED_VERSION {
        ""
    } else {
        " AND r.old_dropped_at IS NULL"
    };
    format!(
        "SELECT r.id, r.table_schema, r.table_name, extract(epoch FROM clock_timestamp() - r.ended_at)::bigint, \
         coalesce(pg_total_relation_size({OLD_ID}), 0)::bigint FROM trueup.run AS r \
         WHERE r.state = 'swapped' AND r.old_table IS NOT NULL{kept} ORDER BY r.ended_at, r.id"
    )
}

const OLD_ID: &str =
    "to_regclass(quote_ident('trueup_old_' || r.id) || '.' || quote_ident(r.table_name))";

/// The size of a run's old table, and the run's row held until the end of the transaction; no row when it has none any more.
#[must_use]
pub fn hold_old(run: &str) -> String {
    format!(
        "SELECT coalesce(pg_total_relation_size({OLD_ID}), 0)::bigint, r.table_schema, r.table_name FROM trueup.run AS r \
         WHERE r.id = {} AND r.state = 'swapped' AND r.old_table IS NOT NULL AND r.old_dropped_at IS NULL FOR UPDATE",
        string(run)
    )
}

/// Drops a run's old table and nothing else, and says so in the run's row.
#[must_use]
pub fn drop_old(run: &str, name: &str) -> String {
    let schema = quoted(&old_schema(run));
    format!(
        "DROP TABLE IF EXISTS {schema}.{} RESTRICT; DROP SCHEMA IF EXISTS {schema} RESTRICT; \
         UPDATE trueup.run SET old_dropped_at = clock_timestamp() WHERE id = {}",
        quoted(name),
        string(run)
    )
}
