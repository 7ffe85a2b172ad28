//! The settings: ours for safety, ours for speed, and the user's.

use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;

use super::super::StreamError;

/// Where the cluster is, and how to talk to it.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `host:port`, several separated by commas.
    pub brokers: String,
    /// Any property of librdkafka, such as `security.protocol`. Those that safety depends on are refused.
    pub properties: Vec<(String, String)>,
}

/// What correctness rests on: with any of these changed, records could be skipped without a word, or
/// something be written to the cluster.
const FIXED: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("isolation.level", "read_committed"),
    ("enable.partition.eof", "true"),
    ("allow.auto.create.topics", "false"),
];

/// Other names by which librdkafka would accept one of the above.
const FIXED_ALIASES: &[&str] = &["auto.commit.enable", "topic.auto.offset.reset"];

/// What speed rests on (measured: the first is worth a factor of two to three), and our name.
const DEFAULTS: &[(&str, &str)] = &[
    ("fetch.queue.backoff.ms", "5"),
    ("queued.min.messages", "20000"),
    ("queued.max.messages.kbytes", "16384"),
    // The broker holds an empty answer back for this long, and the end of a partition is known by one.
    ("fetch.wait.max.ms", "20"),
    ("socket.connection.setup.timeout.ms", "10000"),
    ("client.id", "trueup"),
    ("group.id", "trueup"),
];

/// Parts of names of properties whose values are never shown.
const SECRET: &[&str] = &[
    "password",
    "secret",
    "jaas",
    "token",
    "oauthbearer.config",
    "key.pem",
    "credential",
];

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |name: &str, value: &str| {
            if is_secret(name) {
                "***".to_owned()
            } else {
                value.to_owned()
            }
        };
        let properties: Vec<(&str, String)> = self
            .properties
            .iter()
            .map(|(name, value)| (name.as_str(), shown(name, value)))
            .collect();
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("properties", &properties)
            .finish()
    }
}

impl KafkaConfig {
    /// Checks everything that needs no connection.
    ///
    /// # Errors
    /// [`StreamError::Config`] for the first property that cannot be used.
    pub fn check(&self) -> Result<(), StreamError> {
        if self.brokers.trim().is_empty() {
            let problem = "kafka.brokers is empty; name at least one host:port".to_owned();
            return Err(StreamError::Config { problem });
        }
        for (name, value) in &self.properties {
            if matches!(name.as_str(), "bootstrap.servers" | "metadata.broker.list") {
                let problem = format!("Kafka property {name}: say kafka.brokers instead");
                return Err(StreamError::Config { problem });
            }
            let fixed = FIXED
                .iter()
                .find(|(fixed, ours)| fixed == name && ours != value);
            if fixed.is_some() || FIXED_ALIASES.contains(&name.as_str()) {
                let ours = fixed.map_or(String::new(), |(_, ours)| format!(" to {ours}"));
                let problem = format!(
                    "Kafka property {name} cannot be set: trueup sets it{ours}, because otherwise records could be missed or the cluster be changed; remove it"
                );
                return Err(StreamError::Config { problem });
            }
        }
        // The library itself knows best which names and values there are.
        self.reader()
            .create_native_config()
            .map(drop)
            .map_err(|error| self.refused(&error))
    }

    /// For asking questions.
    pub(super) fn asker(&self) -> ClientConfig {
        let mut config = self.base();
        // Ends are then high watermarks; under read_committed they would be those of the last closed transaction.
        config.set("isolation.level", "read_uncommitted");
        config.remove("group.id");
        // Why a connection fails is sometimes said in the log alone.
        config.set_log_level(RDKafkaLogLevel::Info);
        config
    }

    /// For reading.
    pub(super) fn reader(&self) -> ClientConfig {
        let mut config = self.base();
        // Batches are taken by a call that knows no log events: librdkafka would print them to stderr.
        config.set_log_level(RDKafkaLogLevel::Emerg);
        config
    }

    /// For reading gaps again: little is read, so little is fetched ahead.
    pub(super) fn prover(&self) -> ClientConfig {
        let mut config = self.reader();
        config
            .set("queued.min.messages", "2000")
            .set("queued.max.messages.kbytes", "4096");
        config
    }

    /// For the committed offsets of somebody else's group.
    pub(super) fn group(&self, name: &str) -> ClientConfig {
        let mut config = self.base();
        config.set("group.id", name);
        config
    }

    /// For the admin interface, which is no consumer.
    pub(super) fn admin(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "trueup");
        for (name, value) in self
            .properties
            .iter()
            .filter(|(name, _)| name != "group.id")
        {
            config.set(name, value);
        }
        config.set_log_level(RDKafkaLogLevel::Emerg);
        config
    }

    fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in DEFAULTS {
            config.set(*name, *value);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        for (name, value) in FIXED {
            config.set(*name, *value);
        }
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    /// What the library says about a setting, without the values of secrets.
    pub(super) fn refused(&self, error: &KafkaError) -> StreamError {
        let problem = match error {
            KafkaError::ClientConfig(_, reason, name, _) => {
                format!("Kafka property {name}: {reason}")
            }
            KafkaError::ClientCreation(reason) => format!("Kafka properties: {reason}"),
            other => format!("Kafka properties: {other}"),
        };
        StreamError::Config {
            problem: self.redact(&problem),
        }
    }

    /// Text from outside, without the values of secrets.
    pub(super) fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.properties {
            if is_secret(name) && !value.is_empty() {
                text = text.replace(value.as_str(), "***");
            }
        }
        text
    }
}

fn is_secret(name: &str) -> bool {
    SECRET.iter().any(|secret| name.contains(secret))
}

/// The type that all our consumers have.
pub(super) type Reader = BaseConsumer<super::client::Ears>;

#[cfg(test)]
mod tests {
    use super::*;

    fn config(properties: &[(&str, &str)]) -> KafkaConfig {
        let properties = properties
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect();
        KafkaConfig {
            brokers: "b:9092".to_owned(),
            properties,
        }
    }

    fn problem(properties: &[(&str, &str)]) -> String {
        config(properties).check().unwrap_err().to_string()
    }

    #[test]
    fn what_safety_depends_on_is_refused() {
        assert!(problem(&[("isolation.level", "read_uncommitted")]).contains("to read_committed"));
        assert!(problem(&[("auto.offset.reset", "earliest")]).contains("cannot be set"));
        assert!(problem(&[("auto.commit.enable", "true")]).contains("cannot be set"));
        assert!(problem(&[("bootstrap.servers", "x:1")]).contains("kafka.brokers"));
        config(&[
            ("isolation.level", "read_committed"),
            ("fetch.wait.max.ms", "7"),
        ])
        .check()
        .unwrap();
    }

    #[test]
    fn unknown_names_and_wrong_values_are_named() {
        assert!(problem(&[("no.such.thing", "1")]).contains("no.such.thing"));
        assert!(problem(&[("security.protocol", "PLAIN")]).contains("security.protocol"));
        assert!(
            KafkaConfig {
                brokers: " ".to_owned(),
                properties: Vec::new()
            }
            .check()
            .is_err()
        );
    }

    #[test]
    fn secrets_are_never_shown() {
        let config = config(&[("sasl.password", "hunter2"), ("sasl.username", "me")]);
        let shown = format!("{config:?}");
        assert!(
            !shown.contains("hunter2") && shown.contains("me"),
            "{shown}"
        );
        assert_eq!(config.redact("login hunter2 failed"), "login *** failed");
        assert!(
            !problem(&[("ssl.key.password", "hunter2"), ("nope", "hunter2")]).contains("hunter2")
        );
    }
}
