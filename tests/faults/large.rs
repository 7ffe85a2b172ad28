//! A log of as many events as are asked for, in Kafka, and the table of PostgreSQL that it describes.

use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use serde_json::json;

use super::random::Rebuilt;
use crate::support::pair::{Engine, Pair, Side};
use crate::support::projector::topics::{self, Writer, envelope};
use crate::support::service;

const PARTITIONS: u64 = 4;

/// Records between two waits for the broker: fewer than the producer's queue takes.
const UNSENT_MAX: u64 = 50_000;

/// What stands for a value that the primary's log does not hold.
const UNAVAILABLE: &str = "__debezium_unavailable_value";

/// What the log does to a key.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// All in one partition: made, changed, deleted and made again; some records come twice, some late.
    Usual,
    /// Changes only, each in any partition.
    Scattered,
    /// Changes only, and none of them says the note.
    Unsaid,
}

fn kind(id: u64) -> Kind {
    match id {
        id if id % 20 == 3 => Kind::Scattered,
        id if id % 200 == 5 => Kind::Unsaid,
        _ => Kind::Usual,
    }
}

/// What became of a key so far. A row is told by its key and its position alone.
#[derive(Clone, Copy, Default)]
struct Key {
    is_there: bool,
    newest: u64,
    /// The last position before `newest` that had a row; 0 when there is none.
    older: u64,
}

impl Key {
    fn put(&mut self, lsn: u64) {
        if self.is_there {
            self.older = self.newest;
        }
        (self.is_there, self.newest) = (true, lsn);
    }

    fn delete(&mut self, lsn: u64) {
        (self.is_there, self.older, self.newest) = (false, self.newest, lsn);
    }
}

/// The log as it is written.
struct Log {
    writer: Writer,
    rng: StdRng,
    lsn: u64,
    records: u64,
    scattered: u64,
    keys: Vec<Key>,
}

impl Log {
    fn send(&mut self, partition: u64, id: usize, value: Option<&str>) {
        let partition = i32::try_from(partition).unwrap();
        self.writer.send(partition, &json!({"id": id}), value);
        self.records += 1;
        if self.records.is_multiple_of(UNSENT_MAX) {
            self.writer.flush();
        }
    }

    fn row(&mut self, partition: u64, id: usize, op: &str, lsn: u64) {
        let note = match kind(id as u64) {
            Kind::Unsaid => UNAVAILABLE.to_owned(),
            _ => note(lsn),
        };
        let value = envelope(op, &json!({"id": id, "note": note, "n": lsn}), lsn);
        self.send(partition, id, Some(&value));
    }

    /// One more thing that happens to any key.
    fn event(&mut self) {
        let id = self.rng.random_range(0..self.keys.len());
        let home = id as u64 % PARTITIONS;
        let key = self.keys[id];
        self.lsn += 1;
        let chance = self.rng.random_range(0..100);
        match (kind(id as u64), key.is_there, chance) {
            (Kind::Scattered, ..) => {
                self.scattered += 1;
                let anywhere = self.rng.next_u64() % PARTITIONS;
                self.keys[id].put(self.lsn);
                self.row(anywhere, id, "u", self.lsn);
            }
            (Kind::Usual, true, 0..8) => {
                self.keys[id].delete(self.lsn);
                self.row(home, id, "d", self.lsn);
                self.send(home, id, None);
            }
            (Kind::Usual, true, 8..12) if key.older > 0 => self.row(home, id, "u", key.older),
            // A row that is gone stays so, whatever comes late.
            (Kind::Usual, false, 0..30) if key.older > 0 => self.row(home, id, "u", key.older),
            (Kind::Usual, true, 12..15) => self.row(home, id, "u", key.newest),
            (_, is_there, _) => {
                self.keys[id].put(self.lsn);
                self.row(home, id, if is_there { "u" } else { "c" }, self.lsn);
            }
        }
    }
}

fn note(lsn: u64) -> String {
    format!("note {}", lsn % 1_000)
}

/// A copy of a table whose history is long.
pub struct Large {
    pair: Pair,
    brokers: String,
    topic: String,
    records: u64,
    scattered: u64,
}

impl Large {
    /// `None` when a service is missing and may be.
    pub fn new(name: &str, records: u64, seed: u64) -> Option<Large> {
        let brokers = service("TRUEUP_TEST_KAFKA")?;
        let pair = Pair::new(Engine::Postgres, name)?;
        let topic = topics::create(&brokers, name, i32::try_from(PARTITIONS).unwrap());
        let mut log = Log {
            writer: Writer::plain(&brokers, &topic),
            rng: StdRng::seed_from_u64(seed),
            lsn: 1_000,
            records: 0,
            scattered: 0,
            keys: vec![Key::default(); usize::try_from(records / 4).unwrap()],
        };
        while log.records < records {
            log.event();
        }
        log.writer.flush();
        let large = Large {
            pair,
            brokers,
            topic,
            records: log.records,
            scattered: log.scattered,
        };
        large.fill(&log.keys);
        Some(large)
    }

    fn fill(&self, keys: &[Key]) {
        let table = "(id BIGINT PRIMARY KEY, note TEXT, n BIGINT NOT NULL)";
        let mut primary = format!("CREATE TABLE t {table}; COPY t FROM STDIN;\n");
        for (id, key) in keys.iter().enumerate().filter(|(_, key)| key.is_there) {
            let lsn = key.newest;
            primary.push_str(&format!("{id}\t{}\t{lsn}\n", note(lsn)));
        }
        primary.push_str("\\.\n");
        self.pair.sql(Side::Primary, &primary);
        self.pair.sql(
            Side::Read,
            &format!("CREATE TABLE copy {table}; CREATE INDEX ON copy (n); CREATE INDEX ON copy (note, n);"),
        );
        self.pair.playbook(&format!(
            "version: 1\nname: large\nprimary: {{ url: \"{}\" }}\nread_store: {{ url: \"{}\" }}\n\
             log: {{ kafka: {{ brokers: \"{}\" }} }}\napplied: none\nsources:\n  t: {{ topic: {}, table: t }}\n\
             views:\n  copy: {{ from: t, key: [id] }}\nlimits: {{ repairs_max: \"100%\", deletes_max: \"100%\" }}\n",
            self.pair.url(Side::Primary),
            self.pair.url(Side::Read),
            self.brokers,
            self.topic
        ));
    }

    /// Count and hash of all rows, whatever their order.
    fn sum(&self, side: Side, table: &str) -> Vec<String> {
        let sql = format!(
            "SELECT count(*), sum(hashtextextended(x::text, 0)::numeric) FROM {table} AS x"
        );
        self.pair.lines(side, &sql)
    }
}

impl Rebuilt for Large {
    fn pair(&self) -> &Pair {
        &self.pair
    }

    fn records(&self) -> Option<u64> {
        Some(self.records)
    }

    fn scattered(&self) -> u64 {
        self.scattered
    }

    fn spoil(&self) {
        // Hundreds of old tables of this size are too much for a disk.
        let gc = ["runs", "gc", "{}", "--older-than", "0h", "--yes", "--quiet"];
        self.pair.trueup(&gc).exit(0);
        self.pair.sql(
            Side::Read,
            "DELETE FROM copy WHERE id % 50 = 0; UPDATE copy SET n = -n WHERE id % 70 = 1;\
             INSERT INTO copy SELECT 0 - id, 'x', 1 FROM copy WHERE id % 500 = 1 AND id > 0;",
        );
    }

    fn is_right(&self, after: &str) {
        let wanted = self.sum(Side::Primary, "t");
        let found = self.sum(Side::Read, "copy");
        if wanted != found {
            let columns = ["id", "note", "n"];
            let wanted = self.pair.dump(Side::Primary, "t", &columns);
            let found = self.pair.dump(Side::Read, "copy", &columns);
            let unequal = wanted.iter().zip(&found).find(|(a, b)| a != b);
            panic!(
                "{after}: copy is wrong: {unequal:?}, {} rows of {}",
                found.len(),
                wanted.len()
            );
        }
    }

    fn stage(&self) -> String {
        let sql = format!(
            "SELECT CASE WHEN r.stage <> 'loading' THEN r.stage WHEN r.built THEN 'built' WHEN l.settled IS NOT NULL THEN 'building' \
             WHEN (SELECT sum(next_offset) FROM trueup.position AS p WHERE p.run = r.id) = {} THEN 'settling' ELSE 'loading' END \
             FROM trueup.run AS r LEFT JOIN trueup.load AS l ON l.run = r.id WHERE r.state = 'running'",
            self.records
        );
        self.pair.lines(Side::Read, &sql).join(", ")
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        topics::delete(&self.brokers, &self.topic);
    }
}
