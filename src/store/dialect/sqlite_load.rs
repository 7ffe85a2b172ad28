//! SQLite: the shadow as SQL.

use crate::store::{Shadow, TableName};

use super::sqlite::{brackets, names, quoted, table};

/// The columns behind those of a row, in the shadow and in the table of later changes.
const TRAILING: [(&str, &str); 4] = [
    ("trueup_partition", "INTEGER"),
    ("trueup_offset", "INTEGER"),
    ("trueup_rank", "BLOB"),
    ("trueup_clock", "INTEGER"),
];

/// The columns that only the table of later changes has.
const LATER: [(&str, &str); 3] = [
    ("trueup_arrival", "INTEGER"),
    ("trueup_gone", "INTEGER"),
    ("trueup_holes", "TEXT"),
];

/// Their names.
pub(super) fn trailing<'a>() -> impl Iterator<Item = &'a str> + Clone {
    TRAILING.into_iter().map(|t| t.0)
}

/// How many columns trail a row of the shadow.
pub const TRAILING_COUNT: usize = TRAILING.len();

/// How many columns trail a row of the table of later changes.
pub const LATER_COUNT: usize = TRAILING.len() + LATER.len();

/// The shadow's name.
#[must_use]
pub fn shadow_name(run: &str, live: &TableName) -> TableName {
    TableName {
        schema: None,
        name: format!("trueup_{run}_{}", live.name),
    }
}

/// The name of the table of later changes.
#[must_use]
pub fn later_name(run: &str, live: &TableName) -> TableName {
    let shadow = shadow_name(run, live);
    TableName {
        schema: None,
        name: format!("{}_trueup_later", shadow.name),
    }
}

/// The name of the table of tombstones.
#[must_use]
pub fn gone_name(run: &str, live: &TableName) -> TableName {
    let shadow = shadow_name(run, live);
    TableName {
        schema: None,
        name: format!("{}_trueup_gone", shadow.name),
    }
}

/// The name of the shadow's key index.
#[must_use]
pub fn key_index(shadow: &Shadow) -> String {
    let name = shadow_name(&shadow.run, &shadow.live.table).name;
    format!("main.{}", quoted(&format!("{name}_trueup_key")))
}

fn later_index(shadow: &Shadow) -> String {
    let name = shadow_name(&shadow.run, &shadow.live.table).name;
    format!("main.{}", quoted(&format!("{name}_trueup_order")))
}

/// The shadow, quoted.
#[must_use]
pub fn shadow_table(shadow: &Shadow) -> String {
    table(&shadow_name(&shadow.run, &shadow.live.table))
}

/// The table of later changes, quoted.
#[must_use]
pub fn later_table(shadow: &Shadow) -> String {
    table(&later_name(&shadow.run, &shadow.live.table))
}

/// The table of tombstones, quoted.
#[must_use]
pub fn gone_table(shadow: &Shadow) -> String {
    table(&gone_name(&shadow.run, &shadow.live.table))
}

/// The key's columns.
pub fn key_columns(shadow: &Shadow) -> impl Iterator<Item = &str> + Clone {
    shadow
        .key
        .iter()
        .map(|at| shadow.columns[*at].name.as_str())
}

fn columns(shadow: &Shadow) -> impl Iterator<Item = &str> + Clone {
    shadow.columns.iter().map(|c| c.name.as_str())
}

/// Creates the shadow and the tables of later changes and of tombstones: the live table's declared types, so that values
/// are kept the same way, and nothing else of it.
#[must_use]
pub fn create(shadow: &Shadow, strict: bool) -> [String; 3] {
    let typed = |(name, kind): (&str, &str)| format!("{} {}", quoted(name), kind);
    let declared = |name: &str| {
        let declared = shadow.live.column(name).map_or("", |c| &c.sql_type);
        typed((name, plain_type(declared))).trim_end().to_owned()
    };
    let mut loaded: Vec<String> = columns(shadow).map(declared).collect();
    let mut key: Vec<String> = key_columns(shadow).map(declared).collect();
    let kept = if strict { " STRICT" } else { "" };
    loaded.extend(TRAILING.map(typed));
    let first = format!(
        "CREATE TABLE {} ({}){kept}",
        shadow_table(shadow),
        loaded.join(", ")
    );
    loaded.extend(LATER.map(typed));
    let later = format!(
        "CREATE TABLE {} ({}){kept}",
        later_table(shadow),
        loaded.join(", ")
    );
    key.extend(TRAILING.map(typed));
    let gone = format!(
        "CREATE TABLE {} ({}){kept}",
        gone_table(shadow),
        key.join(", ")
    );
    [first, later, gone]
}

/// A declared type as it can be written again; an exotic one is replaced by a plain one of the same affinity.
fn plain_type(declared: &str) -> &str {
    let plain = declared
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_ (),[]".contains(c));
    let balanced = declared.matches('(').count() == declared.matches(')').count();
    let begins = declared.starts_with(|c: char| c.is_ascii_alphabetic());
    if declared.is_empty() || (plain && balanced && begins) {
        return declared;
    }
    let upper = declared.to_ascii_uppercase();
    if upper.contains("INT") {
        "INTEGER"
    } else if ["CHAR", "CLOB", "TEXT"].iter().any(|t| upper.contains(t)) {
        "TEXT"
    } else if upper.contains("BLOB") {
        "BLOB"
    } else if ["REAL", "FLOA", "DOUB"].iter().any(|t| upper.contains(t)) {
        "REAL"
    } else {
        "NUMERIC"
    }
}

/// Inserts `rows` rows into the shadow.
#[must_use]
pub fn insert(shadow: &Shadow, rows: usize) -> String {
    let all = columns(shadow).chain(TRAILING.map(|t| t.0));
    format!(
        "INSERT INTO {} ({}) VALUES {}",
        shadow_table(shadow),
        names("", all),
        brackets(shadow.columns.len() + TRAILING_COUNT, rows)
    )
}

/// Inserts `rows` later changes.
#[must_use]
pub fn insert_later(shadow: &Shadow, rows: usize) -> String {
    format!(
        "INSERT INTO {} ({}) VALUES {}",
        later_table(shadow),
        later_columns(shadow),
        brackets(shadow.columns.len() + LATER_COUNT, rows)
    )
}

/// Inserts `rows` tombstones.
#[must_use]
pub fn insert_gone(shadow: &Shadow, rows: usize) -> String {
    format!(
        "INSERT INTO {} ({}) VALUES {}",
        gone_table(shadow),
        gone_columns(shadow),
        brackets(shadow.key.len() + TRAILING_COUNT, rows)
    )
}

fn gone_columns(shadow: &Shadow) -> String {
    names("", key_columns(shadow).chain(TRAILING.map(|t| t.0)))
}

fn later_columns(shadow: &Shadow) -> String {
    let trailing = TRAILING.into_iter().chain(LATER).map(|t| t.0);
    names("", columns(shadow).chain(trailing))
}

/// Removes the shadow's rows of `rows` keys.
#[must_use]
pub fn remove(shadow: &Shadow, rows: usize) -> String {
    remove_from(&shadow_table(shadow), shadow, rows)
}

/// Removes the tombstones of `rows` keys.
#[must_use]
pub fn remove_gone(shadow: &Shadow, rows: usize) -> String {
    remove_from(&gone_table(shadow), shadow, rows)
}

fn remove_from(from: &str, shadow: &Shadow, rows: usize) -> String {
    format!(
        "DELETE FROM {from} WHERE ({}) IN (VALUES {})",
        names("", key_columns(shadow)),
        brackets(shadow.key.len(), rows)
    )
}

/// Records the next offset of a partition.
pub const RECORD_POSITION: &str = "INSERT INTO main.trueup_position (run, topic, `partition`, next_offset) \
     VALUES (?, ?, ?, ?) ON CONFLICT (run, topic, `partition`) DO UPDATE SET next_offset = excluded.next_offset";

/// Copies the rows and tombstones whose keys have later changes among these, as the first of their key; indexes all in the
/// order in which they are handed over; and removes what was copied.
#[must_use]
pub fn gather(shadow: &Shadow) -> [String; 5] {
    let (first, later, gone) = (
        shadow_table(shadow),
        later_table(shadow),
        gone_table(shadow),
    );
    let key = names("", key_columns(shadow));
    let trailing = TRAILING.map(|t| t.0);
    let same = names("", columns(shadow).chain(trailing));
    [
        format!(
            "INSERT INTO {later} ({}) SELECT {same}, -1, 0, NULL FROM {first} \
             WHERE ({key}) IN (SELECT {key} FROM {later})",
            later_columns(shadow)
        ),
        format!(
            "INSERT INTO {later} ({0}, trueup_arrival, trueup_gone) SELECT {0}, -1, 1 FROM {gone} \
             WHERE ({key}) IN (SELECT {key} FROM {later})",
            gone_columns(shadow)
        ),
        format!(
            "CREATE INDEX {} ON {} ({key}, trueup_arrival)",
            later_index(shadow),
            quoted(&later_name(&shadow.run, &shadow.live.table).name),
        ),
        format!("DELETE FROM {first} WHERE ({key}) IN (SELECT {key} FROM {later})"),
        format!("DELETE FROM {gone} WHERE ({key}) IN (SELECT {key} FROM {later})"),
    ]
}

/// The next `limit` later changes in order; `after` says whether the key and arrival of the last one are bound.
#[must_use]
pub fn page(shadow: &Shadow, after: bool, limit: usize) -> String {
    let order = format!("{}, trueup_arrival", names("", key_columns(shadow)));
    let beyond = if after {
        let marks = brackets(shadow.key.len() + 1, 1);
        format!(" WHERE ({order}) > {marks}")
    } else {
        String::new()
    };
    format!(
        "SELECT {} FROM {}{beyond} ORDER BY {order} LIMIT {limit}",
        later_columns(shadow),
        later_table(shadow)
    )
}

/// Removes the rows and tombstones that are older than a truncate: its rank, offset and partition are bound.
#[must_use]
pub fn clear(shadow: &Shadow) -> [String; 2] {
    [shadow_table(shadow), gone_table(shadow)].map(|from| {
        format!(
            "DELETE FROM {from} WHERE (trueup_rank, trueup_offset, trueup_partition) < (?, ?, ?)"
        )
    })
}

/// Empties the table of later changes after it was settled.
#[must_use]
pub fn settled(shadow: &Shadow) -> [String; 2] {
    [
        format!("DROP INDEX {}", later_index(shadow)),
        format!("DELETE FROM {}", later_table(shadow)),
    ]
}

/// The unique index over the shadow's key.
#[must_use]
pub fn build(shadow: &Shadow) -> String {
    format!(
        "CREATE UNIQUE INDEX IF NOT EXISTS {} ON {} ({})",
        key_index(shadow),
        quoted(&shadow_name(&shadow.run, &shadow.live.table).name),
        names("", key_columns(shadow))
    )
}

/// Takes off what only the load needed, for a shadow that is kept.
#[must_use]
pub fn strip(shadow: &Shadow) -> Vec<String> {
    let besides = [later_table(shadow), gone_table(shadow)];
    let mut all = besides
        .map(|t| format!("DROP TABLE IF EXISTS {t}"))
        .to_vec();
    all.extend(TRAILING.map(|(name, _)| {
        format!(
            "ALTER TABLE {} DROP COLUMN {}",
            shadow_table(shadow),
            quoted(name)
        )
    }));
    all
}

/// Removes a run's tables.
#[must_use]
pub fn discard(run: &str, live: &TableName) -> [String; 3] {
    [
        later_name(run, live),
        gone_name(run, live),
        shadow_name(run, live),
    ]
    .map(|name| format!("DROP TABLE IF EXISTS {}", table(&name)))
}
