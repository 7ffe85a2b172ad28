//! `trueup doctor`

use std::path::PathBuf;

use anyhow::Result;

use super::context::Format;
use super::{Context, Exit, wiring};
use crate::limits;
use crate::strategies::doctor::{self, Options};

/// Look for what will cause the next drift; writes nothing, and exits with 1 when something has to be done
///
/// Errors and warnings have to be done something about; notes are good to know and change no exit code. What could not be
/// looked at (a missing right, a system that is away) is listed, and makes it 5 when nothing was found.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Playbook
    #[arg(value_name = "PLAYBOOK")]
    playbook: PathBuf,
    /// Only this view; may be repeated
    #[arg(long, value_name = "VIEW")]
    view: Vec<String>,
    /// Records that are read of each partition, from its end
    #[arg(long, value_name = "NUMBER", default_value_t = limits::DOCTOR_RECORDS, value_parser = clap::value_parser!(u64).range(1..))]
    records: u64,
    /// Read the whole log
    #[arg(long, conflicts_with = "records")]
    full: bool,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let stop = context.stop_flag()?;
    let examining = examine(&args, context);
    tokio::select! {
        done = examining => done,
        () = super::stopped(&stop) => Err(super::interrupted_reading()),
    }
}

async fn examine(args: &Args, context: &Context) -> Result<Exit> {
    let wired = wiring::open(&args.playbook, &args.view, wiring::Use::Plan).await?;
    let options = Options {
        records: (!args.full).then_some(args.records),
    };
    let report = doctor::examine(&wired.systems, &wired.name, &wired.views, options).await?;
    match args.format {
        Format::Json => context.print(&format!("{}\n", report.json()))?,
        Format::Table => context.print(&report.text())?,
    }
    Ok(match (report.is_ill(), report.is_incomplete()) {
        (true, _) => Exit::Drift,
        (false, true) => Exit::Incomplete,
        (false, false) => Exit::Done,
    })
}
