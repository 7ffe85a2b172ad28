//! What is shown of an explanation.

use std::collections::BTreeMap;

use super::Explanation;
use crate::limits;
use crate::projection::cause::Cause;
use crate::projection::cell::{Cell, Row};
use crate::projection::change::Key;
use crate::projection::pattern::{self, Pair};
use crate::projection::text;
use crate::projection::trace::{Event, Said, Traced};
use crate::report::explained::{Deciding, Explained, ExplainedKey, Role, ThreeWay, Timeline};
use crate::report::verdict::Shown;
use crate::strategies::compare::Comparison;
use crate::strategies::{SourcePart, View};

/// The rows that no event has made and that both sides have, with their place in the list.
fn off_history(traced: &[Traced]) -> Vec<(usize, Pair<'_>)> {
    fn pair((at, t): (usize, &Traced)) -> Option<(usize, Pair<'_>)> {
        let is = t.cause == Cause::OffHistory;
        let (primary, stored) = (t.suspect.primary.as_ref()?, t.suspect.stored.as_ref()?);
        is.then_some((at, (primary, stored)))
    }
    let traced = traced.iter();
    traced.enumerate().filter_map(pair).collect()
}

/// Tells what a projector computes wrongly from what a hand did; gives what such rows have in common, and how many they are.
pub(super) fn miscomputed(traced: &mut [Traced], columns: &[String]) -> Vec<(String, u64)> {
    let rows = off_history(traced);
    let pairs: Vec<Pair<'_>> = rows.iter().map(|(_, pair)| *pair).collect();
    let patterns = pattern::patterns(&pairs, columns);
    let computed = patterns.iter().filter(|p| p.is_computed());
    let computed = computed.flat_map(|p| &p.rows);
    let places: Vec<usize> = computed.map(|row| rows[*row].0).collect();
    for place in places {
        traced[place].cause = Cause::Miscomputed;
    }
    let told = patterns.iter();
    told.map(|p| (p.to_string(), p.rows.len() as u64)).collect()
}

/// An explanation, as it is shown: of each cause, so many keys at most.
#[must_use]
pub fn told(
    explanation: &Explanation,
    view: &View,
    comparison: &Comparison<'_>,
    (equal, representation): (u64, u64),
    shown: u64,
) -> Explained {
    let traced = &explanation.traced;
    let columns = comparison.columns();
    let telling = Telling {
        sources: view.sources(),
        columns: &columns,
        comparison,
    };
    let mut causes: BTreeMap<Cause, u64> = BTreeMap::new();
    let mut keys = Vec::new();
    for t in traced {
        let count = causes.entry(t.cause).or_default();
        *count += 1;
        if *count <= shown {
            keys.push(telling.key(t));
        }
    }
    keys.sort_by_key(|k| k.cause);
    if representation > 0 {
        causes.insert(Cause::Representation, representation);
    }
    let missed = traced
        .iter()
        .filter_map(|t| Some((went_wrong(t)?, t.cause)));
    let missed: Vec<(Event, Cause)> = missed.collect();
    let began = missed.iter().filter_map(|(e, _)| Some((e.clock()?, *e)));
    let began = began.min_by_key(|(clock, _)| *clock);
    let moments: Vec<(i64, Cause)> = missed
        .iter()
        .filter_map(|(e, cause)| Some((e.clock()?, *cause)))
        .collect();
    Explained {
        causes,
        keys,
        patterns: explanation.patterns.clone(),
        sampled: explanation.sampled,
        equal,
        began: began.map(|(clock, event)| (telling.at(&event), clock)),
        timeline: Timeline::of(&moments, limits::TIMELINE_PARTS),
        notes: explanation.notes.clone(),
    }
}

/// The event with which a row went wrong: the first one missed, or the newest, where the row is made of none.
fn went_wrong(traced: &Traced) -> Option<Event> {
    match traced.cause {
        Cause::Skipped | Cause::TimeTravel | Cause::Resurrected | Cause::Lagging => traced.missed,
        Cause::OffHistory | Cause::Miscomputed | Cause::NotNewest => traced.newest,
        _ => None,
    }
}

struct Telling<'a> {
    sources: &'a [SourcePart],
    columns: &'a [String],
    comparison: &'a Comparison<'a>,
}

impl Telling<'_> {
    fn at(&self, event: &Event) -> String {
        let (partition, offset) = event.place();
        let topic = &self.sources[event.source].topic;
        format!("{topic}:{partition}:{offset}")
    }

    fn key(&self, t: &Traced) -> ExplainedKey {
        let names = self
            .comparison
            .key()
            .iter()
            .map(|at| self.columns[*at].clone());
        let (present, log_unknown) = match &t.log {
            Said::Row(_) => (Some(true), None),
            Said::Gone => (Some(false), None),
            Said::Unknown(why) => (None, Some(*why)),
        };
        ExplainedKey {
            cause: t.cause,
            key: names.zip(t.suspect.key.0.iter().map(text::of)).collect(),
            present: (
                t.suspect.primary.is_some(),
                present,
                t.suspect.stored.is_some(),
            ),
            columns: (0..self.columns.len())
                .filter(|at| !self.comparison.key().contains(at))
                .map(|at| self.column(t, at))
                .collect(),
            log_unknown,
            events: self.events(t),
            events_total: t.events,
            by: t.by.as_ref().map(|by| self.source_row(by)),
        }
    }

    /// `orders id=7`
    fn source_row(&self, (source, key): &(usize, Key<'static>)) -> String {
        let source = &self.sources[*source];
        let names = source.table.primary_key.iter();
        let shown = |cell| text::of(cell).unwrap_or_else(|| "NULL".to_owned());
        let parts = names
            .zip(&key.0)
            .map(|(name, cell)| format!(" {name}={}", shown(cell)));
        format!("{}{}", source.name, parts.collect::<String>())
    }

    fn column(&self, t: &Traced, at: usize) -> ThreeWay {
        let log = match &t.log {
            Said::Row(row) => Some(row),
            Said::Gone | Said::Unknown(_) => None,
        };
        let cells = [t.suspect.primary.as_ref(), log, t.suspect.stored.as_ref()];
        let cells = cells.map(|row: Option<&Row<'static>>| row.map(|r| &r[at]));
        let known: Vec<&Cell<'static>> = cells.iter().flatten().copied().collect();
        let rows = 2 + usize::from(!matches!(t.log, Said::Unknown(_)));
        let shown = |cell: Option<&Cell<'static>>| -> Shown { cell.and_then(text::of) };
        ThreeWay {
            column: self.columns[at].clone(),
            primary: shown(cells[0]),
            log: shown(cells[1]),
            stored: shown(cells[2]),
            differs: known.len() < rows || known.windows(2).any(|pair| pair[0] != pair[1]),
        }
    }

    fn events(&self, t: &Traced) -> Vec<Deciding> {
        let roles = [
            (Role::Shown, t.shown),
            (Role::Missed, t.missed.filter(|m| Some(*m) != t.newest)),
            (Role::Newest, t.newest),
        ];
        let deciding = |(role, event): (Role, Option<Event>)| {
            event.map(|event| Deciding {
                role,
                at: self.at(&event),
                clock_ms: event.clock(),
                deletes: event.deletes,
            })
        };
        roles.into_iter().filter_map(deciding).collect()
    }
}
