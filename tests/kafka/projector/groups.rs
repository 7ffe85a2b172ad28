//! The projector as a member of its group, and what a topic and a group can lose.

use std::time::Duration;

use serde_json::json;
use trueup::stream::{GroupState, Kafka, KafkaConfig, Log};

use super::{HOUR, Small};
use crate::support::projector::topics::{self, Writer, envelope};
use crate::support::projector::{Commits, Lag, Pause, Projector, Protocol, until};

const PROTOCOLS: [Protocol; 2] = [Protocol::Classic, Protocol::Consumer];

fn log(small: &Small) -> Log {
    let config = KafkaConfig {
        brokers: small.brokers.clone(),
        properties: Vec::new(),
    };
    Log::Kafka(Kafka::open(config).unwrap())
}

#[test]
fn it_pauses_inside_its_group_and_leaves_or_dies() {
    let Some(mut small) = Small::new("pause") else {
        return;
    };
    let log = log(&small);
    for protocol in PROTOCOLS {
        let setup = small.setup(&format!("{protocol:?}")).protocol(protocol);
        let state = || {
            let group = log.group(&setup.group, &[]).unwrap();
            (group.state, group.members.len())
        };
        let projector = Projector::start(setup.clone());
        projector.joined(2);
        for how in [Pause::Partitions, Pause::Polling] {
            small.change(0..10);
            projector.drained(&small.ends());
            projector.pause(how);
            let (rows, committed) = (small.rows(), small.committed(&setup));
            small.change(0..10);
            // A second projector that has read the new records shows that there was time to.
            let witness = Projector::start(
                small
                    .setup("witness")
                    .commits(Commits::Never)
                    .lag(Lag::fixed(HOUR), 0),
            );
            until("the witness has read", || witness.counters().read >= 20);
            drop(witness);
            assert_eq!(
                (small.rows(), small.committed(&setup)),
                (rows, committed),
                "{how:?}"
            );
            assert_eq!(state(), (GroupState::Stable, 1), "{protocol:?} {how:?}");
            projector.resume();
            projector.drained(&small.ends());
            small.equal();
        }
        projector.stop();
        until("it has left", || state() == (GroupState::Empty, 0));

        let projector = Projector::start(setup.clone());
        projector.joined(2);
        projector.crash();
        assert_eq!(
            state(),
            (GroupState::Stable, 1),
            "{protocol:?}: it left while it crashed"
        );
        until("its session is over", || state() == (GroupState::Empty, 0));
    }
}

#[test]
fn members_share_the_partitions() {
    let Some(mut small) = Small::new("share") else {
        return;
    };
    small.change(0..500);
    for protocol in PROTOCOLS {
        let setup = small
            .setup(&format!("{protocol:?}"))
            .protocol(protocol)
            .lag(
                Lag::random(Duration::from_millis(500)),
                crate::support::seed(),
            );
        let one = Projector::start(setup.clone());
        one.joined(2);
        small.change(0..500);
        let two = Projector::start(setup);
        two.joined(1);
        one.joined(1);
        small.change(0..250);
        Projector::all_drained(&[&one, &two], &small.ends());
        small.equal();
        // What one leaves, the other takes.
        two.stop();
        one.joined(2);
        small.change(100..300);
        one.drained(&small.ends());
        small.equal();
    }
}

#[test]
fn a_log_that_ends_in_markers_is_drained_below_its_end() {
    let Some(small) = Small::new("markers") else {
        return;
    };
    let writer = Writer::transactional(&small.brokers, &small.topic);
    for (key, commits) in [(0, true), (1, true), (2, false)] {
        writer.begin();
        let row = json!({"id": key, "note": "in a transaction"});
        writer.send(key % 2, &json!({"id": key}), Some(&envelope("c", &row, 1)));
        writer.flush();
        if commits {
            writer.commit();
        } else {
            writer.abort();
        }
    }
    for (isolation, rows, committed) in [
        // A record, its marker; in partition 0 an aborted record and its marker.
        ("read_committed", "2", [1, 1]),
        ("read_uncommitted", "3", [3, 1]),
    ] {
        small.reads("TRUNCATE copy");
        let setup = small.setup(isolation).isolation(isolation);
        let projector = Projector::start(setup.clone());
        assert_eq!(
            projector
                .ends(&small.topic)
                .iter()
                .map(|e| e.2)
                .collect::<Vec<_>>(),
            [4, 2]
        );
        projector.drained(&projector.ends(&small.topic));
        assert_eq!(small.reads("SELECT count(*) FROM copy"), rows);
        until("it commits", || {
            small.committed(&setup) == committed.map(Some)
        });
    }
}

#[test]
fn groups_and_topics_lose_what_they_are_told_to() {
    let Some(mut small) = Small::new("lose") else {
        return;
    };
    small.change(0..20);
    for protocol in PROTOCOLS {
        let setup = small.setup(&format!("{protocol:?}")).protocol(protocol);
        let projector = Projector::start(setup.clone());
        projector.drained(&small.ends());
        projector.stop();
        assert_eq!(small.committed(&setup), [Some(10), Some(10)]);
        topics::delete_offsets(&small.brokers, &setup.group, &small.topic, &[1]);
        assert_eq!(small.committed(&setup), [Some(10), None]);
        topics::delete_group(&small.brokers, &setup.group);
        assert_eq!(small.committed(&setup), [None, None]);
        assert_eq!(
            log(&small).group(&setup.group, &[]).unwrap().state,
            GroupState::Dead
        );
    }
    topics::delete_records(&small.brokers, &small.topic, 1, 4);
    let starts: Vec<i64> = log(&small)
        .topic(&small.topic)
        .unwrap()
        .extents
        .iter()
        .map(|e| e.start)
        .collect();
    assert_eq!(starts, [0, 4]);
}
