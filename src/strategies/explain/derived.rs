//! Why rows of a query view differ: the query is run over what its source rows are by the log, and over what they have been.
//! The primary does that, in a session that only reads: the rows are given to it in the statement.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::sources::{Gathered, Sources};
use crate::limits;
use crate::projection::cause::{Cause, Extent};
use crate::projection::cell::Row;
use crate::projection::change::Key;
use crate::projection::mapping::key_of;
use crate::projection::pasts::Past;
use crate::projection::rule::Rule;
use crate::projection::trace::{Event, Said, Suspect, Traced, agree};
use crate::projection::version::Version;
use crate::store::dialect::quoted;
use crate::store::{Acts, Relation};
use crate::strategies::compare::Comparison;
use crate::strategies::{Bug, Origin, Systems, View};

/// Where the projector is, by the place of a source and its partition.
pub(super) type Applied = BTreeMap<(usize, i32), i64>;

/// How many states of a row are taken, given its part and its key.
type Upto<'a> = &'a (dyn Fn(usize, &Key<'static>, &Past) -> usize + Sync);

/// The keys of some rows of the sources, by part.
type Mine = [BTreeSet<Key<'static>>];

/// Runs the query of a view over rows that are given to it.
pub(super) struct Deriving<'a> {
    pub(super) systems: &'a Systems,
    pub(super) view: &'a View,
    pub(super) sources: &'a Sources,
}

/// An older state of the source rows that makes the row which the read store shows.
struct Shows {
    part: usize,
    key: Key<'static>,
    /// So many of that row's events.
    events: usize,
}

impl Deriving<'_> {
    /// Whether the query can be run like that at all.
    pub(super) async fn probe(&self) -> Result<()> {
        let none: Vec<Vec<&Row<'static>>> = vec![Vec::new(); self.sources.parts.len()];
        let comparison = self.comparison(&none)?;
        let mut stream = comparison.expected_rows().await?;
        comparison.next_expected(&mut stream).await.map(drop)
    }

    fn comparison(&self, rows: &[Vec<&Row<'static>>]) -> Result<Comparison<'_>> {
        let Origin::Query { query, .. } = &self.view.origin else {
            return Err(Bug("a copy was to be derived".to_owned()).into());
        };
        let primary = &self.systems.primary;
        let mut with = Vec::new();
        for (part, rows) in self.sources.parts.iter().zip(rows) {
            let given = primary.given(&part.view.table, rows)?;
            with.push(format!("{} AS ({given})", quoted(&part.view.name)));
        }
        let text = format!("WITH {}\n{}", with.join(",\n"), query.over(quoted));
        let name = self.view.name.clone();
        let relation = Relation::Query { name, text };
        Ok(Comparison::new(self.systems, self.view).with_origin(primary, relation))
    }

    /// The rows of the view that these states of its source rows make, of these keys.
    async fn derive(
        &self,
        gathered: &Gathered,
        mine: &Mine,
        upto: Upto<'_>,
        keys: &[Key<'static>],
    ) -> Result<BTreeMap<Key<'static>, Row<'static>>> {
        let chosen = |(part, keys): (usize, &BTreeSet<Key<'static>>)| {
            let pasts = &gathered.rows[part].pasts;
            let row = |key: &Key<'static>| {
                let (key, past) = pasts.get_key_value(key)?;
                past.at(upto(part, key, past))
            };
            keys.iter().filter_map(row).collect::<Vec<_>>()
        };
        let rows: Vec<Vec<&Row<'static>>> = mine.iter().enumerate().map(chosen).collect();
        let comparison = self.comparison(&rows)?;
        let rows = comparison.expected_of(keys).await?;
        let keyed = rows
            .into_iter()
            .map(|row| (key_of(&row, comparison.key()), row));
        Ok(keyed.collect())
    }

    /// Why these keys differ, or would after a replay; of those of which there is something to say.
    pub(super) async fn judge(
        &self,
        gathered: &Gathered,
        suspects: Vec<Suspect>,
        (rules, applied, captured): (&[Rule], &Applied, bool),
    ) -> Result<Vec<Traced>> {
        let mut judged = Vec::new();
        let mut mine = gathered.mine.iter();
        let mut suspects = suspects.into_iter().peekable();
        while suspects.peek().is_some() {
            let some: Vec<Suspect> = suspects.by_ref().take(limits::LOOKUP_KEYS).collect();
            let mine: Vec<&Vec<BTreeSet<Key<'static>>>> = mine.by_ref().take(some.len()).collect();
            let mut all = vec![BTreeSet::new(); self.sources.parts.len()];
            for (all, part) in all.iter_mut().zip(0..) {
                all.extend(mine.iter().flat_map(|m| m[part].iter().cloned()));
            }
            let mut keys: Vec<Key<'static>> = some.iter().map(|s| s.key.clone()).collect();
            keys.sort();
            let newest = |_: usize, _: &Key<'static>, past: &Past| past.states.len();
            let mut log = self.derive(gathered, &all, &newest, &keys).await?;
            for (suspect, mine) in some.into_iter().zip(mine) {
                let judging = Judging {
                    deriving: self,
                    gathered,
                    mine,
                    rules,
                    log: log.remove(&suspect.key),
                    extent: self.sources.extent(),
                };
                judged.extend(judging.judge(suspect, applied, captured).await?);
            }
        }
        Ok(judged)
    }
}

/// What one key is judged by.
struct Judging<'a> {
    deriving: &'a Deriving<'a>,
    gathered: &'a Gathered,
    mine: &'a Mine,
    rules: &'a [Rule],
    /// The row that the newest source rows of the log make.
    log: Option<Row<'static>>,
    extent: Extent,
}

impl<'a> Judging<'a> {
    /// The source rows, each with its part.
    fn pasts(&self) -> impl Iterator<Item = (usize, &'a Key<'static>, &'a Past)> {
        let (mine, rows) = (self.mine, &self.gathered.rows);
        let parts = mine.iter().enumerate();
        parts.flat_map(move |(part, keys)| {
            let past = move |key| {
                let (key, past) = rows[part].pasts.get_key_value(key)?;
                Some((part, key, past))
            };
            keys.iter().filter_map(past)
        })
    }

    /// Why the log does not say what the row is.
    fn unknown(&self) -> Option<&'static str> {
        let lost = |(part, key, past): (usize, &Key<'static>, &Past)| {
            let missing = past.states.is_empty() && self.gathered.rows[part].now.contains_key(key);
            let gone = (missing && self.extent != Extent::Whole)
                .then_some("a row that it is made of is not in what is left of the log");
            past.unknown.or(gone)
        };
        self.pasts().find_map(lost)
    }

    fn same(&self, one: Option<&Row<'static>>, other: Option<&Row<'static>>) -> bool {
        agree(self.rules, one, other)
    }

    async fn judge(
        self,
        suspect: Suspect,
        applied: &Applied,
        captured: bool,
    ) -> Result<Option<Traced>> {
        let events = self
            .pasts()
            .map(|(_, _, past)| past.states.len() as u64)
            .sum();
        let newest = self.pasts().filter_map(|(_, _, past)| past.states.last());
        let newest = newest.map(|s| s.event).max_by_key(|e| e.version);
        let mut traced = Traced {
            cause: Cause::Unexplained,
            log: match (self.unknown(), &self.log) {
                (Some(why), _) => Said::Unknown(why),
                (None, Some(row)) => Said::Row(row.clone()),
                (None, None) => Said::Gone,
            },
            newest,
            shown: None,
            missed: None,
            events,
            by: None,
            suspect,
        };
        if self.decide(&mut traced, applied, captured).await? {
            return Ok(Some(traced));
        }
        Ok(None)
    }

    /// The first cause that fits, as DESIGN has them; not even one when primary, read store and log agree.
    async fn decide(&self, traced: &mut Traced, applied: &Applied, captured: bool) -> Result<bool> {
        let Suspect {
            primary, stored, ..
        } = &traced.suspect;
        let (primary, stored) = (primary.as_ref(), stored.as_ref());
        let known = !matches!(traced.log, Said::Unknown(_));
        let log = self.log.as_ref();
        let (says_primary, says_stored) = (self.same(log, primary), self.same(log, stored));
        if self.same(primary, stored) {
            traced.cause = Cause::LogIncomplete;
            traced.by = self.unlike();
            return Ok(known && !says_primary);
        }
        if let Some(event) = self.coming(&traced.suspect.key, applied).await? {
            (traced.cause, traced.missed) = (Cause::Lagging, Some(event));
            return Ok(true);
        }
        match (known, says_primary, says_stored) {
            (true, true, false) => {
                let shows = self.shows(&traced.suspect.key, stored).await?;
                self.not_newest(traced, shows);
            }
            (true, false, true) if captured => {
                traced.cause = Cause::LostEvent;
                traced.by = self.unlike();
            }
            _ => {}
        }
        Ok(true)
    }

    /// A source row that the primary has otherwise than the log.
    fn unlike(&self) -> Option<(usize, Key<'static>)> {
        let is = |(part, key, past): &(usize, &Key<'static>, &Past)| {
            past.at(past.states.len()) != self.gathered.rows[*part].now.get(key)
        };
        let (part, key, _) = self.pasts().find(is)?;
        Some((self.deriving.sources.parts[part].place, key.clone()))
    }

    async fn row(&self, key: &Key<'static>, upto: Upto<'_>) -> Result<Option<Row<'static>>> {
        let keys = std::slice::from_ref(key);
        let deriving = self.deriving.derive(self.gathered, self.mine, upto, keys);
        Ok(deriving.await?.remove(key))
    }

    /// The first event that the projector has not come to, where those make the row another one.
    async fn coming(&self, key: &Key<'static>, applied: &Applied) -> Result<Option<Event>> {
        let ahead = |event: &Event| {
            let (partition, offset) = event.place();
            let next = applied.get(&(event.source, partition));
            next.is_some_and(|next| offset >= *next)
        };
        let events = self.pasts().flat_map(|(_, _, past)| &past.states);
        let coming = events
            .map(|s| s.event)
            .filter(ahead)
            .min_by_key(|e| e.version);
        let Some(event) = coming else { return Ok(None) };
        let upto = |_: usize, _: &Key<'static>, past: &Past| {
            past.states.iter().take_while(|s| !ahead(&s.event)).count()
        };
        let before = self.row(key, &upto).await?;
        Ok((!self.same(before.as_ref(), self.log.as_ref())).then_some(event))
    }

    /// The state of the source rows that makes the row which the read store shows: one row as it was before, or all of them as
    /// they were at one time.
    async fn shows(
        &self,
        view_key: &Key<'static>,
        stored: Option<&Row<'static>>,
    ) -> Result<Option<Shows>> {
        let mut left = limits::EXPLAIN_STATES;
        for (part, key, past) in self.pasts() {
            for events in (0..past.states.len()).rev() {
                // There was no row before its first event. One that had several was there, and nothing has deleted it; nor
                // would a row that other rows need, too.
                let never_was =
                    past.states.len() > 1 || !self.deriving.sources.parts[part].is_keyed();
                let never_was = stored.is_none() && events == 0 && never_was;
                if never_was || past.at(events) == past.at(past.states.len()) {
                    continue;
                }
                if left == 0 {
                    return Ok(None);
                }
                left -= 1;
                let upto = |p: usize, k: &Key<'static>, past: &Past| {
                    let is_it = p == part && k == key;
                    if is_it { events } else { past.states.len() }
                };
                let row = self.row(view_key, &upto).await?;
                if self.same(row.as_ref(), stored) {
                    let key = key.clone();
                    return Ok(Some(Shows { part, key, events }));
                }
            }
        }
        if stored.is_none() {
            return Ok(None);
        }
        self.shows_time(view_key, stored, left).await
    }

    async fn shows_time(
        &self,
        view_key: &Key<'static>,
        stored: Option<&Row<'static>>,
        left: usize,
    ) -> Result<Option<Shows>> {
        let all = self.pasts().flat_map(|(_, _, past)| &past.states);
        let versions: BTreeSet<Version> = all.map(|s| s.event.version).collect();
        for version in versions.iter().rev().skip(1).take(left) {
            let count = |past: &Past| {
                let until = past.states.iter();
                until.take_while(|s| s.event.version <= *version).count()
            };
            let upto = |_: usize, _: &Key<'static>, past: &Past| count(past);
            let row = self.row(view_key, &upto).await?;
            if self.same(row.as_ref(), stored) {
                let missed = self.pasts().filter_map(|(part, key, past)| {
                    let first = past.states.get(count(past))?;
                    Some((first.event.version, part, key, count(past)))
                });
                let first = missed.min_by_key(|(version, ..)| *version);
                return Ok(first.map(|(_, part, key, events)| {
                    let key = key.clone();
                    Shows { part, key, events }
                }));
            }
        }
        Ok(None)
    }

    /// The log agrees with the primary: what is it that the read store shows?
    fn not_newest(&self, traced: &mut Traced, shows: Option<Shows>) {
        let Some(Shows { part, key, events }) = shows else {
            traced.cause = match self.extent {
                Extent::Whole => Cause::OffHistory,
                Extent::Compacted | Extent::Cut => Cause::NotNewest,
            };
            return;
        };
        let states = &self.gathered.rows[part].pasts[&key].states;
        let event = |at: usize| states.get(at).map(|s| s.event);
        let newest = states.last().map(|s| s.event);
        traced.shown = events.checked_sub(1).and_then(event);
        traced.missed = event(events);
        traced.newest = newest;
        traced.by = Some((self.deriving.sources.parts[part].place, key));
        let overtaken = newest
            .zip(traced.shown)
            .is_some_and(|(newest, shown)| newest.may_come_before(&shown));
        traced.cause = match traced.log {
            Said::Gone => Cause::Resurrected,
            _ if overtaken => Cause::TimeTravel,
            _ => Cause::Skipped,
        };
    }
}
