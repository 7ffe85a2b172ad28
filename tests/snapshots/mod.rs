//! Snapshots on disk: what is read back is what was written, whatever was changed since is found, and one that was not
//! finished is never taken for whole.

mod commands;
mod damage;
mod interop;
mod killed;
#[cfg(feature = "object-store")]
mod objects;
mod round_trip;
mod values;

use std::path::Path;

use trueup::projection::cell::Row;
use trueup::projection::types::{Column, ColumnType};
use trueup::projection::version::{Rank, Version};
use trueup::snapshot::{Draft, PartitionCut, Place, Snapshot, Table, TableKind, TopicCut};

/// Rows with or without versions, as they are written and read.
type Rows = Vec<(Row<'static>, Option<Version>)>;

fn draft() -> Draft {
    let partition = |partition| PartitionCut {
        partition,
        next_offset: 100 + i64::from(partition),
        time_ms: Some(1_700_000_000_000),
    };
    Draft {
        playbook: "usual".to_owned(),
        projection: "0123".to_owned(),
        projection_parts: serde_json::json!({"order": "offset", "columns": ["id", "note"]}),
        cluster: "MkU3OEVBNTcwNTJENDM2Qg".to_owned(),
        topics: vec![TopicCut {
            topic: "shop.main.t".to_owned(),
            id: "topic-id".to_owned(),
            partitions: vec![partition(0), partition(1)],
        }],
        parent: None,
        primary_position: Some("0/16B3748".to_owned()),
    }
}

fn column(name: &str, kind: ColumnType) -> Column {
    Column {
        name: name.to_owned(),
        kind,
        nullable: true,
    }
}

fn version(offset: i64) -> Version {
    Version {
        rank: Rank {
            epoch: 0,
            words: [offset as u64 * 8, 0, 0],
        },
        partition: 1,
        offset,
        clock: Some(1_700_000_000_000 + offset),
    }
}

/// A table `name (id, note)` of `INT64` and text.
fn notes(name: &str) -> Table {
    Table {
        name: name.to_owned(),
        kind: TableKind::Copy,
        columns: vec![
            column("id", ColumnType::INT64),
            column("note", ColumnType::TEXT),
        ],
        key: vec![0],
        versioned: true,
    }
}

fn read(snapshot: &Snapshot, table: &str) -> Rows {
    let batches = snapshot.rows(table).unwrap();
    batches.flat_map(|batch| batch.unwrap()).collect()
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A snapshot of two tables, one of them with keys that are gone.
fn small(place: &Place, id: &str) {
    use trueup::projection::cell::Cell;
    use trueup::projection::change::Key;
    let mut writer = place.create(draft(), id).unwrap();
    let row = |id: i64, note: &str| {
        let cells = vec![Cell::Int(id.into()), Cell::Text(note.to_owned().into())];
        (cells, Some(version(id)))
    };
    let mut table = writer.table(notes("t")).unwrap();
    table.rows(&[row(1, "one"), row(2, "")]).unwrap();
    table
        .gone(&[(Key(vec![Cell::Int(3)]), version(30))])
        .unwrap();
    table.close().unwrap();
    let mut table = writer.table(notes("odd / name")).unwrap();
    table.rows(&[row(7, "seven")]).unwrap();
    table.close().unwrap();
    writer.finish().unwrap();
}
