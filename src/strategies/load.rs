//! The one loop over the log: record, change, row, bulk form, on the thread that reads; batches cross one bounded channel to
//! the task that writes. A state read out of another shadow goes the same way.

mod bad;
mod keys;
mod measure;
mod pipe;

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use self::bad::Bad;
use self::keys::KeySet;
use self::pipe::{Loaded, Pass, Pipe, written};
use crate::projection::cast::CastError;
use crate::projection::cell::{Cell, Row};
use crate::projection::change::{Change, Op};
use crate::projection::counts::Counts;
use crate::projection::decode::{AnyDecoder, Decoded};
use crate::projection::fold::Verdict;
use crate::projection::mapping::{Bookkeeping, Expected, Mapping};
use crate::projection::record::Record;
use crate::projection::seen::Seen;
use crate::projection::start::Start;
use crate::projection::version::Version;
use crate::report::progress::Counter;
use crate::report::progress::Progress;
use crate::store::{Encoder, Mark, NextOffset, Origin, Shadow, StateBatch, Store, WritePermit};
use crate::strategies::pace::Pace;
use crate::stream::{Log, Range, ReadError};

pub use self::bad::OnBad;
pub use self::measure::{Measured, measure, measure_state};

/// Turns records into batches. It lives through all rounds of a load.
pub struct Loader {
    decoder: AnyDecoder,
    mapping: Mapping,
    /// Where rows of domain events begin.
    start: Option<Start>,
    seen: KeySet,
    encoder: Box<dyn Encoder>,
    arrival: u64,
    next: Vec<NextOffset>,
    /// Which of `next` was advanced last.
    latest: usize,
    /// Whether what the shadow begins with is in it whole.
    begun: bool,
    /// Why a truncate cannot be taken here, where it cannot.
    truncates_not: Option<&'static str>,
    /// A row of which nothing is known, not even as old as its key.
    lost: Row<'static>,
    /// Records that could not be applied.
    bad: Bad,
    /// What became of the records; changes of keys that may occur twice are counted when they are settled.
    pub counts: Counts,
}

/// What a loader has to know beside the offsets to go on where another one stopped.
#[derive(Serialize, Deserialize)]
struct Memo {
    /// Whether what the shadow began with is in it whole.
    begun: bool,
    next: Vec<(String, i32, i64)>,
    arrival: u64,
    seen: Seen,
    counts: Counts,
}

impl Loader {
    /// A loader for one view, whose set of keys takes so many bytes at most.
    #[must_use]
    pub fn new(
        decoder: AnyDecoder,
        mapping: Mapping,
        encoder: Box<dyn Encoder>,
        key_bytes_max: usize,
    ) -> Loader {
        Loader {
            lost: vec![Cell::Unchanged; mapping.columns.len()],
            truncates_not: None,
            bad: Bad::default(),
            decoder,
            mapping,
            start: None,
            seen: KeySet::new(key_bytes_max),
            encoder,
            arrival: 0,
            next: Vec::new(),
            latest: 0,
            begun: true,
            counts: Counts::default(),
        }
    }

    /// Stops at a truncate, for this reason.
    #[must_use]
    pub fn without_truncates(mut self, why: Option<&'static str>) -> Loader {
        self.truncates_not = why;
        self
    }

    /// The newest truncate: whatever the shadow has of an older version is gone.
    #[must_use]
    pub fn truncated(&self) -> Option<Version> {
        self.decoder.truncated()
    }

    /// Loads domain events: a row begins there.
    #[must_use]
    pub fn beginning(mut self, start: Option<Start>) -> Loader {
        self.start = start;
        self
    }

    /// Goes on where the loader stopped that left this memo; `None` when there is nothing to go on with. Which keys it had seen
    /// is not known any more: every key may have been, and the database finds those that were.
    ///
    /// # Errors
    /// For a memo that trueup did not write.
    pub fn go_on(mut self, memo: &str) -> Result<Option<Loader>> {
        let memo: Memo =
            serde_json::from_str(memo).context("what the run remembers of its load")?;
        if !memo.begun {
            return Ok(None);
        }
        let next = |(topic, partition, offset)| NextOffset {
            topic,
            partition,
            offset,
        };
        self.decoder = self.decoder.after(&memo.seen);
        self.next = memo.next.into_iter().map(next).collect();
        self.arrival = memo.arrival;
        self.counts = memo.counts;
        self.seen.full = true;
        Ok(Some(self))
    }

    fn memo(&self) -> Memo {
        let next = |n: &NextOffset| (n.topic.clone(), n.partition, n.offset);
        Memo {
            begun: self.begun,
            next: self.next.iter().map(next).collect(),
            arrival: self.arrival,
            seen: self.decoder.seen(),
            counts: self.counts.clone(),
        }
    }

    fn record(&mut self, record: &Record<'_>) -> Result<()> {
        self.counts.read += 1;
        let mut changes = Vec::with_capacity(1);
        match self.decoder.decode(record, &mut changes) {
            Ok(Decoded::Changes(_)) => {}
            Ok(Decoded::Ignored(kind)) => self.counts.ignored(kind),
            Err(problem) if problem.of_the_log => return Err(problem.into()),
            Err(problem) => self.set_aside(record, problem.into())?,
        }
        for change in changes {
            if let Err(problem) = self.change(change) {
                let problem = problem.context(format!("record {}", record.at));
                if !problem.is::<CastError>() {
                    return Err(problem);
                }
                self.set_aside(record, problem)?;
            }
        }
        self.advance(record);
        Ok(())
    }

    fn change(&mut self, change: Change<'_>) -> Result<()> {
        let truncated = self.decoder.truncated();
        if let Op::Truncate = change.op {
            if let Some(why) = self.truncates_not {
                return Err(
                    super::Refused::because(format!("it truncates the table, and {why}")).into(),
                );
            }
            self.counts.verdict(if truncated == Some(change.version) {
                Verdict::Truncated
            } else {
                Verdict::Stale
            });
            return Ok(());
        }
        if truncated.is_some_and(|at| change.version < at) {
            self.counts.verdict(Verdict::Stale);
            return Ok(());
        }
        if self.is_blocked(&change)? {
            return Ok(());
        }
        let origin = Origin {
            version: change.version,
            arrival: self.arrival,
        };
        self.arrival += 1;
        let expected = match change.op {
            Op::Put(source) => self
                .mapping
                .expected(source, &Bookkeeping::of(&change.version))?,
            Op::Lost => Expected::Unknown,
            _ => Expected::Filtered,
        };
        if let Expected::Row(row) = &expected {
            let first = self
                .seen
                .is_first(self.mapping.key.iter().map(|at| &row[*at]));
            if let (true, Some(row)) = (first, self.whole(row)) {
                self.encoder.first(&row, &origin);
                self.counts.put += 1;
                return Ok(());
            }
        }
        let key = self.mapping.key(change.key)?;
        match expected {
            Expected::Row(row) => self.encoder.again(&key, Some(&row), &origin),
            Expected::Filtered => {
                self.seen.is_first(key.0.iter());
                self.encoder.again(&key, None, &origin);
            }
            Expected::Unknown => {
                self.seen.is_first(key.0.iter());
                self.encoder.again(&key, Some(&self.lost), &origin);
            }
        }
        Ok(())
    }

    /// The first row of its key, where nothing is missing from it. An event that leaves something missing may be followed by
    /// one that says it.
    fn whole<'r, 'c>(&self, row: &'r Row<'c>) -> Option<Cow<'r, Row<'c>>> {
        match &self.start {
            Some(start) => {
                let begun = start.after(None, row.clone());
                start.whole(begun).ok().map(Cow::Owned)
            }
            None => (!row.contains(&Cell::Unchanged)).then_some(Cow::Borrowed(row)),
        }
    }

    /// Takes a part of the state that another shadow was in. All of it comes before the first record, and none of it is
    /// counted: no record brought it.
    pub fn restore(&mut self, batch: StateBatch) {
        match batch {
            StateBatch::Rows(rows) => {
                for (row, version) in rows {
                    self.seen
                        .is_first(self.mapping.key.iter().map(|at| &row[*at]));
                    // A row of the shadow has no place among the later changes.
                    let origin = Origin {
                        version,
                        arrival: 0,
                    };
                    self.encoder.first(&row, &origin);
                }
            }
            StateBatch::Gone(keys) => {
                for (key, version) in keys {
                    self.seen.is_first(key.0.iter());
                    self.encoder.gone(&key, &version);
                }
            }
        }
    }

    /// From now on every change counts as one of a key that may have been seen before: each goes by what was there, and the
    /// keys seen are no longer kept.
    pub fn again_only(&mut self) {
        self.seen = KeySet::of_everything();
    }

    fn advance(&mut self, record: &Record<'_>) {
        let at = record.at;
        let is = |n: &NextOffset| n.partition == at.partition && n.topic == at.topic;
        // Records come in runs of one partition.
        if !self.next.get(self.latest).is_some_and(is) {
            self.latest = self.next.iter().position(is).unwrap_or(self.next.len());
        }
        match self.next.get_mut(self.latest) {
            Some(next) => next.offset = at.offset + 1,
            None => self.next.push(NextOffset {
                topic: at.topic.to_owned(),
                partition: at.partition,
                offset: at.offset + 1,
            }),
        }
    }

    fn take(&mut self) -> Loaded {
        let mark = Mark {
            next: self.next.clone(),
            memo: serde_json::json!(self.memo()).to_string(),
            quarantined: self.bad.take(),
        };
        Loaded {
            batch: self.encoder.take(),
            mark,
        }
    }
}

/// Reads the ranges into the shadow. Returns the loader for the next round, and whether the operator stopped it.
///
/// # Errors
/// The first error of the log, the engine or the store; what was appended before stays in the shadow.
pub async fn load(
    (log, pace): (Arc<Log>, Arc<Pace>),
    ranges: Vec<Range>,
    loader: Loader,
    store: &Store,
    shadow: &Shadow,
    permit: &WritePermit,
    progress: &Progress,
    stop: Arc<AtomicBool>,
) -> Result<(Loader, bool)> {
    let counter = progress.counter();
    let fill = move |pipe: &Pipe| {
        let read = read((&log, &pace), &ranges, loader, pipe, &counter, &stop);
        pace.read_to_the_end();
        read
    };
    written(store, shadow, permit, fill).await
}

/// Puts a state that [`crate::store::Acts::state`] gave into an empty shadow: it is then as that one was, and so is what the loader knows
/// of keys. `next` is where the log goes on, recorded with the last batch. Returns the loader for the next round, and
/// whether the operator stopped it; then `next` is not recorded.
///
/// # Errors
/// The first error of `batches` or the store; what was appended before stays in the shadow.
pub async fn restore(
    (batches, pace): (
        impl Iterator<Item = Result<StateBatch>> + Send + 'static,
        Arc<Pace>,
    ),
    next: Vec<NextOffset>,
    loader: Loader,
    store: &Store,
    shadow: &Shadow,
    permit: &WritePermit,
    progress: &Progress,
    stop: Arc<AtomicBool>,
) -> Result<(Loader, bool)> {
    let counter = progress.counter();
    let fill = move |pipe: &Pipe| put_back((batches, &pace), next, loader, pipe, &counter, &stop);
    written(store, shadow, permit, fill).await
}

fn read(
    (log, pace): (&Log, &Pace),
    ranges: &[Range],
    mut loader: Loader,
    pipe: &Pipe,
    counter: &Counter,
    stop: &AtomicBool,
) -> Result<Pass> {
    let over = || stop.load(Ordering::Relaxed) || pipe.quit.load(Ordering::Relaxed);
    let (grain, mut due) = (pace.grain(), 0);
    let mut reading = pace.reads(ranges);
    let outcome = log.read(ranges, stop, |record| -> Result<ControlFlow<()>> {
        due += 1;
        if due >= grain {
            pace.take_blocking(due, &over);
            due = 0;
        }
        reading.took(record);
        loader.record(record)?;
        counter.add(1);
        Ok(if pipe.flow(&mut loader) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        })
    });
    let outcome = outcome.map_err(|e| match e {
        ReadError::Stream(e) => anyhow::Error::new(e),
        ReadError::Sink(e) => e,
    })?;
    for (topic, partition, offset) in &outcome.next {
        match loader
            .next
            .iter_mut()
            .find(|n| n.partition == *partition && n.topic == **topic)
        {
            Some(next) => next.offset = *offset,
            None => loader.next.push(NextOffset {
                topic: topic.to_string(),
                partition: *partition,
                offset: *offset,
            }),
        }
    }
    pipe.end(&mut loader);
    Ok(Pass {
        loader,
        stopped: outcome.stopped,
    })
}

fn put_back(
    (batches, pace): (impl Iterator<Item = Result<StateBatch>>, &Pace),
    next: Vec<NextOffset>,
    mut loader: Loader,
    pipe: &Pipe,
    counter: &Counter,
    stop: &AtomicBool,
) -> Result<Pass> {
    loader.begun = false;
    for batch in batches {
        let batch = batch?;
        let size = match &batch {
            StateBatch::Rows(rows) => rows.len(),
            StateBatch::Gone(keys) => keys.len(),
        };
        pace.take_blocking(size as u64, &|| stop.load(Ordering::Relaxed));
        loader.restore(batch);
        counter.add(size as u64);
        if stop.load(Ordering::Relaxed) || !pipe.flow(&mut loader) {
            return Ok(Pass {
                loader,
                stopped: true,
            });
        }
    }
    (loader.next, loader.begun) = (next, true);
    pipe.end(&mut loader);
    Ok(Pass {
        loader,
        stopped: false,
    })
}

impl Loader {
    /// The offsets that the shadow has been brought to.
    #[must_use]
    pub fn next(&self) -> &[NextOffset] {
        &self.next
    }

    /// What was seen of the log: with `next` and the state, all that a later record needs.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.decoder.seen()
    }
}
