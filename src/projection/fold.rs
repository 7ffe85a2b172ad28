//! The fold: every change of a key, in whatever order, becomes the key's one newest row.
//!
//! A delete leaves a versioned tombstone, so that an older event arriving later cannot bring the row back. A cell that a
//! change leaves `Unchanged` is a hole: it takes the newest older value, whether that came before or comes later.

use std::collections::BTreeMap;

use super::cell::{Cell, Row};
use super::change::{Change, Key, Op};
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
    /// The row; `None` when it is gone. Cells may still be `Unchanged`: then the row is incomplete.
    pub row: Option<Row<'static>>,
}

impl Folded {
    /// Whether a cell of the row is still unknown.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.row
            .as_ref()
            .is_some_and(|r| r.contains(&Cell::Unchanged))
    }
}

/// Folds the changes of many keys.
#[derive(Clone, Debug)]
pub struct Fold {
    order: Order,
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
            keys: BTreeMap::new(),
            truncated: None,
            bytes: 0,
        }
    }

    /// About how much memory the held rows take, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
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
        if let Some(conflict) = conflict(&self.order, held.newest, change.version) {
            return Verdict::Conflict(conflict);
        }
        let before = held.bytes();
        let verdict = held.apply(&self.order, change);
        self.bytes = (self.bytes + held.bytes()).saturating_sub(before);
        verdict
    }

    fn insert(&mut self, change: Change<'static>) -> Verdict {
        let (row, verdict) = match change.op {
            Op::Put(row) | Op::Add(row) => (Some(row), Verdict::Put),
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
        rank: super::version::Rank::default(),
        partition: i32::MIN,
        offset: i64::MIN,
        clock: None,
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
        return (held.partition != arriving.partition)
            .then_some(Conflict::TwoPartitions { held, arriving });
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

    fn apply(&mut self, order: &Order, change: Change<'static>) -> Verdict {
        let same_position = *order != Order::Offset && change.version.rank == self.newest.rank;
        if (same_position || change.version == self.newest) && self.has_content(&change.op) {
            return Verdict::Duplicate;
        }
        if change.version < self.newest {
            self.fill(change);
            return Verdict::Stale;
        }
        self.replace(change)
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
            (Op::Delete, None) => true,
            _ => false,
        }
    }

    /// A newer change: its holes take what is held.
    fn replace(&mut self, change: Change<'static>) -> Verdict {
        let older = std::mem::replace(&mut self.newest, change.version);
        let before = self.row.take();
        let before_holes = std::mem::take(&mut self.holes);
        let (Op::Put(mut row) | Op::Add(mut row)) = change.op else {
            return Verdict::Deleted;
        };
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
                Op::Put(older) | Op::Add(older) => {
                    if let Some(value) = older.get(*at).filter(|c| **c != Cell::Unchanged) {
                        row[*at] = value.clone();
                        *known_at = change.version;
                    }
                }
                Op::Delete | Op::Truncate => {
                    row[*at] = Cell::Unchanged;
                    *known_at = change.version;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::version::Rank;
    use super::*;

    fn version(lsn: u64, partition: i32, offset: i64, clock: i64) -> Version {
        Version {
            rank: Rank {
                epoch: 0,
                words: [lsn, 0, 0],
            },
            partition,
            offset,
            clock: Some(clock),
        }
    }

    fn put(v: Version, cells: &[Option<i128>]) -> Change<'static> {
        let row = cells
            .iter()
            .map(|c| c.map_or(Cell::Unchanged, Cell::Int))
            .collect();
        Change {
            key: Key(vec![Cell::Int(1)]),
            version: v,
            op: Op::Put(row),
        }
    }

    fn delete(v: Version) -> Change<'static> {
        Change {
            key: Key(vec![Cell::Int(1)]),
            version: v,
            op: Op::Delete,
        }
    }

    /// Every order of arrival of these changes ends in the same row.
    fn in_any_order(changes: &[Change<'static>], want: Option<&[Option<i128>]>) {
        let mut orders = vec![Vec::new()];
        for i in 0..changes.len() {
            orders = orders
                .into_iter()
                .flat_map(|o: Vec<usize>| {
                    (0..=o.len()).map(move |at| {
                        let mut o = o.clone();
                        o.insert(at, i);
                        o
                    })
                })
                .collect();
        }
        for order in orders {
            let mut fold = Fold::new(Order::Lsn);
            for i in &order {
                fold.apply(changes[*i].clone());
            }
            let got = fold.drain().remove(0).row;
            let want: Option<Row<'static>> = want.map(|w| {
                w.iter()
                    .map(|c| c.map_or(Cell::Unchanged, Cell::Int))
                    .collect()
            });
            assert_eq!(got, want, "{order:?}");
        }
    }

    #[test]
    fn the_newest_wins_in_any_order() {
        let v = |lsn| {
            version(
                lsn,
                i32::try_from(lsn % 3).unwrap_or(0),
                i64::try_from(lsn).unwrap_or(0),
                0,
            )
        };
        in_any_order(
            &[
                put(v(1), &[Some(1)]),
                put(v(2), &[Some(2)]),
                put(v(3), &[Some(3)]),
            ],
            Some(&[Some(3)]),
        );
        in_any_order(
            &[put(v(1), &[Some(1)]), delete(v(2)), put(v(3), &[Some(3)])],
            Some(&[Some(3)]),
        );
        in_any_order(
            &[put(v(1), &[Some(1)]), put(v(2), &[Some(2)]), delete(v(3))],
            None,
        );
    }

    #[test]
    fn a_hole_takes_the_newest_older_value() {
        let v = |lsn| version(lsn, 0, i64::try_from(lsn).unwrap_or(0), 0);
        let a = put(v(1), &[Some(1), Some(10)]);
        let b = put(v(2), &[Some(2), Some(20)]);
        in_any_order(
            &[
                a.clone(),
                b.clone(),
                put(v(3), &[Some(3), None]),
                put(v(4), &[Some(4), None]),
            ],
            Some(&[Some(4), Some(20)]),
        );
        in_any_order(
            &[a.clone(), delete(v(2)), put(v(3), &[Some(3), None])],
            Some(&[Some(3), None]),
        );
        in_any_order(
            &[
                a,
                delete(v(2)),
                put(v(3), &[Some(3), Some(30)]),
                put(v(4), &[Some(4), None]),
            ],
            Some(&[Some(4), Some(30)]),
        );
    }

    #[test]
    fn counts_what_arrives() {
        let mut fold = Fold::new(Order::Lsn);
        assert_eq!(
            fold.apply(put(version(5, 0, 0, 50), &[Some(5)])),
            Verdict::Put
        );
        assert_eq!(
            fold.apply(put(version(5, 0, 9, 50), &[Some(5)])),
            Verdict::Duplicate
        );
        assert_eq!(
            fold.apply(put(version(4, 1, 0, 40), &[Some(4)])),
            Verdict::Stale
        );
        assert_eq!(fold.apply(delete(version(6, 0, 1, 60))), Verdict::Deleted);
        assert_eq!(
            fold.apply(put(version(5, 0, 2, 50), &[Some(5)])),
            Verdict::Stale
        );
    }

    #[test]
    fn a_position_that_falls_while_the_clock_runs_on_is_an_epoch_break() {
        for (first, second) in [
            (version(900, 0, 0, 1_000), version(10, 0, 1, 60_000)),
            (version(10, 1, 0, 60_000), version(900, 0, 0, 1_000)),
        ] {
            let mut fold = Fold::new(Order::Lsn);
            fold.apply(put(first, &[Some(1)]));
            assert!(matches!(
                fold.apply(put(second, &[Some(2)])),
                Verdict::Conflict(Conflict::EpochBreak { .. })
            ));
        }
    }

    #[test]
    fn by_offset_a_key_lives_in_one_partition() {
        let mut fold = Fold::new(Order::Offset);
        fold.apply(put(version(0, 0, 1, 0), &[Some(1)]));
        assert_eq!(
            fold.apply(put(version(0, 0, 2, 0), &[Some(2)])),
            Verdict::Put
        );
        assert!(matches!(
            fold.apply(put(version(0, 1, 0, 0), &[Some(3)])),
            Verdict::Conflict(Conflict::TwoPartitions { .. })
        ));
    }

    #[test]
    fn a_truncate_empties_what_is_older() {
        let mut fold = Fold::new(Order::Lsn);
        fold.apply(put(version(5, 0, 0, 0), &[Some(5)]));
        let truncate = Change {
            key: Key(Vec::new()),
            version: version(7, 0, 1, 0),
            op: Op::Truncate,
        };
        assert_eq!(fold.apply(truncate), Verdict::Truncated);
        assert_eq!(
            fold.apply(put(version(6, 1, 0, 0), &[Some(6)])),
            Verdict::Stale
        );
        assert_eq!(
            fold.apply(put(version(8, 0, 2, 0), &[Some(8)])),
            Verdict::Put
        );
        assert_eq!(fold.drain().len(), 1);
    }
}
