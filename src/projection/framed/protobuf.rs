//! Protobuf values, by the schema's text alone. Proto3 leaves out what is zero or empty unless a field is `optional`, so
//! that such a field cannot hold NULL: the Connect schema says which those are.

use std::collections::HashMap;

use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    ReflectMessage, Value,
};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::connect;
use super::connect::Place;
use super::proto;
use super::write;
use crate::projection::calendar;

/// The name of the schema among those that it imports; none of them has it.
const MAIN: &str = "the schema";
/// Messages inside each other; one that holds itself is described no further.
const DEPTH_MAX: usize = 40;
/// Nodes of the Connect schema.
const NODES_MAX: usize = 100_000;

/// A schema: its messages, and for each that a record can be, its Connect schema.
#[derive(Debug)]
pub(super) struct Schema {
    messages: HashMap<Vec<usize>, (MessageDescriptor, String)>,
}

impl Schema {
    pub(super) fn read(text: &str, references: &[(String, String)]) -> Result<Schema, String> {
        let mut resolver = ChainFileResolver::new();
        resolver.add(Texts {
            main: text.to_owned(),
            references: references.to_vec(),
        });
        resolver.add(GoogleFileResolver::new());
        let mut compiler = protox::Compiler::with_file_resolver(resolver);
        compiler.include_imports(true);
        compiler.open_file(MAIN).map_err(|e| e.to_string())?;
        let pool = DescriptorPool::from_file_descriptor_set(compiler.file_descriptor_set());
        let pool = pool.map_err(|e| e.to_string())?;
        let file = pool.get_file_by_name(MAIN).ok_or("holds nothing")?;
        let mut messages = HashMap::new();
        let mut nodes = 0;
        for (at, message) in file.messages().enumerate() {
            add(&mut messages, vec![at], message, &mut nodes)?;
        }
        Ok(Schema { messages })
    }

    /// Writes the JSON of a value; returns the schema of that.
    pub(super) fn open(&self, body: &[u8], out: &mut Vec<u8>) -> Result<&str, String> {
        let (path, body) = path(body)?;
        let (message, connect) = self
            .messages
            .get(&path)
            .ok_or_else(|| format!("is of the message {path:?}, which its schema does not have"))?;
        // The library's own words name fields and wire types only.
        let value = DynamicMessage::decode(message.clone(), body).map_err(|e| e.to_string())?;
        object(&value, Place::of_root(message.name()), out)?;
        Ok(connect)
    }
}

fn add(
    messages: &mut HashMap<Vec<usize>, (MessageDescriptor, String)>,
    path: Vec<usize>,
    message: MessageDescriptor,
    nodes: &mut usize,
) -> Result<(), String> {
    for (at, child) in message.child_messages().enumerate() {
        let mut path = path.clone();
        path.push(at);
        add(messages, path, child, nodes)?;
    }
    if !message.is_map_entry() {
        let node = described(&message, Place::of_root(message.name()), nodes, 0)?;
        messages.insert(path, (message, node.text()));
    }
    Ok(())
}

/// The schema's text, and those that it imports.
struct Texts {
    main: String,
    references: Vec<(String, String)>,
}

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let reference = || self.references.iter().find(|(n, _)| n == name);
        let text = match name {
            MAIN => Some(self.main.as_str()),
            _ => reference()
                .map(|(_, text)| text.as_str())
                .or_else(|| proto::known(name)),
        };
        let text = text.ok_or_else(|| protox::Error::file_not_found(name))?;
        File::from_source(name, text)
    }
}

/// The numbers in front of the value: how many, and which message on each level. One zero stands for the first message.
fn path(bytes: &[u8]) -> Result<(Vec<usize>, &[u8]), String> {
    let cut_off = || "it is cut off within the path to its message".to_owned();
    let (count, mut rest) = number(bytes).ok_or_else(cut_off)?;
    if count == 0 {
        return Ok((vec![0], rest));
    }
    let mut path = Vec::new();
    for _ in 0..count {
        let (at, behind) = number(rest).ok_or_else(cut_off)?;
        path.push(at);
        rest = behind;
    }
    Ok((path, rest))
}

/// Seven bits a byte, the sign in the lowest bit; `None` for what is cut off, negative or no such number.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0u32;
    for (nth, byte) in bytes.iter().enumerate().take(4) {
        value |= u32::from(byte & 0x7f) << (7 * nth);
        if byte & 0x80 == 0 {
            let even = value & 1 == 0;
            let half = usize::try_from(value >> 1).ok()?;
            return even.then_some((half, &bytes[nth + 1..]));
        }
    }
    None
}

// ---- The Connect schema --------------------------------------------------------------------------

fn described(
    message: &MessageDescriptor,
    place: Place,
    nodes: &mut usize,
    depth: usize,
) -> Result<connect::Node, String> {
    let mut node = connect::Node::of("struct").named(message.full_name());
    if depth > DEPTH_MAX {
        return Ok(node);
    }
    for field in message.fields() {
        if connect::is_skipped(place, field.name()) {
            continue;
        }
        *nodes += 1;
        if *nodes > NODES_MAX {
            return Err(format!("has more than {NODES_MAX} parts"));
        }
        let mut below = if field.is_map() {
            connect::Node::of("map")
        } else {
            let one = single(&field, place, nodes, depth)?;
            match field.cardinality() {
                Cardinality::Repeated => connect::Node {
                    items: Some(Box::new(one)),
                    ..connect::Node::of("array")
                },
                _ => one,
            }
        };
        below.optional = field.supports_presence();
        below.implicit = !field.supports_presence();
        below.field = Some(field.name().to_owned());
        node.fields.push(below);
    }
    Ok(node)
}

fn single(
    field: &FieldDescriptor,
    place: Place,
    nodes: &mut usize,
    depth: usize,
) -> Result<connect::Node, String> {
    Ok(match field.kind() {
        Kind::Message(message) => match Known::of(&message) {
            Some(known) => known.node(&message),
            None => described(&message, place.below(field.name()), nodes, depth + 1)?,
        },
        kind => scalar(&kind),
    })
}

fn scalar(kind: &Kind) -> connect::Node {
    connect::Node::of(match kind {
        Kind::Double => "double",
        Kind::Float => "float",
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "int32",
        Kind::Bool => "boolean",
        Kind::Bytes => "bytes",
        Kind::String | Kind::Enum(_) => "string",
        Kind::Message(_) => "struct",
        Kind::Int64
        | Kind::Sint64
        | Kind::Sfixed64
        | Kind::Uint32
        | Kind::Uint64
        | Kind::Fixed32
        | Kind::Fixed64 => "int64",
    })
}

// ---- Values ----------------------------------------------------------------------------------------

fn object(message: &DynamicMessage, place: Place, out: &mut Vec<u8>) -> Result<(), String> {
    let mut before = b'{';
    for field in message.descriptor().fields() {
        if connect::is_skipped(place, field.name()) {
            continue;
        }
        out.push(before);
        before = b',';
        write::text(out, field.name());
        out.push(b':');
        if field.supports_presence() && !message.has_field(&field) {
            write::null(out);
            continue;
        }
        let value = message.get_field(&field);
        self::value(&value, &field.kind(), place.below(field.name()), out)
            .map_err(|e| format!("field {}: {e}", field.name()))?;
    }
    if before == b'{' {
        out.push(before);
    }
    out.push(b'}');
    Ok(())
}

fn value(value: &Value, kind: &Kind, place: Place, out: &mut Vec<u8>) -> Result<(), String> {
    match value {
        Value::Bool(b) => write::boolean(out, *b),
        Value::I32(i) => write::integer(out, (*i).into()),
        Value::I64(i) => write::integer(out, *i),
        Value::U32(i) => write::integer(out, (*i).into()),
        Value::U64(i) => out.extend_from_slice(itoa::Buffer::new().format(*i).as_bytes()),
        Value::F32(f) => write::single(out, *f),
        Value::F64(f) => write::float(out, *f),
        Value::String(text) => write::text(out, text),
        Value::Bytes(bytes) => write::bytes(out, bytes),
        Value::EnumNumber(number) => match kind {
            Kind::Enum(of) => match of.get_value(*number) {
                Some(symbol) => write::text(out, symbol.name()),
                None => return Err(format!("has the number {number}, which the enum does not")),
            },
            _ => write::integer(out, (*number).into()),
        },
        Value::Message(message) => match Known::of(&message.descriptor()) {
            Some(known) => known.write(message, out)?,
            None => object(message, place, out)?,
        },
        Value::List(items) => {
            out.push(b'[');
            for (nth, item) in items.iter().enumerate() {
                if nth > 0 {
                    out.push(b',');
                }
                self::value(item, kind, Place::Other, out)?;
            }
            out.push(b']');
        }
        Value::Map(entries) => map(entries, kind, out)?,
    }
    Ok(())
}

/// In the order of the keys: the library keeps none.
fn map(entries: &HashMap<MapKey, Value>, kind: &Kind, out: &mut Vec<u8>) -> Result<(), String> {
    let of = match kind {
        Kind::Message(entry) => entry.map_entry_value_field().kind(),
        other => other.clone(),
    };
    let mut entries: Vec<(String, &Value)> = entries.iter().map(|(k, v)| (key(k), v)).collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let mut before = b'{';
    for (key, value) in entries {
        out.push(before);
        before = b',';
        write::text(out, &key);
        out.push(b':');
        self::value(value, &of, Place::Other, out)?;
    }
    if before == b'{' {
        out.push(before);
    }
    out.push(b'}');
    Ok(())
}

fn key(key: &MapKey) -> String {
    match key {
        MapKey::Bool(b) => b.to_string(),
        MapKey::I32(i) => i.to_string(),
        MapKey::I64(i) => i.to_string(),
        MapKey::U32(i) => i.to_string(),
        MapKey::U64(i) => i.to_string(),
        MapKey::String(text) => text.clone(),
    }
}

/// Messages that stand for one value of Connect.
#[derive(Clone, Copy)]
enum Known {
    Wrapper,
    Timestamp,
    Date,
    TimeOfDay,
    Decimal,
}

impl Known {
    fn of(message: &MessageDescriptor) -> Option<Known> {
        Some(match message.full_name() {
            "google.protobuf.DoubleValue"
            | "google.protobuf.FloatValue"
            | "google.protobuf.Int64Value"
            | "google.protobuf.UInt64Value"
            | "google.protobuf.Int32Value"
            | "google.protobuf.UInt32Value"
            | "google.protobuf.BoolValue"
            | "google.protobuf.StringValue"
            | "google.protobuf.BytesValue" => Known::Wrapper,
            "google.protobuf.Timestamp" => Known::Timestamp,
            "google.type.Date" => Known::Date,
            "google.type.TimeOfDay" => Known::TimeOfDay,
            "confluent.type.Decimal" => Known::Decimal,
            _ => return None,
        })
    }

    fn node(self, message: &MessageDescriptor) -> connect::Node {
        match self {
            Known::Wrapper => match message.get_field_by_name("value") {
                Some(field) => scalar(&field.kind()),
                None => connect::Node::of("struct"),
            },
            Known::Timestamp => connect::Node::of("int64").named("io.debezium.time.MicroTimestamp"),
            Known::Date => connect::Node::of("int32").named("io.debezium.time.Date"),
            Known::TimeOfDay => connect::Node::of("int64").named("io.debezium.time.MicroTime"),
            Known::Decimal => {
                connect::Node::of("struct").named("io.debezium.data.VariableScaleDecimal")
            }
        }
    }

    fn write(self, message: &DynamicMessage, out: &mut Vec<u8>) -> Result<(), String> {
        let number = |name: &str| -> i64 {
            match message.get_field_by_name(name).as_deref() {
                Some(Value::I32(i)) => (*i).into(),
                Some(Value::I64(i)) => *i,
                _ => 0,
            }
        };
        let micros = |seconds: Option<i64>| -> Result<i64, String> {
            let nanos = number("nanos");
            if nanos % 1_000 != 0 {
                return Err("a time finer than a microsecond".to_owned());
            }
            seconds
                .and_then(|s| s.checked_mul(1_000_000)?.checked_add(nanos / 1_000))
                .ok_or_else(|| "a time out of range".to_owned())
        };
        match self {
            Known::Wrapper => {
                if let Some(field) = message.descriptor().get_field_by_name("value") {
                    let wrapped = message.get_field(&field);
                    return value(&wrapped, &field.kind(), Place::Other, out);
                }
            }
            Known::Timestamp => write::integer(out, micros(Some(number("seconds")))?),
            Known::Date => {
                let days = calendar::days_of(number("year"), number("month"), number("day"));
                write::integer(out, days.ok_or("a date out of range")?);
            }
            Known::TimeOfDay => {
                let seconds = number("hours") * 3_600 + number("minutes") * 60 + number("seconds");
                write::integer(out, micros(Some(seconds))?);
            }
            Known::Decimal => {
                out.extend_from_slice(b"{\"scale\":");
                write::integer(out, number("scale"));
                out.extend_from_slice(b",\"value\":");
                match message.get_field_by_name("value").as_deref() {
                    Some(Value::Bytes(bytes)) if !bytes.is_empty() => write::bytes(out, bytes),
                    _ => write::bytes(out, &[0]),
                }
                out.push(b'}');
            }
        }
        Ok(())
    }
}
