//! A small system without services: a primary and a read store in SQLite files, a log in an archive, and the playbook
//! that names them.

use std::fs;
use std::path::PathBuf;

use sqlx::Connection as _;
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::{Ran, command, run, text};

/// One system in a folder of its own.
pub struct Embedded {
    pub folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Embedded {
    /// A system whose databases hold what these statements make.
    pub fn new(primary: &str, read_store: &str) -> Embedded {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let system = Embedded {
            folder: tempfile::tempdir().unwrap(),
            runtime,
        };
        system.sql("primary.db", primary);
        system.sql("read.db", read_store);
        system.log("");
        system
    }

    /// The usual one: a table `t (id, a, b)` and its copy `copy (id, a, b)`.
    pub fn usual() -> Embedded {
        let table =
            |name| format!("CREATE TABLE {name} (id INTEGER PRIMARY KEY, a TEXT, b INTEGER);");
        let system = Embedded::new(&table("t"), &table("copy"));
        system.playbook(&usual_playbook());
        system
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn log(&self, lines: &str) {
        fs::write(self.path("log.jsonl"), lines).unwrap();
    }

    pub fn playbook(&self, yaml: &str) {
        fs::write(self.path("playbook.yaml"), yaml).unwrap();
    }

    /// Runs statements on a database from another thread.
    pub fn connect(path: &std::path::Path) -> impl Fn(&str) + use<> {
        let path = path.to_path_buf();
        move |sql| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let options = SqliteConnectOptions::new().filename(&path);
                let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
                    .execute(&mut connection)
                    .await
                    .unwrap();
            });
        }
    }

    /// Runs statements on one of the databases.
    pub fn sql(&self, database: &str, sql: &str) {
        let options = SqliteConnectOptions::new()
            .filename(self.path(database))
            .create_if_missing(true);
        self.runtime.block_on(async {
            let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
                .execute(&mut connection)
                .await
                .unwrap();
            connection.close().await.unwrap();
        });
    }

    /// The rows of a query, each cell as text, `∅` for NULL.
    pub fn rows(&self, database: &str, sql: &str) -> Vec<Vec<String>> {
        let options = SqliteConnectOptions::new().filename(self.path(database));
        self.runtime.block_on(async {
            let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
            let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
                .fetch_all(&mut connection)
                .await
                .unwrap();
            let cell = |row: &sqlx::sqlite::SqliteRow, i| {
                row.try_get_unchecked::<Option<String>, _>(i)
                    .unwrap()
                    .unwrap_or_else(|| "∅".to_owned())
            };
            rows.iter()
                .map(|row| (0..row.len()).map(|i| cell(row, i)).collect())
                .collect()
        })
    }

    /// Runs the program on the playbook: `{}` in the arguments stands for it.
    pub fn trueup(&self, args: &[&str]) -> Ran {
        let playbook = text(&self.path("playbook.yaml"));
        let args: Vec<&str> = args
            .iter()
            .map(|a| if *a == "{}" { playbook.as_str() } else { a })
            .collect();
        run(command(&args).current_dir(self.folder.path()))
    }
}

/// The playbook of [`Embedded::usual`].
pub fn usual_playbook() -> String {
    "version: 1
name: usual
primary: { url: \"sqlite:primary.db\" }
read_store: { url: \"sqlite:read.db\" }
log: { archive: log.jsonl }
applied: none
sources:
  t: { topic: shop.main.t, table: t }
views:
  copy: { from: t, key: [id] }
"
    .to_owned()
}

/// A record of the archive, as `kcat -J` writes it. `value` is the record's JSON text; `None` is a tombstone.
pub fn line(partition: i32, offset: i64, key: &str, value: Option<&str>) -> String {
    let json = serde_json::json!({
        "topic": "shop.main.t", "partition": partition, "offset": offset, "tstype": "create", "ts": 1_700_000_000_000i64 + offset,
        "broker": 0, "key": key, "payload": value,
    });
    format!("{json}\n")
}

/// A bare Debezium change of `t`.
pub fn change(op: &str, lsn: u64, id: i64, a: &str, b: i64) -> String {
    let row = serde_json::json!({"id": id, "a": a, "b": b});
    let after = if op == "d" {
        serde_json::Value::Null
    } else {
        row
    };
    serde_json::json!({
        "before": null, "after": after, "op": op, "ts_ms": 1_700_000_000_000u64 + lsn,
        "source": {"connector": "postgresql", "name": "shop", "db": "shop", "schema": "main", "table": "t",
                   "snapshot": "false", "lsn": lsn, "ts_ms": 1_700_000_000_000u64 + lsn},
    })
    .to_string()
}
