//! `stream` against a real broker: TRUEUP_TEST_KAFKA says where (`tests/services run cargo test`).

mod connect;
mod groups;
mod rate;

use std::convert::Infallible;
use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use trueup::stream::{Cleanup, Kafka, KafkaConfig, Log, Outcome, Range, ReadError, StreamError};

const WAIT: Duration = Duration::from_secs(30);

/// The address that a variable names; `None`, said out loud, where the service is not there.
fn service(variable: &str) -> Option<String> {
    if let Ok(address) = std::env::var(variable) {
        return Some(address);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{variable} must be set where CI is"
    );
    println!("SKIPPED: {variable} is not set");
    None
}

fn config(brokers: &str, properties: &[(&str, &str)]) -> KafkaConfig {
    let properties = properties
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect();
    KafkaConfig {
        brokers: brokers.to_owned(),
        properties,
    }
}

/// A topic of this test alone.
struct Made {
    brokers: String,
    name: Arc<str>,
}

impl Made {
    fn new(brokers: String, name: &str, partitions: i32, settings: &[(&str, &str)]) -> Made {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let name = format!("stream-{name}-{}-{}", std::process::id(), now.as_millis());
        let mut topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let made = block_on(admin(&brokers).create_topics([&topic], &AdminOptions::new())).unwrap();
        made.into_iter().for_each(|result| drop(result.unwrap()));
        Made {
            name: Arc::from(name),
            brokers,
        }
    }

    fn producer(&self, properties: &[(&str, &str)]) -> BaseProducer {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("linger.ms", "5");
        for (key, value) in properties {
            config.set(*key, *value);
        }
        config.create().unwrap()
    }

    fn send(&self, producer: &BaseProducer, partition: i32, key: &str, value: Option<&str>) {
        let mut record = BaseRecord::<str, str>::to(&self.name)
            .partition(partition)
            .key(key);
        if let Some(value) = value {
            record = record.payload(value);
        }
        while let Err((error, back)) = producer.send(record) {
            let full = rdkafka::error::RDKafkaErrorCode::QueueFull;
            assert_eq!(error.rdkafka_error_code(), Some(full), "{error}");
            producer.poll(Duration::from_millis(5));
            record = back;
        }
    }

    fn log(&self) -> Log {
        Log::Kafka(Kafka::open(config(&self.brokers, &[])).unwrap())
    }

    fn range(&self, partition: i32, from: i64, to: i64) -> Range {
        Range {
            topic: Arc::clone(&self.name),
            partition,
            from,
            to,
        }
    }

    /// All that the topic holds.
    fn all(&self, log: &Log) -> Vec<Range> {
        let extents = log.topic(&self.name).unwrap().extents;
        extents
            .iter()
            .map(|extent| self.range(extent.partition, extent.start, extent.end))
            .collect()
    }
}

fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()
        .unwrap()
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

type Seen = (i32, i64, Option<String>, Option<String>);

fn read(log: &Log, ranges: &[Range]) -> Result<(Vec<Seen>, Outcome), StreamError> {
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
    let mut seen = Vec::new();
    let read = log.read(ranges, &AtomicBool::new(false), |record| {
        seen.push((
            record.at.partition,
            record.at.offset,
            text(record.key),
            text(record.value),
        ));
        Ok::<_, Infallible>(ControlFlow::Continue(()))
    });
    match read {
        Ok(outcome) => Ok((seen, outcome)),
        Err(ReadError::Stream(error)) => Err(error),
        Err(ReadError::Sink(never)) => match never {},
    }
}

#[test]
fn a_plain_topic_whole_and_in_part() {
    let Some(brokers) = service("TRUEUP_TEST_KAFKA") else {
        return;
    };
    let topic = Made::new(brokers, "plain", 4, &[]);
    let producer = topic.producer(&[]);
    for number in 0..20_000 {
        topic.send(
            &producer,
            number % 4,
            &format!("k{number}"),
            Some(&format!("v{number}")),
        );
    }
    topic.send(&producer, 0, "gone", None);
    let headers = OwnedHeaders::new()
        .insert(Header {
            key: "a",
            value: Some("1"),
        })
        .insert(Header {
            key: "b",
            value: None::<&str>,
        });
    let with_headers = BaseRecord::<(), str>::to(&topic.name)
        .partition(1)
        .payload("")
        .headers(headers);
    producer
        .send(with_headers)
        .unwrap_or_else(|_| panic!("queue full"));
    producer.flush(WAIT).unwrap();

    let log = topic.log();
    let about = log.topic(&topic.name).unwrap();
    let ends: Vec<i64> = about.extents.iter().map(|extent| extent.end).collect();
    assert_eq!(ends, [5001, 5001, 5000, 5000]);
    assert_eq!(
        (about.cleanup, about.delete_retention_ms),
        (Cleanup::Delete, Some(86_400_000))
    );
    assert!(about.retention_ms.is_some() && about.cluster_id.is_some());

    let (seen, outcome) = read(&log, &topic.all(&log)).unwrap();
    assert_eq!(
        (seen.len(), outcome.records, outcome.gaps, outcome.stopped),
        (20_002, 20_002, 0, false)
    );
    for partition in 0..4 {
        let offsets = seen
            .iter()
            .filter(|seen| seen.0 == partition)
            .map(|seen| seen.1);
        assert!(
            offsets.eq(0..ends[partition as usize]),
            "partition {partition} in order"
        );
    }
    assert!(seen.contains(&(0, 5000, Some("gone".to_owned()), None)));
    assert!(seen.contains(&(1, 5000, None, Some(String::new()))));
    parts_and_ends(&topic, &log);
}

/// Of the topic that the test above has made.
fn parts_and_ends(topic: &Made, log: &Log) {
    let part = [
        topic.range(2, 10, 20),
        topic.range(0, 4990, 5001),
        topic.range(3, 7, 7),
    ];
    let (seen, outcome) = read(log, &part).unwrap();
    assert_eq!(seen.len(), 21);
    let next: Vec<(i32, i64)> = outcome
        .next
        .iter()
        .map(|(_, partition, next)| (*partition, *next))
        .collect();
    assert_eq!(next, [(2, 20), (0, 5001), (3, 7)]);

    let peeks = log.peek(&topic.all(log), 2).unwrap();
    assert_eq!(
        (peeks[0].first[1].offset, peeks[0].last[1].offset),
        (1, 5000)
    );
    let headers = vec![
        ("a".to_owned(), b"1".to_vec()),
        ("b".to_owned(), Vec::new()),
    ];
    assert_eq!(peeks[1].last[1].headers, headers);

    let beyond = read(log, &[topic.range(2, 10, 5001)]).unwrap_err();
    assert!(
        matches!(
            beyond,
            StreamError::OutOfRange {
                offset: 5000,
                end: 5000,
                ..
            }
        ),
        "{beyond}"
    );
}

#[test]
fn reading_stops_when_told() {
    let Some(brokers) = service("TRUEUP_TEST_KAFKA") else {
        return;
    };
    let topic = Made::new(brokers, "stop", 1, &[]);
    let producer = topic.producer(&[]);
    (0..5000).for_each(|number| topic.send(&producer, 0, "k", Some(&number.to_string())));
    producer.flush(WAIT).unwrap();
    let log = topic.log();
    let stop = AtomicBool::new(false);
    let flagged = log.read(&topic.all(&log), &stop, |record| {
        stop.store(record.at.offset == 10, Ordering::Relaxed);
        // The flag is looked at between batches.
        stop.fetch_or(record.at.offset >= 10, Ordering::Relaxed);
        Ok::<_, Infallible>(ControlFlow::Continue(()))
    });
    let flagged = flagged.unwrap();
    assert!(flagged.stopped && flagged.records < 5000, "{flagged:?}");
    assert_eq!(flagged.next[0].2, flagged.records as i64);
    stop.store(false, Ordering::Relaxed);
    let broken = log.read(&topic.all(&log), &stop, |record| {
        let flow = if record.at.offset == 99 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        };
        Ok::<_, Infallible>(flow)
    });
    let broken = broken.unwrap();
    assert_eq!((broken.next[0].2, broken.stopped), (100, true));
    let refused = log.read(&topic.all(&log), &stop, |_| Err("full"));
    assert!(matches!(refused, Err(ReadError::Sink("full"))));
}

#[test]
fn transactions_leave_proven_gaps() {
    let Some(brokers) = service("TRUEUP_TEST_KAFKA") else {
        return;
    };
    let topic = Made::new(brokers, "transactions", 2, &[]);
    let producer = topic.producer(&[("transactional.id", &topic.name)]);
    producer.init_transactions(WAIT).unwrap();
    for transaction in 0..200 {
        producer.begin_transaction().unwrap();
        for number in 0..5 {
            topic.send(&producer, number % 2, "k", Some(&format!("{transaction}")));
        }
        producer.flush(WAIT).unwrap();
        match transaction % 10 {
            // The last one as well: the log ends with aborted records and a marker.
            9 => producer.abort_transaction(WAIT).unwrap(),
            _ => producer.commit_transaction(WAIT).unwrap(),
        }
    }
    let log = topic.log();
    let ranges = topic.all(&log);
    let started = Instant::now();
    let (seen, outcome) = read(&log, &ranges).unwrap();
    println!(
        "200 transactions read and proven in {:?}",
        started.elapsed()
    );
    assert_eq!(seen.len(), 180 * 5);
    assert!(
        seen.iter()
            .all(|seen| seen.3.as_ref().is_some_and(|value| !value.ends_with('9')))
    );
    let offsets: i64 = ranges.iter().map(|range| range.to).sum();
    assert_eq!(outcome.records + outcome.gaps, offsets as u64);
    for ((_, _, next), range) in outcome.next.iter().zip(&ranges) {
        assert_eq!(*next, range.to);
    }
    // A range that begins and ends inside transactions.
    let (part, outcome) = read(&log, &[topic.range(0, 1, 9)]).unwrap();
    assert_eq!(part.len() as u64 + outcome.gaps, 8);
    let peek = log.peek(&ranges, 1).unwrap();
    assert_eq!(peek[0].first[0].offset, 0);

    // An open transaction hides what comes after it: an error, not a hang; and no error once it has ended.
    producer.begin_transaction().unwrap();
    topic.send(&producer, 0, "k", Some("open"));
    producer.flush(WAIT).unwrap();
    let impatient = Kafka::open(config(&topic.brokers, &[]))
        .unwrap()
        .with_patience(Duration::from_secs(2));
    let impatient = Log::Kafka(impatient);
    let ranges = topic.all(&impatient);
    let error = read(&impatient, &ranges).unwrap_err();
    assert!(
        matches!(error, StreamError::OpenTransaction { .. }),
        "{error}"
    );
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(500));
            producer.commit_transaction(WAIT).unwrap();
        });
        let (seen, _) = read(&impatient, &ranges).unwrap();
        assert_eq!(seen.len(), 180 * 5 + 1);
    });
}

#[test]
fn a_compacted_topic_has_holes() {
    let Some(brokers) = service("TRUEUP_TEST_KAFKA") else {
        return;
    };
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("delete.retention.ms", "1000"),
    ];
    let topic = Made::new(brokers, "compacted", 1, &settings);
    let producer = topic.producer(&[]);
    let round = |round: i32| {
        (0..10).for_each(|key| {
            topic.send(&producer, 0, &format!("k{key}"), Some(&format!("v{round}")))
        });
        producer.flush(WAIT).unwrap();
    };
    (0..10).for_each(round);
    let log = topic.log();
    let deadline = Instant::now() + Duration::from_secs(90);
    let mut last = 10;
    loop {
        // The active segment is not cleaned: a new record rolls it.
        std::thread::sleep(Duration::from_millis(500));
        round(last);
        last += 1;
        let (seen, outcome) = read(&log, &topic.all(&log)).unwrap();
        let end = outcome.next[0].2;
        assert_eq!(seen.len() as u64 + outcome.gaps, end as u64);
        assert_eq!(end, i64::from(last) * 10);
        if outcome.gaps > 0 {
            println!("{} records, {} holes", seen.len(), outcome.gaps);
            break;
        }
        assert!(Instant::now() < deadline, "the broker does not compact");
    }
    assert_eq!(log.topic(&topic.name).unwrap().cleanup, Cleanup::Compact);
    assert_eq!(
        log.topic(&topic.name).unwrap().delete_retention_ms,
        Some(1000)
    );
}

#[test]
fn a_log_that_starts_above_zero() {
    let Some(brokers) = service("TRUEUP_TEST_KAFKA") else {
        return;
    };
    let topic = Made::new(brokers, "deleted", 1, &[]);
    let producer = topic.producer(&[]);
    (0..100).for_each(|number| topic.send(&producer, 0, "k", Some(&number.to_string())));
    producer.flush(WAIT).unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic.name, 0, Offset::Offset(40))
        .unwrap();
    block_on(admin(&topic.brokers).delete_records(&list, &AdminOptions::new())).unwrap();
    let log = topic.log();
    let extent = log.topic(&topic.name).unwrap().extents[0];
    assert_eq!((extent.start, extent.end), (40, 100));
    assert_eq!(read(&log, &topic.all(&log)).unwrap().0.len(), 60);
    let started = Instant::now();
    let error = read(&log, &[topic.range(0, 0, 100)]).unwrap_err();
    assert!(
        matches!(
            error,
            StreamError::OutOfRange {
                offset: 0,
                start: 40,
                end: 100,
                ..
            }
        ),
        "{error}"
    );
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_missing_topic_is_named() {
    let Some(brokers) = service("TRUEUP_TEST_KAFKA") else {
        return;
    };
    let topic = Made::new(brokers, "customers", 1, &[]);
    let log = topic.log();
    let wanted = topic.name.replace("customers", "customer");
    let error = log.topic(&wanted).unwrap_err();
    let StreamError::NoTopic { near, .. } = &error else {
        panic!("{error}")
    };
    assert!(near.iter().any(|near| **near == *topic.name), "{error}");
    // Asking must not have made it.
    assert!(matches!(
        log.topic(&wanted),
        Err(StreamError::NoTopic { .. })
    ));
    let range = Range {
        topic: Arc::from(wanted),
        partition: 0,
        from: 0,
        to: 1,
    };
    assert!(matches!(
        read(&log, &[range]),
        Err(StreamError::NoTopic { .. })
    ));
    let no_partition = read(&log, &[topic.range(7, 0, 1)]).unwrap_err();
    assert!(
        matches!(
            no_partition,
            StreamError::NoPartition {
                partition: 7,
                count: 1,
                ..
            }
        ),
        "{no_partition}"
    );
}
