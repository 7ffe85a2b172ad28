//! The real services: psql and Kafka's own tools against what `tests/services run` started.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use super::projector::until_within;
use super::service;

/// A connector may still be at the rows that were there before it.
const SNAPSHOT: Duration = Duration::from_secs(300);

/// PostgreSQL of the tests.
pub struct Postgres {
    url: String,
    programs: String,
}

impl Postgres {
    /// `None` when the service is missing and may be.
    pub fn new() -> Option<Postgres> {
        Some(Postgres {
            url: service("TRUEUP_TEST_POSTGRES")?,
            programs: service("TRUEUP_TEST_PGBIN")?,
        })
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        let (server, _) = self.url.rsplit_once('/').unwrap();
        format!("{server}/{database}")
    }

    /// The URL of a database for another role.
    pub fn url_as(&self, role: &str, password: &str, database: &str) -> String {
        let (_, host) = self.url.split_once('@').unwrap();
        let (host, _) = host.split_once('/').unwrap();
        format!("postgres://{role}:{password}@{host}/{database}")
    }

    /// One of PostgreSQL's own programs.
    pub fn program(&self, name: &str) -> Command {
        Command::new(Path::new(&self.programs).join(name))
    }

    /// Runs SQL and gives its rows, unaligned.
    #[track_caller]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let url = self.url(database);
        let output = self
            .program("psql")
            .args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", &url, "-c", sql])
            .output()
            .unwrap();
        out(&output)
    }

    /// Runs a file of SQL, in which `:name` stands for a variable.
    #[track_caller]
    pub fn file(&self, database: &str, file: &Path, variables: &[(&str, String)]) {
        let mut psql = self.program("psql");
        psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database)]);
        for (name, value) in variables {
            psql.arg("-v").arg(format!("{name}={value}"));
        }
        out(&psql.arg("-f").arg(file).output().unwrap());
    }

    /// Waits until what a replication slot carries has all that a database has committed, and gives how long that took. A
    /// logical message is what the slot can be seen to pass: it stays before the end of the last transaction until
    /// something follows.
    #[track_caller]
    pub fn captured(&self, database: &str, slot: &str) -> Duration {
        let began = Instant::now();
        let at = self.sql(
            database,
            "SELECT pg_logical_emit_message(false, 'test', 'captured')",
        );
        let sql = format!(
            "SELECT confirmed_flush_lsn >= '{at}' FROM pg_replication_slots WHERE slot_name = '{slot}'"
        );
        until_within(SNAPSHOT, "the slot has passed what was written", || {
            self.sql(database, &sql) == "t"
        });
        began.elapsed()
    }

    /// A schema as `pg_dump -s` has it, without the token that differs from run to run.
    #[track_caller]
    pub fn schema_dump(&self, database: &str, schema: &str) -> String {
        let url = self.url(database);
        let output = self
            .program("pg_dump")
            .args(["-s", "-n", schema, "-d", &url])
            .output()
            .unwrap();
        out(&output)
            .lines()
            .filter(|l| !l.contains("restrict "))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// stdout of a command that must succeed.
#[track_caller]
pub fn out(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

/// A script of this folder.
pub fn script(name: &str) -> Command {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.extend(["tests", name]);
    Command::new(path)
}

/// One of Kafka's own tools, by class.
#[track_caller]
pub fn kafka_tool(class: &str, args: &[&str]) -> String {
    out(&script("services")
        .arg("kafka-tool")
        .arg(class)
        .args(args)
        .output()
        .unwrap())
}
