//! Every envelope, and what an event may lack.

use super::*;
use crate::projection::record::{Frame, Position};
use crate::projection::types::ColumnType;
use crate::projection::version::Order;

fn column(name: &str, kind: ColumnType) -> Column {
    Column {
        name: name.to_owned(),
        kind,
        nullable: true,
    }
}

fn field(path: &str) -> Value {
    Value::Found {
        places: vec![data(path)],
        absent: Absent::Wrong,
    }
}

fn data(path: &str) -> Place {
    Place::Data(path.split('.').map(str::to_owned).collect())
}

fn first_of(places: Vec<Place>, absent: Absent) -> Value {
    Value::Found { places, absent }
}

/// Orders: keyed by the record's key.
fn orders(envelope: Envelope) -> Events {
    let numeric = ColumnType::Numeric {
        size: Some((12, 2)),
    };
    let term = |value, negative| Term { value, negative };
    Events {
        form: Form::of(envelope),
        columns: vec![
            column("id", ColumnType::INT64),
            column("state", ColumnType::TEXT),
            column("customer", ColumnType::TEXT),
            column("total", numeric),
            column("at", ColumnType::TimestampTz { digits: 6 }),
            column("event", ColumnType::TEXT),
        ],
        key: vec![0],
        always: vec![
            (0, first_of(vec![Place::Key(Vec::new())], Absent::Wrong)),
            (
                5,
                first_of(vec![Place::Attribute("id".to_owned())], Absent::Keep),
            ),
        ],
        on: BTreeMap::from([
            (
                "OrderPlaced".to_owned(),
                On::Change {
                    set: vec![
                        (1, Value::Literal(Cell::Text("placed".into()))),
                        (
                            2,
                            first_of(
                                vec![data("customer.id"), data("customer_id")],
                                Absent::Wrong,
                            ),
                        ),
                        (4, first_of(vec![data("at")], Absent::Null)),
                    ],
                    add: vec![(3, term(field("amount"), false))],
                },
            ),
            (
                "Refunded".to_owned(),
                On::Change {
                    set: Vec::new(),
                    add: vec![(3, term(field("amount"), true))],
                },
            ),
            ("OrderCancelled".to_owned(), On::Delete),
            ("Heartbeat".to_owned(), On::Ignore),
        ]),
        ignores_others: false,
    }
}

type Header<'h> = (&'h str, &'h [u8]);

fn decode(
    events: &Events,
    key: Option<&str>,
    value: Option<&str>,
    headers: &[Header<'_>],
) -> Result<Option<(Key<'static>, Op<'static>)>, String> {
    let record = Record {
        at: Position {
            topic: "shop.events.order",
            partition: 2,
            offset: 7,
        },
        key: key.map(str::as_bytes),
        value: value.map(str::as_bytes),
        headers,
        key_frame: Frame::None,
        value_frame: Frame::None,
    };
    let mut decoder = EventDecoder::new(events.clone(), Guard::new(Order::Offset, Vec::new()));
    let mut changes: Vec<Change<'static>> = Vec::new();
    let decoded = decoder
        .decode(&record, &mut changes)
        .map_err(|e| e.to_string())?;
    let change = changes.pop();
    assert_eq!(
        decoded == Decoded::Ignored(Ignored::Event),
        change.is_none()
    );
    Ok(change.map(|c| {
        assert_eq!((c.version.partition, c.version.offset), (2, 7));
        (c.key, c.op)
    }))
}

const PLACED: &str = r#"{"customer":{"id":"c-1"},"amount":12.50,"at":"2024-01-31T12:00:00Z"}"#;

/// What [`PLACED`] comes to, whatever is around it.
fn placed(event: Cell<'static>) -> Option<(Key<'static>, Op<'static>)> {
    let row = vec![
        Cell::Int(42),
        Cell::Text("placed".into()),
        Cell::Text("c-1".into()),
        Cell::Added(Box::new(Cell::Numeric("12.50".into()))),
        Cell::TimestampTz(1_706_702_400_000_000),
        event,
    ];
    Some((Key(vec![Cell::Int(42)]), Op::Put(row)))
}

#[test]
fn the_outbox_in_all_its_forms() {
    let outbox = orders(Envelope::Outbox);
    let text = serde_json::Value::from(PLACED).to_string();
    let wrapped = format!(r#"{{"schema":{{"type":"string"}},"payload":{text}}}"#);
    let kind: &[Header<'_>] = &[("id", b"e-1"), ("eventType", b"OrderPlaced")];
    let json_kind: &[Header<'_>] = &[
        ("id", br#"{"schema":{"type":"string"},"payload":"e-1"}"#),
        ("type", b"\"OrderPlaced\""),
    ];
    for value in [PLACED, &text, &wrapped] {
        for headers in [kind, json_kind] {
            for key in [
                "42",
                "\"42\"",
                r#"{"schema":{"type":"string"},"payload":"42"}"#,
            ] {
                let got = decode(&outbox, Some(key), Some(value), headers);
                assert_eq!(got, Ok(placed(Cell::Text("e-1".into()))), "{value} {key}");
            }
        }
    }
    for payload in [PLACED, &text] {
        let beside = format!(r#"{{"payload":{payload},"eventType":"OrderPlaced"}}"#);
        let wrapped = format!(r#"{{"schema":{{"type":"struct"}},"payload":{beside}}}"#);
        for value in [beside, wrapped] {
            let got = decode(&outbox, Some("42"), Some(&value), &[]);
            assert_eq!(got, Ok(placed(Cell::Unchanged)), "{value}");
        }
    }
}

#[test]
fn cloud_events_structured_and_binary() {
    let cloud = orders(Envelope::CloudEvents);
    let structured = format!(
        r#"{{"specversion":"1.0","id":"e-1","source":"/shop","type":"OrderPlaced","data":{PLACED}}}"#
    );
    let said: &[Header<'_>] = &[(
        "content-type",
        b"application/cloudevents+json; charset=UTF-8",
    )];
    let binary: &[Header<'_>] = &[
        ("ce_specversion", b"1.0"),
        ("ce_id", b"e-1"),
        ("ce_type", b"OrderPlaced"),
        ("content-type", b"application/json"),
    ];
    for (value, headers) in [
        (structured.as_str(), said),
        (&structured, &[]),
        (PLACED, binary),
    ] {
        let got = decode(&cloud, Some("42"), Some(value), headers);
        assert_eq!(got, Ok(placed(Cell::Text("e-1".into()))), "{value}");
    }
    let encoded = r#"{"specversion":"1.0","id":"e","type":"OrderPlaced","data_base64":"e30="}"#;
    for (value, headers, wrong) in [
        (encoded, said, "base64"),
        (
            PLACED,
            &[("content-type", &b"application/cloudevents-batch+json"[..])][..],
            "batch",
        ),
        (PLACED, &[], "no event type"),
        ("", binary, "no JSON"),
    ] {
        let got = decode(&cloud, Some("42"), Some(value), headers).unwrap_err();
        assert!(
            got.contains("record shop.events.order:2:7: ") && got.contains(wrong),
            "{got}"
        );
    }
}

#[test]
fn plain_events_and_places_of_ones_own() {
    let mut plain = orders(Envelope::Plain);
    let typed = PLACED.replacen('{', r#"{"type":"OrderPlaced","id":"e-1","#, 1);
    let got = decode(&plain, Some("42"), Some(&typed), &[]);
    assert_eq!(got, Ok(placed(Cell::Text("e-1".into()))));
    plain.form.kind = vec![Place::Value(vec!["meta".to_owned(), "name".to_owned()])];
    plain.form.data = Some(vec!["body".to_owned(), "0".to_owned()]);
    plain.always[0].1 = first_of(vec![Place::Key(vec!["order".to_owned()])], Absent::Wrong);
    let value = format!(r#"{{"meta":{{"name":"OrderPlaced"}},"body":[{PLACED}]}}"#);
    let got = decode(&plain, Some(r#"{"order":42}"#), Some(&value), &[]);
    assert_eq!(got, Ok(placed(Cell::Unchanged)));
}

#[test]
fn deletes_ignored_types_and_tombstones() {
    let mut outbox = orders(Envelope::Outbox);
    let cancelled: &[Header<'_>] = &[("eventType", b"OrderCancelled")];
    let gone = Ok(Some((Key(vec![Cell::Int(42)]), Op::Delete)));
    for value in [None, Some("null"), Some("{}"), Some("no JSON")] {
        assert_eq!(decode(&outbox, Some("42"), value, cancelled), gone);
    }
    assert_eq!(
        decode(&outbox, None, Some("x"), &[("eventType", b"Heartbeat")]),
        Ok(None)
    );
    let other: &[Header<'_>] = &[("eventType", b"Shipped")];
    let unknown = decode(&outbox, Some("42"), Some("{}"), other).unwrap_err();
    assert!(
        unknown.contains("nothing for events of type \"Shipped\""),
        "{unknown}"
    );
    let tombstone = decode(&outbox, Some("42"), None, &[]).unwrap_err();
    assert!(tombstone.contains("@tombstone"), "{tombstone}");
    outbox.on.insert(TOMBSTONE.to_owned(), On::Delete);
    outbox.ignores_others = true;
    assert_eq!(decode(&outbox, Some("42"), None, &[]), gone);
    assert_eq!(decode(&outbox, Some("42"), Some("{}"), other), Ok(None));
}

#[test]
fn numbers_are_added_and_taken_off() {
    let outbox = orders(Envelope::Outbox);
    let refunded: &[Header<'_>] = &[("eventType", b"Refunded")];
    for (amount, want) in [
        ("2.5", Cell::Numeric("-2.5".into())),
        ("\"-2.50\"", Cell::Numeric("2.50".into())),
        ("3", Cell::Int(-3)),
        ("1e2", Cell::Int(-100)),
    ] {
        let value = format!(r#"{{"amount":{amount}}}"#);
        let got = decode(&outbox, Some("42"), Some(&value), refunded);
        let Ok(Some((_, Op::Put(row)))) = got else {
            panic!("{amount}: {got:?}");
        };
        assert_eq!(row[3], Cell::Added(Box::new(want)), "{amount}");
        assert_eq!((&row[1], &row[2]), (&Cell::Unchanged, &Cell::Unchanged));
    }
    for (value, wrong) in [
        (r#"{"amount":null}"#, "no number that can be added"),
        (r#"{"amount":"much"}"#, "a text that is no numeric"),
        (r#"{"amount":{}}"#, "an object"),
        ("{}", "is not there (amount); if it may be missing"),
        ("7", "its data has no fields"),
        ("{", "its value is no JSON"),
    ] {
        let got = decode(&outbox, Some("42"), Some(value), refunded).unwrap_err();
        assert!(got.contains(wrong), "{value}: {got}");
    }
}

#[test]
fn what_an_event_lacks() {
    let outbox = orders(Envelope::Outbox);
    let kind: &[Header<'_>] = &[("eventType", b"OrderPlaced")];
    let old = r#"{"customer_id":"c-1","amount":1}"#;
    let Ok(Some((_, Op::Put(row)))) = decode(&outbox, Some("42"), Some(old), kind) else {
        panic!("a former name");
    };
    assert_eq!(
        (&row[2], &row[4], &row[5]),
        (&Cell::Text("c-1".into()), &Cell::Null, &Cell::Unchanged)
    );
    for (key, value, wrong) in [
        (Some("42"), r#"{"amount":1}"#, "(customer.id, customer_id)"),
        (Some("x"), PLACED, "a text that is no int64"),
        (None, PLACED, "column id is not there (@key)"),
    ] {
        let got = decode(&outbox, key, Some(value), kind).unwrap_err();
        assert!(got.contains(wrong), "{got}");
    }
    let number = PLACED.replace("\"2024-01-31T12:00:00Z\"", "1706702400000");
    let got = decode(&outbox, Some("42"), Some(&number), kind).unwrap_err();
    assert!(got.contains("does not say of what unit"), "{got}");
}
