//! `trueup runs`, `trueup runs gc`

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::consent::Consent;
use super::context::Format;
use super::flags::Wait;
use super::{Context, Exit, wiring};
use crate::report::runs::{self, Gc, Old, Run};
use crate::store::{Acts, OldTable, RunRecord, RunState, Store, StoreError, WritePermit};
use crate::strategies::Refused;
use crate::strategies::replay::cutover::close_open_pauses;

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
    Abort(AbortArgs),
}

/// Remove what a run that died has built, instead of going on with it; a projector that it left paused is resumed
#[derive(clap::Args, Debug)]
struct AbortArgs {
    /// Playbook
    #[arg(value_name = "PLAYBOOK")]
    playbook: PathBuf,
    /// The run, as `trueup runs` lists it
    #[arg(value_name = "RUN")]
    run: String,
    #[command(flatten)]
    consent: Consent,
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
    match args.more {
        Some(More::Gc(args)) => return gc(&args, context).await,
        Some(More::Abort(args)) => return abort(&args, context).await,
        None => {}
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
        state: match (&*record.state, record.alive) {
            ("running", false) => "unfinished".to_owned(),
            _ => record.state,
        },
        stage: record.stage.filter(|_| record.ended_at.is_none()),
        records: record.records,
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

async fn abort(args: &AbortArgs, context: &Context) -> Result<Exit> {
    let stores = wiring::open_stores(&args.playbook, true).await?;
    let cutover = wiring::cutover_of(&args.playbook)?;
    let mut dead = Vec::new();
    for store in &stores {
        for record in store.runs().await? {
            if !record.is_of(&args.run) || record.state != RunState::Running.word() {
                continue;
            }
            if record.alive {
                let problem = format!("run {} is underway; stop it first", record.id);
                return Err(StoreError::Busy { problem }.into());
            }
            dead.push((store, record));
        }
    }
    let read_store = &stores[0];
    let left_paused = read_store.pauses().await?;
    let paused = left_paused.iter().any(|open| open.run == args.run);
    if dead.is_empty() && !paused {
        let reason = format!(
            "there is no run {} that did not end; `trueup runs` lists them",
            args.run
        );
        return Err(Refused::because(reason).into());
    }
    let name = wiring::name_of(&args.playbook);
    let act = format!("this removes what run {} has built", args.run);
    let permit = args.consent.to_write(&name, &act)?;
    if paused {
        match cutover.pausing {
            Some(_) => drop(close_open_pauses(read_store, &cutover, &permit).await?),
            // Nobody else can: the operator says that it is done.
            None => read_store.pause(&permit, &args.run, false).await?,
        }
    }
    for (store, record) in dead {
        store.abandon(&permit, &record.table, &record.id).await?;
        context.print(&format!(
            "run {} is given up; nothing of it is left\n",
            record.id
        ))?;
    }
    Ok(Exit::Done)
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
