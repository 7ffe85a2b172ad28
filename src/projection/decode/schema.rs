//! Kafka Connect schemas embedded in JSON: the encoding of each field. A record carries its schema every time, so the
//! last one read is kept and compared as text.

use serde::Deserialize;

use super::value::Encoding;
use crate::projection::types::{Column, ColumnType};

/// A schema node, as far as it is used.
#[derive(Debug, Deserialize)]
struct Node {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    field: Option<String>,
    #[serde(default)]
    fields: Vec<Node>,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    items: Option<Box<Node>>,
    #[serde(default)]
    parameters: Option<Parameters>,
}

#[derive(Debug, Deserialize)]
struct Parameters {
    #[serde(default)]
    scale: Option<String>,
    #[serde(default, rename = "connect.decimal.precision")]
    precision: Option<String>,
    #[serde(default)]
    length: Option<String>,
}

/// A message with its schema beside it.
#[derive(Deserialize)]
struct Message {
    schema: Node,
}

/// The columns that a record's schemas name, and those of its key; `None` where it carries none.
#[must_use]
pub fn described(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<(Vec<Column>, Vec<String>)> {
    let read = |bytes: Option<&[u8]>| serde_json::from_slice::<Message>(bytes?).ok();
    let (key, value) = (read(key)?.schema, read(value)?.schema);
    let after = value.fields.iter();
    let mut after = after.filter(|f| f.field.as_deref() == Some("after"));
    let row = after.next()?;
    let column = |field: &Node| {
        Some(Column {
            name: field.field.clone()?,
            kind: kind(field),
            nullable: field.optional,
        })
    };
    let names = key.fields.into_iter().filter_map(|f| f.field);
    Some((
        row.fields.iter().map(column).collect::<Option<_>>()?,
        names.collect(),
    ))
}

/// The type that a field's schema stands for; the widest of its family where the schema leaves it open.
fn kind(node: &Node) -> ColumnType {
    let name = node.name.as_deref().unwrap_or_default();
    let number = |text: fn(&Parameters) -> &Option<String>| {
        let text = text(node.parameters.as_ref()?).as_deref()?;
        text.parse::<u32>().ok()
    };
    let int = |bits| ColumnType::Int {
        bits,
        unsigned: false,
    };
    match (name.rsplit('.').next().unwrap_or(name), node.kind.as_str()) {
        ("Decimal", _) => ColumnType::Numeric {
            size: number(|p| &p.precision).zip(number(|p| &p.scale)),
        },
        ("VariableScaleDecimal", _) => ColumnType::Numeric { size: None },
        ("Date", _) => ColumnType::Date,
        ("Time", _) => ColumnType::Time { digits: 3 },
        ("MicroTime" | "NanoTime", _) => ColumnType::Time { digits: 6 },
        ("Timestamp", _) => ColumnType::Timestamp { digits: 3 },
        ("MicroTimestamp" | "NanoTimestamp", _) => ColumnType::Timestamp { digits: 6 },
        ("ZonedTimestamp", _) => ColumnType::TimestampTz { digits: 6 },
        ("Json", _) => ColumnType::Json,
        ("Uuid", _) => ColumnType::Uuid,
        ("", "boolean") => ColumnType::Bool,
        ("", "int8" | "int16") => int(16),
        ("", "int32") => int(32),
        ("", "int64") => int(64),
        ("", "float" | "float32") => ColumnType::Float32,
        ("", "double" | "float64") => ColumnType::Float64,
        ("", "string") => ColumnType::Text {
            max_chars: number(|p| &p.length),
            padded: false,
        },
        ("", "bytes") => ColumnType::Bytes,
        ("", "array") => match &node.items {
            Some(items) => ColumnType::Array(Box::new(kind(items))),
            None => ColumnType::Other("array".to_owned()),
        },
        (other, _) => ColumnType::Other(other.to_owned()),
    }
}

/// The encodings of the last schema seen.
#[derive(Clone, Debug, Default)]
pub(super) struct SchemaCache {
    text: String,
    encodings: Vec<Encoding>,
}

impl SchemaCache {
    /// The encoding of each column under this schema; columns that it does not name are read as if there were none.
    /// `row` is the field that holds the row (`after`), or `None` when the schema is the row's own (keys).
    pub(super) fn encodings(
        &mut self,
        text: &str,
        row: Option<&str>,
        columns: &[&Column],
    ) -> Result<&[Encoding], String> {
        if self.text != text || self.encodings.len() != columns.len() {
            let node: Node = serde_json::from_str(text)
                .map_err(|e| format!("its schema cannot be read: {e}"))?;
            let fields = match row {
                None => &node.fields,
                Some(name) => match node
                    .fields
                    .iter()
                    .find(|f| f.field.as_deref() == Some(name))
                {
                    Some(row) => &row.fields,
                    None => return Err(format!("its schema has no field {name}")),
                },
            };
            self.encodings = columns
                .iter()
                .map(|c| {
                    match fields
                        .iter()
                        .find(|f| f.field.as_deref() == Some(c.name.as_str()))
                    {
                        Some(field) => encoding(field, c),
                        None => Ok(Encoding::bare(&c.kind)),
                    }
                })
                .collect::<Result<_, _>>()?;
            text.clone_into(&mut self.text);
        }
        Ok(&self.encodings)
    }
}

fn encoding(node: &Node, column: &Column) -> Result<Encoding, String> {
    let short = node
        .name
        .as_deref()
        .map(|n| n.rsplit('.').next().unwrap_or(n));
    let connect = node
        .name
        .as_deref()
        .is_some_and(|n| n.starts_with("org.apache.kafka.connect.data."));
    Ok(match (short, node.kind.as_str()) {
        (Some("Decimal"), _) => {
            let scale = node
                .parameters
                .as_ref()
                .and_then(|p| p.scale.as_deref())
                .and_then(|s| s.parse().ok());
            Encoding::Decimal {
                scale: Some(scale.ok_or_else(|| {
                    format!("field {} is a Decimal without a scale", column.name)
                })?),
            }
        }
        (Some("VariableScaleDecimal"), _) => Encoding::Decimal { scale: None },
        (Some("Date"), _) => Encoding::Days,
        (Some("Time"), _) => Encoding::TimeOfDay {
            unit_nanos: 1_000_000,
        },
        (Some("MicroTime"), _) => Encoding::TimeOfDay { unit_nanos: 1_000 },
        (Some("NanoTime"), _) => Encoding::TimeOfDay { unit_nanos: 1 },
        (Some("Timestamp"), _) => Encoding::Instant {
            unit_nanos: 1_000_000,
            connect,
        },
        (Some("MicroTimestamp"), _) => Encoding::Instant {
            unit_nanos: 1_000,
            connect,
        },
        (Some("NanoTimestamp"), _) => Encoding::Instant {
            unit_nanos: 1,
            connect,
        },
        (_, "array") => match &node.items {
            Some(items) => {
                let of = match &column.kind {
                    ColumnType::Array(of) => (**of).clone(),
                    other => other.clone(),
                };
                let element = Column {
                    name: column.name.clone(),
                    kind: of,
                    nullable: true,
                };
                Encoding::Array(Box::new(encoding(items, &element)?))
            }
            None => Encoding::bare(&column.kind),
        },
        _ => Encoding::bare(&column.kind),
    })
}
