//! Which table of the primary a read table is a copy of, and how their columns belong together, told from the catalogs
//! alone. Whatever is not certain says that it is a guess, and why; nothing here decides for the operator.

mod columns;
mod topic;

use std::cmp::Reverse;

use crate::store::{Catalog, TableName};

pub use topic::topic;

/// Columns that must agree before two tables of different names and column names are taken for copies.
const BLIND_COLUMNS_MIN: usize = 3;

/// A source has notably more rows than its copy when the copy has fewer of a hundred than this.
const FEWER_PERCENT: u64 = 90;

/// A read table and the source that fits it best.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The read table.
    pub table: TableName,
    /// The source table.
    pub source: TableName,
    /// Why this source, when that is a guess.
    pub guessed: Option<String>,
    /// The columns that name a row.
    pub key: Vec<String>,
    /// Why the view cannot be used as it stands; `None` when it can.
    pub unusable: Option<String>,
    /// Every column of the read table that is written, in its order.
    pub columns: Vec<Filled>,
    /// Columns of the source that nothing copies.
    pub uncopied: Vec<String>,
    /// About how many rows the source and the read table have, when the latter has notably fewer.
    pub fewer_rows: Option<(u64, u64)>,
}

/// A column of the read table and what fills it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Its name.
    pub name: String,
    /// What fills it.
    pub by: Fill,
    /// Why so, when that is a guess.
    pub guessed: Option<String>,
}

/// What fills a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fill {
    /// This column of the source.
    Source(String),
    /// The projector's bookkeeping: the record's offset.
    Offset,
    /// The projector's bookkeeping: the record's partition.
    Partition,
    /// The projector's bookkeeping: the source position.
    Lsn,
    /// The projector's bookkeeping: a time of its own.
    Clock,
    /// The database.
    Default,
    /// Somebody else.
    Foreign,
}

impl Fill {
    /// The column of the source, if it is one.
    fn source(&self) -> Option<&str> {
        match self {
            Fill::Source(name) => Some(name),
            _ => None,
        }
    }
}

/// The source that fits a read table best; `None` when none does.
#[must_use]
pub fn pair(table: &Catalog, sources: &[Catalog]) -> Option<Pair> {
    let mut fits: Vec<Fit<'_>> = sources
        .iter()
        .map(|source| Fit::of(table, source))
        .filter(Fit::is_plausible)
        .collect();
    // Of equals the first stays first.
    fits.sort_by_key(|fit| Reverse(fit.rank()));
    let best = fits.first()?;
    let equals = fits[1..].iter().filter(|fit| fit.rank() == best.rank());
    let equals: Vec<String> = equals.map(|fit| fit.source.table.to_string()).collect();
    Some(best.pair(&equals))
}

/// How well one source fits one read table.
struct Fit<'a> {
    table: &'a Catalog,
    source: &'a Catalog,
    columns: Vec<Filled>,
    key: Option<Vec<String>>,
    same_name: bool,
    like_name: bool,
    /// Columns filled from the source by the same name, whatever its spelling.
    named: usize,
    /// Columns filled from the source under another name.
    renamed: usize,
    /// Columns that ought to come from the source and do not.
    unmatched: usize,
    uncopied: Vec<String>,
}

impl<'a> Fit<'a> {
    fn of(table: &'a Catalog, source: &'a Catalog) -> Fit<'a> {
        let columns = columns::fill(table, source);
        let count = |wanted: &dyn Fn(&Filled) -> bool| columns.iter().filter(|c| wanted(c)).count();
        let named = |c: &Filled| c.by.source().is_some_and(|s| columns::same(s, &c.name));
        let uncopied = source.columns.iter().map(|c| &c.column.name);
        let uncopied = uncopied.filter(|n| !columns.iter().any(|c| c.by.source() == Some(n)));
        Fit {
            key: key(table, source, &columns),
            same_name: columns::same(&table.table.name, &source.table.name),
            like_name: columns::alike(&table.table.name, &source.table.name),
            named: count(&named),
            renamed: count(&|c| c.by.source().is_some() && !named(c)),
            unmatched: count(&|c| c.by == Fill::Foreign),
            uncopied: uncopied.cloned().collect(),
            table,
            source,
            columns,
        }
    }

    /// Whether this may be a copy at all.
    fn is_plausible(&self) -> bool {
        let mapped = self.named + self.renamed;
        let wanted = mapped + self.unmatched;
        if self.same_name {
            return mapped > 0;
        }
        if self.like_name && mapped > 0 && 2 * mapped >= wanted {
            return true;
        }
        let by_columns = self.named >= 2 && 2 * self.named >= wanted;
        let by_types =
            mapped >= BLIND_COLUMNS_MIN && self.unmatched == 0 && self.uncopied.is_empty();
        by_columns || (by_types && self.key.is_some())
    }

    fn rank(&self) -> (bool, bool, usize, bool, usize, Reverse<usize>) {
        (
            self.same_name,
            self.key.is_some(),
            self.named,
            self.like_name,
            self.renamed,
            Reverse(self.uncopied.len()),
        )
    }

    fn pair(&self, equals: &[String]) -> Pair {
        let (key, unusable) = match &self.key {
            Some(key) => (key.clone(), None),
            None => (self.wanted_key(), Some(self.no_key())),
        };
        let rows = self.source.rows_estimate.zip(self.table.rows_estimate);
        Pair {
            table: self.table.table.clone(),
            source: self.source.table.clone(),
            guessed: self.guessed(equals),
            key,
            unusable,
            columns: self.columns.clone(),
            uncopied: self.uncopied.clone(),
            fewer_rows: rows.filter(|(theirs, ours)| {
                ours.saturating_mul(100) < theirs.saturating_mul(FEWER_PERCENT)
            }),
        }
    }

    /// Why the source is a guess, unless the name or all columns say that it is not.
    fn guessed(&self, equals: &[String]) -> Option<String> {
        if !equals.is_empty() {
            return Some(format!("{} would fit as well", equals.join(" and ")));
        }
        let wanted = self.named + self.renamed + self.unmatched;
        if self.same_name || self.named == wanted {
            return None;
        }
        Some(if self.named == 0 {
            "by the types of its columns alone".to_owned()
        } else {
            format!("{} of {wanted} columns have the same name", self.named)
        })
    }

    /// What the key ought to be: the columns that hold the source's key, else the read table's own.
    fn wanted_key(&self) -> Vec<String> {
        let holds = |part: &String| self.columns.iter().find(|c| c.by.source() == Some(part));
        let held = self.source.primary_key.iter().map(holds);
        match held.collect::<Option<Vec<&Filled>>>() {
            Some(held) if !held.is_empty() => held.iter().map(|c| c.name.clone()).collect(),
            _ => self.table.unique_keys.first().cloned().unwrap_or_default(),
        }
    }

    fn no_key(&self) -> String {
        let (table, source) = (&self.table.table, &self.source.table);
        if self.source.primary_key.is_empty() {
            return format!("{source} has no primary key, so its rows cannot be told apart");
        }
        let theirs = self.source.primary_key.join(", ");
        match self.table.unique_keys.first() {
            None => {
                format!("{table} has no primary or unique key; the key of {source} is ({theirs})")
            }
            Some(ours) => format!(
                "the key of {table} is ({}), and that of {source} is ({theirs}); a copy keeps its source's key, under whatever names",
                ours.join(", ")
            ),
        }
    }
}

/// The first key of the table whose columns are those of the source's primary key.
fn key(table: &Catalog, source: &Catalog, columns: &[Filled]) -> Option<Vec<String>> {
    let mut theirs: Vec<&str> = source.primary_key.iter().map(String::as_str).collect();
    theirs.sort_unstable();
    let is_theirs = |key: &&Vec<String>| {
        let part = |name: &String| columns.iter().find(|c| c.name == *name)?.by.source();
        let ours: Option<Vec<&str>> = key.iter().map(part).collect();
        ours.is_some_and(|mut ours| {
            ours.sort_unstable();
            ours == theirs
        })
    };
    let keys = std::iter::once(&table.primary_key).chain(&table.unique_keys);
    keys.filter(|key| !key.is_empty()).find(is_theirs).cloned()
}

#[cfg(test)]
mod tests;
