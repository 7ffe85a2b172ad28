//! The snapshots of a playbook: all of them in a list, one of them in full, and those that a prune removes.

use serde_json::{Map, Value, json};

use super::json::FORMAT;
use super::table::{grouped, table};

/// A snapshot, as it is shown.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Its id.
    pub id: String,
    /// What is wrong with it; all that follows is empty then.
    pub problem: Option<String>,
    /// When it was made.
    pub created_at: Option<String>,
    /// Up to where it has the log.
    pub cut: Vec<Cut>,
    /// Its tables.
    pub tables: Vec<Table>,
    /// When it was proven right.
    pub verified_at: Option<String>,
    /// The snapshot that it goes on from.
    pub parent: Option<String>,
    /// Hash of everything that its rows depend on.
    pub projection: String,
}

/// Up to where a snapshot has one partition.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The first offset that it has not.
    pub next_offset: i64,
    /// When the last record before that was written.
    pub time: Option<String>,
}

/// A table of a snapshot.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// `copy`, `source` or `query`.
    pub kind: &'static str,
    /// Its rows.
    pub rows: u64,
    /// Its keys that are gone.
    pub gone: u64,
    /// Its size.
    pub bytes: u64,
    /// Its columns with their types, those of the key marked.
    pub columns: Vec<(String, String, bool)>,
    /// Its files.
    pub files: Vec<String>,
}

impl Snapshot {
    fn rows(&self) -> u64 {
        self.tables.iter().map(|t| t.rows).sum()
    }

    fn bytes(&self) -> u64 {
        self.tables.iter().map(|t| t.bytes).sum()
    }

    /// `6 partitions to 2026-11-24 12:00:00+00`.
    fn cut(&self) -> String {
        let many = if self.cut.len() == 1 { "" } else { "s" };
        let newest = self.cut.iter().filter_map(|c| c.time.as_deref()).max();
        let until = newest.map_or_else(String::new, |time| format!(" to {time}"));
        format!("{} partition{many}{until}", self.cut.len())
    }

    fn line(&self) -> Vec<String> {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
        if let Some(problem) = &self.problem {
            return vec![self.id.clone(), problem.clone()];
        }
        vec![
            self.id.clone(),
            or_none(&self.created_at),
            self.cut(),
            grouped(self.rows()),
            size(self.bytes()),
            or_none(&self.verified_at),
            or_none(&self.parent),
        ]
    }

    fn value(&self) -> Value {
        let mut cut: Map<String, Value> = Map::new();
        for one in &self.cut {
            let topic = cut.entry(&one.topic).or_insert_with(|| json!({}));
            topic[one.partition.to_string()] =
                json!({"next_offset": one.next_offset, "time": one.time});
        }
        let table = |t: &Table| {
            let column = |(name, kind, key): &(String, String, bool)| json!({"column": name, "type": kind, "key": key});
            json!({
                "table": t.name, "kind": t.kind, "rows": t.rows, "gone": t.gone, "bytes": t.bytes, "files": t.files,
                "columns": t.columns.iter().map(column).collect::<Vec<_>>(),
            })
        };
        json!({
            "id": self.id, "problem": self.problem, "created_at": self.created_at, "rows": self.rows(),
            "bytes": self.bytes(), "verified_at": self.verified_at, "parent": self.parent,
            "projection": self.projection, "cut": cut, "tables": self.tables.iter().map(table).collect::<Vec<_>>(),
        })
    }
}

fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

const HEADER: [&str; 7] = [
    "snapshot",
    "created",
    "cut",
    "rows",
    "size",
    "known good",
    "parent",
];

/// The list as a table, then what is wrong with those that are not in it.
#[must_use]
pub fn list(snapshots: &[Snapshot]) -> String {
    if snapshots.is_empty() {
        return "no snapshots yet\n".to_owned();
    }
    let (bad, good): (Vec<_>, Vec<_>) = snapshots.iter().partition(|s| s.problem.is_some());
    let mut out = String::new();
    if !good.is_empty() {
        out = table(&HEADER, good.into_iter().map(Snapshot::line).collect()) + "\n";
    }
    for snapshot in bad {
        out.push_str(&format!(
            "{}\n",
            snapshot.problem.as_deref().unwrap_or_default()
        ));
    }
    out
}

/// The list as one line of JSON.
#[must_use]
pub fn list_json(snapshots: &[Snapshot]) -> String {
    let snapshots: Vec<Value> = snapshots.iter().map(Snapshot::value).collect();
    json!({"format": FORMAT, "snapshots": snapshots}).to_string()
}

/// One snapshot in full.
#[must_use]
pub fn show(snapshot: &Snapshot) -> String {
    if let Some(problem) = &snapshot.problem {
        return format!("{problem}\n");
    }
    let mut out = table(&HEADER, vec![snapshot.line()]) + "\n";
    let line = |t: &Table| {
        let column = |(name, kind, key): &(String, String, bool)| {
            format!("{name} {kind}{}", if *key { " key" } else { "" })
        };
        vec![
            t.name.clone(),
            t.kind.to_owned(),
            grouped(t.rows),
            grouped(t.gone),
            size(t.bytes),
            t.columns.iter().map(column).collect::<Vec<_>>().join(", "),
        ]
    };
    let header = ["table", "kind", "rows", "gone", "size", "columns"];
    out.push_str(&(table(&header, snapshot.tables.iter().map(line).collect()) + "\n"));
    let line = |c: &Cut| {
        let time = c.time.clone().unwrap_or_else(|| "–".to_owned());
        vec![
            c.topic.clone(),
            c.partition.to_string(),
            c.next_offset.to_string(),
            time,
        ]
    };
    let header = ["topic", "partition", "next offset", "last record"];
    out.push_str(&(table(&header, snapshot.cut.iter().map(line).collect()) + "\n"));
    out.push_str("every file is as it was written\n");
    out
}

/// One snapshot in full, as JSON.
pub(super) fn value(snapshot: &Snapshot) -> Value {
    snapshot.value()
}

/// One snapshot in full, as one line of JSON.
#[must_use]
pub fn show_json(snapshot: &Snapshot) -> String {
    json!({"format": FORMAT, "snapshot": snapshot.value()}).to_string()
}

/// What a prune keeps and removes.
#[derive(Clone, Debug, Default)]
pub struct Prune {
    /// Those that stay.
    pub kept: Vec<Snapshot>,
    /// Those that go.
    pub removed: Vec<Snapshot>,
}

impl Prune {
    /// What is asked about: `remove 3 snapshots (1.2 GiB) of shop, and keep 2`.
    #[must_use]
    pub fn act(&self, playbook: &str) -> String {
        let many = if self.removed.len() == 1 { "" } else { "s" };
        let bytes = size(self.removed.iter().map(Snapshot::bytes).sum());
        let (gone, kept) = (self.removed.len(), self.kept.len());
        format!("remove {gone} snapshot{many} ({bytes}) of {playbook}, and keep {kept}")
    }

    /// As a table.
    #[must_use]
    pub fn text(&self, is_done: bool) -> String {
        let line = |what: &str, snapshot: &Snapshot| {
            let mut line = vec![what.to_owned()];
            line.extend(snapshot.line());
            line
        };
        let removed = self.removed.iter().map(|s| {
            line(
                if is_done {
                    "removed"
                } else {
                    "would be removed"
                },
                s,
            )
        });
        let kept = self.kept.iter().map(|s| line("kept", s));
        let rows: Vec<_> = removed.chain(kept).collect();
        if rows.is_empty() {
            return "no snapshots yet\n".to_owned();
        }
        let header: Vec<&str> = std::iter::once("").chain(HEADER).collect();
        table(&header, rows) + "\n"
    }

    /// As one line of JSON.
    #[must_use]
    pub fn json(&self, is_done: bool) -> String {
        let values = |all: &[Snapshot]| all.iter().map(Snapshot::value).collect::<Vec<_>>();
        let (removed, kept) = (values(&self.removed), values(&self.kept));
        json!({"format": FORMAT, "done": is_done, "removed": removed, "kept": kept}).to_string()
    }
}
