//! What a replay says: its plan, and what it did.

use serde_json::{Value, json};

use super::json::FORMAT;
use super::table::{counts, grouped, table};
use crate::limits;
use crate::projection::counts::Counts;

/// A plan, as it is shown.
#[derive(Clone, Debug)]
pub struct PlanReport {
    /// Run id.
    pub run: String,
    /// View.
    pub view: String,
    /// Its table.
    pub table: String,
    /// The live table's rows, about, when known.
    pub table_rows: Option<u64>,
    /// The live table's size in bytes.
    pub table_bytes: u64,
    /// Topic.
    pub topic: String,
    /// Partition, first offset, end, end of the log.
    pub extents: Vec<(i32, i64, i64, i64)>,
    /// The order chosen.
    pub order: String,
    /// Whether the shadow takes the table's place at the end.
    pub swaps: bool,
    /// Whether it is compared with the primary before.
    pub checks: bool,
    /// What the operator should know.
    pub notes: Vec<String>,
    /// Why it must not run; said by the error that follows.
    pub refusals: Vec<String>,
}

impl PlanReport {
    fn records(&self) -> u64 {
        self.extents
            .iter()
            .map(|(_, start, end, _)| u64::try_from(end - start).unwrap_or(0))
            .sum()
    }

    /// The plan as text.
    #[must_use]
    pub fn text(&self) -> String {
        let rows = self.table_rows.map_or_else(
            || "an unknown number of".to_owned(),
            |r| format!("about {}", grouped(r)),
        );
        let mut out = format!(
            "big-bang replay of view {} (run {})\n  reads   {} up to {} records\n  order   {}\n  builds  a shadow of {} ({rows} rows, {} live){}\n  then    {}\n",
            self.view,
            self.run,
            self.topic,
            grouped(self.records()),
            self.order,
            self.table,
            indicatif::HumanBytes(self.table_bytes),
            if self.table_bytes > 0 {
                ", so that much disk again"
            } else {
                ""
            },
            self.then(),
        );
        let extents = self.extents.iter().map(|(p, start, end, log_end)| {
            vec![
                p.to_string(),
                start.to_string(),
                end.to_string(),
                log_end.to_string(),
            ]
        });
        out.push_str(&table(
            &["partition", "from", "to", "log ends"],
            extents.collect(),
        ));
        out.push('\n');
        for note in &self.notes {
            out.push_str(&format!("note: {note}\n"));
        }
        out
    }

    fn then(&self) -> String {
        let check = if self.checks {
            "compares it with the primary, "
        } else {
            ""
        };
        if self.swaps {
            format!("{check}swaps it in; the live table serves until then")
        } else {
            format!("{check}leaves it beside the live table")
        }
    }

    /// What consent is asked for.
    #[must_use]
    pub fn act(&self) -> String {
        if self.swaps {
            format!("this replaces {} by what the log says", self.table)
        } else {
            format!("this builds a table beside {}", self.table)
        }
    }

    /// The plan as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let extents: Vec<Value> = self
            .extents
            .iter()
            .map(|(p, start, end, log_end)| json!({"partition": p, "from": start, "to": end, "log_end": log_end}))
            .collect();
        json!({
            "format": FORMAT, "plan": "big-bang", "run": self.run, "view": self.view, "table": self.table,
            "topic": self.topic, "records": self.records(), "partitions": extents, "order": self.order,
            "swaps": self.swaps, "checks": self.checks, "notes": self.notes, "refusals": self.refusals,
        })
        .to_string()
    }
}

/// What a replay did, as it is shown.
#[derive(Clone, Debug)]
pub struct DoneReport {
    /// Run id.
    pub run: String,
    /// View.
    pub view: String,
    /// Its table.
    pub table: String,
    /// What became of the records.
    pub counts: Counts,
    /// Keys taken from the primary, because the log did not hold their row whole.
    pub settled: Vec<String>,
    /// Topic, partition, next offset.
    pub next: Vec<(String, i32, i64)>,
    /// Rows compared with the primary.
    pub checked: Option<u64>,
    /// Keys that still differ from it.
    pub differing: u64,
    /// Where the old table is kept.
    pub old: Option<String>,
    /// How long the table was locked for the swap, in milliseconds, and the tries that took.
    pub swapped: Option<(u64, u32)>,
    /// The shadow's name, when it was left.
    pub kept: Option<String>,
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
        match (self.checked, self.differing) {
            (None, _) => out.push_str("not compared with the primary\n"),
            (Some(rows), 0) => out.push_str(&format!("{} rows equal the primary\n", grouped(rows))),
            (Some(rows), n) => out.push_str(&format!(
                "{} of {} rows differ from the primary, none of them newly; the log does not hold what the primary holds: reconcile repairs them\n",
                grouped(n), grouped(rows)
            )),
        }
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
        if let Some(kept) = &self.kept {
            out.push_str(&format!(
                "the table was built as {kept}; {} is as it was\n",
                self.table
            ));
        }
        for (topic, partition, offset) in &self.next {
            out.push_str(&format!(
                "it holds the log up to {topic}:{partition}:{offset}\n"
            ));
        }
        out
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
            "format": FORMAT, "replay": "big-bang", "run": self.run, "view": self.view, "table": self.table,
            "counts": {
                "read": c.read, "put": c.put, "deleted": c.deleted, "truncated": c.truncated, "stale": c.stale,
                "duplicate": c.duplicate, "ignored": ignored, "quarantined": c.quarantined, "blocked": c.blocked,
            },
            "settled": self.settled, "rows_checked": self.checked, "differing": self.differing,
            "positions": next, "old_table": self.old, "kept": self.kept,
            "swap_locked_ms": self.swapped.map(|(ms, _)| ms),
        })
        .to_string()
    }
}
