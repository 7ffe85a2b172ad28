//! The shapes that a written value can have, and [`Field`], which reads one and never fails.

use serde::de::value::Error as AnyError;
use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_yaml::{Mapping, Value};

use super::checked::Scalar;
use super::marks;

/// A key's value: read, or the reason why not.
#[derive(Default)]
pub(super) enum Field<T> {
    /// The key is not there.
    #[default]
    Missing,
    /// The value has been reported already.
    Reported,
    /// The value has another shape than `T`: this one.
    Wrong(&'static str),
    /// What was written.
    Is(T),
}

impl<T> Field<T> {
    /// Whether the key is there, whatever it holds.
    pub(super) fn is_written(&self) -> bool {
        !matches!(self, Self::Missing)
    }
}

/// How a problem names the shape that a key should have.
pub(super) trait Shape {
    /// Follows "must be".
    const NAME: &'static str;
    /// How to write it.
    const FIX: &'static str;
}

/// Text: quoted, or nothing that YAML takes for something else.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
pub(super) struct Text(pub(super) String);

/// One text, or a list of them.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
pub(super) enum Texts {
    /// `a`
    One(String),
    /// `[a, b]`
    List(Vec<Field<Text>>),
}

/// A map of chosen names, in the order written.
pub(super) struct Entries<T>(pub(super) Vec<(String, Field<T>)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// A map of given keys.
pub(super) struct Section<T> {
    /// What its known keys hold.
    pub(super) is: T,
    /// The keys that it knows.
    pub(super) known: &'static [&'static str],
    /// The keys that were written and are none of them.
    pub(super) unknown: Vec<String>,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        if marks::is_reported(&value) {
            return Ok(Self::Reported);
        }
        let found = name_of(&value);
        Ok(serde_yaml::from_value(value).map_or(Self::Wrong(found), Self::Is))
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = |(key, value)| {
            let key = serde_yaml::from_value(key)?;
            Ok((key, serde_yaml::from_value(value)?))
        };
        let entries = Mapping::deserialize(from)?.into_iter().map(read);
        let entries: Result<_, serde_yaml::Error> = entries.collect();
        entries.map(Self).map_err(D::Error::custom)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Section<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let known = keys_of::<T>();
        let is_known = |key: &Value| key.as_str().is_some_and(|key| known.contains(&key));
        let written = Mapping::deserialize(from)?;
        let (keys, others): (Mapping, Mapping) =
            written.into_iter().partition(|(key, _)| is_known(key));
        let unknown = others.keys().filter_map(Value::as_str).map(str::to_owned);
        Ok(Self {
            is: serde_yaml::from_value(Value::Mapping(keys)).map_err(D::Error::custom)?,
            known,
            unknown: unknown.collect(),
        })
    }
}

/// The keys of the struct `T`: its derived `Deserialize` tells them to whoever it reads from.
fn keys_of<T: DeserializeOwned>() -> &'static [&'static str] {
    struct Listener<'k>(&'k mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Listener<'_> {
        type Error = AnyError;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, AnyError> {
            Err(AnyError::custom("a section is a struct"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, AnyError> {
            *self.0 = fields;
            Err(AnyError::custom("only the keys were wanted"))
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
            option unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier
            ignored_any
        }
    }

    let mut keys: &'static [&'static str] = &[];
    // It fails by design, once it has told its keys.
    let _ = T::deserialize(Listener(&mut keys));
    keys
}

/// How a problem names what was found; never the value itself, which may be secret.
fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "true or false",
        Value::Number(_) | Value::Tagged(_) => "a number",
        Value::String(_) => "text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a map",
    }
}

impl TryFrom<Value> for Text {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match value {
            Value::String(text) => Ok(Self(text)),
            _ => Err(Self::NAME),
        }
    }
}

impl TryFrom<Value> for Texts {
    type Error = serde_yaml::Error;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match value {
            Value::String(text) => Ok(Self::One(text)),
            other => serde_yaml::from_value(other).map(Self::List),
        }
    }
}

impl TryFrom<Value> for Scalar {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        if let Some(written) = marks::number_as_written(&value) {
            let whole = written.parse().map(Self::Int);
            return Ok(whole.unwrap_or_else(|_| Self::Number(written.to_owned())));
        }
        match value {
            Value::Null => Ok(Self::Null),
            Value::Bool(flag) => Ok(Self::Bool(flag)),
            Value::Number(n) => {
                let whole = n.as_i64().map(i128::from).or(n.as_u64().map(i128::from));
                whole.map(Self::Int).ok_or(Self::NAME)
            }
            Value::String(text) => Ok(Self::Text(text)),
            _ => Err(Self::NAME),
        }
    }
}

impl Shape for Text {
    const NAME: &'static str = "text";
    const FIX: &'static str = "write one text, in quotes if it looks like something else";
}

impl Shape for Texts {
    const NAME: &'static str = "a text or a list of texts";
    const FIX: &'static str = "write `name` or `[name, name]`";
}

impl Shape for Scalar {
    const NAME: &'static str = "one value";
    const FIX: &'static str = "write one text or number";
}

impl Shape for Value {
    const NAME: &'static str = "a value";
    const FIX: &'static str = "write one";
}

impl<T> Shape for Vec<T> {
    const NAME: &'static str = "a list";
    const FIX: &'static str = "write `[a, b]`, or a line `- a` for each";
}

impl<T> Shape for Entries<T> {
    const NAME: &'static str = "a map of names";
    const FIX: &'static str = "write a line `name: …` for each below it, indented";
}

impl<T> Shape for Section<T> {
    const NAME: &'static str = "a map of keys";
    const FIX: &'static str = "write its keys below it, indented, or as `{ key: value }`";
}

impl<T: Shape> Shape for Box<T> {
    const NAME: &'static str = T::NAME;
    const FIX: &'static str = T::FIX;
}
