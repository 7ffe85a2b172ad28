//! `trueup runs`, `trueup runs gc`

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::consent::Consent;
use super::context::Format;
use super::flags::Wait;
use super::{Context, Exit, wiring};
use crate::report::runs::{self, Gc, Old, Run};
use crate::store::{Acts, OldTable, RunRecord, Store, StoreError, WritePermit};

/// List what trueup has written into a read store, oldest first
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Args {
    #[command(subcommand)]
    more: Option<More>,
    /// Playbook
    #[arg(value_name = "PLAYBOOK", required = true)]
    playbook: Option<PathBuf>,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(clap::Subcommand, Debug)]
enum More {
    Gc(GcArgs),
}

/// Drop the old tables that swaps have left, one in a transaction; never what depends on one
///
/// Whoever still reads an old table is not disturbed: the table stays, and the command exits with 6. A run whose old table is
/// gone cannot be rolled back.
#[derive(clap::Args, Debug)]
struct GcArgs {
    /// Playbook
    #[arg(value_name = "PLAYBOOK")]
    playbook: PathBuf,
    /// Only those that were swapped out so long ago: 0h, 12h or 7d
    #[arg(long, value_name = "AGE", default_value = "7d", value_parser = age)]
    older_than: Duration,
    /// Say what would be dropped and stop
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    consent: Consent,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// A number of days, or what a wait may be.
fn age(text: &str) -> Result<Duration> {
    if let Some(days) = text.strip_suffix('d') {
        let days: u64 = days.parse()?;
        return Ok(Duration::from_secs(days.saturating_mul(24 * 3_600)));
    }
    let wait: Result<Wait> = text.parse();
    wait.map(|wait| wait.0)
        .map_err(|_| anyhow!("give a number and a unit: 90m, 12h or 7d"))
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit> {
    if let Some(More::Gc(args)) = args.more {
        return gc(&args, context).await;
    }
    // Without a subcommand there is a playbook.
    let playbook = args.playbook.unwrap_or_default();
    let store = wiring::open_read_store(&playbook, false).await?;
    let found: Vec<Run> = store.runs().await?.into_iter().map(shown).collect();
    match args.format {
        Format::Json => context.print(&format!("{}\n", runs::json(&found)))?,
        Format::Table => context.print(&runs::text(&found))?,
    }
    Ok(Exit::Done)
}

fn shown(record: RunRecord) -> Run {
    Run {
        id: record.id,
        kind: record.kind,
        state: record.state,
        table: record.table.to_string(),
        started_at: record.started_at,
        ended_at: record.ended_at,
        reverts: record.reverts,
        written: [record.inserted, record.updated, record.deleted],
        unconfirmed: record.unconfirmed,
        undone: record.undone,
        old_table: record.old_table,
        old_dropped_at: record.old_dropped_at,
    }
}

async fn gc(args: &GcArgs, context: &Context) -> Result<Exit> {
    let store = wiring::open_read_store(&args.playbook, !args.dry_run).await?;
    let old = store.old_tables().await?.into_iter();
    let (due, kept): (Vec<OldTable>, Vec<OldTable>) = old.partition(|o| o.age >= args.older_than);
    let mut report = Gc {
        tables: due.iter().map(waiting).collect(),
        kept: kept.len(),
        dry_run: args.dry_run,
    };
    if !args.dry_run && !due.is_empty() {
        context.say(report.plan().trim_end());
        let name = wiring::name_of(&args.playbook);
        let permit = args.consent.to_write(&name, &report.act())?;
        for (old, shown) in due.iter().zip(&mut report.tables) {
            drop_one(&store, &permit, old, shown).await?;
        }
    }
    match args.format {
        Format::Json => context.print(&format!("{}\n", report.json()))?,
        Format::Table => context.print(&report.text())?,
    }
    let is_busy = report.tables.iter().any(|t| t.in_the_way.is_some());
    Ok(if is_busy { Exit::Busy } else { Exit::Done })
}

fn waiting(old: &OldTable) -> Old {
    Old {
        run: old.run.clone(),
        live: old.live.to_string(),
        table: old.old.to_string(),
        age: old.age,
        bytes: old.bytes,
        freed: None,
        in_the_way: None,
    }
}

/// What stands in one table's way does not hold up the others.
async fn drop_one(
    store: &Store,
    permit: &WritePermit,
    old: &OldTable,
    shown: &mut Old,
) -> Result<()> {
    match store.drop_old(permit, &old.run).await {
        Ok(freed) => shown.freed = Some(freed.unwrap_or(0)),
        Err(StoreError::Busy { problem } | StoreError::Sql { problem, .. }) => {
            shown.in_the_way = Some(problem);
        }
        Err(other) => return Err(other.into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        assert_eq!(age("7d").expect("days").as_secs(), 7 * 86_400);
        assert_eq!(age("90m").expect("minutes").as_secs(), 5_400);
        for wrong in ["7", "d", "-1d", "1 week", ""] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
