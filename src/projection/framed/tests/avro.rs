//! Avro: a record that Debezium wrote, every form of the encoding, and what is wrong with a value.

use serde_json::{Value, json};

use super::{Language, Schema, framed, open};

/// A row with a column of every kind, as Debezium 3.3.1 wrote it through Apicurio's Avro converter; beside it the same row
/// from Connect's own JSON converter.
const SCHEMA: &str = include_str!("kinds.avsc");
const RECORD: &str = include_str!("kinds.hex");
const JSON: &str = include_str!("kinds.json");

fn avro(text: &str) -> Schema {
    super::schema(Language::Avro, text, &[]).unwrap()
}

fn recorded() -> Vec<u8> {
    let digits: Vec<u8> = RECORD.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[test]
fn a_recorded_row_is_what_connect_writes_as_json() {
    let (connect, json) = open(&avro(SCHEMA), &recorded()).unwrap();
    let twin: Value = serde_json::from_str(JSON).unwrap();
    assert_eq!(json["after"], twin["after"]);
    assert_eq!(json["op"], twin["op"]);
    assert_eq!(json["source"]["connector"], "postgresql");
    assert!(json["source"]["lsn"].is_i64());
    assert_eq!(json.get("before"), None);
    let fields = connect["fields"].as_array().unwrap();
    let after = fields.iter().find(|f| f["field"] == "after").unwrap();
    let theirs = twin["schema"]["fields"].as_array().unwrap();
    let ours = after["fields"].as_array().unwrap();
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        for part in ["field", "type", "optional", "name", "parameters"] {
            assert_eq!(ours.get(part), theirs.get(part), "{part} of {theirs}");
        }
    }
}

#[test]
fn a_row_that_is_cut_off_anywhere_is_an_error_that_names_no_value() {
    let (schema, record) = (avro(SCHEMA), recorded());
    for length in 5..record.len() {
        let said = open(&schema, &record[..length]).unwrap_err();
        assert!(said.ends_with("it is cut off"), "{length}: {said}");
    }
    let said = open(&schema, &record[..40]).unwrap_err();
    assert_eq!(said, "field after.t: it is cut off");
    let longer = [&record[..], &[0]].concat();
    assert_eq!(
        open(&schema, &longer).unwrap_err(),
        "1 bytes are left behind its end; it was written with another schema"
    );
}

/// Each form by itself: schema, bytes, JSON.
#[test]
fn every_form_is_read() {
    for (text, body, want) in [
        (r#""null""#, vec![], json!(null)),
        (r#""boolean""#, vec![1], json!(true)),
        (r#""int""#, vec![0x7f], json!(-64)),
        (
            r#""long""#,
            vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            json!(i64::MIN),
        ),
        ("long", vec![2], json!(1)),
        (r#""float""#, 0.1f32.to_le_bytes().to_vec(), json!(0.1)),
        (r#""double""#, f64::NAN.to_le_bytes().to_vec(), json!("NaN")),
        (
            r#""double""#,
            f64::NEG_INFINITY.to_le_bytes().to_vec(),
            json!("-Infinity"),
        ),
        (r#""string""#, b"\x08a\"\xc3\xa4".to_vec(), json!("a\"ä")),
        (r#""bytes""#, vec![4, 0, 255], json!("AP8=")),
        (
            r#"{"type":"fixed","name":"f","size":2}"#,
            vec![0, 255],
            json!("AP8="),
        ),
        (
            r#"{"type":"enum","name":"e","symbols":["A","B"]}"#,
            vec![2],
            json!("B"),
        ),
        (
            r#"{"type":"array","items":["null","int"]}"#,
            // A block of two, one of one with its size in bytes, the end.
            vec![4, 2, 2, 0, 1, 4, 2, 6, 0],
            json!([1, null, 3]),
        ),
        (r#"{"type":"array","items":"int"}"#, vec![0], json!([])),
        (
            r#"{"type":"map","values":"boolean"}"#,
            vec![2, 2, b'k', 1, 0],
            json!({"k": true}),
        ),
        (r#"["int","string"]"#, vec![2, 2, b'x'], json!("x")),
        (
            r#"{"type":"record","name":"r","fields":[]}"#,
            vec![],
            json!({}),
        ),
        (
            // A list, by a type that holds itself, and a namespace that is inherited.
            r#"{"type":"record","name":"a.L","fields":[{"name":"v","type":"int"},{"name":"next","type":["null","L"]}]}"#,
            vec![2, 2, 4, 0],
            json!({"v": 1, "next": {"v": 2, "next": null}}),
        ),
    ] {
        let (_, json) = open(&avro(text), &framed(&body)).unwrap();
        assert_eq!(json, want, "{text}");
    }
}

#[test]
fn what_does_not_fit_is_named() {
    for (text, body, want) in [
        (r#""boolean""#, vec![2], "a boolean that is neither 0 nor 1"),
        (
            r#""int""#,
            vec![0xff, 0xff, 0xff, 0xff, 0x7f],
            "an int of more than 32 bits",
        ),
        (r#""long""#, vec![0xff; 11], "a number of more than 64 bits"),
        (r#""string""#, vec![2, 0xff], "a text that is not in UTF-8"),
        (r#""bytes""#, vec![1], "a negative length"),
        (
            r#"["null","int"]"#,
            vec![4],
            "chooses number 2 of 2 branches",
        ),
        (
            // So many elements that take no bytes at all.
            r#"{"type":"array","items":"null"}"#,
            vec![0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0],
            "it is cut off",
        ),
        (
            r#"{"type":"record","name":"r","fields":[{"name":"again","type":"r"}]}"#,
            vec![],
            "more than 100 values stand inside each other",
        ),
    ] {
        let said = open(&avro(text), &framed(&body)).unwrap_err();
        assert!(said.ends_with(want), "{text}: {said}");
    }
}

#[test]
fn schemas_refer_to_others() {
    let address =
        r#"{"type":"record","name":"shop.Address","fields":[{"name":"city","type":"string"}]}"#;
    let customer = r#"{"type":"record","name":"shop.Customer","fields":[{"name":"home","type":"Address"},{"name":"work","type":["null","shop.Address"]}]}"#;
    let both = super::schema(Language::Avro, customer, &[("shop.Address", address)]).unwrap();
    let (connect, json) = open(&both, &framed(b"\x02X\x02\x02Y")).unwrap();
    assert_eq!(json, json!({"home": {"city": "X"}, "work": {"city": "Y"}}));
    assert_eq!(connect["fields"][1]["fields"][0]["field"], "city");
    let alone = super::schema(Language::Avro, customer, &[]).unwrap_err();
    assert_eq!(
        alone,
        "field home of shop.Customer: names the type shop.Address, which nothing defines"
    );
}

#[test]
fn logical_types_of_avro_are_those_of_connect() {
    for (text, name) in [
        (
            r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#,
            "org.apache.kafka.connect.data.Decimal",
        ),
        (
            r#"{"type":"int","logicalType":"date"}"#,
            "org.apache.kafka.connect.data.Date",
        ),
        (
            r#"{"type":"long","logicalType":"timestamp-micros"}"#,
            "io.debezium.time.MicroTimestamp",
        ),
        (
            r#"{"type":"long","logicalType":"timestamp-micros","connect.name":"io.debezium.time.MicroTime"}"#,
            "io.debezium.time.MicroTime",
        ),
    ] {
        let body = [0];
        let (connect, _) = open(&avro(text), &framed(&body)).unwrap();
        assert_eq!(connect["name"], name, "{text}");
    }
}

#[test]
fn a_schema_in_few_words_does_not_grow_without_bound() {
    // Each level holds the one before it twice.
    let mut text =
        String::from(r#"{"type":"record","name":"r0","fields":[{"name":"x","type":"int"}]}"#);
    for level in 1..40 {
        text = format!(
            r#"{{"type":"record","name":"r{level}","fields":[{{"name":"a","type":{text}}},{{"name":"b","type":"r{}"}}]}}"#,
            level - 1
        );
    }
    let said = super::schema(Language::Avro, &text, &[]).unwrap_err();
    assert_eq!(said, "has more than 100000 parts");
    let deep = format!("{}\"int\"{}", "[".repeat(200), "]".repeat(200));
    assert!(super::schema(Language::Avro, &deep, &[]).is_err());
}
