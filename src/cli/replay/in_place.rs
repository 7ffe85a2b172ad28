//! `trueup replay partial` in place

use anyhow::Result;

use super::{Common, name_of, offsets, print_plan};
use crate::cli::context::Format;
use crate::cli::{Context, Exit, flags, wiring};
use crate::limits;
use crate::strategies::bounds::Bound;
use crate::strategies::pace::{Watched, watched};
use crate::strategies::replay::{self, Begin, Destination, Options, in_place};
use crate::strategies::{Origin, Refused, reconcile};

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
    let access = if common.dry_run {
        wiring::Use::Plan
    } else {
        wiring::Use::Repair
    };
    let mut wired = wiring::open(&common.playbook, &common.view, access).await?;
    common.pace.set(&mut wired, &stop);
    for view in &wired.views {
        let of_what = match view.origin {
            Origin::Copy { .. } => continue,
            Origin::Query { .. } => "is a query",
            Origin::Events { .. } => "is made of events, which build on those before them",
        };
        return Err(Refused::because(format!(
            "view {} {of_what}: a stretch of the log does not say its rows; rebuild it from a snapshot (--snapshot)",
            view.name
        ))
        .into());
    }
    let begin = match from {
        From::Offsets(written) => offsets::read("--from-offsets", written, &wired).await?,
        From::Time(written) => offsets::read("--from-time", written, &wired).await?,
    };
    let options = Options {
        begin: Begin::Offsets(begin),
        into: Destination::Live,
        until: Vec::new(),
        no_swap: true,
        no_check: true,
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
        return Ok(Exit::Done);
    }
    let repairs = repairs(&wired, asked)?;
    let permit = common
        .consent
        .to_write(&name_of(&wired), &plan.report().act())?;
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
    Ok(if complete {
        Exit::Done
    } else {
        Exit::Incomplete
    })
}

/// What is asked of the repairs of each view.
fn repairs(wired: &wiring::Wired, asked: &InPlace) -> Result<Vec<reconcile::Options>> {
    let keys = flags::keys(&asked.keys)?;
    let of = |view| {
        let view: &crate::strategies::View = view;
        let filter = asked.filter.as_deref();
        let selection = wiring::selection((view, &view.mapping), Vec::new(), &keys, filter, &[])?;
        Ok(reconcile::Options {
            selection,
            repairs_max: wired.repairs_max.unwrap_or(Bound::REPAIRS),
            deletes_max: wired.deletes_max.unwrap_or(Bound::DELETES),
            allow_shrink: true,
            lag_wait: limits::LAG_WAIT,
            hash: true,
        })
    };
    wired.views.iter().map(of).collect()
}
