//! Checks one source.

use std::collections::BTreeMap;

use super::events;
use super::reader::Reader;
use crate::playbook::checked::{Format, Scalar, Source, TableName};
use crate::playbook::problem::did_you_mean;
use crate::playbook::raw;
use crate::playbook::shape::{Entries, Field, Text};

/// The source `name` at `path`.
pub(super) fn source(
    reader: &mut Reader<'_>,
    path: &str,
    name: &str,
    mut raw: raw::Source,
) -> Option<Source> {
    let at = |key: &str| format!("{path}.{key}");
    let form = raw.take_form();
    let topic = reader.need_text(
        &at("topic"),
        std::mem::take(&mut raw.topic),
        "name the topic that carries the table",
    );
    let format = format(reader, path, std::mem::take(&mut raw.format), form);
    let is_of_events = matches!(format, Some(Format::Events(_)));
    if is_of_events {
        events::no_rows(reader, path, &raw);
    }
    let table = match (&raw.table, &topic) {
        (_, topic) if is_of_events => topic.clone().map(|name| TableName { schema: None, name }),
        (Field::Missing, Some(topic)) => table_of_topic(reader, path, topic),
        (Field::Missing, None) => None,
        _ => {
            let written = reader.text(&at("table"), raw.table);
            written.and_then(|table| reader.table(&at("table"), &table))
        }
    };
    let order_by = reader.text(&at("order_by"), raw.order_by);
    let epochs = reader.get(&at("epochs"), raw.epochs).unwrap_or_default();
    let epochs = epochs.into_iter().enumerate().map(|(nth, epoch)| {
        let path = format!("{path}.epochs[{nth}]");
        let entries = reader.get(&path, epoch);
        entries.and_then(|entries| self::epoch(reader, &path, entries))
    });
    let epochs: Vec<Option<BTreeMap<i32, i64>>> = epochs.collect();
    let types = types(reader, &at("types"), raw.types);
    let debezium = properties(reader, &at("debezium"), raw.debezium);
    let key = reader.get(&at("key"), raw.key);
    let key = key.map(|key| reader.texts(&at("key"), key));
    Some(Source {
        name: name.to_owned(),
        topic: topic?,
        table: table?,
        format: format?,
        order_by,
        epochs: epochs.into_iter().collect::<Option<_>>()?,
        debezium: debezium?,
        types: types?,
        key: match key {
            Some(key) => Some(key?),
            None => None,
        },
        line: reader.line(path),
    })
}

/// Column → type.
fn types(
    reader: &mut Reader<'_>,
    path: &str,
    field: Field<Entries<Text>>,
) -> Option<Vec<(String, String)>> {
    let entries = reader.get(path, field).unwrap_or_default();
    reader.each(path, entries, |reader, path, column, kind| {
        let kind = reader.text(path, Field::Is(kind))?;
        Some((column.to_owned(), kind))
    })
}

/// Property → value; what they mean is for the engine to say.
fn properties(
    reader: &mut Reader<'_>,
    path: &str,
    field: Field<Entries<Scalar>>,
) -> Option<Vec<(String, String)>> {
    let entries = reader.get(path, field).unwrap_or_default();
    reader.each(path, entries, |reader, path, property, value| {
        let text = match value {
            Scalar::Bool(is) => is.to_string(),
            Scalar::Int(number) => number.to_string(),
            Scalar::Number(text) | Scalar::Text(text) => text,
            Scalar::Null => {
                reader.problem(path, "is empty", "write a value, or leave the key out");
                return None;
            }
        };
        Some((property.to_owned(), text))
    })
}

/// `prefix.schema.table` or `prefix.table`, as Debezium names topics; a prefix may have dots.
fn table_of_topic(reader: &mut Reader<'_>, path: &str, topic: &str) -> Option<TableName> {
    let parts: Vec<&str> = topic.split('.').collect();
    let table = match parts.as_slice() {
        [_, table] => (*table).to_owned(),
        [_, .., schema, table] => format!("{schema}.{table}"),
        _ => {
            let what = format!("the topic `{topic}` does not name its table");
            reader.problem(path, what, "add `table:`");
            return None;
        }
    };
    reader.table(&format!("{path}.topic"), &table)
}

fn format(
    reader: &mut Reader<'_>,
    path: &str,
    field: Field<Text>,
    form: raw::Form,
) -> Option<Format> {
    let at = format!("{path}.format");
    let word = match field.is_written() {
        true => reader.text(&at, field)?,
        false => "debezium".to_owned(),
    };
    match word.as_str() {
        "debezium" => {
            events::no_events(reader, path, &form);
            Some(Format::Debezium)
        }
        "events" => events::form(reader, path, form).map(Format::Events),
        other => {
            let what = format!("`{other}` is no format");
            reader.problem(&at, what, did_you_mean(other, &["debezium", "events"]));
            None
        }
    }
}

/// Partition → first offset of the next epoch.
fn epoch(
    reader: &mut Reader<'_>,
    path: &str,
    entries: Entries<Scalar>,
) -> Option<BTreeMap<i32, i64>> {
    if entries.0.is_empty() {
        reader.problem(
            path,
            "is empty",
            "write `{ partition: first offset of the next epoch }`",
        );
        return None;
    }
    let pairs = reader.each(path, entries, |reader, path, partition, offset| {
        let partition: Option<i32> = partition.parse().ok().filter(|number| *number >= 0);
        let offset = match offset {
            Scalar::Int(offset) => i64::try_from(offset).ok().filter(|offset| *offset >= 0),
            _ => None,
        };
        let pair = partition.zip(offset);
        if pair.is_none() {
            let fix = "write both as whole numbers: `{ 0: 184467 }`";
            reader.problem(path, "is no partition and offset", fix);
        }
        pair
    })?;
    Some(pairs.into_iter().collect())
}
