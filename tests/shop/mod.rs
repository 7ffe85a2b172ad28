//! The whole promise at once: a shop of eleven tables that is written to all the time, Debezium, Kafka, and twelve reports as
//! one would write them. Whatever rebuilds or repairs a report must end with the rows of the primary's own view.

mod planted;
mod system;
mod views;
mod writer;

use std::time::Instant;

use system::Shop;
use views::VIEWS;
use writer::Writer;

use crate::support::{Ran, seed, size};

#[test]
fn reports() {
    let seed = seed();
    let Some(shop) = Shop::open("tu_shop", size(400, 200_000), seed) else {
        return;
    };
    // So that the log has a history, not only a snapshot's rows.
    writer::write(&shop.carried.primary_url(), seed, size(400, 20_000) as u64);
    shop.carried.captured();
    empty_tables_are_drift(&shop);
    rebuilt_while_written(&shop, seed);
    planted::found_and_repaired(&shop, seed);
    swapped_together(&shop);
    from_a_snapshot(&shop, seed);
}

/// Runs a command that must end in this exit code, and says how long it took.
#[track_caller]
fn timed(shop: &Shop, args: &[&str], code: i32) -> serde_json::Value {
    run(shop, args).exit(code).json()
}

fn run(shop: &Shop, args: &[&str]) -> Ran {
    let began = Instant::now();
    let ran = shop.trueup(&[args, &["--format", "json", "--quiet"]].concat());
    println!(
        "{}: exit {} in {:?}",
        args.join(" "),
        ran.code,
        began.elapsed()
    );
    ran
}

fn empty_tables_are_drift(shop: &Shop) {
    let verdict = timed(shop, &["verify", "{}"], 1);
    let found = verdict["views"].as_array().unwrap();
    assert_eq!(found.len(), VIEWS.len(), "{verdict}");
    for (view, found) in VIEWS.iter().zip(found) {
        let rows = shop.primary(&format!("SELECT count(*) FROM reports.{}", view.name));
        assert_eq!(found["view"], view.name);
        // So many that not all of them are looked at again are a case for a replay, and are counted apart.
        let missing = ["missing", "unknown"].map(|kind| found[kind].as_u64().unwrap());
        assert_eq!(missing.iter().sum::<u64>().to_string(), rows, "{found}");
        assert_eq!(
            (&found["extra"], &found["changed"]),
            (&0.into(), &0.into()),
            "{found}"
        );
    }
}

/// The first replay runs beside a writer, so that some keys may never be decided; the second must be exact.
fn rebuilt_while_written(shop: &Shop, seed: u64) {
    let writer = Writer::start(shop.carried.primary_url(), seed.wrapping_add(1));
    let first = run(shop, &["replay", "big-bang", "{}", "--yes"]);
    assert!(
        matches!(first.code, 0 | 5),
        "{}: {}",
        first.code,
        first.stderr
    );
    let (written, rate) = writer.stop();
    println!("{written} transactions meanwhile, {rate} a second");
    assert!(written > 0, "nobody wrote");
    for view in &VIEWS {
        let (rows, _) = shop.differing(view);
        let rebuilt = shop.reads(&format!("SELECT count(*) > 0 FROM reports.{}", view.name));
        assert!(rows > 0 && rebuilt == "t", "{} is empty", view.name);
    }
    shop.carried.captured();
    timed(shop, &["replay", "big-bang", "{}", "--yes"], 0);
    shop.equal("rebuilt from offset zero");
    timed(shop, &["verify", "{}"], 0);
}

/// Two views in one command: no moment shows one of them new and the other one old.
fn swapped_together(shop: &Shop) {
    let pair = ["order_summary", "latest_orders"];
    for name in pair {
        shop.reads(&format!("DELETE FROM reports.{name}"));
    }
    shop.reads("DELETE FROM reports.contacts WHERE kind = 'supplier'");
    let tables = || {
        shop.reads("SELECT string_agg(oid::text, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'reports'::regnamespace AND relname IN ('order_summary', 'latest_orders')")
    };
    let before = tables();
    let mut replay = shop
        .command(&[
            "replay", "big-bang", "{}", "--yes", "--quiet", "--view", pair[0], "--view", pair[1],
        ])
        .spawn()
        .unwrap();
    let mut seen = vec![before.clone()];
    let status = loop {
        let ended = replay.try_wait().unwrap();
        let now = tables();
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        if let Some(status) = ended {
            break status;
        }
    };
    assert!(status.success(), "{status}");
    assert_eq!(seen.len(), 2, "more than one swap: {seen:?}");
    let changed = before
        .split(' ')
        .zip(seen[1].split(' '))
        .filter(|(old, new)| old != new);
    assert_eq!(changed.count(), 2, "{seen:?}");
    for view in &VIEWS {
        let (_, found) = shop.differing(view);
        assert_eq!(found.is_empty(), view.name != "contacts", "{}", view.name);
    }
    run(shop, &["reconcile", "{}", "--apply", "--yes"]).exit(0);
    shop.equal("two views swapped together, and one repaired");
}

/// A snapshot that is known to be good, and the log after it: the same rows as from offset zero.
fn from_a_snapshot(shop: &Shop, seed: u64) {
    run(shop, &["snapshot", "create", "{}", "--verify", "--yes"]).exit(0);
    let more = size(400, 20_000) as u64;
    writer::write(&shop.carried.primary_url(), seed.wrapping_add(2), more);
    shop.carried.captured();
    let verdict = timed(shop, &["verify", "{}"], 1);
    assert_eq!(verdict["verdict"], "drift", "the writer changed nothing");
    let partial = ["replay", "partial", "{}", "--snapshot", "latest", "--yes"];
    timed(shop, &partial, 0);
    shop.equal("rebuilt from a snapshot");
    timed(shop, &["verify", "{}"], 0);
}
