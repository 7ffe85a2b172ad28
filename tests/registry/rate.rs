//! How fast framed Avro is opened and decoded, beside the same changes in bare JSON. Nothing is asserted about time.

use std::time::Instant;

use serde_json::json;
use trueup::projection::decode::{Decoder, Settings, Source};
use trueup::projection::framed::{Language, Schema, Written};
use trueup::projection::record::{Frame, Position, Record};
use trueup::projection::types::{Column, ColumnType};
use trueup::projection::version::{Guard, Order};

use super::framed;
use crate::support::size;

/// pgbench's accounts as Debezium describes them.
const SCHEMA: &str = r#"{"type":"record","name":"Envelope","namespace":"b.public.accounts","fields":[
  {"name":"before","type":["null",{"type":"record","name":"Value","fields":[{"name":"aid","type":"int"},{"name":"bid","type":["null","int"]},
    {"name":"abalance","type":["null","int"]},{"name":"filler","type":["null","string"]}],"connect.name":"b.public.accounts.Value"}]},
  {"name":"after","type":["null","Value"]},
  {"name":"source","type":{"type":"record","name":"Source","namespace":"io.debezium.connector.postgresql","fields":[
    {"name":"version","type":"string"},{"name":"connector","type":"string"},{"name":"name","type":"string"},{"name":"ts_ms","type":"long"},
    {"name":"snapshot","type":[{"type":"string","connect.name":"io.debezium.data.Enum"},"null"]},{"name":"db","type":"string"},
    {"name":"sequence","type":["null","string"]},{"name":"ts_us","type":["null","long"]},{"name":"ts_ns","type":["null","long"]},
    {"name":"schema","type":"string"},{"name":"table","type":"string"},{"name":"txId","type":["null","long"]},{"name":"lsn","type":["null","long"]},
    {"name":"xmin","type":["null","long"]}]}},
  {"name":"transaction","type":["null","string"]},
  {"name":"op","type":"string"},{"name":"ts_ms","type":["null","long"]},{"name":"ts_us","type":["null","long"]},{"name":"ts_ns","type":["null","long"]}],
  "connect.name":"b.public.accounts.Envelope"}"#;

fn source() -> Source {
    let column = |name: &str, kind: ColumnType| Column {
        name: name.to_owned(),
        kind,
        nullable: name != "aid",
    };
    let int = || ColumnType::Int {
        bits: 32,
        unsigned: false,
    };
    Source {
        name: "accounts".to_owned(),
        columns: vec![
            column("aid", int()),
            column("bid", int()),
            column("abalance", int()),
            column("filler", ColumnType::TEXT),
        ],
        key: vec![0],
        former: Vec::new(),
        computed: Vec::new(),
        settings: Settings::default(),
    }
}

/// One change in both forms.
fn change(aid: i64) -> (Vec<u8>, Vec<u8>) {
    let (ms, lsn, filler) = (
        1_795_917_677_142 + aid,
        26_922_104 + aid * 56,
        " ".repeat(84),
    );
    let sequence = format!("[null,\"{lsn}\"]");
    let json = json!({
        "before": null, "after": {"aid": aid, "bid": 1, "abalance": aid * 3, "filler": filler},
        "source": {"version": "3.3.1.Final", "connector": "postgresql", "name": "b", "ts_ms": ms, "snapshot": "false", "db": "bench",
            "sequence": sequence, "ts_us": ms * 1000, "ts_ns": ms * 1_000_000, "schema": "public", "table": "accounts", "txId": 746, "lsn": lsn, "xmin": null},
        "transaction": null, "op": "u", "ts_ms": ms, "ts_us": ms * 1000, "ts_ns": ms * 1_000_000
    });
    let long = |value: i64| {
        let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
        let mut out = Vec::new();
        while rest >= 0x80 {
            out.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
            rest >>= 7;
        }
        out.push(u8::try_from(rest).unwrap());
        out
    };
    let text = |value: &str| {
        [
            long(value.len().try_into().unwrap()),
            value.as_bytes().to_vec(),
        ]
        .concat()
    };
    let some = |value: Vec<u8>| [vec![2], value].concat();
    let row = [
        long(aid),
        some(long(1)),
        some(long(aid * 3)),
        some(text(&filler)),
    ]
    .concat();
    let source = [
        text("3.3.1.Final"),
        text("postgresql"),
        text("b"),
        long(ms),
        [vec![0], text("false")].concat(),
        text("bench"),
        some(text(&sequence)),
        some(long(ms * 1000)),
        some(long(ms * 1_000_000)),
        text("public"),
        text("accounts"),
        some(long(746)),
        some(long(lsn)),
        vec![0],
    ]
    .concat();
    let clocks = [
        some(long(ms)),
        some(long(ms * 1000)),
        some(long(ms * 1_000_000)),
    ]
    .concat();
    let avro = [vec![0], some(row), source, vec![0], text("u"), clocks].concat();
    (json.to_string().into_bytes(), framed(1, &avro))
}

#[test]
fn avro_is_decoded_beside_bare_json() {
    let count = size(50_000, 1_000_000);
    let schema = Schema::read(&Written {
        language: Language::Avro,
        text: SCHEMA.to_owned(),
        references: Vec::new(),
    })
    .unwrap();
    let changes: Vec<_> = (0..1_000).map(change).collect();
    let bytes = |of: fn(&(Vec<u8>, Vec<u8>)) -> usize| {
        changes.iter().map(of).sum::<usize>() / changes.len()
    };
    println!(
        "{count} changes of {} bytes in JSON, {} in Avro",
        bytes(|c| c.0.len()),
        bytes(|c| c.1.len())
    );
    let decoder = || Decoder::new(source(), Guard::new(Order::Lsn, Vec::new()));
    let at = |offset: usize| Position {
        topic: "b.public.accounts",
        partition: 0,
        offset: offset.try_into().unwrap(),
    };
    let mut rates: Vec<f64> = Vec::new();
    // In turns, the better of three: the machine is not ours alone.
    let (mut best, mut rows) = ([f64::MAX; 3], [0, 0]);
    for _ in 0..3 {
        let (mut json, mut avro) = (decoder(), decoder());
        let began = Instant::now();
        for n in 0..count {
            let (value, _) = &changes[n % changes.len()];
            let record = record(at(n), value, Frame::None);
            let mut out = Vec::with_capacity(1);
            json.decode(&record, &mut out).unwrap();
            rows[0] += out.len();
        }
        best[0] = best[0].min(began.elapsed().as_secs_f64());
        let mut opened = Vec::new();
        let began = Instant::now();
        for n in 0..count {
            let (_, bytes) = &changes[n % changes.len()];
            let connect = schema.open(bytes, &mut opened).unwrap();
            let frame = Frame::Opened {
                schema: connect,
                bytes,
            };
            let record = record(at(n), &opened, frame);
            let mut out = Vec::with_capacity(1);
            avro.decode(&record, &mut out).unwrap();
            rows[1] += out.len();
        }
        best[1] = best[1].min(began.elapsed().as_secs_f64());
        let began = Instant::now();
        for n in 0..count {
            schema
                .open(&changes[n % changes.len()].1, &mut opened)
                .unwrap();
        }
        best[2] = best[2].min(began.elapsed().as_secs_f64());
    }
    rates.extend(best.iter().map(|s| count as f64 / s / 1e6));
    assert_eq!(rows[0], rows[1]);
    println!(
        "decode: bare JSON {:.2} M/s, Avro {:.2} M/s ({:.2} of JSON's time), opening alone {:.2} M/s",
        rates[0],
        rates[1],
        best[1] / best[0],
        rates[2]
    );
}

fn record<'a>(at: Position<'a>, value: &'a [u8], value_frame: Frame<'a>) -> Record<'a> {
    Record {
        at,
        key: Some(b"{}"),
        value: Some(value),
        headers: &[],
        key_frame: Frame::None,
        value_frame,
    }
}
