//! Checks what a query view says: its text is read elsewhere, by what knows SQL.

use std::path::PathBuf;

use super::reader::Reader;
use super::view::all_of;
use crate::playbook::checked::{Origin, TouchedBy, ViewKind};
use crate::playbook::marks::join;
use crate::playbook::problem::did_you_mean;
use crate::playbook::raw;
use crate::playbook::shape::{Entries, Field, Text};

/// The view at `path`, which has `query:`.
pub(super) fn query(
    reader: &mut Reader<'_>,
    path: &str,
    raw: raw::View,
    key: &[String],
    columns: Option<Vec<(String, Option<Origin>)>>,
    sources: &[&str],
) -> Option<ViewKind> {
    let at = |key: &str| format!("{path}.{key}");
    if raw.from.is_written() {
        let what = "`query` and `from` exclude each other";
        reader.problem(&at("from"), what, "keep one of them");
    }
    if raw.filter.is_written() {
        let what = "`query` and `where` exclude each other";
        reader.problem(&at("where"), what, "write it into the query's own WHERE");
    }
    let columns = columns.map(|columns| not_given(reader, &at("columns"), key, columns));
    let as_of = reader.instant(&at("as_of"), raw.as_of);
    let touched_by = touched_by(reader, &at("touched_by"), raw.touched_by, key, sources);
    let (text, file, text_line) = text(reader, &at("query"), raw.query)?;
    Some(ViewKind::Query {
        text,
        file,
        text_line,
        columns: match columns {
            Some(columns) => Some(columns?),
            None => None,
        },
        as_of,
        touched_by: touched_by?,
    })
}

/// By source, a column or a SELECT.
fn touched_by(
    reader: &mut Reader<'_>,
    path: &str,
    field: Field<Entries<Text>>,
    key: &[String],
    sources: &[&str],
) -> Option<Vec<(String, TouchedBy)>> {
    let entries = reader.get(path, field).unwrap_or_default();
    reader.each(path, entries, |reader, path, source, text| {
        let text = reader.text(path, Field::Is(text))?;
        // Without any source, that is the problem to report.
        if !sources.is_empty() && !sources.contains(&source) {
            let what = format!("`{source}` is no source");
            reader.problem(path, what, did_you_mean(source, sources));
            return None;
        }
        let first = text.split_whitespace().next().unwrap_or_default();
        let is_query = ["select", "with"]
            .iter()
            .any(|w| first.eq_ignore_ascii_case(w));
        if !is_query && key.len() > 1 {
            let what = format!("one column cannot hold the key ({})", key.join(", "));
            let fix = "write a SELECT of keys: its columns are those of the key, in their order";
            reader.problem(path, what, fix);
            return None;
        }
        let line = reader.marks.text_line(path);
        let said = match is_query {
            true => TouchedBy::Query { text, line },
            false => TouchedBy::Column(text.trim().to_owned()),
        };
        Some((source.to_owned(), said))
    })
}

/// The text, the file that it is in if that is another one, and its line there.
pub(super) fn text(
    reader: &mut Reader<'_>,
    path: &str,
    field: Field<raw::Query>,
) -> Option<(String, Option<PathBuf>, usize)> {
    let file = match reader.get(path, field)? {
        raw::Query::Text(text) => {
            let text = reader.text(path, Field::Is(Text(text)))?;
            return Some((text, None, reader.marks.text_line(path)));
        }
        raw::Query::In(section) => reader.open(path, section).file,
    };
    let path = join(path, "file");
    let file = reader.need_text(&path, file, "name the file that holds the SELECT")?;
    let file = reader.folder.join(file);
    match std::fs::read_to_string(&file) {
        Ok(text) => Some((text, Some(file), 1)),
        Err(error) => {
            let what = format!("cannot read {}: {error}", file.display());
            reader.problem(&path, what, "it is looked for beside the playbook");
            None
        }
    }
}

/// Columns that a query does not give: whatever fills them is none of the sources.
fn not_given(
    reader: &mut Reader<'_>,
    path: &str,
    key: &[String],
    columns: Vec<(String, Option<Origin>)>,
) -> Option<Vec<(String, Origin)>> {
    let mut all = true;
    for (column, origin) in &columns {
        let path = join(path, column);
        if !matches!(origin, None | Some(Origin::Default | Origin::Foreign)) {
            let what = format!("`{column}` is filled by the query, which names its columns itself");
            let fix = "list only what the query does not give: \"@default\" or \"@foreign\"";
            reader.problem(&path, what, fix);
            all = false;
        } else if key.contains(column) {
            let what = format!("the key column `{column}` is not filled by the query");
            reader.problem(&path, what, "take it out here, and select it");
            all = false;
        }
    }
    all_of(columns).filter(|_| all)
}
