//! On Kafka and PostgreSQL.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

use super::{findings, has};
use crate::support::live::Live;
use crate::support::projector::{Projector, Route, Setup};
use crate::support::services::{Postgres, kafka_tool};
use crate::support::{Ran, command, run, service, text};

fn doctor(playbook: &std::path::Path) -> Ran {
    let playbook = text(playbook);
    run(&mut command(&["doctor", &playbook, "--format", "json"]))
}

#[test]
fn a_healthy_system_has_no_findings() {
    let Some(live) = Live::start("doctor", 1) else {
        return;
    };
    let route = Route::accounts(&live.topic(), "read.accounts");
    let group = format!("doctor_{}", std::process::id());
    let projector = Projector::start(Setup::new(&live.brokers, &group, &live.reads_url(), route));
    projector.drained(&projector.ends(&live.topic()));
    let applied = format!(
        "applied: {{ consumer_group: {group} }}\ncaptured: {{ slot: {} }}",
        live.slot()
    );
    let written = std::fs::read_to_string(&live.playbook).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let playbook = folder.path().join("playbook.yaml");
    std::fs::write(&playbook, written.replace("applied: none", &applied)).unwrap();
    let ran = doctor(&playbook).exit(0);
    let found = findings(&ran);
    assert!(found.iter().all(|f| f.1 == "note"), "{found:#?}");
    let report = ran.json();
    let unseen: Vec<_> = report["checked"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["outcome"] == "unknown")
        .collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}

/// Everything at once that can be wrong, in databases and topics of this test alone.
struct Ill {
    postgres: Postgres,
    brokers: String,
    name: String,
    folder: tempfile::TempDir,
}

impl Ill {
    fn new() -> Option<Ill> {
        let brokers = service("TRUEUP_TEST_KAFKA")?;
        let postgres = Postgres::new()?;
        let name = format!("ill{}", std::process::id());
        let ill = Ill {
            postgres,
            brokers,
            name,
            folder: tempfile::tempdir().unwrap(),
        };
        for side in ["primary", "reads"] {
            let database = format!("{}_{side}", ill.name);
            ill.postgres
                .sql("postgres", &format!("CREATE DATABASE {database}"));
        }
        Some(ill)
    }

    fn sql(&self, side: &str, sql: &str) {
        self.postgres.sql(&format!("{}_{side}", self.name), sql);
    }

    fn topic(&self, table: &str) -> String {
        format!("{}.public.{table}", self.name)
    }

    fn make_topic(&self, table: &str, partitions: &str, settings: &[&str]) {
        let topic = self.topic(table);
        let mut args = vec![
            "--bootstrap-server",
            &self.brokers,
            "--create",
            "--topic",
            &topic,
            "--partitions",
            partitions,
        ];
        args.extend(settings.iter().flat_map(|s| ["--config", s]));
        kafka_tool("org.apache.kafka.tools.TopicCommand", &args);
    }

    /// Records with their partitions.
    fn send(&self, table: &str, records: &[(i32, Option<String>, String)]) {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .create()
            .unwrap();
        let topic = self.topic(table);
        for (partition, key, value) in records {
            let mut record = BaseRecord::to(&topic).partition(*partition).payload(value);
            if let Some(key) = key {
                record = record.key(key);
            }
            producer.send(record).map_err(|(e, _)| e).unwrap();
        }
        producer.flush(Duration::from_secs(20)).unwrap();
    }

    fn commit(&self, group: &str, table: &str, offsets: &[(i32, i64)]) {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", group)
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            list.add_partition_offset(&self.topic(table), *partition, Offset::Offset(*offset))
                .unwrap();
        }
        consumer.commit(&list, CommitMode::Sync).unwrap();
    }
}

impl Drop for Ill {
    fn drop(&mut self) {
        let primary = format!("{}_primary", self.name);
        let name = &self.name;
        self.postgres.sql(&primary, &format!("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{name}'"));
        for side in ["primary", "reads"] {
            self.postgres.sql(
                "postgres",
                &format!("DROP DATABASE IF EXISTS {name}_{side} WITH (FORCE)"),
            );
        }
        for table in ["items", "grown"] {
            let topic = self.topic(table);
            kafka_tool(
                "org.apache.kafka.tools.TopicCommand",
                &[
                    "--bootstrap-server",
                    &self.brokers,
                    "--delete",
                    "--topic",
                    &topic,
                ],
            );
        }
    }
}

/// A record of a row of `items` or `grown`, changed in 2020.
fn value(op: &str, id: i64, lsn: u64) -> String {
    let row = serde_json::json!({"id": id, "name": format!("n{id}"), "kind": "k"});
    serde_json::json!({
        "op": op, "before": null, "after": row,
        "source": {"connector": "postgresql", "name": "ill", "db": "ill", "ts_ms": 1_577_836_800_000i64, "snapshot": "false", "lsn": lsn},
    })
    .to_string()
}

#[test]
fn each_sickness_is_found() {
    let Some(ill) = Ill::new() else {
        return;
    };
    let table = "(id BIGINT PRIMARY KEY, name TEXT, kind TEXT)";
    ill.sql(
        "primary",
        &format!("CREATE TABLE items {table}; CREATE TABLE grown {table};"),
    );
    ill.sql("primary", "ALTER TABLE items REPLICA IDENTITY NOTHING");
    ill.sql("primary", "ALTER TABLE grown ALTER name SET STORAGE EXTERNAL; INSERT INTO grown SELECT 1, repeat('x', 100000), 'k'");
    ill.sql(
        "primary",
        "CREATE PUBLICATION pub FOR TABLE grown WITH (publish = 'insert, update')",
    );
    ill.sql(
        "primary",
        &format!(
            "SELECT pg_create_logical_replication_slot('{}', 'pgoutput')",
            ill.name
        ),
    );
    ill.sql("reads", &format!("CREATE TABLE items {table}; CREATE TABLE grown (id BIGINT NOT NULL, name TEXT, kind TEXT) PARTITION BY HASH (kind);"));
    ill.sql(
        "reads",
        "CREATE TABLE grown_0 PARTITION OF grown FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
    );
    ill.sql("reads", "ALTER TABLE items ADD UNIQUE (name); CREATE UNIQUE INDEX odd ON items (kind) WHERE name = 'x'");
    ill.sql("reads", "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER audit AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION f()");

    ill.make_topic(
        "items",
        "3",
        &[
            "cleanup.policy=compact,delete",
            "retention.ms=3600000",
            "delete.retention.ms=1000",
        ],
    );
    let key = |id: i64| Some(format!("{{\"id\":{id}}}"));
    let mut records: Vec<_> = (0..9)
        .map(|n| ((n % 3) as i32, key(n), value("c", n, n as u64 + 1)))
        .collect();
    records.push((1, key(0), value("u", 0, 20)));
    ill.send("items", &records);
    let file = ill.folder.path().join("delete.json");
    let delete = serde_json::json!({"version": 1, "partitions": [{"topic": ill.topic("items"), "partition": 2, "offset": 1}]});
    std::fs::write(&file, delete.to_string()).unwrap();
    kafka_tool(
        "org.apache.kafka.tools.DeleteRecordsCommand",
        &[
            "--bootstrap-server",
            &ill.brokers,
            "--offset-json-file",
            &text(&file),
        ],
    );
    // As Kafka's clients put them among 2 partitions, where there are 4 by now.
    ill.make_topic("grown", "2", &[]);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &ill.brokers)
        .set("partitioner", "murmur2_random")
        .create()
        .unwrap();
    let topic = ill.topic("grown");
    for id in 0..30 {
        let (key, value) = (
            format!("{{\"name\":\"n{id}\"}}"),
            value("c", id, id as u64 + 1),
        );
        producer
            .send(BaseRecord::to(&topic).key(&key).payload(&value))
            .map_err(|(e, _)| e)
            .unwrap();
    }
    producer.flush(Duration::from_secs(20)).unwrap();
    kafka_tool(
        "org.apache.kafka.tools.TopicCommand",
        &[
            "--bootstrap-server",
            &ill.brokers,
            "--alter",
            "--topic",
            &topic,
            "--partitions",
            "4",
        ],
    );
    ill.send("grown", &[(3, None, value("c", 40, 90))]);

    let group = format!("{}-group", ill.name);
    ill.commit(&group, "items", &[(0, 999), (2, 0)]);
    let playbook = ill.folder.path().join("playbook.yaml");
    let yaml = format!(
        "version: 1\nname: ill\nprimary: {{ url: \"{}\" }}\nread_store: {{ url: \"{}\" }}\nlog: {{ kafka: {{ brokers: \"{}\" }} }}\n\
         applied: {{ consumer_group: {group} }}\ncaptured: {{ slot: {} }}\n\
         sources:\n  items: {{ topic: {} }}\n  grown: {{ topic: {} }}\n\
         views:\n  items: {{ from: items, key: [id] }}\n  grown: {{ from: grown, key: [id] }}\n",
        ill.postgres.url(&format!("{}_primary", ill.name)),
        ill.postgres.url(&format!("{}_reads", ill.name)),
        ill.brokers,
        ill.name,
        ill.topic("items"),
        ill.topic("grown"),
    );
    std::fs::write(&playbook, yaml).unwrap();
    let found = findings(&doctor(&playbook).exit(1));
    for (check, severity, words) in [
        ("log.start", "error", "partition 2 begins at offset 1"),
        ("log.retention", "warning", "retention.ms=3600000"),
        ("log.compaction", "warning", "keeps deletes for 1 s"),
        ("log.keys", "error", "{\"id\":0} at 0:0 and 1:3"),
        ("log.partitions", "error", "among 2"),
        ("log.key_fields", "error", "have no key"),
        ("log.truncates", "note", "none in"),
        (
            "primary.replica_identity",
            "error",
            "REPLICA IDENTITY NOTHING",
        ),
        ("primary.replica_identity", "warning", "stored out of line"),
        ("primary.publication", "error", "no publication has it"),
        (
            "primary.publication",
            "error",
            "does not publish: delete, truncate",
        ),
        ("primary.slot", "error", "nobody reads it"),
        ("projector.members", "error", "nobody is in it"),
        (
            "projector.members",
            "error",
            "forgets its offsets 7 d after",
        ),
        ("projector.offsets", "error", ":0:999, beyond the log's end"),
        ("projector.offsets", "error", ":1, which has records"),
        (
            "projector.offsets",
            "error",
            ":2:0, before the log's first record 1",
        ),
        ("read_store.unique", "warning", "(name)"),
        ("read_store.unique", "warning", "odd"),
        ("read_store.triggers", "warning", "audit"),
        ("read_store.partitioned", "warning", "partitioned by kind"),
    ] {
        has(&found, check, severity, words);
    }
    println!("{} findings, each of 21 kinds among them", found.len());
}
