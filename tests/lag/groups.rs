//! Groups as they are: commits that run ahead, markers at the end, no offsets at all. A small topic that the test writes
//! itself; the connector's place is taken by a slot that is always up to date.

use std::time::Duration;

use serde_json::json;

use crate::support::pair::{Engine, Pair, Side};
use crate::support::projector::topics::{self, Writer, envelope};
use crate::support::projector::{Commits, Lag, Projector, Route, Setup, until};
use crate::support::service;

struct System {
    pair: Pair,
    brokers: String,
    topic: String,
    group: String,
    slot: String,
    lsn: u64,
}

impl System {
    fn new(name: &str) -> Option<System> {
        let brokers = service("TRUEUP_TEST_KAFKA")?;
        let pair = Pair::new(Engine::Postgres, name)?;
        let table = |name: &str| format!("CREATE TABLE {name} (id int PRIMARY KEY, note text)");
        pair.sql(Side::Primary, &table("t"));
        pair.sql(Side::Read, &table("copy"));
        let topic = topics::create(&brokers, &format!("tu_{name}_{}", std::process::id()), 1);
        let slot = topic.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        pair.sql(
            Side::Primary,
            &format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"),
        );
        let system = System {
            group: format!("{topic}-group"),
            brokers,
            topic,
            slot,
            lsn: 1_000,
            pair,
        };
        system.pair.playbook(&format!(
            "version: 1\nname: groups\nprimary: {{ url: \"{}\" }}\nread_store: {{ url: \"{}\" }}\nlog: {{ kafka: {{ brokers: \"{}\" }} }}\n\
             captured: {{ slot: {} }}\napplied: {{ consumer_group: {} }}\n\
             sources: {{ t: {{ topic: {}, table: public.t }} }}\nviews: {{ copy: {{ from: t, key: [id] }} }}\n",
            system.pair.url(Side::Primary),
            system.pair.url(Side::Read),
            system.brokers,
            system.slot,
            system.group,
            system.topic
        ));
        Some(system)
    }

    fn setup(&self) -> Setup {
        let route = Route::new(&self.topic, "copy")
            .key("id", "id", "int")
            .column("note", "note", "text");
        Setup::new(
            &self.brokers,
            &self.group,
            &self.pair.url(Side::Read),
            route,
        )
    }

    /// A row of the primary, and its record.
    fn write(&mut self, writer: &Writer, id: i32, note: &str) {
        self.pair.sql(
            Side::Primary,
            &format!("INSERT INTO t VALUES ({id}, '{note}') ON CONFLICT (id) DO UPDATE SET note = EXCLUDED.note"),
        );
        self.lsn += 8;
        let value = envelope("u", &json!({"id": id, "note": note}), self.lsn);
        writer.send(0, &json!({"id": id}), Some(&value));
        writer.flush();
    }

    /// The exit code of a verification while the slot keeps up, and what it said.
    fn verify(&self) -> (i32, serde_json::Value) {
        self.verify_while(|| {
            let advance = format!(
                "SELECT pg_replication_slot_advance('{}', pg_current_wal_lsn())",
                self.slot
            );
            self.pair.sql(Side::Primary, &advance);
        })
    }

    fn verify_while(&self, something: impl Fn()) -> (i32, serde_json::Value) {
        let mut child = self
            .pair
            .command(&["verify", "{}", "--format", "json", "--lag-wait", "15s"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        while child.try_wait().unwrap().is_none() {
            something();
            std::thread::sleep(Duration::from_millis(100));
        }
        let output = child.wait_with_output().unwrap();
        let verdict = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), verdict)
    }

    fn edit(&self) {
        self.pair
            .sql(Side::Read, "UPDATE copy SET note = 'by hand' WHERE id = 1");
    }

    #[track_caller]
    fn is_drift(&self) {
        let (code, verdict) = self.verify();
        assert_eq!(
            (code, verdict["views"][0]["changed"].as_u64()),
            (1, Some(1)),
            "{verdict}"
        );
    }

    #[track_caller]
    fn is_unknown(&self, says: &str) {
        let (code, verdict) = self.verify();
        assert_eq!(
            (code, verdict["views"][0]["unknown"].as_u64()),
            (5, Some(1)),
            "{verdict}"
        );
        assert!(
            verdict["views"][0]["reasons"].to_string().contains(says),
            "{verdict}"
        );
    }
}

impl Drop for System {
    fn drop(&mut self) {
        topics::delete(&self.brokers, &self.topic);
        self.pair.sql(
            Side::Primary,
            &format!("SELECT pg_drop_replication_slot('{}')", self.slot),
        );
    }
}

#[test]
fn a_commit_that_runs_ahead_of_the_write_is_no_drift() {
    let Some(mut system) = System::new("ahead") else {
        return;
    };
    let writer = Writer::plain(&system.brokers, &system.topic);
    let projector = Projector::start(system.setup().commits(Commits::Automatic));
    system.write(&writer, 1, "one");
    projector.drained(&projector.ends(&system.topic));
    for commits in [
        Commits::Automatic,
        Commits::BeforeWriting(Duration::from_secs(3)),
    ] {
        projector.commits(commits);
        if commits == Commits::Automatic {
            projector.lag(Lag::fixed(Duration::from_secs(3)));
        } else {
            projector.lag(Lag::NONE);
        }
        let note = format!("{commits:?}");
        system.write(&writer, 1, &note);
        let ends: Vec<Option<i64>> = projector
            .ends(&system.topic)
            .into_iter()
            .map(|end| Some(end.2))
            .collect();
        until("it is committed", || {
            topics::committed(&system.brokers, &system.group, &system.topic) == ends
        });
        assert_ne!(
            system.pair.lines(Side::Read, "SELECT note FROM copy"),
            [note.as_str()],
            "and not written yet"
        );
        let (code, verdict) = system.verify();
        assert_eq!(
            (code, verdict["views"][0]["lagging"].as_u64()),
            (0, Some(1)),
            "{verdict}"
        );
    }
    projector.lag(Lag::NONE);
    system.edit();
    system.is_drift();
}

#[test]
fn markers_and_holes_at_the_end_are_nothing_to_apply() {
    for compacted in [false, true] {
        let Some(mut system) = System::new("markers") else {
            return;
        };
        if compacted {
            let settings = [
                ("cleanup.policy", "compact"),
                ("segment.ms", "100"),
                ("min.cleanable.dirty.ratio", "0.001"),
            ];
            topics::configure(&system.brokers, &system.topic, &settings);
        }
        let writer = Writer::transactional(&system.brokers, &system.topic);
        for note in ["one", "two", "three"] {
            writer.begin();
            system.write(&writer, 1, note);
            writer.commit();
        }
        let projector = Projector::start(system.setup());
        projector.drained(&projector.ends(&system.topic));
        // A transaction that came to nothing leaves a record that nobody may see, and its marker.
        writer.begin();
        writer.send(0, &json!({"id": 1}), None);
        writer.flush();
        writer.abort();
        system.edit();
        system.is_drift();
    }
}

#[test]
fn a_group_without_offsets_is_unknown_and_not_at_zero() {
    let Some(mut system) = System::new("nowhere") else {
        return;
    };
    let writer = Writer::plain(&system.brokers, &system.topic);
    system.write(&writer, 1, "one");
    {
        let projector = Projector::start(system.setup().commits(Commits::Never));
        projector.drained(&projector.ends(&system.topic));
        let (code, _) = system.verify();
        assert_eq!(code, 0, "equal is in sync, whoever applied it");
        system.edit();
        system.is_unknown("never committed there, or what it committed has expired");
    }
    let projector = Projector::start(system.setup());
    projector.drained(&projector.ends(&system.topic));
    system.edit();
    system.is_drift();
    projector.stop();
    topics::delete_offsets(&system.brokers, &system.group, &system.topic, &[0]);
    system.is_unknown("never committed there, or what it committed has expired");
}

#[test]
fn what_the_log_says_last_decides_where_the_slot_stands_still() {
    let Some(mut system) = System::new("last") else {
        return;
    };
    let writer = Writer::plain(&system.brokers, &system.topic);
    for (id, note) in [(1, "old"), (2, "two"), (1, "one")] {
        system.write(&writer, id, note);
    }
    let projector = Projector::start(system.setup());
    projector.drained(&projector.ends(&system.topic));
    // 1 is edited here, 2 there without a record: of the second nothing can be said.
    system.edit();
    let (code, verdict) = system.verify_while(|| ());
    assert_eq!(
        (code, verdict["views"][0]["changed"].as_u64()),
        (1, Some(1)),
        "{verdict}"
    );
    system.pair.sql(
        Side::Primary,
        "UPDATE t SET note = 'unheard of' WHERE id = 2",
    );
    let (code, verdict) = system.verify_while(|| ());
    assert_eq!(
        (
            code,
            verdict["views"][0]["changed"].as_u64(),
            verdict["views"][0]["unknown"].as_u64()
        ),
        (1, Some(1), Some(1)),
        "{verdict}"
    );
}
