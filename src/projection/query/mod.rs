//! A query view: one SELECT over the sources, as text. It is parsed to find its tables, its functions and whatever would
//! make its rows something else than a function of the sources' rows. The tree is never printed again: what has to change
//! is written into the text at its place, and the rest of the text stays as it is, byte for byte.
//!
//! The way through this folder: `place` takes the text apart and knows where everything stands; `walk` goes through the
//! tree once and gathers what it finds, and all problems; `clock` pins `now()` and its kin; `columns` says which output
//! column a call fills; `joined` takes one that joins tables apart, unless `across` finds that it looks across keys, by
//! what `tokens` cuts, and `touched` makes SELECTs of the pieces; `equal` reads off which columns are equal, and `partners`
//! goes by them from a key to the rows that its row is made of; `words` holds the names that mean something to a database. To add a dialect: its words, its clock, and an arm of `Dialect::sql`.
//!
//! The parser takes some texts for others (`FROM ONLY t` for a table named `only`), so whoever runs a query asks the
//! database what it really reads.

mod across;
mod call;
mod clock;
mod columns;
mod equal;
mod joined;
mod partners;
mod place;
#[cfg(test)]
mod tests;
mod tokens;
mod touched;
mod walk;
mod words;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use sqlparser::ast::{Distinct, LimitClause, Query as Tree, SetExpr, Statement};
use sqlparser::dialect::{Dialect as SqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::{Parser, ParserError};

use self::clock::Clock;
use self::joined::Joined;
pub use self::partners::{EqualTo, Partner};
pub use self::place::Place;
use self::place::{Text, taken_off};
pub use self::touched::{ColumnsOf, TouchedBy};
use self::walk::Walk;

/// Brackets, joins and operators within one another, at most.
const DEPTH_MAX: usize = 300;

/// Whose SQL it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    fn sql(self) -> &'static dyn SqlDialect {
        match self {
            Dialect::Postgres => &PostgreSqlDialect {},
            Dialect::Sqlite => &SQLiteDialect {},
        }
    }

    fn name(self) -> &'static str {
        match self {
            Dialect::Postgres => "PostgreSQL",
            Dialect::Sqlite => "SQLite",
        }
    }
}

/// One thing that is wrong with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryProblem {
    /// Where, within the query's text.
    pub place: Place,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

impl fmt::Display for QueryProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column } = self.place;
        write!(f, "{line}:{column}: {}; {}", self.what, self.fix)
    }
}

/// Why a table name means no source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSource {
    /// What is wrong with it.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

/// The source that a table name means: its schema, if it has one, and its name, both unquoted.
pub type Resolve<'a> = &'a dyn Fn(Option<&str>, &str) -> Result<String, NoSource>;

/// A call of an aggregate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// Its name, in lower case.
    pub function: String,
    /// Where, within the query's text.
    pub place: Place,
    /// The output column that it fills or is a part of; `None` where that cannot be told.
    pub column: Option<String>,
}

/// A query that can stand for a view: its rows depend on the rows of its sources alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    text: String,
    /// What to write in place of which bytes, from start to end; without overlaps.
    splices: BTreeMap<(usize, usize), With>,
    functions: BTreeSet<String>,
    unordered: Vec<Aggregate>,
    sums: Vec<Aggregate>,
    /// Its tables and conditions, or why it does not come apart into them.
    joined: Result<Joined, String>,
}

/// What [`Query::over`] writes in place of some bytes of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum With {
    /// The table of a source, and the name that its columns go by when the text gives no other.
    Table {
        source: String,
        alias: Option<String>,
    },
    Text(String),
}

impl Query {
    /// Reads the text of a query. `as_of`, a timestamp with a zone, is the instant that `now()` and its kin stand for;
    /// `resolve` is asked for every table name, as the database reads it.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of the text.
    pub fn parse(
        text: &str,
        dialect: Dialect,
        as_of: Option<&str>,
        resolve: Resolve<'_>,
    ) -> Result<Query, Vec<QueryProblem>> {
        let alone = |place, what, fix: &str| {
            let fix = fix.to_owned();
            vec![QueryProblem { place, what, fix }]
        };
        let pinned = match as_of.map(Clock::read) {
            Some(None) => {
                let what = "`as_of` is no timestamp with a zone".to_owned();
                return Err(alone(Place::START, what, "write 2024-01-31T12:00:00Z"));
            }
            pinned => pinned.flatten(),
        };
        let unread = |message: &str, place| {
            let message = message.replace("EOF", "the end");
            let what = format!("this cannot be read as {}: {message}", dialect.name());
            let fix = "if the database takes it, write it in another way here";
            alone(place, what, fix)
        };
        let placed = Text::read(text, dialect.sql()).map_err(|e| {
            let at = place::place_of(e.location);
            unread(&e.message, at)
        })?;
        let mut parser = Parser::new(dialect.sql())
            .with_recursion_limit(DEPTH_MAX)
            .with_tokens_with_locations(placed.tokens());
        let mut statements = parser.parse_statements().map_err(|e| match e {
            ParserError::ParserError(m) | ParserError::TokenizerError(m) => {
                let (message, at) = taken_off(&m);
                // Without a place it has met the end.
                unread(&message, at.unwrap_or_else(|| placed.end()))
            }
            ParserError::RecursionLimitExceeded => {
                let what = format!("more than {DEPTH_MAX} expressions within one another");
                unread(&what, Place::START)
            }
        })?;
        let tree = match (statements.pop(), statements.len()) {
            (Some(Statement::Query(tree)), 0) => tree,
            (_, n) => {
                let what = match n {
                    0 => "this is no query".to_owned(),
                    n => format!("these are {} statements", n + 1),
                };
                return Err(alone(Place::START, what, "write one SELECT"));
            }
        };
        let mut walk = Walk::new(dialect, &placed, pinned, resolve, &tree);
        walk.undefined_rows(&tree);
        walk.walk(&tree)?.query(text, &placed, &tree)
    }

    /// The sources that it reads: each once, in order.
    #[must_use]
    pub fn sources(&self) -> Vec<&str> {
        let all = self.splices.values().filter_map(|with| match with {
            With::Table { source, .. } => Some(source.as_str()),
            With::Text(_) => None,
        });
        all.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The names of the functions that it calls, each once: with their schema where it is written, in lower case, and
    /// in quotes what would not be the same without.
    #[must_use]
    pub fn functions(&self) -> Vec<String> {
        self.functions.iter().cloned().collect()
    }

    /// The text with the table of every source named by `name`, which quotes it. A table without an alias keeps its name
    /// as one. The text may end in a comment, so put a line break behind it.
    #[must_use]
    pub fn over(&self, name: impl Fn(&str) -> String) -> String {
        self.spliced(0..self.text.len(), &name)
    }

    /// The same for a part of the text, which cuts no replacement.
    fn spliced(&self, part: Range<usize>, name: &impl Fn(&str) -> String) -> String {
        let mut out = String::with_capacity(part.len());
        let mut at = part.start;
        let within = |(start, end): &(usize, usize)| *start >= part.start && *end <= part.end;
        for ((start, end), with) in self.splices.iter().filter(|(range, _)| within(range)) {
            out.push_str(&self.text[at..*start]);
            match with {
                With::Text(text) => out.push_str(text),
                With::Table { source, alias } => {
                    out.push_str(&name(source));
                    if let Some(alias) = alias {
                        out.push_str(&format!(" AS \"{}\"", alias.replace('"', "\"\"")));
                    }
                }
            }
            at = *end;
        }
        out.push_str(&self.text[at..part.end]);
        out
    }

    /// Aggregates that keep the order in which they meet their rows, where the text does not say which order that is.
    #[must_use]
    pub fn unordered(&self) -> &[Aggregate] {
        &self.unordered
    }

    /// Aggregates that add up: over floats, their last digits depend on the order of the additions.
    #[must_use]
    pub fn sums(&self) -> &[Aggregate] {
        &self.sums
    }
}

/// The bodies of a tree whose rows are the query's own and are cut off without an order, as the word that cuts them.
fn cut_without_order(tree: &Tree, found: &mut Vec<&'static str>) {
    fn within(body: &SetExpr, found: &mut Vec<&'static str>) {
        match body {
            SetExpr::Query(tree) => cut_without_order(tree, found),
            SetExpr::SetOperation { left, right, .. } => {
                within(left, found);
                within(right, found);
            }
            _ => {}
        }
    }
    if tree.order_by.is_none() {
        match &tree.limit_clause {
            Some(LimitClause::OffsetCommaLimit { .. }) => found.push("LIMIT"),
            Some(LimitClause::LimitOffset { limit: Some(_), .. }) => found.push("LIMIT"),
            Some(LimitClause::LimitOffset {
                offset: Some(_), ..
            }) => found.push("OFFSET"),
            _ => {}
        }
        if tree.fetch.is_some() {
            found.push("FETCH");
        }
        if let SetExpr::Select(select) = &*tree.body
            && matches!(select.distinct, Some(Distinct::On(_)))
        {
            found.push("DISTINCT");
        }
    }
    within(&tree.body, found);
}
