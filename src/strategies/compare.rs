//! The comparison of a view: expected rows, projected from the primary, against the rows of a table of the read store.
//!
//! A pushed-down hash may only prove a range equal; every difference comes out of the merge in [`Diff`].

mod merge;

use std::collections::HashSet;
use std::time::Duration;
use std::time::Instant;

use anyhow::Result;

use super::pace::Pace;
use super::{Origin, Systems, View};
use crate::limits;
use crate::projection::cell::{Cell, Row};
use crate::projection::change::Key;
use crate::projection::diff::{Diff, Difference, Step};
use crate::projection::mapping::{Bookkeeping, Expected, From, Mapping, Target, Test, key_of};
use crate::projection::rule::Rule;
use crate::projection::types::Column;
use crate::report::progress::Counter;
use crate::store::{Acts, Catalog, Output, Relation, RowStream, Scan, Store, TableName};

/// One side against the other, for one view and one table.
pub struct Comparison<'a> {
    /// Where the expected rows are read: the primary, or the sources staged from the log.
    origin: &'a Store,
    /// Where the actual rows are read.
    actual: &'a Store,
    pace: &'a Pace,
    mapping: Mapping,
    rules: Vec<Rule>,
    scope: Option<String>,
    expected: Relation,
    target: TableName,
    /// Whether a unique key of one side sees to it that each key names one row, of either when they are equal.
    unique: bool,
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
    /// Rows that differ only within the rules of their columns.
    pub representation: u64,
    /// Whether any row had to be merged.
    pub merged: bool,
    /// How long both sides took for their hashes.
    pub hashing: Duration,
}

impl<'a> Comparison<'a> {
    /// The view's own table against the primary.
    #[must_use]
    pub fn new(systems: &'a Systems, view: &View) -> Comparison<'a> {
        let rows_estimate = match &view.origin {
            Origin::Copy { source, .. } => source.table.rows_estimate.max(view.table.rows_estimate),
            Origin::Events { .. } | Origin::Query { .. } => view.table.rows_estimate,
        };
        let origin = &systems.primary;
        Comparison {
            origin,
            actual: &systems.read_store,
            pace: &systems.pace,
            mapping: view.compared(),
            rules: view.rules.clone(),
            scope: view.scope.clone(),
            expected: view.relation(origin, |source| source.table.table.clone()),
            target: view.table.table.clone(),
            unique: is_unique(view),
            rows_estimate,
        }
    }

    /// The same, with the expected rows read from elsewhere.
    #[must_use]
    pub fn with_origin(mut self, origin: &'a Store, expected: Relation) -> Comparison<'a> {
        (self.origin, self.expected) = (origin, expected);
        self
    }

    /// The same, against another table (a shadow).
    #[must_use]
    pub fn with_actual(mut self, actual: &'a Store, target: TableName) -> Comparison<'a> {
        (self.actual, self.target) = (actual, target);
        self
    }

    /// The same, with the projector's bookkeeping columns, for an expected side that knows them.
    #[must_use]
    pub fn with_bookkeeping(mut self, view: &View) -> Comparison<'a> {
        let mut rules = std::mem::take(&mut self.rules).into_iter();
        let rule = |t: &Target| match t.from {
            From::Source(_) => rules.next().unwrap_or(Rule::Exact),
            _ => Rule::Exact,
        };
        self.rules = view.mapping.columns.iter().map(rule).collect();
        self.mapping = view.mapping.clone();
        self
    }

    /// Whether a column's values in two rows are the same by its rule.
    #[must_use]
    pub fn same(&self, at: usize, one: &Row<'_>, two: &Row<'_>) -> bool {
        let rule = self.rules.get(at).unwrap_or(&Rule::Exact);
        rule.equal(&one[at], &two[at])
    }

    /// How each compared column is compared; empty when all are exact.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
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
            relation: self.expected.clone(),
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
            relation: self.expected.clone(),
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
            relation: Relation::Table(self.target.clone()),
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
            self.origin.digest_dialect(&twin),
            self.actual.digest_dialect(&actual)
        );
        let (theirs, ours) = (theirs?, ours?);
        Ok(if theirs == ours { theirs } else { None })
    }

    /// Compares everything once.
    ///
    /// # Errors
    /// When a side cannot be read, or a source row does not fit the view.
    pub async fn run(&self, hash: bool, counter: &Counter) -> Result<Found> {
        // Two sides that hold the same row twice have equal hashes.
        let hash = if hash && self.unique {
            self.hash().await?
        } else {
            None
        };
        let mut found = Found::default();
        for (from, to) in self.ranges().await? {
            self.pace.pass().await;
            let mut equal = None;
            if hash.is_some() {
                let began = Instant::now();
                equal = self.equal(&from, &to).await?;
                found.hashing += began.elapsed();
            }
            match equal {
                Some(rows) => {
                    found.rows += rows;
                    counter.add(rows);
                    self.pace.spend(rows).await;
                }
                None => self.merge(from, to, &mut found, counter).await?,
            }
        }
        Ok(found)
    }

    async fn ranges(&self) -> Result<Vec<(Option<Key<'static>>, Option<Key<'static>>)>> {
        let rows = self.rows_estimate.unwrap_or(0);
        // A query is run once: a range of it may cost as much as all of it.
        let range_rows = self.pace.range_rows();
        if rows <= range_rows || self.is_query() {
            return Ok(vec![(None, None)]);
        }
        let parts = usize::try_from(rows.div_ceil(range_rows)).unwrap_or(1);
        let cuts = self.actual.split(&self.actual_scan(), parts).await?;
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
        let (expected, actual) =
            tokio::join!(self.origin.digest(&expected), self.actual.digest(&actual));
        let (expected, actual) = (expected?, actual?);
        Ok((expected == actual).then_some(expected.rows))
    }

    /// The expected rows, before they are projected, in key order: what [`Comparison::next_expected`] reads.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn expected_rows(&self) -> Result<RowStream> {
        Ok(self.origin.rows(self.source_scan()).await?)
    }

    /// The actual rows in key order.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn actual_rows(&self) -> Result<RowStream> {
        Ok(self.actual.rows(self.actual_scan()).await?)
    }

    /// The next batch of expected rows; empty at the end only.
    ///
    /// # Errors
    /// When they cannot be read, or one does not fit the view.
    pub async fn next_expected(&self, stream: &mut RowStream) -> Result<Vec<Row<'static>>> {
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
                        .context(format!("{} of the primary, key {shown}", self.expected)));
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
        if self.is_query() && keys.len() > limits::LOOKUP_KEYS {
            return self.expected_among(keys).await;
        }
        let mut rows = Vec::new();
        for some in keys.chunks(limits::LOOKUP_KEYS) {
            rows.extend(self.expected(self.origin.lookup(&self.source_scan(), some).await?)?);
        }
        Ok(rows)
    }

    fn is_query(&self) -> bool {
        self.expected.table().is_none()
    }

    /// Many keys of a query: it is run once, and not once for every few of them.
    async fn expected_among(&self, keys: &[Key<'static>]) -> Result<Vec<Row<'static>>> {
        let wanted: HashSet<&Key<'static>> = keys.iter().collect();
        let mut stream = self.expected_rows().await?;
        let mut rows = Vec::with_capacity(keys.len());
        loop {
            let some = self.next_expected(&mut stream).await?;
            if some.is_empty() {
                return Ok(rows);
            }
            let among = |row: &Row<'static>| wanted.contains(&key_of(row, &self.mapping.key));
            rows.extend(some.into_iter().filter(among));
        }
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
            rows.extend(self.actual.lookup(&self.actual_scan(), some).await?);
        }
        Ok(rows)
    }

    /// The differences of these keys, looked at again, one a key; keys must ascend.
    ///
    /// # Errors
    /// As for the two sides.
    pub async fn again(&self, keys: &[Key<'static>]) -> Result<Vec<Difference>> {
        let at_once = if self.is_query() {
            keys.len().max(1)
        } else {
            limits::LOOKUP_KEYS
        };
        let mut differences = Vec::new();
        for some in keys.chunks(at_once) {
            let (expected, actual) =
                tokio::try_join!(self.expected_of(some), self.actual_of(some))?;
            differences.extend(self.differences(expected, actual)?);
        }
        // A row once more is a difference of its own.
        differences.dedup_by(|then, first| then.key == first.key);
        Ok(differences)
    }

    /// The differences between all of some rows and all of others, both in key order.
    ///
    /// # Errors
    /// When they are not.
    pub fn differences(
        &self,
        expected: Vec<Row<'static>>,
        actual: Vec<Row<'static>>,
    ) -> Result<Vec<Difference>> {
        let mut diff = self.diff();
        diff.expected(expected);
        diff.actual(actual);
        // An empty batch is the end of its side.
        diff.expected(Vec::new());
        diff.actual(Vec::new());
        let mut differences = Vec::new();
        while let Step::Differs(d) = diff.step()? {
            differences.push(d);
        }
        Ok(differences)
    }

    fn diff(&self) -> Diff {
        Diff::new(self.mapping.key.clone()).with_rules(self.rules.clone())
    }
}

/// Whether a unique key is among the key's columns, in the view's own table or in that of its source. NULL is unique beside
/// NULL.
fn is_unique(view: &View) -> bool {
    let covers = |table: &Catalog, key: &[&str]| {
        let is_known = |name: &String| table.column(name).is_some_and(|c| !c.column.nullable);
        let is_covered = |unique: &Vec<String>| {
            unique
                .iter()
                .all(|name| key.contains(&name.as_str()) && is_known(name))
        };
        table.unique_keys.iter().any(is_covered)
    };
    let mapping = &view.mapping;
    let ours = mapping.key.iter().map(|at| &mapping.columns[*at]);
    let ours: Vec<&str> = ours.map(|t| t.column.name.as_str()).collect();
    let theirs = mapping.source_key.iter().map(|at| &mapping.source[*at]);
    let theirs: Vec<&str> = theirs.map(|c| c.name.as_str()).collect();
    covers(&view.table, &ours)
        || match &view.origin {
            Origin::Copy { source, .. } => covers(&source.table, &theirs),
            Origin::Events { .. } | Origin::Query { .. } => false,
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
