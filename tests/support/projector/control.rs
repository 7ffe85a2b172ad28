//! How a projector behaves: all of it can be changed while it runs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::event::Event;

/// When a batch of records is applied: once its newest record has reached an age, drawn anew for each batch.
#[derive(Clone, Copy, Debug)]
pub struct Lag {
    pub from: Duration,
    pub to: Duration,
    /// The age is that of the record's timestamp, not the time since it was read.
    pub by_timestamp: bool,
}

impl Lag {
    pub const NONE: Lag = Lag::fixed(Duration::ZERO);

    pub const fn fixed(age: Duration) -> Lag {
        Lag {
            from: age,
            to: age,
            by_timestamp: false,
        }
    }

    /// Anything up to this age.
    pub const fn random(to: Duration) -> Lag {
        Lag {
            from: Duration::ZERO,
            to,
            by_timestamp: false,
        }
    }

    pub const fn by_timestamp(mut self) -> Lag {
        self.by_timestamp = true;
        self
    }

    /// The age for a batch that has drawn this number of 0 to 1.
    pub fn age(&self, drawn: f64) -> Duration {
        self.from + self.to.saturating_sub(self.from).mul_f64(drawn)
    }
}

/// How it remembers how far it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Commits {
    /// To the group, after the rows are written: may write twice, never too little.
    AfterWriting,
    /// To the group, then waits so long, then writes: what dies in between is never written.
    BeforeWriting(Duration),
    /// By the client, every 100 ms, as far as was read, whatever was written: what Kafka's clients do by default.
    Automatic,
    /// Not at all: begins at the start each time.
    Never,
    /// In `projector_checkpoint` of the read store, in the transaction of the rows. The group knows nothing.
    InDatabase,
}

/// A question about an event.
pub type Asks = Arc<dyn Fn(&Event) -> bool + Send + Sync>;

/// Which changes something happens to.
#[derive(Clone, Default)]
pub enum Which {
    #[default]
    None,
    /// Each n-th change.
    Every(u64),
    /// Those at these positions.
    At(BTreeSet<(String, i32, i64)>),
    When(Asks),
}

impl Which {
    pub fn when(asks: impl Fn(&Event) -> bool + Send + Sync + 'static) -> Which {
        Which::When(Arc::new(asks))
    }

    /// All changes of these keys.
    pub fn keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> Which {
        let keys: BTreeSet<String> = keys.into_iter().map(str::to_owned).collect();
        Which::when(move |event| event.key().is_some_and(|key| keys.contains(&key)))
    }

    /// `number` counts the changes from 1.
    pub fn is(&self, event: &Event, number: u64) -> bool {
        match self {
            Which::None => false,
            Which::Every(n) => number.is_multiple_of(*n),
            Which::At(positions) => {
                positions.contains(&(event.topic.clone(), event.partition, event.offset))
            }
            Which::When(asks) => asks(event),
        }
    }
}

/// How it pauses. Either way it stays in its group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pause {
    /// Its partitions are paused; it goes on polling.
    Partitions,
    /// It does not poll: after `max.poll.interval.ms` the client itself leaves the group.
    Polling,
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// It leaves its group.
    Leaves,
    /// Like a killed process: says nothing to anybody, and stays a member until its session times out.
    Crashes,
}

/// Why a row of the read table is not what its key's newest event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Skipped,
    OldEventWon,
}

/// What it has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    pub read: u64,
    /// Records that are in the table, or that a later one of the same batch replaced.
    pub applied: u64,
    pub skipped: u64,
    /// Old events that were written after newer ones.
    pub reapplied: u64,
    /// Commits to the group that it has made itself, or that the client has told of.
    pub commits: u64,
    pub batches: u64,
    pub errors: u64,
    /// The age of the oldest record that was read and is not written yet.
    pub lag_seconds: f64,
}
