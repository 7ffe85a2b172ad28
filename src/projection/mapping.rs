//! How a source row becomes a view row: columns renamed and coerced, rows filtered, nothing computed. It is data, so that
//! a store can render the very same mapping as SQL.

use super::cast::{self, CastError};
use super::cell::{Cell, Row};
use super::change::Key;
use super::types::Column;
use super::version::Version;

/// Where a view's column comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// A column of the source row, by index.
    Source(usize),
    /// The projector's bookkeeping: offset of the newest record.
    Offset,
    /// The projector's bookkeeping: partition of the newest record.
    Partition,
    /// The projector's bookkeeping: source position of the newest record.
    Lsn,
    /// The projector's bookkeeping: the source's clock in milliseconds.
    Clock,
}

/// One column of the view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The column as the read store has it.
    pub column: Column,
    /// Where its value comes from.
    pub from: From,
}

/// A test of one column. Unlike SQL's it has two outcomes: NULL is a value like any other, and `Not` is the
/// exact complement.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// The value is one of these; `Cell::Null` may be among them.
    AnyOf(Vec<Cell<'static>>),
    /// The test does not hold.
    Not(Box<Test>),
}

impl Test {
    /// Whether the value passes; `None` when the value is not known.
    #[must_use]
    pub fn holds(&self, cell: &Cell<'_>) -> Option<bool> {
        match (self, cell) {
            (_, Cell::Unchanged) => None,
            (Test::AnyOf(values), cell) => Some(values.iter().any(|v| v == cell)),
            (Test::Not(test), cell) => test.holds(cell).map(|holds| !holds),
        }
    }
}

/// A copy view: the shape of its source rows, its own columns, its key and its filter.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// Columns of a source row.
    pub source: Vec<Column>,
    /// Which source columns identify a row in the log, in the order of the view's key.
    pub source_key: Vec<usize>,
    /// Columns of an expected row.
    pub columns: Vec<Target>,
    /// Which of `columns` are the key.
    pub key: Vec<usize>,
    /// Source column and test; a row is in the view when all hold.
    pub filter: Vec<(usize, Test)>,
}

/// What a source row is in the view.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected<'a> {
    /// This row.
    Row(Row<'a>),
    /// No row: the filter does not hold.
    Filtered,
    /// Not decided: the filter looks at a column whose value is not known.
    Unknown,
}

/// What a record gives to the bookkeeping columns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bookkeeping {
    /// Offset.
    pub offset: i64,
    /// Partition.
    pub partition: i32,
    /// First word of the source position.
    pub lsn: u64,
    /// The source's clock in milliseconds.
    pub clock: Option<i64>,
}

impl Bookkeeping {
    /// What the record of a change gives.
    #[must_use]
    pub fn of(version: &Version) -> Bookkeeping {
        Bookkeeping {
            offset: version.offset,
            partition: version.place(),
            lsn: version.rank.words[0],
            // A clock that was taken over says when something else was changed.
            clock: version.clock.filter(|_| !version.is_borrowed()),
        }
    }
}

impl Mapping {
    /// The view row of a folded source row, coerced to the view's types as the database would on write.
    ///
    /// # Errors
    /// When a value does not fit its column, or only by losing something.
    pub fn expected<'a>(
        &self,
        source: Row<'a>,
        kept: &Bookkeeping,
    ) -> Result<Expected<'a>, CastError> {
        for (column, test) in &self.filter {
            match test.holds(&source[*column]) {
                Some(true) => {}
                Some(false) => return Ok(Expected::Filtered),
                None => return Ok(Expected::Unknown),
            }
        }
        let mut source = source;
        let mut row = Vec::with_capacity(self.columns.len());
        for (i, target) in self.columns.iter().enumerate() {
            let cell = match target.from {
                From::Source(at) if self.used_later(i, at) => source[at].clone(),
                From::Source(at) => std::mem::replace(&mut source[at], Cell::Unchanged),
                From::Offset => Cell::Int(kept.offset.into()),
                From::Partition => Cell::Int(kept.partition.into()),
                From::Lsn => Cell::Int(kept.lsn.into()),
                From::Clock => kept.clock.map_or(Cell::Null, |c| Cell::Int(c.into())),
            };
            row.push(cast::coerce(cell, &target.column)?);
        }
        Ok(Expected::Row(row))
    }

    fn used_later(&self, column: usize, source: usize) -> bool {
        self.columns[column + 1..]
            .iter()
            .any(|t| t.from == From::Source(source))
    }

    /// The view key of a source key.
    ///
    /// # Errors
    /// When a value does not fit its column.
    pub fn key<'a>(&self, source: Key<'a>) -> Result<Key<'a>, CastError> {
        let cells = source.0.into_iter().zip(&self.key);
        cells
            .map(|(cell, at)| cast::coerce(cell, &self.columns[*at].column))
            .collect::<Result<_, _>>()
            .map(Key)
    }

    /// The same mapping without the bookkeeping columns, which the primary knows nothing of.
    #[must_use]
    pub fn compared(&self) -> Mapping {
        let kept = |t: &Target| matches!(t.from, From::Source(_));
        let shift = |at: usize| self.columns[..at].iter().filter(|t| kept(t)).count();
        Mapping {
            source: self.source.clone(),
            source_key: self.source_key.clone(),
            columns: self.columns.iter().filter(|t| kept(t)).cloned().collect(),
            key: self.key.iter().map(|at| shift(*at)).collect(),
            filter: self.filter.clone(),
        }
    }
}

/// The key of a row, given which cells make it.
#[must_use]
pub fn key_of(row: &Row<'_>, key: &[usize]) -> Key<'static> {
    Key(key.iter().map(|at| row[*at].clone().into_owned()).collect())
}
