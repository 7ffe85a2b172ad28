//! Why rows differ: the log is read once more for their keys, and for some of those that agree, and its word is set beside what
//! the primary says and what the read store shows.

mod derived;
mod log;
mod sample;
mod sources;
mod tell;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use self::derived::{Applied, Deriving};
use self::sample::Sampling;
use self::sources::Sources;
use super::compare::Comparison;
use super::lag::applied::Projector;
use super::lag::captured::Capture;
use super::{Origin, Refused, Systems, View, verify};
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
    /// What many wrong rows have in common, each with their number.
    pub patterns: Vec<(String, u64)>,
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

/// How the log is read.
enum Reading {
    /// The view's rows are records of one topic.
    Topic(log::Reading),
    /// They are made of rows of several sources.
    Sources(Sources),
}

impl Reading {
    /// How it is read for a view; why that does not help.
    async fn of(systems: &Systems, view: &View) -> Result<Result<Reading, String>> {
        if !matches!(view.origin, Origin::Query { .. }) {
            return Ok(Ok(Reading::Topic(log::Reading::of(systems, view).await?)));
        }
        let sources = match Sources::of(systems, view).await? {
            Ok(sources) => sources,
            Err(why) => return Ok(Err(why)),
        };
        let deriving = Deriving {
            systems,
            view,
            sources: &sources,
        };
        if let Err(problem) = deriving.probe().await {
            return Ok(Err(format!(
                "the query of view {} cannot be run over rows of the log, so that nothing is said of causes: {problem:#}",
                view.name
            )));
        }
        Ok(Ok(Reading::Sources(sources)))
    }

    /// Every topic, with the place of its source among the view's.
    fn topics(&self) -> Vec<(usize, &log::Reading)> {
        match self {
            Reading::Topic(reading) => vec![(0, reading)],
            Reading::Sources(sources) => {
                let parts = sources.parts.iter();
                parts.map(|p| (p.place, &p.reading)).collect()
            }
        }
    }

    /// Keys that one pass explains at most.
    fn keys_max(&self) -> usize {
        match self {
            Reading::Topic(_) => usize::MAX,
            Reading::Sources(_) => limits::EXPLAIN_QUERY_KEYS,
        }
    }

    fn notes(&self) -> Vec<String> {
        let each = self.topics().into_iter();
        each.flat_map(|(_, reading)| reading.notes()).collect()
    }
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
        let columns = self.comparison.columns();
        explanation.patterns = tell::miscomputed(&mut explanation.traced, &columns);
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
    async fn pass(&self, mut suspects: Vec<Suspect>) -> Result<Vec<Traced>> {
        let until = Instant::now() + self.options.lag_wait;
        let captured = Capture::of(self.systems, self.view).pass(until).await?;
        let mut judged = Vec::new();
        while !suspects.is_empty() {
            let behind = suspects.split_off(suspects.len().min(self.reading.keys_max()));
            judged.extend(self.judge(suspects, captured.is_ok()).await?);
            suspects = behind;
        }
        Ok(judged)
    }

    async fn judge(&self, suspects: Vec<Suspect>, captured: bool) -> Result<Vec<Traced>> {
        let (systems, view, progress) = (self.systems, self.view, self.progress);
        match &self.reading {
            Reading::Topic(reading) => {
                let stage = format!("reading the log for {} keys", suspects.len());
                let traces = reading.traces(view, self.comparison, suspects)?;
                let traces = reading.read(systems, traces, (progress, &stage)).await?;
                let applied = self.applied().await?;
                let applied = applied.into_iter().map(|((_, p), next)| (p, next));
                Ok(traces.judge(reading.extent, &applied.collect(), captured))
            }
            Reading::Sources(sources) => {
                let gathered = sources.gather(systems, &suspects, progress).await?;
                let applied = self.applied().await?;
                let rules = self.comparison.rules();
                let deriving = Deriving {
                    systems,
                    view,
                    sources,
                };
                progress.stage("setting the rows side by side", "keys", None);
                let by = (rules, &applied, captured);
                deriving.judge(&gathered, suspects, by).await
            }
        }
    }

    /// Where the projector is, as far as that is known.
    async fn applied(&self) -> Result<Applied> {
        let mut applied = Applied::new();
        for (place, reading) in self.reading.topics() {
            let projector = Projector::of(self.systems, &reading.topic);
            let places = projector.standing().await?.places.into_iter();
            let known = places.filter_map(|(partition, next)| Some(((place, partition), next?)));
            applied.extend(known);
        }
        Ok(applied)
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
        by: None,
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
