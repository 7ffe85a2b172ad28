//! Consumer groups from outside: looked at, never joined.

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::super::StreamError;
use super::super::limits::ANSWER_WAIT;
use super::super::types::{Group, GroupState};
use super::config::Reader;
use super::{Kafka, client, raw};

impl Kafka {
    /// See [`super::super::Log::cluster_setting`].
    ///
    /// # Errors
    /// As [`Kafka::topic`].
    pub fn cluster_setting(&self, name: &str) -> Result<Option<String>, StreamError> {
        self.client.broker_setting(name)
    }

    /// See [`super::super::Log::group`].
    ///
    /// # Errors
    /// [`StreamError::Denied`], [`StreamError::NoTopic`], [`StreamError::Unreachable`].
    pub fn group(&self, name: &str, topics: &[&str]) -> Result<Group, StreamError> {
        let what = format!("looking up consumer group {name}");
        let described = self.client.ask(&what, |asker, wait| {
            match raw::describe_group(asker, name, wait) {
                Err(KafkaError::GroupListFetch(RDKafkaErrorCode::UnsupportedFeature)) => {
                    Ok(raw::Described {
                        state: GroupState::Unknown,
                        members: Vec::new(),
                    })
                }
                described => described,
            }
        })?;
        let mut list = TopicPartitionList::new();
        for topic in topics {
            for partition in self.partitions(topic)? {
                list.add_partition(topic, partition);
            }
        }
        Ok(Group {
            state: described.state,
            members: described.members,
            committed: self.committed(&what, name, list)?,
        })
    }

    /// See [`super::super::Log::group_topics`].
    ///
    /// # Errors
    /// As [`Kafka::group`].
    pub fn group_topics(&self, name: &str) -> Result<Vec<String>, StreamError> {
        let what = format!("looking up what consumer group {name} reads");
        let metadata = self
            .in_group(name)?
            .fetch_metadata(None, ANSWER_WAIT)
            .map_err(|error| self.client.failed(&what, &error))?;
        let mut list = TopicPartitionList::new();
        for topic in metadata.topics().iter().filter(|t| t.error().is_none()) {
            for partition in topic.partitions() {
                list.add_partition(topic.name(), partition.id());
            }
        }
        let committed = self.committed(&what, name, list)?;
        let read = committed
            .into_iter()
            .filter(|(.., offset)| offset.is_some());
        let mut topics: Vec<String> = read.map(|(topic, ..)| topic).collect();
        topics.sort();
        topics.dedup();
        Ok(topics)
    }

    /// See [`super::super::Log::set_group_offsets`].
    ///
    /// # Errors
    /// As [`Kafka::group`].
    pub fn set_group_offsets(
        &self,
        name: &str,
        offsets: &[(String, i32, i64)],
    ) -> Result<(), StreamError> {
        let what = format!("setting the offsets of consumer group {name}");
        let failed = |error: KafkaError| self.client.failed(&what, &error);
        let mut list = TopicPartitionList::new();
        for (topic, partition, offset) in offsets {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))
                .map_err(failed)?;
        }
        // The cluster takes them only from a member, or while there is none.
        self.in_group(name)?
            .commit(&list, CommitMode::Sync)
            .map_err(failed)
    }

    /// Speaks under the group's own name, which is not joining it: only `subscribe` would.
    fn in_group(&self, name: &str) -> Result<Reader, StreamError> {
        let config = self.config.group(name);
        let reader = config.create_with_context(client::Ears::default());
        reader.map_err(|error| self.config.refused(&error))
    }

    /// Topic, partition, and what is committed there.
    fn committed(
        &self,
        what: &str,
        name: &str,
        list: TopicPartitionList,
    ) -> Result<Vec<(String, i32, Option<i64>)>, StreamError> {
        let reader = self.in_group(name)?;
        let committed = if list.count() == 0 {
            list
        } else {
            reader
                .committed_offsets(list, ANSWER_WAIT)
                .map_err(|error| self.client.failed(what, &error))?
        };
        let mut offsets = Vec::with_capacity(committed.count());
        for element in committed.elements() {
            element
                .error()
                .map_err(|error| self.client.failed(what, &error))?;
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            offsets.push((element.topic().to_owned(), element.partition(), offset));
        }
        Ok(offsets)
    }
}
