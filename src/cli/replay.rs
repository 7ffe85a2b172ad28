//! `trueup replay`

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};

use super::consent::Consent;
use super::context::Format;
use super::{Context, Exit, wiring};
use crate::strategies::Refused;
use crate::strategies::big_bang::{self, Done};
use crate::strategies::bounds::Bound;
use crate::strategies::plan::{self, Options, Plan};

/// Rebuild a view from the log
#[derive(clap::Subcommand, Debug)]
pub(super) enum Replay {
    BigBang(Args),
}

/// Rebuild a view from offset zero in a shadow, check it against the primary, and swap it in
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Playbook
    #[arg(value_name = "PLAYBOOK")]
    playbook: PathBuf,
    /// Only this view; may be repeated
    #[arg(long, value_name = "VIEW")]
    view: Vec<String>,
    /// Print the plan and stop
    #[arg(long)]
    dry_run: bool,
    /// Read only up to a time (RFC 3339) or to offsets (`topic:partition:offset,…`); implies --no-swap
    #[arg(long, value_name = "WHERE")]
    until: Option<String>,
    /// Build the shadow and leave it beside the live table
    #[arg(long)]
    no_swap: bool,
    /// Do not compare the shadow with the primary before the swap
    #[arg(long)]
    no_check: bool,
    #[command(flatten)]
    consent: Consent,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub(super) async fn run(replay: Replay, context: &Context) -> Result<Exit> {
    match replay {
        Replay::BigBang(args) => big_bang(args, context).await,
    }
}

async fn big_bang(args: Args, context: &Context) -> Result<Exit> {
    let stop = context.stop_flag()?;
    let access = if args.dry_run {
        wiring::Use::Plan
    } else {
        wiring::Use::Replay
    };
    let wired = wiring::open(&args.playbook, &args.view, access).await?;
    let mut plans = Vec::new();
    for view in &wired.views {
        let until = match &args.until {
            Some(until) => offsets(until, &wired, view).await?,
            None => Vec::new(),
        };
        let options = Options {
            no_swap: args.no_swap || args.until.is_some(),
            no_check: args.no_check,
            deletes_max: wired.deletes_max.unwrap_or(Bound::DELETES),
            until,
        };
        plans.push(plan::plan(&wired.systems, view, wiring::run_id(), options).await?);
    }
    print_plans(&plans, &args, context)?;
    let refusals: Vec<String> = plans.iter().flat_map(|p| p.refusals.clone()).collect();
    if !refusals.is_empty() {
        return Err(Refused(refusals).into());
    }
    if args.dry_run {
        return Ok(Exit::Done);
    }
    let mut exits = Vec::new();
    for plan in &plans {
        let table = plan.view.table.table.to_string();
        let permit = args.consent.to_write(&table, &plan.report().act())?;
        let progress = context.progress();
        let done = big_bang::execute(
            &wired.systems,
            plan,
            &permit,
            &progress,
            std::sync::Arc::clone(&stop),
        )
        .await;
        progress.finish();
        let done = done.map_err(|e| e.context(format!("view {}", plan.view.name)))?;
        print_done(plan, &done, &args, context)?;
        exits.push(if done.differing > 0 {
            Exit::Drift
        } else {
            Exit::Done
        });
    }
    Ok(Exit::of_all(&exits))
}

/// A dry run's result is the plan; otherwise it is shown on stderr, before anything is asked.
fn print_plans(plans: &[Plan], args: &Args, context: &Context) -> Result<()> {
    for plan in plans {
        match (args.dry_run, args.format) {
            (false, _) => context.say(&plan.report().text()),
            (true, Format::Json) => context.print(&format!("{}\n", plan.report().json()))?,
            (true, Format::Table) => context.print(&plan.report().text())?,
        }
    }
    Ok(())
}

fn print_done(plan: &Plan, done: &Done, args: &Args, context: &Context) -> Result<()> {
    match args.format {
        Format::Json => context.print(&format!("{}\n", done.report(plan).json())),
        Format::Table => context.print(&done.report(plan).text()),
    }
}

/// `topic:partition:offset,…`, or a time that the log turns into offsets.
async fn offsets(
    until: &str,
    wired: &wiring::Wired,
    view: &crate::strategies::CopyView,
) -> Result<Vec<(String, i32, i64)>> {
    if let Some(time) = crate::projection::calendar::read_timestamp_tz(until) {
        let (log, topic) = (wired.systems.log().await?, view.source.topic.clone());
        let found =
            crate::strategies::blocking(move || log.offsets_at(&topic, time / 1_000)).await?;
        return Ok(found
            .into_iter()
            .map(|(p, o)| (view.source.topic.clone(), p, o))
            .collect());
    }
    let mut list = Vec::new();
    for part in until.split(',') {
        let mut fields = part.rsplitn(3, ':');
        let (offset, partition, topic) = (fields.next(), fields.next(), fields.next());
        let parsed = || {
            Some((
                topic?.to_owned(),
                partition?.parse().ok()?,
                offset?.parse().ok()?,
            ))
        };
        match parsed() {
            Some(one) => list.push(one),
            None => bail!(Refused::because(format!(
                "--until {part:?} is neither a time (2026-01-31T12:00:00Z) nor topic:partition:offset"
            ))),
        }
    }
    if list.is_empty() {
        Err(anyhow!("--until is empty"))
    } else {
        Ok(list)
    }
}
