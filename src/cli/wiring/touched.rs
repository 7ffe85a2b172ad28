//! `touched_by:` of a query view: a column of a source, or a SELECT of keys, read before anything is connected to, and then
//! held against what the databases know.

use std::collections::BTreeMap;

use anyhow::Result;

use super::derived::Wiring;
use crate::playbook::{Playbook, Problem, TouchedBy as Written, View, ViewKind, did_you_mean};
use crate::projection::cast;
use crate::projection::mapping::Mapping;
use crate::projection::query::{Dialect, Query, QueryProblem, Resolve, TouchedBy};
use crate::strategies::SourcePart;

/// How the texts of a playbook are read: whose SQL, at what instant, and what its tables mean.
type Reading<'a> = (Dialect, Option<&'a str>, Resolve<'a>);

/// What a view says, by source; what is wrong with it is added to the problems.
pub(super) fn parse(
    playbook: &Playbook,
    view: &View,
    query: &Query,
    reading: Reading<'_>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, TouchedBy> {
    let ViewKind::Query { touched_by, .. } = &view.kind else {
        return BTreeMap::new();
    };
    let mut all = BTreeMap::new();
    for (source, written) in touched_by {
        let problem = |line, what, fix| Problem {
            file: playbook.file.clone(),
            line,
            path: format!("views.{}.touched_by.{source}", view.name),
            what,
            fix,
        };
        let read = query.sources();
        if !read.contains(&source.as_str()) {
            let what = format!("the query does not read `{source}`");
            problems.push(problem(view.line, what, did_you_mean(source, &read)));
            continue;
        }
        let said = match written {
            Written::Column(column) => Ok(TouchedBy::Column(column.clone())),
            Written::Query { text, line } => {
                let select = select(text, source, &read, reading);
                let placed = |p: QueryProblem| problem(line + p.place.line - 1, p.what, p.fix);
                select.map_err(|found| found.into_iter().map(placed).collect::<Vec<_>>())
            }
        };
        match said {
            Ok(said) => {
                all.insert(source.clone(), said);
            }
            Err(found) => problems.extend(found),
        }
    }
    all
}

/// A SELECT of keys: over this source, and no other than those of the view.
fn select(
    text: &str,
    source: &str,
    read: &[&str],
    (dialect, as_of, resolve): Reading<'_>,
) -> Result<TouchedBy, Vec<QueryProblem>> {
    let query = Query::parse(text, dialect, as_of, resolve)?;
    let alone = |what, fix: String| {
        let place = crate::projection::query::Place { line: 1, column: 1 };
        Err(vec![QueryProblem { place, what, fix }])
    };
    if !query.sources().contains(&source) {
        let what = format!("it does not read `{source}`, whose changed rows it is about");
        return alone(what, format!("write `FROM {source}`"));
    }
    if let Some(other) = query.sources().iter().find(|s| !read.contains(s)) {
        let what = format!("it reads `{other}`, which the view's query does not");
        return alone(what, format!("read no other than {}", read.join(", ")));
    }
    Ok(TouchedBy::Query(Box::new(query)))
}

/// Whether what is said gives keys of the view.
pub(super) async fn check(
    wiring: &mut Wiring<'_>,
    sources: &[SourcePart],
    mapping: &Mapping,
) -> Result<()> {
    for (source, said) in wiring.parts.touched_by {
        let key = format!("touched_by.{source}");
        match said {
            TouchedBy::Column(column) => column_of(wiring, &key, sources, source, column),
            TouchedBy::Query(query) => {
                let Some(given) = wiring.given(sources, query, &key).await? else {
                    continue;
                };
                let width = wiring.parts.view.key.len();
                if given.len() != width {
                    let what = format!("it gives {} columns, and the key has {width}", given.len());
                    let fix = format!("select {}", wiring.parts.view.key.join(", "));
                    wiring.problem(&key, what, fix);
                    continue;
                }
                for (one, at) in given.iter().zip(&mapping.key) {
                    let target = &mapping.columns[*at].column;
                    let Some(kind) = &one.kind else { continue };
                    if !cast::takes(&target.kind, kind) {
                        let what = format!(
                            "column {} is a {kind}, and the key's {} is a {}",
                            one.name, target.name, target.kind
                        );
                        let fix = "select the key's columns, in their order".to_owned();
                        wiring.problem(&key, what, fix);
                    }
                }
            }
        }
    }
    Ok(())
}

fn column_of(
    wiring: &mut Wiring<'_>,
    key: &str,
    sources: &[SourcePart],
    source: &str,
    column: &str,
) {
    let table = sources.iter().find(|s| s.name == source).map(|s| &s.table);
    let Some(table) = table.filter(|t| t.column(column).is_none_or(|c| c.generated)) else {
        return;
    };
    let names: Vec<&str> = table
        .columns
        .iter()
        .filter(|c| !c.generated)
        .map(|c| c.column.name.as_str())
        .collect();
    let what = format!(
        "{} has no column `{column}` that a record carries",
        table.table
    );
    wiring.problem(key, what, did_you_mean(column, &names));
}
