//! `trueup replay`

mod in_place;
mod offsets;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;

use self::in_place::InPlace;

pub(super) use self::in_place::again;

use super::consent::{self, Consent};
use super::context::Format;
use super::pace::PaceArgs;
use super::{Context, Exit, wiring};
use crate::report::replay::refused_json;
use crate::snapshot::Place;
use crate::strategies::bounds::Bound;
use crate::strategies::load::OnBad;
use crate::strategies::pace::{Watched, watched};
use crate::strategies::replay::base::Base;
use crate::strategies::replay::check::WouldBreak;
use crate::strategies::replay::{self, Begin, Cutover, Destination, Options, Pausing, Plan};
use crate::strategies::{Refused, blocking};

/// Rebuild views from the log
#[derive(clap::Subcommand, Debug)]
pub(super) enum Replay {
    BigBang(BigBang),
    Partial(Partial),
}

/// Rebuild views from offset zero in shadows, check them against the primary, and swap them in together
#[derive(clap::Args, Debug)]
pub(super) struct BigBang {
    #[command(flatten)]
    shadowed: Shadowed,
    #[command(flatten)]
    common: Common,
}

/// Apply only what the log has since a snapshot, or since some offsets
///
/// From a snapshot, views are rebuilt in shadows and swapped in, as by `big-bang`. From offsets or a time, the records are
/// folded to each key's final row, and what differs is written into the live table, fenced and journalled, as by `reconcile`;
/// the projector must be at rest meanwhile.
#[derive(clap::Args, Debug)]
pub(super) struct Partial {
    #[command(flatten)]
    begin: BeginArgs,
    #[command(flatten)]
    shadowed: Shadowed,
    #[command(flatten)]
    in_place: InPlace,
    /// Begin from a snapshot though it is not known to be good
    #[arg(long, requires = "snapshot")]
    unverified: bool,
    #[command(flatten)]
    common: Common,
}

/// What every replay is asked.
#[derive(clap::Args, Debug)]
pub(super) struct Common {
    /// Playbook
    #[arg(value_name = "PLAYBOOK")]
    pub(super) playbook: PathBuf,
    /// Only this view; may be repeated
    #[arg(long, value_name = "VIEW")]
    pub(super) view: Vec<String>,
    /// Print the plan and stop
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) consent: Consent,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
    /// What becomes of a record that cannot be applied: it stops the run, or is kept in quarantine and blocks its key
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Bad::Stop)]
    pub(super) on_bad: Bad,
    #[command(flatten)]
    pub(super) pace: PaceArgs,
}

/// What becomes of a record that cannot be applied.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// It stops the run
    Stop,
    /// It is kept, and its key is blocked: its row comes from the primary, or stays as it was
    Quarantine,
}

impl Bad {
    fn on_bad(self) -> OnBad {
        match self {
            Bad::Stop => OnBad::Stop,
            Bad::Quarantine => OnBad::Quarantine,
        }
    }
}

/// What a replay into shadows is asked.
#[derive(clap::Args, Debug)]
pub(super) struct Shadowed {
    /// Read only up to a time (RFC 3339) or to offsets (`topic:partition:offset,…`); implies --no-swap
    #[arg(long, value_name = "WHERE")]
    until: Option<String>,
    /// Build the shadows and leave them beside the live tables
    #[arg(long)]
    no_swap: bool,
    /// Do not compare the shadows with the primary before the swap
    #[arg(long)]
    no_check: bool,
    /// Swap though keys are blocked by records in quarantine, and the primary does not say what their rows are
    #[arg(long)]
    accept_holes: bool,
    /// Swap only when this file is gone; until then, keep the shadows up to date
    #[arg(long, value_name = "FILE")]
    cutover_file: Option<PathBuf>,
    /// Bring the tables to the end of the log, and set the offsets of the projector's group to it: for a projector that cannot
    /// get there; only when all that its group reads is in this replay
    #[arg(long, conflicts_with_all = ["view", "until", "no_swap"])]
    hand_over: bool,
}

/// How the projector is paused: by the playbook's commands, else by asking, where somebody can be asked.
pub(super) fn pausing(wired: &wiring::Wired) -> Cutover {
    let mut cutover = wired.cutover.clone();
    if cutover.pausing.is_none() && consent::can_ask() {
        cutover.pausing = Some(Pausing::ByHand(Arc::new(consent::wait_for)));
    }
    cutover
}

/// Where a partial replay begins.
#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct BeginArgs {
    /// Begin from a snapshot: `latest`, or its id
    #[arg(long, value_name = "ID")]
    snapshot: Option<String>,
    /// Begin at these offsets (`topic:partition:offset,…`), in place; partitions that are not named are not read
    #[arg(long, value_name = "OFFSETS")]
    from_offsets: Option<String>,
    /// Begin at a time (RFC 3339), in place
    #[arg(long, value_name = "TIME")]
    from_time: Option<String>,
}

pub(super) async fn run(replay: Replay, context: &Context) -> Result<Exit> {
    match replay {
        Replay::BigBang(args) => {
            let stop = context.stop_flag()?;
            let wired = open(&args.common, &stop).await?;
            let (common, shadowed) = (&args.common, &args.shadowed);
            into_shadows(&wired, Begin::Zero, common, shadowed, stop, context).await
        }
        Replay::Partial(args) => partial(args, context).await,
    }
}

async fn partial(args: Partial, context: &Context) -> Result<Exit> {
    let BeginArgs {
        snapshot,
        from_offsets,
        from_time,
    } = &args.begin;
    match (snapshot, from_offsets, from_time) {
        (Some(id), ..) => {
            if args.in_place.is_asked() {
                return Err(Refused::because(
                    "a replay narrowed by --keys or --where never swaps: give --from-offsets or --from-time",
                )
                .into());
            }
            let stop = context.stop_flag()?;
            let wired = open(&args.common, &stop).await?;
            let base = base(&wired, id, args.unverified).await?;
            let begin = Begin::Snapshot(Arc::new(base));
            let (common, shadowed) = (&args.common, &args.shadowed);
            into_shadows(&wired, begin, common, shadowed, stop, context).await
        }
        (None, Some(offsets), _) => {
            let from = in_place::From::Offsets(offsets);
            in_place::run(&args.common, &args.in_place, from, context).await
        }
        (None, None, time) => {
            let from = in_place::From::Time(time.as_deref().unwrap_or_default());
            in_place::run(&args.common, &args.in_place, from, context).await
        }
    }
}

async fn open(common: &Common, stop: &Arc<AtomicBool>) -> Result<wiring::Wired> {
    let access = if common.dry_run {
        wiring::Use::Plan
    } else {
        wiring::Use::Replay
    };
    let mut wired = wiring::open(&common.playbook, &common.view, access).await?;
    common.pace.set(&mut wired, stop);
    Ok(wired)
}

/// A snapshot of the playbook, all of it checked; one that is not known to be good only where that is asked for.
pub(super) async fn base(wired: &wiring::Wired, id: &str, unverified: bool) -> Result<Base> {
    let (place, id) = (wired.snapshots.clone(), id.to_owned());
    blocking(move || {
        let id = match id.as_str() {
            "latest" => latest(&place, unverified)?,
            _ => id,
        };
        let snapshot = place.load(&id)?;
        if snapshot.verified().is_none() && !unverified {
            return Err(Refused::because(format!(
                "snapshot {id} is not known to be good: check it with `trueup snapshot verify`, or begin from it all the same with --unverified"
            ))
            .into());
        }
        Base::new(snapshot)
    })
    .await
}

/// The newest whole one that may be used.
fn latest(place: &Place, unverified: bool) -> Result<String> {
    let mut damaged = Vec::new();
    for listed in place.list()?.into_iter().rev() {
        match listed.what {
            Ok((_, verified)) if verified.is_some() || unverified => return Ok(listed.id),
            Ok(_) => {}
            Err(problem) => damaged.push(problem.to_string()),
        }
    }
    let mut reasons = vec![format!(
        "there is no snapshot {}: make one with `trueup snapshot create --verify`",
        if unverified {
            "to begin from"
        } else {
            "that is known to be good"
        }
    )];
    reasons.extend(damaged);
    Err(Refused(reasons).into())
}

async fn into_shadows(
    wired: &wiring::Wired,
    begin: Begin,
    common: &Common,
    shadowed: &Shadowed,
    stop: Arc<AtomicBool>,
    context: &Context,
) -> Result<Exit> {
    let until = match &shadowed.until {
        Some(until) => offsets::read("--until", until, wired).await?,
        None => Vec::new(),
    };
    let options = Options {
        begin,
        into: Destination::Shadows,
        no_swap: shadowed.no_swap || shadowed.until.is_some(),
        no_check: shadowed.no_check,
        on_bad: common.on_bad.on_bad(),
        accept_holes: shadowed.accept_holes,
        deletes_max: wired.deletes_max.unwrap_or(Bound::DELETES),
        until,
        cutover: Cutover {
            postpone: shadowed.cutover_file.clone(),
            hand_over: shadowed.hand_over,
            ..pausing(wired)
        },
    };
    let plan = replay::plan(
        &wired.systems,
        &wired.name,
        &wired.views,
        wiring::run_id(),
        options,
    )
    .await?;
    print_plan(&plan, common, context)?;
    if !plan.refusals.is_empty() {
        return Err(Refused(plan.refusals).into());
    }
    if common.dry_run {
        return Ok(Exit::Done);
    }
    let permit = common
        .consent
        .to_write(&name_of(wired), &plan.report().act())?;
    replay::cutover::close_open_pauses(&wired.systems.read_store, &wired.cutover, &permit).await?;
    let progress = context.progress();
    let systems = &wired.systems;
    let work = replay::execute(systems, &plan, &permit, &progress, stop);
    let done = watched(systems, &progress, Watched::Writes, work).await;
    progress.finish();
    let views: Vec<&str> = wired.views.iter().map(|v| v.name.as_str()).collect();
    let done = match done {
        Ok(done) => done,
        Err(e) => {
            print_refusal(&e, &plan, common, context)?;
            return Err(e.context(format!("view {}", views.join(", "))));
        }
    };
    let report = done.report(&plan);
    match common.format {
        Format::Json => context.print(&format!("{}\n", report.json()))?,
        Format::Table => context.print(&report.text())?,
    }
    Ok(match done.checked {
        checked if checked.differing > 0 => Exit::Drift,
        checked if checked.underway > 0 => Exit::Incomplete,
        _ => Exit::Done,
    })
}

/// What consent is asked by: the table's name; several tables have one name together, the playbook's.
fn name_of(wired: &wiring::Wired) -> String {
    match &wired.views[..] {
        [view] => view.table.table.to_string(),
        _ => wired.name.clone(),
    }
}

/// For programs, a shadow that was refused is a result too: it names the keys that it would have broken.
fn print_refusal(
    error: &anyhow::Error,
    plan: &Plan,
    common: &Common,
    context: &Context,
) -> Result<()> {
    let Some(why) = error.downcast_ref::<WouldBreak>() else {
        return Ok(());
    };
    if common.format == Format::Table {
        return Ok(());
    }
    let broken = (why.worse.count, why.worse.keys.as_slice());
    let (strategy, reasons) = (plan.report().strategy, &why.refused.0);
    let json = refused_json(strategy, &plan.run, reasons, broken);
    context.print(&format!("{json}\n"))
}

/// A dry run's result is the plan; otherwise it is shown on stderr, before anything is asked.
fn print_plan(plan: &Plan, args: &Common, context: &Context) -> Result<()> {
    match (args.dry_run, args.format) {
        (false, _) => context.say(&plan.report().text()),
        (true, Format::Json) => context.print(&format!("{}\n", plan.report().json()))?,
        (true, Format::Table) => context.print(&plan.report().text())?,
    }
    Ok(())
}
