//! Whether the shadows may take the place of the live tables.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use tokio::time::Instant;

use super::projector;
use super::run::Run;
use crate::limits;
use crate::projection::change::Key;
use crate::projection::diff::{Difference, Kind};
use crate::strategies::bounds::Bound;
use crate::strategies::compare::{Comparison, Found};
use crate::strategies::lag::applied::Projector;
use crate::strategies::lag::{self, Follower, Passed};
use crate::strategies::{Applied, Refused, Systems, View};

/// What became of the differences of one shadow.
pub(super) struct Verdict {
    /// Keys that the shadow has wrong, and the live table too.
    pub(super) differing: u64,
    /// Keys that changed in the primary all the while, or that the projector has still to come to.
    pub(super) underway: u64,
    /// Of those that it has wrong, the ones that the live table has right.
    pub(super) worse: Worse,
}

/// Keys that a shadow has wrong and the live table right.
#[derive(Clone, Debug, Default)]
pub struct Worse {
    /// How many.
    pub count: u64,
    /// Some of them.
    pub keys: Vec<String>,
}

/// A shadow that must not take the place of its table: the refusal, with the keys that it would break.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{refused}")]
pub struct WouldBreak {
    /// Why.
    #[source]
    pub refused: Refused,
    /// The keys.
    pub worse: Worse,
}

/// A run brings its shadows to the end of the log itself.
impl Follower for Run<'_> {
    async fn pass(&mut self, until: Instant) -> Result<Passed> {
        let passed = self.projector_passes(until).await?;
        self.behind = passed.is_err();
        self.follow().await?;
        Ok(passed)
    }

    fn is_hopeless(&self) -> bool {
        self.behind
    }

    fn may_be_ahead_of_itself(&self) -> bool {
        false
    }
}

impl Run<'_> {
    /// Where the shadows stop at the projector, it has to get past the end of the log first. One that is at rest never does.
    async fn projector_passes(&self, until: Instant) -> Result<Passed> {
        let (systems, plan) = (self.pipeline.systems, self.pipeline.plan);
        if !plan.stops_at_projector()
            || !matches!(
                systems.applied,
                Applied::ConsumerGroup(_) | Applied::Checkpoint(_)
            )
        {
            return Ok(Ok(()));
        }
        let topics = plan.topics();
        let at_rest = projector::activity(systems, &topics).await?.is_none();
        let until = if at_rest { Instant::now() } else { until };
        for topic in &topics {
            let mut projector = Projector::of(systems, topic);
            if let Err(reason) = projector.pass(until).await? {
                return Ok(Err(reason));
            }
        }
        Ok(Ok(()))
    }
}

/// Tells what is underway from what the shadow has wrong, and refuses a shadow that would do harm.
pub(super) async fn decide(
    run: &mut Run<'_>,
    view: &View,
    comparison: &Comparison<'_>,
    found: Found,
) -> Result<Verdict> {
    let first: BTreeMap<Key<'static>, Difference> = found
        .differences
        .iter()
        .map(|d| (d.key.clone(), d.clone()))
        .collect();
    let pipeline = &run.pipeline;
    let (systems, progress) = (pipeline.systems, pipeline.progress);
    let bound = pipeline.plan.options.deletes_max;
    let wait = run.check_until.saturating_duration_since(Instant::now());
    let differences = found.differences;
    let decided = lag::follow(systems, view, comparison, run, wait, differences, progress).await?;
    // Where nothing proves that the log has all of the primary, what stood still on both sides counts as wrong.
    let stood = |d: &Difference| first.get(&d.key) == Some(d);
    let (standing, underway): (Vec<_>, Vec<_>) = decided.undecided.into_iter().partition(stood);
    let wrong: Vec<Difference> = decided.drift.into_iter().chain(standing).collect();
    let mut worse = Worse::default();
    if !wrong.is_empty() || found.beyond > 0 {
        let found = Found {
            differences: wrong.clone(),
            rows: found.rows,
            beyond: found.beyond,
            ..Found::default()
        };
        worse = better_than_live(systems, view, &found, (bound, run.behind)).await?;
    }
    let (wrong, underway) = (wrong.len() as u64 + found.beyond, underway.len() as u64);
    // While the projector has still to apply what the log has, nothing can be said of what is wrong either.
    let (differing, underway) = if run.behind {
        worse = Worse::default();
        (0, underway + wrong)
    } else {
        (wrong, underway)
    };
    Ok(Verdict {
        differing,
        underway,
        worse,
    })
}

/// Refuses a shadow that is wrong where the live table is right in more keys than the other way round, or that would drop too
/// many of the primary's rows. Gives the keys of the first kind.
async fn better_than_live(
    systems: &Systems,
    view: &View,
    found: &Found,
    (deletes_max, behind): (Bound, bool),
) -> Result<Worse> {
    let live = Comparison::new(systems, view);
    let keys: Vec<Key<'static>> = found.differences.iter().map(|d| d.key.clone()).collect();
    let wrong_live: BTreeSet<Key<'static>> = live
        .again(&keys)
        .await?
        .into_iter()
        .map(|d| d.key)
        .collect();
    let wrong_shadow = &found.differences;
    let worse: Vec<String> = wrong_shadow
        .iter()
        .filter(|d| !wrong_live.contains(&d.key))
        .map(|d| d.key.to_string())
        .collect();
    let dropped = wrong_shadow
        .iter()
        .filter(|d| d.kind() == Kind::Missing && !wrong_live.contains(&d.key))
        .count() as u64;
    let mut reasons = Vec::new();
    if !worse.is_empty() && worse.len() > wrong_live.len() {
        let shown: Vec<&str> = worse.iter().map(String::as_str).collect();
        let shown = &shown[..shown.len().min(limits::BROKEN_KEYS_SHOWN)];
        reasons.push(format!(
            "the shadow is worse than the live table: {} keys are wrong in it and right in the live table ({}); {}",
            worse.len(),
            shown.join("; "),
            if behind {
                "the shadow ends where the projector is, which is behind the log: let it catch up first, or give --hand-over if it cannot"
            } else {
                "the log does not hold what the primary holds"
            }
        ));
    }
    let lost = dropped + found.beyond;
    if lost > deletes_max.rows(found.rows) {
        reasons.push(format!(
            "the swap would drop {lost} rows that the primary has (deletes_max {deletes_max})"
        ));
    }
    let worse = Worse {
        count: worse.len() as u64,
        keys: worse.into_iter().take(limits::BROKEN_KEYS_SHOWN).collect(),
    };
    if reasons.is_empty() {
        return Ok(worse);
    }
    reasons.push(format!(
        "nothing was swapped and {} is as it was; reconcile repairs from the primary",
        view.table.table
    ));
    let refused = Refused(reasons);
    Err(WouldBreak { refused, worse }.into())
}
