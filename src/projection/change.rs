//! What an event does to one keyed row.

use std::fmt;

use super::cell::{Cell, Row};
use super::text;
use super::version::Version;

/// The key cells of a row, in the order that the view or source names them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key<'a>(pub Vec<Cell<'a>>);

impl Key<'_> {
    /// A copy that borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> Key<'static> {
        Key(self.0.into_iter().map(Cell::into_owned).collect())
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, cell) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            f.write_str(text::of(cell).as_deref().unwrap_or("NULL"))?;
        }
        Ok(())
    }
}

/// What happens to the row.
#[derive(Clone, Debug, PartialEq)]
pub enum Op<'a> {
    /// The row is now this; cells may be [`Cell::Unchanged`], and of a domain event also [`Cell::Added`].
    Put(Row<'a>),
    /// The row is gone.
    Delete,
    /// Every row of an older version is gone; its key is empty.
    Truncate,
    /// The row is now one that the record does not tell: nothing older may stand in for it.
    Lost,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq)]
pub struct Change<'a> {
    /// Which row.
    pub key: Key<'a>,
    /// How new.
    pub version: Version,
    /// What.
    pub op: Op<'a>,
}

impl Change<'_> {
    /// A copy that borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> Change<'static> {
        let own = |row: Row<'_>| row.into_iter().map(Cell::into_owned).collect();
        Change {
            key: self.key.into_owned(),
            version: self.version,
            op: match self.op {
                Op::Put(row) => Op::Put(own(row)),
                Op::Delete => Op::Delete,
                Op::Truncate => Op::Truncate,
                Op::Lost => Op::Lost,
            },
        }
    }
}
