//! Debezium's JSON change records, bare or with an embedded schema.

use std::collections::HashMap;

use serde::de::DeserializeSeed;

use super::envelope::{Envelope, EnvelopeSeed, KeySeed, Names, Slots, SourceBlock};
use super::schema::SchemaCache;
use super::value::{self, Encoding};
use super::{DecodeError, Decoded, Ignored, Source, order_word};
use crate::projection::cell::{Cell, Row};
use crate::projection::change::{Change, Key, Op};
use crate::projection::record::{Position, Record};
use crate::projection::seen::Seen;
use crate::projection::types::Column;
use crate::projection::version::{Guard, Identity, Order, Stamp};

/// Reads the records of one source, in the order of each partition.
#[derive(Debug)]
pub struct Decoder {
    source: Source,
    guard: Guard,
    names: Names,
    key_names: Names,
    encodings: Vec<Encoding>,
    key_encodings: Vec<Encoding>,
    value_schema: SchemaCache,
    key_schema: SchemaCache,
    /// The key of the delete read last in each partition, until another record follows it there.
    deleted: HashMap<i32, Vec<u8>>,
}

impl Decoder {
    /// A decoder that stamps changes by `guard`.
    #[must_use]
    pub fn new(source: Source, guard: Guard) -> Decoder {
        let bare = |c: &Column| Encoding::bare(&c.kind);
        Decoder {
            names: Names {
                now: source.columns.iter().map(|c| c.name.clone()).collect(),
                former: source.former.clone(),
            },
            key_names: key_names(&source),
            encodings: source.columns.iter().map(bare).collect(),
            key_encodings: source
                .key
                .iter()
                .map(|i| bare(&source.columns[*i]))
                .collect(),
            value_schema: SchemaCache::default(),
            key_schema: SchemaCache::default(),
            deleted: HashMap::new(),
            source,
            guard,
        }
    }

    /// What a decoder that goes on from here must know.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let mut seen = self.guard.seen();
        // A key that is no text is no Debezium key, and its tombstone is one more delete of it.
        let text = |(partition, key): (&i32, &Vec<u8>)| {
            Some((*partition, String::from_utf8(key.clone()).ok()?))
        };
        seen.deleted = self.deleted.iter().filter_map(text).collect();
        seen.deleted.sort();
        seen
    }

    /// This decoder, going on where another one stopped.
    #[must_use]
    pub fn after(mut self, seen: &Seen) -> Decoder {
        self.guard = self.guard.after(seen);
        let deleted = seen.deleted.iter();
        self.deleted = deleted
            .map(|(partition, key)| (*partition, key.clone().into_bytes()))
            .collect();
        self
    }

    /// Pushes the changes of a record.
    ///
    /// # Errors
    /// When the record is no change record of this source, or a value in it does not fit its column.
    pub fn decode<'a>(
        &mut self,
        record: &Record<'a>,
        out: &mut Vec<Change<'a>>,
    ) -> Result<Decoded, DecodeError> {
        let at = record.at;
        let after_delete = self.take_deleted(record);
        let Some(bytes) = record.value else {
            if after_delete {
                return Ok(Decoded::Ignored(Ignored::Tombstone));
            }
            return self.push(record, Op::Delete, &Stamp::default(), out);
        };
        let envelope = read_envelope(at, bytes, &self.names)?;
        if envelope.null {
            return self.push(record, Op::Delete, &Stamp::default(), out);
        }
        let op = envelope.op.as_deref().ok_or_else(|| {
            let hint = "trueup reads Debezium's full change records; is the topic flattened, or no Debezium topic?";
            DecodeError::new(at, "it has no `op`, so it is no Debezium change record", hint)
        })?;
        let stamp = stamp(&envelope, self.guard.order());
        match op {
            "c" | "u" | "r" => self.put(record, &envelope, stamp, out),
            "d" => {
                let done = self.push(record, Op::Delete, &stamp, out)?;
                self.deleted
                    .insert(at.partition, record.key.unwrap_or_default().to_vec());
                Ok(done)
            }
            "m" => Ok(Decoded::Ignored(Ignored::Message)),
            "t" => Err(DecodeError::new(
                at,
                "it truncates the table, which this version cannot replay",
                "verify tells what the truncate left behind; reconcile instead",
            )),
            other => {
                let shown: String = other.chars().take(20).collect();
                Err(DecodeError::new(
                    at,
                    format!("unknown op {shown:?}"),
                    "known are c, u, d, r and m",
                ))
            }
        }
    }

    /// Whether this record is the tombstone of the delete right before it in its partition.
    fn take_deleted(&mut self, record: &Record<'_>) -> bool {
        if self.deleted.is_empty() {
            return false;
        }
        let deleted = self.deleted.remove(&record.at.partition);
        record.value.is_none() && deleted.is_some_and(|k| record.key == Some(&k[..]))
    }

    fn put<'a>(
        &mut self,
        record: &Record<'a>,
        envelope: &Envelope<'a>,
        mut stamp: Stamp<'_>,
        out: &mut Vec<Change<'a>>,
    ) -> Result<Decoded, DecodeError> {
        let at = record.at;
        if !envelope.has_after {
            return Err(DecodeError::new(
                at,
                "it has no `after`, so it says nothing about the row",
                "",
            ));
        }
        let row = self.row(at, envelope)?;
        if let Order::Field(name) = self.guard.order()
            && let Some(cell) = self
                .names
                .now
                .iter()
                .position(|n| n == name)
                .map(|i| &row[i])
        {
            stamp.words = order_word(cell).map(|w| [w, 0, 0]);
        }
        self.push(record, Op::Put(row), &stamp, out)
    }

    fn push<'a>(
        &mut self,
        record: &Record<'a>,
        op: Op<'a>,
        stamp: &Stamp<'_>,
        out: &mut Vec<Change<'a>>,
    ) -> Result<Decoded, DecodeError> {
        let version = self.guard.version(record.at, stamp)?;
        let key = self.key(record, &op)?;
        out.push(Change { key, version, op });
        Ok(Decoded::Changes(1))
    }

    fn row<'a>(
        &mut self,
        at: Position<'_>,
        envelope: &Envelope<'a>,
    ) -> Result<Row<'a>, DecodeError> {
        let columns: Vec<&Column>;
        let encodings = match envelope.schema {
            Some(schema) => {
                columns = self.source.columns.iter().collect();
                self.value_schema
                    .encodings(schema, Some("after"), &columns)
                    .map_err(|e| DecodeError::new(at, e, ""))?
            }
            None => &self.encodings,
        };
        cells(
            at,
            &envelope.slots,
            self.source.columns.iter(),
            encodings,
            &self.source.name,
        )
    }

    /// The key: of a row that is put, its own key cells; otherwise what the record's key says.
    fn key<'a>(&mut self, record: &Record<'a>, op: &Op<'a>) -> Result<Key<'a>, DecodeError> {
        let at = record.at;
        let hint = "the table needs a primary key or `message.key.columns`; without one, rows cannot be told apart";
        let bytes = record
            .key
            .ok_or_else(|| DecodeError::new(at, "it has no key", hint))?;
        if let Op::Put(row) = op
            && self.source.key.iter().all(|i| row[*i] != Cell::Unchanged)
        {
            return Ok(Key(self
                .source
                .key
                .iter()
                .map(|i| row[*i].clone())
                .collect()));
        }
        let text = utf8(at, bytes, "key")?;
        let mut json = serde_json::Deserializer::from_str(text);
        let fields = KeySeed {
            names: &self.key_names,
        }
        .deserialize(&mut json)
        .map_err(|e| {
            DecodeError::new(
                at,
                format!("its key cannot be read: {e}"),
                "trueup reads JSON keys, bare or with a schema",
            )
        })?;
        if let Some(missing) = fields.slots.iter().position(Option::is_none) {
            let problem = format!("its key has no field {}", self.key_names.now[missing]);
            return Err(DecodeError::new(
                at,
                problem,
                "the topic must be keyed by the source's primary key",
            ));
        }
        let columns: Vec<&Column> = self
            .source
            .key
            .iter()
            .map(|i| &self.source.columns[*i])
            .collect();
        let encodings = match fields.schema {
            Some(schema) => self
                .key_schema
                .encodings(schema, None, &columns)
                .map_err(|e| DecodeError::new(at, e, ""))?,
            None => &self.key_encodings,
        };
        cells(
            at,
            &fields.slots,
            columns.into_iter(),
            encodings,
            &self.source.name,
        )
        .map(Key)
    }
}

/// The key's columns, by their names now and before.
fn key_names(source: &Source) -> Names {
    let slot = |column: usize| source.key.iter().position(|k| *k == column);
    Names {
        now: source
            .key
            .iter()
            .map(|i| source.columns[*i].name.clone())
            .collect(),
        former: source
            .former
            .iter()
            .filter_map(|(name, column)| Some((name.clone(), slot(*column)?)))
            .collect(),
    }
}

fn utf8<'a>(at: Position<'_>, bytes: &'a [u8], what: &str) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|e| {
        let hint = "trueup reads JSON; Avro and Protobuf are not supported by this version";
        DecodeError::new(
            at,
            format!("its {what} is no UTF-8 text at byte {}", e.valid_up_to()),
            hint,
        )
    })
}

fn read_envelope<'a>(
    at: Position<'_>,
    bytes: &'a [u8],
    names: &Names,
) -> Result<Envelope<'a>, DecodeError> {
    let text = utf8(at, bytes, "value")?;
    let mut json = serde_json::Deserializer::from_str(text);
    let read = EnvelopeSeed { names }
        .deserialize(&mut json)
        .and_then(|e| json.end().map(|()| e));
    read.map_err(|e| DecodeError::new(at, format!("its value is no Debezium JSON: {e}"), ""))
}

fn cells<'a, 'c>(
    at: Position<'_>,
    slots: &Slots<'a>,
    columns: impl Iterator<Item = &'c Column>,
    encodings: &[Encoding],
    source: &str,
) -> Result<Row<'a>, DecodeError> {
    let mut row = Vec::with_capacity(slots.len());
    for ((slot, column), encoding) in slots.iter().zip(columns).zip(encodings) {
        // A column that the record is too old to have is not NULL.
        let cell = slot.map_or(Ok(Cell::Unchanged), |raw| {
            value::read(raw, &column.kind, encoding)
        });
        row.push(cell.map_err(|problem| {
            DecodeError::new(
                at,
                format!("source {source}, column {}: {problem}", column.name),
                "",
            )
        })?);
    }
    Ok(row)
}

fn stamp<'s>(envelope: &'s Envelope<'_>, order: &Order) -> Stamp<'s> {
    let Some(source) = &envelope.source else {
        return Stamp::default();
    };
    let words = match order {
        Order::Lsn => source.lsn.map(|lsn| [lsn, 0, 0]),
        Order::Binlog => binlog(source),
        Order::Field(name) => match name.as_str() {
            "source.lsn" => source.lsn,
            "source.ts_ms" => source.ts_ms.map(|t| t.cast_unsigned() ^ (1 << 63)),
            "source.txId" => source.tx_id,
            _ => None,
        }
        .map(|w| [w, 0, 0]),
        Order::Offset => None,
    };
    let identity = Identity {
        connector: source.connector.as_deref().unwrap_or_default(),
        name: source.name.as_deref().unwrap_or_default(),
        database: source.db.as_deref().unwrap_or_default(),
        server: source.server_id.unwrap_or_default(),
    };
    let clock = if source.is_snapshot() {
        None
    } else {
        source.ts_ms
    };
    Stamp {
        words,
        clock,
        identity: Some(identity),
    }
}

/// `mysql-bin.000042` counts as 42.
fn binlog(source: &SourceBlock<'_>) -> Option<[u64; 3]> {
    let number = source.file.as_deref()?.rsplit('.').next()?.parse().ok()?;
    Some([number, source.pos?, source.row.unwrap_or_default()])
}

/// The source block of a record, where it is a change record of Debezium.
fn source_block<T>(value: &[u8], read: impl FnOnce(SourceBlock<'_>) -> Option<T>) -> Option<T> {
    let at = Position {
        topic: "",
        partition: 0,
        offset: 0,
    };
    read_envelope(at, value, &Names::default())
        .ok()?
        .source
        .and_then(read)
}

/// What a record offers to order by, for the plan.
#[must_use]
pub fn offered_order(value: &[u8]) -> Option<Order> {
    source_block(value, |source| {
        if source.lsn.is_some() {
            Some(Order::Lsn)
        } else {
            binlog(&source).map(|_| Order::Binlog)
        }
    })
}

/// When the change of a record was made in the primary, in milliseconds since 1970 by the primary's clock.
#[must_use]
pub fn changed_at(value: &[u8]) -> Option<i64> {
    source_block(value, |source| source.ts_ms)
}
