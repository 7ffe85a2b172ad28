//! What tests do to topics and groups: make and write them, end them in control records, and let them lose something.

use std::ffi::CString;
use std::ptr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::bindings as c;
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::{Value, json};

use super::table::runtime;
use super::{PATIENCE, Setup, until};

const NO_ERROR: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;

fn client<T: rdkafka::config::FromClientConfig>(brokers: &str, settings: &[(&str, &str)]) -> T {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config.create().unwrap()
}

fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    client(brokers, &[])
}

/// A new topic, whose name is this one and a number.
pub fn create(brokers: &str, name: &str, partitions: i32) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let name = format!("{name}-{}-{}", std::process::id(), now.as_millis());
    let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
    let made = runtime().block_on(admin(brokers).create_topics([&topic], &AdminOptions::new()));
    made.unwrap()
        .into_iter()
        .for_each(|done| drop(done.unwrap()));
    name
}

/// Sets a topic's configuration.
pub fn configure(brokers: &str, name: &str, settings: &[(&str, &str)]) {
    let resource = ResourceSpecifier::Topic(name);
    let change = settings
        .iter()
        .fold(AlterConfig::new(resource), |c, (key, value)| {
            c.set(key, value)
        });
    let done = runtime().block_on(admin(brokers).alter_configs([&change], &AdminOptions::new()));
    done.unwrap().into_iter().for_each(|d| drop(d.unwrap()));
}

/// Deletes a topic; says nothing when there is none.
pub fn delete(brokers: &str, name: &str) {
    let _ = runtime().block_on(admin(brokers).delete_topics(&[name], &AdminOptions::new()));
}

/// Where each partition of a topic ends.
pub fn ends(brokers: &str, topic: &str, isolation: &str) -> Vec<(String, i32, i64)> {
    let asker: BaseConsumer = client(brokers, &[("isolation.level", isolation)]);
    let metadata = asker.fetch_metadata(Some(topic), PATIENCE).unwrap();
    let mut partitions: Vec<i32> = metadata.topics()[0]
        .partitions()
        .iter()
        .map(|p| p.id())
        .collect();
    partitions.sort_unstable();
    let end = |partition| {
        asker
            .fetch_watermarks(topic, partition, PATIENCE)
            .unwrap()
            .1
    };
    partitions
        .into_iter()
        .map(|partition| (topic.to_owned(), partition, end(partition)))
        .collect()
}

/// Whether a reader of this isolation level would get a record between an offset and an end.
pub fn has_records(setup: &Setup, end: &(String, i32, i64), from: i64) -> bool {
    let reader: BaseConsumer = client(
        &setup.brokers,
        &[
            ("group.id", "projector-looks"),
            ("enable.auto.commit", "false"),
            ("enable.partition.eof", "true"),
            ("auto.offset.reset", "earliest"),
            ("isolation.level", setup.isolation),
        ],
    );
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&end.0, end.1, Offset::Offset(from))
        .unwrap();
    reader.assign(&list).unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        match reader.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => return rdkafka::Message::offset(&message) < end.2,
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => return false,
            _ => {}
        }
    }
    true
}

/// The committed offsets of a group that nobody joins for it; `None` where there is none.
pub fn committed(brokers: &str, group: &str, topic: &str) -> Vec<Option<i64>> {
    let asker: BaseConsumer = client(brokers, &[("group.id", group)]);
    let mut list = TopicPartitionList::new();
    for (topic, partition, _) in ends(brokers, topic, "read_committed") {
        list.add_partition(&topic, partition);
    }
    let mut found = None;
    // The first group of a new broker has no coordinator for a moment.
    until("the committed offsets are known", || {
        found = asker.committed_offsets(list.clone(), PATIENCE).ok();
        found.is_some()
    });
    found
        .unwrap()
        .elements()
        .iter()
        .map(|element| match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        })
        .collect()
}

/// Deletes the records of a partition before an offset, as retention would.
pub fn delete_records(brokers: &str, topic: &str, partition: i32, before: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(before))
        .unwrap();
    let done = runtime().block_on(admin(brokers).delete_records(&list, &AdminOptions::new()));
    done.unwrap()
        .elements()
        .iter()
        .for_each(|e| e.error().unwrap());
}

/// Deletes a group without members, and all that it has committed: as when `offsets.retention.minutes` are over.
pub fn delete_group(brokers: &str, group: &str) {
    let done = runtime().block_on(admin(brokers).delete_groups(&[group], &AdminOptions::new()));
    done.unwrap()
        .into_iter()
        .for_each(|done| drop(done.unwrap()));
}

/// Deletes what a group has committed for some partitions of a topic, as if only that had expired. Not while a member is
/// subscribed to the topic.
pub fn delete_offsets(brokers: &str, group: &str, topic: &str, partitions: &[i32]) {
    let admin = admin(brokers);
    let client = admin.inner().native_ptr();
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(topic, *partition);
    }
    let group = CString::new(group).unwrap();
    // SAFETY: client, list and name outlive the call, which copies them; queue, request and event are made here and
    // destroyed here once each; the results are read before their event is destroyed.
    unsafe {
        let queue = c::rd_kafka_queue_new(client);
        let mut request = c::rd_kafka_DeleteConsumerGroupOffsets_new(group.as_ptr(), list.ptr());
        c::rd_kafka_DeleteConsumerGroupOffsets(client, &mut request, 1, ptr::null(), queue);
        let event = c::rd_kafka_queue_poll(queue, 10_000);
        assert!(!event.is_null(), "no answer about the offsets of {group:?}");
        assert_eq!(c::rd_kafka_event_error(event), NO_ERROR, "{group:?}");
        let mut count = 0;
        let result = c::rd_kafka_event_DeleteConsumerGroupOffsets_result(event);
        let groups = c::rd_kafka_DeleteConsumerGroupOffsets_result_groups(result, &mut count);
        assert_eq!(count, 1);
        let error = c::rd_kafka_group_result_error(*groups);
        if !error.is_null() {
            assert_eq!(c::rd_kafka_error_code(error), NO_ERROR, "{group:?}");
        }
        let done = c::rd_kafka_group_result_partitions(*groups);
        for n in 0..(*done).cnt as usize {
            assert_eq!(
                (*(*done).elems.add(n)).err,
                NO_ERROR,
                "{group:?}, partition {n}"
            );
        }
        c::rd_kafka_event_destroy(event);
        c::rd_kafka_DeleteConsumerGroupOffsets_destroy(request);
        c::rd_kafka_queue_destroy(queue);
    }
}

/// The bare envelope of a change, as Debezium writes it. `row` is the row after it; for `d` the value before.
pub fn envelope(op: &str, row: &Value, lsn: u64) -> String {
    let (before, after) = if op == "d" {
        (row, &Value::Null)
    } else {
        (&Value::Null, row)
    };
    json!({
        "before": before, "after": after, "op": op, "ts_ms": 1_700_000_000_000u64 + lsn,
        "source": {"connector": "postgresql", "name": "shop", "db": "shop", "schema": "public", "table": "t",
                   "snapshot": "false", "lsn": lsn, "ts_ms": 1_700_000_000_000u64 + lsn},
    })
    .to_string()
}

/// Writes records into chosen partitions, in transactions where it is asked to.
pub struct Writer {
    producer: BaseProducer,
    topic: String,
}

impl Writer {
    pub fn plain(brokers: &str, topic: &str) -> Writer {
        Writer {
            producer: client(brokers, &[("linger.ms", "2")]),
            topic: topic.to_owned(),
        }
    }

    /// Each transaction leaves a marker, which is no record, at the end of every partition it wrote to.
    pub fn transactional(brokers: &str, topic: &str) -> Writer {
        let writer = Writer {
            producer: client(brokers, &[("transactional.id", topic), ("linger.ms", "2")]),
            topic: topic.to_owned(),
        };
        writer.producer.init_transactions(PATIENCE).unwrap();
        writer
    }

    /// Without a value it is a tombstone. The broker has it after the next [`Writer::flush`] or the end of the transaction.
    pub fn send(&self, partition: i32, key: &Value, value: Option<&str>) {
        let key = key.to_string();
        let mut record = BaseRecord::<str, str>::to(&self.topic)
            .partition(partition)
            .key(&key);
        if let Some(value) = value {
            record = record.payload(value);
        }
        self.producer
            .send(record)
            .unwrap_or_else(|(e, _)| panic!("{e}"));
    }

    pub fn flush(&self) {
        self.producer.flush(PATIENCE).unwrap();
    }

    pub fn begin(&self) {
        self.producer.begin_transaction().unwrap();
    }

    pub fn commit(&self) {
        self.producer.commit_transaction(PATIENCE).unwrap();
    }

    /// What was sent since `begin` stays in the log, and no reader of committed records sees it.
    pub fn abort(&self) {
        self.producer.abort_transaction(PATIENCE).unwrap();
    }
}
