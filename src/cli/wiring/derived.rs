//! A query view of the playbook against both databases: the columns that its query gives, by name, are those of its table,
//! or it is a problem.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::{Sides, source_part, table_name, touched};
use crate::playbook::{Compare, Origin, Problem, View};
use crate::projection::cast;
use crate::projection::mapping::{From, Mapping, Target};
use crate::projection::query::Query;
use crate::projection::query::TouchedBy;
use crate::projection::rule::Rule;
use crate::projection::types::{Column, ColumnType};
use crate::store::{Acts, Catalog, Described, StoreError};
use crate::strategies::{Origin as Rows, SourcePart, View as Wired};

/// What a query view is wired from.
pub(super) struct Parts<'a> {
    pub(super) sides: &'a Sides<'a>,
    pub(super) view: &'a View,
    pub(super) query: &'a Query,
    /// By source, the keys that its changed rows touch.
    pub(super) touched_by: &'a BTreeMap<String, TouchedBy>,
    /// Columns that its query does not give, and where they come from.
    pub(super) besides: &'a [(String, Origin)],
}

/// Wires a query view; `None` when problems stand in the way.
pub(super) async fn wire(parts: &Parts<'_>, problems: &mut Vec<Problem>) -> Result<Option<Wired>> {
    let before = problems.len();
    let mut sources = Vec::new();
    for name in parts.query.sources() {
        sources.push(source_part(parts.sides, name).await?);
    }
    let table = parts
        .sides
        .read_store
        .catalog(&table_name(&parts.view.table))
        .await
        .context("read store")?;
    let mut wiring = Wiring {
        parts,
        table: &table,
        problems,
    };
    let Some(given) = wiring.given(&sources, parts.query, "query").await? else {
        return Ok(None);
    };
    let (mapping, carried) = wiring.mapping(&given);
    touched::check(&mut wiring, &sources, &mapping).await?;
    let rules = wiring.rules(&mapping);
    wiring.sums(&mapping, &rules);
    if problems.len() > before {
        return Ok(None);
    }
    Ok(Some(Wired {
        name: parts.view.name.clone(),
        origin: Rows::Query {
            query: parts.query.clone(),
            sources,
            touched_by: parts.touched_by.clone(),
        },
        table,
        mapping,
        rules,
        carried,
        scope: parts.view.scope.clone(),
    }))
}

pub(super) struct Wiring<'a> {
    pub(super) parts: &'a Parts<'a>,
    table: &'a Catalog,
    problems: &'a mut Vec<Problem>,
}

impl Wiring<'_> {
    pub(super) fn problem(&mut self, key: &str, what: String, fix: String) {
        self.problems.push(Problem {
            file: self.parts.sides.playbook.file.clone(),
            line: self.parts.view.line,
            path: format!("views.{}.{key}", self.parts.view.name),
            what,
            fix,
        });
    }

    /// The columns that the query gives over the primary, or over nothing where that does not answer; `None` when it cannot
    /// be run there.
    pub(super) async fn given(
        &mut self,
        sources: &[SourcePart],
        query: &Query,
        key: &str,
    ) -> Result<Option<Vec<Described>>> {
        let sides = self.parts.sides;
        let is_down = sides.primary.down().is_some();
        let (database, who) = if is_down {
            (sides.staging, "the staging database")
        } else {
            (sides.primary, "the primary")
        };
        let volatile = database.volatile(&query.functions()).await?;
        if !volatile.is_empty() {
            self.problem(
                key,
                format!("{} may give another answer each time", volatile.join(", ")),
                "leave it out: a view's rows must follow from its sources' rows".to_owned(),
            );
        }
        let spelled = |name: &str| {
            let source = sources.iter().find(|s| s.name == name);
            source.map_or_else(String::new, |s| match is_down {
                true => format!("({})", database.hollow(&s.table)),
                false => database.spelled(&s.table.table),
            })
        };
        match database.describe(&query.over(spelled)).await {
            Ok(given) => Ok(Some(given)),
            Err(
                StoreError::Sql { problem, .. }
                | StoreError::Value { problem, .. }
                | StoreError::Ungrouped { problem, .. },
            ) => {
                let what = format!("{who} cannot run it: {problem}");
                self.problem(key, what, "correct the query".to_owned());
                Ok(None)
            }
            Err(other) => Err(anyhow::Error::from(other).context(who)),
        }
    }

    /// Each column of the query fills the column of its name; the others of the table must be accounted for.
    fn mapping(&mut self, given: &[Described]) -> (Mapping, Vec<String>) {
        let (mut source, mut columns) = (Vec::new(), Vec::new());
        for (at, one) in given.iter().enumerate() {
            if given[..at].iter().any(|other| other.name == one.name) {
                let what = format!("the query gives column {} twice", one.name);
                self.problem("query", what, "name each with AS".to_owned());
                continue;
            }
            let Some(found) = self.table.column(&one.name) else {
                let what = format!("table {} has no column {}", self.table.table, one.name);
                let names: Vec<&str> = names(self.table).collect();
                let fix = format!("name it with AS as one of {}", names.join(", "));
                self.problem("query", what, fix);
                continue;
            };
            let target = found.column.clone();
            let kind = one.kind.clone().unwrap_or_else(|| target.kind.clone());
            if !cast::takes(&target.kind, &kind) {
                let what = format!(
                    "column {} is a {kind}, and {} keeps a {} there",
                    one.name, self.table.table, target.kind
                );
                self.problem("query", what, "cast it in the query".to_owned());
            }
            columns.push(Target {
                column: target,
                from: From::Source(source.len()),
            });
            source.push(Column {
                name: one.name.clone(),
                kind,
                nullable: true,
            });
        }
        let carried = self.besides(&columns);
        let key = self.key(&columns);
        let mapping = Mapping {
            source,
            source_key: key.clone(),
            columns,
            key,
            filter: Vec::new(),
        };
        (mapping, carried)
    }

    /// Columns of the table that the query does not give.
    fn besides(&mut self, columns: &[Target]) -> Vec<String> {
        let mut carried = Vec::new();
        for column in self.table.columns.iter().filter(|c| !c.generated) {
            let name = &column.column.name;
            let besides = self.parts.besides.iter().find(|(n, _)| n == name);
            let given = columns.iter().any(|t| t.column.name == *name);
            match besides {
                _ if given => {}
                Some((_, Origin::Foreign)) => carried.push(name.clone()),
                Some(_) if column.column.nullable || column.has_default => {}
                Some(_) => self.problem(
                    "columns",
                    format!("column {name} is `@default`, but it is NOT NULL and has no default"),
                    "let the query give it".to_owned(),
                ),
                None => self.problem(
                    "query",
                    format!("column {name} of table {} is not accounted for", self.table.table),
                    format!("let the query give it, or say `columns: {{ {name}: \"@default\" }}` or `\"@foreign\"`"),
                ),
            }
        }
        for (name, _) in self.parts.besides {
            if self.table.column(name).is_none() {
                let what = format!("table {} has no column {name}", self.table.table);
                self.problem("columns", what, "take it out".to_owned());
            }
        }
        carried
    }

    fn key(&mut self, columns: &[Target]) -> Vec<usize> {
        let mut key = Vec::new();
        for name in &self.parts.view.key {
            match columns.iter().position(|t| t.column.name == *name) {
                Some(at) => key.push(at),
                None => self.problem(
                    "key",
                    format!("the query gives no column {name}"),
                    "choose columns of the query that name a row".to_owned(),
                ),
            }
        }
        key
    }

    /// How each column is compared.
    fn rules(&mut self, mapping: &Mapping) -> Vec<Rule> {
        rules(self.parts.view, mapping).unwrap_or_else(|(what, fix)| {
            self.problem("compare", what, fix);
            Vec::new()
        })
    }

    /// Floating-point numbers summed in another order are another number.
    fn sums(&mut self, mapping: &Mapping, rules: &[Rule]) {
        let by_column: BTreeMap<&str, &str> = self
            .parts
            .query
            .sums()
            .iter()
            .filter_map(|sum| Some((sum.column.as_deref()?, sum.function.as_str())))
            .collect();
        for (at, column) in mapping.source.iter().enumerate() {
            let is_float = matches!(column.kind, ColumnType::Float32 | ColumnType::Float64);
            let is_exact = rules.get(at).is_none_or(|rule| *rule == Rule::Exact);
            if let (true, true, Some(function)) =
                (is_float, is_exact, by_column.get(column.name.as_str()))
            {
                self.problem(
                    "compare",
                    format!(
                        "column {} is a {function} of floating-point numbers, which depends on the order of the rows",
                        column.name
                    ),
                    format!("say `compare: {{ {}: {{ tolerance: 1e-9 }} }}`, or use numeric", column.name),
                );
            }
        }
    }
}

/// The rules of a view's compared columns; empty when all are exact.
///
/// # Errors
/// What is wrong, and what to do about it.
pub(super) fn rules(view: &View, mapping: &Mapping) -> Result<Vec<Rule>, (String, String)> {
    let compared = mapping.compared();
    if view.compare.is_empty() {
        return Ok(Vec::new());
    }
    let mut rules = vec![Rule::Exact; compared.columns.len()];
    for (name, compare) in &view.compare {
        let Some(at) = compared.columns.iter().position(|t| t.column.name == *name) else {
            return Err((
                format!("view {} compares no column {name}", view.name),
                "take it out".to_owned(),
            ));
        };
        let kind = &compared.columns[at].column.kind;
        if compared.key.contains(&at) {
            return Err((
                format!("{name} is of the key, which is always compared exactly"),
                "take it out".to_owned(),
            ));
        }
        rules[at] = rule(name, compare, kind)?;
    }
    Ok(rules)
}

fn rule(name: &str, compare: &Compare, kind: &ColumnType) -> Result<Rule, (String, String)> {
    let fits = match compare {
        Compare::Unordered => matches!(kind, ColumnType::Array(_) | ColumnType::Json),
        Compare::Separated(_) => matches!(kind, ColumnType::Text { .. }),
        Compare::Tolerance(_) => matches!(
            kind,
            ColumnType::Float32
                | ColumnType::Float64
                | ColumnType::Numeric { .. }
                | ColumnType::Int { .. }
        ),
    };
    if fits {
        return Ok(match compare {
            Compare::Unordered => Rule::Unordered,
            Compare::Separated(separator) => Rule::Separated(separator.clone()),
            Compare::Tolerance(share) => Rule::Tolerance(*share),
        });
    }
    Err((
        format!("that rule says nothing of column {name}, which is a {kind}"),
        "arrays and JSON arrays are `unordered`, texts `{ unordered: \", \" }` with what separates their parts, numbers have a `{ tolerance: 1e-9 }`".to_owned(),
    ))
}

fn names(table: &Catalog) -> impl Iterator<Item = &str> {
    table.columns.iter().map(|c| c.column.name.as_str())
}
