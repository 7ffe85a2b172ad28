//! The statements of the swap.

use super::postgres::{quoted, string, table};
use super::postgres_load::{old_schema, relaxed, shadow_table, trailing_names};
use crate::store::{Shadow, TableName};

/// The session's own process.
pub const PID: &str = "SELECT pg_backend_pid()";

/// Gives the run's lock up.
pub const UNLOCK: &str = "SELECT pg_advisory_unlock_all()";

/// Before the first try: where the old table goes.
#[must_use]
pub fn prepare(shadow: &Shadow) -> String {
    format!(
        "CREATE SCHEMA IF NOT EXISTS {}",
        quoted(&old_schema(&shadow.run))
    )
}

/// How long this try may wait for a lock, in milliseconds, and never idle with one.
#[must_use]
pub fn limits(lock_ms: u64) -> String {
    format!(
        "SET LOCAL lock_timeout = '{lock_ms}ms'; SET LOCAL statement_timeout = '60s'; \
         SET LOCAL idle_in_transaction_session_timeout = '10s'"
    )
}

/// The shadows first: they have no readers, so that waiting for them holds nobody up. Then the live tables, in an order that
/// does not depend on who asks.
#[must_use]
pub fn lock(shadows: &[Shadow]) -> String {
    let mut live: Vec<String> = shadows.iter().map(|s| table(&s.live.table)).collect();
    live.sort();
    let built = shadows.iter().map(|s| table(&shadow_table(s)));
    let each = |name: String| format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE");
    built.chain(live).map(each).collect::<Vec<_>>().join("; ")
}

/// Which table has the live table's name now.
#[must_use]
pub fn live_id(shadow: &Shadow) -> String {
    format!(
        "SELECT to_regclass({})::oid::bigint",
        string(&table(&shadow.live.table))
    )
}

/// Columns and constraints that the live table and the shadow do not share; NULL when there are none. What the swap itself
/// takes off the shadow, and makes strict again, is left out.
#[must_use]
pub fn differences(shadow: &Shadow) -> String {
    let trailing: Vec<String> = trailing_names().map(string).collect();
    let mut relaxed: Vec<String> = relaxed(shadow).map(string).collect();
    relaxed.push("NULL".to_owned());
    let (trailing, relaxed) = (trailing.join(", "), relaxed.join(", "));
    let side = |name: &TableName| {
        format!(
            "SELECT 'column ' || a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull OR coalesce(a.attname IN ({relaxed}), FALSE), a.attcollation, a.attgenerated, pg_get_expr(d.adbin, d.adrelid) \
             FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
             WHERE a.attrelid = {0}::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attname NOT IN ({trailing}) \
             UNION ALL SELECT 'constraint ' || conname, pg_get_constraintdef(oid), convalidated, 0, '', NULL FROM pg_constraint \
             WHERE conrelid = {0}::regclass AND contype <> 'n' \
             UNION ALL SELECT 'index ' || x.relname, regexp_replace(pg_get_indexdef(x.oid), ' ON [^(]* USING ', ' USING '), i.indisvalid, 0, '', NULL \
             FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = {0}::regclass",
            string(&table(name))
        )
    };
    let (live, built) = (side(&shadow.live.table), side(&shadow_table(shadow)));
    format!(
        "SELECT string_agg(DISTINCT what, ', ') FROM ((({live}) EXCEPT ({built})) UNION ALL (({built}) EXCEPT ({live}))) \
         AS d (what, spelled, strict, collated, made, filled)"
    )
}

/// The live table goes to the schema of old tables, the shadow takes its place, the run's own row says so.
#[must_use]
pub fn exchange(shadow: &Shadow) -> String {
    let live = &shadow.live.table;
    let schema = live.schema.as_deref().unwrap_or_default();
    let old = old_schema(&shadow.run);
    let kept = TableName {
        schema: Some(old.clone()),
        name: live.name.clone(),
    };
    format!(
        "ALTER TABLE {} SET SCHEMA {}; ALTER TABLE {} SET SCHEMA {}; \
         UPDATE trueup.run SET state = 'swapped', ended_at = clock_timestamp(), old_table = {} WHERE id = {} AND state = 'running'",
        table(live),
        quoted(&old),
        table(&shadow_table(shadow)),
        quoted(schema),
        string(&table(&kept)),
        string(&shadow.run)
    )
}

/// Whether a process is still at work.
#[must_use]
pub fn alive(pid: i32) -> String {
    format!("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid})")
}

/// How a run stands.
#[must_use]
pub fn state(run: &str) -> String {
    format!("SELECT state FROM trueup.run WHERE id = {}", string(run))
}

#[cfg(test)]
mod tests {
    use super::super::postgres_load::tests::shadow;
    use super::*;

    #[test]
    fn the_exchange() {
        insta::assert_snapshot!(lock(&[shadow()]), @r#"LOCK TABLE "trueup_r1"."accounts" IN ACCESS EXCLUSIVE MODE; LOCK TABLE "read"."accounts" IN ACCESS EXCLUSIVE MODE"#);
        insta::assert_snapshot!(exchange(&shadow()).replace("; ", ";\n"), @r#"
ALTER TABLE "read"."accounts" SET SCHEMA "trueup_old_r1";
ALTER TABLE "trueup_r1"."accounts" SET SCHEMA "read";
UPDATE trueup.run SET state = 'swapped', ended_at = clock_timestamp(), old_table = '"trueup_old_r1"."accounts"' WHERE id = 'r1' AND state = 'running'
"#);
    }
}
