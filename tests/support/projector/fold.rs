//! A batch of events, folded to what is written: the last change of each key, minus what the tests want to go wrong.

use std::collections::{BTreeMap, HashMap};

use super::control::{Which, Why};
use super::event::{Change, Event};

/// Topic and key.
pub type Key = (String, String);

/// So many keys have their last two events remembered; the others can have no old event win.
const KEYS_MAX: usize = 200_000;

/// A change that was dropped without a word.
#[derive(Clone, Debug, PartialEq)]
pub struct Skipped {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub key: String,
}

/// What a batch comes to.
#[derive(Default)]
pub struct Folded {
    /// The change of each key, with the offset of its record.
    pub writes: HashMap<Key, (Change, i64)>,
    pub next: BTreeMap<(String, i32), i64>,
    /// For each key of the batch, what is wrong with it once it is written.
    pub wrong: HashMap<Key, Option<Why>>,
    pub skipped: Vec<Skipped>,
    pub applied: u64,
    pub reapplied: u64,
}

/// The two newest events of a key that were applied.
struct Versions {
    old: Option<Event>,
    new: Event,
}

/// What outlives a batch.
#[derive(Default)]
pub struct Memory {
    changes: u64,
    versions: HashMap<Key, Versions>,
}

impl Memory {
    pub fn fold(&mut self, events: &[Event], skip: &Which, old_wins: &Which) -> Folded {
        let mut folded = Folded::default();
        for event in events {
            let at = (event.topic.clone(), event.partition);
            folded.next.insert(at, event.offset + 1);
            if event.change.is_some() {
                self.changes += 1;
                self.take(event, skip, old_wins, &mut folded);
            }
        }
        folded
    }

    fn take(&mut self, event: &Event, skip: &Which, old_wins: &Which, folded: &mut Folded) {
        let key = (event.topic.clone(), event.key().unwrap_or_default());
        if skip.is(event, self.changes) {
            folded.skipped.push(Skipped {
                topic: event.topic.clone(),
                partition: event.partition,
                offset: event.offset,
                key: key.1.clone(),
            });
            folded.wrong.insert(key, Some(Why::Skipped));
            return;
        }
        folded.applied += 1;
        self.remember(&key, event);
        let older = old_wins.is(event, self.changes).then(|| self.older(&key));
        match older.flatten() {
            Some(old) => folded.reapply(key, old),
            None => folded.write(key, event, None),
        }
    }

    fn remember(&mut self, key: &Key, event: &Event) {
        if let Some(versions) = self.versions.get_mut(key) {
            // What is read again after a rebalance is no newer version.
            if versions.new.offset != event.offset || versions.new.partition != event.partition {
                versions.old = Some(std::mem::replace(&mut versions.new, event.clone()));
            }
        } else if self.versions.len() < KEYS_MAX {
            let new = event.clone();
            self.versions
                .insert(key.clone(), Versions { old: None, new });
        }
    }

    fn older(&self, key: &Key) -> Option<&Event> {
        self.versions.get(key)?.old.as_ref()
    }

    /// The older events of some keys that have one, to be written now.
    pub fn old_events(&self, count: usize) -> Folded {
        let mut folded = Folded::default();
        let mut keys: Vec<&Key> = self
            .versions
            .iter()
            .filter(|(_, versions)| versions.old.is_some())
            .map(|(key, _)| key)
            .collect();
        keys.sort_unstable();
        for key in keys.into_iter().take(count) {
            if let Some(old) = self.older(key) {
                folded.reapply(key.clone(), old);
            }
        }
        folded
    }
}

impl Folded {
    fn write(&mut self, key: Key, event: &Event, why: Option<Why>) {
        if let Some(change) = &event.change {
            self.writes
                .insert(key.clone(), (change.clone(), event.offset));
            self.wrong.insert(key, why);
        }
    }

    fn reapply(&mut self, key: Key, old: &Event) {
        self.reapplied += 1;
        self.write(key, old, Some(Why::OldEventWon));
    }
}
