//! Debezium's bare JSON envelopes, decoded just far enough to be written into a table as they are.

use rdkafka::Message;
use rdkafka::message::BorrowedMessage;
use serde_json::Value;

use super::route::Route;

/// What a record does to one row of the read table.
#[derive(Clone, Debug)]
pub struct Change {
    /// The values of the key columns, as text.
    pub key: Vec<Option<String>>,
    /// The values of all mapped columns, as text; `None` deletes the row.
    pub row: Option<Vec<Option<String>>>,
}

/// A record as it was read. One without a change (a tombstone, a truncate) only moves the position on.
#[derive(Clone, Debug)]
pub struct Event {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// The record's timestamp, in milliseconds since 1970.
    pub timestamp: i64,
    pub change: Option<Change>,
}

impl Event {
    /// The key as one text: its columns, joined by a slash.
    pub fn key(&self) -> Option<String> {
        self.change.as_ref().map(|change| joined(&change.key))
    }

    pub fn read(message: &BorrowedMessage<'_>, route: &Route) -> Result<Event, String> {
        let at = || {
            format!(
                "{} [{}] at {}",
                message.topic(),
                message.partition(),
                message.offset()
            )
        };
        let change = change(message.key(), message.payload(), route)
            .map_err(|e| format!("{}: {e}", at()))?;
        Ok(Event {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis().unwrap_or(0),
            change,
        })
    }
}

/// The columns of a key as one text.
pub fn joined(key: &[Option<String>]) -> String {
    key.iter()
        .map(|value| value.as_deref().unwrap_or("NULL"))
        .collect::<Vec<_>>()
        .join("/")
}

fn change(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    route: &Route,
) -> Result<Option<Change>, String> {
    let Some(value) = value else {
        return Ok(None);
    };
    let envelope: Value = serde_json::from_slice(value).map_err(|e| e.to_string())?;
    match envelope["op"].as_str() {
        Some("c" | "u" | "r") => {
            let after = &envelope["after"];
            let row: Vec<_> = route
                .columns
                .iter()
                .map(|c| text(&after[&c.source]))
                .collect();
            let key = route.keys().map(|(n, _)| row[n].clone()).collect();
            let row = route.takes(after).then_some(row);
            Ok(Some(Change { key, row }))
        }
        Some("d") => {
            // `before` holds invented values beside the key; the record's own key is right.
            let key: Value = serde_json::from_slice(key.ok_or("a delete without a key")?)
                .map_err(|e| e.to_string())?;
            let key = route.keys().map(|(_, c)| text(&key[&c.source])).collect();
            Ok(Some(Change { key, row: None }))
        }
        Some(_) => Ok(None),
        None => Err("not a change record".to_owned()),
    }
}

/// A JSON value as PostgreSQL reads it.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
