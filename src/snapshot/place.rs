//! The place that holds the snapshots of one playbook: a folder, or a prefix of an object store.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::error::SnapshotError;
use super::folder::Folder;
use super::home::Home;
use super::manifest::{Draft, Manifest, Verified};
#[cfg(feature = "object-store")]
use super::objects::Objects;
use super::reader::Snapshot;
use super::writer::Writer;
use crate::store::WritePermit;

/// Longest id, in bytes.
const ID_BYTES_MAX: usize = 100;

/// The place that holds the snapshots of one playbook. `Display` says where it is.
#[derive(Clone, Debug)]
pub struct Place {
    home: Arc<dyn Home>,
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
    /// The folder at `path`; nothing is looked at yet, and it need not be there before the first snapshot is made.
    #[must_use]
    pub fn open(path: &Path) -> Place {
        Place {
            home: Arc::new(Folder(path.to_path_buf())),
        }
    }

    /// The prefix of an object store at `url`, `s3://bucket/prefix` or `file:///folder`; nothing is looked at yet.
    /// Addresses and credentials that a URL does not hold come from the environment (`AWS_…`).
    ///
    /// # Errors
    /// [`SnapshotError::Url`] for one that cannot be used, or by a trueup that was built without object stores.
    pub fn at(url: &str) -> Result<Place, SnapshotError> {
        #[cfg(feature = "object-store")]
        return Ok(Place {
            home: Arc::new(Objects::open(url)?),
        });
        #[cfg(not(feature = "object-store"))]
        Err(SnapshotError::Url {
            url: url.to_owned(),
            problem: "this trueup was built without the feature `object-store`".to_owned(),
        })
    }

    /// The snapshots, the newest last. Each one's files are there and of the right
    /// size; their checksums are left to [`Place::load`].
    ///
    /// # Errors
    /// [`SnapshotError::Io`], [`SnapshotError::Objects`] when the place cannot be read. That one snapshot is damaged is no
    /// error here.
    pub fn list(&self) -> Result<Vec<Listed>, SnapshotError> {
        let mut found = Vec::new();
        for id in self.home.ids()? {
            if check_id(&id).is_err() {
                continue;
            }
            let what = match Snapshot::look(&self.home, &id) {
                Err(e @ SnapshotError::Objects { .. }) => return Err(e),
                what => what.map(|s| (s.manifest().clone(), s.verified().cloned())),
            };
            found.push(Listed { id, what });
        }
        found.sort_by_cached_key(|l| (self.created_ms(l), l.id.clone()));
        Ok(found)
    }

    /// Begins a snapshot. What dead processes left unfinished is removed first.
    ///
    /// # Errors
    /// [`SnapshotError::Id`] for an id that is none, or taken; [`SnapshotError::Io`], [`SnapshotError::Objects`].
    pub fn create(&self, draft: Draft, id: &str) -> Result<Writer, SnapshotError> {
        check_id(id)?;
        let local = self.home.begin(id)?;
        Ok(Writer::new(Arc::clone(&self.home), local, id, draft))
    }

    /// Opens a snapshot, and checks every byte of it first. What is kept in an object store is copied to a local folder
    /// that goes with the last clone of what is returned.
    ///
    /// # Errors
    /// [`SnapshotError::NoSnapshot`], [`SnapshotError::Damaged`], [`SnapshotError::Newer`], [`SnapshotError::Io`],
    /// [`SnapshotError::Objects`].
    pub fn load(&self, id: &str) -> Result<Snapshot, SnapshotError> {
        self.must_have(id)?;
        Snapshot::load(&self.home, id)
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
    /// [`SnapshotError::NoSnapshot`], [`SnapshotError::Io`], [`SnapshotError::Objects`]. What is left then is not listed,
    /// and swept away later.
    pub fn remove(&self, id: &str, _: &WritePermit) -> Result<(), SnapshotError> {
        self.must_have(id)?;
        self.home.remove(id)
    }

    /// Removes what dead processes left unfinished.
    ///
    /// # Errors
    /// [`SnapshotError::Io`], [`SnapshotError::Objects`].
    pub fn sweep(&self, _: &WritePermit) -> Result<(), SnapshotError> {
        self.home.sweep()
    }

    /// When a snapshot was made; for one that cannot say so, when it last changed.
    fn created_ms(&self, listed: &Listed) -> i64 {
        match &listed.what {
            Ok((manifest, _)) => manifest.created_ms,
            Err(_) => self.home.changed_ms(&listed.id).unwrap_or(i64::MAX),
        }
    }

    fn must_have(&self, id: &str) -> Result<(), SnapshotError> {
        if check_id(id).is_ok() && self.home.has(id)? {
            return Ok(());
        }
        Err(SnapshotError::NoSnapshot {
            snapshot: id.to_owned(),
            place: self.to_string(),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.home.fmt(f)
    }
}

/// An id is the name of a folder: nothing that leads elsewhere, and nothing that is hidden.
fn check_id(id: &str) -> Result<(), SnapshotError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if !id.is_empty() && id.len() <= ID_BYTES_MAX && !id.starts_with('.') && id.bytes().all(plain) {
        return Ok(());
    }
    let problem = format!("it must be up to {ID_BYTES_MAX} letters, digits, `.`, `_` and `-`");
    Err(SnapshotError::id(id, &problem))
}
