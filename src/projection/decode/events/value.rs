//! One value of an event to one cell. JSON has few types, so the column of the read table says what is meant; instants and
//! dates are texts in ISO form, for a number would not say of what unit it is.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::place::{Found, string};
use crate::projection::calendar;
use crate::projection::cell::Cell;
use crate::projection::numeric;
use crate::projection::text;
use crate::projection::types::ColumnType;

/// What was found, for a column of type `kind`. An error says what it is, never the value.
pub(super) fn cell(found: &Found<'_>, kind: &ColumnType) -> Result<Cell<'static>, String> {
    match found {
        Found::Text(text) => spelled(kind, text),
        Found::Json(raw) => json(raw, kind),
    }
}

fn json(raw: &str, kind: &ColumnType) -> Result<Cell<'static>, String> {
    if raw == "null" {
        return Ok(Cell::Null);
    }
    if *kind == ColumnType::Json {
        return Ok(Cell::Json(Cow::Owned(raw.to_owned())));
    }
    match (raw.as_bytes().first(), kind) {
        (Some(b'"'), _) => spelled(kind, &string(raw).ok_or("no text")?),
        (Some(b'['), ColumnType::Array(of)) => {
            let elements: Vec<&RawValue> =
                serde_json::from_str(raw).map_err(|_| "no list".to_owned())?;
            let cells = elements.iter().map(|e| json(e.get(), of));
            cells.collect::<Result<_, _>>().map(Cell::Array)
        }
        (Some(b'['), _) => Err("a list; name an element of it, or keep it as json".to_owned()),
        (Some(b'{'), _) => Err("an object; name a field of it, or keep it as json".to_owned()),
        (Some(b't' | b'f'), ColumnType::Bool) => Ok(Cell::Bool(raw == "true")),
        (Some(b't' | b'f'), ColumnType::Text { .. }) => Ok(Cell::Text(Cow::Owned(raw.to_owned()))),
        (Some(b't' | b'f'), _) => Err(format!("true or false, and no {kind}")),
        _ => number(raw, kind),
    }
}

fn number(raw: &str, kind: &ColumnType) -> Result<Cell<'static>, String> {
    match kind {
        // As it is written, since nothing else may be lost.
        ColumnType::Text { .. } => Ok(Cell::Text(Cow::Owned(raw.to_owned()))),
        ColumnType::Float32 | ColumnType::Float64 => spelled(kind, raw),
        ColumnType::Date
        | ColumnType::Time { .. }
        | ColumnType::Timestamp { .. }
        | ColumnType::TimestampTz { .. } => Err(format!(
            "a number, and does not say of what unit; a {kind} is read from a text such as 2024-01-31T12:00:00Z"
        )),
        _ => match numeric::parse(raw) {
            Some(number) => Ok(integer_or_decimal(&number)),
            None => Err("a number that is too long".to_owned()),
        },
    }
}

fn integer_or_decimal(number: &str) -> Cell<'static> {
    let whole = numeric::canonical(number).parse().map(Cell::Int);
    whole.unwrap_or_else(|_| Cell::Numeric(Cow::Owned(number.to_owned())))
}

/// A text as the value that it spells.
fn spelled(kind: &ColumnType, text: &str) -> Result<Cell<'static>, String> {
    let read = match kind {
        ColumnType::Array(_) => None,
        ColumnType::Json => super::place::json(text).ok().map(|t| Cell::Json(t.into())),
        ColumnType::Bytes if !text.starts_with("\\x") => {
            STANDARD.decode(text).ok().map(|b| Cell::Bytes(b.into()))
        }
        // An instant in a column without a zone is kept in UTC, as every session has it.
        ColumnType::Timestamp { .. } => {
            let plain = calendar::read_timestamp(text).map(Cell::Timestamp);
            plain.or_else(|| calendar::read_timestamp_tz(text).map(Cell::TimestampTz))
        }
        kind => text::read(kind, text),
    };
    let read = read.map(Cell::into_owned);
    read.ok_or_else(|| format!("a text that is no {kind}"))
}

/// A number with the other sign; `None` for what is none.
pub(super) fn negated(cell: Cell<'static>) -> Option<Cell<'static>> {
    match cell {
        Cell::Int(i) => i.checked_neg().map(Cell::Int),
        Cell::Float(f) => Some(Cell::Float(-f)),
        Cell::Numeric(t) => Some(Cell::Numeric(Cow::Owned(numeric::negated(&t)))),
        _ => None,
    }
}
