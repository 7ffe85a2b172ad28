//! Protobuf: the path to the message, NULL and zero, and the messages that stand for one value.

use serde_json::json;

use super::{Language, Schema, framed, open};

const ROWS: &str = r#"
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "google/type/date.proto";
import "confluent/meta.proto";
import "confluent/type/decimal.proto";
message Key { int64 id = 1; }
message Envelope {
  optional Value before = 1;
  optional Value after = 2;
  string op = 3;
  message Value {
    int64 id = 1;
    optional int32 qty = 2;
    google.protobuf.StringValue note = 3;
    confluent.type.Decimal price = 4 [(confluent.field_meta) = { params: [{ key: "scale", value: "2" }] }];
    google.protobuf.Timestamp at = 5;
    google.type.Date day = 6;
    bytes raw = 7;
    repeated int32 tags = 8;
    Mood mood = 9;
    uint64 big = 10;
    enum Mood { SAD = 0; OK = 1; }
  }
}
"#;

fn rows() -> Schema {
    super::schema(Language::Protobuf, ROWS, &[]).unwrap()
}

#[test]
fn values_and_their_absence() {
    // The second message: a path of one number, 1.
    let value = [
        &b"\x08\x05"[..],                                // id: 5
        b"\x10\x00",                                     // qty: 0, and there
        b"\x1a\x03\x0a\x01n",                            // note: "n"
        b"\x22\x07\x0a\x01\xff\x10\x0a\x18\x02",         // price: -1 by 2 places
        b"\x2a\x07\x08\x01\x10\xe8\x07\x18\x00", // at: 1 s, 1000 ns, and a field that the schema does not have
        b"\x32\x07\x08\xe8\x0f\x10\x02\x18\x1d", // day: 2024-02-29
        b"\x3a\x02\x00\xff",                     // raw
        b"\x42\x02\x01\x02",                     // tags, packed
        b"\x48\x01",                             // mood
        b"\x50\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", // big
    ]
    .concat();
    let length = u8::try_from(value.len()).unwrap();
    let body = [&[2, 2][..], &[0x12, length], &value, b"\x1a\x01c"].concat();
    let (connect, json) = open(&rows(), &framed(&body)).unwrap();
    assert_eq!(
        json,
        json!({
            "after": {
                "id": 5, "qty": 0, "note": "n", "price": {"scale": 2, "value": "/w=="},
                "at": 1_000_001, "day": 19_782, "raw": "AP8=", "tags": [1, 2], "mood": "OK",
                "big": u64::MAX
            },
            "op": "c"
        })
    );
    let after = connect["fields"][0]["fields"].as_array().unwrap();
    let is = |name: &str, part: &str| {
        let field = after.iter().find(|f| f["field"] == name).unwrap();
        field.get(part).cloned()
    };
    assert_eq!(is("id", "implicit"), Some(json!(true)));
    assert_eq!(is("qty", "implicit"), None);
    assert_eq!(is("qty", "optional"), Some(json!(true)));
    assert_eq!(
        is("price", "name"),
        Some(json!("io.debezium.data.VariableScaleDecimal"))
    );
    assert_eq!(
        is("at", "name"),
        Some(json!("io.debezium.time.MicroTimestamp"))
    );
    let empty = [&[2, 2][..], &[0x12, 0]].concat();
    let (_, json) = open(&rows(), &framed(&empty)).unwrap();
    assert_eq!(json["after"]["qty"], json!(null));
    assert_eq!(json["after"]["note"], json!(null));
    assert_eq!(json["after"]["id"], json!(0));
}

#[test]
fn the_path_names_the_message() {
    // One zero stands for the first one.
    let (_, key) = open(&rows(), &framed(b"\x00\x08\x05")).unwrap();
    assert_eq!(key, json!({"id": 5}));
    let (_, row) = open(&rows(), &framed(b"\x04\x02\x00\x08\x05")).unwrap();
    assert_eq!(row["id"], 5);
    for (body, said) in [
        (&b""[..], "it is cut off within the path to its message"),
        (b"\x04\x02", "it is cut off within the path to its message"),
        (
            b"\x02\x08",
            "is of the message [4], which its schema does not have",
        ),
    ] {
        assert_eq!(open(&rows(), &framed(body)).unwrap_err(), said);
    }
    assert!(open(&rows(), &framed(b"\x00\x08")).is_err());
}

#[test]
fn schemas_import_others() {
    let text = r#"syntax = "proto3"; import "common.proto"; message M { Inner inner = 1; }"#;
    let common = r#"syntax = "proto3"; message Inner { string s = 1; }"#;
    let both = super::schema(Language::Protobuf, text, &[("common.proto", common)]).unwrap();
    let (_, json) = open(&both, &framed(b"\x00\x0a\x03\x0a\x01x")).unwrap();
    assert_eq!(json, json!({"inner": {"s": "x"}}));
    let said = super::schema(Language::Protobuf, text, &[]).unwrap_err();
    assert!(said.contains("common.proto"), "{said}");
}
