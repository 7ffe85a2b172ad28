//! The statements of the swap.

use super::postgres::{quoted, string, table};
use super::postgres_load::{old_schema, shadow_table};
use crate::store::{Shadow, TableName};

/// The session's own process.
pub const PID: &str = "SELECT pg_backend_pid()";

/// Gives the run's lock up.
pub const UNLOCK: &str = "SELECT pg_advisory_unlock_all()";

/// A table that takes another one's place.
#[derive(Clone, Debug)]
pub struct Taking {
    /// The run that does it.
    pub run: String,
    /// The place: the live table's name.
    pub place: TableName,
    /// The live table's OID.
    pub id: i64,
    /// What the table is called that takes it.
    pub from: TableName,
    /// The run whose old table that is; `None` for a shadow.
    pub reverts: Option<String>,
}

impl Taking {
    /// A shadow takes its live table's place.
    #[must_use]
    pub fn of(shadow: &Shadow) -> Taking {
        Taking {
            run: shadow.run.clone(),
            place: shadow.live.table.clone(),
            id: shadow.live.id,
            from: shadow_table(shadow),
            reverts: None,
        }
    }

    /// The schema that the live table goes to.
    #[must_use]
    pub fn kept(&self) -> String {
        old_schema(&self.run)
    }

    /// What the live table is called there.
    #[must_use]
    pub fn old(&self) -> TableName {
        TableName {
            schema: Some(self.kept()),
            name: self.place.name.clone(),
        }
    }
}

/// Before the first try: where the old table goes.
#[must_use]
pub fn prepare(taking: &Taking) -> String {
    format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(&taking.kept()))
}

/// How long this try may wait for a lock, in milliseconds, and never idle with one.
#[must_use]
pub fn limits(lock_ms: u64) -> String {
    format!(
        "SET LOCAL lock_timeout = '{lock_ms}ms'; SET LOCAL statement_timeout = '60s'; \
         SET LOCAL idle_in_transaction_session_timeout = '10s'"
    )
}

/// The tables that come first: they have no readers, so that waiting for them holds nobody up. Then the live tables, in an
/// order that does not depend on who asks.
#[must_use]
pub fn lock(takings: &[Taking]) -> String {
    let mut live: Vec<String> = takings.iter().map(|t| table(&t.place)).collect();
    live.sort();
    let coming = takings.iter().map(|t| table(&t.from));
    let each = |name: String| format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE");
    coming.chain(live).map(each).collect::<Vec<_>>().join("; ")
}

/// Which table has this name now.
#[must_use]
pub fn id_of(name: &TableName) -> String {
    format!("SELECT to_regclass({})::oid::bigint", string(&table(name)))
}

/// The live table goes to the schema of old tables, the other one takes its place, the run's own row says so.
#[must_use]
pub fn exchange(taking: &Taking) -> String {
    let schema = taking.place.schema.as_deref().unwrap_or_default();
    format!(
        "ALTER TABLE {} SET SCHEMA {}; ALTER TABLE {} SET SCHEMA {}; \
         UPDATE trueup.run SET state = 'swapped', ended_at = clock_timestamp(), old_table = {} WHERE id = {} AND state = 'running'",
        table(&taking.place),
        quoted(&taking.kept()),
        table(&taking.from),
        quoted(schema),
        string(&table(&taking.old())),
        string(&taking.run)
    )
}

/// An old table that comes back is no longer kept by the run that it was taken from.
#[must_use]
pub fn no_longer_kept(run: &str) -> String {
    format!(
        "UPDATE trueup.run SET old_table = NULL WHERE id = {}",
        string(run)
    )
}

/// Drops a schema that a swap has emptied.
#[must_use]
pub fn drop_emptied(taking: &Taking) -> String {
    format!(
        "DROP SCHEMA IF EXISTS {} RESTRICT",
        quoted(taking.from.schema.as_deref().unwrap_or_default())
    )
}

/// Where a swapped run's old table is, when it still has it.
#[must_use]
pub fn kept_by(run: &str) -> String {
    format!(
        "SELECT table_schema, table_name FROM trueup.run WHERE id = {} AND state = 'swapped' AND old_table IS NOT NULL AND old_dropped_at IS NULL",
        string(run)
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
        let mut taking = Taking::of(&shadow());
        insta::assert_snapshot!(lock(std::slice::from_ref(&taking)), @r#"LOCK TABLE "trueup_r1"."accounts" IN ACCESS EXCLUSIVE MODE; LOCK TABLE "read"."accounts" IN ACCESS EXCLUSIVE MODE"#);
        insta::assert_snapshot!(exchange(&taking).replace("; ", ";\n"), @r#"
ALTER TABLE "read"."accounts" SET SCHEMA "trueup_old_r1";
ALTER TABLE "trueup_r1"."accounts" SET SCHEMA "read";
UPDATE trueup.run SET state = 'swapped', ended_at = clock_timestamp(), old_table = '"trueup_old_r1"."accounts"' WHERE id = 'r1' AND state = 'running'
"#);
        taking = Taking {
            from: taking.old(),
            reverts: Some("r1".to_owned()),
            run: "r2".to_owned(),
            ..taking
        };
        insta::assert_snapshot!(exchange(&taking).replace("; ", ";\n"), @r#"
ALTER TABLE "read"."accounts" SET SCHEMA "trueup_old_r2";
ALTER TABLE "trueup_old_r1"."accounts" SET SCHEMA "read";
UPDATE trueup.run SET state = 'swapped', ended_at = clock_timestamp(), old_table = '"trueup_old_r2"."accounts"' WHERE id = 'r2' AND state = 'running'
"#);
    }
}
