//! Rows into SQLite: cells checked and bound, many rows a statement.

use std::sync::Arc;

use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::projection::cell::{Cell, Row};
use crate::projection::change::Key;
use crate::projection::types::Column;
use crate::projection::version::Version;
use crate::store::dialect::sqlite::Bind;
use crate::store::dialect::sqlite_load as dialect;
use crate::store::marks;
use crate::store::{Origin, Shadow, StoreError};

use super::arguments;
use super::error::{Doing, failed};
use super::value::{self, Affinity};

/// Rows of one INSERT: enough to make the cost of a statement small beside that of its rows.
const INSERT_ROWS: usize = 64;

/// Values of one statement; SQLite takes 32,766.
const BINDS_MAX: usize = 16_384;

/// How the cells of a shadow's rows are bound.
pub(super) struct Binder<'a> {
    table: &'a str,
    columns: &'a [Column],
    held: Vec<Affinity>,
    key: &'a [usize],
    rank_words: usize,
}

impl<'a> Binder<'a> {
    pub(super) fn new(shadow: &'a Shadow, table: &'a str) -> Binder<'a> {
        let held = |c: &Column| {
            let declared = shadow.live.column(&c.name);
            value::affinity(declared.map_or("", |c| &c.sql_type))
        };
        Binder {
            table,
            columns: &shadow.columns,
            held: shadow.columns.iter().map(held).collect(),
            key: &shadow.key,
            rank_words: shadow.rank_words,
        }
    }

    fn cell(&self, at: usize, cell: &Cell<'_>) -> Result<Bind, StoreError> {
        let column = &self.columns[at];
        value::bind(cell, &column.kind, self.held[at]).map_err(|p| self.bad(at, &p))
    }

    fn bad(&self, at: usize, problem: &str) -> StoreError {
        let column = &self.columns[at];
        StoreError::Value {
            table: self.table.to_owned(),
            problem: format!("column {} ({}): {problem}", column.name, column.kind),
        }
    }

    /// The key's cells; NULL could never be found again.
    pub(super) fn key(&self, key: &Key<'_>, out: &mut Vec<Bind>) -> Result<(), StoreError> {
        for (&at, cell) in self.key.iter().zip(&key.0) {
            match self.cell(at, cell)? {
                Bind::Null => return Err(self.bad(at, "NULL in the key")),
                bind => out.push(bind),
            }
        }
        Ok(())
    }

    /// A complete row and what trails it.
    fn first(
        &self,
        row: &[Cell<'_>],
        version: &Version,
        out: &mut Vec<Bind>,
    ) -> Result<(), StoreError> {
        for (at, cell) in row.iter().enumerate() {
            match cell {
                Cell::Unchanged => return Err(self.bad(at, "no value is known")),
                Cell::Null if self.key.contains(&at) => {
                    return Err(self.bad(at, "NULL in the key"));
                }
                cell => out.push(self.cell(at, cell)?),
            }
        }
        self.trail(version, out);
        Ok(())
    }

    fn trail(&self, version: &Version, out: &mut Vec<Bind>) {
        out.push(Bind::Int(version.partition.into()));
        out.push(Bind::Int(version.offset));
        out.push(Bind::Blob(version.rank.to_bytes(self.rank_words)));
        out.push(version.clock.map_or(Bind::Null, Bind::Int));
    }

    /// A later change and what trails it.
    pub(super) fn again(
        &self,
        key: &Key<'_>,
        row: Option<&Row<'_>>,
        origin: &Origin,
        out: &mut Vec<Bind>,
    ) -> Result<(), StoreError> {
        let start = out.len();
        let mut holes = String::new();
        match row {
            None => out.resize(start + self.columns.len(), Bind::Null),
            Some(row) => {
                for (at, cell) in row.iter().enumerate() {
                    if let Some(mark) = marks::of(at, cell) {
                        holes += if holes.is_empty() { "" } else { "," };
                        holes += &mark.to_string();
                    }
                    let value = match cell {
                        Cell::Added(by) => by,
                        cell => cell,
                    };
                    out.push(self.cell(at, value)?);
                }
            }
        }
        let mut cells = Vec::with_capacity(self.key.len());
        self.key(key, &mut cells)?;
        for (at, bind) in self.key.iter().zip(cells) {
            out[start + at] = bind;
        }
        self.trail(&origin.version, out);
        out.push(Bind::Int(i64::try_from(origin.arrival).unwrap_or(i64::MAX)));
        out.push(Bind::Int(i64::from(row.is_none())));
        out.push(if holes.is_empty() {
            Bind::Null
        } else {
            Bind::Text(holes)
        });
        Ok(())
    }
}

/// Writes tombstones beside the shadow.
pub(super) async fn insert_gone<T>(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    shadow: &Shadow,
    keys: &[T],
    parts: impl Fn(&T) -> (&Key<'static>, Version),
) -> Result<(), StoreError> {
    let binder = Binder::new(shadow, doing.table);
    let width = shadow.key.len() + dialect::TRAILING_COUNT;
    let sql = |rows| dialect::insert_gone(shadow, rows);
    insert(session, doing, keys, width, sql, |gone, out| {
        let (key, version) = parts(gone);
        binder.key(key, out)?;
        binder.trail(&version, out);
        Ok(())
    })
    .await
}

/// Inserts rows in statements of many; `bind` adds one row's values.
pub(super) async fn insert<T>(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    rows: &[T],
    width: usize,
    sql: impl Fn(usize) -> String,
    bind: impl Fn(&T, &mut Vec<Bind>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let at_once = (BINDS_MAX / width).clamp(1, INSERT_ROWS);
    let full = Arc::<str>::from(sql(at_once));
    for some in rows.chunks(at_once) {
        let mut binds = Vec::with_capacity(some.len() * width);
        for row in some {
            bind(row, &mut binds)?;
        }
        let bound: SqliteArguments = arguments(binds).map_err(|e| failed(doing, &e))?;
        let done = if some.len() == at_once {
            let query = sqlx::query_with(AssertSqlSafe(full.clone()), bound);
            query.execute(&mut *session).await
        } else {
            let query = sqlx::query_with(AssertSqlSafe(sql(some.len())), bound);
            query.persistent(false).execute(&mut *session).await
        };
        done.map_err(|e| failed(doing, &e))?;
    }
    Ok(())
}

/// Writes complete rows into the shadow.
pub(super) async fn insert_rows<T>(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    shadow: &Shadow,
    rows: &[T],
    parts: impl Fn(&T) -> (&[Cell<'static>], Version),
) -> Result<(), StoreError> {
    let binder = Binder::new(shadow, doing.table);
    let width = shadow.columns.len() + dialect::TRAILING_COUNT;
    let sql = |rows| dialect::insert(shadow, rows);
    insert(session, doing, rows, width, sql, |row, out| {
        let (cells, version) = parts(row);
        binder.first(cells, &version, out)
    })
    .await
}
