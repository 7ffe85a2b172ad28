//! What a real broker cannot be made to do: against librdkafka's mock cluster.
#![allow(clippy::print_stdout)] // Times, for whoever asks with --nocapture.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};

use super::super::{Flow, GroupState, Log, Range, ReadError, StreamError};
use super::proof::Proof;
use super::{Gaps, Kafka, KafkaConfig};

/// A cluster of one broker whose topic "t" holds `records` records in one partition.
fn cluster(records: usize) -> (MockCluster<'static, DefaultProducerContext>, Kafka) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    let producer: BaseProducer = config.create().unwrap();
    for number in 0..records {
        let number = number.to_string();
        let record = BaseRecord::<str, str>::to("t")
            .partition(0)
            .key(&number)
            .payload(&number);
        producer
            .send(record)
            .unwrap_or_else(|(error, _)| panic!("{error}"));
    }
    producer.flush(Duration::from_secs(10)).unwrap();
    let config = KafkaConfig {
        brokers: cluster.bootstrap_servers(),
        properties: Vec::new(),
    };
    (cluster, Kafka::open(config).unwrap())
}

#[test]
fn a_record_in_a_gap_is_lost() {
    let (_cluster, kafka) = cluster(5000);
    let never = AtomicBool::new(false);
    let topic = Arc::from("t");
    let mut proof = Proof::new(&kafka);
    // The first needs a place, the second is known by then, the third is far off, the fourth goes back.
    for (from, to) in [(10, 11), (20, 25), (4990, 5000), (0, 1)] {
        let lost = proof.prove((&topic, 0), (from, to), &never).unwrap_err();
        let StreamError::Lost {
            from: first,
            to: last,
            ..
        } = lost
        else {
            panic!("{lost}")
        };
        assert_eq!((first, last), (from, to));
    }
    // A stop ends the waiting for what will never come.
    let stop = AtomicBool::new(true);
    assert!(!proof.prove((&topic, 0), (5000, 5001), &stop).unwrap());
}

#[test]
fn what_a_cluster_cannot_tell_is_unknown() {
    let (_cluster, kafka) = cluster(3);
    let log = Log::Kafka(kafka);
    assert_eq!(log.group("g", &[]).unwrap().state, GroupState::Unknown);
}

#[test]
fn a_broker_that_goes_away_while_reading_is_an_error() {
    let (cluster, kafka) = cluster(20_000);
    let kafka = kafka.with_patience(Duration::from_secs(3));
    let range = Range {
        topic: Arc::from("t"),
        partition: 0,
        from: 0,
        to: 20_001,
    };
    let started = Instant::now();
    let mut down = false;
    let read = kafka.read(&[range], &AtomicBool::new(false), Gaps::Accept, |_, _| {
        if !down {
            cluster.broker_down(1).unwrap();
            down = true;
        }
        Ok::<_, Infallible>(Flow::Next)
    });
    let Err(ReadError::Stream(error)) = read else {
        panic!("{read:?}")
    };
    println!("{:?}: {error}", started.elapsed());
    assert!(matches!(error, StreamError::Unreachable { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(25));
}
