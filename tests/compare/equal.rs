//! Equal rows that look different: another order, another scale, other blanks, another clock. Nothing is reported.

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::systems::{PAIRS, Systems};
use super::table::{Row, SHAPES, Shape, Table, playbook};
use super::value::respelled;
use crate::support::pair::{Engine, Side};
use crate::support::{seed, size};

/// How a session of the read store sees and writes values, unless it is told otherwise.
const SETTINGS: &[&str] = &[
    "timezone = 'Asia/Kolkata'",
    "timezone = 'America/St_Johns'",
    "datestyle = 'German, DMY'",
    "intervalstyle = 'iso_8601'",
    "extra_float_digits = -3",
    "bytea_output = 'escape'",
];

/// The rows as somebody else would have written them.
fn rewritten(table: &Table, rng: &mut StdRng, plain: bool) -> Vec<Row> {
    let respell = |(at, value): (usize, &Option<String>), rng: &mut StdRng| {
        let kind = table.shape.kind(at);
        // SQLite finds a key by its text, and says so of one that is written in another way.
        let keeps = rng.random_bool(0.5) || (plain && at < table.shape.key.len());
        value.as_ref().map(|v| {
            if keeps {
                v.clone()
            } else {
                respelled(kind, v, rng, plain)
            }
        })
    };
    let rows = table.rows.iter();
    rows.map(|row| {
        row.iter()
            .enumerate()
            .map(|cell| respell(cell, rng))
            .collect()
    })
    .collect()
}

fn equal(engines: (Engine, Engine), runs: usize, rows: usize) {
    let Some(systems) = Systems::new(engines) else {
        return;
    };
    let mut rng = StdRng::seed_from_u64(seed());
    let plain = systems.has_sqlite();
    let of = |shape: &Shape| Table::random(*shape, rows, &mut rng, plain);
    let tables: Vec<Table> = SHAPES.iter().map(of).collect();
    tables.iter().for_each(|table| table.create(&systems));
    playbook(&systems, &tables);
    for run in 0..runs {
        let mut sql = String::new();
        if engines.1 == Engine::Postgres {
            let setting = SETTINGS[run % SETTINGS.len()];
            sql += &format!(
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {}', current_database()); END $$;\n",
                setting.replace('\'', "''")
            );
        }
        for table in &tables {
            let rewritten = rewritten(table, &mut rng, plain);
            let mut numbered: Vec<(usize, &Row)> = rewritten.iter().enumerate().collect();
            numbered.shuffle(&mut rng);
            sql += &format!("DELETE FROM {}_read;\n", table.shape.name);
            sql += &table.shape.insert(&numbered, engines.1);
            // Rows that moved within the table.
            sql += &format!(
                "UPDATE {0}_read SET nr = nr + 0 WHERE nr % 3 = {1};\n",
                table.shape.name,
                run % 3
            );
        }
        systems.sql(Side::Read, &sql);
        for way in systems.ways() {
            let verdict = systems.trueup(way).exit(0).json();
            for table in &tables {
                let views = verdict["views"].as_array().unwrap();
                let view = views
                    .iter()
                    .find(|v| v["view"] == table.shape.name)
                    .unwrap();
                let by = if plain || way.contains(&"--no-hash") || !table.shape.is_hashed() {
                    "merge"
                } else {
                    "hash"
                };
                assert_eq!(view["rows_checked"], table.rows.len(), "{view}");
                if by == "hash" || way.contains(&"--no-hash") {
                    assert_eq!(view["compared_by"], by, "{way:?} {}", table.shape.name);
                }
            }
        }
    }
    println!(
        "{engines:?}: {runs} runs over {} tables of equal rows, 0 differences",
        tables.len()
    );
}

#[test]
fn between_postgres() {
    equal(PAIRS[0], size(4, 100), size(60, 300));
}

#[test]
fn between_sqlite() {
    equal(PAIRS[1], size(2, 100), size(60, 300));
}

#[test]
fn from_postgres_into_sqlite() {
    equal(PAIRS[2], size(2, 100), size(60, 300));
}

#[test]
fn from_sqlite_into_postgres() {
    equal(PAIRS[3], size(2, 100), size(60, 300));
}
