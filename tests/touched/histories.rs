//! Random histories, in rounds.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use trueup::report::progress::{Progress, Show};
use trueup::store::{Acts, WritePermit};
use trueup::strategies::compare::{Comparison, Found};
use trueup::strategies::replay::derive::Round;

use super::queries::{self, SOURCES};
use super::{Recorded, Written, derived, staging};
use crate::support::pair::Engine;
use crate::support::{seed, size};

/// Keys of a source.
const KEYS: i64 = 40;
/// Rounds of a history, after the first load.
const ROUNDS: usize = 5;

/// The rows of every source, as nobody but the test computes them.
type Rows = [BTreeMap<i64, [Option<String>; 3]>; 4];

fn any_row(rng: &mut StdRng) -> [Option<String>; 3] {
    let cells = [
        rng.random_range(0..KEYS).to_string(),
        rng.random_range(0..4).to_string(),
        format!("'{}'", ["a", "b", "é"][rng.random_range(0..3)]),
    ];
    cells.map(|cell| (rng.random_range(0..5) > 0).then_some(cell))
}

fn json(id: i64, [p, x, s]: &[Option<String>; 3]) -> String {
    let null = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "null".to_owned());
    let s = null(s).replace('\'', "\"");
    format!(r#"{{"id":{id},"p":{},"x":{},"s":{s}}}"#, null(p), null(x))
}

/// Some changes: new keys, keys that move, deletes; few of them, or none.
fn changes(rng: &mut StdRng, recorded: &mut Recorded, rows: &mut Rows, most: usize) {
    for (source, rows) in rows.iter_mut().enumerate() {
        for _ in 0..rng.random_range(0..=most) {
            let id = rng.random_range(0..KEYS);
            let key = format!(r#"{{"id":{id}}}"#);
            if rows.contains_key(&id) && rng.random_range(0..3) == 0 {
                rows.remove(&id);
                recorded.change(source, &key, "d", None);
                continue;
            }
            let mut row = any_row(rng);
            let held = rows.get(&id);
            if let Some(held) = held {
                // Most updates leave most cells alone.
                for (cell, held) in row.iter_mut().zip(held) {
                    if rng.random_range(0..2) == 0 {
                        cell.clone_from(held);
                    }
                }
            }
            let op = if held.is_some() { "u" } else { "c" };
            recorded.change(source, &key, op, Some(&json(id, &row)));
            rows.insert(id, row);
        }
    }
}

/// What the primary holds now.
fn into_primary(recorded: &Recorded, rows: &Rows) {
    let mut sql = String::new();
    for (name, rows) in SOURCES.iter().zip(rows) {
        sql += &format!("DELETE FROM {name};");
        let null = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "NULL".to_owned());
        let values: Vec<String> = rows
            .iter()
            .map(|(id, [p, x, s])| format!("({id}, {}, {}, {})", null(p), null(x), null(s)))
            .collect();
        if !values.is_empty() {
            sql += &format!("INSERT INTO {name} VALUES {};", values.join(", "));
        }
    }
    recorded.primary(&sql);
}

#[derive(Debug, Default)]
struct Figures {
    by_keys: usize,
    keys: u64,
    /// Rows of the views of those rounds.
    rows: u64,
    whole: BTreeMap<String, usize>,
}

/// How many passes a round has, and what the sources hold after it.
type Rounds = Vec<(usize, Rows)>;

/// A history; what became of every view after every round must be what its query gives over the primary.
fn history(engine: Engine, seed: u64, figures: &mut Figures) -> Option<()> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut views: Vec<Written> = (0..4).map(|nth| queries::any(&mut rng, nth)).collect();
    views.extend(queries::opaque());
    let mut recorded = Recorded::new(engine, &queries::tables(engine), &SOURCES, views)?;
    let mut rows = Rows::default();
    changes(&mut rng, &mut recorded, &mut rows, 60);
    for source in 0..SOURCES.len() {
        // A topic without a record is no topic of an archive.
        recorded.change(source, r#"{"id":99}"#, "d", None);
        recorded.change(source, r#"{"id":98}"#, "d", None);
    }
    recorded.cut();
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        // What comes in two passes has states in between that no round shows.
        let passes = rng.random_range(1..=2);
        for _ in 0..passes {
            changes(&mut rng, &mut recorded, &mut rows, 2);
            recorded.cut();
        }
        rounds.push((passes, rows.clone()));
    }
    let run = rounds_of(&recorded, &rounds, figures, |round, done, found, text| {
        assert!(
            found.differences.is_empty() && found.beyond == 0,
            "TRUEUP_SEED of {engine:?} {seed}, round {round}, {done:?}: {} differ, first {:?}\n{text}",
            found.differences.len(),
            found.differences[0]
        );
    });
    runtime().block_on(run);
    Some(())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

async fn rounds_of(
    recorded: &Recorded,
    rounds: &Rounds,
    figures: &mut Figures,
    equal: impl Fn(usize, &Round, &Found, &str),
) {
    let mut logs = Vec::new();
    for cuts in 1..=recorded.cuts() {
        logs.push(recorded.systems(cuts).await);
    }
    let (permit, progress) = (WritePermit::grant(), Progress::start(Show::Quiet));
    let (first, later) = logs.split_first().unwrap();
    let views = recorded.views(first).await;
    let plan = staging(first, &views, "touched").await;
    let (mut pipeline, mut derivation) = derived(first, &plan, &permit, &progress).await;
    let mut later = later.iter();
    for (round, (passes, rows)) in rounds.iter().enumerate() {
        for longer in later.by_ref().take(*passes) {
            pipeline.systems = longer;
            pipeline.catch_up().await.unwrap();
        }
        into_primary(recorded, rows);
        derivation.renew(&mut pipeline).await.unwrap();
        let done = &derivation.rounds()[round];
        for (derived, done) in plan.derived.iter().zip(done) {
            let store = first.staging();
            let comparison = Comparison::new(first, &derived.view)
                .with_actual(store, store.shadow_table(&derived.shadow));
            let found = comparison.run(false, &progress.counter()).await.unwrap();
            equal(round, done, &found, recorded.text_of(&derived.view.name));
            match done {
                Round::Untouched => {}
                Round::Keys(keys) => {
                    figures.by_keys += 1;
                    figures.keys += keys;
                    figures.rows += found.rows;
                }
                Round::Whole(why) => *figures.whole.entry(why.clone()).or_default() += 1,
            }
        }
    }
    let run = plan.staging().unwrap().run;
    first.staging().unstage(&permit, &run).await.unwrap();
}

fn histories(engine: Engine, many: usize) {
    let seed = seed();
    let mut figures = Figures::default();
    for nth in 0..many as u64 {
        if history(engine, seed.wrapping_add(nth), &mut figures).is_none() {
            return;
        }
    }
    println!("{engine:?}: {figures:?}");
    assert!(figures.by_keys > many * ROUNDS, "{figures:?}");
    assert!(
        figures.whole["it has a window"] >= many,
        "{:?}",
        figures.whole
    );
    // To touch everything would be right, and of no use.
    assert!(figures.keys * 3 < figures.rows * 2, "{figures:?}");
}

#[test]
fn embedded() {
    histories(Engine::Sqlite, size(10, 400));
}

#[test]
fn on_postgres() {
    histories(Engine::Postgres, size(4, 200));
}

/// A `touched_by` that leaves keys out is found, and stops the run.
#[test]
fn what_is_wrongly_said_is_found() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let views = vec![queries::wrong()];
        let tables = queries::tables(engine);
        let Some(mut recorded) = Recorded::new(engine, &tables, &SOURCES, views) else {
            return;
        };
        runtime().block_on(async {
            let row = |p: i64| [Some(p.to_string()), None, None];
            for (source, p) in [(0, 0), (1, 7), (2, 8)] {
                let id = 7 + source as i64;
                let key = format!(r#"{{"id":{id}}}"#);
                recorded.change(source, &key, "c", Some(&json(id, &row(p))));
                recorded.change(source, r#"{"id":98}"#, "d", None);
            }
            recorded.cut();
            let first = recorded.systems(1).await;
            let views = recorded.views(&first).await;
            let plan = staging(&first, &views, "wrong").await;
            let (permit, progress) = (WritePermit::grant(), Progress::start(Show::Quiet));
            recorded.change(2, r#"{"id":20}"#, "c", Some(&json(20, &row(8))));
            recorded.cut();
            let longer = recorded.systems(2).await;
            let (mut pipeline, mut derivation) = derived(&first, &plan, &permit, &progress).await;
            pipeline.systems = &longer;
            pipeline.catch_up().await.unwrap();
            let said = derivation.renew(&mut pipeline).await.unwrap_err();
            let said = format!("{said:#}");
            for word in [
                "view wrong: `touched_by` for t2 leaves out keys whose rows have changed: 1 of 1 looked at, such as 7",
                "nothing was swapped",
            ] {
                assert!(said.contains(word), "{said}");
            }
        });
    }
}
