//! A partial replay in place writes what a stretch of the log says of its keys, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::{History, copy_row, insert, partial, primary, system};
use crate::oracle::{self, Record};
use crate::support::embedded::{Embedded, change, line};
use crate::support::{seed, size};

type Table = BTreeMap<i64, Vec<String>>;

fn copy(system: &Embedded) -> Table {
    let rows = system.rows("read.db", "SELECT * FROM copy");
    rows.into_iter()
        .map(|row| (row[0].parse().unwrap(), row))
        .collect()
}

/// The records from these offsets on, the first of each partition.
fn stretch(records: &[Record], from: &BTreeMap<i32, i64>) -> Vec<Record> {
    let within = |r: &&Record| from.get(&r.partition).is_some_and(|at| r.offset >= *at);
    records.iter().filter(within).cloned().collect()
}

/// A beginning in some of the partitions.
fn offsets(rng: &mut StdRng, records: &[Record]) -> BTreeMap<i32, i64> {
    let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
    for record in records {
        ends.insert(record.partition, record.offset + 1);
    }
    let mut from = BTreeMap::new();
    for (partition, end) in ends {
        if rng.random_ratio(3, 4) {
            from.insert(partition, rng.random_range(0..=end));
        }
    }
    from
}

/// Keys that a stretch says something of, with their last rows. A tombstone right behind its delete says nothing more.
fn said(stretch: &[Record]) -> BTreeMap<i64, Option<Vec<String>>> {
    let (rows, _) = oracle::outcome(stretch);
    let last = |r: &Record| (r.key, rows.get(&r.key).map(|c| copy_row(r.key, c)));
    stretch.iter().map(last).collect()
}

fn has_note(row: Option<&Vec<String>>) -> bool {
    row.is_some_and(|row| row[2] == "a")
}

/// What is asked beside the stretch, and which keys it leaves.
fn narrowed(
    rng: &mut StdRng,
    said: &BTreeMap<i64, Option<Vec<String>>>,
    before: &Table,
) -> (Vec<String>, BTreeSet<i64>) {
    let all: Vec<i64> = said.keys().copied().collect();
    match rng.random_range(0..3) {
        0 if !all.is_empty() => {
            let some: Vec<i64> = all.sample(rng, all.len().div_ceil(2)).copied().collect();
            let text: Vec<String> = some.iter().map(ToString::to_string).collect();
            // One that the stretch says nothing of.
            let keys = format!("{},-77", text.join(","));
            (vec!["--keys".to_owned(), keys], some.into_iter().collect())
        }
        1 => {
            let is_in = |id: &&i64| has_note(said[*id].as_ref()) || has_note(before.get(*id));
            let filter = vec!["--where".to_owned(), "{ note: a }".to_owned()];
            (filter, all.iter().filter(is_in).copied().collect())
        }
        _ => (Vec::new(), all.into_iter().collect()),
    }
}

fn holds(seed: u64) -> usize {
    let mut rng = StdRng::seed_from_u64(seed);
    let (keys, partitions) = (rng.random_range(2..40), rng.random_range(1..6));
    let history = History::random(seed, keys, 120, partitions);
    let records = history.of(0, 0, history.len());
    let system = system();
    let whole = history.state(history.len());
    system.log(&history.archive(history.len()));
    primary(&system, &whole);
    system.sql("read.db", &insert("copy", &whole.t));
    system.sql("read.db", "UPDATE copy SET name = 'by hand' WHERE id % 3 = 0; DELETE FROM copy WHERE id % 5 = 1; INSERT OR REPLACE INTO copy VALUES (0, 'by hand', 'a', ''), (-9, 'stays', 'a', '');");

    let from = offsets(&mut rng, &records);
    let stretch = stretch(&records, &from);
    if !stretch.iter().any(|r| r.lsn.is_some()) {
        return 0;
    }
    let before = copy(&system);
    let said = said(&stretch);
    let (narrow, wanted) = narrowed(&mut rng, &said, &before);
    let mut expected = before.clone();
    for id in &wanted {
        match &said[id] {
            Some(row) => expected.insert(*id, row.clone()),
            None => expected.remove(id),
        };
    }
    let written: Vec<String> = from
        .iter()
        .map(|(partition, offset)| format!("shop.public.t:{partition}:{offset}"))
        .collect();
    let from_offsets = written.join(",");
    let mut flags = vec!["--view", "copy", "--from-offsets", &from_offsets];
    flags.extend(narrow.iter().map(String::as_str));
    let done = partial(&system, &flags).exit(0).json();
    assert_eq!(copy(&system), expected, "from {from_offsets} {narrow:?}");

    let differing = |id: &&i64| before.get(*id) != expected.get(*id);
    let repairs = wanted.iter().filter(differing).count();
    if repairs > 0 {
        let run = done["run"].as_str().unwrap();
        system
            .trueup(&["undo", "{}", run, "--yes", "--quiet"])
            .exit(0);
    }
    assert_eq!(copy(&system), before, "undone");
    repairs
}

#[test]
fn only_keys_of_the_stretch_are_written_and_undo_takes_them_back() {
    let seed = seed();
    let stretches = size(20, 300) as u64;
    let mut repairs = 0;
    for n in 0..stretches {
        let this = seed.wrapping_add(n);
        println!("stretch {this}");
        repairs += holds(this);
    }
    println!("{stretches} stretches, {repairs} repairs, all taken back");
    assert!(repairs > 0, "nothing was repaired");
}

#[test]
fn a_time_is_the_offsets_written_since() {
    let system = Embedded::usual();
    let put = |offset, id: i64, a: &str| {
        let key = format!("{{\"id\":{id}}}");
        line(
            0,
            offset,
            &key,
            Some(&change("u", 10 + offset as u64, id, a, 1)),
        )
    };
    // `line` writes one a millisecond, from 2023-11-14 22:13:20 on.
    system.log(&[put(0, 1, "before"), put(1, 2, "at"), put(2, 3, "after")].concat());
    let begin = "2023-11-14T22:13:20.001Z";
    let done = partial(&system, &["--from-time", begin]).exit(0).json();
    assert!(done["run"].is_string(), "{done}");
    assert_eq!(
        system.rows("read.db", "SELECT id, a FROM copy ORDER BY id"),
        [["2", "at"], ["3", "after"]]
    );
}

#[test]
fn a_query_is_refused_in_place() {
    let history = History::random(3, 5, 20, 2);
    let system = system();
    system.log(&history.archive(history.len()));
    partial(&system, &["--from-offsets", "shop.public.t:0:0"])
        .exit(3)
        .says(&["by_note", "is a query", "--snapshot"]);
}
