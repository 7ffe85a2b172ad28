//! Load control: how fast work may go on, and when it has to stand still.
//!
//! Whoever reads or writes much asks a [`Pace`] between two batches, with no transaction open. The thread that reads the log
//! asks it too, so that everything behind it slows down with it. [`watch`] looks at the operator's file and at replicas
//! meanwhile, and says what is waited for when nothing comes forward.

mod stall;
pub mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::limits;
use crate::projection::record::Record;
use crate::stream::Range;

pub use watch::{Watched, blind, watched};

/// One sleep of who waits: so soon it notices that there is nothing to wait for any more.
const NAP: Duration = Duration::from_millis(50);

/// What is asked of load control.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Rows or records a second at most.
    pub rate: Option<u64>,
    /// While this file exists, work stands still.
    pub pause_file: Option<PathBuf>,
    /// How far replicas may lag; `None` does not look at them.
    pub replica_lag_max: Option<Duration>,
    /// How long nothing may come forward before it is said what is waited for.
    pub stall_after: Duration,
}

impl Default for Asked {
    fn default() -> Asked {
        Asked {
            rate: None,
            pause_file: None,
            replica_lag_max: None,
            stall_after: limits::STALL_AFTER,
        }
    }
}

/// How fast work may go on.
#[derive(Debug, Default)]
pub struct Pace {
    asked: Asked,
    /// When the next row of a rate is due.
    due: Mutex<Option<Instant>>,
    /// Why work stands still.
    held: Mutex<Option<String>>,
    is_held: AtomicBool,
    /// How many parts of the work may not be held up now.
    hurried: AtomicUsize,
    /// Set when the operator said stop: nobody waits any longer.
    stop: Arc<AtomicBool>,
    /// The ranges of the log that are read.
    reading: Mutex<Vec<Arc<Reading>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pace {
    /// A pace as asked; nobody waits any longer once `stop` is set.
    #[must_use]
    pub fn new(asked: Asked, stop: Arc<AtomicBool>) -> Pace {
        Pace {
            asked,
            stop,
            ..Pace::default()
        }
    }

    /// What was asked.
    #[must_use]
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// Why work stands still; `None` while it goes on.
    #[must_use]
    pub fn held(&self) -> Option<String> {
        locked(&self.held).clone()
    }

    fn hold(&self, why: Option<String>) {
        self.is_held.store(why.is_some(), Ordering::Relaxed);
        *locked(&self.held) = why;
    }

    /// Whether somebody who asks now would have to stand still.
    #[must_use]
    pub fn stands_still(&self) -> bool {
        self.is_held.load(Ordering::Relaxed) && !self.hurries() && !self.stopped()
    }

    fn hurries(&self) -> bool {
        self.hurried.load(Ordering::Relaxed) > 0
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Until what this gives is dropped, nobody is held up: others wait for us, such as a projector that we have paused.
    #[must_use]
    pub fn hurry(&self) -> Hurry<'_> {
        self.hurried.fetch_add(1, Ordering::Relaxed);
        Hurry(self)
    }

    /// Waits while work stands still. Ask with no transaction open and no lock held.
    pub async fn pass(&self) {
        while self.stands_still() {
            tokio::time::sleep(NAP).await;
        }
    }

    /// The same before so many more rows, which the rate lets through in their time.
    pub async fn take(&self, rows: u64) {
        self.pass().await;
        self.spend(rows).await;
    }

    /// Waits for the rate alone: for rows of a statement that is open already.
    pub async fn spend(&self, rows: u64) {
        let Some(until) = self.reserve(rows, Instant::now()) else {
            return;
        };
        while Instant::now() < until && !self.hurries() && !self.stopped() {
            let left = until.saturating_duration_since(Instant::now());
            tokio::time::sleep(left.min(NAP)).await;
        }
    }

    /// [`Pace::take`] for a thread of its own, which `over` may call off.
    pub fn take_blocking(&self, rows: u64, over: &dyn Fn() -> bool) {
        while self.stands_still() && !over() {
            std::thread::sleep(NAP);
        }
        self.spend_blocking(rows, over);
    }

    /// [`Pace::spend`] for a thread of its own, which `over` may call off.
    pub fn spend_blocking(&self, rows: u64, over: &dyn Fn() -> bool) {
        let Some(until) = self.reserve(rows, Instant::now()) else {
            return;
        };
        while Instant::now() < until && !self.hurries() && !self.stopped() && !over() {
            let left = until.saturating_duration_since(Instant::now());
            std::thread::sleep(left.min(NAP));
        }
    }

    /// Takes so many rows out of the rate; when whoever asked may go on.
    fn reserve(&self, rows: u64, now: Instant) -> Option<Instant> {
        let rate = self.asked.rate?;
        if self.hurries() {
            return None;
        }
        let mut due = locked(&self.due);
        // What was not used is not saved up, but for a part of a second.
        let earliest = now
            .checked_sub(Duration::from_secs(1) / parts())
            .unwrap_or(now);
        let from = due.map_or(earliest, |due| due.max(earliest));
        #[allow(clippy::cast_precision_loss)] // A rate is no more exact than a clock.
        let cost = Duration::from_secs_f64(rows as f64 / rate.max(1) as f64);
        let until = from + cost;
        *due = Some(until);
        Some(until)
    }

    /// Rows that are asked for at once: few enough to keep to the rate, and enough to cost nothing.
    #[must_use]
    pub fn grain(&self) -> u64 {
        let grain = self
            .asked
            .rate
            .map_or(1_000, |rate| rate / limits::RATE_PARTS);
        grain.clamp(1, 1_000)
    }

    /// Rows that one statement may cover which gives no row back until its end.
    #[must_use]
    pub fn range_rows(&self) -> u64 {
        let Some(rate) = self.asked.rate else {
            return limits::RANGE_ROWS;
        };
        rate.saturating_mul(limits::RATE_RANGE_SECONDS)
            .clamp(limits::RATE_RANGE_ROWS_MIN, limits::RANGE_ROWS)
    }

    /// Whether a statement that is read from for so long is better begun anew.
    #[must_use]
    pub fn is_long(&self, open: Duration) -> bool {
        self.asked.rate.is_some() && open >= limits::PACED_READ_MAX && !self.hurries()
    }

    /// Ranges of the log that are read from now on; their reader says how far it is.
    #[must_use]
    pub fn reads(&self, ranges: &[Range]) -> Readings {
        let reading = ranges.iter().map(|range| {
            Arc::new(Reading {
                range: range.clone(),
                next: AtomicI64::new(range.from),
            })
        });
        let all: Vec<Arc<Reading>> = reading.collect();
        locked(&self.reading).clone_from(&all);
        Readings { all, latest: 0 }
    }

    /// The reader has come to its end.
    pub fn read_to_the_end(&self) {
        locked(&self.reading).clear();
    }

    /// The range of which most is not read yet.
    fn place(&self) -> Option<Arc<Reading>> {
        let reading = locked(&self.reading);
        let left = |r: &Arc<Reading>| r.range.to - r.next();
        let open = reading.iter().filter(|r| left(r) > 0);
        open.max_by_key(|r| left(r)).cloned()
    }
}

/// A range of the log that is being read.
#[derive(Debug)]
struct Reading {
    range: Range,
    next: AtomicI64,
}

impl Reading {
    fn holds(&self, record: &Record<'_>) -> bool {
        self.range.partition == record.at.partition && *self.range.topic == *record.at.topic
    }

    fn next(&self) -> i64 {
        self.next.load(Ordering::Relaxed)
    }
}

/// The ranges of the log that one reader reads.
#[derive(Debug)]
pub struct Readings {
    all: Vec<Arc<Reading>>,
    latest: usize,
}

impl Readings {
    /// Notes that a record was read.
    pub fn took(&mut self, record: &Record<'_>) {
        // Records come in runs of one partition.
        let mut reading = self.all.get(self.latest).filter(|r| r.holds(record));
        if reading.is_none() {
            let found = self.all.iter().position(|r| r.holds(record));
            self.latest = found.unwrap_or(self.latest);
            reading = found.and_then(|at| self.all.get(at));
        }
        if let Some(reading) = reading {
            reading.next.store(record.at.offset + 1, Ordering::Relaxed);
        }
    }
}

fn parts() -> u32 {
    u32::try_from(limits::RATE_PARTS).unwrap_or(1)
}

/// While it lives, nobody is held up.
#[derive(Debug)]
pub struct Hurry<'a>(&'a Pace);

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.hurried.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paced(rate: u64) -> Pace {
        let asked = Asked {
            rate: Some(rate),
            ..Asked::default()
        };
        Pace::new(asked, Arc::default())
    }

    #[test]
    fn a_rate_is_kept_and_not_saved_up() {
        let pace = paced(1_000);
        let began = Instant::now();
        let mut last = began;
        for _ in 0..100 {
            last = pace.reserve(50, last).expect("there is a rate");
        }
        // 5,000 rows at 1,000 a second, and a twentieth of a second that was saved.
        let took = last - began;
        assert!((4_900..=5_000).contains(&took.as_millis()), "{took:?}");
        let later = last + Duration::from_secs(3_600);
        let next = pace.reserve(1_000, later).expect("there is a rate");
        assert!(
            next - later >= Duration::from_millis(940),
            "{:?}",
            next - later
        );
    }

    #[test]
    fn who_is_in_a_hurry_is_not_held_up() {
        let pace = paced(1);
        pace.hold(Some("paused".to_owned()));
        assert!(pace.stands_still());
        let hurry = pace.hurry();
        assert!(!pace.stands_still());
        pace.take_blocking(1_000, &|| false);
        drop(hurry);
        assert!(pace.stands_still());
        pace.take_blocking(1, &|| true);
    }

    #[test]
    fn bounds_of_a_grain_and_of_a_range() {
        assert_eq!((paced(1).grain(), paced(10_000).grain()), (1, 500));
        assert_eq!(Pace::default().range_rows(), limits::RANGE_ROWS);
        assert_eq!(paced(5).range_rows(), limits::RATE_RANGE_ROWS_MIN);
        assert_eq!(paced(5_000).range_rows(), 50_000);
    }
}
