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
        why: "Does the read table say what the primary says? No, and the exit code says so to a scheduled job:",
        arguments: &["verify", "{}"],
        exit: Exit::Drift,
    },
    Step {
        why: "What would a repair write, row by row, from the primary? A dry run, which writes nothing:",
        arguments: &["reconcile", "{}", "--show-values"],
        exit: Exit::Drift,
    },
    Step {
        why: "The repair. Each row is written only while it is still as it was found, and journalled as it was:",
        arguments: &["reconcile", "{}", "--apply", "--yes", "--quiet"],
        exit: Exit::Done,
    },
    Step {
        why: "Now they agree:",
        arguments: &["verify", "{}"],
        exit: Exit::Done,
    },
    Step {
        why: "Was that a mistake? What was journalled can be taken back, unless somebody has written the row since:",
        arguments: &["undo", "{}", "latest", "--yes", "--quiet"],
        exit: Exit::Done,
    },
    Step {
        why: "The drift is back. The other way to repair it: the whole log once more into a table beside the live one. The newest\n\
              event of an account wins by its position in the primary, not by its place in the log; the result is compared with\n\
              the primary before it takes the live table's place:",
        arguments: &["replay", "big-bang", "{}", "--yes", "--quiet"],
        exit: Exit::Done,
    },
    Step {
        why: "And again they agree. What was done here, for whoever asks later:",
        arguments: &["runs", "{}"],
        exit: Exit::Done,
    },
    Step {
        why: "",
        arguments: &["verify", "{}"],
        exit: Exit::Done,
    },
];

/// What is wrong with the read table, and why.
const PLANTED: &str = "\
Commands changed the accounts in primary.db; log.jsonl has each change as a Debezium record; a projector made the table
account_list in read.db of them. It is like many: it had an event still to read (account 3), failed on three and went on
(7 was never opened, 13 never frozen, 21 never closed), and let an older event overwrite a newer one when the topic got a
third partition (32). And somebody edited a row by hand (28).
";

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
    say(&format!("A bank in {}.\n{PLANTED}", folder.display()))?;
    let playbook = folder.join("playbook.yaml").to_string_lossy().into_owned();
    for step in STEPS {
        let arguments: Vec<&str> = step
            .arguments
            .iter()
            .map(|a| if *a == "{}" { playbook.as_str() } else { a })
            .collect();
        let why = if step.why.is_empty() {
            String::new()
        } else {
            format!("\n{}\n", step.why)
        };
        say(&format!("{why}\n$ trueup {}\n", arguments.join(" ")))?;
        let line = std::iter::once("trueup").chain(arguments).map(Into::into);
        let exit = run(line.collect());
        if exit != step.exit {
            bail!(
                "that ended with {}, not with {}",
                exit.code(),
                step.exit.code()
            );
        }
        if exit != Exit::Done {
            say(&format!("(exit code {})\n", exit.code()))?;
        }
    }
    say(&format!(
        "\nThe folder is yours: change rows of read.db, and run `trueup verify {playbook}` again.\n"
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
