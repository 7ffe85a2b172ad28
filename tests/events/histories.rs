//! Random histories: replayed whole, from snapshots at random cuts, and through crashes; each comes to what the oracle says.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{BIG_BANG, RUBBISH, book::History, counts_hold, equal_oracle, log, primary, system};
use crate::support::pair::{Engine, Pair, Side};
use crate::support::{run, seed, size};

/// A history of random size.
fn random(seed: u64) -> (StdRng, History) {
    let mut rng = StdRng::seed_from_u64(seed);
    let (orders, events) = (rng.random_range(1..40), rng.random_range(1..250));
    let history = History::random(seed, orders, events, rng.random_range(1..5));
    (rng, history)
}

/// The whole history, replayed over whatever is there.
fn whole(pair: &Pair, history: &History) {
    let orders = history.orders(history.len());
    log(pair, &history.lines);
    primary(pair, &orders);
    let done = pair.trueup(BIG_BANG).exit(0).json();
    equal_oracle(pair, &orders, "big bang");
    counts_hold(&done, history, (0, history.len()));
    pair.trueup(&["verify", "{}", "--quiet"]).exit(0);
}

/// A snapshot at a random cut, then the events after it.
fn partial(pair: &Pair, history: &History, cut: usize) {
    let folder = pair.path("snapshots");
    let _ = std::fs::remove_dir_all(folder);
    log(pair, &history.lines[..cut]);
    primary(pair, &history.orders(cut));
    let create = ["snapshot", "create", "{}", "--verify", "--yes", "--quiet"];
    pair.trueup(&create).exit(0);
    pair.sql(Side::Read, RUBBISH);
    let orders = history.orders(history.len());
    log(pair, &history.lines);
    primary(pair, &orders);
    let args = [
        "replay",
        "partial",
        "{}",
        "--snapshot",
        "latest",
        "--yes",
        "--quiet",
        "--format",
        "json",
    ];
    let done = pair.trueup(&args).exit(0).json();
    equal_oracle(pair, &orders, &format!("from a snapshot at {cut}"));
    counts_hold(&done, history, (cut, history.len()));
    pair.trueup(&["verify", "{}", "--quiet"]).exit(0);
}

#[test]
fn every_history_comes_to_the_oracle() {
    let seed = seed();
    let histories = size(60, 1_000) as u64;
    let system = system(Engine::Sqlite).expect("SQLite is always there");
    let (mut records, mut cuts) = (0, 0);
    for n in 0..histories {
        let this = seed.wrapping_add(n);
        println!("history {this}");
        let (mut rng, history) = random(this);
        records += history.len();
        whole(&system, &history);
        if n % 3 == 0 {
            cuts += 1;
            let cut = rng.random_range(1..=history.len());
            partial(&system, &history, cut);
        }
        system.sql(Side::Read, RUBBISH);
        system.sql(Side::Read, "DELETE FROM book WHERE order_id < 0");
    }
    println!("{histories} histories, {records} events, {cuts} snapshots: replay = oracle");
}

#[test]
fn on_postgres_as_well() {
    let seed = seed();
    let Some(system) = system(Engine::Postgres) else {
        return;
    };
    for n in 0..size(4, 100) as u64 {
        let this = seed.wrapping_add(n);
        println!("history {this}");
        let (mut rng, history) = random(this);
        whole(&system, &history);
        let cut = rng.random_range(1..=history.len());
        partial(&system, &history, cut);
        system.sql(Side::Read, "DELETE FROM book WHERE order_id < 0");
    }
}

/// Killed at a point, and run again until it is through: nothing is added twice.
fn through_crashes(engine: Engine) {
    let seed = seed();
    let Some(system) = system(engine) else {
        return;
    };
    let mut crashed = 0;
    for (n, point) in [
        "load.appending:2",
        "load.appended:1",
        "load.appended:3",
        "settle.moved:1",
        "settle.settled:1",
        "load.built:1",
        "check.done:1",
        "swap.sealed:1",
    ]
    .into_iter()
    .enumerate()
    {
        let history = History::random(seed.wrapping_add(n as u64), 20, 400, 3);
        let orders = history.orders(history.len());
        log(&system, &history.lines);
        primary(&system, &orders);
        let mut first = system.command(BIG_BANG);
        first
            .env("TRUEUP_CRASH", point)
            .env("TRUEUP_BATCH_BYTES", "2000");
        let ran = run(&mut first);
        crashed += usize::from(ran.code != 0);
        if ran.code != 0 {
            system.trueup(BIG_BANG).exit(0);
        }
        equal_oracle(&system, &orders, point);
        system.sql(Side::Read, RUBBISH);
        system.sql(Side::Read, "DELETE FROM book WHERE order_id < 0");
    }
    println!("{crashed} crashes");
    assert!(crashed >= 6, "only {crashed} points were reached");
}

#[cfg(feature = "faults")]
#[test]
fn a_run_that_died_adds_nothing_twice() {
    through_crashes(Engine::Sqlite);
}

#[cfg(feature = "faults")]
#[test]
fn a_run_that_died_adds_nothing_twice_on_postgres() {
    through_crashes(Engine::Postgres);
}
