//! The one loop over the log: record, change, row, bulk form, on the thread that reads; batches cross one bounded channel to
//! the task that writes. A state read out of another shadow goes the same way.

mod keys;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use self::keys::KeySet;
use crate::fault;
use crate::limits;
use crate::projection::cell::{Cell, Row};
use crate::projection::change::{Change, Key, Op};
use crate::projection::counts::Counts;
use crate::projection::decode::{Decoded, Decoder};
use crate::projection::mapping::{Bookkeeping, Expected, Mapping};
use crate::projection::record::Record;
use crate::projection::seen::Seen;
use crate::projection::version::Version;
use crate::report::progress::Counter;
use crate::report::progress::Progress;
use crate::store::{
    Acts, Batch, Encoder, Mark, NextOffset, Origin, Shadow, StateBatch, Store, WritePermit,
};
use crate::strategies::pace::Pace;
use crate::stream::{Log, Range, ReadError};

/// Turns records into batches. It lives through all rounds of a load.
pub struct Loader {
    decoder: Decoder,
    mapping: Mapping,
    seen: KeySet,
    encoder: Box<dyn Encoder>,
    arrival: u64,
    next: Vec<NextOffset>,
    /// Which of `next` was advanced last.
    latest: usize,
    /// Whether what the shadow begins with is in it whole.
    begun: bool,
    /// What became of the records; changes of keys that may occur twice are counted when they are settled.
    pub counts: Counts,
}

/// A batch on its way, with what it brings the shadow to.
struct Loaded {
    batch: Batch,
    mark: Mark,
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
        decoder: Decoder,
        mapping: Mapping,
        encoder: Box<dyn Encoder>,
        key_bytes_max: usize,
    ) -> Loader {
        Loader {
            decoder,
            mapping,
            seen: KeySet::new(key_bytes_max),
            encoder,
            arrival: 0,
            next: Vec::new(),
            latest: 0,
            begun: true,
            counts: Counts::default(),
        }
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
        if let Decoded::Ignored(kind) = self.decoder.decode(record, &mut changes)? {
            self.counts.ignored(kind);
        }
        for change in changes {
            self.change(change)
                .with_context(|| format!("record {}", record.at))?;
        }
        self.advance(record);
        Ok(())
    }

    fn change(&mut self, change: Change<'_>) -> Result<()> {
        let origin = Origin {
            version: change.version,
            arrival: self.arrival,
        };
        self.arrival += 1;
        let expected = match change.op {
            Op::Put(source) => self
                .mapping
                .expected(source, &bookkeeping(&change.version))?,
            _ => Expected::Filtered,
        };
        if let Expected::Row(row) = &expected {
            let first = self
                .seen
                .is_first(self.mapping.key.iter().map(|at| &row[*at]));
            if first && !row.contains(&Cell::Unchanged) {
                self.encoder.first(row, &origin);
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
                self.encoder.again(&key, Some(&self.unknown(&key)), &origin);
            }
        }
        Ok(())
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

    /// A row of which only the key is known.
    fn unknown<'a>(&self, key: &Key<'a>) -> Row<'a> {
        let mut row: Row<'a> = vec![Cell::Unchanged; self.mapping.columns.len()];
        for (at, cell) in self.mapping.key.iter().zip(&key.0) {
            row[*at] = cell.clone();
        }
        row
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
        };
        Loaded {
            batch: self.encoder.take(),
            mark,
        }
    }
}

fn bookkeeping(version: &Version) -> Bookkeeping {
    Bookkeeping {
        offset: version.offset,
        partition: version.partition,
        lsn: version.rank.words[0],
        clock: version.clock,
    }
}

/// What the thread that fills the loader brings back.
struct Pass {
    loader: Loader,
    stopped: bool,
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

/// Puts a state that [`Acts::state`] gave into an empty shadow: it is then as that one was, and so is what the loader knows
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

/// The way from the thread that fills the loader to the task that writes.
struct Pipe {
    send: mpsc::Sender<Loaded>,
    /// Set once the writer has failed.
    quit: Arc<AtomicBool>,
}

impl Pipe {
    /// Sends what the loader has, when that is a batch; whether there is any use in going on.
    fn flow(&self, loader: &mut Loader) -> bool {
        let full = loader.encoder.bytes() >= fault::batch_bytes();
        (!full || self.send.blocking_send(loader.take()).is_ok())
            && !self.quit.load(Ordering::Relaxed)
    }

    /// Sends the rest.
    fn end(&self, loader: &mut Loader) {
        // A closed channel means that the writer failed; its own error is the one to show.
        let _ = self.send.blocking_send(loader.take());
    }
}

/// Runs `fill` on a thread of its own and writes the batches that it sends.
async fn written(
    store: &Store,
    shadow: &Shadow,
    permit: &WritePermit,
    fill: impl FnOnce(&Pipe) -> Result<Pass> + Send + 'static,
) -> Result<(Loader, bool)> {
    let (send, mut receive) = mpsc::channel(limits::BATCHES_IN_FLIGHT);
    let quit = Arc::new(AtomicBool::new(false));
    let reader = {
        let quit = Arc::clone(&quit);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || fill(&Pipe { send, quit }))?
    };
    let mut written = Ok(());
    while let Some(Loaded { batch, mark }) = receive.recv().await {
        written = store.append(permit, shadow, batch, &mark).await;
        crate::crash_point!("load.appended");
        if written.is_err() {
            quit.store(true, Ordering::Relaxed);
            break;
        }
    }
    // The reader may be waiting for room in the channel.
    drop(receive);
    let pass = tokio::task::spawn_blocking(move || reader.join()).await?;
    written?;
    let pass =
        pass.map_err(|_| super::Bug("the thread that reads the log panicked".to_owned()))??;
    Ok((pass.loader, pass.stopped))
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
