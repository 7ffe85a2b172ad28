//! What a reconciliation or an undo would do, and what it did.

use std::collections::BTreeMap;

use comfy_table::{Cell, Color};
use serde_json::{Value, json};

use super::explained::causes;
use super::json::{FORMAT, sample as sample_json};
use super::table::{Look, clip, grouped, table_of};
use super::verdict::Sample;
use crate::limits;
use crate::projection::cause::Cause;
use crate::projection::diff::Kind;

/// A plan, as it is shown.
#[derive(Clone, Debug)]
pub struct PlanReport {
    /// Run id.
    pub run: String,
    /// View.
    pub view: String,
    /// Its table.
    pub table: String,
    /// Keys compared.
    pub rows: u64,
    /// Missing rows to insert.
    pub inserts: u64,
    /// Changed rows to update.
    pub updates: u64,
    /// Extra rows to delete.
    pub deletes: u64,
    /// Keys that differed at first and agreed later.
    pub lagging: u64,
    /// Keys of which nothing can be said.
    pub unknown: u64,
    /// Keys to be repaired by cause, where the log was asked.
    pub causes: BTreeMap<Cause, u64>,
    /// Rows to update, by column.
    pub by_column: BTreeMap<String, u64>,
    /// The first of the differences, with the columns in which they differ.
    pub samples: Vec<Sample>,
    /// Why something could not be decided.
    pub reasons: Vec<String>,
    /// What the operator should know.
    pub notes: Vec<String>,
    /// Why it must not be applied.
    pub refusals: Vec<String>,
}

impl PlanReport {
    /// Rows it would write.
    #[must_use]
    pub fn repairs(&self) -> u64 {
        self.inserts + self.updates + self.deletes
    }

    /// As text.
    #[must_use]
    pub fn text(&self, look: Look) -> String {
        let mut out = String::new();
        for note in &self.notes {
            out.push_str(&format!("note: {note}\n"));
        }
        let nothing = if self.unknown > 0 {
            "nothing that is sure to be drift"
        } else {
            "nothing to repair"
        };
        let heading = match self.repairs() {
            0 => nothing.to_owned(),
            _ => format!("{} would be written", self.counts()),
        };
        out.push_str(&format!(
            "{}: {heading} in {} ({} rows compared)\n",
            self.view,
            self.table,
            grouped(self.rows)
        ));
        if self.lagging > 0 {
            out.push_str(&format!(
                "{} keys differed at first and agree now\n",
                grouped(self.lagging)
            ));
        }
        if self.unknown > 0 {
            out.push_str(&format!(
                "{} keys are left alone, since nothing can be said of them\n",
                grouped(self.unknown)
            ));
        }
        for reason in &self.reasons {
            out.push_str(&format!("{reason}\n"));
        }
        if !self.causes.is_empty() {
            let each = |(cause, n): (&Cause, &u64)| format!("{} {}", cause.word(), grouped(*n));
            let causes: Vec<String> = self.causes.iter().map(each).collect();
            out.push_str(&format!("rows by cause: {}\n", causes.join(", ")));
        }
        if !self.by_column.is_empty() {
            let columns = self
                .by_column
                .iter()
                .map(|(c, n)| format!("{c} {}", grouped(*n)));
            out.push_str(&format!(
                "rows to update by column: {}\n",
                columns.collect::<Vec<_>>().join(", ")
            ));
        }
        if !self.samples.is_empty() {
            out.push_str(&self.differences(look));
        }
        out
    }

    /// One line for each column that differs.
    fn differences(&self, look: Look) -> String {
        let mut rows = Vec::new();
        for sample in &self.samples {
            let mut first = Some((sample.key_text(), act(sample.kind)));
            for (column, expected, actual) in shown_columns(sample, look) {
                let (key, act) = first.take().unwrap_or_default();
                let mut row = vec![Cell::new(key), Cell::new(act), Cell::new(column)];
                if look.values {
                    let is = if sample.kind == Kind::Missing {
                        "–".to_owned()
                    } else {
                        value(actual)
                    };
                    let becomes = if sample.kind == Kind::Extra {
                        "–".to_owned()
                    } else {
                        value(expected)
                    };
                    row.push(look.paint(Cell::new(is), Color::Red));
                    row.push(look.paint(Cell::new(becomes), Color::Green));
                }
                rows.push(row);
            }
        }
        let all = ["key", "repair", "column", "is", "becomes"];
        let header = if look.values { &all[..] } else { &all[..3] };
        let mut out = table_of(header, rows) + "\n";
        let shown = self.samples.len() as u64;
        if self.repairs() > shown {
            out.push_str(&format!(
                "… and {} more; --show shows more of them, --out FILE writes all\n",
                grouped(self.repairs() - shown)
            ));
        }
        out
    }

    /// `200 rows (100 update, 50 insert, 50 delete)`.
    #[must_use]
    pub fn counts(&self) -> String {
        counts(self.inserts, self.updates, self.deletes)
    }

    /// What consent is asked for.
    #[must_use]
    pub fn act(&self) -> String {
        format!("write {} in {}", self.counts(), self.table)
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self, show_values: bool) -> Value {
        json!({
            "view": self.view, "table": self.table, "rows_checked": self.rows,
            "missing": self.inserts, "changed": self.updates, "extra": self.deletes,
            "lagging": self.lagging, "unknown": self.unknown, "reasons": self.reasons, "causes": causes(&self.causes),
            "columns": self.by_column, "notes": self.notes, "refusals": self.refusals,
            "samples": self.samples.iter().map(|s| sample_json(s, show_values)).collect::<Vec<_>>(),
        })
    }
}

/// The plans of a playbook as one line.
#[must_use]
pub fn plans_json(playbook: &str, plans: &[PlanReport], show_values: bool) -> String {
    let views: Vec<Value> = plans.iter().map(|p| p.json(show_values)).collect();
    json!({"format": FORMAT, "plan": "reconcile", "playbook": playbook, "views": views}).to_string()
}

fn act(kind: Kind) -> String {
    match kind {
        Kind::Missing => "insert",
        Kind::Changed => "update",
        Kind::Extra => "delete",
    }
    .to_owned()
}

/// The lines of a difference; a row that comes or goes is one line when its values may not be shown.
fn shown_columns(sample: &Sample, look: Look) -> Vec<(&str, &Option<String>, &Option<String>)> {
    const NONE: &Option<String> = &None;
    if sample.kind != Kind::Changed && (!look.values || sample.columns.is_empty()) {
        return vec![("", NONE, NONE)];
    }
    let columns = sample.columns.iter();
    columns
        .map(|(name, expected, actual)| (name.as_str(), expected, actual))
        .collect()
}

fn value(text: &Option<String>) -> String {
    match text {
        None => "NULL".to_owned(),
        Some(text) if text.is_empty() => "''".to_owned(),
        Some(text) => clip(text),
    }
}

fn counts(inserts: u64, updates: u64, deletes: u64) -> String {
    let total = inserts + updates + deletes;
    let parts = [
        (updates, "update"),
        (inserts, "insert"),
        (deletes, "delete"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{} {what}", grouped(n)))
        .collect();
    let rows = if total == 1 { "row" } else { "rows" };
    match parts.len() {
        0 => "no rows".to_owned(),
        _ => format!("{} {rows} ({})", grouped(total), parts.join(", ")),
    }
}

/// What an undo would do, as it is shown.
#[derive(Clone, Debug)]
pub struct UndoReport {
    /// Run id.
    pub run: String,
    /// The run taken back.
    pub of: String,
    /// What that was.
    pub kind: String,
    /// When it began.
    pub started_at: String,
    /// Its table.
    pub table: String,
    /// Rows to insert again.
    pub inserts: u64,
    /// Rows to change back.
    pub updates: u64,
    /// Rows to delete again.
    pub deletes: u64,
    /// Repairs taken back before.
    pub undone: u64,
}

impl UndoReport {
    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        let before = match self.undone {
            0 => String::new(),
            n => format!("; {} were taken back before", grouped(n)),
        };
        format!(
            "undo of run {} ({} of {}): {} would be written in {}, each only while it is as that run left it{before}\n",
            self.of,
            self.kind,
            self.started_at,
            self.counts(),
            self.table
        )
    }

    fn counts(&self) -> String {
        counts(self.inserts, self.updates, self.deletes)
    }

    /// What consent is asked for.
    #[must_use]
    pub fn act(&self) -> String {
        format!(
            "this writes {} in {}, as they were before run {}",
            self.counts(),
            self.table,
            self.of
        )
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> String {
        json!({
            "format": FORMAT, "plan": "undo", "run": self.run, "of": self.of, "table": self.table,
            "inserts": self.inserts, "updates": self.updates, "deletes": self.deletes, "undone_before": self.undone,
        })
        .to_string()
    }
}

/// What a reconciliation or an undo did, as it is shown.
#[derive(Clone, Debug)]
pub struct DoneReport {
    /// `reconcile` or `undo`.
    pub act: &'static str,
    /// Run id.
    pub run: String,
    /// View, when it was one's.
    pub view: Option<String>,
    /// Table.
    pub table: String,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows updated.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// Keys that were left alone, because they were not as planned any more.
    pub moved_on: Vec<String>,
    /// Keys that the database did not take, and why.
    pub blocked: Vec<(String, String)>,
    /// What happened besides.
    pub besides: Besides,
}

/// What only a reconciliation has to tell.
#[derive(Clone, Debug, Default)]
pub struct Besides {
    /// Keys that needed no repair any more.
    pub healed: u64,
    /// Writes that the primary had overtaken by the time it was read again.
    pub superseded: u64,
    /// Repairs of earlier runs that died, confirmed by this one.
    pub confirmed: u64,
    /// Keys that the plan could not decide.
    pub unknown: u64,
}

impl DoneReport {
    /// As text; `undo` is the command that takes it back.
    #[must_use]
    pub fn text(&self, undo: &str) -> String {
        let written = self.inserted + self.updated + self.deleted;
        let back = if self.act == "undo" { " back" } else { "" };
        let mut out = format!(
            "run {}: {} written{back} in {}\n",
            self.run,
            counts(self.inserted, self.updated, self.deleted),
            self.table
        );
        let mut line = |n: usize, what: &str, keys: &mut dyn Iterator<Item = String>| {
            if n > 0 {
                let shown: Vec<String> = keys.take(limits::KEYS_SHOWN_MAX).collect();
                let more = if n > shown.len() { "; …" } else { "" };
                out.push_str(&format!(
                    "{} {what}: {}{more}\n",
                    grouped(n as u64),
                    shown.join("; ")
                ));
            }
        };
        line(
            self.moved_on.len(),
            "keys were not as planned any more and were left alone",
            &mut self.moved_on.iter().cloned(),
        );
        line(
            self.blocked.len(),
            "keys were not taken by the database",
            &mut self
                .blocked
                .iter()
                .map(|(key, why)| format!("{key} ({why})")),
        );
        let Besides {
            healed,
            superseded,
            confirmed,
            unknown,
        } = self.besides;
        for (n, what) in [
            (healed, "keys agreed by themselves in the meantime"),
            (
                superseded,
                "keys moved in the primary while they were written, and were looked at again",
            ),
            (confirmed, "repairs of a run that died are confirmed"),
            (unknown, "keys could not be decided"),
        ] {
            if n > 0 {
                out.push_str(&format!("{} {what}\n", grouped(n)));
            }
        }
        if written > 0 {
            out.push_str(&format!("to take it back: {undo}\n"));
        }
        out
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let blocked: Vec<Value> = self
            .blocked
            .iter()
            .map(|(key, why)| json!({"key": key, "why": why}))
            .collect();
        json!({
            "format": FORMAT, "done": self.act, "run": self.run, "view": self.view, "table": self.table,
            "inserted": self.inserted, "updated": self.updated, "deleted": self.deleted, "healed": self.besides.healed,
            "moved_on": self.moved_on, "blocked": blocked, "superseded": self.besides.superseded,
            "confirmed_earlier": self.besides.confirmed, "unknown": self.besides.unknown,
        })
        .to_string()
    }
}
