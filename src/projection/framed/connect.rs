//! A Connect schema as Connect's own JSON converter writes it.

use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

/// One node.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Node {
    /// `int32`, `struct` and so on.
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) optional: bool,
    /// The logical name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) parameters: Map<String, Value>,
    /// The field of a struct that this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) field: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) fields: Vec<Node>,
    /// Whether nothing tells NULL from zero or empty. No word of Connect: only Protobuf has such fields.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) implicit: bool,
    /// Of an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) items: Option<Box<Node>>,
    /// Of a map.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) values: Option<Box<Node>>,
}

impl Node {
    /// A node of this type.
    pub(super) fn of(kind: &str) -> Node {
        Node {
            kind: kind.to_owned(),
            ..Node::default()
        }
    }

    /// Under this logical name.
    pub(super) fn named(mut self, name: &str) -> Node {
        self.name = Some(name.to_owned());
        self
    }

    /// With this parameter; those of Connect are texts.
    pub(super) fn with(mut self, name: &str, value: impl ToString) -> Node {
        let value = Value::String(value.to_string());
        self.parameters.insert(name.to_owned(), value);
        self
    }

    pub(super) fn text(&self) -> String {
        serde_json::json!(self).to_string()
    }
}

/// Whether a field of the record itself, or of its `source`, is of no use to anybody: it is neither written nor described.
/// `before` under the usual replica identity is made up; the finer clocks repeat `ts_ms`.
pub(super) fn is_skipped(place: Place, field: &str) -> bool {
    match place {
        Place::Envelope => matches!(field, "before" | "ts_us" | "ts_ns"),
        Place::Source => matches!(field, "version" | "ts_us" | "ts_ns"),
        Place::Other => false,
    }
}

/// Where in a record a struct stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Envelope,
    Source,
    Other,
}

impl Place {
    /// The place of the outermost struct, by its name.
    pub(super) fn of_root(name: &str) -> Place {
        if name.rsplit('.').next() == Some("Envelope") {
            Place::Envelope
        } else {
            Place::Other
        }
    }

    /// The place of a field's struct.
    pub(super) fn below(self, field: &str) -> Place {
        if self == Place::Envelope && field == "source" {
            Place::Source
        } else {
            Place::Other
        }
    }
}
