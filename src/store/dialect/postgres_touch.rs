//! What changed in staged sources, as SQL: keys and rows noted before they are settled, shown beside what became of them.

use std::collections::BTreeSet;

use super::postgres::{list, quoted, string, table};
use super::postgres_load::{key_names, later_table, names, shadow_schema, shadow_table, suffixed};
use super::postgres_settle::analyze_later;
use super::postgres_stage::{exposed, fill, indexes, sql_type};
use crate::projection::cell::Cell;
use crate::projection::change::Key;
use crate::projection::text;
use crate::store::touch::Touched;
use crate::store::{Shadow, TableName};

fn beside(shadow: &Shadow, suffix: &str) -> TableName {
    TableName {
        schema: Some(shadow_schema(&shadow.run)),
        name: suffixed(&shadow.live.table.name, suffix),
    }
}

/// The keys that have changed, some of them more than once.
fn noted(shadow: &Shadow) -> TableName {
    beside(shadow, "_trueup_noted")
}

/// Their rows as they were before each settlement.
fn before(shadow: &Shadow) -> TableName {
    beside(shadow, "_trueup_before")
}

/// What a query reads.
#[must_use]
pub fn touched(shadow: &Shadow) -> Touched {
    Touched {
        changed: beside(shadow, "_trueup_changed"),
        both: beside(shadow, "_trueup_both"),
    }
}

/// Makes the tables beside a staged source. Rows before are looked up as those of the source are.
#[must_use]
pub fn watch(shadow: &Shadow) -> String {
    let Touched { changed, both } = touched(shadow);
    let (noted, before) = (table(&noted(shadow)), table(&before(shadow)));
    let typed = |name: &str| format!("{} {}", quoted(name), sql_type(shadow, name));
    let key: Vec<String> = key_names(shadow).map(typed).collect();
    let columns: Vec<String> = names(shadow).map(typed).collect();
    let all = list(names(shadow));
    let kept = "WITH (autovacuum_enabled = false)";
    format!(
        "CREATE TABLE IF NOT EXISTS {noted} ({}) {kept}; CREATE TABLE IF NOT EXISTS {before} ({columns}) {kept}; \
         CREATE INDEX IF NOT EXISTS {} ON {before} ({}); {}CREATE TABLE IF NOT EXISTS {} ({columns}) {kept}; \
         CREATE OR REPLACE VIEW {} AS SELECT {all} FROM {} UNION ALL SELECT {all} FROM {before}",
        key.join(", "),
        quoted(&suffixed(&shadow.live.table.name, "_trueup_was")),
        list(key_names(shadow)),
        indexes(shadow, &before, "_trueup_was"),
        table(&changed),
        table(&both),
        table(&shadow_table(shadow)),
        columns = columns.join(", "),
    )
}

/// Notes the keys with later changes and the rows that they have.
#[must_use]
pub fn note(shadow: &Shadow) -> [String; 3] {
    let keys = distinct_keys(shadow, &later_table(shadow));
    [
        // A table just filled has no statistics, and a wrong plan here is a nested loop over the shadow.
        analyze_later(shadow),
        format!(
            "INSERT INTO {} ({}) {keys}",
            table(&noted(shadow)),
            list(key_names(shadow))
        ),
        format!(
            "INSERT INTO {} ({}) {}",
            table(&before(shadow)),
            list(names(shadow)),
            rows_of(shadow, &keys)
        ),
    ]
}

fn distinct_keys(shadow: &Shadow, from: &TableName) -> String {
    format!(
        "SELECT DISTINCT {} FROM {}",
        list(key_names(shadow)),
        table(from)
    )
}

/// The rows of a staged source that have one of these keys.
fn rows_of(shadow: &Shadow, keys: &str) -> String {
    let columns: Vec<String> = names(shadow).map(|n| format!("s.{}", quoted(n))).collect();
    format!(
        "SELECT {} FROM {} AS s JOIN ({keys}) AS k ON {}",
        columns.join(", "),
        table(&shadow_table(shadow)),
        same_key(shadow)
    )
}

fn same_key(shadow: &Shadow) -> String {
    let same: Vec<String> = key_names(shadow)
        .map(|k| format!("s.{0} = k.{0}", quoted(k)))
        .collect();
    same.join(" AND ")
}

/// Shows the changed rows as they were and as they are, with what the planner wants to know.
#[must_use]
pub fn gather(shadow: &Shadow) -> Vec<String> {
    let changed = table(&touched(shadow).changed);
    let (noted, before) = (noted(shadow), table(&before(shadow)));
    let all = list(names(shadow));
    let now = rows_of(shadow, &distinct_keys(shadow, &noted));
    vec![
        format!("ANALYZE {}", table(&noted)),
        format!("TRUNCATE {changed}"),
        format!("INSERT INTO {changed} ({all}) SELECT {all} FROM {before} UNION ALL {now}"),
        format!("ANALYZE {changed}"),
        format!("ANALYZE {before}"),
    ]
}

/// How many changed rows are shown.
#[must_use]
pub fn count(shadow: &Shadow) -> String {
    format!("SELECT count(*) FROM {}", table(&touched(shadow).changed))
}

/// Brings the copy that is exposed up to date.
#[must_use]
pub fn renew(shadow: &Shadow) -> [String; 2] {
    let exposed = table(&exposed(shadow));
    let keys = distinct_keys(shadow, &noted(shadow));
    [
        format!(
            "DELETE FROM {exposed} AS s USING ({keys}) AS k WHERE {}",
            same_key(shadow)
        ),
        format!(
            "INSERT INTO {exposed} ({}) {}",
            list(names(shadow)),
            rows_of(shadow, &keys)
        ),
    ]
}

/// A query for some keys: by arrays, one for each column of the key, which the planner takes into what groups by it. Rows of
/// other pairings come with them.
#[must_use]
pub fn narrowed(query: &str, key: &[&str], keys: &[Key<'static>]) -> String {
    format!(
        "SELECT q.* FROM ({query}\n) AS q WHERE {}",
        among("q", key, keys)
    )
}

/// Exchanges a shadow's rows of some keys, and of other pairings of their parts, for those that the query gives.
#[must_use]
pub fn exchange(shadow: &Shadow, query: &str, keys: &[Key<'static>]) -> [String; 2] {
    let key: Vec<&str> = key_names(shadow).collect();
    [
        format!(
            "DELETE FROM {} AS s WHERE {}",
            table(&shadow_table(shadow)),
            among("s", &key, keys)
        ),
        fill(shadow, &narrowed(query, &key, keys)),
    ]
}

/// Whether each part of a row's key is one of those parts of these keys.
fn among(alias: &str, key: &[&str], keys: &[Key<'static>]) -> String {
    let among = |(place, name): (usize, &&str)| {
        let cells: BTreeSet<&Cell<'static>> = keys.iter().map(|k| &k.0[place]).collect();
        let array = Cell::Array(cells.into_iter().cloned().collect());
        let array = text::of(&array).unwrap_or_default();
        // Of the column's own type, whatever that is.
        format!("{alias}.{} = ANY ({})", quoted(name), string(&array))
    };
    let among: Vec<String> = key.iter().enumerate().map(among).collect();
    among.join(" AND ")
}

/// Forgets what was noted.
#[must_use]
pub fn forget(shadow: &Shadow) -> String {
    format!(
        "TRUNCATE {}, {}, {}",
        table(&noted(shadow)),
        table(&before(shadow)),
        table(&touched(shadow).changed)
    )
}

#[cfg(test)]
mod tests {
    use super::super::postgres_load::tests::shadow;
    use super::*;

    #[test]
    fn changed_rows() {
        insta::assert_snapshot!(watch(&shadow()), @r#"CREATE TABLE IF NOT EXISTS "trueup_r1"."accounts_trueup_noted" ("id" bigint) WITH (autovacuum_enabled = false); CREATE TABLE IF NOT EXISTS "trueup_r1"."accounts_trueup_before" ("id" bigint, "Name" character varying(5)) WITH (autovacuum_enabled = false); CREATE INDEX IF NOT EXISTS "accounts_trueup_was" ON "trueup_r1"."accounts_trueup_before" ("id"); CREATE TABLE IF NOT EXISTS "trueup_r1"."accounts_trueup_changed" ("id" bigint, "Name" character varying(5)) WITH (autovacuum_enabled = false); CREATE OR REPLACE VIEW "trueup_r1"."accounts_trueup_both" AS SELECT "id", "Name" FROM "trueup_r1"."accounts" UNION ALL SELECT "id", "Name" FROM "trueup_r1"."accounts_trueup_before""#);
        insta::assert_snapshot!(note(&shadow()).join(";\n"), @r#"
ANALYZE "trueup_r1"."accounts_trueup_later";
INSERT INTO "trueup_r1"."accounts_trueup_noted" ("id") SELECT DISTINCT "id" FROM "trueup_r1"."accounts_trueup_later";
INSERT INTO "trueup_r1"."accounts_trueup_before" ("id", "Name") SELECT s."id", s."Name" FROM "trueup_r1"."accounts" AS s JOIN (SELECT DISTINCT "id" FROM "trueup_r1"."accounts_trueup_later") AS k ON s."id" = k."id"
"#);
        insta::assert_snapshot!(gather(&shadow()).join(";\n"), @r#"
ANALYZE "trueup_r1"."accounts_trueup_noted";
TRUNCATE "trueup_r1"."accounts_trueup_changed";
INSERT INTO "trueup_r1"."accounts_trueup_changed" ("id", "Name") SELECT "id", "Name" FROM "trueup_r1"."accounts_trueup_before" UNION ALL SELECT s."id", s."Name" FROM "trueup_r1"."accounts" AS s JOIN (SELECT DISTINCT "id" FROM "trueup_r1"."accounts_trueup_noted") AS k ON s."id" = k."id";
ANALYZE "trueup_r1"."accounts_trueup_changed";
ANALYZE "trueup_r1"."accounts_trueup_before"
"#);
        insta::assert_snapshot!(renew(&shadow()).join(";\n"), @r#"
DELETE FROM "trueup_r1"."accounts_trueup_rows" AS s USING (SELECT DISTINCT "id" FROM "trueup_r1"."accounts_trueup_noted") AS k WHERE s."id" = k."id";
INSERT INTO "trueup_r1"."accounts_trueup_rows" ("id", "Name") SELECT s."id", s."Name" FROM "trueup_r1"."accounts" AS s JOIN (SELECT DISTINCT "id" FROM "trueup_r1"."accounts_trueup_noted") AS k ON s."id" = k."id"
"#);
        insta::assert_snapshot!(forget(&shadow()), @r#"TRUNCATE "trueup_r1"."accounts_trueup_noted", "trueup_r1"."accounts_trueup_before", "trueup_r1"."accounts_trueup_changed""#);
        let one = [Key(vec![Cell::Int(2)])];
        insta::assert_snapshot!(exchange(&shadow(), "SELECT 1 -- one", &one).join(";\n"), @r#"
DELETE FROM "trueup_r1"."accounts" AS s WHERE s."id" = ANY ('{2}');
INSERT INTO "trueup_r1"."accounts" ("id", "Name", "trueup_partition", "trueup_offset", "trueup_rank", "trueup_clock") SELECT q."id", q."Name", 0, 0, '\x00', NULL FROM (SELECT q.* FROM (SELECT 1 -- one
) AS q WHERE q."id" = ANY ('{2}')
) AS q
"#);
        let keys = [
            Key(vec![Cell::Int(2), Cell::Text("a'b".into())]),
            Key(vec![Cell::Int(1), Cell::Text("c,d".into())]),
        ];
        insta::assert_snapshot!(narrowed("SELECT 1 -- one", &["id", "Name"], &keys), @r#"
SELECT q.* FROM (SELECT 1 -- one
) AS q WHERE q."id" = ANY ('{1,2}') AND q."Name" = ANY ('{a''b,"c,d"}')
"#);
    }
}
