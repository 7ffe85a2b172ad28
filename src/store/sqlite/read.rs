//! Rows out of SQLite. Every value, the filter and the order are checked on the way: the SQL is only trusted not to
//! leave a row out.

use std::cmp::Ordering;

use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};
use tokio::sync::mpsc;

use crate::projection::cast;
use crate::projection::cell::{Cell, Row};
use crate::projection::change::Key;
use crate::projection::mapping::key_of;
use crate::projection::text;
use crate::projection::types::{Column, ColumnType};
use crate::store::dialect::sqlite as dialect;
use crate::store::dialect::sqlite::Statement;
use crate::store::{Output, RowStream, Scan, StoreError};

use super::error::{Doing, failed};
use super::session::DatabaseFile;
use super::{Sqlite, arguments, fetch, int, value};

/// Rows handed over at a time.
const BATCH_ROWS: usize = 2_000;

/// Batches waiting for the reader.
const BATCHES_AHEAD: usize = 4;

/// Keys looked up by one statement.
pub(super) const LOOKUP_KEYS: usize = 500;

pub(super) async fn rows(store: &Sqlite, scan: Scan) -> Result<RowStream, StoreError> {
    stream(store, vec![scan], |_, rows| Ok(rows)).await
}

/// What becomes of rows, given which of the scans they come from.
type Made<T> = fn(usize, Vec<Row<'static>>) -> Result<T, StoreError>;

/// Hands out what is made of the rows of these scans, one scan after the other, all as of one moment.
pub(super) async fn stream<T: Send + 'static>(
    store: &Sqlite,
    scans: Vec<Scan>,
    made: Made<T>,
) -> Result<mpsc::Receiver<Result<T, StoreError>>, StoreError> {
    let mut statements = Vec::with_capacity(scans.len());
    for scan in scans {
        let statement = dialect::scan(&scan).map_err(StoreError::Refused)?;
        statements.push((statement, Reader::new(scan)));
    }
    let mut session = store.reader().await?;
    let file = store.file.clone();
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    tokio::spawn(async move {
        let sink = Sink { sender, made };
        let all = async {
            fetch(&mut session, "BEGIN", Vec::new())
                .await
                .map_err(|e| failed(file.doing("", "reading rows"), &e))?;
            for (at, (statement, reader)) in statements.into_iter().enumerate() {
                if !push(&file, &mut session, statement, reader, (at, &sink)).await? {
                    return Ok(());
                }
            }
            Ok(())
        };
        if let Err(problem) = all.await {
            let _ = sink.sender.send(Err(problem)).await;
        }
    });
    Ok(receiver)
}

struct Sink<T> {
    sender: mpsc::Sender<Result<T, StoreError>>,
    made: Made<T>,
}

impl<T> Sink<T> {
    /// Whether anybody still listens.
    async fn send(&self, scan: usize, rows: Vec<Row<'static>>) -> Result<bool, StoreError> {
        let made = (self.made)(scan, rows)?;
        Ok(self.sender.send(Ok(made)).await.is_ok())
    }
}

/// Sends the rows of one scan; whether anybody still listens.
async fn push<T>(
    file: &DatabaseFile,
    session: &mut SqliteConnection,
    statement: Statement,
    mut reader: Reader,
    (scan, sink): (usize, &Sink<T>),
) -> Result<bool, StoreError> {
    let shown = reader.table.clone();
    let doing = file.doing(&shown, "reading rows");
    let arguments = arguments(statement.binds).map_err(|e| failed(doing, &e))?;
    let query = sqlx::query_with(AssertSqlSafe(statement.text), arguments);
    let mut stream = query.persistent(false).fetch(session);
    let mut batch = Vec::with_capacity(BATCH_ROWS);
    while let Some(row) = stream.try_next().await.map_err(|e| failed(doing, &e))? {
        reader.take(&row, &mut batch)?;
        if batch.len() == BATCH_ROWS {
            reader.last = batch.last().map(|row| key_of(row, &reader.scan.key));
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH_ROWS));
            if !sink.send(scan, full).await? {
                return Ok(false);
            }
        }
    }
    file.still_frozen()?;
    if batch.is_empty() {
        return Ok(true);
    }
    sink.send(scan, batch).await
}

pub(super) async fn lookup(
    store: &Sqlite,
    scan: &Scan,
    keys: &[Key<'static>],
) -> Result<Vec<Row<'static>>, StoreError> {
    let mut keys = keys.to_vec();
    keys.sort();
    keys.dedup();
    let mut session = store.reader().await?;
    let mut reader = Reader::new(scan.clone());
    let shown = reader.table.clone();
    let doing = store.file.doing(&shown, "looking rows up");
    let mut found = Vec::new();
    for some in keys.chunks(LOOKUP_KEYS) {
        let statement = dialect::lookup(scan, some).map_err(StoreError::Refused)?;
        let Some(statement) = statement else { continue };
        let rows = fetch(&mut session, &statement.text, statement.binds).await;
        for row in &rows.map_err(|e| failed(doing, &e))? {
            reader.take(row, &mut found)?;
        }
    }
    store.file.still_frozen()?;
    Ok(found)
}

pub(super) async fn split(
    store: &Sqlite,
    scan: &Scan,
    parts: usize,
) -> Result<Vec<Key<'static>>, StoreError> {
    let count = dialect::count(scan).map_err(StoreError::Refused)?;
    let mut session = store.reader().await?;
    let reader = Reader::new(scan.clone());
    let doing = store.file.doing(&reader.table, "splitting the table");
    let counted = fetch(&mut session, &count.text, count.binds).await;
    let counted = counted.map_err(|e| failed(doing, &e))?;
    let rows = counted.first().map_or(0, |r| int(r, 0));
    let (rows, parts) = (rows.max(0).unsigned_abs(), parts.max(1) as u64);
    let mut places: Vec<u64> = (1..parts)
        .map(|i| u64::try_from(u128::from(rows) * u128::from(i) / u128::from(parts)))
        .filter_map(Result::ok)
        .filter(|place| *place > 0)
        .map(|place| place + 1)
        .collect();
    places.dedup();
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let cuts = dialect::keys_at(scan, &places).map_err(StoreError::Refused)?;
    let found = fetch(&mut session, &cuts.text, cuts.binds).await;
    let mut keys = Vec::new();
    for row in &found.map_err(|e| failed(doing, &e))? {
        let cells = scan.key.iter().enumerate();
        let key: Result<Vec<_>, StoreError> = cells
            .map(|(at, output)| reader.output(row, at, *output))
            .collect();
        keys.push(Key(key?));
    }
    keys.dedup();
    Ok(keys)
}

pub(super) async fn query(
    store: &Sqlite,
    sql: &str,
) -> Result<Vec<Vec<Option<String>>>, StoreError> {
    let doing = store.file.doing("", "running a query of the playbook");
    let mut session = store.reader().await?;
    let rows = fetch(&mut session, sql, Vec::new()).await;
    texts(&rows.map_err(|e| failed(doing, &e))?, doing)
}

/// The cells of a query of the playbook as text.
pub(super) fn texts(
    rows: &[SqliteRow],
    doing: Doing<'_>,
) -> Result<Vec<Vec<Option<String>>>, StoreError> {
    let any = ColumnType::Other("any".to_owned());
    let texts = rows.iter().map(|row| {
        let cells = (0..row.columns().len()).map(|at| {
            let raw = row.try_get_raw(at).map_err(|e| failed(doing, &e))?;
            let blob = sqlx::TypeInfo::name(&*sqlx::ValueRef::type_info(&raw)) == "BLOB";
            let kind = if blob { &ColumnType::Bytes } else { &any };
            let cell = value::cell(raw, kind).map_err(|problem| StoreError::Value {
                table: "query".to_owned(),
                problem,
            })?;
            Ok(text::of(&cell))
        });
        cells.collect()
    });
    texts.collect()
}

/// Turns SQLite's rows into those of a scan.
struct Reader {
    scan: Scan,
    table: String,
    /// What the outputs are cast to.
    casts: Vec<Option<Column>>,
    last: Option<Key<'static>>,
}

impl Reader {
    fn new(scan: Scan) -> Reader {
        let cast = |output: &Output| {
            output.cast.clone().map(|kind| Column {
                name: output.column.name.clone(),
                kind,
                nullable: true,
            })
        };
        Reader {
            table: scan.relation.to_string(),
            casts: scan.outputs.iter().map(cast).collect(),
            scan,
            last: None,
        }
    }

    /// Adds the row to `batch` when the filter holds for it.
    fn take(&mut self, row: &SqliteRow, batch: &mut Vec<Row<'static>>) -> Result<(), StoreError> {
        let outputs = self.scan.outputs.len();
        for (i, (column, test)) in self.scan.filter.iter().enumerate() {
            let cell = self.stored(row, outputs + i, column)?;
            if test.holds(&cell) != Some(true) {
                return Ok(());
            }
        }
        let mut cells = Vec::with_capacity(outputs);
        for at in 0..outputs {
            cells.push(self.output(row, at, at)?);
        }
        self.check_key(row, &cells, batch.last())?;
        batch.push(cells);
        Ok(())
    }

    fn stored(
        &self,
        row: &SqliteRow,
        at: usize,
        column: &Column,
    ) -> Result<Cell<'static>, StoreError> {
        let raw = row
            .try_get_raw(at)
            .map_err(|e| self.bad(row, &column.name, &e.to_string()))?;
        value::cell(raw, &column.kind).map_err(|problem| self.bad(row, &column.name, &problem))
    }

    /// The value of an output that stands at `at` of the row.
    fn output(
        &self,
        row: &SqliteRow,
        at: usize,
        output: usize,
    ) -> Result<Cell<'static>, StoreError> {
        let column = &self.scan.outputs[output].column;
        let cell = self.stored(row, at, column)?;
        match &self.casts[output] {
            None => Ok(cell),
            Some(target) => {
                cast::coerce(cell, target).map_err(|e| self.bad(row, &column.name, &e.to_string()))
            }
        }
    }

    fn check_key(
        &self,
        row: &SqliteRow,
        cells: &Row<'static>,
        before: Option<&Row<'static>>,
    ) -> Result<(), StoreError> {
        let key = &self.scan.key;
        for &at in key {
            let output = &self.scan.outputs[at];
            if cells[at] == Cell::Null {
                return Err(self.bad(row, &output.column.name, "NULL in a key"));
            }
            if !spelled_plainly(row, at, output, &cells[at]) {
                let problem = "a key that is not in the spelling that SQLite can sort and find it by \
                               (2024-01-31 12:34:56.5+00, lower-case UUIDs)";
                return Err(self.bad(row, &output.column.name, problem));
            }
        }
        let ours = || key.iter().map(|at| &cells[*at]);
        let ordered = match (before, &self.last) {
            (Some(before), _) => order(key.iter().map(|at| &before[*at]), ours()).is_le(),
            (None, Some(last)) => order(last.0.iter(), ours()).is_le(),
            (None, None) => true,
        };
        let (from, to) = (self.scan.from.as_ref(), self.scan.to.as_ref());
        let inside = from.is_none_or(|from| order(from.0.iter(), ours()).is_le())
            && to.is_none_or(|to| order(to.0.iter(), ours()).is_gt());
        if ordered && inside {
            return Ok(());
        }
        let names: Vec<&str> = key
            .iter()
            .map(|at| self.scan.outputs[*at].column.name.as_str())
            .collect();
        let problem = "a key that SQLite does not sort as its type does (years before 1 or after 9999, \
                       infinities, a database in UTF-16)";
        Err(self.bad(row, &names.join(", "), problem))
    }

    /// Names a value that is no value of its column by the row's key.
    fn bad(&self, row: &SqliteRow, column: &str, problem: &str) -> StoreError {
        let any = ColumnType::Other("any".to_owned());
        let shown = self.scan.key.iter().map(|at| {
            let output = &self.scan.outputs[*at];
            let raw = row.try_get_raw(output.column.name.as_str());
            let cell = raw.ok().and_then(|raw| value::cell(raw, &any).ok());
            let value = cell.and_then(|c| text::of(&c));
            format!(
                "{} = {}",
                output.column.name,
                value.as_deref().unwrap_or("NULL")
            )
        });
        let shown: Vec<String> = shown.collect();
        StoreError::Value {
            table: self.table.clone(),
            problem: format!(
                "column {column}: {problem}, in the row {}",
                shown.join(", ")
            ),
        }
    }
}

fn order<'a>(
    a: impl Iterator<Item = &'a Cell<'static>>,
    b: impl Iterator<Item = &'a Cell<'static>>,
) -> Ordering {
    let mut pairs = a.zip(b).map(|(a, b)| a.cmp(b));
    pairs.find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
}

/// Whether a key that is kept as text is written as trueup writes it: otherwise neither order nor look-up by text
/// would be right.
fn spelled_plainly(row: &SqliteRow, at: usize, output: &Output, cell: &Cell<'_>) -> bool {
    use ColumnType as T;
    let stored = &output.column.kind;
    let typed = matches!(
        stored,
        T::Date | T::Time { .. } | T::Timestamp { .. } | T::TimestampTz { .. } | T::Uuid
    );
    let made = matches!((stored, output.kind()), (T::Text { .. }, T::Uuid));
    if !typed && !made {
        return true;
    }
    let written: Result<&str, _> = row.try_get_unchecked(at);
    let Ok(written) = written else { return false };
    let plain = if made {
        text::of(cell)
    } else {
        text::read(stored, written).and_then(|c| text::of(&c))
    };
    plain.as_deref() == Some(written)
}
