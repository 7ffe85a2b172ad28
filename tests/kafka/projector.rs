//! The tests' own projector, proven: each way in which it can be told to err leaves exactly that error behind.

mod groups;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::live::{Live, differing};
use crate::support::projector::topics::{self, Writer, envelope};
use crate::support::projector::{
    Commits, Lag, Projector, Protocol, Route, Setup, Which, Why, until,
};
use crate::support::services::Postgres;
use crate::support::{seed, service};

const HOUR: Duration = Duration::from_secs(3600);
const PARTITIONS: i32 = 2;

/// A topic and a read table of one test's own, with nothing between them but the projector. Each change is a new version
/// of its row, whose note says which.
struct Small {
    brokers: String,
    postgres: Postgres,
    database: String,
    topic: String,
    writer: Writer,
    versions: BTreeMap<u32, u64>,
    lsn: u64,
}

impl Small {
    fn new(name: &str) -> Option<Small> {
        let brokers = service("TRUEUP_TEST_KAFKA")?;
        let postgres = Postgres::new()?;
        let database = format!("tu_projector_{name}");
        postgres.sql(
            "postgres",
            &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"),
        );
        postgres.sql("postgres", &format!("CREATE DATABASE {database}"));
        postgres.sql(
            &database,
            "CREATE TABLE copy (id int PRIMARY KEY, note text, at bigint)",
        );
        let topic = topics::create(&brokers, &database, PARTITIONS);
        Some(Small {
            writer: Writer::plain(&brokers, &topic),
            brokers,
            postgres,
            database,
            topic,
            versions: BTreeMap::new(),
            lsn: 0,
        })
    }

    /// Writes the next version of these rows.
    fn change(&mut self, keys: impl IntoIterator<Item = u32>) {
        for key in keys {
            self.lsn += 1;
            let version = self.versions.entry(key).or_default();
            *version += 1;
            let row = json!({"id": key, "note": format!("version {version}")});
            let op = if *version == 1 { "c" } else { "u" };
            let value = envelope(op, &row, self.lsn);
            self.writer
                .send(partition(key), &json!({"id": key}), Some(&value));
        }
        self.writer.flush();
    }

    /// Deletes rows: each is a delete and its tombstone.
    fn delete(&mut self, keys: impl IntoIterator<Item = u32>) {
        for key in keys {
            self.lsn += 1;
            self.versions.remove(&key);
            let value = envelope("d", &json!({"id": key, "note": ""}), self.lsn);
            self.writer
                .send(partition(key), &json!({"id": key}), Some(&value));
            self.writer.send(partition(key), &json!({"id": key}), None);
        }
        self.writer.flush();
    }

    fn setup(&self, group: &str) -> Setup {
        let route = Route::new(&self.topic, "copy")
            .key("id", "id", "int")
            .column("note", "note", "text")
            .offset_column("at");
        let group = format!("{}-{group}", self.topic);
        Setup::new(
            &self.brokers,
            &group,
            &self.postgres.url(&self.database),
            route,
        )
    }

    fn ends(&self) -> Vec<(String, i32, i64)> {
        topics::ends(&self.brokers, &self.topic, "read_committed")
    }

    /// What a group that is caught up has committed.
    fn all_committed(&self) -> Vec<Option<i64>> {
        self.ends().into_iter().map(|end| Some(end.2)).collect()
    }

    fn committed(&self, setup: &Setup) -> Vec<Option<i64>> {
        topics::committed(&self.brokers, &setup.group, &self.topic)
    }

    fn reads(&self, sql: &str) -> String {
        self.postgres.sql(&self.database, sql)
    }

    fn rows(&self) -> String {
        self.reads("SELECT id, note FROM copy")
    }

    /// The keys whose rows are not those of the last versions.
    fn differing(&self) -> BTreeMap<String, [Option<String>; 2]> {
        let expected: Vec<String> = self
            .versions
            .iter()
            .map(|(key, version)| format!("{key}|version {version}"))
            .collect();
        differing(&expected.join("\n"), &self.rows())
    }

    #[track_caller]
    fn equal(&self) {
        assert_eq!(self.differing(), BTreeMap::new());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        topics::delete(&self.brokers, &self.topic);
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.database);
        self.postgres.sql("postgres", &sql);
    }
}

fn partition(key: u32) -> i32 {
    i32::try_from(key).unwrap() % PARTITIONS
}

fn keys<V>(found: &BTreeMap<String, V>) -> BTreeSet<&str> {
    found.keys().map(String::as_str).collect()
}

#[test]
fn it_follows_pgbench_with_a_random_lag() {
    let Some(live) = Live::start("tu_live", 1) else {
        return;
    };
    live.reads("CREATE TABLE read.accounts_too (LIKE read.accounts INCLUDING ALL)");
    let seed = seed();
    let start = |protocol, table| {
        let route = Route::accounts(&live.topic(), table);
        let group = format!("tu_live_{protocol:?}_{}", std::process::id());
        let setup = Setup::new(&live.brokers, &group, &live.reads_url(), route)
            .protocol(protocol)
            .lag(Lag::random(Duration::from_secs(5)), seed);
        Projector::start(setup)
    };
    let classic = start(Protocol::Classic, "read.accounts");
    let consumer = start(Protocol::Consumer, "read.accounts_too");
    let written = live.write(Duration::from_secs(6)).finish();
    println!("captured {:?} later", live.captured());
    let check = |rows: u64| {
        for (projector, table) in [
            (&classic, "read.accounts"),
            (&consumer, "read.accounts_too"),
        ] {
            projector.drained(&projector.ends(&live.topic()));
            println!("{table}: {:?}", projector.counters());
            assert_eq!(live.differing(table), BTreeMap::new());
            assert_eq!(
                projector.counters().applied,
                rows,
                "{:?}",
                projector.last_error()
            );
        }
    };
    check(live.rows + written);

    // Without a lag it keeps up with what pgbench can.
    classic.lag(Lag::NONE);
    consumer.lag(Lag::NONE);
    let fast = live.write(Duration::from_secs(3)).finish();
    println!("captured {:?} later", live.captured());
    let captured = Instant::now();
    for projector in [&classic, &consumer] {
        projector.drained(&projector.ends(&live.topic()));
        println!("and applied {:?} after that", captured.elapsed());
    }
    check(live.rows + written + fast);

    // A paused connector: the log stays where it is, then gets the rest.
    live.pause();
    let ends = classic.ends(&live.topic());
    let writing = live.write(HOUR);
    let before = live.history();
    until("pgbench writes", || live.history() > before + 100);
    let more = writing.stop();
    assert_eq!(classic.ends(&live.topic()), ends);
    live.resume();
    println!("captured {:?} later", live.captured());
    check(live.rows + written + fast + more);
}

#[test]
fn it_commits_after_writing_or_never() {
    let Some(mut small) = Small::new("after") else {
        return;
    };
    small.change(0..100);
    small.change(0..50);
    small.delete(90..100);
    let setup = small.setup("after");
    let after = Projector::start(setup.clone());
    after.drained(&small.ends());
    small.equal();
    until("all is committed", || {
        small.committed(&setup) == small.all_committed()
    });
    assert_eq!(
        small.reads("SELECT count(*) FROM copy WHERE at IS NULL"),
        "0"
    );
    let counted = after.stop();
    assert_eq!((counted.read, counted.applied), (170, 160), "{counted:?}");
    assert!(counted.commits >= 1, "{counted:?}");

    let setup = small.setup("never").commits(Commits::Never);
    let never = Projector::start(setup.clone());
    never.drained(&small.ends());
    small.equal();
    assert_eq!(never.stop().commits, 0);
    assert_eq!(small.committed(&setup), [None, None]);
}

#[test]
fn what_it_commits_before_writing_can_be_lost() {
    let Some(mut small) = Small::new("before") else {
        return;
    };
    small.change(0..20);
    let setup = small.setup("before").commits(Commits::BeforeWriting(HOUR));
    let before = Projector::start(setup.clone());
    until("it commits", || {
        small.committed(&setup) == small.all_committed()
    });
    assert_eq!(small.rows(), "", "committed, and not written");
    before.commits(Commits::BeforeWriting(Duration::ZERO));
    before.drained(&small.ends());
    small.equal();

    before.commits(Commits::BeforeWriting(HOUR));
    small.change(5..10);
    until("it commits again", || {
        small.committed(&setup) == small.all_committed()
    });
    before.crash();
    let next = Projector::start(setup.commits(Commits::AfterWriting));
    small.change(0..3);
    next.drained(&small.ends());
    assert_eq!(
        keys(&small.differing()),
        BTreeSet::from(["5", "6", "7", "8", "9"])
    );
}

#[test]
fn automatic_commits_run_ahead_of_the_writing() {
    let Some(mut small) = Small::new("automatic") else {
        return;
    };
    small.change(0..20);
    let setup = small
        .setup("automatic")
        .commits(Commits::Automatic)
        .lag(Lag::fixed(HOUR), 0);
    let automatic = Projector::start(setup.clone());
    until("all is committed", || {
        small.committed(&setup) == small.all_committed()
    });
    assert_eq!(small.rows(), "");
    assert!(automatic.counters().lag_seconds > 0.0);
    automatic.lag(Lag::NONE);
    automatic.drained(&small.ends());
    small.equal();
    // A lag by the record's own time: these are older than that already.
    automatic.lag(Lag::fixed(Duration::from_millis(300)).by_timestamp());
    small.change(0..10);
    automatic.drained(&small.ends());
    small.equal();
}

#[test]
fn a_checkpoint_moves_with_the_rows() {
    let Some(mut small) = Small::new("checkpoint") else {
        return;
    };
    small.change(0..20);
    let setup = small.setup("one").commits(Commits::InDatabase);
    let one = Projector::start(setup.clone());
    one.drained(&small.ends());
    small.equal();
    let checkpoint = || {
        small.reads("SELECT topic, partition, next_offset FROM projector_checkpoint ORDER BY 1, 2")
    };
    let ends: Vec<String> = small
        .ends()
        .iter()
        .map(|e| format!("{}|{}|{}", e.0, e.1, e.2))
        .collect();
    assert_eq!(checkpoint(), ends.join("\n"));
    assert_eq!(small.committed(&setup), [None, None]);
    assert_eq!(one.stop().read, 20);
    // Where nothing has come since, it is drained as it begins.
    Projector::start(setup).drained(&small.ends());
    // Another group goes on where the table is: at the checkpoint.
    small.change(10..15);
    let two = Projector::start(
        small
            .setup("two")
            .protocol(Protocol::Consumer)
            .commits(Commits::InDatabase),
    );
    two.drained(&small.ends());
    small.equal();
    assert_eq!(two.stop().read, 5);
}

#[test]
fn skipped_records_leave_their_keys_behind() {
    let Some(mut small) = Small::new("skip") else {
        return;
    };
    let projector = Projector::start(small.setup("skip"));
    small.change(0..100);
    projector.drained(&small.ends());
    small.equal();
    // Key 7 is repaired by its next event, key 8 is not.
    projector.skip(Which::keys(["7", "8", "9"]));
    small.change([7, 8, 20]);
    small.delete([9]);
    projector.drained(&small.ends());
    projector.skip(Which::None);
    small.change([7]);
    projector.drained(&small.ends());
    assert_eq!(keys(&small.differing()), BTreeSet::from(["8", "9"]));
    let wrong = projector.wrong(&small.topic);
    assert_eq!(keys(&wrong), BTreeSet::from(["8", "9"]));
    assert!(wrong.values().all(|why| *why == Why::Skipped));

    // One position, then each tenth of the changes.
    let next = small.ends()[1].2;
    projector.skip(Which::At(BTreeSet::from([(small.topic.clone(), 1, next)])));
    small.change([31]);
    projector.drained(&small.ends());
    projector.skip(Which::Every(10));
    small.change(40..90);
    projector.drained(&small.ends());
    let differing = small.differing();
    assert_eq!(keys(&differing), keys(&projector.wrong(&small.topic)));
    assert!(
        differing.contains_key("31") && differing.len() == 2 + 1 + 5,
        "{differing:?}"
    );
    let skipped = projector.skipped();
    assert_eq!(skipped.len(), 9);
    assert_eq!((skipped[3].offset, skipped[3].key.as_str()), (next, "31"));
    assert_eq!(projector.counters().skipped, 9);
}

#[test]
fn old_events_that_win_leave_exactly_those_rows_stale() {
    let Some(mut small) = Small::new("old") else {
        return;
    };
    let projector = Projector::start(small.setup("old"));
    small.change(0..50);
    small.change(0..40);
    projector.drained(&small.ends());
    small.equal();
    projector.old_wins(Which::keys(["11", "12", "45", "99"]));
    small.change([11, 12, 13, 45]);
    small.change([99]);
    projector.drained(&small.ends());
    projector.old_wins(Which::None);
    let differing = small.differing();
    // Of key 99 there is no older event.
    assert_eq!(keys(&differing), BTreeSet::from(["11", "12", "45"]));
    assert_eq!(differing["11"][1].as_deref(), Some("11|version 2"));
    assert_eq!(differing["45"][1].as_deref(), Some("45|version 1"));
    // The next event repairs; and on demand.
    small.change([11, 12, 45]);
    projector.drained(&small.ends());
    small.equal();
    assert_eq!(projector.write_old_events(3), 3);
    let differing = small.differing();
    assert_eq!(differing.len(), 3);
    let wrong = projector.wrong(&small.topic);
    assert_eq!(keys(&wrong), keys(&differing));
    assert!(wrong.values().all(|why| *why == Why::OldEventWon));
    assert_eq!(projector.counters().reapplied, 6);
}
