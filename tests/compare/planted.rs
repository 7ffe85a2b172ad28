//! One change at a time, found where it was planted and nowhere else.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value as Json;

use super::systems::{PAIRS, Systems};
use super::table::{Declared, Row, SHAPES, Shape, Table, playbook};
use super::value::{changed, value};
use crate::support::pair::{Engine, Side};
use crate::support::{seed, size};

/// What is done to one table.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// The nearest other value of one cell.
    Cell,
    /// NULL for a value, or the emptiest value for NULL.
    Null,
    /// Two cells of one row and kind change places.
    Swapped,
    /// One cell of two rows changes places.
    Exchanged,
    /// A row once more; where a key forbids it, under a key that is nearly its own.
    Duplicate,
    /// No row.
    Missing,
    /// The first or the last row goes, or changes.
    Boundary,
    /// A row under another key, the nearest there is.
    Key,
}

const CHANGES: [Change; 8] = [
    Change::Cell,
    Change::Null,
    Change::Swapped,
    Change::Exchanged,
    Change::Duplicate,
    Change::Missing,
    Change::Boundary,
    Change::Key,
];

/// A change as SQL over the read store, and what takes it back.
struct Planted {
    what: String,
    sql: String,
    undo: String,
    /// The keys that must be reported, and as how many differences.
    keys: BTreeSet<String>,
}

/// The number of a row that is planted.
const SURPLUS: usize = 10_000_000;

struct Planter<'a> {
    table: &'a Table,
    engine: Engine,
    plain: bool,
    rng: &'a mut StdRng,
}

impl Planter<'_> {
    fn shape(&self) -> Shape {
        self.table.shape
    }

    fn any_row(&mut self) -> usize {
        self.rng.random_range(0..self.table.rows.len())
    }

    /// A column that is not of the key.
    fn any_column(&mut self) -> usize {
        self.rng
            .random_range(self.shape().key.len()..self.shape().width())
    }

    /// Some cells of a row get other values.
    fn update(&self, nr: usize, cells: &[(usize, Option<String>)]) -> (String, String) {
        let shape = self.shape();
        let set = |values: Vec<(usize, Option<&str>)>| {
            let cells = values.into_iter().map(|(at, value)| {
                format!(
                    "c{at} = {}",
                    shape.literal(at, value, self.engine, Side::Read)
                )
            });
            let cells = cells.collect::<Vec<_>>().join(", ");
            format!("UPDATE {}_read SET {cells} WHERE nr = {nr};\n", shape.name)
        };
        let row = &self.table.rows[nr];
        (
            set(cells
                .iter()
                .map(|(at, new)| (*at, new.as_deref()))
                .collect()),
            set(cells
                .iter()
                .map(|(at, _)| (*at, row[*at].as_deref()))
                .collect()),
        )
    }

    fn planted(&self, what: String, (sql, undo): (String, String), rows: &[&Row]) -> Planted {
        Planted {
            what,
            sql,
            undo,
            keys: rows.iter().map(|row| self.shape().key_of(row)).collect(),
        }
    }

    /// `None` where this change of this row would change nothing.
    fn plant(&mut self, change: Change) -> Option<Planted> {
        let (nr, shape) = (self.any_row(), self.shape());
        let row = &self.table.rows[nr];
        match change {
            Change::Cell | Change::Null => {
                let at = self.any_column();
                let new = self.cell(shape, at, row[at].as_deref(), change);
                let what = format!("c{at} {:?}: {:?} -> {new:?}", shape.kind(at), row[at]);
                Some(self.planted(what, self.update(nr, &[(at, new)]), &[row]))
            }
            Change::Swapped => {
                let one = self.any_column();
                let others = shape.key.len()..shape.width();
                let others: Vec<usize> = others
                    .filter(|at| *at != one && shape.kind(*at) == shape.kind(one))
                    .collect();
                let two = *others.choose(self.rng)?;
                if canonical(shape, row, one) == canonical(shape, row, two) {
                    return None;
                }
                let cells = [(one, row[two].clone()), (two, row[one].clone())];
                Some(self.planted(
                    format!("c{one} and c{two} swapped: {cells:?}"),
                    self.update(nr, &cells),
                    &[row],
                ))
            }
            Change::Exchanged => {
                let (other, at) = (self.any_row(), self.any_column());
                let with = &self.table.rows[other];
                if canonical(shape, row, at) == canonical(shape, with, at) {
                    return None;
                }
                let (there, back) = self.update(nr, &[(at, with[at].clone())]);
                let (here, home) = self.update(other, &[(at, row[at].clone())]);
                let what = format!("c{at} of two rows: {:?}, {:?}", row[at], with[at]);
                Some(self.planted(what, (there + &here, back + &home), &[row, with]))
            }
            Change::Duplicate => {
                let keeps = matches!(shape.declared, Declared::Primary | Declared::Nowhere);
                let new = if keeps { row.clone() } else { self.near(nr)? };
                let sql = shape.insert(&[(SURPLUS, &new)], self.engine);
                let undo = format!("DELETE FROM {}_read WHERE nr = {SURPLUS};\n", shape.name);
                Some(self.planted(
                    format!("once more: {:?}", shape.key_of(&new)),
                    (sql, undo),
                    &[&new],
                ))
            }
            Change::Missing => Some(self.planted("missing".to_owned(), self.delete(nr), &[row])),
            Change::Boundary => {
                let mut places: Vec<usize> = (0..self.table.rows.len()).collect();
                places.sort_by_key(|at| shape.key_of(&self.table.rows[*at]));
                let nr = if self.rng.random_bool(0.5) {
                    places[0]
                } else {
                    *places.last()?
                };
                let row = &self.table.rows[nr];
                if self.rng.random_bool(0.5) {
                    return Some(self.planted(
                        "the end is missing".to_owned(),
                        self.delete(nr),
                        &[row],
                    ));
                }
                let at = self.any_column();
                let new = self.cell(shape, at, row[at].as_deref(), Change::Cell);
                let what = format!("at the end c{at}: {:?} -> {new:?}", row[at]);
                Some(self.planted(what, self.update(nr, &[(at, new)]), &[row]))
            }
            Change::Key => {
                let new = self.near(nr)?;
                let cells: Vec<_> = (0..shape.key.len())
                    .map(|at| (at, new[at].clone()))
                    .collect();
                let what = format!("key {:?} -> {:?}", shape.key_of(row), shape.key_of(&new));
                Some(self.planted(what, self.update(nr, &cells), &[row, &new]))
            }
        }
    }

    fn delete(&self, nr: usize) -> (String, String) {
        (
            format!("DELETE FROM {}_read WHERE nr = {nr};\n", self.shape().name),
            self.shape()
                .insert(&[(nr, &self.table.rows[nr])], self.engine),
        )
    }

    /// The nearest other value of a cell.
    fn cell(
        &mut self,
        shape: Shape,
        at: usize,
        old: Option<&str>,
        change: Change,
    ) -> Option<String> {
        let kind = shape.kind(at);
        match (change, old) {
            (Change::Null, Some(_)) => None,
            (_, None) => {
                // The empty text, or the nearest to nothing that there is.
                let of_kind = self.table.rows.iter().filter_map(|row| row[at].clone());
                let least = of_kind.min_by_key(|text| (text.len(), text.clone()));
                least.or_else(|| Some(value(kind, self.rng, self.plain)))
            }
            (_, Some(old)) => Some(changed(kind, old, self.rng, self.plain)),
        }
    }

    /// The row under another key that is new.
    fn near(&mut self, nr: usize) -> Option<Row> {
        let shape = self.shape();
        let mut row = self.table.rows[nr].clone();
        let at = self.rng.random_range(0..shape.key.len());
        let old = row[at].clone()?;
        row[at] = Some(changed(shape.kind(at), &old, self.rng, true));
        let key = shape.key_of(&row);
        let is_new = self
            .table
            .rows
            .iter()
            .all(|other| shape.key_of(other) != key);
        is_new.then_some(row)
    }
}

fn canonical(shape: Shape, row: &Row, at: usize) -> Option<String> {
    row[at]
        .as_ref()
        .map(|value| shape.kind(at).canonical(value))
}

/// The keys that a report names, and how many differences it counts.
fn reported(shape: Shape, view: &Json) -> (BTreeSet<String>, u64) {
    let samples = view["samples"].as_array().unwrap();
    let key = |sample: &Json| {
        let parts = shape.key.iter().enumerate();
        let parts = parts
            .map(|(at, kind)| kind.canonical(sample["key"][format!("c{at}")].as_str().unwrap()));
        parts.collect::<Vec<_>>().join("|")
    };
    let count = |what: &str| view[what].as_u64().unwrap();
    (
        samples.iter().map(key).collect(),
        count("missing") + count("extra") + count("changed"),
    )
}

/// Plants a change in each table, verifies once for each way there is, and takes them back.
fn round(systems: &Systems, tables: &[Table], rng: &mut StdRng, nth: usize) -> usize {
    let (engine, plain) = (systems.engine(Side::Read), systems.has_sqlite());
    let planted: Vec<Planted> = tables
        .iter()
        .enumerate()
        .map(|(i, table)| {
            let mut planter = Planter {
                table,
                engine,
                plain,
                rng: &mut *rng,
            };
            let first = CHANGES[(nth + i) % CHANGES.len()];
            let first = (0..20).find_map(|_| planter.plant(first));
            first.unwrap_or_else(|| {
                std::iter::repeat_with(|| planter.plant(Change::Cell))
                    .flatten()
                    .next()
                    .unwrap()
            })
        })
        .collect();
    systems.sql(
        Side::Read,
        &planted.iter().map(|p| p.sql.as_str()).collect::<String>(),
    );
    for way in systems.ways() {
        let verdict = systems.trueup(way).exit(1).json();
        for (table, planted) in tables.iter().zip(&planted) {
            let views = verdict["views"].as_array().unwrap();
            let view = views
                .iter()
                .find(|v| v["view"] == table.shape.name)
                .unwrap();
            assert_eq!(
                reported(table.shape, view),
                (planted.keys.clone(), planted.keys.len() as u64),
                "{way:?} {}: {}\n{}\n{view}",
                table.shape.name,
                planted.what,
                planted.sql
            );
        }
    }
    systems.sql(
        Side::Read,
        &planted.iter().map(|p| p.undo.as_str()).collect::<String>(),
    );
    planted.len()
}

fn planted(engines: (Engine, Engine), rounds: usize, rows: usize) {
    let Some(systems) = Systems::new(engines) else {
        return;
    };
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let of = |shape: &Shape| Table::random(*shape, rows, &mut rng, systems.has_sqlite());
    let tables: Vec<Table> = SHAPES.iter().map(of).collect();
    for table in &tables {
        table.create(&systems);
        systems.sql(
            Side::Read,
            &table.shape.insert(&table.numbered(), engines.1),
        );
    }
    playbook(&systems, &tables);
    for way in systems.ways() {
        systems.trueup(way).exit(0);
    }
    let mut found = 0;
    for nth in 0..rounds {
        found += round(&systems, &tables, &mut rng, nth);
    }
    for way in systems.ways() {
        systems.trueup(way).exit(0);
    }
    println!(
        "{engines:?}: {found} changes planted one at a time in {} tables of {rows} rows, {found} found",
        tables.len()
    );
}

#[test]
fn between_postgres() {
    planted(PAIRS[0], size(5, 84), size(60, 600));
}

#[test]
fn between_sqlite() {
    planted(PAIRS[1], size(2, 84), size(60, 600));
}

#[test]
fn from_postgres_into_sqlite() {
    planted(PAIRS[2], size(2, 84), size(60, 600));
}

#[test]
fn from_sqlite_into_postgres() {
    planted(PAIRS[3], size(2, 84), size(60, 600));
}
