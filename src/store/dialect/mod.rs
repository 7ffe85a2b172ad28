//! SQL text, made by functions without I/O: what a statement says can be read in a snapshot test.

pub mod sqlite;
pub mod sqlite_load;
pub mod sqlite_swap;

use crate::projection::cell::Cell;
use crate::projection::mapping::Test;

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
