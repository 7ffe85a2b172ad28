//! The list of records that were set aside.

use serde_json::{Value, json};

use super::json::FORMAT;
use super::table::table;

/// A record in quarantine, as it is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// `topic:partition:offset`.
    pub record: String,
    /// The run that set it aside.
    pub run: String,
    /// The table that it was for.
    pub table: String,
    /// The key of the table's row.
    pub key: Vec<String>,
    /// What became of it.
    pub standing: &'static str,
    /// When it was set aside.
    pub kept_at: String,
    /// Why.
    pub reason: String,
    /// The message key.
    pub record_key: Option<Vec<u8>>,
    /// The message value.
    pub record_value: Option<Vec<u8>>,
    /// The headers.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Bytes as text, where they are text; else as they are.
fn bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "bytes": bytes }),
    }
}

/// As text.
#[must_use]
pub fn text(records: &[Shown]) -> String {
    if records.is_empty() {
        return "no records are in quarantine\n".to_owned();
    }
    let head = ["record", "table", "key", "standing", "since", "reason"];
    let row = |r: &Shown| {
        vec![
            r.record.clone(),
            r.table.clone(),
            r.key.join(", "),
            r.standing.to_owned(),
            r.kept_at.clone(),
            r.reason.clone(),
        ]
    };
    table(&head, records.iter().map(row).collect())
}

/// As JSON, with the records whole.
#[must_use]
pub fn json(records: &[Shown]) -> String {
    let one = |r: &Shown| {
        let headers = r.headers.iter().map(|(n, b)| json!([n, bytes(b)]));
        json!({
            "record": r.record, "run": r.run, "table": r.table, "key": r.key, "standing": r.standing, "kept_at": r.kept_at,
            "reason": r.reason, "record_key": r.record_key.as_deref().map(bytes),
            "record_value": r.record_value.as_deref().map(bytes), "headers": headers.collect::<Vec<Value>>(),
        })
    };
    let all: Vec<Value> = records.iter().map(one).collect();
    json!({ "format": FORMAT, "quarantined": all }).to_string()
}
