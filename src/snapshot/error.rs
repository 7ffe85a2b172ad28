//! What can go wrong with a snapshot. Messages name the snapshot and the file.

use std::io;
use std::path::{Path, PathBuf};

/// An error of a snapshot or of the folder that holds them.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A file is not what was written, is missing, or does not belong there.
    #[error("snapshot {snapshot} is damaged: {file}: {problem}")]
    Damaged {
        /// Its id.
        snapshot: String,
        /// The file, by its name in the folder.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A newer trueup has written it.
    #[error(
        "snapshot {snapshot} has format {format}, and this trueup reads format {known}; use the trueup that wrote it, or a newer one"
    )]
    Newer {
        /// Its id.
        snapshot: String,
        /// Its format.
        format: u64,
        /// The newest one that can be read.
        known: u64,
    },
    /// There is no such snapshot.
    #[error(
        "there is no snapshot {snapshot} in {place}; `trueup snapshot list` says which there are"
    )]
    NoSnapshot {
        /// The id asked for.
        snapshot: String,
        /// The folder, or the URL.
        place: String,
    },
    /// The snapshot has no such table.
    #[error("snapshot {snapshot} has no table {table}")]
    NoTable {
        /// Its id.
        snapshot: String,
        /// The table asked for.
        table: String,
    },
    /// No id, or one that is taken.
    #[error("{snapshot} cannot be the id of a new snapshot: {problem}")]
    Id {
        /// The id.
        snapshot: String,
        /// Why not.
        problem: String,
    },
    /// Something that a snapshot cannot hold.
    #[error("table {table}: {problem}")]
    Table {
        /// The table.
        table: String,
        /// What it is.
        problem: String,
    },
    /// A value that a snapshot cannot hold.
    #[error("table {table}, key {key}, column {column}: {problem}")]
    Value {
        /// The table.
        table: String,
        /// The key of its row.
        key: String,
        /// The column.
        column: String,
        /// What is wrong; names the kind of value, never the value itself.
        problem: String,
    },
    /// A URL that leads to no object store.
    #[error("snapshots in {url}: {problem}")]
    Url {
        /// The URL.
        url: String,
        /// Why not.
        problem: String,
    },
    /// An object store did not do what was asked of it.
    #[error("{at}: {problem}")]
    Objects {
        /// The object.
        at: String,
        /// What came of it; without secrets.
        problem: String,
    },
    /// The system refused to read or write a file.
    #[error("{}: {source}{}", file.display(), advice(source))]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// The system's words.
        source: io::Error,
    },
}

impl SnapshotError {
    /// A file that is not what was written.
    pub(super) fn damaged(id: &str, file: &str, problem: impl Into<String>) -> SnapshotError {
        SnapshotError::Damaged {
            snapshot: id.to_owned(),
            file: file.to_owned(),
            problem: problem.into(),
        }
    }

    /// No id for a new snapshot.
    pub(super) fn id(id: &str, problem: &str) -> SnapshotError {
        SnapshotError::Id {
            snapshot: id.to_owned(),
            problem: problem.to_owned(),
        }
    }

    /// An id that another snapshot has.
    pub(super) fn taken(id: &str) -> SnapshotError {
        SnapshotError::id(id, "it is taken")
    }

    /// For `map_err`: the system's error with its file.
    pub(super) fn io(file: &Path) -> impl FnOnce(io::Error) -> SnapshotError {
        let file = file.to_path_buf();
        move |source| SnapshotError::Io { file, source }
    }

    /// Whether the files themselves are bad, so that nothing will ever read them again.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, SnapshotError::Damaged { .. })
    }
}

/// What to do about an error of the system, where that is plain.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; the disk is full: make room, then run the same command again"
        }
        _ => "",
    }
}

/// The system's error in the words of the Parquet library.
pub(super) fn of_parquet(error: ::parquet::errors::ParquetError) -> io::Error {
    match error {
        ::parquet::errors::ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other.to_string()),
        },
        other => io::Error::other(other.to_string()),
    }
}
