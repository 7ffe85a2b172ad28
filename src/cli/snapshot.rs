//! `trueup snapshot …`

mod create;

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;

use super::consent::Consent;
use super::context::Format;
use super::{Context, Exit, wiring};
use crate::projection::calendar;
use crate::report::snapshot as report;
use crate::snapshot::{Listed, Manifest, Place, Prune, SnapshotError, Stored, Verified};
use crate::store::WritePermit;

/// What can be done with snapshots.
#[derive(Subcommand, Debug)]
pub(super) enum Snapshot {
    Create(create::CreateArgs),
    Verify(create::VerifyArgs),
    List(ListArgs),
    Show(ShowArgs),
    Prune(PruneArgs),
}

/// List the snapshots of a playbook, oldest first
#[derive(clap::Args, Debug)]
pub(super) struct ListArgs {
    /// Playbook
    #[arg(value_name = "PLAYBOOK")]
    playbook: PathBuf,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Show a snapshot in full, and check every byte of it; exits with 1 when it is damaged
#[derive(clap::Args, Debug)]
pub(super) struct ShowArgs {
    /// Playbook
    #[arg(value_name = "PLAYBOOK")]
    playbook: PathBuf,
    /// Snapshot id, as `trueup snapshot list` has them, or `latest`
    #[arg(value_name = "ID")]
    id: String,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Remove old and damaged snapshots; the newest that is known to be good always stays
#[derive(clap::Args, Debug)]
pub(super) struct PruneArgs {
    /// Playbook
    #[arg(value_name = "PLAYBOOK")]
    playbook: PathBuf,
    /// How many of the newest ones stay
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: u32,
    /// Say what would be removed and stop
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    consent: Consent,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub(super) async fn run(snapshot: Snapshot, context: &Context) -> Result<Exit> {
    match snapshot {
        Snapshot::Create(args) => create::create(args, context).await,
        Snapshot::Verify(args) => create::verify(args, context).await,
        Snapshot::List(args) => list(&args, context),
        Snapshot::Show(args) => show(&args, context),
        Snapshot::Prune(args) => prune(&args, context),
    }
}

fn list(args: &ListArgs, context: &Context) -> Result<Exit> {
    let (_, place) = wiring::snapshots(&args.playbook)?;
    let found: Vec<_> = place.list()?.into_iter().map(shown).collect();
    match args.format {
        Format::Json => context.print(&format!("{}\n", report::list_json(&found)))?,
        Format::Table => context.print(&report::list(&found))?,
    }
    Ok(Exit::Done)
}

fn show(args: &ShowArgs, context: &Context) -> Result<Exit> {
    let (_, place) = wiring::snapshots(&args.playbook)?;
    let id = match args.id.as_str() {
        "latest" => place.list()?.pop().map(|newest| newest.id),
        id => Some(id.to_owned()),
    };
    let none = || SnapshotError::NoSnapshot {
        snapshot: args.id.clone(),
        place: place.to_string(),
    };
    let id = id.ok_or_else(none)?;
    let what = match place.load(&id) {
        Ok(snapshot) => Ok((snapshot.manifest().clone(), snapshot.verified().cloned())),
        Err(damage) if damage.is_damage() => Err(damage),
        Err(other) => return Err(other.into()),
    };
    let exit = if what.is_ok() {
        Exit::Done
    } else {
        Exit::Drift
    };
    let found = shown(Listed { id, what });
    match args.format {
        Format::Json => context.print(&format!("{}\n", report::show_json(&found)))?,
        Format::Table => context.print(&report::show(&found))?,
    }
    Ok(exit)
}

fn prune(args: &PruneArgs, context: &Context) -> Result<Exit> {
    let (name, place) = wiring::snapshots(&args.playbook)?;
    let plan = Prune::plan(&place, args.keep as usize)?;
    let shown_of = |all: Vec<Listed>| all.into_iter().map(shown).collect();
    let found = report::Prune {
        kept: shown_of(plan.kept),
        removed: shown_of(plan.removed),
    };
    if !args.dry_run && !found.removed.is_empty() {
        context.say(found.text(false).trim_end());
        remove(
            &place,
            &found,
            args.consent.to_write(&name, &found.act(&name))?,
        )?;
    }
    match args.format {
        Format::Json => context.print(&format!("{}\n", found.json(!args.dry_run)))?,
        Format::Table => context.print(&found.text(!args.dry_run))?,
    }
    Ok(Exit::Done)
}

fn remove(place: &Place, found: &report::Prune, permit: WritePermit) -> Result<()> {
    for snapshot in &found.removed {
        place.remove(&snapshot.id, &permit)?;
    }
    Ok(place.sweep(&permit)?)
}

fn shown(listed: Listed) -> report::Snapshot {
    match listed.what {
        Ok((manifest, verified)) => whole(manifest, verified),
        Err(problem) => report::Snapshot {
            id: listed.id,
            problem: Some(problem.to_string()),
            ..report::Snapshot::default()
        },
    }
}

fn whole(manifest: Manifest, verified: Option<Verified>) -> report::Snapshot {
    let mut cut = Vec::new();
    for topic in manifest.draft.topics {
        cut.extend(topic.partitions.into_iter().map(|p| report::Cut {
            topic: topic.topic.clone(),
            partition: p.partition,
            next_offset: p.next_offset,
            time: p.time_ms.map(time),
        }));
    }
    report::Snapshot {
        id: manifest.id,
        problem: None,
        created_at: Some(time(manifest.created_ms)),
        cut,
        tables: manifest.tables.into_iter().map(table).collect(),
        verified_at: verified.map(|v| time(v.at_ms)),
        parent: manifest.draft.parent,
        projection: manifest.draft.projection,
    }
}

fn table(stored: Stored) -> report::Table {
    let key = &stored.table.key;
    let columns = stored.table.columns.iter().enumerate();
    report::Table {
        columns: columns
            .map(|(n, c)| (c.name.clone(), c.kind.to_string(), key.contains(&n)))
            .collect(),
        kind: stored.table.kind.word(),
        rows: stored.rows.count,
        gone: stored.gone.as_ref().map_or(0, |g| g.count),
        bytes: stored.rows.bytes + stored.gone.as_ref().map_or(0, |g| g.bytes),
        files: std::iter::once(&stored.rows)
            .chain(&stored.gone)
            .map(|p| p.file.clone())
            .collect(),
        name: stored.table.name,
    }
}

/// `2026-11-24 12:00:00+00`
fn time(ms: i64) -> String {
    let mut text = String::new();
    calendar::write_timestamp(&mut text, ms.saturating_mul(1_000), "+00");
    text
}
