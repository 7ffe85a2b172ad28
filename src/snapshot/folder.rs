//! Snapshots in a folder: each is a folder in it, made under another name and moved into place by one rename.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::disk;
use super::error::SnapshotError;
use super::home::{Files, Home, Local};

/// A folder of snapshots. It need not be there before the first one is made.
#[derive(Debug)]
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    fn part(&self, id: &str) -> PathBuf {
        self.0.join(format!(".{id}{}", disk::PART))
    }

    /// A name beside the snapshots that no other process takes.
    fn away(&self, id: &str) -> PathBuf {
        self.0
            .join(format!(".{id}.{}{}", std::process::id(), disk::PART))
    }

    fn io(&self) -> impl FnOnce(io::Error) -> SnapshotError {
        SnapshotError::io(&self.0)
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl Home for Folder {
    fn ids(&self) -> Result<Vec<String>, SnapshotError> {
        let entries = match fs::read_dir(&self.0) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(self.io())?,
        };
        let mut ids = Vec::new();
        for entry in entries {
            let entry = entry.map_err(self.io())?;
            if entry.file_type().map_err(self.io())?.is_dir() {
                ids.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(ids)
    }

    fn has(&self, id: &str) -> Result<bool, SnapshotError> {
        let what = self.0.join(id).symlink_metadata();
        Ok(what.is_ok_and(|m| m.is_dir()))
    }

    fn files(&self, id: &str) -> Result<Files, SnapshotError> {
        let folder = self.0.join(id);
        let io = || SnapshotError::io(&folder);
        let mut files = Files::new();
        for entry in fs::read_dir(&folder).map_err(io())? {
            let entry = entry.map_err(io())?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let about = entry.metadata().map_err(io())?;
            if !about.is_file() {
                return Err(SnapshotError::damaged(
                    id,
                    &name,
                    "it is not a regular file",
                ));
            }
            files.insert(name, about.len());
        }
        Ok(files)
    }

    fn changed_ms(&self, id: &str) -> Option<i64> {
        let at = fs::metadata(self.0.join(id)).ok()?.modified().ok()?;
        i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
    }

    fn local(&self, id: &str) -> Result<Local, SnapshotError> {
        Ok(Local::shared(self.0.join(id)))
    }

    fn fetch(&self, _: &str, _: &[&str], _: &Local) -> Result<(), SnapshotError> {
        Ok(())
    }

    fn begin(&self, id: &str) -> Result<Local, SnapshotError> {
        fs::create_dir_all(&self.0).map_err(self.io())?;
        let _lock = disk::lock(&self.0).map_err(self.io())?;
        disk::sweep(&self.0).map_err(self.io())?;
        if self.0.join(id).symlink_metadata().is_ok() {
            return Err(SnapshotError::taken(id));
        }
        let part = self.part(id);
        disk::new_folder(&part).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => {
                SnapshotError::id(id, "another process is making a snapshot of this id")
            }
            _ => SnapshotError::io(&part)(e),
        })?;
        let lock = disk::lock(&part).map_err(SnapshotError::io(&part))?;
        Ok(Local::own(part, lock))
    }

    fn finish(&self, id: &str, _: &[&str], local: &mut Local) -> Result<(), SnapshotError> {
        let part = local.folder();
        disk::sync_folder(part).map_err(SnapshotError::io(part))?;
        let target = self.0.join(id);
        // A rename takes the place of an empty folder, and of nothing else.
        fs::rename(part, &target).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists
            | io::ErrorKind::DirectoryNotEmpty
            | io::ErrorKind::NotADirectory => SnapshotError::taken(id),
            _ => SnapshotError::io(&target)(e),
        })?;
        local.keep();
        disk::sync_folder(&self.0).map_err(self.io())
    }

    fn abandon(&self, _: &str, _: &Local) {}

    fn put(&self, id: &str, name: &str, text: &[u8]) -> Result<(), SnapshotError> {
        let folder = self.0.join(id);
        let file = folder.join(name);
        // Beside the folder: within it, one that a dead process left would be damage.
        let beside = self.away(id);
        let written = disk::write_new(&beside, text)
            .and_then(|()| fs::rename(&beside, &file))
            .and_then(|()| disk::sync_folder(&folder));
        if written.is_err() {
            // After the rename it is not there any more.
            let _ = fs::remove_file(&beside);
        }
        written.map_err(SnapshotError::io(&file))
    }

    fn remove(&self, id: &str) -> Result<(), SnapshotError> {
        // Away first: one that is removed in part must not be found.
        let (folder, away) = (self.0.join(id), self.away(id));
        fs::rename(&folder, &away).map_err(SnapshotError::io(&folder))?;
        disk::sync_folder(&self.0).map_err(self.io())?;
        fs::remove_dir_all(&away).map_err(SnapshotError::io(&away))
    }

    fn sweep(&self) -> Result<(), SnapshotError> {
        let exists = Path::exists(&self.0);
        match exists {
            true => disk::lock(&self.0)
                .and_then(|_lock| disk::sweep(&self.0))
                .map_err(self.io()),
            false => Ok(()),
        }
    }
}
