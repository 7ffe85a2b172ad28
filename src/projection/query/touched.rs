//! Which rows of a query view changes of its sources touch: for one source, a SELECT of the keys that its changed rows lead
//! to, made of pieces of the view's own text.
//!
//! A source's changed rows are those that it had before and those that it has now; of every other source both are read, so
//! that partners which changed together meet. The keys found are at least those whose rows differ:
//! - The rows of a key follow from the joined rows that have it (the key is made of columns of tables that no outer join
//!   leaves empty, its core). A joined row of the core that came or went holds a changed row, and is found from that one's
//!   source: over the core alone, with the conditions that read nothing else.
//! - Where the core is the same, a table of an outer join has got or lost a partner. Take the first such table in the order
//!   of the text: that partner is a changed row of it, and what it is joined to is the same before and after; unless a
//!   changed row of a table before it hides that, and then the key is found from there.

use std::collections::BTreeSet;
use std::ops::Range;

use super::joined::{Condition, Grouped, Joined, Link, Named, On};
use super::{Dialect, Query};

/// How a playbook says which keys changed rows of a source touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TouchedBy {
    /// The key is in this column of the source.
    Column(String),
    /// A SELECT of keys.
    Query(Box<Query>),
}

/// The columns of a source, as its database has them.
pub type ColumnsOf<'a> = &'a dyn Fn(&str) -> Vec<String>;

impl Query {
    /// A SELECT of the keys whose rows may be others since `source` has changed, with the table of every source named by
    /// `name`, as for [`Query::over`]: for `source` its changed rows, before and after; for the others all rows, before and
    /// after.
    ///
    /// # Errors
    /// Why that does not follow from its text.
    pub fn touched(
        &self,
        source: &str,
        key: &[String],
        columns: ColumnsOf<'_>,
        name: impl Fn(&str) -> String,
    ) -> Result<String, String> {
        let joined = self.joined.as_ref().map_err(Clone::clone)?;
        let resolving = Resolving::new(joined, columns);
        let key = resolving.key(key)?;
        let changed = joined.factors.iter().position(|f| f.source == source);
        let changed = changed.ok_or_else(|| format!("it does not read {source}"))?;
        let from = resolving.from(changed)?;
        let text = |range: &Range<usize>| self.spliced(range.clone(), &name);
        let mut out = String::from("SELECT DISTINCT ");
        for (nth, range) in key.iter().enumerate() {
            out.push_str(if nth > 0 { ", " } else { "" });
            out.push_str(&text(range));
        }
        out.push_str("\nFROM ");
        for part in &from {
            match part {
                Part::Word(word) => out.push_str(word),
                Part::Text(range) => out.push_str(&text(range)),
            }
        }
        let kept = resolving.kept();
        for (nth, condition) in kept.iter().enumerate() {
            out.push_str(if nth > 0 { "\nAND (" } else { "\nWHERE (" });
            // A comment in the text must not swallow the bracket.
            out.push_str(&text(condition));
            out.push_str("\n)");
        }
        Ok(out)
    }
}

/// A part of the text made.
enum Part {
    Word(&'static str),
    Text(Range<usize>),
}

/// The names of a text, resolved with the columns of its sources.
pub(super) struct Resolving<'q> {
    joined: &'q Joined,
    /// The columns of each table of FROM, as they are told apart.
    columns: Vec<BTreeSet<String>>,
}

impl<'q> Resolving<'q> {
    pub(super) fn new(joined: &'q Joined, columns: ColumnsOf<'_>) -> Resolving<'q> {
        let told_apart = |column: String| match joined.dialect {
            Dialect::Postgres => column,
            Dialect::Sqlite => column.to_ascii_lowercase(),
        };
        let of = |source: &str| columns(source).into_iter().map(told_apart).collect();
        Resolving {
            joined,
            columns: joined.factors.iter().map(|f| of(&f.source)).collect(),
        }
    }

    fn is_left(&self, at: usize) -> bool {
        self.joined.factors[at].link == Link::Left
    }

    fn has_left(&self) -> bool {
        (0..self.joined.factors.len()).any(|at| self.is_left(at))
    }

    /// The table that a column is of; `None` where that is not certain.
    pub(super) fn table(&self, named: &Named) -> Option<usize> {
        let factors = self.joined.factors.iter().enumerate();
        let mut found = factors.filter(|(at, factor)| match &named.table {
            Some(table) => *table == factor.alias,
            None => self.columns[*at].contains(&named.column),
        });
        let (at, _) = found.next()?;
        let known = found.next().is_none() && self.columns[at].contains(&named.column);
        known.then_some(at)
    }

    /// The tables that a condition reads; `None` where that is not certain.
    fn tables(&self, condition: &Condition) -> Option<BTreeSet<usize>> {
        let reads = condition.reads.as_ref()?;
        reads.iter().map(|named| self.table(named)).collect()
    }

    /// Whether a condition reads tables of the core alone.
    fn is_core(&self, condition: &Condition) -> bool {
        self.tables(condition)
            .is_some_and(|tables| !tables.iter().any(|at| self.is_left(*at)))
    }

    /// Where the columns stand that the key is.
    fn key(&self, key: &[String]) -> Result<Vec<Range<usize>>, String> {
        let place = |name: &String| self.key_column(name).map(|(_, _, range)| range);
        key.iter().map(place).collect()
    }

    /// The table and the column that a column of the key is.
    pub(super) fn key_place(&self, name: &str) -> Result<(usize, String), String> {
        let (table, named, _) = self.key_column(name)?;
        Ok((table, named.column.clone()))
    }

    fn key_column(&self, name: &str) -> Result<(usize, &'q Named, Range<usize>), String> {
        let told_apart = match self.joined.dialect {
            Dialect::Postgres => name.to_owned(),
            Dialect::Sqlite => name.to_ascii_lowercase(),
        };
        let outputs = &self.joined.outputs;
        let place = outputs
            .iter()
            .position(|o| o.name.as_ref() == Some(&told_apart));
        let plain = place.and_then(|at| Some((at, outputs[at].plain.as_ref()?)));
        let resolved =
            plain.and_then(|(at, (named, range))| Some((at, self.table(named)?, named, range)));
        let Some((place, table, named, range)) = resolved else {
            return Err(format!("its key column {name} is no column of one source"));
        };
        if self.is_left(table) {
            return Err(format!(
                "its key column {name} is of {}, which an outer join may leave empty",
                self.joined.factors[table].alias
            ));
        }
        // PostgreSQL sees to it itself that a column beside aggregates follows from the groups.
        let group = &self.joined.group;
        let is_it = |grouped: &Grouped| match grouped {
            Grouped::Output(nth) => *nth == place + 1,
            Grouped::Column(by) => by.column == named.column && self.table(by) == Some(table),
            Grouped::Expression => false,
        };
        if self.joined.dialect == Dialect::Sqlite && !group.is_empty() && !group.iter().any(is_it) {
            return Err(format!("it is not grouped by its key column {name}"));
        }
        Ok((table, named, range.clone()))
    }

    /// The conditions of WHERE that hold for every joined row of the core that counts.
    fn kept(&self) -> Vec<Range<usize>> {
        match &self.joined.filter {
            None => Vec::new(),
            Some((all, _)) if !self.has_left() => vec![all.clone()],
            Some((_, conditions)) => {
                let kept = conditions.iter().filter(|c| self.is_core(c));
                kept.map(|c| c.text.clone()).collect()
            }
        }
    }

    /// What stands behind FROM where one table is that of changed rows.
    fn from(&self, changed: usize) -> Result<Vec<Part>, String> {
        if !self.has_left() {
            return Ok(vec![Part::Text(self.joined.from.clone())]);
        }
        self.comes_apart()?;
        let needed = self.needed(changed)?;
        let factors = &self.joined.factors;
        let starts: Vec<usize> = (0..factors.len())
            .filter(|at| factors[*at].link == Link::First)
            .collect();
        let ends = starts.iter().skip(1).copied().chain([factors.len()]);
        let mut parts = Vec::new();
        for (start, end) in starts.iter().copied().zip(ends) {
            let core = (start..end).filter(|at| !self.is_left(*at));
            let outer = (start..end).filter(|at| needed.contains(at));
            for at in core.chain(outer) {
                parts.push(Part::Word(match factors[at].link {
                    Link::First if parts.is_empty() => "",
                    Link::First => ", ",
                    Link::Inner => "\nJOIN ",
                    Link::Left if at == changed => "\nJOIN ",
                    Link::Left => "\nLEFT JOIN ",
                }));
                self.table_of(at, &mut parts);
            }
        }
        Ok(parts)
    }

    fn table_of(&self, at: usize, parts: &mut Vec<Part>) {
        let factor = &self.joined.factors[at];
        parts.push(Part::Text(factor.text.clone()));
        let (words, range) = match &factor.on {
            On::Condition(condition) => ([" ON (", "\n)"], &condition.text),
            On::Using(range) => ([" USING ", ""], range),
            On::Nothing | On::Natural if factor.link == Link::First => return,
            // PostgreSQL wants a condition behind every JOIN but CROSS JOIN.
            On::Nothing | On::Natural => {
                parts.push(Part::Word(" ON 1 = 1"));
                return;
            }
        };
        let [before, after] = words;
        parts.push(Part::Word(before));
        parts.push(Part::Text(range.clone()));
        parts.push(Part::Word(after));
    }

    /// Whether the core can be joined by itself, and the tables of outer joins to it one by one.
    fn comes_apart(&self) -> Result<(), String> {
        let factors = &self.joined.factors;
        for (at, factor) in factors.iter().enumerate() {
            let chain = factors[at + 1..].iter();
            let core_behind = chain
                .take_while(|f| f.link != Link::First)
                .any(|f| f.link == Link::Inner);
            let left_before = (0..at).any(|before| self.is_left(before));
            let fits = match (&factor.on, factor.link) {
                (On::Natural, _) => false,
                (On::Using(_), Link::Left) => !core_behind,
                (On::Using(_), _) => !left_before,
                (On::Condition(condition), Link::Inner) => self.is_core(condition),
                (On::Condition(_) | On::Nothing, _) => true,
            };
            if !fits {
                return Err(format!(
                    "{} is joined by more than tables that no outer join leaves empty",
                    factor.alias
                ));
            }
        }
        Ok(())
    }

    /// The tables of outer joins that a changed one is joined to, and that one itself; none for a table of the core.
    fn needed(&self, changed: usize) -> Result<BTreeSet<usize>, String> {
        let mut needed = BTreeSet::new();
        let mut open: Vec<usize> = Some(changed)
            .filter(|at| self.is_left(*at))
            .into_iter()
            .collect();
        let factors = &self.joined.factors;
        let start = |at: usize| (0..=at).rfind(|s| factors[*s].link == Link::First);
        while let Some(at) = open.pop() {
            needed.insert(at);
            let reads = match &factors[at].on {
                On::Condition(condition) => self.tables(condition),
                _ => None,
            };
            let before = reads.unwrap_or_else(|| (0..at).collect());
            if before.iter().any(|b| *b > at || start(*b) != start(at)) {
                return Err(format!(
                    "{} is joined by what stands elsewhere in FROM",
                    factors[at].alias
                ));
            }
            let outer = before.iter().copied().filter(|b| self.is_left(*b));
            open.extend(outer.filter(|b| !needed.contains(b)));
        }
        Ok(needed)
    }
}

#[cfg(test)]
mod tests;
