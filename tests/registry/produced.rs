//! JSON Schema and Protobuf, and Avro with a schema that refers to another: no converter for them can be had here, so that a
//! writer frames Debezium's changes with the ids that the registry gives.

use serde_json::json;

use super::{System, framed, trueup};
use crate::support::text;

const COLUMNS: &[&str] = &["id", "qty", "price", "note", "at"];

fn tables(system: &System) {
    let columns =
        "(id bigint PRIMARY KEY, qty int, price numeric(10,2) NOT NULL, note text, at timestamp)";
    system.primary(&format!("CREATE TABLE public.rows {columns}"));
    system.primary(
        "INSERT INTO rows VALUES (1, 0, -0.01, 'one', '2024-01-31 12:34:56.789123'), (2, NULL, 0, NULL, NULL)",
    );
    system.reads("CREATE SCHEMA read");
    system.reads(&format!("CREATE TABLE read.rows {columns}"));
}

/// What became of the rows 1 and 2 of `tables`, and of a third that was deleted.
const CHANGES: usize = 5;

#[test]
fn json_schema_is_replayed() {
    let Some(system) = System::new("tu_json_schema") else {
        return;
    };
    tables(&system);
    let topic = system.topic("rows");
    let key = r#"{"type":"object","title":"Key","properties":{"id":{"type":"integer","connect.type":"int64"}}}"#;
    let value = r##"{"type":"object","title":"Envelope","properties":{
        "before":{"oneOf":[{"type":"null"},{"$ref":"#/definitions/Value"}]},
        "after":{"oneOf":[{"type":"null"},{"$ref":"#/definitions/Value"}]},
        "op":{"type":"string"},
        "source":{"type":"object","properties":{"lsn":{"type":"integer","connect.type":"int64"}}}},
      "definitions":{"Value":{"type":"object","title":"Value","properties":{
        "id":{"type":"integer","connect.type":"int64"},
        "qty":{"oneOf":[{"type":"null"},{"type":"integer","connect.type":"int32"}]},
        "price":{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.parameters":{"scale":"2"}},
        "note":{"oneOf":[{"type":"null"},{"type":"string"}]},
        "at":{"oneOf":[{"type":"null"},{"type":"integer","title":"io.debezium.time.NanoTimestamp","connect.type":"int64"}]}}}}}"##;
    let key_id = system.register(&format!("{topic}-key"), "JSON", key, json!([]));
    let id = system.register(&format!("{topic}-value"), "JSON", value, json!([]));
    println!("ids {key_id} and {id}");
    let row = |id: i64, qty: Option<i32>, price: &str, note: Option<&str>, at: Option<i64>| json!({"id": id, "qty": qty, "price": price, "note": note, "at": at});
    // Nanoseconds: nothing but the schema says so.
    let one = row(
        1,
        Some(0),
        "/w==",
        Some("one"),
        Some(1_706_704_496_789_123_000),
    );
    let two = row(2, None, "AA==", None, None);
    let three = row(3, Some(3), "Aw==", None, None);
    let change = |op: &str, lsn: i64, after: serde_json::Value| {
        let source = json!({"connector": "postgresql", "name": "t", "db": "d", "lsn": lsn});
        json!({"before": null, "after": after, "op": op, "source": source}).to_string()
    };
    let records: Vec<(i64, Option<String>)> = vec![
        (1, Some(change("c", 10, one))),
        (2, Some(change("c", 20, two))),
        (3, Some(change("c", 30, three))),
        (3, Some(change("d", 40, json!(null)))),
        (3, None),
    ];
    let records: Vec<_> = records
        .into_iter()
        .map(|(key, value)| {
            let key = json!({"id": key}).to_string();
            let value = value.map(|v| framed(id, v.as_bytes()));
            (framed(key_id, key.as_bytes()), value)
        })
        .collect();
    system.send(&topic, &records);
    rebuilt(&system, &topic);
}

const ROWS: &str = r#"
syntax = "proto3";
import "google/protobuf/timestamp.proto";
import "confluent/type/decimal.proto";
import "source.proto";
message Envelope {
  Value before = 1;
  Value after = 2;
  string op = 3;
  Source source = 4;
  message Value {
    int64 id = 1;
    optional int32 qty = 2;
    confluent.type.Decimal price = 3;
    optional string note = 4;
    google.protobuf.Timestamp at = 5;
  }
}
message Key { int64 id = 1; }
"#;
const SOURCE: &str = r#"
syntax = "proto3";
message Source { string connector = 1; string name = 2; string db = 3; int64 lsn = 4; }
"#;

/// A field of a Protobuf message whose value is counted.
fn part(number: u8, bytes: &[u8]) -> Vec<u8> {
    [
        &[number << 3 | 2, u8::try_from(bytes.len()).unwrap()][..],
        bytes,
    ]
    .concat()
}

fn number(field: u8, value: u64) -> Vec<u8> {
    let mut out = vec![field << 3];
    let mut rest = value;
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap());
    out
}

#[test]
fn protobuf_is_replayed() {
    let Some(system) = System::new("tu_protobuf") else {
        return;
    };
    tables(&system);
    let topic = system.topic("rows");
    let decimal = |unscaled: &[u8]| [part(1, unscaled), number(2, 10), number(3, 2)].concat();
    let common = format!("{topic}-source");
    system.register(&common, "PROTOBUF", SOURCE, json!([]));
    let reference = json!([{"name": "source.proto", "subject": common, "version": 1}]);
    let id = system.register(&format!("{topic}-value"), "PROTOBUF", ROWS, reference);
    println!("id {id}");
    let source = |lsn| {
        let texts = [part(1, b"postgresql"), part(2, b"t"), part(3, b"d")].concat();
        part(4, &[texts, number(4, lsn)].concat())
    };
    let change = |op: &[u8], lsn, after: Option<Vec<u8>>| {
        let after = after.map_or(Vec::new(), |row| part(2, &row));
        // The first message.
        [vec![0], after, part(3, op), source(lsn)].concat()
    };
    let at = [number(1, 1_706_704_496), number(2, 789_123_000)].concat();
    let price = |unscaled: &[u8]| part(3, &decimal(unscaled));
    let one = [
        number(1, 1),
        number(2, 0),
        price(&[0xff]),
        part(4, b"one"),
        part(5, &at),
    ]
    .concat();
    let two = [number(1, 2), price(&[0])].concat();
    let three = [number(1, 3), number(2, 3), price(&[3])].concat();
    let records = [
        (1, Some(change(b"c", 10, Some(one)))),
        (2, Some(change(b"c", 20, Some(two)))),
        (3, Some(change(b"c", 30, Some(three)))),
        (3, Some(change(b"d", 40, None))),
        (3, None),
    ];
    let records: Vec<_> = records
        .into_iter()
        .map(|(key, value)| {
            // The second message, by a path of one number.
            let key = [vec![2, 2], number(1, key)].concat();
            (framed(id, &key), value.map(|v| framed(id, &v)))
        })
        .collect();
    system.send(&topic, &records);
    rebuilt(&system, &topic);
    // Where nothing tells NULL from zero, nothing is guessed.
    let blurred = ROWS.replace("optional int32", "int32");
    let reference = json!([{"name": "source.proto", "subject": common, "version": 1}]);
    let id = system.register(&format!("{topic}-blurred"), "PROTOBUF", &blurred, reference);
    let row = [number(1, 4), price(&[3])].concat();
    let key = [vec![2, 2], number(1, 4)].concat();
    let record = (
        framed(id, &key),
        Some(framed(id, &change(b"c", 50, Some(row)))),
    );
    system.send(&topic, &[record]);
    let playbook = system.playbook(&topic, Some(&system.registry), COLUMNS);
    trueup(&["replay", "big-bang", &text(&playbook), "--yes"])
        .exit(3)
        .says(&[
            &format!("{topic}:0:5"),
            "no way to tell NULL from zero or empty in column qty",
            "optional.for.nullables",
        ]);
}

#[test]
fn an_avro_schema_that_refers_to_another_is_replayed() {
    let Some(system) = System::new("tu_avro_reference") else {
        return;
    };
    tables(&system);
    let topic = system.topic("rows");
    let row = r#"{"type":"record","name":"shop.Value","fields":[{"name":"id","type":"long"},{"name":"qty","type":["null","int"]},
      {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},
      {"name":"note","type":["null","string"]},
      {"name":"at","type":["null",{"type":"long","logicalType":"timestamp-micros"}]}]}"#;
    let envelope = r#"{"type":"record","name":"shop.Envelope","fields":[{"name":"after","type":["null","shop.Value"]},{"name":"op","type":"string"},
      {"name":"source","type":{"type":"record","name":"Source","fields":[{"name":"connector","type":"string"},{"name":"lsn","type":"long"}]}}]}"#;
    let row_subject = format!("{topic}-row");
    system.register(&row_subject, "AVRO", row, json!([]));
    let reference = json!([{"name": "shop.Value", "subject": row_subject, "version": 1}]);
    let id = system.register(&format!("{topic}-value"), "AVRO", envelope, reference);
    let long = |value: i64| {
        let zigzag = ((value << 1) ^ (value >> 63)).cast_unsigned();
        number(0, zigzag)[1..].to_vec()
    };
    let counted = |bytes: &[u8]| [long(bytes.len().try_into().unwrap()), bytes.to_vec()].concat();
    let change = |op: &[u8], lsn, after: Option<Vec<u8>>| {
        let after = after.map_or(vec![0], |row| [vec![2], row].concat());
        [after, counted(op), counted(b"postgresql"), long(lsn)].concat()
    };
    let null = || vec![0];
    let some = |bytes: Vec<u8>| [vec![2], bytes].concat();
    let one = [
        long(1),
        some(long(0)),
        counted(&[0xff]),
        some(counted(b"one")),
        some(long(1_706_704_496_789_123)),
    ]
    .concat();
    let two = [long(2), null(), counted(&[0]), null(), null()].concat();
    let three = [long(3), some(long(3)), counted(&[3]), null(), null()].concat();
    // A key in bare JSON beside a value in Avro.
    let records = [
        (1, Some(change(b"c", 10, Some(one)))),
        (2, Some(change(b"c", 20, Some(two)))),
        (3, Some(change(b"c", 30, Some(three)))),
        (3, Some(change(b"d", 40, None))),
        (3, None),
    ]
    .map(|(key, value)| {
        let key = json!({"id": key}).to_string().into_bytes();
        (key, value.map(|v| framed(id, &v)))
    });
    system.send(&topic, &records);
    rebuilt(&system, &topic);
}

fn rebuilt(system: &System, topic: &str) {
    let playbook = system.playbook(topic, Some(&system.registry), COLUMNS);
    let counts = system.replayed(&playbook);
    assert_eq!(counts["read"], CHANGES, "{counts}");
    assert_eq!(counts["ignored"]["tombstone"], 1, "{counts}");
    system.equal();
}
