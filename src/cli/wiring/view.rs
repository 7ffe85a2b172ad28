//! A view of the playbook against the catalogs of both databases: every column of its table is accounted for, or it is a
//! problem.

use anyhow::{Context as _, Result};

use super::{Sides, derived, events, none_or, source_part, table_name};
use crate::playbook::{Origin, Playbook, Problem, Scalar, Test as WrittenTest, View, ViewKind};
use crate::projection::cell::Cell;
use crate::projection::mapping::{From, Mapping, Target, Test};
use crate::projection::text;
use crate::projection::types::{Column, ColumnType};
use crate::store::{Acts, Catalog};
use crate::strategies::{Origin as Rows, SourcePart, View as Wired};

/// Wires the views asked for.
pub(super) async fn wire(sides: &Sides<'_>, asked: &[String]) -> Result<Vec<Wired>> {
    let playbook = sides.playbook;
    let mut problems = Vec::new();
    for name in asked {
        if !playbook.views.iter().any(|v| v.name == *name) {
            let known: Vec<&str> = playbook.views.iter().map(|v| v.name.as_str()).collect();
            problems.push(Problem {
                file: playbook.file.clone(),
                line: 1,
                path: "views".to_owned(),
                what: format!("--view {name}: there is no such view"),
                fix: format!("it has {}", known.join(", ")),
            });
        }
    }
    none_or(std::mem::take(&mut problems))?;
    let mut views = Vec::new();
    for view in playbook
        .views
        .iter()
        .filter(|v| asked.is_empty() || asked.contains(&v.name))
    {
        let wired = match (&view.kind, sides.queries.get(&view.name)) {
            (ViewKind::Query { columns, .. }, Some(read)) => {
                let parts = derived::Parts {
                    sides,
                    view,
                    query: &read.query,
                    touched_by: &read.touched_by,
                    besides: columns.as_deref().unwrap_or_default(),
                };
                derived::wire(&parts, &mut problems).await?
            }
            (ViewKind::Events { .. }, _) => events::wire(sides, view, &mut problems).await?,
            _ => copy(sides, view, &mut problems).await?,
        };
        views.extend(wired);
    }
    none_or(problems)?;
    Ok(views)
}

/// Wires a copy; `None` when problems stand in the way.
async fn copy(
    sides: &Sides<'_>,
    view: &View,
    problems: &mut Vec<Problem>,
) -> Result<Option<Wired>> {
    let ViewKind::Copy {
        from,
        filter,
        columns,
    } = &view.kind
    else {
        unreachable!("every query was parsed before anything was opened");
    };
    let name = table_name(&view.table);
    let (source, table) = tokio::join!(source_part(sides, from), sides.read_store.catalog(&name));
    let (source, table) = (source?, table.context("read store")?);
    let mut wiring = Wiring {
        playbook: sides.playbook,
        view,
        filter,
        written: columns.as_deref(),
        source: &source,
        table: &table,
        problems,
        columns: Vec::new(),
        former: Vec::new(),
    };
    let Some((mapping, carried)) = wiring.mapping() else {
        return Ok(None);
    };
    let rules = match derived::rules(view, &mapping) {
        Ok(rules) => rules,
        Err((what, fix)) => {
            wiring.problem("compare", what, fix);
            return Ok(None);
        }
    };
    let former = std::mem::take(&mut wiring.former);
    Ok(Some(Wired {
        name: view.name.clone(),
        mapping,
        rules,
        carried,
        scope: view.scope.clone(),
        origin: Rows::Copy { source, former },
        table,
    }))
}

/// One view being wired.
struct Wiring<'a> {
    playbook: &'a Playbook,
    view: &'a View,
    filter: &'a [(String, WrittenTest)],
    written: Option<&'a [(String, Origin)]>,
    source: &'a SourcePart,
    table: &'a Catalog,
    problems: &'a mut Vec<Problem>,
    /// Source columns needed so far.
    columns: Vec<Column>,
    /// Their former names.
    former: Vec<(String, usize)>,
}

impl Wiring<'_> {
    fn problem(&mut self, key: &str, what: String, fix: String) {
        let path = format!(
            "views.{}{}{key}",
            self.view.name,
            if key.is_empty() { "" } else { "." }
        );
        self.problems.push(Problem {
            file: self.playbook.file.clone(),
            line: self.view.line,
            path,
            what,
            fix,
        });
    }

    /// The mapping and the carried columns; `None` when problems stand in the way.
    fn mapping(&mut self) -> Option<(Mapping, Vec<String>)> {
        let before = self.problems.len();
        let written = self.written();
        let (mut columns, mut carried) = (Vec::new(), Vec::new());
        for (name, origin) in &written {
            let Some(target) = self.table.column(name).map(|c| c.column.clone()) else {
                let fix = names(self.table);
                self.problem(
                    "columns",
                    format!("table {} has no column {name}", self.table.table),
                    fix,
                );
                continue;
            };
            let from = match origin {
                Origin::Column {
                    name: source,
                    former,
                } => match self.source_column(source) {
                    Some(at) => {
                        self.former
                            .extend(former.iter().map(|name| (name.clone(), at)));
                        From::Source(at)
                    }
                    None => continue,
                },
                Origin::Offset => From::Offset,
                Origin::Partition => From::Partition,
                Origin::Lsn => From::Lsn,
                Origin::Ts => From::Clock,
                Origin::Default => continue,
                Origin::Foreign => {
                    carried.push(name.clone());
                    continue;
                }
            };
            columns.push(Target {
                column: target,
                from,
            });
        }
        self.accounted(&written);
        let (key, source_key) = self.key(&columns);
        let filter = self.filter();
        if let Some(field) = self
            .source
            .order_by
            .clone()
            .filter(|f| !f.starts_with("source."))
        {
            self.source_column(&field);
        }
        (self.problems.len() == before).then(|| {
            let source = std::mem::take(&mut self.columns);
            (
                Mapping {
                    source,
                    source_key,
                    columns,
                    key,
                    filter,
                },
                carried,
            )
        })
    }

    /// The columns as written, or each by its own name; in the table's order.
    fn written(&self) -> Vec<(String, Origin)> {
        match self.written {
            Some(columns) => columns.to_vec(),
            None => {
                let plain = self.table.columns.iter().filter(|c| !c.generated);
                plain
                    .map(|c| {
                        (
                            c.column.name.clone(),
                            Origin::Column {
                                name: c.column.name.clone(),
                                former: Vec::new(),
                            },
                        )
                    })
                    .collect()
            }
        }
    }

    /// The place of a source column among those read; adds it.
    fn source_column(&mut self, name: &str) -> Option<usize> {
        if let Some(at) = self.columns.iter().position(|c| c.name == name) {
            return Some(at);
        }
        let Some(found) = self.source.table.column(name) else {
            let fix = names(&self.source.table);
            self.problem(
                "columns",
                format!(
                    "source table {} has no column {name}",
                    self.source.table.table
                ),
                fix,
            );
            return None;
        };
        self.columns.push(found.column.clone());
        Some(self.columns.len() - 1)
    }

    /// Every column of the table is mapped, bookkeeping, `@default` or `@foreign`; the database fills generated ones.
    fn accounted(&mut self, written: &[(String, Origin)]) {
        let missing: Vec<String> = self
            .table
            .columns
            .iter()
            .filter(|c| !c.generated && !written.iter().any(|(name, _)| *name == c.column.name))
            .map(|c| c.column.name.clone())
            .collect();
        for name in missing {
            self.problem(
                "columns",
                format!("column {name} of table {} is not accounted for", self.table.table),
                format!("map it (`{name}: <source column>`), or say `{name}: \"@default\"` or `{name}: \"@foreign\"`"),
            );
        }
        for (name, origin) in written {
            let column = self.table.column(name);
            let filled = column.is_some_and(|c| c.has_default || c.column.nullable);
            if *origin == Origin::Default && column.is_some() && !filled {
                self.problem(
                    "columns",
                    format!("column {name} is `@default`, but it is NOT NULL and has no default"),
                    "map it".to_owned(),
                );
            }
        }
    }

    /// The view's key among its columns, and the same among the source's; it must be the source's own key.
    fn key(&mut self, columns: &[Target]) -> (Vec<usize>, Vec<usize>) {
        let (mut key, mut source_key) = (Vec::new(), Vec::new());
        for name in &self.view.key {
            let found = columns.iter().position(|t| t.column.name == *name);
            match found.map(|at| (at, columns[at].from)) {
                Some((at, From::Source(source))) => {
                    key.push(at);
                    source_key.push(source);
                }
                Some(_) => self.problem(
                    "key",
                    format!("key column {name} is bookkeeping"),
                    "a key comes from the source".to_owned(),
                ),
                None => self.problem(
                    "key",
                    format!("key column {name} is not among the columns"),
                    "map it under `columns:`".to_owned(),
                ),
            }
        }
        let mut theirs = self.source.table.primary_key.clone();
        let mut ours: Vec<String> = source_key
            .iter()
            .map(|i| self.columns[*i].name.clone())
            .collect();
        theirs.sort();
        ours.sort();
        if theirs.is_empty() {
            self.problem(
                "from",
                format!(
                    "source table {} has no primary key, so its rows cannot be told apart",
                    self.source.table.table
                ),
                format!(
                    "give it one, or say under `sources: {}:` which columns name a row: `key: [{}]`",
                    self.source.name,
                    ours.join(", ")
                ),
            );
        } else if theirs != ours && key.len() == self.view.key.len() {
            self.problem(
                "key",
                format!(
                    "the key is {}, but rows of {} are told apart by {}",
                    ours.join(", "),
                    self.source.table.table,
                    theirs.join(", ")
                ),
                "a copy keeps its source's key, under whatever names".to_owned(),
            );
        }
        (key, source_key)
    }

    fn filter(&mut self) -> Vec<(usize, Test)> {
        let mut filter = Vec::new();
        for (name, written) in self.filter {
            let Some(at) = self.source_column(name) else {
                continue;
            };
            let kind = self.columns[at].kind.clone();
            match test(written, &kind) {
                Ok(test) => filter.push((at, test)),
                Err(value) => {
                    self.problem(
                        "where",
                        format!("{value} is no value of column {name}, whose type is {kind}"),
                        "write it as the database prints it".to_owned(),
                    );
                }
            }
        }
        filter
    }
}

/// A test with its values read as the column's type; the value that is none as the error.
pub(super) fn test(written: &WrittenTest, kind: &ColumnType) -> Result<Test, String> {
    Ok(match written {
        WrittenTest::AnyOf(values) => Test::AnyOf(
            values
                .iter()
                .map(|v| scalar(v, kind))
                .collect::<Result<_, _>>()?,
        ),
        WrittenTest::IsNull => Test::AnyOf(vec![Cell::Null]),
        WrittenTest::Not(test_) => Test::Not(Box::new(test(test_, kind)?)),
    })
}

pub(super) fn scalar(value: &Scalar, kind: &ColumnType) -> Result<Cell<'static>, String> {
    let written = match value {
        Scalar::Null => return Ok(Cell::Null),
        Scalar::Bool(b) => b.to_string(),
        Scalar::Int(i) => i.to_string(),
        Scalar::Number(text) | Scalar::Text(text) => text.clone(),
    };
    text::read(kind, &written)
        .map(Cell::into_owned)
        .ok_or(written)
}

/// The names that a table has, for a fix.
pub(super) fn names(table: &Catalog) -> String {
    let names: Vec<&str> = table
        .columns
        .iter()
        .map(|c| c.column.name.as_str())
        .collect();
    format!("it has {}", names.join(", "))
}
