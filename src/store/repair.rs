//! Repairs as a store writes them: fenced by the row as it was, and journalled with it in the same transaction.
//!
//! A row is journalled as an [`Image`], in the database's own text, so that undo brings back the very bytes. A repair that
//! comes from a comparison knows cells of the compared columns instead. Both are a [`Side`] of a [`Write`], and every store
//! writes both by one path.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Catalog, CatalogColumn};
use crate::projection::cell::Cell;
use crate::projection::change::Key;
use crate::projection::types::Column;

/// A row in the database's own text: every column that is not generated, in the table's order; `None` is NULL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image(pub Vec<(String, Option<String>)>);

impl Image {
    /// The text of a column; `None` when the image lacks it.
    #[must_use]
    pub fn get(&self, column: &str) -> Option<Option<&str>> {
        let found = self.0.iter().find(|(name, _)| name == column);
        found.map(|(_, text)| text.as_deref())
    }
}

impl Serialize for Image {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (column, text) in &self.0 {
            map.serialize_entry(column, text)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Image {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Image, D::Error> {
        struct Columns;
        impl<'de> Visitor<'de> for Columns {
            type Value = Image;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts by column")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Image, A::Error> {
                let mut columns = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    columns.push(entry);
                }
                Ok(Image(columns))
            }
        }
        deserializer.deserialize_map(Columns)
    }
}

/// What is known of a row before or after a write.
#[derive(Clone, Debug, PartialEq)]
pub enum Side {
    /// The cells of the target's columns, in their order; others are not known and not touched.
    Cells(Vec<Cell<'static>>),
    /// The whole row, in the database's own text.
    Image(Image),
}

/// One fenced write: only while the row is still `before`, it becomes `after`.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// Which row, as cells of the target's key columns.
    pub key: Key<'static>,
    /// The row as it must still be; `None`: there must be none.
    pub before: Option<Side>,
    /// The row as it will be; `None`: it is deleted.
    pub after: Option<Side>,
    /// The entry of the reverted run's journal that this takes back.
    pub reverts: Option<i64>,
}

/// The kinds of write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WriteKind {
    /// A row comes in.
    Insert,
    /// A row changes.
    Update,
    /// A row goes.
    Delete,
}

impl WriteKind {
    /// What makes a row `after` out of what was `before`.
    #[must_use]
    pub fn of<T>(before: &Option<T>, after: &Option<T>) -> WriteKind {
        match (before, after) {
            (_, None) => WriteKind::Delete,
            (None, _) => WriteKind::Insert,
            _ => WriteKind::Update,
        }
    }

    /// Its word in the journal.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            WriteKind::Insert => "insert",
            WriteKind::Update => "update",
            WriteKind::Delete => "delete",
        }
    }
}

impl Write {
    /// What it does to the row.
    #[must_use]
    pub fn kind(&self) -> WriteKind {
        WriteKind::of(&self.before, &self.after)
    }
}

/// Where repairs go.
#[derive(Clone, Debug)]
pub struct Target {
    /// The run that they are journalled under.
    pub run: String,
    /// The table.
    pub table: Catalog,
    /// The columns of [`Side::Cells`].
    pub columns: Vec<Column>,
    /// Which of them are the key.
    pub key: Vec<usize>,
    /// What an inserted row holds in columns for which neither the cells nor the database have a value.
    pub fill: Vec<(String, Cell<'static>)>,
    /// The condition that says which part of the table may be touched.
    pub scope: Option<String>,
    /// The run whose repairs are taken back.
    pub reverts: Option<String>,
}

impl Target {
    /// The key's columns.
    pub fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().map(|at| &self.columns[*at])
    }

    /// The columns that an image has.
    pub fn stored_columns(&self) -> impl Iterator<Item = &CatalogColumn> {
        self.table.columns.iter().filter(|c| !c.generated)
    }
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Written, and journalled under this number of the run.
    Written(i64),
    /// The row is no longer as it was: nothing was written.
    MovedOn,
    /// The database did not take it, and says why: nothing was written.
    Blocked(String),
}

/// What is known about the primary's row after a repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// Not read again yet.
    Unconfirmed,
    /// The primary still said the same after the write.
    Confirmed,
    /// The primary had moved on by then; a later entry, or the projector, follows it.
    Superseded,
}

impl Confirmation {
    /// Its word in the journal.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Confirmation::Unconfirmed => "unconfirmed",
            Confirmation::Confirmed => "confirmed",
            Confirmation::Superseded => "superseded",
        }
    }
}

/// One repair, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The run.
    pub run: String,
    /// Its number in the run, from 1.
    pub number: i64,
    /// Key columns and their text, as the engine writes it.
    pub key: Image,
    /// The row before.
    pub before: Option<Image>,
    /// The row after.
    pub after: Option<Image>,
    /// `unconfirmed` …
    pub confirmation: String,
    /// The run that took it back.
    pub undone_by: Option<String>,
}

/// Something that a write sets off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The kinds of write that set it off.
    pub on: Vec<WriteKind>,
    /// What happens, in words: `trigger audit runs`.
    pub what: String,
}

/// How a store turns its own text into cells and back.
pub(super) trait OwnText {
    /// The cell of a stored text; `None` when it is no value of that type.
    fn cell(&self, text: &str, column: &Column) -> Option<Cell<'static>>;
    /// The text that the database would write for a cell.
    ///
    /// # Errors
    /// When the column cannot hold it exactly.
    fn text(&self, cell: &Cell<'_>, column: &Column) -> Result<Option<String>, String>;
}

/// The cells of the target's columns in an image; `None` when one is no value of its column's type.
fn cells(image: &Image, target: &Target, own: &dyn OwnText) -> Option<Vec<Cell<'static>>> {
    let cell = |column: &Column| match image.get(&column.name)? {
        None => Some(Cell::Null),
        Some(text) => own.cell(text, column),
    };
    target.columns.iter().map(cell).collect()
}

/// Whether a stored row is this side of a write. An image is the whole row: a change of any column, even one of others,
/// means that somebody has been here since.
pub(super) fn is(
    side: Option<&Side>,
    held: Option<&Image>,
    target: &Target,
    own: &dyn OwnText,
) -> bool {
    match (side, held) {
        (None, None) => true,
        (Some(Side::Cells(wanted)), Some(held)) => {
            cells(held, target, own).is_some_and(|held| held == *wanted)
        }
        (Some(Side::Image(wanted)), Some(held)) => {
            let same = |(column, text): &(String, Option<String>)| {
                held.get(column).is_some_and(|held| held == text.as_deref())
            };
            wanted.0.iter().all(same)
        }
        _ => false,
    }
}

/// What a write sets, column and own text: of an update only what changes, of an insert every column that has a value.
///
/// # Errors
/// When a column cannot hold its cell.
pub(super) fn sets(
    write: &Write,
    held: Option<&Image>,
    target: &Target,
    own: &dyn OwnText,
) -> Result<Vec<(String, Option<String>)>, String> {
    let wanted = match &write.after {
        None => return Ok(Vec::new()),
        Some(Side::Image(image)) => image.0.clone(),
        Some(Side::Cells(row)) => {
            let known = target.columns.iter().zip(row);
            let filled = target.fill.iter().filter(|_| held.is_none());
            let mut wanted = Vec::with_capacity(row.len());
            for (column, cell) in known {
                let unchanged =
                    held.and_then(|h| h.get(&column.name))
                        .is_some_and(|text| match text {
                            None => *cell == Cell::Null,
                            Some(text) => own.cell(text, column).as_ref() == Some(cell),
                        });
                if !unchanged {
                    wanted.push((column.name.clone(), own.text(cell, column)?));
                }
            }
            for (name, cell) in filled {
                if let Some(column) = target.table.column(name) {
                    wanted.push((name.clone(), own.text(cell, &column.column)?));
                }
            }
            return Ok(wanted);
        }
    };
    let changes = |(column, text): &(String, Option<String>)| {
        held.is_none_or(|h| h.get(column) != Some(text.as_deref()))
    };
    Ok(wanted.into_iter().filter(changes).collect())
}
