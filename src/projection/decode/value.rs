//! One JSON value to one cell. Bare JSON has no types, so the column's own type says how Debezium's default settings
//! would have written it; an embedded schema says it outright.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use num_bigint::BigInt;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::projection::calendar;
use crate::projection::cell::Cell;
use crate::projection::numeric;
use crate::projection::text;
use crate::projection::types::ColumnType;

/// What Debezium writes for a TOASTed value that an update did not touch.
const UNCHANGED: &str = "__debezium_unavailable_value";

/// How a value is written in the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As JSON has it: booleans, numbers, text.
    Plain,
    /// A decimal: base64 of the unscaled integer under this scale, or `{"scale","value"}`; numbers and texts are taken too.
    Decimal { scale: Option<i32> },
    /// Base64.
    Base64,
    /// Days since the epoch.
    Days,
    /// Units since midnight.
    TimeOfDay { unit_nanos: i64 },
    /// Units since the epoch; `connect` marks Kafka's own logical type.
    Instant { unit_nanos: i64, connect: bool },
    /// Text in ISO form, with a zone.
    Iso,
    /// A list.
    Array(Box<Encoding>),
}

impl Encoding {
    /// How Debezium writes a column of this type under its default settings (adaptive times, precise decimals).
    pub(super) fn bare(kind: &ColumnType) -> Encoding {
        match kind {
            ColumnType::Numeric { size } => Encoding::Decimal {
                scale: size.and_then(|(_, s)| i32::try_from(s).ok()),
            },
            ColumnType::Bytes => Encoding::Base64,
            ColumnType::Date => Encoding::Days,
            ColumnType::Time { digits } => Encoding::TimeOfDay {
                unit_nanos: unit(*digits),
            },
            ColumnType::Timestamp { digits } => Encoding::Instant {
                unit_nanos: unit(*digits),
                connect: false,
            },
            ColumnType::TimestampTz { .. } => Encoding::Iso,
            ColumnType::Array(of) => Encoding::Array(Box::new(Encoding::bare(of))),
            _ => Encoding::Plain,
        }
    }
}

fn unit(digits: u8) -> i64 {
    if digits <= 3 { 1_000_000 } else { 1_000 }
}

/// Reads a raw JSON value of a column of type `kind`. An error names what was found, never the value.
pub(super) fn read<'a>(
    raw: &'a str,
    kind: &ColumnType,
    encoding: &Encoding,
) -> Result<Cell<'a>, String> {
    if raw == "null" {
        return Ok(Cell::Null);
    }
    if is_unchanged(raw) {
        return Ok(Cell::Unchanged);
    }
    match encoding {
        Encoding::Plain => plain(raw, kind),
        Encoding::Decimal { scale } => decimal(raw, *scale),
        Encoding::Base64 => bytes(raw).map(|b| Cell::Bytes(Cow::Owned(b))),
        Encoding::Days => days(integer(raw)?),
        Encoding::TimeOfDay { unit_nanos } => time_of_day(integer(raw)?, *unit_nanos),
        Encoding::Instant { unit_nanos, .. } => instant(integer(raw)?, *unit_nanos, kind),
        Encoding::Iso => iso(raw, kind),
        Encoding::Array(of) => array(raw, kind, of),
    }
}

/// The placeholder in the forms it takes for text, bytes, `text[]` and integer arrays.
fn is_unchanged(raw: &str) -> bool {
    const BASE64: &str = "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"";
    match raw.as_bytes() {
        [b'"', b'_', ..] => raw.len() == UNCHANGED.len() + 2 && &raw[1..raw.len() - 1] == UNCHANGED,
        [b'"', b'X', ..] => raw == BASE64,
        [b'[', b'"', b'_', ..] => {
            raw.strip_prefix("[\"").and_then(|r| r.strip_suffix("\"]")) == Some(UNCHANGED)
        }
        [b'[', b'"', b'X', ..] => {
            raw.strip_prefix('[').and_then(|r| r.strip_suffix(']')) == Some(BASE64)
        }
        [b'[', b'9', b'5', b',', ..] => serde_json::from_str::<Vec<i64>>(raw)
            .is_ok_and(|v| v.iter().copied().eq(UNCHANGED.bytes().map(i64::from))),
        _ => false,
    }
}

/// The text of a JSON string, borrowed where it has no escape.
fn string(raw: &str) -> Result<Cow<'_, str>, String> {
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
fn shape(raw: &str) -> &'static str {
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

fn plain<'a>(raw: &'a str, kind: &ColumnType) -> Result<Cell<'a>, String> {
    let mismatch = || format!("{} in a column of type {kind}", shape(raw));
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
        ) => integer(raw).map(|i| Cell::Int(i128::from(i.cast_unsigned()))),
        (ColumnType::Int { .. } | ColumnType::Float32 | ColumnType::Float64, Some(b'"')) => {
            text::read(kind, &string(raw)?)
                .map(Cell::into_owned)
                .ok_or_else(mismatch)
        }
        (ColumnType::Int { .. } | ColumnType::Float32 | ColumnType::Float64, _) => {
            text::read(kind, raw).ok_or_else(mismatch)
        }
        (ColumnType::Text { padded: true, .. }, _) => {
            let value = string(raw)?;
            Ok(Cell::Text(match value {
                Cow::Borrowed(t) => Cow::Borrowed(t.trim_end_matches(' ')),
                Cow::Owned(t) => Cow::Owned(t.trim_end_matches(' ').to_owned()),
            }))
        }
        (ColumnType::Text { .. } | ColumnType::Other(_), _) => string(raw).map(Cell::Text),
        (ColumnType::Json, Some(b'"')) => string(raw).map(Cell::Json),
        (_, Some(b'"')) => text::read(kind, &string(raw)?)
            .map(Cell::into_owned)
            .ok_or_else(mismatch),
        _ => Err(mismatch()),
    }
}

#[derive(Deserialize)]
struct Variable<'a> {
    scale: i32,
    #[serde(borrow)]
    value: &'a RawValue,
}

fn decimal(raw: &str, scale: Option<i32>) -> Result<Cell<'_>, String> {
    let bad = || format!("{} that is no decimal", shape(raw));
    match (raw.as_bytes().first(), scale) {
        (Some(b'{'), _) => {
            let variable: Variable<'_> = serde_json::from_str(raw).map_err(|_| bad())?;
            unscaled(variable.value.get(), variable.scale)
        }
        (Some(b'"'), Some(scale)) => {
            let value = string(raw)?;
            // A point or a sign is no base64: then the connector writes decimals as text.
            if value.contains(['.', '-']) || value.starts_with("NAN") || value.ends_with("INFINITY")
            {
                return numeric::parse(&value)
                    .map(|t| Cell::Numeric(Cow::Owned(t.into_owned())))
                    .ok_or_else(bad);
            }
            unscaled(raw, scale)
        }
        (Some(b'"'), None) => numeric::parse(&string(raw)?)
            .map(|t| Cell::Numeric(Cow::Owned(t.into_owned())))
            .ok_or_else(bad),
        _ => numeric::parse(raw).map(Cell::Numeric).ok_or_else(bad),
    }
}

/// A big-endian two's-complement integer in base64, with its decimal point moved.
fn unscaled(raw: &str, scale: i32) -> Result<Cell<'static>, String> {
    let bytes = bytes(raw)?;
    let digits = match <[u8; 8]>::try_from(sign_extended(&bytes)) {
        Ok(word) if bytes.len() <= 8 => i64::from_be_bytes(word).to_string(),
        _ => BigInt::from_signed_bytes_be(&bytes).to_string(),
    };
    Ok(Cell::Numeric(Cow::Owned(point(&digits, scale)?)))
}

fn sign_extended(bytes: &[u8]) -> Vec<u8> {
    let fill = if bytes.first().is_some_and(|b| b & 0x80 != 0) {
        0xff
    } else {
        0
    };
    let mut word = vec![fill; 8usize.saturating_sub(bytes.len())];
    word.extend_from_slice(bytes);
    word
}

fn point(digits: &str, scale: i32) -> Result<String, String> {
    if !(-20_000..=20_000).contains(&scale) {
        return Err("a decimal whose scale is out of range".to_owned());
    }
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |d| ("-", d));
    let Ok(scale) = usize::try_from(scale) else {
        let zeros = if digits == "0" {
            0
        } else {
            scale.unsigned_abs() as usize
        };
        return Ok(format!("{sign}{digits}{}", "0".repeat(zeros)));
    };
    if scale == 0 {
        return Ok(format!("{sign}{digits}"));
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    Ok(format!("{sign}{whole}.{fraction}"))
}

fn bytes(raw: &str) -> Result<Vec<u8>, String> {
    let value = string(raw)?;
    STANDARD
        .decode(value.as_bytes())
        .map_err(|_| "a text that is no base64".to_owned())
}

/// PostgreSQL's dates end in 5874897 AD and begin in 4714 BC; what lies beyond is an infinity, and the connector
/// writes those differently in snapshot and stream, so that they cannot be told apart.
fn days(days: i64) -> Result<Cell<'static>, String> {
    match i32::try_from(days) {
        Ok(d) if (-2_451_545..=2_145_031_948).contains(&d) => Ok(Cell::Date(d)),
        _ => Err(
            "a date out of range (an infinity, which this connector does not write faithfully)"
                .to_owned(),
        ),
    }
}

fn time_of_day(value: i64, unit_nanos: i64) -> Result<Cell<'static>, String> {
    let micros = to_micros(value, unit_nanos).ok_or("a time finer than a microsecond")?;
    if (0..=calendar::DAY_MICROS).contains(&micros) {
        Ok(Cell::Time(micros))
    } else {
        Err("a time of day out of range".to_owned())
    }
}

fn to_micros(value: i64, unit_nanos: i64) -> Option<i64> {
    let nanos = i128::from(value) * i128::from(unit_nanos);
    if nanos % 1_000 == 0 {
        i64::try_from(nanos / 1_000).ok()
    } else {
        None
    }
}

/// The values by which the PostgreSQL connector writes infinity, in microseconds.
const INFINITE_MICROS: (i64, i64) = (9_223_372_036_825_200_000, -9_223_372_036_832_400_000);

fn instant(value: i64, unit_nanos: i64, kind: &ColumnType) -> Result<Cell<'static>, String> {
    let per_micro = 1_000 / unit_nanos.min(1_000);
    let (late, early) = match unit_nanos {
        1_000_000 => (INFINITE_MICROS.0 / 1_000, INFINITE_MICROS.1 / 1_000),
        _ => INFINITE_MICROS,
    };
    let micros = match value {
        v if v == late && per_micro == 1 => i64::MAX,
        v if v == early && per_micro == 1 => i64::MIN,
        v => to_micros(v, unit_nanos)
            .ok_or("a timestamp out of range or finer than a microsecond")?,
    };
    Ok(match kind {
        ColumnType::TimestampTz { .. } => Cell::TimestampTz(micros),
        _ => Cell::Timestamp(micros),
    })
}

fn iso<'a>(raw: &str, kind: &ColumnType) -> Result<Cell<'a>, String> {
    let value = string(raw)?;
    let read = match kind {
        ColumnType::TimestampTz { .. } => {
            calendar::read_timestamp_tz(&value).map(Cell::TimestampTz)
        }
        _ => text::read(kind, &value).map(Cell::into_owned),
    };
    read.ok_or_else(|| format!("a text that is no {kind}"))
}

fn array<'a>(raw: &'a str, kind: &ColumnType, of: &Encoding) -> Result<Cell<'a>, String> {
    let ColumnType::Array(element) = kind else {
        return Err(format!("a list in a column of type {kind}"));
    };
    let items: Vec<&'a RawValue> = serde_json::from_str(raw)
        .map_err(|_| format!("{} where a list is expected", shape(raw)))?;
    items
        .into_iter()
        .map(|item| read(item.get(), element, of))
        .collect::<Result<_, _>>()
        .map(Cell::Array)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(raw: &str, kind: &ColumnType) -> Result<Cell<'static>, String> {
        read(raw, kind, &Encoding::bare(kind)).map(Cell::into_owned)
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
        let int_array = format!(
            "[{}]",
            UNCHANGED
                .bytes()
                .map(|b| b.to_string())
                .collect::<Vec<_>>()
                .join(",")
        );
        assert_eq!(
            bare(&int_array, &ColumnType::Array(Box::new(ColumnType::INT64))),
            Ok(Cell::Unchanged)
        );
        for (raw, kind) in [
            ("\"x\"", ColumnType::INT64),
            ("1.5", ColumnType::INT64),
            ("1", ColumnType::TEXT),
            ("{}", ColumnType::TEXT),
            ("\"!\"", ColumnType::Bytes),
            ("-2147472692", ColumnType::Date),
            ("[[1]]", ColumnType::Array(Box::new(ColumnType::INT64))),
        ] {
            assert!(bare(raw, &kind).is_err(), "{raw} {kind}");
        }
    }
}
