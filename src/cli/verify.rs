//! `trueup verify`

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::Result;

use super::asked::Asked;
use super::context::Format;
use super::flags::{Usage, Wait};
use super::metrics::MetricsFile;
use super::pace::PaceArgs;
use super::page::PageArgs;
use super::{Context, Exit, wiring};
use crate::limits;
use crate::report::metrics::Metrics;
use crate::report::verdict::{PlaybookVerdict, Verdict};
use crate::report::{html, json, table};
use crate::strategies::pace::{Watched, watched};
use crate::strategies::verify::{self, Options};

/// Compare read tables with the primary; writes nothing
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    asked: Asked,
    /// Show values of differing columns, not only keys and column names
    #[arg(long)]
    show_values: bool,
    /// End after this time, whatever is not decided by then; `10m` for example
    #[arg(long, value_name = "TIME")]
    time_budget: Option<Wait>,
    /// Merge every row instead of comparing hashes first
    #[arg(long)]
    no_hash: bool,
    /// Say why rows differ: read the log for their keys
    #[arg(long)]
    explain: bool,
    /// Percent of the rows that agree to look at too, since a replay may break them: 1 without this, which implies --explain
    #[arg(long, value_name = "PERCENT")]
    sample: Option<f64>,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    metrics: MetricsFile,
    #[command(flatten)]
    pace: PaceArgs,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit> {
    if args.page.is_asked() && args.asked.playbooks.len() > 1 {
        let what = "--report is about one playbook: verify them one by one";
        return Err(Usage(what.to_owned()).into());
    }
    let stop = context.stop_flag()?;
    tokio::select! {
        done = all(&args, &stop, context) => done,
        () = super::stopped(&stop) => Err(super::interrupted_reading()),
    }
}

/// Every playbook, one after the other; one that fails does not keep the others from being verified.
async fn all(args: &Args, stop: &Arc<AtomicBool>, context: &Context) -> Result<Exit> {
    let mut exits = Vec::new();
    let mut metrics = Metrics::default();
    for playbook in &args.asked.playbooks {
        let began = Instant::now();
        let (name, exit) = match one(playbook, args, stop, context).await {
            Ok(verdict) => {
                verdict.measure(&mut metrics);
                let exit = exit_of(&verdict);
                (verdict.playbook, exit)
            }
            Err(e) => {
                context.error(&e);
                (wiring::name_of(playbook), Exit::of(&e))
            }
        };
        args.metrics
            .ended(&mut metrics, &name, exit, began.elapsed());
        exits.push(exit);
    }
    args.metrics.write(&metrics)?;
    Ok(Exit::of_all(&exits))
}

fn exit_of(verdict: &PlaybookVerdict) -> Exit {
    match verdict.verdict() {
        Verdict::InSync => Exit::Done,
        Verdict::Drift => Exit::Drift,
        Verdict::Unknown => Exit::Incomplete,
    }
}

async fn one(
    path: &Path,
    args: &Args,
    stop: &Arc<AtomicBool>,
    context: &Context,
) -> Result<PlaybookVerdict> {
    let until = args
        .time_budget
        .map(|budget| tokio::time::Instant::now() + budget.0);
    let mut wired = wiring::open(path, &args.asked.view, wiring::Use::Verify).await?;
    args.pace.set(&mut wired, stop);
    let progress = context.progress();
    let mut views = Vec::new();
    let explain = args.explain || args.sample.is_some() || args.page.is_asked();
    let sample = args.sample.unwrap_or(limits::EXPLAIN_SAMPLE_PERCENT);
    for view in &wired.views {
        let options = Options {
            lag_wait: args.asked.lag_wait.0,
            until,
            hash: !args.no_hash,
            explain: explain.then_some(sample / 100.0),
        };
        let work = verify::verify(&wired.systems, view, options, &progress);
        let verdict = watched(&wired.systems, &progress, Watched::Reads, work).await;
        views.push(verdict.map_err(|e| e.context(format!("view {}", view.name)))?);
    }
    progress.finish();
    let verdict = PlaybookVerdict {
        playbook: wired.name,
        views,
    };
    args.page
        .write((&verdict.playbook, path), args.show_values, |about| {
            html::verified(about, &verdict)
        })?;
    match args.asked.format {
        Format::Json => {
            context.print(&format!("{}\n", json::verify(&verdict, args.show_values)))?
        }
        Format::Table => {
            let look = context.look(args.show_values);
            context.print(&table::verify(&verdict, look.values))?;
        }
    }
    Ok(verdict)
}
