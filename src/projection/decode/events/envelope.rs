//! What is around an event: where its type is, and where its data begins.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::place::{Found, Path, Place, find, json, string};
use crate::projection::record::Record;

/// The shape in which a topic carries events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// The value is the event.
    Plain,
    /// Debezium's outbox event router: the type is in a header or beside the payload, the payload JSON or text that holds
    /// JSON, and either may be wrapped with a schema.
    Outbox,
    /// CloudEvents in JSON: each record structured or binary, as its headers say.
    CloudEvents,
}

/// Where the parts of an event are; of several places the first that is there counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// The shape around it.
    pub envelope: Envelope,
    /// Its type.
    pub kind: Vec<Place>,
    /// Its data; where nothing is said, the envelope knows.
    pub data: Option<Path>,
    /// Its id.
    pub id: Vec<Place>,
    /// Its time.
    pub time: Vec<Place>,
}

impl Form {
    /// What an envelope means when nothing else is said.
    #[must_use]
    pub fn of(envelope: Envelope) -> Form {
        let header = |name: &str| Place::Header(name.to_owned());
        let value = |name: &str| Place::Value(vec![name.to_owned()]);
        let (kind, id, time) = match envelope {
            Envelope::Plain => (vec![value("type")], vec![value("id")], vec![value("time")]),
            Envelope::Outbox => (
                vec![
                    header("eventType"),
                    header("type"),
                    value("eventType"),
                    value("type"),
                ],
                vec![header("id")],
                Vec::new(),
            ),
            Envelope::CloudEvents => (Vec::new(), Vec::new(), Vec::new()),
        };
        Form {
            envelope,
            kind,
            data: None,
            id,
            time,
        }
    }
}

/// A record, opened. What is wrong with its value is said when something of the value is asked for.
pub(super) struct Opened<'r> {
    form: &'r Form,
    record: &'r Record<'r>,
    /// How a CloudEvent is carried; nothing of other envelopes.
    mode: Option<Mode>,
    /// The JSON text of the value; `None` when there is none.
    value: Text<'r>,
    data: Text<'r>,
    /// The event's type; `None` when there is none.
    pub(super) kind: Option<String>,
}

type Text<'r> = Result<Option<Cow<'r, str>>, String>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Structured,
    Binary,
}

/// Opens a record. An error says what is wrong with it.
pub(super) fn open<'r>(form: &'r Form, record: &'r Record<'r>) -> Result<Opened<'r>, String> {
    let is_outbox = form.envelope == Envelope::Outbox;
    let value = record.value.map(|bytes| value(bytes, is_outbox));
    let value = value.transpose().map(|v| v.filter(|v| **v != *"null"));
    let mut opened = Opened {
        form,
        record,
        mode: None,
        value,
        data: Ok(None),
        kind: None,
    };
    if form.envelope == Envelope::CloudEvents {
        opened.mode = opened.mode()?;
    }
    let kind = opened.named("type", &form.kind)?;
    let kind = kind.map(|(is_within, found)| match found.text() {
        Some(text) => Ok((is_within, text)),
        None => Err("its type is no text".to_owned()),
    });
    let kind = kind.transpose()?;
    let is_within = kind.as_ref().is_some_and(|(within, _)| *within);
    opened.data = opened.data(is_within);
    opened.kind = kind.map(|(_, text)| text);
    Ok(opened)
}

/// The value as JSON. The outbox's may be wrapped with a schema, and be a text that holds the JSON.
fn value(bytes: &[u8], is_outbox: bool) -> Result<Cow<'_, str>, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| format!("its value is no UTF-8 text at byte {}", e.valid_up_to()))?;
    let raw = json(text).map_err(|e| format!("its value is no JSON: {e}"))?;
    Ok(if is_outbox {
        unwrapped(raw)
    } else {
        Cow::Borrowed(raw)
    })
}

/// Takes a schema off, and JSON that is held in a text out of its quotes.
fn unwrapped(raw: &str) -> Cow<'_, str> {
    let raw = without_schema(raw);
    let held = raw.starts_with('"').then(|| string(raw)).flatten();
    let held = held.filter(|text| text.trim_start().starts_with(['{', '[']));
    match held.as_deref().map(json) {
        Some(Ok(json)) => Cow::Owned(json.to_owned()),
        _ => Cow::Borrowed(raw),
    }
}

/// The payload of `{"schema": …, "payload": …}`, as a converter with schemas writes it; anything else as it is.
fn without_schema(raw: &str) -> &str {
    let field = |name: &str| find(raw, &[name.to_owned()]);
    let (Some(_), Some(payload)) = (field("schema"), field("payload")) else {
        return raw;
    };
    let fields = serde_json::from_str::<BTreeMap<String, &RawValue>>(raw);
    match fields {
        Ok(fields) if fields.len() == 2 => payload,
        _ => raw,
    }
}

impl<'r> Opened<'r> {
    /// Which of its two ways carries this CloudEvent; `None` when it is none.
    fn mode(&self) -> Result<Option<Mode>, String> {
        let content = self.header("content-type").unwrap_or_default();
        if content.starts_with("application/cloudevents-batch") {
            return Err("it is a batch of CloudEvents, for which Kafka has no form".to_owned());
        }
        if content.starts_with("application/cloudevents") {
            return Ok(Some(Mode::Structured));
        }
        if self.header("ce_type").is_some() {
            return Ok(Some(Mode::Binary));
        }
        let version = self
            .value()?
            .and_then(|v| find(v, &["specversion".to_owned()]));
        Ok(version.map(|_| Mode::Structured))
    }

    /// The event's data; `is_within` says whether its type was found in the value, and its data is beside it then.
    fn data(&self, is_within: bool) -> Text<'r> {
        let is_structured = self.mode == Some(Mode::Structured);
        let path: Path = match (&self.form.data, self.form.envelope) {
            (Some(path), _) => path.clone(),
            (None, Envelope::Outbox) if is_within => vec!["payload".to_owned()],
            (None, Envelope::CloudEvents) if is_structured => vec!["data".to_owned()],
            _ => Vec::new(),
        };
        let found = match &self.value {
            Err(problem) => return Err(problem.clone()),
            Ok(None) => None,
            Ok(Some(Cow::Borrowed(text))) => find(text, &path).map(Cow::Borrowed),
            Ok(Some(Cow::Owned(text))) => find(text, &path).map(|t| Cow::Owned(t.to_owned())),
        };
        if found.is_none() && is_structured && self.attribute("data_base64")?.is_some() {
            return Err("its data is base64 (`data_base64`), and no JSON".to_owned());
        }
        let found = found.filter(|raw| **raw != *"null");
        Ok(match (found, self.form.envelope) {
            (Some(Cow::Borrowed(raw)), Envelope::Outbox) => Some(unwrapped(raw)),
            (Some(Cow::Owned(raw)), Envelope::Outbox) => {
                Some(Cow::Owned(unwrapped(&raw).into_owned()))
            }
            (found, _) => found,
        })
    }

    fn value(&self) -> Result<Option<&str>, String> {
        self.value
            .as_ref()
            .map(Option::as_deref)
            .map_err(Clone::clone)
    }

    /// Whether fields can be found in its data.
    pub(super) fn has_fields(&self) -> bool {
        matches!(&self.data, Ok(Some(data)) if data.starts_with(['{', '[']))
    }

    /// What stands at a place; `None` when nothing does.
    pub(super) fn at(&self, place: &Place) -> Result<Option<Found<'_>>, String> {
        Ok(match place {
            Place::Data(path) => {
                let data = self.data.as_ref().map_err(Clone::clone)?;
                data.as_deref()
                    .and_then(|raw| find(raw, path))
                    .map(Found::Json)
            }
            Place::Value(path) => self
                .value()?
                .and_then(|raw| find(raw, path))
                .map(Found::Json),
            Place::Key(path) => self.key(path),
            Place::Header(name) => self.header(name).map(Found::Text),
            Place::Attribute(name) => {
                let places = match name.as_str() {
                    "type" => &self.form.kind,
                    "id" => &self.form.id,
                    "time" => &self.form.time,
                    _ => return self.attribute(name),
                };
                self.named(name, places)?.map(|(_, found)| found)
            }
        })
    }

    /// What stands at the first of these places that has anything, and whether that is in the value; without any places, the
    /// attribute of this name.
    fn named(&self, name: &str, places: &[Place]) -> Result<Option<(bool, Found<'_>)>, String> {
        if places.is_empty() {
            return Ok(self.attribute(name)?.map(|found| (false, found)));
        }
        for place in places {
            if let Some(found) = self.at(place)? {
                return Ok(Some((matches!(place, Place::Value(_)), found)));
            }
        }
        Ok(None)
    }

    /// An attribute of a CloudEvent.
    fn attribute(&self, name: &str) -> Result<Option<Found<'_>>, String> {
        Ok(match self.mode {
            None => None,
            Some(Mode::Binary) => self.header(&format!("ce_{name}")).map(Found::Text),
            Some(Mode::Structured) => {
                let raw = self.value()?.and_then(|v| find(v, &[name.to_owned()]));
                raw.map(Found::Json)
            }
        })
    }

    /// A header's text: as it is, or what a converter made JSON of.
    fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let (_, bytes) = self.record.headers.iter().rev().find(|(n, _)| *n == name)?;
        let text = std::str::from_utf8(bytes).ok()?;
        Some(plain(text).map_or(Cow::Borrowed(text), Cow::Owned))
    }

    fn key(&self, path: &Path) -> Option<Found<'_>> {
        let text = std::str::from_utf8(self.record.key?).ok()?;
        if !path.is_empty() {
            return find(without_schema(json(text).ok()?), path).map(Found::Json);
        }
        Some(Found::Text(
            plain(text).map_or(Cow::Borrowed(text), Cow::Owned),
        ))
    }
}

/// The text that a JSON converter wrote in quotes, or wrapped with a schema; `None` for any other text.
fn plain(text: &str) -> Option<String> {
    if !text.starts_with(['"', '{']) {
        return None;
    }
    let payload = without_schema(json(text).ok()?);
    match payload.as_bytes().first()? {
        b'"' => string(payload),
        b'{' | b'[' => None,
        _ => (payload.len() < text.len()).then(|| payload.to_owned()),
    }
}
