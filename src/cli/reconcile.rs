//! `trueup reconcile`

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use super::consent::Consent;
use super::context::Format;
use super::files::{self, Existing, Readers};
use super::flags::{self, CauseArg, Usage, Wait};
use super::pace::PaceArgs;
use super::page::PageArgs;
use super::{Context, Exit, wiring};
use crate::limits;
use crate::projection::diff::Kind;
use crate::report::html;
use crate::report::reconcile::plans_json;
use crate::store::Acts;
use crate::strategies::bounds::Bound;
use crate::strategies::pace::{Watched, watched};
use crate::strategies::reconcile::by_cause::ByCause;
use crate::strategies::reconcile::{self, Options, Plan, apply, saved};
use crate::strategies::replay::cutover::close_open_pauses;
use crate::strategies::{Refused, View};

/// Repair read tables from the primary; a dry run unless --apply
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Playbook
    #[arg(value_name = "PLAYBOOK")]
    playbook: PathBuf,
    /// Only this view; may be repeated
    #[arg(long, value_name = "VIEW")]
    view: Vec<String>,
    /// Write the repairs, after a question
    #[arg(long)]
    apply: bool,
    /// Ask the log why rows differ, and leave alone those whose evidence does not agree
    #[arg(long)]
    explain: bool,
    /// Only differences of this cause (implies --explain); may be repeated
    #[arg(long, value_name = "CAUSE", value_parser = CauseArg::values())]
    cause: Vec<CauseArg>,
    /// Also differences of this cause, whose evidence does not agree (implies --explain); may be repeated
    #[arg(long, value_name = "CAUSE", value_parser = CauseArg::values())]
    include: Vec<CauseArg>,
    /// Save the plan; it holds rows of the table
    #[arg(long, value_name = "FILE", conflicts_with_all = ["apply", "plan"])]
    out: Option<PathBuf>,
    /// Take the plan that --out saved: what has changed since is left alone
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kind", "keys", "filter", "column", "no_hash", "explain", "cause", "include"])]
    plan: Option<PathBuf>,
    #[command(flatten)]
    selection: SelectionArgs,
    /// Repairs at most, a number or a percentage of the rows [default: limits.repairs_max of the playbook, else 10%, at least 1000]
    #[arg(long, value_name = "BOUND", value_parser = bound)]
    repairs_max: Option<Bound>,
    /// Deletes among them at most [default: limits.deletes_max of the playbook, else 1000]
    #[arg(long, value_name = "BOUND", value_parser = bound)]
    deletes_max: Option<Bound>,
    /// Go on though the primary has less than half of the read table's rows
    #[arg(long)]
    allow_shrink: bool,
    /// How long to wait for lag to pass, `90s` for example
    #[arg(long, value_name = "TIME", default_value_t = Wait(limits::LAG_WAIT))]
    lag_wait: Wait,
    /// Merge every row instead of comparing hashes first
    #[arg(long)]
    no_hash: bool,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    consent: Consent,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Show values of differing columns, not only keys and column names
    #[arg(long)]
    show_values: bool,
    /// Differences shown at most
    #[arg(long, value_name = "NUMBER", default_value_t = limits::DIFFERENCES_SHOWN)]
    show: usize,
    #[command(flatten)]
    pace: PaceArgs,
}

/// Which differences are meant.
#[derive(clap::Args, Debug)]
pub(super) struct SelectionArgs {
    /// Only differences of this kind; may be repeated
    #[arg(long, value_enum, value_name = "KIND")]
    pub(super) kind: Vec<KindArg>,
    /// Only these keys: `7,13`, JSON such as `[[1,"a"]]`, or @FILE with one a line; may be repeated
    #[arg(long, value_name = "KEYS")]
    pub(super) keys: Vec<String>,
    /// Only keys whose expected or actual row passes, written as `where:` of a playbook: `state: [open, frozen]`
    #[arg(long = "where", value_name = "FILTER")]
    pub(super) filter: Option<String>,
    /// Of changed rows, only this column; may be repeated
    #[arg(long, value_name = "COLUMN")]
    pub(super) column: Vec<String>,
}

/// The kinds of difference, as the flag writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum KindArg {
    /// Expected, but not there
    Missing,
    /// There, but not expected
    Extra,
    /// There, with other values
    Changed,
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Kind {
        match kind {
            KindArg::Missing => Kind::Missing,
            KindArg::Extra => Kind::Extra,
            KindArg::Changed => Kind::Changed,
        }
    }
}

fn bound(text: &str) -> Result<Bound, String> {
    wiring::bound(text).ok_or_else(|| "write a number of rows, or a share such as 10%".to_owned())
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let stop = context.stop_flag()?;
    let purpose = if args.apply {
        wiring::Use::Repair
    } else {
        wiring::Use::RepairPlan
    };
    let mut wired = wiring::open(&args.playbook, &args.view, purpose).await?;
    args.pace.set(&mut wired, &stop);
    let progress = context.progress();
    let making = plans(&args, &wired, &progress);
    let making = watched(&wired.systems, &progress, Watched::Reads, making);
    let plans = tokio::select! {
        plans = making => plans?,
        () = super::stopped(&stop) => return Err(super::interrupted_reading()),
    };
    progress.finish();
    print_plans(&plans, &wired.name, &args, context)?;
    let pages: Vec<_> = plans
        .iter()
        .map(|p| (p.report(args.show), p.explained.clone()))
        .collect();
    args.page
        .write((&wired.name, &args.playbook), args.show_values, |about| {
            html::planned(about, &pages)
        })?;
    if let Some(file) = &args.out {
        let text = saved::write(&wired.systems, &wired.name, &plans).await?;
        save(file, &text)?;
        context.say(&format!(
            "the plan is saved in {}; it holds rows of the table",
            file.display()
        ));
    }
    let refusals: Vec<String> = plans.iter().flat_map(|p| p.refusals.clone()).collect();
    if !refusals.is_empty() {
        return Err(Refused(refusals).into());
    }
    if !args.apply {
        return Ok(Exit::of_all(&plans.iter().map(found).collect::<Vec<_>>()));
    }
    let mut exits = Vec::new();
    for plan in &plans {
        exits.push(apply_one(plan, &wired, &args, context, &stop).await?);
    }
    Ok(Exit::of_all(&exits))
}

fn found(plan: &Plan) -> Exit {
    match (plan.repairs.len(), plan.undecided) {
        (0, 0) => Exit::Done,
        (0, _) => Exit::Incomplete,
        _ => Exit::Drift,
    }
}

async fn apply_one(
    plan: &Plan,
    wired: &wiring::Wired,
    args: &Args,
    context: &Context,
    stop: &std::sync::atomic::AtomicBool,
) -> Result<Exit> {
    let undecided = plan.undecided > 0;
    let read_store = &wired.systems.read_store;
    let left_paused = !read_store.pauses().await?.is_empty();
    if !apply::has_work(&wired.systems, plan).await? && !left_paused {
        return Ok(if undecided {
            Exit::Incomplete
        } else {
            Exit::Done
        });
    }
    let report = plan.report(0);
    let permit = args.consent.to_repair(&report.table, &report.act())?;
    close_open_pauses(read_store, &wired.cutover, &permit).await?;
    let progress = context.progress();
    let work = apply::apply(&wired.systems, plan, &permit, &progress, stop);
    let done = watched(&wired.systems, &progress, Watched::Writes, work).await;
    progress.finish();
    let done = done.map_err(|e| e.context(format!("view {}", plan.view.name)))?;
    let report = done.report(plan);
    let undo = format!("trueup undo {} {}", args.playbook.display(), plan.run);
    match args.format {
        Format::Json => context.print(&format!("{}\n", report.json()))?,
        Format::Table => context.print(&report.text(&undo))?,
    }
    Ok(if done.tally.is_complete() && !undecided {
        Exit::Done
    } else {
        Exit::Incomplete
    })
}

async fn plans(
    args: &Args,
    wired: &wiring::Wired,
    progress: &crate::report::progress::Progress,
) -> Result<Vec<Plan>> {
    let keys = flags::keys(&args.selection.keys)?;
    let file = args.plan.as_deref().map(read).transpose()?;
    let mut plans = Vec::new();
    for view in &wired.views {
        let options = options(args, wired, view, &keys)?;
        let (systems, run) = (&wired.systems, wiring::run_id());
        let plan = match &file {
            Some(file) => saved::plan(file, systems, &wired.name, view, run, &options).await,
            None => reconcile::plan(systems, view, run, &options, progress)
                .await
                .map(Some),
        };
        plans.extend(plan.with_context(|| format!("view {}", view.name))?);
    }
    if plans.is_empty() {
        return Err(Refused::because("the plan has no part for any of these views").into());
    }
    Ok(plans)
}

fn options(
    args: &Args,
    wired: &wiring::Wired,
    view: &View,
    keys: &[Vec<String>],
) -> Result<Options> {
    let kinds = args.selection.kind.iter().map(|k| Kind::from(*k)).collect();
    let filter = args.selection.filter.as_deref();
    Ok(Options {
        selection: wiring::selection(
            (view, &view.mapping.compared()),
            kinds,
            keys,
            filter,
            &args.selection.column,
        )?,
        repairs_max: args
            .repairs_max
            .or(wired.repairs_max)
            .unwrap_or(Bound::REPAIRS),
        deletes_max: args
            .deletes_max
            .or(wired.deletes_max)
            .unwrap_or(Bound::DELETES),
        allow_shrink: args.allow_shrink,
        lag_wait: args.lag_wait.0,
        hash: !args.no_hash,
        by_cause: by_cause(args),
        sample: 0.0,
    })
}

/// Which causes are repaired; `None` where nobody asked for them.
fn by_cause(args: &Args) -> Option<ByCause> {
    let named = |causes: &[CauseArg]| causes.iter().map(|c| c.0).collect();
    let asked =
        args.explain || args.page.is_asked() || !args.cause.is_empty() || !args.include.is_empty();
    asked.then(|| ByCause {
        only: named(&args.cause),
        include: named(&args.include),
    })
}

fn read(file: &Path) -> Result<saved::File> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| Usage(format!("--plan {}: {e}", file.display())))?;
    saved::parse(&text).with_context(|| file.display().to_string())
}

fn save(file: &Path, text: &str) -> Result<()> {
    files::write(file, text, Readers::Owner, Existing::IsReplaced)
        .map_err(|e| Usage(format!("--out {}: {e}", file.display())).into())
}

/// A dry run's result is the plan; otherwise it is shown on stderr, before anything is asked.
fn print_plans(plans: &[Plan], playbook: &str, args: &Args, context: &Context) -> Result<()> {
    let reports: Vec<_> = plans.iter().map(|p| p.report(args.show)).collect();
    let look = context.look(args.show_values);
    match (args.apply, args.format) {
        (true, _) => {
            for report in &reports {
                context.say(report.text(look).trim_end());
            }
            Ok(())
        }
        (false, Format::Json) => context.print(&format!(
            "{}\n",
            plans_json(playbook, &reports, args.show_values)
        )),
        (false, Format::Table) => {
            let texts: Vec<String> = reports.iter().map(|r| r.text(look)).collect();
            context.print(&texts.concat())
        }
    }
}
