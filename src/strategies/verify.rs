//! Verify: the comparison of a view with its primary, and which of its differences lag explains.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use super::compare::Comparison;
use super::explain;
use super::lag::{self, Decided};
use super::{Origin, Refused, SourcePart, Systems, View};
use crate::limits;
use crate::projection::diff::Kind;
use crate::report::explained::Explained;
use crate::report::progress::Progress;
use crate::report::verdict::{Sample, ViewVerdict};
use crate::store::Acts;

/// How a verification is bounded.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long to wait for lag to pass.
    pub lag_wait: Duration,
    /// When it must have ended.
    pub until: Option<Instant>,
    /// Whether a hash may prove ranges equal; without it every row is merged.
    pub hash: bool,
    /// Whether the differences are explained, with this share of the rows that agree.
    pub explain: Option<f64>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            lag_wait: limits::LAG_WAIT,
            until: None,
            hash: true,
            explain: None,
        }
    }
}

/// Refuses to compare a table with itself.
///
/// # Errors
/// When the view's table is its source's own.
pub async fn refuse_same_table(systems: &Systems, view: &View) -> Result<()> {
    if systems.primary.down().is_some() {
        // Its tables are known by name only, and nothing is compared with them.
        return Ok(());
    }
    let (primary, read_store) =
        tokio::try_join!(systems.primary.identity(), systems.read_store.identity())?;
    if primary.database == read_store.database
        && let Origin::Events {
            expected: Some(expected),
            ..
        } = &view.origin
        && expected.tables.contains(&view.table.id)
    {
        let reason = format!(
            "view {}: `expected:` reads {} itself, which is to be compared; write a SELECT over the tables of the primary",
            view.name, view.table.table
        );
        return Err(Refused::because(reason).into());
    }
    let is_source = |source: &&SourcePart| source.is_table() && source.table.id == view.table.id;
    if primary.database == read_store.database
        && let Some(source) = view.sources().iter().find(is_source)
    {
        let reason = format!(
            "view {}: table {} of the read store is the primary's own table {}; check the URLs and `table:`",
            view.name, view.table.table, source.table.table
        );
        return Err(Refused::because(reason).into());
    }
    Ok(())
}

/// Verifies one view. When time is up, the verdict is unknown.
///
/// # Errors
/// When a side cannot be read, or the view compares a table with itself.
pub async fn verify(
    systems: &Systems,
    view: &View,
    options: Options,
    progress: &Progress,
) -> Result<ViewVerdict> {
    let whole = compare(systems, view, options, progress);
    let Some(until) = options.until else {
        return whole.await;
    };
    match tokio::time::timeout_at(until, whole).await {
        Ok(verdict) => verdict,
        Err(_) => Ok(ViewVerdict {
            view: view.name.clone(),
            table: view.table.table.to_string(),
            reasons: vec!["the time budget was over before everything was compared".to_owned()],
            ..ViewVerdict::default()
        }),
    }
}

async fn compare(
    systems: &Systems,
    view: &View,
    options: Options,
    progress: &Progress,
) -> Result<ViewVerdict> {
    if let Some(reason) = view.incomparable() {
        return Ok(ViewVerdict {
            view: view.name.clone(),
            table: view.table.table.to_string(),
            reasons: vec![reason],
            ..ViewVerdict::default()
        });
    }
    refuse_same_table(systems, view).await?;
    let comparison = Comparison::new(systems, view);
    progress.stage(
        &format!("verifying {}", view.name),
        "rows",
        comparison.rows_estimate,
    );
    let found = comparison.run(options.hash, &progress.counter()).await?;
    let mut verdict = ViewVerdict {
        view: view.name.clone(),
        table: view.table.table.to_string(),
        rows_checked: found.rows,
        representation: found.representation,
        compared_by: if found.merged { "merge" } else { "hash" }.to_owned(),
        ..ViewVerdict::default()
    };
    let (beyond, differences) = (found.beyond, found.differences);
    // A decision leaves a moment of the budget to be told.
    let left = options
        .until
        .map(|until| until.saturating_duration_since(Instant::now()));
    let wait = left.map_or(options.lag_wait, |left| {
        options
            .lag_wait
            .min(left.saturating_sub(limits::RECHECK_PAUSE * 2))
    });
    let decided = lag::decide(systems, view, &comparison, wait, differences, progress).await?;
    count(&comparison, &decided, &mut verdict);
    if let Some(sample) = options.explain {
        verdict.explained = Some(
            explained(
                (systems, view),
                &comparison,
                decided,
                (&verdict, sample, wait),
                progress,
            )
            .await?,
        );
    }
    if beyond > 0 {
        verdict.unknown += beyond;
        verdict.reasons.push(format!(
            "{beyond} more differences were counted but not looked at again; this table needs a replay rather than a list"
        ));
    }
    Ok(verdict)
}

/// Why rows differ that were decided on, and those that were not.
async fn explained(
    (systems, view): (&Systems, &View),
    comparison: &Comparison<'_>,
    decided: Decided,
    (verdict, sample, lag_wait): (&ViewVerdict, f64, Duration),
    progress: &Progress,
) -> Result<Explained> {
    let mut differences = decided.drift;
    differences.extend(decided.undecided);
    let options = explain::Options { sample, lag_wait };
    let explanation =
        explain::explain(systems, view, comparison, &differences, options, progress).await?;
    let equal = verdict
        .rows_checked
        .saturating_sub(differences.len() as u64);
    let told = explain::told(
        &explanation,
        view,
        comparison,
        (equal, verdict.representation),
        limits::SAMPLES_MAX as u64,
    );
    Ok(told)
}

/// Puts what was decided into the verdict.
fn count(comparison: &Comparison<'_>, decided: &Decided, verdict: &mut ViewVerdict) {
    let columns = comparison.columns();
    for d in &decided.drift {
        match d.kind() {
            Kind::Missing => verdict.missing += 1,
            Kind::Extra => verdict.extra += 1,
            Kind::Changed => verdict.changed += 1,
        }
        for i in d.columns() {
            *verdict.by_column.entry(columns[i].clone()).or_default() += 1;
        }
    }
    verdict.lagging = decided.lagging;
    verdict.unknown = decided.undecided.len() as u64;
    verdict.reasons.extend(decided.reasons.iter().cloned());
    let samples = decided.drift.iter().chain(&decided.undecided);
    verdict.samples = samples
        .take(limits::SAMPLES_MAX)
        .map(|d| Sample::of(d, &columns, comparison.key()))
        .collect();
}
