//! Where snapshots are kept: the acts that a folder and an object store have in common.
//!
//! Parquet is written to and read from local files alone. A home gives a [`Local`] folder for that: a folder of its own, or
//! a copy of what is kept elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::error::SnapshotError;

/// The files of a snapshot: names and sizes.
pub(super) type Files = BTreeMap<String, u64>;

/// A place that keeps snapshots by their ids. `Display` says where it is, without secrets.
pub(super) trait Home: fmt::Debug + fmt::Display + Send + Sync {
    /// What is there, whole or damaged; nothing that is still being made or unmade. A place that was never written is empty.
    fn ids(&self) -> Result<Vec<String>, SnapshotError>;

    /// Whether one of this id is there, whole or damaged.
    fn has(&self, id: &str) -> Result<bool, SnapshotError>;

    /// The files of a snapshot that is there.
    fn files(&self, id: &str) -> Result<Files, SnapshotError>;

    /// When a snapshot last changed, in milliseconds since 1970, where that is known.
    fn changed_ms(&self, id: &str) -> Option<i64>;

    /// The folder that a snapshot's files are read from, once they were fetched.
    fn local(&self, id: &str) -> Result<Local, SnapshotError>;

    /// Sees to it that these files are in the folder that [`Home::local`] gave.
    fn fetch(&self, id: &str, names: &[&str], local: &Local) -> Result<(), SnapshotError>;

    /// A new folder to make a snapshot in, which nobody else is making. What dead processes left is removed first.
    fn begin(&self, id: &str) -> Result<Local, SnapshotError>;

    /// Puts what was made in its place, all or nothing. The last of `names` is the file without which nothing is whole.
    fn finish(&self, id: &str, names: &[&str], local: &mut Local) -> Result<(), SnapshotError>;

    /// Gives up what was begun; `local` is removed by itself.
    fn abandon(&self, id: &str, local: &Local);

    /// Writes one file of a snapshot that is there, in one step, in place of an older one.
    fn put(&self, id: &str, name: &str, text: &[u8]) -> Result<(), SnapshotError>;

    /// Removes a snapshot. One that is removed in part is not found.
    fn remove(&self, id: &str) -> Result<(), SnapshotError>;

    /// Removes what dead processes left unfinished.
    fn sweep(&self) -> Result<(), SnapshotError>;
}

/// A local folder with files of a snapshot. One that is ours alone goes when this is dropped.
#[derive(Debug)]
pub(super) struct Local {
    folder: PathBuf,
    /// Held as long as this process is at work in it.
    lock: Option<File>,
}

impl Local {
    /// A folder that others look into too.
    pub(super) fn shared(folder: PathBuf) -> Local {
        Local { folder, lock: None }
    }

    /// A locked folder of this process.
    pub(super) fn own(folder: PathBuf, lock: File) -> Local {
        let lock = Some(lock);
        Local { folder, lock }
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// It has become something that stays.
    pub(super) fn keep(&mut self) {
        self.lock = None;
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // What cannot be removed now is swept away later: it has the name of something unfinished.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}
