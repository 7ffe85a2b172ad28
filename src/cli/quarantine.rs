//! `trueup quarantine`

use std::path::PathBuf;

use anyhow::Result;

use super::consent::Consent;
use super::context::Format;
use super::replay::{self, Common};
use super::{Context, Exit, wiring};
use crate::report::quarantine::{self, Shown};
use crate::store::{Acts, Kept, Standing, Store};
use crate::strategies::Refused;

/// Records that could not be applied (`replay --on-bad quarantine`): list them, read them again, do without them
#[derive(clap::Subcommand, Debug)]
pub(super) enum Quarantine {
    List(ListArgs),
    Retry(RetryArgs),
    Skip(SkipArgs),
}

/// List the records that were set aside, with the reason of each; as JSON, with the records whole
#[derive(clap::Args, Debug)]
pub(super) struct ListArgs {
    /// Playbook
    #[arg(value_name = "PLAYBOOK")]
    playbook: PathBuf,
    /// Also those that do not matter any more
    #[arg(long)]
    all: bool,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Read the log of their keys again from these records on, as the playbook now says, and repair the rows in place
///
/// The log is folded to each key's final row, and what differs is written, fenced and journalled, as by `replay partial
/// --from-offsets --keys`; the projector must be at rest meanwhile. When one of the records still cannot be applied, nothing is
/// written, and the record is named.
#[derive(clap::Args, Debug)]
pub(super) struct RetryArgs {
    /// Only this record (`topic:partition:offset`); may be repeated
    #[arg(long, value_name = "RECORD")]
    record: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// Do without these records: their keys are not blocked any more, and their rows stay as they are
#[derive(clap::Args, Debug)]
pub(super) struct SkipArgs {
    /// Playbook
    #[arg(value_name = "PLAYBOOK")]
    playbook: PathBuf,
    /// This record (`topic:partition:offset`); may be repeated
    #[arg(long, value_name = "RECORD", required_unless_present = "all")]
    record: Vec<String>,
    /// All of them
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    consent: Consent,
}

pub(super) async fn run(quarantine: Quarantine, context: &Context) -> Result<Exit> {
    match quarantine {
        Quarantine::List(args) => list(&args, context).await,
        Quarantine::Retry(args) => retry(&args, context).await,
        Quarantine::Skip(args) => skip(&args, context).await,
    }
}

async fn list(args: &ListArgs, context: &Context) -> Result<Exit> {
    let mut kept = Vec::new();
    for store in wiring::open_stores(&args.playbook, false).await? {
        kept.extend(store.quarantined().await?);
    }
    kept.retain(|k| args.all || k.standing == Standing::Open);
    let shown: Vec<Shown> = kept.into_iter().map(shown).collect();
    match args.format {
        Format::Json => context.print(&format!("{}\n", quarantine::json(&shown)))?,
        Format::Table => context.print(&quarantine::text(&shown))?,
    }
    Ok(Exit::Done)
}

fn shown(kept: Kept) -> Shown {
    Shown {
        record: kept.what.at().to_string(),
        run: kept.run,
        table: kept.table,
        key: kept.what.key,
        standing: kept.standing.word(),
        kept_at: kept.kept_at,
        reason: kept.what.reason,
        record_key: kept.what.record_key,
        record_value: kept.what.record_value,
        headers: kept.what.headers,
    }
}

async fn retry(args: &RetryArgs, context: &Context) -> Result<Exit> {
    let store = wiring::open_read_store(&args.common.playbook, false).await?;
    let open = chosen(&store, &args.record).await?;
    if open.is_empty() {
        context.print("no records are in quarantine\n")?;
        return Ok(Exit::Done);
    }
    replay::again(&args.common, &open, context).await
}

async fn skip(args: &SkipArgs, context: &Context) -> Result<Exit> {
    let stores = wiring::open_stores(&args.playbook, true).await?;
    let mut all = Vec::new();
    for store in &stores {
        for kept in store.quarantined().await? {
            if kept.standing == Standing::Open {
                all.push((store, kept));
            }
        }
    }
    let positions: Vec<String> = all.iter().map(|(_, k)| k.what.at().to_string()).collect();
    known(&args.record, &positions)?;
    all.retain(|(_, k)| args.all || args.record.contains(&k.what.at().to_string()));
    if all.is_empty() {
        context.print("no records are in quarantine\n")?;
        return Ok(Exit::Done);
    }
    let name = wiring::name_of(&args.playbook);
    let act = format!("this does without {} records", all.len());
    let permit = args.consent.to_repair(&name, &act)?;
    for (store, kept) in &all {
        let (of, one) = ((&*kept.run, &*kept.table), Some(kept.what.at()));
        store.release(&permit, of, one, Standing::Skipped).await?;
        context.print(&format!("{} is skipped\n", kept.what.at()))?;
    }
    Ok(Exit::Done)
}

/// The open records of a store: those that are named, or all of them.
async fn chosen(store: &Store, named: &[String]) -> Result<Vec<Kept>> {
    let mut open = store.quarantined().await?;
    open.retain(|k| k.standing == Standing::Open);
    let positions: Vec<String> = open.iter().map(|k| k.what.at().to_string()).collect();
    known(named, &positions)?;
    open.retain(|k| named.is_empty() || named.contains(&k.what.at().to_string()));
    Ok(open)
}

/// Refuses records that are not in quarantine.
fn known(named: &[String], positions: &[String]) -> Result<(), Refused> {
    let unknown = named.iter().filter(|n| !positions.contains(n));
    let unknown: Vec<String> = unknown
        .map(|n| {
            format!(
                "record {n} is not in quarantine; `trueup quarantine list` shows those that are"
            )
        })
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Refused(unknown))
}
