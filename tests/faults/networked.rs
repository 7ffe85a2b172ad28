//! The system of these tests with its log in Kafka, and a proxy in front of all that the program talks to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};

use super::System;
use super::aim::Hook;
use super::proxy::Network;
use crate::support::pair::{Engine, Side};
use crate::support::projector::topics::{self, Writer};
use crate::support::service;

/// Keys that one more change of both sources touches.
const CHANGED: i64 = 40;

/// What is behind the proxies.
struct World {
    system: System,
    brokers: String,
    /// Of `t` and of `u`.
    topics: [String; 2],
    writers: [Writer; 2],
    changes: AtomicI64,
}

/// One system of a test's own.
pub struct Networked {
    world: Arc<World>,
    pub network: Network,
}

impl Networked {
    /// `None` when a service is missing and may be.
    pub fn new(name: &str, seed: u64) -> Option<Networked> {
        let brokers = service("TRUEUP_TEST_KAFKA")?;
        let system = System::new(Engine::Postgres, name)?;
        let topics = ["t", "u"].map(|s| topics::create(&brokers, &format!("{name}-{s}"), 3));
        let writers = [&topics[0], &topics[1]].map(|topic| Writer::plain(&brokers, topic));
        let world = Arc::new(World {
            system,
            brokers,
            topics,
            writers,
            changes: AtomicI64::new(0),
        });
        world.send_log();
        let kafka = world.brokers.parse().unwrap();
        let network = Network::start(kafka, world.postgres(), seed);
        let networked = Networked { world, network };
        networked.write_playbook();
        Some(networked)
    }

    pub fn system(&self) -> &System {
        &self.world.system
    }

    /// Where the log of `t` begins, as `--from-offsets` has it.
    pub fn first_offsets(&self) -> String {
        let topic = &self.world.topics[0];
        let offsets = (0..3).map(|partition| format!("{topic}:{partition}:0"));
        offsets.collect::<Vec<_>>().join(",")
    }

    /// Changes some rows of the primary, and lets the log say so.
    pub fn change(&self) -> Hook {
        let world = Arc::clone(&self.world);
        Arc::new(move || world.change())
    }

    fn write_playbook(&self) {
        let world = &self.world;
        let through = |side, port: u16| {
            let url = world.system.pair.url(side);
            let (rest, database) = url.rsplit_once('/').unwrap();
            let (user, _) = rest.rsplit_once('@').unwrap();
            format!("{user}@127.0.0.1:{port}/{database}?sslmode=disable")
        };
        let file = world.system.pair.path("playbook.yaml");
        let mut playbook = std::fs::read_to_string(&file).unwrap();
        let mut replace = |old: &str, new: &str| {
            assert!(playbook.contains(old), "{old}: {playbook}");
            playbook = playbook.replace(old, new);
        };
        for (side, proxy) in [
            (Side::Primary, &self.network.primary),
            (Side::Read, &self.network.read_store),
        ] {
            replace(&world.system.pair.url(side), &through(side, proxy.port()));
        }
        let brokers = format!("127.0.0.1:{}", self.network.kafka.port());
        replace(
            "{ archive: log.jsonl }",
            &format!("{{ kafka: {{ brokers: \"{brokers}\" }} }}"),
        );
        for (source, topic) in ["t", "u"].iter().zip(&world.topics) {
            replace(&format!("shop.public.{source}"), topic);
        }
        std::fs::write(file, playbook).unwrap();
    }
}

impl Drop for Networked {
    fn drop(&mut self) {
        // A hook that still waits for its statement has the system, too.
        self.network.heal();
    }
}

impl World {
    fn postgres(&self) -> SocketAddr {
        let url = self.system.pair.url(Side::Read);
        let (_, host) = url.rsplit_once('@').unwrap();
        let (host, _) = host.split_once('/').unwrap();
        host.parse().unwrap()
    }

    /// What the archive holds.
    fn send_log(&self) {
        let log = std::fs::read_to_string(self.system.pair.path("log.jsonl")).unwrap();
        for line in log.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let at = usize::from(line["topic"] == "shop.public.u");
            let key: Value = serde_json::from_str(line["key"].as_str().unwrap()).unwrap();
            let partition = i32::try_from(line["partition"].as_i64().unwrap()).unwrap();
            self.writers[at].send(partition, &key, line["payload"].as_str());
        }
        self.writers.iter().for_each(Writer::flush);
    }

    fn change(&self) {
        let round = self.changes.fetch_add(1, Ordering::Relaxed);
        let ids: Vec<i64> = (1..)
            .filter(|id| id % 7 != 0)
            .skip(usize::try_from(round * CHANGED % 2_000).unwrap())
            .take(usize::try_from(CHANGED).unwrap())
            .collect();
        let listed: Vec<String> = ids.iter().map(ToString::to_string).collect();
        for source in ["t", "u"] {
            let sql = format!(
                "UPDATE {source} SET n = id * 3 + {} WHERE id IN ({});",
                round + 1,
                listed.join(", ")
            );
            self.system.pair.sql(Side::Primary, &sql);
        }
        let position = "SELECT (pg_current_wal_lsn() - '0/0')::bigint";
        let written = &self.system.pair.lines(Side::Primary, position)[0];
        let written: u64 = written.parse().unwrap();
        for (nth, id) in (0..).zip(&ids) {
            let row =
                json!({"id": id, "note": format!("note {}", id % 100), "n": id * 3 + round + 1});
            // What was read from the primary itself is as new as its write position: this is newer.
            let lsn = written + nth;
            let partition = i32::try_from(id % 3).unwrap();
            for (source, writer) in ["t", "u"].iter().zip(&self.writers) {
                let mut value: Value =
                    serde_json::from_str(&topics::envelope("u", &row, lsn)).unwrap();
                value["source"]["table"] = json!(source);
                writer.send(partition, &json!({"id": id}), Some(&value.to_string()));
            }
        }
        self.writers.iter().for_each(Writer::flush);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for topic in &self.topics {
            topics::delete(&self.brokers, topic);
        }
    }
}
