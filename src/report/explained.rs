//! Why rows differ, as data: counts by cause, and of some keys the evidence.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::json::FORMAT;
use super::table::{clip, grouped, table};
use super::verdict::Shown;
use crate::projection::calendar;
use crate::projection::cause::Cause;

/// What was found out of one view.
#[derive(Clone, Debug, Default)]
pub struct Explained {
    /// Keys by cause.
    pub causes: BTreeMap<Cause, u64>,
    /// A few keys of each cause.
    pub keys: Vec<ExplainedKey>,
    /// What many wrong rows have in common, each with their number.
    pub patterns: Vec<(String, u64)>,
    /// Rows that agree and were looked at.
    pub sampled: u64,
    /// All rows that agree.
    pub equal: u64,
    /// The first event that the read store does not show: where it stands, and when the source says that it was, in milliseconds
    /// since 1970.
    pub began: Option<(String, i64)>,
    /// When the first missed event of each key was.
    pub timeline: Timeline,
    /// What could not be told, and why.
    pub notes: Vec<String>,
}

/// Keys by the time at which they went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// When it begins, in milliseconds since 1970.
    pub from_ms: i64,
    /// How long one part is, in milliseconds.
    pub step_ms: i64,
    /// Keys of each part, by cause.
    pub parts: Vec<BTreeMap<Cause, u64>>,
}

impl Timeline {
    /// Sorts moments (in milliseconds since 1970) into parts of one length.
    #[must_use]
    pub fn of(moments: &[(i64, Cause)], parts_max: u64) -> Timeline {
        let times = moments.iter().map(|(at, _)| *at);
        let (Some(first), Some(last)) = (times.clone().min(), times.max()) else {
            return Timeline::default();
        };
        let span = last.abs_diff(first) + 1;
        let step = span.div_ceil(parts_max.max(1)).max(1);
        let mut timeline = Timeline {
            from_ms: first,
            step_ms: i64::try_from(step).unwrap_or(i64::MAX),
            parts: vec![BTreeMap::new(); usize::try_from(span.div_ceil(step)).unwrap_or(1)],
        };
        for (at, cause) in moments {
            let part = usize::try_from(at.abs_diff(first) / step).unwrap_or(0);
            *timeline.parts[part].entry(*cause).or_default() += 1;
        }
        timeline
    }
}

/// A key, and why its row differs.
#[derive(Clone, Debug)]
pub struct ExplainedKey {
    /// Why.
    pub cause: Cause,
    /// Key column and value; values of keys are always shown.
    pub key: Vec<(String, Shown)>,
    /// Which of the three have a row; the log's is `None` where it does not say.
    pub present: (bool, Option<bool>, bool),
    /// Column by column.
    pub columns: Vec<ThreeWay>,
    /// Why the log does not say what the row is.
    pub log_unknown: Option<&'static str>,
    /// The events that decide.
    pub events: Vec<Deciding>,
    /// Events of the key in all.
    pub events_total: u64,
    /// The source row that decides, where the row is made of several: `orders id=7`.
    pub by: Option<String>,
}

/// One column of the three rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreeWay {
    /// Its name.
    pub column: String,
    /// What the primary says.
    pub primary: Shown,
    /// What the log says.
    pub log: Shown,
    /// What the read store shows.
    pub stored: Shown,
    /// Whether they are not all the same.
    pub differs: bool,
}

/// An event that decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deciding {
    /// What it is to the key.
    pub role: Role,
    /// `topic:partition:offset`.
    pub at: String,
    /// When the source says that it was, in milliseconds since 1970.
    pub clock_ms: Option<i64>,
    /// Whether it says that the row is gone.
    pub deletes: bool,
}

/// What an event is to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It made the row that the read store shows.
    Shown,
    /// It is the first that the read store does not show.
    Missed,
    /// It is the newest.
    Newest,
}

impl Role {
    /// Its word in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Role::Shown => "shown",
            Role::Missed => "missed",
            Role::Newest => "newest",
        }
    }

    /// Its words for people.
    #[must_use]
    pub fn phrase(self) -> &'static str {
        match self {
            Role::Shown => "the read store shows",
            Role::Missed => "it has missed",
            Role::Newest => "the newest is",
        }
    }
}

/// `2026-03-01 10:00:00.5+00`, of milliseconds since 1970.
#[must_use]
pub fn moment(ms: i64) -> String {
    let mut text = String::new();
    calendar::write_timestamp(&mut text, ms.saturating_mul(1_000), "+00");
    text
}

impl Deciding {
    /// `delete orders:1:204 of 2026-03-01 10:00:00+00`
    #[must_use]
    pub fn text(&self) -> String {
        let what = if self.deletes { "delete " } else { "" };
        let when = self.clock_ms.map(|ms| format!(" of {}", moment(ms)));
        format!("{what}{}{}", self.at, when.unwrap_or_default())
    }
}

impl ExplainedKey {
    /// `account=7`, one part for each key column.
    #[must_use]
    pub fn key_text(&self) -> String {
        let part = |(name, value): &(String, Shown)| {
            format!("{name}={}", value.as_deref().unwrap_or("NULL"))
        };
        self.key.iter().map(part).collect::<Vec<_>>().join(" ")
    }

    /// What decides, as a sentence.
    #[must_use]
    pub fn evidence(&self) -> String {
        let by = self.by.as_ref().map(|row| format!("{row}: "));
        by.unwrap_or_default() + &self.deciding()
    }

    /// ` (balance, note)`: the columns that differ, where both sides have a row.
    fn differing(&self) -> String {
        let (primary, _, stored) = self.present;
        let columns = self.columns.iter().filter(|c| c.differs);
        let columns: Vec<&str> = columns.map(|c| c.column.as_str()).collect();
        if columns.is_empty() || !primary || !stored {
            return String::new();
        }
        format!(" ({})", columns.join(", "))
    }

    fn deciding(&self) -> String {
        if self.events.is_empty() {
            return match self.log_unknown {
                Some(why) => format!("the log: {why}"),
                None => "no event of it is in the log".to_owned(),
            };
        }
        let each = |e: &Deciding| format!("{} {}", e.role.phrase(), e.text());
        let mut said = self.events.iter().map(each).collect::<Vec<_>>().join("; ");
        if let Some(why) = self.log_unknown {
            said.push_str(&format!("; the log: {why}"));
        }
        said
    }

    fn presence(&self) -> [&'static str; 3] {
        let word = |there: bool| if there { "" } else { "no row" };
        let (primary, log, stored) = self.present;
        [word(primary), log.map_or("not known", word), word(stored)]
    }
}

impl Explained {
    /// Keys that differ, whatever the cause.
    #[must_use]
    pub fn differing(&self) -> u64 {
        let others = |(cause, n): (&Cause, &u64)| (*cause != Cause::LogIncomplete).then_some(*n);
        self.causes.iter().filter_map(others).sum()
    }

    /// About how many rows a replay would break, by those of the sample.
    #[must_use]
    pub fn broken_by_replay(&self) -> Option<u64> {
        let found = *self.causes.get(&Cause::LogIncomplete)?;
        Some(found.saturating_mul(self.equal.max(self.sampled)) / self.sampled.max(1))
    }
}

/// What an operator reads.
#[must_use]
pub fn text(view: &str, explained: &Explained, show_values: bool) -> String {
    let row = |(cause, n): (&Cause, &u64)| {
        let columns = [cause.word(), cause.meaning(), cause.fix()];
        let mut row = vec![grouped(*n)];
        row.extend(columns.map(str::to_owned));
        row
    };
    let rows: Vec<Vec<String>> = explained.causes.iter().map(row).collect();
    let mut out = String::new();
    if !rows.is_empty() {
        out.push_str(&format!("{view}: why\n"));
        out.push_str(&table(&["keys", "cause", "they …", "what fixes it"], rows));
        out.push('\n');
    }
    if let Some((at, ms)) = &explained.began {
        out.push_str(&format!("{view}: it began with {at} of {}\n", moment(*ms)));
    }
    for (pattern, rows) in &explained.patterns {
        out.push_str(&format!("{view}: in {} rows, {pattern}\n", grouped(*rows)));
    }
    if let Some(broken) = explained.broken_by_replay() {
        let (found, sampled) = (explained.causes[&Cause::LogIncomplete], explained.sampled);
        out.push_str(&format!(
            "{view}: a replay would break {} of {} rows that agree and were looked at: about {} in all\n",
            grouped(found),
            grouped(sampled),
            grouped(broken)
        ));
    }
    for note in &explained.notes {
        out.push_str(&format!("{view}: {note}\n"));
    }
    for key in &explained.keys {
        out.push_str(&format!(
            "{} {}{}: {}\n",
            key.cause.word(),
            key.key_text(),
            key.differing(),
            key.evidence()
        ));
        if show_values {
            out.push_str(&three_rows(key));
        }
    }
    out
}

/// What `explain` says of keys.
#[must_use]
pub fn keys_text(view: &str, explained: &Explained, show_values: bool) -> String {
    let mut out = text(view, explained, show_values);
    if explained.sampled > 0 {
        out.push_str(&format!(
            "{view}: of {} keys, primary, log and read store agree\n",
            grouped(explained.sampled)
        ));
    }
    out
}

/// The same, for programs.
#[must_use]
pub fn keys_json(playbook: &str, view: &str, explained: &Explained, show_values: bool) -> Value {
    json!({
        "format": FORMAT,
        "playbook": playbook,
        "view": view,
        "agreeing": explained.sampled,
        "explained": json(explained, show_values),
    })
}

/// The three rows side by side: columns that differ.
fn three_rows(key: &ExplainedKey) -> String {
    let shown = |v: &Shown| v.as_deref().map_or_else(|| "NULL".to_owned(), clip);
    let presence = key.presence();
    let cell = |nth: usize, v: &Shown| match presence[nth] {
        "" => shown(v),
        absent => absent.to_owned(),
    };
    let row = |c: &ThreeWay| {
        vec![
            format!("  {}", c.column),
            cell(0, &c.primary),
            cell(1, &c.log),
            cell(2, &c.stored),
        ]
    };
    let rows = key.columns.iter().filter(|c| c.differs).map(row).collect();
    format!(
        "{}\n",
        table(&["  column", "primary", "log", "read store"], rows)
    )
}

/// The same, for programs.
#[must_use]
pub fn json(explained: &Explained, show_values: bool) -> Value {
    let parts = explained.timeline.parts.iter().map(causes);
    json!({
        "causes": causes(&explained.causes),
        "sampled": explained.sampled,
        "broken_by_replay": explained.broken_by_replay(),
        "patterns": explained.patterns.iter().map(|(what, rows)| json!({"what": what, "rows": rows})).collect::<Vec<_>>(),
        "began": explained.began.as_ref().map(|(at, ms)| json!({"at": at, "time": moment(*ms)})),
        "timeline": {
            "from": (!explained.timeline.parts.is_empty()).then(|| moment(explained.timeline.from_ms)),
            "step_ms": explained.timeline.step_ms,
            "parts": parts.collect::<Vec<_>>(),
        },
        "notes": explained.notes,
        "keys": explained.keys.iter().map(|k| one(k, show_values)).collect::<Vec<_>>(),
    })
}

/// Counts by the words of causes.
#[must_use]
pub fn causes(causes: &BTreeMap<Cause, u64>) -> Value {
    let each = |(cause, n): (&Cause, &u64)| (cause.word().to_owned(), json!(n));
    Value::Object(causes.iter().map(each).collect())
}

fn one(key: &ExplainedKey, show_values: bool) -> Value {
    let named: Map<String, Value> = key
        .key
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let column = |c: &ThreeWay| {
        if show_values {
            json!({"column": c.column, "primary": c.primary, "log": c.log, "stored": c.stored})
        } else {
            json!({"column": c.column})
        }
    };
    let event = |e: &Deciding| {
        json!({
            "role": e.role.word(),
            "at": e.at,
            "time": e.clock_ms.map(moment),
            "deletes": e.deletes,
        })
    };
    let (primary, log, stored) = key.present;
    json!({
        "cause": key.cause.word(),
        "key": named,
        "rows": {"primary": primary, "log": log, "stored": stored},
        "log_unknown": key.log_unknown,
        "columns": key.columns.iter().filter(|c| c.differs).map(column).collect::<Vec<_>>(),
        "events": key.events.iter().map(event).collect::<Vec<_>>(),
        "events_total": key.events_total,
        "by": key.by,
    })
}
