//! Reads a snapshot: all of its files are checked before any of them is believed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::SnapshotError;
use super::home::{Files, Home, Local};
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
    home: Arc<dyn Home>,
    local: Arc<Local>,
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
    pub(super) fn look(home: &Arc<dyn Home>, id: &str) -> Result<Snapshot, SnapshotError> {
        let files = home.files(id)?;
        if !files.contains_key(SUMS) {
            return Err(SnapshotError::damaged(id, SUMS, "it is missing"));
        }
        let local = home.local(id)?;
        let texts = [SUMS, MANIFEST, VERIFIED];
        let texts = texts.into_iter().filter(|n| files.contains_key(*n));
        home.fetch(id, &texts.collect::<Vec<_>>(), &local)?;
        let folder = local.folder();
        let look = Look { folder, id, files };
        let text = look.read(SUMS)?;
        let sums =
            Sums::read(&text).ok_or_else(|| look.damaged(SUMS, "it is not as it was written"))?;
        look.names(&sums)?;
        let manifest = look.manifest(&sums)?;
        look.parts(&manifest, &sums)?;
        let verified = match look.files.contains_key(VERIFIED) {
            true => Some(look.verified(&text)?),
            false => None,
        };
        Ok(Snapshot {
            home: Arc::clone(home),
            local: Arc::new(local),
            manifest,
            sums,
            verified,
        })
    }

    /// Checks every file.
    pub(super) fn load(home: &Arc<dyn Home>, id: &str) -> Result<Snapshot, SnapshotError> {
        let snapshot = Snapshot::look(home, id)?;
        let names = snapshot.sums.0.keys().map(String::as_str);
        let names: Vec<&str> = names.filter(|n| *n != MANIFEST).collect();
        home.fetch(id, &names, &snapshot.local)?;
        for name in names {
            let path = snapshot.folder().join(name);
            let sum = sums::of_file(&path).map_err(SnapshotError::io(&path))?;
            must_be(&snapshot.sums, id, name, &sum)?;
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
        self.local.folder()
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
        SnapshotError::damaged(&self.manifest.id, file, problem)
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
        let path = self.folder().join(&part.file);
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
    /// [`SnapshotError::Io`], [`SnapshotError::Objects`]; an earlier proof stays then.
    pub fn mark_verified(&mut self, verified: Verified) -> Result<(), SnapshotError> {
        let snapshot = sums::of(self.sums.text().as_bytes());
        let text = Proof::text(&snapshot, &verified);
        let text = text.map_err(|e| SnapshotError::io(self.folder())(e.into()))?;
        let id = &self.manifest.id;
        self.home.put(id, VERIFIED, text.as_bytes())?;
        self.verified = Some(verified);
        Ok(())
    }
}

/// Looks at the files of one snapshot.
struct Look<'a> {
    folder: &'a Path,
    id: &'a str,
    /// The files that are there.
    files: Files,
}

/// A file's checksum is the one that was written.
fn must_be(sums: &Sums, id: &str, name: &str, sum: &str) -> Result<(), SnapshotError> {
    match sums.0.get(name).is_some_and(|s| s == sum) {
        true => Ok(()),
        false => Err(SnapshotError::damaged(
            id,
            name,
            "its checksum is not that of SHA256SUMS: one of the two was changed",
        )),
    }
}

impl Look<'_> {
    fn damaged(&self, file: &str, problem: impl Into<String>) -> SnapshotError {
        SnapshotError::damaged(self.id, file, problem)
    }

    /// The files that are there are those that SHA256SUMS names.
    fn names(&self, sums: &Sums) -> Result<(), SnapshotError> {
        for name in sums.0.keys().map(String::as_str).chain([MANIFEST]) {
            if !self.files.contains_key(name) {
                return Err(self.damaged(name, "it is missing: SHA256SUMS names it"));
            }
        }
        let is_strange =
            |n: &&String| !sums.0.contains_key(*n) && ![SUMS, VERIFIED].contains(&n.as_str());
        match self.files.keys().find(is_strange) {
            Some(name) => Err(self.damaged(
                name,
                "it does not belong to the snapshot: SHA256SUMS does not name it",
            )),
            None => Ok(()),
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
        must_be(sums, self.id, MANIFEST, &sums::of(&text))?;
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
            // Every file of SHA256SUMS was found to be there.
            let bytes = self.files.get(&part.file).copied().unwrap_or_default();
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
