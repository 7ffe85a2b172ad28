//! A replay, run: shadows loaded and derived, checked against the primary, swapped in together.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::Instant;

use super::check;
use super::derive::Derivation;
use super::pipeline::{Holes, Pipeline};
use super::plan::Plan;
use crate::crash_point;
use crate::limits;
use crate::projection::counts::Counts;
use crate::report::progress::Progress;
use crate::report::replay::{DoneReport, DoneView};
use crate::store::{
    Acts, Kept, Memo, NextOffset, Note, RunState, Shadow, Standing, StoreError, Swapped, TableName,
    WritePermit,
};
use crate::strategies::compare::{Comparison, Found};
use crate::strategies::{Interrupted, Refused, Systems, View};
use crate::stream::StreamError;

/// What became of a view.
#[derive(Clone, Debug)]
pub enum Fate {
    /// Its shadow took its table's place.
    Swapped(Swapped),
    /// Its shadow was left beside it, under this name.
    Kept(TableName),
}

/// What a replay did.
#[derive(Clone, Debug)]
pub struct Done {
    /// What became of the records.
    pub counts: Counts,
    /// The query views that were brought up to date, each with how that was done.
    pub caught_up: Vec<(String, String)>,
    /// Keys whose row the log did not hold whole; taken from the primary.
    pub settled: Vec<String>,
    /// Keys whose row is as it was before a record that was set aside.
    pub holes: Vec<String>,
    /// The offsets up to which the tables now hold the log.
    pub next: Vec<NextOffset>,
    /// What the comparison with the primary found.
    pub checked: Checked,
    /// What became of each view of the plan.
    pub fates: Vec<Fate>,
    /// How long the projector was paused, in milliseconds; `None` when it was at rest before.
    pub paused_ms: Option<u64>,
    /// What it did, each with the time that it took.
    pub stages: Vec<(String, Duration)>,
}

/// What the comparison of the shadows with the primary found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Rows that were compared; `None` without a check.
    pub rows: Option<u64>,
    /// Keys in which the shadows differ from the primary.
    pub differing: u64,
    /// Of these, those that were right before.
    pub worse: u64,
    /// Some of those keys.
    pub worse_keys: Vec<String>,
    /// Keys that changed in the primary all the while, or that the projector has still to come to: nothing can be said of them.
    pub underway: u64,
}

impl Done {
    /// What is shown of it.
    #[must_use]
    pub fn report(&self, plan: &Plan) -> DoneReport {
        let view = |((view, shadow), fate): ((&View, &Shadow), &Fate)| DoneView {
            view: view.name.clone(),
            table: view.table.table.to_string(),
            run: shadow.run.clone(),
            old: match fate {
                Fate::Swapped(swapped) => swapped.old.as_ref().map(ToString::to_string),
                Fate::Kept(_) => None,
            },
            swapped: match fate {
                Fate::Swapped(swapped) => Some((swapped.locked_ms, swapped.attempts)),
                Fate::Kept(_) => None,
            },
            kept: match fate {
                Fate::Swapped(_) => None,
                Fate::Kept(kept) => Some(kept.to_string()),
            },
            warnings: match fate {
                Fate::Swapped(swapped) => swapped.warnings.clone(),
                Fate::Kept(_) => Vec::new(),
            },
        };
        DoneReport {
            strategy: plan.report().strategy,
            run: plan.run.clone(),
            views: plan.targets().zip(&self.fates).map(view).collect(),
            counts: self.counts.clone(),
            caught_up: self.caught_up.clone(),
            settled: self.settled.clone(),
            holes: self.holes.clone(),
            next: self
                .next
                .iter()
                .map(|n| (n.topic.clone(), n.partition, n.offset))
                .collect(),
            checked: self.checked.rows,
            differing: self.checked.differing,
            underway: self.checked.underway,
            paused_ms: self.paused_ms,
            stages: self.stages.clone(),
            broken: (self.checked.worse, self.checked.worse_keys.clone()),
        }
    }
}

/// Runs the plan.
///
/// # Errors
/// The plan's own refusals, and whatever goes wrong; the live tables are then as they were, and nothing else is left.
pub async fn execute(
    systems: &Systems,
    plan: &Plan,
    permit: &WritePermit,
    progress: &Progress,
    stop: Arc<AtomicBool>,
) -> Result<Done> {
    if !plan.refusals.is_empty() {
        return Err(Refused(plan.refusals.clone()).into());
    }
    progress.stage("creating the shadows", "steps", None);
    let mut begun = Vec::new();
    let outcome = async {
        let memos = begin(systems, plan, permit, &mut begun).await?;
        let mut pipeline = Pipeline::new(systems, plan, permit, progress, stop)?;
        let mut kept = Vec::new();
        if plan.goes_on {
            kept.extend(systems.read_store.quarantined().await?);
            if let Some(scratch) = &systems.scratch {
                kept.extend(scratch.quarantined().await?);
            }
        }
        pipeline.go_on(&memos, &kept)?;
        let mut run = Run {
            derivation: Derivation::default(),
            behind: false,
            check_until: Instant::now(),
            pipeline,
        };
        run.all_the_way().await
    };
    let outcome = outcome.await;
    match &outcome {
        Err(problem) if may_go_on(problem) => {
            leave(systems, plan, permit, &begun).await;
            if problem.is::<Interrupted>() {
                return outcome; // It says so itself.
            }
            return outcome.with_context(|| {
                format!(
                    "run {} stopped on the way: the same command goes on with it, `trueup runs abort` removes it",
                    plan.run
                )
            });
        }
        Err(_) => discard(systems, &begun, permit).await,
        Ok(_) => {}
    }
    unstage(systems, plan, permit).await;
    outcome
}

/// Begins the runs of a plan, or takes up those of the run that it goes on with; what their loads remember, by run.
async fn begin<'p>(
    systems: &Systems,
    plan: &'p Plan,
    permit: &WritePermit,
    begun: &mut Vec<&'p Shadow>,
) -> Result<Vec<(String, Memo)>> {
    let note = Note {
        binding: Some(plan.binding.clone()),
        stage: "loading".to_owned(),
    };
    let mut memos = Vec::new();
    let remembered = |run: &str, all: Vec<Memo>| {
        let run = run.to_owned();
        all.into_iter().map(move |memo| (run.clone(), memo))
    };
    let read_store = &systems.read_store;
    for (view, shadow) in plan.targets() {
        let (run, table) = (&shadow.run, &view.table.table);
        if plan.goes_on
            && read_store
                .take_up(permit, table, run, &plan.binding)
                .await?
        {
            memos.extend(remembered(run, read_store.memos(run).await?));
        } else {
            read_store.begin(permit, shadow).await?;
            crash_point!("run.begun");
        }
        begun.push(shadow);
        read_store.stands(permit, run, &note).await?;
    }
    if let Some(staging) = plan.staging() {
        let (store, run) = (systems.staging(), &staging.run);
        let name = staging.table();
        if plan.goes_on && store.take_up(permit, &name, run, &plan.binding).await? {
            memos.extend(remembered(run, store.memos(run).await?));
        } else {
            store.stage(permit, &staging).await?;
            crash_point!("run.staged");
        }
        store.stands(permit, run, &note).await?;
    }
    Ok(memos)
}

/// Whether the reason to stop is one that passes, so that what was built is worth keeping.
fn may_go_on(problem: &anyhow::Error) -> bool {
    problem.chain().any(|cause| {
        cause.is::<Interrupted>()
            || cause.is::<Holes>()
            || matches!(
                cause.downcast_ref(),
                Some(
                    StoreError::Unreachable { .. }
                        | StoreError::Busy { .. }
                        | StoreError::Unique { .. }
                )
            )
            || matches!(
                cause.downcast_ref(),
                Some(StreamError::Unreachable { .. } | StreamError::Stalled { .. })
            )
    })
}

/// Leaves everything as it is for the next process; a run that could not even begin leaves nothing.
async fn leave(systems: &Systems, plan: &Plan, permit: &WritePermit, begun: &[&Shadow]) {
    if begun.len() < plan.targets().count() && !plan.goes_on {
        discard(systems, begun, permit).await;
    }
}

/// Removes the staged sources of a plan. What is left here is removed by the next run, too.
pub async fn unstage(systems: &Systems, plan: &Plan, permit: &WritePermit) {
    let Some(staging) = plan.staging() else {
        return;
    };
    if let Err(left) = systems.staging().unstage(permit, &staging.run).await {
        tracing::warn!("the staged sources could not be removed ({left}); the next replay does it");
    }
}

async fn discard(systems: &Systems, shadows: &[&Shadow], permit: &WritePermit) {
    for shadow in shadows {
        let read_store = &systems.read_store;
        let ended = read_store.end(permit, shadow, RunState::Discarded).await;
        if let Err(left) = ended {
            tracing::warn!(
                "the shadow could not be removed ({left}); the next replay of {} does it",
                shadow.live.table
            );
        }
    }
}

/// One run underway.
pub(super) struct Run<'a> {
    pub(super) pipeline: Pipeline<'a>,
    /// The query views.
    derivation: Derivation<'a>,
    /// Whether the projector, at which the shadows stop, has not come to the end of the log.
    pub(super) behind: bool,
    /// When the check gives up on keys that change all the while.
    pub(super) check_until: Instant,
}

impl<'a> Run<'a> {
    async fn all_the_way(&mut self) -> Result<Done> {
        self.pipeline.load_all().await?;
        self.reach("deriving").await?;
        self.derivation.renew(&mut self.pipeline).await?;
        self.reach("checking").await?;
        let checked = self.check().await?;
        crash_point!("check.done");
        self.reach("swapping").await?;
        let plan = self.pipeline.plan;
        let (systems, permit) = (self.pipeline.systems, self.pipeline.permit);
        let counts = self.pipeline.counts()?;
        self.pipeline.stage("finishing the shadows")?;
        for (_, shadow) in plan.targets() {
            systems.read_store.seal(permit, shadow).await?;
            crash_point!("swap.sealed");
        }
        let (fates, paused_ms) = if plan.options.no_swap {
            (self.keep().await?, None)
        } else {
            self.swap().await?
        };
        Ok(Done {
            counts,
            caught_up: self.derivation.report(plan),
            settled: self.pipeline.settled(),
            holes: self.pipeline.holes(),
            next: self.pipeline.next(),
            checked,
            fates,
            paused_ms,
            stages: self.pipeline.progress.stages(),
        })
    }

    /// Notes where the run stands, for whoever asks or goes on.
    async fn reach(&self, stage: &str) -> Result<()> {
        let (plan, permit) = (self.pipeline.plan, self.pipeline.permit);
        let note = Note {
            binding: None,
            stage: stage.to_owned(),
        };
        let read_store = &self.pipeline.systems.read_store;
        Ok(read_store.stands(permit, &plan.run, &note).await?)
    }

    /// Compares the shadows with the primary. A replay `--until` some offset, or one that is told not to, is not compared: the
    /// primary is elsewhere.
    async fn check(&mut self) -> Result<Checked> {
        if !self.pipeline.plan.checks() {
            return Ok(Checked::default());
        }
        let mut round = 0;
        let found = loop {
            self.pipeline
                .stage("checking the shadows against the primary")?;
            let found = self.compare().await?;
            // So many differences are not a few rows underway: all of it goes round again, while the log moves on.
            round += 1;
            let beyond = found.iter().any(|(.., f)| f.beyond > 0);
            if !beyond || round > limits::CATCH_UP_ROUNDS_MAX || !self.follow().await? {
                break found;
            }
        };
        self.check_until = Instant::now() + limits::CHECK_WAIT;
        let mut checked = Checked {
            rows: Some(found.iter().map(|(.., f)| f.rows).sum()),
            ..Checked::default()
        };
        for (view, comparison, found) in found {
            if found.differences.is_empty() {
                continue;
            }
            let verdict = check::decide(self, view, &comparison, found).await?;
            checked.differing += verdict.differing;
            checked.underway += verdict.underway;
            checked.worse += verdict.worse.count;
            let room = limits::BROKEN_KEYS_SHOWN.saturating_sub(checked.worse_keys.len());
            let some = verdict.worse.keys.into_iter().take(room);
            checked.worse_keys.extend(some);
        }
        Ok(checked)
    }

    /// Brings the shadows to the end of the log; whether there was anything to bring.
    pub(super) async fn follow(&mut self) -> Result<bool> {
        if self.pipeline.catch_up().await?.is_empty() {
            return Ok(false);
        }
        self.derivation.renew(&mut self.pipeline).await?;
        Ok(true)
    }

    async fn compare(&self) -> Result<Vec<(&'a View, Comparison<'a>, Found)>> {
        let systems = self.pipeline.systems;
        let mut all = Vec::new();
        let targets = self.pipeline.plan.targets();
        for (view, shadow) in targets.filter(|(v, _)| v.incomparable().is_none()) {
            let target = systems.read_store.shadow_table(shadow);
            let comparison =
                Comparison::new(systems, view).with_actual(&systems.read_store, target);
            let counter = self.pipeline.progress.counter();
            let found = comparison.run(true, &counter).await?;
            all.push((view, comparison, found));
        }
        Ok(all)
    }

    async fn keep(&self) -> Result<Vec<Fate>> {
        let read_store = &self.pipeline.systems.read_store;
        let mut fates = Vec::new();
        for (_, shadow) in self.pipeline.plan.targets() {
            read_store
                .end(self.pipeline.permit, shadow, RunState::Kept)
                .await?;
            fates.push(Fate::Kept(read_store.shadow_table(shadow)));
        }
        Ok(fates)
    }

    async fn swap(&mut self) -> Result<(Vec<Fate>, Option<u64>)> {
        let plan = self.pipeline.plan;
        let shadows: Vec<Shadow> = plan.targets().map(|(_, s)| s.clone()).collect();
        // The last place to stand still: from here on others may have to wait for us.
        self.pipeline.systems.pace.pass().await;
        self.pipeline.stage("waiting for old snapshots")?;
        for shadow in &shadows {
            self.old_snapshots_end(shadow).await?;
        }
        let done = self.cut_over(&shadows).await?;
        crash_point!("swap.done");
        self.rebuilt().await?;
        let fates = done.swapped.into_iter().map(Fate::Swapped).collect();
        Ok((fates, done.paused_ms))
    }

    /// What earlier runs had set aside for these tables does not matter any more.
    async fn rebuilt(&self) -> Result<()> {
        let (plan, permit) = (self.pipeline.plan, self.pipeline.permit);
        let read_store = &self.pipeline.systems.read_store;
        let kept = read_store.quarantined().await?;
        for (_, shadow) in plan.targets() {
            let name = &shadow.live.table.name;
            let is_earlier = |k: &&Kept| k.table == *name && k.run != shadow.run;
            let runs: BTreeSet<&str> = kept.iter().filter(is_earlier).map(|k| &*k.run).collect();
            for run in runs {
                read_store
                    .release(permit, (run, name), None, Standing::Rebuilt)
                    .await?;
            }
        }
        Ok(())
    }

    async fn old_snapshots_end(&self, shadow: &Shadow) -> Result<()> {
        let until = Instant::now() + limits::OLD_SNAPSHOT_WAIT;
        loop {
            let read_store = &self.pipeline.systems.read_store;
            let old = read_store.old_snapshots(shadow).await?;
            if old.is_empty() {
                return Ok(());
            }
            if Instant::now() >= until {
                let names: Vec<String> = old.iter().map(ToString::to_string).collect();
                let problem = format!(
                    "a snapshot older than the load would see an empty table after the swap: {}",
                    names.join("; ")
                );
                return Err(StoreError::Busy { problem }.into());
            }
            self.pipeline.not_stopped()?;
            tokio::time::sleep(limits::RECHECK_PAUSE).await;
        }
    }
}
