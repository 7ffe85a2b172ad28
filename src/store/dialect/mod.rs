//! SQL text, made by functions without I/O; the drivers only execute it.

pub mod postgres;
pub mod postgres_build;
pub mod postgres_catalog;
pub mod postgres_doctor;
pub mod postgres_hanging;
pub mod postgres_hash;
pub mod postgres_load;
pub mod postgres_obstacles;
pub mod postgres_pressure;
pub mod postgres_quarantine;
pub mod postgres_repair;
pub mod postgres_run;
pub mod postgres_scan;
pub mod postgres_settle;
pub mod postgres_stage;
pub mod postgres_swap;
pub mod postgres_touch;
pub mod postgres_twin;
pub mod sqlite;
pub mod sqlite_limit;
pub mod sqlite_literal;
pub mod sqlite_load;
pub mod sqlite_own;
pub mod sqlite_repair;
pub mod sqlite_stage;
pub mod sqlite_swap;
pub mod sqlite_touch;
pub mod sqlite_trigger;
pub mod touch;

use crate::projection::mapping::Test;

/// An identifier, quoted always, so that no name is ever a keyword or folded.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A SELECT of no row, and these rows under its columns.
fn above(hollow: String, rows: impl Iterator<Item = String>) -> String {
    let rows: Vec<String> = rows.map(|row| format!("({row})")).collect();
    match rows.is_empty() {
        true => hollow,
        false => format!("{hollow} UNION ALL VALUES {}", rows.join(", ")),
    }
}

/// A test as a condition of two outcomes: NULL is a value like any other. `among` renders "the column is one of these"
/// for values that are not NULL (at least one), `null` renders "the column is NULL"; both may come out NULL in SQL.
#[must_use]
pub fn condition(
    test: &Test,
    among: &dyn Fn(&[crate::projection::cell::Cell<'static>]) -> Option<String>,
    null: &str,
) -> String {
    use crate::projection::cell::Cell;
    match test {
        Test::Not(test) => format!("({}) IS NOT TRUE", condition(test, among, null)),
        Test::AnyOf(values) => {
            let (nulls, known): (Vec<_>, Vec<_>) = values
                .iter()
                .cloned()
                .partition(|v| matches!(v, Cell::Null));
            let parts: Vec<String> = among(&known)
                .into_iter()
                .chain((!nulls.is_empty()).then(|| null.to_owned()))
                .collect();
            match parts.len() {
                0 => "FALSE".to_owned(),
                1 => parts.concat(),
                _ => format!("({})", parts.join(" OR ")),
            }
        }
    }
}
