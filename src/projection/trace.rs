//! The second oracle: what the log says of some keys, and where in it the row is that the read store shows. One pass over the
//! log, in memory that goes by the number of keys and not of events.

use std::collections::BTreeMap;

use super::cast::CastError;
use super::cause::{Cause, Extent};
use super::cell::{Cell, Row};
use super::change::{Change, Key, Op};
use super::decode::{AnyDecoder, DecodeError};
use super::fold::{Fold, Verdict};
use super::mapping::{Bookkeeping, Expected, Mapping};
use super::record::Record;
use super::rule::Rule;
use super::start::Start;
use super::version::{Order, Version};

/// Events of a key, behind the one that the read store shows, that are remembered; the middle ones go first.
const EVENTS_KEPT: usize = 32;

/// A key to be explained, and its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    /// Which row.
    pub key: Key<'static>,
    /// What the primary says.
    pub primary: Option<Row<'static>>,
    /// What the read store shows.
    pub stored: Option<Row<'static>>,
}

impl Suspect {
    /// Whether both sides say the same.
    #[must_use]
    pub fn is_equal(&self, rules: &[Rule]) -> bool {
        agree(rules, self.primary.as_ref(), self.stored.as_ref())
    }
}

/// What the log says that a row is now.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// This; cells of which it says nothing are `Unchanged`.
    Row(Row<'static>),
    /// No row.
    Gone,
    /// It does not say, and why.
    Unknown(&'static str),
}

/// An event of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The place of its source among the view's.
    pub source: usize,
    /// How new, and where it stands.
    pub version: Version,
    /// Whether it says that the row is gone.
    pub deletes: bool,
}

impl Event {
    /// When the source says that it was, in milliseconds since 1970.
    #[must_use]
    pub fn clock(&self) -> Option<i64> {
        self.version.clock
    }

    /// Its partition and offset.
    #[must_use]
    pub fn place(&self) -> (i32, i64) {
        (self.version.place(), self.version.offset)
    }

    /// Whether nothing makes a consumer see this one before the other, or it even stands before it.
    #[must_use]
    pub fn may_come_before(&self, other: &Event) -> bool {
        let ((here, at), (there, then)) = (self.place(), other.place());
        here != there || at < then
    }
}

/// Why a key differs, and what says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Traced {
    /// The key and its rows.
    pub suspect: Suspect,
    /// Why.
    pub cause: Cause,
    /// What the log says that the row is.
    pub log: Said,
    /// Its newest event.
    pub newest: Option<Event>,
    /// The event that made the row which the read store shows.
    pub shown: Option<Event>,
    /// The first event that the read store does not show.
    pub missed: Option<Event>,
    /// Events of the key, those before the row was made anew among them.
    pub events: u64,
    /// The source row that decides, where the row is made of several: the place of its source among the view's, and its key.
    pub by: Option<(usize, Key<'static>)>,
}

/// Why a record ends a pass.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A value does not fit the view.
    #[error(transparent)]
    Cast(#[from] CastError),
}

/// What goes through a log to learn something of rows.
pub trait Follow {
    /// Takes the next record.
    ///
    /// # Errors
    /// When it cannot be read.
    fn record(&mut self, record: &Record<'_>) -> Result<(), TraceError>;
}

/// What is known of one key so far.
#[derive(Debug)]
struct Trace {
    suspect: Suspect,
    shown: Option<Event>,
    /// Events newer than the one shown, oldest first.
    after: Vec<Event>,
    newest: Option<Event>,
    events: u64,
    undecided: bool,
}

impl Trace {
    fn new(suspect: Suspect) -> Trace {
        Trace {
            suspect,
            shown: None,
            after: Vec::new(),
            newest: None,
            events: 0,
            undecided: false,
        }
    }

    /// An event that is the newest so far, and whether the row is then what the read store shows.
    fn newest(&mut self, event: Event, is_shown: bool) {
        self.events += 1;
        self.newest = Some(event);
        if is_shown {
            self.shown = Some(event);
            self.after.clear();
            return;
        }
        self.after.push(event);
        if self.after.len() > EVENTS_KEPT {
            self.after.remove(EVENTS_KEPT / 2);
        }
    }

    /// An event that came later than a newer one.
    fn older(&mut self, event: Event, is_shown: bool) {
        self.events += 1;
        if self.shown.is_some_and(|s| s.version >= event.version) {
            return;
        }
        let at = self.after.partition_point(|e| e.version < event.version);
        if is_shown {
            self.shown = Some(event);
            self.after.drain(..at);
        } else if self.after.len() < EVENTS_KEPT {
            self.after.insert(at, event);
        }
    }
}

/// Follows some keys through the log.
#[derive(Debug)]
pub struct Traces {
    decoder: AnyDecoder,
    mapping: Mapping,
    start: Option<Start>,
    fold: Fold,
    rules: Vec<Rule>,
    /// The place in a row of the log of each compared column.
    pick: Vec<usize>,
    keys: BTreeMap<Key<'static>, Trace>,
    truncate: Option<Event>,
}

impl Follow for Traces {
    fn record(&mut self, record: &Record<'_>) -> Result<(), TraceError> {
        let mut changes = Vec::with_capacity(1);
        self.decoder.decode(record, &mut changes)?;
        changes
            .into_iter()
            .try_for_each(|change| self.change(change))
    }
}

impl Traces {
    /// Follows these keys. `compared` are the columns of their rows, by name; each is one of the mapping's.
    #[must_use]
    pub fn new(
        (decoder, order, start): (AnyDecoder, Order, Option<Start>),
        mapping: Mapping,
        (compared, rules): (&[String], Vec<Rule>),
        suspects: Vec<Suspect>,
    ) -> Traces {
        let at = |name: &String| {
            let columns = &mapping.columns;
            columns.iter().position(|t| t.column.name == *name)
        };
        Traces {
            decoder,
            fold: Fold::new(order).beginning(start.clone()),
            start,
            rules,
            pick: compared.iter().filter_map(at).collect(),
            mapping,
            keys: suspects
                .into_iter()
                .map(|s| (s.key.clone(), Trace::new(s)))
                .collect(),
            truncate: None,
        }
    }

    fn change(&mut self, change: Change<'_>) -> Result<(), TraceError> {
        let (version, deletes) = (change.version, matches!(change.op, Op::Delete));
        if let Op::Truncate = change.op {
            self.truncate(change.into_owned());
            return Ok(());
        }
        let key = self.mapping.key(change.key)?;
        let Some((key, _)) = self.keys.get_key_value(&key) else {
            return Ok(());
        };
        let key = key.clone();
        let op = match change.op {
            Op::Put(source) => match self.mapping.expected(source, &Bookkeeping::of(&version))? {
                Expected::Row(row) => Op::Put(row),
                Expected::Filtered => Op::Delete,
                Expected::Unknown => Op::Lost,
            },
            other => other,
        };
        let change = Change { key, version, op }.into_owned();
        self.follow(change, deletes);
        Ok(())
    }

    fn follow(&mut self, change: Change<'static>, deletes: bool) {
        let event = Event {
            source: 0,
            version: change.version,
            deletes,
        };
        let (key, op) = (change.key.clone(), change.op.clone());
        let verdict = self.fold.apply(change);
        let now = match verdict {
            Verdict::Put | Verdict::Deleted => self.said(&key),
            // An event that is not the newest says what it says of itself.
            _ => match op {
                Op::Put(row) if self.start.is_none() => Said::Row(self.picked(&row)),
                Op::Delete => Said::Gone,
                _ => Said::Unknown(""),
            },
        };
        let Some(trace) = self.keys.get_mut(&key) else {
            return;
        };
        let fits = fits(&self.rules, &now, trace.suspect.stored.as_ref());
        // An event that does not tell all of a row may be the one shown.
        let is_shown = fits != Some(false) && !matches!(now, Said::Unknown(_));
        match verdict {
            Verdict::Put | Verdict::Deleted => trace.newest(event, is_shown),
            Verdict::Stale => trace.older(event, is_shown),
            Verdict::Conflict(_) => trace.undecided = true,
            Verdict::Duplicate | Verdict::Truncated => {}
        }
    }

    fn truncate(&mut self, change: Change<'static>) {
        let event = Event {
            source: 0,
            version: change.version,
            deletes: true,
        };
        if self.fold.apply(change) != Verdict::Truncated {
            return;
        }
        self.truncate = Some(event);
        for trace in self.keys.values_mut() {
            if trace.newest.is_some_and(|n| n.version < event.version) {
                let is_shown = trace.suspect.stored.is_none();
                trace.newest(event, is_shown);
            }
        }
    }

    fn picked(&self, row: &Row<'static>) -> Row<'static> {
        let cell = |at: &usize| row.get(*at).cloned().unwrap_or(Cell::Unchanged);
        self.pick.iter().map(cell).collect()
    }

    /// What the log has said of a key so far.
    fn said(&self, key: &Key<'static>) -> Said {
        match self.fold.row(key) {
            None => Said::Unknown("it says nothing of the key"),
            Some(None) => Said::Gone,
            Some(Some(row)) if row.is_empty() => {
                Said::Unknown("its newest event does not say whether the row is in the view")
            }
            Some(Some(row)) => match &self.start {
                None => Said::Row(self.picked(row)),
                Some(start) => match start.whole(row.clone()) {
                    Ok(row) => Said::Row(self.picked(&row)),
                    Err(_) => Said::Unknown("its events do not make a row that the table takes"),
                },
            },
        }
    }

    /// Why each key differs, or would after a replay. `applied` is the next offset that the projector applies, by partition,
    /// as far as it is known; `captured` says whether the log is known to have what the primary said. Keys of which there is
    /// nothing to say, because all agree, are left out.
    #[must_use]
    pub fn judge(
        mut self,
        extent: Extent,
        applied: &BTreeMap<i32, i64>,
        captured: bool,
    ) -> Vec<Traced> {
        let keys = std::mem::take(&mut self.keys);
        let judged = keys.into_iter().filter_map(|(key, trace)| {
            let log = self.now(&key, &trace, extent);
            let newest = trace.newest.or(self.truncate);
            let judging = Judging {
                rules: &self.rules,
                trace: &trace,
                log: &log,
                newest,
                extent,
                captured,
            };
            let cause = judging.cause(applied)?;
            Some(Traced {
                cause,
                log,
                newest,
                shown: trace.shown,
                missed: trace.after.first().copied(),
                events: trace.events,
                by: None,
                suspect: trace.suspect,
            })
        });
        judged.collect()
    }

    fn now(&self, key: &Key<'static>, trace: &Trace, extent: Extent) -> Said {
        if trace.undecided {
            return Said::Unknown("its events are in two partitions, and nothing orders them");
        }
        match (self.fold.row(key), extent) {
            // A truncate takes what was before it out of the fold.
            (None, _) if trace.newest.is_some() => Said::Gone,
            (None, Extent::Whole) => Said::Gone,
            (None, Extent::Compacted | Extent::Cut) => {
                Said::Unknown("it is not in what is left of the log")
            }
            _ => self.said(key),
        }
    }
}

/// What one key is judged by.
struct Judging<'a> {
    rules: &'a [Rule],
    trace: &'a Trace,
    log: &'a Said,
    newest: Option<Event>,
    extent: Extent,
    captured: bool,
}

impl Judging<'_> {
    /// The first that fits, as DESIGN has them; `None` when primary, read store and log agree.
    fn cause(&self, applied: &BTreeMap<i32, i64>) -> Option<Cause> {
        let Suspect {
            primary, stored, ..
        } = &self.trace.suspect;
        let equal = self.trace.suspect.is_equal(self.rules);
        let has = |row: &Option<Row<'static>>| fits(self.rules, self.log, row.as_ref());
        let (says_primary, says_stored) = (has(primary), has(stored));
        if equal {
            return (says_primary == Some(false)).then_some(Cause::LogIncomplete);
        }
        let is_ahead = |event: Event| {
            let (partition, offset) = event.place();
            applied.get(&partition).is_some_and(|next| offset >= *next)
        };
        if self.newest.is_some_and(is_ahead) {
            return Some(Cause::Lagging);
        }
        Some(match (says_primary, says_stored) {
            (Some(true), Some(false)) => self.not_newest(),
            (Some(false), Some(true)) if self.captured => Cause::LostEvent,
            // A log that does not tell all of a row says nothing that speaks against either.
            _ => Cause::Unexplained,
        })
    }

    /// The log agrees with the primary: what is it that the read store shows?
    fn not_newest(&self) -> Cause {
        let stored = &self.trace.suspect.stored;
        let Some(newest) = self.newest else {
            // Nothing was ever said of the key, and a row is there.
            return Cause::OffHistory;
        };
        if *self.log == Said::Gone && self.trace.shown.is_some() {
            return Cause::Resurrected;
        }
        match self.trace.shown {
            Some(shown) if newest.may_come_before(&shown) => Cause::TimeTravel,
            Some(_) => Cause::Skipped,
            // There was no row before its first event. One that had several was there, and nothing has deleted it.
            None if stored.is_none() && self.trace.events == 1 && self.is_whole() => Cause::Skipped,
            None if self.is_whole() => Cause::OffHistory,
            None => Cause::NotNewest,
        }
    }

    fn is_whole(&self) -> bool {
        self.extent == Extent::Whole
    }
}

/// Whether the log says this of a row; `None` when it does not say.
fn fits(rules: &[Rule], said: &Said, row: Option<&Row<'static>>) -> Option<bool> {
    match (said, row) {
        (Said::Unknown(_), _) => None,
        (Said::Gone, row) => Some(row.is_none()),
        (Said::Row(_), None) => Some(false),
        (Said::Row(said), Some(row)) => {
            let known = |(said, _): &(&Cell<'_>, &Cell<'_>)| **said != Cell::Unchanged;
            let pairs = || said.iter().zip(row).zip(0..);
            let same = |((said, row), at): ((&Cell<'_>, &Cell<'_>), usize)| {
                *said == Cell::Unchanged || rule(rules, at).equal(said, row)
            };
            if !pairs().all(same) {
                return Some(false);
            }
            pairs().all(|(pair, _)| known(&pair)).then_some(true)
        }
    }
}

fn rule(rules: &[Rule], at: usize) -> &Rule {
    const EXACT: &Rule = &Rule::Exact;
    rules.get(at).unwrap_or(EXACT)
}

/// Whether two rows are the same by the rules of their columns.
#[must_use]
pub fn agree(rules: &[Rule], one: Option<&Row<'_>>, other: Option<&Row<'_>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            let same = |((a, b), at): ((&Cell<'_>, &Cell<'_>), usize)| rule(rules, at).equal(a, b);
            one.len() == other.len() && one.iter().zip(other).zip(0..).all(same)
        }
        _ => false,
    }
}
