//! Verify: the comparison of a view with its primary, and which of its differences lag explains. With lag promised to stay
//! within a time, a key that differs is looked at again until it agrees or its lag cannot explain it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use super::compare::{Comparison, Found};
use super::{Applied, CopyView, Refused, Systems};
use crate::limits;
use crate::projection::change::Key;
use crate::projection::diff::{Difference, Kind};
use crate::report::progress::Progress;
use crate::report::verdict::{Sample, ViewVerdict};
use crate::store::Acts;

/// How a verification is bounded.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long to wait for lag to pass.
    pub lag_wait: Duration,
    /// Whether a hash may prove ranges equal; without it every row is merged.
    pub hash: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            lag_wait: limits::LAG_WAIT,
            hash: true,
        }
    }
}

/// Refuses to compare a table with itself.
///
/// # Errors
/// When the view's table is its source's own.
pub async fn refuse_same_table(systems: &Systems, view: &CopyView) -> Result<()> {
    let (primary, read_store) = (
        systems.primary.identity().await?,
        systems.read_store.identity().await?,
    );
    if primary.database == read_store.database && view.source.table.id == view.table.id {
        let reason = format!(
            "view {}: table {} of the read store is the primary's own table {}; check the URLs and `table:`",
            view.name, view.table.table, view.source.table.table
        );
        return Err(Refused::because(reason).into());
    }
    Ok(())
}

/// Verifies one view.
///
/// # Errors
/// When a side cannot be read, or the view compares a table with itself.
pub async fn verify(
    systems: &Systems,
    view: &CopyView,
    options: Options,
    progress: &Progress,
) -> Result<ViewVerdict> {
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
        compared_by: if found.merged { "merge" } else { "hash" }.to_owned(),
        ..ViewVerdict::default()
    };
    decide(
        &comparison,
        &systems.applied,
        options,
        found,
        &mut verdict,
        progress,
    )
    .await?;
    Ok(verdict)
}

/// Tells lag from drift as far as `applied:` allows.
async fn decide(
    comparison: &Comparison<'_>,
    applied: &Applied,
    options: Options,
    found: Found,
    verdict: &mut ViewVerdict,
    progress: &Progress,
) -> Result<()> {
    let columns = comparison.columns();
    let count = |verdict: &mut ViewVerdict, d: &Difference| {
        match d.kind() {
            Kind::Missing => verdict.missing += 1,
            Kind::Extra => verdict.extra += 1,
            Kind::Changed => verdict.changed += 1,
        }
        for i in d.columns() {
            *verdict.by_column.entry(columns[i].clone()).or_default() += 1;
        }
        if verdict.samples.len() < limits::SAMPLES_MAX {
            verdict
                .samples
                .push(Sample::of(d, &columns, comparison.key()));
        }
    };
    match applied {
        Applied::None => {
            for d in &found.differences {
                count(verdict, d);
            }
        }
        Applied::Within(lag) => {
            let waited = outwait(
                comparison,
                *lag,
                options.lag_wait,
                found.differences,
                progress,
            )
            .await?;
            verdict.lagging = waited.lagging;
            verdict.unknown = waited.undecided.len() as u64;
            for d in &waited.drift {
                count(verdict, d);
            }
            if verdict.unknown > 0 {
                verdict.reasons.push(format!(
                    "{} keys kept changing in the primary for {} s; a longer --lag-wait may decide them",
                    verdict.unknown,
                    options.lag_wait.as_secs()
                ));
            }
        }
        Applied::ConsumerGroup(_) | Applied::Checkpoint(_) if found.differences.is_empty() => {}
        Applied::ConsumerGroup(_) | Applied::Checkpoint(_) => {
            verdict.unknown = found.differences.len() as u64;
            let samples = found.differences.iter().take(limits::SAMPLES_MAX);
            verdict.samples = samples
                .map(|d| Sample::of(d, &columns, comparison.key()))
                .collect();
            verdict.reasons.push(
                "keys differ, and this version cannot tell by consumer group or checkpoint whether that is lag; \
                 `applied: { within: … }` or `applied: none` decides"
                    .to_owned(),
            );
        }
    }
    if found.beyond > 0 {
        verdict.unknown += found.beyond;
        verdict.reasons.push(format!(
            "{} more differences were counted but not looked at again; this table needs a replay rather than a list",
            found.beyond
        ));
    }
    Ok(())
}

/// What became of differing keys while waiting for their lag to pass.
struct Waited {
    drift: Vec<Difference>,
    lagging: u64,
    undecided: Vec<Difference>,
}

/// Looks at differing keys until each agrees, or has differed for longer than lag may last while the primary's row
/// stood still, or time is up.
async fn outwait(
    comparison: &Comparison<'_>,
    lag: Duration,
    lag_wait: Duration,
    differences: Vec<Difference>,
    progress: &Progress,
) -> Result<Waited> {
    let began = Instant::now();
    let until = began + lag_wait.max(lag + limits::RECHECK_PAUSE * 4);
    let mut waited = Waited {
        drift: Vec::new(),
        lagging: 0,
        undecided: Vec::new(),
    };
    let mut open: BTreeMap<Key<'static>, (Difference, Instant)> = differences
        .into_iter()
        .map(|d| (d.key.clone(), (d, began)))
        .collect();
    while !open.is_empty() {
        progress.stage(
            &format!("looking again at {} keys that differ", open.len()),
            "looks",
            None,
        );
        tokio::time::sleep(limits::RECHECK_PAUSE).await;
        let now = Instant::now();
        let keys: Vec<Key<'static>> = open.keys().cloned().collect();
        let mut still = BTreeMap::new();
        let mut found = 0;
        for d in comparison.again(&keys).await? {
            let Some((old, since)) = open.get(&d.key) else {
                continue;
            };
            found += 1;
            let since = if old.expected == d.expected {
                *since
            } else {
                now
            };
            if now - since >= lag {
                waited.drift.push(d);
            } else {
                still.insert(d.key.clone(), (d, since));
            }
        }
        waited.lagging += keys.len() as u64 - found;
        open = still;
        if Instant::now() >= until {
            waited.undecided = open.into_values().map(|(d, _)| d).collect();
            break;
        }
    }
    waited.drift.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(waited)
}
