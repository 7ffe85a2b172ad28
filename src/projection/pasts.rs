//! All that some rows of a source have been, as the log says it: from each event on, which row. A view that is a query of
//! several sources is explained by these.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::cell::{Cell, Row};
use super::change::{Change, Key, Op};
use super::decode::AnyDecoder;
use super::fold::{Fold, Verdict};
use super::mapping::{Bookkeeping, Expected, Mapping, key_of};
use super::record::Record;
use super::trace::{Event, Follow, TraceError};
use super::version::{Order, Version};

/// Events of a row that are remembered at most; of one with more nothing is told.
pub const EVENTS_MAX: usize = 1_000;

/// Finds the keys of rows that have once had some values.
#[derive(Debug)]
pub struct Having {
    decoder: AnyDecoder,
    mapping: Mapping,
    columns: Vec<usize>,
    values: HashSet<Vec<Cell<'static>>>,
    found: BTreeSet<Key<'static>>,
}

impl Having {
    /// Finds those that had one of `values` in these columns. The mapping is that of the source onto itself.
    #[must_use]
    pub fn new(
        decoder: AnyDecoder,
        mapping: Mapping,
        columns: Vec<usize>,
        values: HashSet<Vec<Cell<'static>>>,
    ) -> Having {
        Having {
            decoder,
            mapping,
            columns,
            values,
            found: BTreeSet::new(),
        }
    }

    /// What was found.
    #[must_use]
    pub fn found(self) -> BTreeSet<Key<'static>> {
        self.found
    }
}

impl Follow for Having {
    fn record(&mut self, record: &Record<'_>) -> Result<(), TraceError> {
        let mut changes = Vec::with_capacity(1);
        self.decoder.decode(record, &mut changes)?;
        for change in changes {
            let Op::Put(source) = change.op else { continue };
            let expected = self.mapping.expected(source, &Bookkeeping::default())?;
            let Expected::Row(row) = expected else {
                continue;
            };
            let Key(values) = key_of(&row, &self.columns);
            if self.values.contains(&values) {
                self.found
                    .insert(self.mapping.key(change.key)?.into_owned());
            }
        }
        Ok(())
    }
}

/// What a row was from an event on.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The event.
    pub event: Event,
    /// The row; `None` when it was gone.
    pub row: Option<Row<'static>>,
}

/// All that a row has been.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// From the oldest to the newest.
    pub states: Vec<State>,
    /// Why the log does not say it.
    pub unknown: Option<&'static str>,
}

impl Past {
    /// What it was by the first `n` of its states.
    #[must_use]
    pub fn at(&self, n: usize) -> Option<&Row<'static>> {
        self.states[..n].last()?.row.as_ref()
    }
}

/// Gathers all that some rows have been.
#[derive(Debug)]
pub struct Pasts {
    decoder: AnyDecoder,
    order: Order,
    mapping: Mapping,
    changes: BTreeMap<Key<'static>, Vec<Change<'static>>>,
    truncates: Vec<Version>,
    /// The place of the source among the view's.
    source: usize,
}

impl Pasts {
    /// Those of these rows of a source, which has this place among the view's. The mapping is that of the source onto itself.
    #[must_use]
    pub fn new(
        (decoder, order): (AnyDecoder, Order),
        mapping: Mapping,
        source: usize,
        keys: BTreeSet<Key<'static>>,
    ) -> Pasts {
        Pasts {
            decoder,
            order,
            mapping,
            changes: keys.into_iter().map(|key| (key, Vec::new())).collect(),
            truncates: Vec::new(),
            source,
        }
    }

    /// What each has been.
    #[must_use]
    pub fn past(self) -> BTreeMap<Key<'static>, Past> {
        let (order, source) = (self.order, self.source);
        let past = |(key, mut changes): (Key<'static>, Vec<Change<'static>>)| {
            let truncate = |version: &Version| Change {
                key: key.clone(),
                version: *version,
                op: Op::Truncate,
            };
            changes.extend(self.truncates.iter().map(truncate));
            let past = folded(&order, source, &key, changes);
            (key, past)
        };
        self.changes.into_iter().map(past).collect()
    }
}

/// The states that a row's changes make, in the order of their versions.
fn folded(
    order: &Order,
    source: usize,
    key: &Key<'static>,
    mut changes: Vec<Change<'static>>,
) -> Past {
    let mut past = Past::default();
    if changes.len() > EVENTS_MAX {
        past.unknown = Some("a row that it is made of has too many events");
        return past;
    }
    changes.sort_by_key(|c| c.version);
    let mut fold = Fold::new(order.clone());
    for change in changes {
        let event = Event {
            source,
            version: change.version,
            deletes: matches!(change.op, Op::Delete | Op::Truncate),
        };
        match fold.apply(change) {
            Verdict::Put | Verdict::Deleted | Verdict::Truncated => {
                let row = fold.row(key).flatten().cloned();
                let is_whole = |r: &Row<'_>| !r.is_empty() && !r.contains(&Cell::Unchanged);
                if row.as_ref().is_some_and(|r| !is_whole(r)) {
                    past.unknown = Some("it does not hold a row that it is made of whole");
                }
                past.states.push(State { event, row });
            }
            Verdict::Conflict(_) => {
                past.unknown = Some(
                    "events of a row that it is made of are in two partitions, and nothing orders them",
                );
            }
            Verdict::Stale | Verdict::Duplicate => {}
        }
    }
    past
}

impl Follow for Pasts {
    fn record(&mut self, record: &Record<'_>) -> Result<(), TraceError> {
        let mut changes = Vec::with_capacity(1);
        self.decoder.decode(record, &mut changes)?;
        for change in changes {
            let version = change.version;
            if let Op::Truncate = change.op {
                self.truncates.push(version);
                continue;
            }
            let key = self.mapping.key(change.key)?.into_owned();
            let Some(known) = self.changes.get_mut(&key) else {
                continue;
            };
            // One more says that there are too many.
            if known.len() > EVENTS_MAX {
                continue;
            }
            let op = match change.op {
                Op::Put(source) => match self.mapping.expected(source, &Bookkeeping::default())? {
                    Expected::Row(row) => Op::Put(row),
                    Expected::Filtered => Op::Delete,
                    Expected::Unknown => Op::Lost,
                },
                other => other,
            };
            known.push(Change { key, version, op }.into_owned());
        }
        Ok(())
    }
}
