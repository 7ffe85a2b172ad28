//! A small CQRS system in one folder: a bank whose accounts live in a SQLite primary, a log of Debezium records, and a
//! projector that makes the usual mistakes. Each line that it prints is run through the command line, as one would type it.
//!
//! It imports nothing of the engine: what trueup finds here, it finds by itself.

mod bank;
mod projector;
mod records;

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _};

use crate::cli::{Exit, run};

/// The folder cannot be taken.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

/// One step: what is said before it, and the command.
struct Step {
    why: &'static str,
    arguments: &'static [&'static str],
    exit: Exit,
}

const STEPS: &[Step] = &[
    Step {
        why: "Does the read table say what the primary says? It differs in five rows, so the exit code is 1:",
        arguments: &["verify", "{}", "--show-values"],
        exit: Exit::Drift,
    },
    Step {
        why: "What would a rebuild from the log do? A dry run writes nothing:",
        arguments: &["replay", "big-bang", "{}", "--dry-run"],
        exit: Exit::Done,
    },
    Step {
        why: "The rebuild: every record once more, the newest per account by its position in the primary, not by its place in\nthe log, into a shadow that is compared with the primary before it takes the table's place:",
        arguments: &["replay", "big-bang", "{}", "--yes", "--quiet"],
        exit: Exit::Done,
    },
    Step {
        why: "And again:",
        arguments: &["verify", "{}"],
        exit: Exit::Done,
    },
];

/// Builds the system in `folder` and walks through it, saying what it does through `say`.
///
/// # Errors
/// When the folder exists, or cannot be written.
pub fn walk(folder: &Path, say: &dyn Fn(&str) -> Result<()>) -> Result<Exit> {
    if folder.exists() {
        let reason = format!(
            "{} exists already; name another folder, or remove it",
            folder.display()
        );
        return Err(Refused(reason).into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime
        .block_on(build(folder))
        .with_context(|| format!("building {}", folder.display()))?;
    say(&format!(
        "A bank in {}: accounts in primary.db, every change of them as a Debezium record in log.jsonl, and a copy in read.db,\n\
         kept by a projector that skipped three events and, when the topic got a third partition, let an older event\n\
         overwrite a newer one. Somebody also edited a row by hand.\n",
        folder.display()
    ))?;
    let playbook = folder.join("playbook.yaml").to_string_lossy().into_owned();
    for step in STEPS {
        let arguments: Vec<&str> = step
            .arguments
            .iter()
            .map(|a| if *a == "{}" { playbook.as_str() } else { a })
            .collect();
        say(&format!(
            "\n{}\n\n$ trueup {}\n",
            step.why,
            arguments.join(" ")
        ))?;
        let line = std::iter::once("trueup").chain(arguments).map(Into::into);
        let exit = run(line);
        if exit != step.exit {
            bail!(
                "that ended with {}, not with {}",
                exit.code(),
                step.exit.code()
            );
        }
    }
    say(&format!(
        "\nThe folder is yours: change a row of read.db, and verify {playbook} again.\n"
    ))?;
    Ok(Exit::Done)
}

async fn build(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut primary = open(&folder.join("primary.db")).await?;
    let mut read_store = open(&folder.join("read.db")).await?;
    let changes = bank::live_through_a_week(&mut primary).await?;
    let log = records::log(&changes);
    std::fs::write(folder.join("log.jsonl"), records::text(&log))?;
    projector::project(&mut read_store, &log).await?;
    std::fs::write(folder.join("playbook.yaml"), PLAYBOOK)?;
    primary.close().await?;
    read_store.close().await?;
    Ok(())
}

async fn open(path: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true);
    Ok(SqliteConnection::connect_with(&options).await?)
}

/// Runs statements that this folder wrote itself.
async fn execute(connection: &mut SqliteConnection, sql: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await?;
    Ok(())
}

const PLAYBOOK: &str = "\
version: 1
name: bank
primary: { url: \"sqlite:primary.db\" }         # files are found beside this one
read_store: { url: \"sqlite:read.db\" }
log: { archive: log.jsonl }                    # a recorded topic, as `kcat -J` writes it
applied: none                                  # no projector is running now
sources:
  accounts: { topic: bank.main.accounts, table: accounts }
views:
  account_list:
    key: [account]
    from: accounts
    columns: { account: id, holder: owner, cents: balance, state: status }
";
