//! A swap taken back while everything works: the old table catches up, the projector goes on where it is.

use std::time::Duration;

use super::operated::Operated;
use super::{HOUR, REPLAY, SPOILT, STILL_SPOILT};

const BACK: [&str; 6] = ["rollback", "{}", "latest", "--yes", "--format", "json"];
const OLD_TABLES: &str =
    "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'trueup%' AND nspname <> 'trueup'";

#[test]
fn the_old_table_comes_back_caught_up() {
    let Some(system) = Operated::start("tu_back", 1, "pause_max: 60s") else {
        return;
    };
    system
        .trueup(&BACK)
        .exit(3)
        .says(&["no run keeps an old table"]);
    let writing = system.live.write(HOUR);
    let swapped = system.trueup(&REPLAY);
    assert!(matches!(swapped.code, 0 | 5), "{}", swapped.stderr);
    let first = swapped.json()["run"].as_str().unwrap().to_owned();
    // The new table turns out to be the wrong one, and is written to meanwhile.
    std::thread::sleep(Duration::from_secs(2));
    system.live.reads(SPOILT);

    let plan = system
        .trueup(&["rollback", "{}", &first, "--dry-run"])
        .exit(0);
    assert!(
        plan.stdout.contains("caught up with the records below"),
        "{}",
        plan.stdout
    );
    assert_ne!(
        system.live.reads(STILL_SPOILT),
        "0",
        "a dry run brought it back"
    );

    let back = system.trueup(&BACK).exit(0).json();
    assert_eq!(back["rollback"], first.as_str());
    assert!(back["rows_written"].as_u64().unwrap() > 0, "{back}");
    assert!(back["paused_ms"].as_u64().unwrap() > 0, "{back}");
    let written = writing.stop();
    assert!(written > 10, "hardly anything was written: {written}");
    assert_eq!(
        system.live.reads(STILL_SPOILT),
        "0",
        "it is the new table still"
    );
    system.is_in_step();
    println!(
        "back after {} rows: paused {} ms",
        back["rows_written"], back["paused_ms"]
    );

    system
        .trueup(&["rollback", "{}", &first, "--yes"])
        .exit(3)
        .says(&["that is back in its place"]);

    // A rollback can be rolled back: the wrong table, which has caught up as well.
    let second = system.trueup(&BACK).exit(0).json();
    assert_eq!(second["rollback"], back["run"]);
    assert_ne!(system.live.reads(STILL_SPOILT), "0");
    system.trueup(&BACK).exit(0);
    system.is_in_step();
    assert_eq!(system.live.reads(OLD_TABLES), "1", "schemas are left over");
}

#[test]
fn a_stale_one_says_what_it_lacks() {
    let Some(system) = Operated::start("tu_stale", 1, "pause_max: 60s") else {
        return;
    };
    system.trueup(&REPLAY).exit(0);
    let lost = "UPDATE pgbench_accounts SET abalance = 4711 WHERE aid <= 10";
    system.live.primary(lost);
    system.is_in_step();
    let mut stale = BACK.to_vec();
    stale.push("--stale");
    let back = system.trueup(&stale).exit(0).json();
    let lacking: i64 = back["lacking"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["to"].as_i64().unwrap() - l["from"].as_i64().unwrap())
        .sum();
    assert_eq!(lacking, 10, "{back}");
    let differing = system.live.differing("read.accounts");
    assert_eq!(differing.len(), 10, "{differing:?}");
    system.trueup(&["verify", "{}"]).exit(1);
    // What is live now is what goes; the one that comes has all of it.
    system.trueup(&BACK).exit(0);
    system.is_in_step();
    let gc = ["runs", "gc", "{}", "--older-than", "0h", "--yes"];
    system.trueup(&gc).exit(0);
    system
        .trueup(&BACK)
        .exit(3)
        .says(&["no run keeps an old table"]);
}

#[cfg(feature = "faults")]
#[test]
fn one_that_died_leaves_the_live_table() {
    use std::os::unix::process::ExitStatusExt as _;

    let Some(system) = Operated::start("tu_died", 1, "pause_max: 60s") else {
        return;
    };
    system.trueup(&REPLAY).exit(0);
    let write = "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid <= 1000";
    for point in ["cutover.pausing", "cutover.paused", "cutover.swapped"] {
        system.live.primary(write);
        system.is_in_step();
        system.live.reads(SPOILT);
        let output = system
            .command(&BACK)
            .env("TRUEUP_CRASH", format!("{point}:1"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(6), "{point}: {said}");
        // Whoever writes next resumes the projector first.
        system.trueup(&BACK).exit(0);
        assert!(system.is_running(), "{point}: nobody resumed it");
        if point == "cutover.swapped" {
            // It had swapped before it died; the second one took that back.
            assert_ne!(system.live.reads(STILL_SPOILT), "0", "{point}");
            system.trueup(&BACK).exit(0);
        }
        assert_eq!(system.live.reads(STILL_SPOILT), "0", "{point}");
        assert_eq!(
            system.live.reads(OLD_TABLES),
            "1",
            "{point}: schemas are left over"
        );
        system.is_in_step();
        // The spoilt one is put right before the next round, which brings it back.
        system.trueup(&BACK).exit(0);
        system
            .trueup(&["reconcile", "{}", "--apply", "--yes"])
            .exit(0);
        system.is_in_step();
    }
}

#[test]
fn a_projector_that_cannot_get_there_is_handed_the_table() {
    let Some(system) = Operated::start("tu_handed", 1, "pause_max: 60s") else {
        return;
    };
    system.stop_projector();
    system
        .live
        .primary("UPDATE pgbench_accounts SET abalance = 4711 WHERE aid <= 500");
    system.live.captured();
    let mut handing = REPLAY.to_vec();
    handing.push("--hand-over");
    let with_view = [&handing[..], &["--view", "accounts"]].concat();
    system
        .trueup(&with_view)
        .exit(2)
        .says(&["cannot be used with"]);

    let other = system.live.message_topic();
    system.reads_as_well(&other);
    system
        .trueup(&handing)
        .exit(3)
        .says(&["reads ", &other, "too"]);
    system.reads_no_more(&other);

    system.trueup(&handing).exit(0);
    let differing = system.live.differing("read.accounts");
    assert!(differing.is_empty(), "{} keys differ", differing.len());
    let lag = system.trueup(&["lag", "{}", "--format", "json"]);
    assert_eq!(lag.json()["events"], 0, "{}", lag.stdout);
    system.start_projector();
    system.is_in_step();
}
