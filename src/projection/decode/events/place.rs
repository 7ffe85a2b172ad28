//! Where something of an event is found: a path through JSON, a header, the key.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Names of fields and places in lists, from the outside in; an empty path is the whole of it.
pub type Path = Vec<String>;

/// Where something of an event is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the event's data.
    Data(Path),
    /// In the record's value, whatever its data is.
    Value(Path),
    /// In the record's key.
    Key(Path),
    /// A header of the record, by name.
    Header(String),
    /// An attribute of the envelope, by name: `type`, `id`, `time`, and of CloudEvents any other.
    Attribute(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = |f: &mut fmt::Formatter<'_>, what: &str, path: &Path| {
            f.write_str(what)?;
            path.iter().try_for_each(|name| write!(f, ".{name}"))
        };
        match self {
            Place::Data(path) => f.write_str(&path.join(".")),
            Place::Value(path) => within(f, "@value", path),
            Place::Key(path) => within(f, "@key", path),
            Place::Header(name) => write!(f, "header:{name}"),
            Place::Attribute(name) => write!(f, "@{name}"),
        }
    }
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A JSON value.
    Json(&'a str),
    /// Text without quotes, of a header or a plain key.
    Text(Cow<'a, str>),
}

impl Found<'_> {
    /// Its text, where it is one value and no NULL.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Found::Text(text) => Some(text.clone().into_owned()),
            Found::Json(raw) => match raw.as_bytes().first()? {
                b'"' => string(raw),
                b'{' | b'[' => None,
                _ => (*raw != "null").then(|| (*raw).to_owned()),
            },
        }
    }
}

/// The text that is valid JSON from its first byte to its last, without the blanks around it.
pub(super) fn json(text: &str) -> Result<&str, serde_json::Error> {
    serde_json::from_str::<&RawValue>(text).map(RawValue::get)
}

/// The text of a JSON string.
pub(super) fn string(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}

/// The raw text at the end of a path through a JSON value; `None` when it does not lead anywhere.
pub(super) fn find<'a>(raw: &'a str, path: &[String]) -> Option<&'a str> {
    path.iter().try_fold(raw, |raw, name| step(raw, name))
}

fn step<'a>(raw: &'a str, name: &str) -> Option<&'a str> {
    let mut json = serde_json::Deserializer::from_str(raw);
    match raw.as_bytes().first()? {
        b'{' => Step(name).deserialize(&mut json).ok()?,
        b'[' => {
            let at = name.parse().ok()?;
            Nth(at).deserialize(&mut json).ok()?
        }
        _ => None,
    }
}

/// The field of this name; of several, the last, as most readers of JSON have it.
struct Step<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = Option<&'de str>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = Option<&'de str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            if name == self.0 {
                found = Some(map.next_value::<&RawValue>()?.get());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// The element at this place, counted from 0.
struct Nth(usize);

impl<'de> DeserializeSeed<'de> for Nth {
    type Value = Option<&'de str>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Nth {
    type Value = Option<&'de str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON list")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut at = 0;
        let mut found = None;
        while let Some(element) = list.next_element::<&RawValue>()? {
            if at == self.0 {
                found = Some(element.get());
            }
            at += 1;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_through_objects_and_lists() {
        let raw = r#"{"a": {"b.c": [10, {"d": "x"}], "e": null}, "a2": 1, "twice": 1, "twice": 2}"#;
        let find = |path: &[&str]| {
            let path: Vec<String> = path.iter().map(|p| (*p).to_owned()).collect();
            find(raw, &path)
        };
        assert_eq!(find(&["a", "b.c", "0"]), Some("10"));
        assert_eq!(find(&["a", "b.c", "1", "d"]), Some("\"x\""));
        assert_eq!(find(&["a", "e"]), Some("null"));
        assert_eq!(find(&["twice"]), Some("2"));
        assert_eq!(find(&[]), Some(raw));
        for nowhere in [
            &["b"][..],
            &["a", "e", "f"],
            &["a", "b.c", "2"],
            &["a", "b.c", "x"],
            &["a2", "0"],
        ] {
            assert_eq!(find(nowhere), None, "{nowhere:?}");
        }
    }
}
