//! The outcome of a comparison, as data.

use std::collections::BTreeMap;

use super::explained::Explained;
use super::metrics::Metrics;
use crate::projection::cause::Cause;
use crate::projection::cell::Cell;
use crate::projection::diff::{Difference, Kind};
use crate::projection::text;

/// What a comparison says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// No difference that lag does not explain.
    InSync,
    /// Something could not be decided.
    Unknown,
    /// Differences that lag does not explain.
    Drift,
}

impl Verdict {
    /// Its word in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Verdict::InSync => "in_sync",
            Verdict::Unknown => "unknown",
            Verdict::Drift => "drift",
        }
    }
}

/// One difference, kept to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Its kind.
    pub kind: Kind,
    /// Key column and value; values of keys are always shown.
    pub key: Vec<(String, Option<String>)>,
    /// Column, expected and actual; of a missing or extra row none, unless the sample is whole.
    pub columns: Vec<(String, Shown, Shown)>,
}

/// A value as text, or why it is none.
pub type Shown = Option<String>;

impl Sample {
    /// The sample of a difference whose rows have these columns.
    #[must_use]
    pub fn of(difference: &Difference, columns: &[String], key: &[usize]) -> Sample {
        Sample::with(difference, columns, key, difference.columns())
    }

    /// The same, with every column that is no key of a row that comes or goes.
    #[must_use]
    pub fn whole(difference: &Difference, columns: &[String], key: &[usize]) -> Sample {
        let which = match difference.kind() {
            Kind::Changed => difference.columns(),
            _ => (0..columns.len()).filter(|i| !key.contains(i)).collect(),
        };
        Sample::with(difference, columns, key, which)
    }

    fn with(
        difference: &Difference,
        columns: &[String],
        key: &[usize],
        which: Vec<usize>,
    ) -> Sample {
        let names = key.iter().map(|i| columns[*i].clone());
        let shown =
            |row: &Option<Vec<Cell<'static>>>, i: usize| row.as_ref().and_then(|r| text::of(&r[i]));
        let column = |i: usize| {
            let (expected, actual) = (&difference.expected, &difference.actual);
            (columns[i].clone(), shown(expected, i), shown(actual, i))
        };
        Sample {
            kind: difference.kind(),
            key: names.zip(difference.key.0.iter().map(text::of)).collect(),
            columns: which.into_iter().map(column).collect(),
        }
    }

    /// `account=7`, one part for each key column.
    #[must_use]
    pub fn key_text(&self) -> String {
        let part = |(name, value): &(String, Shown)| {
            format!("{name}={}", value.as_deref().unwrap_or("NULL"))
        };
        self.key.iter().map(part).collect::<Vec<_>>().join(" ")
    }
}

/// The outcome for one view.
#[derive(Clone, Debug, Default)]
pub struct ViewVerdict {
    /// The view.
    pub view: String,
    /// Its table.
    pub table: String,
    /// Keys compared.
    pub rows_checked: u64,
    /// Expected rows that are not there.
    pub missing: u64,
    /// Rows that should not be there.
    pub extra: u64,
    /// Rows with other values.
    pub changed: u64,
    /// Keys that differed at first and agreed later.
    pub lagging: u64,
    /// Keys that could not be decided.
    pub unknown: u64,
    /// Keys whose rows differ only within the rules of their columns.
    pub representation: u64,
    /// Why something could not be decided, in words.
    pub reasons: Vec<String>,
    /// Differing keys by column.
    pub by_column: BTreeMap<String, u64>,
    /// A few of the differences.
    pub samples: Vec<Sample>,
    /// How it was compared: `hash` or `merge`.
    pub compared_by: String,
    /// Why its rows differ, where that was asked.
    pub explained: Option<Explained>,
}

impl ViewVerdict {
    /// Keys that differ without lag explaining it.
    #[must_use]
    pub fn drifted(&self) -> u64 {
        self.missing + self.extra + self.changed
    }

    /// Keys by cause, as far as it is known.
    #[must_use]
    pub fn causes(&self) -> BTreeMap<Cause, u64> {
        if let Some(explained) = &self.explained {
            return explained.causes.clone();
        }
        let known = (Cause::Representation, self.representation);
        [known].into_iter().filter(|(_, n)| *n > 0).collect()
    }

    /// The verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.drifted() > 0 {
            Verdict::Drift
        } else if self.unknown > 0 || !self.reasons.is_empty() {
            Verdict::Unknown
        } else {
            Verdict::InSync
        }
    }
}

/// The outcome for one playbook.
#[derive(Clone, Debug)]
pub struct PlaybookVerdict {
    /// The playbook.
    pub playbook: String,
    /// Its views.
    pub views: Vec<ViewVerdict>,
}

impl PlaybookVerdict {
    /// Adds what it says to a file of metrics.
    pub fn measure(&self, metrics: &mut Metrics) {
        #[allow(clippy::cast_precision_loss)] // A gauge is a float.
        let whole = |n: u64| n as f64;
        for v in &self.views {
            let view = [
                ("playbook", self.playbook.as_str()),
                ("view", v.view.as_str()),
            ];
            let in_sync = f64::from(v.verdict() == Verdict::InSync);
            metrics.gauge(
                "trueup_in_sync",
                "Whether the view was in sync",
                &view,
                in_sync,
            );
            metrics.gauge(
                "trueup_rows_checked",
                "Keys compared",
                &view,
                whole(v.rows_checked),
            );
            metrics.gauge(
                "trueup_lagging_keys",
                "Keys that differed at first and agreed later",
                &view,
                whole(v.lagging),
            );
            metrics.gauge(
                "trueup_unknown_keys",
                "Keys that could not be decided",
                &view,
                whole(v.unknown),
            );
            for (kind, rows) in [
                (Kind::Missing, v.missing),
                (Kind::Extra, v.extra),
                (Kind::Changed, v.changed),
            ] {
                let labels = [view[0], view[1], ("kind", kind.word())];
                metrics.gauge(
                    "trueup_drift_rows",
                    "Keys that differ without lag explaining it",
                    &labels,
                    whole(rows),
                );
            }
        }
    }

    /// The worst verdict of its views.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.views
            .iter()
            .map(ViewVerdict::verdict)
            .max()
            .unwrap_or(Verdict::InSync)
    }
}
