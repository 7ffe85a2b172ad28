//! A rollback, run: old tables caught up while the projector works, then once more while it rests, and swapped in.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Offsets, Plan, Table, ends, next_offsets, reached};
use crate::limits;
use crate::report::progress::Progress;
use crate::report::replay::DoneView;
use crate::report::rollback::DoneReport;
use crate::store::{Acts, Fence, Note, RunKind, RunState, Start, StoreError, Swapped, WritePermit};
use crate::strategies::bounds::Bound;
use crate::strategies::load::OnBad;
use crate::strategies::reconcile;
use crate::strategies::replay::at_rest::{AtRest, close_in, passes};
use crate::strategies::replay::projector::{self, Standing};
use crate::strategies::replay::{self, Begin, Cutover, Destination, in_place};
use crate::strategies::{Interrupted, Refused, Systems, View};

/// What a rollback did.
#[derive(Clone, Debug)]
pub struct Done {
    /// Rows of the old tables that were brought up to date.
    pub written: u64,
    /// How far the tables hold the log now.
    pub next: Offsets,
    /// What became of each table.
    pub swapped: Vec<Swapped>,
    /// How long the projector was paused, in milliseconds; `None` when it was at rest before.
    pub paused_ms: Option<u64>,
}

impl Done {
    /// What is shown of it.
    #[must_use]
    pub fn report(&self, plan: &Plan) -> DoneReport {
        let view = |(table, swapped): (&Table, &Swapped)| DoneView {
            view: table.view.name.clone(),
            table: table.view.table.table.to_string(),
            run: table.run.clone(),
            old: swapped.old.as_ref().map(ToString::to_string),
            swapped: Some((swapped.locked_ms, swapped.attempts)),
            kept: None,
            warnings: swapped.warnings.clone(),
        };
        let next = self.next.iter();
        DoneReport {
            plan: plan.report(),
            views: plan.tables.iter().zip(&self.swapped).map(view).collect(),
            written: self.written,
            next: next.map(|((t, p), o)| (t.clone(), *p, *o)).collect(),
            paused_ms: self.paused_ms,
        }
    }
}

/// Runs the plan.
///
/// # Errors
/// The plan's own refusals, and whatever goes wrong; the live tables are then as they were. What the old tables have caught up
/// by then stays in them.
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
    let starts: Vec<Start> = plan.tables.iter().map(start).collect();
    let read_store = &systems.read_store;
    let mut begun: Vec<&Start> = Vec::new();
    let outcome = async {
        for start in &starts {
            read_store.start(permit, start).await?;
            begun.push(start);
            let note = Note {
                binding: plan.binding.clone(),
                stage: "catching up".to_owned(),
            };
            read_store.stands(permit, &start.run, &note).await?;
        }
        let mut run = Run {
            systems,
            plan,
            permit,
            progress,
            stop,
            at: plan.held.clone(),
            passes: 0,
            written: 0,
        };
        run.all_the_way(&starts).await
    };
    let outcome = outcome.await;
    if outcome.is_err() {
        for start in begun {
            let ended = read_store
                .finish(permit, &start.run, RunState::Incomplete)
                .await;
            if let Err(left) = ended {
                tracing::warn!(
                    run = start.run,
                    "the run could not be closed ({left}); the next one on its table does it"
                );
            }
        }
    }
    outcome
}

fn start(table: &Table) -> Start {
    Start {
        run: table.run.clone(),
        kind: RunKind::Rollback,
        table: table.view.table.table.clone(),
        table_id: table.view.table.id,
        reverts: Some(table.of.clone()),
    }
}

/// One rollback underway.
struct Run<'a> {
    systems: &'a Systems,
    plan: &'a Plan,
    permit: &'a WritePermit,
    progress: &'a Progress,
    stop: Arc<AtomicBool>,
    /// How far the old tables hold the log.
    at: Offsets,
    passes: u32,
    written: u64,
}

impl Run<'_> {
    async fn all_the_way(&mut self, starts: &[Start]) -> Result<Done> {
        let mut tries = 1;
        let (swapped, paused_ms) = loop {
            let left = close_in(async || {
                let standing = projector::standing(self.systems, &self.plan.topics()).await?;
                self.catch_up(&standing).await
            });
            let left = left.await?;
            match self.cut_over(starts, left).await {
                Err(problem) if tries < limits::CUTOVER_TRIES && passes(&problem) => {
                    tracing::warn!("the cutover did not succeed ({problem:#}); trying again");
                    tries += 1;
                }
                done => break done?,
            }
        };
        Ok(Done {
            written: self.written,
            next: self.at.clone(),
            swapped,
            paused_ms,
        })
    }

    /// `left` is how long catching up is likely to take.
    async fn cut_over(
        &mut self,
        starts: &[Start],
        left: Duration,
    ) -> Result<(Vec<Swapped>, Option<u64>)> {
        let (plan, stop) = (self.plan, Arc::clone(&self.stop));
        let (systems, permit) = (self.systems, self.permit);
        let at_rest = AtRest {
            systems,
            permit,
            run: &plan.run,
            topics: plan.topics(),
            cutover: &plan.options.cutover,
            left,
            progress: self.progress,
            stop: &stop,
        };
        let work = async |until: Option<Instant>| {
            let standing = at_rest.standing(until).await?;
            self.catch_up(&standing).await?;
            let holds = next_offsets(&self.at);
            let swap =
                async |fence: &Fence<'_>| systems.read_store.swap_back(permit, starts, fence).await;
            at_rest.fenced(&standing, &holds, until, swap).await
        };
        at_rest.meanwhile(work).await
    }

    /// Brings the old tables to where the projector is; whether there was anything to bring.
    async fn catch_up(&mut self, standing: &Standing) -> Result<bool> {
        if self.plan.options.stale {
            return Ok(false);
        }
        let ends = ends(self.systems, &self.plan.topics()).await?;
        for (at, (start, _)) in &ends {
            self.at.entry(at.clone()).or_insert(*start);
        }
        let reached = reached(&ends, standing);
        if reached
            .iter()
            .all(|(at, to)| self.at.get(at).is_none_or(|from| from >= to))
        {
            return Ok(false);
        }
        self.pass(&reached).await?;
        self.at.extend(reached);
        Ok(true)
    }

    /// One stretch of the log, folded and written into the old tables by reconcile's writer.
    async fn pass(&mut self, until: &Offsets) -> Result<()> {
        self.passes += 1;
        let tuples = |offsets: &Offsets| -> Vec<(String, i32, i64)> {
            let all = offsets.iter();
            all.map(|((t, p), o)| (t.clone(), *p, *o)).collect()
        };
        let views: Vec<View> = self.plan.tables.iter().map(over_old).collect();
        let options = replay::Options {
            begin: Begin::Offsets(tuples(&self.at)),
            into: Destination::Aside,
            until: tuples(until),
            no_swap: true,
            no_check: true,
            on_bad: OnBad::Stop,
            accept_holes: false,
            deletes_max: Bound::Percent(100.0),
            cutover: Cutover::default(),
        };
        let run = format!("{}_c{}", self.plan.run, self.passes);
        let plan = replay::plan(self.systems, &self.plan.playbook, &views, run, options).await?;
        let whole = reconcile::Options {
            selection: reconcile::Selection::default(),
            repairs_max: Bound::Percent(100.0),
            deletes_max: Bound::Percent(100.0),
            allow_shrink: true,
            lag_wait: limits::LAG_WAIT,
            hash: true,
            by_cause: None,
            sample: 0.0,
        };
        let repairs = vec![whole; views.len()];
        let stop = Arc::clone(&self.stop);
        let replayed = in_place::execute(
            self.systems,
            &plan,
            &repairs,
            self.permit,
            self.progress,
            stop,
        );
        for replayed in replayed.await.map_err(caught_up_no_more)? {
            let tally = &replayed.done.tally;
            self.written += tally.inserted + tally.updated + tally.deleted;
            if !tally.is_complete() {
                let problem = format!(
                    "{} rows of {} could not be brought up to date",
                    tally.moved_on.len() + tally.blocked.len(),
                    replayed.plan.view.table.table
                );
                return Err(StoreError::Busy { problem }.into());
            }
        }
        Ok(())
    }
}

/// The view over the table that comes back.
fn over_old(table: &Table) -> View {
    let mut view = table.view.clone();
    view.table = table.catalog.clone();
    view
}

/// What was written into old tables is no reason to go on: nobody reads them.
fn caught_up_no_more(problem: anyhow::Error) -> anyhow::Error {
    if problem.is::<Interrupted>() {
        let state =
            "interrupted: the live tables are as before; the same command starts again".to_owned();
        return Interrupted { state }.into();
    }
    problem
}
