//! The laws of the fold, on small histories in every order of arrival.

use super::*;
use crate::projection::version::Rank;

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

fn lost(v: Version) -> Change<'static> {
    Change {
        key: Key(vec![Cell::Int(1)]),
        version: v,
        op: Op::Lost,
    }
}

/// Without a position of its own, as the guard stamps it.
fn borrowed(lsn: u64, partition: i32, offset: i64, clock: i64) -> Version {
    version(lsn, !partition, offset, clock)
}

/// What is lost takes nothing from before it, and gives nothing to a hole behind it.
#[test]
fn what_is_lost_is_incomplete_until_a_whole_row_comes() {
    let v = |lsn: i64| version(lsn.unsigned_abs(), 0, lsn, lsn);
    let folded = |changes: &[Change<'static>]| {
        let mut fold = Fold::new(Order::Lsn);
        for change in changes {
            fold.apply(change.clone());
        }
        fold.drain().remove(0)
    };
    let (old, gone, hole) = (
        put(v(1), &[Some(1), Some(1)]),
        lost(v(2)),
        put(v(3), &[Some(1), None]),
    );
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let all = [&old, &gone, &hole];
        let ordered: Vec<Change<'static>> = order.iter().map(|at| (*all[*at]).clone()).collect();
        assert!(folded(&ordered).is_incomplete(), "{order:?}");
        assert!(folded(&ordered[..1]).is_incomplete() || order[0] == 0);
    }
    assert!(folded(&[old.clone(), gone.clone()]).is_incomplete());
    assert!(folded(&[gone.clone(), old]).is_incomplete());
    let whole = put(v(4), &[Some(1), Some(4)]);
    assert!(!folded(&[gone.clone(), whole]).is_incomplete());
    assert_eq!(folded(&[gone, delete(v(5))]).row, None);
}

/// A transaction that took long comes after a row that was read again meanwhile, at a lower position.
#[test]
fn in_one_partition_what_comes_after_a_borrowed_position_is_newer() {
    let mut fold = Fold::new(Order::Lsn);
    let verdicts = [
        put(version(50, 0, 1, 500), &[Some(1)]),
        // Read again when another key of the partition was at 100.
        put(borrowed(100, 0, 3, 1_000), &[Some(2)]),
        put(version(90, 0, 4, 1_005), &[Some(3)]),
        // Sent once more, and older than the row that was read.
        put(borrowed(100, 0, 6, 1_010), &[Some(4)]),
        put(version(50, 0, 7, 500), &[Some(1)]),
        // A delete without a position, when the last one seen was low.
        Change {
            op: Op::Delete,
            ..put(borrowed(40, 0, 9, 1_020), &[])
        },
    ]
    .map(|change| fold.apply(change));
    use Verdict::{Deleted, Put, Stale};
    assert_eq!(verdicts, [Put, Put, Put, Put, Stale, Deleted]);
}

/// Domain events of one key: a row of its key, a text and a sum.
mod events {
    use super::*;
    use crate::projection::start::Start;
    use crate::projection::types::{Column, ColumnType};

    fn column(name: &str, kind: ColumnType) -> Column {
        Column {
            name: name.to_owned(),
            kind,
            nullable: true,
        }
    }

    fn fold() -> Fold {
        let columns = vec![
            column("id", ColumnType::INT64),
            column("state", ColumnType::TEXT),
            column("sum", ColumnType::INT64),
        ];
        Fold::new(Order::Offset).beginning(Some(Start::new(columns, &[2])))
    }

    fn event(offset: i64, op: Op<'static>) -> Change<'static> {
        Change {
            key: Key(vec![Cell::Int(1)]),
            version: Version {
                rank: Rank::default(),
                partition: 0,
                offset,
                clock: None,
            },
            op,
        }
    }

    fn adds(offset: i64, by: i128) -> Change<'static> {
        let by = Cell::Added(Box::new(Cell::Int(by)));
        event(offset, Op::Put(vec![Cell::Int(1), Cell::Unchanged, by]))
    }

    fn row(state: Cell<'static>, sum: i128) -> Option<Row<'static>> {
        Some(vec![Cell::Int(1), state, Cell::Int(sum)])
    }

    #[test]
    fn each_event_is_added_once() {
        let mut fold = fold();
        assert_eq!(fold.apply(adds(3, 10)), Verdict::Put);
        assert_eq!(fold.apply(adds(5, 1)), Verdict::Put);
        assert_eq!(fold.apply(adds(5, 1)), Verdict::Duplicate);
        assert_eq!(fold.apply(adds(3, 10)), Verdict::Stale);
        let open = Cell::Text("open".into());
        let set = vec![Cell::Int(1), open.clone(), Cell::Unchanged];
        assert_eq!(fold.apply(event(6, Op::Put(set))), Verdict::Put);
        assert_eq!(fold.drain()[0].row, row(open, 11));
    }

    #[test]
    fn what_is_held_is_added_to() {
        let mut fold = fold();
        let held = row(Cell::Text("open".into()), 40).expect("a row");
        fold.apply(event(7, Op::Put(held)));
        assert_eq!(fold.apply(adds(7, 5)), Verdict::Duplicate);
        assert_eq!(fold.apply(adds(6, 5)), Verdict::Stale);
        assert_eq!(fold.apply(adds(8, 2)), Verdict::Put);
        assert_eq!(fold.drain()[0].row, row(Cell::Text("open".into()), 42));
    }

    #[test]
    fn after_a_delete_a_row_starts_anew() {
        let mut fold = fold();
        fold.apply(adds(0, 10));
        assert_eq!(fold.apply(event(1, Op::Delete)), Verdict::Deleted);
        assert_eq!(fold.apply(adds(2, 3)), Verdict::Put);
        assert_eq!(fold.drain()[0].row, row(Cell::Null, 3));
    }

    #[test]
    fn a_key_in_two_partitions_has_no_order() {
        let mut fold = fold();
        fold.apply(adds(0, 10));
        let mut elsewhere = adds(9, 1);
        elsewhere.version.partition = 1;
        assert!(matches!(fold.apply(elsewhere), Verdict::Conflict(_)));
    }
}
