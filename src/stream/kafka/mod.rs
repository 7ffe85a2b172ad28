//! A Kafka cluster as a log: partitions are assigned, never subscribed to; nothing is ever committed.
//!
//! `config` holds the settings that safety and speed depend on, `client` asks the cluster questions,
//! `read` is the hot path, `proof` reads gaps a second time, `group` looks at consumer groups,
//! and `raw` is the only place with `unsafe`.

mod client;
mod config;
mod group;
mod identity;
mod peek;
mod proof;
mod raw;
mod read;
#[cfg(test)]
mod tests;
mod times;
mod trouble;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub use config::KafkaConfig;

use client::{Client, Policy};

use super::StreamError;
use super::error::alike;
use super::limits::STALL_WAIT;
use super::registry::Registry;
use super::types::{Extent, Topic};

/// What a read does about offsets that hold no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gaps {
    /// Proves them empty by a second reading, unless the topic is compacted.
    Prove,
    /// Takes them as they come.
    Accept,
}

/// A connected cluster.
pub struct Kafka {
    config: KafkaConfig,
    client: Box<Client>,
    policies: Mutex<HashMap<String, Policy>>,
    patience: Duration,
    headers: bool,
    pub(super) registry: Option<Registry>,
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Kafka {
    /// Checks the settings, then connects: returns once a broker has let us in.
    ///
    /// # Errors
    /// [`StreamError::Config`] for a setting that cannot be used; [`StreamError::Unreachable`] at the latest
    /// after [`super::limits::ANSWER_WAIT`], at once if it is a matter of passwords or certificates.
    pub fn open(config: KafkaConfig) -> Result<Kafka, StreamError> {
        config.check()?;
        let client = Client::connect(&config)?;
        Ok(Kafka {
            config,
            client: Box::new(client),
            policies: Mutex::default(),
            patience: STALL_WAIT,
            headers: true,
            registry: None,
        })
    }

    /// Gives up a read after this long without a record, instead of [`STALL_WAIT`].
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Kafka {
        self.patience = patience;
        self
    }

    /// Opens framed records with the schemas of this registry.
    #[must_use]
    pub fn with_registry(mut self, registry: Option<Registry>) -> Kafka {
        self.registry = registry;
        self
    }

    /// Hands out records without their headers, for formats that look at none: parsing them takes a tenth of a read.
    #[must_use]
    pub fn without_headers(mut self) -> Kafka {
        self.headers = false;
        self
    }

    /// The names of all topics that may be seen, Kafka's own left out.
    ///
    /// # Errors
    /// [`StreamError::Unreachable`].
    pub fn topics(&self) -> Result<Vec<String>, StreamError> {
        let mut names = self.client.topics()?;
        names.retain(|name| !name.starts_with("__"));
        names.sort();
        Ok(names)
    }

    /// See [`super::Log::topic`].
    ///
    /// # Errors
    /// [`StreamError::NoTopic`], [`StreamError::Denied`], [`StreamError::Unreachable`].
    pub fn topic(&self, name: &str) -> Result<Topic, StreamError> {
        let partitions = self.partitions(name)?;
        let mut extents = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let (start, end) = self.client.watermarks(name, partition)?;
            extents.push(Extent {
                partition,
                start,
                end,
            });
        }
        let policy = self.policy(name)?;
        Ok(Topic {
            name: name.to_owned(),
            extents,
            cleanup: policy.cleanup,
            delete_retention_ms: policy.delete_retention_ms,
            retention_ms: policy.retention_ms,
            retention_bytes: policy.retention_bytes,
            cluster_id: self.client.cluster_id(),
        })
    }

    /// See [`super::Log::broker`].
    ///
    /// # Errors
    /// [`StreamError::Unreachable`].
    pub fn broker(&self, topic: &str, partition: i32) -> Result<Option<String>, StreamError> {
        self.client.leader(topic, partition)
    }

    /// The partitions of a topic, in order.
    fn partitions(&self, name: &str) -> Result<Vec<i32>, StreamError> {
        if let Some(partitions) = self.client.partitions(name)? {
            return Ok(partitions);
        }
        let names = self.client.topics()?;
        Err(StreamError::NoTopic {
            topic: name.to_owned(),
            place: format!("Kafka at {}", self.config.brokers),
            near: alike(name, names.iter().map(String::as_str)),
        })
    }

    /// The cleanup policy of a topic, asked once: [`Kafka::topic`] asks anew for those that read later.
    fn policy(&self, name: &str) -> Result<Policy, StreamError> {
        let policy = self.client.policy(name)?;
        let mut known = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(name.to_owned(), policy);
        Ok(policy)
    }

    fn known_policy(&self, name: &str) -> Result<Policy, StreamError> {
        let known = self
            .policies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .copied();
        known.map_or_else(|| self.policy(name), Ok)
    }
}
