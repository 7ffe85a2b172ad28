//! Lag as far as it can be told without services: a projector that keeps its place in the read store, and an archive.

use std::time::Duration;

use crate::support::embedded::{Embedded, change, line, usual_playbook};

/// Three records in the log, of which the projector has applied two, by what it keeps in its table.
fn system(next_offset: &str) -> Embedded {
    let system = Embedded::usual();
    system.sql(
        "primary.db",
        "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)",
    );
    system.sql(
        "read.db",
        &format!(
            "INSERT INTO copy VALUES (1, 'a', 1), (2, 'b', 2);
             CREATE TABLE place (topic TEXT, part INTEGER, next_offset INTEGER); INSERT INTO place VALUES ('shop.main.t', 0, {next_offset})"
        ),
    );
    let key = |id: i64| format!("{{\"id\":{id}}}");
    let record = |id: i64, a: &str| {
        line(
            0,
            id - 1,
            &key(id),
            Some(&change("c", 10 + id as u64, id, a, id)),
        )
    };
    system.log(&[record(1, "a"), record(2, "b"), record(3, "c")].concat());
    let applied = "applied: { checkpoint: \"SELECT topic, part, next_offset FROM place\" }";
    system.playbook(&usual_playbook().replace("applied: none", applied));
    system
}

const VERIFY: [&str; 6] = ["verify", "{}", "--lag-wait", "2s", "--format", "json"];

#[test]
fn a_projector_that_stands_still_leaves_the_verdict_unknown() {
    let system = system("2");
    let ran = system.trueup(&VERIFY).exit(5);
    let view = &ran.json()["views"][0];
    assert_eq!(view["unknown"], 1, "{view}");
    assert_eq!(view["missing"], 0, "{view}");
    let reasons = view["reasons"].to_string();
    assert!(
        reasons.contains("how far the log has the primary"),
        "{reasons}"
    );
    system
        .trueup(&["reconcile", "{}", "--apply", "--yes", "--lag-wait", "2s"])
        .exit(5);
    assert_eq!(
        system.rows("read.db", "SELECT count(*) FROM copy"),
        [["2"]],
        "what may be lag is not repaired"
    );
}

#[test]
fn a_projector_that_goes_on_is_only_lagging() {
    let system = system("2");
    let write = Embedded::connect(&system.path("read.db"));
    let projector = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(1_500));
        write(
            "BEGIN; INSERT INTO copy VALUES (3, 'c', 3); UPDATE place SET next_offset = 3; COMMIT",
        );
    });
    let verdict = system
        .trueup(&["verify", "{}", "--lag-wait", "20s", "--format", "json"])
        .exit(0)
        .json();
    projector.join().unwrap();
    assert_eq!(verdict["verdict"], "in_sync");
    assert_eq!(verdict["views"][0]["lagging"], 1);
}

#[test]
fn places_that_make_no_sense_are_said() {
    for (place, says) in [("NULL", "has no offset"), ("9", "made anew")] {
        let system = system(place);
        // The first half is not known either; `lag` says of both what is missing.
        let verdict = system.trueup(&VERIFY).exit(5).json();
        assert_eq!(verdict["verdict"], "unknown", "{place}");
        if place == "NULL" {
            let lag = system
                .trueup(&["lag", "{}", "--format", "json"])
                .exit(5)
                .json();
            assert!(lag["reasons"].to_string().contains(says), "{lag}");
            assert!(
                lag["partitions"][0]["events"].is_null(),
                "unknown is not zero: {lag}"
            );
        }
    }
    let system = system("2");
    system.playbook(
        &std::fs::read_to_string(system.path("playbook.yaml"))
            .unwrap()
            .replace(
                "SELECT topic, part, next_offset",
                "SELECT part, next_offset",
            ),
    );
    system
        .trueup(&VERIFY)
        .exit(3)
        .says(&["topic, partition and next offset"]);
}

#[test]
fn the_second_half_in_events_seconds_and_metrics() {
    let system = system("1");
    let file = crate::support::text(&system.path("lag.prom"));
    let lag = system
        .trueup(&["lag", "{}", "--format", "json", "--metrics-file", &file])
        .exit(5)
        .json();
    let partition = &lag["partitions"][0];
    assert_eq!(
        (
            partition["applied_to"].as_i64(),
            partition["log_end"].as_i64(),
            partition["events"].as_i64()
        ),
        (Some(1), Some(3), Some(2))
    );
    let changed = (1_700_000_000_000u64 + 12) as f64 / 1_000.0;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    let seconds = partition["seconds"].as_f64().unwrap();
    assert!((now - changed - seconds).abs() < 60.0, "{seconds}");
    let metrics = std::fs::read_to_string(&file).unwrap();
    assert!(metrics.contains("trueup_applied_lag_events{playbook=\"usual\",topic=\"shop.main.t\",partition=\"0\"} 2\n"), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"));
    system.trueup(&["lag", "{}", "--max-events", "1"]).exit(1);
    system
        .trueup(&["lag", "{}", "--max-events", "2", "--max-time", "1h"])
        .exit(1);
}

#[test]
fn a_verification_measures_itself() {
    let system = Embedded::usual();
    system.sql("primary.db", "INSERT INTO t VALUES (1, 'a', 1)");
    let file = crate::support::text(&system.path("verify.prom"));
    let verify = || system.trueup(&["verify", "{}", "--metrics-file", &file]);
    verify().exit(1);
    let metrics = std::fs::read_to_string(&file).unwrap();
    for line in [
        "trueup_drift_rows{playbook=\"usual\",view=\"copy\",kind=\"missing\"} 1\n",
        "trueup_in_sync{playbook=\"usual\",view=\"copy\"} 0\n",
        "trueup_last_exit_code{playbook=\"usual\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{line}{metrics}");
    }
    let success = |text: &str| {
        text.lines()
            .find(|l| l.starts_with("trueup_last_success_timestamp_seconds"))
            .map(str::to_owned)
    };
    let before = success(&metrics);
    assert!(before.is_some());
    // What a run that fails says nothing of is kept.
    std::fs::remove_file(system.path("primary.db")).unwrap();
    verify().exit(4);
    let metrics = std::fs::read_to_string(&file).unwrap();
    assert!(
        metrics.contains("trueup_last_exit_code{playbook=\"usual\"} 4\n"),
        "{metrics}"
    );
    assert_eq!(success(&metrics), before);
}

#[test]
fn a_time_budget_ends_a_verification() {
    let system = system("2");
    let verdict = system
        .trueup(&[
            "verify",
            "{}",
            "--lag-wait",
            "1h",
            "--time-budget",
            "3s",
            "--format",
            "json",
        ])
        .exit(5)
        .json();
    assert_eq!(verdict["verdict"], "unknown");
}
