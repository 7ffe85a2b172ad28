//! What is read back is what was written, cell for cell and version for version.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use trueup::limits::{SNAPSHOT_GROUP_BYTES, SNAPSHOT_GROUP_ROWS};
use trueup::projection::cell::{Cell, Row};
use trueup::projection::change::Key;
use trueup::projection::types::ColumnType;
use trueup::projection::version::{Rank, Version};
use trueup::snapshot::{Place, Table, TableKind};

use super::{Rows, column, draft, notes, read, small, values, version};
use crate::support::{seed, size};

fn any_version(rng: &mut StdRng) -> Version {
    let words = rng.random_range(0..=3);
    let mut rank = Rank {
        epoch: rng.random(),
        words: [0; 3],
    };
    for word in rank.words.iter_mut().take(words) {
        *word = *[0, 1, u64::MAX, rng.random()].choose(rng).unwrap();
    }
    Version {
        rank,
        partition: *[0, i32::MAX, rng.random()].choose(rng).unwrap(),
        offset: *[0, i64::MAX, rng.random()].choose(rng).unwrap(),
        clock: *[None, Some(i64::MIN), Some(rng.random())]
            .choose(rng)
            .unwrap(),
    }
}

fn any_table(rng: &mut StdRng, name: String) -> Table {
    let types = values::types();
    let columns = (0..rng.random_range(1..12))
        .map(|n| column(&format!("c{n}"), types.choose(rng).unwrap().clone()));
    let columns: Vec<_> = columns.collect();
    let versioned = rng.random();
    Table {
        name,
        kind: *[TableKind::Copy, TableKind::Source, TableKind::Query]
            .choose(rng)
            .unwrap(),
        key: (0..columns.len())
            .filter(|_| rng.random_range(0..3) == 0)
            .collect(),
        columns,
        versioned,
    }
}

type Keys = Vec<(Key<'static>, Version)>;

fn fill(rng: &mut StdRng, table: &Table, count: usize) -> (Rows, Keys) {
    let rows = (0..count).map(|_| {
        let row: Row<'static> = table
            .columns
            .iter()
            .map(|c| values::cell(rng, &c.kind))
            .collect();
        let version = table.versioned.then(|| any_version(rng));
        (row, version)
    });
    let rows = rows.collect();
    let gone = if table.versioned {
        rng.random_range(0..20)
    } else {
        0
    };
    let key = |rng: &mut StdRng| {
        Key(table
            .key
            .iter()
            .map(|k| values::cell(rng, &table.columns[*k].kind))
            .collect())
    };
    let keys = (0..gone).map(|_| (key(rng), any_version(rng))).collect();
    (rows, keys)
}

/// Equal in every bit that means something: `-0` is not `0`, `1.50` not `1.5`, one spelling of a document not another. All
/// of that shows in the text that Rust writes of a cell.
#[track_caller]
fn same<T: std::fmt::Debug>(found: &[T], wanted: &[T], what: &Table) {
    assert_eq!(found.len(), wanted.len(), "{what:?}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert_eq!(format!("{found:?}"), format!("{wanted:?}"), "{what:?}");
    }
}

#[test]
fn of_random_tables() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(&folder.path().join("deep/down"));
    let mut rng = StdRng::seed_from_u64(seed());
    for round in 0..size(60, 1_000) {
        let id = format!("r{round}");
        let mut writer = place.create(draft(), &id).unwrap();
        let mut written = Vec::new();
        for n in 0..rng.random_range(1..4) {
            let table = any_table(&mut rng, format!("schema.table {n}"));
            let count = *[0, 1, 7, 300].choose(&mut rng).unwrap();
            let (rows, gone) = fill(&mut rng, &table, count);
            let mut out = writer.table(table.clone()).unwrap();
            for batch in rows.chunks(50) {
                out.rows(batch).unwrap();
            }
            out.gone(&gone).unwrap();
            out.close().unwrap();
            written.push((table, rows, gone));
        }
        let manifest = writer.finish().unwrap();
        let snapshot = place.load(&id).unwrap();
        assert_eq!(*snapshot.manifest(), manifest);
        assert_eq!(manifest.draft, draft());
        for (table, rows, gone) in &written {
            assert_eq!(manifest.table(&table.name).unwrap().table, *table);
            same(&read(&snapshot, &table.name), rows, table);
            let found: Keys = snapshot
                .gone(&table.name)
                .unwrap()
                .flat_map(|b| b.unwrap())
                .collect();
            same(&found, gone, table);
        }
    }
    let listed = place.list().unwrap();
    assert!(listed.windows(2).all(|two| {
        let at = |n: usize| two[n].what.as_ref().unwrap().0.created_ms;
        at(0) <= at(1)
    }));
}

#[test]
fn in_batches_of_bounded_size() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(folder.path());
    let mut writer = place.create(draft(), "large").unwrap();
    let mut table = writer.table(notes("t")).unwrap();
    let rows = 150_000;
    let wide = |n: i64| {
        if n % 3 == 0 {
            "w".repeat(200)
        } else {
            String::new()
        }
    };
    for first in (0..rows).step_by(1_000) {
        let row = |n: i64| {
            (
                vec![Cell::Int(n.into()), Cell::Text(wide(n).into())],
                Some(version(n)),
            )
        };
        let batch: Rows = (first..first + 1_000).map(row).collect();
        table.rows(&batch).unwrap();
    }
    table.close().unwrap();
    writer.finish().unwrap();
    let snapshot = place.load("large").unwrap();
    let (mut count, mut batches) = (0, 0);
    for batch in snapshot.rows("t").unwrap() {
        let batch = batch.unwrap();
        let bytes: usize = batch
            .iter()
            .flat_map(|(row, _)| row)
            .map(|c| size_of::<Cell<'_>>() + c.heap_bytes())
            .sum();
        assert!(batch.len() <= SNAPSHOT_GROUP_ROWS && bytes <= SNAPSHOT_GROUP_BYTES + 4_096);
        for (row, of_row) in batch {
            assert_eq!(
                row,
                [Cell::Int(count.into()), Cell::Text(wide(count).into())]
            );
            assert_eq!(of_row, Some(version(count)));
            count += 1;
        }
        batches += 1;
    }
    assert_eq!(count, rows);
    assert!(batches >= 4, "{batches} batches");
}

#[test]
fn a_table_is_taken_over_from_the_parent() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(folder.path());
    small(&place, "parent");
    let parent = place.load("parent").unwrap();
    let mut writer = place.create(draft(), "child").unwrap();
    let mut table = writer.table(notes("odd / name")).unwrap();
    table.rows(&[]).unwrap();
    table.close().unwrap();
    writer.reuse(&parent, "t").unwrap();
    let twice = writer.reuse(&parent, "t").unwrap_err().to_string();
    assert!(twice.contains("t") && twice.contains("already"), "{twice}");
    writer.finish().unwrap();
    place
        .remove("parent", &trueup::store::WritePermit::grant())
        .unwrap();
    let child = place.load("child").unwrap();
    assert_eq!(read(&child, "t").len(), 2);
    assert_eq!(child.gone("t").unwrap().flat_map(|b| b.unwrap()).count(), 1);
    assert_eq!(read(&child, "odd / name").len(), 0);
}

#[test]
fn what_cannot_be_held_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(folder.path());
    let mut writer = place.create(draft(), "no").unwrap();
    let mut table = writer.table(notes("shop.t")).unwrap();
    let row = vec![Cell::Int(41), Cell::Unchanged];
    let said = table
        .rows(&[(row, Some(version(1)))])
        .unwrap_err()
        .to_string();
    for word in ["shop.t", "41", "note", "left the value out"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    // A table that was not closed, or not accepted: the snapshot is never finished, and nothing of it stays.
    drop(table);
    let said = writer.finish().unwrap_err().to_string();
    assert!(said.contains("shop.t"), "{said}");
    assert_eq!(super::names(folder.path()), [""; 0]);

    let mut writer = place.create(draft(), "no").unwrap();
    let mut odd = notes("t");
    odd.columns[1].name = "trueup_offset".to_owned();
    assert!(writer.table(odd).is_err());
    let mut odd = notes("t");
    odd.columns[1].kind =
        ColumnType::Array(Box::new(ColumnType::Array(Box::new(ColumnType::Bool))));
    assert!(writer.table(odd).is_err());
    for (kind, cell) in [
        (
            ColumnType::Int {
                bits: 16,
                unsigned: false,
            },
            Cell::Int(40_000),
        ),
        (ColumnType::Date, Cell::Text("2026-01-01".into())),
        (
            ColumnType::Array(Box::new(ColumnType::TEXT)),
            Cell::Text("{}".into()),
        ),
    ] {
        let mut writer = place.create(draft(), "value").unwrap();
        let mut table = notes("t");
        table.columns[1].kind = kind;
        let mut table = writer.table(table).unwrap();
        assert!(
            table
                .rows(&[(vec![Cell::Int(1), cell], Some(version(1)))])
                .is_err()
        );
    }
    for id in ["", ".hidden", "../up", "a/b", "a b"] {
        assert!(place.create(draft(), id).is_err(), "{id}");
        assert!(place.load(id).is_err(), "{id}");
    }
}
