//! A system in which differences are planted, its log written by the test itself: several topics of several partitions, on
//! Kafka with PostgreSQL, or in an archive with SQLite.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use serde_json::{Value, json};

use crate::support::pair::{Engine, Pair, Side};
use crate::support::projector::topics::{self, Writer, envelope};
use crate::support::{Ran, service};

/// Partitions of each topic.
pub const PARTITIONS: i32 = 4;

/// What is done to a key, and the word that it should lead to.
pub type Planted = (&'static str, &'static str);

/// The partition that the events of a row belong into.
pub fn home(id: usize) -> i32 {
    i32::try_from(id).unwrap() % PARTITIONS
}

enum Sink {
    Kafka {
        brokers: String,
        writers: Vec<Writer>,
    },
    Archive(String),
}

/// The log being written.
pub struct Log {
    sink: Sink,
    topics: Vec<String>,
    next: BTreeMap<(usize, i32), i64>,
    lsn: u64,
}

impl Log {
    fn new(engine: Engine, name: &str, sources: &[&str]) -> Option<Log> {
        let (sink, topics) = match engine {
            Engine::Postgres => {
                let brokers = service("TRUEUP_TEST_KAFKA")?;
                let topic = |source: &&str| {
                    topics::create(&brokers, &format!("tu_{name}_{source}"), PARTITIONS)
                };
                let topics: Vec<String> = sources.iter().map(topic).collect();
                let writers = topics.iter().map(|t| Writer::plain(&brokers, t)).collect();
                (Sink::Kafka { brokers, writers }, topics)
            }
            Engine::Sqlite => {
                let topics = sources.iter().map(|s| format!("shop.main.{s}"));
                (Sink::Archive(String::new()), topics.collect())
            }
        };
        Some(Log {
            sink,
            topics,
            next: BTreeMap::new(),
            lsn: 8,
        })
    }

    /// An event of a row of a source, newer than all before it.
    pub fn event(&mut self, source: usize, partition: i32, op: &str, id: usize, row: &Value) {
        self.lsn += 8;
        let (key, value) = (json!({"id": id}), envelope(op, row, self.lsn));
        let offset = self.next.entry((source, partition)).or_default();
        match &mut self.sink {
            Sink::Kafka { writers, .. } => {
                writers[source].send(partition, &key, Some(&value));
                if self.lsn.is_multiple_of(80_000) {
                    writers.iter().for_each(Writer::flush);
                }
            }
            Sink::Archive(lines) => {
                let line = json!({
                    "topic": self.topics[source], "partition": partition, "offset": *offset, "tstype": "create",
                    "ts": 1_700_000_000_000i64 + *offset, "broker": 0, "key": key.to_string(), "payload": value,
                });
                writeln!(lines, "{line}").unwrap();
            }
        }
        *offset += 1;
    }

    fn ends(&self) -> Vec<(String, i32, i64)> {
        let end = |((source, partition), next): (&(usize, i32), &i64)| {
            (self.topics[*source].clone(), *partition, *next)
        };
        self.next.iter().map(end).collect()
    }
}

/// The system.
pub struct Scene {
    pub pair: Pair,
    pub log: Log,
    slot: String,
    /// What was done to each key.
    pub planted: BTreeMap<usize, &'static str>,
}

impl Scene {
    /// Sources of these names, and the tables that these statements make.
    pub fn new(
        engine: Engine,
        name: &str,
        sources: &[&str],
        [primary, read]: [&str; 2],
        views: &str,
    ) -> Option<Scene> {
        let log = Log::new(engine, name, sources)?;
        let pair = Pair::new(engine, name)?;
        let slot = log.topics[0].replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        pair.sql(Side::Primary, primary);
        pair.sql(
            Side::Read,
            &format!("{read}; CREATE TABLE place (topic text, partition int, next_offset bigint)"),
        );
        let (log_of, captured, schema) = match &log.sink {
            Sink::Kafka { brokers, .. } => {
                let make =
                    format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
                pair.sql(Side::Primary, &make);
                let captured = format!("captured: {{ slot: {slot} }}\n");
                (
                    format!("kafka: {{ brokers: \"{brokers}\" }}"),
                    captured,
                    "public.",
                )
            }
            Sink::Archive(_) => ("archive: log.jsonl".to_owned(), String::new(), ""),
        };
        let mut yaml = format!(
            "version: 1\nname: causes\nprimary: {{ url: \"{}\" }}\nread_store: {{ url: \"{}\" }}\nlog: {{ {log_of} }}\n{captured}\
             applied: {{ checkpoint: \"SELECT topic, partition, next_offset FROM place\" }}\nsources:\n",
            pair.url(Side::Primary),
            pair.url(Side::Read),
        );
        for (source, topic) in sources.iter().zip(&log.topics) {
            writeln!(
                yaml,
                "  {source}: {{ topic: {topic}, table: {schema}{source} }}"
            )
            .unwrap();
        }
        pair.playbook(&(yaml + views));
        Some(Scene {
            pair,
            log,
            slot,
            planted: BTreeMap::new(),
        })
    }

    /// Chooses among so many keys, for each kind so many, and plants nothing yet.
    pub fn choose(&mut self, rows: usize, each: usize, kinds: &[Planted], rng: &mut StdRng) {
        let mut ids: Vec<usize> = (0..rows).collect();
        ids.shuffle(rng);
        for (nth, (what, _)) in kinds.iter().enumerate() {
            for id in &ids[nth * each..(nth + 1) * each] {
                // What a hand inserts has a key of its own.
                let by_hand = *what == "inserted by hand";
                let id = if by_hand { rows + id } else { *id };
                self.planted.insert(id, what);
            }
        }
    }

    /// The log has all that was written to it.
    pub fn flush(&self) {
        match &self.log.sink {
            Sink::Kafka { writers, .. } => writers.iter().for_each(Writer::flush),
            Sink::Archive(lines) => std::fs::write(self.pair.path("log.jsonl"), lines).unwrap(),
        }
    }

    /// The projector says that it has all that was written to the log until now.
    pub fn place(&self) {
        let ends = self.log.ends().into_iter();
        let rows: Vec<String> = ends
            .map(|(topic, partition, end)| format!("('{topic}', {partition}, {end})"))
            .collect();
        let rows = rows.join(", ");
        let sql = format!("DELETE FROM place; INSERT INTO place VALUES {rows}");
        self.pair.sql(Side::Read, &sql);
    }

    /// Fills a table with lines of tab-separated values.
    pub fn fill(&self, side: Side, table: &str, lines: &[String]) {
        if self.pair.engine() == Engine::Postgres {
            let lines = lines.concat();
            let copy = format!("COPY {table} FROM stdin;\n{lines}\\.\nANALYZE {table};\n");
            return self.pair.sql(side, &copy);
        }
        let value = |value: &str| match value.parse::<i64>() {
            Ok(_) => value.to_owned(),
            Err(_) => format!("'{value}'"),
        };
        let row = |line: &String| {
            let values: Vec<String> = line.trim_end().split('\t').map(value).collect();
            format!("({})", values.join(", "))
        };
        let rows: Vec<String> = lines.iter().map(row).collect();
        let insert = format!("INSERT INTO {table} VALUES {}", rows.join(", "));
        self.pair.sql(side, &insert);
    }

    /// Runs the program while the connector, whose place is taken by the slot alone, keeps up.
    pub fn trueup(&self, args: &[&str]) -> Ran {
        if self.pair.engine() == Engine::Sqlite {
            return self.pair.trueup(args);
        }
        let advance = format!(
            "SELECT pg_replication_slot_advance('{}', pg_current_wal_lsn())",
            self.slot
        );
        std::thread::scope(|scope| {
            let run = scope.spawn(|| self.pair.trueup(args));
            while !run.is_finished() {
                self.pair.sql(Side::Primary, &advance);
                std::thread::sleep(Duration::from_millis(200));
            }
            run.join().unwrap()
        })
    }

    /// How many keys each cause has, where so many percent of the rows that agree are looked at as well.
    pub fn causes(&self, percent: usize, exit: i32) -> Value {
        let args = format!("verify {{}} --explain --sample {percent} --lag-wait 2s --format json");
        let args: Vec<&str> = args.split(' ').collect();
        self.trueup(&args).exit(exit).json()["views"][0]["causes"].clone()
    }

    /// What is reported of every planted key.
    pub fn reported(&self, column: &str) -> BTreeMap<usize, String> {
        let file = self.pair.path("keys");
        let keys: Vec<String> = self.planted.keys().map(usize::to_string).collect();
        std::fs::write(&file, keys.join("\n")).unwrap();
        let keys = format!("@{}", file.display());
        let ran = self.trueup(&["explain", "{}", "--key", &keys, "--format", "json"]);
        let json = ran.exit(1).json();
        let all = json["explained"]["keys"].as_array().unwrap();
        let one = |key: &Value| {
            let id = key["key"][column].as_str().unwrap().parse().unwrap();
            (id, key["cause"].as_str().unwrap().to_owned())
        };
        all.iter().map(one).collect()
    }

    /// Planted against reported, as a table; what is not on the diagonal is marked with an arrow.
    pub fn matrix(&self, wanted: &[Planted], reported: &BTreeMap<usize, String>) -> String {
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (id, what) in &self.planted {
            let said = reported.get(id).map_or("agrees", String::as_str);
            *counts.entry((what, said)).or_default() += 1;
        }
        let mut table = String::new();
        for ((what, said), n) in counts {
            let wanted = wanted.iter().find(|(w, _)| *w == what).unwrap().1;
            let off = if said == wanted || (wanted, said) == ("representation", "agrees") {
                ""
            } else {
                "  <-- not on the diagonal"
            };
            writeln!(table, "{what:40} {said:16} {n:6}{off}").unwrap();
        }
        table
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Sink::Kafka { brokers, .. } = &self.log.sink {
            let topics = self.log.topics.iter();
            topics.for_each(|topic| topics::delete(brokers, topic));
            let drop = format!("SELECT pg_drop_replication_slot('{}')", self.slot);
            self.pair.sql(Side::Primary, &drop);
        }
    }
}
