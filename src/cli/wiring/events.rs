//! A view of the playbook that is made of events, against the catalogs of both databases: every column of its table is
//! filled by events or accounted for otherwise, and what `expected:` gives is what events fill.

use anyhow::{Context as _, Result};

use super::query::Read;
use super::view::{names, scalar};
use super::{Sides, derived, table_name};
use crate::playbook::events as written;
use crate::playbook::{Format, Origin, Problem, Source, View, ViewKind};
use crate::projection::cast;
use crate::projection::decode::Settings;
use crate::projection::decode::events::{Absent, Envelope, Events, Form, On, Place, Term, Value};
use crate::projection::mapping::{From, Mapping, Target};
use crate::projection::types::{Column, ColumnType};
use crate::store::{Acts, Catalog, Described, StoreError};
use crate::strategies::{Expectation, Origin as Rows, SourcePart, View as Wired};

/// Wires a view of events; `None` when problems stand in the way.
pub(super) async fn wire(
    sides: &Sides<'_>,
    view: &View,
    problems: &mut Vec<Problem>,
) -> Result<Option<Wired>> {
    let ViewKind::Events { from, .. } = &view.kind else {
        unreachable!("only views of events are wired here");
    };
    let before = problems.len();
    let Some(source) = sides.playbook.sources.iter().find(|s| s.name == *from) else {
        unreachable!("the playbook checks that every view's source exists");
    };
    let table = sides.read_store.catalog(&table_name(&view.table)).await;
    let table = table.context("read store")?;
    let mut wiring = Wiring {
        sides,
        view,
        table: &table,
        problems,
    };
    let filled = wiring.filled();
    let events = wiring.events(source, &filled);
    let (mapping, carried) = wiring.mapping(&filled);
    let expected = match sides.queries.get(&view.name) {
        Some(read) => wiring.expected(read, &mapping).await?,
        None => None,
    };
    let rules = derived::rules(view, &mapping).unwrap_or_else(|(what, fix)| {
        wiring.problem("compare", what, fix);
        Vec::new()
    });
    if problems.len() > before {
        return Ok(None);
    }
    Ok(Some(Wired {
        name: view.name.clone(),
        origin: Rows::Events {
            source: part(source),
            events: Box::new(events),
            expected,
        },
        table,
        mapping,
        rules,
        carried,
        scope: view.scope.clone(),
    }))
}

/// A source that is no table.
fn part(source: &Source) -> SourcePart {
    SourcePart {
        name: source.name.clone(),
        topic: source.topic.clone(),
        table: Catalog {
            table: table_name(&source.table),
            id: 0,
            columns: Vec::new(),
            primary_key: Vec::new(),
            unique_keys: Vec::new(),
            indexes: Vec::new(),
            rows_estimate: None,
            bytes: 0,
        },
        order_by: None,
        epochs: Vec::new(),
        settings: Settings::default(),
    }
}

struct Wiring<'a> {
    sides: &'a Sides<'a>,
    view: &'a View,
    table: &'a Catalog,
    problems: &'a mut Vec<Problem>,
}

/// What a view says of its events.
struct Said<'a> {
    columns: &'a [(String, written::Fill)],
    on: &'a [(String, written::On)],
    ignores_others: bool,
}

impl Wiring<'_> {
    fn problem(&mut self, key: &str, what: String, fix: String) {
        self.problems.push(Problem {
            file: self.sides.playbook.file.clone(),
            line: self.view.line,
            path: format!("views.{}.{key}", self.view.name),
            what,
            fix,
        });
    }

    fn said(&self) -> Said<'_> {
        match &self.view.kind {
            ViewKind::Events {
                columns,
                on,
                ignores_others,
                ..
            } => Said {
                columns,
                on,
                ignores_others: *ignores_others,
            },
            _ => unreachable!("only views of events are wired here"),
        }
    }

    /// The columns of the table that events fill, in its order; others that are named are problems.
    fn filled(&mut self) -> Vec<Column> {
        let mut named: Vec<(String, String)> = Vec::new();
        for (column, fill) in self.said().columns {
            if matches!(fill, written::Fill::Event(_)) {
                named.push((format!("columns.{column}"), column.clone()));
            }
        }
        for (kind, on) in self.said().on {
            if let written::On::Change { set, add } = on {
                let set = set.iter().map(|(column, _)| ("set", column));
                let add = add.iter().map(|(column, _)| ("add", column));
                for (what, column) in set.chain(add) {
                    named.push((format!("on.{kind}.{what}.{column}"), column.clone()));
                }
            }
        }
        for (path, column) in &named {
            let what = match self.table.column(column) {
                None => format!("table {} has no column {column}", self.table.table),
                Some(c) if c.generated => format!("column {column} is filled by the database"),
                Some(_) => continue,
            };
            self.problem(path, what, names(self.table));
        }
        let is_named = |name: &str| named.iter().any(|(_, column)| column == name);
        let columns = self.table.columns.iter().filter(|c| !c.generated);
        let columns = columns.filter(|c| is_named(&c.column.name));
        columns.map(|c| c.column.clone()).collect()
    }

    fn events(&mut self, source: &Source, filled: &[Column]) -> Events {
        let place = |name: &str| filled.iter().position(|c| c.name == *name);
        let said = self.said();
        let (columns, on, ignores_others) =
            (said.columns.to_vec(), said.on.to_vec(), said.ignores_others);
        let mut always = Vec::new();
        for (column, fill) in &columns {
            if let (written::Fill::Event(value), Some(at)) = (fill, place(column)) {
                let path = format!("columns.{column}");
                always.extend(
                    self.value(&path, value, &filled[at])
                        .map(|value| (at, value)),
                );
            }
        }
        let on = on
            .iter()
            .map(|(kind, does)| (kind.clone(), self.on(kind, does, filled)));
        Events {
            on: on.collect(),
            form: form(source),
            columns: filled.to_vec(),
            key: self
                .view
                .key
                .iter()
                .filter_map(|name| place(name))
                .collect(),
            always,
            ignores_others,
        }
    }

    fn on(&mut self, kind: &str, does: &written::On, filled: &[Column]) -> On {
        let (set, add) = match does {
            written::On::Delete => return On::Delete,
            written::On::Ignore => return On::Ignore,
            written::On::Change { set, add } => (set, add),
        };
        let place = |name: &str| filled.iter().position(|c| c.name == *name);
        let (mut sets, mut adds) = (Vec::new(), Vec::new());
        for (column, value) in set {
            let path = format!("on.{kind}.set.{column}");
            let Some(at) = place(column) else { continue };
            sets.extend(
                self.value(&path, value, &filled[at])
                    .map(|value| (at, value)),
            );
        }
        for (column, term) in add {
            let path = format!("on.{kind}.add.{column}");
            let Some(at) = place(column) else { continue };
            if !adds_up(&filled[at].kind) {
                let what = format!(
                    "column {column} is a {}, to which nothing can be added exactly",
                    filled[at].kind
                );
                let fix = "add to a column of whole or decimal numbers, or a double";
                self.problem(&path, what, fix.to_owned());
            }
            let value = self.value(&path, &term.value, &filled[at]);
            let negative = term.negative;
            adds.extend(value.map(|value| (at, Term { value, negative })));
        }
        On::Change {
            set: sets,
            add: adds,
        }
    }

    fn value(&mut self, path: &str, value: &written::Value, column: &Column) -> Option<Value> {
        match value {
            written::Value::Found { places, absent } => {
                self.attributes(path, places);
                Some(Value::Found {
                    places: places.iter().map(place).collect(),
                    absent: match absent {
                        written::Absent::Wrong => Absent::Wrong,
                        written::Absent::Null => Absent::Null,
                        written::Absent::Keep => Absent::Keep,
                    },
                })
            }
            written::Value::Literal(literal) => match scalar(literal, &column.kind) {
                Ok(cell) => Some(Value::Literal(cell)),
                Err(value) => {
                    let what = format!(
                        "{value} is no value of column {}, whose type is {}",
                        column.name, column.kind
                    );
                    self.problem(path, what, "write it as the database prints it".to_owned());
                    None
                }
            },
        }
    }

    /// Attributes that the envelope does not have.
    fn attributes(&mut self, path: &str, places: &[written::Place]) {
        let ViewKind::Events { from, .. } = &self.view.kind else {
            return;
        };
        let source = self.sides.playbook.sources.iter().find(|s| s.name == *from);
        let Some(form) = source.map(form) else { return };
        for place in places {
            let written::Place::Attribute(name) = place else {
                continue;
            };
            let is_known = form.envelope == Envelope::CloudEvents
                || match name.as_str() {
                    "type" => !form.kind.is_empty(),
                    "id" => !form.id.is_empty(),
                    "time" => !form.time.is_empty(),
                    _ => false,
                };
            if !is_known {
                let what = format!("the events of source {from} have no `@{name}` that is known");
                let fix =
                    "say in the source where it is (`type:`, `id:` or `time:`), or name its place";
                self.problem(path, what, fix.to_owned());
            }
        }
    }

    /// Columns that events fill, then the projector's own; and those that are carried over. All others are accounted for, or
    /// a problem.
    fn mapping(&mut self, filled: &[Column]) -> (Mapping, Vec<String>) {
        let besides: Vec<(String, Origin)> = self
            .said()
            .columns
            .iter()
            .filter_map(|(column, fill)| match fill {
                written::Fill::Besides(origin) => Some((column.clone(), origin.clone())),
                written::Fill::Event(_) => None,
            })
            .collect();
        let target = |(at, column): (usize, &Column)| Target {
            column: column.clone(),
            from: From::Source(at),
        };
        let mut columns: Vec<Target> = filled.iter().enumerate().map(target).collect();
        let mut carried = Vec::new();
        for (name, _) in &besides {
            if self.table.column(name).is_none() {
                let what = format!("table {} has no column {name}", self.table.table);
                self.problem("columns", what, names(self.table));
            }
        }
        for column in self.table.columns.iter().filter(|c| !c.generated) {
            let name = &column.column.name;
            let origin = besides
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, origin)| origin);
            let mut kept = |from| {
                let column = column.column.clone();
                columns.push(Target { column, from });
            };
            match origin {
                Some(_) if filled.iter().any(|c| c.name == *name) => self.problem(
                    "columns",
                    format!("column {name} is filled by events, and by something else"),
                    "keep one of the two".to_owned(),
                ),
                Some(Origin::Offset) => kept(From::Offset),
                Some(Origin::Partition) => kept(From::Partition),
                Some(Origin::Foreign) => carried.push(name.clone()),
                Some(_) if column.column.nullable || column.has_default => {}
                Some(_) => self.problem(
                    "columns",
                    format!("column {name} is `@default`, but it is NOT NULL and has no default"),
                    "let events fill it".to_owned(),
                ),
                None if filled.iter().any(|c| c.name == *name) => {}
                None => self.problem(
                    "on",
                    format!("column {name} of table {} is not accounted for", self.table.table),
                    format!("let an event set it, or say `columns: {{ {name}: \"@default\" }}` or `\"@foreign\"`"),
                ),
            }
        }
        let place = |name: &String| filled.iter().position(|c| c.name == *name);
        let key: Vec<usize> = self.view.key.iter().filter_map(place).collect();
        let mapping = Mapping {
            source: filled.to_vec(),
            source_key: key.clone(),
            columns,
            key,
            filter: Vec::new(),
        };
        (mapping, carried)
    }

    /// What the primary says that the rows should be.
    async fn expected(&mut self, read: &Read, mapping: &Mapping) -> Result<Option<Expectation>> {
        let primary = self.sides.primary;
        let text = read.query.over(str::to_owned);
        let mut expectation = Expectation {
            text,
            tables: Vec::new(),
            mapping: None,
        };
        if primary.down().is_some() {
            return Ok(Some(expectation));
        }
        for table in &read.tables {
            // What is no table of its own (a view, say) is not the one that is compared.
            let catalog = primary.catalog(table).await;
            expectation.tables.extend(catalog.map(|c| c.id));
        }
        let volatile = primary.volatile(&read.query.functions()).await?;
        if !volatile.is_empty() {
            let what = format!("{} may give another answer each time", volatile.join(", "));
            self.problem("expected", what, "leave it out".to_owned());
        }
        let given = match primary.describe(&expectation.text).await {
            Ok(given) => given,
            Err(
                StoreError::Sql { problem, .. }
                | StoreError::Value { problem, .. }
                | StoreError::Ungrouped { problem, .. },
            ) => {
                let what = format!("the primary cannot run it: {problem}");
                self.problem("expected", what, "correct the query".to_owned());
                return Ok(None);
            }
            Err(missing @ StoreError::NoTable { .. }) => {
                let fix = "name tables of the primary".to_owned();
                self.problem("expected", missing.to_string(), fix);
                return Ok(None);
            }
            Err(other) => return Err(anyhow::Error::from(other).context("primary")),
        };
        expectation.mapping = self.compared(&given, mapping).map(Box::new);
        Ok(Some(expectation))
    }

    /// The same columns, in the same order, filled by the SELECT; `None` when it does not give them.
    fn compared(&mut self, given: &[Described], mapping: &Mapping) -> Option<Mapping> {
        let before = self.problems.len();
        let mut compared = mapping.compared();
        for one in given {
            if !compared.source.iter().any(|c| c.name == one.name) {
                let what = format!("it gives column {}, which no event fills", one.name);
                let filled: Vec<&str> = compared.source.iter().map(|c| c.name.as_str()).collect();
                self.problem("expected", what, format!("give {}", filled.join(", ")));
            }
        }
        for (source, target) in compared.source.iter_mut().zip(&mapping.columns) {
            let name = source.name.clone();
            let mut of_name = given.iter().filter(|one| one.name == name);
            let (one, twice) = (of_name.next(), of_name.next().is_some());
            let kind = one.map(|one| one.kind.clone().unwrap_or_else(|| source.kind.clone()));
            let what = match kind {
                None => format!("it does not give column {name}"),
                Some(_) if twice => format!("it gives column {name} twice"),
                Some(kind) if !cast::takes(&target.column.kind, &kind) => {
                    format!(
                        "column {name} is a {kind}, and {} keeps a {} there",
                        self.table.table, target.column.kind
                    )
                }
                Some(kind) => {
                    (source.kind, source.nullable) = (kind, true);
                    continue;
                }
            };
            let fix = "every column that events fill is selected once, under its name and castable to its type";
            self.problem("expected", what, fix.to_owned());
        }
        (self.problems.len() == before).then_some(compared)
    }
}

/// Whether sums of this type are exact, or at least the same in one order.
fn adds_up(kind: &ColumnType) -> bool {
    matches!(
        kind,
        ColumnType::Int { .. } | ColumnType::Numeric { .. } | ColumnType::Float64
    )
}

fn form(source: &Source) -> Form {
    let Format::Events(said) = &source.format else {
        unreachable!("the playbook checks that views of events are made of events");
    };
    let mut form = Form::of(match said.envelope {
        written::Envelope::Plain => Envelope::Plain,
        written::Envelope::Outbox => Envelope::Outbox,
        written::Envelope::CloudEvents => Envelope::CloudEvents,
    });
    for (known, said) in [
        (&mut form.kind, &said.kind),
        (&mut form.id, &said.id),
        (&mut form.time, &said.time),
    ] {
        if !said.is_empty() {
            *known = said.iter().map(place).collect();
        }
    }
    form.data = said.data.clone();
    form
}

fn place(written: &written::Place) -> Place {
    match written.clone() {
        written::Place::Data(path) => Place::Data(path),
        written::Place::Value(path) => Place::Value(path),
        written::Place::Key(path) => Place::Key(path),
        written::Place::Header(name) => Place::Header(name),
        written::Place::Attribute(name) => Place::Attribute(name),
    }
}
