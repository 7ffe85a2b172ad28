//! `trueup snapshot create` and `trueup snapshot verify`

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;

use crate::cli::consent::Consent;
use crate::cli::context::Format;
use crate::cli::flags::Wait;
use crate::cli::pace::PaceArgs;
use crate::cli::{Context, Exit, replay as bases, wiring};
use crate::limits;
use crate::report::made as report;
use crate::strategies::bounds::Bound;
use crate::strategies::load::OnBad;
use crate::strategies::pace::{Watched, watched};
use crate::strategies::replay::{self, Begin, Destination, Plan};
use crate::strategies::snapshot::{self, Options, Outcome};
use crate::strategies::{Applied, Refused};

/// Fold the log since the last snapshot into a new one
///
/// The log is folded in a staging area of the read store (or of `staging:`), never in its tables, so that what has drifted
/// there cannot get into a snapshot.
#[derive(clap::Args, Debug)]
pub(in crate::cli) struct CreateArgs {
    /// Playbook
    #[arg(value_name = "PLAYBOOK")]
    playbook: PathBuf,
    /// Only this view; may be repeated
    #[arg(long, value_name = "VIEW")]
    view: Vec<String>,
    /// Compare it with the primary, and mark it as known to be good
    #[arg(long)]
    verify: bool,
    /// Fold the whole log, from offset zero, instead of going on from the last snapshot
    #[arg(long)]
    full: bool,
    /// Print the plan and stop
    #[arg(long)]
    dry_run: bool,
    /// With --verify: how long to wait for the log to have what the primary has
    #[arg(long, value_name = "TIME", default_value_t = Wait(limits::LAG_WAIT))]
    lag_wait: Wait,
    #[command(flatten)]
    consent: Consent,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    pace: PaceArgs,
}

/// Compare a snapshot, with the log after it, with the primary, and mark it as known to be good
#[derive(clap::Args, Debug)]
pub(in crate::cli) struct VerifyArgs {
    /// Playbook
    #[arg(value_name = "PLAYBOOK")]
    playbook: PathBuf,
    /// Snapshot id, as `trueup snapshot list` has them, or `latest`
    #[arg(value_name = "ID")]
    id: String,
    /// Only this view; may be repeated. A snapshot that is compared in part is not marked
    #[arg(long, value_name = "VIEW")]
    view: Vec<String>,
    /// How long to wait for the log to have what the primary has
    #[arg(long, value_name = "TIME", default_value_t = Wait(limits::LAG_WAIT))]
    lag_wait: Wait,
    #[command(flatten)]
    consent: Consent,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    pace: PaceArgs,
}

pub(super) async fn create(args: CreateArgs, context: &Context) -> Result<Exit> {
    let stop = context.stop_flag()?;
    let mut wired = open(&args.playbook, &args.view, args.dry_run).await?;
    args.pace.set(&mut wired, &stop);
    let begin = if args.full {
        Begin::Zero
    } else {
        newest(&wired, context).await?
    };
    let plan = plan(&wired, begin).await?;
    show_plan(&plan, args.dry_run, args.format, context)?;
    if !plan.refusals.is_empty() {
        return Err(Refused(plan.refusals).into());
    }
    if args.dry_run {
        return Ok(Exit::Done);
    }
    let act = format!(
        "this stages what the log says, and writes a snapshot into {}",
        wired.snapshots
    );
    let permit = args.consent.to_write(&wired.name, &act)?;
    let options = Options {
        verify: args.verify,
        mark: true,
        lag_wait: args.lag_wait.0,
    };
    let (systems, place) = (&wired.systems, wired.snapshots.clone());
    let progress = context.progress();
    let work = snapshot::create(systems, &plan, place, options, &permit, &progress, stop);
    let made = watched(systems, &progress, Watched::Writes, work).await;
    progress.finish();
    let (manifest, outcome) = made?;
    let verified = wired.snapshots.load(&manifest.id)?.verified().cloned();
    let made = super::whole(manifest, verified);
    print(made, &outcome, args.format, context)
}

pub(super) async fn verify(args: VerifyArgs, context: &Context) -> Result<Exit> {
    let stop = context.stop_flag()?;
    let mut wired = open(&args.playbook, &args.view, false).await?;
    args.pace.set(&mut wired, &stop);
    let base = bases::base(&wired, &args.id, true).await?;
    let plan = plan(&wired, Begin::Snapshot(Arc::new(base))).await?;
    if !plan.refusals.is_empty() {
        return Err(Refused(plan.refusals).into());
    }
    let act = "this stages what the snapshot and the log after it say, and compares that with the primary";
    let permit = args.consent.to_write(&wired.name, act)?;
    let options = Options {
        verify: true,
        mark: args.view.is_empty(),
        lag_wait: args.lag_wait.0,
    };
    let (systems, place) = (&wired.systems, wired.snapshots.clone());
    let progress = context.progress();
    let work = snapshot::verify(systems, &plan, place, options, &permit, &progress, stop);
    let outcome = watched(systems, &progress, Watched::Writes, work).await;
    progress.finish();
    let outcome = outcome?;
    let snapshot = wired.snapshots.load(&outcome.id)?;
    let (manifest, verified) = (snapshot.manifest().clone(), snapshot.verified().cloned());
    print(
        super::whole(manifest, verified),
        &outcome,
        args.format,
        context,
    )
}

async fn open(playbook: &std::path::Path, views: &[String], read: bool) -> Result<wiring::Wired> {
    let purpose = if read {
        wiring::Use::Plan
    } else {
        wiring::Use::Replay
    };
    let mut wired = wiring::open(playbook, views, purpose).await?;
    // Nothing is written where a projector writes.
    wired.systems.applied = Applied::None;
    Ok(wired)
}

/// The newest snapshot that is whole and fits, to go on from; else the beginning of the log.
async fn newest(wired: &wiring::Wired, context: &Context) -> Result<Begin> {
    let base = match bases::base(wired, "latest", true).await {
        Ok(base) => Arc::new(base),
        Err(e) if e.is::<Refused>() => return Ok(Begin::Zero),
        Err(e) => return Err(e),
    };
    let begin = Begin::Snapshot(Arc::clone(&base));
    let tried = plan(wired, begin.clone()).await?;
    if tried.refusals.is_empty() {
        return Ok(begin);
    }
    context.say(&format!(
        "snapshot {} cannot be gone on from, so the whole log is folded: {}",
        base.id(),
        tried.refusals.join("; ")
    ));
    Ok(Begin::Zero)
}

async fn plan(wired: &wiring::Wired, begin: Begin) -> Result<Plan> {
    let options = replay::Options {
        begin,
        into: Destination::Aside,
        until: Vec::new(),
        no_swap: true,
        no_check: true,
        on_bad: OnBad::Stop,
        accept_holes: false,
        deletes_max: Bound::DELETES,
        cutover: replay::Cutover::default(),
    };
    let (systems, name) = (&wired.systems, &wired.name);
    replay::plan(systems, name, &wired.views, wiring::run_id(), options).await
}

/// A dry run's result is the plan; otherwise it is shown on stderr.
fn show_plan(plan: &Plan, dry_run: bool, format: Format, context: &Context) -> Result<()> {
    let report = plan.report().of_snapshot();
    match (dry_run, format) {
        (false, _) => {
            context.say(&report.text());
            Ok(())
        }
        (true, Format::Json) => context.print(&format!("{}\n", report.json())),
        (true, Format::Table) => context.print(&report.text()),
    }
}

fn print(
    snapshot: crate::report::snapshot::Snapshot,
    outcome: &Outcome,
    format: Format,
    context: &Context,
) -> Result<Exit> {
    let checked = report::Checked {
        rows: outcome.checked,
        differing: outcome.differing.clone(),
        undecided: outcome.undecided.clone(),
    };
    let made = report::Made { snapshot, checked };
    match format {
        Format::Json => context.print(&format!("{}\n", made.json()))?,
        Format::Table => context.print(&made.text())?,
    }
    Ok(exit(outcome))
}

fn exit(outcome: &Outcome) -> Exit {
    if !outcome.differing.is_empty() {
        Exit::Drift
    } else if outcome.undecided.is_some() {
        Exit::Incomplete
    } else {
        Exit::Done
    }
}
