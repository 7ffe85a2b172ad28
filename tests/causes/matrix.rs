//! Planted against reported: so many differences of every cause in a large copy, on Kafka and PostgreSQL. What is said of each
//! key is set beside what was done to it; then what is advised is run, and leaves what it said that it would leave.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::support::pair::{Engine, Pair, Side};
use crate::support::projector::topics::{self, Writer, envelope};
use crate::support::{Ran, seed, service, size};

const PARTITIONS: i32 = 4;
/// What is done to a key, and the word that it should lead to.
const PLANTED: [(&str, &str); 12] = [
    ("an update was skipped", "skipped"),
    ("an insert was skipped", "skipped"),
    ("an older event came after a newer one", "time_travel"),
    ("a delete was overtaken", "resurrected"),
    ("changed by hand", "off_history"),
    ("deleted by hand", "off_history"),
    ("inserted by hand", "off_history"),
    ("computed wrongly", "miscomputed"),
    ("the log never heard of an update", "lost_event"),
    ("not in the log as it is", "log_incomplete"),
    ("on its way", "lagging"),
    ("written differently", "representation"),
];
const CREATE: &str =
    "(id bigint PRIMARY KEY, holder text NOT NULL, balance numeric(14,2) NOT NULL, tags text)";

/// A row, as the databases and the log have it.
#[derive(Clone, PartialEq)]
struct Row {
    holder: String,
    cents: i64,
    tags: String,
}

impl Row {
    fn random(rng: &mut StdRng) -> Row {
        Row {
            holder: format!("Holder {}", rng.random_range(0..1_000_000_000u64)),
            cents: rng.random_range(1..100_000_000),
            tags: "a, b, c".to_owned(),
        }
    }

    fn balance(&self) -> String {
        format!("{}.{:02}", self.cents / 100, self.cents % 100)
    }

    fn line(&self, id: usize) -> String {
        format!("{id}\t{}\t{}\t{}\n", self.holder, self.balance(), self.tags)
    }

    fn json(&self, id: usize) -> Value {
        json!({"id": id, "holder": self.holder, "balance": self.balance(), "tags": self.tags})
    }
}

/// The log being written.
struct Log {
    writer: Writer,
    lsn: u64,
}

impl Log {
    fn event(&mut self, partition: i32, op: &str, id: usize, row: &Row) {
        self.lsn += 8;
        let value = envelope(op, &row.json(id), self.lsn);
        self.writer
            .send(partition, &json!({"id": id}), Some(&value));
        if self.lsn.is_multiple_of(80_000) {
            self.writer.flush();
        }
    }
}

struct System {
    pair: Pair,
    topic: String,
    slot: String,
    /// What was done to each key.
    planted: BTreeMap<usize, &'static str>,
    /// The newest rows of those that are on their way.
    coming: Vec<(usize, Row)>,
    rows: usize,
}

fn home(id: usize) -> i32 {
    i32::try_from(id).unwrap() % PARTITIONS
}

impl System {
    /// So many rows, and of each kind of difference so many.
    fn new(rows: usize, each: usize) -> Option<System> {
        let brokers = service("TRUEUP_TEST_KAFKA")?;
        let pair = Pair::new(Engine::Postgres, "causes")?;
        let topic = topics::create(&brokers, "tu_causes", PARTITIONS);
        let slot = topic.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        pair.sql(Side::Primary, &format!("CREATE TABLE accounts {CREATE}; SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"));
        pair.sql(Side::Read, &format!("CREATE TABLE copy {CREATE}; CREATE TABLE place (topic text, partition int, next_offset bigint)"));
        let mut system = System {
            pair,
            topic,
            slot,
            planted: BTreeMap::new(),
            coming: Vec::new(),
            rows,
        };
        system.plant(&brokers, each);
        system.pair.playbook(&format!(
            "version: 1\nname: causes\nprimary: {{ url: \"{}\" }}\nread_store: {{ url: \"{}\" }}\nlog: {{ kafka: {{ brokers: \"{brokers}\" }} }}\n\
             captured: {{ slot: {} }}\napplied: {{ checkpoint: \"SELECT topic, partition, next_offset FROM place\" }}\n\
             sources: {{ accounts: {{ topic: {}, table: public.accounts }} }}\n\
             views:\n  copy: {{ from: accounts, key: [id], compare: {{ tags: {{ unordered: \", \" }} }} }}\n",
            system.pair.url(Side::Primary),
            system.pair.url(Side::Read),
            system.slot,
            system.topic,
        ));
        Some(system)
    }

    fn plant(&mut self, brokers: &str, each: usize) {
        let mut rng = StdRng::seed_from_u64(seed());
        let mut ids: Vec<usize> = (0..self.rows).collect();
        ids.shuffle(&mut rng);
        for (nth, (what, _)) in PLANTED.iter().enumerate() {
            for id in &ids[nth * each..(nth + 1) * each] {
                // What a hand inserts has a key of its own.
                let by_hand = *what == "inserted by hand";
                let id = if by_hand { self.rows + id } else { *id };
                self.planted.insert(id, what);
            }
        }
        let mut log = Log {
            writer: Writer::plain(brokers, &self.topic),
            lsn: 8,
        };
        let (mut primary, mut stored) = (String::new(), String::new());
        for id in 0..self.rows * 2 {
            if id >= self.rows && !self.planted.contains_key(&id) {
                continue;
            }
            let (p, s) = self.one(id, &mut log, &mut rng);
            p.into_iter().for_each(|row| primary += &row.line(id));
            s.into_iter().for_each(|row| stored += &row.line(id));
        }
        log.writer.flush();
        self.place(brokers);
        for (id, row) in &self.coming {
            log.event(home(*id), "u", *id, row);
        }
        log.writer.flush();
        let copy = |table: &str, lines: &str| {
            format!("COPY {table} FROM stdin;\n{lines}\\.\nANALYZE {table};\n")
        };
        self.pair.sql(Side::Primary, &copy("accounts", &primary));
        self.pair.sql(Side::Read, &copy("copy", &stored));
    }

    /// Writes the events of a key; gives its row in the primary and in the read store.
    fn one(&mut self, id: usize, log: &mut Log, rng: &mut StdRng) -> (Option<Row>, Option<Row>) {
        let (first, second) = (Row::random(rng), Row::random(rng));
        let partition = home(id);
        let mut is = |partition: i32, op: &str, row: &Row| log.event(partition, op, id, row);
        let what = self.planted.get(&id).copied().unwrap_or_default();
        match what {
            "an insert was skipped" => {
                is(partition, "c", &first);
                return (Some(first), None);
            }
            "inserted by hand" => return (None, Some(first)),
            "the log never heard of an update" => {
                is(partition, "c", &first);
                return (Some(second), Some(first));
            }
            "not in the log as it is" => {
                is(partition, "c", &first);
                return (Some(second.clone()), Some(second));
            }
            "on its way" => {
                is(partition, "c", &first);
                self.coming.push((id, second.clone()));
                return (Some(second), Some(first));
            }
            "a delete was overtaken" => {
                is(partition, "c", &first);
                is(partition, "d", &first);
                return (None, Some(first));
            }
            "an older event came after a newer one" => {
                is(partition, "c", &first);
                is((partition + 1) % PARTITIONS, "u", &second);
                return (Some(second), Some(first));
            }
            _ => {}
        }
        is(partition, "c", &first);
        if what.is_empty() && !id.is_multiple_of(3) {
            return (Some(first.clone()), Some(first));
        }
        is(partition, "u", &second);
        let mut stored = second.clone();
        match what {
            "an update was skipped" => stored = first,
            "deleted by hand" => return (Some(second), None),
            "changed by hand" if id.is_multiple_of(2) => stored.holder = Row::random(rng).holder,
            "changed by hand" => stored.cents = rng.random_range(1..100_000_000),
            "computed wrongly" => stored.cents *= 100,
            "written differently" => stored.tags = "c, a, b".to_owned(),
            _ => {}
        }
        (Some(second), Some(stored))
    }

    /// The projector says that it has all that the log holds now.
    fn place(&self, brokers: &str) {
        let rows: Vec<String> = topics::ends(brokers, &self.topic, "read_committed")
            .into_iter()
            .map(|(topic, partition, end)| format!("('{topic}', {partition}, {end})"))
            .collect();
        self.pair.sql(
            Side::Read,
            &format!(
                "TRUNCATE place; INSERT INTO place VALUES {}",
                rows.join(", ")
            ),
        );
    }

    /// Runs the program while the connector, whose place is taken by the slot alone, keeps up.
    fn trueup(&self, args: &[&str]) -> Ran {
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

    /// What is reported of every planted key.
    fn reported(&self) -> BTreeMap<usize, String> {
        let file = self.pair.path("keys");
        let keys: Vec<String> = self.planted.keys().map(usize::to_string).collect();
        std::fs::write(&file, keys.join("\n")).unwrap();
        let keys = format!("@{}", file.display());
        let ran = self.trueup(&["explain", "{}", "--key", &keys, "--format", "json"]);
        let json = ran.exit(1).json();
        let all = json["explained"]["keys"].as_array().unwrap();
        let one = |key: &Value| {
            let id = key["key"]["id"].as_str().unwrap().parse().unwrap();
            (id, key["cause"].as_str().unwrap().to_owned())
        };
        all.iter().map(one).collect()
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if let Some(brokers) = service("TRUEUP_TEST_KAFKA") {
            topics::delete(&brokers, &self.topic);
        }
        let drop = format!("SELECT pg_drop_replication_slot('{}')", self.slot);
        self.pair.sql(Side::Primary, &drop);
    }
}

/// Planted against reported, as a table.
fn matrix(system: &System, reported: &BTreeMap<usize, String>) -> String {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (id, what) in &system.planted {
        let said = reported.get(id).map_or("agrees", String::as_str);
        *counts.entry((what, said)).or_default() += 1;
    }
    let mut table = String::new();
    for ((what, said), n) in counts {
        let wanted = PLANTED.iter().find(|(w, _)| *w == what).unwrap().1;
        let off = if said == wanted || (wanted, said) == ("representation", "agrees") {
            ""
        } else {
            "  <-- not on the diagonal"
        };
        writeln!(table, "{what:40} {said:16} {n:6}{off}").unwrap();
    }
    table
}

#[test]
fn planted_against_reported_of_a_copy() {
    let (rows, each) = (size(20_000, 1_000_000), size(25, 200));
    let Some(system) = System::new(rows, each) else {
        return;
    };
    let brokers = service("TRUEUP_TEST_KAFKA").unwrap();
    let table = matrix(&system, &system.reported());
    println!("{rows} rows:\n{table}");
    assert!(!table.contains("<--"), "\n{table}");

    // The whole table says the same, and what a replay would break is found among the rows that agree.
    let ran = system.trueup(&[
        "verify",
        "{}",
        "--explain",
        "--sample",
        "100",
        "--lag-wait",
        "2s",
        "--format",
        "json",
    ]);
    let verdict = ran.exit(5).json();
    let view = &verdict["views"][0];
    let mut wanted: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, cause) in PLANTED {
        *wanted.entry(cause).or_default() += each;
    }
    assert_eq!(view["causes"], json!(wanted), "{view}");

    // The projector comes to what was on its way; then what is advised is done.
    for (id, row) in &system.coming {
        system.pair.sql(
            Side::Read,
            &format!(
                "UPDATE copy SET holder = '{}', balance = {} WHERE id = {id}",
                row.holder,
                row.balance()
            ),
        );
    }
    system.place(&brokers);
    system
        .trueup(&[
            "reconcile",
            "{}",
            "--explain",
            "--apply",
            "--yes",
            "--repairs-max",
            "50%",
            "--deletes-max",
            "50%",
        ])
        .exit(0);
    let ran = system.trueup(&[
        "verify",
        "{}",
        "--explain",
        "--sample",
        "100",
        "--format",
        "json",
    ]);
    let verdict = ran.exit(0).json();
    // What the log never heard of is right now, and in the log as little as before: a replay would break it.
    let left = json!({"representation": each, "log_incomplete": 2 * each});
    assert_eq!(verdict["views"][0]["causes"], left, "{verdict}");
    let causes: BTreeSet<&str> = PLANTED.iter().map(|(_, cause)| *cause).collect();
    println!(
        "{} causes, {each} of each kind of difference: what could be repaired is",
        causes.len()
    );
}
