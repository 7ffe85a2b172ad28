//! What every replay does with the log: tables loaded, keys that occur more than once settled, incomplete rows taken from the
//! primary, and the same again for what the log has got meanwhile.

mod holes;
mod loading;

pub use self::holes::Holes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, bail};

use super::options::{Begin, Destination};
use super::plan::{Load, Plan};
use super::projector;
use crate::limits;
use crate::projection::cell::Row;
use crate::projection::change::Key;
use crate::projection::counts::Counts;
use crate::projection::mapping::key_of;
use crate::projection::seen::Seen;
use crate::projection::types::ColumnType;
use crate::projection::version::{Guard, Order};
use crate::report::progress::Progress;
use crate::store::{Acts, Kept, Memo, NextOffset, Settle, Shadow, Store, Touch, WritePermit};
use crate::strategies::compare::Comparison;
use crate::strategies::load::{self, Loader};
use crate::strategies::settle::Settler;
use crate::strategies::{Bug, Interrupted, Systems, blocking};
use crate::stream::{Extent, Range};

/// The loads of a plan, underway.
pub struct Pipeline<'a> {
    /// The systems.
    pub systems: &'a Systems,
    /// What it does.
    pub plan: &'a Plan,
    /// The right to write.
    pub permit: &'a WritePermit,
    /// What is shown of it.
    pub progress: &'a Progress,
    stop: Arc<AtomicBool>,
    /// One for each load.
    states: Vec<State>,
    /// Whether what changes in staged sources is noted.
    watching: bool,
    /// Whether a staged source was truncated meanwhile, which is not.
    emptied: bool,
}

/// Where one load stands.
struct State {
    /// `None` while a thread has it.
    loader: Option<Loader>,
    settler: Settler,
    /// Whether a run that died had begun it.
    begun: bool,
}

impl<'a> Pipeline<'a> {
    /// Everything is at its beginning; the shadows are there and empty.
    ///
    /// # Errors
    /// [`Bug`], when a load is no copy.
    pub fn new(
        systems: &'a Systems,
        plan: &'a Plan,
        permit: &'a WritePermit,
        progress: &'a Progress,
        stop: Arc<AtomicBool>,
    ) -> Result<Pipeline<'a>> {
        let mut states = Vec::with_capacity(plan.loads.len());
        for load in &plan.loads {
            states.push(State {
                loader: Some(loader(systems, plan, load)?),
                settler: settler(load),
                begun: false,
            });
        }
        Ok(Pipeline {
            systems,
            plan,
            permit,
            progress,
            stop,
            states,
            watching: false,
            emptied: false,
        })
    }

    /// Goes on where a run that died had come to, by what it remembered and the records that it has set aside. Loads that it had
    /// not begun, or not brought to where their log begins, begin anew.
    ///
    /// # Errors
    /// For a memo, or a record, that trueup did not write.
    pub fn go_on(&mut self, memos: &[(String, Memo)], kept: &[Kept]) -> Result<()> {
        for (load, state) in self.plan.loads.iter().zip(&mut self.states) {
            let shadow = &load.shadow;
            let is_its = |(run, memo): &&(String, Memo)| {
                *run == shadow.run && memo.table == shadow.live.table.name
            };
            let Some((_, memo)) = memos.iter().find(is_its) else {
                continue;
            };
            let loaded = memo.loaded.as_deref().zip(state.loader.take());
            let Some(loader) = loaded
                .map(|(memo, loader)| loader.go_on(memo))
                .transpose()?
                .flatten()
            else {
                state.loader = Some(loader(self.systems, self.plan, load)?);
                continue;
            };
            let kinds: Vec<ColumnType> = shadow
                .key
                .iter()
                .map(|at| shadow.columns[*at].kind.clone())
                .collect();
            state.loader = Some(loader.blocking(holes::blocked(shadow, kept, &kinds)?));
            state.begun = true;
            if let Some(settled) = &memo.settled {
                state.settler = settler(load).go_on(settled, &kinds)?;
            }
        }
        Ok(())
    }

    /// Goes on to the next stage, unless the operator said stop.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn stage(&self, name: &str) -> Result<(), Interrupted> {
        self.progress.stage(name, "steps", None);
        self.not_stopped()
    }

    /// Whether the operator said stop.
    pub(super) fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Nothing, unless the operator said stop.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn not_stopped(&self) -> Result<(), Interrupted> {
        if !self.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let tables = self.plan.tables();
        let state = if tables.is_empty() {
            "interrupted: what was built is removed and everything is as before; the same command starts again".to_owned()
        } else {
            format!(
                "interrupted: {tables} is as before; the same command goes on with run {}, `trueup runs abort` removes it",
                self.plan.run
            )
        };
        Err(Interrupted { state })
    }

    fn take(&mut self, at: usize) -> Result<Loader, Bug> {
        let loader = self.states[at].loader.take();
        loader.ok_or_else(|| Bug("a load is underway already".to_owned()))
    }

    fn put(&mut self, at: usize, loader: Loader, stopped: bool) -> Result<()> {
        self.states[at].loader = Some(loader);
        if stopped {
            self.not_stopped()?;
            bail!(Bug(
                "a load did not come to its end, though nobody stopped it".to_owned()
            ));
        }
        Ok(())
    }

    /// One round of one load: the ranges into the shadow, repeated keys folded, incomplete ones settled.
    async fn pass(&mut self, at: usize, ranges: Vec<Range>) -> Result<()> {
        let load = &self.plan.loads[at];
        let log = self.systems.log().await?;
        let (loader, stopped) = load::load(
            (log, Arc::clone(&self.systems.pace)),
            ranges,
            self.take(at)?,
            store(self.systems, load),
            &load.shadow,
            self.permit,
            self.progress,
            Arc::clone(&self.stop),
        )
        .await
        .with_context(|| format!("loading {}", load.view.name))?;
        self.put(at, loader, stopped)?;
        self.stage("settling keys that occur more than once")?;
        self.systems.pace.pass().await;
        if self.watching && load.is_source() {
            self.systems
                .staging()
                .note(self.permit, &load.shadow)
                .await?;
        }
        let before = self.states[at].settler.clone();
        let truncated = self.states[at].loader.as_ref().and_then(Loader::truncated);
        let settler = &mut self.states[at].settler;
        settler.truncate(truncated);
        self.emptied |= self.watching && load.is_source() && settler.truncated().is_some();
        let settled = store(self.systems, load)
            .settle(self.permit, &load.shadow, &mut self.states[at].settler)
            .await;
        if let Err(problem) = settled {
            // The store has changed nothing, and what is folded may be asked for again.
            self.states[at].settler = before;
            return Err(problem.into());
        }
        self.states[at].settler.cleared();
        crate::crash_point!("settle.settled");
        self.settle_incomplete(at).await
    }

    /// Rows that the log does not hold whole come from the primary, as of the newest change that the log has of them: that is in
    /// them for certain. What they have beyond it comes once more, each change on top of the one before, up to where they are. No
    /// position of the primary would do instead: a change that is committed after the row was read may have a lower one, since
    /// it was written before.
    async fn settle_incomplete(&mut self, at: usize) -> Result<()> {
        let load = &self.plan.loads[at];
        let mut incomplete = std::mem::take(&mut self.states[at].settler.incomplete);
        let blocked = self.blocked(at);
        let are_settled = !blocked.is_empty() && self.settles(at);
        if are_settled {
            incomplete.extend(blocked);
        }
        let comparison = Comparison::new(self.systems, &load.view);
        let mut done = 0;
        for some in incomplete.chunks(limits::LOOKUP_KEYS) {
            let mut keys: Vec<Key<'static>> = some.iter().map(|(k, _)| k.clone()).collect();
            keys.sort();
            self.systems.pace.take(keys.len() as u64).await;
            let expected = comparison.settling_rows(&keys, &load.view.mapping).await?;
            let mut by_key: BTreeMap<Key<'static>, Row<'static>> = expected
                .into_iter()
                .map(|row| (key_of(&row, &load.shadow.key), row))
                .collect();
            let rows: Vec<_> = some
                .iter()
                .map(|(key, version)| (key.clone(), by_key.remove(key), *version))
                .collect();
            self.states[at].settler.settled.extend(keys);
            done += some.len();
            // Until all of them are written, a later process begins again with all of them.
            let memo = if done == incomplete.len() {
                self.states[at].settler.remembered()
            } else {
                String::new()
            };
            store(self.systems, load)
                .replace(self.permit, &load.shadow, &rows, &memo)
                .await?;
            crate::crash_point!("settle.replaced");
        }
        if are_settled {
            self.unblock(at).await?;
        }
        Ok(())
    }

    /// From now on, notes what changes in the staged sources.
    ///
    /// # Errors
    /// When the staging database cannot.
    pub async fn watch(&mut self) -> Result<()> {
        let sources: Vec<Shadow> = self.plan.sources().cloned().collect();
        self.systems.staging().watch(self.permit, &sources).await?;
        for (state, load) in self.states.iter_mut().zip(&self.plan.loads) {
            if let (true, Some(loader)) = (load.is_source(), &mut state.loader) {
                loader.again_only();
            }
        }
        self.watching = true;
        Ok(())
    }

    /// Whether what changes in the staged sources is noted.
    #[must_use]
    pub fn watches(&self) -> bool {
        self.watching
    }

    /// Whether a staged source was truncated since the views were derived, so that no keys tell what changed.
    #[must_use]
    pub fn was_emptied(&self) -> bool {
        self.emptied
    }

    /// Everything has been derived since the last truncate.
    pub fn derived_whole(&mut self) {
        self.emptied = false;
    }

    /// Loads what the log has got since; which loads that were.
    ///
    /// # Errors
    /// As for [`Pipeline::load_all`].
    pub async fn catch_up(&mut self) -> Result<Vec<usize>> {
        let mut moved = Vec::new();
        let mut topics: BTreeMap<String, Vec<Extent>> = BTreeMap::new();
        for at in 0..self.plan.loads.len() {
            let name = &self.plan.loads[at].topic.name;
            if !topics.contains_key(name) {
                topics.insert(name.clone(), self.extents_now(name).await?);
            }
            let ahead = self.ahead(at, &topics[name]);
            if ahead.is_empty() {
                continue;
            }
            let records = |r: &Range| u64::try_from(r.to - r.from).unwrap_or(0);
            self.progress.stage(
                "catching up",
                "records",
                Some(ahead.iter().map(records).sum()),
            );
            self.pass(at, ahead).await?;
            moved.push(at);
        }
        self.without_holes()?;
        Ok(moved)
    }

    /// How far a topic may be read now.
    async fn extents_now(&self, name: &str) -> Result<Vec<Extent>> {
        let (log, asked) = (self.systems.log().await?, name.to_owned());
        let mut topic = blocking(move || log.topic(&asked)).await?;
        if self.plan.stops_at_projector() {
            let standing = projector::standing(self.systems, &[name.to_owned()]).await?;
            for extent in &mut topic.extents {
                let place = standing[name].get(&extent.partition).copied().flatten();
                extent.end = extent.end.min(place.unwrap_or(extent.end));
            }
        }
        Ok(topic.extents)
    }

    /// What the plan reads beyond what a load was brought to.
    fn rest(&self, at: usize) -> Vec<Range> {
        let next = self.next_of(at);
        let mut rest = self.plan.loads[at].ranges();
        for range in &mut rest {
            let read = next.iter().find(|n| n.partition == range.partition);
            range.from = read.map_or(range.from, |n| n.offset.max(range.from));
        }
        rest.retain(|r| r.from < r.to);
        rest
    }

    /// What the log holds beyond a shadow.
    fn ahead(&self, at: usize, extents: &[Extent]) -> Vec<Range> {
        let name: Arc<str> = self.plan.loads[at].topic.name.as_str().into();
        let next = self.next_of(at);
        let read = |e: &Extent| {
            let next = next.iter().find(|n| n.partition == e.partition);
            next.map_or(e.start, |n| n.offset)
        };
        extents
            .iter()
            .map(|e| Range {
                topic: Arc::clone(&name),
                partition: e.partition,
                from: read(e),
                to: e.end,
            })
            .filter(|r| r.from < r.to)
            .collect()
    }

    /// The offsets that one load has been brought to.
    #[must_use]
    pub fn next_of(&self, at: usize) -> &[NextOffset] {
        let loader = self.states[at].loader.as_ref();
        loader.map_or(&[], Loader::next)
    }

    /// The offsets that everything has been brought to, by topic and partition.
    #[must_use]
    pub fn next(&self) -> Vec<NextOffset> {
        let mut next: Vec<NextOffset> = (0..self.states.len())
            .flat_map(|at| self.next_of(at).iter().cloned())
            .collect();
        next.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        next.dedup();
        next
    }

    /// What a snapshot has to know of one load beside its rows.
    #[must_use]
    pub fn seen(&self, at: usize) -> Seen {
        let loader = self.states[at].loader.as_ref();
        loader.map(Loader::seen).unwrap_or_default()
    }

    /// Keys whose row the log did not hold whole.
    #[must_use]
    pub fn settled(&self) -> Vec<String> {
        let keys = self.states.iter().flat_map(|s| &s.settler.settled);
        keys.map(ToString::to_string).collect()
    }

    /// What became of the records.
    ///
    /// # Errors
    /// [`Bug`], when they do not add up.
    pub fn counts(&self) -> Result<Counts> {
        let mut all = Counts::default();
        for state in &self.states {
            let loaded = state.loader.as_ref().map(|l| l.counts.clone());
            all.add(&loaded.unwrap_or_default());
            all.add(&state.settler.counts);
        }
        all.check().map_err(|e| Bug(e.to_string()))?;
        Ok(all)
    }
}

/// A loader at the beginning of its load.
pub(in crate::strategies) fn loader(systems: &Systems, plan: &Plan, load: &Load) -> Result<Loader> {
    let guard = Guard::new(load.order.clone(), load.source().epochs.clone());
    let mut decoder = load
        .view
        .decoder(guard)
        .ok_or_else(|| Bug(format!("{} is loaded and is no copy", load.view.name)))?;
    if let Begin::Snapshot(base) = &plan.options.begin {
        decoder = decoder.after(&base.seen(&load.kept_as));
    }
    let encoder = store(systems, load).encoder(&load.shadow);
    let key_bytes = limits::KEY_SET_BYTES_MAX / plan.loads.len().max(1);
    let loader = Loader::new(decoder, load.view.mapping.clone(), encoder, key_bytes);
    Ok(loader
        .without_truncates(truncates_not(plan, load))
        .on_bad(plan.options.on_bad)
        .beginning(load.view.start()))
}

/// Why a truncate in the log of this load stops the run; `None` where it is taken as it is.
fn truncates_not(plan: &Plan, load: &Load) -> Option<&'static str> {
    if plan.options.into == Destination::Live {
        return Some(
            "a replay in place sees only the keys that it reads: rebuild the table from offset zero or from a snapshot, or reconcile",
        );
    }
    (load.order == Order::Offset && load.extents.len() > 1).then_some(
        "the records carry no source position, so that nothing orders it among the rows of the other partitions: reconcile instead",
    )
}

/// A settler at the beginning of its load.
fn settler(load: &Load) -> Settler {
    Settler::new(load.order.clone()).beginning(load.view.start())
}

/// Where a load goes.
pub(super) fn store<'a>(systems: &'a Systems, load: &Load) -> &'a Store {
    if load.shadow.staged {
        systems.staging()
    } else {
        &systems.read_store
    }
}
