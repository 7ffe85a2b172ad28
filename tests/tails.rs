//! Partial replay on real services: snapshots taken on the way, each as the beginning of a replay of what came after it, and
//! sources staged in a database of their own.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::memory::peak_mib;
use crate::support::live::Live;
use crate::support::services::kafka_tool;
use crate::support::{Ran, command, run, size, text};

/// Peak memory of whatever runs, in MiB: the limit that the design sets.
const PEAK_MIB_MAX: u64 = 512;

struct System {
    live: Live,
    folder: tempfile::TempDir,
}

impl System {
    fn start() -> Option<System> {
        let live = Live::start("tu_tails", size(1, 10) as u64)?;
        let scratch = live.postgres.url("tu_tails_scratch");
        for sql in [
            "DROP DATABASE IF EXISTS tu_tails_scratch WITH (FORCE)",
            "CREATE DATABASE tu_tails_scratch",
        ] {
            live.postgres.sql("postgres", sql);
        }
        live.reads("CREATE TABLE read.branches (branch_id integer PRIMARY KEY, accounts bigint, balance bigint)");
        let folder = tempfile::tempdir().unwrap();
        let written = std::fs::read_to_string(&live.playbook).unwrap();
        assert!(written.contains("applied: none"), "{written}");
        let captured = format!("applied: none\ncaptured: {{ slot: {} }}", live.slot());
        let written = written.replace("applied: none", &captured);
        std::fs::write(
            folder.path().join("playbook.yaml"),
            format!(
                "{written}  branches:\n    table: read.branches\n    key: [branch_id]\n    query: SELECT bid AS branch_id, count(*) AS accounts, \
                 sum(abalance) AS balance FROM accounts GROUP BY bid\nstaging: {{ url: \"{scratch}\" }}\n"
            ),
        )
        .unwrap();
        Some(System { live, folder })
    }

    fn playbook(&self) -> PathBuf {
        self.folder.path().join("playbook.yaml")
    }

    /// Updates this share of all rows, in thousandths, once; all of it reaches the log.
    fn write(&self, thousandths: u64) {
        let most = self.live.rows * thousandths / 1_000;
        self.live.primary(&format!(
            "UPDATE pgbench_accounts SET abalance = abalance + 1 + aid % 3 WHERE aid <= {most}"
        ));
        self.live.captured();
    }

    fn trueup(&self, args: &[&str]) -> Ran {
        let playbook = text(&self.playbook());
        let args: Vec<&str> = args
            .iter()
            .map(|a| if *a == "{}" { &playbook } else { *a })
            .collect();
        run(&mut command(&args))
    }

    /// Runs it, and gives what it printed, how long it took, and its peak memory in MiB.
    fn measured(&self, args: &[&str]) -> (serde_json::Value, Duration, u64) {
        let playbook = text(&self.playbook());
        let args: Vec<&str> = args
            .iter()
            .map(|a| if *a == "{}" { &playbook } else { *a })
            .collect();
        let began = Instant::now();
        let mut child = command(&args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut peak = 0;
        while child.try_wait().unwrap().is_none() {
            peak = peak.max(peak_mib(child.id()).unwrap_or(0));
            std::thread::sleep(Duration::from_millis(20));
        }
        let took = began.elapsed();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(peak <= PEAK_MIB_MAX, "{args:?} took {peak} MiB");
        (serde_json::from_slice(&output.stdout).unwrap(), took, peak)
    }

    fn spoil(&self) {
        self.live
            .reads("UPDATE read.accounts SET balance = balance + 1 WHERE account_id % 7 = 0");
        self.live
            .reads("DELETE FROM read.branches WHERE branch_id = 1");
    }

    #[track_caller]
    fn equal(&self) {
        let differing = self.live.differing("read.accounts");
        assert!(differing.is_empty(), "{} rows differ", differing.len());
        let sql = "SELECT bid AS branch_id, count(*) AS accounts, sum(abalance) AS balance FROM pgbench_accounts GROUP BY bid ORDER BY 1";
        assert_eq!(
            self.live.primary(sql),
            self.live.reads("SELECT * FROM read.branches ORDER BY 1")
        );
    }

    /// What a run has staged is gone with it.
    #[track_caller]
    fn nothing_is_staged(&self) {
        let schemas =
            "SELECT string_agg(nspname, ' ') FROM pg_namespace WHERE nspname LIKE 'trueup\\_%'";
        assert_eq!(self.live.postgres.sql("tu_tails_scratch", schemas), "");
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.live.postgres.sql(
            "postgres",
            "DROP DATABASE IF EXISTS tu_tails_scratch WITH (FORCE)",
        );
    }
}

#[test]
fn only_the_tail_is_read() {
    let Some(system) = System::start() else {
        return;
    };
    // With the rows themselves that makes five records a row; the snapshots leave the last 50, 10 and 1 % of them.
    let mut snapshots = Vec::new();
    for (writes, tail) in [
        (&[1_000, 500][..], 50),
        (&[500, 1_000, 500], 10),
        (&[450], 1),
    ] {
        for thousandths in writes {
            system.write(*thousandths);
        }
        let (made, took, peak) = system.measured(&[
            "snapshot", "create", "{}", "--verify", "--yes", "--quiet", "--format", "json",
        ]);
        assert!(made["snapshot"]["verified_at"].is_string(), "{made}");
        println!("snapshot before the last {tail} %: {took:?}, {peak} MiB");
        snapshots.push((tail, made["snapshot"]["id"].as_str().unwrap().to_owned()));
    }
    system.write(50);
    let events = system.live.rows * 5;
    for (tail, id) in &snapshots {
        system.spoil();
        let (done, took, peak) = system.measured(&[
            "replay",
            "partial",
            "{}",
            "--snapshot",
            id,
            "--yes",
            "--quiet",
            "--format",
            "json",
        ]);
        system.equal();
        // Both the copy and the staged source read it.
        let read = done["counts"]["read"].as_u64().unwrap();
        println!("partial, tail of {tail} %: {took:?}, {peak} MiB, {read} records read");
        assert_eq!(read, 2 * events * tail / 100);
    }
    system.spoil();
    let (_, took, peak) = system.measured(&[
        "replay", "big-bang", "{}", "--yes", "--quiet", "--format", "json",
    ]);
    system.equal();
    println!("big-bang of {events} events: {took:?}, {peak} MiB");
    system.trueup(&["verify", "{}", "--quiet"]).exit(0);
    system.nothing_is_staged();
    a_topic_made_anew_is_refused(&system);
}

fn a_topic_made_anew_is_refused(system: &System) {
    system.live.pause();
    let (topic, brokers) = (system.live.topic(), &system.live.brokers);
    let tool = "org.apache.kafka.tools.TopicCommand";
    for act in [
        &["--delete"][..],
        &["--create", "--partitions", "4", "--replication-factor", "1"],
    ] {
        let mut args = vec!["--bootstrap-server", brokers, "--topic", &topic];
        args.extend(act);
        kafka_tool(tool, &args);
        std::thread::sleep(Duration::from_secs(2));
    }
    system
        .trueup(&["replay", "partial", "{}", "--snapshot", "latest", "--yes"])
        .exit(3)
        .says(&["made anew since snapshot", "what is left"]);
}
