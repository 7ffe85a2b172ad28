//! SQLite: limits of key ranges as values that a column can hold.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::projection::calendar::DAY_MICROS;
use crate::projection::cell::Cell;
use crate::projection::numeric;
use crate::projection::text;
use crate::projection::types::ColumnType;
use crate::store::Output;

use super::sqlite::Bind;

/// The least stored value that is not below a cell, and whether it equals the cell.
#[derive(Debug, PartialEq)]
pub(super) struct Bound {
    pub(super) bind: Bind,
    pub(super) exact: bool,
}

pub(super) fn bound(output: &Output, cell: &Cell<'_>) -> Result<Bound, String> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::types::Column;

    fn output(name: &str, kind: ColumnType, cast: Option<ColumnType>) -> Output {
        let column = Column {
            name: name.to_owned(),
            kind,
            nullable: true,
        };
        Output { column, cast }
    }

    #[test]
    fn limits_are_rounded_up_to_what_can_be_stored() {
        let numeric = ColumnType::Numeric { size: None };
        for (number, bind, exact) in [
            ("1.50", Bind::Real(1.5), true),
            ("0.1", Bind::Real(0.1), true),
            ("7.0", Bind::Int(7), true),
            (
                "0.10000000000000000001",
                Bind::Real(0.1_f64.next_up()),
                false,
            ),
            ("0.09999999999999999999", Bind::Real(0.1), false),
            (
                "9007199254740993.5",
                Bind::Real(9_007_199_254_740_994.0),
                false,
            ),
            (
                "-9007199254740993.5",
                Bind::Int(-9_007_199_254_740_993),
                false,
            ),
            (
                "9223372036854775807.5",
                Bind::Real(9_223_372_036_854_775_808.0),
                false,
            ),
            ("NaN", Bind::Text("NaN".to_owned()), true),
            ("-Infinity", Bind::Real(f64::NEG_INFINITY), true),
        ] {
            assert_eq!(ceiling(number, &numeric), Bound { bind, exact }, "{number}");
        }
        let day = output("d", ColumnType::Date, None);
        let noon = Cell::Timestamp(DAY_MICROS / 2);
        let next = Bind::Text("1970-01-02".to_owned());
        let rounded = Bound {
            bind: next,
            exact: false,
        };
        assert_eq!(bound(&day, &noon), Ok(rounded));
    }
}
