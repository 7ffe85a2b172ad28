//! Records of events with bytes exchanged, cut off and put in: each is read or refused at its position.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use trueup::projection::change::Change;
use trueup::projection::decode::events::{
    Absent, Envelope, EventDecoder, Events, Form, On, Place, Term, Value,
};
use trueup::projection::record::{Frame, Position, Record};
use trueup::projection::types::{Column, ColumnType};
use trueup::projection::version::{Guard, Order};

use crate::support::{seed, size};

fn events(envelope: Envelope) -> Events {
    let column = |name: &str, kind| Column {
        name: name.to_owned(),
        kind,
        nullable: true,
    };
    let field = |path: &str, absent| Value::Found {
        places: vec![Place::Data(path.split('.').map(str::to_owned).collect())],
        absent,
    };
    let key = Value::Found {
        places: vec![Place::Key(Vec::new())],
        absent: Absent::Wrong,
    };
    let term = Term {
        value: field("lines.0.amount", Absent::Wrong),
        negative: true,
    };
    Events {
        form: Form::of(envelope),
        columns: vec![
            column("id", ColumnType::INT64),
            column("at", ColumnType::TimestampTz { digits: 6 }),
            column("total", ColumnType::Numeric { size: None }),
            column("data", ColumnType::Json),
            column("uuid", ColumnType::Uuid),
        ],
        key: vec![0],
        always: vec![(0, key)],
        on: BTreeMap::from([(
            "Placed".to_owned(),
            On::Change {
                set: vec![
                    (1, field("at", Absent::Null)),
                    (3, field("lines", Absent::Keep)),
                    (4, field("uuid", Absent::Null)),
                ],
                add: vec![(2, term)],
            },
        )]),
        ignores_others: false,
    }
}

const DATA: &str = r#"{"at":"2024-01-31T12:00:00.5+01:30","lines":[{"amount":-12.5e-1,"x":"\u00e9\"\\"},null],"uuid":"00112233-4455-6677-8899-aabbccddeeff"}"#;

/// Key, value, and the value of the header that says the type.
fn samples() -> Vec<(Envelope, [Vec<u8>; 3])> {
    let text = serde_json::Value::from(DATA).to_string();
    let wrapped = format!(r#"{{"schema":{{"type":"string"}},"payload":{text}}}"#);
    let beside = format!(r#"{{"payload":{text},"eventType":"Placed"}}"#);
    let cloud = format!(r#"{{"specversion":"1.0","id":"1","type":"Placed","data":{DATA}}}"#);
    let plain = DATA.replacen('{', r#"{"type":"Placed","#, 1);
    let key = r#"{"schema":{"type":"string"},"payload":"42"}"#;
    let outbox = [DATA, &text, &wrapped].map(|value| (Envelope::Outbox, "42", value, "Placed"));
    let others = [
        (Envelope::Outbox, key, beside.as_str(), ""),
        (Envelope::CloudEvents, "\"42\"", &cloud, ""),
        (Envelope::CloudEvents, "42", DATA, "\"Placed\""),
        (Envelope::Plain, "42", &plain, ""),
    ];
    let bytes = |(envelope, key, value, kind): (Envelope, &str, &str, &str)| {
        (envelope, [key, value, kind].map(|t| t.as_bytes().to_vec()))
    };
    outbox.into_iter().chain(others).map(bytes).collect()
}

fn mutate(rng: &mut StdRng, bytes: &mut Vec<u8>) {
    const BYTES: &[u8] = b"\"{}[]\\,:0e-.u\x00\xff\xc3 nt";
    let at = rng.random_range(0..=bytes.len());
    let byte = BYTES[rng.random_range(0..BYTES.len())];
    match rng.random_range(0..5) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, byte),
        2 if at < bytes.len() => drop(bytes.remove(at)),
        3 if at < bytes.len() => {
            let part = bytes[at..].to_vec();
            bytes.extend(part);
        }
        _ if at < bytes.len() => bytes[at] = byte,
        _ => bytes.push(byte),
    }
}

#[test]
fn a_record_is_read_or_refused_where_it_stands() {
    let mut rng = StdRng::seed_from_u64(seed());
    let samples = samples();
    let (mut read, mut refused) = (0u64, 0u64);
    let mut decoders: Vec<EventDecoder> = samples
        .iter()
        .map(|(e, _)| EventDecoder::new(events(*e), Guard::new(Order::Offset, Vec::new())))
        .collect();
    for offset in 0..size(100_000, 10_000_000) as i64 {
        let which = rng.random_range(0..samples.len());
        let (envelope, [mut key, mut value, mut kind]) = samples[which].clone();
        // The first of each is as it should be.
        if offset >= 1_000 {
            for _ in 0..rng.random_range(1..4) {
                match rng.random_range(0..10) {
                    0 => mutate(&mut rng, &mut key),
                    1 => mutate(&mut rng, &mut kind),
                    _ => mutate(&mut rng, &mut value),
                }
            }
        }
        let name = match envelope {
            Envelope::CloudEvents => "ce_type",
            Envelope::Outbox | Envelope::Plain => "eventType",
        };
        let headers = [(name, kind.as_slice())];
        let record = Record {
            at: Position {
                topic: "shop.events.order",
                partition: 3,
                offset,
            },
            key: Some(&key),
            value: Some(&value),
            headers: if kind.is_empty() { &[] } else { &headers },
            key_frame: Frame::None,
            value_frame: Frame::None,
        };
        let mut changes: Vec<Change<'static>> = Vec::new();
        match decoders[which].decode(&record, &mut changes) {
            Ok(_) => read += 1,
            Err(e) => {
                refused += 1;
                let said = e.to_string();
                let at = format!("record shop.events.order:3:{offset}: ");
                assert!(
                    offset >= 1_000 && said.starts_with(&at),
                    "{said}: {:?}",
                    String::from_utf8_lossy(&value)
                );
            }
        }
    }
    println!("{read} read, {refused} refused");
    assert!(read > 0 && refused > 0);
}
