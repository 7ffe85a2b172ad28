//! The projector's thread: reads ahead, and applies what is old enough.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rdkafka::consumer::Consumer;

use super::Setup;
use super::control::{Commits, End, Lag, Pause};
use super::event::Event;
use super::fold::{Folded, Memory};
use super::member::{self, Member, Positions};
use super::shared::{Settings, Shared};
use super::table::{self, Store};

const BATCH_RECORDS: usize = 5_000;
const BATCH_TIME: Duration = Duration::from_millis(200);
/// A batch that has begun is not kept waiting for more for longer than this.
const QUIET: Duration = Duration::from_millis(10);
/// How soon a changed setting is noticed.
const TICK: Duration = Duration::from_millis(20);
/// Read and not applied; beyond it nothing more is read.
const RECORDS_MAX: usize = 200_000;
/// Between two attempts to write a batch.
const RETRY: Duration = Duration::from_millis(100);

struct Batch {
    events: Vec<Event>,
    read: Instant,
    /// Of 0 to 1: where between the least and the greatest lag this one is.
    drawn: f64,
    /// What it comes to, once that was worked out: it must not be twice.
    folded: Option<Folded>,
    committed: Option<Instant>,
    not_before: Option<Instant>,
}

pub struct Runner {
    setup: Setup,
    shared: Arc<Shared>,
    member: Member,
    store: Store,
    memory: Memory,
    batches: VecDeque<Batch>,
    random: StdRng,
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

impl Batch {
    fn is_due(&self, lag: Lag) -> bool {
        let age = lag.age(self.drawn);
        let old_enough = if lag.by_timestamp {
            let newest = self.events.iter().map(|e| e.timestamp).max();
            newest.is_none_or(|newest| now() - newest >= age.as_millis() as i64)
        } else {
            self.read.elapsed() >= age
        };
        let waited = self.not_before.is_none_or(|then| then <= Instant::now());
        waited && (old_enough || self.committed.is_some())
    }

    fn fold(&mut self, memory: &mut Memory, settings: &Settings) -> &Folded {
        self.folded
            .get_or_insert_with(|| memory.fold(&self.events, &settings.skip, &settings.old_wins))
    }
}

fn commit(shared: &Shared, member: &Member, folded: &Folded) {
    if folded.next.is_empty() {
        return;
    }
    let done = shared.note("commit", member::commit(member, &folded.next));
    shared.count(|c| c.commits += u64::from(done.is_some()));
}

/// Drops what was read of partitions that are no longer ours: whoever has them reads it again.
fn forget(shared: &Shared, batches: &mut VecDeque<Batch>, events: &mut Vec<Event>) {
    let gone = std::mem::take(&mut shared.state().gone);
    if gone.is_empty() {
        return;
    }
    let stays = |e: &Event| !gone.iter().any(|(t, p)| *t == e.topic && *p == e.partition);
    events.retain(stays);
    // What is half done is finished: its offsets may be committed, and then nobody else would write it.
    for batch in batches.iter_mut().filter(|b| b.folded.is_none()) {
        batch.events.retain(stays);
    }
}

impl Runner {
    pub fn new(setup: Setup, shared: Arc<Shared>, member: Member) -> Runner {
        Runner {
            store: Store::new(&setup.store),
            random: StdRng::seed_from_u64(setup.seed),
            memory: Memory::default(),
            batches: VecDeque::new(),
            setup,
            shared,
            member,
        }
    }

    /// Until it is told to end.
    pub fn run(mut self) {
        loop {
            match self.shared.settings(|s| s.end) {
                Some(End::Leaves) => return,
                Some(End::Crashes) => return member::crash(self.member),
                None => {}
            }
            if !self.rests() {
                self.work();
            }
        }
    }

    fn work(&mut self) {
        self.read();
        self.settle();
        while self.apply() {}
        if let Some(count) = self.shared.set(|s| s.old_events.take()) {
            self.write_old_events(count);
        }
        self.measure();
    }

    /// Whether it is paused. What it has been told is done before it says so.
    fn rests(&mut self) -> bool {
        let pause = self.shared.settings(|s| s.pause);
        let before = self.shared.state().paused;
        if before == Some(Pause::Partitions) && pause != before {
            self.shared.note(
                "resume",
                self.member
                    .assignment()
                    .and_then(|all| self.member.resume(&all)),
            );
        }
        match pause {
            // Those that have come since are paused too.
            Some(Pause::Partitions) => {
                self.shared.note(
                    "pause",
                    self.member
                        .assignment()
                        .and_then(|all| self.member.pause(&all)),
                );
                self.read();
                self.settle();
            }
            Some(Pause::Polling) => std::thread::sleep(TICK),
            None => {}
        }
        self.shared.state().paused = pause;
        self.measure();
        pause.is_some()
    }

    fn read(&mut self) {
        let waiting: usize = self.batches.iter().map(|b| b.events.len()).sum();
        if waiting >= RECORDS_MAX {
            return std::thread::sleep(TICK);
        }
        let began = Instant::now();
        let mut events = Vec::new();
        while events.len() < BATCH_RECORDS && began.elapsed() < BATCH_TIME {
            let wait = if events.is_empty() { TICK } else { QUIET };
            let polled = self.member.poll(wait);
            // What was read before a rebalance is read again after it, perhaps by this very call.
            forget(&self.shared, &mut self.batches, &mut events);
            match polled {
                Some(Ok(message)) => events.extend(self.event(&message)),
                Some(Err(error)) => self.shared.failed(&format!("read: {error}")),
                None => break,
            }
        }
        if events.is_empty() {
            return;
        }
        self.shared.count(|c| c.read += events.len() as u64);
        self.batches.push_back(Batch {
            events,
            read: Instant::now(),
            drawn: self.random.random(),
            folded: None,
            committed: None,
            not_before: None,
        });
    }

    fn event(&self, message: &rdkafka::message::BorrowedMessage<'_>) -> Option<Event> {
        use rdkafka::Message;
        if self.shared.settings(|s| s.commits) == Commits::Automatic {
            // What the client by itself would do while it hands the record over.
            self.shared
                .note("store", self.member.store_offset_from_message(message));
        }
        let route = self
            .setup
            .routes
            .iter()
            .find(|r| r.topic == message.topic())?;
        self.shared.note("decode", Event::read(message, route))
    }

    /// After a rebalance: asks how far the group is in what is new.
    fn settle(&mut self) {
        let fresh = std::mem::take(&mut self.shared.state().fresh);
        if fresh.is_empty() {
            return;
        }
        let Some(positions) = self.shared.note("positions", self.begin(&fresh)) else {
            // A new broker's first group has no coordinator for a moment.
            return self.shared.state().fresh.extend(fresh);
        };
        let mut state = self.shared.state();
        for (at, next) in positions {
            if state.assigned.contains(&at) {
                state.next.entry(at).or_insert(next);
            }
        }
    }

    /// Where reading begins in these partitions.
    fn begin(&self, fresh: &[(String, i32)]) -> Result<Positions, String> {
        if self.shared.settings(|s| s.commits) != Commits::InDatabase {
            return member::committed(&self.member, fresh).map_err(|e| e.to_string());
        }
        let found = table::checkpoints(&self.setup.store).map_err(|e| e.to_string())?;
        let next = |at: &(String, i32)| found.get(at).copied().unwrap_or(0);
        Ok(fresh.iter().map(|at| (at.clone(), next(at))).collect())
    }

    /// Applies the oldest batch; whether there may be more to do at once.
    fn apply(&mut self) -> bool {
        let settings = self.shared.settings(Clone::clone);
        if settings.pause.is_some() || settings.end.is_some() {
            return false;
        }
        let mut wait = Duration::ZERO;
        if let Commits::BeforeWriting(before) = settings.commits {
            wait = before;
            self.commit_ahead(&settings);
        }
        let Some(batch) = self.batches.front_mut().filter(|b| b.is_due(settings.lag)) else {
            return false;
        };
        if batch.committed.is_some_and(|then| then.elapsed() < wait) {
            return false;
        }
        let folded = batch.fold(&mut self.memory, &settings);
        let checkpoint = settings.commits == Commits::InDatabase;
        let written = self.store.write(&self.setup.routes, folded, checkpoint);
        if self.shared.note("write", written).is_none() {
            batch.not_before = Some(Instant::now() + RETRY);
            return false;
        }
        self.finish(settings.commits);
        true
    }

    /// Commits all that is old enough, in order, whatever of it is written.
    fn commit_ahead(&mut self, settings: &Settings) {
        for batch in &mut self.batches {
            if !batch.is_due(settings.lag) {
                return;
            }
            if batch.committed.is_none() {
                let folded = batch.fold(&mut self.memory, settings);
                commit(&self.shared, &self.member, folded);
                batch.committed = Some(Instant::now());
            }
        }
    }

    /// The oldest batch is written.
    fn finish(&mut self, commits: Commits) {
        let Some(folded) = self.batches.pop_front().and_then(|b| b.folded) else {
            return;
        };
        if commits == Commits::AfterWriting {
            commit(&self.shared, &self.member, &folded);
        }
        self.shared.written(folded);
    }

    fn write_old_events(&mut self, count: usize) {
        let folded = self.memory.old_events(count);
        let written = self.store.write(&self.setup.routes, &folded, false);
        if self.shared.note("write", written).is_some() {
            self.shared.written(folded);
        }
    }

    fn measure(&self) {
        let oldest = self
            .batches
            .iter()
            .flat_map(|b| &b.events)
            .map(|e| e.timestamp)
            .min();
        let age = oldest.map_or(0, |oldest| now() - oldest);
        self.shared.count(|c| c.lag_seconds = age as f64 / 1000.0);
    }
}
