//! What the connector does not write as it is, column by column: why a column cannot be read from its log at all, and what an
//! operator should know of one that can.

use crate::projection::decode;
use crate::projection::decode::{Decimals, Settings, Times};
use crate::projection::types::ColumnType;
use crate::store::CatalogColumn;
use crate::strategies::SourcePart;

/// Digits that a binary floating-point number keeps.
const DOUBLE_DIGITS: u32 = 15;

/// Why a column of a source cannot be read from its log; `None` when it can.
#[must_use]
pub(super) fn unreadable(column: &CatalogColumn, settings: &Settings) -> Option<&'static str> {
    if column.sql_type == "name" {
        return Some("the connector writes NULL for it in streamed records");
    }
    decode::unreadable(&column.column.kind, column.is_list, settings)
}

/// What the operator should know of these columns of a source before it is read from its log.
pub(super) fn notes(source: &SourcePart, is_read: impl Fn(&str) -> bool) -> Vec<String> {
    let columns: Vec<&CatalogColumn> = source
        .table
        .columns
        .iter()
        .filter(|c| is_read(&c.column.name))
        .collect();
    let settings = &source.settings;
    let mut said = Vec::new();
    for loss in LOSSES {
        let concerned = columns.iter().filter(|c| (loss.concerns)(c, settings));
        let names: Vec<&str> = concerned.map(|c| c.column.name.as_str()).collect();
        if !names.is_empty() {
            said.push(format!(
                "source {}: {} ({}); verify finds such rows",
                source.name,
                loss.what,
                names.join(", ")
            ));
        }
    }
    said.extend(absent_deletes(source));
    said.extend(truncates(source));
    said
}

/// What happens to values of some columns on their way into the log.
struct Loss {
    what: &'static str,
    concerns: fn(&CatalogColumn, &Settings) -> bool,
}

const LOSSES: &[Loss] = &[
    Loss {
        what: "a NaN or an infinity arrives as NULL under decimal.handling.mode=precise",
        concerns: |c, settings| {
            let is_numeric = match &c.column.kind {
                ColumnType::Array(of) => matches!(**of, ColumnType::Numeric { .. }),
                ColumnType::Numeric { .. } => settings.decimals == Decimals::Precise,
                _ => false,
            };
            is_numeric && c.column.nullable
        },
    },
    Loss {
        what: "decimal.handling.mode=double keeps 15 digits",
        concerns: |c, settings| {
            let of = match &c.column.kind {
                ColumnType::Array(of) => of,
                kind => kind,
            };
            let wide = match of {
                ColumnType::Numeric { size } => {
                    size.is_none_or(|(digits, _)| digits > DOUBLE_DIGITS)
                }
                _ => false,
            };
            wide && settings.decimals == Decimals::Double
        },
    },
    Loss {
        what: "time.precision.mode=connect keeps milliseconds",
        concerns: |c, settings| {
            let digits = match &c.column.kind {
                ColumnType::Time { digits } | ColumnType::Timestamp { digits } => *digits,
                _ => 0,
            };
            digits > 3 && settings.times == Times::Connect
        },
    },
    Loss {
        what: "24:00 arrives as 00:00 under time.precision.mode=isostring",
        concerns: |c, settings| {
            matches!(c.column.kind, ColumnType::Time { .. }) && settings.times == Times::Iso
        },
    },
    Loss {
        what: "a date before Christ arrives from the connector's snapshot as one of our era",
        concerns: |c, _| c.column.kind == ColumnType::Date,
    },
    Loss {
        what: "an array of more than one dimension, or of a list's texts with a NULL among them, arrives as NULLs",
        concerns: |c, _| match &c.column.kind {
            ColumnType::Array(_) => true,
            ColumnType::Other(name) => name.ends_with("[]"),
            _ => false,
        },
    },
    Loss {
        what: "a NULL arrives as the column's default, unless the connector has replace.null.with.default=false (write that into the source's `debezium:`)",
        concerns: |c, settings| {
            c.has_default && c.column.nullable && settings.fills_nulls != Some(false)
        },
    },
];

fn absent_deletes(source: &SourcePart) -> Option<String> {
    let flattened = source.settings.flattened.as_ref()?;
    let note = format!(
        "source {}: its records are flattened so that deletes leave none: deleted rows come back; verify finds them",
        source.name
    );
    flattened.drops_deletes.then_some(note)
}

/// The connector leaves truncates out by default, and nothing in the log tells.
fn truncates(source: &SourcePart) -> Option<String> {
    let why = match (source.settings.skips_truncates, &source.settings.flattened) {
        (_, Some(_)) => "flattened records have no truncates",
        (Some(true), None) => "the connector skips truncates",
        (None, None) => {
            "whether the connector writes truncates is not known (it skips them unless skipped.operations=none; write that into the source's `debezium:`)"
        }
        (Some(false), None) => return None,
    };
    Some(format!(
        "source {}: {why}: if {} was ever truncated, the rows come back; verify finds them",
        source.name, source.table.table
    ))
}
