//! What a stored value would lose is kept beside it, as text: `NaN` or `1.5` in a column of two digits after the point, and
//! the like. So other programs see numbers, and trueup sees what was there. The column of these texts is NULL in most rows;
//! in others it is a JSON object of the cells by the number of their column.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::form::{Field, Form};
use crate::projection::cell::{Cell, Row};

/// A cell that is kept as text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    One(String),
    List(Vec<Option<String>>),
}

/// The cells of one row that are kept as text.
#[derive(Default)]
pub(super) struct Exact(BTreeMap<usize, Text>);

impl Exact {
    /// Keeps the cell of that column.
    pub(super) fn keep(&mut self, column: usize, cell: &Cell<'_>) {
        let text = match cell {
            Cell::Array(cells) => Text::List(cells.iter().map(of).collect()),
            cell => Text::One(of(cell).unwrap_or_default()),
        };
        self.0.insert(column, text);
    }

    /// What is stored of it.
    pub(super) fn cell(&self) -> Cell<'static> {
        match self.0.is_empty() {
            true => Cell::Null,
            false => Cell::Json(serde_json::json!(self.0).to_string().into()),
        }
    }

    /// Puts the cells back into their row; `None` when this is not what was stored.
    pub(super) fn restore(
        stored: &Cell<'_>,
        fields: &[Field],
        row: &mut Row<'static>,
    ) -> Option<()> {
        let Cell::Json(stored) = stored else {
            return Some(());
        };
        let kept: BTreeMap<usize, Text> = serde_json::from_str(stored).ok()?;
        for (column, text) in kept {
            let form = fields.get(column)?.form;
            *row.get_mut(column)? = match text {
                Text::One(text) => back(form, text)?,
                Text::List(list) => {
                    let cell = |text| match text {
                        Some(text) => back(form, text),
                        None => Some(Cell::Null),
                    };
                    Cell::Array(list.into_iter().map(cell).collect::<Option<_>>()?)
                }
            };
        }
        Some(())
    }
}

fn of(cell: &Cell<'_>) -> Option<String> {
    match cell {
        Cell::Numeric(text) => Some(text.to_string()),
        // Its shortest text that reads back as the same number.
        Cell::Float(f) => Some(format!("{f:?}")),
        _ => None,
    }
}

fn back(form: Form, text: String) -> Option<Cell<'static>> {
    match form {
        Form::Float32 => text.parse().ok().map(Cell::Float),
        _ => Some(Cell::Numeric(text.into())),
    }
}
