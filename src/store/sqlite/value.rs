//! What a declared type means to SQLite and to the engine, and values on their way in and out. SQLite keeps any value
//! in nearly any column, so both ways are checked: a value that the column would change is refused, and one that is
//! not of its column's type is an error, never a guess.

use std::borrow::Cow;

use sqlx::sqlite::SqliteValueRef;
use sqlx::{Decode, Sqlite as Driver, TypeInfo, ValueRef};

use crate::projection::cell::Cell;
use crate::projection::numeric;
use crate::projection::text;
use crate::projection::types::ColumnType;
use crate::store::dialect::sqlite::Bind;

/// What SQLite does to a value on its way into a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Affinity {
    /// Text that is a number becomes one.
    Number,
    /// Numbers become text.
    Text,
    /// Nothing.
    None,
}

/// The affinity of a declared type, by the rules of SQLite's manual ("Datatypes in SQLite", 3.1).
pub(super) fn affinity(declared: &str) -> Affinity {
    let name = declared.to_ascii_uppercase();
    let has = |part: &str| name.contains(part);
    if has("INT") {
        Affinity::Number
    } else if has("CHAR") || has("CLOB") || has("TEXT") {
        Affinity::Text
    } else if has("BLOB") || name.trim().is_empty() {
        Affinity::None
    } else {
        Affinity::Number
    }
}

/// A declaration that [`kind`] reads as this type, or as the widest of its family.
pub(super) fn declared(kind: &ColumnType) -> String {
    let word = match kind {
        ColumnType::Bool => "BOOLEAN",
        ColumnType::Int { .. } => "INTEGER",
        ColumnType::Float32 | ColumnType::Float64 => "REAL",
        ColumnType::Numeric { .. } => "NUMERIC",
        ColumnType::Text { .. } => "TEXT",
        ColumnType::Bytes => "BLOB",
        ColumnType::Date => "DATE",
        ColumnType::Time { .. } => "TIME",
        ColumnType::Timestamp { .. } => "TIMESTAMP",
        ColumnType::TimestampTz { .. } => "TIMESTAMPTZ",
        ColumnType::Uuid => "UUID",
        ColumnType::Json => "JSON",
        ColumnType::Array(of) => return format!("{}[]", declared(of)),
        ColumnType::Other(name) => return name.clone(),
    };
    word.to_owned()
}

/// The engine's type for a declared type. SQLite enforces no lengths, so text has none.
pub(super) fn kind(declared: &str) -> ColumnType {
    let trimmed = declared.trim();
    if let Some(of) = trimmed.strip_suffix("[]") {
        return match kind(of) {
            ColumnType::Array(_) | ColumnType::Other(_) => ColumnType::Other(trimmed.to_owned()),
            of => ColumnType::Array(Box::new(of)),
        };
    }
    let (name, size) = match (trimmed.find('('), trimmed.find(')')) {
        (Some(open), Some(close)) if open < close => (
            format!("{}{}", &trimmed[..open], &trimmed[close + 1..]),
            numbers(&trimmed[open + 1..close]),
        ),
        _ => (trimmed.to_owned(), None),
    };
    let words: Vec<String> = name
        .split_whitespace()
        .map(str::to_ascii_uppercase)
        .collect();
    match words.join(" ").as_str() {
        "INT" | "INTEGER" | "BIGINT" | "SMALLINT" | "MEDIUMINT" | "TINYINT" | "INT2" | "INT4"
        | "INT8" | "UNSIGNED BIG INT" | "BIGINT UNSIGNED" | "INT UNSIGNED" | "INTEGER UNSIGNED"
        | "SMALLINT UNSIGNED" | "TINYINT UNSIGNED" => ColumnType::INT64,
        "BOOL" | "BOOLEAN" => ColumnType::Bool,
        "REAL" | "DOUBLE" | "DOUBLE PRECISION" | "FLOAT" | "FLOAT4" | "FLOAT8" => {
            ColumnType::Float64
        }
        "NUMERIC" | "DECIMAL" | "DEC" => ColumnType::Numeric { size },
        "CHAR" | "CHARACTER" | "VARCHAR" | "CHARACTER VARYING" | "VARYING CHARACTER" | "NCHAR"
        | "NATIVE CHARACTER" | "NVARCHAR" | "TEXT" | "CLOB" => ColumnType::TEXT,
        "BLOB" | "BYTEA" => ColumnType::Bytes,
        "DATE" => ColumnType::Date,
        "TIME" | "TIME WITHOUT TIME ZONE" => ColumnType::Time { digits: 6 },
        "TIMESTAMP" | "DATETIME" | "TIMESTAMP WITHOUT TIME ZONE" => {
            ColumnType::Timestamp { digits: 6 }
        }
        "TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE" => ColumnType::TimestampTz { digits: 6 },
        "UUID" => ColumnType::Uuid,
        "JSON" | "JSONB" => ColumnType::Json,
        "" => ColumnType::Other("untyped".to_owned()),
        _ => ColumnType::Other(trimmed.to_owned()),
    }
}

fn numbers(inside: &str) -> Option<(u32, u32)> {
    let mut fields = inside.split(',').map(str::trim);
    let precision = fields.next()?.parse().ok()?;
    let scale = fields.next().map_or(Some(0), |s| s.parse().ok())?;
    Some((precision, scale))
}

/// The value to bind so that the column holds exactly this cell. The error says what is wrong with the value
/// without saying the value.
pub(super) fn bind(cell: &Cell<'_>, kind: &ColumnType, held: Affinity) -> Result<Bind, String> {
    match (kind, cell) {
        (_, Cell::Null | Cell::Unchanged) => Ok(Bind::Null),
        (ColumnType::Bool, Cell::Bool(b)) => Ok(Bind::Int(i64::from(*b))),
        (ColumnType::Int { .. }, Cell::Int(i)) => i64::try_from(*i)
            .map(Bind::Int)
            .map_err(|_| "an integer beyond the 64 bits that SQLite keeps".to_owned()),
        (ColumnType::Float32 | ColumnType::Float64, Cell::Float(f)) if f.is_nan() => {
            Err("NaN, which SQLite would store as NULL".to_owned())
        }
        (ColumnType::Float32 | ColumnType::Float64, Cell::Float(f)) => Ok(Bind::Real(*f)),
        (ColumnType::Numeric { .. }, Cell::Numeric(t)) => number(t, held),
        (ColumnType::Bytes, Cell::Bytes(b)) => Ok(Bind::Blob(b.to_vec())),
        (ColumnType::Text { .. } | ColumnType::Other(_), Cell::Text(t)) => {
            if held == Affinity::Number {
                kept_as_written(t)?;
            }
            Ok(Bind::Text(t.to_string()))
        }
        (ColumnType::Json, Cell::Json(t)) => {
            if held == Affinity::Number && as_number(t).is_some() {
                return number(t.trim(), held);
            }
            Ok(Bind::Text(t.to_string()))
        }
        (ColumnType::Date, Cell::Date(_))
        | (ColumnType::Time { .. }, Cell::Time(_))
        | (ColumnType::Timestamp { .. }, Cell::Timestamp(_))
        | (ColumnType::TimestampTz { .. }, Cell::TimestampTz(_))
        | (ColumnType::Uuid, Cell::Uuid(_))
        | (ColumnType::Array(_), Cell::Array(_)) => {
            Ok(Bind::Text(text::of(cell).unwrap_or_default()))
        }
        _ => Err("a value of another type".to_owned()),
    }
}

/// The number that SQLite's numeric affinity makes of a text: blanks around it are ignored, words are no numbers.
fn as_number(text: &str) -> Option<Cow<'_, str>> {
    let trimmed = text.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let numeric = trimmed
        .bytes()
        .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    if numeric {
        numeric::parse(trimmed)
    } else {
        None
    }
}

/// A decimal as the 64-bit integer or float that equals it; anything else would lose digits.
fn number(given: &str, held: Affinity) -> Result<Bind, String> {
    if held != Affinity::Number {
        return Ok(Bind::Text(given.to_owned()));
    }
    let Some(decimal) = as_number(given) else {
        return Ok(Bind::Text(given.to_owned())); // NaN and the infinities stay text.
    };
    if let Ok(whole) = numeric::canonical(&decimal).parse() {
        return Ok(Bind::Int(whole));
    }
    let lost = || {
        "a decimal number that SQLite can keep neither as a 64-bit integer nor as a float"
            .to_owned()
    };
    let float: f64 = decimal.parse().map_err(|_| lost())?;
    let back = text::of(&Cell::Float(float)).unwrap_or_default();
    match numeric::parse(&back) {
        Some(back) if float.is_finite() && numeric::compare(&back, &decimal).is_eq() => {
            Ok(Bind::Real(float))
        }
        _ => Err(lost()),
    }
}

/// Refuses a text that numeric affinity would write differently: `007`, `1e3`, ` 5`.
fn kept_as_written(given: &str) -> Result<(), String> {
    let Some(decimal) = as_number(given) else {
        return Ok(());
    };
    let back = match number(&decimal, Affinity::Number)? {
        Bind::Int(i) => i.to_string(),
        Bind::Real(f) => text::of(&Cell::Float(f)).unwrap_or_default(),
        _ => String::new(),
    };
    if back == given {
        Ok(())
    } else {
        Err("a text that SQLite would turn into a number and write differently (the column's declared type has numeric affinity)".to_owned())
    }
}

/// A stored value, borrowed from where it lies.
enum Held<'a> {
    Null,
    Int(i64),
    Real(f64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl<'a> Held<'a> {
    fn of(value: SqliteValueRef<'a>) -> Result<Held<'a>, String> {
        // Asked first: of a NULL the driver would give the declared type.
        if value.is_null() {
            return Ok(Held::Null);
        }
        let info = value.type_info();
        Ok(match info.name() {
            "INTEGER" => Held::Int(decoded(value)?),
            "REAL" => Held::Real(decoded(value)?),
            "TEXT" => Held::Text(decoded(value)?),
            _ => Held::Blob(decoded(value)?),
        })
    }

    fn cell(self, kind: &ColumnType) -> Result<Cell<'static>, String> {
        match self {
            Held::Null => Ok(Cell::Null),
            Held::Int(i) => integer(i, kind),
            Held::Real(f) => real(f, kind),
            Held::Text(t) => worded(t, kind),
            Held::Blob(b) if *kind == ColumnType::Bytes => Ok(Cell::Bytes(Cow::Owned(b.to_vec()))),
            Held::Blob(_) => Err(format!("a BLOB in a column of type {kind}")),
        }
    }
}

fn decoded<'r, T: Decode<'r, Driver>>(value: SqliteValueRef<'r>) -> Result<T, String> {
    T::decode(value).map_err(|error| error.to_string())
}

/// A stored value as a cell of the column's type. The error says what is stored, not the value.
pub(super) fn cell(value: SqliteValueRef<'_>, kind: &ColumnType) -> Result<Cell<'static>, String> {
    Held::of(value)?.cell(kind)
}

/// The same of a value that was taken out raw.
pub(super) fn cell_of(value: &Bind, kind: &ColumnType) -> Result<Cell<'static>, String> {
    let held = match value {
        Bind::Null => Held::Null,
        Bind::Int(i) => Held::Int(*i),
        Bind::Real(f) => Held::Real(*f),
        Bind::Text(t) => Held::Text(t),
        Bind::Blob(b) => Held::Blob(b),
    };
    held.cell(kind)
}

/// A stored value as it is, whatever its column's type.
pub(super) fn raw(value: SqliteValueRef<'_>) -> Result<Bind, String> {
    Ok(match Held::of(value)? {
        Held::Null => Bind::Null,
        Held::Int(i) => Bind::Int(i),
        Held::Real(f) => Bind::Real(f),
        Held::Text(t) => Bind::Text(t.to_owned()),
        Held::Blob(b) => Bind::Blob(b.to_vec()),
    })
}

fn integer(value: i64, kind: &ColumnType) -> Result<Cell<'static>, String> {
    match kind {
        ColumnType::Int { .. } => Ok(Cell::Int(value.into())),
        ColumnType::Bool if value == 0 || value == 1 => Ok(Cell::Bool(value == 1)),
        ColumnType::Numeric { .. } => Ok(Cell::Numeric(Cow::Owned(value.to_string()))),
        ColumnType::Json => Ok(Cell::Json(Cow::Owned(value.to_string()))),
        ColumnType::Other(_) => Ok(Cell::Text(Cow::Owned(value.to_string()))),
        #[allow(clippy::cast_precision_loss)] // Exact up to 2^53.
        ColumnType::Float64 | ColumnType::Float32 if value.unsigned_abs() <= 1 << 53 => {
            Ok(Cell::Float(value as f64))
        }
        _ => Err(format!("an INTEGER in a column of type {kind}")),
    }
}

fn real(value: f64, kind: &ColumnType) -> Result<Cell<'static>, String> {
    let written = || text::of(&Cell::Float(value)).unwrap_or_default();
    let decimal = || {
        let written = written();
        numeric::parse(&written).map_or_else(|| written.clone(), Cow::into_owned)
    };
    match kind {
        ColumnType::Float32 | ColumnType::Float64 => Ok(Cell::Float(value)),
        ColumnType::Numeric { .. } => Ok(Cell::Numeric(Cow::Owned(decimal()))),
        ColumnType::Json => Ok(Cell::Json(Cow::Owned(written()))),
        ColumnType::Other(_) => Ok(Cell::Text(Cow::Owned(written()))),
        _ => Err(format!("a REAL in a column of type {kind}")),
    }
}

fn worded(value: &str, kind: &ColumnType) -> Result<Cell<'static>, String> {
    match kind {
        ColumnType::Text { padded: false, .. } | ColumnType::Other(_) => {
            Ok(Cell::Text(Cow::Owned(value.to_owned())))
        }
        // Numbers as text stand only in columns that would have kept them as numbers: somebody's mistake.
        ColumnType::Bool | ColumnType::Int { .. } | ColumnType::Float32 | ColumnType::Float64 => {
            Err(format!("a TEXT in a column of type {kind}"))
        }
        kind => match text::read(kind, value) {
            Some(cell) => Ok(cell.into_owned()),
            None => Err(format!("a TEXT that is no {kind}")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types() {
        for (declared, want) in [
            ("INTEGER", "int64"),
            ("int", "int64"),
            ("UNSIGNED BIG INT", "int64"),
            ("tinyint(1)", "int64"),
            ("BOOLEAN", "boolean"),
            ("double  precision", "float64"),
            ("DECIMAL(10, 2)", "numeric(10,2)"),
            ("NUMERIC", "numeric"),
            ("VARCHAR(20)", "text"),
            ("character varying (5)", "text"),
            ("BLOB", "bytes"),
            ("TIMESTAMP(3) WITH TIME ZONE", "timestamptz(6)"),
            ("datetime", "timestamp(6)"),
            ("INTEGER[]", "int64[]"),
            ("numeric(5,1)[]", "numeric(5,1)[]"),
            ("POINT", "POINT"),
            ("POINT[]", "POINT[]"),
            ("", "untyped"),
        ] {
            assert_eq!(kind(declared).to_string(), want, "{declared}");
        }
        assert_eq!(affinity("FLOATING POINT"), Affinity::Number);
        assert_eq!(affinity("VARCHAR(9)"), Affinity::Text);
        assert_eq!(affinity("STRING"), Affinity::Number);
        assert_eq!(affinity(""), Affinity::None);
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        let bound = |t: &str| number(t, Affinity::Number);
        assert_eq!(bound("1.50"), Ok(Bind::Real(1.5)));
        assert_eq!(bound("-7.00"), Ok(Bind::Int(-7)));
        assert_eq!(bound("9223372036854775807"), Ok(Bind::Int(i64::MAX)));
        assert_eq!(bound("NaN"), Ok(Bind::Text("NaN".to_owned())));
        for lost in [
            "9223372036854775809",
            "0.10000000000000001",
            "123456789012345678.25",
            "1234567890.1234567890",
        ] {
            assert!(bound(lost).is_err(), "{lost}");
            assert_eq!(
                number(lost, Affinity::Text),
                Ok(Bind::Text(lost.to_owned()))
            );
        }
    }

    #[test]
    fn a_text_that_numeric_affinity_would_rewrite_is_refused() {
        for kept in ["5", "1.5", "abc", "1 day", "", "-", "1.5.6"] {
            assert_eq!(kept_as_written(kept), Ok(()), "{kept}");
        }
        for changed in ["007", "1e3", " 5", "5.0", "+1", ".5", "9223372036854775808"] {
            assert!(kept_as_written(changed).is_err(), "{changed}");
        }
    }
}
