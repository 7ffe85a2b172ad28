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

/// Name, base type (domains resolved), spelled type, nullable, has default, generated.
#[must_use]
pub fn columns(oid: i64) -> String {
    format!(
        "WITH RECURSIVE chain AS (\
         SELECT a.attnum, a.atttypid AS type, a.atttypmod AS mod, FALSE AS filled, FALSE AS known FROM pg_attribute a \
         WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped UNION ALL \
         SELECT c.attnum, t.typbasetype, t.typtypmod, c.filled OR t.typdefault IS NOT NULL, c.known OR t.typnotnull \
         FROM chain c JOIN pg_type t ON t.oid = c.type WHERE t.typtype = 'd') \
         SELECT a.attname::text, format_type(c.type, c.mod), format_type(a.atttypid, a.atttypmod), \
         NOT (a.attnotnull OR c.known), (a.atthasdef AND a.attgenerated = '') OR a.attidentity <> '' OR c.filled, a.attgenerated <> '' \
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

/// What hangs on a table and is neither carried over nor known to be harmless, as (what, name).
///
/// Carried: columns, defaults, checks, NOT NULL, primary, unique and exclusion keys, indexes, owner, grants, comments,
/// storage parameters. The question about `pg_depend` has no list of kinds: what it does not know is an obstacle.
#[must_use]
pub fn obstacles(oid: i64, version: i32) -> String {
    let mut parts = vec![
        kinds(oid),
        constraints(oid),
        columns_obstacles(oid),
        attachments(oid),
        dependents(oid),
        rights(oid),
    ];
    if version >= 150_000 {
        parts.push(format!(
            "SELECT 'publication', p.pubname::text FROM pg_publication_namespace s JOIN pg_publication p ON p.oid = s.pnpubid \
             JOIN pg_class c ON c.relnamespace = s.pnnspid WHERE c.oid = {oid}"
        ));
    }
    format!(
        "SELECT DISTINCT what, name FROM ({}) AS o (what, name) ORDER BY 1, 2",
        parts.join(" UNION ALL ")
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

fn kinds(oid: i64) -> String {
    format!(
        "SELECT v.what, v.name FROM pg_class c JOIN pg_am m ON m.oid = c.relam OR c.relam = 0 AND m.amname = 'heap' \
         LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace CROSS JOIN LATERAL (VALUES \
         (c.relkind <> 'r', CASE c.relkind WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' \
         ELSE 'relation kind' END, c.oid::regclass::text), \
         (c.relispartition, 'partition', c.oid::regclass::text), \
         (c.relpersistence <> 'p', CASE c.relpersistence WHEN 'u' THEN 'unlogged table' ELSE 'temporary table' END, c.oid::regclass::text), \
         (c.relkind = 'r' AND m.amname <> 'heap', 'access method', m.amname::text), \
         (c.reltablespace <> 0, 'tablespace', s.spcname::text), \
         (c.reloftype <> 0, 'typed table', c.reloftype::regtype::text), \
         (c.relkind IN ('r', 'p') AND c.relreplident <> 'd', 'replica identity', CASE c.relreplident WHEN 'f' THEN 'full' WHEN 'n' THEN 'nothing' ELSE 'index' END), \
         (c.relrowsecurity OR c.relforcerowsecurity, 'row security', c.oid::regclass::text)) AS v (there, what, name) \
         WHERE c.oid = {oid} AND v.there"
    )
}

fn constraints(oid: i64) -> String {
    format!(
        "SELECT 'foreign key', conname || ' of ' || conrelid::regclass || ' to ' || confrelid::regclass FROM pg_constraint \
         WHERE contype = 'f' AND (conrelid = {oid} OR confrelid = {oid}) AND conparentid = 0 \
         UNION ALL SELECT 'constraint not validated', conname::text FROM pg_constraint WHERE conrelid = {oid} AND NOT convalidated AND contype <> 'f' \
         UNION ALL SELECT CASE WHEN NOT i.indisvalid THEN 'invalid index' WHEN i.indisclustered THEN 'cluster mark' ELSE 'index tablespace' END, x.relname::text \
         FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = {oid} AND (NOT i.indisvalid OR i.indisclustered OR x.reltablespace <> 0) \
         UNION ALL SELECT CASE WHEN inhrelid = {oid} THEN 'parent table' ELSE 'child table' END, \
         CASE WHEN inhrelid = {oid} THEN inhparent ELSE inhrelid END::regclass::text FROM pg_inherits WHERE inhrelid = {oid} OR inhparent = {oid}"
    )
}

/// A statistics target of -1 became NULL in version 17.
fn columns_obstacles(oid: i64) -> String {
    format!(
        "SELECT v.what, a.attname::text FROM pg_attribute a CROSS JOIN LATERAL (VALUES \
         (a.attidentity <> '', 'identity column'), (coalesce(a.attstattarget, -1) <> -1, 'statistics target'), \
         (a.attoptions IS NOT NULL, 'column option'), (a.attname LIKE 'trueup\\_%', 'column name reserved for trueup')) AS v (there, what) \
         WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped AND v.there \
         UNION ALL SELECT 'statistics target', x.relname || ' ' || a.attname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid \
         JOIN pg_attribute a ON a.attrelid = x.oid WHERE i.indrelid = {oid} AND coalesce(a.attstattarget, -1) > 0"
    )
}

fn attachments(oid: i64) -> String {
    format!(
        "SELECT 'trigger', tgname::text FROM pg_trigger WHERE tgrelid = {oid} AND NOT tgisinternal \
         UNION ALL SELECT 'rule', rulename::text FROM pg_rewrite WHERE ev_class = {oid} AND rulename <> '_RETURN' \
         UNION ALL SELECT 'policy', polname::text FROM pg_policy WHERE polrelid = {oid} \
         UNION ALL SELECT 'publication', p.pubname::text FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = {oid} \
         UNION ALL SELECT 'publication', pubname || ' (all tables)' FROM pg_publication WHERE puballtables \
         UNION ALL SELECT 'subscription', s.subname::text FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid WHERE r.srrelid = {oid} \
         UNION ALL SELECT 'extended statistics', stxname::text FROM pg_statistic_ext WHERE stxrelid = {oid} \
         UNION ALL SELECT 'security label', provider FROM pg_seclabel WHERE classoid = 'pg_class'::regclass AND objoid = {oid} \
         UNION ALL SELECT 'extension', e.extname::text FROM pg_extension e WHERE {oid} = ANY (e.extconfig) OR EXISTS (SELECT FROM pg_depend d \
         WHERE d.classid = 'pg_class'::regclass AND d.objid = {oid} AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid)"
    )
}

/// Everything that depends on the table or on its row type, except what is carried or named by another part.
fn dependents(oid: i64) -> String {
    format!(
        "SELECT CASE WHEN k.relkind IN ('v', 'm') THEN CASE k.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END \
         WHEN s.relkind = 'S' THEN 'owned sequence' WHEN d.classid = 'pg_proc'::regclass THEN 'function' ELSE 'dependent object' END, \
         coalesce(k.oid::regclass::text, CASE WHEN s.relkind = 'S' THEN s.oid::regclass::text END, \
         CASE WHEN d.classid = 'pg_proc'::regclass THEN d.objid::regprocedure::text END, pg_describe_object(d.classid, d.objid, d.objsubid)) \
         FROM pg_class c JOIN pg_type y ON y.oid = c.reltype \
         JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid OR d.refclassid = 'pg_type'::regclass AND d.refobjid IN (y.oid, y.typarray) \
         LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid \
         LEFT JOIN pg_class k ON k.oid = w.ev_class \
         LEFT JOIN pg_class s ON d.classid = 'pg_class'::regclass AND s.oid = d.objid \
         LEFT JOIN pg_constraint n ON d.classid = 'pg_constraint'::regclass AND n.oid = d.objid \
         LEFT JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid \
         WHERE c.oid = {oid} \
         AND NOT coalesce(d.classid = 'pg_class'::regclass AND (d.objid = c.oid OR s.relkind IN ('i', 'I', 't')), FALSE) \
         AND NOT coalesce(n.conrelid = c.oid OR n.contype = 'f', FALSE) AND NOT coalesce(f.adrelid = c.oid, FALSE) \
         AND NOT (d.classid = 'pg_type'::regclass AND d.objid IN (y.oid, y.typarray)) AND NOT coalesce(w.ev_class = c.oid, FALSE) \
         AND d.classid NOT IN ('pg_trigger'::regclass, 'pg_policy'::regclass, 'pg_publication_rel'::regclass, 'pg_statistic_ext'::regclass) \
         AND NOT (s.relkind IN ('r', 'p') AND EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = s.oid AND h.inhparent = c.oid))"
    )
}

/// What the role would be refused during the swap. Members of the owner may do what the owner may.
fn rights(oid: i64) -> String {
    format!(
        "SELECT 'privilege', v.name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL (VALUES \
         (NOT pg_has_role(c.relowner, 'USAGE'), current_user || ' does not own ' || c.oid::regclass), \
         (NOT has_schema_privilege(n.oid, 'CREATE'), current_user || ' may not create in schema ' || n.nspname), \
         (NOT has_database_privilege(current_database(), 'CREATE'), current_user || ' may not create a schema in database ' || current_database())) \
         AS v (lacks, name) WHERE c.oid = {oid} AND v.lacks \
         UNION ALL SELECT 'privilege', current_user || ' is no member of ' || g.grantor::regrole || ', who granted on ' || {oid}::regclass \
         FROM ({}) AS g WHERE g.grantor <> (SELECT relowner FROM pg_class WHERE oid = {oid}) AND NOT pg_has_role(g.grantor, 'MEMBER')",
        grants_of(oid)
    )
}

fn grants_of(oid: i64) -> String {
    format!(
        "SELECT x.grantor FROM pg_class c CROSS JOIN aclexplode(c.relacl) x WHERE c.oid = {oid} \
         UNION ALL SELECT x.grantor FROM pg_attribute a CROSS JOIN aclexplode(a.attacl) x WHERE a.attrelid = {oid}"
    )
}

/// Sessions that hold or wait for a lock on a table, the oldest transaction first. Prepared transactions have no session.
#[must_use]
pub fn lock_holders(oid: i64) -> String {
    format!(
        "SELECT DISTINCT coalesce(l.pid, 0)::bigint, coalesce(a.usename::text, p.owner::text, '?'), \
         coalesce(nullif(a.application_name, ''), CASE WHEN p.gid IS NOT NULL THEN 'prepared transaction ' || p.gid END, a.backend_type, '?'), \
         coalesce(greatest(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared)), 0), 0)::bigint, coalesce(left(a.query, 200), '') \
         FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid LEFT JOIN pg_prepared_xacts p ON l.pid IS NULL AND EXISTS (SELECT FROM pg_locks t WHERE t.pid IS NULL \
         AND t.virtualtransaction = l.virtualtransaction AND t.transactionid = p.transaction) \
         WHERE l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND l.relation = {oid} AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid() ORDER BY 4 DESC LIMIT 20"
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
