//! SQLite: staging as SQL.

use super::sqlite::{Bind, names, quoted, table};
use super::sqlite_literal;
use super::sqlite_load::{gone_table, later_table, shadow_name, shadow_table, trailing};
use crate::store::{Catalog, Shadow, TableName};

/// Everything that a run has made and that is still there, views first: name and type. The name's beginning is bound.
pub const MADE_BY: &str = "SELECT name, type FROM main.sqlite_schema WHERE type IN ('table', 'view') \
     AND substr(name, 1, length(?1)) = ?1 ORDER BY type DESC, name";

/// With what the names of everything that a run makes begin.
#[must_use]
pub fn prefix(run: &str) -> String {
    format!("trueup_{run}_")
}

/// Removes one of them.
#[must_use]
pub fn drop(name: &str, kind: &str) -> String {
    let kind = if kind == "view" { "VIEW" } else { "TABLE" };
    format!("DROP {kind} IF EXISTS main.{}", quoted(name))
}

/// What a query reads in place of the source.
#[must_use]
pub fn exposed(shadow: &Shadow) -> TableName {
    let shadow = shadow_name(&shadow.run, &shadow.live.table);
    TableName {
        schema: None,
        name: format!("{}_trueup_rows", shadow.name),
    }
}

/// Shows a staged table as its source's columns alone.
#[must_use]
pub fn expose(shadow: &Shadow) -> [String; 2] {
    let to = table(&exposed(shadow));
    [
        format!("DROP VIEW IF EXISTS {to}"),
        format!(
            "CREATE VIEW {to} AS SELECT {} FROM {}",
            names("", shadow.columns.iter().map(|c| c.name.as_str())),
            shadow_table(shadow)
        ),
    ]
}

/// A SELECT that gives a table's columns and no row.
#[must_use]
pub fn hollow(of: &Catalog) -> String {
    let columns: Vec<String> = of
        .columns
        .iter()
        .map(|c| format!("NULL AS {}", quoted(&c.column.name)))
        .collect();
    format!("SELECT {} WHERE 0", columns.join(", "))
}

/// A SELECT that gives these rows as a table's columns.
#[must_use]
pub fn given(of: &Catalog, rows: &[Vec<Bind>]) -> String {
    let literal = |value: &Bind| sqlite_literal::write(value).unwrap_or_else(|| "NULL".to_owned());
    let row = |row: &Vec<Bind>| row.iter().map(literal).collect::<Vec<_>>().join(", ");
    super::above(hollow(of), rows.iter().map(row))
}

/// Empties a shadow.
#[must_use]
pub fn clear(shadow: &Shadow) -> [String; 3] {
    [
        shadow_table(shadow),
        later_table(shadow),
        gone_table(shadow),
    ]
    .map(|table| format!("DELETE FROM {table}"))
}

/// Fills a shadow with the rows of a query that gives its columns by name.
#[must_use]
pub fn fill(shadow: &Shadow, query: &str) -> String {
    let columns: Vec<&str> = shadow.columns.iter().map(|c| c.name.as_str()).collect();
    // No record brought it: it is of the oldest version that there is.
    format!(
        "INSERT INTO {} ({}) SELECT {}, 0, 0, x'00', NULL FROM ({query}\n) AS q",
        shadow_table(shadow),
        names("", columns.iter().copied().chain(trailing())),
        names("q.", columns.iter().copied())
    )
}
