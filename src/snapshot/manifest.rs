//! What a snapshot says about itself, in `manifest.json`. The JSON is a contract: fields may be added within a format.

use serde::{Deserialize, Serialize};

use crate::projection::types::Column;

/// The format that this trueup writes, and the newest that it reads.
pub(super) const FORMAT: u64 = 1;

/// Where a table's rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    /// The rows of a copy view.
    Copy,
    /// The rows of a source that a query view is derived from.
    Source,
    /// The rows that a query view was derived to.
    Query,
}

impl TableKind {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            TableKind::Copy => "copy",
            TableKind::Source => "source",
            TableKind::Query => "query",
        }
    }
}

/// A table of a snapshot, before its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name, unique within the snapshot.
    pub name: String,
    /// Where its rows come from.
    pub kind: TableKind,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Which of the columns name a row.
    pub key: Vec<usize>,
    /// Whether its rows carry versions; only then can it have keys that are gone.
    pub versioned: bool,
}

/// One file of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name in the snapshot's folder.
    pub file: String,
    /// Rows or keys in it.
    pub count: u64,
    /// Its size.
    pub bytes: u64,
}

/// A table with its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The table.
    #[serde(flatten)]
    pub table: Table,
    /// Its rows.
    pub rows: Part,
    /// Its keys that are gone, if there are any.
    pub gone: Option<Part>,
}

/// Up to where one topic had been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicCut {
    /// The topic.
    pub topic: String,
    /// The id that its cluster gave it: one that was deleted and made again has another.
    pub id: String,
    /// Its partitions.
    pub partitions: Vec<PartitionCut>,
}

/// Up to where one partition had been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionCut {
    /// The partition.
    pub partition: i32,
    /// The first offset that is not in the snapshot.
    pub next_offset: i64,
    /// When the last record before the cut was written, in milliseconds since 1970.
    pub time_ms: Option<i64>,
}

/// What is said about a snapshot when it is begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// The name of its playbook.
    pub playbook: String,
    /// Hash of everything that its rows depend on.
    pub projection: String,
    /// What was hashed, to say what has changed when the hash has.
    pub projection_parts: serde_json::Value,
    /// The id of the cluster, or what the archive says.
    pub cluster: String,
    /// Up to where the log had been read.
    pub topics: Vec<TopicCut>,
    /// The snapshot that it goes on from.
    pub parent: Option<String>,
    /// The primary's write position that the log was known to hold, as the primary writes it.
    pub primary_position: Option<String>,
}

/// All that a snapshot says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of the whole snapshot.
    pub format: u64,
    /// Its id, which is also the name of its folder.
    pub id: String,
    /// When it was finished, in milliseconds since 1970.
    pub created_ms: i64,
    /// What was said when it was begun.
    #[serde(flatten)]
    pub draft: Draft,
    /// Its tables, in the order in which they were written.
    pub tables: Vec<Stored>,
}

impl Manifest {
    /// Rows of all its tables.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|t| t.rows.count).sum()
    }

    /// Size of all its tables' files, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts().map(|p| p.bytes).sum()
    }

    /// Its table of that name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Stored> {
        self.tables.iter().find(|t| t.table.name == name)
    }

    /// The files of all its tables.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.tables
            .iter()
            .flat_map(|t| std::iter::once(&t.rows).chain(&t.gone))
    }
}

/// The proof that a snapshot, followed by the log, gave what the primary had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The primary's write position that it was compared at.
    pub position: Option<String>,
}
