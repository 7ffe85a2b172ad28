//! Crashes: at every named point, and at random instants. Whatever was under way, the same command again ends with tables that
//! equal the primary.

#[cfg(feature = "faults")]
mod aim;
mod disk;
mod large;
#[cfg(feature = "faults")]
mod matrix;
#[cfg(feature = "faults")]
mod networked;
#[cfg(feature = "faults")]
mod points;
#[cfg(feature = "faults")]
mod proxy;
mod random;
#[cfg(feature = "faults")]
mod wire;

use serde_json::{Value, json};

use crate::support::pair::{Engine, Pair, Side};

/// Rows of the primary.
const ROWS: i64 = 3_000;

/// A primary, its log, and three tables to repair: a copy, a copy of what is left of another source, a query over both.
struct System {
    pair: Pair,
}

impl System {
    fn new(engine: Engine, name: &str) -> Option<System> {
        let pair = Pair::new(engine, name)?;
        let table = "(id BIGINT PRIMARY KEY, note TEXT, n BIGINT NOT NULL)";
        pair.sql(
            Side::Primary,
            &format!("CREATE TABLE t {table}; CREATE TABLE u {table};"),
        );
        pair.sql(
            Side::Read,
            &format!(
                "CREATE TABLE copy {table}; CREATE TABLE by_note (note TEXT PRIMARY KEY, rows BIGINT NOT NULL, total BIGINT NOT NULL);"
            ),
        );
        pair.playbook_of(
            "none",
            "sources:\n  t: { topic: shop.public.t, table: t }\n  u: { topic: shop.public.u, table: u }\n\
             views:\n  copy: { from: t, key: [id] }\n  by_note:\n    key: [note]\n    \
             query: SELECT t.note AS note, count(*) AS rows, CAST(sum(u.n) AS BIGINT) AS total FROM t JOIN u ON u.id = t.id GROUP BY t.note\n\
             limits: { repairs_max: \"100%\", deletes_max: \"100%\" }\n",
        );
        let system = System { pair };
        system.fill();
        Some(system)
    }

    /// The primary's rows, and the log that led to them: created, changed, every seventh deleted, and of every eleventh only the
    /// last change, without its note.
    fn fill(&self) {
        let mut rows = [String::new(), String::new()];
        let mut log = Vec::new();
        for (at, source) in ["t", "u"].iter().enumerate() {
            let mut offsets = [0; 3];
            let mut lsn = 1_000u64;
            let mut line = |id: i64, op: &str, note: &str, n: i64| {
                let partition = (id % 3) as usize;
                let offset = offsets[partition];
                offsets[partition] += 1;
                lsn += 1;
                let row = json!({"id": id, "note": note, "n": n});
                let (before, after) = if op == "d" {
                    (row, Value::Null)
                } else {
                    (Value::Null, row)
                };
                let ts_ms = 1_700_000_000_000u64 + lsn;
                let value = json!({
                    "before": before, "after": after, "op": op, "ts_ms": ts_ms,
                    "source": {"connector": "postgresql", "name": "shop", "db": "shop", "schema": "public", "table": source,
                               "snapshot": "false", "lsn": lsn, "ts_ms": ts_ms},
                });
                let line = json!({
                    "topic": format!("shop.public.{source}"), "partition": partition, "offset": offset, "tstype": "create",
                    "ts": ts_ms, "broker": 0, "key": json!({"id": id}).to_string(), "payload": value.to_string(),
                });
                log.push(line.to_string());
            };
            for id in 1..=ROWS {
                if id % 11 != 0 {
                    line(id, "c", "first", id);
                }
            }
            for id in 1..=ROWS {
                let note = format!("note {}", id % 100);
                if id % 7 == 0 {
                    line(id, "d", "first", id);
                    continue;
                }
                let told = if id % 11 == 0 {
                    "__debezium_unavailable_value"
                } else {
                    &note
                };
                line(id, "u", told, id * 3);
                rows[at].push_str(&format!("({id}, '{note}', {}),", id * 3));
            }
        }
        for (at, source) in ["t", "u"].iter().enumerate() {
            let rows = rows[at].trim_end_matches(',');
            self.pair.sql(
                Side::Primary,
                &format!("INSERT INTO {source} VALUES {rows};"),
            );
        }
        std::fs::write(self.pair.path("log.jsonl"), log.join("\n") + "\n").unwrap();
    }

    /// What no log says, so that there is something to do.
    fn spoil(&self) {
        self.pair.sql(
            Side::Read,
            "DELETE FROM copy WHERE id % 3 = 0; UPDATE copy SET n = -n WHERE id % 5 = 0; INSERT INTO copy SELECT 0 - id, 'x', 1 FROM copy WHERE id % 50 = 1 AND id > 0;\
             DELETE FROM by_note WHERE rows % 2 = 0; UPDATE by_note SET total = 0; INSERT INTO by_note SELECT 'no ' || note, 1, 1 FROM by_note WHERE note LIKE '%7' AND note NOT LIKE 'no%';",
        );
    }

    /// The tables to repair, each with the rows that it should have and those that it has.
    fn tables(&self) -> [(&'static str, Vec<String>, Vec<String>); 2] {
        let derived = "(SELECT t.note AS note, count(*) AS rows, CAST(sum(u.n) AS BIGINT) AS total FROM t JOIN u ON u.id = t.id GROUP BY t.note) AS q";
        [
            ("t", "copy", ["id", "note", "n"]),
            (derived, "by_note", ["note", "rows", "total"]),
        ]
        .map(|(primary, read, columns)| {
            let wanted = self.pair.dump(Side::Primary, primary, &columns);
            (read, wanted, self.pair.dump(Side::Read, read, &columns))
        })
    }

    /// Both tables are what the primary says.
    #[track_caller]
    fn is_right(&self, after: &str) {
        for (read, wanted, found) in self.tables() {
            let unequal = wanted.iter().zip(&found).find(|(a, b)| a != b);
            assert!(
                wanted == found,
                "{after}: {read} is wrong: {unequal:?}, {} rows of {}",
                found.len(),
                wanted.len()
            );
        }
    }
}

/// Nothing of a run is left but its records.
#[track_caller]
fn is_clean(pair: &Pair, after: &str) {
    let left = match pair.engine() {
        Engine::Sqlite => {
            "SELECT name FROM sqlite_schema WHERE name LIKE 'trueup%' AND name NOT IN ('trueup_meta', 'trueup_run', 'trueup_position', 'trueup_journal', 'trueup_load', 'trueup_quarantine', 'trueup_journal_unconfirmed')"
        }
        Engine::Postgres => {
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'trueup%' AND nspname <> 'trueup' AND nspname NOT LIKE 'trueup_old_%'"
        }
    };
    let left = pair.lines(Side::Read, left);
    assert!(left.is_empty(), "{after}: {left:?} is left");
}
