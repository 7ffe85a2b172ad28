//! Checks how columns are compared.

use super::reader::Reader;
use crate::playbook::checked::{Compare, Origin, Scalar};
use crate::playbook::marks::join;
use crate::playbook::problem::did_you_mean;
use crate::playbook::raw;
use crate::playbook::shape::{Entries, Field, Section, Text};

const FIX: &str = "write `unordered`, `{ unordered: \", \" }` or `{ tolerance: 1e-9 }`";

/// `compare:` at `path`, for a view with this key and these written columns; those of a query are known to nobody yet.
pub(super) fn compare(
    reader: &mut Reader<'_>,
    path: &str,
    field: Field<Entries<raw::Compare>>,
    key: &[String],
    columns: Option<&[(String, Option<Origin>)]>,
    is_query: bool,
) -> Option<Vec<(String, Compare)>> {
    let entries = reader.get(path, field).unwrap_or_default();
    reader.each(path, entries, |reader, path, column, written| {
        let rule = match written {
            raw::Compare::Word(word) if word == "unordered" => Some(Compare::Unordered),
            raw::Compare::Word(word) => {
                reader.problem(path, format!("`{word}` is no way to compare"), FIX);
                None
            }
            raw::Compare::How(section) => how(reader, path, section),
        };
        if key.iter().any(|part| part == column) {
            let what = format!("`{column}` is of the key, which is compared exactly");
            reader.problem(path, what, "take it out");
            return None;
        }
        let listed = columns.and_then(|all| all.iter().find(|(name, _)| name == column));
        match (listed, columns) {
            (Some((_, Some(Origin::Column { .. }) | None)), _) | (None, None) => {}
            (None, Some(_)) if is_query => {}
            (Some(_), _) => {
                reader.problem(path, format!("`{column}` is never compared"), "take it out");
                return None;
            }
            (None, Some(all)) => {
                let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
                let what = format!("`{column}` is not in `columns`");
                reader.problem(path, what, did_you_mean(column, &names));
                return None;
            }
        }
        Some((column.to_owned(), rule?))
    })
}

fn how(reader: &mut Reader<'_>, path: &str, section: Section<raw::CompareHow>) -> Option<Compare> {
    let raw = reader.open(path, section);
    match (raw.unordered.is_written(), raw.tolerance.is_written()) {
        (true, false) => separator(reader, &join(path, "unordered"), raw.unordered),
        (false, true) => tolerance(reader, &join(path, "tolerance"), raw.tolerance),
        (true, true) => {
            let what = "`unordered` and `tolerance` exclude each other";
            reader.problem(path, what, "keep one of them");
            None
        }
        (false, false) => {
            reader.problem(path, "says nothing", FIX);
            None
        }
    }
}

/// A separator may be blank, but not nothing.
fn separator(reader: &mut Reader<'_>, path: &str, field: Field<Text>) -> Option<Compare> {
    let Text(separator) = reader.get(path, field)?;
    if separator.is_empty() {
        reader.problem(path, "is empty", "write what stands between the parts");
        return None;
    }
    Some(Compare::Separated(separator))
}

fn tolerance(reader: &mut Reader<'_>, path: &str, field: Field<Scalar>) -> Option<Compare> {
    let share: Option<f64> = match reader.get(path, field)? {
        Scalar::Number(text) => text.parse().ok(),
        _ => None,
    };
    let share = share.filter(|share| *share > 0.0 && *share < 1.0);
    if share.is_none() {
        reader.problem(
            path,
            "is no tolerance",
            "write a number above 0 and below 1: 1e-9",
        );
    }
    share.map(Compare::Tolerance)
}
