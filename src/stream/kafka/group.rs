//! Consumer groups from outside: looked at, never joined.

use rdkafka::consumer::Consumer;
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
        // Committed offsets are asked for under the group's own name, which is not joining it: only
        // `subscribe` would.
        let ears = client::Ears::default();
        let reader: Reader = self
            .config
            .group(name)
            .create_with_context(ears)
            .map_err(|error| self.config.refused(&error))?;
        let committed = if list.count() == 0 {
            list
        } else {
            reader
                .committed_offsets(list, ANSWER_WAIT)
                .map_err(|error| self.client.failed(&what, &error))?
        };
        let mut offsets = Vec::with_capacity(committed.count());
        for element in committed.elements() {
            element
                .error()
                .map_err(|error| self.client.failed(&what, &error))?;
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            offsets.push((element.topic().to_owned(), element.partition(), offset));
        }
        Ok(Group {
            state: described.state,
            members: described.members,
            committed: offsets,
        })
    }
}
