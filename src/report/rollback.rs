//! What a rollback says: its plan, and what it did.

use std::time::Duration;

use indicatif::HumanDuration;
use serde_json::{Value, json};

use super::json::FORMAT;
use super::replay::{DoneView, ended_at};
use super::table::{grouped, table};

/// A table that comes back.
#[derive(Clone, Debug)]
pub struct PlanTable {
    /// View.
    pub view: String,
    /// Its table.
    pub table: String,
    /// The run that brings it back.
    pub run: String,
    /// The run that put it aside.
    pub of: String,
    /// Where it is kept.
    pub old: String,
    /// How long since.
    pub age: Duration,
}

/// Records that an old table does not hold.
#[derive(Clone, Debug)]
pub struct Lacking {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// The first of them.
    pub from: i64,
    /// The first that the projector has still to apply.
    pub to: i64,
}

/// A plan, as it is shown.
#[derive(Clone, Debug)]
pub struct PlanReport {
    /// Run id.
    pub run: String,
    /// The run that is taken back.
    pub of: String,
    /// What comes back.
    pub tables: Vec<PlanTable>,
    /// What the old tables lack.
    pub lacking: Vec<Lacking>,
    /// Whether they come back without it.
    pub stale: bool,
    /// What the operator should know.
    pub notes: Vec<String>,
    /// Why it must not run.
    pub refusals: Vec<String>,
}

impl PlanReport {
    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("rollback of run {} (run {})\n", self.of, self.run);
        for t in &self.tables {
            out.push_str(&format!(
                "  brings  {} back from {}, where it has been for {}\n",
                t.table,
                t.old,
                HumanDuration(t.age)
            ));
        }
        let caught_up = if self.stale {
            "as it was, without the records below"
        } else {
            "caught up with the records below"
        };
        out.push_str(&format!(
            "  then    swaps it in, {caught_up}; the table that is live now is kept in its turn\n"
        ));
        if self.lacking.iter().any(|l| l.to > l.from) {
            let row = |l: &Lacking| {
                vec![
                    l.topic.clone(),
                    l.partition.to_string(),
                    l.from.to_string(),
                    l.to.to_string(),
                    grouped(u64::try_from(l.to - l.from).unwrap_or(0)),
                ]
            };
            out.push_str(&table(
                &[
                    "topic",
                    "partition",
                    "from",
                    "to",
                    if self.stale {
                        "records lost"
                    } else {
                        "records"
                    },
                ],
                self.lacking.iter().map(row).collect(),
            ));
            out.push('\n');
        }
        for note in &self.notes {
            out.push_str(&format!("note: {note}\n"));
        }
        out
    }

    /// What consent is asked for.
    #[must_use]
    pub fn act(&self) -> String {
        let tables: Vec<&str> = self.tables.iter().map(|t| t.table.as_str()).collect();
        format!(
            "this replaces {} by what run {} put aside",
            tables.join(", "),
            self.of
        )
    }

    fn value(&self) -> Value {
        let tables = self.tables.iter().map(|t| {
            json!({
                "view": t.view, "table": t.table, "run": t.run, "reverts": t.of, "old_table": t.old,
                "age_seconds": t.age.as_secs(),
            })
        });
        let lacking = self.lacking.iter().map(
            |l| json!({"topic": l.topic, "partition": l.partition, "from": l.from, "to": l.to}),
        );
        json!({
            "format": FORMAT, "plan": "rollback", "run": self.run, "reverts": self.of, "stale": self.stale,
            "tables": tables.collect::<Vec<Value>>(), "lacking": lacking.collect::<Vec<Value>>(),
            "notes": self.notes, "refusals": self.refusals,
        })
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> String {
        self.value().to_string()
    }
}

/// What a rollback did, as it is shown.
#[derive(Clone, Debug)]
pub struct DoneReport {
    /// What it set out to do.
    pub plan: PlanReport,
    /// What became of each table.
    pub views: Vec<DoneView>,
    /// Rows of the old tables that were brought up to date.
    pub written: u64,
    /// Topic, partition, next offset.
    pub next: Vec<(String, i32, i64)>,
    /// How long the projector was paused, in milliseconds.
    pub paused_ms: Option<u64>,
}

impl DoneReport {
    /// As text. `again` is the command that takes this back.
    #[must_use]
    pub fn text(&self, again: &str) -> String {
        let mut out = format!(
            "run {}: run {} taken back, {} rows brought up to date first\n",
            self.plan.run,
            self.plan.of,
            grouped(self.written)
        );
        for view in &self.views {
            out.push_str(&view.text());
        }
        out.push_str(&ended_at(self.paused_ms, &self.next));
        if self.plan.stale {
            out.push_str(
                "the projector does not bring what it lacks: `trueup reconcile` or a replay does\n",
            );
        }
        out.push_str(&format!("to take this back: {again}\n"));
        out
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let next = self
            .next
            .iter()
            .map(|(t, p, o)| json!({"topic": t, "partition": p, "next_offset": o}));
        json!({
            "format": FORMAT, "rollback": self.plan.of, "run": self.plan.run, "stale": self.plan.stale,
            "views": self.views.iter().map(DoneView::json).collect::<Vec<Value>>(),
            "rows_written": self.written, "paused_ms": self.paused_ms, "positions": next.collect::<Vec<Value>>(),
            "lacking": self.plan.value()["lacking"],
        })
        .to_string()
    }
}
