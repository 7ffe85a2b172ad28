//! Records as the connector writes them, and a system that replays them.

use serde_json::{Value, json};

use crate::support::counts::add_up;
use crate::support::embedded::{Embedded, line, usual_playbook};

/// A log of the usual table `t (id, a, b)`, record by record.
#[derive(Default)]
pub(super) struct Log {
    lines: String,
    next: [i64; 2],
}

impl Log {
    pub(super) fn put(
        mut self,
        partition: usize,
        key: Option<&Value>,
        value: Option<&Value>,
    ) -> Log {
        let number = i32::try_from(partition).unwrap();
        let offset = self.next[partition];
        let key = key.map_or_else(|| "null".to_owned(), Value::to_string);
        let value = value.map(Value::to_string);
        let mut line = line(number, offset, &key, value.as_deref());
        if key == "null" {
            line = line.replace(r#""key":"null""#, r#""key":null"#);
        }
        self.lines.push_str(&line);
        self.next[partition] += 1;
        self
    }

    /// A change of row `id`.
    pub(super) fn change(
        self,
        partition: usize,
        op: &str,
        lsn: u64,
        id: i64,
        a: &str,
        b: i64,
    ) -> Log {
        let key = json!({"id": id});
        self.put(
            partition,
            Some(&key),
            Some(&envelope(op, lsn, &row(id, a, b))),
        )
    }

    pub(super) fn tombstone(self, partition: usize, id: i64) -> Log {
        self.put(partition, Some(&json!({"id": id})), None)
    }

    pub(super) fn truncate(self, partition: usize, lsn: u64) -> Log {
        self.put(partition, None, Some(&envelope("t", lsn, &Value::Null)))
    }

    /// A system with this log, this primary and these lines under the source.
    pub(super) fn system(&self, primary: &str, source: &str) -> Embedded {
        let system = Embedded::usual();
        system.sql("primary.db", primary);
        system.log(&self.lines);
        system.playbook(&usual_playbook().replace("table: t }", &format!("table: t{source} }}")));
        system
    }
}

pub(super) fn row(id: i64, a: &str, b: i64) -> Value {
    json!({"id": id, "a": a, "b": b})
}

/// A change record; of a delete, `before` is invented as the connector does.
pub(super) fn envelope(op: &str, lsn: u64, row: &Value) -> Value {
    let (before, after) = match op {
        "d" => (json!({"id": row["id"], "a": "", "b": 0}), Value::Null),
        _ => (Value::Null, row.clone()),
    };
    json!({
        "before": before, "after": after, "op": op, "ts_ms": 1_700_000_000_000u64 + lsn, "transaction": null,
        "source": {"version": "3.3.1.Final", "connector": "postgresql", "name": "shop", "db": "shop", "schema": "main",
                   "table": "t", "snapshot": if op == "r" { json!("true") } else { Value::Null },
                   "sequence": format!("[\"{}\",\"{lsn}\"]", lsn - 1), "lsn": lsn, "ts_ms": 1_700_000_000_000u64 + lsn},
    })
}

/// Replays, and gives the report; the rows are those, and the counts are all of the records.
#[track_caller]
pub(super) fn replayed(system: &Embedded, rows: &[[&str; 3]]) -> Value {
    let done = system
        .trueup(&["replay", "big-bang", "{}", "--yes", "--format", "json"])
        .exit(0)
        .json();
    assert_eq!(
        system.rows("read.db", "SELECT * FROM copy ORDER BY id"),
        rows
    );
    add_up(&done["counts"]);
    done
}
