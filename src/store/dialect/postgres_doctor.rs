//! Questions to PostgreSQL about what may go wrong; each fits into a FROM clause and gives text.

use super::postgres::string;
use crate::store::Catalog;

/// How a table is published: replica identity, whether it has a primary key, bytes that are stored out of line.
#[must_use]
pub fn replica_identity(table: &Catalog) -> String {
    format!(
        "SELECT c.relreplident::text, EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)::text, \
         coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0)::text FROM pg_class c WHERE c.oid = {}",
        table.id
    )
}

/// The publications that have a table, or a table that it is a partition of: name, and which operations they leave out.
#[must_use]
pub fn publications(table: &Catalog) -> String {
    format!(
        "SELECT p.pubname::text, concat_ws(', ', CASE WHEN NOT p.pubinsert THEN 'insert' END, CASE WHEN NOT p.pubupdate THEN 'update' END, \
         CASE WHEN NOT p.pubdelete THEN 'delete' END, CASE WHEN NOT p.pubtruncate THEN 'truncate' END) \
         FROM pg_publication p WHERE p.puballtables OR EXISTS (SELECT FROM pg_publication_tables t JOIN pg_class c ON c.oid = {} \
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE t.pubname = p.pubname AND t.schemaname = n.nspname AND t.tablename = c.relname) \
         ORDER BY 1",
        table.id
    )
}

/// What becomes of a replication slot: plugin, whether it is read, `wal_status`, bytes behind, `max_slot_wal_keep_size`.
#[must_use]
pub fn slot(name: &str) -> String {
    format!(
        "SELECT s.plugin::text, s.active::text, coalesce(s.wal_status, ''), \
         coalesce(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, \
         s.confirmed_flush_lsn), 0)::text, \
         current_setting('max_slot_wal_keep_size') FROM pg_replication_slots s WHERE s.slot_name = {}",
        string(name)
    )
}

/// Seconds since 1970 by the server's clock.
pub const CLOCK: &str = "SELECT extract(epoch FROM clock_timestamp())::text";

/// The columns that a table is partitioned by, each a row; an expression is a row without a name.
#[must_use]
pub fn partitioned_by(table: &Catalog) -> String {
    format!(
        "SELECT a.attname::text FROM pg_partitioned_table t CROSS JOIN LATERAL unnest(t.partattrs) AS k (number) \
         LEFT JOIN pg_attribute a ON a.attrelid = t.partrelid AND a.attnum = k.number AND k.number > 0 WHERE t.partrelid = {}",
        table.id
    )
}

/// Whether tables may be distributed over nodes, as Citus does.
pub const IS_DISTRIBUTED: &str = "SELECT (to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL OR to_regclass('pg_dist_partition') IS NOT NULL)::text";

/// The column that Citus distributes a table by; no row for one that is not distributed, or everywhere.
#[must_use]
pub fn distributed_by(table: &Catalog) -> String {
    format!(
        "SELECT column_to_column_name(logicalrelid, partkey)::text FROM pg_dist_partition WHERE logicalrelid::oid = {} AND partkey IS NOT NULL",
        table.id
    )
}

/// The triggers of a table that are not switched off.
#[must_use]
pub fn triggers(table: &Catalog) -> String {
    format!(
        "SELECT tgname::text FROM pg_trigger WHERE tgrelid = {} AND NOT tgisinternal AND tgenabled <> 'D' ORDER BY 1",
        table.id
    )
}

/// Unique indexes of a table that say nothing of their columns to a catalog: partial ones and those over expressions.
#[must_use]
pub fn odd_unique_indexes(table: &Catalog) -> String {
    format!(
        "SELECT pg_get_indexdef(i.indexrelid)::text FROM pg_index i WHERE i.indrelid = {} AND i.indisunique \
         AND (i.indpred IS NOT NULL OR i.indexprs IS NOT NULL) ORDER BY 1",
        table.id
    )
}
