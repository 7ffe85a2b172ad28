//! The folder that holds the snapshots of one playbook.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::disk;
use super::error::SnapshotError;
use super::manifest::{Draft, Manifest, Verified};
use super::reader::Snapshot;
use super::writer::Writer;
use crate::store::WritePermit;

/// Longest id, in bytes.
const ID_BYTES_MAX: usize = 100;

/// The folder that holds the snapshots of one playbook. It need not be there before the first one is made.
#[derive(Clone, Debug)]
pub struct Place {
    folder: PathBuf,
}

/// A snapshot as a list shows it.
#[derive(Debug)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// What it says about itself, and the proof that it was right; or what is wrong with it.
    pub what: Result<(Manifest, Option<Verified>), SnapshotError>,
}

impl Place {
    /// The place at `path`; nothing is looked at yet.
    #[must_use]
    pub fn open(path: &Path) -> Place {
        Place {
            folder: path.to_path_buf(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The snapshots, the newest last. Each one's files are there and of the right
    /// size; their checksums are left to [`Place::load`].
    ///
    /// # Errors
    /// [`SnapshotError::Io`] when the folder cannot be read. That one snapshot is damaged is no error here.
    pub fn list(&self) -> Result<Vec<Listed>, SnapshotError> {
        let io = || SnapshotError::io(&self.folder);
        let entries = match fs::read_dir(&self.folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(io())?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(io())?;
            let id = entry.file_name().to_string_lossy().into_owned();
            let is_folder = entry.file_type().map_err(io())?.is_dir();
            if !is_folder || check_id(&id).is_err() {
                continue;
            }
            let what = Snapshot::look(&entry.path(), &id);
            let what = what.map(|s| (s.manifest().clone(), s.verified().cloned()));
            found.push(Listed { id, what });
        }
        found.sort_by_cached_key(|l| (self.created_ms(l), l.id.clone()));
        Ok(found)
    }

    /// Begins a snapshot. What dead processes left unfinished is removed first.
    ///
    /// # Errors
    /// [`SnapshotError::Id`] for an id that is none, or taken; [`SnapshotError::Io`].
    pub fn create(&self, draft: Draft, id: &str) -> Result<Writer, SnapshotError> {
        check_id(id)?;
        let io = SnapshotError::io;
        fs::create_dir_all(&self.folder).map_err(io(&self.folder))?;
        let _lock = disk::lock(&self.folder).map_err(io(&self.folder))?;
        disk::sweep(&self.folder).map_err(io(&self.folder))?;
        let taken = |problem: &str| SnapshotError::Id {
            snapshot: id.to_owned(),
            problem: problem.to_owned(),
        };
        if self.folder.join(id).symlink_metadata().is_ok() {
            return Err(taken("it is taken"));
        }
        let part = self.folder.join(format!(".{id}{}", disk::PART));
        disk::new_folder(&part).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => {
                taken("another process is making a snapshot of this id")
            }
            _ => io(&part)(e),
        })?;
        let lock = disk::lock(&part).map_err(io(&part))?;
        Ok(Writer::new(&self.folder, part, lock, id, draft))
    }

    /// Opens a snapshot, and checks every byte of it first.
    ///
    /// # Errors
    /// [`SnapshotError::NoSnapshot`], [`SnapshotError::Damaged`], [`SnapshotError::Newer`], [`SnapshotError::Io`].
    pub fn load(&self, id: &str) -> Result<Snapshot, SnapshotError> {
        Snapshot::load(&self.existing(id)?, id)
    }

    /// The newest snapshot, checked as [`Place::load`] does; `None` when there is none.
    ///
    /// # Errors
    /// As [`Place::load`]: a newest one that is damaged is never passed over silently.
    pub fn latest(&self) -> Result<Option<Snapshot>, SnapshotError> {
        let Some(newest) = self.list()?.pop() else {
            return Ok(None);
        };
        self.load(&newest.id).map(Some)
    }

    /// Removes a snapshot, damaged or not. Those that go on from it do not need it.
    ///
    /// # Errors
    /// [`SnapshotError::NoSnapshot`], [`SnapshotError::Io`]. What is left then is not listed, and swept away later.
    pub fn remove(&self, id: &str, _: &WritePermit) -> Result<(), SnapshotError> {
        let folder = self.existing(id)?;
        // Away first: one that is removed in part must not be found.
        let away = self
            .folder
            .join(format!(".{id}.{}{}", std::process::id(), disk::PART));
        let io = SnapshotError::io;
        fs::rename(&folder, &away).map_err(io(&folder))?;
        disk::sync_folder(&self.folder).map_err(io(&self.folder))?;
        fs::remove_dir_all(&away).map_err(io(&away))
    }

    /// Removes what dead processes left unfinished.
    ///
    /// # Errors
    /// [`SnapshotError::Io`].
    pub fn sweep(&self, _: &WritePermit) -> Result<(), SnapshotError> {
        if !self.folder.exists() {
            return Ok(());
        }
        let swept = disk::lock(&self.folder).and_then(|_lock| disk::sweep(&self.folder));
        swept.map_err(SnapshotError::io(&self.folder))
    }

    /// When a snapshot was made; for one that cannot say so, when its folder last changed.
    fn created_ms(&self, listed: &Listed) -> i64 {
        let changed = || {
            let at = fs::metadata(self.folder.join(&listed.id))
                .ok()?
                .modified()
                .ok()?;
            i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
        };
        match &listed.what {
            Ok((manifest, _)) => manifest.created_ms,
            Err(_) => changed().unwrap_or(i64::MAX),
        }
    }

    fn existing(&self, id: &str) -> Result<PathBuf, SnapshotError> {
        let folder = self.folder.join(id);
        if check_id(id).is_ok() && folder.symlink_metadata().is_ok_and(|m| m.is_dir()) {
            return Ok(folder);
        }
        Err(SnapshotError::NoSnapshot {
            snapshot: id.to_owned(),
            place: self.folder.clone(),
        })
    }
}

/// An id is the name of a folder: nothing that leads elsewhere, and nothing that is hidden.
fn check_id(id: &str) -> Result<(), SnapshotError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if !id.is_empty() && id.len() <= ID_BYTES_MAX && !id.starts_with('.') && id.bytes().all(plain) {
        return Ok(());
    }
    Err(SnapshotError::Id {
        snapshot: id.to_owned(),
        problem: format!("it must be up to {ID_BYTES_MAX} letters, digits, `.`, `_` and `-`"),
    })
}
