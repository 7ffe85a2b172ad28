//! Checks what a source says of the shape of its events, and what a view says of what they do.

use super::query;
use super::reader::Reader;
use super::view;
use crate::playbook::checked::{Origin, Scalar, ViewKind};
use crate::playbook::events::{Absent, Envelope, Fill, Form, On, Place, Term, Value};
use crate::playbook::marks::join;
use crate::playbook::problem::did_you_mean;
use crate::playbook::raw;
use crate::playbook::shape::{Entries, Field, Section, Text, Texts};

const WORDS: &[&str] = &["delete", "ignore"];
const TOMBSTONE: &str = "@tombstone";
const OTHERS: &str = "*";

/// What the source at `path` says of the shape of its events.
pub(super) fn form(reader: &mut Reader<'_>, path: &str, raw: raw::Form) -> Option<Form> {
    let at = |key: &str| format!("{path}.{key}");
    let envelope = envelope(reader, &at("envelope"), raw.envelope);
    let kind = own_places(reader, &at("type"), raw.kind);
    let id = own_places(reader, &at("id"), raw.id);
    let time = own_places(reader, &at("time"), raw.time);
    let data = match reader.text(&at("data"), raw.data) {
        None => Some(None),
        Some(text) => match own_place(reader, &at("data"), &text) {
            Some(Place::Value(path)) => Some(Some(path)),
            Some(_) => {
                let what = format!("`{text}` is no field of the record's value");
                reader.problem(&at("data"), what, "write the path to it: `body.data`");
                None
            }
            None => None,
        },
    };
    Some(Form {
        envelope: envelope?,
        kind: kind?,
        data: data?,
        id: id?,
        time: time?,
    })
}

/// Refuses what only a source of rows says.
pub(super) fn no_rows(reader: &mut Reader<'_>, path: &str, raw: &raw::Source) {
    let at = |key: &str| format!("{path}.{key}");
    let mut refuse = |key: &str, written: bool, what: &str| {
        if written {
            reader.problem(&at(key), what, "take it out");
        }
    };
    let table = "events are of no table; a view says what they do to its own";
    refuse("table", raw.table.is_written(), table);
    refuse("types", raw.types.is_written(), table);
    refuse("key", raw.key.is_written(), table);
    let order = "events are taken in the order of their offsets";
    refuse("order_by", raw.order_by.is_written(), order);
    refuse("epochs", raw.epochs.is_written(), order);
}

/// Refuses what only a source of events says.
pub(super) fn no_events(reader: &mut Reader<'_>, path: &str, raw: &raw::Form) {
    for (key, written) in [
        ("envelope", raw.envelope.is_written()),
        ("type", raw.kind.is_written()),
        ("data", raw.data.is_written()),
        ("id", raw.id.is_written()),
        ("time", raw.time.is_written()),
    ] {
        if written {
            let what = "only a source of events has it";
            reader.problem(
                &join(path, key),
                what,
                "add `format: events`, or take it out",
            );
        }
    }
}

fn envelope(reader: &mut Reader<'_>, path: &str, field: Field<Text>) -> Option<Envelope> {
    if !field.is_written() {
        return Some(Envelope::Plain);
    }
    Some(match reader.text(path, field)?.as_str() {
        "plain" => Envelope::Plain,
        "outbox" => Envelope::Outbox,
        "cloudevents" => Envelope::CloudEvents,
        other => {
            let what = format!("`{other}` is no envelope");
            let known = ["plain", "outbox", "cloudevents"];
            reader.problem(path, what, did_you_mean(other, &known));
            return None;
        }
    })
}

/// Places of the envelope itself: a plain path is one through the record's value.
fn own_places(reader: &mut Reader<'_>, path: &str, field: Field<Texts>) -> Option<Vec<Place>> {
    let Some(texts) = reader.get(path, field) else {
        return Some(Vec::new());
    };
    let texts = reader.texts(path, texts)?;
    let places = texts.iter().map(|text| own_place(reader, path, text));
    places.collect()
}

fn own_place(reader: &mut Reader<'_>, path: &str, text: &str) -> Option<Place> {
    Some(match place(reader, path, text)? {
        Place::Data(names) => Place::Value(names),
        Place::Attribute(name) => {
            let what = format!("`@{name}` is itself a part of the envelope");
            let fix = "write the path through the record's value, `header:name` or `@key`";
            reader.problem(path, what, fix);
            return None;
        }
        place => place,
    })
}

fn place(reader: &mut Reader<'_>, path: &str, text: &str) -> Option<Place> {
    if let Some(name) = text.strip_prefix("header:") {
        return Some(Place::Header(name.to_owned()));
    }
    let (root, names) = match text.strip_prefix('@') {
        Some(word) => {
            let (root, names) = word
                .split_once('.')
                .map_or((word, None), |(r, n)| (r, Some(n)));
            (Some(root), names)
        }
        None => (None, Some(text)),
    };
    let names: Vec<String> = names
        .into_iter()
        .flat_map(|n| n.split('.'))
        .map(str::to_owned)
        .collect();
    let is_path = names.iter().all(|name| !name.is_empty());
    match root {
        None if is_path => Some(Place::Data(names)),
        Some("value") if is_path => Some(Place::Value(names)),
        Some("key") if is_path => Some(Place::Key(names)),
        Some("offset" | "partition" | "lsn" | "ts" | "default" | "foreign") => {
            let what = format!("`{text}` is nothing that an event says");
            reader.problem(path, what, "it may stand under `columns:` of the view");
            None
        }
        Some(name)
            if names.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric())
                && !name.is_empty() =>
        {
            Some(Place::Attribute(name.to_owned()))
        }
        _ => {
            let what = format!("`{text}` is no place in an event");
            let fix = "write a field of its data (`customer.id`), `@key`, `@key.id`, `@value.meta`, `header:name`, `@type`, `@id` or `@time`";
            reader.problem(path, what, fix);
            None
        }
    }
}

fn places(reader: &mut Reader<'_>, path: &str, texts: Texts) -> Option<Vec<Place>> {
    let texts = reader.texts(path, texts)?;
    let places: Vec<Option<Place>> = texts.iter().map(|text| place(reader, path, text)).collect();
    places.into_iter().collect()
}

/// The view at `path`, which has `on:`.
pub(super) fn view(
    reader: &mut Reader<'_>,
    path: &str,
    raw: raw::View,
    key: &[String],
    sources: &[&str],
) -> Option<ViewKind> {
    let at = |key: &str| format!("{path}.{key}");
    for (key, written) in [
        ("where", raw.filter.is_written()),
        ("as_of", raw.as_of.is_written()),
        ("touched_by", raw.touched_by.is_written()),
        ("query", raw.query.is_written()),
    ] {
        if written {
            let what = "says nothing of a view that is made of events";
            reader.problem(&at(key), what, "take it out, or take out `on:`");
        }
    }
    let from = view::from(reader, &at("from"), raw.from, sources);
    let columns = columns(reader, &at("columns"), raw.columns);
    if let Some(columns) = &columns {
        key_is_filled(reader, &at("key"), key, columns);
    }
    let (on, ignores_others) = on(reader, &at("on"), raw.on, key)?;
    let expected = match raw.expected.is_written() {
        true => Some(query::text(reader, &at("expected"), raw.expected)?),
        false => None,
    };
    Some(ViewKind::Events {
        from: from?,
        columns: columns?,
        on,
        ignores_others,
        expected,
    })
}

fn columns(
    reader: &mut Reader<'_>,
    path: &str,
    field: Field<Entries<Texts>>,
) -> Option<Vec<(String, Fill)>> {
    let fix = "say where its key is found: `columns: { order_id: \"@key\" }`";
    let entries = reader.need_entries(path, field, fix)?;
    reader.each(path, entries, |reader, path, column, texts| {
        let word = match &texts {
            Texts::One(word) => view::special(word),
            Texts::List(_) => None,
        };
        let fill = match word {
            Some(Origin::Lsn | Origin::Ts) => {
                let fix =
                    "an event's own time is `@time`; take it out, or say `@default` or `@foreign`";
                reader.problem(path, "events have no source position and no clock", fix);
                return None;
            }
            Some(besides) => Fill::Besides(besides),
            None => Fill::Event(Value::Found {
                places: places(reader, path, texts)?,
                absent: Absent::Wrong,
            }),
        };
        Some((column.to_owned(), fill))
    })
}

fn key_is_filled(reader: &mut Reader<'_>, path: &str, key: &[String], columns: &[(String, Fill)]) {
    for (nth, part) in key.iter().enumerate() {
        let fill = columns.iter().find(|(column, _)| column == part);
        if !matches!(fill, Some((_, Fill::Event(_)))) {
            let what = format!("nothing says where an event has the key column `{part}`");
            let fix = format!("add it to `columns`: `{part}: \"@key\"`, or a field of the data");
            reader.problem(&format!("{path}[{nth}]"), what, fix);
        }
    }
}

/// What each type does, and whether all others are ignored.
fn on(
    reader: &mut Reader<'_>,
    path: &str,
    field: Field<Entries<raw::On>>,
    key: &[String],
) -> Option<(Vec<(String, On)>, bool)> {
    let fix = "write a line for each type of event: `OrderPlaced: { set: { … } }`";
    let entries = reader.need_entries(path, field, fix)?;
    let mut all = reader.each(path, entries, |reader, path, kind, written| {
        if kind.starts_with('@') && kind != TOMBSTONE {
            reader.problem(
                path,
                format!("`{kind}` is no type of event"),
                did_you_mean(kind, &[TOMBSTONE]),
            );
            return None;
        }
        let on = match written {
            raw::On::Word(word) if word == "delete" => On::Delete,
            raw::On::Word(word) if word == "ignore" => On::Ignore,
            raw::On::Word(word) => {
                reader.problem(
                    path,
                    format!("`{word}` is nothing that an event does"),
                    did_you_mean(&word, WORDS),
                );
                return None;
            }
            raw::On::Does(section) => change(reader, path, section, key)?,
        };
        if kind == OTHERS && on != On::Ignore {
            let what = "`\"*\"` is every type that is not named";
            reader.problem(path, what, "they can only be ignored: `\"*\": ignore`");
            return None;
        }
        Some((kind.to_owned(), on))
    })?;
    let before = all.len();
    all.retain(|(kind, _)| kind != OTHERS);
    let ignores_others = all.len() < before;
    Some((all, ignores_others))
}

fn change(
    reader: &mut Reader<'_>,
    path: &str,
    section: Section<raw::Does>,
    key: &[String],
) -> Option<On> {
    let raw = reader.open(path, section);
    if !raw.set.is_written() && !raw.add.is_written() {
        reader.problem(
            path,
            "does nothing",
            "write `ignore`, or what it sets or adds",
        );
        return None;
    }
    let set = each(reader, &join(path, "set"), raw.set, key, value);
    let add = each(reader, &join(path, "add"), raw.add, key, term);
    let (set, add) = (set?, add?);
    if let Some((both, _)) = add
        .iter()
        .find(|(column, _)| set.iter().any(|(c, _)| c == column))
    {
        let what = format!("`{both}` is set by the same event");
        reader.problem(&join(&join(path, "add"), both), what, "keep one of the two");
        return None;
    }
    Some(On::Change { set, add })
}

fn each<R>(
    reader: &mut Reader<'_>,
    path: &str,
    field: Field<Entries<raw::Said>>,
    key: &[String],
    mut read: impl FnMut(&mut Reader<'_>, &str, raw::Said) -> Option<R>,
) -> Option<Vec<(String, R)>> {
    let entries = reader.get(path, field).unwrap_or_default();
    reader.each(path, entries, |reader, path, column, written| {
        if key.iter().any(|part| part == column) {
            let what = format!("`{column}` is of the key");
            reader.problem(path, what, "what names a row stands under `columns:`");
            return None;
        }
        read(reader, path, written).map(|read| (column.to_owned(), read))
    })
}

fn term(reader: &mut Reader<'_>, path: &str, written: raw::Said) -> Option<Term> {
    let (written, negative) = match written {
        raw::Said::Places(Texts::One(text)) => match text.strip_prefix('-') {
            Some(positive) => (raw::Said::Places(Texts::One(positive.to_owned())), true),
            None => (raw::Said::Places(Texts::One(text)), false),
        },
        other => (other, false),
    };
    let value = value(reader, path, written)?;
    let is_number = |literal: &Scalar| matches!(literal, Scalar::Int(_) | Scalar::Number(_));
    let wrong = match &value {
        Value::Literal(literal) if !is_number(literal) => "only a number can be added",
        Value::Found {
            absent: Absent::Null,
            ..
        } => "NULL cannot be added",
        _ => return Some(Term { value, negative }),
    };
    reader.problem(
        path,
        wrong,
        "write `{ value: 1 }`, a field of the data, or `absent: keep`",
    );
    None
}

fn value(reader: &mut Reader<'_>, path: &str, written: raw::Said) -> Option<Value> {
    let section = match written {
        raw::Said::Places(texts) => {
            let places = places(reader, path, texts)?;
            return Some(Value::Found {
                places,
                absent: Absent::Wrong,
            });
        }
        raw::Said::How(section) => reader.open(path, section),
    };
    let fix = "write `{ value: placed }`, or `{ field: customer.id, absent: null }`";
    match (section.value.is_written(), section.field.is_written()) {
        (true, false) if !section.absent.is_written() => {
            let value = reader.get(&join(path, "value"), section.value)?;
            Some(Value::Literal(value))
        }
        (false, true) => {
            let at = join(path, "field");
            let texts = reader.get(&at, section.field)?;
            let places = places(reader, &at, texts)?;
            let absent = absent(reader, &join(path, "absent"), section.absent)?;
            Some(Value::Found { places, absent })
        }
        _ => {
            reader.problem(path, "is neither one value nor one field", fix);
            None
        }
    }
}

fn absent(reader: &mut Reader<'_>, path: &str, field: Field<Scalar>) -> Option<Absent> {
    if !field.is_written() {
        return Some(Absent::Wrong);
    }
    match reader.get(path, field)? {
        Scalar::Null => Some(Absent::Null),
        Scalar::Text(word) if word == "null" => Some(Absent::Null),
        Scalar::Text(word) if word == "keep" => Some(Absent::Keep),
        _ => {
            let fix = "write `null`, or `keep` to leave the column as it is";
            reader.problem(path, "is nothing that a missing field can mean", fix);
            None
        }
    }
}
