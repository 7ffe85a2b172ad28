//! `trueup replay partial` in place

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;

use super::{Common, name_of, offsets, print_plan};
use crate::cli::context::Format;
use crate::cli::wiring::Wired;
use crate::cli::{Context, Exit, flags, wiring};
use crate::limits;
use crate::store::{Acts, Kept, Standing, WritePermit};
use crate::strategies::bounds::Bound;
use crate::strategies::pace::{Watched, watched};
use crate::strategies::replay::{self, Begin, Destination, Options, in_place};
use crate::strategies::{Origin, Refused, View, reconcile};

/// What a replay in place is asked.
#[derive(clap::Args, Debug)]
pub(super) struct InPlace {
    /// In place: only these keys: `7,13`, JSON such as `[[1,"a"]]`, or @FILE with one a line; may be repeated
    #[arg(long, value_name = "KEYS")]
    keys: Vec<String>,
    /// In place: only keys whose row in the log or in the table passes, written as `where:` of a playbook
    #[arg(long = "where", value_name = "FILTER")]
    filter: Option<String>,
}

impl InPlace {
    /// Whether any of it was asked.
    pub(super) fn is_asked(&self) -> bool {
        !self.keys.is_empty() || self.filter.is_some()
    }
}

/// Where it begins.
pub(super) enum From<'a> {
    /// At offsets.
    Offsets(&'a str),
    /// At a time.
    Time(&'a str),
}

pub(super) async fn run(
    common: &Common,
    asked: &InPlace,
    from: From<'_>,
    context: &Context,
) -> Result<Exit> {
    let stop = context.stop_flag()?;
    let wired = open(common, &stop).await?;
    suits(&wired.views)?;
    let begin = match from {
        From::Offsets(written) => offsets::read("--from-offsets", written, &wired).await?,
        From::Time(written) => offsets::read("--from-time", written, &wired).await?,
    };
    let keys = flags::keys(&asked.keys)?;
    let repairs = repairs(&wired, &keys, asked.filter.as_deref())?;
    let done = replayed(&wired, common, (begin, repairs), stop, context).await?;
    Ok(done.map_or(Exit::Done, |(exit, _)| exit))
}

/// Reads the log of the keys of records that were set aside again, from those records on.
pub(in crate::cli) async fn again(
    common: &Common,
    open_records: &[Kept],
    context: &Context,
) -> Result<Exit> {
    let stop = context.stop_flag()?;
    let mut wired = open(common, &stop).await?;
    let of = |view: &View, kept: &Kept| view.table.table.name == kept.table;
    wired
        .views
        .retain(|view| open_records.iter().any(|kept| of(view, kept)));
    for kept in open_records {
        if !wired.views.iter().any(|view| of(view, kept)) && common.view.is_empty() {
            return Err(Refused::because(format!(
                "record {} was for {}, which no view of the playbook is: rebuild the view that reads it",
                kept.what.at(),
                kept.table
            ))
            .into());
        }
    }
    suits(&wired.views)?;
    let mut exits = Vec::new();
    for view in std::mem::take(&mut wired.views) {
        let its: Vec<&Kept> = open_records.iter().filter(|k| of(&view, k)).collect();
        wired.views = vec![view];
        let mut begin: BTreeMap<(String, i32), i64> = BTreeMap::new();
        for kept in &its {
            let at = (kept.what.topic.clone(), kept.what.partition);
            let first = begin.entry(at).or_insert(kept.what.offset);
            *first = kept.what.offset.min(*first);
        }
        let begin = begin.into_iter().map(|((t, p), o)| (t, p, o)).collect();
        let keys: Vec<Vec<String>> = its.iter().map(|k| k.what.key.clone()).collect();
        let repairs = repairs(&wired, &keys, None)?;
        let stop = Arc::clone(&stop);
        let done = replayed(&wired, common, (begin, repairs), stop, context).await?;
        let Some((exit, permit)) = done else {
            continue;
        };
        if exit == Exit::Done {
            for kept in its {
                let (of, one) = ((&*kept.run, &*kept.table), Some(kept.what.at()));
                let read_store = &wired.systems.read_store;
                read_store
                    .release(&permit, of, one, Standing::Retried)
                    .await?;
            }
        }
        exits.push(exit);
    }
    Ok(Exit::of_all(&exits))
}

async fn open(common: &Common, stop: &Arc<AtomicBool>) -> Result<Wired> {
    let access = if common.dry_run {
        wiring::Use::Plan
    } else {
        wiring::Use::Repair
    };
    let mut wired = wiring::open(&common.playbook, &common.view, access).await?;
    common.pace.set(&mut wired, stop);
    Ok(wired)
}

/// Refuses views whose rows a stretch of the log does not say.
fn suits(views: &[View]) -> Result<(), Refused> {
    for view in views {
        let of_what = match view.origin {
            Origin::Copy { .. } => continue,
            Origin::Query { .. } => "is a query",
            Origin::Events { .. } => "is made of events, which build on those before them",
        };
        return Err(Refused::because(format!(
            "view {} {of_what}: a stretch of the log does not say its rows; rebuild it from a snapshot (--snapshot)",
            view.name
        )));
    }
    Ok(())
}

/// What a replay in place reads, and what is asked of the repairs of each view.
type Asked = (Vec<(String, i32, i64)>, Vec<reconcile::Options>);

/// Plans it and does it; nothing of a dry run.
async fn replayed(
    wired: &Wired,
    common: &Common,
    (begin, repairs): Asked,
    stop: Arc<AtomicBool>,
    context: &Context,
) -> Result<Option<(Exit, WritePermit)>> {
    let options = Options {
        begin: Begin::Offsets(begin),
        into: Destination::Live,
        until: Vec::new(),
        no_swap: true,
        no_check: true,
        on_bad: common.on_bad.on_bad(),
        accept_holes: false,
        deletes_max: wired.deletes_max.unwrap_or(Bound::DELETES),
        cutover: wired.cutover.clone(),
    };
    let (systems, name) = (&wired.systems, &wired.name);
    let plan = replay::plan(systems, name, &wired.views, wiring::run_id(), options).await?;
    print_plan(&plan, common, context)?;
    if !plan.refusals.is_empty() {
        return Err(Refused(plan.refusals).into());
    }
    if common.dry_run {
        return Ok(None);
    }
    let permit = common
        .consent
        .to_write(&name_of(wired), &plan.report().act())?;
    if replay::cutover::close_open_pauses(&systems.read_store, &wired.cutover, &permit).await? {
        let problem = "the projector, which a run that died had left paused, was resumed; a replay in place needs it at rest: stop it and run the same command again";
        return Err(Refused::because(problem).into());
    }
    let progress = context.progress();
    let work = in_place::execute(systems, &plan, &repairs, &permit, &progress, stop);
    let done = watched(systems, &progress, Watched::Writes, work).await;
    progress.finish();
    let mut complete = true;
    for replayed in done? {
        let report = replayed.done.report(&replayed.plan);
        let (file, run) = (common.playbook.display(), &replayed.plan.run);
        match common.format {
            Format::Json => context.print(&format!("{}\n", report.json()))?,
            Format::Table => context.print(&report.text(&format!("trueup undo {file} {run}")))?,
        }
        complete &= replayed.done.tally.is_complete();
    }
    let exit = if complete {
        Exit::Done
    } else {
        Exit::Incomplete
    };
    Ok(Some((exit, permit)))
}

/// What is asked of the repairs of each view.
fn repairs(
    wired: &Wired,
    keys: &[Vec<String>],
    filter: Option<&str>,
) -> Result<Vec<reconcile::Options>> {
    let of = |view: &View| {
        let selection = wiring::selection((view, &view.mapping), Vec::new(), keys, filter, &[])?;
        Ok(reconcile::Options {
            selection,
            repairs_max: wired.repairs_max.unwrap_or(Bound::REPAIRS),
            deletes_max: wired.deletes_max.unwrap_or(Bound::DELETES),
            allow_shrink: true,
            lag_wait: limits::LAG_WAIT,
            hash: true,
            by_cause: None,
            sample: 0.0,
        })
    };
    wired.views.iter().map(of).collect()
}
