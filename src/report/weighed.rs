//! The strategies side by side, as data: for each what it would take, what readers would see, what it costs, what it would fix,
//! leave and break, and what stands in its way.

mod text;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub use self::text::text;

use super::explained::moment;
use super::json::FORMAT;
use crate::projection::cause::Cause;

/// A way to repair a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The whole log, from offset zero.
    BigBang,
    /// A snapshot, and the log after it.
    Partial,
    /// The primary, row by row.
    Reconcile,
}

impl Strategy {
    /// Its word in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Strategy::BigBang => "big_bang",
            Strategy::Partial => "partial",
            Strategy::Reconcile => "reconcile",
        }
    }

    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Strategy::BigBang => "big-bang replay",
            Strategy::Partial => "partial replay",
            Strategy::Reconcile => "reconcile",
        }
    }
}

/// What is read and written. Numbers are about right; 0 is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Records of the log.
    pub log_records: u64,
    /// Their size, in bytes.
    pub log_bytes: u64,
    /// Rows of a snapshot.
    pub snapshot_rows: u64,
    /// The size of the snapshot, in bytes.
    pub snapshot_bytes: u64,
    /// Rows of the primary; of a query view, rows that its query gives.
    pub primary_rows: u64,
    /// The size of the tables that they are read from, in bytes; 0 when unknown.
    pub primary_bytes: u64,
    /// Room for what is built beside the live table, in bytes.
    pub space_bytes: u64,
    /// Rows written.
    pub rows_written: u64,
}

/// What becomes of the rows that differ. Rows of which no cause is known are there under `cause_unknown`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// Rows that are right afterwards, by cause.
    pub fixes: Vec<(&'static str, u64)>,
    /// Rows that are wrong still.
    pub leaves: Vec<(&'static str, u64)>,
    /// Rows of which that cannot be said.
    pub unsure: Vec<(&'static str, u64)>,
    /// About how many rows are right now and wrong afterwards.
    pub breaks: u64,
    /// Some of their keys.
    pub breaks_keys: Vec<String>,
}

/// One strategy, as it would go now.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// Which.
    pub strategy: Strategy,
    /// What it would do, each in seconds; empty where that cannot be said.
    pub stages: Vec<(&'static str, f64)>,
    /// What readers and the projector see meanwhile.
    pub availability: String,
    /// What it costs.
    pub cost: Cost,
    /// What becomes of the rows that differ.
    pub effect: Effect,
    /// Why it would be refused.
    pub blockers: Vec<String>,
    /// What the operator should know.
    pub notes: Vec<String>,
}

impl Outlook {
    /// All stages together, in seconds; `None` where that cannot be said.
    #[must_use]
    pub fn seconds(&self) -> Option<f64> {
        (!self.stages.is_empty()).then(|| self.stages.iter().map(|(_, s)| s).sum())
    }

    fn json(&self) -> Value {
        let stages: Map<String, Value> = self
            .stages
            .iter()
            .map(|(stage, s)| ((*stage).to_owned(), json!(rounded(*s))))
            .collect();
        let (c, e) = (&self.cost, &self.effect);
        json!({
            "strategy": self.strategy.word(),
            "seconds": self.seconds().map(rounded),
            "stages": stages,
            "availability": self.availability,
            "cost": {
                "log_records": c.log_records, "log_bytes": c.log_bytes,
                "snapshot_rows": c.snapshot_rows, "snapshot_bytes": c.snapshot_bytes,
                "primary_rows": c.primary_rows, "primary_bytes": c.primary_bytes,
                "space_bytes": c.space_bytes, "rows_written": c.rows_written,
            },
            "fixes": by_cause(&e.fixes),
            "leaves": by_cause(&e.leaves),
            "unsure": by_cause(&e.unsure),
            "breaks": e.breaks,
            "breaks_keys": e.breaks_keys,
            "blockers": self.blockers,
            "notes": self.notes,
        })
    }
}

fn by_cause(rows: &[(&'static str, u64)]) -> Value {
    let each = |(cause, n): &(&str, u64)| ((*cause).to_owned(), json!(n));
    Value::Object(rows.iter().map(each).collect())
}

/// To the millisecond: an estimate is no more exact.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1_000.0).round() / 1_000.0
}

/// How fast something was read.
#[derive(Clone, Debug)]
pub struct Rate {
    /// What: `log of orders`, `read store`, `primary`.
    pub of: String,
    /// `records` or `rows`.
    pub unit: &'static str,
    /// How many were read.
    pub count: u64,
    /// In how many seconds.
    pub seconds: f64,
}

/// The snapshot that a partial replay would begin from.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// Its id.
    pub id: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// How old it is, in seconds.
    pub age_seconds: u64,
    /// Whether it was seen to be equal to the primary.
    pub known_good: bool,
}

/// What was found to be wrong.
#[derive(Clone, Debug, Default)]
pub struct Wrong {
    /// Keys compared.
    pub rows: u64,
    /// Keys that differ without lag explaining it.
    pub differing: u64,
    /// Keys that differed at first and agreed later.
    pub lagging: u64,
    /// Keys that could not be decided.
    pub unknown: u64,
    /// Keys by cause; empty where no causes were looked for.
    pub causes: BTreeMap<Cause, u64>,
    /// About how many rows a replay would break.
    pub broken_by_replay: u64,
    /// Some of their keys.
    pub broken_keys: Vec<String>,
    /// What many wrong rows have in common, each with their number.
    pub patterns: Vec<(String, u64)>,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing: nothing is wrong.
    Nothing,
    /// Wait: it is on its way.
    Wait,
    /// Mend the projector, which would write the same again.
    MendProjector,
    /// Look at what nothing explains, or compare first.
    Look,
    /// Remove what stands in the way of every strategy.
    Unblock,
    /// This strategy.
    Take(Strategy),
}

impl Advice {
    /// Its word in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Advice::Nothing => "nothing",
            Advice::Wait => "wait",
            Advice::MendProjector => "mend_projector",
            Advice::Look => "look",
            Advice::Unblock => "unblock",
            Advice::Take(strategy) => strategy.word(),
        }
    }

    /// Its words for people.
    #[must_use]
    pub fn phrase(self) -> &'static str {
        match self {
            Advice::Nothing => "do nothing",
            Advice::Wait => "wait",
            Advice::MendProjector => "mend the projector first",
            Advice::Look => "look first",
            Advice::Unblock => "remove what stands in the way",
            Advice::Take(strategy) => strategy.name(),
        }
    }
}

/// What is recommended, and why.
#[derive(Clone, Debug)]
pub struct Recommended {
    /// What.
    pub advice: Advice,
    /// Why, as a sentence.
    pub reason: String,
    /// The command line to run now.
    pub command: Option<String>,
    /// The one to run after that.
    pub then: Option<String>,
}

/// A view, with the strategies side by side.
#[derive(Clone, Debug)]
pub struct Weighed {
    /// The view.
    pub view: String,
    /// Its table.
    pub table: String,
    /// Its rows, about, when known.
    pub rows: Option<u64>,
    /// What is wrong; `None` where nothing was compared.
    pub wrong: Option<Wrong>,
    /// Why not, or what could not be told.
    pub notes: Vec<String>,
    /// What was measured.
    pub rates: Vec<Rate>,
    /// Where a partial replay would begin.
    pub snapshot: Option<Beginning>,
    /// The strategies.
    pub outlooks: Vec<Outlook>,
    /// What is recommended.
    pub recommended: Recommended,
}

impl Weighed {
    fn json(&self) -> Value {
        let wrong = self.wrong.as_ref().map(|w| {
            let causes = super::explained::causes(&w.causes);
            let patterns = w.patterns.iter();
            let patterns = patterns.map(|(what, rows)| json!({"what": what, "rows": rows}));
            json!({
                "rows_checked": w.rows, "differing": w.differing, "lagging": w.lagging, "unknown": w.unknown,
                "causes": causes, "broken_by_replay": w.broken_by_replay, "patterns": patterns.collect::<Vec<_>>(),
            })
        });
        let rate = |r: &Rate| json!({"of": r.of, "unit": r.unit, "count": r.count, "seconds": rounded(r.seconds)});
        let snapshot = self.snapshot.as_ref().map(|s| {
            json!({
                "id": s.id, "created_at": moment(s.created_ms), "age_seconds": s.age_seconds,
                "known_good": s.known_good,
            })
        });
        json!({
            "view": self.view, "table": self.table, "rows": self.rows,
            "found": wrong,
            "notes": self.notes,
            "measured": self.rates.iter().map(rate).collect::<Vec<_>>(),
            "snapshot": snapshot,
            "strategies": self.outlooks.iter().map(Outlook::json).collect::<Vec<_>>(),
            "recommended": self.recommended.advice.word(),
            "reason": self.recommended.reason,
            "command": self.recommended.command,
            "then": self.recommended.then,
        })
    }
}

/// The plan of a playbook, as one line of JSON.
#[must_use]
pub fn json(playbook: &str, views: &[Weighed]) -> String {
    let views: Vec<Value> = views.iter().map(Weighed::json).collect();
    json!({"format": FORMAT, "playbook": playbook, "views": views}).to_string()
}
