//! A primary and a read store with a playbook between them, on either kind of database: what the tests of repairs run on.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::embedded::Embedded;
use super::services::Postgres;
use super::{Ran, command, run, text};

/// Which kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// Which of the two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Primary,
    Read,
}

/// The two databases.
pub enum Pair {
    Sqlite(Embedded),
    Postgres {
        server: Postgres,
        name: String,
        folder: tempfile::TempDir,
    },
}

impl Pair {
    /// Two databases of one's own; `None` when the service is missing and may be.
    pub fn new(engine: Engine, name: &str) -> Option<Pair> {
        match engine {
            Engine::Sqlite => Some(Pair::Sqlite(Embedded::new("", ""))),
            Engine::Postgres => {
                let server = Postgres::new()?;
                // Two tests may choose the same word.
                static PAIRS: AtomicU32 = AtomicU32::new(0);
                let nth = PAIRS.fetch_add(1, Ordering::Relaxed);
                let name = format!("trueup_{name}_{}_{nth}", std::process::id());
                for side in ["p", "r"] {
                    server.sql(
                        "postgres",
                        &format!("DROP DATABASE IF EXISTS {name}_{side} WITH (FORCE)"),
                    );
                    // A locale whose order is not that of the bytes.
                    server.sql(
                        "postgres",
                        &format!("CREATE DATABASE {name}_{side} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en'"),
                    );
                }
                let folder = tempfile::tempdir().unwrap();
                Some(Pair::Postgres {
                    server,
                    name,
                    folder,
                })
            }
        }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        match self {
            Pair::Sqlite(system) => system.path(file),
            Pair::Postgres { folder, .. } => folder.path().join(file),
        }
    }

    pub fn engine(&self) -> Engine {
        match self {
            Pair::Sqlite(_) => Engine::Sqlite,
            Pair::Postgres { .. } => Engine::Postgres,
        }
    }

    fn database(&self, side: Side) -> String {
        match (self, side) {
            (Pair::Sqlite(_), Side::Primary) => "primary.db".to_owned(),
            (Pair::Sqlite(_), Side::Read) => "read.db".to_owned(),
            (Pair::Postgres { name, .. }, Side::Primary) => format!("{name}_p"),
            (Pair::Postgres { name, .. }, Side::Read) => format!("{name}_r"),
        }
    }

    pub fn url(&self, side: Side) -> String {
        let database = self.database(side);
        match self {
            Pair::Sqlite(_) => format!("sqlite:{database}"),
            Pair::Postgres { server, .. } => server.url(&database),
        }
    }

    /// Runs statements.
    #[track_caller]
    pub fn sql(&self, side: Side, sql: &str) {
        let database = self.database(side);
        match self {
            Pair::Sqlite(system) => system.sql(&database, sql),
            Pair::Postgres { server, folder, .. } => {
                // From a file: a command line is not long enough for every statement.
                let file = folder
                    .path()
                    .join(format!("{side:?}-{:?}.sql", std::thread::current().id()));
                fs::write(&file, sql).unwrap();
                let url = server.url(&database);
                let output = server
                    .program("psql")
                    .args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", &url, "-f"])
                    .arg(&file)
                    .output()
                    .unwrap();
                super::services::out(&output);
            }
        }
    }

    /// The rows of a query as lines.
    #[track_caller]
    pub fn lines(&self, side: Side, query: &str) -> Vec<String> {
        let database = self.database(side);
        match self {
            Pair::Sqlite(system) => system
                .rows(&database, query)
                .into_iter()
                .map(|row| row.join("|"))
                .collect(),
            Pair::Postgres { server, .. } => {
                let all = server.sql(&database, query);
                all.lines().map(str::to_owned).collect()
            }
        }
    }

    /// Every row of a table, each value with its storage class, sorted.
    #[track_caller]
    pub fn dump(&self, side: Side, table: &str, columns: &[&str]) -> Vec<String> {
        let mut lines = match self {
            Pair::Sqlite(_) => {
                let cells: Vec<String> = columns
                    .iter()
                    .map(|c| format!("typeof({c}) || ' ' || quote({c})"))
                    .collect();
                self.lines(
                    side,
                    &format!("SELECT {} FROM {table}", cells.join(" || ', ' || ")),
                )
            }
            Pair::Postgres { .. } => self.lines(
                side,
                &format!(
                    "COPY (SELECT {} FROM {table}) TO STDOUT",
                    columns.join(", ")
                ),
            ),
        };
        lines.sort();
        lines
    }

    pub fn playbook(&self, yaml: &str) {
        fs::write(self.path("playbook.yaml"), yaml).unwrap();
        fs::write(self.path("log.jsonl"), "").unwrap();
    }

    /// The usual head of a playbook, and these sources and views.
    pub fn playbook_of(&self, applied: &str, sources_and_views: &str) {
        self.playbook(&format!(
            "version: 1\nname: pair\nprimary: {{ url: \"{}\" }}\nread_store: {{ url: \"{}\" }}\nlog: {{ archive: log.jsonl }}\napplied: {applied}\n{sources_and_views}",
            self.url(Side::Primary),
            self.url(Side::Read)
        ));
    }

    /// A command line of the built program: `{}` in the arguments stands for the playbook.
    pub fn command(&self, args: &[&str]) -> std::process::Command {
        let playbook = text(&self.path("playbook.yaml"));
        let args: Vec<&str> = args
            .iter()
            .map(|a| if *a == "{}" { &playbook } else { *a })
            .collect();
        let mut command = command(&args);
        command.current_dir(self.path("."));
        command
    }

    /// Runs the built program.
    pub fn trueup(&self, args: &[&str]) -> Ran {
        run(&mut self.command(args))
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if let Pair::Postgres { server, name, .. } = self {
            for side in ["p", "r"] {
                let _ = server
                    .program("psql")
                    .args(["-Xq", "-d", &server.url("postgres"), "-c"])
                    .arg(format!(
                        "DROP DATABASE IF EXISTS {name}_{side} WITH (FORCE)"
                    ))
                    .output();
            }
        }
    }
}
