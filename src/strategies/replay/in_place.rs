//! Partial replay in place: a stretch of the log, folded to each key's final row in a staging area, then written into the live
//! table by reconcile's writer, with the log as the expected side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;

use super::pipeline::{Pipeline, store};
use super::plan::{Load, Plan};
use super::run::unstage;
use crate::limits;
use crate::projection::cell::Row;
use crate::projection::change::Key;
use crate::projection::diff::{Difference, Repair};
use crate::projection::mapping::{From, key_of};
use crate::report::progress::Progress;
use crate::report::table::grouped;
use crate::store::{Acts, StateBatch, WritePermit};
use crate::strategies::compare::Comparison;
use crate::strategies::reconcile::{self, Against, apply, write_kind};
use crate::strategies::{Refused, Systems, View};

/// What a partial replay in place did to one view.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// What it set out to write.
    pub plan: reconcile::Plan,
    /// What it wrote.
    pub done: apply::Done,
}

/// Folds what the plan reads, and writes what differs into the live tables. `options` has one part for each view.
///
/// # Errors
/// The plan's own refusals, more differences than the bounds allow, and whatever goes wrong; what was written until then is
/// journalled.
pub async fn execute(
    systems: &Systems,
    plan: &Plan,
    options: &[reconcile::Options],
    permit: &WritePermit,
    progress: &Progress,
    stop: Arc<AtomicBool>,
) -> Result<Vec<Replayed>> {
    if !plan.refusals.is_empty() {
        return Err(Refused(plan.refusals.clone()).into());
    }
    if let Some(staging) = plan.staging() {
        progress.stage("creating the staging area", "steps", None);
        systems.staging().stage(permit, &staging).await?;
    }
    let outcome = folded(systems, plan, options, permit, progress, stop).await;
    unstage(systems, plan, permit).await;
    outcome
}

async fn folded(
    systems: &Systems,
    plan: &Plan,
    options: &[reconcile::Options],
    permit: &WritePermit,
    progress: &Progress,
    stop: Arc<AtomicBool>,
) -> Result<Vec<Replayed>> {
    let mut pipeline = Pipeline::new(systems, plan, permit, progress, Arc::clone(&stop))?;
    pipeline.load_all().await?;
    let mut plans = Vec::new();
    // Each view is a copy, and was loaded as one.
    for (nth, (view, options)) in plan.views.iter().zip(options).enumerate() {
        pipeline.stage(&format!("comparing {}", view.name))?;
        let run = format!("{}_{}", plan.run, nth + 1);
        plans.push(repairs(systems, (&plan.loads[nth], view), run, options).await?);
    }
    let refusals: Vec<String> = plans.iter().flat_map(|p| p.refusals.clone()).collect();
    if !refusals.is_empty() {
        return Err(Refused(refusals).into());
    }
    let mut replayed = Vec::new();
    for plan in plans {
        let done = apply::apply(systems, &plan, permit, progress, &stop).await?;
        replayed.push(Replayed { plan, done });
    }
    Ok(replayed)
}

/// The repairs that one folded view asks for.
async fn repairs(
    systems: &Systems,
    (load, view): (&Load, &View),
    run: String,
    options: &reconcile::Options,
) -> Result<reconcile::Plan> {
    let mut found = Differing::new(systems, view, options);
    let mut state = store(systems, load).state(&load.shadow).await?;
    while let Some(batch) = state.recv().await {
        match batch? {
            StateBatch::Rows(rows) => {
                found
                    .rows(rows.into_iter().map(|(row, _)| row).collect())
                    .await?;
            }
            StateBatch::Gone(keys) => {
                found
                    .gone(keys.into_iter().map(|(key, _)| key).collect())
                    .await?;
            }
        }
    }
    let Differing {
        mut repairs,
        rows,
        beyond,
        ..
    } = found;
    // What goes makes room before anything comes.
    repairs.sort_by_key(|r| std::cmp::Reverse(write_kind(r)));
    let mut refusals = Vec::new();
    if beyond > 0 {
        refusals.push(format!(
            "more than {} keys differ in {}: rebuild it from a snapshot or from offset zero, or narrow the replay with --keys or --where",
            grouped(limits::RECHECK_KEYS_MAX as u64),
            view.table.table
        ));
    }
    let mut plan = reconcile::Plan {
        run,
        view: view.clone(),
        against: Against::Log,
        selection: options.selection.clone(),
        repairs,
        rows,
        beyond,
        lagging: 0,
        undecided: 0,
        causes: BTreeMap::new(),
        explained: None,
        reasons: Vec::new(),
        notes: Vec::new(),
        refusals,
        lag_wait: options.lag_wait,
        saved: false,
        took: reconcile::Took::default(),
    };
    reconcile::check(systems, &mut plan, options).await?;
    Ok(plan)
}

/// Folded rows against the rows of the live table, key by key.
struct Differing<'a> {
    comparison: Comparison<'a>,
    options: &'a reconcile::Options,
    wanted: BTreeSet<Key<'static>>,
    key: Vec<usize>,
    /// Columns that the projector keeps for itself: written with a row, and no reason to write one.
    bookkeeping: Vec<usize>,
    repairs: Vec<Repair>,
    rows: u64,
    beyond: u64,
}

impl<'a> Differing<'a> {
    fn new(systems: &'a Systems, view: &View, options: &'a reconcile::Options) -> Differing<'a> {
        let columns = view.mapping.columns.iter().enumerate();
        let bookkeeping = columns.filter(|(_, t)| !matches!(t.from, From::Source(_)));
        Differing {
            comparison: Comparison::new(systems, view).with_bookkeeping(view),
            options,
            wanted: options.selection.keys.iter().cloned().collect(),
            key: view.mapping.key.clone(),
            bookkeeping: bookkeeping.map(|(at, _)| at).collect(),
            repairs: Vec::new(),
            rows: 0,
            beyond: 0,
        }
    }

    fn is_wanted(&self, key: &Key<'static>) -> bool {
        self.wanted.is_empty() || self.wanted.contains(key)
    }

    /// Keys that have these rows in the end.
    async fn rows(&mut self, mut rows: Vec<Row<'static>>) -> Result<()> {
        rows.retain(|row| self.is_wanted(&key_of(row, &self.key)));
        let keys: Vec<Key<'static>> = rows.iter().map(|row| key_of(row, &self.key)).collect();
        let actual = self.comparison.actual_of(&keys).await?;
        self.rows += keys.len() as u64;
        for difference in self.comparison.differences(rows, actual)? {
            let columns = difference.columns();
            let own = !columns.is_empty() && columns.iter().all(|c| self.bookkeeping.contains(c));
            if !own {
                self.take(difference);
            }
        }
        Ok(())
    }

    /// Keys that have no row in the end.
    async fn gone(&mut self, mut keys: Vec<Key<'static>>) -> Result<()> {
        keys.retain(|key| self.is_wanted(key));
        self.rows += keys.len() as u64;
        let actual = self.comparison.actual_of(&keys).await?;
        for difference in self.comparison.differences(Vec::new(), actual)? {
            self.take(difference);
        }
        Ok(())
    }

    fn take(&mut self, difference: Difference) {
        let Some(repair) = self.options.selection.repair(difference) else {
            return;
        };
        if self.repairs.len() < limits::RECHECK_KEYS_MAX {
            self.repairs.push(repair);
        } else {
            self.beyond += 1;
        }
    }
}
