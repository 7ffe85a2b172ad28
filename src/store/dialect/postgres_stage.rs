//! The statements of staging: sources loaded beside nothing, shown to a query as exactly their own columns.

use super::postgres::{list, quoted, string, table};
use super::postgres_load::{
    TRAILING, gone_columns, gone_table, key_names, later_columns, later_table, names,
    shadow_schema, shadow_table, trailing_names,
};
use crate::projection::cell::{Cell, Row};
use crate::projection::text;
use crate::store::{Catalog, CatalogColumn, Shadow, TableName};

/// The schema of a staging area.
#[must_use]
pub fn create_area(run: &str) -> String {
    format!("CREATE SCHEMA {}", quoted(&shadow_schema(run)))
}

/// Creates a staged table and the table of its later changes. It has nothing that its source's table has but columns of the
/// same types: what the source keeps right needs no keeping here.
#[must_use]
pub fn create(shadow: &Shadow) -> String {
    let name = table(&shadow_table(shadow));
    let mut columns: Vec<String> = shadow
        .columns
        .iter()
        .map(|c| format!("{} {}", quoted(&c.name), sql_type(shadow, &c.name)))
        .collect();
    columns.extend(TRAILING.iter().map(|(n, t)| format!("{n} {t}")));
    format!(
        "CREATE TABLE {name} ({}) WITH (autovacuum_enabled = false); CREATE TABLE {} ({}); \
         CREATE TABLE {} ({})",
        columns.join(", "),
        table(&later_table(shadow)),
        later_columns(shadow).join(", "),
        table(&gone_table(shadow)),
        gone_columns(shadow).join(", ")
    )
}

pub(super) fn sql_type<'a>(shadow: &'a Shadow, name: &str) -> &'a str {
    shadow
        .live
        .column(name)
        .map_or("text", |c| c.sql_type.as_str())
}

/// The key of a staged table, the indexes that queries of its source count on, and what the planner wants to know.
#[must_use]
pub fn build(shadow: &Shadow) -> String {
    let name = table(&shadow_table(shadow));
    format!(
        "CREATE UNIQUE INDEX IF NOT EXISTS {} ON {name} ({}); {}ANALYZE {name}",
        quoted(&suffixed(shadow, "_trueup_key")),
        list(key_names(shadow)),
        indexes(shadow, &name, "_trueup_index")
    )
}

pub(super) fn indexes(shadow: &Shadow, name: &str, suffix: &str) -> String {
    let create = |(nth, columns): (usize, &Vec<String>)| {
        format!(
            "CREATE INDEX IF NOT EXISTS {} ON {name} ({}); ",
            quoted(&suffixed(shadow, &format!("{suffix}_{nth}"))),
            list(columns.iter().map(String::as_str))
        )
    };
    shadow.live.indexes.iter().enumerate().map(create).collect()
}

/// What a query reads in place of the source.
#[must_use]
pub fn exposed(shadow: &Shadow) -> TableName {
    TableName {
        schema: Some(shadow_schema(&shadow.run)),
        name: suffixed(shadow, "_trueup_rows"),
    }
}

fn suffixed(shadow: &Shadow, suffix: &str) -> String {
    super::postgres_load::suffixed(&shadow.live.table.name, suffix)
}

/// Shows a staged table as its source's columns alone. `exact` copies it into a table with the source's key, for queries
/// that lean on one: `GROUP BY` of a key alone.
#[must_use]
pub fn expose(shadow: &Shadow, exact: bool) -> String {
    let (from, to) = (table(&shadow_table(shadow)), table(&exposed(shadow)));
    let columns = list(names(shadow));
    let drop = format!(
        "DO $$ BEGIN IF EXISTS (SELECT FROM pg_class WHERE oid = to_regclass({0}) AND relkind = 'v') THEN \
         DROP VIEW {to}; ELSE DROP TABLE IF EXISTS {to}; END IF; END $$",
        super::postgres::string(&to)
    );
    if exact {
        format!(
            "{drop}; CREATE TABLE {to} WITH (autovacuum_enabled = false) AS SELECT {columns} FROM {from}; \
             ALTER TABLE {to} ADD PRIMARY KEY ({}); {}ANALYZE {to}",
            list(key_names(shadow)),
            indexes(shadow, &to, "_trueup_lookup")
        )
    } else {
        format!("{drop}; CREATE VIEW {to} AS SELECT {columns} FROM {from}")
    }
}

/// A SELECT that gives a table's columns and no row.
#[must_use]
pub fn hollow(of: &Catalog) -> String {
    let columns: Vec<String> = of
        .columns
        .iter()
        .map(|c| format!("NULL::{} AS {}", c.sql_type, quoted(&c.column.name)))
        .collect();
    format!("SELECT {} WHERE FALSE", columns.join(", "))
}

/// A SELECT that gives these rows as a table's columns, of their types.
#[must_use]
pub fn given(of: &Catalog, rows: &[&Row<'static>]) -> String {
    let literal = |(column, cell): (&CatalogColumn, &Cell<'_>)| {
        let value = text::of(cell).map_or_else(|| "NULL".to_owned(), |t| string(&t));
        format!("{value}::{}", column.sql_type)
    };
    let row = |row: &&Row<'static>| {
        let cells = of.columns.iter().zip(row.iter());
        cells.map(literal).collect::<Vec<_>>().join(", ")
    };
    super::above(hollow(of), rows.iter().map(row))
}

/// Empties a shadow.
#[must_use]
pub fn clear(shadow: &Shadow) -> String {
    format!(
        "TRUNCATE {}, {}, {}",
        table(&shadow_table(shadow)),
        table(&later_table(shadow)),
        table(&gone_table(shadow))
    )
}

/// Fills a shadow with the rows of a query that gives its columns by name.
#[must_use]
pub fn fill(shadow: &Shadow, query: &str) -> String {
    let mut read: Vec<String> = names(shadow).map(|n| format!("q.{}", quoted(n))).collect();
    // No record brought it: it is of the oldest version that there is.
    read.extend(["0", "0", "'\\x00'", "NULL"].map(str::to_owned));
    format!(
        "INSERT INTO {} ({}) SELECT {} FROM ({query}\n) AS q",
        table(&shadow_table(shadow)),
        list(names(shadow).chain(trailing_names())),
        read.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::super::postgres_load::tests::shadow;
    use super::*;

    #[test]
    fn a_staged_table() {
        insta::assert_snapshot!(create(&shadow()), @r#"CREATE TABLE "trueup_r1"."accounts" ("id" bigint, "Name" character varying(5), trueup_partition integer, trueup_offset bigint, trueup_rank bytea, trueup_clock bigint) WITH (autovacuum_enabled = false); CREATE TABLE "trueup_r1"."accounts_trueup_later" ("id" bigint, "Name" text, trueup_partition integer, trueup_offset bigint, trueup_rank bytea, trueup_clock bigint, trueup_arrival bigint, trueup_gone boolean, trueup_holes integer[]); CREATE TABLE "trueup_r1"."accounts_trueup_gone" ("id" bigint, trueup_partition integer, trueup_offset bigint, trueup_rank bytea, trueup_clock bigint)"#);
        insta::assert_snapshot!(build(&shadow()), @r#"CREATE UNIQUE INDEX IF NOT EXISTS "accounts_trueup_key" ON "trueup_r1"."accounts" ("id"); ANALYZE "trueup_r1"."accounts""#);
        let mut looked_up = shadow();
        looked_up.live.indexes = vec![vec!["Name".to_owned(), "id".to_owned()]];
        insta::assert_snapshot!(build(&looked_up), @r#"CREATE UNIQUE INDEX IF NOT EXISTS "accounts_trueup_key" ON "trueup_r1"."accounts" ("id"); CREATE INDEX IF NOT EXISTS "accounts_trueup_index_0" ON "trueup_r1"."accounts" ("Name", "id"); ANALYZE "trueup_r1"."accounts""#);
        insta::assert_snapshot!(expose(&shadow(), false), @r#"DO $$ BEGIN IF EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('"trueup_r1"."accounts_trueup_rows"') AND relkind = 'v') THEN DROP VIEW "trueup_r1"."accounts_trueup_rows"; ELSE DROP TABLE IF EXISTS "trueup_r1"."accounts_trueup_rows"; END IF; END $$; CREATE VIEW "trueup_r1"."accounts_trueup_rows" AS SELECT "id", "Name" FROM "trueup_r1"."accounts""#);
        insta::assert_snapshot!(expose(&shadow(), true), @r#"DO $$ BEGIN IF EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('"trueup_r1"."accounts_trueup_rows"') AND relkind = 'v') THEN DROP VIEW "trueup_r1"."accounts_trueup_rows"; ELSE DROP TABLE IF EXISTS "trueup_r1"."accounts_trueup_rows"; END IF; END $$; CREATE TABLE "trueup_r1"."accounts_trueup_rows" WITH (autovacuum_enabled = false) AS SELECT "id", "Name" FROM "trueup_r1"."accounts"; ALTER TABLE "trueup_r1"."accounts_trueup_rows" ADD PRIMARY KEY ("id"); ANALYZE "trueup_r1"."accounts_trueup_rows""#);
        insta::assert_snapshot!(fill(&shadow(), "SELECT 1 AS id -- one"), @r#"
INSERT INTO "trueup_r1"."accounts" ("id", "Name", "trueup_partition", "trueup_offset", "trueup_rank", "trueup_clock") SELECT q."id", q."Name", 0, 0, '\x00', NULL FROM (SELECT 1 AS id -- one
) AS q
"#);
    }
}
