//! SQL text, made by functions without I/O; the drivers only execute it.

pub mod postgres;
pub mod postgres_build;
pub mod postgres_catalog;
pub mod postgres_hash;
pub mod postgres_load;
pub mod postgres_scan;
pub mod postgres_settle;
pub mod postgres_swap;
pub mod sqlite;
pub mod sqlite_load;
pub mod sqlite_swap;

use crate::projection::cell::Cell;
use crate::projection::mapping::Test;

/// An identifier, quoted always, so that no name is ever a keyword or folded.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A test as a condition of two outcomes: NULL is a value like any other. `among` renders "the column is one of these"
/// for values that are not NULL (at least one), `null` renders "the column is NULL"; both may come out NULL in SQL.
#[must_use]
pub fn condition(
    test: &Test,
    among: &dyn Fn(&[Cell<'static>]) -> Option<String>,
    null: &str,
) -> String {
    match test {
        Test::Not(test) => format!("({}) IS NOT TRUE", condition(test, among, null)),
        Test::AnyOf(values) => {
            let (nulls, known): (Vec<_>, Vec<_>) = values
                .iter()
                .cloned()
                .partition(|v| matches!(v, Cell::Null));
            let parts: Vec<String> = among(&known)
                .into_iter()
                .chain((!nulls.is_empty()).then(|| null.to_owned()))
                .collect();
            match parts.len() {
                0 => "FALSE".to_owned(),
                1 => parts.concat(),
                _ => format!("({})", parts.join(" OR ")),
            }
        }
    }
}

/// A test of one column as SQL that is true or false and never NULL. `value` writes one non-NULL value as the
/// database compares it with `column`, or returns `None` for a value that no row can have.
pub fn test(
    column: &str,
    test: &Test,
    value: &mut impl FnMut(&Cell<'static>) -> Option<String>,
) -> String {
    match test {
        Test::Not(inner) => format!("NOT {}", self::test(column, inner, value)),
        Test::AnyOf(cells) => {
            let null = cells.iter().any(|c| matches!(c, Cell::Null));
            let values: Vec<String> = cells
                .iter()
                .filter(|c| !matches!(c, Cell::Null | Cell::Unchanged))
                .filter_map(value)
                .collect();
            let list = values.join(", ");
            match (values.is_empty(), null) {
                (true, false) => "(1 = 0)".to_owned(),
                (true, true) => format!("({column} IS NULL)"),
                (false, true) => format!("({column} IS NULL OR {column} IN ({list}))"),
                (false, false) => format!("({column} IS NOT NULL AND {column} IN ({list}))"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_never_null() {
        let mut write = |cell: &Cell<'static>| match cell {
            Cell::Int(i) => Some(i.to_string()),
            _ => None,
        };
        let any = |cells: Vec<Cell<'static>>| Test::AnyOf(cells);
        let mut sql = |t: &Test| test("c", t, &mut write);
        assert_eq!(
            sql(&any(vec![Cell::Int(1), Cell::Int(2)])),
            "(c IS NOT NULL AND c IN (1, 2))"
        );
        assert_eq!(
            sql(&any(vec![Cell::Int(1), Cell::Null])),
            "(c IS NULL OR c IN (1))"
        );
        assert_eq!(sql(&any(vec![Cell::Null])), "(c IS NULL)");
        assert_eq!(sql(&any(vec![Cell::Bool(true)])), "(1 = 0)");
        assert_eq!(
            sql(&Test::Not(Box::new(any(vec![Cell::Int(1)])))),
            "NOT (c IS NOT NULL AND c IN (1))"
        );
    }
}
