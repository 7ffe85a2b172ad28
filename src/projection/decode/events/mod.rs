//! Domain events: records that say what happened, not what a row is. A table says for each type of event what it sets, what
//! it adds and what it deletes. The order of a key's events is that of their offsets.
//!
//! `envelope` opens a record: where its type is, where its data begins. `place` finds things in it. `value` makes cells of
//! them. To add an envelope: its form and its arms in `envelope`.

mod envelope;
mod place;
mod value;

use std::collections::BTreeMap;

use super::{DecodeError, Decoded, Ignored};
use crate::projection::cell::{Cell, Row};
use crate::projection::change::{Change, Key, Op};
use crate::projection::record::Record;
use crate::projection::seen::Seen;
use crate::projection::start::Start;
use crate::projection::types::Column;
use crate::projection::version::{Guard, Stamp, Version};

pub use envelope::{Envelope, Form};
pub use place::{Path, Place};

/// What a table of events calls a record without a value and without a type.
pub const TOMBSTONE: &str = "@tombstone";

/// What events do to the rows of one view.
#[derive(Clone, Debug, PartialEq)]
pub struct Events {
    /// How the topic carries them.
    pub form: Form,
    /// The columns that events fill, as the read table has them.
    pub columns: Vec<Column>,
    /// Which of them are the key, in the order of the view's key.
    pub key: Vec<usize>,
    /// What every event that is not ignored says: column and value. The key's columns are among them.
    pub always: Vec<(usize, Value)>,
    /// What an event of each type does.
    pub on: BTreeMap<String, On>,
    /// Whether types that `on` does not name are ignored; else they stop the run.
    pub ignores_others: bool,
}

/// What an event does.
#[derive(Clone, Debug, PartialEq)]
pub enum On {
    /// Columns become values, and numbers grow by values; nothing else changes.
    Change {
        /// Column and value.
        set: Vec<(usize, Value)>,
        /// Column and how much it grows.
        add: Vec<(usize, Term)>,
    },
    /// The row is gone.
    Delete,
    /// Nothing.
    Ignore,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The event: the first of these places that is there.
    Found {
        /// Places, newest first.
        places: Vec<Place>,
        /// What it means when none is.
        absent: Absent,
    },
    /// The playbook.
    Literal(Cell<'static>),
}

/// What it means that an event does not have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The event cannot be read.
    Wrong,
    /// The value is NULL.
    Null,
    /// The column is as it was.
    Keep,
}

/// What is added.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// The number.
    pub value: Value,
    /// Whether it is taken off instead.
    pub negative: bool,
}

impl Events {
    /// Where rows begin, given how many columns beside those of events a row has behind them.
    #[must_use]
    pub fn start(&self, besides: impl IntoIterator<Item = Column>) -> Start {
        let changes = self.on.values().filter_map(|on| match on {
            On::Change { add, .. } => Some(add),
            On::Delete | On::Ignore => None,
        });
        let summed: Vec<usize> = changes.flatten().map(|(at, _)| *at).collect();
        let columns = self.columns.iter().cloned().chain(besides);
        Start::new(columns.collect(), &summed)
    }
}

/// Reads the events of one source, for one view.
#[derive(Debug)]
pub struct EventDecoder {
    events: Events,
    guard: Guard,
}

impl EventDecoder {
    /// A decoder that stamps changes by `guard`.
    #[must_use]
    pub fn new(events: Events, guard: Guard) -> EventDecoder {
        EventDecoder { events, guard }
    }

    /// What a decoder that goes on from here must know.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.guard.seen()
    }

    /// This decoder, going on where another one stopped.
    #[must_use]
    pub fn after(mut self, seen: &Seen) -> EventDecoder {
        self.guard = self.guard.after(seen);
        self
    }

    /// Pushes the change that a record makes, if it makes one.
    ///
    /// # Errors
    /// When it is no event, or none that can be read as the view says.
    pub fn decode<'a>(
        &mut self,
        record: &Record<'_>,
        out: &mut Vec<Change<'a>>,
    ) -> Result<Decoded, DecodeError> {
        let (key, op) = match read(&self.events, record) {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(Decoded::Ignored(Ignored::Event)),
            Err((problem, hint)) => return Err(DecodeError::new(record.at, problem, hint)),
        };
        let version = self.guard.version(record.at, &Stamp::default())?;
        out.push(Change { key, version, op });
        Ok(Decoded::Changes(1))
    }
}

impl EventDecoder {
    /// The key of an event that cannot be read, and the version that its change would have.
    ///
    /// # Errors
    /// When the key cannot be read either.
    pub(super) fn key_only(
        &mut self,
        record: &Record<'_>,
    ) -> Result<(Key<'static>, Version), DecodeError> {
        let key = envelope::open(&self.events.form, record)
            .map_err(|problem| (problem, ""))
            .and_then(|opened| {
                let kind = opened.kind.clone().unwrap_or_default();
                let shown: String = kind.chars().take(60).collect();
                let maker = Maker {
                    events: &self.events,
                    opened: &opened,
                    kind: &shown,
                };
                maker.key()
            });
        let key = key.map_err(|(problem, hint)| DecodeError::new(record.at, problem, hint))?;
        let version = self.guard.version(record.at, &Stamp::default())?;
        Ok((key, version))
    }
}

/// What is wrong, and what to do.
type Problem = (String, &'static str);

type Made = (Key<'static>, Op<'static>);

/// What a record does to which row; `None` when it does nothing.
fn read(events: &Events, record: &Record<'_>) -> Result<Option<Made>, Problem> {
    let opened = envelope::open(&events.form, record).map_err(|problem| (problem, ""))?;
    let kind = match &opened.kind {
        Some(kind) => kind.as_str(),
        None if record.value.is_none() => TOMBSTONE,
        None => {
            let hint = "say in the source's `envelope:` or `type:` where the type of an event is";
            return Err(("it has no event type".to_owned(), hint));
        }
    };
    let shown: String = kind.chars().take(60).collect();
    let on = match events.on.get(kind) {
        Some(on) => on,
        None if events.ignores_others => return Ok(None),
        None => {
            let hint =
                "say under the view's `on:` what it does; `\"*\": ignore` passes over all others";
            return Err((
                format!("`on:` has nothing for events of type {shown:?}"),
                hint,
            ));
        }
    };
    let maker = Maker {
        events,
        opened: &opened,
        kind: &shown,
    };
    match on {
        On::Ignore => Ok(None),
        On::Delete => Ok(Some((maker.key()?, Op::Delete))),
        On::Change { set, add } => Ok(Some((maker.key()?, Op::Put(maker.row(set, add)?)))),
    }
}

/// Makes cells of an event.
struct Maker<'e> {
    events: &'e Events,
    opened: &'e envelope::Opened<'e>,
    kind: &'e str,
}

impl Maker<'_> {
    fn key(&self) -> Result<Key<'static>, Problem> {
        let cell = |at: &usize| {
            let value = self.events.always.iter().find(|(column, _)| column == at);
            let cell = value.map_or(Ok(Cell::Null), |(_, value)| self.cell(*at, value))?;
            match cell {
                Cell::Null | Cell::Unchanged => Err(self.wrong(*at, "is NULL, and of the key")),
                cell => Ok(cell),
            }
        };
        self.events
            .key
            .iter()
            .map(cell)
            .collect::<Result<_, _>>()
            .map(Key)
    }

    fn row(&self, set: &[(usize, Value)], add: &[(usize, Term)]) -> Result<Row<'static>, Problem> {
        let mut row: Row<'static> = vec![Cell::Unchanged; self.events.columns.len()];
        for (at, value) in self.events.always.iter().chain(set) {
            row[*at] = self.cell(*at, value)?;
        }
        for (at, term) in add {
            row[*at] = match self.cell(*at, &term.value)? {
                Cell::Unchanged => Cell::Unchanged,
                cell if term.negative => self.added(*at, value::negated(cell))?,
                cell => self.added(*at, Some(cell))?,
            };
        }
        Ok(row)
    }

    fn added(&self, at: usize, cell: Option<Cell<'static>>) -> Result<Cell<'static>, Problem> {
        match cell {
            Some(cell @ (Cell::Int(_) | Cell::Float(_) | Cell::Numeric(_))) => {
                Ok(Cell::Added(Box::new(cell)))
            }
            _ => Err(self.wrong(at, "is no number that can be added")),
        }
    }

    fn cell(&self, at: usize, value: &Value) -> Result<Cell<'static>, Problem> {
        let (places, absent) = match value {
            Value::Literal(cell) => return Ok(cell.clone()),
            Value::Found { places, absent } => (places, absent),
        };
        for place in places {
            let found = self.opened.at(place).map_err(|problem| (problem, ""))?;
            if let Some(found) = found {
                let cell = value::cell(&found, &self.events.columns[at].kind);
                return cell.map_err(|problem| self.wrong(at, &format!("({place}) is {problem}")));
            }
        }
        match absent {
            Absent::Null => Ok(Cell::Null),
            Absent::Keep => Ok(Cell::Unchanged),
            Absent::Wrong => {
                let places: Vec<String> = places.iter().map(ToString::to_string).collect();
                let mut problem = format!("is not there ({})", places.join(", "));
                if !self.opened.has_fields() {
                    problem += "; its data has no fields";
                }
                let (problem, _) = self.wrong(at, &problem);
                let hint = "if it may be missing, write `{ field: …, absent: null }`, or `absent: keep` to leave the column as it is";
                Err((problem, hint))
            }
        }
    }

    fn wrong(&self, at: usize, problem: &str) -> Problem {
        let (kind, column) = (self.kind, &self.events.columns[at].name);
        (
            format!("event {kind}: the value of column {column} {problem}"),
            "",
        )
    }
}

#[cfg(test)]
mod tests;
