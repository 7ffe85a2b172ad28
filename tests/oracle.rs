//! What a replay must come to, found the naive way: the highest version of each key wins. Shares no code with the
//! engine, so that the two can be held against each other.

use std::collections::{BTreeMap, HashMap, HashSet};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

/// The columns of a row beside its key, by name.
pub(crate) type Columns = BTreeMap<String, Option<String>>;

/// What a record says of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// The row is now this.
    Put(Columns),
    /// The row is gone.
    Delete,
    /// A record without a value.
    Tombstone,
}

/// A record of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Partition.
    pub(crate) partition: i32,
    /// Offset within the partition.
    pub(crate) offset: i64,
    /// Key.
    pub(crate) key: i64,
    /// Position in the primary's log; rows of an incremental snapshot and tombstones have none.
    pub(crate) lsn: Option<u64>,
    /// What happened.
    pub(crate) op: Op,
}

/// How many records did what; together they are all records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Put a row that was newer than all before it.
    pub(crate) put: u64,
    /// Deleted a row, newer than all before it.
    pub(crate) deleted: u64,
    /// Older than what was known of the key.
    pub(crate) stale: u64,
    /// The newest of the key once more: the same position with the same content.
    pub(crate) duplicate: u64,
    /// The tombstone that follows a delete.
    pub(crate) tombstone: u64,
}

impl Counts {
    /// All records.
    pub(crate) fn read(&self) -> u64 {
        self.put + self.deleted + self.stale + self.duplicate + self.tombstone
    }
}

/// What decides which of two records of a key is newer: position, offset, partition.
type Version = (u64, i64, i32);

/// The table that a history comes to, and what its records did in this order of arrival.
pub(crate) fn outcome(history: &[Record]) -> (BTreeMap<i64, Columns>, Counts) {
    let mut lsn_of: HashMap<i32, u64> = HashMap::new();
    let mut before: HashMap<i32, &Record> = HashMap::new();
    let mut newest: BTreeMap<i64, (Version, Option<&Columns>)> = BTreeMap::new();
    let mut counts = Counts::default();
    for record in history {
        let highest = lsn_of.entry(record.partition).or_default();
        *highest = record.lsn.unwrap_or(0).max(*highest);
        // Without a position of its own, it is newer than all that its partition has had.
        let lsn = record.lsn.unwrap_or(*highest);
        let previous = before.insert(record.partition, record);
        let follows = previous.is_some_and(|p| p.op == Op::Delete && p.key == record.key);
        if record.op == Op::Tombstone && follows {
            counts.tombstone += 1;
            continue;
        }
        let version = (lsn, record.offset, record.partition);
        let content = match &record.op {
            Op::Put(columns) => Some(columns),
            Op::Delete | Op::Tombstone => None,
        };
        match newest.get(&record.key) {
            Some((known, of)) if known.0 == lsn && *of == content => {
                let latest = version.max(*known);
                newest.insert(record.key, (latest, content));
                counts.duplicate += 1;
            }
            Some((known, _)) if version <= *known => counts.stale += 1,
            _ => {
                newest.insert(record.key, (version, content));
                match content {
                    Some(_) => counts.put += 1,
                    None => counts.deleted += 1,
                }
            }
        }
    }
    let rows = newest.into_iter();
    let table = rows.filter_map(|(key, (_, columns))| Some((key, columns?.clone())));
    (table.collect(), counts)
}

const TEXTS: [&str; 10] = [
    "",
    " ",
    "a",
    "B",
    "null",
    "\\N",
    "tab\there",
    "it's \"so\"",
    "é漢😀",
    "line\nbreak",
];

struct Writer {
    rng: StdRng,
    next: Vec<i64>,
    lsn: u64,
    history: Vec<Record>,
}

impl Writer {
    /// Mostly the key's own partition; now and then another, which is how events of one key overtake each other.
    fn partition(&mut self, key: i64) -> i32 {
        let partitions = i64::try_from(self.next.len()).expect("few");
        let at = if self.rng.random_ratio(1, 8) {
            self.rng.random_range(0..partitions)
        } else {
            key.rem_euclid(partitions)
        };
        i32::try_from(at).expect("few")
    }

    fn push(&mut self, partition: i32, key: i64, lsn: Option<u64>, op: Op) {
        let next = &mut self.next[usize::try_from(partition).expect("not negative")];
        self.history.push(Record {
            partition,
            offset: *next,
            key,
            lsn,
            op,
        });
        *next += 1;
    }

    fn columns(&mut self) -> Columns {
        let mut columns = Columns::new();
        for name in ["name", "note"] {
            let text = TEXTS.choose(&mut self.rng).map(|t| (*t).to_owned());
            let text = text.filter(|_| !self.rng.random_ratio(1, 5));
            columns.insert(name.to_owned(), text);
        }
        let number = self.rng.random_range(-1_000..1_000).to_string();
        columns.insert("number".to_owned(), Some(number));
        columns
    }

    fn put(&mut self, key: i64) {
        let (partition, columns) = (self.partition(key), self.columns());
        self.push(partition, key, Some(self.lsn), Op::Put(columns));
    }

    /// With its tombstone; without one, as `tombstones.on.delete=false` has it, or only that, as compaction leaves it.
    fn delete(&mut self, key: i64) {
        let partition = self.partition(key);
        let kind = self.rng.random_range(0..20);
        if kind != 0 {
            self.push(partition, key, Some(self.lsn), Op::Delete);
        }
        if kind != 1 {
            self.push(partition, key, None, Op::Tombstone);
        }
    }

    /// Once more what a producer was not told had arrived.
    fn again(&mut self) {
        let recent = self.history.len().saturating_sub(4);
        let from = if self.rng.random() { recent } else { 0 };
        let known = self.history[from..].choose(&mut self.rng).cloned();
        if let Some(record) = known.filter(|r| r.lsn.is_some()) {
            let elsewhere = self.rng.random_range(0..self.next.len());
            let partition = if self.rng.random() {
                record.partition
            } else {
                i32::try_from(elsewhere).expect("few")
            };
            self.push(partition, record.key, record.lsn, record.op);
        }
    }
}

/// A history of about `events` changes of `keys` keys: puts, deletes with their tombstones, changes of the key,
/// rows of an incremental snapshot, redeliveries, and events of one key in several partitions.
pub(crate) fn random_history(
    seed: u64,
    keys: i64,
    events: usize,
    partitions: usize,
) -> Vec<Record> {
    let mut writer = Writer {
        rng: StdRng::seed_from_u64(seed),
        next: vec![0; partitions],
        lsn: 1_000,
        history: Vec::new(),
    };
    for _ in 0..events {
        writer.lsn += writer.rng.random_range(1..100);
        let key = writer.rng.random_range(0..keys);
        match writer.rng.random_range(0..100) {
            0..70 => writer.put(key),
            70..85 => writer.delete(key),
            85..88 => {
                // The key changes: both in one write of the primary's log.
                writer.delete(key);
                let other = writer.rng.random_range(0..keys);
                if other != key {
                    writer.put(other);
                }
            }
            88..92 => {
                let (partition, columns) = (writer.partition(key), writer.columns());
                writer.push(partition, key, None, Op::Put(columns));
            }
            _ => writer.again(),
        }
    }
    writer.history
}

/// The same records in another order of arrival; within each partition the order stays.
pub(crate) fn interleave(seed: u64, history: &[Record]) -> Vec<Record> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut queues: BTreeMap<i32, std::collections::VecDeque<Record>> = BTreeMap::new();
    for record in history {
        let queue = queues.entry(record.partition).or_default();
        queue.push_back(record.clone());
    }
    let mut out = Vec::with_capacity(history.len());
    while !queues.is_empty() {
        let partitions: Vec<i32> = queues.keys().copied().collect();
        let partition = *partitions.choose(&mut rng).expect("one at least");
        // Runs of records, as a consumer fetches them; sometimes all that is left.
        let run = match rng.random_range(0..500) {
            0 => usize::MAX,
            _ => rng.random_range(1..20),
        };
        let queue = queues.get_mut(&partition).expect("it has records");
        out.extend(queue.drain(..run.min(queue.len())));
        if queue.is_empty() {
            queues.remove(&partition);
        }
    }
    out
}

/// The source's clock, in milliseconds: it never runs against the position.
fn clock(lsn: u64) -> u64 {
    1_700_000_000_000 + lsn / 10
}

/// A history as `kcat -J` prints a topic of bare Debezium records.
pub(crate) fn archive(topic: &str, history: &[Record]) -> String {
    let mut lsn_of: HashMap<i32, u64> = HashMap::new();
    let mut born: HashSet<i64> = HashSet::new();
    let mut lines = String::new();
    for record in history {
        let known = lsn_of.get(&record.partition).copied().unwrap_or(0);
        let lsn = record.lsn.unwrap_or(known);
        lsn_of.insert(record.partition, lsn);
        let at = clock(lsn);
        let row = |columns: &Columns| {
            let mut row = json!({ "id": record.key });
            for (name, value) in columns {
                row[name.as_str()] = json!(value);
            }
            row
        };
        let (op, before, after) = match &record.op {
            Op::Tombstone => ("", Value::Null, Value::Null),
            Op::Delete => ("d", json!({ "id": record.key }), Value::Null),
            Op::Put(columns) => {
                let new = born.insert(record.key);
                let op = match record.lsn {
                    None => "r",
                    Some(_) if new => "c",
                    Some(_) => "u",
                };
                (op, Value::Null, row(columns))
            }
        };
        let snapshot = if record.lsn.is_some() {
            "false"
        } else {
            "incremental"
        };
        let value = json!({
            "before": before,
            "after": after,
            "source": {
                "connector": "postgresql", "name": "shop", "db": "shop", "lsn": record.lsn, "ts_ms": at,
                "snapshot": snapshot, "schema": "public", "table": "t",
            },
            "op": op,
            "ts_ms": at,
        });
        let payload = (record.op != Op::Tombstone).then(|| value.to_string());
        let line = json!({
            "topic": topic, "partition": record.partition, "offset": record.offset, "tstype": "create", "ts": at,
            "broker": 0, "key": json!({ "id": record.key }).to_string(), "payload": payload,
        });
        lines += &line.to_string();
        lines.push('\n');
    }
    lines
}

fn record(partition: i32, offset: i64, key: i64, lsn: Option<u64>, op: Op) -> Record {
    Record {
        partition,
        offset,
        key,
        lsn,
        op,
    }
}

fn put(value: &str) -> Op {
    Op::Put(Columns::from([("v".to_owned(), Some(value.to_owned()))]))
}

#[test]
fn a_history_worked_out_by_hand() {
    let history = [
        record(0, 0, 1, Some(10), put("a")),        // put
        record(1, 0, 1, Some(30), put("c")),        // put: overtook the next
        record(0, 1, 1, Some(20), put("b")),        // stale
        record(0, 2, 2, Some(40), put("x")),        // put
        record(0, 3, 2, Some(50), Op::Delete),      // deleted
        record(0, 4, 2, None, Op::Tombstone),       // tombstone
        record(1, 1, 2, Some(45), put("late")),     // stale: the delete is newer
        record(0, 5, 3, None, put("snapshot")),     // put, at 50
        record(2, 0, 3, None, put("nothing")),      // stale, at 0
        record(2, 1, 3, Some(50), put("snapshot")), // duplicate: same position, lower offset
        record(2, 2, 4, Some(60), put("y")),        // put
        record(2, 3, 4, None, Op::Tombstone),       // deleted: no delete before it
        record(2, 4, 4, None, Op::Tombstone),       // duplicate: the same position, gone as before
        record(1, 2, 5, Some(70), Op::Delete),      // deleted, though never seen
        record(1, 3, 6, None, Op::Tombstone),       // deleted: another key's delete came before it
    ];
    let (table, counts) = outcome(&history);
    let values: Vec<_> = table.iter().map(|(k, c)| (*k, c["v"].as_deref())).collect();
    assert_eq!(values, [(1, Some("c")), (3, Some("snapshot"))]);
    assert_eq!(
        counts,
        Counts {
            put: 5,
            deleted: 4,
            stale: 3,
            duplicate: 2,
            tombstone: 1
        }
    );
    assert_eq!(counts.read(), history.len() as u64);
}

#[test]
fn arrival_between_partitions_changes_no_row() {
    for seed in 0..50 {
        let history = random_history(seed, 20, 400, 4);
        let (table, counts) = outcome(&history);
        assert_eq!(counts.read(), history.len() as u64);
        for other in 0..4 {
            let mixed = interleave(other, &history);
            assert_ne!(mixed, history);
            let (same, counts) = outcome(&mixed);
            assert_eq!(same, table, "seed {seed}, {other}");
            assert_eq!(counts.read(), history.len() as u64);
        }
    }
}

#[test]
fn a_random_history_has_everything_in_it() {
    let history = random_history(7, 50, 5_000, 4);
    let (table, counts) = outcome(&history);
    assert!(!table.is_empty() && table.len() < 50);
    let all = [
        counts.put,
        counts.deleted,
        counts.stale,
        counts.duplicate,
        counts.tombstone,
    ];
    assert!(all.iter().all(|n| *n > 0), "{counts:?}");
    let mut next = HashMap::new();
    for record in &history {
        let next = next.entry(record.partition).or_insert(0);
        assert_eq!(record.offset, *next, "no gaps");
        *next += 1;
    }
}

#[test]
fn an_archive_is_json_lines_whose_clock_follows_the_position() {
    let history = interleave(3, &random_history(3, 20, 500, 3));
    let text = archive("shop.public.t", &history);
    let mut clocks: BTreeMap<u64, u64> = BTreeMap::new();
    for (line, record) in text.lines().zip(&history) {
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["offset"], record.offset);
        let Some(payload) = line["payload"].as_str() else {
            assert_eq!(record.op, Op::Tombstone);
            continue;
        };
        let value: Value = serde_json::from_str(payload).expect("JSON");
        assert_eq!(value["source"]["lsn"].as_u64(), record.lsn);
        if let Some(lsn) = record.lsn {
            clocks.insert(lsn, value["source"]["ts_ms"].as_u64().expect("a clock"));
        }
    }
    assert_eq!(text.lines().count(), history.len());
    assert!(clocks.values().is_sorted());
}
