//! Everything that reads rows: scans, digests, look-ups, ranges.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{Digest, Postgres, RowStream, Scan, Slot, StoreError, get};
use crate::projection::cast;
use crate::projection::cell::{Cell, Row};
use crate::projection::change::Key;
use crate::projection::mapping::key_of;
use crate::projection::text;
use crate::projection::types::{Column, ColumnType};
use crate::store::dialect::{
    postgres_catalog as questions, postgres_hash as hashing, postgres_scan as scans,
};

/// Rows of one batch.
const BATCH_ROWS_MAX: usize = 2_000;
/// Bytes of one batch, as the server sends them.
const BATCH_BYTES_MAX: usize = 256 << 10;
/// Keys of one statement.
const LOOKUP_KEYS_MAX: usize = 2_000;
/// Tables with more rows are sampled to be split.
const SPLIT_WHOLE_ROWS_MAX: u64 = 200_000;
/// Rows that the sample should give for each part: so many, because the rows of a page are often neighbours by key too
/// and then count as one.
const SPLIT_ROWS_PER_PART: usize = 3_000;
/// Rows of a sample, unless that were less than a hundred for each part.
const SPLIT_ROWS_MAX: usize = 500_000;

/// Server versions that have `hash_record_extended`.
const HASH_VERSION_MIN: i32 = 140_000;

impl Postgres {
    pub(super) async fn shape(&self, scan: &Scan) -> Result<scans::Shape, StoreError> {
        let mut shape = scans::Shape::default();
        let Some(table) = scan.relation.table() else {
            return Ok(shape);
        };
        let act = format!("reading the catalog of {table}");
        for row in self.ask(&act, &scans::shape(table)).await? {
            let name: String = get(&row, 0)?;
            if get(&row, 1)? {
                shape.bytewise.insert(name.clone());
            }
            if get(&row, 2)? {
                shape.json.insert(name);
            }
        }
        Ok(shape)
    }

    pub(super) fn refuse(scan: &Scan, problem: String) -> StoreError {
        StoreError::Refused(format!("{}: {problem}", scan.relation))
    }

    pub(super) async fn read_rows(&self, scan: &Scan) -> Result<RowStream, StoreError> {
        let shape = self.shape(scan).await?;
        let sql = scans::copy(scan, &shape).map_err(|p| Self::refuse(scan, p))?;
        self.stream(sql, Reader::of_scan(scan)).await
    }

    pub(super) async fn read_keys(
        &self,
        scan: &Scan,
        keys: &[Key<'static>],
    ) -> Result<Vec<Row<'static>>, StoreError> {
        let shape = self.shape(scan).await?;
        let mut sorted: Vec<Key<'static>> = keys.to_vec();
        sorted.sort();
        sorted.dedup();
        let wanted: HashSet<&Key<'static>> = sorted.iter().collect();
        let mut found = Vec::new();
        for chunk in sorted.chunks(LOOKUP_KEYS_MAX) {
            let sql = scans::lookup(scan, &shape, chunk).map_err(|p| Self::refuse(scan, p))?;
            let mut rows = self.stream(sql, Reader::of_scan(scan)).await?;
            while let Some(batch) = rows.recv().await {
                // A collation may call more keys equal than the engine does.
                found.extend(
                    batch?
                        .into_iter()
                        .filter(|r| wanted.contains(&key_of(r, &scan.key))),
                );
            }
        }
        Ok(found)
    }

    pub(super) async fn read_split(
        &self,
        scan: &Scan,
        parts: usize,
    ) -> Result<Vec<Key<'static>>, StoreError> {
        if parts < 2 {
            return Ok(Vec::new());
        }
        let shape = self.shape(scan).await?;
        let sample = self.sample(scan, parts).await?;
        let sql = scans::split(scan, &shape, parts, sample).map_err(|p| Self::refuse(scan, p))?;
        let mut rows = self.stream(sql, Reader::of_key(scan)).await?;
        let mut keys = Vec::with_capacity(parts);
        while let Some(batch) = rows.recv().await {
            keys.extend(batch?.into_iter().map(Key));
        }
        keys.dedup();
        Ok(keys)
    }

    /// The percentage of pages to look at; `None` looks at all rows. Only what has pages can be sampled.
    async fn sample(&self, scan: &Scan, parts: usize) -> Result<Option<f64>, StoreError> {
        let Some(table) = scan.relation.table() else {
            return Ok(None);
        };
        let act = format!("reading the catalog of {table}");
        let found = self.ask(&act, &questions::relation(table)).await?;
        let Some(row) = found.first() else {
            return Ok(None);
        };
        let (kind, rows): (String, Option<i64>) = (get(row, 3)?, get(row, 4)?);
        let rows = rows.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        if !matches!(kind.as_str(), "r" | "m") || rows <= SPLIT_WHOLE_ROWS_MAX {
            return Ok(None);
        }
        let wanted = (SPLIT_ROWS_PER_PART * parts).min(SPLIT_ROWS_MAX.max(100 * parts));
        #[allow(clippy::cast_precision_loss)] // An estimate of an estimate.
        let percent = 100.0 * wanted as f64 / rows as f64;
        Ok((percent < 50.0).then_some(percent.max(0.01)))
    }

    pub(super) async fn name_digest(&self, scan: &Scan) -> Result<Option<String>, StoreError> {
        if self.version < HASH_VERSION_MIN || scan.relation.table().is_none() {
            return Ok(None);
        }
        let shape = self.shape(scan).await?;
        let Some(types) = hashing::hashes(scan, &shape) else {
            return Ok(None);
        };
        let act = "asking how the server hashes";
        let rows = self.ask(act, &hashing::probe()).await?;
        let probe: String = get(rows.first().ok_or_else(|| self.empty(act))?, 0)?;
        let (major, encoding) = (self.version / 10_000, &self.encoding);
        Ok(Some(format!("postgres-{major}-{encoding}-{probe}-{types}")))
    }

    pub(super) async fn read_digest(&self, scan: &Scan) -> Result<Digest, StoreError> {
        let shape = self.shape(scan).await?;
        let sql = hashing::digest(scan, &shape).map_err(|p| Self::refuse(scan, p))?;
        let act = format!("hashing {}", scan.relation);
        let rows = self.ask(&act, &sql).await?;
        let row = rows.first().ok_or_else(|| self.empty(&act))?;
        Ok(Digest {
            rows: u64::try_from(get::<i64>(row, 0)?).unwrap_or(0),
            sum: get(row, 1)?,
        })
    }

    pub(super) async fn read_position(&self) -> Result<Option<u64>, StoreError> {
        let rows = self
            .ask("asking for the write position", questions::WRITE_POSITION)
            .await?;
        let text: Option<String> = rows.first().map(|r| get(r, 0)).transpose()?.flatten();
        Ok(text.and_then(|t| t.parse().ok()))
    }

    pub(super) async fn read_slot(&self, name: &str) -> Result<Option<Slot>, StoreError> {
        let rows = self
            .ask("asking for the replication slot", &questions::slot(name))
            .await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let number = |at| Ok::<u64, StoreError>(get::<String>(row, at)?.parse().unwrap_or(0));
        Ok(Some(Slot {
            confirmed: number(0)?,
            active: get(row, 1)?,
            behind_bytes: number(2)?,
            seconds: get(row, 3)?,
        }))
    }

    /// Who may not, or asks a standby, has to do without.
    pub(super) async fn emit_message(&self, message: &str) -> Result<bool, StoreError> {
        let act = "putting a message into the log";
        match self.ask(act, &questions::emit(message)).await {
            Err(StoreError::Denied { problem, .. } | StoreError::Sql { problem, .. }) => {
                tracing::debug!(problem, "no message was put into the primary's log");
                Ok(false)
            }
            asked => asked.map(|_| true),
        }
    }

    pub(super) async fn read_query(
        &self,
        query: &str,
    ) -> Result<Vec<Vec<Option<String>>>, StoreError> {
        let sql = playbook_query(query);
        texts(&self.ask("running a query of the playbook", &sql).await?)
    }
}

/// A query of the playbook. In a FROM clause there is room for one statement that reads, and for nothing else.
pub(super) fn playbook_query(query: &str) -> String {
    let query = query.trim().trim_end_matches(';');
    format!("SELECT * FROM ({query}\n) AS trueup_query")
}

/// The cells of a query of the playbook as text.
pub(super) fn texts(
    rows: &[sqlx::postgres::PgRow],
) -> Result<Vec<Vec<Option<String>>>, StoreError> {
    let strange = |problem: String| StoreError::Sql {
        act: "reading the answer to a query of the playbook".to_owned(),
        problem,
    };
    let text = |row: &sqlx::postgres::PgRow, at| -> Result<Option<String>, StoreError> {
        let value = sqlx::Row::try_get_raw(row, at).map_err(|e| strange(e.to_string()))?;
        if sqlx::ValueRef::is_null(&value) {
            return Ok(None);
        }
        let text = value.as_str().map_err(|e| strange(e.to_string()))?;
        Ok(Some(text.to_owned()))
    };
    rows.iter()
        .map(|row| (0..sqlx::Row::len(row)).map(|at| text(row, at)).collect())
        .collect()
}

/// Reads COPY text into rows.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) table: String,
    columns: Vec<Column>,
    casts: Vec<Option<Column>>,
    /// The start of a line whose end has not come yet.
    carry: Vec<u8>,
    rows: Vec<Row<'static>>,
    bytes: usize,
}

impl Reader {
    pub(super) fn new(table: String, columns: Vec<Column>) -> Reader {
        Reader {
            table,
            casts: vec![None; columns.len()],
            columns,
            carry: Vec::new(),
            rows: Vec::new(),
            bytes: 0,
        }
    }

    pub(super) fn of_scan(scan: &Scan) -> Reader {
        Reader::of(scan, &(0..scan.outputs.len()).collect::<Vec<_>>())
    }

    fn of_key(scan: &Scan) -> Reader {
        Reader::of(scan, &scan.key)
    }

    fn of(scan: &Scan, which: &[usize]) -> Reader {
        let outputs = || which.iter().map(|at| &scan.outputs[*at]);
        let columns = outputs().map(|o| o.column.clone()).collect();
        let casts = outputs().map(|o| {
            let kind = o.cast.as_ref().filter(|kind| **kind != o.column.kind)?;
            // Whether NULL may stand there is the mapping's question, not the reader's.
            Some(Column {
                name: o.column.name.clone(),
                kind: kind.clone(),
                nullable: true,
            })
        });
        Reader {
            casts: casts.collect(),
            ..Reader::new(scan.relation.to_string(), columns)
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= BATCH_ROWS_MAX || self.bytes >= BATCH_BYTES_MAX
    }

    pub(super) fn take(&mut self) -> Vec<Row<'static>> {
        self.bytes = 0;
        let room = self.rows.len();
        std::mem::replace(&mut self.rows, Vec::with_capacity(room))
    }

    /// Takes the next bytes, cut anywhere.
    pub(super) fn feed(&mut self, chunk: &[u8]) -> Result<(), StoreError> {
        self.bytes += chunk.len();
        if self.carry.is_empty() {
            let rest = self.lines(chunk)?;
            self.carry.extend_from_slice(rest);
            return Ok(());
        }
        let mut whole = std::mem::take(&mut self.carry);
        whole.extend_from_slice(chunk);
        let rest = self.lines(&whole)?.len();
        whole.drain(..whole.len() - rest);
        self.carry = whole;
        Ok(())
    }

    /// Reads the complete lines and returns what is behind them. A line break within a value is escaped.
    fn lines<'c>(&mut self, chunk: &'c [u8]) -> Result<&'c [u8], StoreError> {
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let row = self.line(&rest[..end])?;
            self.rows.push(row);
            rest = &rest[end + 1..];
        }
        Ok(rest)
    }

    fn line(&self, line: &[u8]) -> Result<Row<'static>, StoreError> {
        let line =
            std::str::from_utf8(line).map_err(|_| self.strange("a line that is no UTF-8"))?;
        let escaped = line.as_bytes().contains(&b'\\');
        let mut row = Vec::with_capacity(self.columns.len());
        let mut fields = line.split('\t');
        for (column, cast) in self.columns.iter().zip(&self.casts) {
            let field = fields
                .next()
                .ok_or_else(|| self.strange("a line with too few columns"))?;
            let cell = if !escaped || !field.as_bytes().contains(&b'\\') {
                self.cell(column, field)?
            } else if field == "\\N" {
                Cell::Null
            } else {
                self.cell(column, &unescaped(field))?
            };
            row.push(match cast {
                None => cell,
                Some(to) => cast::coerce(cell, to).map_err(|e| StoreError::Value {
                    table: self.table.clone(),
                    problem: e.to_string(),
                })?,
            });
        }
        Ok(row)
    }

    fn cell(&self, column: &Column, field: &str) -> Result<Cell<'static>, StoreError> {
        // The common kinds without the detour through a borrowed cell.
        if matches!(
            column.kind,
            ColumnType::Text { padded: false, .. } | ColumnType::Other(_)
        ) {
            return Ok(Cell::Text(Cow::Owned(field.to_owned())));
        }
        let cell = text::read(&column.kind, field).map(Cell::into_owned);
        cell.ok_or_else(|| StoreError::Value {
            table: self.table.clone(),
            problem: format!(
                "column {}: a value of type {} that trueup cannot hold",
                column.name, column.kind
            ),
        })
    }

    fn strange(&self, problem: &str) -> StoreError {
        StoreError::Sql {
            act: format!("reading {}", self.table),
            problem: problem.to_owned(),
        }
    }
}

/// COPY's escapes undone.
fn unescaped(field: &str) -> String {
    let mut out = String::with_capacity(field.len());
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('v') => out.push('\u{b}'),
            Some(c) => out.push(c),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader() -> Reader {
        let column = |name: &str, kind| Column {
            name: name.to_owned(),
            kind,
            nullable: true,
        };
        Reader::new(
            "t".to_owned(),
            vec![
                column("n", ColumnType::INT64),
                column("t", ColumnType::TEXT),
                column("b", ColumnType::Bytes),
            ],
        )
    }

    #[test]
    fn lines_cut_anywhere_give_the_same_rows() {
        let text = "1\ta\\tb\\\\N\\n\t\\\\x00ff\n-2\t\\N\t\\N\n3\tgrün\t\\\\x\n".as_bytes();
        let want = vec![
            vec![
                Cell::Int(1),
                Cell::Text("a\tb\\N\n".into()),
                Cell::Bytes(vec![0, 255].into()),
            ],
            vec![Cell::Int(-2), Cell::Null, Cell::Null],
            vec![
                Cell::Int(3),
                Cell::Text("grün".into()),
                Cell::Bytes(Vec::new().into()),
            ],
        ];
        for size in 1..=text.len() {
            let mut reader = reader();
            for chunk in text.chunks(size) {
                reader.feed(chunk).expect("well formed");
            }
            assert_eq!(reader.take(), want, "chunks of {size}");
            assert!(reader.carry.is_empty());
        }
    }

    #[test]
    fn what_cannot_be_read_names_its_column() {
        let problem = reader()
            .feed(b"x\ta\t\\N\n")
            .expect_err("no integer")
            .to_string();
        assert_eq!(
            problem,
            "t: column n: a value of type int64 that trueup cannot hold"
        );
        assert!(reader().feed(b"1\ta\n").is_err());
    }
}
