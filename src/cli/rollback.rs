//! `trueup rollback`

use std::path::PathBuf;

use anyhow::Result;

use super::consent::Consent;
use super::context::Format;
use super::pace::PaceArgs;
use super::replay::pausing;
use super::{Context, Exit, wiring};
use crate::strategies::Refused;
use crate::strategies::pace::{Watched, watched};
use crate::strategies::replay::cutover::close_open_pauses;
use crate::strategies::rollback::{self, Options, Plan};

/// Bring the table that a swap put aside back, caught up with the log since
///
/// What was swapped together goes back together, by one swap. The old tables catch up with the log first, while the projector
/// works, and once more while it rests, so that it goes on where it is. The tables that were live are kept in their turn: a
/// rollback can be rolled back.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Playbook
    #[arg(value_name = "PLAYBOOK")]
    playbook: PathBuf,
    /// Run whose swap is taken back, as `trueup runs` lists them, or `latest`
    #[arg(value_name = "RUN")]
    run: String,
    /// Bring the tables back as they are; the records that they lack are listed
    #[arg(long)]
    stale: bool,
    /// Print the plan and stop
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    pace: PaceArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let stop = context.stop_flag()?;
    let access = if args.dry_run {
        wiring::Use::Plan
    } else {
        wiring::Use::Replay
    };
    let mut wired = wiring::open(&args.playbook, &[], access).await?;
    args.pace.set(&mut wired, &stop);
    let (systems, name) = (&wired.systems, &wired.name);
    let options = Options {
        stale: args.stale,
        cutover: pausing(&wired),
    };
    let run = wiring::run_id();
    let plan = rollback::plan(systems, name, &wired.views, run, &args.run, options).await?;
    let report = plan.report();
    match (args.dry_run, args.format) {
        (false, _) => context.say(report.text().trim_end()),
        (true, Format::Json) => context.print(&format!("{}\n", report.json()))?,
        (true, Format::Table) => context.print(&report.text())?,
    }
    if !plan.refusals.is_empty() {
        return Err(Refused(plan.refusals).into());
    }
    if args.dry_run {
        return Ok(Exit::Done);
    }
    let permit = args.consent.to_write(&name_of(&plan), &report.act())?;
    close_open_pauses(&systems.read_store, &wired.cutover, &permit).await?;
    let progress = context.progress();
    let work = rollback::execute(systems, &plan, &permit, &progress, stop);
    let done = watched(systems, &progress, Watched::Writes, work).await;
    progress.finish();
    let report = done?.report(&plan);
    let again = format!("trueup rollback {} {}", args.playbook.display(), plan.run);
    match args.format {
        Format::Json => context.print(&format!("{}\n", report.json()))?,
        Format::Table => context.print(&report.text(&again))?,
    }
    Ok(Exit::Done)
}

/// What consent is asked by: the table's name; several tables have one name together, the playbook's.
fn name_of(plan: &Plan) -> String {
    match &plan.tables[..] {
        [table] => table.view.table.table.to_string(),
        _ => plan.playbook.clone(),
    }
}
