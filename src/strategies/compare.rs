//! The comparison of a copy: expected rows, projected from the primary, against the rows of a table of the read store.
//!
//! A pushed-down hash may only prove a range equal; every difference comes out of the merge in [`Diff`].

use anyhow::Result;

use super::{CopyView, Systems};
use crate::limits;
use crate::projection::cell::{Cell, Row};
use crate::projection::change::Key;
use crate::projection::diff::{Diff, Difference, Step};
use crate::projection::mapping::{Bookkeeping, Expected, From, Mapping, Test, key_of};
use crate::projection::types::Column;
use crate::report::progress::Counter;
use crate::store::{Acts, Output, RowStream, Scan, Store, TableName};

/// One side against the other, for one view and one table.
pub struct Comparison<'a> {
    primary: &'a Store,
    read_store: &'a Store,
    mapping: Mapping,
    scope: Option<String>,
    source: TableName,
    target: TableName,
    /// About how many rows there are to compare.
    pub rows_estimate: Option<u64>,
}

/// What a comparison found before anybody asked about lag.
#[derive(Debug, Default)]
pub struct Found {
    /// Keys looked at.
    pub rows: u64,
    /// The differences, up to [`limits::RECHECK_KEYS_MAX`].
    pub differences: Vec<Difference>,
    /// Differences beyond those.
    pub beyond: u64,
    /// Whether any row had to be merged.
    pub merged: bool,
}

impl<'a> Comparison<'a> {
    /// The view's own table against the primary.
    #[must_use]
    pub fn new(systems: &'a Systems, view: &CopyView) -> Comparison<'a> {
        Comparison {
            primary: &systems.primary,
            read_store: &systems.read_store,
            mapping: view.mapping.compared(),
            scope: view.scope.clone(),
            source: view.source.table.table.clone(),
            target: view.table.table.clone(),
            rows_estimate: view
                .source
                .table
                .rows_estimate
                .max(view.table.rows_estimate),
        }
    }

    /// The same, against another table of the read store (a shadow).
    #[must_use]
    pub fn with_target(mut self, target: TableName) -> Comparison<'a> {
        self.target = target;
        self
    }

    /// Names of the compared columns.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        self.mapping
            .columns
            .iter()
            .map(|t| t.column.name.clone())
            .collect()
    }

    /// Which of them are the key.
    #[must_use]
    pub fn key(&self) -> &[usize] {
        &self.mapping.key
    }

    fn filter(&self) -> Vec<(Column, Test)> {
        self.mapping
            .filter
            .iter()
            .map(|(i, test)| (self.mapping.source[*i].clone(), test.clone()))
            .collect()
    }

    /// The mapping's SQL twin over the primary: the view's columns, cast by the database.
    #[must_use]
    pub fn twin(&self) -> Scan {
        let outputs = self.mapping.columns.iter().filter_map(|t| match t.from {
            From::Source(i) => {
                let column = self.mapping.source[i].clone();
                let cast = (column.kind != t.column.kind).then(|| t.column.kind.clone());
                Some(Output { column, cast })
            }
            _ => None,
        });
        let outputs = outputs.collect();
        Scan {
            table: self.source.clone(),
            outputs,
            key: self.mapping.key.clone(),
            filter: self.filter(),
            scope: None,
            from: None,
            to: None,
        }
    }

    /// The source rows of the primary as they are, in the order of the view's key.
    fn source_scan(&self) -> Scan {
        let mut outputs: Vec<Output> = self
            .mapping
            .source
            .iter()
            .map(|c| Output {
                column: c.clone(),
                cast: None,
            })
            .collect();
        let mut key = Vec::new();
        for at in &self.mapping.key {
            let target = &self.mapping.columns[*at];
            let From::Source(i) = target.from else {
                continue;
            };
            if outputs[i].column.kind != target.column.kind {
                outputs[i].cast = Some(target.column.kind.clone());
            }
            key.push(i);
        }
        Scan {
            table: self.source.clone(),
            outputs,
            key,
            filter: self.filter(),
            scope: None,
            from: None,
            to: None,
        }
    }

    fn actual_scan(&self) -> Scan {
        Scan {
            table: self.target.clone(),
            outputs: self
                .mapping
                .columns
                .iter()
                .map(|t| Output {
                    column: t.column.clone(),
                    cast: None,
                })
                .collect(),
            key: self.mapping.key.clone(),
            filter: Vec::new(),
            scope: self.scope.clone(),
            from: None,
            to: None,
        }
    }

    /// Whether both databases hash these columns in the same way.
    async fn hash(&self) -> Result<Option<String>> {
        let (twin, actual) = (self.twin(), self.actual_scan());
        let (theirs, ours) = tokio::join!(
            self.primary.digest_dialect(&twin),
            self.read_store.digest_dialect(&actual)
        );
        let (theirs, ours) = (theirs?, ours?);
        Ok(if theirs == ours { theirs } else { None })
    }

    /// Compares everything once.
    ///
    /// # Errors
    /// When a side cannot be read, or a source row does not fit the view.
    pub async fn run(&self, hash: bool, counter: &Counter) -> Result<Found> {
        let hash = if hash { self.hash().await? } else { None };
        let mut found = Found::default();
        for (from, to) in self.ranges().await? {
            let equal = match &hash {
                Some(_) => self.equal(&from, &to).await?,
                None => None,
            };
            match equal {
                Some(rows) => {
                    found.rows += rows;
                    counter.add(rows);
                }
                None => self.merge(from, to, &mut found, counter).await?,
            }
        }
        Ok(found)
    }

    async fn ranges(&self) -> Result<Vec<(Option<Key<'static>>, Option<Key<'static>>)>> {
        let rows = self.rows_estimate.unwrap_or(0);
        if rows <= limits::RANGE_ROWS {
            return Ok(vec![(None, None)]);
        }
        let parts = usize::try_from(rows.div_ceil(limits::RANGE_ROWS)).unwrap_or(1);
        let cuts = self.read_store.split(&self.actual_scan(), parts).await?;
        let starts = std::iter::once(None).chain(cuts.iter().cloned().map(Some));
        let ends = cuts.iter().cloned().map(Some).chain(std::iter::once(None));
        Ok(starts.zip(ends).collect())
    }

    /// How many rows the range has when both hashes agree.
    async fn equal(
        &self,
        from: &Option<Key<'static>>,
        to: &Option<Key<'static>>,
    ) -> Result<Option<u64>> {
        let bounded = |mut scan: Scan| {
            scan.from.clone_from(from);
            scan.to.clone_from(to);
            scan
        };
        let (expected, actual) = (bounded(self.twin()), bounded(self.actual_scan()));
        let (expected, actual) = tokio::join!(
            self.primary.digest(&expected),
            self.read_store.digest(&actual)
        );
        let (expected, actual) = (expected?, actual?);
        Ok((expected == actual).then_some(expected.rows))
    }

    async fn merge(
        &self,
        from: Option<Key<'static>>,
        to: Option<Key<'static>>,
        found: &mut Found,
        counter: &Counter,
    ) -> Result<()> {
        let bounded = |scan: Scan| Scan {
            from: from.clone(),
            to: to.clone(),
            ..scan
        };
        let (mut expected, mut actual) = tokio::try_join!(
            self.primary.rows(bounded(self.source_scan())),
            self.read_store.rows(bounded(self.actual_scan()))
        )?;
        found.merged = true;
        let mut diff = Diff::new(self.mapping.key.clone());
        let mut counted = 0;
        loop {
            match diff.step()? {
                Step::Differs(d) if found.differences.len() < limits::RECHECK_KEYS_MAX => {
                    found.differences.push(d)
                }
                Step::Differs(_) => found.beyond += 1,
                Step::NeedExpected => diff.expected(self.next_expected(&mut expected).await?),
                Step::NeedActual => diff.actual(next(&mut actual).await?),
                Step::Done => break,
            }
            counter.add(diff.rows() - counted);
            counted = diff.rows();
        }
        counter.add(diff.rows() - counted);
        found.rows += diff.rows();
        Ok(())
    }

    /// The next batch of expected rows; empty at the end only.
    async fn next_expected(&self, stream: &mut RowStream) -> Result<Vec<Row<'static>>> {
        loop {
            let source = next(stream).await?;
            if source.is_empty() {
                return Ok(source);
            }
            let rows = self.expected(source)?;
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
    }

    fn expected(&self, source: Vec<Row<'static>>) -> Result<Vec<Row<'static>>> {
        let mut rows = Vec::with_capacity(source.len());
        for row in source {
            let shown = key_of(&row, &self.mapping.source_key);
            match self.mapping.expected(row, &Bookkeeping::default()) {
                Ok(Expected::Row(row)) => rows.push(row),
                Ok(Expected::Filtered | Expected::Unknown) => {}
                Err(e) => {
                    return Err(anyhow::Error::new(e)
                        .context(format!("primary table {}, key {shown}", self.source)));
                }
            }
        }
        Ok(rows)
    }

    /// What the primary says of these keys now, as rows of the view.
    ///
    /// # Errors
    /// When it cannot be read, or a row does not fit the view.
    pub async fn expected_of(&self, keys: &[Key<'static>]) -> Result<Vec<Row<'static>>> {
        let mut rows = Vec::new();
        for some in keys.chunks(limits::LOOKUP_KEYS) {
            rows.extend(self.expected(self.primary.lookup(&self.source_scan(), some).await?)?);
        }
        Ok(rows)
    }

    /// Rows of the primary for keys that the log does not hold whole, in the shape of a loaded row: bookkeeping columns
    /// have no record to come from, and are NULL.
    ///
    /// # Errors
    /// When it cannot be read, or a row does not fit the view.
    pub async fn settling_rows(
        &self,
        keys: &[Key<'static>],
        loaded: &Mapping,
    ) -> Result<Vec<Row<'static>>> {
        let rows = self.expected_of(keys).await?;
        let widen = |row: Row<'static>| {
            let mut cells = row.into_iter();
            let widened = loaded.columns.iter().map(|t| match t.from {
                From::Source(_) => cells.next().unwrap_or(Cell::Unchanged),
                _ => Cell::Null,
            });
            widened.collect()
        };
        Ok(rows.into_iter().map(widen).collect())
    }

    /// How the target has these keys now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn actual_of(&self, keys: &[Key<'static>]) -> Result<Vec<Row<'static>>> {
        let mut rows = Vec::new();
        for some in keys.chunks(limits::LOOKUP_KEYS) {
            rows.extend(self.read_store.lookup(&self.actual_scan(), some).await?);
        }
        Ok(rows)
    }

    /// The differences of these keys, looked at again; keys must ascend.
    ///
    /// # Errors
    /// As for the two sides.
    pub async fn again(&self, keys: &[Key<'static>]) -> Result<Vec<Difference>> {
        let mut differences = Vec::new();
        for some in keys.chunks(limits::LOOKUP_KEYS) {
            let (expected, actual) =
                tokio::try_join!(self.expected_of(some), self.actual_of(some))?;
            let mut diff = Diff::new(self.mapping.key.clone());
            for rows in [expected, Vec::new()] {
                diff.expected(rows);
            }
            for rows in [actual, Vec::new()] {
                diff.actual(rows);
            }
            while let Step::Differs(d) = diff.step()? {
                differences.push(d);
            }
        }
        Ok(differences)
    }
}

async fn next(stream: &mut RowStream) -> Result<Vec<Row<'static>>> {
    loop {
        match stream.recv().await {
            None => return Ok(Vec::new()),
            Some(Ok(rows)) if rows.is_empty() => {}
            Some(rows) => return Ok(rows?),
        }
    }
}
