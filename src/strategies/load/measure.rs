//! How fast the loop goes, found out on a part of what it would read: the same loader, whose batches go nowhere.

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Error, Result};

use super::Loader;
use crate::projection::record::Record;
use crate::store::StateBatch;
use crate::strategies::pace::Pace;
use crate::stream::{Log, Range, ReadError};

/// What a part of a load was like.
#[derive(Debug, Default)]
pub struct Measured {
    /// Records read, or rows of a snapshot.
    pub count: u64,
    /// Their size, in bytes of keys and values.
    pub bytes: u64,
    /// What the store would have been sent for them, in bytes of its bulk form.
    pub bulk_bytes: u64,
    /// How long it took, from the first one on.
    pub took: Duration,
    /// How long the first one took to come.
    pub first: Duration,
    /// Whether that was all.
    pub whole: bool,
    /// What would stop a load.
    pub problem: Option<Error>,
}

/// A stretch being measured.
struct Stretch {
    loader: Loader,
    asked: Instant,
    began: Option<Instant>,
    measured: Measured,
}

impl Stretch {
    fn new(loader: Loader) -> Stretch {
        Stretch {
            loader,
            asked: Instant::now(),
            began: None,
            measured: Measured::default(),
        }
    }

    /// Something has come; how long it is since the first one did.
    fn came(&mut self) -> Duration {
        let began = *self.began.get_or_insert_with(Instant::now);
        self.measured.first = began - self.asked;
        began.elapsed()
    }

    /// Lets go of what would be a batch.
    fn flow(&mut self) {
        let bytes = self.loader.encoder.bytes();
        if bytes >= crate::fault::batch_bytes() {
            self.measured.bulk_bytes += bytes as u64;
            drop(self.loader.take());
        }
    }

    fn end(mut self, whole: bool) -> Measured {
        self.measured.bulk_bytes += self.loader.encoder.bytes() as u64;
        self.measured.took = self.began.map(|b| b.elapsed()).unwrap_or_default();
        self.measured.whole = whole && self.measured.problem.is_none();
        self.measured
    }
}

fn bytes(record: &Record<'_>) -> u64 {
    let part = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len) as u64;
    part(record.key) + part(record.value)
}

/// Reads these ranges for so long at most, and writes nothing. What would stop a load is part of what is found.
///
/// # Errors
/// When the log cannot be read.
pub fn measure(
    (log, pace): (&Log, &Pace),
    ranges: &[Range],
    loader: Loader,
    budget: Duration,
) -> Result<Measured> {
    let mut stretch = Stretch::new(loader);
    if ranges.is_empty() {
        return Ok(stretch.end(true));
    }
    let never = AtomicBool::new(false);
    let (grain, mut due) = (pace.grain(), 0);
    let outcome = log.read(ranges, &never, |record| -> Result<ControlFlow<()>> {
        let since = stretch.came();
        due += 1;
        if due >= grain {
            pace.take_blocking(due, &|| false);
            due = 0;
        }
        stretch.loader.record(record)?;
        stretch.measured.count += 1;
        stretch.measured.bytes += bytes(record);
        stretch.flow();
        Ok(if since < budget {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        })
    });
    match outcome {
        Ok(outcome) => Ok(stretch.end(!outcome.stopped)),
        Err(ReadError::Stream(e)) => Err(e.into()),
        Err(ReadError::Sink(problem)) => {
            stretch.measured.problem = Some(problem);
            Ok(stretch.end(false))
        }
    }
}

/// The same of a state that is restored.
///
/// # Errors
/// When it cannot be read.
pub fn measure_state(
    batches: impl Iterator<Item = Result<StateBatch>>,
    loader: Loader,
    budget: Duration,
) -> Result<Measured> {
    let mut stretch = Stretch::new(loader);
    // Opening the files is a part of it.
    stretch.came();
    for batch in batches {
        let batch = batch?;
        stretch.measured.count += match &batch {
            StateBatch::Rows(rows) => rows.len() as u64,
            StateBatch::Gone(keys) => keys.len() as u64,
        };
        stretch.loader.restore(batch);
        stretch.flow();
        if stretch.came() >= budget {
            return Ok(stretch.end(false));
        }
    }
    Ok(stretch.end(true))
}
