//! A table with a column of every type through the real Debezium, in every form: filled, changed, its keys changed, deleted,
//! truncated, altered and read again by an incremental snapshot while it is being written. Then a big-bang replay, which must
//! be the primary row for row.

use std::path::PathBuf;

use serde_json::json;

use crate::support::counts::add_up;
use crate::support::services::{Postgres, out, script};
use crate::support::{Ran, run, seed, service, size, text, trueup};

/// How a connector is set up, and how the playbook says so.
struct Form {
    name: &'static str,
    connector: &'static [(&'static str, &'static str)],
    playbook: &'static str,
    /// Columns that this form cannot carry.
    without: &'static [&'static str],
}

const TEXT_INTERVALS: (&str, &str) = ("interval.handling.mode", "string");

const FORMS: &[Form] = &[
    Form {
        name: "tu_bare",
        connector: &[TEXT_INTERVALS],
        playbook: "interval.handling.mode: string, skipped.operations: none, replace.null.with.default: false",
        without: &[],
    },
    Form {
        name: "tu_schemas",
        connector: &[
            TEXT_INTERVALS,
            ("key.converter.schemas.enable", "true"),
            ("value.converter.schemas.enable", "true"),
            ("decimal.handling.mode", "string"),
            ("time.precision.mode", "isostring"),
            ("binary.handling.mode", "hex"),
            ("unavailable.value.placeholder", "hex:2a2a2a"),
        ],
        playbook: "interval.handling.mode: string, skipped.operations: none, replace.null.with.default: false, binary.handling.mode: hex, unavailable.value.placeholder: \"hex:2a2a2a\"",
        without: &[],
    },
    Form {
        name: "tu_flat",
        connector: &[
            TEXT_INTERVALS,
            ("transforms", "unwrap"),
            (
                "transforms.unwrap.type",
                "io.debezium.transforms.ExtractNewRecordState",
            ),
            ("transforms.unwrap.add.fields", "op,lsn,source.ts_ms"),
            (
                "transforms.unwrap.delete.tombstone.handling.mode",
                "rewrite",
            ),
            ("transforms.unwrap.replace.null.with.default", "false"),
        ],
        playbook: "interval.handling.mode: string, replace.null.with.default: false, flattened: true, add.fields: \"op,lsn,source.ts_ms\"",
        // Flattened records have no truncates.
        without: &["truncate"],
    },
];

/// A file of statements.
fn sql(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/forms/real/");
    std::fs::read_to_string(format!("{folder}{name}")).unwrap()
}

struct System {
    postgres: Postgres,
    form: &'static Form,
    playbook: PathBuf,
    _folder: tempfile::TempDir,
}

impl System {
    fn start(form: &'static Form) -> Option<System> {
        service("TRUEUP_TEST_KAFKA")?;
        service("TRUEUP_TEST_CONNECT")?;
        let postgres = Postgres::new()?;
        let _ = script("debezium").args(["drop", form.name]).output();
        let (primary, reads) = (
            format!("{}_primary", form.name),
            format!("{}_reads", form.name),
        );
        for database in [&primary, &reads] {
            postgres.sql(
                "postgres",
                &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"),
            );
            postgres.sql("postgres", &format!("CREATE DATABASE {database}"));
            postgres.sql(database, &sql("types.sql"));
        }
        postgres.sql(&primary, &sql("primary.sql"));
        let folder = tempfile::tempdir().unwrap();
        let playbook = folder.path().join("forms.yaml");
        let system = System {
            postgres,
            form,
            playbook,
            _folder: folder,
        };
        system.write_playbook();
        Some(system)
    }

    fn write_playbook(&self) {
        let (name, brokers) = (self.form.name, service("TRUEUP_TEST_KAFKA").unwrap());
        let primary = self.postgres.url(&format!("{name}_primary"));
        let reads = self.postgres.url(&format!("{name}_reads"));
        let yaml = format!(
            "version: 1\nname: forms\nprimary: {{ url: \"{primary}\" }}\nread_store: {{ url: \"{reads}\" }}\nlog: {{ kafka: {{ brokers: \"{brokers}\" }} }}\napplied: none\nsources:\n  forms: {{ topic: {name}.public.forms, debezium: {{ {} }} }}\nviews:\n  forms: {{ from: forms, table: public.forms, key: [id] }}\nlimits: {{ deletes_max: 1000000 }}\n",
            self.form.playbook
        );
        std::fs::write(&self.playbook, yaml).unwrap();
    }

    fn primary(&self, sql: &str) -> String {
        self.postgres
            .sql(&format!("{}_primary", self.form.name), sql)
    }

    fn connect(&self) {
        let settings: Vec<String> = self
            .form
            .connector
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        let tables = "public.forms,public.signal".to_owned();
        let mut args = vec![
            "add".to_owned(),
            self.form.name.to_owned(),
            format!("{}_primary", self.form.name),
            tables,
        ];
        args.extend(settings);
        args.extend(
            [
                "skipped.operations=none",
                "signal.data.collection=public.signal",
                "incremental.snapshot.chunk.size=64",
                "value.converter.replace.null.with.default=false",
            ]
            .map(str::to_owned),
        );
        out(&script("debezium").args(args).output().unwrap());
    }

    fn captured(&self) {
        self.postgres
            .captured(&format!("{}_primary", self.form.name), self.form.name);
    }

    /// Rows from `from` on, by the same text in every form.
    fn fill(&self, from: u64, rows: u64) {
        self.primary(
            &sql("fill.sql")
                .replace(":from", &from.to_string())
                .replace(":rows", &rows.to_string()),
        );
    }

    fn replay(&self) -> Ran {
        trueup(&[
            "replay",
            "big-bang",
            &text(&self.playbook),
            "--yes",
            "--format",
            "json",
        ])
    }

    /// Every row of the read table is the primary's, column by column, as the database prints it.
    fn equal(&self) {
        let sql = "SET timezone = 'UTC'; SELECT f FROM (SELECT * FROM forms ORDER BY id) f";
        let (primary, reads) = (
            self.primary(sql),
            self.postgres.sql(&format!("{}_reads", self.form.name), sql),
        );
        for (p, r) in primary.lines().zip(reads.lines()) {
            assert_eq!(p, r, "{}", self.form.name);
        }
        assert_eq!(primary.lines().count(), reads.lines().count());
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let _ = script("debezium").args(["drop", self.form.name]).output();
        for side in ["primary", "reads"] {
            let sql = format!(
                "DROP DATABASE IF EXISTS {}_{side} WITH (FORCE)",
                self.form.name
            );
            let _ = self
                .postgres
                .program("psql")
                .args(["-Xq", "-d", &self.postgres.url("postgres"), "-c", &sql])
                .output();
        }
    }
}

fn every_type(form: &'static Form) {
    let Some(system) = System::start(form) else {
        return;
    };
    let seed = seed();
    let rows = size(300, 20_000) as u64;
    // Before the connector: what its snapshot reads.
    system.fill(1, rows);
    system.connect();
    system.captured();
    if !form.without.contains(&"truncate") {
        system.fill(1_000_000, 50);
        system.primary("TRUNCATE forms");
        system.fill(1, rows);
    }
    // In the stream.
    system.fill(2_000_000, rows);
    system.primary(&sql("changes.sql").replace(":seed", &(seed % 1_000).to_string()));
    system.primary(
        "ALTER TABLE forms ADD COLUMN added text DEFAULT 'from before', DROP COLUMN dropped",
    );
    system.postgres.sql(
        &format!("{}_reads", form.name),
        "ALTER TABLE forms ADD COLUMN added text, DROP COLUMN dropped",
    );
    // Read again while it is written.
    let writer = {
        let mut pgbench = system.postgres.program("pgbench");
        let file = system.playbook.with_extension("sql");
        std::fs::write(
            &file,
            sql("write.sql").replace(":rows_max", &rows.to_string()),
        )
        .unwrap();
        pgbench.args([
            "-n",
            "-c",
            "3",
            "-T",
            &size(4, 60).to_string(),
            "-f",
            &text(&file),
        ]);
        pgbench.arg(system.postgres.url(&format!("{}_primary", form.name)));
        std::thread::spawn(move || run(&mut pgbench))
    };
    let signal = json!({"data-collections": ["public.forms"], "type": "INCREMENTAL"});
    system.primary(&format!(
        "INSERT INTO signal VALUES ('s1', 'execute-snapshot', '{signal}')"
    ));
    writer.join().unwrap().exit(0);
    // Its windows close with the stream: a later change is behind the last of them.
    until_read_again(&system);
    system.captured();
    let done = system.replay().exit(0).json();
    add_up(&done["counts"]);
    println!(
        "{}; settled {}",
        done["counts"],
        done["settled"].as_array().map_or(0, Vec::len)
    );
    system.equal();
    trueup(&["verify", &text(&system.playbook)]).exit(0);
}

/// Until the incremental snapshot has ended: its last window is opened and closed by marks in the signal table.
fn until_read_again(system: &System) {
    let closed =
        || system.primary("SELECT count(*) FROM signal WHERE type = 'snapshot-window-close'");
    let mut before = String::new();
    crate::support::projector::until("the table has been read again", || {
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        let now = closed();
        let quiet = now != "0" && now == before;
        before = now;
        quiet
    });
}

#[test]
fn every_type_in_bare_records() {
    every_type(&FORMS[0]);
}

#[test]
fn every_type_in_records_with_schemas() {
    every_type(&FORMS[1]);
}

#[test]
fn every_type_in_flattened_records() {
    every_type(&FORMS[2]);
}
