//! SQLite: scans as SQL.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::projection::calendar::DAY_MICROS;
use crate::projection::cell::Cell;
use crate::projection::change::Key;
use crate::projection::mapping::Test;
use crate::projection::numeric;
use crate::projection::text;
use crate::projection::types::{Column, ColumnType};
use crate::store::{Output, Scan, TableName};

use super::test;

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
    let mut text = format!("SELECT {what} FROM {}", table(&scan.table));
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
    let sql = test(&format!("{name}{collate}"), wanted, &mut |cell| {
        binds.push(match (&column.kind, cell) {
            (ColumnType::Int { .. }, Cell::Int(i)) => Bind::Int(i64::try_from(*i).ok()?),
            (ColumnType::Text { .. }, Cell::Text(t)) => Bind::Text(t.to_string()),
            (ColumnType::Bytes, Cell::Bytes(b)) => Bind::Blob(b.to_vec()),
            _ => return None,
        });
        Some("?".to_owned())
    });
    Some(format!("({sql} OR typeof({name}) NOT IN ({classes}))"))
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

/// The least stored value that is not below a cell, and whether it equals the cell.
#[derive(Debug, PartialEq)]
struct Bound {
    bind: Bind,
    exact: bool,
}

fn bound(output: &Output, cell: &Cell<'_>) -> Result<Bound, String> {
    use ColumnType as T;
    let exact = |bind| Ok(Bound { bind, exact: true });
    match (&output.column.kind, cell) {
        (T::Float32 | T::Float64, Cell::Float(f)) if !f.is_nan() => exact(Bind::Real(*f)),
        (T::Bool | T::Int { .. } | T::Numeric { .. } | T::Float32 | T::Float64, Cell::Bool(b)) => {
            exact(Bind::Int(i64::from(*b)))
        }
        (
            T::Bool | T::Int { .. } | T::Numeric { .. } | T::Float32 | T::Float64,
            Cell::Int(_) | Cell::Float(_) | Cell::Numeric(_),
        ) => Ok(ceiling(
            &text::of(cell).unwrap_or_default(),
            &output.column.kind,
        )),
        (T::Bytes, Cell::Bytes(b)) => exact(Bind::Blob(b.to_vec())),
        (T::Date, Cell::Date(_))
        | (T::Time { .. }, Cell::Time(_))
        | (T::Timestamp { .. }, Cell::Timestamp(_))
        | (T::TimestampTz { .. }, Cell::TimestampTz(_))
        | (T::Uuid | T::Text { .. }, Cell::Uuid(_)) => written(cell.clone(), true),
        (T::Date, Cell::Timestamp(t) | Cell::TimestampTz(t)) => {
            let day = t.div_euclid(DAY_MICROS) + i64::from(t.rem_euclid(DAY_MICROS) != 0);
            let day = i32::try_from(day).map_err(|_| "a date out of range".to_owned())?;
            written(Cell::Date(day), t.rem_euclid(DAY_MICROS) == 0)
        }
        (T::Timestamp { .. }, Cell::TimestampTz(t)) => written(Cell::Timestamp(*t), true),
        (T::TimestampTz { .. }, Cell::Timestamp(t)) => written(Cell::TimestampTz(*t), true),
        (T::Timestamp { .. }, Cell::Date(d)) => {
            written(Cell::Timestamp(i64::from(*d) * DAY_MICROS), true)
        }
        (T::TimestampTz { .. }, Cell::Date(d)) => {
            written(Cell::TimestampTz(i64::from(*d) * DAY_MICROS), true)
        }
        (_, Cell::Text(t)) => exact(Bind::Text(t.to_string())),
        (kind, _) => Err(format!(
            "column {}: a limit of another type than {kind}",
            output.column.name
        )),
    }
}

fn written(cell: Cell<'_>, exact: bool) -> Result<Bound, String> {
    let bind = Bind::Text(text::of(&cell).unwrap_or_default());
    Ok(Bound { bind, exact })
}

/// The least 64-bit integer or float that is not below a decimal. SQLite compares integers and floats exactly, so a
/// limit rounded up selects the same rows as the limit itself.
fn ceiling(number: &str, kind: &ColumnType) -> Bound {
    let exact = |bind| Bound { bind, exact: true };
    let decimals = matches!(kind, ColumnType::Numeric { .. });
    match number {
        // Text, which sorts above all numbers, is how a decimal column holds them.
        "Infinity" if decimals => return exact(Bind::Text(number.to_owned())),
        "NaN" => return exact(Bind::Text(number.to_owned())),
        "Infinity" => return exact(Bind::Real(f64::INFINITY)),
        "-Infinity" => return exact(Bind::Real(f64::NEG_INFINITY)),
        _ => {}
    }
    let decimal = numeric::parse(number).unwrap_or_default();
    let canonical = numeric::canonical(&decimal);
    if let Ok(whole) = canonical.parse() {
        return exact(Bind::Int(whole));
    }
    // A stored float stands for the shortest decimal that reads back as it.
    let order = |f: f64| numeric::compare(&decimal_of(f), &canonical);
    let mut float: f64 = canonical.parse().unwrap_or(f64::INFINITY);
    if order(float) == Ordering::Less {
        float = float.next_up();
    }
    let equal = order(float) == Ordering::Equal;
    let whole = canonical.split_once('.').map_or(&*canonical, |(w, _)| w);
    let up = i64::from(!canonical.starts_with('-'));
    let next = whole.parse::<i64>().ok().and_then(|w| w.checked_add(up));
    match next {
        Some(next)
            if !equal
                && float.fract() == 0.0
                && numeric::compare(&next.to_string(), &decimal_of(float)).is_lt() =>
        {
            Bound {
                bind: Bind::Int(next),
                exact: false,
            }
        }
        _ => Bound {
            bind: Bind::Real(float),
            exact: equal,
        },
    }
}

fn decimal_of(float: f64) -> String {
    let written = text::of(&Cell::Float(float)).unwrap_or_default();
    numeric::parse(&written).map_or(written.clone(), Cow::into_owned)
}
