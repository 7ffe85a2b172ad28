//! On SQLite and an archive.

use super::{findings, has};
use crate::support::embedded::{Embedded, change, line};

const DOCTOR: [&str; 4] = ["doctor", "{}", "--format", "json"];

fn key(id: i64) -> String {
    format!("{{\"id\":{id}}}")
}

fn record(partition: i32, offset: i64, id: i64) -> String {
    let value = change("c", (id * 10) as u64 + 1, id, "x", 7);
    line(partition, offset, &key(id), Some(&value))
}

#[test]
fn a_healthy_system_has_no_findings() {
    let system = Embedded::usual();
    let lines: Vec<String> = (0..20).map(|n| record((n % 2) as i32, n / 2, n)).collect();
    system.log(&lines.concat());
    let before = std::fs::read(system.path("read.db")).unwrap();
    let ran = system.trueup(&DOCTOR).exit(0);
    let found = findings(&ran);
    assert!(found.iter().all(|f| f.1 == "note"), "{found:?}");
    let report = ran.json();
    assert_eq!(report["format"], 1);
    assert_eq!(report["playbook"], "usual");
    // What cannot be seen here is said.
    let checked = report["checked"].as_array().unwrap();
    for (check, outcome) in [
        ("log", "fine"),
        ("log.keys", "fine"),
        ("log.key_fields", "fine"),
        ("log.retention", "absent"),
        ("primary.table", "absent"),
        ("primary.slot", "absent"),
        ("projector", "absent"),
        ("read_store.unique", "fine"),
        ("read_store.triggers", "fine"),
        ("clock", "absent"),
    ] {
        let is_there = checked
            .iter()
            .any(|c| c["check"] == check && c["outcome"] == outcome);
        assert!(is_there, "{check} is not {outcome}: {checked:#?}");
    }
    assert_eq!(std::fs::read(system.path("read.db")).unwrap(), before);
    let text = system.trueup(&["doctor", "{}"]).exit(0).stdout;
    assert!(
        text.starts_with("usual: 0 errors, 0 warnings, 1 notes"),
        "{text}"
    );
}

#[test]
fn each_sickness_is_found() {
    let system = Embedded::usual();
    let mut lines: Vec<String> = (0..20).map(|n| record((n % 2) as i32, n / 2, n)).collect();
    // Key 3 was in partition 1.
    lines.push(record(0, 10, 3));
    // Another key altogether, and none.
    let value = change("c", 999, 50, "x", 7);
    lines.push(line(1, 10, "{\"a\":\"x\",\"id\":50}", Some(&value)));
    system.log(&lines.concat());
    system.sql(
        "read.db",
        "CREATE UNIQUE INDEX by_a ON copy (a); CREATE TABLE seen (n INTEGER);
         CREATE TRIGGER audit AFTER INSERT ON copy BEGIN INSERT INTO seen VALUES (1); END;",
    );
    let found = findings(&system.trueup(&DOCTOR).exit(1));
    has(&found, "log.keys", "error", "{\"id\":3} at 1:1 and 0:10");
    has(&found, "log.key_fields", "warning", "its keys are (a, id)");
    has(&found, "read_store.unique", "warning", "(a)");
    has(&found, "read_store.triggers", "warning", "audit");
    // A shorter look does not see the first of the two, and says how much it read.
    let short = ["doctor", "{}", "--format", "json", "--records", "2"];
    let ran = system.trueup(&short).exit(1);
    assert!(!findings(&ran).iter().any(|f| f.0 == "log.keys"));
    assert!(
        ran.stdout.contains("4 of 22 records read"),
        "{}",
        ran.stdout
    );
    let full = ["doctor", "{}", "--format", "json", "--full"];
    has(
        &findings(&system.trueup(&full).exit(1)),
        "log.keys",
        "error",
        "22 of 22",
    );
}
