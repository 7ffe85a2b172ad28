//! `trueup verify`

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::context::Format;
use super::{Context, Exit, wiring};
use crate::limits;
use crate::report::verdict::{PlaybookVerdict, Verdict};
use crate::report::{json, table};
use crate::strategies::Interrupted;
use crate::strategies::verify::{self, Options};

/// Compare read tables with the primary; writes nothing
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Playbooks
    #[arg(required = true, value_name = "PLAYBOOK")]
    playbooks: Vec<PathBuf>,
    /// Only this view; may be repeated
    #[arg(long, value_name = "VIEW")]
    view: Vec<String>,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Show values of differing columns, not only keys and column names
    #[arg(long)]
    show_values: bool,
    /// How long to wait for lag to pass, `90s` for example
    #[arg(long, value_name = "TIME", default_value_t = Wait(limits::LAG_WAIT))]
    lag_wait: Wait,
    /// Merge every row instead of comparing hashes first
    #[arg(long)]
    no_hash: bool,
}

/// A duration, as the flags write it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait(pub(super) Duration);

impl std::fmt::Display for Wait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}s", self.0.as_secs())
    }
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let stop = context.stop_flag()?;
    let stopped = async {
        while !stop.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        done = all(&args, context) => done,
        () = stopped => Err(Interrupted { state: "interrupted: nothing was written".to_owned() }.into()),
    }
}

/// Every playbook, one after the other; one that fails does not keep the others from being verified.
async fn all(args: &Args, context: &Context) -> Result<Exit> {
    let mut exits = Vec::new();
    for playbook in &args.playbooks {
        exits.push(match one(playbook, args, context).await {
            Ok(exit) => exit,
            Err(e) => {
                context.error(&e);
                Exit::of(&e)
            }
        });
    }
    Ok(Exit::of_all(&exits))
}

async fn one(path: &std::path::Path, args: &Args, context: &Context) -> Result<Exit> {
    let wired = wiring::open(path, &args.view, wiring::Use::Verify).await?;
    let options = Options {
        lag_wait: args.lag_wait.0,
        hash: !args.no_hash,
    };
    let progress = context.progress();
    let mut views = Vec::new();
    for view in &wired.views {
        let verdict = verify::verify(&wired.systems, view, options, &progress).await;
        views.push(verdict.map_err(|e| e.context(format!("view {}", view.name)))?);
    }
    progress.finish();
    let verdict = PlaybookVerdict {
        playbook: wired.name,
        views,
    };
    match args.format {
        Format::Json => {
            context.print(&format!("{}\n", json::verify(&verdict, args.show_values)))?
        }
        Format::Table => {
            use std::io::IsTerminal;
            let show = args.show_values || std::io::stdout().is_terminal();
            context.print(&table::verify(&verdict, show))?;
        }
    }
    Ok(match verdict.verdict() {
        Verdict::InSync => Exit::Done,
        Verdict::Drift => Exit::Drift,
        Verdict::Unknown => Exit::Incomplete,
    })
}

impl std::str::FromStr for Wait {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> Result<Wait> {
        let at = text
            .find(|c: char| !c.is_ascii_digit())
            .ok_or_else(|| anyhow!("give a unit: 500ms, 90s, 2m or 1h"))?;
        let number: u64 = text[..at].parse()?;
        let unit = match &text[at..] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(anyhow!("give a unit: 500ms, 90s, 2m or 1h")),
        };
        Ok(Wait(Duration::from_millis(number.saturating_mul(unit))))
    }
}
