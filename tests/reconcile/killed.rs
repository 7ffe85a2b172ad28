//! `kill -9` at random instants of an application: journal and table agree, and the next run finishes.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::support::pair::{Engine, Pair, Side};
use crate::support::{seed, size};

const ROWS: usize = 4_000;

fn table(engine: Engine, name: &str) -> String {
    let numbers = match engine {
        Engine::Sqlite => format!(
            "WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) SELECT i, i * 3 FROM n"
        ),
        Engine::Postgres => format!("SELECT i, i * 3 FROM generate_series(1, {ROWS}) AS i"),
    };
    format!(
        "CREATE TABLE {name} (id BIGINT PRIMARY KEY, n BIGINT NOT NULL); INSERT INTO {name} {numbers};"
    )
}

/// Half of the rows drift: changed, gone, or not expected.
const DRIFT: &str = "UPDATE r SET n = -n WHERE id % 3 = 0; DELETE FROM r WHERE id % 12 = 1; INSERT INTO r SELECT id + 1000000, 0 FROM r WHERE id % 12 = 2;";

fn journal(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "trueup_journal",
        Engine::Postgres => "trueup.journal",
    }
}

/// The table as key and number.
fn rows(pair: &Pair, side: Side, table: &str) -> BTreeMap<i64, i64> {
    let row = |line: String| {
        let (id, n) = line.split_once('|').unwrap();
        (id.parse().unwrap(), n.parse().unwrap())
    };
    pair.lines(side, &format!("SELECT id, n FROM {table}"))
        .into_iter()
        .map(row)
        .collect()
}

/// What the journal says that every repaired row is now.
fn journalled(pair: &Pair, engine: Engine, before: usize) -> BTreeMap<i64, Option<i64>> {
    let journal = journal(engine);
    let number = |text: &serde_json::Value| text.as_str().unwrap().parse::<i64>().unwrap();
    let query = format!("SELECT key, after FROM {journal} ORDER BY written_at, number");
    let entry = |line: String| {
        let (key, after) = line.split_once('|').unwrap();
        let key: serde_json::Value = serde_json::from_str(key).unwrap();
        let after: Option<serde_json::Value> = serde_json::from_str(after).ok();
        (number(&key["id"]), after.map(|a| number(&a["n"])))
    };
    let all = pair.lines(Side::Read, &query).into_iter();
    all.skip(before).map(entry).collect()
}

fn killed(engine: Engine, name: &str, kills: usize) {
    let Some(pair) = Pair::new(engine, name) else {
        return;
    };
    pair.sql(Side::Primary, &table(engine, "p"));
    pair.sql(Side::Read, &table(engine, "r"));
    pair.playbook_of("none", "sources: { p: { topic: x.public.p, table: p } }\nviews: { r: { from: p, key: [id] } }\nlimits: { repairs_max: \"100%\", deletes_max: \"100%\" }\n");
    let apply = ["reconcile", "{}", "--apply", "--yes", "--quiet"];
    let wanted = rows(&pair, Side::Primary, "p");
    let mut rng = StdRng::seed_from_u64(seed());

    pair.sql(Side::Read, DRIFT);
    let began = Instant::now();
    pair.trueup(&apply).exit(0);
    let whole = began.elapsed();
    let (mut in_the_middle, mut unconfirmed) = (0, 0);
    for kill in 0..kills {
        let before = count(&pair, engine, "TRUE");
        pair.sql(Side::Read, DRIFT);
        let drifted = rows(&pair, Side::Read, "r");
        let mut child = pair
            .command(&apply)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(
            rng.random_range(0..whole.as_micros() as u64),
        ));
        let _ = child.kill();
        child.wait().unwrap();

        settled(&pair, engine);
        let said = journalled(&pair, engine, before);
        let mut expected = drifted;
        for (id, n) in &said {
            match n {
                Some(n) => expected.insert(*id, *n),
                None => expected.remove(id),
            };
        }
        let now = rows(&pair, Side::Read, "r");
        assert_eq!(
            unequal(&now, &expected),
            [],
            "kill {kill}: the table is what the journal says"
        );
        in_the_middle += usize::from(!said.is_empty() && expected != wanted);
        unconfirmed += count(&pair, engine, UNCONFIRMED);

        finish(&pair, &apply);
        let now = rows(&pair, Side::Read, "r");
        assert_eq!(
            unequal(&now, &wanted),
            [],
            "kill {kill}: the next run finished"
        );
        assert_eq!(
            count(&pair, engine, UNCONFIRMED),
            0,
            "kill {kill}: nothing is left unconfirmed"
        );
    }
    println!(
        "{engine:?}: {kills} kills within {whole:?}, {in_the_middle} of them half-way, {unconfirmed} repairs left unconfirmed, 0 wrong"
    );
}

const UNCONFIRMED: &str = "confirmation = 'unconfirmed'";

/// Repairs in the journal.
fn count(pair: &Pair, engine: Engine, which: &str) -> usize {
    let query = format!("SELECT count(*) FROM {} WHERE {which}", journal(engine));
    pair.lines(Side::Read, &query)[0].parse().unwrap()
}

/// The first rows in which two tables differ.
fn unequal(a: &BTreeMap<i64, i64>, b: &BTreeMap<i64, i64>) -> Vec<(i64, Option<i64>, Option<i64>)> {
    let ids: BTreeSet<i64> = a.keys().chain(b.keys()).copied().collect();
    let rows = ids
        .into_iter()
        .map(|id| (id, a.get(&id).copied(), b.get(&id).copied()));
    rows.filter(|(_, x, y)| x != y).take(5).collect()
}

/// A server goes on for a moment with what a dead client had sent.
fn settled(pair: &Pair, engine: Engine) {
    if engine == Engine::Postgres {
        let alive = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'trueup' AND datname = current_database()";
        while pair.lines(Side::Read, alive)[0] != "0" {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn finish(pair: &Pair, apply: &[&str]) {
    pair.trueup(apply).exit(0);
    pair.trueup(&["verify", "{}"]).exit(0);
}

#[test]
fn on_sqlite() {
    killed(Engine::Sqlite, "killed", size(10, 50));
}

#[test]
fn on_postgres() {
    killed(Engine::Postgres, "killed", size(10, 50));
}
