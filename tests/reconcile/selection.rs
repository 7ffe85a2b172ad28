//! Which differences a plan takes, and what becomes of repairs that others came across.

use crate::support::embedded::{Embedded, usual_playbook};
use crate::support::pair::{Engine, Pair, Side};

/// Ten rows and their copy, in which 1 and 2 have another `a`, 3 another `b`, 4 both; 5 is missing, and 11 is extra.
fn system() -> Embedded {
    let system = Embedded::usual();
    let rows = |table: &str| -> String {
        let row = |i| format!("INSERT INTO {table} VALUES ({i}, 'a{i}', {i});");
        (1..=10).map(row).collect()
    };
    system.sql("primary.db", &rows("t"));
    system.sql("read.db", &rows("copy"));
    system.sql(
        "read.db",
        "UPDATE copy SET a = 'x' WHERE id IN (1, 2, 4); UPDATE copy SET b = 0 WHERE id IN (3, 4); DELETE FROM copy WHERE id = 5;
         INSERT INTO copy VALUES (11, 'a11', 11)",
    );
    system
}

/// Keys of the rows that differ from what they should be.
fn differing(system: &Embedded) -> Vec<String> {
    let found = system.trueup(&["verify", "{}", "--format", "json"]);
    let samples = found.json()["views"][0]["samples"].clone();
    let key = |s: &serde_json::Value| s["key"]["id"].as_str().unwrap().to_owned();
    samples.as_array().unwrap().iter().map(key).collect()
}

#[test]
fn each_flag_takes_its_part() {
    for (flags, left) in [
        (&["--kind", "missing"][..], &["1", "2", "3", "4", "11"][..]),
        (
            &["--kind", "extra", "--kind", "missing"],
            &["1", "2", "3", "4"],
        ),
        (&["--keys", "1, 5,11"], &["2", "3", "4"]),
        (
            &["--keys", "[[2], 3]", "--keys", "7"],
            &["1", "4", "5", "11"],
        ),
        // In if its expected or its actual row passes.
        (&["--where", "a: [x]"], &["3", "5", "11"]),
        (&["--where", "b: [3, 11]"], &["1", "2", "4", "5"]),
        (
            &[
                "--where",
                "{ a: { not: x }, b: { not: null } }",
                "--kind",
                "changed",
            ],
            &["5", "11"],
        ),
        // 4 keeps its other column.
        (&["--column", "a"], &["3", "4", "5", "11"]),
        (&["--column", "a", "--column", "b"], &["5", "11"]),
    ] {
        let system = system();
        let mut line = vec!["reconcile", "{}", "--apply", "--yes"];
        line.extend(flags);
        system.trueup(&line).exit(0);
        assert_eq!(differing(&system), left, "{flags:?}");
        system.trueup(&["undo", "{}", "latest", "--yes"]).exit(0);
        assert_eq!(
            differing(&system),
            ["1", "2", "3", "4", "5", "11"],
            "{flags:?}"
        );
    }
    let system = system();
    for (flags, says) in [
        (&["--keys", "x"][..], "no value of column id"),
        (&["--keys", "[[1, 2]]"], "has 2 parts, the key has 1"),
        (&["--where", "c: 1"], "compares no column c"),
        (&["--where", "a: ["], "--where:"),
        (&["--column", "c"], "compares no column c"),
        (&["--plan", "nowhere.json"], "nowhere.json"),
    ] {
        let mut line = vec!["reconcile", "{}"];
        line.extend(flags);
        system.trueup(&line).exit(2).says(&[says]);
    }
}

#[test]
fn undo_leaves_what_somebody_has_written_since() {
    let system = system();
    system
        .trueup(&["reconcile", "{}", "--apply", "--yes"])
        .exit(0);
    system.sql(
        "read.db",
        "UPDATE copy SET b = 77 WHERE id = 1; DELETE FROM copy WHERE id = 5",
    );
    system
        .trueup(&["undo", "{}", "latest", "--yes", "--keys", "2,3"])
        .exit(0);
    system
        .trueup(&["undo", "{}", "latest", "--yes", "--keys", "9"])
        .exit(3)
        .says(&["repaired no key 9"]);
    let run = system.trueup(&["runs", "{}", "--format", "json"]).json()["runs"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let done = system
        .trueup(&["undo", "{}", &run, "--yes", "--format", "json"])
        .exit(5)
        .json();
    assert_eq!(done["moved_on"], serde_json::json!(["1", "5"]));
    assert_eq!(
        system.rows(
            "read.db",
            "SELECT id, a, b FROM copy WHERE id IN (1, 2, 3, 4, 5, 11)"
        ),
        [
            ["1", "a1", "77"],
            ["2", "x", "2"],
            ["3", "a3", "0"],
            ["4", "x", "0"],
            ["11", "a11", "11"]
        ]
    );
    system
        .trueup(&["undo", "{}", "nothing", "--yes"])
        .exit(3)
        .says(&["there is no run nothing"]);
    system
        .trueup(&["undo", "{}", &run])
        .exit(3)
        .says(&["nobody can be asked here"]);
}

#[test]
fn what_the_database_does_not_take_holds_nothing_up() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(pair) = Pair::new(engine, "blocked") else {
            continue;
        };
        let table = |name: &str, more: &str| {
            format!("CREATE TABLE {name} (id INTEGER PRIMARY KEY, a TEXT{more});")
        };
        pair.sql(Side::Primary, &(table("t", "") + "INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four'), (5, 'five')"));
        // 1 and 2 have each other's value, and 2 is left alone at first; 3 wants what 4 must give up first.
        pair.sql(
            Side::Read,
            &(table("r", " UNIQUE")
                + "INSERT INTO r VALUES (1, 'two'), (2, 'one'), (3, 'x'), (4, 'three'), (5, 'y')"),
        );
        pair.playbook_of("none", "sources: { t: { topic: x.public.t, table: t } }\nviews: { r: { from: t, key: [id] } }\n");
        let apply = ["reconcile", "{}", "--apply", "--yes", "--format", "json"];
        let some = [&apply[..], &["--keys", "1,3,4,5"]].concat();
        let done = pair.trueup(&some).exit(5).json();
        let blocked: Vec<&str> = done["blocked"]
            .as_array()
            .unwrap()
            .iter()
            .map(|b| b["key"].as_str().unwrap())
            .collect();
        assert_eq!(blocked, ["1"], "{done}");
        assert!(
            done["blocked"][0]["why"]
                .as_str()
                .unwrap()
                .to_lowercase()
                .contains("unique"),
            "{done}"
        );
        assert_eq!(done["updated"], 3);
        assert_eq!(
            pair.lines(Side::Read, "SELECT a FROM r ORDER BY id"),
            ["two", "one", "three", "four", "five"]
        );
        let runs = pair
            .trueup(&["runs", "{}", "--format", "json"])
            .exit(0)
            .json();
        assert_eq!(runs["runs"][0]["state"], "incomplete");
        // With both of them, they exchange.
        let done = pair.trueup(&apply).exit(0).json();
        assert_eq!(done["updated"], 2, "{done}");
        pair.trueup(&["verify", "{}"]).exit(0);
    }
}

#[test]
fn bookkeeping_and_columns_of_others() {
    let system = Embedded::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z')",
        "CREATE TABLE copy (no INTEGER PRIMARY KEY, a TEXT, at BIGINT NOT NULL, seen BIGINT, note TEXT, made TEXT DEFAULT 'd');
         INSERT INTO copy VALUES (1, 'old', 5, 6, 'by hand', 'm'), (2, 'y', 7, 8, 'mine', 'm')",
    );
    let columns =
        "{ no: id, a: a, at: \"@offset\", seen: \"@lsn\", note: \"@foreign\", made: \"@default\" }";
    system.playbook(
        &usual_playbook().replace("key: [id] }", &format!("key: [no], columns: {columns} }}")),
    );
    system
        .trueup(&["reconcile", "{}", "--apply", "--yes"])
        .exit(0);
    // An inserted row is older than every record; an updated one keeps what it had.
    assert_eq!(
        system.rows("read.db", "SELECT * FROM copy"),
        [
            ["1", "x", "5", "6", "by hand", "m"],
            ["2", "y", "7", "8", "mine", "m"],
            ["3", "z", "0", "∅", "∅", "d"],
        ]
    );
    system.sql(
        "read.db",
        "CREATE TABLE strict (no INTEGER PRIMARY KEY, a TEXT, note TEXT NOT NULL)",
    );
    system.playbook(&usual_playbook().replace("copy: {", "strict: {").replace(
        "key: [id] }",
        "key: [no], columns: { no: id, a: a, note: \"@foreign\" } }",
    ));
    system
        .trueup(&["reconcile", "{}", "--apply", "--yes"])
        .exit(3)
        .says(&["cannot be inserted", "note"]);
}
