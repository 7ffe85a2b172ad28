//! Reads a file, one row group at a time.

use std::fs::File;

use ::parquet::file::reader::{FileReader as _, SerializedFileReader};

use super::column;
use super::exact::Exact;
use super::form::Layout;
use crate::projection::cell::{Cell, Row};
use crate::projection::version::{Rank, Version};

/// A row as it was written.
type Versioned = (Row<'static>, Option<Version>);

/// A file being read.
pub(in crate::snapshot) struct Reader {
    layout: Layout,
    file: SerializedFileReader<File>,
    group: usize,
}

impl Reader {
    /// Opens a file that must have this layout.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(in crate::snapshot) fn open(layout: Layout, file: File) -> Result<Reader, String> {
        let file = SerializedFileReader::new(file).map_err(|e| e.to_string())?;
        let wanted = layout.schema().map_err(|e| e.to_string())?;
        let found = file.metadata().file_metadata().schema();
        if found.get_fields() != wanted.get_fields() {
            return Err("its columns are not those that the manifest names".to_owned());
        }
        Ok(Reader {
            layout,
            file,
            group: 0,
        })
    }

    /// The rows of the next row group, or `None` at the end.
    ///
    /// # Errors
    /// What is wrong with the file, in words.
    pub(in crate::snapshot) fn next(&mut self) -> Result<Option<Vec<Versioned>>, String> {
        if self.group >= self.file.num_row_groups() {
            return Ok(None);
        }
        let group = self
            .file
            .get_row_group(self.group)
            .map_err(|e| e.to_string())?;
        self.group += 1;
        let count = usize::try_from(group.metadata().num_rows()).map_err(|e| e.to_string())?;
        let mut rows: Vec<Row<'static>> = Vec::new();
        rows.resize_with(count, || Row::with_capacity(self.layout.cells));
        let mut beside: Vec<Vec<Cell<'static>>> = Vec::new();
        for (nth, field) in self.layout.fields.iter().enumerate() {
            let reader = group.get_column_reader(nth).map_err(|e| e.to_string())?;
            let cells = column::read(field, reader, count)?;
            if nth >= self.layout.cells {
                beside.push(cells);
                continue;
            }
            for (row, cell) in rows.iter_mut().zip(cells) {
                row.push(cell);
            }
        }
        self.with(rows, beside).map(Some)
    }

    /// Puts rows and what is kept beside them together.
    fn with(
        &self,
        rows: Vec<Row<'static>>,
        beside: Vec<Vec<Cell<'static>>>,
    ) -> Result<Vec<Versioned>, String> {
        let mut beside = beside.into_iter();
        let exact = if self.layout.has_exact {
            beside.next()
        } else {
            None
        };
        let version: Vec<Vec<Cell<'static>>> = beside.collect();
        let restored = rows.into_iter().enumerate().map(|(nth, mut row)| {
            if let Some(exact) = &exact {
                Exact::restore(&exact[nth], &self.layout.fields, &mut row)
                    .ok_or("its column of exact texts was not written by trueup")?;
            }
            let version = match version.as_slice() {
                [partition, offset, rank, clock] => {
                    let cells = [&partition[nth], &offset[nth], &rank[nth], &clock[nth]];
                    Some(version_of(cells).ok_or("it has a version that is none")?)
                }
                _ => None,
            };
            Ok((row, version))
        });
        restored.collect()
    }
}

fn version_of(cells: [&Cell<'_>; 4]) -> Option<Version> {
    let [
        Cell::Int(partition),
        Cell::Int(offset),
        Cell::Bytes(rank),
        clock,
    ] = cells
    else {
        return None;
    };
    Some(Version {
        rank: Rank::from_bytes(rank)?,
        partition: i32::try_from(*partition).ok()?,
        offset: i64::try_from(*offset).ok()?,
        clock: match clock {
            Cell::Int(clock) => Some(i64::try_from(*clock).ok()?),
            _ => None,
        },
    })
}
