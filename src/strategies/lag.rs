//! Lag is not drift: which of the differences found are explained by the projector being behind. With lag promised to stay
//! within a time, a key that differs is looked at again until it agrees or its lag cannot explain it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use super::Applied;
use super::compare::Comparison;
use crate::limits;
use crate::projection::change::Key;
use crate::projection::diff::Difference;
use crate::report::progress::Progress;

/// What became of the keys that differed at first.
#[derive(Debug, Default)]
pub struct Decided {
    /// Differences that lag does not explain, by key.
    pub drift: Vec<Difference>,
    /// Keys that agreed when they were looked at again.
    pub lagging: u64,
    /// Differences of which nothing can be said.
    pub undecided: Vec<Difference>,
    /// Why, in words.
    pub reasons: Vec<String>,
}

/// Tells lag from drift as far as `applied:` allows.
///
/// # Errors
/// When a side cannot be read.
pub async fn decide(
    comparison: &Comparison<'_>,
    applied: &Applied,
    lag_wait: Duration,
    differences: Vec<Difference>,
    progress: &Progress,
) -> Result<Decided> {
    match applied {
        _ if differences.is_empty() => Ok(Decided::default()),
        Applied::None => Ok(Decided {
            drift: differences,
            ..Decided::default()
        }),
        Applied::Within(lag) => outwait(comparison, *lag, lag_wait, differences, progress).await,
        Applied::ConsumerGroup(_) | Applied::Checkpoint(_) => Ok(Decided {
            undecided: differences,
            reasons: vec![
                "keys differ, and this version cannot tell by consumer group or checkpoint whether that is lag; \
                 `applied: { within: … }` or `applied: none` decides"
                    .to_owned(),
            ],
            ..Decided::default()
        }),
    }
}

/// Looks at differing keys until each agrees, or has differed for longer than lag may last while the primary's row
/// stood still, or time is up.
async fn outwait(
    comparison: &Comparison<'_>,
    lag: Duration,
    lag_wait: Duration,
    differences: Vec<Difference>,
    progress: &Progress,
) -> Result<Decided> {
    let began = Instant::now();
    let until = began + lag_wait.max(lag + limits::RECHECK_PAUSE * 4);
    let mut waited = Decided::default();
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
    if !waited.undecided.is_empty() {
        waited.reasons.push(format!(
            "{} keys kept changing in the primary for {} s; a longer --lag-wait may decide them",
            waited.undecided.len(),
            lag_wait.as_secs()
        ));
    }
    Ok(waited)
}
