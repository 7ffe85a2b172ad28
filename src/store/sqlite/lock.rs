//! One run at a time on a table. SQLite knows no sessions, so the lock is one of the operating system's on a small file
//! beside the database: it ends with the process that holds it, however that ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// The lock of one run, for as long as this value lives.
#[derive(Debug)]
pub(super) struct RunLock {
    file: File,
    path: PathBuf,
}

/// Tries before giving up on a file that keeps being removed by runs that end.
const TRIES: usize = 10;

impl RunLock {
    /// Takes the lock on a table for a run.
    pub(super) fn take(database: &Path, table: &str, run: &str) -> Result<RunLock, StoreError> {
        let path = lock_path(database, table);
        let denied = |error: std::io::Error| StoreError::Denied {
            act: format!("creating the lock file {}", path.display()),
            problem: error.to_string(),
        };
        for _ in 0..TRIES {
            let mut options = OpenOptions::new();
            let options = options.read(true).write(true).create(true).truncate(false);
            let mut file = options.open(&path).map_err(denied)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(busy(&mut file, table)),
                Err(TryLockError::Error(error)) => return Err(denied(error)),
            }
            // Between opening and locking its last owner may have removed it: then it is nobody's.
            if !same_file(&file, &path) {
                continue;
            }
            file.set_len(0).map_err(denied)?;
            let owner = format!("run {run}, process {}", std::process::id());
            file.write_all(owner.as_bytes()).map_err(denied)?;
            return Ok(RunLock { file, path });
        }
        Err(StoreError::Busy {
            problem: format!("the lock file {} keeps changing hands", path.display()),
        })
    }

    /// Whether a run holds the lock on a table. Looking needs no right to write; a run that begins in this very moment could
    /// be told that the table is busy.
    pub(super) fn is_held(database: &Path, table: &str) -> bool {
        let Ok(file) = File::open(lock_path(database, table)) else {
            return false; // A run that ends removes it, one that dies leaves it unlocked.
        };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Gives the lock back and removes its file.
    pub(super) fn release(self) {
        // Removed while still locked, so that nobody can be holding it by then.
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "lock file not removed");
        }
        drop(self.file);
    }
}

fn busy(file: &mut File, table: &str) -> StoreError {
    let mut owner = String::new();
    let read = file
        .rewind()
        .and_then(|()| file.read_to_string(&mut owner).map(|_| ()));
    if read.is_err() || owner.is_empty() {
        "another run".clone_into(&mut owner);
    }
    StoreError::Busy {
        problem: format!(
            "table {table} is being written by {owner}; wait for it to end, or stop it"
        ),
    }
}

/// `<database>.trueup-lock-<table>`; what is no plain character becomes its number.
fn lock_path(database: &Path, table: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".trueup-lock-");
    for c in table.to_lowercase().chars() {
        if c.is_alphanumeric() || c == '_' {
            name.push(c.to_string());
        } else {
            name.push(format!("%{:x}", u32::from(c)));
        }
    }
    PathBuf::from(name)
}

#[cfg(unix)]
fn same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(a), Ok(b)) => a.ino() == b.ino() && a.dev() == b.dev(),
        _ => false,
    }
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
fn same_file(_: &File, _: &Path) -> bool {
    true
}
