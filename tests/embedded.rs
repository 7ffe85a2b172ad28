//! What a replay and a verification do, on SQLite and an archive: rows that the log does not hold whole, filters,
//! bookkeeping, columns of others, schemas in the records, ends before the end, and lag that is promised to pass.

use std::time::Duration;

use crate::support::embedded::{Embedded, change, line, usual_playbook};

const UNCHANGED: &str = "__debezium_unavailable_value";

fn key(id: i64) -> String {
    format!("{{\"id\":{id}}}")
}

#[test]
fn a_hole_takes_the_newest_older_value_and_else_the_primary_s() {
    let system = Embedded::usual();
    system.sql(
        "primary.db",
        "INSERT INTO t VALUES (1, 'kept', 2), (2, 'from the primary', 20)",
    );
    system.log(
        &[
            line(0, 0, &key(1), Some(&change("c", 10, 1, "kept", 1))),
            line(1, 0, &key(1), Some(&change("u", 20, 1, UNCHANGED, 2))),
            line(1, 1, &key(2), Some(&change("u", 30, 2, UNCHANGED, 20))),
        ]
        .concat(),
    );
    let done = system
        .trueup(&["replay", "big-bang", "{}", "--yes", "--format", "json"])
        .exit(0)
        .json();
    assert_eq!(done["settled"], serde_json::json!(["2"]));
    assert_eq!(
        system.rows("read.db", "SELECT * FROM copy"),
        [["1", "kept", "2"], ["2", "from the primary", "20"]]
    );
}

#[test]
fn the_filter_looks_at_the_newest_version() {
    let system = Embedded::usual();
    system.playbook(&usual_playbook().replace(
        "key: [id] }",
        "key: [id], where: { b: { not: [0, null] } } }",
    ));
    system.sql(
        "primary.db",
        "INSERT INTO t VALUES (1, 'in', 5), (2, 'out', 0), (3, 'back', 7)",
    );
    system.log(
        &[
            line(0, 0, &key(1), Some(&change("c", 10, 1, "in", 5))),
            line(0, 1, &key(2), Some(&change("c", 11, 2, "was in", 4))),
            line(0, 2, &key(2), Some(&change("u", 12, 2, "out", 0))),
            line(0, 3, &key(3), Some(&change("u", 14, 3, "back", 7))),
            line(0, 4, &key(3), Some(&change("u", 13, 3, "was out", 0))),
        ]
        .concat(),
    );
    system
        .trueup(&["replay", "big-bang", "{}", "--yes"])
        .exit(0);
    assert_eq!(
        system.rows("read.db", "SELECT id FROM copy"),
        [["1"], ["3"]]
    );
    system.trueup(&["verify", "{}"]).exit(0);
}

#[test]
fn bookkeeping_is_written_and_columns_of_others_are_kept() {
    let system = Embedded::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER); INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2)",
        "CREATE TABLE copy (no INTEGER PRIMARY KEY, a TEXT, at INTEGER, part INTEGER, pos INTEGER, note TEXT, made TEXT DEFAULT 'd');
         INSERT INTO copy VALUES (1, 'old', 0, 0, 0, 'by hand', 'm')",
    );
    let columns = "{ no: id, a: a, at: \"@offset\", part: \"@partition\", pos: \"@lsn\", note: \"@foreign\", made: \"@default\" }";
    system.playbook(
        &usual_playbook().replace("key: [id] }", &format!("key: [no], columns: {columns} }}")),
    );
    system.log(
        &[
            line(0, 0, &key(1), Some(&change("c", 10, 1, "x", 1))),
            line(1, 0, &key(2), Some(&change("c", 11, 2, "y", 2))),
        ]
        .concat(),
    );
    system.trueup(&["verify", "{}"]).exit(1);
    system
        .trueup(&["replay", "big-bang", "{}", "--yes"])
        .exit(0);
    assert_eq!(
        system.rows("read.db", "SELECT no, a, at, part, pos, note FROM copy"),
        [
            ["1", "x", "0", "0", "10", "by hand"],
            ["2", "y", "0", "1", "11", "∅"]
        ]
    );
    system.trueup(&["verify", "{}"]).exit(0);
}

#[test]
fn records_with_their_schema() {
    let system = Embedded::usual();
    system.sql("primary.db", "INSERT INTO t VALUES (7, 'x', 3)");
    let field =
        |name: &str, kind: &str| serde_json::json!({"type": kind, "optional": true, "field": name});
    let row = serde_json::json!([
        field("id", "int64"),
        field("a", "string"),
        field("b", "int64")
    ]);
    let schema = serde_json::json!({"type": "struct", "fields": [{"type": "struct", "field": "before", "fields": row}, {"type": "struct", "field": "after", "fields": row}]});
    let payload: serde_json::Value = serde_json::from_str(&change("c", 10, 7, "x", 3)).unwrap();
    let value = serde_json::json!({"schema": schema, "payload": payload}).to_string();
    let id = serde_json::json!({"schema": {"type": "struct", "fields": [field("id", "int64")]}, "payload": {"id": 7}}).to_string();
    system.log(&line(0, 0, &id, Some(&value)));
    system
        .trueup(&["replay", "big-bang", "{}", "--yes"])
        .exit(0);
    assert_eq!(
        system.rows("read.db", "SELECT * FROM copy"),
        [["7", "x", "3"]]
    );
}

#[test]
fn older_records_may_use_a_column_s_former_name() {
    let system = Embedded::usual();
    system.playbook(&usual_playbook().replace(
        "key: [id] }",
        "key: [id], columns: { id: id, a: [a, was_a], b: b } }",
    ));
    system.sql(
        "primary.db",
        "INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2)",
    );
    let old = change("c", 10, 1, "x", 1).replace("\"a\":", "\"was_a\":");
    system.log(
        &[
            line(0, 0, &key(1), Some(&old)),
            line(0, 1, &key(2), Some(&change("c", 11, 2, "y", 2))),
        ]
        .concat(),
    );
    let done = system
        .trueup(&["replay", "big-bang", "{}", "--yes", "--format", "json"])
        .exit(0)
        .json();
    assert_eq!(done["settled"], serde_json::json!([]));
    assert_eq!(system.rows("read.db", "SELECT a FROM copy"), [["x"], ["y"]]);
}

#[test]
fn an_end_before_the_end_swaps_nothing() {
    let system = Embedded::usual();
    system.sql("primary.db", "INSERT INTO t VALUES (1, 'b', 2)");
    system.sql("read.db", "INSERT INTO copy VALUES (1, 'live', 0)");
    system.log(
        &[
            line(0, 0, &key(1), Some(&change("c", 10, 1, "a", 1))),
            line(0, 1, &key(1), Some(&change("u", 11, 1, "b", 2))),
        ]
        .concat(),
    );
    for until in ["shop.main.t:0:1", "2023-11-14T22:13:20.001Z"] {
        let done = system
            .trueup(&[
                "replay", "big-bang", "{}", "--yes", "--until", until, "--format", "json",
            ])
            .exit(0)
            .json();
        let kept = done["views"][0]["kept"].as_str().unwrap();
        assert_eq!(
            system.rows("read.db", &format!("SELECT id, a, b FROM \"{kept}\"")),
            [["1", "a", "1"]]
        );
        assert_eq!(system.rows("read.db", "SELECT a FROM copy"), [["live"]]);
    }
    system
        .trueup(&[
            "replay",
            "big-bang",
            "{}",
            "--yes",
            "--until",
            "shop.main.t:0:9",
        ])
        .exit(3)
        .says(&["outside the log"]);
    system
        .trueup(&["replay", "big-bang", "{}", "--yes", "--until", "yesterday"])
        .exit(3)
        .says(&["neither a time"]);
}

#[test]
fn a_dry_run_writes_nothing() {
    let system = Embedded::usual();
    system.log(&line(0, 0, &key(1), Some(&change("c", 10, 1, "a", 1))));
    let before = std::fs::read(system.path("read.db")).unwrap();
    let plan = system
        .trueup(&["replay", "big-bang", "{}", "--dry-run", "--format", "json"])
        .exit(0)
        .json();
    assert_eq!(plan["loads"][0]["records"], 1);
    assert_eq!(plan["loads"][0]["order"], "source position (lsn)");
    assert_eq!(std::fs::read(system.path("read.db")).unwrap(), before);
}

#[test]
fn what_was_exchanged_in_place_cannot_be_rolled_back() {
    let system = Embedded::usual();
    system.sql("primary.db", "INSERT INTO t VALUES (1, 'a', 1)");
    let put = change("c", 10, 1, "a", 1);
    system.log(&line(0, 0, &key(1), Some(&put)));
    let back = ["rollback", "{}", "latest", "--yes"];
    system
        .trueup(&back)
        .exit(3)
        .says(&["no run keeps an old table: nothing was swapped here"]);
    let done = system
        .trueup(&["replay", "big-bang", "{}", "--yes", "--format", "json"])
        .exit(0)
        .json();
    let run = done["run"].as_str().unwrap();
    system
        .trueup(&["rollback", "{}", run, "--yes"])
        .exit(3)
        .says(&["cannot be taken back", "contents were exchanged"]);
    system
        .trueup(&["undo", "{}", run, "--yes"])
        .exit(3)
        .says(&["`trueup rollback` brings the old table back"]);
    assert_eq!(
        system.rows("read.db", "SELECT * FROM copy"),
        [["1", "a", "1"]]
    );
}

#[test]
fn a_log_that_knows_less_than_the_live_table_is_not_swapped_in() {
    let system = Embedded::usual();
    system.playbook(&format!(
        "{}limits: {{ deletes_max: 0 }}\n",
        usual_playbook()
    ));
    system.sql(
        "primary.db",
        "INSERT INTO t VALUES (1, 'a', 1), (2, 'never logged', 2)",
    );
    system.sql(
        "read.db",
        "INSERT INTO copy VALUES (1, 'a', 1), (2, 'never logged', 2)",
    );
    system.log(&line(0, 0, &key(1), Some(&change("c", 10, 1, "a", 1))));
    system
        .trueup(&["replay", "big-bang", "{}", "--yes"])
        .exit(3)
        .says(&["worse than the live table", "drop 1 rows"]);
    assert_eq!(system.rows("read.db", "SELECT count(*) FROM copy"), [["2"]]);
}

#[test]
fn a_restored_primary_is_an_epoch_that_must_be_named() {
    let system = Embedded::usual();
    system.sql(
        "primary.db",
        "INSERT INTO t VALUES (1, 'after the restore', 2)",
    );
    // The position falls back while the clock runs on.
    let later =
        change("u", 20, 1, "after the restore", 2).replace("1700000000020", "1700000900000");
    system.log(
        &[
            line(0, 0, &key(1), Some(&change("c", 900, 1, "before", 1))),
            line(0, 1, &key(1), Some(&later)),
        ]
        .concat(),
    );
    system
        .trueup(&["replay", "big-bang", "{}", "--yes"])
        .exit(3)
        .says(&["epochs:", "key 1"]);
    system.playbook(&usual_playbook().replace("table: t }", "table: t, epochs: [{ 0: 1 }] }"));
    system
        .trueup(&["replay", "big-bang", "{}", "--yes"])
        .exit(0);
    assert_eq!(
        system.rows("read.db", "SELECT a FROM copy"),
        [["after the restore"]]
    );
}

#[test]
fn lag_that_passes_is_no_drift_and_lag_that_does_not_is() {
    let system = Embedded::usual();
    system.playbook(&usual_playbook().replace("applied: none", "applied: { within: 2s }"));
    system.sql(
        "primary.db",
        "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)",
    );
    system.sql(
        "read.db",
        "INSERT INTO copy VALUES (1, 'a', 1), (2, 'late', 2)",
    );
    let report = std::thread::scope(|scope| {
        let verify = scope.spawn(|| {
            system
                .trueup(&["verify", "{}", "--format", "json"])
                .exit(0)
                .json()
        });
        std::thread::sleep(Duration::from_millis(800));
        let other = Embedded::connect(&system.path("read.db"));
        other("UPDATE copy SET a = 'b' WHERE id = 2");
        verify.join().unwrap()
    });
    assert_eq!(report["views"][0]["lagging"], 1);
    system.sql("read.db", "UPDATE copy SET a = 'drifted' WHERE id = 2");
    let report = system
        .trueup(&["verify", "{}", "--format", "json"])
        .exit(1)
        .json();
    assert_eq!(report["views"][0]["changed"], 1);
}

#[test]
fn of_several_playbooks_the_gravest_outcome_counts() {
    let (good, bad) = (Embedded::usual(), Embedded::usual());
    bad.sql("read.db", "INSERT INTO copy VALUES (9, 'extra', 0)");
    let path = |s: &Embedded| crate::support::text(&s.path("playbook.yaml"));
    let ran =
        crate::support::trueup(&["verify", &path(&good), &path(&bad), "--format", "json"]).exit(1);
    assert_eq!(ran.stdout.lines().count(), 2);
    crate::support::trueup(&["verify", &path(&bad), "nowhere.yaml"]).exit(2);
}

#[test]
fn the_demo_finds_what_it_planted() {
    let folder = tempfile::tempdir().unwrap();
    let ran =
        crate::support::run(crate::support::command(&["demo", "bank"]).current_dir(folder.path()))
            .exit(0);
    let first = ran.stdout.split("trueup reconcile").next().unwrap();
    for found in ["3 ", "7 ", "13 ", "21 ", "28 ", "32 "] {
        assert!(
            first.contains(&format!("account={found}")),
            "{found}: {}",
            ran.stdout
        );
    }
    assert_eq!(first.matches("account=").count(), 6);
    assert!(
        ran.stdout.contains("38 rows equal the primary"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.lines().count() <= 100, "about two screens");

    // What it leaves is in sync, and what is planted there by hand is found: that, and nothing else.
    let bank = folder.path().join("bank");
    let playbook = crate::support::text(&bank.join("playbook.yaml"));
    let verify = ["verify", &playbook, "--format", "json"];
    crate::support::trueup(&verify).exit(0);
    Embedded::connect(&bank.join("read.db"))(
        "UPDATE account_list SET cents = cents + 1 WHERE account IN (2, 40); UPDATE account_list SET holder = '' WHERE account = 5;
         DELETE FROM account_list WHERE account = 1; INSERT INTO account_list VALUES (99, 'nobody', 0, 'open')",
    );
    let found = crate::support::trueup(&verify).exit(1).json();
    let samples = found["views"][0]["samples"].as_array().unwrap().clone();
    let planted: Vec<String> = samples
        .iter()
        .map(|s| {
            format!(
                "{} {}",
                s["key"]["account"].as_str().unwrap(),
                s["kind"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        planted,
        [
            "1 missing",
            "2 changed",
            "5 changed",
            "40 changed",
            "99 extra"
        ]
    );
    crate::support::run(crate::support::command(&["demo", "bank"]).current_dir(folder.path()))
        .exit(3)
        .says(&["exists already"]);
}
