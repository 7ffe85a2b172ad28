//! trueup's own tables, and the statements about runs.

use super::postgres::{quoted, string, table};
use super::postgres_load::old_schema;
use crate::store::{RunState, Start, TableName};

/// What brings trueup's own tables from one version to the next; the first makes them.
pub const MIGRATIONS: [&str; 5] = [
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
    "ALTER TABLE trueup.run ADD COLUMN binding text, ADD COLUMN stage text, ADD COLUMN lease integer NOT NULL DEFAULT 0, ADD COLUMN paused_at timestamptz; \
     CREATE TABLE trueup.load (run text NOT NULL REFERENCES trueup.run, table_name text NOT NULL, loaded text, settled text, \
     PRIMARY KEY (run, table_name))",
    "ALTER TABLE trueup.run ADD COLUMN old_dropped_at timestamptz",
    "CREATE TABLE trueup.quarantine (run text NOT NULL REFERENCES trueup.run, table_name text NOT NULL, topic text NOT NULL, \
     partition integer NOT NULL, record_offset bigint NOT NULL, key json NOT NULL, reason text NOT NULL, record json NOT NULL, \
     standing text NOT NULL DEFAULT 'open', kept_at timestamptz NOT NULL DEFAULT clock_timestamp(), \
     PRIMARY KEY (run, table_name, topic, partition, record_offset))",
];

/// Version of trueup's own tables that this program writes.
pub const OWN_VERSION: usize = MIGRATIONS.len();

/// The first version that has a journal.
pub const JOURNAL_VERSION: usize = 2;

/// The first version that knows which old tables are gone.
const OLD_DROPPED_VERSION: usize = 4;

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

/// The first version that has loads to go on with.
pub const LOAD_VERSION: usize = 3;

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

/// Ends a run that swapped nothing: what it made ready for an old table goes.
#[must_use]
pub fn closed(run: &str, state: RunState) -> String {
    format!(
        "DROP SCHEMA IF EXISTS {} RESTRICT; {}",
        quoted(&super::postgres_load::old_schema(run)),
        ended(run, state)
    )
}

/// Records a run. One of this id that was given up, because it had hardly begun, begins anew.
#[must_use]
pub fn record(start: &Start) -> String {
    format!(
        "INSERT INTO trueup.run (id, kind, table_schema, table_name, table_id, state, heartbeat_at, reverts) \
         VALUES ({}, '{}', {}, {}, {}, 'running', clock_timestamp(), {}) \
         ON CONFLICT (id) DO UPDATE SET table_id = EXCLUDED.table_id, state = 'running', started_at = clock_timestamp(), \
         ended_at = NULL, heartbeat_at = clock_timestamp(), built = FALSE WHERE run.state = 'discarded'",
        string(&start.run),
        start.kind.word(),
        string(start.table.schema.as_deref().unwrap_or_default()),
        string(&start.table.name),
        start.table_id,
        start.reverts.as_deref().map_or("NULL".to_owned(), string),
    )
}

/// Every run, oldest first, with what its journal counts. What a version did not have yet is 0 or NULL.
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
    let stage = if version < LOAD_VERSION {
        "NULL::text"
    } else {
        "r.stage"
    };
    let alive = alive();
    format!(
        "SELECT r.id, r.kind, r.state, nullif(r.table_schema, ''), r.table_name, \
         r.started_at::text, r.ended_at::text, {reverts}, {counts}, {stage}, r.state = 'running' AND {alive}, \
         (SELECT coalesce(sum(p.next_offset), 0) FROM trueup.position AS p WHERE p.run = r.id)::bigint, r.old_table, {dropped} \
         FROM trueup.run AS r{journal} ORDER BY r.started_at, r.id"
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

/// Who holds an advisory lock of this database; its number is to follow.
const HOLDERS: &str = "FROM pg_locks AS l WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted \
     AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
     AND (l.classid::bigint << 32) | l.objid::bigint =";

/// Whether run `r` has its table's lock: the lock's number is that of [`lock_number`].
fn alive() -> String {
    format!(
        "EXISTS (SELECT {HOLDERS} hashtextextended('trueup ' || CASE WHEN r.table_schema = '' THEN '' \
         ELSE '\"' || replace(r.table_schema, '\"', '\"\"') || '\".' END || '\"' || replace(r.table_name, '\"', '\"\"') || '\"', 7))"
    )
}

/// Runs that build something for this table or area and did not end: id, binding, stage, begin, alive.
#[must_use]
pub fn unfinished(name: &TableName) -> String {
    format!(
        "SELECT r.id, r.binding, r.stage, r.started_at::text, {} FROM trueup.run AS r \
         WHERE r.state = 'running' AND r.kind IN ('replay', 'staging') AND {} ORDER BY r.started_at, r.id",
        alive(),
        of_table(name)
    )
}

/// Runs that paused the projector and did not resume it, as [`unfinished`] has them.
#[must_use]
pub fn pauses() -> String {
    format!(
        "SELECT r.id, r.binding, r.stage, r.paused_at::text, {} FROM trueup.run AS r WHERE r.paused_at IS NOT NULL ORDER BY r.paused_at",
        alive()
    )
}

/// Notes that the projector is about to be paused, or was resumed.
#[must_use]
pub fn pause(run: &str, paused: bool) -> String {
    let at = if paused { "clock_timestamp()" } else { "NULL" };
    format!(
        "UPDATE trueup.run SET paused_at = {at} WHERE id = {}",
        string(run)
    )
}

/// Sessions of a role in this database, other than this one: process number and program.
#[must_use]
pub fn sessions_of(role: &str) -> String {
    format!(
        "SELECT pid, application_name FROM pg_stat_activity WHERE usename = {} AND datname = current_database() AND pid <> pg_backend_pid()",
        string(role)
    )
}

/// Makes a run of this name ours, where it is bound to the same; its lease, or no row.
#[must_use]
pub fn take_up(name: &TableName, run: &str, binding: &str) -> String {
    format!(
        "UPDATE trueup.run AS r SET lease = lease + 1, heartbeat_at = clock_timestamp() \
         WHERE id = {} AND binding = {} AND state = 'running' AND {} RETURNING lease",
        string(run),
        string(binding),
        of_table(name)
    )
}

/// Notes what a run is bound to and where it stands.
#[must_use]
pub fn note(run: &str, binding: Option<&str>, stage: &str) -> String {
    let binding = binding.map_or(String::new(), |b| format!("binding = {}, ", string(b)));
    format!(
        "UPDATE trueup.run SET {binding}stage = {}, heartbeat_at = clock_timestamp() WHERE id = {} AND state = 'running'",
        string(stage),
        string(run)
    )
}

/// A sign of life, which is refused to a run that another process has taken up: then it changes no row.
#[must_use]
pub fn beat(run: &str, lease: i32) -> String {
    format!(
        "UPDATE trueup.run SET heartbeat_at = clock_timestamp() WHERE id = {} AND lease = {lease} AND state = 'running'",
        string(run)
    )
}

/// How far a run has read: what it is bound to, topic, partition, next offset. Older versions bind to nothing.
#[must_use]
pub fn held(run: &str) -> String {
    format!(
        "SELECT to_jsonb(r)->>'binding', p.topic, p.partition, p.next_offset FROM trueup.run AS r \
         LEFT JOIN trueup.position AS p ON p.run = r.id WHERE r.id = {} ORDER BY 2, 3",
        string(run)
    )
}

/// What the loads of a run remember: table, and both memos.
#[must_use]
pub fn memos(run: &str) -> String {
    format!(
        "SELECT table_name, loaded, settled FROM trueup.load WHERE run = {}",
        string(run)
    )
}

/// Remembers something of a load.
#[must_use]
pub fn remember(run: &str, name: &str, column: &str, memo: &str) -> String {
    format!(
        "INSERT INTO trueup.load (run, table_name, {column}) VALUES ({}, {}, {}) \
         ON CONFLICT (run, table_name) DO UPDATE SET {column} = EXCLUDED.{column}",
        string(run),
        string(name),
        string(memo)
    )
}

/// Forgets what the load of one table remembers, or those of all.
#[must_use]
pub fn forget(run: &str, name: Option<&str>) -> String {
    let of = name.map_or(String::new(), |n| {
        format!(" AND table_name = {}", string(n))
    });
    format!("DELETE FROM trueup.load WHERE run = {}{of}", string(run))
}

/// The session that holds a table's lock though its run has given no sign of life for so long: its process number.
#[must_use]
pub fn gone_silent(name: &TableName, seconds: u64) -> String {
    format!(
        "SELECT l.pid {HOLDERS} {} AND (SELECT max(r.heartbeat_at) FROM trueup.run AS r WHERE r.state = 'running' AND {}) < clock_timestamp() - interval '{seconds} s'",
        lock_number(name),
        of_table(name)
    )
}

/// Ends a session of the same role.
#[must_use]
pub fn terminate(pid: i32) -> String {
    format!("SELECT pg_terminate_backend({pid})")
}
