//! Checks one view.

use super::compare;
use super::events;
use super::query;
use super::reader::Reader;
use crate::playbook::checked::{Origin, Scalar, Test, View, ViewKind};
use crate::playbook::marks::join;
use crate::playbook::problem::did_you_mean;
use crate::playbook::raw;
use crate::playbook::shape::{Entries, Field, Text, Texts};

/// The view `name` at `path`; `sources` are the names of all sources.
pub(super) fn view(
    reader: &mut Reader<'_>,
    path: &str,
    name: &str,
    mut raw: raw::View,
    sources: &[&str],
) -> Option<View> {
    let at = |key: &str| format!("{path}.{key}");
    let is_of_events = raw.on.is_written();
    if raw.expected.is_written() && !is_of_events {
        let what = "only a view that is made of events needs to be told";
        reader.problem(&at("expected"), what, "take it out");
    }
    let table = match std::mem::take(&mut raw.table) {
        Field::Missing => reader.table(path, name),
        written => {
            let written = reader.text(&at("table"), written);
            written.and_then(|table| reader.table(&at("table"), &table))
        }
    };
    let key = std::mem::take(&mut raw.key);
    let key = reader.need(&at("key"), key, "list the columns that name a row");
    let key = key.and_then(|key| reader.texts(&at("key"), key));
    let columns = match is_of_events {
        true => None,
        false => reader.get(&at("columns"), std::mem::take(&mut raw.columns)),
    };
    let columns = columns.map(|written| columns_of(reader, &at("columns"), written));
    let compare = std::mem::take(&mut raw.compare);
    let (key_known, columns_known) = (key.as_deref().unwrap_or(&[]), columns.as_deref());
    let is_query = raw.query.is_written();
    let compare = compare::compare(
        reader,
        &at("compare"),
        compare,
        key_known,
        columns_known,
        is_query,
    );
    let scope = reader.text(&at("scope"), std::mem::take(&mut raw.scope));
    let kind = if is_of_events {
        events::view(reader, path, raw, key_known, sources)
    } else if is_query {
        query::query(reader, path, raw, key_known, columns, sources)
    } else {
        copy(reader, path, raw, key_known, columns, sources)
    };
    Some(View {
        name: name.to_owned(),
        table: table?,
        key: key?,
        scope,
        compare: compare?,
        kind: kind?,
        line: reader.line(path),
    })
}

/// What only a copy says.
fn copy(
    reader: &mut Reader<'_>,
    path: &str,
    raw: raw::View,
    key: &[String],
    columns: Option<Vec<(String, Option<Origin>)>>,
    sources: &[&str],
) -> Option<ViewKind> {
    let at = |key: &str| format!("{path}.{key}");
    if raw.as_of.is_written() {
        reader.problem(&at("as_of"), "a copy reads no clock", "take it out");
    }
    if raw.touched_by.is_written() {
        let what = "a copy's rows are those of its source";
        reader.problem(&at("touched_by"), what, "take it out");
    }
    if let Some(columns) = &columns {
        key_is_mapped(reader, &at("key"), key, columns);
    }
    let filter = filter(reader, &at("where"), raw.filter);
    let from = from(reader, &at("from"), raw.from, sources);
    Some(ViewKind::Copy {
        from: from?,
        filter: filter?,
        columns: match columns {
            Some(columns) => Some(all_of(columns)?),
            None => None,
        },
    })
}

/// An AND of tests, each of one column.
pub(super) fn filter(
    reader: &mut Reader<'_>,
    path: &str,
    field: Field<Entries<raw::Test>>,
) -> Option<Vec<(String, Test)>> {
    let entries = reader.get(path, field).unwrap_or_default();
    reader.each(path, entries, |reader, path, column, written| {
        test(reader, path, written).map(|test| (column.to_owned(), test))
    })
}

pub(super) fn from(
    reader: &mut Reader<'_>,
    path: &str,
    field: Field<Text>,
    sources: &[&str],
) -> Option<String> {
    let from = reader.need_text(
        path,
        field,
        "name the source that the view copies, or write a `query:` over several",
    )?;
    // Without any source, that is the problem to report.
    if !sources.is_empty() && !sources.contains(&from.as_str()) {
        reader.problem(
            path,
            format!("`{from}` is no source"),
            did_you_mean(&from, sources),
        );
        return None;
    }
    Some(from)
}

/// Every column of the key needs one column of the source behind it.
fn key_is_mapped(
    reader: &mut Reader<'_>,
    path: &str,
    key: &[String],
    columns: &[(String, Option<Origin>)],
) {
    for (nth, part) in key.iter().enumerate() {
        let path = format!("{path}[{nth}]");
        match columns.iter().find(|(target, _)| target == part) {
            Some((_, Some(Origin::Column { .. }) | None)) => {}
            Some(_) => {
                let what = format!("the key column `{part}` is not filled from the source");
                reader.problem(&path, what, "map it to a column, or choose another key");
            }
            None => {
                let what = format!("the key column `{part}` is not in `columns`");
                let targets: Vec<&str> = columns.iter().map(|(target, _)| &**target).collect();
                reader.problem(&path, what, did_you_mean(part, &targets));
            }
        }
    }
}

/// Each column of the table, with `None` for an origin that has been reported.
fn columns_of(
    reader: &mut Reader<'_>,
    path: &str,
    written: Entries<Texts>,
) -> Vec<(String, Option<Origin>)> {
    if written.0.is_empty() {
        let fix = "leave it out if every column is filled by the one of the same name";
        reader.problem(path, "is empty", fix);
    }
    let columns = written.0.into_iter().map(|(target, field)| {
        let path = join(path, &target);
        let texts = reader.get(&path, field);
        let origin = texts.and_then(|texts| origin(reader, &path, texts));
        (target, origin)
    });
    columns.collect()
}

pub(super) fn all_of(columns: Vec<(String, Option<Origin>)>) -> Option<Vec<(String, Origin)>> {
    let columns = columns.into_iter();
    columns
        .map(|(target, origin)| Some((target, origin?)))
        .collect()
}

/// A column, a column and its former names, or one of the `@` words.
fn origin(reader: &mut Reader<'_>, path: &str, texts: Texts) -> Option<Origin> {
    let word = match &texts {
        Texts::One(word) if word.starts_with('@') => Some(word.clone()),
        _ => None,
    };
    if let Some(word) = word {
        let origin = special(&word);
        if origin.is_none() {
            reader.problem(
                path,
                format!("`{word}` fills no column"),
                did_you_mean(&word, SPECIAL),
            );
        }
        return origin;
    }
    let mut names = reader.texts(path, texts)?;
    if names.iter().any(|name| name.starts_with('@')) {
        let fix = "list only the column's name and its former names";
        reader.problem(path, "an `@` word stands in a list", fix);
        return None;
    }
    let name = names.remove(0);
    Some(Origin::Column {
        name,
        former: names,
    })
}

const SPECIAL: &[&str] = &[
    "@offset",
    "@partition",
    "@lsn",
    "@ts",
    "@default",
    "@foreign",
];

pub(super) fn special(word: &str) -> Option<Origin> {
    match word {
        "@offset" => Some(Origin::Offset),
        "@partition" => Some(Origin::Partition),
        "@lsn" => Some(Origin::Lsn),
        "@ts" => Some(Origin::Ts),
        "@default" => Some(Origin::Default),
        "@foreign" => Some(Origin::Foreign),
        _ => None,
    }
}

fn test(reader: &mut Reader<'_>, path: &str, written: raw::Test) -> Option<Test> {
    match written {
        raw::Test::Is(Scalar::Null) => Some(Test::IsNull),
        raw::Test::Is(value) => Some(Test::AnyOf(vec![value])),
        raw::Test::OneOf(values) => {
            if values.is_empty() {
                reader.problem(path, "no row is one of nothing", "list at least one value");
                return None;
            }
            let values = values.into_iter().enumerate();
            let read = values.map(|(nth, value)| reader.get(&format!("{path}[{nth}]"), value));
            let read: Vec<Option<Scalar>> = read.collect();
            read.into_iter().collect::<Option<_>>().map(Test::AnyOf)
        }
        raw::Test::Section(section) => {
            let not = reader.open(path, section).not;
            let fix = "write `{ not: … }`";
            let path = format!("{path}.not");
            let within = reader.need(&path, not, fix)?;
            test(reader, &path, *within).map(|within| Test::Not(Box::new(within)))
        }
    }
}
