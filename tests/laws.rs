//! The laws of a replay, over random histories on SQLite and an archive, against an oracle that shares no code with the
//! engine. A failing seed is printed; `TRUEUP_SEED` runs it again.

use std::collections::BTreeMap;

use crate::oracle::{self, Columns, Counts, Record};
use crate::support::embedded::Embedded;
use crate::support::{seed, size};

const TABLE: &str = "(id INTEGER PRIMARY KEY, name TEXT, note TEXT, number TEXT)";

fn playbook(extra: &str) -> String {
    format!(
        "version: 1\nname: laws\nprimary: {{ url: \"sqlite:primary.db\" }}\nread_store: {{ url: \"sqlite:read.db\" }}\n\
         log: {{ archive: log.jsonl }}\napplied: none\nsources:\n  t: {{ topic: shop.public.t, table: t{extra} }}\n\
         views:\n  copy: {{ from: t, key: [id] }}\n"
    )
}

/// A row as the databases print it.
fn row(id: i64, columns: &Columns) -> Vec<String> {
    let cell = |name: &str| {
        columns
            .get(name)
            .cloned()
            .flatten()
            .unwrap_or_else(|| "∅".to_owned())
    };
    vec![id.to_string(), cell("name"), cell("note"), cell("number")]
}

fn insert(table: &str, rows: &BTreeMap<i64, Columns>) -> String {
    let quote = |v: &Option<String>| {
        v.as_ref().map_or_else(
            || "NULL".to_owned(),
            |v| format!("'{}'", v.replace('\'', "''")),
        )
    };
    let mut sql = String::from("BEGIN;");
    for (id, columns) in rows {
        let cells: Vec<String> = ["name", "note", "number"]
            .iter()
            .map(|c| quote(&columns.get(*c).cloned().flatten()))
            .collect();
        sql.push_str(&format!(
            "INSERT INTO {table} VALUES ({id}, {});\n",
            cells.join(", ")
        ));
    }
    sql + "COMMIT;"
}

/// A system whose primary holds what the history comes to, and whose read table holds something else.
fn system(history: &[Record], rows: &BTreeMap<i64, Columns>) -> Embedded {
    let system = Embedded::new(
        &format!("CREATE TABLE t {TABLE};"),
        &format!("CREATE TABLE copy {TABLE};"),
    );
    system.playbook(&playbook(""));
    system.sql("primary.db", &insert("t", rows));
    system.sql(
        "read.db",
        "INSERT INTO copy VALUES (-5, 'old', NULL, ''), (1, 'wrong', 'wrong', 'wrong')",
    );
    system.log(&oracle::archive("shop.public.t", history));
    system
}

/// Replays, and holds table and counts against the oracle.
#[track_caller]
fn replays_to(system: &Embedded, rows: &BTreeMap<i64, Columns>, counts: &Counts) {
    let done = system
        .trueup(&[
            "replay", "big-bang", "{}", "--yes", "--quiet", "--format", "json",
        ])
        .exit(0)
        .json();
    let want: Vec<Vec<String>> = rows.iter().map(|(id, columns)| row(*id, columns)).collect();
    assert_eq!(
        system.rows("read.db", "SELECT * FROM copy ORDER BY id"),
        want
    );
    let found = &done["counts"];
    let number = |name: &str| found[name].as_u64().unwrap();
    let ours = Counts {
        put: number("put"),
        deleted: number("deleted"),
        stale: number("stale"),
        duplicate: number("duplicate"),
        tombstone: found["ignored"]["tombstone"].as_u64().unwrap_or(0),
    };
    assert_eq!(ours, *counts);
    assert_eq!(number("read"), counts.read());
}

#[test]
fn every_history_replays_to_the_oracle() {
    let seed = seed();
    let histories = size(100, 2_000) as u64;
    let mut records = 0;
    for n in 0..histories {
        let this = seed.wrapping_add(n);
        println!("history {this}");
        let (keys, events, partitions) = (1 + this % 40, 1 + (this / 7) % 250, 1 + this % 5);
        let history =
            oracle::random_history(this, keys as i64, events as usize, partitions as usize);
        let history = oracle::interleave(this, &history);
        records += history.len();
        let (rows, counts) = oracle::outcome(&history);
        let system = system(&history, &rows);
        replays_to(&system, &rows, &counts);
        system.trueup(&["verify", "{}", "--quiet"]).exit(0);
        if n % 10 == 0 {
            // Twice is once.
            replays_to(&system, &rows, &counts);
        }
    }
    println!("{histories} histories, {records} records");
}

/// Events of one key in many partitions, and older ones after newer ones within a partition.
fn scattered(seed: u64, keys: i64) -> Vec<Record> {
    use rand::rngs::StdRng;
    use rand::seq::SliceRandom;
    use rand::{RngExt, SeedableRng};
    let mut rng = StdRng::seed_from_u64(seed);
    let mut events: Vec<(i64, u64)> = (0..keys)
        .flat_map(|key| (0..4).map(move |n| (key, n)))
        .collect();
    events.shuffle(&mut rng);
    let mut next = [0i64; 6];
    let mut history = Vec::new();
    for (key, n) in events {
        let partition = rng.random_range(0..6usize);
        let lsn = 1_000 + n * 1_000_000 + u64::try_from(key).unwrap();
        let op = if rng.random_range(0..10) == 0 {
            oracle::Op::Delete
        } else {
            oracle::Op::Put(Columns::from([
                ("name".to_owned(), Some(format!("{key} {n}"))),
                ("note".to_owned(), None),
                ("number".to_owned(), Some(String::new())),
            ]))
        };
        let offset = next[partition];
        next[partition] += 1;
        history.push(Record {
            partition: partition as i32,
            offset,
            key,
            lsn: Some(lsn),
            op,
        });
    }
    history
}

#[test]
fn scattered_keys_end_in_their_newest_in_any_interleaving() {
    let seed = seed();
    let history = scattered(seed, size(1_000, 10_000) as i64);
    let mut stale = 0;
    for n in 0..size(10, 200) as u64 {
        let this = oracle::interleave(seed.wrapping_add(n), &history);
        let (rows, counts) = oracle::outcome(&this);
        stale += counts.stale;
        replays_to(&system(&this, &rows), &rows, &counts);
    }
    println!("stale in all: {stale}");
    assert!(stale > 0, "nothing was out of order");
}

#[test]
fn without_positions_scattered_keys_are_refused_by_name() {
    let mut history = scattered(seed(), 200);
    for record in &mut history {
        record.lsn = None;
    }
    let system = system(&history, &BTreeMap::new());
    let ran = system
        .trueup(&["replay", "big-bang", "{}", "--yes"])
        .exit(3)
        .says(&["is in partitions", "key ", "order_by"]);
    assert!(ran.stderr.contains("more keys"), "{}", ran.stderr);
    assert_eq!(system.rows("read.db", "SELECT count(*) FROM copy"), [["2"]]);
}

#[test]
fn a_named_field_orders_where_positions_do_not() {
    // The name counts up per key, and says so although the positions say otherwise.
    let put = |partition, offset, lsn, a: &str| Record {
        partition,
        offset,
        key: 1,
        lsn: Some(lsn),
        op: oracle::Op::Put(Columns::from([
            ("name".to_owned(), Some(a.to_owned())),
            ("note".to_owned(), None),
            ("number".to_owned(), None),
        ])),
    };
    let history = [put(0, 0, 900, "newest"), put(1, 0, 100, "oldest")];
    let rows = BTreeMap::from([(
        1,
        Columns::from([("name".to_owned(), Some("oldest".to_owned()))]),
    )]);
    let system = system(&history, &rows);
    system.playbook(&playbook(", order_by: source.ts_ms"));
    system
        .trueup(&["replay", "big-bang", "{}", "--yes", "--no-check"])
        .exit(0);
    assert_eq!(
        system.rows("read.db", "SELECT name FROM copy"),
        [["newest"]]
    );
}
