//! Snapshots and partial replays on SQLite and an archive, held against the oracle: two sources, of which a copy, a filtered
//! copy with the projector's bookkeeping, and a query over both are made.

mod histories;
mod in_place;
mod killed;
mod refusals;

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use crate::oracle::{self, Columns, Record};
use crate::support::embedded::Embedded;

const TABLE: &str = "(id INTEGER PRIMARY KEY, name TEXT, note TEXT, number TEXT)";

const READ: &str = "
CREATE TABLE copy (id INTEGER PRIMARY KEY, name TEXT, note TEXT, number TEXT);
CREATE TABLE noted (id INTEGER PRIMARY KEY, note TEXT, last_partition INTEGER, last_offset INTEGER, last_lsn INTEGER);
CREATE TABLE by_note (note TEXT PRIMARY KEY, n INTEGER NOT NULL, paired INTEGER NOT NULL, name TEXT, total INTEGER);";

/// What no log says.
const RUBBISH: &str = "
INSERT OR REPLACE INTO copy VALUES (-5, 'old', NULL, ''), (1, 'wrong', 'wrong', 'wrong'), (2, NULL, NULL, NULL);
INSERT OR REPLACE INTO noted VALUES (-5, 'old', 0, 0, 0), (1, 'wrong', 99, 999999, 999999999);
INSERT OR REPLACE INTO by_note VALUES ('nowhere', 1, 1, 'wrong', 1), ('a', 777, 777, 'wrong', 777);
DELETE FROM copy WHERE id % 7 = 3;";

const SOURCES: [&str; 2] = ["t", "u"];

fn playbook() -> String {
    r#"version: 1
name: partial
primary: { url: "sqlite:primary.db" }
read_store: { url: "sqlite:read.db" }
log: { archive: log.jsonl }
applied: none
sources:
  t: { topic: shop.public.t, table: t }
  u: { topic: shop.public.u, table: u }
views:
  copy: { from: t, key: [id] }
  noted:
    from: t
    key: [id]
    where: { note: { not: [null, a] } }
    columns: { id: id, note: note, last_partition: "@partition", last_offset: "@offset", last_lsn: "@lsn" }
  by_note:
    key: [note]
    query: |
      SELECT coalesce(t.note, '-') AS note, count(*) AS n, count(u.id) AS paired, min(u.name) AS name,
             sum(CAST(u.number AS INTEGER)) AS total
      FROM t LEFT JOIN u ON u.id = t.id
      GROUP BY coalesce(t.note, '-')
limits: { repairs_max: "100%", deletes_max: "100%" }
"#
    .to_owned()
}

type Rows = BTreeMap<i64, Columns>;

/// What the two sources have come to.
#[derive(Clone, Debug, Default)]
struct State {
    t: Rows,
    u: Rows,
}

/// A history of two topics, in the order of arrival.
struct History {
    /// Which source, and its record.
    records: Vec<(usize, Record)>,
    lines: Vec<String>,
}

impl History {
    /// Two random histories, mixed; within each the order stays.
    fn random(seed: u64, keys: i64, events: usize, partitions: usize) -> History {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut queues = SOURCES.map(|source| {
            let seed = rng.random();
            let history = oracle::random_history(seed, keys, events, partitions);
            let history = oracle::interleave(seed, &history);
            let text = oracle::archive(&format!("shop.public.{source}"), &history);
            let lines = text.lines().map(|l| format!("{l}\n"));
            history
                .into_iter()
                .zip(lines.collect::<Vec<_>>())
                .collect::<std::collections::VecDeque<_>>()
        });
        let mut history = History {
            records: Vec::new(),
            lines: Vec::new(),
        };
        while queues.iter().any(|q| !q.is_empty()) {
            let source = rng.random_range(0..2usize);
            for _ in 0..rng.random_range(1..10) {
                let Some((record, line)) = queues[source].pop_front() else {
                    break;
                };
                history.records.push((source, record));
                history.lines.push(line);
            }
        }
        history
    }

    fn len(&self) -> usize {
        self.records.len()
    }

    /// The records of one source among the first `to`, from `from` on.
    fn of(&self, source: usize, from: usize, to: usize) -> Vec<Record> {
        let these = self.records[from..to].iter().filter(|(s, _)| *s == source);
        these.map(|(_, record)| record.clone()).collect()
    }

    /// The first `to` records as an archive.
    fn archive(&self, to: usize) -> String {
        self.lines[..to].concat()
    }

    /// What the first `to` records come to.
    fn state(&self, to: usize) -> State {
        let [t, u] = [0, 1].map(|source| oracle::outcome(&self.of(source, 0, to)).0);
        State { t, u }
    }

    /// How many records it takes for both topics to be there.
    fn both(&self) -> usize {
        let first = |source| self.records.iter().position(|(s, _)| *s == source);
        1 + first(0).max(first(1)).expect("records of both")
    }
}

fn cell(columns: &Columns, name: &str) -> Option<String> {
    columns.get(name).cloned().flatten()
}

/// A cell as the databases print it.
fn shown(cell: Option<String>) -> String {
    cell.unwrap_or_else(|| "∅".to_owned())
}

fn copy_row(id: i64, columns: &Columns) -> Vec<String> {
    let cells = ["name", "note", "number"].map(|name| shown(cell(columns, name)));
    [vec![id.to_string()], cells.to_vec()].concat()
}

impl State {
    fn copy(&self) -> Vec<Vec<String>> {
        self.t.iter().map(|(id, c)| copy_row(*id, c)).collect()
    }

    fn noted(&self) -> Vec<Vec<String>> {
        let note = |(id, columns): (&i64, &Columns)| {
            let note = cell(columns, "note").filter(|note| note != "a")?;
            Some(vec![id.to_string(), note])
        };
        self.t.iter().filter_map(note).collect()
    }

    fn by_note(&self) -> Vec<Vec<String>> {
        let mut groups: BTreeMap<String, Vec<Option<&Columns>>> = BTreeMap::new();
        for (id, columns) in &self.t {
            let note = cell(columns, "note").unwrap_or_else(|| "-".to_owned());
            groups.entry(note).or_default().push(self.u.get(id));
        }
        let row = |(note, rows): (String, Vec<Option<&Columns>>)| {
            let paired: Vec<&Columns> = rows.iter().copied().flatten().collect();
            let name = paired.iter().filter_map(|c| cell(c, "name")).min();
            let numbers = paired.iter().filter_map(|c| cell(c, "number"));
            let numbers: Vec<i64> = numbers.map(|n| n.parse().unwrap()).collect();
            let total = (!numbers.is_empty()).then(|| numbers.iter().sum::<i64>().to_string());
            vec![
                note,
                rows.len().to_string(),
                paired.len().to_string(),
                shown(name),
                shown(total),
            ]
        };
        groups.into_iter().map(row).collect()
    }
}

fn insert(table: &str, rows: &Rows) -> String {
    let quote = |value: Option<String>| {
        value.map_or_else(
            || "NULL".to_owned(),
            |v| format!("'{}'", v.replace('\'', "''")),
        )
    };
    let mut sql = format!("DELETE FROM {table};");
    for (id, columns) in rows {
        let cells = ["name", "note", "number"].map(|name| quote(cell(columns, name)));
        sql += &format!("INSERT INTO {table} VALUES ({id}, {});\n", cells.join(", "));
    }
    sql
}

/// A system whose read tables hold rubbish.
fn system() -> Embedded {
    let primary = format!("CREATE TABLE t {TABLE}; CREATE TABLE u {TABLE};");
    let system = Embedded::new(&primary, &format!("{READ}{RUBBISH}"));
    system.playbook(&playbook());
    system
}

/// Brings the primary to a state.
fn primary(system: &Embedded, state: &State) {
    let (t, u) = (insert("t", &state.t), insert("u", &state.u));
    system.sql("primary.db", &format!("BEGIN; {t} {u} COMMIT;"));
}

/// The three read tables, whole.
fn tables(system: &Embedded) -> [Vec<Vec<String>>; 3] {
    ["copy", "noted", "by_note"]
        .map(|table| system.rows("read.db", &format!("SELECT * FROM {table} ORDER BY 1")))
}

/// The read tables are what the oracle says; what the projector keeps for itself is left to others.
#[track_caller]
fn equal_oracle(system: &Embedded, state: &State, what: &str) {
    let [copy, noted, by_note] = tables(system);
    assert_eq!(copy, state.copy(), "{what}: copy");
    let noted: Vec<Vec<String>> = noted.into_iter().map(|row| row[..2].to_vec()).collect();
    assert_eq!(noted, state.noted(), "{what}: noted");
    assert_eq!(by_note, state.by_note(), "{what}: by_note");
}

/// Makes a snapshot; `flags` are further ones. Gives its id and its parent's.
#[track_caller]
fn create(system: &Embedded, flags: &[&str]) -> (String, Option<String>) {
    let args = [
        "snapshot", "create", "{}", "--yes", "--quiet", "--format", "json",
    ];
    let made = system.trueup(&[&args[..], flags].concat()).exit(0).json();
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let snapshot = &made["snapshot"];
    (text(&snapshot["id"]).unwrap(), text(&snapshot["parent"]))
}

/// Rebuilds all views from a snapshot.
fn partial(system: &Embedded, flags: &[&str]) -> crate::support::Ran {
    let args = [
        "replay", "partial", "{}", "--yes", "--quiet", "--format", "json",
    ];
    system.trueup(&[&args[..], flags].concat())
}
