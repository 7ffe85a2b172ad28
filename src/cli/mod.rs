//! The command line: one thin file a subcommand. It translates flags, asks for consent and prints; no SQL, no Kafka, no
//! loop over records.

mod asked;
mod completions;
mod consent;
mod context;
mod demo;
mod doctor;
mod exit;
mod explain;
mod files;
mod flags;
mod init;
mod lag;
mod metrics;
mod pace;
mod page;
mod plan;
mod quarantine;
mod reconcile;
mod replay;
mod rollback;
mod runs;
mod snapshot;
mod undo;
mod verify;
mod wiring;

use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

pub use context::{Context, Format};
pub use exit::Exit;

use crate::strategies::Interrupted;

/// Finds, explains and repairs drift in CQRS read models.
#[derive(Parser, Debug)]
#[command(name = "trueup", version, after_help = exit::TABLE, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: context::Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Rebuild a view from the log
    #[command(subcommand)]
    Replay(replay::Replay),
    Reconcile(reconcile::Args),
    Verify(verify::Args),
    Explain(explain::Args),
    Plan(plan::Args),
    Lag(lag::Args),
    Doctor(doctor::Args),
    /// Make, check, list and remove snapshots
    #[command(subcommand)]
    Snapshot(snapshot::Snapshot),
    Runs(runs::Args),
    /// Records that could not be applied: list them, read them again, or do without them
    #[command(subcommand)]
    Quarantine(quarantine::Quarantine),
    Undo(undo::Args),
    Rollback(rollback::Args),
    Init(init::Args),
    Demo(demo::Args),
    Completions(completions::Args),
}

/// Runs one command line; prints its result and its error. It takes a plain list: were it generic, all of the program would be
/// compiled in whoever calls it.
#[must_use]
pub fn run(args: Vec<OsString>) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            let e = without_urls(e);
            // Help and version are no errors; there is nowhere to say that stdout is closed.
            let _ = e.print();
            return if e.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
        }
    };
    let context = Context::new(&cli.global);
    let outcome = match cli.command {
        Command::Demo(args) => demo::run(&args, &context),
        Command::Completions(args) => completions::run(&args, &mut Cli::command(), &context),
        Command::Replay(replay) => on_runtime(replay::run(replay, &context)),
        Command::Reconcile(args) => on_runtime(reconcile::run(args, &context)),
        Command::Quarantine(quarantine) => on_runtime(quarantine::run(quarantine, &context)),
        Command::Runs(args) => on_runtime(runs::run(args, &context)),
        Command::Snapshot(snapshot) => on_runtime(snapshot::run(snapshot, &context)),
        Command::Undo(args) => on_runtime(undo::run(args, &context)),
        Command::Rollback(args) => on_runtime(rollback::run(args, &context)),
        Command::Init(args) => on_runtime(init::run(args, &context)),
        Command::Lag(args) => on_runtime(lag::run(args, &context)),
        Command::Doctor(args) => on_runtime(doctor::run(args, &context)),
        Command::Plan(args) => on_runtime(plan::run(args, &context)),
        Command::Explain(args) => on_runtime(explain::run(args, &context)),
        Command::Verify(args) => on_runtime(verify::run(args, &context)),
    };
    outcome.unwrap_or_else(|e| {
        context.error(&e);
        Exit::of(&e)
    })
}

/// A usage error that repeats no URL: it may hold a password.
fn without_urls(mut error: clap::Error) -> clap::Error {
    use clap::error::{ContextKind, ContextValue};
    let repeated: Vec<ContextKind> = error
        .context()
        .filter(|(_, value)| value.to_string().contains("://"))
        .map(|(kind, _)| kind)
        .collect();
    for kind in repeated {
        error.insert(kind, ContextValue::String("a URL".to_owned()));
    }
    error
}

fn on_runtime(command: impl Future<Output = Result<Exit>>) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(command);
    // A blocking call into the log's client must not keep the process alive.
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}

/// Waits until the operator says stop.
async fn stopped(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How a command that only read ends when it is interrupted.
fn interrupted_reading() -> anyhow::Error {
    Interrupted {
        state: "interrupted: nothing was written".to_owned(),
    }
    .into()
}
