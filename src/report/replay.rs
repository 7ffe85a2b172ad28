//! What a replay says: its plan, and what it did.

use std::time::Duration;

use serde_json::{Value, json};

use super::json::FORMAT;
use super::table::{counts, grouped, table};
use crate::limits;
use crate::projection::counts::Counts;

/// A view that is rebuilt.
#[derive(Clone, Debug)]
pub struct PlanView {
    /// View.
    pub view: String,
    /// Its table.
    pub table: String,
    /// The live table's rows, about, when known.
    pub rows: Option<u64>,
    /// The live table's size in bytes.
    pub bytes: u64,
}

/// A table that is loaded from a topic.
#[derive(Clone, Debug)]
pub struct PlanLoad {
    /// The view, or the source that is staged.
    pub into: String,
    /// Whether it is a source, staged for queries.
    pub staged: bool,
    /// Topic.
    pub topic: String,
    /// Partition, first offset, end, end of the log.
    pub extents: Vec<(i32, i64, i64, i64)>,
    /// The order chosen.
    pub order: String,
}

impl PlanLoad {
    fn records(&self) -> u64 {
        let records = |(_, start, end, _): &(i32, i64, i64, i64)| u64::try_from(end - start);
        self.extents.iter().map(|e| records(e).unwrap_or(0)).sum()
    }

    fn json(&self) -> Value {
        let extents = self.extents.iter().map(|(p, start, end, log_end)| {
            json!({"partition": p, "from": start, "to": end, "log_end": log_end})
        });
        json!({
            "into": self.into, "staged": self.staged, "topic": self.topic, "records": self.records(),
            "partitions": extents.collect::<Vec<Value>>(), "order": self.order,
        })
    }
}

/// A plan, as it is shown.
#[derive(Clone, Debug)]
pub struct PlanReport {
    /// `big-bang` or `partial`.
    pub strategy: &'static str,
    /// Run id.
    pub run: String,
    /// What is rebuilt.
    pub views: Vec<PlanView>,
    /// What is read for it.
    pub loads: Vec<PlanLoad>,
    /// Views that are derived from staged sources, each with how it is brought up to date while the log moves on.
    pub derives: Vec<(String, String)>,
    /// Whether rows are written into the live tables, and no shadow is built.
    pub in_place: bool,
    /// Whether the shadows take the tables' places at the end.
    pub swaps: bool,
    /// Whether they are compared with the primary before.
    pub checks: bool,
    /// What the operator should know.
    pub notes: Vec<String>,
    /// Why it must not run; said by the error that follows.
    pub refusals: Vec<String>,
}

impl PlanReport {
    /// The plan as text.
    #[must_use]
    pub fn text(&self) -> String {
        let views: Vec<&str> = self.views.iter().map(|v| v.view.as_str()).collect();
        let mut out = format!(
            "{}{} of {} {} (run {})\n",
            self.strategy,
            if self.strategy == "snapshot" {
                ""
            } else {
                " replay"
            },
            if views.len() == 1 { "view" } else { "views" },
            views.join(", "),
            self.run
        );
        for load in &self.loads {
            let what = if load.staged {
                format!(" into source {}", load.into)
            } else if self.views.len() > 1 {
                format!(" into {}", load.into)
            } else {
                String::new()
            };
            out.push_str(&format!(
                "  reads   {} up to {} records{what}, in the order of {}\n",
                load.topic,
                grouped(load.records()),
                load.order
            ));
        }
        for view in self.views.iter().filter(|_| !self.in_place) {
            let rows = view.rows.map_or_else(
                || "an unknown number of".to_owned(),
                |r| format!("about {}", grouped(r)),
            );
            let disk = if view.bytes > 0 {
                ", so that much disk again"
            } else {
                ""
            };
            out.push_str(&format!(
                "  builds  a shadow of {} ({rows} rows, {} live){disk}\n",
                view.table,
                indicatif::HumanBytes(view.bytes)
            ));
        }
        for (view, how) in &self.derives {
            out.push_str(&format!("  derives {view}; caught up {how}\n"));
        }
        out.push_str(&format!("  then    {}\n", self.then()));
        // One topic may be read for several tables.
        let new = |(at, load): &(usize, &PlanLoad)| {
            let before = &self.loads[..*at];
            !before.iter().any(|b| b.topic == load.topic)
        };
        let topics = self.loads.iter().enumerate().filter(new);
        let extents = topics.flat_map(|(_, load)| {
            load.extents.iter().map(|(p, start, end, log_end)| {
                vec![
                    load.topic.clone(),
                    p.to_string(),
                    start.to_string(),
                    end.to_string(),
                    log_end.to_string(),
                ]
            })
        });
        out.push_str(&table(
            &["topic", "partition", "from", "to", "log ends"],
            extents.collect(),
        ));
        out.push('\n');
        for note in &self.notes {
            out.push_str(&format!("note: {note}\n"));
        }
        out
    }

    /// The plan of a snapshot: the same up to what is done with it.
    #[must_use]
    pub fn of_snapshot(mut self) -> PlanReport {
        self.strategy = "snapshot";
        self
    }

    fn then(&self) -> String {
        if self.strategy == "snapshot" {
            return "folds them in a staging area, and writes a snapshot".to_owned();
        }
        if self.in_place {
            return format!(
                "folds them to each key's final row, and writes what differs into {}, fenced and journalled",
                self.tables()
            );
        }
        let (it, place) = if self.views.len() == 1 {
            ("it", "the live table")
        } else {
            ("them", "the live tables")
        };
        let check = if self.checks {
            format!("compares {it} with the primary, ")
        } else {
            String::new()
        };
        if self.swaps {
            let all = if self.views.len() == 1 {
                " in"
            } else {
                " in, all in one transaction"
            };
            let serves = if self.views.len() == 1 { "s" } else { "" };
            format!("{check}swaps {it}{all}; {place} serve{serves} until then")
        } else {
            format!("{check}leaves {it} beside {place}")
        }
    }

    fn tables(&self) -> String {
        let tables: Vec<&str> = self.views.iter().map(|v| v.table.as_str()).collect();
        tables.join(", ")
    }

    /// What consent is asked for.
    #[must_use]
    pub fn act(&self) -> String {
        if self.in_place {
            format!(
                "this writes what these records say of their keys into {}",
                self.tables()
            )
        } else if self.swaps {
            format!("this replaces {} by what the log says", self.tables())
        } else {
            format!("this builds a table beside {}", self.tables())
        }
    }

    /// The plan as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let views = self
            .views
            .iter()
            .map(|v| json!({"view": v.view, "table": v.table, "rows": v.rows, "bytes": v.bytes}));
        json!({
            "format": FORMAT, "plan": self.strategy, "run": self.run, "views": views.collect::<Vec<Value>>(),
            "loads": self.loads.iter().map(PlanLoad::json).collect::<Vec<Value>>(),
            "derives": self.derives.iter().map(|(v, how)| json!({"view": v, "caught_up": how})).collect::<Vec<Value>>(),
            "in_place": self.in_place, "swaps": self.swaps, "checks": self.checks, "notes": self.notes, "refusals": self.refusals,
        })
        .to_string()
    }
}

/// A replay that was refused while it ran, as JSON.
#[must_use]
pub fn refused_json(
    strategy: &str,
    run: &str,
    reasons: &[String],
    (broken, keys): (u64, &[String]),
) -> String {
    json!({
        "format": FORMAT, "replay": strategy, "run": run, "refused": reasons, "broken": broken, "broken_keys": keys,
    })
    .to_string()
}

/// What a replay did, as it is shown.
#[derive(Clone, Debug)]
pub struct DoneReport {
    /// `big-bang` or `partial`.
    pub strategy: &'static str,
    /// Run id.
    pub run: String,
    /// What became of each view.
    pub views: Vec<DoneView>,
    /// What became of the records.
    pub counts: Counts,
    /// Views that were brought up to date, each with how that was done.
    pub caught_up: Vec<(String, String)>,
    /// Keys taken from the primary, because the log did not hold their row whole.
    pub settled: Vec<String>,
    /// Keys whose row is as it was before a record that was set aside.
    pub holes: Vec<String>,
    /// Topic, partition, next offset.
    pub next: Vec<(String, i32, i64)>,
    /// Rows compared with the primary.
    pub checked: Option<u64>,
    /// Keys that still differ from it.
    pub differing: u64,
    /// Of these, those that were right before: how many, and some of them.
    pub broken: (u64, Vec<String>),
    /// Keys that changed in the primary all the while, or that the projector has still to come to: nothing can be said of them.
    pub underway: u64,
    /// How long the projector was paused, in milliseconds.
    pub paused_ms: Option<u64>,
    /// What it did, each with the time that it took.
    pub stages: Vec<(String, Duration)>,
}

/// What became of a view.
#[derive(Clone, Debug)]
pub struct DoneView {
    /// View.
    pub view: String,
    /// Its table.
    pub table: String,
    /// The run that its table's history knows it by.
    pub run: String,
    /// Where the old table is kept.
    pub old: Option<String>,
    /// How long the table was locked for the swap, in milliseconds, and the tries that took.
    pub swapped: Option<(u64, u32)>,
    /// The shadow's name, when it was left.
    pub kept: Option<String>,
    /// What the swap could not help.
    pub warnings: Vec<String>,
}

impl DoneView {
    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        if let Some((locked_ms, attempts)) = self.swapped {
            out.push_str(&format!(
                "{} swapped in {locked_ms} ms, attempt {attempts}",
                self.table
            ));
            match &self.old {
                Some(old) => out.push_str(&format!("; the old table is kept as {old}\n")),
                None => out.push_str("; its contents were exchanged in one transaction\n"),
            }
        }
        for warning in &self.warnings {
            out.push_str(&format!("warning: {warning}\n"));
        }
        if let Some(kept) = &self.kept {
            out.push_str(&format!(
                "the table was built as {kept}; {} is as it was\n",
                self.table
            ));
        }
        out
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "view": self.view, "table": self.table, "run": self.run, "old_table": self.old, "kept": self.kept,
            "swap_locked_ms": self.swapped.map(|(ms, _)| ms), "warnings": self.warnings,
        })
    }
}

/// How long the projector stood still, and what of the log the tables hold now.
pub(super) fn ended_at(paused_ms: Option<u64>, next: &[(String, i32, i64)]) -> String {
    let mut out = String::new();
    if let Some(ms) = paused_ms {
        out.push_str(&format!(
            "the projector was paused for {} ms\n",
            grouped(ms)
        ));
    }
    for (topic, partition, offset) in next {
        out.push_str(&format!(
            "it holds the log up to {topic}:{partition}:{offset}\n"
        ));
    }
    out
}

impl DoneReport {
    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("run {}: {}\n", self.run, counts(&self.counts));
        if !self.settled.is_empty() {
            let shown: Vec<&str> = self
                .settled
                .iter()
                .take(limits::KEYS_SHOWN_MAX)
                .map(String::as_str)
                .collect();
            out.push_str(&format!(
                "{} keys were not whole in the log and come from the primary: {}\n",
                grouped(self.settled.len() as u64),
                shown.join("; ")
            ));
        }
        if !self.holes.is_empty() {
            let shown = self.holes.iter().take(limits::KEYS_SHOWN_MAX);
            let shown: Vec<&str> = shown.map(String::as_str).collect();
            out.push_str(&format!(
                "{} keys are as they were before a record that was set aside: {}; `trueup quarantine list` shows why\n",
                grouped(self.holes.len() as u64),
                shown.join("; ")
            ));
        }
        for (view, how) in &self.caught_up {
            out.push_str(&format!("{view} was caught up: {how}\n"));
        }
        match (self.checked, self.differing) {
            (None, _) => out.push_str("not compared with the primary\n"),
            (Some(rows), 0) => out.push_str(&format!(
                "{} rows equal the primary\n",
                grouped(rows.saturating_sub(self.underway))
            )),
            (Some(rows), n) => out.push_str(&format!(
                "{} of {} rows differ from the primary, {}; the log does not hold what the primary holds: reconcile repairs them\n",
                grouped(n), grouped(rows), self.newly()
            )),
        }
        if self.underway > 0 {
            out.push_str(&format!(
                "{} keys were not decided: they changed all the while, or the projector has still to come to them; verify looks at them again\n",
                grouped(self.underway)
            ));
        }
        for view in &self.views {
            out.push_str(&view.text());
        }
        out.push_str(&ended_at(self.paused_ms, &self.next));
        out
    }

    /// Which of the rows that differ did not before.
    fn newly(&self) -> String {
        match &self.broken {
            (0, _) => "none of them newly".to_owned(),
            (n, keys) => format!("{} of them newly ({})", grouped(*n), keys.join("; ")),
        }
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let next: Vec<Value> = self
            .next
            .iter()
            .map(|(t, p, o)| json!({"topic": t, "partition": p, "next_offset": o}))
            .collect();
        let ignored: serde_json::Map<String, Value> = self
            .counts
            .ignored
            .iter()
            .map(|(kind, n)| (kind.word().to_owned(), json!(n)))
            .collect();
        let c = &self.counts;
        json!({
            "format": FORMAT, "replay": self.strategy, "run": self.run,
            "views": self.views.iter().map(DoneView::json).collect::<Vec<Value>>(),
            "counts": {
                "read": c.read, "put": c.put, "deleted": c.deleted, "truncated": c.truncated, "stale": c.stale,
                "duplicate": c.duplicate, "ignored": ignored, "quarantined": c.quarantined, "blocked": c.blocked,
            },
            "settled": self.settled, "holes": self.holes, "rows_checked": self.checked, "differing": self.differing,
            "broken": self.broken.0, "broken_keys": self.broken.1,
            "underway": self.underway, "paused_ms": self.paused_ms,
            "stages": self.stages.iter().map(|(stage, took)| json!({"stage": stage, "seconds": took.as_secs_f64()})).collect::<Vec<Value>>(),
            "caught_up": self.caught_up.iter().map(|(v, how)| json!({"view": v, "how": how})).collect::<Vec<Value>>(),
            "positions": next,
        })
        .to_string()
    }
}
