//! `trueup demo`

use std::path::PathBuf;

use anyhow::Result;

use super::{Context, Exit};
use crate::demo;

/// Build a small system with planted drift, find it, repair it
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The folder to build it in; it must not exist
    #[arg(value_name = "DIR", default_value = "trueup-demo")]
    folder: PathBuf,
}

/// Every line of the walk is a command with a runtime of its own, so this one has none.
pub(super) fn run(args: &Args, context: &Context) -> Result<Exit> {
    demo::walk(&args.folder, &|text| context.print(text))
}
