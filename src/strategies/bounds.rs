//! How much a plan may change at most, in rows or in percent of a table.

use std::fmt;

use crate::limits;

/// A bound on the number of rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// So many.
    Rows(u64),
    /// So many in a hundred of the table's.
    Percent(f64),
    /// A percentage, but never less than so many rows: for tables whose owner said nothing.
    PercentButAtLeast(f64, u64),
}

impl Bound {
    /// What a repair may write when the playbook says nothing.
    pub const REPAIRS: Bound =
        Bound::PercentButAtLeast(limits::REPAIRS_MAX_PERCENT, limits::REPAIRS_MAX_AT_LEAST);
    /// What may be deleted when the playbook says nothing.
    pub const DELETES: Bound = Bound::Rows(limits::DELETES_MAX);

    /// The bound for a table of so many rows.
    #[must_use]
    pub fn rows(self, of: u64) -> u64 {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )] // Beyond 2^53 rows a bound may be off by one.
        let share = |percent: f64| (of as f64 * percent / 100.0).floor() as u64;
        match self {
            Bound::Rows(rows) => rows,
            Bound::Percent(percent) => share(percent),
            Bound::PercentButAtLeast(percent, rows) => share(percent).max(rows),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Rows(rows) => write!(f, "{rows}"),
            Bound::Percent(percent) => write!(f, "{percent}%"),
            Bound::PercentButAtLeast(percent, rows) => {
                write!(f, "{percent}%, at least {rows}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_table() {
        assert_eq!(Bound::Rows(7).rows(3), 7);
        assert_eq!(Bound::Percent(10.0).rows(39), 3);
        assert_eq!(Bound::PercentButAtLeast(10.0, 20).rows(39), 20);
        assert_eq!(Bound::PercentButAtLeast(10.0, 20).rows(1_000), 100);
    }
}
