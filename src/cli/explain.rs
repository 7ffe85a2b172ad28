//! `trueup explain`

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::context::Format;
use super::flags::{self, Wait};
use super::pace::PaceArgs;
use super::{Context, Exit, wiring};
use crate::limits;
use crate::report::explained;
use crate::strategies::explain::{self, Options};
use crate::strategies::pace::{Watched, watched};

/// Say why rows are as they are: what primary, log and read store say of some keys; writes nothing
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Playbook
    #[arg(value_name = "PLAYBOOK")]
    playbook: PathBuf,
    /// The view; may be left out where the playbook has one
    #[arg(long, value_name = "VIEW")]
    view: Option<String>,
    /// The keys: `7,13`, JSON such as `[[1,"a"]]`, or @FILE with one a line; may be repeated
    #[arg(
        long = "key",
        visible_alias = "keys",
        value_name = "KEYS",
        required = true
    )]
    keys: Vec<String>,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Show values of columns, not only keys and column names
    #[arg(long)]
    show_values: bool,
    /// How long to wait for the log to have what the primary has, `90s` for example
    #[arg(long, value_name = "TIME", default_value_t = Wait(limits::LAG_WAIT))]
    lag_wait: Wait,
    #[command(flatten)]
    pace: PaceArgs,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let stop = context.stop_flag()?;
    let views: Vec<String> = args.view.iter().cloned().collect();
    let mut wired = wiring::open(&args.playbook, &views, wiring::Use::Verify).await?;
    args.pace.set(&mut wired, &stop);
    let [view] = wired.views.as_slice() else {
        let names: Vec<&str> = wired.views.iter().map(|v| v.name.as_str()).collect();
        let what = format!("which view? name one with --view: {}", names.join(", "));
        return Err(flags::Usage(what).into());
    };
    let keys = flags::keys(&args.keys)?;
    let selection = wiring::selection(
        (view, &view.mapping.compared()),
        Vec::new(),
        &keys,
        None,
        &[],
    )?;
    let options = Options {
        sample: 0.0,
        lag_wait: args.lag_wait.0,
    };
    let progress = context.progress();
    let work = explain::keys(&wired.systems, view, &selection.keys, options, &progress);
    let work = watched(&wired.systems, &progress, Watched::Reads, work);
    let told = tokio::select! {
        told = work => told.with_context(|| format!("view {}", view.name))?,
        () = super::stopped(&stop) => return Err(super::interrupted_reading()),
    };
    progress.finish();
    match args.format {
        Format::Json => {
            let json = explained::keys_json(&wired.name, &view.name, &told, args.show_values);
            context.print(&format!("{json}\n"))?;
        }
        Format::Table => {
            let look = context.look(args.show_values);
            context.print(&explained::keys_text(&view.name, &told, look.values))?;
        }
    }
    Ok(if told.differing() > 0 {
        Exit::Drift
    } else {
        Exit::Done
    })
}
