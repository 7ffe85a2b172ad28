//! Writes a file, one row group at a time.

use std::io::{self, Write};
use std::sync::Arc;

use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::file::writer::SerializedFileWriter;

use super::column::{Buffer, Held};
use super::exact::Exact;
use super::form::Layout;
use crate::limits::{SNAPSHOT_GROUP_BYTES, SNAPSHOT_GROUP_ROWS};
use crate::projection::cell::Cell;
use crate::projection::version::Version;
use crate::snapshot::error::of_parquet;

/// A row that the file cannot hold.
#[derive(Debug)]
pub(in crate::snapshot) enum Unfit {
    /// It has this many cells, or a version where none belongs, or none where one does.
    Shape,
    /// The cell of this column, and why.
    Cell(usize, &'static str),
}

/// Why a row could not be written.
#[derive(Debug)]
pub(in crate::snapshot) enum WriteError {
    /// The row.
    Row(Unfit),
    /// The file.
    Io(io::Error),
}

/// A file being written.
pub(in crate::snapshot) struct Writer<W: Write + Send> {
    layout: Layout,
    columns: Vec<Buffer>,
    /// Rows collected for the next row group, and the memory that their cells take.
    rows: usize,
    bytes: usize,
    count: u64,
    file: SerializedFileWriter<W>,
}

impl<W: Write + Send> Writer<W> {
    pub(in crate::snapshot) fn new(layout: Layout, out: W) -> io::Result<Writer<W>> {
        let level = ZstdLevel::try_new(1).map_err(of_parquet)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_max_row_group_row_count(None)
            .set_created_by(concat!("trueup version ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let schema = layout.schema().map_err(of_parquet)?;
        let file =
            SerializedFileWriter::new(out, schema, Arc::new(properties)).map_err(of_parquet)?;
        Ok(Writer {
            columns: layout.fields.iter().map(Buffer::new).collect(),
            layout,
            rows: 0,
            bytes: 0,
            count: 0,
            file,
        })
    }

    /// Adds a row. After an error the file is of no use.
    pub(in crate::snapshot) fn push(
        &mut self,
        cells: &[Cell<'_>],
        version: Option<&Version>,
    ) -> Result<(), WriteError> {
        if cells.len() != self.layout.cells || version.is_some() != self.layout.versioned {
            return Err(WriteError::Row(Unfit::Shape));
        }
        let mut exact = Exact::default();
        for (nth, cell) in cells.iter().enumerate() {
            match self.columns[nth].push(cell) {
                Ok(Held::Whole) => {}
                Ok(Held::Less) => exact.keep(nth, cell),
                Err(why) => return Err(WriteError::Row(Unfit::Cell(nth, why))),
            }
            self.bytes += size_of::<Cell<'_>>() + cell.heap_bytes();
        }
        let exact = self.layout.has_exact.then(|| exact.cell());
        let version = version.map(cells_of).into_iter().flatten();
        for (nth, cell) in exact.into_iter().chain(version).enumerate() {
            let nth = nth + self.layout.cells;
            self.columns[nth]
                .push(&cell)
                .map_err(|why| WriteError::Row(Unfit::Cell(nth, why)))?;
            self.bytes += size_of::<Cell<'_>>() + cell.heap_bytes();
        }
        self.rows += 1;
        self.count += 1;
        if self.rows >= SNAPSHOT_GROUP_ROWS || self.bytes >= SNAPSHOT_GROUP_BYTES {
            self.group().map_err(|e| WriteError::Io(of_parquet(e)))?;
        }
        Ok(())
    }

    fn group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        for column in &mut self.columns {
            let missing = || ParquetError::General("a column is missing".to_owned());
            let mut out = group.next_column()?.ok_or_else(missing)?;
            column.write(&mut out)?;
            out.close()?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    /// Writes what is left; gives back what was written to, and the number of rows.
    pub(in crate::snapshot) fn finish(mut self) -> io::Result<(W, u64)> {
        if self.rows > 0 {
            self.group().map_err(of_parquet)?;
        }
        let out = self.file.into_inner().map_err(of_parquet)?;
        Ok((out, self.count))
    }
}

/// A version as the cells of its four columns.
fn cells_of(version: &Version) -> [Cell<'static>; 4] {
    let rank = &version.rank;
    // Words that are zero at the end say nothing, and leaving them out keeps the bytes in order.
    let words = rank
        .words
        .iter()
        .rposition(|w| *w != 0)
        .map_or(0, |last| last + 1);
    [
        Cell::Int(version.partition.into()),
        Cell::Int(version.offset.into()),
        Cell::Bytes(rank.to_bytes(words).into()),
        version.clock.map_or(Cell::Null, |c| Cell::Int(c.into())),
    ]
}
