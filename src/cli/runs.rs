//! `trueup runs`

use std::path::PathBuf;

use anyhow::Result;

use super::context::Format;
use super::{Context, Exit, wiring};
use crate::report::runs::{self, Run};
use crate::store::{Acts, RunRecord};

/// List what trueup has written into a read store, oldest first
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Playbook
    #[arg(value_name = "PLAYBOOK")]
    playbook: PathBuf,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let store = wiring::open_read_store(&args.playbook, false).await?;
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
    }
}
