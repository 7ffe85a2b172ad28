//! Predicted against measured, on Kafka and PostgreSQL: three sizes of a table, each planned once and then repaired by each
//! strategy in turn. What comes out of each is held against the formula that the rows are made by.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::embedded::strategy;
use crate::support::pair::{Engine, Pair, Side};
use crate::support::projector::topics::{self, Writer, envelope};
use crate::support::{service, size};

const PARTITIONS: usize = 4;

/// How often a row has changed, as SQL and as a number: one in five once more before the snapshot, one in twenty after it.
const CHANGES: &str =
    "CASE WHEN id % 5 = 0 THEN 1 ELSE 0 END + CASE WHEN id % 20 = 1 THEN 1 ELSE 0 END";

struct System {
    pair: Pair,
    topic: String,
    rows: usize,
}

impl System {
    fn new(rows: usize) -> Option<System> {
        let brokers = service("TRUEUP_TEST_KAFKA")?;
        let pair = Pair::new(Engine::Postgres, "plan")?;
        let topic = topics::create(&brokers, "tu_plan", i32::try_from(PARTITIONS).unwrap());
        let table = "(id bigint PRIMARY KEY, holder text NOT NULL, balance numeric(14,2) NOT NULL, note text)";
        pair.sql(Side::Primary, &format!("CREATE TABLE accounts {table}"));
        pair.sql(
            Side::Read,
            &format!("CREATE TABLE copy {table}; CREATE INDEX by_holder ON copy (holder)"),
        );
        pair.playbook(&format!(
            "version: 1\nname: plan\nprimary: {{ url: \"{}\" }}\nread_store: {{ url: \"{}\" }}\nlog: {{ kafka: {{ brokers: \"{brokers}\" }} }}\n\
             applied: none\nsources: {{ accounts: {{ topic: {topic}, table: public.accounts }} }}\nviews:\n  copy: {{ from: accounts, key: [id] }}\n",
            pair.url(Side::Primary),
            pair.url(Side::Read),
        ));
        Some(System { pair, topic, rows })
    }

    /// The rows after the changes of the first kinds, as a SELECT.
    fn oracle(&self, changes: &str) -> String {
        format!(
            "SELECT id, 'Holder ' || id * 7919 % 1000003 AS holder, (id + 100 * ({changes}))::numeric(14,2) AS balance, \
             CASE WHEN id % 3 = 0 THEN NULL ELSE 'note of ' || id END AS note FROM generate_series(0::bigint, {}) AS id",
            self.rows - 1
        )
    }

    fn event(writer: &Writer, lsn: &mut u64, op: &str, id: usize, changes: usize) {
        let row = json!({
            "id": id, "holder": format!("Holder {}", id * 7_919 % 1_000_003), "balance": format!("{}.00", id + 100 * changes),
            "note": (!id.is_multiple_of(3)).then(|| format!("note of {id}")),
        });
        *lsn += 8;
        let partition = i32::try_from(id % PARTITIONS).unwrap();
        writer.send(
            partition,
            &json!({"id": id}),
            Some(&envelope(op, &row, *lsn)),
        );
        if lsn.is_multiple_of(80_000) {
            writer.flush();
        }
    }

    /// The history up to a snapshot, the snapshot, and what comes after it; primary and read store are equal in the end.
    fn fill(&self) {
        let brokers = service("TRUEUP_TEST_KAFKA").unwrap();
        let writer = Writer::plain(&brokers, &self.topic);
        let mut lsn = 0;
        for id in 0..self.rows {
            System::event(&writer, &mut lsn, "c", id, 0);
        }
        for id in (0..self.rows).step_by(5) {
            System::event(&writer, &mut lsn, "u", id, 1);
        }
        writer.flush();
        let first = self.oracle("CASE WHEN id % 5 = 0 THEN 1 ELSE 0 END");
        self.pair.sql(
            Side::Primary,
            &format!("INSERT INTO accounts {first}; VACUUM ANALYZE accounts"),
        );
        let create = [
            "snapshot", "create", "{}", "--verify", "--yes", "--quiet", "--format", "json",
        ];
        let made = self.pair.trueup(&create).exit(0).json();
        assert!(made["snapshot"]["verified_at"].is_string(), "{made}");
        for id in (1..self.rows).step_by(20) {
            System::event(&writer, &mut lsn, "u", id, 1);
        }
        writer.flush();
        self.pair.sql(Side::Primary, "UPDATE accounts SET balance = balance + 100 WHERE id % 20 = 1; VACUUM ANALYZE accounts");
        self.pair.sql(
            Side::Read,
            &format!(
                "INSERT INTO copy {}; VACUUM ANALYZE copy",
                self.oracle(CHANGES)
            ),
        );
    }

    /// One row in 500 is wrong: changed, gone, or nobody's.
    fn spoil(&self) {
        self.pair.sql(
            Side::Read,
            &format!(
                "UPDATE copy SET balance = balance + 1 + id % 97 WHERE id % 1000 = 7; DELETE FROM copy WHERE id % 2000 = 11;
                 INSERT INTO copy SELECT {} + i, 'nobody', 0, NULL FROM generate_series(1, {}) AS i; ANALYZE copy",
                self.rows,
                (self.rows / 2_000).min(500)
            ),
        );
    }

    /// The table is what the formula says, and so is the primary.
    #[track_caller]
    fn equal_oracle(&self) {
        let sum = |rows: &str| {
            format!("SELECT count(*), sum(hashtextextended(t::text, 0)) FROM ({rows}) AS t")
        };
        let oracle = self.pair.lines(Side::Read, &sum(&self.oracle(CHANGES)));
        let all = |table: &str| sum(&format!("SELECT id, holder, balance, note FROM {table}"));
        assert_eq!(self.pair.lines(Side::Read, &all("copy")), oracle);
        assert_eq!(self.pair.lines(Side::Primary, &all("accounts")), oracle);
    }

    fn timed(&self, args: &[&str]) -> (Value, Duration) {
        let began = Instant::now();
        let ran = self.pair.trueup(args);
        let took = began.elapsed();
        (ran.exit(0).json(), took)
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if let Some(brokers) = service("TRUEUP_TEST_KAFKA") {
            topics::delete(&brokers, &self.topic);
        }
    }
}

/// Who may only SELECT gets a plan, and is told what that role could not do; nothing is written.
fn planned_by_a_reader(system: &System) {
    let Pair::Postgres { server, name, .. } = &system.pair else {
        return;
    };
    let role = "tu_plan_reader";
    system.pair.sql(
        Side::Read,
        &format!("DO $$ BEGIN CREATE ROLE {role} LOGIN PASSWORD 'reader'; EXCEPTION WHEN duplicate_object THEN NULL; END $$"),
    );
    for side in [Side::Primary, Side::Read] {
        let grant = format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}");
        system.pair.sql(side, &grant);
    }
    let file = system.pair.path("playbook.yaml");
    let mut yaml = std::fs::read_to_string(&file).unwrap();
    for side in ["p", "r"] {
        let database = format!("{name}_{side}");
        let reader = server.url_as(role, "reader", &database);
        yaml = yaml.replace(&server.url(&database), &reader);
    }
    let path = system.pair.path("reader.yaml");
    std::fs::write(&path, yaml).unwrap();
    let path = path.display().to_string();
    let written = |side| {
        let sums = "SELECT pg_stat_force_next_flush(), sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables";
        let tables = "SELECT count(*) FROM pg_class";
        [sums, tables].map(|sql| system.pair.lines(side, sql))
    };
    let before = [Side::Primary, Side::Read].map(written);
    let ran = system
        .pair
        .trueup(&["plan", &path, "--format", "json", "--quiet"])
        .exit(0);
    assert_eq!([Side::Primary, Side::Read].map(written), before);
    let plan = ran.json();
    let view = &plan["views"][0];
    assert!(view["found"]["differing"].as_u64() > Some(0), "{view}");
    let blockers = strategy(view, "big_bang")["blockers"].to_string();
    assert!(blockers.contains(role), "{blockers}");
    assert!(!ran.stdout.contains("reader@") && !ran.stdout.contains(":reader"));
}

#[test]
fn predicted_against_measured() {
    let sizes = [
        size(20_000, 200_000),
        size(60_000, 1_000_000),
        size(180_000, 3_000_000),
    ];
    for rows in sizes {
        let Some(system) = System::new(rows) else {
            return;
        };
        system.fill();
        system.spoil();
        if rows == sizes[0] {
            planned_by_a_reader(&system);
        }
        let (plan, took) = system.timed(&["plan", "{}", "--format", "json", "--quiet"]);
        let view = &plan["views"][0];
        assert_eq!(view["recommended"], "reconcile", "{view}");
        println!(
            "{rows} rows, {} wrong, planned in {:.1} s: {}",
            view["found"]["differing"],
            took.as_secs_f64(),
            view["measured"]
        );
        let tail = ["--yes", "--quiet", "--format", "json"];
        for (word, args) in [
            (
                "reconcile",
                &["reconcile", "{}", "--explain", "--apply"][..],
            ),
            (
                "partial",
                &["replay", "partial", "{}", "--snapshot", "latest"],
            ),
            ("big_bang", &["replay", "big-bang", "{}"]),
        ] {
            system.spoil_again(word);
            let of = strategy(view, word);
            assert_eq!(of["blockers"], json!([]), "{of}");
            let (done, took) = system.timed(&[args, &tail].concat());
            system.equal_oracle();
            let predicted = of["seconds"].as_f64().unwrap();
            println!(
                "  {word:9} predicted {predicted:7.2} s, measured {:7.2} s, ratio {:.2}\n    predicted {}\n    measured  {}",
                took.as_secs_f64(),
                predicted / took.as_secs_f64(),
                of["stages"],
                stages(&done)
            );
        }
    }
}

/// What a run says of its stages, shortened.
fn stages(done: &Value) -> String {
    let all = done["stages"].as_array().cloned().unwrap_or_default();
    let one = |s: &Value| {
        format!(
            "{} {:.2}",
            s["stage"].as_str().unwrap(),
            s["seconds"].as_f64().unwrap()
        )
    };
    all.iter().map(one).collect::<Vec<_>>().join(", ")
}

impl System {
    /// The first strategy finds what was planned for; the others find the same again.
    fn spoil_again(&self, word: &str) {
        if word != "reconcile" {
            self.spoil();
        }
    }
}
