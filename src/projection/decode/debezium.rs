//! Debezium's JSON change records: bare or with an embedded schema, whole or flattened.

use std::collections::HashMap;

use serde::de::DeserializeSeed;

use super::encoding::{self, Encoding};
use super::envelope::{Envelope, EnvelopeSeed, KeySeed, Names, Slots};
use super::flat::{Added, FlatSeed};
use super::framed;
use super::peek;
use super::placeholder::Placeholder;
use super::schema::SchemaCache;
use super::value::{self, Around, Unread};
use super::{DecodeError, Decoded, Ignored, Source, order_word};
use crate::projection::cell::{Cell, Row};
use crate::projection::change::{Change, Key, Op};
use crate::projection::record::{Frame, Position, Record};
use crate::projection::seen::Seen;
use crate::projection::types::Column;
use crate::projection::version::{Guard, Order, Stamp, Version};

/// Reads the records of one source, in the order of each partition.
#[derive(Debug)]
pub struct Decoder {
    source: Source,
    guard: Guard,
    names: Names,
    key_names: Names,
    /// The same where schemas allow only some characters in a name.
    adjusted: (Names, Names),
    encodings: Vec<Encoding>,
    key_encodings: Vec<Encoding>,
    /// The columns in which a NULL may stand for a value that an update did not touch.
    doubtful: Vec<bool>,
    placeholder: Placeholder,
    /// Where records are flattened, what was added to them.
    added: Option<Added>,
    value_schema: SchemaCache,
    key_schema: SchemaCache,
    /// The key of the delete read last in each partition, until another record follows it there.
    deleted: HashMap<i32, Vec<u8>>,
    /// The newest truncate.
    truncated: Option<Version>,
}

impl Decoder {
    /// A decoder that stamps changes by `guard`.
    #[must_use]
    pub fn new(source: Source, guard: Guard) -> Decoder {
        let settings = &source.settings;
        let bare = |c: &Column| Encoding::bare(&c.kind, settings);
        let doubtful = |c: &Column| encoding::null_may_be_unchanged(&c.kind, settings);
        Decoder {
            names: Names {
                now: source.columns.iter().map(|c| c.name.clone()).collect(),
                former: source.former.clone(),
            },
            key_names: key_names(&source),
            adjusted: framed::names(&source),
            encodings: source.columns.iter().map(bare).collect(),
            key_encodings: source
                .key
                .iter()
                .map(|i| bare(&source.columns[*i]))
                .collect(),
            doubtful: source.columns.iter().map(doubtful).collect(),
            placeholder: Placeholder::new(&settings.unavailable),
            added: settings.flattened.as_ref().map(Added::new),
            value_schema: SchemaCache::default(),
            key_schema: SchemaCache::default(),
            deleted: HashMap::new(),
            truncated: None,
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
        seen.truncated = self.truncated;
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
        self.truncated = seen.truncated;
        self
    }

    /// The newest truncate so far: no change older than it counts.
    #[must_use]
    pub fn truncated(&self) -> Option<Version> {
        self.truncated
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
        framed::opened(record)?;
        let after_delete = self.take_deleted(record);
        let Some(bytes) = record.value else {
            if after_delete {
                return Ok(Decoded::Ignored(Ignored::Tombstone));
            }
            return self.push(record, Op::Delete, &Stamp::default(), out);
        };
        let mut envelope = self.envelope(at, bytes, record.value_frame)?;
        envelope.schema = record.value_frame.schema().or(envelope.schema);
        if envelope.null {
            return self.push(record, Op::Delete, &Stamp::default(), out);
        }
        let stamp = peek::stamp(&envelope, self.guard.order());
        match envelope.op.as_deref() {
            Some("c" | "u" | "r") => self.put(record, &envelope, stamp, out),
            None if envelope.flat => self.put(record, &envelope, stamp, out),
            Some("d") => {
                let done = self.push(record, Op::Delete, &stamp, out)?;
                self.deleted
                    .insert(at.partition, record.key.unwrap_or_default().to_vec());
                Ok(done)
            }
            Some("m") => Ok(Decoded::Ignored(Ignored::Message)),
            Some("t") => self.truncate(record, &stamp, out),
            Some(other) => {
                let shown: String = other.chars().take(20).collect();
                Err(DecodeError::new(
                    at,
                    format!("unknown op {shown:?}"),
                    "known are c, u, d, r, t and m",
                ))
            }
            None => match envelope.keys.kind() {
                Some(kind) => Ok(Decoded::Ignored(kind)),
                None => Err(self.no_op(at)),
            },
        }
    }

    /// The key of a record that cannot be read, and the version that its change would have.
    ///
    /// # Errors
    /// When the key cannot be read either.
    pub(super) fn key_only(
        &mut self,
        record: &Record<'_>,
    ) -> Result<(Key<'static>, Version), DecodeError> {
        framed::key_opened(record)?;
        let version = self.guard.version(record.at, &Stamp::default())?;
        let key = self.key(record, &Op::Lost)?;
        Ok((key.into_owned(), version))
    }

    fn envelope<'a>(
        &self,
        at: Position<'_>,
        bytes: &'a [u8],
        frame: Frame<'_>,
    ) -> Result<Envelope<'a>, DecodeError> {
        let text = utf8(at, bytes, "value")?;
        let names = self.names_in(frame);
        if let Some(added) = &self.added {
            let flat = parse(at, text, FlatSeed { names, added })?;
            // What the transformation does not flatten, it lets pass as it is.
            if flat.flat || flat.null {
                return Ok(flat);
            }
        }
        parse(at, text, EnvelopeSeed { names })
    }

    fn no_op(&self, at: Position<'_>) -> DecodeError {
        let hint = if self.added.is_some() {
            "it has none of the source's columns either; is this the topic of another table?"
        } else {
            "trueup reads Debezium's full change records; if ExtractNewRecordState flattens them, say so in the source's \
             `debezium: { flattened: true }`"
        };
        let problem = "it has no `op`, so it is no Debezium change record";
        DecodeError::new(at, problem, hint)
    }

    /// Every row of an older version is gone. Which those are, only a position can say.
    fn truncate<'a>(
        &mut self,
        record: &Record<'a>,
        stamp: &Stamp<'_>,
        out: &mut Vec<Change<'a>>,
    ) -> Result<Decoded, DecodeError> {
        if stamp.words.is_none() && *self.guard.order() != Order::Offset {
            return Err(DecodeError::new(
                record.at,
                format!(
                    "it truncates the table, and carries no {} to say which rows were there before",
                    self.guard.order()
                ),
                "leave `order_by:` out or name a field of the source block, such as `source.lsn`; or reconcile instead",
            )
            .of_the_log());
        }
        let version = self.guard.version(record.at, stamp)?;
        self.truncated = self.truncated.max(Some(version));
        out.push(Change {
            key: Key(Vec::new()),
            version,
            op: Op::Truncate,
        });
        Ok(Decoded::Changes(1))
    }

    /// The columns by the names that such a value has for them.
    fn names_in(&self, frame: Frame<'_>) -> &Names {
        match frame {
            Frame::Opened { .. } => &self.adjusted.0,
            _ => &self.names,
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
        let Some(row) = self.row(record, envelope)? else {
            return self.push(record, Op::Lost, &stamp, out);
        };
        if let Order::Field(name) = self.guard.order()
            && let Some((place, _)) = self.names.slot(name)
        {
            stamp.words = order_word(&row[place]).map(|w| [w, 0, 0]);
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
        let mut op = op;
        if let Op::Put(row) = &mut op {
            // A row that leaves its key out has it all the same.
            for (at, cell) in self.source.key.iter().zip(&key.0) {
                row[*at].clone_from(cell);
            }
        }
        out.push(Change { key, version, op });
        Ok(Decoded::Changes(1))
    }

    /// The row; `None` when the connector is known not to have written it as it is.
    fn row<'a>(
        &mut self,
        record: &Record<'_>,
        envelope: &Envelope<'a>,
    ) -> Result<Option<Row<'a>>, DecodeError> {
        let at = record.at;
        let columns: Vec<&Column>;
        let encodings = match envelope.schema {
            Some(schema) => {
                columns = self.source.columns.iter().collect();
                let row = (!envelope.flat).then_some("after");
                let names = match record.value_frame {
                    Frame::Opened { .. } => &self.adjusted.0,
                    _ => &self.names,
                };
                self.value_schema
                    .encodings(schema, row, (&columns, names), &self.source.settings)
                    .map_err(|e| DecodeError::new(at, e, ""))?
            }
            None => &self.encodings,
        };
        let around = Around {
            placeholder: &self.placeholder,
            snapshot: peek::is_snapshot(envelope),
        };
        let reading = Reading {
            at,
            source: &self.source.name,
            around,
            computed: &self.source.computed,
            doubtful: if around.snapshot { &[] } else { &self.doubtful },
        };
        reading.cells(&envelope.slots, self.source.columns.iter(), encodings)
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
        let names = match record.key_frame {
            Frame::Opened { .. } => &self.adjusted.1,
            _ => &self.key_names,
        };
        let fields = KeySeed { names }.deserialize(&mut json)
        .map_err(|e| {
            DecodeError::new(
                at,
                format!("its key cannot be read: {e}"),
                "trueup reads JSON keys, bare or with a schema, and those that are framed with a schema id",
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
        let encodings = match record.key_frame.schema().or(fields.schema) {
            Some(schema) => self
                .key_schema
                .encodings(schema, None, (&columns, names), &self.source.settings)
                .map_err(|e| DecodeError::new(at, e, ""))?,
            None => &self.key_encodings,
        };
        let reading = Reading {
            at,
            source: &self.source.name,
            around: Around {
                placeholder: &self.placeholder,
                snapshot: false,
            },
            computed: &[],
            doubtful: &[],
        };
        let cells = reading.cells(&fields.slots, columns.into_iter(), encodings)?;
        cells.map(Key).ok_or_else(|| {
            let problem = "its key has a value that the connector does not write as it is";
            DecodeError::new(at, problem, "")
        })
    }
}

/// What is read of one record.
struct Reading<'r> {
    at: Position<'r>,
    source: &'r str,
    around: Around<'r>,
    computed: &'r [usize],
    doubtful: &'r [bool],
}

impl Reading<'_> {
    /// The cells of a row; `None` when one of them is lost.
    fn cells<'a, 'c>(
        &self,
        slots: &Slots<'a>,
        columns: impl Iterator<Item = &'c Column>,
        encodings: &[Encoding],
    ) -> Result<Option<Row<'a>>, DecodeError> {
        let mut row = Vec::with_capacity(slots.len());
        for (place, ((slot, column), encoding)) in
            slots.iter().zip(columns).zip(encodings).enumerate()
        {
            if slot.is_none() && self.computed.contains(&place) {
                return Ok(None);
            }
            // A column that the record is too old to have is not NULL.
            let cell = slot.map_or(Ok(Cell::Unchanged), |raw| {
                value::read(raw, &column.kind, encoding, self.around)
            });
            row.push(match cell {
                Ok(Cell::Null) if self.doubtful.get(place) == Some(&true) => {
                    if column.nullable {
                        return Ok(None);
                    }
                    Cell::Unchanged
                }
                Ok(cell) => cell,
                Err(Unread::Lost) => return Ok(None),
                Err(Unread::Bad(problem)) => {
                    let problem =
                        format!("source {}, column {}: {problem}", self.source, column.name);
                    return Err(DecodeError::new(self.at, problem, ""));
                }
            });
        }
        Ok(Some(row))
    }
}

/// The key's columns, by their names now and before.
pub(super) fn key_names(source: &Source) -> Names {
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
        let hint = "it is neither JSON nor framed with a schema id";
        DecodeError::new(
            at,
            format!("its {what} is no UTF-8 text at byte {}", e.valid_up_to()),
            hint,
        )
    })
}

/// One JSON value and nothing behind it.
pub(super) fn parse<'a, S: DeserializeSeed<'a, Value = Envelope<'a>>>(
    at: Position<'_>,
    text: &'a str,
    seed: S,
) -> Result<Envelope<'a>, DecodeError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let read = seed
        .deserialize(&mut json)
        .and_then(|e| json.end().map(|()| e));
    read.map_err(|e| DecodeError::new(at, format!("its value is no Debezium JSON: {e}"), ""))
}
