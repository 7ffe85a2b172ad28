//! What a shadow holds once it is settled: its rows and the keys that are gone, each with its version. It can be read out
//! and put into another shadow, which then goes on from where this one stood.

use tokio::sync::mpsc;

use super::{Output, Relation, Scan, Shadow, StoreError, TableName};
use crate::projection::cell::{Cell, Row};
use crate::projection::change::Key;
use crate::projection::types::{Column, ColumnType};
use crate::projection::version::{Rank, Version};

/// What became of a key that was settled.
#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// Its row, and the version of that.
    Row(Row<'static>, Version),
    /// It has no row: a tombstone of this version keeps older changes from bringing one back.
    Gone(Key<'static>, Version),
}

/// Some of what a shadow holds.
#[derive(Clone, Debug, PartialEq)]
pub enum StateBatch {
    /// Rows, in key order.
    Rows(Vec<(Row<'static>, Version)>),
    /// Keys that are gone, in their order.
    Gone(Vec<(Key<'static>, Version)>),
}

/// Batches of a state, all rows before all tombstones; a closed channel is the end, an `Err` the last item.
pub type StateStream = mpsc::Receiver<Result<StateBatch, StoreError>>;

/// The columns that make a version, as every store names them behind those of a row or a key.
pub(super) const VERSION: [(&str, ColumnType); 4] = [
    ("trueup_partition", ColumnType::INT64),
    ("trueup_offset", ColumnType::INT64),
    ("trueup_rank", ColumnType::Bytes),
    ("trueup_clock", ColumnType::INT64),
];

/// How the two tables of a state are read: the rows, then the tombstones.
pub(super) fn scans(shadow: &Shadow, rows: TableName, gone: TableName) -> Vec<Scan> {
    let key = shadow.key.iter().map(|at| shadow.columns[*at].clone());
    vec![
        scan(rows, shadow.columns.clone(), shadow.key.clone()),
        scan(gone, key.collect(), (0..shadow.key.len()).collect()),
    ]
}

fn scan(table: TableName, columns: Vec<Column>, key: Vec<usize>) -> Scan {
    let version = VERSION.map(|(name, kind)| Column {
        name: name.to_owned(),
        kind,
        nullable: true,
    });
    let outputs = columns.into_iter().chain(version);
    Scan {
        relation: Relation::Table(table),
        outputs: outputs
            .map(|column| Output { column, cast: None })
            .collect(),
        key,
        filter: Vec::new(),
        scope: None,
        from: None,
        to: None,
    }
}

/// What came out of one of [`scans`], the first or the second.
pub(super) fn batch(scan: usize, rows: Vec<Row<'static>>) -> Result<StateBatch, StoreError> {
    let rows = rows.into_iter().map(|mut row| {
        let trailing = row.split_off(row.len().saturating_sub(VERSION.len()));
        let version = version(&trailing).ok_or_else(|| {
            StoreError::Refused("a row of the shadow that trueup did not write".to_owned())
        })?;
        Ok::<_, StoreError>((row, version))
    });
    if scan == 0 {
        return rows.collect::<Result<_, _>>().map(StateBatch::Rows);
    }
    let gone = rows.map(|row| row.map(|(key, version)| (Key(key), version)));
    gone.collect::<Result<_, _>>().map(StateBatch::Gone)
}

/// The version that these cells make; `None` when trueup did not write them.
pub(super) fn version(cells: &[Cell<'_>]) -> Option<Version> {
    let [partition, offset, Cell::Bytes(rank), clock] = cells else {
        return None;
    };
    Some(Version {
        rank: Rank::from_bytes(rank)?,
        partition: i32::try_from(int(partition)?).ok()?,
        offset: int(offset)?,
        clock: int(clock),
    })
}

fn int(cell: &Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Int(i) => i64::try_from(*i).ok(),
        _ => None,
    }
}

/// Why there is no state to be read yet.
pub(super) fn unsettled(table: &TableName) -> StoreError {
    StoreError::Refused(format!(
        "{table}: the shadow has changes that are not settled (a bug in trueup)"
    ))
}
