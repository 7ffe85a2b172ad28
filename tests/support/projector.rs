//! A real projector for the tests: a member of a consumer group that writes Debezium's changes into a read table of
//! PostgreSQL, well or badly, as the test says. It runs in a thread of its own and shares no code with the program.

// A set of tools: no single test uses all of them.
#![allow(dead_code)]

mod control;
mod event;
mod fold;
mod member;
mod route;
mod run;
mod shared;
mod table;
pub mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use control::{Commits, Counters, End, Lag, Pause, Which, Why};
pub use fold::Skipped;
pub use route::Route;
use shared::{Settings, Shared};

/// How long a test waits before it gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// After so long without progress the log is asked whether only control records are left.
const STALLED: Duration = Duration::from_millis(500);

/// Waits until this is true; panics with `what` where it does not become so.
#[track_caller]
pub fn until(what: &str, is_true: impl FnMut() -> bool) {
    until_within(PATIENCE, what, is_true);
}

/// The same, for what may take longer.
#[track_caller]
pub fn until_within(patience: Duration, what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !is_true() {
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The group protocol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Protocol {
    Classic,
    /// KIP-848.
    Consumer,
}

/// What cannot be changed while it runs, and what it begins with.
#[derive(Clone, Debug)]
pub struct Setup {
    pub brokers: String,
    pub group: String,
    /// The URL of the read store.
    pub store: String,
    pub routes: Vec<Route>,
    pub protocol: Protocol,
    pub isolation: &'static str,
    pub commits: Commits,
    pub lag: Lag,
    /// Of the random lag.
    pub seed: u64,
    /// More settings of librdkafka.
    pub properties: Vec<(String, String)>,
}

impl Setup {
    pub fn new(brokers: &str, group: &str, store: &str, route: Route) -> Setup {
        Setup {
            brokers: brokers.to_owned(),
            group: group.to_owned(),
            store: store.to_owned(),
            routes: vec![route],
            protocol: Protocol::Classic,
            isolation: "read_committed",
            commits: Commits::AfterWriting,
            lag: Lag::NONE,
            seed: 0,
            properties: Vec::new(),
        }
    }

    pub fn route(mut self, route: Route) -> Setup {
        self.routes.push(route);
        self
    }

    pub fn protocol(mut self, protocol: Protocol) -> Setup {
        self.protocol = protocol;
        self
    }

    pub fn isolation(mut self, isolation: &'static str) -> Setup {
        self.isolation = isolation;
        self
    }

    pub fn commits(mut self, commits: Commits) -> Setup {
        self.commits = commits;
        self
    }

    pub fn lag(mut self, lag: Lag, seed: u64) -> Setup {
        (self.lag, self.seed) = (lag, seed);
        self
    }

    pub fn property(mut self, name: &str, value: &str) -> Setup {
        self.properties.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A projector that runs until it is stopped or dropped. Dropping it is a clean stop.
pub struct Projector {
    setup: Setup,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Projector {
    /// Joins the group. Its partitions come a moment later: see [`Projector::joined`].
    pub fn start(setup: Setup) -> Projector {
        let shared = Arc::new(Shared::new(Settings {
            lag: setup.lag,
            commits: setup.commits,
            skip: Which::None,
            old_wins: Which::None,
            pause: None,
            end: None,
            old_events: None,
        }));
        let member = member::join(&setup, &shared).unwrap_or_else(|e| panic!("{setup:?}: {e}"));
        let runner = run::Runner::new(setup.clone(), Arc::clone(&shared), member);
        let thread = std::thread::Builder::new()
            .name(format!("projector {}", setup.group))
            .spawn(move || runner.run())
            .unwrap();
        Projector {
            setup,
            shared,
            thread: Some(thread),
        }
    }

    pub fn lag(&self, lag: Lag) {
        self.shared.set(|s| s.lag = lag);
    }

    pub fn commits(&self, commits: Commits) {
        self.shared.set(|s| s.commits = commits);
    }

    /// Which changes are dropped. Looked at when a change is applied, not when it is read.
    pub fn skip(&self, which: Which) {
        self.shared.set(|s| s.skip = which);
    }

    /// After which changes the key's event before it is written again.
    pub fn old_wins(&self, which: Which) {
        self.shared.set(|s| s.old_wins = which);
    }

    /// Writes, now, the older event of so many keys (the first in key order that have one); gives how many there were.
    #[track_caller]
    pub fn write_old_events(&self, count: usize) -> u64 {
        let before = self.counters().reapplied;
        let batches = self.counters().batches;
        self.shared.set(|s| s.old_events = Some(count));
        self.until("old events are written", || {
            self.shared.settings(|s| s.old_events.is_none()) && self.counters().batches > batches
        });
        self.counters().reapplied - before
    }

    /// Returns when nothing is applied any more.
    #[track_caller]
    pub fn pause(&self, how: Pause) {
        self.shared.set(|s| s.pause = Some(how));
        self.until("it pauses", || self.shared.state().paused == Some(how));
    }

    #[track_caller]
    pub fn resume(&self) {
        self.shared.set(|s| s.pause = None);
        self.until("it resumes", || self.shared.state().paused.is_none());
    }

    /// Leaves the group. What was read and not applied is dropped.
    pub fn stop(mut self) -> Counters {
        self.end(End::Leaves);
        self.counters()
    }

    /// Dies without a word: stays a member for the six seconds of its session, and commits nothing more.
    pub fn crash(mut self) -> Counters {
        self.end(End::Crashes);
        self.counters()
    }

    fn end(&mut self, how: End) {
        self.shared.set(|s| s.end = Some(how));
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || std::thread::panicking(),
                "the projector's thread panicked"
            );
        }
    }

    pub fn counters(&self) -> Counters {
        self.shared.state().counters
    }

    pub fn last_error(&self) -> Option<String> {
        self.shared.state().error.clone()
    }

    /// All changes that were dropped, in order.
    pub fn skipped(&self) -> Vec<Skipped> {
        self.shared.state().skipped.clone()
    }

    /// The keys of a topic whose row is not what their newest event says, because of what it was told to do.
    pub fn wrong(&self, topic: &str) -> BTreeMap<String, Why> {
        let state = self.shared.state();
        let of_topic = state.wrong.iter().filter(|((t, _), _)| t == topic);
        of_topic
            .map(|((_, key), why)| (key.clone(), *why))
            .collect()
    }

    /// The partitions it has, and for each the offset before which everything is written or skipped.
    pub fn positions(&self) -> Vec<(String, i32, i64)> {
        let state = self.shared.state();
        let next = |at| state.next.get(at).copied().unwrap_or(0);
        state
            .assigned
            .iter()
            .map(|at| (at.0.clone(), at.1, next(at)))
            .collect()
    }

    /// The end offsets of a topic, as its isolation level sees them.
    pub fn ends(&self, topic: &str) -> Vec<(String, i32, i64)> {
        topics::ends(&self.setup.brokers, topic, self.setup.isolation)
    }

    /// Waits until it has this many partitions.
    #[track_caller]
    pub fn joined(&self, partitions: usize) {
        self.until("it has its partitions", || {
            self.shared.state().assigned.len() == partitions
        });
    }

    /// Waits until everything before these offsets is written or skipped.
    #[track_caller]
    pub fn drained(&self, until: &[(String, i32, i64)]) {
        Projector::all_drained(&[self], until);
    }

    /// The same for projectors that share the partitions of a group.
    #[track_caller]
    pub fn all_drained(projectors: &[&Projector], ends: &[(String, i32, i64)]) {
        let mut left = ends.to_vec();
        let mut since = Instant::now();
        projectors[0].until(&format!("everything before {ends:?} is applied"), || {
            let before = left.len();
            let has = |end: &(String, i32, i64)| {
                projectors.iter().find_map(|p| p.position(&end.0, end.1))
            };
            left.retain(|end| has(end).is_none_or(|next| next < end.2));
            if left.len() < before {
                since = Instant::now();
            }
            if since.elapsed() > STALLED {
                // A member's position stays before a transaction's marker, which is never handed over.
                let setup = &projectors[0].setup;
                left.retain(|end| {
                    has(end).is_none_or(|next| topics::has_records(setup, end, next))
                });
                since = Instant::now();
            }
            left.is_empty()
        });
    }

    fn position(&self, topic: &str, partition: i32) -> Option<i64> {
        let at = (topic.to_owned(), partition);
        self.shared.state().next.get(&at).copied()
    }

    #[track_caller]
    fn until(&self, what: &str, mut is_true: impl FnMut() -> bool) {
        let mut deadline = Instant::now() + PATIENCE;
        let mut positions = self.positions();
        while !is_true() {
            // However far behind it is: as long as it comes on, it is waited for.
            let now = self.positions();
            if now != positions {
                (deadline, positions) = (Instant::now() + PATIENCE, now);
            }
            let ended = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
            assert!(
                !ended && Instant::now() < deadline,
                "{}: not within {PATIENCE:?} (ended: {ended}): {what}\n{:?}\npositions {:?}\nlast error {:?}",
                self.setup.group,
                self.counters(),
                self.positions(),
                self.last_error(),
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Projector {
    fn drop(&mut self) {
        self.end(End::Leaves);
    }
}
