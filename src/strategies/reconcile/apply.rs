//! Applying a plan: each key is looked at on both sides once more, written only while it is as planned, and looked at in the
//! primary again afterwards. A key that moved in between goes round again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;

use super::{Against, Plan, write_kind};
use crate::limits;
use crate::projection::cell::Row;
use crate::projection::change::Key;
use crate::projection::diff::{Difference, Repair};
use crate::projection::mapping::key_of;
use crate::report::progress::Progress;
use crate::report::reconcile::{Besides, DoneReport};
use crate::store::repair::Side;
use crate::store::{
    Acts, Confirmation, Outcome, RunKind, RunState, Start, StoreError, Target, Write, WritePermit,
};
use crate::strategies::compare::Comparison;
use crate::strategies::tally::Tally;
use crate::strategies::{Interrupted, Systems, lag};

/// What a reconciliation did.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Rows written, and keys that were not.
    pub tally: Tally,
    /// Keys that agreed by the time they were to be written.
    pub healed: u64,
    /// Writes after which the primary had moved on, so that the key went round again.
    pub superseded: u64,
    /// Repairs of earlier runs that died, confirmed by this one.
    pub confirmed: u64,
}

impl Done {
    /// What is shown of it.
    #[must_use]
    pub fn report(&self, plan: &Plan) -> DoneReport {
        let besides = Besides {
            healed: self.healed,
            superseded: self.superseded,
            confirmed: self.confirmed,
            unknown: plan.undecided,
        };
        self.tally.report(
            "reconcile",
            &plan.run,
            Some(plan.view.name.clone()),
            &plan.view.table.table,
            besides,
        )
    }
}

/// One application underway.
struct Run<'a> {
    systems: &'a Systems,
    plan: &'a Plan,
    comparison: Comparison<'a>,
    target: Target,
    permit: &'a WritePermit,
    progress: &'a Progress,
    stop: &'a AtomicBool,
    done: Done,
    /// Keys that go round again.
    again: Vec<Key<'static>>,
}

/// Whether there is anything to write: repairs, or those of a run that died and are not confirmed yet.
///
/// # Errors
/// When the journal cannot be read.
pub async fn has_work(systems: &Systems, plan: &Plan) -> Result<bool> {
    let table = &plan.view.table.table;
    Ok(!plan.repairs.is_empty() || !systems.read_store.unconfirmed(table).await?.is_empty())
}

/// Applies the plan.
///
/// # Errors
/// Whatever goes wrong; what was written until then is journalled, and the same command goes on.
pub async fn apply(
    systems: &Systems,
    plan: &Plan,
    permit: &WritePermit,
    progress: &Progress,
    stop: &AtomicBool,
) -> Result<Done> {
    let start = Start {
        run: plan.run.clone(),
        kind: RunKind::Reconcile,
        table: plan.view.table.table.clone(),
        table_id: plan.view.table.id,
        reverts: None,
    };
    systems.read_store.start(permit, &start).await?;
    let mut run = Run {
        systems,
        plan,
        comparison: Comparison::new(systems, &plan.view),
        target: plan.target(),
        permit,
        progress,
        stop,
        done: Done::default(),
        again: Vec::new(),
    };
    let outcome = run.all().await;
    let complete = outcome.is_ok() && run.done.tally.is_complete() && plan.undecided == 0;
    let state = if complete {
        RunState::Done
    } else {
        RunState::Incomplete
    };
    let finished = systems.read_store.finish(permit, &plan.run, state).await;
    outcome?;
    finished?;
    Ok(run.done)
}

impl Run<'_> {
    async fn all(&mut self) -> Result<()> {
        self.resume().await?;
        self.progress.stage(
            &format!("repairing {}", self.plan.view.table.table),
            "rows",
            Some(self.plan.repairs.len() as u64),
        );
        self.repair(&self.plan.repairs, self.as_planned()).await?;
        self.unblock().await?;
        for _ in 0..limits::REPAIR_ROUNDS_MAX {
            if self.again.is_empty() {
                break;
            }
            self.round().await?;
        }
        self.done.tally.moved_on.append(&mut self.again);
        self.done.tally.moved_on.sort();
        self.done.tally.moved_on.dedup();
        Ok(())
    }

    /// Whether what has moved on since the plan is left alone.
    fn as_planned(&self) -> bool {
        self.plan.saved || self.plan.against == Against::Log
    }

    /// What a run that died had written but not confirmed.
    async fn resume(&mut self) -> Result<()> {
        let table = &self.plan.view.table.table;
        let entries = self.systems.read_store.unconfirmed(table).await?;
        if entries.is_empty() {
            return Ok(());
        }
        self.progress
            .stage("confirming repairs of a run that died", "rows", None);
        let columns: Vec<_> = self.target.key_columns().cloned().collect();
        let mut by_key: BTreeMap<Key<'static>, Vec<(String, i64)>> = BTreeMap::new();
        let mut unreadable = Vec::new();
        for entry in entries {
            let place = (entry.run, entry.number);
            match crate::strategies::undo::key(&entry.key, &columns) {
                Some(key) => by_key.entry(key).or_default().push(place),
                None => unreadable.push(place),
            }
        }
        let keys: Vec<Key<'static>> = by_key.keys().cloned().collect();
        let differing: Vec<Key<'static>> = self
            .comparison
            .again(&keys)
            .await?
            .into_iter()
            .map(|d| d.key)
            .collect();
        let (mut confirmed, mut superseded) = (Vec::new(), unreadable);
        for (key, places) in by_key {
            if differing.binary_search(&key).is_ok() {
                superseded.extend(places);
                self.again.push(key);
            } else {
                confirmed.extend(places);
            }
        }
        self.done.confirmed = confirmed.len() as u64;
        self.confirm(&confirmed, Confirmation::Confirmed).await?;
        self.confirm(&superseded, Confirmation::Superseded).await?;
        // Those that still differ are in the plan as well, unless it is older than they are.
        let planned: std::collections::BTreeSet<&Key<'static>> =
            self.plan.repairs.iter().map(|r| &r.key).collect();
        let as_planned = self.as_planned();
        self.again
            .retain(|key| !planned.contains(key) && !as_planned);
        Ok(())
    }

    async fn confirm(&self, entries: &[(String, i64)], as_what: Confirmation) -> Result<()> {
        let store = &self.systems.read_store;
        Ok(store.confirm(self.permit, entries, as_what).await?)
    }

    fn not_stopped(&self) -> Result<(), Interrupted> {
        if !self.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let written = self.done.tally.written();
        Err(Interrupted {
            state: format!(
                "interrupted after {written} of {} repairs, which are journalled as run {}; the same command goes on",
                self.plan.repairs.len(),
                self.plan.run
            ),
        })
    }

    /// Writes repairs, batch by batch. `as_planned`: what has moved since is left alone, and does not go round again.
    async fn repair(&mut self, repairs: &[Repair], as_planned: bool) -> Result<()> {
        for some in repairs.chunks(limits::REPAIR_ROWS) {
            self.systems.pace.take(some.len() as u64).await;
            self.not_stopped()?;
            let mut moved = Vec::new();
            let ready = self.still_as_planned(some, &mut moved).await?;
            self.write(&ready, &mut moved).await?;
            self.progress.counter().add(some.len() as u64);
            if as_planned {
                self.done.tally.moved_on.append(&mut moved);
            } else {
                self.again.append(&mut moved);
            }
        }
        Ok(())
    }

    /// Both sides now: what still needs just the planned repair. The primary's row has not changed since the plan found that
    /// lag does not explain the difference, so nothing of the key is in flight.
    async fn still_as_planned(
        &mut self,
        repairs: &[Repair],
        moved: &mut Vec<Key<'static>>,
    ) -> Result<Vec<Repair>> {
        if self.plan.against == Against::Log {
            // The fence looks at the stored row, and nothing else can have moved.
            return Ok(repairs.to_vec());
        }
        let mut keys: Vec<Key<'static>> = repairs.iter().map(|r| r.key.clone()).collect();
        keys.sort();
        let now = self.comparison.again(&keys).await?;
        let mut now: BTreeMap<Key<'static>, Difference> =
            now.into_iter().map(|d| (d.key.clone(), d)).collect();
        let mut ready = Vec::with_capacity(repairs.len());
        for planned in repairs {
            let Some(difference) = now.remove(&planned.key) else {
                self.done.healed += 1;
                continue;
            };
            if self.is_as_planned(self.plan.selection.repair(difference), planned) {
                ready.push(planned.clone());
            } else {
                moved.push(planned.key.clone());
            }
        }
        Ok(ready)
    }

    /// Whether a repair is still the planned one. A row that is asked for again may come with another order or another last
    /// digit, where the rules of the columns leave them open.
    fn is_as_planned(&self, now: Option<Repair>, planned: &Repair) -> bool {
        let Some(now) = now.filter(|now| now.before == planned.before) else {
            return false;
        };
        match (&now.after, &planned.after) {
            (Some(now), Some(planned)) => {
                (0..planned.len()).all(|at| self.comparison.same(at, now, planned))
            }
            (now, planned) => now == planned,
        }
    }

    async fn write(&mut self, repairs: &[Repair], moved: &mut Vec<Key<'static>>) -> Result<()> {
        if repairs.is_empty() {
            return Ok(());
        }
        let writes: Vec<Write> = repairs.iter().map(write_of).collect();
        let outcomes = self.store_repairs(&writes).await?;
        let mut written = Vec::new();
        for (repair, outcome) in repairs.iter().zip(outcomes) {
            match outcome {
                Outcome::Written(number) => {
                    self.done.tally.wrote(write_kind(repair));
                    written.push((repair, number));
                }
                Outcome::MovedOn => moved.push(repair.key.clone()),
                Outcome::Blocked(why) => self.done.tally.blocked.push((repair.key.clone(), why)),
            }
        }
        self.read_primary_again(&written).await
    }

    /// A lock that somebody holds may be gone in a moment.
    async fn store_repairs(&self, writes: &[Write]) -> Result<Vec<Outcome>> {
        let mut tries = 0;
        loop {
            let store = &self.systems.read_store;
            match store.repair(self.permit, &self.target, writes).await {
                Err(StoreError::Busy { problem }) if tries < limits::REPAIR_TRIES_MAX => {
                    tries += 1;
                    tracing::info!(tries, problem, "a repair waits for a lock");
                    tokio::time::sleep(limits::RECHECK_PAUSE).await;
                    self.not_stopped()?;
                }
                done => return Ok(done?),
            }
        }
    }

    /// A key whose primary row moved while it was written goes round again.
    async fn read_primary_again(&mut self, written: &[(&Repair, i64)]) -> Result<()> {
        if self.plan.against == Against::Log {
            let places = written.iter().map(|(_, n)| (self.plan.run.clone(), *n));
            let places: Vec<(String, i64)> = places.collect();
            return self.confirm(&places, Confirmation::Confirmed).await;
        }
        let mut keys: Vec<Key<'static>> = written.iter().map(|(r, _)| r.key.clone()).collect();
        keys.sort();
        let key = &self.target.key;
        let now: BTreeMap<Key<'static>, Row<'static>> = self
            .comparison
            .expected_of(&keys)
            .await?
            .into_iter()
            .map(|row| (key_of(&row, key), row))
            .collect();
        let (mut confirmed, mut superseded) = (Vec::new(), Vec::new());
        for (repair, number) in written {
            let place = (self.plan.run.clone(), *number);
            if self.is_still(repair, now.get(&repair.key)) {
                confirmed.push(place);
            } else {
                superseded.push(place);
                self.again.push(repair.key.clone());
            }
        }
        self.done.superseded += superseded.len() as u64;
        self.confirm(&confirmed, Confirmation::Confirmed).await?;
        self.confirm(&superseded, Confirmation::Superseded).await
    }

    /// Whether the primary still wants what was written; with `--column`, in those columns.
    fn is_still(&self, repair: &Repair, now: Option<&Row<'static>>) -> bool {
        match (&repair.after, now) {
            (None, None) => true,
            (Some(after), Some(now)) => {
                let columns = &self.plan.selection.columns;
                (0..after.len())
                    .filter(|at| columns.is_empty() || columns.contains(at))
                    .all(|at| self.comparison.same(at, after, now))
            }
            _ => false,
        }
    }

    /// A row may have been in the way of another that has moved since.
    async fn unblock(&mut self) -> Result<()> {
        loop {
            let blocked = std::mem::take(&mut self.done.tally.blocked);
            if blocked.is_empty() {
                return Ok(());
            }
            let before = blocked.len();
            let keys: std::collections::BTreeSet<Key<'static>> =
                blocked.into_iter().map(|(key, _)| key).collect();
            let repairs: Vec<Repair> = self
                .plan
                .repairs
                .iter()
                .filter(|r| keys.contains(&r.key))
                .cloned()
                .collect();
            self.repair(&repairs, self.as_planned()).await?;
            if self.done.tally.blocked.len() >= before {
                return Ok(());
            }
        }
    }

    /// Keys that moved, through the lag protocol once more.
    async fn round(&mut self) -> Result<()> {
        self.not_stopped()?;
        tokio::time::sleep(limits::RECHECK_PAUSE).await;
        let mut keys = std::mem::take(&mut self.again);
        keys.sort();
        keys.dedup();
        let differences = self.comparison.again(&keys).await?;
        let wait = self.plan.lag_wait;
        let decided = lag::decide(
            self.systems,
            &self.plan.view,
            &self.comparison,
            wait,
            differences,
            self.progress,
        )
        .await?;
        self.done
            .tally
            .moved_on
            .extend(decided.undecided.into_iter().map(|d| d.key));
        let repairs: Vec<Repair> = decided
            .drift
            .into_iter()
            .filter_map(|d| self.plan.selection.repair(d))
            .collect();
        self.repair(&repairs, false).await
    }
}

fn write_of(repair: &Repair) -> Write {
    let side = |row: &Option<Row<'static>>| row.clone().map(Side::Cells);
    Write {
        key: repair.key.clone(),
        before: side(&repair.before),
        after: side(&repair.after),
        reverts: None,
    }
}
