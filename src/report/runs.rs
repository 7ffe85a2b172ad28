//! The list of runs.

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
    /// `running` …
    pub state: String,
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
            r.state.clone(),
            r.started_at.clone(),
        ];
        row.extend(counts.map(grouped));
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
                "id": r.id, "kind": r.kind, "state": r.state, "table": r.table, "started_at": r.started_at,
                "ended_at": r.ended_at, "reverts": r.reverts, "inserted": inserted, "updated": updated,
                "deleted": deleted, "unconfirmed": r.unconfirmed, "undone": r.undone,
            })
        })
        .collect();
    json!({"format": FORMAT, "runs": runs}).to_string()
}
