//! What every command has: where its result goes, how much it says, and whether the operator said stop.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use clap::{Args, ValueEnum};
use tracing_subscriber::filter::LevelFilter;

use crate::report::progress::{Progress, Show};
use crate::report::table::Look;

/// Flags of every command.
#[derive(Args, Debug)]
pub(super) struct Global {
    /// Say more on stderr; twice for even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
}

/// How a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For programs: one object a line
    Json,
}

/// What a command is given.
pub struct Context {
    show: Show,
    quiet: bool,
}

impl Context {
    pub(super) fn new(global: &Global) -> Context {
        let level = match (global.quiet, global.verbose) {
            (true, _) => LevelFilter::ERROR,
            (_, 0) => LevelFilter::WARN,
            (_, 1) => LevelFilter::INFO,
            (_, 2) => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        };
        // A second command in one process keeps the first one's log.
        let _ = tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_max_level(level)
            .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
            .try_init();
        let show = match (global.quiet, std::io::stderr().is_terminal()) {
            (true, _) => Show::Quiet,
            (false, true) => Show::Bar,
            (false, false) => Show::Lines,
        };
        Context {
            show,
            quiet: global.quiet,
        }
    }

    /// Starts showing progress.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress::start(self.show)
    }

    /// What a result on stdout may show: values to a terminal or when asked for, colours to a terminal whose owner wants
    /// them (<https://no-color.org>).
    #[must_use]
    pub fn look(&self, show_values: bool) -> Look {
        let terminal = std::io::stdout().is_terminal();
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        Look {
            values: show_values || terminal,
            colour: terminal && !unwanted,
        }
    }

    /// Writes a result to stdout. A closed pipe is no error: the reader has had enough.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn print(&self, text: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            done => Ok(done?),
        }
    }

    /// Says something on stderr, unless quiet.
    #[allow(clippy::print_stderr)] // This is where it goes.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// Says an error and its causes on stderr.
    #[allow(clippy::print_stderr)] // This is where it goes.
    pub fn error(&self, error: &anyhow::Error) {
        let mut said = String::new();
        for cause in error.chain().map(ToString::to_string) {
            // Wrappers repeat what they wrap.
            if !said.contains(&cause) {
                said.push_str(if said.is_empty() { "" } else { ": " });
                said.push_str(&cause);
            }
        }
        eprintln!("error: {said}");
    }

    /// A flag that the first SIGINT or SIGTERM sets; the second one ends the process.
    ///
    /// # Errors
    /// When the signals cannot be listened to.
    pub fn stop_flag(&self) -> Result<Arc<AtomicBool>> {
        use tokio::signal::unix::{SignalKind, signal};
        let stop = Arc::new(AtomicBool::new(false));
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let flag = Arc::clone(&stop);
        let quiet = self.quiet;
        tokio::spawn(async move {
            loop {
                tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
                if flag.swap(true, Ordering::Relaxed) {
                    std::process::exit(i32::from(super::Exit::Interrupted.code()));
                }
                #[allow(clippy::print_stderr)] // This is where it goes.
                if !quiet {
                    eprintln!("stopping after this step; once more stops at once");
                }
            }
        });
        Ok(stop)
    }
}
