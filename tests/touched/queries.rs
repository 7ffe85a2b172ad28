//! Random queries over random tables: chains of joins of every kind, conditions that read what they like.

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::Written;
use crate::support::pair::Engine;

/// The tables, of which each view reads some.
pub const SOURCES: [&str; 4] = ["t0", "t1", "t2", "t3"];

/// They all look alike: `p` names a row of another one, as a rule.
pub fn tables(engine: Engine) -> String {
    let (int, key) = match engine {
        Engine::Sqlite => ("INTEGER", "INTEGER PRIMARY KEY"),
        Engine::Postgres => ("bigint", "bigint PRIMARY KEY"),
    };
    let table = |name: &str| {
        format!(
            "CREATE TABLE {name} (id {key}, p {int}, x {int}, s TEXT); CREATE INDEX {name}_p ON {name} (p);"
        )
    };
    SOURCES.map(table).join("\n")
}

const COLUMNS: [(&str, &str); 4] = [
    ("k0", "BIGINT NOT NULL"),
    ("c", "BIGINT"),
    ("v", "BIGINT"),
    ("m", "TEXT"),
];

struct Making<'r> {
    rng: &'r mut StdRng,
    /// The tables joined so far: what each goes by, and whether it may be empty.
    joined: Vec<(String, bool)>,
}

impl Making<'_> {
    fn one_in(&mut self, n: u32) -> bool {
        self.rng.random_range(0..n) == 0
    }

    fn any(&mut self) -> String {
        self.joined.choose(self.rng).unwrap().0.clone()
    }

    /// A condition over some of the tables joined so far.
    fn condition(&mut self) -> String {
        let (a, b) = (self.any(), self.any());
        let n = self.rng.random_range(0..4);
        match self.rng.random_range(0..9) {
            0 => format!("{a}.x > {n}"),
            1 => format!("{a}.s IS NULL"),
            2 => format!("{a}.s IS NOT NULL"),
            3 => format!("({a}.x = {b}.x OR {a}.x IS NULL)"),
            4 => format!("coalesce({a}.x, 0) <= coalesce({b}.x, {n})"),
            5 => format!("{a}.x BETWEEN {n} AND 3"),
            6 => format!("CASE WHEN {a}.x > 1 AND {b}.x IS NULL THEN 0 ELSE 1 END = 1"),
            7 => format!("{a}.id IS NULL"),
            _ => format!("NOT ({a}.x = {n} AND {b}.s = 'a')"),
        }
    }

    /// One more table.
    fn join(&mut self, source: &str) -> String {
        let with = self.any();
        let alias = match self.one_in(3) {
            true => source.to_owned(),
            false => format!("{source}a"),
        };
        let table = match alias == source {
            true => source.to_owned(),
            false => format!("{source} AS {alias}"),
        };
        let on = match self.rng.random_range(0..3) {
            0 => format!("{alias}.id = {with}.p"),
            1 => format!("{with}.id = {alias}.p"),
            _ => format!("{alias}.p = {with}.p"),
        };
        let kind = self.rng.random_range(0..8);
        self.joined.push((alias.clone(), (4..8).contains(&kind)));
        let mut on = on;
        if self.one_in(3) {
            on = format!("{on} AND {}", self.condition());
        }
        match kind {
            0 => format!("\n  CROSS JOIN {table}"),
            1..=3 => format!("\n  JOIN {table} ON {on}"),
            _ => format!("\n  LEFT JOIN {table} ON {on}"),
        }
    }
}

/// A view over two to four of the tables.
pub fn any(rng: &mut StdRng, nth: usize) -> Written {
    let mut sources = SOURCES.to_vec();
    let tables = rng.random_range(2..=4);
    for at in 0..sources.len() {
        let other = rng.random_range(at..sources.len());
        sources.swap(at, other);
    }
    let mut making = Making {
        rng,
        joined: vec![(sources[0].to_owned(), false)],
    };
    let mut from = sources[0].to_owned();
    for source in &sources[1..tables] {
        from += &making.join(source);
    }
    let mut filter = Vec::new();
    while making.one_in(2) {
        filter.push(making.condition());
    }
    let outer = making.joined.iter().any(|(_, outer)| *outer);
    let name = format!("v{nth}");
    if !outer && making.one_in(3) {
        return joined_rows(&making, name, &from, filter);
    }
    let mut of = making.any();
    if !making.one_in(6) {
        // Most keys are of a table that is never empty.
        let never = making.joined.iter().filter(|(_, outer)| !outer);
        let never: Vec<String> = never.map(|(table, _)| table.clone()).collect();
        of = never.choose(making.rng).unwrap().clone();
    }
    let column = ["id", "id", "p", "x"].choose(making.rng).unwrap();
    filter.push(format!("{of}.{column} IS NOT NULL"));
    let (a, b) = (making.any(), making.any());
    // PostgreSQL takes a column beside the key of its table.
    let text = match *column == "id" && making.one_in(3) {
        true => format!("{of}.s"),
        false => format!("max({b}.s)"),
    };
    let having = match making.one_in(4) {
        true => " HAVING count(*) > 1",
        false => "",
    };
    let query = format!(
        "SELECT {of}.{column} AS k0, count({a}.id) AS c, CAST(sum({b}.x) AS BIGINT) AS v, {text} AS m\nFROM {from}\nWHERE {}\nGROUP BY {of}.{column}{having}",
        filter.join(" AND ")
    );
    Written {
        name,
        key: 1,
        columns: COLUMNS.to_vec(),
        query,
        touched_by: Vec::new(),
    }
}

/// Every joined row, by the keys of all of its tables.
fn joined_rows(making: &Making<'_>, name: String, from: &str, filter: Vec<String>) -> Written {
    const KEYS: [&str; 4] = ["k0", "k1", "k2", "k3"];
    let tables = making.joined.len();
    let keys = KEYS.iter().zip(&making.joined);
    let keys: Vec<String> = keys
        .map(|(key, (table, _))| format!("{table}.id AS {key}"))
        .collect();
    let last = &making.joined[tables - 1].0;
    let filter = match filter.is_empty() {
        true => String::new(),
        false => format!("\nWHERE {}", filter.join(" AND ")),
    };
    let mut columns: Vec<_> = KEYS[..tables]
        .iter()
        .map(|k| (*k, "BIGINT NOT NULL"))
        .collect();
    columns.push(("m", "TEXT"));
    Written {
        name,
        key: tables,
        columns,
        query: format!(
            "SELECT {}, {last}.s AS m\nFROM {from}{filter}",
            keys.join(", ")
        ),
        touched_by: Vec::new(),
    }
}

/// Views whose text does not tell: one that says it, and one that does not.
pub fn opaque() -> Vec<Written> {
    let written = |name: &str, query: &str, touched_by: &[(&str, &str)]| Written {
        name: name.to_owned(),
        key: 1,
        columns: vec![COLUMNS[0], COLUMNS[1]],
        query: query.to_owned(),
        touched_by: touched_by
            .iter()
            .map(|(s, t)| ((*s).to_owned(), (*t).to_owned()))
            .collect(),
    };
    vec![
        written(
            "said",
            "SELECT a.id AS k0, (SELECT count(*) FROM t1 b JOIN t2 c ON c.p = b.id WHERE b.p = a.id) AS c FROM t0 a",
            &[
                ("t0", "id"),
                ("t1", "p"),
                ("t2", "SELECT b.p FROM t2 AS c JOIN t1 AS b ON b.id = c.p"),
            ],
        ),
        written(
            "ranked",
            "SELECT a.id AS k0, count(*) OVER (PARTITION BY a.x) AS c FROM t0 a",
            &[],
        ),
    ]
}

/// A view that says something wrong.
pub fn wrong() -> Written {
    let mut said = opaque().swap_remove(0);
    said.name = "wrong".to_owned();
    said.touched_by[2].1 = "p".to_owned();
    said
}
