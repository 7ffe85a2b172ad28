//! Which of the differences may be repaired, by why they are there: those whose evidence agrees, unless more is asked for.

use std::collections::BTreeMap;

use anyhow::Result;

use super::Options;
use crate::limits;
use crate::projection::cause::Cause;
use crate::projection::diff::Difference;
use crate::report::explained::Explained;
use crate::report::progress::Progress;
use crate::report::table::grouped;
use crate::strategies::compare::Comparison;
use crate::strategies::{Systems, View, explain};

/// What is repaired, by cause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByCause {
    /// Only these; empty for all.
    pub only: Vec<Cause>,
    /// Also these, whose evidence does not agree.
    pub include: Vec<Cause>,
}

impl ByCause {
    fn takes(&self, cause: Cause) -> bool {
        let named = self.only.is_empty() || self.only.contains(&cause);
        let included = self.include.contains(&cause);
        (named && cause.is_clear()) || included
    }
}

/// What was kept of the differences, their causes, and what the operator should know of the others.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) differences: Vec<Difference>,
    pub(super) causes: BTreeMap<Cause, u64>,
    pub(super) notes: Vec<String>,
    pub(super) explained: Option<Explained>,
}

/// Explains the differences, and keeps those that may be repaired.
pub(super) async fn keep(
    (systems, view): (&Systems, &View),
    comparison: &Comparison<'_>,
    (rows, differences): (u64, Vec<Difference>),
    options: &Options,
    progress: &Progress,
) -> Result<Kept> {
    let Some(by_cause) = &options.by_cause else {
        return Ok(Kept {
            differences,
            ..Kept::default()
        });
    };
    let how = explain::Options {
        sample: options.sample,
        lag_wait: options.lag_wait,
    };
    let explanation =
        explain::explain(systems, view, comparison, &differences, how, progress).await?;
    let causes = explanation.causes();
    let equal = rows.saturating_sub(differences.len() as u64);
    let shown = limits::SAMPLES_MAX as u64;
    let explained = explain::told(&explanation, view, comparison, (equal, 0), shown);
    let mut kept = Kept {
        notes: explanation.notes,
        explained: Some(explained),
        ..Kept::default()
    };
    let mut left: BTreeMap<Cause, u64> = BTreeMap::new();
    for difference in differences {
        // A key without a cause agreed, or moved, in the meantime.
        let cause = causes.get(&difference.key).copied();
        let cause = cause.unwrap_or(Cause::Unexplained);
        if by_cause.takes(cause) {
            *kept.causes.entry(cause).or_default() += 1;
            kept.differences.push(difference);
        } else {
            *left.entry(cause).or_default() += 1;
        }
    }
    kept.notes.extend(left.into_iter().map(left_alone));
    Ok(kept)
}

fn left_alone((cause, keys): (Cause, u64)) -> String {
    let hint = if cause.is_clear() {
        String::new()
    } else {
        format!("; --include {} takes them too", cause.word())
    };
    format!(
        "{} keys are left alone: they {}{hint}",
        grouped(keys),
        cause.meaning()
    )
}
