//! What a shadow holds once it is settled: its rows and the keys that are gone, each with its version.

use crate::projection::cell::{Cell, Row};
use crate::projection::change::Key;
use crate::projection::types::ColumnType;
use crate::projection::version::{Rank, Version};

/// What became of a key that was settled.
#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// Its row, and the version of that.
    Row(Row<'static>, Version),
    /// It has no row: a tombstone of this version keeps older changes from bringing one back.
    Gone(Key<'static>, Version),
}

/// The columns that make a version, as every store names them behind those of a row or a key.
pub(super) const VERSION: [(&str, ColumnType); 4] = [
    ("trueup_partition", ColumnType::INT64),
    ("trueup_offset", ColumnType::INT64),
    ("trueup_rank", ColumnType::Bytes),
    ("trueup_clock", ColumnType::INT64),
];

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
