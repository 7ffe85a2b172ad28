//! Records framed with the id of a schema, and the registry that has it: real Debezium in Avro, other writers in JSON Schema
//! and Protobuf, and what goes wrong with frames and registries.

mod debezium;
mod faults;
mod mutated;
mod produced;
mod rate;

use std::path::PathBuf;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};

use crate::support::services::{Postgres, kafka_tool, out, script};
use crate::support::{service, text, trueup};

/// Databases `NAME_primary` and `NAME_reads` and topics that begin with NAME; removed when dropped.
struct System {
    name: &'static str,
    postgres: Postgres,
    brokers: String,
    registry: String,
    folder: tempfile::TempDir,
}

impl System {
    fn new(name: &'static str) -> Option<System> {
        let system = System {
            name,
            brokers: service("TRUEUP_TEST_KAFKA")?,
            registry: format!("{}/apis/ccompat/v7", service("TRUEUP_TEST_REGISTRY")?),
            postgres: Postgres::new()?,
            folder: tempfile::tempdir().unwrap(),
        };
        system.clear();
        for side in ["primary", "reads"] {
            system
                .postgres
                .sql("postgres", &format!("CREATE DATABASE {name}_{side}"));
        }
        Some(system)
    }

    fn clear(&self) {
        // A test may have a second connector, whose slot would keep the database.
        for connector in [self.name.to_owned(), format!("{}_json", self.name)] {
            let _ = script("debezium").args(["drop", &connector]).output();
        }
        for side in ["primary", "reads"] {
            let drop = format!("DROP DATABASE IF EXISTS {}_{side} WITH (FORCE)", self.name);
            self.postgres.sql("postgres", &drop);
        }
    }

    fn primary(&self, sql: &str) -> String {
        self.postgres.sql(&format!("{}_primary", self.name), sql)
    }

    fn reads(&self, sql: &str) -> String {
        self.postgres.sql(&format!("{}_reads", self.name), sql)
    }

    /// Makes the topic of a table of the primary, with one partition.
    fn topic(&self, table: &str) -> String {
        let topic = format!("{}.public.{table}", self.name);
        let args = ["--bootstrap-server", &self.brokers, "--create", "--topic"];
        let args = [&args[..], &[&topic, "--partitions", "1"]].concat();
        kafka_tool("org.apache.kafka.tools.TopicCommand", &args);
        topic
    }

    /// Registers a schema; gives its id.
    fn register(&self, subject: &str, kind: &str, schema: &str, references: Value) -> u32 {
        let url = format!("{}/subjects/{subject}/versions", self.registry);
        let body = json!({"schemaType": kind, "schema": schema, "references": references});
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .new_agent();
        let mut answer = agent
            .post(&url)
            .header("Content-Type", "application/vnd.schemaregistry.v1+json")
            .send(body.to_string())
            .unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        let id = answer["id"].as_u64().unwrap_or_else(|| panic!("{text}"));
        u32::try_from(id).unwrap()
    }

    /// A playbook that copies the source `rows` into the table `read.rows`.
    fn playbook(&self, topic: &str, registry: Option<&str>, columns: &[&str]) -> PathBuf {
        let registry = registry.map_or(String::new(), |url| {
            format!("  registry: {{ url: \"{url}\" }}\n")
        });
        let columns: Vec<String> = columns
            .iter()
            .map(|c| format!("\"{c}\": \"{c}\""))
            .collect();
        let yaml = format!(
            "version: 1\nname: {name}\nprimary: {{ url: \"{primary}\" }}\nread_store: {{ url: \"{reads}\" }}\n\
             log:\n  kafka: {{ brokers: \"{brokers}\" }}\n{registry}applied: none\n\
             sources:\n  rows: {{ topic: {topic} }}\n\
             views:\n  rows_copy:\n    table: read.rows\n    key: [id]\n    from: rows\n    columns: {{ {columns} }}\n",
            name = self.name,
            primary = self.postgres.url(&format!("{}_primary", self.name)),
            reads = self.postgres.url(&format!("{}_reads", self.name)),
            brokers = self.brokers,
            columns = columns.join(", "),
        );
        let path = self.folder.path().join("playbook.yaml");
        std::fs::write(&path, yaml).unwrap();
        path
    }

    /// Replays the whole log; gives the counts of the run, which must add up.
    fn replayed(&self, playbook: &std::path::Path) -> Value {
        let args = [
            "replay",
            "big-bang",
            &text(playbook),
            "--yes",
            "--format",
            "json",
        ];
        let counts = trueup(&args).exit(0).json()["counts"].clone();
        let of = |name: &str| match &counts[name] {
            Value::Object(kinds) => kinds.values().map(|n| n.as_u64().unwrap()).sum(),
            other => other.as_u64().unwrap_or_default(),
        };
        let parts = [
            "put",
            "deleted",
            "truncated",
            "stale",
            "duplicate",
            "ignored",
            "settled",
            "blocked",
            "quarantined",
        ];
        let sum: u64 = parts.iter().map(|p| of(p)).sum();
        assert_eq!(of("read"), sum, "{counts}");
        counts
    }

    /// Both tables as text, row for row.
    #[track_caller]
    fn equal(&self) {
        let primary = self.primary("SELECT r::text FROM public.rows r ORDER BY id");
        let reads = self.reads("SELECT r::text FROM read.rows r ORDER BY id");
        assert_eq!(primary, reads);
    }

    fn send(&self, topic: &str, records: &[(Vec<u8>, Option<Vec<u8>>)]) {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .create()
            .unwrap();
        for (key, value) in records {
            let record = BaseRecord::to(topic).partition(0).key(key);
            let record = match value {
                Some(value) => record.payload(value),
                None => record,
            };
            producer.send(record).map_err(|(e, _)| e).unwrap();
        }
        producer.flush(Duration::from_secs(20)).unwrap();
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.clear();
    }
}

fn framed(id: u32, body: &[u8]) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes(), body].concat()
}
