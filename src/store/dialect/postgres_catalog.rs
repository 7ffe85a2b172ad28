//! Questions to PostgreSQL's catalog.

use super::postgres::{string, table};
use crate::store::{Catalog, TableName};

/// Schema, name, OID, kind, estimate and size of a table; no row when there is none.
#[must_use]
pub fn relation(name: &TableName) -> String {
    format!(
        "SELECT n.nspname::text, c.relname::text, c.oid::bigint, c.relkind::text, \
         CASE WHEN c.reltuples >= 0 AND c.relkind <> 'v' THEN c.reltuples::bigint END, \
         coalesce((SELECT sum(pg_total_relation_size(p.relid)) FROM pg_partition_tree(c.oid) p), pg_total_relation_size(c.oid), 0)::bigint \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass({})",
        string(&table(name))
    )
}

/// Those of these functions of which every form is volatile.
#[must_use]
pub fn volatile(functions: &[String]) -> String {
    let names: Vec<String> = functions.iter().map(|f| string(f)).collect();
    format!(
        "SELECT f FROM unnest(ARRAY[{}]::text[]) AS f JOIN LATERAL (SELECT bool_and(p.provolatile = 'v') AS every FROM pg_proc p \
         JOIN pg_namespace n ON n.oid = p.pronamespace WHERE f IN (p.proname, n.nspname || '.' || p.proname)) AS p ON p.every ORDER BY f",
        names.join(", ")
    )
}

/// Names that a mistyped one may have meant.
pub const NAMES: &str = "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
     AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT LIKE 'trueup\\_%' ORDER BY 1, 2 LIMIT 5000";

/// Every table and view that is neither the server's nor trueup's, in a schema that the role may look into; a partition
/// is a part of its table.
pub const TABLES: &str = "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition AND has_schema_privilege(n.oid, 'USAGE') \
     AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%' \
     AND n.nspname <> 'trueup' AND n.nspname NOT LIKE 'trueup\\_%' ORDER BY 1, 2";

/// Name, base type (domains resolved), spelled type, nullable, has default, generated, of a fixed list of texts.
#[must_use]
pub fn columns(oid: i64) -> String {
    format!(
        "WITH RECURSIVE chain AS (\
         SELECT a.attnum, a.atttypid AS type, a.atttypmod AS mod, FALSE AS filled, FALSE AS known FROM pg_attribute a \
         WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped UNION ALL \
         SELECT c.attnum, t.typbasetype, t.typtypmod, c.filled OR t.typdefault IS NOT NULL, c.known OR t.typnotnull \
         FROM chain c JOIN pg_type t ON t.oid = c.type WHERE t.typtype = 'd') \
         SELECT a.attname::text, format_type(c.type, c.mod), format_type(a.atttypid, a.atttypmod), \
         NOT (a.attnotnull OR c.known), (a.atthasdef AND a.attgenerated = '') OR a.attidentity <> '' OR c.filled, a.attgenerated <> '', \
         t.typtype = 'e' OR EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid AND e.typtype = 'e') \
         FROM chain c JOIN pg_attribute a ON a.attrelid = {oid} AND a.attnum = c.attnum \
         JOIN pg_type t ON t.oid = c.type WHERE t.typtype <> 'd' ORDER BY a.attnum"
    )
}

/// Every B-tree index without a predicate or an expression, the primary key first: columns, primary, unique.
#[must_use]
pub fn indexes(oid: i64) -> String {
    format!(
        "SELECT array_agg(a.attname::text ORDER BY k.place), i.indisprimary, i.indisunique FROM pg_index i \
         JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam AND m.amname = 'btree' \
         CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place) \
         LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0 \
         WHERE i.indrelid = {oid} AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL \
         AND k.place <= i.indnkeyatts GROUP BY i.indexrelid, i.indisprimary, i.indisunique ORDER BY i.indisprimary DESC, i.indexrelid"
    )
}

/// System identifier, database, version number, encoding.
pub const IDENTITY: &str = "SELECT (SELECT system_identifier::text FROM pg_control_system()), current_database()::text, \
     current_setting('server_version_num')::int, current_setting('server_encoding')";

/// Where the database's own log ends; on a replica, how far it has been replayed.
pub const WRITE_POSITION: &str = "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() \
     ELSE pg_current_wal_insert_lsn() END - '0/0'::pg_lsn)::text";

/// A message in the write-ahead log. It needs no write grant and works in a read-only transaction.
#[must_use]
pub fn emit(message: &str) -> String {
    format!(
        "SELECT pg_logical_emit_message(FALSE, 'trueup', {})",
        string(message)
    )
}

/// A replication slot: confirmed position, whether it is read, bytes behind, seconds that its reader is behind.
#[must_use]
pub fn slot(name: &str) -> String {
    format!(
        "SELECT (coalesce(s.confirmed_flush_lsn, s.restart_lsn) - '0/0'::pg_lsn)::text, s.active, \
         greatest(w.now - coalesce(s.confirmed_flush_lsn, s.restart_lsn), 0)::text, extract(epoch FROM r.flush_lag)::float8 \
         FROM pg_replication_slots s CROSS JOIN (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() \
         ELSE pg_current_wal_insert_lsn() END) AS w (now) LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid \
         WHERE s.slot_name = {}",
        string(name)
    )
}

/// Whether a table is published while its database has a logical replication slot.
#[must_use]
pub fn captured(table: &Catalog) -> String {
    let schema = table.table.schema.as_deref().unwrap_or_default();
    format!(
        "SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_type = 'logical' AND database = current_database()) \
         AND EXISTS (SELECT FROM pg_publication_tables WHERE schemaname = {} AND tablename = {})",
        string(schema),
        string(&table.table.name)
    )
}

/// Sessions that hold a lock on one of these tables and views, the oldest transaction first. Prepared transactions have no
/// session.
#[must_use]
pub fn lock_holders(oids: &[i64]) -> String {
    let oids: Vec<String> = oids.iter().map(i64::to_string).collect();
    format!(
        "SELECT DISTINCT coalesce(l.pid, 0)::bigint, coalesce(a.usename::text, p.owner::text, '?'), \
         coalesce(nullif(a.application_name, ''), CASE WHEN p.gid IS NOT NULL THEN 'prepared transaction ' || p.gid END, a.backend_type, '?'), \
         coalesce(greatest(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared)), 0), 0)::bigint, coalesce(left(a.query, 200), '') \
         FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid LEFT JOIN pg_prepared_xacts p ON l.pid IS NULL AND EXISTS (SELECT FROM pg_locks t WHERE t.pid IS NULL \
         AND t.virtualtransaction = l.virtualtransaction AND t.transactionid = p.transaction) \
         WHERE l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND l.relation IN ({}) AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid() ORDER BY 4 DESC LIMIT 20",
        oids.join(", ")
    )
}

/// The names of types, in this order of their OIDs.
#[must_use]
pub fn type_names(oids: &[String]) -> String {
    format!(
        "SELECT format_type(oid, NULL) FROM unnest('{{{}}}'::oid[]) WITH ORDINALITY AS t (oid, place) ORDER BY place",
        oids.join(",")
    )
}

/// The next transaction number and the time, both of now: whoever takes a snapshot later sees all that is committed.
pub const BOUNDARY: &str = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint, extract(epoch FROM clock_timestamp())::text";

/// Sessions whose snapshot may be older than a boundary, prepared transactions that hold the table, and standbys whose
/// feedback is older. A snapshot is never older than its transaction; when that began is hidden from a plain role, which
/// then sees a blocker too many for as long as the snapshot is alive, never one too few.
#[must_use]
pub fn old_snapshots(oid: i64, next: i64, at: &str) -> String {
    let boundary = format!("'{}'::xid", next.rem_euclid(1 << 32));
    format!(
        "SELECT a.pid::bigint, coalesce(a.usename::text, '?'), coalesce(nullif(a.application_name, ''), a.backend_type, '?'), \
         coalesce(greatest(extract(epoch FROM clock_timestamp() - a.xact_start), 0), 0)::bigint, coalesce(left(a.query, 200), '') FROM pg_stat_activity a \
         WHERE a.pid <> pg_backend_pid() AND (a.datname = current_database() OR a.backend_type = 'walsender') \
         AND coalesce(a.backend_type, '') <> 'autovacuum worker' AND age(a.backend_xmin) > age({boundary}) \
         AND (a.xact_start IS NULL OR extract(epoch FROM a.xact_start) <= {at}) \
         UNION ALL SELECT 0, p.owner::text, 'prepared transaction ' || p.gid, greatest(extract(epoch FROM clock_timestamp() - p.prepared), 0)::bigint, '' \
         FROM pg_prepared_xacts p WHERE EXISTS (SELECT FROM {PREPARED_LOCKS} WHERE t.transactionid = p.transaction AND l.relation = {oid}) \
         UNION ALL SELECT coalesce(active_pid, 0), 'replication', 'slot ' || slot_name, 0, '' FROM pg_replication_slots WHERE age(xmin) > age({boundary}) \
         ORDER BY 4 DESC"
    )
}

/// A prepared transaction's locks have no process: its own number leads to them.
const PREPARED_LOCKS: &str = "pg_locks t JOIN pg_locks l ON l.pid IS NULL AND t.pid IS NULL \
     AND l.virtualtransaction = t.virtualtransaction AND t.locktype = 'transactionid'";
