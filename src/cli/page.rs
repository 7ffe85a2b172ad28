//! `--report`: the page that is attached to an incident.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::files::{self, Existing, Readers};
use super::flags::Usage;
use crate::report::explained::moment;
use crate::report::html::About;
use crate::strategies::replay::base::now_ms;

/// Where the page goes.
#[derive(clap::Args, Debug)]
pub(super) struct PageArgs {
    /// Write a page about it, to attach to an incident (implies --explain); values only with --show-values
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

impl PageArgs {
    /// Whether one is asked for.
    pub(super) fn is_asked(&self) -> bool {
        self.report.is_some()
    }

    /// Writes what `page` makes of this playbook, where it is asked for.
    pub(super) fn write(
        &self,
        (playbook, file): (&str, &Path),
        show_values: bool,
        page: impl FnOnce(About<'_>) -> String,
    ) -> Result<()> {
        let Some(to) = &self.report else {
            return Ok(());
        };
        let about = About {
            playbook,
            file: &file.display().to_string(),
            made_at: &moment(now_ms() / 1_000 * 1_000),
            show_values,
        };
        let readers = if show_values {
            Readers::Owner
        } else {
            Readers::All
        };
        files::write(to, &page(about), readers, Existing::IsReplaced)
            .map_err(|e| Usage(format!("--report {}: {e}", to.display())).into())
    }
}
