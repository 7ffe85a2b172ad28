//! The list of runs, and what is done about the tables that they left.

use std::time::Duration;

use serde_json::{Value, json};

use super::json::FORMAT;
use super::table::{grouped, table};

/// A run, as it is shown.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// `replay`, `reconcile` or `undo`.
    pub kind: String,
    /// `running`, `unfinished` (it died, and can be gone on with) …
    pub state: String,
    /// What it is doing, or was when it died.
    pub stage: Option<String>,
    /// The offsets that it has been brought to, added up.
    pub records: u64,
    /// The table that it wrote.
    pub table: String,
    /// When it began.
    pub started_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// The run that it takes back.
    pub reverts: Option<String>,
    /// Rows inserted, updated, deleted.
    pub written: [u64; 3],
    /// Repairs after which the primary was not read again.
    pub unconfirmed: u64,
    /// Repairs that a later run has taken back.
    pub undone: u64,
    /// Where its swap put the old table.
    pub old_table: Option<String>,
    /// When that table was dropped.
    pub old_dropped_at: Option<String>,
}

impl Run {
    fn old(&self) -> String {
        match (&self.old_table, &self.old_dropped_at) {
            (Some(_), Some(_)) => "dropped".to_owned(),
            (Some(old), None) => old.replace('"', ""),
            (None, _) => String::new(),
        }
    }
}

/// An old table that is dropped, or is to be.
#[derive(Clone, Debug)]
pub struct Old {
    /// The run whose swap put it aside.
    pub run: String,
    /// The table whose place it had.
    pub live: String,
    /// What it is called.
    pub table: String,
    /// How long ago it was swapped out.
    pub age: Duration,
    /// Its size in bytes.
    pub bytes: u64,
    /// Bytes that dropping it has freed; `None` when it is still there.
    pub freed: Option<u64>,
    /// Why it could not be dropped.
    pub in_the_way: Option<String>,
}

/// What `runs gc` does.
#[derive(Clone, Debug)]
pub struct Gc {
    /// The tables that are old enough.
    pub tables: Vec<Old>,
    /// How many are not.
    pub kept: usize,
    /// Whether nothing was dropped because nothing was to be.
    pub dry_run: bool,
}

impl Gc {
    /// What would be dropped.
    #[must_use]
    pub fn plan(&self) -> String {
        let row = |o: &Old| {
            let days = o.age.as_secs() / 86_400;
            let age = format!("{days} d {} h", o.age.as_secs() % 86_400 / 3_600);
            let size = indicatif::HumanBytes(o.bytes).to_string();
            vec![o.run.clone(), o.live.clone(), o.table.clone(), age, size]
        };
        let header = ["run", "table", "old table", "age", "size"];
        table(&header, self.tables.iter().map(row).collect()) + "\n"
    }

    /// What consent is asked for.
    #[must_use]
    pub fn act(&self) -> String {
        let bytes = self.tables.iter().map(|o| o.bytes).sum();
        format!(
            "this drops {} old tables ({}), and their runs cannot be rolled back any more",
            self.tables.len(),
            indicatif::HumanBytes(bytes)
        )
    }

    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        if self.dry_run && !self.tables.is_empty() {
            out.push_str(&self.plan());
        }
        for old in &self.tables {
            if let Some(freed) = old.freed {
                let freed = indicatif::HumanBytes(freed);
                out.push_str(&format!("{} dropped, {freed} freed\n", old.table));
            }
            if let Some(problem) = &old.in_the_way {
                out.push_str(&format!("{} stays: {problem}\n", old.table));
            }
        }
        if self.tables.is_empty() {
            out.push_str("no old table to drop\n");
        }
        if self.kept > 0 {
            out.push_str(&format!("{} younger ones stay\n", self.kept));
        }
        out
    }

    /// As one line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let one = |o: &Old| {
            json!({
                "run": o.run, "table": o.live, "old_table": o.table, "age_seconds": o.age.as_secs(), "bytes": o.bytes,
                "dropped": o.freed.is_some(), "freed_bytes": o.freed, "in_the_way": o.in_the_way,
            })
        };
        let tables: Vec<Value> = self.tables.iter().map(one).collect();
        json!({"format": FORMAT, "dry_run": self.dry_run, "old_tables": tables, "younger": self.kept}).to_string()
    }
}

/// As a table.
#[must_use]
pub fn text(runs: &[Run]) -> String {
    if runs.is_empty() {
        return "no runs yet\n".to_owned();
    }
    let row = |r: &Run| {
        let mut kind = r.kind.clone();
        if let Some(of) = &r.reverts {
            kind.push_str(&format!(" of {of}"));
        }
        let [inserted, updated, deleted] = r.written;
        let counts = [updated, inserted, deleted, r.unconfirmed, r.undone];
        let mut row = vec![
            r.id.clone(),
            kind,
            r.table.clone(),
            match &r.stage {
                Some(stage) => format!("{}, {stage}, {} records", r.state, grouped(r.records)),
                None => r.state.clone(),
            },
            r.started_at.clone(),
        ];
        row.extend(counts.map(grouped));
        row.push(r.old());
        row
    };
    let header = [
        "run",
        "kind",
        "table",
        "state",
        "started",
        "update",
        "insert",
        "delete",
        "unconfirmed",
        "undone",
        "old table",
    ];
    table(&header, runs.iter().map(row).collect()) + "\n"
}

/// As one line of JSON.
#[must_use]
pub fn json(runs: &[Run]) -> String {
    let runs: Vec<Value> = runs
        .iter()
        .map(|r| {
            let [inserted, updated, deleted] = r.written;
            json!({
                "id": r.id, "kind": r.kind, "state": r.state, "stage": r.stage, "records": r.records, "table": r.table, "started_at": r.started_at,
                "ended_at": r.ended_at, "reverts": r.reverts, "inserted": inserted, "updated": updated,
                "deleted": deleted, "unconfirmed": r.unconfirmed, "undone": r.undone,
                "old_table": r.old_table, "old_table_dropped_at": r.old_dropped_at,
            })
        })
        .collect();
    json!({"format": FORMAT, "runs": runs}).to_string()
}
