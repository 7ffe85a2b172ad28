//! Big-bang replay: the whole log into a shadow, checked against the primary, swapped in.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use tokio::time::Instant;

use super::compare::{Comparison, Found};
use super::load::{self, Loader};
use super::plan::Plan;
use super::settle::Settler;

use super::{Applied, Bug, Interrupted, Refused, Systems, blocking};
use crate::limits;
use crate::projection::change::Key;
use crate::projection::counts::Counts;
use crate::projection::decode::Decoder;
use crate::projection::diff::Kind;
use crate::projection::mapping::key_of;
use crate::projection::version::{Guard, Order, Rank, Version};
use crate::report::progress::Progress;
use crate::report::replay::DoneReport;
use crate::store::{
    Acts, NextOffset, RunState, Shadow, StoreError, Swapped, TableName, WritePermit,
};
use crate::stream::{GroupState, Range};

/// What a replay did.
#[derive(Clone, Debug)]
pub struct Done {
    /// The run's id.
    pub run: String,
    /// What became of the records.
    pub counts: Counts,
    /// Keys whose row the log did not hold whole; taken from the primary.
    pub settled: Vec<String>,
    /// The offsets up to which the table now holds the log.
    pub next: Vec<NextOffset>,
    /// Rows of the shadow that were compared with the primary; `None` without a check.
    pub checked: Option<u64>,
    /// Keys in which the new table still differs from the primary.
    pub differing: u64,
    /// The swap; `None` when the shadow was left beside the live table.
    pub swapped: Option<Swapped>,
    /// The shadow's name, when it was left.
    pub kept: Option<TableName>,
}

impl Done {
    /// What is shown of it.
    #[must_use]
    pub fn report(&self, plan: &Plan) -> DoneReport {
        DoneReport {
            run: self.run.clone(),
            view: plan.view.name.clone(),
            table: plan.view.table.table.to_string(),
            counts: self.counts.clone(),
            settled: self.settled.clone(),
            next: self
                .next
                .iter()
                .map(|n| (n.topic.clone(), n.partition, n.offset))
                .collect(),
            checked: self.checked,
            differing: self.differing,
            old: self
                .swapped
                .as_ref()
                .and_then(|s| s.old.as_ref())
                .map(ToString::to_string),
            swapped: self.swapped.as_ref().map(|s| (s.locked_ms, s.attempts)),
            kept: self.kept.as_ref().map(ToString::to_string),
        }
    }
}

fn by_partition(next: &[NextOffset]) -> Vec<NextOffset> {
    let mut next = next.to_vec();
    next.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
    next
}

/// One run underway.
struct Run<'a> {
    systems: &'a Systems,
    plan: &'a Plan,
    shadow: Shadow,
    permit: &'a WritePermit,
    progress: &'a Progress,
    stop: Arc<AtomicBool>,
    settler: Settler,
    settled: BTreeSet<Key<'static>>,
}

/// Runs the plan.
///
/// # Errors
/// The plan's own refusals, and whatever goes wrong; the live table is then as it was, and nothing else is left.
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
    let shadow = plan.shadow();
    progress.stage("creating the shadow", "steps", None);
    systems.read_store.begin(permit, &shadow).await?;
    let settler = Settler::new(plan.order.clone());
    let mut run = Run {
        systems,
        plan,
        shadow,
        permit,
        progress,
        stop,
        settler,
        settled: BTreeSet::new(),
    };
    match run.all_the_way().await {
        Ok(done) => Ok(done),
        Err(e) => {
            if let Err(left) = systems
                .read_store
                .end(permit, &run.shadow, RunState::Discarded)
                .await
            {
                tracing::warn!(
                    "the shadow could not be removed ({left}); the next replay of {} does it",
                    plan.view.table.table
                );
            }
            Err(e)
        }
    }
}

impl Run<'_> {
    async fn all_the_way(&mut self) -> Result<Done> {
        let loader = self.load_all().await?;
        let (loader, checked, differing) = self.check(loader).await?;
        let counts = self.counts(&loader)?;
        self.stage("finishing the shadow").await?;
        self.systems
            .read_store
            .seal(self.permit, &self.shadow)
            .await?;
        let mut done = Done {
            run: self.plan.run.clone(),
            counts,
            settled: self.settled.iter().map(ToString::to_string).collect(),
            next: by_partition(loader.next()),
            checked,
            differing,
            swapped: None,
            kept: None,
        };
        if self.plan.options.no_swap {
            self.systems
                .read_store
                .end(self.permit, &self.shadow, RunState::Kept)
                .await?;
            done.kept = Some(self.systems.read_store.shadow_table(&self.shadow));
        } else {
            done.swapped = Some(self.swap().await?);
        }
        Ok(done)
    }

    /// Goes on to the next stage, unless the operator said stop.
    async fn stage(&self, name: &str) -> Result<(), Interrupted> {
        self.progress.stage(name, "steps", None);
        self.not_stopped()
    }

    fn not_stopped(&self) -> Result<(), Interrupted> {
        if !self.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let state = format!(
            "interrupted: the shadow is removed and {} is as it was; the same command starts again",
            self.plan.view.table.table
        );
        Err(Interrupted { state })
    }

    async fn load_all(&mut self) -> Result<Loader> {
        let guard = Guard::new(
            self.plan.order.clone(),
            self.plan.view.source.epochs.clone(),
        );
        let decoder = Decoder::new(self.plan.view.decoded(), guard);
        let encoder = self.systems.read_store.encoder(&self.shadow);
        let loader = Loader::new(decoder, self.plan.view.mapping.clone(), encoder);
        self.progress
            .stage("loading", "records", Some(self.plan.records()));
        let loader = self.pass(loader, self.plan.ranges()).await?;
        self.stage("building keys and indexes").await?;
        self.systems
            .read_store
            .build(self.permit, &self.shadow)
            .await?;
        Ok(loader)
    }

    /// One round: the ranges into the shadow, repeated keys folded, incomplete ones settled.
    async fn pass(&mut self, loader: Loader, ranges: Vec<Range>) -> Result<Loader> {
        let (loader, stopped) = load::load(
            self.systems.log().await?,
            ranges,
            loader,
            &self.systems.read_store,
            &self.shadow,
            self.permit,
            self.progress,
            Arc::clone(&self.stop),
        )
        .await?;
        if stopped {
            self.not_stopped()?;
            bail!(Bug(
                "the log was not read to its end, though nobody stopped it".to_owned()
            ));
        }
        self.stage("settling keys that occur more than once")
            .await?;
        self.systems
            .read_store
            .settle(self.permit, &self.shadow, &mut self.settler)
            .await?;
        self.settle_incomplete().await?;
        Ok(loader)
    }

    /// Rows that the log does not hold whole come from the primary, as of a position read after them.
    async fn settle_incomplete(&mut self) -> Result<()> {
        let incomplete = std::mem::take(&mut self.settler.incomplete);
        let comparison = Comparison::new(self.systems, &self.plan.view);
        for some in incomplete.chunks(limits::LOOKUP_KEYS) {
            let mut keys: Vec<Key<'static>> = some.iter().map(|(k, _)| k.clone()).collect();
            keys.sort();
            let expected = comparison
                .settling_rows(&keys, &self.plan.view.mapping)
                .await?;
            let position = self.systems.primary.write_position().await?;
            let rows: Vec<_> = some
                .iter()
                .map(|(key, version)| {
                    let row = expected
                        .iter()
                        .find(|r| key_of(r, &self.shadow.key) == *key)
                        .cloned();
                    (key.clone(), row, self.settled_version(*version, position))
                })
                .collect();
            self.systems
                .read_store
                .replace(self.permit, &self.shadow, &rows)
                .await?;
            self.settled.extend(keys);
        }
        Ok(())
    }

    /// Changes up to the primary's own position are stale for a settled key, where positions order them.
    fn settled_version(&self, newest: Version, position: Option<[u64; 3]>) -> Version {
        match (&self.plan.order, position) {
            (Order::Lsn | Order::Binlog, Some(words)) => Version {
                rank: Rank {
                    epoch: newest.rank.epoch,
                    words: words.max(newest.rank.words),
                },
                clock: None,
                ..newest
            },
            _ => newest,
        }
    }

    fn counts(&self, loader: &Loader) -> Result<Counts> {
        let settled = &self.settler.counts;
        let counts = Counts {
            put: loader.counts.put + settled.put,
            deleted: settled.deleted,
            truncated: settled.truncated,
            stale: settled.stale,
            duplicate: settled.duplicate,
            blocked: settled.blocked,
            ..loader.counts.clone()
        };
        counts.check().map_err(|e| Bug(e.to_string()))?;
        Ok(counts)
    }

    /// Compares the shadow with the primary; while the log moves on, catches up with it. A replay `--until` some offset, or one
    /// that is told not to, is not compared: the primary is elsewhere.
    async fn check(&mut self, mut loader: Loader) -> Result<(Loader, Option<u64>, u64)> {
        if !self.plan.checks() {
            return Ok((loader, None, 0));
        }
        let mut round = 0;
        loop {
            self.stage("checking the shadow against the primary")
                .await?;
            let target = self.systems.read_store.shadow_table(&self.shadow);
            let comparison = Comparison::new(self.systems, &self.plan.view).with_target(target);
            let found = comparison.run(true, &self.progress.counter()).await?;
            let differing = found.differences.len() as u64 + found.beyond;
            if differing == 0 {
                return Ok((loader, Some(found.rows), 0));
            }
            round += 1;
            let ahead = self.ahead(&loader).await?;
            if ahead.is_empty() || round > limits::CATCH_UP_ROUNDS_MAX {
                self.better_than_live(&comparison, &found).await?;
                return Ok((loader, Some(found.rows), differing));
            }
            self.progress.stage(
                "catching up",
                "records",
                Some(
                    ahead
                        .iter()
                        .map(|r| u64::try_from(r.to - r.from).unwrap_or(0))
                        .sum(),
                ),
            );
            loader = self.pass(loader, ahead).await?;
        }
    }

    /// What the log holds beyond the shadow.
    async fn ahead(&self, loader: &Loader) -> Result<Vec<Range>> {
        let (log, name) = (self.systems.log().await?, self.plan.topic.name.clone());
        let topic = blocking(move || log.topic(&name)).await?;
        let name: Arc<str> = topic.name.as_str().into();
        let mut ranges = Vec::new();
        for e in &topic.extents {
            let read = loader
                .next()
                .iter()
                .find(|n| n.partition == e.partition)
                .map_or(e.start, |n| n.offset);
            if read < e.end {
                ranges.push(Range {
                    topic: Arc::clone(&name),
                    partition: e.partition,
                    from: read,
                    to: e.end,
                });
            }
        }
        Ok(ranges)
    }

    /// Refuses a shadow that is wrong where the live table is right, or that would drop too many of the primary's rows.
    async fn better_than_live(&self, comparison: &Comparison<'_>, found: &Found) -> Result<()> {
        let live = Comparison::new(self.systems, &self.plan.view);
        let keys: Vec<Key<'static>> = found.differences.iter().map(|d| d.key.clone()).collect();
        let wrong_live: BTreeSet<Key<'static>> = live
            .again(&keys)
            .await?
            .into_iter()
            .map(|d| d.key)
            .collect();
        // A key that changes underway is no evidence: only what still differs counts.
        let wrong_shadow = comparison.again(&keys).await?;
        let worse: Vec<String> = wrong_shadow
            .iter()
            .filter(|d| !wrong_live.contains(&d.key))
            .map(|d| d.key.to_string())
            .collect();
        let dropped: Vec<&Key<'static>> = wrong_shadow
            .iter()
            .filter(|d| d.kind() == Kind::Missing && !wrong_live.contains(&d.key))
            .map(|d| &d.key)
            .collect();
        let shown = |keys: &[String]| {
            keys.iter()
                .take(limits::KEYS_SHOWN_MAX)
                .cloned()
                .collect::<Vec<_>>()
                .join("; ")
        };
        let mut reasons = Vec::new();
        if !worse.is_empty() && worse.len() > wrong_live.len() {
            reasons.push(format!(
                "the shadow is worse than the live table: {} keys are wrong in it and right in the live table ({}); the log does not hold what the primary holds",
                worse.len(), shown(&worse)
            ));
        }
        let bound = self.plan.options.deletes_max;
        let lost = dropped.len() as u64 + found.beyond;
        if lost > bound.rows(found.rows) {
            reasons.push(format!(
                "the swap would drop {lost} rows that the primary has (deletes_max {bound})"
            ));
        }
        if reasons.is_empty() {
            return Ok(());
        }
        reasons.push(format!(
            "nothing was swapped and {} is as it was; reconcile repairs from the primary",
            self.plan.view.table.table
        ));
        Err(Refused(reasons).into())
    }

    async fn swap(&self) -> Result<Swapped> {
        self.stage("waiting for old snapshots").await?;
        let until = Instant::now() + limits::OLD_SNAPSHOT_WAIT;
        loop {
            let old = self.systems.read_store.old_snapshots(&self.shadow).await?;
            if old.is_empty() {
                break;
            }
            if Instant::now() >= until {
                let names: Vec<String> = old.iter().map(ToString::to_string).collect();
                let problem = format!(
                    "a snapshot older than the load would see an empty table after the swap: {}",
                    names.join("; ")
                );
                return Err(StoreError::Busy { problem }.into());
            }
            self.not_stopped()?;
            tokio::time::sleep(limits::RECHECK_PAUSE).await;
        }
        self.fenced().await?;
        self.stage("swapping").await?;
        Ok(self
            .systems
            .read_store
            .swap(self.permit, &self.shadow)
            .await?)
    }

    /// The projector must still be stopped.
    async fn fenced(&self) -> Result<()> {
        let Applied::ConsumerGroup(name) = &self.systems.applied else {
            return Ok(());
        };
        let (log, group, topic) = (
            self.systems.log().await?,
            name.clone(),
            self.plan.topic.name.clone(),
        );
        let group = blocking(move || log.group(&group, &[&topic])).await?;
        if matches!(group.state, GroupState::Empty | GroupState::Dead) {
            return Ok(());
        }
        Err(Refused::because(format!("the projector came back while the shadow was built: consumer group {name} is {:?}; nothing was swapped", group.state)).into())
    }
}
