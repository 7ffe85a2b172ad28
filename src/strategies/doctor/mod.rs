//! The doctor: looks for what will cause the next drift, in the log, in the primary, in the read store and at the projector.
//!
//! It reads only, with SELECT and the log's own questions, and a bounded part of the log's records. One room a file; each
//! adds to the report what it found, what was fine, and what could not be looked at. To add a check: a function in its room.

mod log;
mod partitioner;
mod primary;
mod projector;
mod read_store;
mod sample;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;

use crate::projection::mapping::From;
use crate::report::doctor::{DoctorReport, Severity};
use crate::store::dialect::postgres_doctor as sql;
use crate::store::{Acts, Store};
use crate::strategies::{Origin, SourcePart, Systems, View};

/// How much is read.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Records of each partition, from its end; `None` reads the whole log.
    pub records: Option<u64>,
}

/// Clocks that differ by less agree, in seconds.
const CLOCK_SECONDS_MAX: f64 = 5.0;

/// Looks at everything that the playbook names.
///
/// # Errors
/// None of a single check: what cannot be looked at is in the report. [`crate::strategies::Bug`]s only.
pub async fn examine(
    systems: &Systems,
    playbook: &str,
    views: &[View],
    options: Options,
) -> Result<DoctorReport> {
    let mut report = DoctorReport {
        playbook: playbook.to_owned(),
        ..DoctorReport::default()
    };
    let parts: BTreeMap<&str, &SourcePart> = views
        .iter()
        .flat_map(View::sources)
        .map(|part| (part.name.as_str(), part))
        .collect();
    for part in parts.values() {
        log::examine(systems, part, views, options, &mut report).await;
        if part.is_table() {
            primary::table(systems, part, &mut report).await;
        }
        projector::examine(systems, part, &mut report).await;
    }
    primary::slot(systems, &mut report).await;
    for view in views {
        read_store::examine(systems, view, &mut report).await;
    }
    clock(&systems.primary, "primary", &mut report).await;
    clock(&systems.read_store, "read store", &mut report).await;
    Ok(report)
}

/// A clock that is wrong makes lag in seconds, `within:` and the age of a log wrong.
async fn clock(store: &Store, subject: &str, report: &mut DoctorReport) {
    const CHECK: &str = "clock";
    if !matches!(store, Store::Postgres(_)) {
        return report.absent(CHECK, subject, "it has no clock of its own");
    }
    let before = now_seconds();
    let answer = match store.query(sql::CLOCK).await {
        Ok(answer) => answer,
        Err(e) => return report.unknown(CHECK, subject, e.to_string()),
    };
    let after = now_seconds();
    let cell = answer.into_iter().flatten().flatten().next();
    let Some(theirs) = cell.and_then(|text| text.parse::<f64>().ok()) else {
        return report.unknown(CHECK, subject, "it does not say what time it is");
    };
    // Outside the time that the question took.
    let off = (before - theirs).max(theirs - after).max(0.0);
    if off <= CLOCK_SECONDS_MAX {
        return report.fine(CHECK, subject, "it agrees with the clock of this machine");
    }
    report.found(
        Severity::Warning,
        (CHECK, subject),
        format!("its clock and that of this machine are {off:.0} s apart"),
        "set both by NTP: lag in seconds, `applied: { within: … }` and the age of a log are told by them",
    );
}

fn now_seconds() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}

/// The source's columns that a column of the view is made of; `None` for one that comes from elsewhere.
fn source_column<'a>(view: &'a View, column: &str) -> Option<&'a str> {
    let target = view
        .mapping
        .columns
        .iter()
        .find(|t| t.column.name == column)?;
    match target.from {
        From::Source(at) => view.mapping.source.get(at).map(|c| c.name.as_str()),
        _ => None,
    }
}

/// The view's key, as the read table calls it.
fn key_of(view: &View) -> Vec<&str> {
    let columns = &view.mapping.columns;
    let key = view.mapping.key.iter();
    key.filter_map(|at| columns.get(*at).map(|t| t.column.name.as_str()))
        .collect()
}

/// Whether the view copies rows of this source.
fn copies(view: &View, part: &SourcePart) -> bool {
    matches!(&view.origin, Origin::Copy { source, .. } if source.name == part.name)
}

/// `3 h`, `12 d`: a span of time for a sentence.
fn span(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 1.0 => (s * 1_000.0, "ms"),
        s if s < 120.0 => (s, "s"),
        s if s < 7_200.0 => (s / 60.0, "min"),
        s if s < 172_800.0 => (s / 3_600.0, "h"),
        s => (s / 86_400.0, "d"),
    };
    format!("{value:.0} {unit}")
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_read_as_people_say_them() {
        for (seconds, text) in [
            (0.02, "20 ms"),
            (90.0, "90 s"),
            (3_600.0, "60 min"),
            (86_400.0, "24 h"),
            (604_800.0, "7 d"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
