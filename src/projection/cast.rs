//! Coercion of a value to a column's type, as the database would do it on write, except that losing anything is an
//! error here.

use std::borrow::Cow;

use super::calendar::DAY_MICROS;
use super::cell::Cell;
use super::numeric;
use super::text;
use super::types::{Column, ColumnType};

/// A value that its column does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {problem} (column type {kind})")]
pub struct CastError {
    /// Column.
    pub column: String,
    /// Its type.
    pub kind: String,
    /// What is wrong; names the value's kind, never the value itself.
    pub problem: String,
}

/// The value as `column` would store it.
///
/// # Errors
/// When it does not fit, or only by losing something.
pub fn coerce<'a>(cell: Cell<'a>, column: &Column) -> Result<Cell<'a>, CastError> {
    let fail = |problem: &str| CastError {
        column: column.name.clone(),
        kind: column.kind.to_string(),
        problem: problem.to_owned(),
    };
    match cell {
        Cell::Unchanged => Ok(Cell::Unchanged),
        Cell::Added(by) => coerce(*by, column).map(|by| Cell::Added(Box::new(by))),
        Cell::Null if column.nullable => Ok(Cell::Null),
        Cell::Null => Err(fail("NULL in a column that is NOT NULL")),
        cell => to(cell, &column.kind).map_err(|problem| fail(&problem)),
    }
}

/// Whether a column of type `kind` takes values of type `from`, or at least some of them: a text may still be too long.
#[must_use]
pub fn takes(kind: &ColumnType, from: &ColumnType) -> bool {
    easy(from).into_iter().any(|cell| to(cell, kind).is_ok())
}

/// The values of a type that are the easiest to hold.
fn easy(kind: &ColumnType) -> Vec<Cell<'static>> {
    let number = Cow::Borrowed("0");
    vec![match kind {
        ColumnType::Bool => Cell::Bool(false),
        ColumnType::Int { .. } => Cell::Int(0),
        ColumnType::Float32 | ColumnType::Float64 => Cell::Float(0.0),
        ColumnType::Numeric { .. } => Cell::Numeric(number),
        // A text may spell what has a type of its own in the other database.
        ColumnType::Text { .. } => {
            let spelled = ["", "{}", "00000000-0000-0000-0000-000000000000"];
            return spelled.map(|t| Cell::Text(t.into())).into();
        }
        ColumnType::Bytes => Cell::Bytes(Cow::Borrowed(&[])),
        ColumnType::Date => Cell::Date(0),
        ColumnType::Time { .. } => Cell::Time(0),
        ColumnType::Timestamp { .. } => Cell::Timestamp(0),
        ColumnType::TimestampTz { .. } => Cell::TimestampTz(0),
        ColumnType::Uuid => Cell::Uuid(0),
        ColumnType::Json => Cell::Json("{}".into()),
        ColumnType::Array(of) => {
            let each = easy(of).into_iter();
            return each.map(|cell| Cell::Array(vec![cell])).collect();
        }
        ColumnType::Other(_) => Cell::Text("".into()),
    }]
}

fn to<'a>(cell: Cell<'a>, kind: &ColumnType) -> Result<Cell<'a>, String> {
    match (kind, cell) {
        (ColumnType::Bool, Cell::Int(i @ (0 | 1))) => Ok(Cell::Bool(i == 1)),
        (ColumnType::Bool, cell @ Cell::Bool(_)) => Ok(cell),
        (ColumnType::Int { bits, unsigned }, cell) => to_int(cell, *bits, *unsigned),
        (ColumnType::Float32, cell) => to_float(cell, true),
        (ColumnType::Float64, cell) => to_float(cell, false),
        (ColumnType::Numeric { size }, cell) => to_numeric(cell, *size),
        (ColumnType::Text { max_chars, padded }, cell) => to_text(cell, *max_chars, *padded),
        (ColumnType::Bytes, cell @ Cell::Bytes(_)) => Ok(cell),
        (ColumnType::Date, cell) => to_date(cell),
        (ColumnType::Time { digits }, Cell::Time(t)) => within_digits(t, *digits).map(Cell::Time),
        (ColumnType::Timestamp { digits }, cell) => to_micros(cell, *digits).map(Cell::Timestamp),
        (ColumnType::TimestampTz { digits }, cell) => {
            to_micros(cell, *digits).map(Cell::TimestampTz)
        }
        (ColumnType::Json, cell @ Cell::Json(_)) => Ok(cell),
        (ColumnType::Array(of), Cell::Array(cells)) => {
            let cells = cells
                .into_iter()
                .map(|c| if c == Cell::Null { Ok(c) } else { to(c, of) });
            cells.collect::<Result<_, _>>().map(Cell::Array)
        }
        (ColumnType::Other(_), Cell::Text(t)) => Ok(Cell::Text(t)),
        (ColumnType::Uuid, cell @ Cell::Uuid(_)) => Ok(cell),
        (kind @ (ColumnType::Uuid | ColumnType::Json), Cell::Text(t)) => {
            let read = text::read(kind, &t).map(Cell::into_owned);
            read.ok_or_else(|| format!("a text that is no {kind}"))
        }
        (_, cell) => Err(format!("a value of kind {}", name(&cell))),
    }
}

/// What a cell is, without saying what is in it.
fn name(cell: &Cell<'_>) -> &'static str {
    match cell {
        Cell::Null => "NULL",
        Cell::Unchanged => "unchanged",
        Cell::Bool(_) => "boolean",
        Cell::Int(_) => "integer",
        Cell::Float(_) => "float",
        Cell::Numeric(_) => "numeric",
        Cell::Text(_) => "text",
        Cell::Bytes(_) => "bytes",
        Cell::Date(_) => "date",
        Cell::Time(_) => "time",
        Cell::Timestamp(_) => "timestamp",
        Cell::TimestampTz(_) => "timestamptz",
        Cell::Uuid(_) => "uuid",
        Cell::Json(_) => "json",
        Cell::Array(_) => "array",
        Cell::Added(_) => "addition",
    }
}

fn to_int<'a>(cell: Cell<'a>, bits: u8, unsigned: bool) -> Result<Cell<'a>, String> {
    let value = match &cell {
        Cell::Int(i) => *i,
        Cell::Bool(b) => i128::from(*b),
        Cell::Numeric(t) => numeric::canonical(t)
            .parse()
            .map_err(|_| "a number that is no integer".to_owned())?,
        cell => return Err(format!("a value of kind {}", name(cell))),
    };
    let (least, greatest) = ColumnType::int_range(bits, unsigned);
    if value < least || value > greatest {
        return Err("an integer out of range".to_owned());
    }
    Ok(Cell::Int(value))
}

fn to_float<'a>(cell: Cell<'a>, single: bool) -> Result<Cell<'a>, String> {
    let exact = |text: &str| -> Option<f64> {
        let value: f64 = text.parse().ok()?;
        let back = text::of(&Cell::Float(value))?;
        (numeric::compare(&numeric::parse(&back)?, &numeric::parse(text)?).is_eq()).then_some(value)
    };
    let value = match &cell {
        Cell::Float(f) => Some(*f),
        Cell::Int(i) => exact(&i.to_string()),
        Cell::Numeric(t) => exact(t),
        cell => return Err(format!("a value of kind {}", name(cell))),
    };
    let value = value.ok_or("a number that a float cannot hold exactly")?;
    #[allow(clippy::cast_possible_truncation)] // The comparison right after finds what was lost.
    if single && !value.is_nan() && f64::from(value as f32) != value {
        return Err("a number that a 32-bit float cannot hold exactly".to_owned());
    }
    Ok(Cell::Float(value))
}

fn to_numeric<'a>(cell: Cell<'a>, size: Option<(u32, u32)>) -> Result<Cell<'a>, String> {
    let number: Cow<'a, str> = match cell {
        Cell::Numeric(t) => t,
        Cell::Int(i) => Cow::Owned(i.to_string()),
        Cell::Float(f) => {
            let written = text::of(&Cell::Float(f)).unwrap_or_default();
            Cow::Owned(
                numeric::parse(&written)
                    .unwrap_or(Cow::Borrowed("NaN"))
                    .into_owned(),
            )
        }
        cell => return Err(format!("a value of kind {}", name(&cell))),
    };
    if let Some((precision, scale)) = size {
        let (whole, fraction) = numeric::digits(&number);
        let bounded = !matches!(&*number, "NaN");
        if bounded
            && (number.ends_with("Infinity") || whole > (precision.saturating_sub(scale)) as usize)
        {
            return Err("a number too large".to_owned());
        }
        if bounded && fraction > scale as usize {
            return Err("a number with more digits after the point".to_owned());
        }
    }
    Ok(Cell::Numeric(number))
}

fn to_text<'a>(cell: Cell<'a>, max_chars: Option<u32>, padded: bool) -> Result<Cell<'a>, String> {
    let value = match cell {
        Cell::Text(t) => t,
        Cell::Json(t) => t,
        Cell::Bytes(_) | Cell::Array(_) => return Err(format!("a value of kind {}", name(&cell))),
        Cell::Bool(b) => Cow::Borrowed(if b { "true" } else { "false" }),
        cell => Cow::Owned(text::of(&cell).unwrap_or_default()),
    };
    let value = if padded { trim_padding(value) } else { value };
    match max_chars {
        Some(max) if value.len() > max as usize && value.chars().count() > max as usize => {
            Err("a text that is too long".to_owned())
        }
        _ => Ok(Cell::Text(value)),
    }
}

fn trim_padding(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(t) => Cow::Borrowed(t.trim_end_matches(' ')),
        Cow::Owned(mut t) => {
            t.truncate(t.trim_end_matches(' ').len());
            Cow::Owned(t)
        }
    }
}

fn to_date<'a>(cell: Cell<'a>) -> Result<Cell<'a>, String> {
    match cell {
        Cell::Date(d) => Ok(Cell::Date(d)),
        Cell::Timestamp(i64::MAX) => Ok(Cell::Date(i32::MAX)),
        Cell::Timestamp(i64::MIN) => Ok(Cell::Date(i32::MIN)),
        Cell::Timestamp(t) if t % DAY_MICROS == 0 => i32::try_from(t / DAY_MICROS)
            .map(Cell::Date)
            .map_err(|_| "a date out of range".to_owned()),
        Cell::Timestamp(_) => Err("a timestamp with a time of day".to_owned()),
        cell => Err(format!("a value of kind {}", name(&cell))),
    }
}

/// A time zone is taken as UTC, which is what every session is set to.
fn to_micros(cell: Cell<'_>, digits: u8) -> Result<i64, String> {
    let micros = match cell {
        Cell::Timestamp(t) | Cell::TimestampTz(t) => t,
        Cell::Date(i32::MAX) => i64::MAX,
        Cell::Date(i32::MIN) => i64::MIN,
        Cell::Date(d) => i64::from(d) * DAY_MICROS,
        cell => return Err(format!("a value of kind {}", name(&cell))),
    };
    if matches!(micros, i64::MAX | i64::MIN) {
        Ok(micros)
    } else {
        within_digits(micros, digits)
    }
}

fn within_digits(micros: i64, digits: u8) -> Result<i64, String> {
    let unit = 10i64.pow(6u32.saturating_sub(u32::from(digits)));
    if micros % unit == 0 {
        Ok(micros)
    } else {
        Err("a time with more digits than the column keeps".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(kind: ColumnType) -> Column {
        Column {
            name: "c".to_owned(),
            kind,
            nullable: false,
        }
    }

    #[test]
    fn which_types_take_which() {
        let array = |of: ColumnType| ColumnType::Array(Box::new(of));
        let small = ColumnType::Numeric { size: Some((2, 2)) };
        for (to, from) in [
            (ColumnType::INT64, ColumnType::Bool),
            (small, ColumnType::INT64),
            (ColumnType::TEXT, ColumnType::Date),
            (ColumnType::Uuid, ColumnType::TEXT),
            (ColumnType::Json, ColumnType::TEXT),
            (ColumnType::Date, ColumnType::Timestamp { digits: 6 }),
            (array(ColumnType::TEXT), array(ColumnType::INT64)),
        ] {
            assert!(takes(&to, &from), "{to} takes {from}");
        }
        for (to, from) in [
            (ColumnType::INT64, ColumnType::TEXT),
            (ColumnType::INT64, ColumnType::Date),
            (ColumnType::Bytes, ColumnType::TEXT),
            (ColumnType::TEXT, ColumnType::Bytes),
            (ColumnType::TEXT, array(ColumnType::TEXT)),
            (ColumnType::Bool, ColumnType::TEXT),
        ] {
            assert!(!takes(&to, &from), "{to} takes {from}");
        }
    }

    #[test]
    fn fits_or_says_why() {
        let ok = |cell: Cell<'static>, kind: ColumnType| coerce(cell, &column(kind)).expect("fits");
        assert_eq!(
            ok(Cell::Numeric("3.00".into()), ColumnType::INT64),
            Cell::Int(3)
        );
        assert_eq!(
            ok(
                Cell::Text("ab  ".into()),
                ColumnType::Text {
                    max_chars: Some(2),
                    padded: true
                }
            ),
            Cell::Text("ab".into())
        );
        assert_eq!(
            ok(Cell::Int(7), ColumnType::Numeric { size: Some((3, 2)) }),
            Cell::Numeric("7".into())
        );
        assert_eq!(
            ok(Cell::Date(1), ColumnType::Timestamp { digits: 0 }),
            Cell::Timestamp(DAY_MICROS)
        );
        assert_eq!(ok(Cell::Int(5), ColumnType::TEXT), Cell::Text("5".into()));
        for (cell, kind) in [
            (
                Cell::Int(40_000),
                ColumnType::Int {
                    bits: 16,
                    unsigned: false,
                },
            ),
            (
                Cell::Int(-1),
                ColumnType::Int {
                    bits: 64,
                    unsigned: true,
                },
            ),
            (
                Cell::Numeric("1.005".into()),
                ColumnType::Numeric { size: Some((5, 2)) },
            ),
            (
                Cell::Numeric("1000".into()),
                ColumnType::Numeric { size: Some((5, 2)) },
            ),
            (
                Cell::Text("abc".into()),
                ColumnType::Text {
                    max_chars: Some(2),
                    padded: false,
                },
            ),
            (Cell::Float(0.1), ColumnType::Float32),
            (Cell::Timestamp(1), ColumnType::Timestamp { digits: 3 }),
            (Cell::Text("x".into()), ColumnType::Uuid),
            (Cell::Null, ColumnType::TEXT),
        ] {
            assert!(
                coerce(cell.clone(), &column(kind.clone())).is_err(),
                "{cell:?} {kind}"
            );
        }
    }
}
