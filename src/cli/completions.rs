//! `trueup completions`

use anyhow::Result;
use clap_complete::{Shell, generate};

use super::{Context, Exit};

/// Print the completion script of a shell
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Which shell
    shell: Shell,
}

pub(super) fn run(args: &Args, command: &mut clap::Command, context: &Context) -> Result<Exit> {
    let mut script = Vec::new();
    generate(args.shell, command, "trueup", &mut script);
    context.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
