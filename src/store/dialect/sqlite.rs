//! SQLite: scans as SQL.

use std::cell::RefCell;

use crate::projection::cell::Cell;
use crate::projection::change::Key;
use crate::projection::mapping::Test;
use crate::projection::types::{Column, ColumnType};
use crate::store::{Output, Relation, Scan, TableName};

use super::condition;
use super::sqlite_limit::bound;

/// A value to bind, in one of SQLite's five storage classes.
#[derive(Clone, Debug, PartialEq)]
pub enum Bind {
    /// NULL.
    Null,
    /// INTEGER.
    Int(i64),
    /// REAL.
    Real(f64),
    /// TEXT.
    Text(String),
    /// BLOB.
    Blob(Vec<u8>),
}

/// SQL with `?` and what stands for them, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statement {
    /// SQL.
    pub text: String,
    /// Values.
    pub binds: Vec<Bind>,
}

/// Every table and view that is neither SQLite's, nor a module's own, nor trueup's.
pub const TABLES: &str = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'view', 'virtual') \
     AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'trueup\\_%' ESCAPE '\\' ORDER BY name";

/// An identifier in backticks. In double quotes SQLite would read a name that it does not know as a text, so that a
/// column that has vanished would silently read as its own name.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The table's name for SQL; without a schema it is `main`, so that no temporary table can stand in for it.
#[must_use]
pub fn table(name: &TableName) -> String {
    let schema = name.schema.as_deref().unwrap_or("main");
    format!("{}.{}", quoted(schema), quoted(&name.name))
}

/// A list of quoted names, each with `prefix` before it.
#[must_use]
pub fn names<'a>(prefix: &str, columns: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = columns
        .into_iter()
        .map(|c| format!("{prefix}{}", quoted(c)))
        .collect();
    quoted.join(", ")
}

/// `rows` times a bracket of `columns` question marks.
#[must_use]
pub fn brackets(columns: usize, rows: usize) -> String {
    let one = format!("({})", vec!["?"; columns].join(","));
    vec![one; rows].join(",")
}

/// The rows of a scan in key order: its outputs, then the columns of its filter. The filter here only spares reading
/// rows that cannot pass; the reader applies it again, since some types compare by value and not by their text.
///
/// # Errors
/// When the key cannot be ordered by its type.
pub fn scan(scan: &Scan) -> Result<Statement, String> {
    let (all, binds) = conditions(scan)?;
    let text = select(scan, &read_columns(scan), &all) + " ORDER BY " + &key(scan)?.join(", ");
    Ok(Statement { text, binds })
}

/// The rows of a scan that have one of these keys, in key order; `None` when the key columns can hold none of them.
///
/// # Errors
/// When the key cannot be ordered by its type.
pub fn lookup(scan: &Scan, keys: &[Key<'static>]) -> Result<Option<Statement>, String> {
    let (mut all, mut binds) = conditions(scan)?;
    let mut found = 0;
    for wanted in keys {
        let bounds: Result<Vec<_>, String> = key_outputs(scan)
            .zip(&wanted.0)
            .map(|(output, cell)| bound(output, cell))
            .collect();
        let exact = bounds?.into_iter().map(|b| b.exact.then_some(b.bind));
        if let Some(values) = exact.collect::<Option<Vec<Bind>>>() {
            binds.extend(values);
            found += 1;
        }
    }
    if found == 0 {
        return Ok(None);
    }
    let key = key(scan)?;
    let (columns, values) = (key.join(", "), brackets(key.len(), found));
    all.push(format!("({columns}) IN (VALUES {values})"));
    let text = select(scan, &read_columns(scan), &all) + " ORDER BY " + &columns;
    Ok(Some(Statement { text, binds }))
}

/// How many rows a scan has; a filter that only the reader can apply is not counted.
///
/// # Errors
/// When the key cannot be ordered by its type.
pub fn count(scan: &Scan) -> Result<Statement, String> {
    let (all, binds) = conditions(scan)?;
    let text = select(scan, "count(*)", &all);
    Ok(Statement { text, binds })
}

/// The keys at these places of the scan, counted from 1.
///
/// # Errors
/// When the key cannot be ordered by its type.
pub fn keys_at(scan: &Scan, places: &[u64]) -> Result<Statement, String> {
    let (all, binds) = conditions(scan)?;
    let columns = names("", key_outputs(scan).map(|o| o.column.name.as_str()));
    let place = format!(
        "{columns}, row_number() OVER (ORDER BY {}) AS trueup_place",
        key(scan)?.join(", ")
    );
    let places: Vec<String> = places.iter().map(u64::to_string).collect();
    let text = format!(
        "SELECT {columns} FROM ({}) WHERE trueup_place IN ({}) ORDER BY trueup_place",
        select(scan, &place, &all),
        places.join(", ")
    );
    Ok(Statement { text, binds })
}

fn read_columns(scan: &Scan) -> String {
    let outputs = scan.outputs.iter().map(|o| o.column.name.as_str());
    let filters = scan.filter.iter().map(|(column, _)| column.name.as_str());
    names("", outputs.chain(filters))
}

fn select(scan: &Scan, what: &str, all: &[String]) -> String {
    let from = match &scan.relation {
        Relation::Table(name) => table(name),
        // A comment at its end must not hide the bracket.
        Relation::Query { name, text } => format!("({text}\n) AS {}", quoted(name)),
    };
    let mut text = format!("SELECT {what} FROM {from}");
    if !all.is_empty() {
        text += " WHERE ";
        text += &all.join(" AND ");
    }
    text
}

/// What every row of the scan satisfies.
fn conditions(scan: &Scan) -> Result<(Vec<String>, Vec<Bind>), String> {
    let (mut all, mut binds) = (Vec::new(), Vec::new());
    for (column, wanted) in &scan.filter {
        all.extend(prefilter(column, wanted, &mut binds));
    }
    if let Some(scope) = &scan.scope {
        all.push(format!("({scope}\n)")); // A comment at its end must not hide the bracket.
    }
    for (limit, operator) in [(&scan.from, ">="), (&scan.to, "<")] {
        if let Some(limit) = limit {
            all.push(range(scan, limit, operator, &mut binds)?);
        }
    }
    Ok((all, binds))
}

/// A test that SQLite decides just as the engine does: of types that are stored as they compare. A value of another
/// type passes, so that the reader can name it.
fn prefilter(column: &Column, wanted: &Test, binds: &mut Vec<Bind>) -> Option<String> {
    let (classes, collate) = match &column.kind {
        ColumnType::Int { .. } => ("'integer', 'null'", ""),
        ColumnType::Text { padded: false, .. } => ("'text', 'null'", " COLLATE BINARY"),
        ColumnType::Bytes => ("'blob', 'null'", ""),
        _ => return None,
    };
    let name = quoted(&column.name);
    let column_text = format!("{name}{collate}");
    let bound = RefCell::new(Vec::new());
    let among = |cells: &[Cell<'static>]| {
        let mut values = bound.borrow_mut();
        let before = values.len();
        values.extend(cells.iter().filter_map(|cell| stored(&column.kind, cell)));
        let marks = vec!["?"; values.len() - before].join(", ");
        (!marks.is_empty()).then(|| format!("{column_text} IN ({marks})"))
    };
    let sql = condition(wanted, &among, &format!("{name} IS NULL"));
    binds.extend(bound.into_inner());
    Some(format!("({sql} OR typeof({name}) NOT IN ({classes}))"))
}

/// How a column of one of the types above holds a value; `None` for one that it cannot hold.
fn stored(kind: &ColumnType, cell: &Cell<'_>) -> Option<Bind> {
    match (kind, cell) {
        (ColumnType::Int { .. }, Cell::Int(i)) => i64::try_from(*i).ok().map(Bind::Int),
        (ColumnType::Text { .. }, Cell::Text(t)) => Some(Bind::Text(t.to_string())),
        (ColumnType::Bytes, Cell::Bytes(b)) => Some(Bind::Blob(b.to_vec())),
        _ => None,
    }
}

fn key_outputs(scan: &Scan) -> impl Iterator<Item = &Output> {
    scan.key.iter().map(|at| &scan.outputs[*at])
}

/// What to sort by so that rows come in the order of the key's types.
fn key(scan: &Scan) -> Result<Vec<String>, String> {
    key_outputs(scan).map(sorted_by).collect()
}

fn sorted_by(output: &Output) -> Result<String, String> {
    use ColumnType as T;
    let name = quoted(&output.column.name);
    let number = |kind: &T| {
        matches!(
            kind,
            T::Bool | T::Int { .. } | T::Numeric { .. } | T::Float32 | T::Float64
        )
    };
    let instant = |kind: &T| matches!(kind, T::Date | T::Timestamp { .. } | T::TimestampTz { .. });
    let (stored, read) = (&output.column.kind, output.kind());
    match (stored, read) {
        (a, b) if number(a) && number(b) => Ok(name),
        (a, b) if instant(a) && instant(b) => Ok(format!("{name} COLLATE BINARY")),
        (T::Bytes, T::Bytes) => Ok(name),
        (T::Time { .. }, T::Time { .. })
        | (T::Uuid, T::Uuid)
        | (T::Text { .. } | T::Uuid | T::Date, T::Text { padded: false, .. })
        | (T::Text { .. }, T::Other(_))
        | (T::Timestamp { .. } | T::TimestampTz { .. }, T::Text { padded: false, .. })
        | (T::Text { .. }, T::Uuid) => Ok(format!("{name} COLLATE BINARY")),
        (T::Text { .. }, T::Text { padded: true, .. }) => {
            Ok(format!("rtrim({name}, ' ') COLLATE BINARY"))
        }
        (T::Int { .. }, T::Text { padded: false, .. }) => {
            Ok(format!("CAST({name} AS TEXT) COLLATE BINARY"))
        }
        (T::Other(_), T::Other(_) | T::Text { padded: false, .. }) => {
            Ok(format!("CAST({name} AS TEXT) COLLATE BINARY"))
        }
        (a, b) => Err(format!(
            "column {}: SQLite cannot sort a key of type {a} as {b}",
            output.column.name
        )),
    }
}

/// A row-value comparison of the key with a limit of the range.
fn range(
    scan: &Scan,
    limit: &Key<'static>,
    operator: &str,
    binds: &mut Vec<Bind>,
) -> Result<String, String> {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for (output, cell) in key_outputs(scan).zip(&limit.0) {
        let bound = bound(output, cell)?;
        left.push(sorted_by(output)?);
        right.push("?");
        binds.push(bound.bind);
        if !bound.exact {
            break; // No row equals the limit here, so the columns behind it decide nothing.
        }
    }
    Ok(format!(
        "({}) {operator} ({})",
        left.join(", "),
        right.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(name: &str, kind: ColumnType, cast: Option<ColumnType>) -> Output {
        let column = Column {
            name: name.to_owned(),
            kind,
            nullable: true,
        };
        Output { column, cast }
    }

    fn accounts() -> Scan {
        let id = output("id", ColumnType::INT64, None);
        let region = output("re`gion", ColumnType::TEXT, None);
        let owner = output("owner", ColumnType::Uuid, None);
        let wanted = |cell| Test::AnyOf(vec![cell, Cell::Null]);
        Scan {
            relation: Relation::Table(TableName {
                schema: None,
                name: "accounts".to_owned(),
            }),
            filter: vec![
                (region.column.clone(), wanted(Cell::Text("north".into()))),
                (
                    id.column.clone(),
                    Test::Not(Box::new(wanted(Cell::Int(1 << 100)))),
                ),
                (owner.column, wanted(Cell::Uuid(1))),
            ],
            outputs: vec![region, id, output("at", ColumnType::Date, None)],
            key: vec![1, 0],
            scope: Some("tenant = 5 -- ours".to_owned()),
            from: Some(Key(vec![Cell::Int(7), Cell::Text("a".into())])),
            to: Some(Key(vec![
                Cell::Numeric("9.5".into()),
                Cell::Text("z".into()),
            ])),
        }
    }

    #[test]
    fn a_scan_as_sql() {
        let statement = scan(&accounts()).expect("sorted");
        insta::assert_snapshot!(statement.text, @"
        SELECT `re``gion`, `id`, `at`, `re``gion`, `id`, `owner` FROM `main`.`accounts` WHERE ((`re``gion` COLLATE BINARY IN (?) OR `re``gion` IS NULL) OR typeof(`re``gion`) NOT IN ('text', 'null')) AND ((`id` IS NULL) IS NOT TRUE OR typeof(`id`) NOT IN ('integer', 'null')) AND (tenant = 5 -- ours
        ) AND (`id`, `re``gion` COLLATE BINARY) >= (?, ?) AND (`id`, `re``gion` COLLATE BINARY) < (?, ?) ORDER BY `id`, `re``gion` COLLATE BINARY
        ");
        insta::assert_debug_snapshot!(statement.binds, @r#"
        [
            Text(
                "north",
            ),
            Int(
                7,
            ),
            Text(
                "a",
            ),
            Real(
                9.5,
            ),
            Text(
                "z",
            ),
        ]
        "#);
        let keys = [
            Key(vec![Cell::Int(7), Cell::Text("a".into())]),
            Key(vec![Cell::Numeric("7.5".into()), Cell::Text("a".into())]),
        ];
        let whole = Scan {
            filter: Vec::new(),
            scope: None,
            from: None,
            to: None,
            ..accounts()
        };
        let found = lookup(&whole, &keys).expect("sorted").expect("one key");
        insta::assert_snapshot!(found.text, @"
        SELECT `re``gion`, `id`, `at` FROM `main`.`accounts` WHERE (`id`, `re``gion` COLLATE BINARY) IN (VALUES (?,?),(?,?)) ORDER BY `id`, `re``gion` COLLATE BINARY
        ");
        assert_eq!(lookup(&whole, &keys[..0]).expect("sorted"), None);
        let cut = keys_at(&whole, &[3, 5]).expect("sorted");
        insta::assert_snapshot!(cut.text, @"
        SELECT `id`, `re``gion` FROM (SELECT `id`, `re``gion`, row_number() OVER (ORDER BY `id`, `re``gion` COLLATE BINARY) AS trueup_place FROM `main`.`accounts`) WHERE trueup_place IN (3, 5) ORDER BY trueup_place
        ");
    }

    #[test]
    fn keys_sort_by_what_they_are_cast_to() {
        use ColumnType as T;
        let sorted = |kind: T, cast: T| sorted_by(&output("k", kind, Some(cast)));
        let padded = T::Text {
            max_chars: Some(3),
            padded: true,
        };
        assert_eq!(
            sorted(T::INT64, T::Numeric { size: None }).as_deref(),
            Ok("`k`")
        );
        let as_text = Ok("CAST(`k` AS TEXT) COLLATE BINARY");
        assert_eq!(sorted(T::INT64, T::TEXT).as_deref(), as_text);
        let trimmed = Ok("rtrim(`k`, ' ') COLLATE BINARY");
        assert_eq!(sorted(T::TEXT, padded).as_deref(), trimmed);
        assert!(sorted(T::Json, T::Json).is_err());
        assert!(sorted(T::Numeric { size: None }, T::TEXT).is_err());
    }
}
