//! Kafka Connect schemas embedded in JSON: the encoding of each field. A record carries its schema every time, so the
//! last one read is kept and compared as text.

use serde::Deserialize;

use super::encoding::Encoding;
use super::envelope::Names;
use super::foreign::Foreign;
use super::settings::{Binary, Settings};
use crate::projection::record::{Frame, Record};
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
    /// Whether nothing tells NULL from zero or empty in it.
    #[serde(default)]
    implicit: bool,
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

/// The columns that a record's schemas name, and those of its key; `None` where it has none.
#[must_use]
pub fn described(record: &Record<'_>) -> Option<(Vec<Column>, Vec<String>)> {
    let read = |frame: Frame<'_>, bytes: Option<&[u8]>| match frame.schema() {
        Some(schema) => serde_json::from_str(schema).ok(),
        None => serde_json::from_slice::<Message>(bytes?)
            .ok()
            .map(|m| m.schema),
    };
    let (key, value): (Node, Node) = (
        read(record.key_frame, record.key)?,
        read(record.value_frame, record.value)?,
    );
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
        ("IsoDate", _) => ColumnType::Date,
        ("IsoTime", _) => ColumnType::Time { digits: 6 },
        ("IsoTimestamp", _) => ColumnType::Timestamp { digits: 6 },
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
    /// `row` is the field that holds the row (`after`), or `None` when the schema is the row's own (keys, flattened rows).
    pub(super) fn encodings(
        &mut self,
        text: &str,
        row: Option<&str>,
        (columns, names): (&[&Column], &Names),
        settings: &Settings,
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
            let mut found: Vec<Option<&Node>> = vec![None; columns.len()];
            for field in fields {
                match field.field.as_deref().and_then(|name| names.slot(name)) {
                    Some((at, true)) => found[at] = Some(field),
                    Some((at, false)) if found[at].is_none() => found[at] = Some(field),
                    _ => {}
                }
            }
            self.encodings = columns
                .iter()
                .zip(found)
                .map(|(column, field)| match field {
                    Some(field) if field.implicit && column.nullable => Err(format!(
                        "its schema has no way to tell NULL from zero or empty in column {}; set `optional.for.nullables` on the converter",
                        column.name
                    )),
                    Some(field) => encoding(field, (&column.name, &column.kind), settings),
                    None => Ok(Encoding::bare(&column.kind, settings)),
                })
                .collect::<Result<_, _>>()?;
            text.clone_into(&mut self.text);
        }
        Ok(&self.encodings)
    }
}

fn encoding(
    node: &Node,
    (name, kind): (&str, &ColumnType),
    settings: &Settings,
) -> Result<Encoding, String> {
    const MILLIS: i64 = 1_000_000;
    const MICROS: i64 = 1_000;
    let short = node
        .name
        .as_deref()
        .map(|n| n.rsplit('.').next().unwrap_or(n));
    let parameter = |get: fn(&Parameters) -> &Option<String>| {
        let parameters = node.parameters.as_ref()?;
        get(parameters).as_deref()?.parse::<i32>().ok()
    };
    Ok(match (short, node.kind.as_str(), kind) {
        (Some("Decimal" | "VariableScaleDecimal"), _, ColumnType::Other(_)) => {
            Encoding::Foreign(Foreign::Money {
                scale: parameter(|p| &p.scale).unwrap_or(2),
                as_text: false,
            })
        }
        (Some("Decimal"), ..) => Encoding::Decimal {
            scale: Some(
                parameter(|p| &p.scale)
                    .ok_or_else(|| format!("field {name} is a Decimal without a scale"))?,
            ),
        },
        (Some("VariableScaleDecimal"), ..) => Encoding::Decimal { scale: None },
        (Some("Date"), ..) => Encoding::Days,
        (Some("Time"), ..) => Encoding::TimeOfDay { unit_nanos: MILLIS },
        (Some("MicroTime"), ..) => Encoding::TimeOfDay { unit_nanos: MICROS },
        (Some("NanoTime"), ..) => Encoding::TimeOfDay { unit_nanos: 1 },
        (Some("Timestamp"), ..) => Encoding::Instant { unit_nanos: MILLIS },
        (Some("MicroTimestamp"), ..) => Encoding::Instant { unit_nanos: MICROS },
        (Some("NanoTimestamp"), ..) => Encoding::Instant { unit_nanos: 1 },
        (Some("IsoDate" | "IsoTime" | "IsoTimestamp" | "ZonedTimestamp" | "ZonedTime"), ..) => {
            Encoding::Iso
        }
        (Some("Bits"), ..) => {
            let length = parameter(|p| &p.length).and_then(|n| u32::try_from(n).ok());
            Encoding::Foreign(Foreign::Bits(length.unwrap_or(1)))
        }
        (Some("MicroDuration" | "NanoDuration"), ..) => {
            return Err(format!(
                "field {name} is an interval as a number, which does not tell a month from 30 days; set interval.handling.mode=string on the connector"
            ));
        }
        (_, "array", ColumnType::Array(of)) => match &node.items {
            Some(items) => Encoding::Array(Box::new(encoding(items, (name, of), settings)?)),
            None => Encoding::bare(kind, settings),
        },
        (None, "bytes", _) => Encoding::Bytes(Binary::Bytes),
        (None, "string", ColumnType::Bytes) if settings.binary == Binary::Bytes => {
            return Err(format!(
                "field {name} holds bytes as text, and nothing says in which form; say it in the source's `debezium: {{ binary.handling.mode: … }}`"
            ));
        }
        (
            None,
            "string" | "double" | "float" | "int16" | "int32" | "int64",
            ColumnType::Numeric { .. },
        ) => Encoding::DecimalText,
        (
            None,
            "string",
            ColumnType::Date | ColumnType::Time { .. } | ColumnType::Timestamp { .. },
        ) => Encoding::Iso,
        (None, "string", ColumnType::Bytes) | (_, _, ColumnType::Other(_)) => {
            Encoding::bare(kind, settings)
        }
        _ if matches!(kind, ColumnType::TimestampTz { .. }) => Encoding::Iso,
        // Numbers and texts tell themselves what they are.
        _ => Encoding::Plain,
    })
}
