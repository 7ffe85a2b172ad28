//! What the projector's thread and the test share.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard};

use super::control::{Commits, Counters, End, Lag, Pause, Which, Why};
use super::fold::{Folded, Key, Skipped};

/// What the test sets.
#[derive(Clone)]
pub struct Settings {
    pub lag: Lag,
    pub commits: Commits,
    pub skip: Which,
    pub old_wins: Which,
    pub pause: Option<Pause>,
    pub end: Option<End>,
    /// So many old events are to be written now.
    pub old_events: Option<usize>,
}

/// What the thread tells.
#[derive(Default)]
pub struct State {
    pub counters: Counters,
    /// Everything before these offsets is written, or was skipped.
    pub next: BTreeMap<(String, i32), i64>,
    pub assigned: BTreeSet<(String, i32)>,
    /// Came, and how far their group was is not asked yet.
    pub fresh: Vec<(String, i32)>,
    /// Went, and what was read of them is still in memory.
    pub gone: Vec<(String, i32)>,
    pub paused: Option<Pause>,
    pub skipped: Vec<Skipped>,
    pub wrong: HashMap<Key, Why>,
    pub error: Option<String>,
}

pub struct Shared {
    settings: Mutex<Settings>,
    state: Mutex<State>,
}

impl Shared {
    pub fn new(settings: Settings) -> Shared {
        Shared {
            settings: Mutex::new(settings),
            state: Mutex::new(State::default()),
        }
    }

    pub fn settings<T>(&self, read: impl FnOnce(&Settings) -> T) -> T {
        read(&self.settings.lock().unwrap())
    }

    pub fn set<T>(&self, change: impl FnOnce(&mut Settings) -> T) -> T {
        change(&mut self.settings.lock().unwrap())
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn count(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.state().counters);
    }

    pub fn failed(&self, error: &str) {
        let mut state = self.state();
        state.counters.errors += 1;
        state.error = Some(error.to_owned());
    }

    pub fn note<T, E: Display>(&self, doing: &str, done: Result<T, E>) -> Option<T> {
        done.map_err(|error| self.failed(&format!("{doing}: {error}")))
            .ok()
    }

    pub fn came(&self, partitions: Vec<(String, i32)>) {
        let mut state = self.state();
        state.assigned.extend(partitions.iter().cloned());
        state.fresh.extend(partitions);
    }

    pub fn went(&self, partitions: Vec<(String, i32)>) {
        let mut state = self.state();
        for partition in &partitions {
            state.assigned.remove(partition);
            state.next.remove(partition);
        }
        state.fresh.retain(|fresh| !partitions.contains(fresh));
        state.gone.extend(partitions);
    }

    /// A batch is in the table.
    pub fn written(&self, folded: Folded) {
        let mut state = self.state();
        state.counters.batches += 1;
        state.counters.applied += folded.applied;
        state.counters.reapplied += folded.reapplied;
        state.counters.skipped += folded.skipped.len() as u64;
        state.skipped.extend(folded.skipped);
        for (at, next) in folded.next {
            if state.assigned.contains(&at) {
                state.next.insert(at, next);
            }
        }
        for (key, why) in folded.wrong {
            match why {
                Some(why) => state.wrong.insert(key, why),
                None => state.wrong.remove(&key),
            };
        }
    }
}
