//! Why rows differ: the log is read once more for their keys, and for some of those that agree, and its word is set beside what
//! the primary says and what the read store shows.

mod log;
mod sample;
mod tell;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use self::log::Reading;
use self::sample::Sampling;
use super::compare::Comparison;
use super::lag::applied::Projector;
use super::lag::captured::Capture;
use super::{Refused, Systems, View, verify};
use crate::limits;
use crate::projection::cause::{Cause, Extent};
use crate::projection::cell::Row;
use crate::projection::change::Key;
use crate::projection::diff::Difference;
use crate::projection::mapping::key_of;
use crate::projection::trace::{Said, Suspect, Traced};
use crate::report::explained::Explained;
use crate::report::progress::Progress;

pub use self::tell::told;

/// How rows are explained.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Which part of the rows that agree is looked at too: what the log lacks of them, a replay would break.
    pub sample: f64,
    /// How long to wait for the log to have what the primary has.
    pub lag_wait: Duration,
}

/// What was found out of one view.
#[derive(Debug, Default)]
pub struct Explanation {
    /// Every key that there is something to say of, in key order.
    pub traced: Vec<Traced>,
    /// Rows that agree and were looked at.
    pub sampled: u64,
    /// What could not be told, and why.
    pub notes: Vec<String>,
}

impl Explanation {
    /// The cause of each key.
    #[must_use]
    pub fn causes(&self) -> BTreeMap<Key<'static>, Cause> {
        let each = |t: &Traced| (t.suspect.key.clone(), t.cause);
        self.traced.iter().map(each).collect()
    }
}

/// Explains these differences of a view, and a part of the rows that agree.
///
/// # Errors
/// When a system cannot be read.
pub async fn explain(
    systems: &Systems,
    view: &View,
    comparison: &Comparison<'_>,
    differences: &[Difference],
    options: Options,
    progress: &Progress,
) -> Result<Explanation> {
    let explaining = Explaining::of(systems, view, comparison, options, progress).await?;
    let mut explaining = match explaining {
        Ok(explaining) => explaining,
        Err(why) => return Ok(why),
    };
    explaining.all(differences).await?;
    Ok(explaining.explanation())
}

/// Explains these keys of a view, whether they differ or not. Those that agree in all three are counted as sampled.
///
/// # Errors
/// When a system cannot be read.
pub async fn keys(
    systems: &Systems,
    view: &View,
    keys: &[Key<'static>],
    options: Options,
    progress: &Progress,
) -> Result<Explained> {
    if let Some(reason) = view.incomparable() {
        return Err(Refused::because(reason).into());
    }
    verify::refuse_same_table(systems, view).await?;
    let comparison = &Comparison::new(systems, view);
    let explaining = Explaining::of(systems, view, comparison, options, progress).await?;
    let explanation = match explaining {
        Err(why) => why,
        Ok(mut explaining) => {
            let suspects = explaining.look(keys).await?;
            let traced = explaining.rounds(suspects).await?;
            let agree = keys.len().saturating_sub(traced.len()) as u64;
            explaining.explanation.traced = traced;
            Explanation {
                sampled: agree,
                ..explaining.explanation()
            }
        }
    };
    Ok(told(&explanation, view, comparison, (0, 0), u64::MAX))
}

struct Explaining<'a> {
    systems: &'a Systems,
    view: &'a View,
    comparison: &'a Comparison<'a>,
    options: Options,
    progress: &'a Progress,
    reading: Reading,
    explanation: Explanation,
}

impl<'a> Explaining<'a> {
    /// Ready to explain; or what there is to say where the rows of the view cannot be followed through a log.
    async fn of(
        systems: &'a Systems,
        view: &'a View,
        comparison: &'a Comparison<'a>,
        options: Options,
        progress: &'a Progress,
    ) -> Result<Result<Explaining<'a>, Explanation>> {
        let reading = Reading::of(systems, view).await?;
        let explaining = |reading| Explaining {
            systems,
            view,
            comparison,
            options,
            progress,
            reading,
            explanation: Explanation::default(),
        };
        let silent = |why| Explanation {
            notes: vec![why],
            ..Explanation::default()
        };
        Ok(reading.map(explaining).map_err(silent))
    }

    /// What was found out, in key order.
    fn explanation(self) -> Explanation {
        let mut explanation = self.explanation;
        explanation.notes.extend(self.reading.notes());
        let by_key = |a: &Traced, b: &Traced| a.suspect.key.cmp(&b.suspect.key);
        explanation.traced.sort_by(by_key);
        tell::miscomputed(&mut explanation.traced, &self.comparison.columns());
        explanation
    }

    /// As many passes over the log as keep the keys of each within bounds.
    async fn all(&mut self, differences: &[Difference]) -> Result<()> {
        let mut suspects: Vec<Suspect> = differences.iter().map(suspect).collect();
        let mut sampling = Sampling::new(self.comparison, self.options.sample);
        for bucket in 0..sampling.buckets() {
            let stage = "looking at rows that agree";
            self.progress
                .stage(stage, "rows", self.comparison.rows_estimate);
            let sampled = sampling
                .rows(bucket, differences, &self.progress.counter())
                .await?;
            self.explanation.sampled += sampled.len() as u64;
            suspects.extend(sampled);
            let traced = self.rounds(std::mem::take(&mut suspects)).await?;
            self.explanation.traced.extend(traced);
        }
        Ok(())
    }

    /// Passes over the log, until no key is left that changed during one: what is said of a key holds when both sides are the same
    /// before and after.
    async fn rounds(&self, suspects: Vec<Suspect>) -> Result<Vec<Traced>> {
        let mut open = suspects;
        let mut told = Vec::new();
        for _ in 0..limits::EXPLAIN_ROUNDS {
            if open.is_empty() {
                return Ok(told);
            }
            let judged = self.pass(std::mem::take(&mut open)).await?;
            let keys: Vec<Key<'static>> = judged.iter().map(|t| t.suspect.key.clone()).collect();
            let now = self.look(&keys).await?;
            for (traced, now) in judged.into_iter().zip(now) {
                if self.stands(&traced.suspect, &now) {
                    told.push(traced);
                } else if !self.agrees(&now) {
                    open.push(now);
                }
            }
        }
        told.extend(open.into_iter().map(restless));
        Ok(told)
    }

    /// Whether a key is as it was; of one that agreed, the read store's values may be written differently.
    fn stands(&self, before: &Suspect, now: &Suspect) -> bool {
        before == now || (before.primary == now.primary && self.agrees(before) && self.agrees(now))
    }

    fn agrees(&self, suspect: &Suspect) -> bool {
        suspect.is_equal(self.comparison.rules())
    }

    /// One pass over the log for these keys. By then it has what the primary said of them, where that can be known.
    async fn pass(&self, suspects: Vec<Suspect>) -> Result<Vec<Traced>> {
        let until = Instant::now() + self.options.lag_wait;
        let captured = Capture::of(self.systems, self.view).pass(until).await?;
        let stage = format!("reading the log for {} keys", suspects.len());
        let traces = self.reading.traces(self.view, self.comparison, suspects)?;
        let traces = self
            .reading
            .read(self.systems, traces, (self.progress, &stage))
            .await?;
        let applied = self.applied().await?;
        Ok(traces.judge(self.reading.extent, &applied, captured.is_ok()))
    }

    /// Where the projector is, as far as that is known.
    async fn applied(&self) -> Result<BTreeMap<i32, i64>> {
        let projector = Projector::of(self.systems, &self.reading.topic);
        let places = projector.standing().await?.places;
        let known = |(partition, place): (i32, Option<i64>)| Some((partition, place?));
        Ok(places.into_iter().filter_map(known).collect())
    }

    /// Both sides of these keys as they are now.
    async fn look(&self, keys: &[Key<'static>]) -> Result<Vec<Suspect>> {
        let mut sorted = keys.to_vec();
        sorted.sort();
        let (primary, stored) = tokio::try_join!(
            self.comparison.expected_of(&sorted),
            self.comparison.actual_of(&sorted)
        )?;
        let by_key = |rows: Vec<Row<'static>>| -> BTreeMap<Key<'static>, Row<'static>> {
            let key = |row: Row<'static>| (key_of(&row, self.comparison.key()), row);
            rows.into_iter().map(key).collect()
        };
        let (mut primary, mut stored) = (by_key(primary), by_key(stored));
        let both = |key: &Key<'static>| Suspect {
            primary: primary.remove(key),
            stored: stored.remove(key),
            key: key.clone(),
        };
        Ok(keys.iter().map(both).collect())
    }
}

fn suspect(difference: &Difference) -> Suspect {
    Suspect {
        key: difference.key.clone(),
        primary: difference.expected.clone(),
        stored: difference.actual.clone(),
    }
}

/// A key that no pass came to an end with.
fn restless(suspect: Suspect) -> Traced {
    Traced {
        suspect,
        cause: Cause::Unexplained,
        log: Said::Unknown("it keeps changing"),
        newest: None,
        shown: None,
        missed: None,
        events: 0,
    }
}

/// What the extent of a log keeps from being told apart; `None` where it holds everything.
fn untold(topic: &str, extent: Extent) -> Option<String> {
    let what = match extent {
        Extent::Whole => return None,
        Extent::Compacted => "is compacted: of a key only its newest event is sure to be there",
        Extent::Cut => "does not begin at its first record: older events have left it",
    };
    Some(format!(
        "{topic} {what}, so that skipped, time_travel and off_history cannot always be told apart (not_newest), and a key that is not \
         in it is unexplained"
    ))
}
