//! Consumer groups, of both protocols.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::Producer;
use rdkafka::{Offset, TopicPartitionList};

use trueup::stream::GroupState;

use super::{Made, WAIT, service};

#[test]
fn groups_are_seen_without_joining() {
    let Some(brokers) = service("TRUEUP_TEST_KAFKA") else {
        return;
    };
    let topic = Made::new(brokers, "groups", 2, &[]);
    let producer = topic.producer(&[]);
    (0..20).for_each(|number| topic.send(&producer, number % 2, "k", Some("v")));
    producer.flush(WAIT).unwrap();
    let log = topic.log();
    let unknown = log
        .group(&format!("{}-unknown", topic.name), &[&topic.name])
        .unwrap();
    assert_eq!(
        (unknown.state, unknown.members.len()),
        (GroupState::Dead, 0)
    );
    assert!(
        unknown
            .committed
            .iter()
            .all(|(_, _, offset)| offset.is_none())
    );
    assert_eq!(unknown.committed.len(), 2);

    for protocol in ["classic", "consumer"] {
        let (name, member) = member(&topic, protocol);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic.name, 1, Offset::Offset(7))
            .unwrap();
        member.commit(&list, CommitMode::Sync).unwrap();

        let group = log.group(&name, &[&topic.name]).unwrap();
        println!("{protocol}: {group:?}");
        assert_eq!(group.state, GroupState::Stable, "{protocol}");
        assert_eq!(
            (group.members.len(), group.members[0].client_id.as_str()),
            (1, "projector")
        );
        let committed: Vec<(i32, Option<i64>)> =
            group.committed.iter().map(|at| (at.1, at.2)).collect();
        assert_eq!(committed, [(0, None), (1, Some(7))]);

        drop(member);
        let left = Instant::now() + WAIT;
        loop {
            let group = log.group(&name, &[]).unwrap();
            if group.state == GroupState::Empty && group.members.is_empty() {
                break;
            }
            assert!(Instant::now() < left, "{protocol}: {group:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        let again = log.group(&name, &[&topic.name]).unwrap();
        assert_eq!(again.committed[1].2, Some(7), "{protocol}");
    }
}

/// A group of one member that has read the whole topic.
fn member(topic: &Made, protocol: &str) -> (String, BaseConsumer) {
    let name = format!("{}-{protocol}", topic.name);
    let mut settings = ClientConfig::new();
    settings
        .set("bootstrap.servers", &topic.brokers)
        .set("group.id", &name)
        .set("client.id", "projector")
        .set("group.protocol", protocol)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false");
    let member: BaseConsumer = settings.create().unwrap();
    member.subscribe(&[&topic.name]).unwrap();
    let deadline = Instant::now() + WAIT;
    let mut got = 0;
    while got < 20 {
        assert!(Instant::now() < deadline, "{protocol}: only {got} records");
        if let Some(message) = member.poll(Duration::from_millis(100)) {
            message.unwrap();
            got += 1;
        }
    }
    (name, member)
}
