//! The value of one column, independent of any database, with the one equality and order that every
//! comparison in trueup uses.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use super::json;
use super::numeric;

/// One value. Borrowed from the record or row it was read from where that is possible.
#[derive(Clone, Debug)]
pub enum Cell<'a> {
    /// SQL NULL.
    Null,
    /// No value is known: the log says "unchanged", or the record is too old to have the column.
    /// Never the same as NULL, and equal to nothing but itself.
    Unchanged,
    /// So much more than before: what a domain event adds to a number. Only in a change, never in a row.
    Added(Box<Cell<'a>>),
    /// A boolean.
    Bool(bool),
    /// An integer of any width up to an unsigned 64-bit one.
    Int(i128),
    /// A binary floating-point number; `NaN` equals `NaN`, and `-0` equals `0`.
    Float(f64),
    /// A decimal number as text: optional sign, digits, optional fraction; or `NaN`, `Infinity`, `-Infinity`.
    /// `1.50` equals `1.5`; the written scale is kept.
    Numeric(Cow<'a, str>),
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// Days since 1970-01-01; `i32::MAX` and `i32::MIN` are the infinities.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970-01-01 00:00 without a zone; `i64::MAX` and `i64::MIN` are the infinities.
    Timestamp(i64),
    /// Microseconds since 1970-01-01 00:00 UTC; `i64::MAX` and `i64::MIN` are the infinities.
    TimestampTz(i64),
    /// A UUID.
    Uuid(u128),
    /// A JSON document; equal when the parsed documents are.
    Json(Cow<'a, str>),
    /// A one-dimensional array; its elements are `Null` or of one kind.
    Array(Vec<Cell<'a>>),
}

/// The cells of one row, in the order of the columns that its owner names.
pub type Row<'a> = Vec<Cell<'a>>;

impl Cell<'_> {
    /// A copy that borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> Cell<'static> {
        match self {
            Cell::Null => Cell::Null,
            Cell::Unchanged => Cell::Unchanged,
            Cell::Added(by) => Cell::Added(Box::new(by.into_owned())),
            Cell::Bool(b) => Cell::Bool(b),
            Cell::Int(i) => Cell::Int(i),
            Cell::Float(f) => Cell::Float(f),
            Cell::Numeric(t) => Cell::Numeric(Cow::Owned(t.into_owned())),
            Cell::Text(t) => Cell::Text(Cow::Owned(t.into_owned())),
            Cell::Bytes(b) => Cell::Bytes(Cow::Owned(b.into_owned())),
            Cell::Date(d) => Cell::Date(d),
            Cell::Time(t) => Cell::Time(t),
            Cell::Timestamp(t) => Cell::Timestamp(t),
            Cell::TimestampTz(t) => Cell::TimestampTz(t),
            Cell::Uuid(u) => Cell::Uuid(u),
            Cell::Json(t) => Cell::Json(Cow::Owned(t.into_owned())),
            Cell::Array(a) => Cell::Array(a.into_iter().map(Cell::into_owned).collect()),
        }
    }

    /// Heap bytes behind the cell, for memory bounds.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Cell::Numeric(t) | Cell::Text(t) | Cell::Json(t) => t.len(),
            Cell::Bytes(b) => b.len(),
            Cell::Added(by) => size_of::<Cell<'_>>() + by.heap_bytes(),
            Cell::Array(a) => a
                .iter()
                .map(|c| size_of::<Cell<'_>>() + c.heap_bytes())
                .sum(),
            _ => 0,
        }
    }

    /// The sum of two numbers of one kind; `None` when they are none, or it is too large. NULL stays NULL, as in SQL.
    #[must_use]
    pub fn plus(&self, other: &Cell<'_>) -> Option<Cell<'static>> {
        match (self, other) {
            (Cell::Null, _) => Some(Cell::Null),
            (Cell::Int(a), Cell::Int(b)) => a.checked_add(*b).map(Cell::Int),
            (Cell::Float(a), Cell::Float(b)) => Some(Cell::Float(a + b)),
            (Cell::Numeric(a), Cell::Numeric(b)) => {
                Some(Cell::Numeric(Cow::Owned(numeric::sum(a, b))))
            }
            _ => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Cell::Unchanged => 0,
            Cell::Bool(_) => 1,
            Cell::Int(_) => 2,
            Cell::Float(_) => 3,
            Cell::Numeric(_) => 4,
            Cell::Text(_) => 5,
            Cell::Bytes(_) => 6,
            Cell::Date(_) => 7,
            Cell::Time(_) => 8,
            Cell::Timestamp(_) => 9,
            Cell::TimestampTz(_) => 10,
            Cell::Uuid(_) => 11,
            Cell::Json(_) => 12,
            Cell::Array(_) => 13,
            Cell::Null => 14,
            Cell::Added(_) => 15,
        }
    }
}

impl Ord for Cell<'_> {
    /// Numbers numerically, text and bytes bytewise, NULL last. A database must be asked to sort the same way
    /// (`COLLATE "C"`), or a merge would lie.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Cell::Bool(a), Cell::Bool(b)) => a.cmp(b),
            (Cell::Int(a), Cell::Int(b)) => a.cmp(b),
            (Cell::Float(a), Cell::Float(b)) => order_floats(*a, *b),
            (Cell::Numeric(a), Cell::Numeric(b)) => numeric::compare(a, b),
            (Cell::Text(a), Cell::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Cell::Bytes(a), Cell::Bytes(b)) => a.cmp(b),
            (Cell::Date(a), Cell::Date(b)) => a.cmp(b),
            (Cell::Time(a), Cell::Time(b))
            | (Cell::Timestamp(a), Cell::Timestamp(b))
            | (Cell::TimestampTz(a), Cell::TimestampTz(b)) => a.cmp(b),
            (Cell::Uuid(a), Cell::Uuid(b)) => a.cmp(b),
            (Cell::Json(a), Cell::Json(b)) => json::compare(a, b),
            (Cell::Array(a), Cell::Array(b)) => a.cmp(b),
            (Cell::Added(a), Cell::Added(b)) => a.cmp(b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}

impl PartialOrd for Cell<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cell<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Cell<'_> {}

impl Hash for Cell<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Cell::Null | Cell::Unchanged | Cell::Json(_) => {}
            Cell::Bool(b) => b.hash(state),
            Cell::Int(i) => i.hash(state),
            Cell::Float(f) => canonical_bits(*f).hash(state),
            Cell::Numeric(t) => numeric::canonical(t).hash(state),
            Cell::Text(t) => t.hash(state),
            Cell::Bytes(b) => b.hash(state),
            Cell::Date(d) => d.hash(state),
            Cell::Time(t) | Cell::Timestamp(t) | Cell::TimestampTz(t) => t.hash(state),
            Cell::Uuid(u) => u.hash(state),
            Cell::Array(a) => a.hash(state),
            Cell::Added(by) => by.hash(state),
        }
    }
}

/// `NaN` sorts above every number, as PostgreSQL has it.
fn order_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn canonical_bits(f: f64) -> u64 {
    if f.is_nan() {
        f64::NAN.to_bits()
    } else if f == 0.0 {
        0
    } else {
        f.to_bits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_is_that_of_the_value() {
        assert_eq!(Cell::Numeric("1.50".into()), Cell::Numeric("1.5".into()));
        assert_eq!(Cell::Float(f64::NAN), Cell::Float(f64::NAN));
        assert_eq!(Cell::Float(-0.0), Cell::Float(0.0));
        assert_ne!(Cell::Null, Cell::Unchanged);
        assert_ne!(Cell::Text("".into()), Cell::Null);
        assert_eq!(
            Cell::Json(r#"{"a":1,"b":[1.0]}"#.into()),
            Cell::Json(r#"{"b":[1], "a":1}"#.into())
        );
        assert_ne!(Cell::Text("a ".into()), Cell::Text("a".into()));
    }

    #[test]
    fn order_is_by_type() {
        assert!(Cell::Int(9) < Cell::Int(10));
        assert!(Cell::Text("B".into()) < Cell::Text("a".into()));
        assert!(Cell::Numeric("9.9".into()) < Cell::Numeric("10".into()));
        assert!(Cell::Float(f64::INFINITY) < Cell::Float(f64::NAN));
    }
}
