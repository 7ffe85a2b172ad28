//! PostgreSQL's spelling of names, values and types.

use crate::projection::cell::Cell;
use crate::projection::text;
use crate::projection::types::ColumnType;
use crate::store::TableName;

pub use super::quoted;

/// A text literal; sessions have `standard_conforming_strings` on.
#[must_use]
pub fn string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A table's name as SQL; without a schema the search path decides.
#[must_use]
pub fn table(name: &TableName) -> String {
    match &name.schema {
        Some(schema) => format!("{}.{}", quoted(schema), quoted(&name.name)),
        None => quoted(&name.name),
    }
}

/// A list of identifiers.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(quoted).collect::<Vec<_>>().join(", ")
}

/// What every session is set to, so that text means the same everywhere. `read_only` is enforced by the server.
#[must_use]
pub fn session(
    read_only: bool,
    statement_seconds: u32,
    lock_seconds: u32,
    idle_seconds: u32,
) -> String {
    let mut sql = format!(
        "SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; \
         SET extra_float_digits = 1; SET bytea_output = 'hex'; SET standard_conforming_strings = on; \
         SET row_security = off; SET xmloption = 'content'; SET client_min_messages = 'warning'; \
         SET lock_timeout = '{lock_seconds}s'; SET statement_timeout = '{statement_seconds}s'; \
         SET idle_in_transaction_session_timeout = '{idle_seconds}s'"
    );
    if read_only {
        sql.push_str("; SET default_transaction_read_only = on");
    }
    sql
}

/// A value as SQL of the type of a column of `kind`; `None` when no value of that type can equal it.
#[must_use]
pub fn literal(cell: &Cell<'_>, kind: &ColumnType) -> Option<String> {
    let cast = |name: &str| text::of(cell).map(|t| format!("{}::{name}", string(&t)));
    match (kind, cell) {
        (_, Cell::Null) => Some("NULL".to_owned()),
        (ColumnType::Bool, Cell::Bool(b)) => Some(if *b { "TRUE" } else { "FALSE" }.to_owned()),
        (ColumnType::Int { .. }, Cell::Int(i)) if *i < 0 => Some(format!("({i})")),
        (ColumnType::Int { .. }, Cell::Int(i)) => Some(i.to_string()),
        (ColumnType::Float32 | ColumnType::Float64, Cell::Float(_)) => cast("double precision"),
        (ColumnType::Numeric { .. }, Cell::Numeric(_)) => cast("numeric"),
        // No text of this database holds a NUL.
        (ColumnType::Text { .. } | ColumnType::Other(_), Cell::Text(t)) if t.contains('\0') => None,
        (ColumnType::Text { padded: true, .. }, Cell::Text(_)) => cast("bpchar"),
        (ColumnType::Text { .. } | ColumnType::Other(_), Cell::Text(_)) => cast("text"),
        (ColumnType::Bytes, Cell::Bytes(_)) => cast("bytea"),
        (ColumnType::Date, Cell::Date(_)) => cast("date"),
        (ColumnType::Time { .. }, Cell::Time(_)) => cast("time"),
        (ColumnType::Timestamp { .. }, Cell::Timestamp(_)) => cast("timestamp"),
        (ColumnType::TimestampTz { .. }, Cell::TimestampTz(_)) => cast("timestamptz"),
        (ColumnType::Uuid, Cell::Uuid(_)) => cast("uuid"),
        (ColumnType::Json, Cell::Json(_)) => cast("jsonb"),
        (ColumnType::Array(_), Cell::Array(_)) => cast(&type_name(kind)),
        _ => None,
    }
}

/// The type that a value is cast to.
#[must_use]
pub fn type_name(kind: &ColumnType) -> String {
    match kind {
        ColumnType::Bool => "boolean".to_owned(),
        ColumnType::Int {
            bits: 64,
            unsigned: true,
        } => "numeric(20,0)".to_owned(),
        ColumnType::Int { bits, unsigned } => match (bits, unsigned) {
            (0..=16, false) | (0..=8, true) => "smallint".to_owned(),
            (0..=32, false) | (0..=16, true) => "integer".to_owned(),
            _ => "bigint".to_owned(),
        },
        ColumnType::Float32 => "real".to_owned(),
        ColumnType::Float64 => "double precision".to_owned(),
        ColumnType::Numeric { size: None } => "numeric".to_owned(),
        ColumnType::Numeric { size: Some((p, s)) } => format!("numeric({p},{s})"),
        ColumnType::Text { max_chars, padded } => match (max_chars, padded) {
            (None, false) => "text".to_owned(),
            (None, true) => "bpchar".to_owned(),
            (Some(n), false) => format!("character varying({n})"),
            (Some(n), true) => format!("character({n})"),
        },
        ColumnType::Bytes => "bytea".to_owned(),
        ColumnType::Date => "date".to_owned(),
        ColumnType::Time { digits } => format!("time({digits})"),
        ColumnType::Timestamp { digits } => format!("timestamp({digits})"),
        ColumnType::TimestampTz { digits } => format!("timestamp({digits}) with time zone"),
        ColumnType::Uuid => "uuid".to_owned(),
        ColumnType::Json => "jsonb".to_owned(),
        ColumnType::Array(of) => format!("{}[]", type_name(of)),
        ColumnType::Other(name) => name.clone(),
    }
}

/// The type that somebody spells so, by its name in the standard or by a shorter one.
#[must_use]
pub fn spelled_type(name: &str) -> ColumnType {
    let name = name.trim().to_ascii_lowercase();
    if let Some(element) = name.strip_suffix("[]") {
        return column_type(&format!("{}[]", type_name(&spelled_type(element))));
    }
    let (stem, arguments) = match name.split_once('(') {
        Some((stem, rest)) => (stem.trim(), format!("({rest}")),
        None => (name.as_str(), String::new()),
    };
    let long = match stem {
        "bool" => "boolean",
        "int2" => "smallint",
        "int" | "int4" => "integer",
        "int8" => "bigint",
        "float4" => "real",
        "float8" => "double precision",
        "decimal" => "numeric",
        "varchar" => "character varying",
        "char" => "character",
        "time" => return column_type(&format!("time{arguments} without time zone")),
        "timestamp" => return column_type(&format!("timestamp{arguments} without time zone")),
        "timestamptz" => return column_type(&format!("timestamp{arguments} with time zone")),
        _ => return column_type(&name),
    };
    column_type(&format!("{long}{arguments}"))
}

/// The type that `format_type` names so. What the engine does not know keeps its name.
#[must_use]
pub fn column_type(name: &str) -> ColumnType {
    if let Some(element) = name.strip_suffix("[]") {
        return match column_type(element) {
            ColumnType::Other(_) | ColumnType::Array(_) => ColumnType::Other(name.to_owned()),
            of => ColumnType::Array(Box::new(of)),
        };
    }
    let (stem, arguments) = split_arguments(name);
    let int = |bits| ColumnType::Int {
        bits,
        unsigned: false,
    };
    let digits = arguments
        .first()
        .map_or(6, |d| u8::try_from(*d).unwrap_or(6));
    let chars = |padded| ColumnType::Text {
        max_chars: arguments.first().and_then(|n| u32::try_from(*n).ok()),
        padded,
    };
    match stem.as_str() {
        "boolean" => ColumnType::Bool,
        "smallint" => int(16),
        "integer" => int(32),
        "bigint" => int(64),
        "real" => ColumnType::Float32,
        "double precision" => ColumnType::Float64,
        "numeric" => ColumnType::Numeric {
            size: size(&arguments),
        },
        "text" | "name" => ColumnType::TEXT,
        "character varying" => chars(false),
        "character" | "bpchar" => chars(true),
        "bytea" => ColumnType::Bytes,
        "date" => ColumnType::Date,
        "time without time zone" => ColumnType::Time { digits },
        "timestamp without time zone" => ColumnType::Timestamp { digits },
        "timestamp with time zone" => ColumnType::TimestampTz { digits },
        "uuid" => ColumnType::Uuid,
        "json" | "jsonb" => ColumnType::Json,
        _ => ColumnType::Other(name.to_owned()),
    }
}

/// A scale below zero or above the precision is no plain size: such a column is taken as unbounded.
fn size(arguments: &[i64]) -> Option<(u32, u32)> {
    match arguments {
        [p, s] if s <= p => Some((u32::try_from(*p).ok()?, u32::try_from(*s).ok()?)),
        _ => None,
    }
}

/// `timestamp(3) with time zone` is the stem `timestamp with time zone` and 3.
fn split_arguments(name: &str) -> (String, Vec<i64>) {
    let bare = || (name.to_owned(), Vec::new());
    let (Some(open), Some(close)) = (name.find('('), name.find(')')) else {
        return bare();
    };
    let numbers: Result<Vec<i64>, _> = name[open + 1..close].split(',').map(str::parse).collect();
    numbers.map_or_else(
        |_| bare(),
        |numbers| (format!("{}{}", &name[..open], &name[close + 1..]), numbers),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_the_catalog() {
        for (name, shown) in [
            ("integer", "int32"),
            ("numeric(10,2)", "numeric(10,2)"),
            ("numeric(2,-3)", "numeric"),
            ("character varying(20)", "varchar(20)"),
            ("character(5)", "char(5)"),
            ("bpchar", "text"),
            ("timestamp(3) without time zone", "timestamp(3)"),
            ("timestamp with time zone", "timestamptz(6)"),
            ("time(0) without time zone", "time(0)"),
            ("time with time zone", "time with time zone"),
            ("jsonb", "json"),
            ("integer[]", "int32[]"),
            ("point[]", "point[]"),
            ("public.mood", "public.mood"),
            ("public.geometry(Point,4326)", "public.geometry(Point,4326)"),
        ] {
            assert_eq!(column_type(name).to_string(), shown);
        }
        for name in [
            "numeric(10,2)",
            "character(5)",
            "integer[]",
            "timestamp(3) with time zone",
        ] {
            assert_eq!(type_name(&column_type(name)), name);
        }
    }

    #[test]
    fn values_are_escaped_and_typed() {
        let sql = |cell: Cell<'static>, kind: &str| literal(&cell, &column_type(kind));
        assert_eq!(sql(Cell::Int(-5), "integer").as_deref(), Some("(-5)"));
        assert_eq!(
            sql(Cell::Text("o'clock\\".into()), "text").as_deref(),
            Some("'o''clock\\'::text")
        );
        assert_eq!(sql(Cell::Text("1".into()), "integer"), None);
        assert_eq!(sql(Cell::Text("a\0".into()), "text"), None);
        assert_eq!(
            sql(Cell::Array(vec![Cell::Int(1), Cell::Null]), "bigint[]").as_deref(),
            Some("'{1,NULL}'::bigint[]")
        );
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
