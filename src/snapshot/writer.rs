//! Makes a snapshot: under another name first, and moved into place when all of it is on disk.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::disk;
use super::error::SnapshotError;
use super::home::{Home, Local};
use super::manifest::{Draft, FORMAT, Manifest, Part, Stored, Table};
use super::parquet::{self, Layout, Unfit, WriteError};
use super::reader::Snapshot;
use super::sums::{self, Summed, Sums};
use crate::projection::cell::Row;
use crate::projection::change::Key;
use crate::projection::version::Version;

/// A snapshot being made. Dropped before it is finished, it removes what it wrote.
#[derive(Debug)]
pub struct Writer {
    home: Arc<dyn Home>,
    local: Local,
    id: String,
    draft: Draft,
    tables: Vec<Stored>,
    sums: Sums,
    /// The table whose writer was handed out and not closed.
    open: Option<String>,
    is_finished: bool,
}

impl Writer {
    /// Begins in a folder that is there, locked and empty.
    pub(super) fn new(home: Arc<dyn Home>, local: Local, id: &str, draft: Draft) -> Writer {
        Writer {
            home,
            local,
            id: id.to_owned(),
            draft,
            tables: Vec::new(),
            sums: Sums::default(),
            open: None,
            is_finished: false,
        }
    }

    /// Begins a table; the one before must have been closed.
    ///
    /// # Errors
    /// [`SnapshotError::Table`] for one that a snapshot cannot hold, or that is there already.
    pub fn table(&mut self, table: Table) -> Result<TableWriter<'_>, SnapshotError> {
        self.is_next(&table.name)?;
        let wrong = |problem| SnapshotError::Table {
            table: table.name.clone(),
            problem,
        };
        if table.key.iter().any(|k| *k >= table.columns.len()) {
            return Err(wrong(
                "its key names a column that it does not have".to_owned(),
            ));
        }
        let layout = Layout::of(table.columns.iter(), table.versioned).map_err(wrong)?;
        let name = format!("{}-{}", self.tables.len(), sums::plain(&table.name));
        let rows = Output::create(self.local.folder(), &format!("{name}.parquet"), layout)?;
        self.open = Some(table.name.clone());
        Ok(TableWriter {
            writer: self,
            table,
            name,
            rows,
            gone: None,
        })
    }

    /// Takes a table over from another snapshot, as it is there.
    ///
    /// # Errors
    /// [`SnapshotError::NoTable`], [`SnapshotError::Table`] when it is there already, or [`SnapshotError::Io`].
    pub fn reuse(&mut self, parent: &Snapshot, table: &str) -> Result<(), SnapshotError> {
        self.is_next(table)?;
        let mut stored = parent.stored(table)?.clone();
        let name = format!("{}-{}", self.tables.len(), sums::plain(table));
        self.take(parent, &mut stored.rows, format!("{name}.parquet"))?;
        if let Some(gone) = &mut stored.gone {
            self.take(parent, gone, format!("{name}.gone.parquet"))?;
        }
        self.tables.push(stored);
        Ok(())
    }

    fn is_next(&self, table: &str) -> Result<(), SnapshotError> {
        let wrong = |table: &str, problem: &str| SnapshotError::Table {
            table: table.to_owned(),
            problem: problem.to_owned(),
        };
        match &self.open {
            Some(open) => Err(wrong(open, "it was not written to its end")),
            None if self.tables.iter().any(|t| t.table.name == table) => {
                Err(wrong(table, "it is in this snapshot already"))
            }
            None => Ok(()),
        }
    }

    fn take(
        &mut self,
        parent: &Snapshot,
        part: &mut Part,
        name: String,
    ) -> Result<(), SnapshotError> {
        let (from, to) = (
            parent.folder().join(&part.file),
            self.local.folder().join(&name),
        );
        if fs::hard_link(&from, &to).is_err() {
            // Another file system, or one without links.
            fs::copy(&from, &to).map_err(SnapshotError::io(&from))?;
            File::open(&to)
                .and_then(|f| f.sync_all())
                .map_err(SnapshotError::io(&to))?;
        }
        self.sums.0.insert(name.clone(), parent.sum(&part.file)?);
        part.file = name;
        Ok(())
    }

    /// Puts the snapshot in its place. From here on it is listed.
    ///
    /// # Errors
    /// [`SnapshotError::Table`] when a table was not closed, [`SnapshotError::Id`] when another snapshot of this id has
    /// appeared, [`SnapshotError::Io`] or [`SnapshotError::Objects`]; nothing that could be removed is left behind then.
    pub fn finish(mut self) -> Result<Manifest, SnapshotError> {
        self.is_next("")?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let manifest = Manifest {
            format: FORMAT,
            id: self.id.clone(),
            created_ms: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
            draft: self.draft.clone(),
            tables: std::mem::take(&mut self.tables),
        };
        let folder = self.local.folder();
        let io = SnapshotError::io;
        let mut text = serde_json::to_vec_pretty(&manifest).map_err(|e| io(folder)(e.into()))?;
        text.push(b'\n');
        self.sums
            .0
            .insert(sums::MANIFEST.to_owned(), sums::of(&text));
        for (name, text) in [
            (sums::MANIFEST, text),
            (sums::SUMS, self.sums.text().into_bytes()),
        ] {
            let file = folder.join(name);
            disk::write_new(&file, &text).map_err(io(&file))?;
        }
        let names = self.sums.0.keys().map(String::as_str);
        let names: Vec<&str> = names.chain([sums::SUMS]).collect();
        self.home.finish(&self.id, &names, &mut self.local)?;
        self.is_finished = true;
        Ok(manifest)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.is_finished {
            self.home.abandon(&self.id, &self.local);
        }
    }
}

/// A Parquet file of the snapshot being written.
struct Output {
    name: String,
    path: PathBuf,
    file: parquet::Writer<Summed>,
}

impl Output {
    fn create(folder: &Path, name: &str, layout: Layout) -> Result<Output, SnapshotError> {
        let path = folder.join(name);
        let file = Summed::create(&path).and_then(|out| parquet::Writer::new(layout, out));
        Ok(Output {
            name: name.to_owned(),
            file: file.map_err(SnapshotError::io(&path))?,
            path,
        })
    }

    fn close(self, sums: &mut Sums) -> Result<Part, SnapshotError> {
        let closed = self
            .file
            .finish()
            .and_then(|(out, count)| Ok((out.close()?, count)));
        let ((sum, bytes), count) = closed.map_err(SnapshotError::io(&self.path))?;
        sums.0.insert(self.name.clone(), sum);
        Ok(Part {
            file: self.name,
            count,
            bytes,
        })
    }
}

/// A table being written. It must be closed: a snapshot with a table that was not is never finished.
pub struct TableWriter<'a> {
    writer: &'a mut Writer,
    table: Table,
    name: String,
    rows: Output,
    gone: Option<Output>,
}

impl TableWriter<'_> {
    /// Adds rows, each with its version when the table's rows have versions.
    ///
    /// # Errors
    /// [`SnapshotError::Value`] for a row that the table cannot hold, [`SnapshotError::Io`]; the snapshot cannot be
    /// finished then.
    pub fn rows(&mut self, rows: &[(Row<'_>, Option<Version>)]) -> Result<(), SnapshotError> {
        for (row, version) in rows {
            let pushed = self.rows.file.push(row, version.as_ref());
            pushed.map_err(|e| {
                let key = self.table.key.iter().filter_map(|k| row.get(*k).cloned());
                let columns: Vec<usize> = (0..self.table.columns.len()).collect();
                unfit(
                    &self.table,
                    &columns,
                    &Key(key.collect()),
                    &self.rows.path,
                    e,
                )
            })?;
        }
        Ok(())
    }

    /// Adds keys that are gone.
    ///
    /// # Errors
    /// As [`TableWriter::rows`]; also for a table without versions.
    pub fn gone(&mut self, keys: &[(Key<'_>, Version)]) -> Result<(), SnapshotError> {
        if keys.is_empty() {
            return Ok(());
        }
        if !self.table.versioned {
            return Err(SnapshotError::Table {
                table: self.table.name.clone(),
                problem: "it has no versions, so no key of it can be gone".to_owned(),
            });
        }
        let gone = match &mut self.gone {
            Some(gone) => gone,
            none => {
                let layout = gone_layout(&self.table)?;
                let name = format!("{}.gone.parquet", self.name);
                none.insert(Output::create(self.writer.local.folder(), &name, layout)?)
            }
        };
        for (key, version) in keys {
            let pushed = gone.file.push(&key.0, Some(version));
            pushed.map_err(|e| unfit(&self.table, &self.table.key, key, &gone.path, e))?;
        }
        Ok(())
    }

    /// Ends the table.
    ///
    /// # Errors
    /// [`SnapshotError::Io`]; the snapshot cannot be finished then.
    pub fn close(self) -> Result<(), SnapshotError> {
        let rows = self.rows.close(&mut self.writer.sums)?;
        let gone = self
            .gone
            .map(|g| g.close(&mut self.writer.sums))
            .transpose()?;
        self.writer.tables.push(Stored {
            table: self.table,
            rows,
            gone,
        });
        self.writer.open = None;
        Ok(())
    }
}

/// The layout of the file of keys that are gone.
pub(super) fn gone_layout(table: &Table) -> Result<Layout, SnapshotError> {
    let key = table.key.iter().filter_map(|k| table.columns.get(*k));
    Layout::of(key, true).map_err(|problem| SnapshotError::Table {
        table: table.name.clone(),
        problem,
    })
}

fn unfit(
    table: &Table,
    columns: &[usize],
    key: &Key<'_>,
    file: &Path,
    error: WriteError,
) -> SnapshotError {
    let (column, problem) = match error {
        WriteError::Io(source) => return SnapshotError::io(file)(source),
        WriteError::Row(Unfit::Shape) => {
            return SnapshotError::Table {
                table: table.name.clone(),
                problem: format!(
                    "key {key}: a row has not the table's columns, or not a version as its others do"
                ),
            };
        }
        WriteError::Row(Unfit::Cell(nth, problem)) => (columns.get(nth), problem),
    };
    let column = column.and_then(|c| table.columns.get(*c));
    SnapshotError::Value {
        table: table.name.clone(),
        key: key.to_string(),
        column: column.map_or_else(|| "version".to_owned(), |c| c.name.clone()),
        problem: problem.to_owned(),
    }
}
