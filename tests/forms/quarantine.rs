//! Records that cannot be applied: they stop a replay, or are kept and block their keys.

use serde_json::{Value, json};

use super::log::{Log, envelope, replayed};
use crate::support::embedded::Embedded;

const TO_QUARANTINE: [&str; 6] = [
    "replay",
    "big-bang",
    "{}",
    "--yes",
    "--on-bad",
    "quarantine",
];

/// A record whose value is not as the table has it: a text is an object.
fn bad(log: Log, partition: usize, id: i64, lsn: u64) -> Log {
    let row = json!({"id": id, "a": {"secret": "s"}, "b": 1});
    log.put(
        partition,
        Some(&json!({"id": id})),
        Some(&envelope("u", lsn, &row)),
    )
}

fn listed(system: &Embedded) -> Vec<Value> {
    let list = system
        .trueup(&["quarantine", "list", "{}", "--all", "--format", "json"])
        .exit(0)
        .json();
    list["quarantined"].as_array().unwrap().clone()
}

/// Key 1 is changed, changed badly, and changed again; key 2 is whole.
fn log() -> Log {
    let log = Log::default()
        .change(0, "c", 10, 1, "before", 1)
        .change(1, "c", 15, 2, "whole", 2);
    bad(log, 0, 1, 20)
        .change(0, "u", 30, 1, "after", 3)
        .change(1, "u", 35, 2, "whole still", 2)
}

#[test]
fn a_record_that_cannot_be_applied_stops_the_run_unless_it_is_set_aside() {
    let primary = "INSERT INTO t VALUES (1, 'after', 3), (2, 'whole still', 2)";
    let system = log().system(primary, "");
    system
        .trueup(&["replay", "big-bang", "{}", "--yes"])
        .exit(3)
        .says(&["record shop.main.t:0:1", "column a", "an object"]);
    assert!(listed(&system).is_empty());

    let mut args = TO_QUARANTINE.to_vec();
    args.extend(["--format", "json"]);
    let done = system.trueup(&args).exit(0).json();
    let counts = &done["counts"];
    assert_eq!(
        (&counts["quarantined"], &counts["blocked"], &counts["read"]),
        (&json!(1), &json!(1), &json!(5)),
        "{counts}"
    );
    assert_eq!(done["holes"], json!([]));
    assert_eq!(done["settled"].as_array().unwrap().len(), 1);
    // The primary says what the key's row is.
    let rows = system.rows("read.db", "SELECT * FROM copy ORDER BY id");
    assert_eq!(rows, [["1", "after", "3"], ["2", "whole still", "2"]]);
    let listed = listed(&system);
    assert_eq!(listed.len(), 1);
    let one = &listed[0];
    assert_eq!(one["record"], "shop.main.t:0:1");
    assert_eq!(one["key"], json!(["1"]));
    assert_eq!(one["standing"], "settled");
    let kept: Value = serde_json::from_str(one["record_value"].as_str().unwrap()).unwrap();
    assert_eq!(kept["after"]["a"], json!({"secret": "s"}));
    let reason = one["reason"].as_str().unwrap();
    assert!(
        reason.contains("column a") && !reason.contains("secret"),
        "{reason}"
    );
    system
        .trueup(&["quarantine", "list", "{}"])
        .exit(0)
        .shows(&["no records are in quarantine"]);
}

#[test]
fn what_is_in_quarantine_was_never_there_for_the_others() {
    // A bad record of a key that is gone at the end, one of a key that only it has, and a newer one in another partition.
    let log = bad(log(), 1, 7, 40);
    let log = bad(log, 0, 2, 41)
        .change(0, "d", 50, 2, "", 0)
        .tombstone(0, 2);
    let system = log.system("INSERT INTO t VALUES (1, 'after', 3), (7, 'new', 7)", "");
    system.trueup(&TO_QUARANTINE).exit(0);
    let rows = system.rows("read.db", "SELECT * FROM copy ORDER BY id");
    assert_eq!(rows, [["1", "after", "3"], ["7", "new", "7"]]);
    assert_eq!(listed(&system).len(), 3);
    system.trueup(&["verify", "{}"]).exit(0);
}

#[test]
fn a_key_that_cannot_be_read_stops_in_any_case() {
    for key in [json!({"other": 1}), json!("no"), json!({"id": {"deep": 1}})] {
        let log = Log::default().change(0, "c", 10, 1, "a", 1).put(
            0,
            Some(&key),
            Some(&json!({"op": "x"})),
        );
        let system = log.system("INSERT INTO t VALUES (1, 'a', 1)", "");
        system
            .trueup(&TO_QUARANTINE)
            .exit(3)
            .says(&["shop.main.t:0:1"]);
        assert!(listed(&system).is_empty(), "{key}");
    }
}

#[test]
fn a_value_that_its_column_does_not_take_is_set_aside_too() {
    let log = Log::default().change(0, "c", 10, 1, "a", 1).put(
        0,
        Some(&json!({"id": 2})),
        Some(&envelope("c", 20, &json!({"id": 2, "a": "x", "b": 1.5}))),
    );
    let system = log.system("INSERT INTO t VALUES (1, 'a', 1), (2, 'x', 1)", "");
    system
        .trueup(&["replay", "big-bang", "{}", "--yes"])
        .exit(3)
        .says(&["shop.main.t:0:1"]);
    system.trueup(&TO_QUARANTINE).exit(0);
    let rows = system.rows("read.db", "SELECT * FROM copy ORDER BY id");
    assert_eq!(rows, [["1", "a", "1"], ["2", "x", "1"]]);
}

#[test]
fn without_bad_records_nothing_is_another() {
    let log = Log::default().change(0, "c", 10, 1, "a", 1);
    let system = log.system("INSERT INTO t VALUES (1, 'a', 1)", "");
    let done = replayed(&system, &[["1", "a", "1"]]);
    assert_eq!(done["counts"]["quarantined"], 0);
    system
        .trueup(&["quarantine", "skip", "{}", "--record", "t:0:9", "--yes"])
        .exit(3)
        .says(&["record t:0:9 is not in quarantine"]);
    system
        .trueup(&["quarantine", "retry", "{}", "--yes"])
        .exit(0)
        .shows(&["no records are in quarantine"]);
}

/// Without a primary nobody says what the row is: the swap needs a word, and the log is read again once it can be.
#[test]
fn a_record_is_read_again_when_it_can_be() {
    let system = log().system(
        "INSERT INTO t VALUES (1, 'after', 3), (2, 'whole still', 2)",
        ", key: [id], types: { id: INTEGER, a: TEXT, b: INTEGER }",
    );
    let (primary, away) = (system.path("primary.db"), system.path("away.db"));
    std::fs::rename(&primary, &away).unwrap();
    let mut args = TO_QUARANTINE.to_vec();
    args.extend(["--no-check", "--quiet"]);
    system
        .trueup(&args)
        .exit(3)
        .says(&["there is 1 key", "--accept-holes"]);
    args.push("--accept-holes");
    system.trueup(&args).exit(0);
    let rows = || system.rows("read.db", "SELECT * FROM copy ORDER BY id");
    assert_eq!(rows(), [["1", "before", "1"], ["2", "whole still", "2"]]);
    std::fs::rename(&away, &primary).unwrap();
    let retry = ["quarantine", "retry", "{}", "--yes", "--quiet"];
    system
        .trueup(&retry)
        .exit(3)
        .says(&["record shop.main.t:0:1", "column a"]);
    assert_eq!(rows()[0], ["1", "before", "1"]);
    assert_eq!(listed(&system)[0]["standing"], "open");
    // What wrote the log has mended the record.
    let archive = system.path("log.jsonl");
    let text = std::fs::read_to_string(&archive).unwrap();
    let mended = text.replace(r#"{\"secret\":\"s\"}"#, r#"\"mended\""#);
    assert_ne!(text, mended);
    std::fs::write(&archive, mended).unwrap();
    system.trueup(&retry).exit(0);
    assert_eq!(rows(), [["1", "after", "3"], ["2", "whole still", "2"]]);
    assert_eq!(listed(&system)[0]["standing"], "retried");
    system.trueup(&["verify", "{}"]).exit(0);
}
