//! Each recommendation provoked on SQLite and an archive, and what is recommended done; nothing is written by the plan itself.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::support::embedded::{Embedded, change, line, usual_playbook};

/// A table whose rows are in the primary, the log and the read store.
pub(super) struct System {
    pub(super) embedded: Embedded,
    lines: String,
    next: i64,
    lsn: u64,
}

impl System {
    /// So many equal rows; the log begins at this offset.
    pub(super) fn of(rows: i64, first_offset: i64) -> System {
        let mut system = System {
            embedded: Embedded::usual(),
            lines: String::new(),
            next: first_offset,
            lsn: 0,
        };
        for id in 0..rows {
            system.event("c", id, &format!("row {id}"), id);
        }
        system.written();
        let values: Vec<String> = (0..rows)
            .map(|id| format!("({id}, 'row {id}', {id})"))
            .collect();
        if rows > 0 {
            let insert = |table: &str| format!("INSERT INTO {table} VALUES {}", values.join(", "));
            system.embedded.sql("primary.db", &insert("t"));
            system.embedded.sql("read.db", &insert("copy"));
        }
        system
    }

    pub(super) fn event(&mut self, op: &str, id: i64, a: &str, b: i64) {
        self.lsn += 10;
        let value = change(op, self.lsn, id, a, b);
        self.lines += &line(0, self.next, &format!("{{\"id\":{id}}}"), Some(&value));
        self.next += 1;
    }

    /// What happened is in the log.
    pub(super) fn written(&self) {
        self.embedded.log(&self.lines);
    }

    /// Updates of these rows in primary and log, which the projector skipped.
    fn skipped(&mut self, ids: std::ops::Range<i64>) {
        for id in ids.clone() {
            self.event("u", id, &format!("new {id}"), id + id % 7 * 3);
        }
        self.written();
        self.embedded.sql(
            "primary.db",
            &format!(
                "UPDATE t SET a = 'new ' || id, b = id + id % 7 * 3 WHERE id >= {} AND id < {}",
                ids.start, ids.end
            ),
        );
    }

    /// All files, whole.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.embedded.folder.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let bytes = fs::read(&path).unwrap();
                    files.insert(path.display().to_string(), bytes);
                }
            }
        }
        files
    }

    /// The plan of the one view. Nothing is written.
    #[track_caller]
    fn plan(&self, flags: &[&str]) -> Value {
        let before = self.files();
        let args = [&["plan", "{}", "--format", "json", "--quiet"], flags].concat();
        let plan = self.embedded.trueup(&args).exit(0).json();
        assert!(self.files() == before, "a plan has written something");
        assert_eq!(plan["format"], 1);
        plan["views"][0].clone()
    }

    /// Runs the command line that a plan gives.
    #[track_caller]
    fn run(&self, command: &Value) {
        let command = command.as_str().unwrap();
        let words: Vec<&str> = command.split(' ').collect();
        assert_eq!(words[0], "trueup", "{command}");
        let args = [&words[1..], &["--yes", "--quiet"]].concat();
        self.embedded.trueup(&args).exit(0);
    }
}

pub(super) fn strategy<'p>(view: &'p Value, word: &str) -> &'p Value {
    let all = view["strategies"].as_array().unwrap();
    all.iter().find(|s| s["strategy"] == word).unwrap()
}

fn said(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn nothing_to_do() {
    let system = System::of(300, 0);
    let view = system.plan(&[]);
    assert_eq!(view["recommended"], "nothing", "{view}");
    assert!(view["command"].is_null());
    assert_eq!(
        (&view["found"]["rows_checked"], &view["found"]["differing"]),
        (&json!(300), &json!(0))
    );
    let words: Vec<&str> = view["strategies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| said(&s["strategy"]))
        .collect();
    assert_eq!(words, ["big_bang", "partial", "reconcile"]);
    let big_bang = strategy(&view, "big_bang");
    assert_eq!(big_bang["cost"]["log_records"], 300);
    assert!(big_bang["cost"]["log_bytes"].as_u64().unwrap() > 300 * 100);
    let stages = big_bang["stages"].as_object().unwrap();
    let sum: f64 = stages.values().map(|s| s.as_f64().unwrap()).sum();
    assert!((sum - big_bang["seconds"].as_f64().unwrap()).abs() < 0.01);
    let partial = strategy(&view, "partial");
    assert!(partial["seconds"].is_null());
    assert!(said(&partial["blockers"][0]).contains("there is no snapshot"));
    assert_eq!(view["measured"][0]["unit"], "records");
}

#[test]
fn few_rows_are_reconciled() {
    let mut system = System::of(500, 0);
    system.skipped(40..44);
    let view = system.plan(&[]);
    assert_eq!(view["recommended"], "reconcile", "{view}");
    assert_eq!(view["found"]["causes"], json!({"skipped": 4}));
    for word in ["big_bang", "partial", "reconcile"] {
        assert_eq!(strategy(&view, word)["fixes"], json!({"skipped": 4}));
    }
    assert!(said(&view["reason"]).contains("4 of 500 rows differ"));
    assert!(said(&view["command"]).ends_with(" --explain --apply"));
    system.run(&view["command"]);
    system.embedded.trueup(&["verify", "{}"]).exit(0);
}

#[test]
fn a_log_that_lacks_rows_is_not_replayed() {
    let mut system = System::of(400, 0);
    system.embedded.sql(
        "primary.db",
        "INSERT INTO t VALUES (900, 'x', 1), (901, 'y', 2)",
    );
    system.embedded.sql(
        "read.db",
        "INSERT INTO copy VALUES (900, 'x', 1), (901, 'y', 2)",
    );
    let view = system.plan(&["--sample", "100"]);
    assert_eq!(view["recommended"], "nothing");
    assert!(said(&view["reason"]).contains("do not replay"), "{view}");
    system.skipped(1..3);
    let view = system.plan(&["--sample", "100"]);
    assert_eq!(view["recommended"], "reconcile");
    assert!(said(&view["reason"]).contains("would break"), "{view}");
    let big_bang = strategy(&view, "big_bang");
    assert_eq!(
        (&big_bang["breaks"], &big_bang["breaks_keys"]),
        (&json!(2), &json!(["id=900", "id=901"]))
    );
    assert_eq!(strategy(&view, "reconcile")["breaks"], 0);
    let shown = system
        .embedded
        .trueup(&["plan", "{}", "--sample", "100"])
        .exit(0);
    shown.shows(&[
        "big-bang replay",
        "partial replay",
        "about 2 rows: id=900; id=901",
        "recommended: reconcile",
        "trueup reconcile ",
        "time",
        "fixes",
    ]);
}

#[test]
fn a_projector_is_mended_first() {
    let system = System::of(500, 0);
    system.embedded.sql(
        "read.db",
        "UPDATE copy SET b = b * 100 WHERE id BETWEEN 100 AND 139",
    );
    let view = system.plan(&[]);
    assert_eq!(view["recommended"], "mend_projector", "{view}");
    assert!(said(&view["reason"]).contains("b is 100 times"));
    assert!(view["command"].is_null());
    system.run(&view["then"]);
    system.embedded.trueup(&["verify", "{}"]).exit(0);
}

#[test]
fn what_nothing_explains_is_looked_at() {
    let system = System::of(50, 0);
    system
        .embedded
        .sql("primary.db", "UPDATE t SET a = 'unheard' WHERE id = 7");
    let view = system.plan(&[]);
    assert_eq!(view["recommended"], "look", "{view}");
    assert!(said(&view["command"]).contains("explain") && said(&view["command"]).contains("--key"));
    assert_eq!(
        strategy(&view, "reconcile")["leaves"],
        json!({"unexplained": 1})
    );
}

#[test]
fn many_rows_are_rebuilt_by_what_is_soonest() {
    let mut system = System::of(3_000, 0);
    let create = ["snapshot", "create", "{}", "--verify", "--yes", "--quiet"];
    system.embedded.trueup(&create).exit(0);
    system.skipped(0..2_000);
    let view = system.plan(&[]);
    let reconcile = strategy(&view, "reconcile");
    assert!(
        said(&reconcile["blockers"][0]).contains("repairs_max"),
        "{view}"
    );
    let soonest = ["big_bang", "partial"]
        .into_iter()
        .min_by(|a, b| {
            let seconds = |word| strategy(&view, word)["seconds"].as_f64().unwrap();
            seconds(a).total_cmp(&seconds(b))
        })
        .unwrap();
    assert_eq!(view["recommended"], soonest, "{view}");
    assert!(said(&view["reason"]).contains("reconcile is blocked"));
    assert_eq!(view["snapshot"]["known_good"], true);
    let partial = strategy(&view, "partial");
    assert_eq!(partial["cost"]["snapshot_rows"], 3_000);
    assert_eq!(partial["cost"]["log_records"], 2_000);
    system.run(&view["command"]);
    system.embedded.trueup(&["verify", "{}"]).exit(0);
}

#[test]
fn everything_is_blocked() {
    let mut system = System::of(3_000, 50);
    system.skipped(0..2_000);
    let view = system.plan(&[]);
    assert_eq!(view["recommended"], "unblock", "{view}");
    for (word, why) in [
        ("big_bang", "starts at offset 50"),
        ("partial", "there is no snapshot"),
        ("reconcile", "repairs_max"),
    ] {
        assert!(
            said(&strategy(&view, word)["blockers"][0]).contains(why),
            "{view}"
        );
        assert!(said(&view["reason"]).contains(why), "{view}");
    }
}

#[test]
fn a_log_that_has_lost_its_beginning_leaves_reconcile() {
    let mut system = System::of(100, 50);
    system.skipped(0..3);
    let view = system.plan(&[]);
    assert_eq!(view["recommended"], "reconcile", "{view}");
    assert!(
        said(&view["reason"]).contains("both replays are blocked"),
        "{view}"
    );
}

#[test]
fn lag_is_waited_for() {
    let mut system = System::of(100, 0);
    system.embedded.sql(
        "read.db",
        "CREATE TABLE place (topic TEXT, partition INTEGER, next_offset INTEGER); INSERT INTO place VALUES ('shop.main.t', 0, 100)",
    );
    let applied = "applied: { checkpoint: \"SELECT topic, partition, next_offset FROM place\" }";
    let playbook = usual_playbook().replace("applied: none", applied);
    system.embedded.playbook(&playbook);
    system.skipped(10..12);
    let view = system.plan(&["--lag-wait", "1s"]);
    assert_eq!(view["recommended"], "wait", "{view}");
    assert_eq!(view["found"]["unknown"], 2);
}

#[test]
fn quick_compares_nothing() {
    let mut system = System::of(500, 0);
    system.skipped(40..44);
    let view = system.plan(&["--quick"]);
    assert!(view["found"].is_null());
    assert_eq!(view["recommended"], "look");
    for word in ["big_bang", "reconcile"] {
        assert!(
            strategy(&view, word)["seconds"].as_f64().unwrap() > 0.0,
            "{view}"
        );
    }
    system
        .embedded
        .trueup(&["plan", "{}", "--quick"])
        .exit(0)
        .shows(&["nothing was compared", "recommended: look first"]);
}

#[test]
fn a_record_that_would_stop_a_replay_is_seen() {
    let mut system = System::of(100, 0);
    system.lines += &line(
        0,
        system.next,
        "{\"id\":5}",
        Some("{\"op\":\"u\",\"after\":{\"id\":"),
    );
    system.next += 1;
    system.written();
    system
        .embedded
        .sql("read.db", "UPDATE copy SET a = 'by hand' WHERE id = 3");
    let view = system.plan(&[]);
    let blocker = said(&strategy(&view, "big_bang")["blockers"][0]);
    assert!(blocker.contains("shop.main.t:0:100"), "{blocker}");
    assert_eq!(view["recommended"], "reconcile");
}

#[test]
fn a_query_view_and_one_of_many() {
    let system = System::of(200, 0);
    system.embedded.sql(
        "read.db",
        "CREATE TABLE sums (b INTEGER PRIMARY KEY, n INTEGER NOT NULL); INSERT INTO sums SELECT b % 10, count(*) FROM copy GROUP BY 1;
         UPDATE sums SET n = n + 1 WHERE b = 3",
    );
    let playbook = usual_playbook()
        + "  sums: { key: [b], query: \"SELECT b % 10 AS b, count(*) AS n FROM t GROUP BY b % 10\" }\n";
    system.embedded.playbook(&playbook);
    let plan = system
        .embedded
        .trueup(&["plan", "{}", "--format", "json", "--quiet"])
        .exit(0)
        .json();
    let views = plan["views"].as_array().unwrap();
    assert_eq!(views.len(), 2);
    let sums = views.iter().find(|v| v["view"] == "sums").unwrap();
    assert_eq!(sums["found"]["differing"], 1, "{sums}");
    assert_eq!(sums["recommended"], "reconcile", "{sums}");
    assert!(said(&sums["command"]).contains("--view sums"));
    assert!(strategy(sums, "big_bang")["stages"]["derive"].is_number());
    system.run(&sums["command"]);
    system.embedded.trueup(&["verify", "{}"]).exit(0);
}
