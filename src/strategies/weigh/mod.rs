//! The strategies weighed against each other for one view, now. It only reads: the view is compared with the primary and what
//! differs is explained, as by `reconcile --explain`; each strategy's own plan says what stands in its way; and a few seconds
//! of reading say how fast the systems are.

mod effect;
pub mod measure;
mod outlook;
pub mod predict;
pub mod recommend;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use self::outlook::{Known, Planned};
use self::recommend::{Commands, recommend};
use super::bounds::Bound;
use super::compare::Comparison;
use super::load::OnBad;
use super::reconcile::by_cause::ByCause;
use super::replay::base::{Base, now_ms};
use super::replay::{self, Begin, Cutover, Destination};
use super::{Systems, View, reconcile, verify};
use crate::limits;
use crate::projection::cause::Cause;
use crate::report::progress::Progress;
use crate::report::weighed::{Beginning, Rate, Strategy, Weighed, Wrong};

/// What a partial replay would begin from.
#[derive(Clone, Debug)]
pub enum Snapshot {
    /// Nothing, and why.
    Missing(String),
    /// A snapshot.
    Found {
        /// It.
        base: Arc<Base>,
        /// How long it took to look at all of it.
        took: Duration,
        /// Why it may not be used as it is.
        unfit: Option<String>,
    },
}

/// How strategies are weighed.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether the comparison is left out.
    pub quick: bool,
    /// Which part of the rows that agree the log is asked for too.
    pub sample: f64,
    /// How long to wait for lag to pass.
    pub lag_wait: Duration,
    /// Repairs at most.
    pub repairs_max: Bound,
    /// Deletes among them at most, and rows that a swap may drop.
    pub deletes_max: Bound,
    /// How a replay would cut over.
    pub cutover: Cutover,
    /// What a partial replay would begin from.
    pub snapshot: Snapshot,
    /// How long it took to open the systems.
    pub opened: Duration,
    /// An id that a run could have.
    pub run: String,
    /// The playbook, as the operator named it.
    pub playbook: String,
    /// Whether the playbook has other views, so that a command has to name this one.
    pub is_one_of_many: bool,
}

/// Weighs the strategies for one view.
///
/// # Errors
/// When primary or read store cannot be read. A log that cannot be read stands in the way of the replays alone.
pub async fn weigh(
    systems: &Systems,
    playbook: &str,
    view: &View,
    options: &Options,
    progress: &Progress,
) -> Result<Weighed> {
    progress.stage(&format!("planning {}", view.name), "steps", None);
    verify::refuse_same_table(systems, view).await?;
    let asked = Instant::now();
    let big_bang = planned(systems, playbook, view, options, Begin::Zero).await;
    let (partial, beginning) = match &options.snapshot {
        Snapshot::Missing(why) => (Planned::blocked(why.clone()), None),
        Snapshot::Found { base, took, unfit } => {
            let begin = Begin::Snapshot(Arc::clone(base));
            let mut partial = planned(systems, playbook, view, options, begin).await;
            partial.took += *took;
            partial.blockers.splice(0..0, unfit.clone());
            (partial, Some(beginning(base)))
        }
    };
    let (repairs, mut notes) = repairs(systems, view, options, &big_bang, progress).await?;
    let comparison = Comparison::new(systems, view);
    progress.stage("measuring how fast the systems are", "steps", None);
    let known = Known {
        systems,
        view,
        options,
        wrong: repairs.as_ref().map(wrong),
        repairs,
        primary_down: systems.primary.down().is_some(),
        asked,
    };
    let figures = known.measure(&comparison, &big_bang, &partial).await?;
    notes.extend(figures.notes.iter().cloned());
    let outlooks = vec![
        known.replay((Strategy::BigBang, big_bang), &figures),
        known.replay((Strategy::Partial, partial), &figures),
        known.reconcile(&figures),
    ];
    let commands = Commands {
        playbook: options.playbook.clone(),
        view: options.is_one_of_many.then(|| view.name.clone()),
        explained: known.wrong.as_ref().is_some_and(|w| !w.causes.is_empty()),
        has_primary: !known.primary_down,
    };
    let recommended = recommend(known.wrong.as_ref(), &outlooks, &commands);
    Ok(Weighed {
        view: view.name.clone(),
        table: view.table.table.to_string(),
        rows: known.rows(),
        wrong: known.wrong,
        notes,
        rates: figures.rates(),
        snapshot: beginning,
        outlooks,
        recommended,
    })
}

/// The replay's own plan of this view.
async fn planned(
    systems: &Systems,
    playbook: &str,
    view: &View,
    options: &Options,
    begin: Begin,
) -> Planned {
    let began = Instant::now();
    let asked = replay::Options {
        begin,
        into: Destination::Shadows,
        until: Vec::new(),
        no_swap: false,
        no_check: systems.primary.down().is_some(),
        on_bad: OnBad::Stop,
        accept_holes: false,
        deletes_max: options.deletes_max,
        cutover: options.cutover.clone(),
    };
    let views = std::slice::from_ref(view);
    let plan = replay::plan(systems, playbook, views, options.run.clone(), asked).await;
    let took = began.elapsed();
    match plan {
        Ok(plan) => Planned {
            blockers: plan.refusals.clone(),
            notes: plan.notes.clone(),
            plan: Some(plan),
            took,
        },
        Err(e) => Planned {
            took,
            ..Planned::blocked(format!("{e:#}"))
        },
    }
}

/// What a reconciliation would repair, every cause included, and what is to be known of it; nothing where nothing is compared.
async fn repairs(
    systems: &Systems,
    view: &View,
    options: &Options,
    big_bang: &Planned,
    progress: &Progress,
) -> Result<(Option<reconcile::Plan>, Vec<String>)> {
    if options.quick {
        let why = "--quick: what is wrong, and what a repair would write, is not known";
        return Ok((None, vec![why.to_owned()]));
    }
    if systems.primary.down().is_some() {
        return Ok((None, vec!["the primary does not answer".to_owned()]));
    }
    if let Some(why) = view.incomparable() {
        return Ok((None, vec![why]));
    }
    let mut notes = Vec::new();
    let by_cause = ByCause {
        only: Vec::new(),
        include: Cause::ALL.into_iter().filter(|c| !c.is_clear()).collect(),
    };
    let can_explain = big_bang.plan.is_some();
    if !can_explain {
        notes.push("causes were not looked for: the log cannot be read".to_owned());
    }
    let asked = reconcile::Options {
        selection: reconcile::Selection::default(),
        repairs_max: options.repairs_max,
        deletes_max: options.deletes_max,
        allow_shrink: false,
        lag_wait: options.lag_wait,
        hash: true,
        by_cause: can_explain.then_some(by_cause),
        sample: options.sample,
    };
    let run = options.run.clone();
    let mut plan = reconcile::plan(systems, view, run, &asked, progress).await?;
    if let Some(explained) = &plan.explained {
        notes.extend(explained.notes.iter().cloned());
    }
    notes.extend(plan.reasons.iter().cloned());
    plan.notes.retain(|note| !notes.contains(note));
    Ok((Some(plan), notes))
}

/// What is wrong, by the plan of its repairs.
fn wrong(plan: &reconcile::Plan) -> Wrong {
    let explained = plan.explained.clone().unwrap_or_default();
    let broken = |k: &&crate::report::explained::ExplainedKey| k.cause == Cause::LogIncomplete;
    let broken_keys = explained.keys.iter().filter(broken);
    Wrong {
        rows: plan.rows,
        differing: plan.repairs.len() as u64 + plan.beyond,
        lagging: plan.lagging,
        unknown: plan.undecided,
        broken_by_replay: explained.broken_by_replay().unwrap_or(0),
        broken_keys: broken_keys
            .take(limits::BROKEN_KEYS_SHOWN)
            .map(|k| k.key_text())
            .collect(),
        causes: explained.causes,
        patterns: explained.patterns,
    }
}

fn beginning(base: &Base) -> Beginning {
    let manifest = base.snapshot().manifest();
    let age = (now_ms() - manifest.created_ms).max(0) / 1_000;
    Beginning {
        id: manifest.id.clone(),
        created_ms: manifest.created_ms,
        age_seconds: u64::try_from(age).unwrap_or(0),
        known_good: base.snapshot().verified().is_some(),
    }
}

/// What was measured of one thing.
fn rate(of: &str, unit: &'static str, count: u64, seconds: f64) -> Rate {
    Rate {
        of: of.to_owned(),
        unit,
        count,
        seconds,
    }
}
