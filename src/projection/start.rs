//! Where a row of domain events begins, and what an event makes of it: events say what changed, so that a row is the sum of
//! all of them, and the first one needs something to be added to.

use super::cast::{self, CastError};
use super::cell::{Cell, Row};
use super::types::Column;

/// A row before its first event, and again after one that deletes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    columns: Vec<Column>,
    cells: Row<'static>,
}

impl Start {
    /// The start of a row of these columns: 0 in those that some event adds to (`summed`), NULL in the others.
    #[must_use]
    pub fn new(columns: Vec<Column>, summed: &[usize]) -> Start {
        let cell = |(at, column): (usize, &Column)| {
            if !summed.contains(&at) {
                return Cell::Null;
            }
            cast::coerce(Cell::Int(0), column).unwrap_or(Cell::Null)
        };
        let cells = columns.iter().enumerate().map(cell).collect();
        Start { columns, cells }
    }

    /// The row after an event: what it sets is set, what it adds is added, and the rest is as it was before.
    #[must_use]
    pub fn after(&self, before: Option<&Row<'static>>, event: Row<'_>) -> Row<'static> {
        let before = before.unwrap_or(&self.cells).iter();
        let cell = |(before, said): (&Cell<'static>, Cell<'_>)| match said {
            Cell::Unchanged => before.clone(),
            // What cannot be added is found when the row is whole.
            Cell::Added(by) => before.plus(&by).unwrap_or(Cell::Unchanged),
            said => said.into_owned(),
        };
        before.zip(event).map(cell).collect()
    }

    /// The row as its table takes it.
    ///
    /// # Errors
    /// When a sum is too large for its column, or one that must have a value was never given one.
    pub fn whole(&self, row: Row<'static>) -> Result<Row<'static>, CastError> {
        let cells = row.into_iter().zip(&self.columns);
        cells
            .map(|(cell, column)| match cell {
                Cell::Unchanged => Err(CastError {
                    column: column.name.clone(),
                    kind: column.kind.to_string(),
                    problem: "a sum that is no number".to_owned(),
                }),
                cell => cast::coerce(cell, column),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::types::ColumnType;

    fn start() -> Start {
        let column = |name: &str, kind, nullable| Column {
            name: name.to_owned(),
            kind,
            nullable,
        };
        let size = Some((6, 2));
        Start::new(
            vec![
                column("id", ColumnType::INT64, false),
                column("state", ColumnType::TEXT, false),
                column("total", ColumnType::Numeric { size }, true),
            ],
            &[2],
        )
    }

    fn event(state: Option<&'static str>, total: Cell<'static>) -> Row<'static> {
        let state = state.map_or(Cell::Unchanged, |s| Cell::Text(s.into()));
        vec![Cell::Int(1), state, total]
    }

    fn added(by: &'static str) -> Cell<'static> {
        Cell::Added(Box::new(Cell::Numeric(by.into())))
    }

    #[test]
    fn events_add_up() {
        let start = start();
        let first = start.after(None, event(None, added("1.5")));
        assert_eq!(
            first,
            vec![Cell::Int(1), Cell::Null, Cell::Numeric("1.5".into())]
        );
        let second = start.after(Some(&first), event(Some("open"), added("-0.25")));
        let sum = Cell::Numeric("1.25".into());
        assert_eq!(second, vec![Cell::Int(1), Cell::Text("open".into()), sum]);
        let nothing = start.after(Some(&second), event(None, Cell::Null));
        let stays = start.after(Some(&nothing), event(None, added("1")));
        assert_eq!(stays[2], Cell::Null, "NULL + 1 is NULL");
    }

    #[test]
    fn a_row_is_whole_when_its_table_takes_it() {
        let start = start();
        let unset = start.after(None, event(None, added("1")));
        assert!(start.whole(unset).unwrap_err().problem.contains("NOT NULL"));
        let mut row = start.after(None, event(Some("open"), added("9999.99")));
        assert!(start.whole(row.clone()).is_ok());
        row = start.after(Some(&row), event(None, added("0.01")));
        assert!(
            start
                .whole(row.clone())
                .unwrap_err()
                .problem
                .contains("too large")
        );
        row = start.after(Some(&row), event(None, added("-0.01")));
        assert!(
            start.whole(row).is_ok(),
            "a sum may pass through what its column does not hold"
        );
    }
}
