//! Questions to the cluster, each answered or refused in bounded time.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::super::StreamError;
use super::super::limits::{ALL_DOWN_WAIT, ANSWER_FIRST_WAIT, ANSWER_WAIT, CONNECT_FIRST_WAIT};
use super::super::types::Cleanup;
use super::config::{KafkaConfig, Reader};

const TLS_HINT: &str = "look at security.protocol, ssl.ca.location and the broker's certificate";

/// What became of the connections, as the library tells it.
#[derive(Debug, Default)]
struct Heard {
    /// We were turned away, and asking again will not help: the reason and what to look at.
    refused: Option<(String, &'static str)>,
    /// The last other trouble.
    trouble: Option<String>,
    all_down: bool,
}

/// Listens to what the library tells beside its answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Ears(Arc<Mutex<Heard>>);

impl ClientContext for Ears {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", ?level, facility, message);
        if facility == "FAIL" {
            // Some failures come as errors too, some (a listener of another protocol) only here.
            let reason = message
                .split_once("]: ")
                .map_or(message, |(_thread, reason)| reason);
            let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Now and then no error of its own tells of this, or only later.
            if reason.contains("certificate verify failed") {
                heard.refused.get_or_insert((reason.to_owned(), TLS_HINT));
            }
            heard.trouble = Some(reason.to_owned());
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed) => {
                let hint = "look at sasl.mechanism, sasl.username and sasl.password";
                heard.refused.get_or_insert((reason.to_owned(), hint));
            }
            Some(RDKafkaErrorCode::SSL) => {
                heard.refused.get_or_insert((reason.to_owned(), TLS_HINT));
            }
            Some(RDKafkaErrorCode::AllBrokersDown) => heard.all_down = true,
            Some(RDKafkaErrorCode::PartitionEOF) => {}
            _ => heard.trouble = Some(reason.to_owned()),
        }
    }
}

impl ConsumerContext for Ears {}

/// How a topic treats old records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    pub(super) cleanup: Cleanup,
    pub(super) delete_retention_ms: Option<u64>,
    pub(super) retention_ms: Option<i64>,
    pub(super) retention_bytes: Option<i64>,
}

/// The connection that questions go through.
pub(super) struct Client {
    config: KafkaConfig,
    asker: Reader,
    ears: Ears,
    admin: OnceLock<AdminClient<Ears>>,
}

impl Client {
    /// Connects, and waits until a broker has answered.
    pub(super) fn connect(config: &KafkaConfig) -> Result<Client, StreamError> {
        let ears = Ears::default();
        let asker = config
            .asker()
            .create_with_context(ears.clone())
            .map_err(|error| config.refused(&error))?;
        let client = Client {
            config: config.clone(),
            asker,
            ears,
            admin: OnceLock::new(),
        };
        // Any question would do. One topic is the smallest: "all topics" may be megabytes.
        client.ask_from(CONNECT_FIRST_WAIT, "connecting", |asker, wait| {
            asker.fetch_metadata(Some("__consumer_offsets"), wait)
        })?;
        Ok(client)
    }

    /// Asks with growing patience, and listens in between why no answer comes.
    pub(super) fn ask<T>(
        &self,
        what: &str,
        question: impl Fn(&Reader, Duration) -> KafkaResult<T>,
    ) -> Result<T, StreamError> {
        self.ask_from(ANSWER_FIRST_WAIT, what, question)
    }

    fn ask_from<T>(
        &self,
        mut wait: Duration,
        what: &str,
        question: impl Fn(&Reader, Duration) -> KafkaResult<T>,
    ) -> Result<T, StreamError> {
        let started = Instant::now();
        loop {
            let error = match question(&self.asker, wait.min(ANSWER_WAIT)) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // Errors wait in the queue until somebody looks.
            while self.asker.poll(Duration::ZERO).is_some() {}
            self.verdict(started.elapsed())?;
            match error.rdkafka_error_code() {
                Some(
                    RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::OperationTimedOut
                    | RDKafkaErrorCode::RequestTimedOut
                    | RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::LeaderNotAvailable
                    | RDKafkaErrorCode::NotLeaderForPartition
                    | RDKafkaErrorCode::CoordinatorNotAvailable
                    | RDKafkaErrorCode::CoordinatorLoadInProgress
                    | RDKafkaErrorCode::NotCoordinator
                    | RDKafkaErrorCode::WaitingForCoordinator,
                ) if started.elapsed() < ANSWER_WAIT => wait = wait * 13 / 10,
                _ => return Err(self.failed(what, &error)),
            }
            // Some of these come back at once, and the cluster needs time to sort itself out.
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether what was heard is reason enough to give up.
    fn verdict(&self, elapsed: Duration) -> Result<(), StreamError> {
        let heard = self.ears.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((reason, hint)) = &heard.refused {
            return Err(self.unreachable(reason, hint));
        }
        if heard.all_down && elapsed >= ALL_DOWN_WAIT {
            let reason = heard.trouble.as_deref().unwrap_or("all brokers are down");
            return Err(self.unreachable(
                reason,
                "look whether it runs, and at kafka.brokers and security.protocol",
            ));
        }
        Ok(())
    }

    fn unreachable(&self, reason: &str, hint: &'static str) -> StreamError {
        let reason = self.config.redact(reason);
        StreamError::Unreachable {
            brokers: self.config.brokers.clone(),
            reason,
            hint,
        }
    }

    /// The error for a question that was not answered, or answered with no.
    pub(super) fn failed(&self, what: &str, error: &KafkaError) -> StreamError {
        let code = match error {
            KafkaError::AdminOp(code) => Some(*code),
            error => error.rdkafka_error_code(),
        };
        let reason = code.map_or_else(|| error.to_string(), |code| code.to_string());
        match code {
            Some(
                RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed,
            ) => StreamError::Denied {
                what: what.to_owned(),
                reason,
            },
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::Resolve,
            ) => {
                let heard = self.ears.0.lock().unwrap_or_else(PoisonError::into_inner);
                let reason = heard.trouble.clone().unwrap_or(reason);
                self.unreachable(
                    &reason,
                    "look whether it runs, and at kafka.brokers and security.protocol",
                )
            }
            _ => StreamError::Kafka {
                brokers: self.config.brokers.clone(),
                what: what.to_owned(),
                reason: self.config.redact(&reason),
            },
        }
    }

    /// The partitions of a topic in order; `None` if there is no such topic.
    pub(super) fn partitions(&self, topic: &str) -> Result<Option<Vec<i32>>, StreamError> {
        let what = format!("looking up topic {topic}");
        let metadata = self.ask(&what, |asker, wait| asker.fetch_metadata(Some(topic), wait))?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Ok(None);
        };
        match found.error().map(RDKafkaErrorCode::from) {
            None => {}
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::InvalidTopic) => {
                return Ok(None);
            }
            Some(code) => return Err(self.failed(&what, &KafkaError::MetadataFetch(code))),
        }
        let mut partitions: Vec<i32> = found
            .partitions()
            .iter()
            .map(|partition| partition.id())
            .collect();
        partitions.sort_unstable();
        Ok(Some(partitions))
    }

    /// The broker that leads a partition: `broker 1 (127.0.0.1:9092)`.
    pub(super) fn leader(&self, topic: &str, at: i32) -> Result<Option<String>, StreamError> {
        let what = format!("looking up topic {topic}");
        let metadata = self.ask(&what, |asker, wait| asker.fetch_metadata(Some(topic), wait))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let partition = found.and_then(|t| t.partitions().iter().find(|p| p.id() == at));
        let Some(leader) = partition.map(|p| p.leader()) else {
            return Ok(None);
        };
        let broker = metadata.brokers().iter().find(|b| b.id() == leader);
        Ok(broker.map(|b| format!("broker {leader} ({}:{})", b.host(), b.port())))
    }

    /// All topics that we may see.
    pub(super) fn topics(&self) -> Result<Vec<String>, StreamError> {
        let metadata = self.ask("listing the topics", |asker, wait| {
            asker.fetch_metadata(None, wait)
        })?;
        Ok(metadata
            .topics()
            .iter()
            .map(|topic| topic.name().to_owned())
            .collect())
    }

    /// The first offset held, and the next one to be written.
    pub(super) fn watermarks(
        &self,
        topic: &str,
        partition: i32,
    ) -> Result<(i64, i64), StreamError> {
        let what = format!("looking up the offsets of {topic} partition {partition}");
        self.ask(&what, |asker, wait| {
            asker.fetch_watermarks(topic, partition, wait)
        })
    }

    /// The id of the cluster.
    pub(super) fn cluster_id(&self) -> Option<String> {
        self.asker.client().fetch_cluster_id(ANSWER_WAIT)
    }

    fn admin(&self) -> Result<&AdminClient<Ears>, StreamError> {
        if let Some(admin) = self.admin.get() {
            return Ok(admin);
        }
        let made = AdminClient::from_config_and_context(&self.config.admin(), self.ears.clone())
            .map_err(|error| self.config.refused(&error))?;
        Ok(self.admin.get_or_init(|| made))
    }

    /// A setting of the brokers, as the first of them has it; `None` where we may not look.
    pub(super) fn broker_setting(&self, name: &str) -> Result<Option<String>, StreamError> {
        let metadata = self.ask("looking up the brokers", |asker, wait| {
            asker.fetch_metadata(None, wait)
        })?;
        let Some(broker) = metadata.brokers().first().map(|b| b.id()) else {
            return Ok(None);
        };
        let options = AdminOptions::new().request_timeout(Some(ANSWER_WAIT));
        let asked = [ResourceSpecifier::Broker(broker)];
        match block_on(self.admin()?.describe_configs(&asked, &options)) {
            Ok(answer) => {
                let settings = answer.into_iter().next().and_then(Result::ok);
                let setting = settings.and_then(|s| s.get(name).and_then(|e| e.value.clone()));
                Ok(setting)
            }
            Err(KafkaError::AdminOp(RDKafkaErrorCode::UnsupportedFeature)) => Ok(None),
            Err(error) => Err(self.failed("looking up the settings of a broker", &error)),
        }
    }

    /// How a topic treats old records; unknown, with a warning, where we may not look.
    pub(super) fn policy(&self, topic: &str) -> Result<Policy, StreamError> {
        let what = format!("looking up the settings of topic {topic}");
        let admin = self.admin()?;
        let options = AdminOptions::new().request_timeout(Some(ANSWER_WAIT));
        let unknown = Policy {
            cleanup: Cleanup::Unknown,
            delete_retention_ms: None,
            retention_ms: None,
            retention_bytes: None,
        };
        let answer =
            match block_on(admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options)) {
                Ok(answer) => answer,
                Err(KafkaError::AdminOp(RDKafkaErrorCode::UnsupportedFeature)) => {
                    return Ok(unknown);
                }
                Err(error) => return Err(self.failed(&what, &error)),
            };
        let settings = match answer.into_iter().next() {
            Some(Ok(settings)) => settings,
            Some(Err(code)) => {
                tracing::warn!(topic, %code, "{what} is not possible");
                return Ok(unknown);
            }
            None => return Ok(unknown),
        };
        let value = |name: &str| settings.get(name).and_then(|entry| entry.value.as_deref());
        Ok(Policy {
            cleanup: value("cleanup.policy").map_or(Cleanup::Unknown, cleanup),
            delete_retention_ms: value("delete.retention.ms").and_then(|value| value.parse().ok()),
            retention_ms: value("retention.ms").and_then(|value| value.parse().ok()),
            retention_bytes: value("retention.bytes").and_then(|value| value.parse().ok()),
        })
    }
}

fn cleanup(policy: &str) -> Cleanup {
    let has = |wanted: &str| policy.split(',').any(|part| part.trim() == wanted);
    match (has("delete"), has("compact")) {
        (true, false) => Cleanup::Delete,
        (false, true) => Cleanup::Compact,
        (true, true) => Cleanup::CompactDelete,
        (false, false) => Cleanup::Unknown,
    }
}

/// Runs a future on this thread. The admin client answers from a thread of its own, so that no runtime is
/// needed, and this works inside one too.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
