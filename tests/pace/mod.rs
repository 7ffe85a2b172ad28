//! Load control: a rate that is kept, a file that makes work stand still, replicas that are waited for, and what is said when
//! nothing comes forward.

mod replicas;
mod rewound;
mod stalled;

use std::fmt::Write as _;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::embedded::{Embedded, change, line};
use crate::support::{command, text};

/// A log of so many keys, and a primary that has them.
fn system(keys: i64) -> Embedded {
    let system = Embedded::usual();
    system.log(&log(keys));
    let rows = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {keys}) INSERT INTO t SELECT i, 'a' || i, i FROM n"
    );
    system.sql("primary.db", &rows);
    system
}

/// A record for each key, over three partitions.
pub fn log(keys: i64) -> String {
    let mut lines = String::new();
    for id in 1..=keys {
        let value = change("c", u64::try_from(id).unwrap(), id, &format!("a{id}"), id);
        let key = format!("{{\"id\":{id}}}");
        let partition = i32::try_from(id % 3).unwrap();
        lines.push_str(&line(partition, (id - 1) / 3, &key, Some(&value)));
    }
    // Offsets count from zero in every partition.
    let mut next = [0i64; 3];
    let mut counted = String::new();
    for line in lines.lines() {
        let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
        let at = &mut next[usize::try_from(record["partition"].as_i64().unwrap()).unwrap()];
        record["offset"] = (*at).into();
        *at += 1;
        writeln!(counted, "{record}").unwrap();
    }
    counted
}

/// The program in the background, what it says kept.
pub struct Running(Child);

impl Running {
    pub fn start(command: &mut Command) -> Running {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(command.spawn().unwrap())
    }

    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    pub fn signal(&self, signal: &str) {
        let id = self.0.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Exit code, stdout and stderr.
    pub fn end(self) -> (i32, String, String) {
        let output = self.0.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code().unwrap_or(-1),
            text(&output.stdout),
            text(&output.stderr),
        )
    }
}

fn embedded(system: &Embedded, args: &[&str]) -> Command {
    let playbook = text(&system.path("playbook.yaml"));
    let args: Vec<&str> = args
        .iter()
        .map(|a| if *a == "{}" { playbook.as_str() } else { *a })
        .collect();
    let mut command = command(&args);
    command.current_dir(system.folder.path());
    command
}

/// 3,000 rows at 1,000 a second take three seconds, whatever reads or writes them.
#[test]
fn a_rate_is_kept() {
    let system = system(3_000);
    let took = |args: &[&str], code: i32| {
        let began = Instant::now();
        system.trueup(args).exit(code);
        began.elapsed()
    };
    let whole = "SELECT count(*), sum(b) FROM copy";
    let right = [["3000", "4501500"]];
    for (what, code, args) in [
        (
            "snapshot",
            0,
            &[
                "snapshot", "create", "{}", "--yes", "--quiet", "--rate", "1k",
            ][..],
        ),
        (
            "replay",
            0,
            &[
                "replay",
                "big-bang",
                "{}",
                "--yes",
                "--quiet",
                "--no-check",
                "--rate",
                "1k",
            ],
        ),
        (
            "verify",
            0,
            &["verify", "{}", "--quiet", "--no-hash", "--rate", "1000"],
        ),
    ] {
        let took = took(args, code);
        println!("{what}: {took:?}");
        assert!(took >= Duration::from_millis(2_800), "{what}: {took:?}");
        assert!(took < Duration::from_secs(20), "{what}: {took:?}");
    }
    assert_eq!(system.rows("read.db", whole), right);
    let apply = [
        "reconcile",
        "{}",
        "--apply",
        "--yes",
        "--quiet",
        "--repairs-max",
        "100%",
        "--deletes-max",
        "100%",
    ];
    // The repairs are counted beside the rows that were compared before.
    system.sql("read.db", "UPDATE copy SET b = -1 WHERE id <= 1000");
    let paced = took(&[&apply[..], &["--rate", "2k"]].concat(), 0);
    println!("reconcile: {paced:?}");
    assert!(paced >= Duration::from_millis(1_800), "{paced:?}");
    assert_eq!(system.rows("read.db", whole), right);
    for wrong in ["0", "5x", "-1"] {
        system
            .trueup(&["verify", "{}", &format!("--rate={wrong}")])
            .exit(2)
            .says(&["5000, 5k or 2m"]);
    }
}

/// While the file is there, nothing moves; the state says so; and when it is gone, everything ends as if it had not been.
#[test]
fn a_file_pauses() {
    let system = system(2_000);
    let file = system.path("pause");
    let pause = text(&file);
    fs::write(&file, "").unwrap();
    let args = ["replay", "big-bang", "{}", "--yes", "--pause-file", &pause];
    let mut running = Running::start(&mut embedded(&system, &args));
    std::thread::sleep(Duration::from_millis(10_800));
    assert!(running.is_running());
    assert_eq!(system.rows("read.db", "SELECT count(*) FROM copy"), [["0"]]);
    fs::remove_file(&file).unwrap();
    let (code, _, said) = running.end();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&format!("paused: {pause} exists")), "{said}");
    assert_eq!(
        system.rows("read.db", "SELECT count(*) FROM copy"),
        [["2000"]]
    );

    // Who is paused can still be interrupted, and nothing is left behind.
    fs::write(&file, "").unwrap();
    system.sql("read.db", "DELETE FROM copy");
    let mut running = Running::start(&mut embedded(&system, &args));
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(running.is_running());
    let began = Instant::now();
    running.signal("-INT");
    let (code, _, said) = running.end();
    assert_eq!(code, 130, "{said}");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    fs::remove_file(&file).unwrap();
    system.trueup(&args[..4]).exit(0);
    assert_eq!(
        system.rows("read.db", "SELECT count(*) FROM copy"),
        [["2000"]]
    );
}

/// A comparison that is made to stand still again and again finds what one in one go finds.
#[test]
fn a_comparison_is_gone_on_with() {
    let system = system(12_000);
    system
        .trueup(&["replay", "big-bang", "{}", "--yes", "--quiet"])
        .exit(0);
    system.sql(
        "read.db",
        "UPDATE copy SET a = 'wrong' WHERE id % 1009 = 7; DELETE FROM copy WHERE id % 997 = 3; INSERT INTO copy VALUES (-1, 'x', 1), (99999, 'y', 2)",
    );
    let verify = [
        "verify",
        "{}",
        "--no-hash",
        "--format",
        "json",
        "--quiet",
        "--lag-wait",
        "1s",
    ];
    let once = system.trueup(&verify).exit(1).json();
    let file = system.path("pause");
    let pause = text(&file);
    let args = [&verify[..], &["--rate", "4k", "--pause-file", &pause]].concat();
    let mut running = Running::start(&mut embedded(&system, &args));
    let mut pauses = 0;
    while running.is_running() {
        fs::write(&file, "").unwrap();
        std::thread::sleep(Duration::from_millis(700));
        fs::remove_file(&file).unwrap();
        std::thread::sleep(Duration::from_millis(700));
        pauses += 1;
    }
    let (code, out, said) = running.end();
    assert_eq!(code, 1, "{said}");
    assert!(pauses >= 3, "it was paused {pauses} times");
    let paused: serde_json::Value = serde_json::from_str(out.trim()).unwrap();
    for what in ["rows_checked", "missing", "extra", "changed", "unknown"] {
        assert_eq!(
            paused["views"][0][what], once["views"][0][what],
            "{what}: {paused}"
        );
    }
}
