//! Recorded and hand-made frames, and the exact JSON or error that comes of each.

mod avro;
mod protobuf;

use super::*;

/// Connect's schema and JSON of a framed value.
fn open(schema: &Schema, frame: &[u8]) -> Result<(Value, Value), String> {
    let mut out = Vec::new();
    let connect = schema.open(frame, &mut out)?;
    let json = |text: &[u8]| serde_json::from_slice(text).unwrap();
    Ok((json(connect.as_bytes()), json(&out)))
}

use serde_json::Value;

fn schema(language: Language, text: &str, references: &[(&str, &str)]) -> Result<Schema, String> {
    let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    Schema::read(&Written {
        language,
        text: text.to_owned(),
        references: references.iter().map(own).collect(),
    })
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, 7][..], body].concat()
}

#[test]
fn a_frame_is_five_bytes_and_a_value() {
    assert_eq!(schema_id(b"{\"a\":1}"), Ok(None));
    assert_eq!(schema_id(b""), Ok(None));
    assert_eq!(schema_id(&[0, 0, 0, 1, 2]), Ok(Some(258)));
    assert_eq!(schema_id(&[0, 0, 0, 1]), Err(BadFrame::Short(4)));
    assert_eq!(
        schema_id(&[0, 0, 0, 0, 0, 0, 0, 0, 9, 2]),
        Err(BadFrame::Long)
    );
    let said = BadFrame::Short(4).to_string();
    assert_eq!(
        said,
        "begins as a frame with a schema id, and ends after 4 of at least 5 bytes"
    );
}

#[test]
fn names_are_adjusted_as_debezium_does() {
    for (name, other) in [
        ("my-col", Some("my_col")),
        ("1st", Some("_st")),
        ("größe", Some("gr__e")),
        ("a b.c", Some("a_b_c")),
        ("fine_1", None),
    ] {
        assert_eq!(adjusted(name).as_deref(), other, "{name}");
    }
}

#[test]
fn json_schema_says_what_json_does_not() {
    let text = r##"{"type":"object","title":"t.Envelope","properties":{
        "before":{"oneOf":[{"type":"null"},{"$ref":"#/definitions/Value"}],"connect.index":0},
        "after":{"oneOf":[{"type":"null"},{"$ref":"#/definitions/Value"}],"connect.index":1},
        "op":{"type":"string","connect.index":2},
        "other":{"$ref":"other.json"}},
      "definitions":{"Value":{"type":"object","title":"t.Value","properties":{
        "id":{"type":"integer","connect.type":"int64","connect.index":0},
        "n":{"oneOf":[{"type":"null"},{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.parameters":{"scale":"2"}}]},
        "at":{"type":["null","integer"],"title":"io.debezium.time.MicroTimestamp"},
        "label":{"type":"string","title":"Date"},
        "tags":{"type":"array","items":{"type":"string"}}}}}}"##;
    let reference = ("other.json", r#"{"type":"boolean"}"#);
    let schema = schema(Language::Json, text, &[reference]).unwrap();
    let body = br#"{"op":"c","after":{"id":1,"n":"/w=="}}"#;
    let (connect, json) = open(&schema, &framed(body)).unwrap();
    assert_eq!(json, serde_json::from_slice::<Value>(body).unwrap());
    let fields: Vec<&str> = connect["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["after", "op", "other"]);
    let after = &connect["fields"][0];
    assert_eq!(after["optional"], true);
    let column = |name: &str| -> Value {
        let all = after["fields"].as_array().unwrap();
        all.iter().find(|f| f["field"] == name).unwrap().clone()
    };
    assert_eq!(column("id")["type"], "int64");
    assert_eq!(column("n")["name"], "org.apache.kafka.connect.data.Decimal");
    assert_eq!(column("n")["parameters"]["scale"], "2");
    assert_eq!(column("n")["optional"], true);
    assert_eq!(column("at")["name"], "io.debezium.time.MicroTimestamp");
    // A heading for people is no logical type.
    assert_eq!(column("label").get("name"), None);
    assert_eq!(column("tags")["items"]["type"], "string");
    assert_eq!(connect["fields"][2]["type"], "boolean");
    let lost = super::Schema::read(&Written {
        language: Language::Json,
        text: text.to_owned(),
        references: Vec::new(),
    });
    assert_eq!(
        lost.unwrap_err(),
        "refers to other.json, which is not there"
    );
}
