//! How the table of later changes tells what is no plain value of a row: by a list of numbers beside it.

use crate::projection::cell::{Cell, Row};

/// The number for a cell: its place where no value is known, one below the negative of its place where something is added;
/// `None` for a plain value.
pub(super) fn of(at: usize, cell: &Cell<'_>) -> Option<i64> {
    let at = i64::try_from(at).ok()?;
    match cell {
        Cell::Unchanged => Some(at),
        Cell::Added(_) => Some(-at - 1),
        _ => None,
    }
}

/// Makes the cell what it was; `None` when the row has no such cell.
pub(super) fn put_back(row: &mut Row<'static>, mark: i64) -> Option<()> {
    let at = if mark < 0 { -(mark + 1) } else { mark };
    let cell = row.get_mut(usize::try_from(at).ok()?)?;
    let kept = std::mem::replace(cell, Cell::Unchanged);
    if mark < 0 {
        *cell = Cell::Added(Box::new(kept));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_there_and_back() {
        let change = vec![
            Cell::Added(Box::new(Cell::Int(5))),
            Cell::Unchanged,
            Cell::Null,
            Cell::Added(Box::new(Cell::Numeric("0.5".into()))),
        ];
        let marks = change.iter().enumerate().filter_map(|(at, c)| of(at, c));
        let marks: Vec<i64> = marks.collect();
        assert_eq!(marks, [-1, 1, -4]);
        let mut stored = vec![
            Cell::Int(5),
            Cell::Null,
            Cell::Null,
            Cell::Numeric("0.5".into()),
        ];
        for mark in marks {
            put_back(&mut stored, mark).expect("a cell");
        }
        assert_eq!(stored, change);
        assert!(put_back(&mut stored, 4).is_none() && put_back(&mut stored, -5).is_none());
    }
}
