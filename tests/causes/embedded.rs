//! A small table on SQLite: one row of each cause, its evidence, and what is repaired.

use serde_json::Value;

use crate::support::embedded::{Embedded, change, line};

/// Rows whose `b` a projector multiplies by 100.
const MISCOMPUTED: std::ops::Range<i64> = 100..140;

/// A log written event by event, into two partitions.
#[derive(Default)]
struct Log {
    lines: String,
    next: [i64; 2],
    lsn: u64,
}

impl Log {
    fn event(&mut self, partition: usize, op: &str, id: i64, a: &str, b: i64) -> String {
        self.lsn += 10;
        let value = change(op, self.lsn, id, a, b);
        self.push(partition, id, &value)
    }

    fn push(&mut self, partition: usize, id: i64, value: &str) -> String {
        let offset = self.next[partition];
        self.next[partition] += 1;
        let key = format!("{{\"id\":{id}}}");
        self.lines += &line(i32::try_from(partition).unwrap(), offset, &key, Some(value));
        format!("shop.main.t:{partition}:{offset}")
    }
}

/// The system, and where its deciding events stand: the skipped one, and both of the time travel.
fn system() -> (Embedded, String, [String; 2]) {
    let system = Embedded::usual();
    let mut log = Log::default();
    log.event(0, "c", 1, "fine", 1);
    log.event(0, "c", 2, "old", 1);
    let skipped = log.event(0, "u", 2, "new", 2);
    let older = log.event(1, "c", 3, "old", 1);
    let newer = log.event(0, "u", 3, "new", 2);
    log.event(0, "c", 4, "dead", 1);
    log.event(0, "d", 4, "", 0);
    log.event(0, "c", 5, "right", 5);
    log.event(0, "c", 7, "never applied", 7);
    log.event(0, "c", 8, "before", 8);
    for id in MISCOMPUTED {
        log.event(0, "c", id, &format!("row {id}"), id);
    }
    system.log(&log.lines);
    let made = |first: i64, times: i64| -> String {
        let row = |id: i64| format!("({id}, 'row {id}', {})", id * times);
        let rows: Vec<String> = (first..MISCOMPUTED.end).map(row).collect();
        rows.join(", ")
    };
    let primary = "(1, 'fine', 1), (2, 'new', 2), (3, 'new', 2), (5, 'right', 5), (7, 'never applied', 7), (8, 'after', 8), (9, 'nowhere', 9)";
    let stored = "(1, 'fine', 1), (2, 'old', 1), (3, 'old', 1), (4, 'dead', 1), (5, 'by hand', 5), (6, 'by hand', 6), (8, 'before', 8), (9, 'nowhere', 9)";
    let insert = |table: &str, rows: &str, times| {
        format!(
            "INSERT INTO {table} VALUES {rows}, {}",
            made(MISCOMPUTED.start, times)
        )
    };
    system.sql("primary.db", &insert("t", primary, 1));
    system.sql("read.db", &insert("copy", stored, 100));
    (system, skipped, [older, newer])
}

/// Key and cause of each key that is shown.
fn shown(view: &Value) -> Vec<(String, String)> {
    let keys = view["explained"]["keys"].as_array().unwrap();
    let one = |k: &Value| {
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        (text(&k["key"]["id"]), text(&k["cause"]))
    };
    let mut shown: Vec<(String, String)> = keys.iter().map(one).collect();
    shown.retain(|(id, _)| id.parse::<i64>().unwrap() < MISCOMPUTED.start);
    shown.sort();
    shown
}

#[test]
fn each_cause_with_its_evidence() {
    let (system, skipped, [older, newer]) = system();
    let args = [
        "verify",
        "{}",
        "--explain",
        "--sample",
        "100",
        "--format",
        "json",
        "--show-values",
    ];
    let verdict = system.trueup(&args).exit(1).json();
    let view = &verdict["views"][0];
    let wanted = [
        ("2", "skipped"),
        ("3", "time_travel"),
        ("4", "resurrected"),
        ("5", "off_history"),
        ("6", "off_history"),
        ("7", "skipped"),
        // Nothing proves that the log has all of the primary: what it lacks may be on its way.
        ("8", "unexplained"),
        ("9", "log_incomplete"),
    ];
    let wanted: Vec<(String, String)> = wanted
        .iter()
        .map(|(id, cause)| ((*id).to_owned(), (*cause).to_owned()))
        .collect();
    assert_eq!(shown(view), wanted);
    assert_eq!(view["causes"]["miscomputed"], 40);
    assert_eq!(
        view["explained"]["patterns"][0],
        serde_json::json!({"what": "b is 100 times what it should be", "rows": 40})
    );
    assert_eq!(view["explained"]["broken_by_replay"], 1);
    let key = |id: &str| {
        let keys = view["explained"]["keys"].as_array().unwrap();
        keys.iter().find(|k| k["key"]["id"] == id).unwrap().clone()
    };
    let event = |key: &Value, role: &str| {
        let events = key["events"].as_array().unwrap();
        let found = events.iter().find(|e| e["role"] == role);
        found.map(|e| e["at"].as_str().unwrap().to_owned())
    };
    assert_eq!(event(&key("2"), "newest"), Some(skipped));
    assert_eq!(event(&key("3"), "shown"), Some(older));
    assert_eq!(event(&key("3"), "newest"), Some(newer));
    assert_eq!(
        key("5")["columns"],
        serde_json::json!([{"column": "a", "primary": "right", "log": "right", "stored": "by hand"}])
    );
    // Without being asked, values stay where they are.
    let hidden = system.trueup(&args[..7]).exit(1);
    assert!(!hidden.stdout.contains("by hand"), "{}", hidden.stdout);
}

#[test]
fn only_what_is_clear_is_repaired() {
    let (system, ..) = system();
    system
        .trueup(&[
            "reconcile",
            "{}",
            "--cause",
            "time_travel",
            "--apply",
            "--yes",
        ])
        .exit(0);
    assert_eq!(
        system.rows("read.db", "SELECT a FROM copy WHERE id = 3")[0],
        ["new"]
    );
    assert_eq!(
        system.rows("read.db", "SELECT a FROM copy WHERE id = 2")[0],
        ["old"]
    );
    system
        .trueup(&["reconcile", "{}", "--explain"])
        .exit(1)
        .shows(&[
            "1 keys are left alone",
            "--include unexplained",
            "skipped 2",
        ]);
    system
        .trueup(&["reconcile", "{}", "--explain", "--apply", "--yes"])
        .exit(0);
    assert_eq!(
        system.rows("read.db", "SELECT a FROM copy WHERE id = 8")[0],
        ["before"]
    );
    system
        .trueup(&[
            "reconcile",
            "{}",
            "--include",
            "unexplained",
            "--apply",
            "--yes",
        ])
        .exit(0);
    system.trueup(&["verify", "{}"]).exit(0);
}

#[test]
fn keys_one_by_one() {
    let (system, skipped, _) = system();
    system
        .trueup(&["explain", "{}", "--key", "1,2", "--show-values"])
        .exit(1)
        .shows(&[
            "skipped id=2",
            &skipped,
            "old",
            "new",
            "of 1 keys, primary, log and read store agree",
        ]);
    let json = system
        .trueup(&["explain", "{}", "--key", "9", "--format", "json"])
        .exit(0)
        .json();
    assert_eq!(json["explained"]["keys"][0]["cause"], "log_incomplete");
}

#[test]
fn a_log_that_lost_its_beginning_says_so() {
    let system = Embedded::usual();
    let mut log = Log {
        next: [50, 0],
        ..Log::default()
    };
    log.event(0, "u", 1, "right", 1);
    system.log(&log.lines);
    system.sql(
        "primary.db",
        "INSERT INTO t VALUES (1, 'right', 1), (2, 'old', 2)",
    );
    system.sql(
        "read.db",
        "INSERT INTO copy VALUES (1, 'wrong', 1), (2, 'other', 2)",
    );
    let ran = system
        .trueup(&["verify", "{}", "--explain", "--format", "json"])
        .exit(1);
    let view = &ran.json()["views"][0];
    assert_eq!(
        view["causes"],
        serde_json::json!({"not_newest": 1, "unexplained": 1})
    );
    let note = view["explained"]["notes"][0].as_str().unwrap();
    assert!(note.contains("cannot always be told apart"), "{note}");
}

#[test]
fn a_page_to_attach_to_an_incident() {
    let (system, skipped, _) = system();
    let markup = "<script>alert('x')</script>";
    system.sql(
        "read.db",
        &format!(
            "UPDATE copy SET a = '{}' WHERE id = 5",
            markup.replace('\'', "''")
        ),
    );
    let page = |args: &[&str]| {
        let file = system.path("drift.html");
        let _ = std::fs::remove_file(&file);
        let all = [&["verify", "{}", "--report", "drift.html", "--quiet"], args].concat();
        system.trueup(&all).exit(1);
        std::fs::read_to_string(file).unwrap()
    };
    let hidden = page(&[]);
    for said in [
        "drift",
        "time_travel",
        "b is 100 times what it should be",
        &skipped,
        "trueup reconcile",
        "id=5",
    ] {
        assert!(hidden.contains(said), "{said}");
    }
    assert!(!hidden.contains("alert") && !hidden.contains("never applied"));
    let shown = page(&["--show-values"]);
    assert!(shown.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
    for loaded in ["<script", "http://", "https://", "url(", "@import"] {
        assert!(!shown.contains(loaded), "{loaded} in the page");
    }
    system
        .trueup(&["reconcile", "{}", "--report", "plan.html"])
        .exit(1);
    let plan = std::fs::read_to_string(system.path("plan.html")).unwrap();
    assert!(
        plan.contains("to update") && plan.contains("skipped"),
        "{plan}"
    );
}
