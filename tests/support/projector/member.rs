//! The group's member: a consumer, and what happens to its partitions.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as c;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::KafkaResult;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};

use super::control::Commits;
use super::shared::Shared;
use super::{Protocol, Setup, table};

const ANSWER_WAIT: Duration = Duration::from_secs(10);

pub type Member = BaseConsumer<Ears>;

/// Next offsets of partitions.
pub type Positions = Vec<((String, i32), i64)>;

/// Hears of partitions that come and go, and of the client's own commits.
pub struct Ears {
    shared: Arc<Shared>,
    store: String,
}

impl ClientContext for Ears {}

impl ConsumerContext for Ears {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        kind: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let cooperative = matches!(
            consumer.rebalance_protocol(),
            RebalanceProtocol::Cooperative
        );
        let partitions: Vec<(String, i32)> = list
            .elements()
            .iter()
            .map(|element| (element.topic().to_owned(), element.partition()))
            .collect();
        let done = if kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.begin_at_checkpoints(list);
            self.shared.came(partitions);
            if cooperative {
                consumer.incremental_assign(list)
            } else {
                consumer.assign(list)
            }
        } else {
            self.shared.went(partitions);
            if cooperative {
                consumer.incremental_unassign(list)
            } else {
                consumer.unassign()
            }
        };
        self.shared.note("rebalance", done);
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if self.shared.settings(|s| s.commits) == Commits::Automatic {
            match result {
                Ok(()) => self.shared.count(|counters| counters.commits += 1),
                Err(error) => self.shared.failed(&format!("commit: {error}")),
            }
        }
    }
}

impl Ears {
    fn begin_at_checkpoints(&self, list: &mut TopicPartitionList) {
        if self.shared.settings(|s| s.commits) != Commits::InDatabase {
            return;
        }
        match table::checkpoints(&self.store) {
            Ok(found) => {
                for ((topic, partition), next) in found {
                    // Partitions of others are not in the list.
                    let _ = list.set_partition_offset(&topic, partition, Offset::Offset(next));
                }
            }
            Err(error) => self.shared.failed(&format!("checkpoint: {error}")),
        }
    }
}

pub fn join(setup: &Setup, shared: &Arc<Shared>) -> KafkaResult<Member> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &setup.brokers)
        .set("group.id", &setup.group)
        .set("client.id", "projector")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", setup.isolation)
        // What is to be committed by the client is stored by us, in that mode alone.
        .set("enable.auto.commit", "true")
        .set("auto.commit.interval.ms", "100")
        .set("enable.auto.offset.store", "false")
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.wait.max.ms", "50");
    match setup.protocol {
        // Dead members are missed as soon as with the other protocol, where the broker decides it and where the client
        // takes neither these nor an assignment strategy.
        Protocol::Classic => config
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "1000"),
        Protocol::Consumer => config.set("group.protocol", "consumer"),
    };
    for (name, value) in &setup.properties {
        config.set(name, value);
    }
    let ears = Ears {
        shared: Arc::clone(shared),
        store: setup.store.clone(),
    };
    let member: Member = config.create_with_context(ears)?;
    let topics: Vec<&str> = setup.routes.iter().map(|r| r.topic.as_str()).collect();
    member.subscribe(&topics)?;
    Ok(member)
}

/// The committed offsets of these partitions; 0 where there are none.
pub fn committed(member: &Member, partitions: &[(String, i32)]) -> KafkaResult<Positions> {
    let mut list = TopicPartitionList::new();
    for (topic, partition) in partitions {
        list.add_partition(topic, *partition);
    }
    let committed = member.committed_offsets(list, ANSWER_WAIT)?;
    let next = |offset| match offset {
        Offset::Offset(offset) => offset,
        _ => 0,
    };
    Ok(committed
        .elements()
        .iter()
        .map(|e| ((e.topic().to_owned(), e.partition()), next(e.offset())))
        .collect())
}

pub fn commit<'a>(
    member: &Member,
    next: impl IntoIterator<Item = (&'a (String, i32), &'a i64)>,
) -> KafkaResult<()> {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in next {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    member.commit(&list, CommitMode::Sync)
}

/// Ends the member without a word to the broker: no last commit, no leaving of the group.
pub fn crash(member: Member) {
    let client = member.client().native_ptr();
    // Dropping it would be a clean close. Its context stays behind, which a process that is killed would not mind.
    std::mem::forget(member);
    // SAFETY: the client is valid and nobody uses it any more, since its owner was forgotten above.
    unsafe { c::rd_kafka_destroy_flags(client, c::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE) };
}
