//! `trueup lag`

use std::path::PathBuf;

use anyhow::Result;

use super::context::Format;
use super::flags::Wait;
use super::metrics::MetricsFile;
use super::{Context, Exit, wiring};
use crate::report::lag::LagReport;
use crate::report::metrics::Metrics;
use crate::strategies::lag::status::status;

/// Say how far the log is behind the primary, and the projector behind the log; writes nothing
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Playbook
    #[arg(value_name = "PLAYBOOK")]
    playbook: PathBuf,
    /// Only this view; may be repeated
    #[arg(long, value_name = "VIEW")]
    view: Vec<String>,
    /// Exit with 1 when more events than this are not applied
    #[arg(long, value_name = "NUMBER")]
    max_events: Option<u64>,
    /// Exit with 1 when either half is behind for longer than this, `90s` for example
    #[arg(long, value_name = "TIME")]
    max_time: Option<Wait>,
    /// Look again every so often, until interrupted
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "2s")]
    watch: Option<Wait>,
    #[command(flatten)]
    metrics: MetricsFile,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let stop = context.stop_flag()?;
    let watching = watch(&args, context);
    tokio::select! {
        done = watching => done,
        () = super::stopped(&stop) => Err(super::interrupted_reading()),
    }
}

async fn watch(args: &Args, context: &Context) -> Result<Exit> {
    let wired = wiring::open(&args.playbook, &args.view, wiring::Use::Verify).await?;
    loop {
        let report = status(&wired.systems, &wired.name, &wired.views).await?;
        let mut metrics = Metrics::default();
        report.measure(&mut metrics);
        args.metrics.write(&metrics)?;
        match args.format {
            Format::Json => context.print(&format!("{}\n", report.json()))?,
            Format::Table => context.print(&report.text())?,
        }
        let Some(pause) = args.watch else {
            return Ok(judge(args, &report));
        };
        tokio::time::sleep(pause.0).await;
    }
}

fn judge(args: &Args, report: &LagReport) -> Exit {
    let late = args
        .max_time
        .is_some_and(|most| report.seconds() > most.0.as_secs_f64());
    let much = args.max_events.is_some_and(|most| report.events() > most);
    if late || much {
        Exit::Drift
    } else if report.reasons.is_empty() {
        Exit::Done
    } else {
        Exit::Incomplete
    }
}
