//! The fold: every change of a key, in whatever order, becomes the key's one newest row.
//!
//! A delete leaves a versioned tombstone, so that an older event arriving later cannot bring the row back. A cell that a
//! change leaves `Unchanged` is a hole: it takes the newest older value, whether that came before or comes later.

use std::collections::BTreeMap;

use super::cell::{Cell, Row};
use super::change::{Change, Key, Op};
use super::start::Start;
use super::version::{Order, Version};

/// How far the source's clock may run against its positions before that is evidence of an epoch break, in milliseconds.
/// Database clocks step by less; a failover or a restore takes longer.
pub const CLOCK_TOLERANCE_MS: i64 = 1_000;

/// What a change turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The newest so far; the row is now this.
    Put,
    /// The newest so far; the row is gone.
    Deleted,
    /// It emptied the table up to its version.
    Truncated,
    /// It lost against a newer version of its key.
    Stale,
    /// The same position with the same content once more.
    Duplicate,
    /// The order does not decide between it and what is held.
    Conflict(Conflict),
}

/// Why an order does not decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Ordered by offset, but the key is in two partitions.
    TwoPartitions {
        /// Version held.
        held: Version,
        /// Version arriving.
        arriving: Version,
    },
    /// The position says older, the source's clock says newer: positions started afresh in between.
    EpochBreak {
        /// The version with the higher position.
        higher: Version,
        /// The version with the later clock.
        later: Version,
    },
}

/// A key's state while it is being folded.
#[derive(Clone, Debug)]
struct Held {
    newest: Version,
    row: Option<Row<'static>>,
    /// Cells whose value is older than `newest`, with the version of what is known of them.
    holes: Vec<(usize, Version)>,
}

/// The final state of a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Folded {
    /// Which row.
    pub key: Key<'static>,
    /// Version of the newest change.
    pub version: Version,
    /// The row; `None` when it is gone. Cells may still be `Unchanged`, or nothing of it may be known, which is a row without
    /// cells: then it is incomplete.
    pub row: Option<Row<'static>>,
}

impl Folded {
    /// Whether a cell of the row is still unknown.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.row
            .as_ref()
            .is_some_and(|r| r.is_empty() || r.contains(&Cell::Unchanged))
    }
}

/// Folds the changes of many keys.
#[derive(Clone, Debug)]
pub struct Fold {
    order: Order,
    /// Where rows of domain events begin; without it what is not known is a hole.
    start: Option<Start>,
    keys: BTreeMap<Key<'static>, Held>,
    truncated: Option<Version>,
    bytes: usize,
}

impl Fold {
    /// An empty fold under one order.
    #[must_use]
    pub fn new(order: Order) -> Fold {
        Fold {
            order,
            start: None,
            keys: BTreeMap::new(),
            truncated: None,
            bytes: 0,
        }
    }

    /// Folds domain events: rows begin there, and what an event does not say is as it was.
    #[must_use]
    pub fn beginning(mut self, start: Option<Start>) -> Fold {
        self.start = start;
        self
    }

    /// About how much memory the held rows take, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The row of a key so far, which may be incomplete: without cells when nothing of it is known. `None` in it is a key that is
    /// gone, `None` one that was not seen since the last truncate.
    #[must_use]
    pub fn row(&self, key: &Key<'static>) -> Option<Option<&Row<'static>>> {
        self.keys.get(key).map(|held| held.row.as_ref())
    }

    /// Applies one change and says what it was.
    pub fn apply(&mut self, change: Change<'static>) -> Verdict {
        if let Op::Truncate = change.op {
            return self.truncate(change.version);
        }
        if self.truncated.is_some_and(|t| change.version < t) {
            return Verdict::Stale;
        }
        let Some(held) = self.keys.get_mut(&change.key) else {
            return self.insert(change);
        };
        if !change.version.follows(&held.newest)
            && let Some(conflict) = conflict(&self.order, held.newest, change.version)
        {
            return Verdict::Conflict(conflict);
        }
        let before = held.bytes();
        let verdict = held.apply((&self.order, self.start.as_ref()), change);
        self.bytes = (self.bytes + held.bytes()).saturating_sub(before);
        verdict
    }

    fn insert(&mut self, change: Change<'static>) -> Verdict {
        let (row, verdict) = match change.op {
            Op::Put(row) => (Some(begun(self.start.as_ref(), None, row)), Verdict::Put),
            Op::Lost => (Some(Row::new()), Verdict::Put),
            Op::Delete | Op::Truncate => (None, Verdict::Deleted),
        };
        let holes = row
            .as_ref()
            .map_or_else(Vec::new, |r| holes_of(r, oldest()));
        let held = Held {
            newest: change.version,
            row,
            holes,
        };
        self.bytes += held.bytes()
            + change
                .key
                .0
                .iter()
                .map(|c| size_of::<Cell<'_>>() + c.heap_bytes())
                .sum::<usize>();
        self.keys.insert(change.key, held);
        verdict
    }

    /// Goes on behind a truncate that was counted elsewhere: nothing older counts.
    pub fn begin_at(&mut self, truncate: Option<Version>) {
        if let Some(version) = truncate {
            self.truncate(version);
        }
    }

    fn truncate(&mut self, version: Version) -> Verdict {
        if self.truncated.is_some_and(|t| t >= version) {
            return Verdict::Stale;
        }
        self.truncated = Some(version);
        self.keys.retain(|_, held| held.newest > version);
        self.bytes = self.keys.values().map(Held::bytes).sum();
        Verdict::Truncated
    }

    /// Takes the final state of every key, in key order.
    pub fn drain(&mut self) -> Vec<Folded> {
        self.bytes = 0;
        let keys = std::mem::take(&mut self.keys);
        keys.into_iter()
            .map(|(key, held)| Folded {
                key,
                version: held.newest,
                row: held.row,
            })
            .collect()
    }

    /// Takes the final state of every key but this one.
    pub fn drain_but(&mut self, current: &Key<'static>) -> Vec<Folded> {
        let kept = self.keys.remove_entry(current);
        let drained = self.drain();
        if let Some((key, held)) = kept {
            self.bytes = held.bytes();
            self.keys.insert(key, held);
        }
        drained
    }
}

/// The version below all others, for a cell of which nothing is known.
fn oldest() -> Version {
    Version {
        rank: crate::projection::version::Rank::default(),
        partition: i32::MIN,
        offset: i64::MIN,
        clock: None,
    }
}

/// The row that a domain event makes of the one before it; any other change is its own row.
fn begun(start: Option<&Start>, before: Option<&Row<'static>>, row: Row<'static>) -> Row<'static> {
    match start {
        Some(start) => start.after(before, row),
        None => row,
    }
}

fn holes_of(row: &Row<'_>, version: Version) -> Vec<(usize, Version)> {
    row.iter()
        .enumerate()
        .filter(|(_, c)| **c == Cell::Unchanged)
        .map(|(i, _)| (i, version))
        .collect()
}

fn conflict(order: &Order, held: Version, arriving: Version) -> Option<Conflict> {
    if *order == Order::Offset {
        return (held.place() != arriving.place())
            .then_some(Conflict::TwoPartitions { held, arriving });
    }
    if held.is_borrowed() || arriving.is_borrowed() {
        return None;
    }
    let (lower, higher) = if arriving.rank < held.rank {
        (arriving, held)
    } else {
        (held, arriving)
    };
    match (lower.clock, higher.clock) {
        (Some(low), Some(high)) if lower.rank < higher.rank && low > high + CLOCK_TOLERANCE_MS => {
            // A field that the playbook names is the operator's own word on what is newer.
            (!matches!(order, Order::Field(_)) && lower.rank.epoch == higher.rank.epoch).then_some(
                Conflict::EpochBreak {
                    higher,
                    later: lower,
                },
            )
        }
        _ => None,
    }
}

impl Held {
    fn bytes(&self) -> usize {
        let cells = self.row.iter().flatten();
        size_of::<Held>()
            + cells
                .map(|c| size_of::<Cell<'_>>() + c.heap_bytes())
                .sum::<usize>()
    }

    fn apply(
        &mut self,
        (order, start): (&Order, Option<&Start>),
        change: Change<'static>,
    ) -> Verdict {
        if start.is_some() && change.version == self.newest {
            // What an event adds is added once.
            return Verdict::Duplicate;
        }
        let same_position = *order != Order::Offset && change.version.rank == self.newest.rank;
        if (same_position || change.version == self.newest) && self.has_content(&change.op) {
            // The latest delivery counts, so that a third record of this position is judged alike in any order.
            self.newest = self.newest.max(change.version);
            return Verdict::Duplicate;
        }
        if change.version.follows(&self.newest) {
            let mut change = change;
            change.version = change.version.behind(&self.newest);
            return self.replace(start, change);
        }
        if change.version < self.newest {
            self.fill(change);
            return Verdict::Stale;
        }
        self.replace(start, change)
    }

    fn has_content(&self, op: &Op<'_>) -> bool {
        match (op, &self.row) {
            (Op::Put(row), Some(held)) => {
                row.len() == held.len()
                    && row
                        .iter()
                        .zip(held)
                        .all(|(c, h)| *c == Cell::Unchanged || c == h)
            }
            (Op::Lost, Some(held)) => held.is_empty(),
            (Op::Delete, None) => true,
            _ => false,
        }
    }

    /// A newer change: its holes take what is held.
    fn replace(&mut self, start: Option<&Start>, change: Change<'static>) -> Verdict {
        let older = std::mem::replace(&mut self.newest, change.version);
        let before = self.row.take();
        let before_holes = std::mem::take(&mut self.holes);
        let row = match change.op {
            Op::Put(row) => row,
            Op::Lost => Row::new(),
            Op::Delete | Op::Truncate => return Verdict::Deleted,
        };
        let mut row = begun(start, before.as_ref(), row);
        if start.is_some() {
            self.row = Some(row);
            return Verdict::Put;
        }
        for (at, cell) in row.iter_mut().enumerate() {
            if *cell != Cell::Unchanged {
                continue;
            }
            let known_at = before_holes
                .iter()
                .find(|(i, _)| *i == at)
                .map_or(older, |(_, v)| *v);
            if let Some(value) = before.as_ref().and_then(|b| b.get(at)) {
                *cell = value.clone();
            }
            self.holes.push((at, known_at));
        }
        self.row = Some(row);
        Verdict::Put
    }

    /// An older change: it may still know what a hole lacks, or that the row was gone in between.
    fn fill(&mut self, change: Change<'static>) {
        let Some(row) = &mut self.row else { return };
        for (at, known_at) in &mut self.holes {
            if change.version <= *known_at {
                continue;
            }
            match &change.op {
                Op::Put(older) => {
                    if let Some(value) = older.get(*at).filter(|c| **c != Cell::Unchanged) {
                        row[*at] = value.clone();
                        *known_at = change.version;
                    }
                }
                Op::Delete | Op::Truncate | Op::Lost => {
                    row[*at] = Cell::Unchanged;
                    *known_at = change.version;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
