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
