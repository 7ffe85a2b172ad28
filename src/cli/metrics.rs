//! `--metrics-file`

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;

use super::Exit;
use super::files::{self, Existing, Readers};
use super::flags::Usage;
use crate::report::metrics::{self, Metrics};

/// Where metrics go.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct MetricsFile {
    /// Also write metrics to this file, as OpenMetrics text for a textfile collector; it is replaced in one step
    #[arg(long = "metrics-file", value_name = "FILE")]
    file: Option<PathBuf>,
}

const SUCCESS: &str = "trueup_last_success_timestamp_seconds";

impl MetricsFile {
    /// Writes the file, when one is asked for.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, metrics: &Metrics) -> Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        files::write(file, &metrics.text(), Readers::All, Existing::IsReplaced)
            .map_err(|e| Usage(format!("--metrics-file {}: {e}", file.display())).into())
    }

    /// How a verification of a playbook ended, and when one last ended with a verdict: that outlives runs that fail.
    pub(super) fn ended(&self, metrics: &mut Metrics, playbook: &str, exit: Exit, took: Duration) {
        let labels = [("playbook", playbook)];
        let code = f64::from(exit.code());
        metrics.gauge(
            "trueup_last_exit_code",
            "Exit code of the last verification",
            &labels,
            code,
        );
        metrics.gauge(
            "trueup_duration_seconds",
            "How long the last verification took",
            &labels,
            took.as_secs_f64(),
        );
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let success = match exit {
            Exit::Done | Exit::Drift => Some(now.as_secs_f64().floor()),
            _ => self
                .file
                .as_ref()
                .and_then(|f| std::fs::read_to_string(f).ok())
                .and_then(|text| metrics::earlier(&text, SUCCESS, &labels)),
        };
        if let Some(success) = success {
            metrics.gauge(
                SUCCESS,
                "When a verification last ended with a verdict",
                &labels,
                success,
            );
        }
    }
}
