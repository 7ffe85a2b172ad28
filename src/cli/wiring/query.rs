//! The queries of a playbook, read before anything is connected to: which sources they mean, and whether `compare:` covers
//! what their text leaves open.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::{none_or, touched};
use crate::playbook::did_you_mean;
use crate::playbook::{
    Compare, DatabaseKind, Format, Playbook, Problem, Problems, Source, View, ViewKind,
};
use crate::projection::query::{
    Aggregate, Dialect, NoSource, Place, Query, QueryProblem, Resolve, TouchedBy,
};
use crate::store::TableName;

/// What is read of a query view before anything is connected to.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) query: Query,
    /// By source, the keys that its changed rows touch.
    pub(super) touched_by: BTreeMap<String, TouchedBy>,
    /// The tables of the primary that it reads, where those are not its sources.
    pub(super) tables: Vec<TableName>,
}

/// The query of every view that has one, by the view's name.
pub(super) fn parse(playbook: &Playbook) -> Result<BTreeMap<String, Read>, Problems> {
    let dialect = match playbook.primary.url.kind() {
        DatabaseKind::Sqlite => Dialect::Sqlite,
        DatabaseKind::Postgres | DatabaseKind::Mysql => Dialect::Postgres,
    };
    let resolve = |schema: Option<&str>, name: &str| source(playbook, dialect, schema, name);
    let (mut queries, mut problems) = (BTreeMap::new(), Vec::new());
    for view in &playbook.views {
        let (text, as_of) = match &view.kind {
            ViewKind::Query { text, as_of, .. } => (text, as_of),
            ViewKind::Events {
                expected: Some((text, ..)),
                ..
            } => {
                match expected(view, text, dialect) {
                    Ok(read) => drop(queries.insert(view.name.clone(), read)),
                    Err(found) => {
                        problems.extend(found.into_iter().map(|p| problem(playbook, view, p)));
                    }
                }
                continue;
            }
            ViewKind::Events { .. } | ViewKind::Copy { .. } => continue,
        };
        let read = Query::parse(text, dialect, as_of.as_deref(), &resolve);
        match read.and_then(|query| covered(view, query)) {
            Ok(query) => {
                let reading = (dialect, as_of.as_deref(), &resolve as Resolve<'_>);
                let touched_by = touched::parse(playbook, view, &query, reading, &mut problems);
                let name = view.name.clone();
                let tables = Vec::new();
                let read = Read {
                    query,
                    touched_by,
                    tables,
                };
                queries.insert(name, read);
            }
            Err(found) => problems.extend(found.into_iter().map(|p| problem(playbook, view, p))),
        }
    }
    none_or(problems)?;
    Ok(queries)
}

/// What `expected:` of a view of events says: a SELECT over any tables of the primary, under their own names.
fn expected(view: &View, text: &str, dialect: Dialect) -> Result<Read, Vec<QueryProblem>> {
    let tables = RefCell::new(Vec::new());
    let as_it_is = |schema: Option<&str>, name: &str| {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let schema = schema.map(str::to_owned);
        let within = schema.as_deref().map(|s| format!("{}.", quoted(s)));
        let spelled = within.unwrap_or_default() + &quoted(name);
        let name = name.to_owned();
        tables.borrow_mut().push(TableName { schema, name });
        Ok(spelled)
    };
    let query = Query::parse(text, dialect, None, &as_it_is)?;
    Ok(Read {
        query: covered(view, query)?,
        touched_by: BTreeMap::new(),
        tables: tables.into_inner(),
    })
}

/// A problem of a query, by its line in the file that holds the text.
fn problem(playbook: &Playbook, view: &View, found: QueryProblem) -> Problem {
    let (file, first) = match &view.kind {
        ViewKind::Query {
            file, text_line, ..
        } => (file.as_ref(), *text_line),
        ViewKind::Events {
            expected: Some((_, file, line)),
            ..
        } => (file.as_ref(), *line),
        ViewKind::Copy { .. } | ViewKind::Events { .. } => (None, view.line),
    };
    let key = match &view.kind {
        ViewKind::Events { .. } => "expected",
        ViewKind::Copy { .. } | ViewKind::Query { .. } => "query",
    };
    let Place { line, column } = found.place;
    Problem {
        file: file.unwrap_or(&playbook.file).clone(),
        line: first + line - 1,
        path: format!("views.{}.{key}", view.name),
        what: format!("{} (line {line} of the query, column {column})", found.what),
        fix: found.fix,
    }
}

/// The one source that a table name means: a source's own name, else its table's.
fn source(
    playbook: &Playbook,
    dialect: Dialect,
    schema: Option<&str>,
    name: &str,
) -> Result<String, NoSource> {
    let same = |a: &str, b: &str| match dialect {
        Dialect::Postgres => a == b,
        Dialect::Sqlite => a.eq_ignore_ascii_case(b),
    };
    let is_table = |source: &&Source| {
        let theirs = source.table.schema.as_deref();
        let in_schema = match (schema, theirs) {
            (None, _) => true,
            (Some(schema), Some(theirs)) => same(schema, theirs),
            // What SQLite calls the file that was opened.
            (Some(schema), None) => dialect == Dialect::Sqlite && same(schema, "main"),
        };
        in_schema && same(name, &source.table.name)
    };
    // Events are no rows that a query could read.
    let carries_rows = |s: &&Source| !matches!(s.format, Format::Events(_));
    let of_rows = || playbook.sources.iter().filter(carries_rows);
    if schema.is_none() {
        let by_name = |exact: bool| {
            let is_it = |s: &&Source| {
                if exact {
                    s.name == name
                } else {
                    same(&s.name, name)
                }
            };
            of_rows().find(is_it)
        };
        if let Some(source) = by_name(true).or_else(|| by_name(false)) {
            return Ok(source.name.clone());
        }
    }
    let meant: Vec<&Source> = of_rows().filter(is_table).collect();
    let written = match schema {
        Some(schema) => format!("{schema}.{name}"),
        None => name.to_owned(),
    };
    match meant.as_slice() {
        [one] => Ok(one.name.clone()),
        [] => Err(NoSource {
            what: format!("`{written}` is no source"),
            fix: nearest(playbook, name),
        }),
        several => {
            let names: Vec<&str> = several.iter().map(|s| s.name.as_str()).collect();
            Err(NoSource {
                what: format!(
                    "`{written}` is the table of the sources {}",
                    names.join(" and ")
                ),
                fix: "write the name of the one that is meant".to_owned(),
            })
        }
    }
}

fn nearest(playbook: &Playbook, name: &str) -> String {
    let names: Vec<&str> = playbook.sources.iter().map(|s| s.name.as_str()).collect();
    format!("add it under `sources:`; {}", did_you_mean(name, &names))
}

/// A query whose order is left open needs a rule that leaves it open too.
fn covered(view: &View, query: Query) -> Result<Query, Vec<QueryProblem>> {
    let leaves_open =
        |(_, rule): &&(String, Compare)| matches!(rule, Compare::Unordered | Compare::Separated(_));
    let covers = |open: &Aggregate| match &open.column {
        Some(column) => {
            let mut rules = view.compare.iter().filter(leaves_open);
            rules.any(|(name, _)| name == column)
        }
        None => view.compare.iter().any(|rule| leaves_open(&rule)),
    };
    let open = query.unordered().iter().filter(|open| !covers(open));
    let problems: Vec<QueryProblem> = open.map(left_open).collect();
    if problems.is_empty() {
        Ok(query)
    } else {
        Err(problems)
    }
}

fn left_open(open: &Aggregate) -> QueryProblem {
    let rule = match &open.column {
        Some(column) => format!("`compare: {{ {column}: unordered }}`"),
        None => "`compare: { … : unordered }` for the column that it ends in".to_owned(),
    };
    QueryProblem {
        place: open.place,
        what: format!(
            "`{}` keeps its rows in an order that is not defined",
            open.function
        ),
        fix: format!("add ORDER BY within its brackets, or {rule}"),
    }
}

#[cfg(test)]
mod tests;
