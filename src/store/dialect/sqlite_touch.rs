//! SQLite: what changed in staged sources, as SQL.

use super::sqlite::{names, quoted, table};
use super::sqlite_load::{key_columns, later_table, shadow_name, shadow_table};
use crate::store::touch::Touched;
use crate::store::{Shadow, TableName};

fn beside(shadow: &Shadow, suffix: &str) -> TableName {
    let shadow = shadow_name(&shadow.run, &shadow.live.table);
    TableName {
        schema: None,
        name: format!("{}{suffix}", shadow.name),
    }
}

fn noted(shadow: &Shadow) -> String {
    table(&beside(shadow, "_trueup_noted"))
}

fn before(shadow: &Shadow) -> String {
    table(&beside(shadow, "_trueup_before"))
}

fn changed(shadow: &Shadow) -> String {
    table(&touched(shadow).changed)
}

/// What a query reads.
#[must_use]
pub fn touched(shadow: &Shadow) -> Touched {
    Touched {
        changed: beside(shadow, "_trueup_changed"),
        both: beside(shadow, "_trueup_both"),
    }
}

fn key(shadow: &Shadow) -> String {
    names("", key_columns(shadow))
}

fn columns(shadow: &Shadow) -> String {
    names("", shadow.columns.iter().map(|c| c.name.as_str()))
}

/// Makes the tables beside a staged source: their columns hold values as its own do.
#[must_use]
pub fn watch(shadow: &Shadow) -> [String; 5] {
    let (key, columns, source) = (key(shadow), columns(shadow), shadow_table(shadow));
    let (noted, before) = (noted(shadow), before(shadow));
    let index = table(&beside(shadow, "_trueup_was"));
    let on = quoted(&beside(shadow, "_trueup_before").name);
    let hollow = |name: &str, columns: &str| {
        format!("CREATE TABLE IF NOT EXISTS {name} AS SELECT {columns} FROM {source} WHERE 0")
    };
    [
        hollow(&noted, &key),
        hollow(&before, &columns),
        format!("CREATE INDEX IF NOT EXISTS {index} ON {on} ({key})"),
        hollow(&changed(shadow), &columns),
        format!(
            "CREATE VIEW IF NOT EXISTS {} AS SELECT {columns} FROM {source} UNION ALL SELECT {columns} FROM {before}",
            table(&touched(shadow).both)
        ),
    ]
}

/// Notes the keys with later changes and the rows that they have.
#[must_use]
pub fn note(shadow: &Shadow) -> [String; 2] {
    let (key, columns) = (key(shadow), columns(shadow));
    let later = later_table(shadow);
    [
        format!(
            "INSERT INTO {} SELECT DISTINCT {key} FROM {later}",
            noted(shadow)
        ),
        format!(
            "INSERT INTO {} SELECT {columns} FROM {} WHERE ({key}) IN (SELECT {key} FROM {later})",
            before(shadow),
            shadow_table(shadow)
        ),
    ]
}

/// Shows the changed rows as they were and as they are.
#[must_use]
pub fn gather(shadow: &Shadow) -> [String; 2] {
    let (key, columns, changed) = (key(shadow), columns(shadow), changed(shadow));
    [
        format!("DELETE FROM {changed}"),
        format!(
            "INSERT INTO {changed} SELECT {columns} FROM {} UNION ALL \
             SELECT {columns} FROM {} WHERE ({key}) IN (SELECT {key} FROM {})",
            before(shadow),
            shadow_table(shadow),
            noted(shadow)
        ),
    ]
}

/// How many changed rows are shown.
#[must_use]
pub fn count(shadow: &Shadow) -> String {
    format!("SELECT count(*) FROM {}", changed(shadow))
}

/// Forgets what was noted.
#[must_use]
pub fn forget(shadow: &Shadow) -> [String; 3] {
    [noted(shadow), before(shadow), changed(shadow)].map(|table| format!("DELETE FROM {table}"))
}
