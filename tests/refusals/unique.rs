//! Unique indexes beside the key: rows that only exchange their values are written; rows that cannot stand together are
//! refused, and named.

use std::time::Duration;

use serde_json::json;

use super::{BIG_BANG, put, refusal};
use crate::pace::Running;
use crate::support::pair::{Engine, Pair, Side};
use crate::support::projector::topics::{self, Writer};
use crate::support::service;

const APPLY: [&str; 4] = ["reconcile", "{}", "--apply", "--yes"];

/// `t` without, and its copy with a unique index over `a`.
fn pair(engine: Engine, name: &str) -> Option<Pair> {
    let pair = Pair::new(engine, name)?;
    let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER);";
    pair.sql(Side::Primary, table);
    pair.sql(
        Side::Read,
        &format!("{table} CREATE UNIQUE INDEX only_once ON t (a);"),
    );
    pair.playbook_of(
        "none",
        "sources: { t: { topic: shop.main.t, table: t } }\nviews: { t: { from: t, key: [id] } }\n",
    );
    Some(pair)
}

/// Values that go round among rows, beside a chain of them and rows that are not concerned.
fn exchanged(engine: Engine) {
    let Some(pair) = pair(engine, "exchanged") else {
        return;
    };
    pair.sql(Side::Read, "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (4, 'd', 4), (5, 'e', 5), (6, 'f', 6), (7, 'g', 7), (8, 'h', 8)");
    // 1 and 2 exchange, 3 to 5 go round, 6 takes what 7 gives up, 9 comes with what 8 had.
    pair.sql(Side::Primary, "INSERT INTO t VALUES (1, 'b', 1), (2, 'a', 2), (3, 'd', 3), (4, 'e', 4), (5, 'c', 5), (6, 'g', 6), (7, 'x', 7), (9, 'h', 9)");
    let ran = pair.trueup(&APPLY).exit(0);
    let run = ran
        .stdout
        .split_whitespace()
        .find(|w| w.contains('_') && w.starts_with("20"))
        .map(str::to_owned);
    let whole = |side| pair.dump(side, "t", &["id", "a", "b"]);
    assert_eq!(whole(Side::Primary), whole(Side::Read), "{}", ran.stdout);
    pair.trueup(&["verify", "{}"]).exit(0);
    // Taking it back exchanges them again.
    let run = run.unwrap_or_else(|| panic!("no run: {}", ran.stdout));
    let run = run.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    pair.trueup(&["undo", "{}", run, "--yes"]).exit(0);
    assert_eq!(
        pair.lines(Side::Read, "SELECT a FROM t ORDER BY id"),
        ["a", "b", "c", "d", "e", "f", "g", "h"]
    );
}

#[test]
fn exchanged_between_rows_on_sqlite() {
    exchanged(Engine::Sqlite);
}

#[test]
fn exchanged_between_rows_on_postgres() {
    exchanged(Engine::Postgres);
}

/// Where a delete would take other rows along, nothing is taken out and put back: the keys are named, and nothing is written.
#[test]
fn not_where_a_delete_sets_something_off() {
    let Some(pair) = pair(Engine::Postgres, "cascading") else {
        return;
    };
    pair.sql(Side::Read, "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2); CREATE TABLE child (id int REFERENCES t ON DELETE CASCADE); INSERT INTO child VALUES (1), (2)");
    pair.sql(
        Side::Primary,
        "INSERT INTO t VALUES (1, 'b', 1), (2, 'a', 2)",
    );
    let ran = pair.trueup(&APPLY).exit(5);
    let said = ran.stdout + &ran.stderr;
    for words in [
        "only_once",
        "not taken out of the table and put back",
        "child",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(
        pair.lines(Side::Read, "SELECT a FROM t ORDER BY id"),
        ["a", "b"]
    );
    assert_eq!(pair.lines(Side::Read, "SELECT count(*) FROM child"), ["2"]);
}

/// The log gives two rows one value for good.
#[test]
fn two_rows_of_one_value() {
    let Some(pair) = pair(Engine::Postgres, "shared") else {
        return;
    };
    pair.sql(Side::Read, "INSERT INTO t VALUES (1, 'old', 1)");
    pair.sql(
        Side::Primary,
        "INSERT INTO t VALUES (3, 'x', 3), (5, 'y', 5), (7, 'x', 7)",
    );
    let log = put(0, 0, 10, 3, "x") + &put(0, 1, 11, 5, "y") + &put(1, 0, 12, 7, "x");
    std::fs::write(pair.path("log.jsonl"), log).unwrap();
    let plan = pair
        .trueup(&["replay", "big-bang", "{}", "--dry-run"])
        .exit(0)
        .stdout;
    assert!(plan.contains("note: public.t is unique by a, and the primary's public.t is not: rows of one value stop the run before the swap"), "{plan}");
    let said = refusal(pair.trueup(&BIG_BANG), 3);
    insta::assert_snapshot!(said, @"error: view t: rows that the log gives to public.t have one value of its unique index only_once: keys 3 and 7; public.t is as it was; if the primary allows such rows, drop the index, else see why the log has them");
    assert_eq!(pair.lines(Side::Read, "SELECT * FROM t"), ["1|old|1"]);
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'trueup\\_2%'";
    assert_eq!(pair.lines(Side::Read, left), ["0"]);
}

/// A value goes from a row of one partition to a row of another: where the load is cut both have it, and so has the table
/// being caught up for a moment. Neither is the end.
#[test]
fn two_rows_of_one_value_for_a_moment() {
    let (Some(brokers), Some(pair)) = (
        service("TRUEUP_TEST_KAFKA"),
        pair(Engine::Postgres, "moment"),
    ) else {
        return;
    };
    let topic = topics::create(&brokers, "tu_moment", 2);
    pair.playbook(&format!(
        "version: 1\nname: x\nprimary: {{ url: \"{}\" }}\nread_store: {{ url: \"{}\" }}\nlog: {{ kafka: {{ brokers: \"{brokers}\" }} }}\napplied: none\n\
         sources: {{ t: {{ topic: {topic}, table: t }} }}\nviews: {{ t: {{ from: t, key: [id] }} }}\n",
        pair.url(Side::Primary),
        pair.url(Side::Read)
    ));
    let writer = Writer::plain(&brokers, &topic);
    let put = |partition: i32, lsn: u64, id: i64, a: &str| {
        let envelope = topics::envelope("c", &json!({"id": id, "a": a, "b": id}), lsn);
        writer.send(partition, &json!({"id": id}), Some(&envelope));
        writer.flush();
    };
    for id in 1..=20 {
        put(0, u64::try_from(id).unwrap(), id, &format!("v{id}"));
    }
    put(1, 100, 50, "x");
    // Key 51 has x already, and that key 50 gave it up has not arrived.
    put(0, 102, 51, "x");
    let file = pair.path("cutover");
    std::fs::write(&file, "").unwrap();
    let args = [
        &BIG_BANG[..],
        &["--rate", "5", "--cutover-file", "cutover", "--no-check"],
    ]
    .concat();
    let running = Running::start(&mut pair.command(&args));
    std::thread::sleep(Duration::from_secs(2));
    put(1, 101, 50, "y");
    let at = |stage: &str| {
        let asked = format!(
            "SELECT count(*) FROM trueup.run WHERE stage = '{stage}' AND state = 'running'"
        );
        pair.lines(Side::Read, "SELECT to_regclass('trueup.run') IS NOT NULL") == ["t"]
            && pair.lines(Side::Read, &asked) == ["1"]
    };
    crate::support::projector::until_within(Duration::from_secs(60), "the shadow is ready", || {
        at("swapping")
    });
    // Rows exchange values, and a new row comes before the one that makes room for it.
    put(0, 203, 60, "v1");
    put(0, 202, 2, "v3");
    put(1, 201, 3, "v2");
    put(1, 204, 1, "z");
    std::thread::sleep(Duration::from_secs(3));
    std::fs::remove_file(&file).unwrap();
    let (code, _, said) = running.end();
    assert_eq!(code, 0, "{said}");
    assert_eq!(
        pair.lines(
            Side::Read,
            "SELECT id, a FROM t WHERE id IN (1, 2, 3, 50, 51, 60) ORDER BY id"
        ),
        ["1|z", "2|v3", "3|v2", "50|y", "51|x", "60|v1"]
    );
    topics::delete(&brokers, &topic);
}
