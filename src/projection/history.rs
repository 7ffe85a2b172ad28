//! What the log says that some keys have been: every row that a stretch of it brings them, newest or not. A row of the read
//! store that is none of them was not made by that stretch.

use std::collections::{BTreeMap, BTreeSet};

use super::cast::CastError;
use super::cell::{Cell, Row};
use super::change::{Change, Key, Op};
use super::decode::{DecodeError, Decoder};
use super::mapping::{Bookkeeping, Expected, Mapping};
use super::record::Record;

/// One of the things that a key has been.
#[derive(Clone, Debug, PartialEq)]
pub enum Past {
    /// This row of the view; cells that the record does not know are `Unchanged`.
    Row(Row<'static>),
    /// No row.
    Gone,
    /// The record does not say whether it is in the view.
    Unknown,
}

impl Past {
    /// Whether a row, or its absence, may be this; what is not known is taken to fit.
    #[must_use]
    pub fn may_be(&self, actual: Option<&Row<'static>>) -> bool {
        match (self, actual) {
            (Past::Unknown, _) | (Past::Gone, None) => true,
            (Past::Row(row), Some(actual)) => {
                let fits = |(past, now): (&Cell<'_>, &Cell<'_>)| {
                    matches!(past, Cell::Unchanged) || past == now
                };
                row.iter().zip(actual).all(fits)
            }
            _ => false,
        }
    }
}

/// Why a stretch of the log cannot be read as a history.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// A record cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A value does not fit the view.
    #[error(transparent)]
    Cast(#[from] CastError),
}

/// Gathers what some keys have been.
#[derive(Debug)]
pub struct History {
    decoder: Decoder,
    mapping: Mapping,
    keys: BTreeSet<Key<'static>>,
    pasts: BTreeMap<Key<'static>, Vec<(i32, Past)>>,
}

impl History {
    /// A history of these keys of a view.
    #[must_use]
    pub fn new(decoder: Decoder, mapping: Mapping, keys: BTreeSet<Key<'static>>) -> History {
        History {
            decoder,
            mapping,
            keys,
            pasts: BTreeMap::new(),
        }
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn record(&mut self, record: &Record<'_>) -> Result<(), HistoryError> {
        let mut changes = Vec::with_capacity(1);
        self.decoder.decode(record, &mut changes)?;
        changes
            .into_iter()
            .try_for_each(|change| self.change(change))
    }

    fn change(&mut self, change: Change<'_>) -> Result<(), HistoryError> {
        let partition = change.version.place();
        if let Op::Truncate = change.op {
            for key in &self.keys {
                let pasts = self.pasts.entry(key.clone()).or_default();
                pasts.push((partition, Past::Gone));
            }
            return Ok(());
        }
        let key = self.mapping.key(change.key)?.into_owned();
        if !self.keys.contains(&key) {
            return Ok(());
        }
        let past = match change.op {
            Op::Put(source) => match self.mapping.expected(source, &Bookkeeping::default())? {
                Expected::Row(row) => Past::Row(row.into_iter().map(Cell::into_owned).collect()),
                Expected::Filtered => Past::Gone,
                Expected::Unknown => Past::Unknown,
            },
            Op::Delete | Op::Truncate => Past::Gone,
            Op::Lost => Past::Unknown,
        };
        self.pasts.entry(key).or_default().push((partition, past));
        Ok(())
    }

    /// Whether a key may have been this, as far as the stretch says.
    #[must_use]
    pub fn may_have_been(&self, key: &Key<'static>, actual: Option<&Row<'static>>) -> bool {
        let pasts = self.pasts.get(key).map(Vec::as_slice).unwrap_or_default();
        pasts.iter().any(|(_, past)| past.may_be(actual))
    }
}

impl History {
    /// Whether the last thing that the stretch says of a key may be this. Of a key in two partitions nothing is the last; one
    /// that is in none is gone.
    #[must_use]
    pub fn ends_with(&self, key: &Key<'static>, expected: Option<&Row<'static>>) -> bool {
        let pasts = self.pasts.get(key).map(Vec::as_slice).unwrap_or_default();
        let Some((partition, last)) = pasts.last() else {
            return expected.is_none();
        };
        pasts.iter().all(|(p, _)| p == partition) && last.may_be(expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_fits_everything() {
        let row = |a: i128, b: Cell<'static>| vec![Cell::Int(a), b];
        let past = Past::Row(row(1, Cell::Unchanged));
        assert!(past.may_be(Some(&row(1, Cell::Null))));
        assert!(!past.may_be(Some(&row(2, Cell::Null))));
        assert!(!past.may_be(None));
        assert!(Past::Gone.may_be(None) && !Past::Gone.may_be(Some(&row(1, Cell::Null))));
        assert!(Past::Unknown.may_be(None) && Past::Unknown.may_be(Some(&row(1, Cell::Null))));
    }
}
