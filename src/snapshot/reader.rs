//! Reads a snapshot: all of its files are checked before any of them is believed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::disk;
use super::error::SnapshotError;
use super::manifest::{FORMAT, Manifest, Part, Stored, Verified};
use super::parquet::{self, Layout};
use super::sums::{self, MANIFEST, SUMS, Sums, VERIFIED};
use super::writer::gone_layout;
use crate::projection::cell::Row;
use crate::projection::change::Key;
use crate::projection::version::Version;

/// A snapshot whose files are all as they were written.
#[derive(Clone, Debug)]
pub struct Snapshot {
    folder: PathBuf,
    manifest: Manifest,
    sums: Sums,
    verified: Option<Verified>,
}

/// `verified.json`: bound to the one snapshot that it is about, and with a checksum of its own.
#[derive(Serialize, Deserialize)]
struct Proof {
    /// Checksum of `SHA256SUMS`.
    snapshot: String,
    #[serde(flatten)]
    verified: Verified,
    /// Checksum of the lines before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

impl Proof {
    /// The one text that says this.
    fn text(snapshot: &str, verified: &Verified) -> serde_json::Result<String> {
        let mut proof = Proof {
            snapshot: snapshot.to_owned(),
            verified: verified.clone(),
            sha256: None,
        };
        proof.sha256 = Some(sums::of(&serde_json::to_vec(&proof)?));
        Ok(serde_json::to_string_pretty(&proof)? + "\n")
    }
}

impl Snapshot {
    /// Looks at a snapshot without reading its tables: its files are those that it names, and as large as it says.
    pub(super) fn look(folder: &Path, id: &str) -> Result<Snapshot, SnapshotError> {
        let look = Look { folder, id };
        let found = look.names()?;
        let text = look.read(SUMS)?;
        let sums =
            Sums::read(&text).ok_or_else(|| look.damaged(SUMS, "it is not as it was written"))?;
        for name in sums.0.keys().map(String::as_str).chain([MANIFEST]) {
            if !found.contains(name) {
                return Err(look.damaged(name, "it is missing: SHA256SUMS names it"));
            }
        }
        if let Some(name) = found
            .iter()
            .find(|n| !sums.0.contains_key(*n) && ![SUMS, VERIFIED].contains(&n.as_str()))
        {
            return Err(look.damaged(
                name,
                "it does not belong to the snapshot: SHA256SUMS does not name it",
            ));
        }
        let manifest = look.manifest(&sums)?;
        look.parts(&manifest, &sums)?;
        let verified = match found.contains(VERIFIED) {
            true => Some(look.verified(&text)?),
            false => None,
        };
        Ok(Snapshot {
            folder: folder.to_path_buf(),
            manifest,
            sums,
            verified,
        })
    }

    /// Checks every file.
    pub(super) fn load(folder: &Path, id: &str) -> Result<Snapshot, SnapshotError> {
        let snapshot = Snapshot::look(folder, id)?;
        let look = Look { folder, id };
        for name in snapshot.sums.0.keys().filter(|n| *n != MANIFEST) {
            let path = folder.join(name);
            let sum = sums::of_file(&path).map_err(SnapshotError::io(&path))?;
            look.must_be(&snapshot.sums, name, &sum)?;
        }
        Ok(snapshot)
    }

    /// What it says about itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The proof that it was right, if it was ever proven.
    #[must_use]
    pub fn verified(&self) -> Option<&Verified> {
        self.verified.as_ref()
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn sum(&self, file: &str) -> Result<String, SnapshotError> {
        let found = self.sums.0.get(file).cloned();
        found.ok_or_else(|| self.damaged(file, "SHA256SUMS does not name it".to_owned()))
    }

    pub(super) fn stored(&self, table: &str) -> Result<&Stored, SnapshotError> {
        self.manifest
            .table(table)
            .ok_or_else(|| SnapshotError::NoTable {
                snapshot: self.manifest.id.clone(),
                table: table.to_owned(),
            })
    }

    fn damaged(&self, file: &str, problem: String) -> SnapshotError {
        Look {
            folder: &self.folder,
            id: &self.manifest.id,
        }
        .damaged(file, problem)
    }

    /// The rows of a table in the order in which they were written, in batches of bounded size.
    ///
    /// # Errors
    /// [`SnapshotError::NoTable`], or what is wrong with its file.
    pub fn rows(&self, table: &str) -> Result<Rows, SnapshotError> {
        let stored = self.stored(table)?;
        let layout = Layout::of(stored.table.columns.iter(), stored.table.versioned);
        let layout = layout.map_err(|problem| SnapshotError::Table {
            table: table.to_owned(),
            problem,
        })?;
        Ok(Rows(self.batches(&stored.rows, layout)?))
    }

    /// The keys of a table that are gone, in the order in which they were written, in batches of bounded size.
    ///
    /// # Errors
    /// As [`Snapshot::rows`].
    pub fn gone(&self, table: &str) -> Result<Gone, SnapshotError> {
        let stored = self.stored(table)?;
        let batches = match &stored.gone {
            Some(part) => Some(self.batches(part, gone_layout(&stored.table)?)?),
            None => None,
        };
        Ok(Gone(batches))
    }

    fn batches(&self, part: &Part, layout: Layout) -> Result<Batches, SnapshotError> {
        let path = self.folder.join(&part.file);
        let file = File::open(&path).map_err(SnapshotError::io(&path))?;
        let reader =
            parquet::Reader::open(layout, file).map_err(|p| self.damaged(&part.file, p))?;
        Ok(Batches {
            snapshot: self.manifest.id.clone(),
            part: part.clone(),
            reader: Some(reader),
            count: 0,
        })
    }

    /// Notes that the snapshot was proven right. An earlier proof is replaced.
    ///
    /// # Errors
    /// [`SnapshotError::Io`]; an earlier proof stays then.
    pub fn mark_verified(&mut self, verified: Verified) -> Result<(), SnapshotError> {
        let file = self.folder.join(VERIFIED);
        let io = SnapshotError::io;
        let snapshot = sums::of(self.sums.text().as_bytes());
        let text = Proof::text(&snapshot, &verified).map_err(|e| io(&file)(e.into()))?;
        // Beside the folder: within it, one that a dead process left would be damage.
        let name = format!(".{}.{}{}", self.manifest.id, std::process::id(), disk::PART);
        let beside = self.folder.with_file_name(name);
        let written = disk::write_new(&beside, text.as_bytes())
            .and_then(|()| fs::rename(&beside, &file))
            .and_then(|()| disk::sync_folder(&self.folder));
        if written.is_err() {
            // After the rename it is not there any more.
            let _ = fs::remove_file(&beside);
        }
        written.map_err(io(&file))?;
        self.verified = Some(verified);
        Ok(())
    }
}

/// Looks at the files of one snapshot.
struct Look<'a> {
    folder: &'a Path,
    id: &'a str,
}

impl Look<'_> {
    fn damaged(&self, file: &str, problem: impl Into<String>) -> SnapshotError {
        SnapshotError::Damaged {
            snapshot: self.id.to_owned(),
            file: file.to_owned(),
            problem: problem.into(),
        }
    }

    fn must_be(&self, sums: &Sums, name: &str, sum: &str) -> Result<(), SnapshotError> {
        match sums.0.get(name).is_some_and(|s| s == sum) {
            true => Ok(()),
            false => Err(self.damaged(
                name,
                "its checksum is not that of SHA256SUMS: one of the two was changed",
            )),
        }
    }

    /// The files that are there.
    fn names(&self) -> Result<BTreeSet<String>, SnapshotError> {
        let io = || SnapshotError::io(self.folder);
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(self.folder).map_err(io())? {
            let entry = entry.map_err(io())?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !entry.file_type().map_err(io())?.is_file() {
                return Err(self.damaged(&name, "it is not a regular file"));
            }
            names.insert(name);
        }
        match names.contains(SUMS) {
            true => Ok(names),
            false => Err(self.damaged(SUMS, "it is missing")),
        }
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, SnapshotError> {
        let path = self.folder.join(name);
        fs::read(&path).map_err(SnapshotError::io(&path))
    }

    fn manifest(&self, sums: &Sums) -> Result<Manifest, SnapshotError> {
        #[derive(Deserialize)]
        struct Format {
            format: u64,
        }
        let text = self.read(MANIFEST)?;
        self.must_be(sums, MANIFEST, &sums::of(&text))?;
        let wrong = |e: serde_json::Error| self.damaged(MANIFEST, e.to_string());
        let Format { format } = serde_json::from_slice(&text).map_err(wrong)?;
        if format > FORMAT {
            return Err(SnapshotError::Newer {
                snapshot: self.id.to_owned(),
                format,
                known: FORMAT,
            });
        }
        let manifest: Manifest = serde_json::from_slice(&text).map_err(wrong)?;
        match manifest.id == self.id {
            true => Ok(manifest),
            false => Err(self.damaged(
                MANIFEST,
                format!(
                    "it is that of snapshot {}: the folder was renamed",
                    manifest.id
                ),
            )),
        }
    }

    /// The tables' files are those of the checksums, and as large as they were.
    fn parts(&self, manifest: &Manifest, sums: &Sums) -> Result<(), SnapshotError> {
        let mut named = BTreeSet::from([MANIFEST]);
        for part in manifest.parts() {
            if !sums.0.contains_key(&part.file) || !named.insert(&part.file) {
                return Err(self.damaged(
                    SUMS,
                    format!("it does not name {} once, as the manifest does", part.file),
                ));
            }
            let path = self.folder.join(&part.file);
            let bytes = fs::metadata(&path).map_err(SnapshotError::io(&path))?.len();
            if bytes != part.bytes {
                return Err(self.damaged(
                    &part.file,
                    format!("it has {bytes} bytes instead of {}", part.bytes),
                ));
            }
        }
        match sums.0.keys().find(|n| !named.contains(n.as_str())) {
            Some(name) => Err(self.damaged(
                name,
                "it does not belong to the snapshot: the manifest does not name it",
            )),
            None => Ok(()),
        }
    }

    fn verified(&self, sums: &[u8]) -> Result<Verified, SnapshotError> {
        let text = self.read(VERIFIED)?;
        let written = || self.damaged(VERIFIED, "it is not as it was written");
        let proof: Proof = serde_json::from_slice(&text).map_err(|_| written())?;
        let again = Proof::text(&proof.snapshot, &proof.verified).map_err(|_| written())?;
        if again.as_bytes() != text {
            return Err(written());
        }
        match proof.snapshot == sums::of(sums) {
            true => Ok(proof.verified),
            false => Err(self.damaged(
                VERIFIED,
                "it is about another snapshot, or SHA256SUMS was changed",
            )),
        }
    }
}

/// Batches of one file.
struct Batches {
    snapshot: String,
    part: Part,
    /// `None` after the end, or after an error.
    reader: Option<parquet::Reader>,
    count: u64,
}

impl Iterator for Batches {
    type Item = Result<Vec<(Row<'static>, Option<Version>)>, SnapshotError>;

    fn next(&mut self) -> Option<Self::Item> {
        let problem = match self.reader.as_mut()?.next() {
            Ok(Some(rows)) => {
                self.count += rows.len() as u64;
                return Some(Ok(rows));
            }
            Ok(None) if self.count == self.part.count => None,
            Ok(None) => Some(format!(
                "it has {} rows instead of {}",
                self.count, self.part.count
            )),
            Err(problem) => Some(problem),
        };
        self.reader = None;
        let damaged = |problem| SnapshotError::Damaged {
            snapshot: self.snapshot.clone(),
            file: self.part.file.clone(),
            problem,
        };
        problem.map(|p| Err(damaged(p)))
    }
}

/// The rows of a table, batch by batch. After an error there is nothing more.
pub struct Rows(Batches);

impl Iterator for Rows {
    type Item = Result<Vec<(Row<'static>, Option<Version>)>, SnapshotError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

/// The keys of a table that are gone, batch by batch. After an error there is nothing more.
pub struct Gone(Option<Batches>);

impl Iterator for Gone {
    type Item = Result<Vec<(Key<'static>, Version)>, SnapshotError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.0.as_mut()?.next()?;
        // The layout of this file has a version in every row.
        let keyed =
            |(row, version): (Row<'static>, Option<Version>)| version.map(|v| (Key(row), v));
        Some(batch.map(|rows| rows.into_iter().filter_map(keyed).collect()))
    }
}
