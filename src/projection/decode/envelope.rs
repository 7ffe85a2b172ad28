//! The outer shape of Debezium's JSON, read in one pass: of the row only the columns wanted, and those as raw text.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::kinds::Keys;

/// The raw text of each wanted column; `None` where the record does not have it.
pub(super) type Slots<'a> = Vec<Option<&'a str>>;

/// What a change record holds.
#[derive(Debug, Default)]
pub(super) struct Envelope<'a> {
    pub(super) op: Option<Cow<'a, str>>,
    /// Whether `after` was there and no null; its columns are in the slots then.
    pub(super) has_after: bool,
    pub(super) slots: Slots<'a>,
    pub(super) source: Option<SourceBlock<'a>>,
    /// The `schema` beside the payload, when the converter embeds one.
    pub(super) schema: Option<&'a str>,
    /// Whether a `payload` was there (with a schema, or wrapped without one).
    pub(super) wrapped: bool,
    /// Whether the payload itself was null: a tombstone of a converter that wraps nulls.
    pub(super) null: bool,
    /// Whether it is a row and nothing around it.
    pub(super) flat: bool,
    /// The keys beside those above, by which other records of the connector are told.
    pub(super) keys: Keys,
}

/// The part of `source` that trueup uses.
#[derive(Debug, Default, Deserialize)]
pub(super) struct SourceBlock<'a> {
    #[serde(borrow, default)]
    pub(super) connector: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) db: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) ts_ms: Option<i64>,
    #[serde(borrow, default)]
    pub(super) snapshot: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) lsn: Option<u64>,
    #[serde(borrow, default)]
    pub(super) file: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) pos: Option<u64>,
    #[serde(default)]
    pub(super) row: Option<u64>,
    #[serde(default)]
    pub(super) server_id: Option<u64>,
    #[serde(rename = "txId", default)]
    pub(super) tx_id: Option<u64>,
}

impl SourceBlock<'_> {
    /// Whether the row was read by a snapshot. `snapshot` is a string, in old versions a boolean.
    pub(super) fn is_snapshot(&self) -> bool {
        self.snapshot
            .is_some_and(|s| !matches!(s.get(), "\"false\"" | "false" | "null"))
    }
}

/// The columns wanted, by their names now and before.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// By slot.
    pub(super) now: Vec<String>,
    /// Former names, with the slot of the column that they were names of.
    pub(super) former: Vec<(String, usize)>,
}

impl Names {
    /// The column that a name is of, and whether it is its name now.
    pub(super) fn slot(&self, name: &str) -> Option<(usize, bool)> {
        let former = || {
            let found = self.former.iter().find(|(n, _)| n == name);
            found.map(|(_, slot)| (*slot, false))
        };
        let now = self.now.iter().position(|n| n == name);
        now.map(|at| (at, true)).or_else(former)
    }

    pub(super) fn len(&self) -> usize {
        self.now.len()
    }
}

/// Reads an object into slots, one for each name; everything else is skipped.
pub(super) struct RowSeed<'n, 's, 'a> {
    pub(super) names: &'n Names,
    pub(super) slots: &'s mut Slots<'a>,
}

/// Which wanted column a JSON key names. Records name their columns in one order, so the next one is tried first.
struct NameSeed<'n> {
    names: &'n Names,
    next: usize,
}

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Option<(usize, bool)>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Option<(usize, bool)>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column name")
    }
    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        if self.names.now.get(self.next).is_some_and(|n| n == name) {
            return Ok(Some((self.next, true)));
        }
        Ok(self.names.slot(name))
    }
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_, '_, 'de> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<bool, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_, '_, 'de> {
    /// Whether there was an object.
    type Value = bool;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row or null")
    }
    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut next = 0;
        while let Some(found) = map.next_key_seed(NameSeed {
            names: self.names,
            next,
        })? {
            match found {
                Some((at, is_now)) => {
                    let raw = map.next_value::<&RawValue>()?.get();
                    take(self.slots, at, is_now, raw);
                    next = at + 1;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(true)
    }
}

/// Puts a value in its slot. A record may have a column beside another one that has taken over its former name.
pub(super) fn take<'a>(slots: &mut Slots<'a>, at: usize, is_now: bool, raw: &'a str) {
    if is_now || slots[at].is_none() {
        slots[at] = Some(raw);
    }
}

/// Reads a change record, bare or inside `payload`.
pub(super) struct EnvelopeSeed<'n> {
    pub(super) names: &'n Names,
}

impl<'de> DeserializeSeed<'de> for EnvelopeSeed<'_> {
    type Value = Envelope<'de>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for EnvelopeSeed<'_> {
    type Value = Envelope<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Debezium change record (a JSON object)")
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Envelope {
            null: true,
            ..Envelope::default()
        })
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut e = Envelope::default();
        let mut schema = None;
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            match &*key {
                "after" => {
                    e.slots = vec![None; self.names.len()];
                    e.has_after = map.next_value_seed(RowSeed {
                        names: self.names,
                        slots: &mut e.slots,
                    })?;
                }
                "op" => e.op = map.next_value::<Option<Text<'de>>>()?.map(|t| t.0),
                "source" => {
                    e.keys.note("source");
                    e.source = map.next_value()?;
                }
                "schema" => schema = map.next_value::<Option<&RawValue>>()?.map(RawValue::get),
                "payload" => {
                    e = map.next_value_seed(EnvelopeSeed { names: self.names })?;
                    e.wrapped = true;
                }
                other => {
                    e.keys.note(other);
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        e.schema = schema.or(e.schema);
        Ok(e)
    }
}

/// A string borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads a record key: the object itself, or the `payload` beside a `schema`.
pub(super) struct KeySeed<'n> {
    pub(super) names: &'n Names,
}

/// A record key as read.
#[derive(Debug, Default)]
pub(super) struct KeyFields<'a> {
    pub(super) slots: Slots<'a>,
    pub(super) schema: Option<&'a str>,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = KeyFields<'de>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for KeySeed<'_> {
    type Value = KeyFields<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key (a JSON object)")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut slots: Slots<'de> = vec![None; self.names.len()];
        let (mut schema, mut payload): (Option<&RawValue>, Option<&RawValue>) = (None, None);
        let names = self.names;
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            match (names.slot(&name), &*name) {
                (Some((at, is_now)), _) => {
                    let raw = map.next_value::<&RawValue>()?.get();
                    take(&mut slots, at, is_now, raw);
                }
                (None, "schema") => schema = map.next_value()?,
                (None, "payload") => payload = map.next_value()?,
                (None, _) => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if let (Some(payload), true) = (payload, slots.iter().all(Option::is_none)) {
            let mut inner = serde_json::Deserializer::from_str(payload.get());
            let seed = RowSeed {
                names,
                slots: &mut slots,
            };
            seed.deserialize(&mut inner)
                .map_err(serde::de::Error::custom)?;
        }
        Ok(KeyFields {
            slots,
            schema: schema.map(RawValue::get),
        })
    }
}
