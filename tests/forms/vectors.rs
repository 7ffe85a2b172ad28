//! The test vectors of the design, those that are Debezium's: each a record and the exact row, or the exact error.

use serde_json::{Value, json};
use trueup::projection::cell::Cell;
use trueup::projection::change::Op;
use trueup::projection::decode::Settings;

use super::log::{Log, envelope, replayed, row};
use super::recorded::{change, column, decoder, of};

/// What one column is read as, out of a bare change record.
#[track_caller]
fn value(kind: &str, settings: &Settings, op: &str, raw: &str) -> Result<Cell<'static>, String> {
    let mut decoder = decoder(vec![column("c", kind, true)], settings.clone());
    let record = format!(
        r#"{{"before":null,"after":{{"id":1,"c":{raw}}},"op":"{op}","source":{{"connector":"postgresql","name":"s","db":"d","lsn":9,"ts_ms":1,"snapshot":null}}}}"#
    );
    match change(&mut decoder, Some(r#"{"id":1}"#), Some(&record))?.op {
        Op::Put(row) => Ok(row.into_iter().nth(1).unwrap()),
        Op::Lost => Err("lost".to_owned()),
        other => panic!("{other:?}"),
    }
}

fn bare(kind: &str, raw: &str) -> Result<Cell<'static>, String> {
    value(kind, &Settings::default(), "c", raw)
}

fn numeric(text: &str) -> Result<Cell<'static>, String> {
    Ok(Cell::Numeric(text.to_owned().into()))
}

#[test]
fn every_op_bare() {
    let log = Log::default()
        .change(0, "r", 10, 1, "read", 1)
        .change(0, "c", 20, 2, "made", 2)
        .change(0, "u", 30, 1, "changed", 3)
        .change(0, "c", 40, 3, "gone", 4)
        .change(0, "d", 50, 3, "", 0)
        .tombstone(0, 3)
        .put(0, Some(&json!({"prefix": "p"})), Some(&json!({"op": "m", "source": {"connector": "postgresql", "name": "shop", "db": "shop", "lsn": 60}, "message": {"prefix": "p", "content": "aGVsbG8="}})));
    let primary = "INSERT INTO t VALUES (1, 'changed', 3), (2, 'made', 2)";
    let done = replayed(
        &log.system(primary, ""),
        &[["1", "changed", "3"], ["2", "made", "2"]],
    );
    assert_eq!(
        done["counts"]["ignored"],
        json!({"tombstone": 1, "message": 1})
    );
}

/// The same with schemas, and with a schema in the key or the value only, as two converters may have it.
#[test]
fn every_op_with_schemas_and_mixed() {
    let field =
        |name: &str, kind: &str| json!({"type": kind, "optional": name != "id", "field": name});
    let fields = json!([
        field("id", "int64"),
        field("a", "string"),
        field("b", "int64")
    ]);
    let schema = json!({"type": "struct", "name": "shop.main.t.Envelope", "fields": [
        {"type": "struct", "optional": true, "field": "before", "fields": fields},
        {"type": "struct", "optional": true, "field": "after", "fields": fields},
        {"type": "string", "field": "op"}]});
    let key_schema =
        json!({"type": "struct", "name": "shop.main.t.Key", "fields": [field("id", "int64")]});
    for (in_key, in_value) in [(true, true), (true, false), (false, true)] {
        let mut log = Log::default();
        for (op, lsn, id, a, b) in [
            ("r", 10, 1, "read", 1),
            ("u", 30, 1, "changed", 3),
            ("c", 40, 3, "gone", 4),
            ("d", 50, 3, "", 0),
        ] {
            let key = json!({"id": id});
            let key = if in_key {
                json!({"schema": key_schema, "payload": key})
            } else {
                key
            };
            let payload = envelope(op, lsn, &row(id, a, b));
            let value = if in_value {
                json!({"schema": schema, "payload": payload})
            } else {
                payload
            };
            log = log.put(0, Some(&key), Some(&value));
            if op == "d" {
                log = log.put(0, Some(&key), None);
            }
        }
        replayed(
            &log.system("INSERT INTO t VALUES (1, 'changed', 3)", ""),
            &[["1", "changed", "3"]],
        );
    }
}

/// A flattened record: the row, and what was added to it.
fn flat(id: i64, a: &str, b: i64, added: &Value) -> Value {
    let mut record = row(id, a, b);
    record
        .as_object_mut()
        .unwrap()
        .extend(added.as_object().unwrap().clone());
    record
}

#[test]
fn flattened_in_every_delete_mode() {
    let primary = "INSERT INTO t VALUES (1, 'new', 2), (3, 'back', 5)";
    let want = [["1", "new", "2"], ["3", "back", "5"]];
    for with_fields in [true, false] {
        for mode in [
            "tombstone",
            "rewrite",
            "rewrite-with-tombstone",
            "delete-to-tombstone",
        ] {
            let rewrites = mode.starts_with("rewrite");
            let added = |op: &str, lsn: u64| {
                let mut added = json!({});
                if with_fields {
                    added = json!({"__op": op, "__lsn": lsn, "__source_ts_ms": 1_700_000_000_000u64 + lsn});
                }
                if rewrites {
                    added["__deleted"] = json!(if op == "d" { "true" } else { "false" });
                }
                added
            };
            let put = |log: Log, op: &str, lsn: u64, id: i64, a: &str, b: i64| {
                log.put(
                    0,
                    Some(&json!({"id": id})),
                    Some(&flat(id, a, b, &added(op, lsn))),
                )
            };
            let delete = |log: Log, lsn: u64, id: i64| {
                let log = if rewrites {
                    put(log, "d", lsn, id, "", 0)
                } else {
                    log
                };
                if mode == "rewrite" {
                    log
                } else {
                    log.tombstone(0, id)
                }
            };
            let log = put(Log::default(), "r", 10, 1, "old", 1);
            let log = put(log, "c", 20, 2, "gone", 9);
            let log = put(log, "u", 30, 1, "new", 2);
            let log = delete(log, 40, 2);
            let log = put(log, "c", 50, 3, "was", 4);
            let log = delete(log, 60, 3);
            let log = put(log, "c", 70, 3, "back", 5);
            let source = format!(
                ", debezium: {{ flattened: true, delete.tombstone.handling.mode: {mode} }}"
            );
            let system = log.system(primary, &source);
            let done = replayed(&system, &want);
            let order = done["loads"][0]["order"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            println!("{mode} {with_fields}: {order} {}", done["counts"]);
        }
    }
}

/// Without deletes in the log a replay brings them back: the plan says so, the check before the swap finds them.
#[test]
fn flattened_without_deletes() {
    let log = Log::default()
        .put(0, Some(&json!({"id": 1})), Some(&row(1, "gone", 1)))
        .put(0, Some(&json!({"id": 2})), Some(&row(2, "here", 2)));
    let source = ", debezium: { flattened: true, delete.tombstone.handling.mode: drop }";
    let system = log.system("INSERT INTO t VALUES (2, 'here', 2)", source);
    system
        .trueup(&["replay", "big-bang", "{}", "--dry-run"])
        .exit(0)
        .shows(&[
            "flattened so that deletes leave none",
            "flattened records have no truncates",
        ]);
    // Nothing in the log says that it is flattened, when the playbook does not.
    log.system("", "")
        .trueup(&["replay", "big-bang", "{}", "--yes"])
        .exit(3)
        .says(&["shop.main.t:0:0", "`debezium: { flattened: true }`"]);
}

/// Added fields under names of one's own; records from before the transformation was put in are whole.
#[test]
fn flattened_under_other_names() {
    let added = |op: &str, lsn: u64| json!({"_m_OPX": op, "_m_MY_LSN": lsn, "_m_source_snapshot": null, "__deleted": if op == "d" { "true" } else { "false" }});
    let record = |op: &str, lsn: u64, a: &str| flat(1, a, 1, &added(op, lsn));
    let key = json!({"id": 1});
    let log = Log::default()
        .change(0, "c", 5, 1, "whole", 1)
        .put(0, Some(&key), Some(&record("u", 30, "newest")))
        .put(
            1,
            Some(&key),
            Some(&record("u", 20, "older, and read later")),
        )
        .put(
            1,
            Some(&json!({"serverName": "shop"})),
            Some(&json!({"ts_ms": 1})),
        );
    let fields = "add.fields: \"op:OPX,lsn:MY_LSN,source.snapshot\", add.fields.prefix: _m_";
    let source = format!(", debezium: {{ flattened: true, {fields} }}");
    let done = replayed(
        &log.system("INSERT INTO t VALUES (1, 'newest', 1)", &source),
        &[["1", "newest", "1"]],
    );
    assert_eq!(done["counts"]["stale"], 1);
    assert_eq!(done["counts"]["ignored"], json!({"heartbeat": 1}));
}

/// Without a position nothing orders a key of two partitions; a field of the row does, where the playbook names it.
#[test]
fn flattened_without_an_order() {
    let key = json!({"id": 1});
    let log = Log::default()
        .put(0, Some(&key), Some(&row(1, "new", 2)))
        .put(1, Some(&key), Some(&row(1, "old", 1)));
    let primary = "INSERT INTO t VALUES (1, 'new', 2)";
    log.system(primary, ", debezium: { flattened: true }")
        .trueup(&["replay", "big-bang", "{}", "--yes"])
        .exit(3)
        .says(&["key 1 is in partitions", "order_by:"]);
    replayed(
        &log.system(primary, ", order_by: b, debezium: { flattened: true }"),
        &[["1", "new", "2"]],
    );
}

#[test]
fn tombstones_and_deletes_by_themselves() {
    let log = Log::default()
        // A tombstone of a key that was never seen.
        .tombstone(0, 9)
        // A delete without its tombstone.
        .change(0, "c", 10, 1, "x", 1)
        .change(0, "d", 11, 1, "", 0)
        // A tombstone whose delete compaction took.
        .change(0, "c", 20, 2, "x", 1)
        .tombstone(0, 2)
        .change(0, "c", 30, 3, "stays", 3);
    let done = replayed(
        &log.system("INSERT INTO t VALUES (3, 'stays', 3)", ""),
        &[["3", "stays", "3"]],
    );
    assert_eq!(done["counts"]["deleted"], 3);
}

#[test]
fn a_key_change_across_partitions_read_in_the_wrong_order() {
    // The new key comes first; the old one goes in the other partition, at the same position.
    let log = Log::default()
        .change(0, "c", 20, 2, "moved", 1)
        .change(1, "c", 10, 1, "moved", 1)
        .change(1, "d", 20, 1, "", 0)
        .tombstone(1, 1)
        // A row that moved between table partitions: no header, the same shape.
        .change(1, "d", 30, 5, "", 0)
        .change(0, "c", 30, 6, "other partition", 2);
    replayed(
        &log.system(
            "INSERT INTO t VALUES (2, 'moved', 1), (6, 'other partition', 2)",
            "",
        ),
        &[["2", "moved", "1"], ["6", "other partition", "2"]],
    );
}

#[test]
fn snapshot_in_all_its_spellings() {
    // In a snapshot a timestamp of the old calendar is not what the primary has; in a stream it is.
    for (snapshot, is_one) in [
        (json!(true), true),
        (json!("true"), true),
        (json!("first"), true),
        (json!("first_in_data_collection"), true),
        (json!("last_in_data_collection"), true),
        (json!("last"), true),
        (json!("incremental"), true),
        (json!(false), false),
        (json!("false"), false),
        (Value::Null, false),
    ] {
        let mut decoder = decoder(
            vec![column("c", "timestamp without time zone", true)],
            Settings::default(),
        );
        let op = if is_one { "r" } else { "c" };
        let mut record = envelope(op, 9, &json!({"id": 1, "c": -14_831_769_600_000_000i64}));
        record["source"]["snapshot"] = snapshot.clone();
        record["source"]["sequence"] = json!("[null,\"9\"]");
        let done = change(&mut decoder, Some(r#"{"id":1}"#), Some(&record.to_string())).unwrap();
        match done.op {
            Op::Lost => assert!(is_one, "{snapshot}"),
            Op::Put(row) => {
                assert!(!is_one, "{snapshot}");
                assert_eq!(row[1], Cell::Timestamp(-14_831_769_600_000_000));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(done.version.rank.words[0], 9);
        assert_eq!(done.version.clock.is_none(), op == "r", "{snapshot}");
    }
}

#[test]
fn a_row_of_an_incremental_snapshot_takes_the_last_position() {
    let mut incremental = envelope("r", 1, &row(1, "read", 1));
    incremental["source"]["lsn"] = Value::Null;
    incremental["source"]["snapshot"] = json!("incremental");
    let key = json!({"id": 1});
    let log = Log::default()
        .change(0, "c", 50, 1, "first", 1)
        .put(0, Some(&key), Some(&incremental))
        .change(1, "u", 40, 1, "older", 1);
    replayed(
        &log.system("INSERT INTO t VALUES (1, 'read', 1)", ""),
        &[["1", "read", "1"]],
    );
}

#[test]
fn a_truncate_between_rows_of_two_partitions() {
    let log = Log::default()
        .change(0, "c", 10, 1, "before", 1)
        .change(0, "c", 12, 4, "before and after", 1)
        .truncate(0, 20)
        .change(0, "c", 30, 4, "after", 2)
        // This partition is read later, and has both.
        .change(1, "c", 11, 2, "before", 1)
        .change(1, "c", 31, 3, "after", 3)
        // An older truncate says nothing new.
        .truncate(1, 5);
    let system = log.system(
        "INSERT INTO t VALUES (3, 'after', 3), (4, 'after', 2)",
        ", debezium: { skipped.operations: none }",
    );
    let done = replayed(&system, &[["3", "after", "3"], ["4", "after", "2"]]);
    assert_eq!(done["counts"]["truncated"], 1);
    assert_eq!(done["counts"]["stale"], 2);
    // It is asked no more whether truncates are in the log.
    let said = system
        .trueup(&["replay", "big-bang", "{}", "--dry-run"])
        .exit(0);
    assert!(!said.stderr.contains("truncate"), "{}", said.stderr);
}

#[test]
fn a_hole_takes_nothing_from_before_a_truncate() {
    let log = Log::default()
        .change(0, "c", 10, 1, "before", 1)
        .truncate(0, 20)
        .change(0, "u", 30, 1, "__debezium_unavailable_value", 2);
    let done = replayed(
        &log.system("INSERT INTO t VALUES (1, 'after', 2)", ""),
        &[["1", "after", "2"]],
    );
    assert_eq!(done["settled"], json!(["1"]));
}

/// Without positions only one partition has an order.
#[test]
fn a_truncate_without_a_position() {
    let without = |mut record: Value| {
        record["source"] = json!({"connector": "postgresql", "name": "shop", "db": "shop"});
        record
    };
    let one = |log: Log, partition: usize, id: i64| {
        let record = without(envelope("c", 9, &row(id, "x", id)));
        log.put(partition, Some(&json!({"id": id})), Some(&record))
    };
    let truncate = |log: Log| log.put(0, None, Some(&without(envelope("t", 9, &Value::Null))));
    let log = one(truncate(one(Log::default(), 0, 1)), 0, 2);
    replayed(
        &log.system("INSERT INTO t VALUES (2, 'x', 2)", ""),
        &[["2", "x", "2"]],
    );
    let log = one(truncate(one(Log::default(), 1, 1)), 0, 2);
    log.system("", "")
        .trueup(&["replay", "big-bang", "{}", "--yes"])
        .exit(3)
        .says(&["shop.main.t:0:0", "nothing orders it"]);
    let log = one(truncate(one(Log::default(), 0, 1)), 0, 2);
    log.system("", ", order_by: b")
        .trueup(&["replay", "big-bang", "{}", "--yes"])
        .exit(3)
        .says(&["shop.main.t:0:1", "no field b"]);
}

/// The connector leaves truncates out by default: the rows come back, the plan has said so, and the check finds them.
#[test]
fn a_truncate_that_is_not_in_the_log() {
    let log = Log::default()
        .change(0, "c", 10, 1, "back", 1)
        .change(0, "c", 20, 2, "new", 2);
    let system = log.system("INSERT INTO t VALUES (2, 'new', 2)", "");
    system.sql("read.db", "INSERT INTO copy VALUES (2, 'new', 2)");
    system
        .trueup(&["replay", "big-bang", "{}", "--yes"])
        .exit(3)
        .says(&["skipped.operations=none", "the rows come back"]);
    replayed_anyway(&system);
    system.trueup(&["verify", "{}"]).exit(1);
}

fn replayed_anyway(system: &crate::support::embedded::Embedded) {
    system
        .trueup(&["replay", "big-bang", "{}", "--yes", "--no-check"])
        .exit(0);
}

#[test]
fn the_placeholder_first_seen_after_a_value_and_after_a_gap() {
    const UNCHANGED: &str = "***";
    let log = Log::default()
        // After a known value.
        .change(0, "c", 10, 1, "known", 1)
        .change(0, "u", 20, 1, UNCHANGED, 2)
        // First seen, as in a log that compaction has thinned.
        .change(0, "u", 30, 2, UNCHANGED, 3)
        // After a delete nothing older counts.
        .change(0, "c", 40, 3, "of another life", 1)
        .change(0, "d", 50, 3, "", 0)
        .change(0, "u", 70, 3, UNCHANGED, 4);
    let primary = "INSERT INTO t VALUES (1, 'known', 2), (2, 'asked', 3), (3, 'asked too', 4)";
    let source = ", debezium: { unavailable.value.placeholder: \"hex:2a2a2a\" }";
    let done = replayed(
        &log.system(primary, source),
        &[
            ["1", "known", "2"],
            ["2", "asked", "3"],
            ["3", "asked too", "4"],
        ],
    );
    assert_eq!(done["settled"], json!(["2", "3"]));
}

#[test]
fn decimals() {
    assert_eq!(bare("numeric(10,2)", "\"/w==\""), numeric("-0.01"));
    assert_eq!(
        bare("numeric", r#"{"scale":3,"value":"MDk="}"#),
        numeric("12.345")
    );
    assert_eq!(bare("numeric(10,2)", "-12.5"), numeric("-12.5"));
    assert_eq!(bare("numeric", "1.0E10"), numeric("10000000000"));
    let text = of(&[("decimal.handling.mode", "string")]);
    assert_eq!(value("numeric", &text, "c", "\"NAN\""), numeric("NaN"));
    assert_eq!(
        value("numeric", &text, "c", "\"NEGATIVE_INFINITY\""),
        numeric("-Infinity")
    );
    // Four digits are base64, too: only the setting tells.
    assert_eq!(
        value("numeric(10,0)", &text, "c", "\"1234\""),
        numeric("1234")
    );
    assert_eq!(bare("numeric(10,0)", "\"1234\""), numeric("-2658824"));
    let wrong = bare("numeric", "\"12.5\"").unwrap_err();
    assert!(
        wrong.contains("t:3:17") && wrong.contains("decimal.handling.mode: string"),
        "{wrong}"
    );
}

#[test]
fn integers_at_their_ends() {
    assert_eq!(
        bare("bigint", "9007199254740993"),
        Ok(Cell::Int(9_007_199_254_740_993))
    );
    assert_eq!(
        bare("bigint", "-9223372036854775808"),
        Ok(Cell::Int(i64::MIN.into()))
    );
    assert!(bare("bigint", "1.5").is_err() && bare("integer", "\"x\"").is_err());
}

#[test]
fn times_in_every_precision_mode() {
    let at = Cell::Timestamp(1_709_210_096_789_000);
    let time = Cell::Time(45_296_789_000);
    for (mode, timestamp, of_day) in [
        ("adaptive", "1709210096789000", "45296789000"),
        (
            "adaptive_time_microseconds",
            "1709210096789000",
            "45296789000",
        ),
        ("connect", "1709210096789", "45296789"),
        (
            "isostring",
            "\"2024-02-29T12:34:56.789Z\"",
            "\"12:34:56.789Z\"",
        ),
        ("microseconds", "1709210096789000", "45296789000"),
        ("nanoseconds", "1709210096789000000", "45296789000000"),
    ] {
        let settings = of(&[("time.precision.mode", mode)]);
        let read = |kind: &str, raw: &str| value(kind, &settings, "c", raw);
        assert_eq!(
            read("timestamp(6) without time zone", timestamp),
            Ok(at.clone()),
            "{mode}"
        );
        assert_eq!(
            read("time(6) without time zone", of_day),
            Ok(time.clone()),
            "{mode}"
        );
        let zoned = read(
            "timestamp(6) with time zone",
            "\"2024-02-29T10:34:56.789Z\"",
        );
        assert_eq!(
            zoned,
            Ok(Cell::TimestampTz(1_709_202_896_789_000)),
            "{mode}"
        );
        let date = if mode == "isostring" {
            "\"2024-02-29Z\""
        } else {
            "19782"
        };
        assert_eq!(read("date", date), Ok(Cell::Date(19_782)), "{mode}");
    }
    // Milliseconds or microseconds: the column's own digits say it, except that one mode has times of day in one unit.
    assert_eq!(
        bare("timestamp(3) without time zone", "1709210096789"),
        Ok(at)
    );
    assert_eq!(
        bare("time(3) without time zone", "45296789"),
        Ok(time.clone())
    );
    let micros = of(&[("time.precision.mode", "adaptive_time_microseconds")]);
    assert_eq!(
        value("time(3) without time zone", &micros, "c", "45296789000"),
        Ok(time)
    );
    let wrong = value(
        "date",
        &of(&[("time.precision.mode", "isostring")]),
        "c",
        "19782",
    )
    .unwrap_err();
    assert!(wrong.contains("time.precision.mode"), "{wrong}");
}

#[test]
fn infinities_and_what_is_beyond_all_calendars() {
    let timestamp = "timestamp without time zone";
    assert_eq!(
        bare(timestamp, "9223372036825200000"),
        Ok(Cell::Timestamp(i64::MAX))
    );
    assert_eq!(
        bare(timestamp, "-9223372036832400000"),
        Ok(Cell::Timestamp(i64::MIN))
    );
    assert_eq!(
        bare("timestamp with time zone", "\"-infinity\""),
        Ok(Cell::TimestampTz(i64::MIN))
    );
    // Of a stream and of a snapshot.
    for (raw, want) in [
        ("-2147472692", i32::MAX),
        ("-622191234", i32::MAX),
        ("-2147472691", i32::MIN),
        ("-625821272", i32::MIN),
    ] {
        assert_eq!(bare("date", raw), Ok(Cell::Date(want)), "{raw}");
    }
    assert!(
        bare("date", "-2147472693")
            .unwrap_err()
            .contains("out of range")
    );
    // 294276-12-31 overflows to this; an array's infinity is a year that no timestamp has.
    assert_eq!(
        bare(timestamp, "-9223372036853775810"),
        Err("lost".to_owned())
    );
    assert_eq!(
        bare(
            "timestamp with time zone[]",
            "[\"+292269055-12-02T23:00:00.000000Z\"]"
        ),
        Err("lost".to_owned())
    );
    // Arrays are in the old calendar always.
    assert_eq!(
        bare("timestamp without time zone[]", "[-14830992000000000]"),
        Err("lost".to_owned())
    );
    assert_eq!(
        bare("text[]", "[\"[Ljava.lang.String;@42c7f58a\"]"),
        Err("lost".to_owned())
    );
}

#[test]
fn bytes_in_every_handling_mode() {
    for (mode, raw) in [
        ("bytes", "\"AP9/+A==\""),
        ("base64", "\"AP9/+A==\""),
        ("base64-url-safe", "\"AP9_-A==\""),
        ("hex", "\"00ff7ff8\""),
    ] {
        let settings = of(&[("binary.handling.mode", mode)]);
        assert_eq!(
            value("bytea", &settings, "c", raw),
            Ok(Cell::Bytes(vec![0, 255, 127, 248].into())),
            "{mode}"
        );
    }
    assert!(
        bare("bytea", "\"00f\"")
            .unwrap_err()
            .contains("binary.handling.mode")
    );
}

/// A replay cannot see it: the plan names the column, and verify finds the row.
#[test]
fn a_null_that_arrived_as_the_default_is_named() {
    let log = Log::default().change(0, "c", 10, 1, "default", 1);
    let system = log.system("", "");
    system.sql("primary.db", "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT DEFAULT 'default', b INTEGER); INSERT INTO t VALUES (1, NULL, 1)");
    system
        .trueup(&["replay", "big-bang", "{}", "--dry-run"])
        .exit(0)
        .shows(&["replace.null.with.default=false", "(a)"]);
    replayed_anyway(&system);
    system.trueup(&["verify", "{}"]).exit(1);
}

#[test]
fn what_stops_a_replay_says_where_and_why() {
    for (record, words) in [
        (
            json!({"op": "x", "source": {}}),
            &["unknown op", "c, u, d, r, t and m"][..],
        ),
        (json!({"hello": 1}), &["no `op`", "flattened"]),
        (
            json!({"op": "c", "after": {"id": 1, "a": {}, "b": 1}, "source": {"lsn": 1}}),
            &["column a", "an object"],
        ),
        (json!([1]), &["no Debezium JSON"]),
    ] {
        let log = Log::default().put(0, Some(&json!({"id": 1})), Some(&record));
        let mut all = vec!["shop.main.t:0:0"];
        all.extend(words);
        log.system("", "")
            .trueup(&["replay", "big-bang", "{}", "--yes"])
            .exit(3)
            .says(&all);
    }
    let log = Log::default().put(0, None, Some(&envelope("c", 9, &row(1, "a", 1))));
    log.system("", "")
        .trueup(&["replay", "big-bang", "{}", "--yes"])
        .exit(3)
        .says(&["shop.main.t:0:0", "no key"]);
}

#[test]
fn settings_that_mean_nothing_are_said_before_anything_is_opened() {
    let system = Log::default().system(
        "",
        ", debezium: { decimal.handling.mode: exact, slot.name: x }",
    );
    system.trueup(&["verify", "{}"]).exit(2).says(&[
        "sources.t.debezium.decimal.handling.mode",
        "precise, double, string",
        "sources.t.debezium.slot.name",
    ]);
}

/// A value of 100 MB is a value like any other.
#[test]
fn a_value_of_many_megabytes() {
    let bytes = crate::support::size(8 << 20, 100 << 20);
    let mut decoder = decoder(vec![column("c", "text", true)], Settings::default());
    let record = format!(
        r#"{{"after":{{"id":1,"c":"{}"}},"op":"c","source":{{"lsn":9}}}}"#,
        "x".repeat(bytes)
    );
    let done = change(&mut decoder, Some(r#"{"id":1}"#), Some(&record)).unwrap();
    let Op::Put(row) = done.op else {
        panic!("no row")
    };
    assert!(matches!(&row[1], Cell::Text(text) if text.len() == bytes));
}
