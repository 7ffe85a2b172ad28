//! What `verify` and `plan` are asked alike.

use std::path::PathBuf;

use super::context::Format;
use super::flags::Wait;
use crate::limits;

/// What the commands that look at whole playbooks are asked: at which views, for how long, and how to answer.
#[derive(clap::Args, Debug)]
pub(super) struct Asked {
    /// Playbooks
    #[arg(required = true, value_name = "PLAYBOOK")]
    pub(super) playbooks: Vec<PathBuf>,
    /// Only this view; may be repeated
    #[arg(long, value_name = "VIEW")]
    pub(super) view: Vec<String>,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
    /// How long to wait for lag to pass, `90s` for example
    #[arg(long, value_name = "TIME", default_value_t = Wait(limits::LAG_WAIT))]
    pub(super) lag_wait: Wait,
}
