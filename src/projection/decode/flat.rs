//! What `ExtractNewRecordState` makes of a change record: the row alone, and beside its columns the fields that it was told
//! to add.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::envelope::{Envelope, Names, SourceBlock, take};
use super::settings::Flattened;

/// The field that rewritten deletes have, whatever prefix the added ones have.
const DELETED: &str = "__deleted";

/// An added field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Deleted,
    Op,
    Connector,
    Name,
    Database,
    Server,
    Clock,
    Snapshot,
    Lsn,
    Transaction,
    File,
    Pos,
    Row,
}

/// The added fields that tell something, by their names in the record.
#[derive(Clone, Debug)]
pub(super) struct Added(Vec<(String, Field)>);

impl Added {
    pub(super) fn new(flattened: &Flattened) -> Added {
        let known = flattened.fields.iter().filter_map(|(field, name)| {
            let field = match field.strip_prefix("source.").unwrap_or(field) {
                "op" => Field::Op,
                "connector" => Field::Connector,
                "name" => Field::Name,
                "db" => Field::Database,
                "server_id" => Field::Server,
                // The outer one is the connector's clock, not the primary's.
                "ts_ms" if field.starts_with("source.") => Field::Clock,
                "snapshot" => Field::Snapshot,
                "lsn" => Field::Lsn,
                "txId" => Field::Transaction,
                "file" => Field::File,
                "pos" => Field::Pos,
                "row" => Field::Row,
                _ => return None,
            };
            Some((name.clone(), field))
        });
        let mut all: Vec<(String, Field)> = known.collect();
        all.push((DELETED.to_owned(), Field::Deleted));
        Added(all)
    }

    fn find(&self, name: &str) -> Option<Field> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, field)| *field)
    }
}

/// Reads a flattened record, bare or inside `payload`.
pub(super) struct FlatSeed<'n> {
    pub(super) names: &'n Names,
    pub(super) added: &'n Added,
}

impl<'de> DeserializeSeed<'de> for FlatSeed<'_> {
    type Value = Envelope<'de>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FlatSeed<'_> {
    type Value = Envelope<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a flattened record (a JSON object)")
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Envelope {
            null: true,
            ..Envelope::default()
        })
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut e = Envelope {
            slots: vec![None; self.names.len()],
            ..Envelope::default()
        };
        let mut source = SourceBlock::default();
        let (mut schema, mut deleted) = (None, false);
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            if let Some((at, is_now)) = self.names.slot(&key) {
                let raw = map.next_value::<&RawValue>()?.get();
                take(&mut e.slots, at, is_now, raw);
                e.flat = true;
            } else if let Some(field) = self.added.find(&key) {
                let raw = map.next_value::<&'de RawValue>()?;
                match field {
                    Field::Op => e.op = text(raw),
                    Field::Deleted => deleted = matches!(raw.get(), "\"true\"" | "true"),
                    field => fill(&mut source, field, raw),
                }
            } else if &*key == "payload" {
                let inner = FlatSeed { ..self };
                let schema = std::mem::take(&mut schema);
                e = map.next_value_seed(inner)?;
                e.schema = schema.or(e.schema);
                e.wrapped = true;
                return finish(map, e);
            } else {
                let raw = map.next_value::<Option<&RawValue>>()?;
                if &*key == "schema" {
                    schema = raw.map(RawValue::get);
                }
                e.keys.note(&key);
            }
        }
        if deleted {
            e.op = Some(Cow::Borrowed("d"));
        }
        e.has_after = e.flat;
        e.source = Some(source);
        e.schema = schema;
        Ok(e)
    }
}

/// Reads the rest of a wrapper, in which the schema may come last.
fn finish<'de, A: MapAccess<'de>>(
    mut map: A,
    mut envelope: Envelope<'de>,
) -> Result<Envelope<'de>, A::Error> {
    while let Some(key) = map.next_key::<Cow<'_, str>>()? {
        let raw = map.next_value::<Option<&'de RawValue>>()?;
        if &*key == "schema" {
            envelope.schema = raw.map(RawValue::get);
        }
    }
    Ok(envelope)
}

fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    // Deserialized as a `Cow` alone it would always be copied.
    match serde_json::from_str::<&str>(raw.get()) {
        Ok(text) => Some(Cow::Borrowed(text)),
        Err(_) => serde_json::from_str::<String>(raw.get())
            .ok()
            .map(Cow::Owned),
    }
}

/// A number, or the text of one.
fn number<T: std::str::FromStr>(raw: &RawValue) -> Option<T> {
    raw.get().trim_matches('"').parse().ok()
}

fn fill<'de>(source: &mut SourceBlock<'de>, field: Field, raw: &'de RawValue) {
    match field {
        Field::Connector => source.connector = text(raw),
        Field::Name => source.name = text(raw),
        Field::Database => source.db = text(raw),
        Field::Server => source.server_id = number(raw),
        Field::Clock => source.ts_ms = number(raw),
        Field::Snapshot => source.snapshot = Some(raw),
        Field::Lsn => source.lsn = number(raw).or(source.lsn),
        Field::Transaction => source.tx_id = number(raw),
        Field::File => source.file = text(raw),
        Field::Pos => source.pos = number(raw),
        Field::Row => source.row = number(raw),
        Field::Op | Field::Deleted => {}
    }
}
