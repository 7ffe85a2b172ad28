//! One JSON value to one cell.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::value::RawValue;

use super::encoding::Encoding;
use super::foreign;
use super::moment;
use super::number;
use super::placeholder::Placeholder;
use super::settings::Binary;
use crate::projection::cell::Cell;
use crate::projection::text;
use crate::projection::types::ColumnType;

/// Why a value cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is no value of its column; says what was found, never the value.
    Bad(String),
    /// The connector is known not to write such a value as it is.
    Lost,
}

impl From<String> for Unread {
    fn from(problem: String) -> Unread {
        Unread::Bad(problem)
    }
}

impl From<&str> for Unread {
    fn from(problem: &str) -> Unread {
        Unread::Bad(problem.to_owned())
    }
}

/// A cell, or why there is none.
pub(super) type Read<'a> = Result<Cell<'a>, Unread>;

/// What is known of the record around a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'p> {
    /// What stands for a value that an update did not touch.
    pub(super) placeholder: &'p Placeholder,
    /// Whether a snapshot wrote it: its driver takes days before 1582 for those of the old calendar.
    pub(super) snapshot: bool,
}

/// Reads a raw JSON value of a column of type `kind`.
pub(super) fn read<'a>(
    raw: &'a str,
    kind: &ColumnType,
    encoding: &Encoding,
    around: Around<'_>,
) -> Read<'a> {
    if raw == "null" {
        return Ok(Cell::Null);
    }
    if around.placeholder.is(raw) {
        return Ok(Cell::Unchanged);
    }
    known(raw, kind, encoding, around.snapshot)
}

fn known<'a>(raw: &'a str, kind: &ColumnType, encoding: &Encoding, snapshot: bool) -> Read<'a> {
    match encoding {
        Encoding::Plain => plain(raw, kind),
        Encoding::Decimal { scale } => number::decimal(raw, *scale),
        Encoding::DecimalText => number::text(raw),
        Encoding::Bytes(form) => Ok(Cell::Bytes(Cow::Owned(bytes(raw, *form)?))),
        Encoding::Days => moment::days(integer(raw)?, snapshot),
        Encoding::TimeOfDay { unit_nanos } => moment::time_of_day(integer(raw)?, *unit_nanos),
        Encoding::Instant { unit_nanos } => {
            moment::instant(integer(raw)?, *unit_nanos, kind, snapshot)
        }
        Encoding::Iso => moment::iso(raw, kind, snapshot),
        Encoding::Array(of) => match kind {
            ColumnType::Array(element) => {
                list(raw, |item| element_of(item, element, of)).map(Cell::Array)
            }
            _ => Err(Unread::Bad(format!("a list in a column of type {kind}"))),
        },
        Encoding::Foreign(form) => foreign::read(raw, *form, snapshot),
        Encoding::ForeignArray(of) => {
            list(raw, |item| element_of(item, kind, of)).map(foreign::array)
        }
    }
}

/// The elements of a list. Those of an array of more dimensions arrive as NULL or as the name of a Java object.
fn list<'a>(raw: &'a str, read: impl Fn(&'a str) -> Read<'a>) -> Result<Vec<Cell<'a>>, Unread> {
    let items: Vec<&'a RawValue> = serde_json::from_str(raw)
        .map_err(|_| format!("{} where a list is expected", shape(raw)))?;
    items.into_iter().map(|item| read(item.get())).collect()
}

fn element_of<'a>(raw: &'a str, kind: &ColumnType, of: &Encoding) -> Read<'a> {
    if raw == "null" {
        return Ok(Cell::Null);
    }
    if raw.starts_with("\"[L") && raw.contains(";@") {
        return Err(Unread::Lost);
    }
    // The driver reads arrays as it reads snapshots.
    known(raw, kind, of, true)
}

/// The text of a JSON string, borrowed where it has no escape.
pub(super) fn string(raw: &str) -> Result<Cow<'_, str>, String> {
    let inner = raw
        .strip_prefix('"')
        .and_then(|r| r.strip_suffix('"'))
        .ok_or_else(|| format!("{} where text is expected", shape(raw)))?;
    if !inner.as_bytes().contains(&b'\\') {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(raw)
        .map(Cow::Owned)
        .map_err(|e| format!("a text that cannot be read: {e}"))
}

/// What kind of JSON value this is.
pub(super) fn shape(raw: &str) -> &'static str {
    match raw.as_bytes().first() {
        Some(b'"') => "text",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

fn integer(raw: &str) -> Result<i64, String> {
    raw.parse()
        .map_err(|_| format!("{} where an integer is expected", shape(raw)))
}

/// Bytes out of a text.
pub(super) fn bytes(raw: &str, form: Binary) -> Result<Vec<u8>, String> {
    let value = string(raw)?;
    let read = match form {
        Binary::Bytes | Binary::Base64 => STANDARD.decode(value.as_bytes()).ok(),
        Binary::UrlSafe => URL_SAFE.decode(value.as_bytes()).ok(),
        Binary::Hex => text::read_hex(&value),
    };
    read.ok_or_else(|| {
        let what = match form {
            Binary::Bytes | Binary::Base64 => "base64",
            Binary::UrlSafe => "base64 for URLs",
            Binary::Hex => "hexadecimal",
        };
        format!(
            "a text that is no {what}; the source's `debezium: {{ binary.handling.mode: … }}` says how the connector writes bytes"
        )
    })
}

fn plain<'a>(raw: &'a str, kind: &ColumnType) -> Read<'a> {
    let mismatch = || Unread::Bad(format!("{} in a column of type {kind}", shape(raw)));
    match (kind, raw.as_bytes().first()) {
        (ColumnType::Bool, _) => match raw {
            "true" | "1" => Ok(Cell::Bool(true)),
            "false" | "0" => Ok(Cell::Bool(false)),
            _ => Err(mismatch()),
        },
        // A BIGINT UNSIGNED beyond the signed range arrives negative under the connector's default.
        (
            ColumnType::Int {
                bits: 64,
                unsigned: true,
            },
            Some(b'-'),
        ) => Ok(integer(raw).map(|i| Cell::Int(i128::from(i.cast_unsigned())))?),
        (ColumnType::Int { .. } | ColumnType::Float32 | ColumnType::Float64, Some(b'"')) => {
            text::read(kind, &string(raw)?)
                .map(Cell::into_owned)
                .ok_or_else(mismatch)
        }
        (ColumnType::Int { .. } | ColumnType::Float32 | ColumnType::Float64, _) => {
            text::read(kind, raw).ok_or_else(mismatch)
        }
        // The column was of another type when the record was written; this is how the database would have cast it.
        (ColumnType::Text { .. }, Some(b't' | b'f')) => Ok(Cell::Text(Cow::Borrowed(raw))),
        (ColumnType::Text { .. }, Some(b'-' | b'0'..=b'9')) => match raw.parse::<i128>() {
            Ok(_) => Ok(Cell::Text(Cow::Borrowed(raw))),
            Err(_) => Err(Unread::Lost),
        },
        (ColumnType::Text { padded: true, .. }, _) => {
            let value = string(raw)?;
            Ok(Cell::Text(match value {
                Cow::Borrowed(t) => Cow::Borrowed(t.trim_end_matches(' ')),
                Cow::Owned(t) => Cow::Owned(t.trim_end_matches(' ').to_owned()),
            }))
        }
        (ColumnType::Text { .. } | ColumnType::Other(_), _) => Ok(Cell::Text(string(raw)?)),
        (ColumnType::Json, Some(b'"')) => Ok(Cell::Json(string(raw)?)),
        (_, Some(b'"')) => text::read(kind, &string(raw)?)
            .map(Cell::into_owned)
            .ok_or_else(mismatch),
        _ => Err(mismatch()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::*;

    fn bare(raw: &str, kind: &ColumnType) -> Result<Cell<'static>, Unread> {
        let settings = Settings::default();
        let around = Around {
            placeholder: &Placeholder::new(&settings.unavailable),
            snapshot: false,
        };
        read(raw, kind, &Encoding::bare(kind, &settings), around).map(Cell::into_owned)
    }

    #[test]
    fn reads_debezium_defaults() {
        let numeric = |size| ColumnType::Numeric { size };
        for (raw, kind, want) in [
            ("true", ColumnType::Bool, Cell::Bool(true)),
            (
                "-1",
                ColumnType::Int {
                    bits: 64,
                    unsigned: true,
                },
                Cell::Int(i128::from(u64::MAX)),
            ),
            (
                "9007199254740993",
                ColumnType::INT64,
                Cell::Int(9_007_199_254_740_993),
            ),
            ("1.5", ColumnType::Float64, Cell::Float(1.5)),
            ("\"NaN\"", ColumnType::Float64, Cell::Float(f64::NAN)),
            (
                "\"/w==\"",
                numeric(Some((10, 2))),
                Cell::Numeric("-0.01".into()),
            ),
            (
                "\"AIA=\"",
                numeric(Some((10, 0))),
                Cell::Numeric("128".into()),
            ),
            (
                r#"{"scale":3,"value":"MDk="}"#,
                numeric(None),
                Cell::Numeric("12.345".into()),
            ),
            (
                r#"{"scale":-2,"value":"Aw=="}"#,
                numeric(None),
                Cell::Numeric("300".into()),
            ),
            (
                "12.50",
                numeric(Some((10, 2))),
                Cell::Numeric("12.5".into()),
            ),
            (
                r#""a\u00e4\n""#,
                ColumnType::TEXT,
                Cell::Text("aä\n".into()),
            ),
            (
                "\"AP8=\"",
                ColumnType::Bytes,
                Cell::Bytes(vec![0, 255].into()),
            ),
            ("19782", ColumnType::Date, Cell::Date(19_782)),
            ("-2147472692", ColumnType::Date, Cell::Date(i32::MAX)),
            ("-625821272", ColumnType::Date, Cell::Date(i32::MIN)),
            ("7", ColumnType::TEXT, Cell::Text("7".into())),
            (
                "1000",
                ColumnType::Time { digits: 3 },
                Cell::Time(1_000_000),
            ),
            ("1000", ColumnType::Time { digits: 6 }, Cell::Time(1_000)),
            (
                "1706704496789",
                ColumnType::Timestamp { digits: 3 },
                Cell::Timestamp(1_706_704_496_789_000),
            ),
            (
                "9223372036825200000",
                ColumnType::Timestamp { digits: 6 },
                Cell::Timestamp(i64::MAX),
            ),
            (
                "\"1970-01-01T00:00:01.5Z\"",
                ColumnType::TimestampTz { digits: 6 },
                Cell::TimestampTz(1_500_000),
            ),
            (
                "[1,null,3]",
                ColumnType::Array(Box::new(ColumnType::INT64)),
                Cell::Array(vec![Cell::Int(1), Cell::Null, Cell::Int(3)]),
            ),
            (
                "\"__debezium_unavailable_value\"",
                ColumnType::TEXT,
                Cell::Unchanged,
            ),
            (
                "[\"__debezium_unavailable_value\"]",
                ColumnType::Array(Box::new(ColumnType::TEXT)),
                Cell::Unchanged,
            ),
            ("null", ColumnType::TEXT, Cell::Null),
        ] {
            assert_eq!(bare(raw, &kind), Ok(want), "{raw} {kind}");
        }
        for (raw, kind) in [
            ("\"x\"", ColumnType::INT64),
            ("1.5", ColumnType::INT64),
            ("{}", ColumnType::TEXT),
            ("\"!\"", ColumnType::Bytes),
            ("-2147472693", ColumnType::Date),
            ("[[1]]", ColumnType::Array(Box::new(ColumnType::INT64))),
        ] {
            assert!(bare(raw, &kind).is_err(), "{raw} {kind}");
        }
    }
}
