//! `trueup undo`

use std::path::PathBuf;

use anyhow::Result;

use super::consent::Consent;
use super::context::Format;
use super::{Context, Exit, flags, wiring};
use crate::report::reconcile::Besides;
use crate::strategies::replay::cutover::close_open_pauses;
use crate::strategies::undo;

/// Take the repairs of a run back, each only while its row is as the repair left it
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Playbook
    #[arg(value_name = "PLAYBOOK")]
    playbook: PathBuf,
    /// Run id, as `trueup runs` lists them, or `latest`
    #[arg(value_name = "RUN")]
    run: String,
    /// Only these keys: `7,13`, JSON such as `[[1,"a"]]`, or @FILE with one a line; may be repeated
    #[arg(long, value_name = "KEYS")]
    keys: Vec<String>,
    /// Say what would be written and stop
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    consent: Consent,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let stop = context.stop_flag()?;
    let keys = flags::keys(&args.keys)?;
    let store = wiring::open_read_store(&args.playbook, !args.dry_run).await?;
    let plan = undo::plan(&store, wiring::run_id(), &args.run, &keys).await?;
    let report = plan.report();
    match (args.dry_run, args.format) {
        (false, _) => context.say(report.text().trim_end()),
        (true, Format::Json) => context.print(&format!("{}\n", report.json()))?,
        (true, Format::Table) => context.print(&report.text())?,
    }
    if args.dry_run || plan.writes.is_empty() {
        return Ok(Exit::Done);
    }
    let permit = args.consent.to_write(&report.table, &report.act())?;
    let cutover = wiring::cutover_of(&args.playbook)?;
    close_open_pauses(&store, &cutover, &permit).await?;
    let progress = context.progress();
    let done = undo::execute(&store, &plan, &permit, &progress, &stop).await;
    progress.finish();
    let done = done?;
    let table = &plan.table.table;
    let report = done.report("undo", &plan.run, None, table, Besides::default());
    let again = format!("trueup undo {} {}", args.playbook.display(), plan.run);
    match args.format {
        Format::Json => context.print(&format!("{}\n", report.json()))?,
        Format::Table => context.print(&report.text(&again))?,
    }
    Ok(if done.is_complete() {
        Exit::Done
    } else {
        Exit::Incomplete
    })
}
