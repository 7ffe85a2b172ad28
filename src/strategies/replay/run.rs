//! A replay, run: shadows loaded and derived, checked against the primary, swapped in together.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use tokio::time::Instant;

use super::check;
use super::derive::Derivation;
use super::pipeline::Pipeline;
use super::plan::Plan;
use crate::limits;
use crate::projection::counts::Counts;
use crate::report::progress::Progress;
use crate::report::replay::{DoneReport, DoneView};
use crate::store::{
    Acts, NextOffset, RunState, Shadow, StoreError, Swapped, TableName, WritePermit,
};
use crate::strategies::compare::{Comparison, Found};
use crate::strategies::{Applied, Refused, Systems, View, blocking};
use crate::stream::GroupState;

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
    /// The offsets up to which the tables now hold the log.
    pub next: Vec<NextOffset>,
    /// Rows of the shadows that were compared with the primary; `None` without a check.
    pub checked: Option<u64>,
    /// Keys in which the new tables still differ from the primary.
    pub differing: u64,
    /// What became of each view of the plan.
    pub fates: Vec<Fate>,
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
        };
        DoneReport {
            strategy: plan.report().strategy,
            run: plan.run.clone(),
            views: plan.targets().zip(&self.fates).map(view).collect(),
            counts: self.counts.clone(),
            caught_up: self.caught_up.clone(),
            settled: self.settled.clone(),
            next: self
                .next
                .iter()
                .map(|n| (n.topic.clone(), n.partition, n.offset))
                .collect(),
            checked: self.checked,
            differing: self.differing,
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
        for (_, shadow) in plan.targets() {
            systems.read_store.begin(permit, shadow).await?;
            begun.push(shadow);
        }
        if let Some(staging) = plan.staging() {
            systems.staging().stage(permit, &staging).await?;
        }
        let pipeline = Pipeline::new(systems, plan, permit, progress, stop)?;
        let mut run = Run {
            derivation: Derivation::default(),
            pipeline,
        };
        run.all_the_way().await
    };
    let outcome = outcome.await;
    unstage(systems, plan, permit).await;
    if outcome.is_err() {
        for shadow in begun {
            discard(systems, shadow, permit).await;
        }
    }
    outcome
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

async fn discard(systems: &Systems, shadow: &Shadow, permit: &WritePermit) {
    let ended = systems
        .read_store
        .end(permit, shadow, RunState::Discarded)
        .await;
    if let Err(left) = ended {
        tracing::warn!(
            "the shadow could not be removed ({left}); the next replay of {} does it",
            shadow.live.table
        );
    }
}

/// One run underway.
struct Run<'a> {
    pipeline: Pipeline<'a>,
    /// The query views.
    derivation: Derivation<'a>,
}

impl<'a> Run<'a> {
    async fn all_the_way(&mut self) -> Result<Done> {
        self.pipeline.load_all().await?;
        self.derivation.renew(&mut self.pipeline).await?;
        let (checked, differing) = self.check().await?;
        let plan = self.pipeline.plan;
        let (systems, permit) = (self.pipeline.systems, self.pipeline.permit);
        let counts = self.pipeline.counts()?;
        self.pipeline.stage("finishing the shadows")?;
        for (_, shadow) in plan.targets() {
            systems.read_store.seal(permit, shadow).await?;
        }
        let fates = if plan.options.no_swap {
            self.keep().await?
        } else {
            self.swap().await?
        };
        Ok(Done {
            counts,
            caught_up: self.derivation.report(plan),
            settled: self.pipeline.settled(),
            next: self.pipeline.next(),
            checked,
            differing,
            fates,
        })
    }

    /// Compares the shadows with the primary; while the log moves on, catches up with it. A replay `--until` some offset, or
    /// one that is told not to, is not compared: the primary is elsewhere.
    async fn check(&mut self) -> Result<(Option<u64>, u64)> {
        if !self.pipeline.plan.checks() {
            return Ok((None, 0));
        }
        let mut round = 0;
        loop {
            self.pipeline
                .stage("checking the shadows against the primary")?;
            let found = self.compare().await?;
            let rows = found.iter().map(|(.., f)| f.rows).sum();
            let differing = |f: &Found| f.differences.len() as u64 + f.beyond;
            let all: u64 = found.iter().map(|(.., f)| differing(f)).sum();
            if all == 0 {
                return Ok((Some(rows), 0));
            }
            round += 1;
            if round > limits::CATCH_UP_ROUNDS_MAX || self.pipeline.catch_up().await?.is_empty() {
                let bound = self.pipeline.plan.options.deletes_max;
                for (view, comparison, found) in found.iter().filter(|(.., f)| differing(f) > 0) {
                    let systems = self.pipeline.systems;
                    check::better_than_live(systems, view, comparison, found, bound).await?;
                }
                return Ok((Some(rows), all));
            }
            self.derivation.renew(&mut self.pipeline).await?;
        }
    }

    async fn compare(&self) -> Result<Vec<(&'a View, Comparison<'a>, Found)>> {
        let systems = self.pipeline.systems;
        let mut all = Vec::new();
        for (view, shadow) in self.pipeline.plan.targets() {
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

    async fn swap(&self) -> Result<Vec<Fate>> {
        let plan = self.pipeline.plan;
        let shadows: Vec<Shadow> = plan.targets().map(|(_, s)| s.clone()).collect();
        self.pipeline.stage("waiting for old snapshots")?;
        for shadow in &shadows {
            self.old_snapshots_end(shadow).await?;
        }
        self.fenced().await?;
        self.pipeline.stage("swapping")?;
        let swapped = self
            .pipeline
            .systems
            .read_store
            .swap(self.pipeline.permit, &shadows)
            .await?;
        Ok(swapped.into_iter().map(Fate::Swapped).collect())
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

    /// The projector must still be stopped.
    async fn fenced(&self) -> Result<()> {
        let systems = self.pipeline.systems;
        let Applied::ConsumerGroup(name) = &systems.applied else {
            return Ok(());
        };
        let (log, group) = (systems.log().await?, name.clone());
        let topics: Vec<String> = self
            .pipeline
            .plan
            .loads
            .iter()
            .map(|l| l.topic.name.clone())
            .collect();
        let group = blocking(move || {
            let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
            log.group(&group, &topics)
        })
        .await?;
        if matches!(group.state, GroupState::Empty | GroupState::Dead) {
            return Ok(());
        }
        Err(Refused::because(format!("the projector came back while the shadow was built: consumer group {name} is {:?}; nothing was swapped", group.state)).into())
    }
}
