//! The cutover on a system that never stops: pgbench writes, Debezium carries, a projector of a consumer group applies, readers
//! poll. The projector is paused and resumed by commands of the playbook, as an operator would write them.

mod derived;
mod operated;
mod rollback;

use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use operated::{Meanwhile, Operated};

use crate::pipe::Readers;
use crate::support::size;

const HOUR: Duration = Duration::from_secs(3_600);
const REPLAY: [&str; 6] = ["replay", "big-bang", "{}", "--yes", "--format", "json"];

/// Rows that a replay has to put right, each once.
const SPOILT: &str =
    "UPDATE read.accounts SET balance = balance + 1000000007 WHERE account_id % 1000 = 7";
const STILL_SPOILT: &str =
    "SELECT count(*) FROM read.accounts WHERE account_id % 1000 = 7 AND balance > 900000000";

/// Spoils rows and rebuilds the table while it is written to; what the replay says.
#[track_caller]
fn rebuilt(system: &Operated, nth: usize) -> serde_json::Value {
    system.live.reads(SPOILT);
    let ran = system.trueup(&REPLAY);
    // Of a row that changes all the while nothing can be said: that is code 5, and the swap is done all the same.
    assert!(
        matches!(ran.code, 0 | 5),
        "cutover {nth}: {}: {}",
        ran.code,
        ran.stderr
    );
    let report = ran.json();
    assert_eq!(report["differing"], 0, "{report}");
    assert_eq!(system.live.reads(STILL_SPOILT), "0", "cutover {nth}");
    report
}

#[test]
fn under_load_nothing_is_lost() {
    let Some(system) = Operated::start("tu_cutover", 1, "pause_max: 60s") else {
        return;
    };
    let readers = Readers::start(&system.live.reads_url(), system.live.rows, 2);
    let writing = system.live.write(HOUR);
    let (mut pauses, mut locks) = (Vec::new(), Vec::new());
    for nth in 0..size(3, 20) {
        let report = rebuilt(&system, nth);
        pauses.push(report["paused_ms"].as_u64().unwrap());
        locks.push(report["views"][0]["swap_locked_ms"].as_u64().unwrap());
    }
    let written = writing.stop();
    let (polls, rate, wrong) = readers.stop();
    system.is_in_step();
    pauses.sort_unstable();
    locks.sort_unstable();
    println!(
        "{} cutovers under {written} transactions: paused {} ms in the middle, {} at most; locked {} ms in the middle, {} at most; \
         {polls} polls, {rate} a second, {wrong} wrong",
        pauses.len(),
        pauses[pauses.len() / 2],
        pauses.last().unwrap(),
        locks[locks.len() / 2],
        locks.last().unwrap()
    );
    assert_eq!(wrong, 0);
    assert!(written > 100, "hardly anything was written: {written}");
}

#[test]
fn somebody_else_brings_the_projector_back() {
    let Some(system) = Operated::start("tu_intruder", 1, "pause_max: 10s") else {
        return;
    };
    let writing = system.live.write(HOUR);
    for meanwhile in [Meanwhile::Restarted, Meanwhile::ScaledUp] {
        system.live.reads(SPOILT);
        system.meanwhile(meanwhile);
        let began = Instant::now();
        let ran = system.trueup(&REPLAY).exit(6);
        println!(
            "{meanwhile:?}: refused after {:?}: {}",
            began.elapsed(),
            ran.stderr.lines().last().unwrap_or_default()
        );
        assert!(
            ran.stderr.contains("is not at rest") || ran.stderr.contains("came back"),
            "{}",
            ran.stderr
        );
        assert_ne!(
            system.live.reads(STILL_SPOILT),
            "0",
            "{meanwhile:?}: it was swapped all the same"
        );
        system.meanwhile(Meanwhile::Nothing);
        let ran = system.trueup(&REPLAY).says(&["goes on with it"]);
        assert!(matches!(ran.code, 0 | 5), "{}: {}", ran.code, ran.stderr);
        assert_eq!(system.live.reads(STILL_SPOILT), "0");
    }
    writing.stop();
    system.is_in_step();
}

#[test]
fn a_session_of_the_writer_is_seen() {
    let Some(system) =
        Operated::start("tu_writer", 1, "pause_max: 3s, writer_role: tu_writer_role")
    else {
        return;
    };
    system.live.reads("DO $$ BEGIN CREATE ROLE tu_writer_role LOGIN PASSWORD 'w'; EXCEPTION WHEN duplicate_object THEN NULL; END $$");
    let url = system
        .live
        .postgres
        .url_as("tu_writer_role", "w", "tu_writer_reads");
    let mut session = system
        .live
        .postgres
        .program("psql")
        .args(["-Xq", "-d", &url])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let there = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'tu_writer_role'";
    crate::support::projector::until("the writer is there", || system.live.reads(there) == "1");
    system
        .trueup(&REPLAY)
        .exit(6)
        .says(&["role tu_writer_role still has sessions: pid"]);
    session.kill().unwrap();
    session.wait().unwrap();
    system.live.reads(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tu_writer_role'",
    );
    system.trueup(&REPLAY).exit(0);
    system.is_in_step();
}

#[test]
fn a_file_postpones_it() {
    let Some(system) = Operated::start("tu_postponed", 1, "pause_max: 60s") else {
        return;
    };
    system.live.reads(SPOILT);
    let file = system.path("postponed");
    std::fs::write(&file, "").unwrap();
    let mut args = REPLAY.to_vec();
    let postponed = crate::support::text(&file);
    args.extend(["--cutover-file", &postponed]);
    let child = system
        .command(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let swapping = "SELECT count(*) FROM trueup.run WHERE stage = 'swapping' AND state = 'running'";
    crate::support::projector::until_within(Duration::from_secs(120), "it is ready", || {
        system
            .live
            .reads("SELECT count(*) FROM pg_namespace WHERE nspname = 'trueup'")
            == "1"
            && system.live.reads(swapping) == "1"
    });
    // The shadow follows all the while.
    system
        .live
        .primary("UPDATE pgbench_accounts SET abalance = 4711 WHERE aid = 1");
    std::thread::sleep(Duration::from_secs(2));
    assert_ne!(system.live.reads(STILL_SPOILT), "0", "it did not wait");
    std::fs::remove_file(&file).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(system.live.reads(STILL_SPOILT), "0");
    system.is_in_step();
}

#[cfg(feature = "faults")]
#[test]
fn a_pause_is_always_closed() {
    let Some(system) = Operated::start("tu_pause", 1, "pause_max: 60s") else {
        return;
    };
    let points = [
        "cutover.pausing",
        "cutover.paused",
        "cutover.caught_up",
        "cutover.swapped",
    ];
    let nexts: [&[&str]; 2] = [&REPLAY, &["reconcile", "{}", "--apply", "--yes"]];
    for (at, point) in points.into_iter().enumerate() {
        for next in &nexts[size(at % 2, 0)..size(at % 2 + 1, 2)] {
            system.live.reads(SPOILT);
            let mut crashing = system.command(&REPLAY);
            let output = crashing
                .env("TRUEUP_CRASH", format!("{point}:1"))
                .output()
                .unwrap();
            assert_eq!(
                output.status.signal(),
                Some(6),
                "{point}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            let paused = point != "cutover.pausing";
            assert_eq!(system.is_running(), !paused, "{point}");
            // Whoever only looks is told, and changes nothing.
            let looked = system
                .trueup(&["verify", "{}", "--lag-wait", "2s"])
                .says(&["the projector is paused since"]);
            assert!(
                matches!(looked.code, 0 | 1 | 5),
                "{point}: {}",
                looked.stderr
            );
            assert_eq!(system.is_running(), !paused, "{point}");
            let ran = system.trueup(next);
            assert!(
                matches!(ran.code, 0 | 5),
                "{point}: {}: {}",
                ran.code,
                ran.stderr
            );
            assert!(system.is_running(), "{point}: nobody resumed it");
            let ran = system.trueup(&REPLAY);
            assert!(
                matches!(ran.code, 0 | 5),
                "{point}: {}: {}",
                ran.code,
                ran.stderr
            );
            system.is_in_step();
        }
    }
}
