//! A table that changed while its log was written: what an older record does not have is not NULL.

use serde_json::{Value, json};

use super::log::{Log, envelope, replayed};
use crate::support::embedded::usual_playbook;

const UNCHANGED: &str = "__debezium_unavailable_value";

fn of(log: Log, id: i64, op: &str, lsn: u64, row: &Value) -> Log {
    log.put(0, Some(&json!({"id": id})), Some(&envelope(op, lsn, row)))
}

#[test]
fn a_column_that_was_added_with_a_default() {
    // Records from before know nothing of it, and no event came for the rows that got it.
    let log = of(Log::default(), 1, "c", 10, &json!({"id": 1, "a": "old"}));
    let log = of(log, 2, "c", 20, &json!({"id": 2, "a": "new", "b": null}));
    let done = replayed(
        &log.system("INSERT INTO t VALUES (1, 'old', 7), (2, 'new', NULL)", ""),
        &[["1", "old", "7"], ["2", "new", "∅"]],
    );
    assert_eq!(done["settled"], json!(["1"]));
}

#[test]
fn a_column_that_was_dropped() {
    let log = of(
        Log::default(),
        1,
        "c",
        10,
        &json!({"id": 1, "a": "x", "b": 1, "dropped": {"any": 1}}),
    );
    replayed(
        &log.system("INSERT INTO t VALUES (1, 'x', 1)", ""),
        &[["1", "x", "1"]],
    );
}

/// The former name counts until the new one is there; another column may have taken it over since.
#[test]
fn a_column_that_was_renamed() {
    let log = of(
        Log::default(),
        1,
        "c",
        10,
        &json!({"id": 1, "was": "before", "b": 1}),
    );
    let log = of(
        log,
        2,
        "c",
        20,
        &json!({"id": 2, "a": "after", "was": "of another column", "b": 2}),
    );
    let log = of(
        log,
        3,
        "c",
        30,
        &json!({"id": 3, "was": "of another column", "a": "after", "b": 3}),
    );
    let log = of(log, 1, "u", 40, &json!({"id": 1, "a": UNCHANGED, "b": 4}));
    let system = log.system(
        "INSERT INTO t VALUES (1, 'before', 4), (2, 'after', 2), (3, 'after', 3)",
        "",
    );
    let columns = "key: [id], columns: { id: id, a: [a, was], b: b } }";
    system.playbook(&usual_playbook().replace("key: [id] }", columns));
    replayed(
        &system,
        &[
            ["1", "before", "4"],
            ["2", "after", "2"],
            ["3", "after", "3"],
        ],
    );
}

/// With schemas each record says how it is to be read; the former name has its own type.
#[test]
fn a_column_that_was_retyped_and_renamed_under_schemas() {
    let schema = |name: &str, field: &Value| {
        let mut field = field.clone();
        field["field"] = json!(name);
        json!({"type": "struct", "fields": [{"type": "struct", "field": "after", "fields": [
            {"type": "int64", "field": "id"}, field, {"type": "int64", "field": "b"}]}]})
    };
    let decimal = |scale: &str| json!({"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": scale}});
    let put = |log: Log, id: i64, lsn: u64, name: &str, field: &Value, value: &Value| {
        let payload = envelope("c", lsn, &json!({"id": id, name: value, "b": id}));
        log.put(
            0,
            Some(&json!({"id": id})),
            Some(&json!({"schema": schema(name, field), "payload": payload})),
        )
    };
    // 150 under the scale of then and of now, a number, and a text.
    let log = put(Log::default(), 1, 10, "was", &decimal("2"), &json!("AJY="));
    let log = put(log, 2, 20, "a", &decimal("1"), &json!("AJY="));
    let log = put(log, 3, 30, "a", &json!({"type": "int32"}), &json!(150));
    let log = put(log, 4, 40, "a", &json!({"type": "string"}), &json!("150"));
    let primary =
        "INSERT INTO t VALUES (1, '1.50', 1), (2, '15.0', 2), (3, '150', 3), (4, '150', 4)";
    let system = log.system(primary, "");
    let columns = "key: [id], columns: { id: id, a: [a, was], b: b } }";
    system.playbook(&usual_playbook().replace("key: [id] }", columns));
    replayed(
        &system,
        &[
            ["1", "1.50", "1"],
            ["2", "15.0", "2"],
            ["3", "150", "3"],
            ["4", "150", "4"],
        ],
    );
}

/// Of a bare record only JSON's own types are known: numbers that became texts are read, and what cannot be told is settled.
#[test]
fn a_column_that_was_retyped_in_bare_records() {
    let log = of(
        Log::default(),
        1,
        "c",
        10,
        &json!({"id": 1, "a": 42, "b": 1}),
    );
    let log = of(log, 2, "c", 20, &json!({"id": 2, "a": true, "b": 2}));
    let log = of(log, 3, "c", 30, &json!({"id": 3, "a": 1e30, "b": "3"}));
    let primary = "INSERT INTO t VALUES (1, '42', 1), (2, 'true', 2), (3, '1e+30', 3)";
    let done = replayed(
        &log.system(primary, ""),
        &[["1", "42", "1"], ["2", "true", "2"], ["3", "1e+30", "3"]],
    );
    assert_eq!(done["settled"], json!(["3"]));
}

/// Snapshot rows have it, streamed ones do not.
#[test]
fn a_column_that_the_primary_computes() {
    let log = of(
        Log::default(),
        1,
        "r",
        10,
        &json!({"id": 1, "a": "x", "b": 1}),
    );
    let log = of(log, 3, "r", 10, &json!({"id": 3, "a": "zz", "b": 2}));
    let log = of(log, 2, "c", 20, &json!({"id": 2, "a": "y"}));
    let log = of(log, 1, "u", 30, &json!({"id": 1, "a": "longer"}));
    let system = log.system("", "");
    system.sql("primary.db", "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER AS (length(a)) STORED); INSERT INTO t (id, a) VALUES (1, 'longer'), (2, 'y'), (3, 'zz')");
    let done = replayed(
        &system,
        &[["1", "longer", "6"], ["2", "y", "1"], ["3", "zz", "2"]],
    );
    // What it was before says nothing of what it is.
    assert_eq!(done["settled"], json!(["1", "2"]));
}
