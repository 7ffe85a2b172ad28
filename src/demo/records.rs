//! The log: each change as the record that Debezium would have written, in the partition that its key hashed to. Halfway
//! the topic got a third partition, as topics do, and from then on some keys go elsewhere.

use serde_json::{Value, json};

use super::bank::{Account, Change};

/// A record in its place.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) partition: u32,
    pub(super) offset: u64,
    pub(super) change: Change,
    /// The tombstone that follows a delete.
    pub(super) tombstone: bool,
}

/// Monday morning, in milliseconds.
const BEGINNING_MS: u64 = 1_767_600_000_000;

/// The changes as records, in the order they were written.
pub(super) fn log(changes: &[Change]) -> Vec<Record> {
    let mut next = [0; 3];
    let mut records = Vec::new();
    for (i, change) in changes.iter().enumerate() {
        let partitions = if i < changes.len() / 2 { 2 } else { 3 };
        let partition = change.id % partitions;
        let tombstones = if change.op == 'd' {
            &[false, true][..]
        } else {
            &[false]
        };
        for tombstone in tombstones {
            let offset = next[partition as usize];
            next[partition as usize] += 1;
            records.push(Record {
                partition,
                offset,
                change: change.clone(),
                tombstone: *tombstone,
            });
        }
    }
    records
}

/// The archive, as `kcat -J` would have recorded it.
pub(super) fn text(log: &[Record]) -> String {
    log.iter().map(|r| format!("{}\n", line(r))).collect()
}

fn line(r: &Record) -> Value {
    let ms = BEGINNING_MS + r.change.position;
    let payload = (!r.tombstone).then(|| envelope(&r.change, ms).to_string());
    json!({
        "topic": "bank.main.accounts", "partition": r.partition, "offset": r.offset, "tstype": "create", "ts": ms, "broker": 1,
        "key": json!({"id": r.change.id}).to_string(), "payload": payload,
    })
}

fn envelope(change: &Change, ms: u64) -> Value {
    let row = |a: &Account| json!({"id": a.id, "owner": a.owner, "balance": a.balance, "status": a.status});
    json!({
        "before": null, "after": change.after.as_ref().map(row), "op": change.op.to_string(), "ts_ms": ms,
        "source": {
            "version": "3.3.1.Final", "connector": "postgresql", "name": "bank", "ts_ms": ms, "snapshot": "false", "db": "bank",
            "schema": "main", "table": "accounts", "lsn": change.position,
        },
    })
}
