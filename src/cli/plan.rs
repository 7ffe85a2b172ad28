//! `trueup plan`

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::asked::Asked;
use super::context::Format;
use super::pace::PaceArgs;
use super::{Context, Exit, replay, wiring};
use crate::limits;
use crate::report::weighed;
use crate::strategies::Refused;
use crate::strategies::bounds::Bound;
use crate::strategies::pace::{Watched, watched};
use crate::strategies::weigh::{self, Options, Snapshot};

/// Put the three strategies side by side for each view, now, and recommend one; writes nothing
///
/// What is wrong is found and explained as by `verify --explain`, a few seconds of reading say how fast the systems are, and each
/// strategy's own plan says what stands in its way.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    asked: Asked,
    /// Compare nothing and look for no causes: only predict what each strategy would take
    #[arg(long)]
    quick: bool,
    /// Percent of the rows that agree to look at too, since a replay may break them
    #[arg(long, value_name = "PERCENT", default_value_t = limits::EXPLAIN_SAMPLE_PERCENT)]
    sample: f64,
    #[command(flatten)]
    pace: PaceArgs,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let stop = context.stop_flag()?;
    tokio::select! {
        done = all(&args, &stop, context) => Ok(done),
        () = super::stopped(&stop) => Err(super::interrupted_reading()),
    }
}

/// Every playbook, one after the other; one that fails does not keep the others from being planned.
async fn all(args: &Args, stop: &Arc<AtomicBool>, context: &Context) -> Exit {
    let mut exits = Vec::new();
    for playbook in &args.asked.playbooks {
        exits.push(match one(playbook, args, stop, context).await {
            Ok(()) => Exit::Done,
            Err(e) => {
                context.error(&e);
                Exit::of(&e)
            }
        });
    }
    Exit::of_all(&exits)
}

async fn one(path: &Path, args: &Args, stop: &Arc<AtomicBool>, context: &Context) -> Result<()> {
    let began = Instant::now();
    let mut wired = wiring::open(path, &args.asked.view, wiring::Use::Weigh).await?;
    let opened = began.elapsed();
    args.pace.set(&mut wired, stop);
    let options = Options {
        quick: args.quick,
        sample: args.sample / 100.0,
        lag_wait: args.asked.lag_wait.0,
        repairs_max: wired.repairs_max.unwrap_or(Bound::REPAIRS),
        deletes_max: wired.deletes_max.unwrap_or(Bound::DELETES),
        cutover: replay::pausing(&wired),
        snapshot: snapshot(&wired).await,
        opened,
        run: wiring::run_id(),
        playbook: path.display().to_string(),
        is_one_of_many: wired.views.len() > 1 || !args.asked.view.is_empty(),
    };
    let progress = context.progress();
    let mut weighed = Vec::new();
    for view in &wired.views {
        let (systems, name) = (&wired.systems, &wired.name);
        let work = weigh::weigh(systems, name, view, &options, &progress);
        let done = watched(systems, &progress, Watched::Reads, work).await;
        weighed.push(done.with_context(|| format!("view {}", view.name))?);
    }
    progress.finish();
    match args.asked.format {
        Format::Json => context.print(&format!("{}\n", weighed::json(&wired.name, &weighed))),
        Format::Table => context.print(&weighed::text(&wired.name, &weighed)),
    }
}

/// The newest snapshot that is known to be good; else the newest one, and why it may not be used as it is.
async fn snapshot(wired: &wiring::Wired) -> Snapshot {
    let began = Instant::now();
    let (base, unfit) = match replay::base(wired, LATEST, false).await {
        Ok(base) => (base, None),
        Err(missing) => match replay::base(wired, LATEST, true).await {
            Ok(base) => {
                let id = base.id();
                let unfit = format!(
                    "snapshot {id} is not known to be good: check it with `trueup snapshot verify`, or begin from it all the same \
                     with --unverified"
                );
                (base, Some(unfit))
            }
            Err(_) => return Snapshot::Missing(said(&missing)),
        },
    };
    Snapshot::Found {
        base: Arc::new(base),
        took: began.elapsed(),
        unfit,
    }
}

/// What `--snapshot` calls the newest one.
const LATEST: &str = "latest";

/// An error as a sentence.
fn said(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Refused>() {
        Some(refused) => refused.0.join("; "),
        None => format!("{error:#}"),
    }
}
