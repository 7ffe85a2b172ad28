//! A partial replay comes to what a replay of the whole log comes to, wherever the snapshot was cut.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{History, RUBBISH, create, equal_oracle, partial, primary, system, tables};
use crate::support::counts::add_up;
use crate::support::{seed, size};

/// How a snapshot comes to be known as good.
const WAYS: u64 = 3;

/// Two snapshots at two cuts, the second going on from the first; then the rest of the log.
fn agrees(seed: u64) -> usize {
    let mut rng = StdRng::seed_from_u64(seed);
    let (keys, events, partitions) = (
        rng.random_range(1..40),
        rng.random_range(10..150),
        rng.random_range(1..6),
    );
    let history = History::random(seed, keys, events, partitions);
    let end = history.len();
    let first = rng.random_range(history.both()..=end);
    let second = rng.random_range(first..=end);
    let system = system();
    let whole = history.state(end);

    system.log(&history.archive(first));
    let (parent, none) = create(&system, &[]);
    assert_eq!(none, None);
    system.log(&history.archive(second));
    let way = seed % WAYS;
    let flags: &[&str] = if way == 1 { &["--verify"] } else { &[] };
    primary(&system, &history.state(second));
    let (snapshot, from) = create(&system, flags);
    assert_eq!(
        from.as_deref(),
        Some(parent.as_str()),
        "it goes on from the first"
    );
    system.log(&history.archive(end));
    primary(&system, &whole);
    if way == 2 {
        system
            .trueup(&["snapshot", "verify", "{}", &snapshot, "--yes", "--quiet"])
            .exit(0);
    }
    let flags: &[&str] = match way {
        0 => &["--snapshot", "latest", "--unverified"],
        1 => &["--snapshot", "latest"],
        _ => &["--snapshot", &snapshot],
    };
    let done = partial(&system, flags).exit(0).json();
    equal_oracle(&system, &whole, "partial");
    let of = |source| history.of(source, second, end).len() as u64;
    // Two copies and a staged source read the one topic, a staged source the other.
    assert_eq!(add_up(&done["counts"]), 3 * of(0) + of(1));
    let rebuilt = tables(&system);

    system.sql("read.db", RUBBISH);
    let args = [
        "replay", "big-bang", "{}", "--yes", "--quiet", "--format", "json",
    ];
    let big_bang = system.trueup(&args).exit(0).json();
    equal_oracle(&system, &whole, "big bang");
    assert_eq!(rebuilt, tables(&system));
    assert_eq!(done["positions"], big_bang["positions"]);
    end
}

#[test]
fn partial_is_big_bang_wherever_the_snapshot_was_cut() {
    let seed = seed();
    let histories = size(25, 500) as u64;
    let mut records = 0;
    for n in 0..histories {
        let this = seed.wrapping_add(n);
        println!("history {this}");
        records += agrees(this);
    }
    println!(
        "{histories} histories, {records} records, two snapshots each: partial = big bang = oracle"
    );
}
