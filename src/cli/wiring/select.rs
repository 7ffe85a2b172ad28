//! Flags that name rows of a view, against its columns.

use anyhow::Result;

use super::view::test;
use crate::cli::flags::Usage;
use crate::playbook::{self, Bound as WrittenBound};
use crate::projection::cell::Cell;
use crate::projection::change::Key;
use crate::projection::diff::Kind;
use crate::projection::mapping::Mapping;
use crate::projection::text;
use crate::projection::types::Column;
use crate::strategies::View;
use crate::strategies::bounds::Bound;
use crate::strategies::reconcile::Selection;

/// A bound of the playbook or of a flag.
pub(super) fn of_written(bound: WrittenBound) -> Bound {
    match bound {
        WrittenBound::Rows(rows) => Bound::Rows(rows),
        WrittenBound::Percent(percent) => Bound::Percent(percent),
    }
}

/// A bound as a flag writes it.
pub(in crate::cli) fn bound(text: &str) -> Option<Bound> {
    playbook::bound(text).map(of_written)
}

/// The differences of a view that flags select, among rows of this mapping of it.
///
/// # Errors
/// When a flag names what the view does not have.
pub(in crate::cli) fn selection(
    (view, mapping): (&View, &Mapping),
    kinds: Vec<Kind>,
    keys: &[Vec<String>],
    filter: Option<&str>,
    columns: &[String],
) -> Result<Selection> {
    let compared: Vec<Column> = mapping.columns.iter().map(|t| t.column.clone()).collect();
    let place = |flag: &str, name: &str| {
        compared.iter().position(|c| c.name == name).ok_or_else(|| {
            let names: Vec<&str> = compared.iter().map(|c| c.name.as_str()).collect();
            Usage(format!(
                "{flag}: view {} compares no column {name}; it has {}",
                view.name,
                names.join(", ")
            ))
        })
    };
    let key: Vec<&Column> = mapping.key.iter().map(|at| &compared[*at]).collect();
    let filter = match filter {
        None => Vec::new(),
        Some(text) => playbook::filter(text, "--where")?,
    };
    let tests = filter.iter().map(|(name, written)| {
        let at = place("--where", name)?;
        let kind = &compared[at].kind;
        let test = test(written, kind).map_err(|value| {
            Usage(format!(
                "--where: {value} is no value of column {name}, whose type is {kind}"
            ))
        })?;
        Ok((at, test))
    });
    let columns = columns.iter().map(|name| Ok(place("--column", name)?));
    Ok(Selection {
        kinds,
        keys: keys
            .iter()
            .map(|k| read_key(k, &key))
            .collect::<Result<_>>()?,
        filter: tests.collect::<Result<_>>()?,
        columns: columns.collect::<Result<_>>()?,
    })
}

fn read_key(written: &[String], columns: &[&Column]) -> Result<Key<'static>> {
    let shown = written.join(", ");
    if written.len() != columns.len() {
        let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
        return Err(Usage(format!(
            "--keys: {shown} has {} parts, the key has {}: {}; write [[{}]]",
            written.len(),
            columns.len(),
            names.join(", "),
            vec!["…"; columns.len()].join(", ")
        ))
        .into());
    }
    let cell = |(text, column): (&String, &&Column)| {
        let read = text::read(&column.kind, text).map(Cell::into_owned);
        read.ok_or_else(|| {
            let (name, kind) = (&column.name, &column.kind);
            Usage(format!(
                "--keys: {text} is no value of column {name}, whose type is {kind}"
            ))
        })
    };
    let cells: Result<Vec<_>, Usage> = written.iter().zip(columns).map(cell).collect();
    Ok(Key(cells?))
}
