//! pgbench that goes on: a primary that is written to while Debezium carries its changes into the log.

// A set of tools: no single test uses all of them.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::projector::until;
use super::service;
use super::services::{Postgres, out, script};

/// Databases `NAME_primary` and `NAME_reads`, a connector, a replication slot and a publication called NAME, and the topic
/// `NAME.public.pgbench_accounts` of 4 partitions; removed when dropped.
pub struct Live {
    pub name: &'static str,
    pub brokers: String,
    pub postgres: Postgres,
    /// A playbook for them, with `applied: none`.
    pub playbook: PathBuf,
    pub rows: u64,
}

impl Live {
    /// `scale` x 100,000 rows, all of them in the log. The read table is empty.
    pub fn start(name: &'static str, scale: u64) -> Option<Live> {
        service("TRUEUP_TEST_CONNECT")?;
        let brokers = service("TRUEUP_TEST_KAFKA")?;
        let postgres = Postgres::new()?;
        let printed = run(&["stream", name, &scale.to_string()]);
        Some(Live {
            name,
            brokers,
            postgres,
            playbook: PathBuf::from(printed.lines().last().unwrap()),
            rows: scale * 100_000,
        })
    }

    pub fn topic(&self) -> String {
        format!("{}.public.pgbench_accounts", self.name)
    }

    /// Where Debezium puts the primary's logical messages; made by the first one.
    pub fn message_topic(&self) -> String {
        format!("{}.message", self.name)
    }

    /// The replication slot, which is a name for `captured:` too.
    pub fn slot(&self) -> &str {
        self.name
    }

    pub fn reads_url(&self) -> String {
        self.postgres.url(&format!("{}_reads", self.name))
    }

    #[track_caller]
    pub fn primary(&self, sql: &str) -> String {
        self.postgres.sql(&format!("{}_primary", self.name), sql)
    }

    #[track_caller]
    pub fn reads(&self, sql: &str) -> String {
        self.postgres.sql(&format!("{}_reads", self.name), sql)
    }

    /// Nothing more reaches the log. What the connector had read already comes at once when it goes on.
    #[track_caller]
    pub fn pause(&self) {
        run(&["pause", self.name]);
    }

    #[track_caller]
    pub fn resume(&self) {
        run(&["resume", self.name]);
    }

    /// Updates at full speed, for so long or until stopped.
    pub fn write(&self, time: Duration) -> Writing<'_> {
        self.written_by(time, &[])
    }

    /// So many updates a second, until stopped.
    pub fn write_at(&self, a_second: u32) -> Writing<'_> {
        let hour = Duration::from_secs(3_600);
        self.written_by(hour, &["-R", &a_second.to_string()])
    }

    fn written_by(&self, time: Duration, how: &[&str]) -> Writing<'_> {
        let seconds = time.as_secs().max(1).to_string();
        let before = self.history();
        let child = self
            .postgres
            .program("pgbench")
            .args(["-n", "-N", "-c", "4", "-T", &seconds])
            .args(how)
            .arg(self.postgres.url(&format!("{}_primary", self.name)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Writing {
            live: self,
            before,
            began: Instant::now(),
            child,
        }
    }

    /// How many of pgbench's updates were ever committed.
    pub fn history(&self) -> u64 {
        let count = self.primary("SELECT count(*) FROM pgbench_history");
        count.parse().unwrap()
    }

    /// Waits until the log has all that the primary has committed, and gives how long that took.
    #[track_caller]
    pub fn captured(&self) -> Duration {
        self.postgres
            .captured(&format!("{}_primary", self.name), self.slot())
    }

    /// The keys whose row in a read table is not the primary's, each with both rows.
    #[track_caller]
    pub fn differing(&self, table: &str) -> BTreeMap<String, [Option<String>; 2]> {
        // The dot keeps what prints a row from taking its last blanks off.
        let primary =
            self.primary("SELECT aid, bid, abalance, filler || '.' FROM pgbench_accounts");
        let reads = self.reads(&format!(
            "SELECT account_id, branch_id, balance, filler || '.' FROM {table}"
        ));
        differing(&primary, &reads)
    }
}

/// Two lists of rows, `key|…`: the keys that are not alike in both.
pub fn differing(left: &str, right: &str) -> BTreeMap<String, [Option<String>; 2]> {
    let mut found = BTreeMap::new();
    for (side, rows) in [left, right].into_iter().enumerate() {
        for row in rows.lines() {
            let key = row.split('|').next().unwrap_or(row);
            let both: &mut [Option<String>; 2] = found.entry(key.to_owned()).or_default();
            let twice = both[side].replace(row.to_owned());
            assert!(twice.is_none(), "{key} is there twice");
        }
    }
    found.retain(|_, both| both[0] != both[1]);
    found
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = script("pgbench").args(["drop", self.name]).output();
    }
}

#[track_caller]
fn run(args: &[&str]) -> String {
    out(&script("pgbench").args(args).output().unwrap())
}

/// pgbench in the background.
pub struct Writing<'l> {
    live: &'l Live,
    before: u64,
    began: Instant,
    child: Child,
}

impl Writing<'_> {
    /// Waits for its time to be over; gives how many updates it has committed.
    #[track_caller]
    pub fn finish(mut self) -> u64 {
        let status = self.child.wait().unwrap();
        assert!(status.success(), "pgbench failed: {status}");
        self.committed()
    }

    /// Ends it now; gives how many updates it has committed.
    #[track_caller]
    pub fn stop(mut self) -> u64 {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The server finishes what its dead clients had begun.
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench' AND datname = '{}_primary'",
            self.live.name
        );
        until("the sessions of pgbench are gone", || {
            self.live.primary(&sql) == "0"
        });
        self.committed()
    }

    fn committed(&self) -> u64 {
        let count = self.live.history() - self.before;
        println!(
            "pgbench committed {count} updates in {:?}",
            self.began.elapsed()
        );
        count
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
