//! A few seconds of reading, to see how fast the systems are now. Nothing is written anywhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::predict::count;
use crate::limits;
use crate::projection::cell::Row;
use crate::strategies::compare::Comparison;
use crate::strategies::load::{self, Measured};
use crate::strategies::replay::base::Base;
use crate::strategies::replay::pipeline::loader;
use crate::strategies::replay::plan::Load;
use crate::strategies::replay::{Begin, Plan};
use crate::strategies::{Systems, View, blocking};
use crate::stream::{self, Range};

/// How fast rows are streamed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rows {
    /// Rows that were read.
    pub count: u64,
    /// How long that took, in seconds.
    pub took: f64,
    /// How long the first of them took, in seconds: of a query, as long as it runs.
    pub first: f64,
    /// How long one row takes after that, in seconds.
    pub each: f64,
}

impl Rows {
    /// How long so many rows take, in seconds.
    #[must_use]
    pub fn seconds(&self, rows: u64) -> f64 {
        self.first + count(rows) * self.each
    }
}

/// How fast a topic is read, decoded, projected and brought into the store's bulk form.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log {
    /// Records that were read.
    pub count: u64,
    /// How long that took, in seconds.
    pub took: f64,
    /// How long the first of them took, in seconds.
    pub first: f64,
    /// How long one record takes in the first half of what there is, in seconds, …
    pub early: f64,
    /// … and in the second.
    pub late: f64,
    /// Bytes of one record.
    pub bytes: f64,
    /// Bytes of what the store is sent for it.
    pub bulk_bytes: f64,
}

impl Log {
    /// How long so many records up to the end take, in seconds. A tail is as its end is, and all of it as both halves are.
    #[must_use]
    pub fn seconds(&self, records: u64) -> f64 {
        self.first + count(records) * (self.early + self.late) / 2.0
    }

    /// The same topic, where only its end is read.
    #[must_use]
    pub fn tail(self) -> Log {
        Log {
            early: self.late,
            ..self
        }
    }
}

/// Reads a stream of rows for so long at most; `None` where no row came.
async fn streamed(
    budget: (Duration, Duration),
    asked: Instant,
    mut next: impl AsyncFnMut() -> Result<Vec<Row<'static>>>,
) -> Result<Option<Rows>> {
    let (for_the_first, after) = budget;
    let Ok(batch) = tokio::time::timeout(for_the_first, next()).await else {
        return Ok(None);
    };
    let first_batch = batch?.len() as u64;
    let first = asked.elapsed().as_secs_f64();
    let until = tokio::time::Instant::now() + after;
    let (mut rows, mut took) = (first_batch, first);
    while rows > 0 {
        match tokio::time::timeout_at(until, next()).await {
            Ok(batch) => match batch?.len() {
                0 => break,
                more => rows += more as u64,
            },
            Err(_) => break,
        }
        took = asked.elapsed().as_secs_f64();
    }
    if rows == 0 {
        return Ok(None);
    }
    let behind = rows - first_batch;
    // Of what comes in one batch, nobody can tell the first row from the others.
    let (first, each) = if behind >= first_batch {
        (first, (took - first) / count(behind))
    } else {
        (0.0, took / count(rows))
    };
    Ok(Some(Rows {
        count: rows,
        took,
        first,
        each,
    }))
}

/// How fast the rows of the view's table are read; `None` where it has none.
///
/// # Errors
/// When it cannot be read.
pub async fn read_store(comparison: &Comparison<'_>) -> Result<Option<Rows>> {
    let asked = Instant::now();
    let mut stream = comparison.actual_rows().await?;
    let next = async || match stream.recv().await {
        None => Ok(Vec::new()),
        Some(rows) => Ok(rows?),
    };
    streamed((limits::MEASURE, limits::MEASURE), asked, next).await
}

/// How fast the rows of the primary are read and projected; `None` where it has none, or its query takes too long.
///
/// # Errors
/// When it cannot be read, or a row does not fit the view.
pub async fn primary(comparison: &Comparison<'_>) -> Result<Option<Rows>> {
    let asked = Instant::now();
    let mut stream = comparison.expected_rows().await?;
    let next = async || comparison.next_expected(&mut stream).await;
    streamed((limits::MEASURE_QUERY, limits::MEASURE), asked, next).await
}

/// How fast the topic of a load is read, by its beginning and its second half; and what would stop it.
///
/// # Errors
/// When it cannot be read.
pub async fn log(
    systems: &Systems,
    plan: &Plan,
    of: &Load,
    budget: Duration,
) -> Result<(Option<Log>, Option<String>)> {
    let whole = of.ranges();
    if whole.is_empty() {
        return Ok((None, None));
    }
    let first = slice(systems, plan, of, whole.clone(), budget).await?;
    let halves = whole.iter().map(|r| Range {
        from: r.from + (r.to - r.from) / 2,
        ..r.clone()
    });
    // An archive is read from its beginning to get to its middle.
    let seeks = matches!(&*systems.log().await?, stream::Log::Kafka(_));
    let second = if first.whole || first.problem.is_some() || !seeks {
        None
    } else {
        Some(slice(systems, plan, of, halves.collect(), budget).await?)
    };
    let each = |m: &Measured| m.took.as_secs_f64() / count(m.count.max(1));
    let (late, more) = match &second {
        Some(m) if m.count > 0 => (each(m), (m.count, m.bytes, m.bulk_bytes, m.took)),
        _ => (each(&first), (0, 0, 0, Duration::ZERO)),
    };
    let records = first.count + more.0;
    let log = (records > 0).then(|| Log {
        count: records,
        took: (first.took + more.3).as_secs_f64(),
        first: first.first.as_secs_f64(),
        early: each(&first),
        late,
        bytes: count(first.bytes + more.1) / count(records),
        bulk_bytes: count(first.bulk_bytes + more.2) / count(records),
    });
    let problem = [first.problem, second.and_then(|m| m.problem)];
    let problem = problem.into_iter().flatten().next();
    Ok((log, problem.map(|e| format!("{e:#}"))))
}

async fn slice(
    systems: &Systems,
    plan: &Plan,
    of: &Load,
    ranges: Vec<Range>,
    budget: Duration,
) -> Result<Measured> {
    let loader = loader(systems, plan, of)?;
    let (log, pace) = (systems.log().await?, Arc::clone(&systems.pace));
    blocking(move || load::measure((&log, &pace), &ranges, loader, budget / 2)).await
}

/// How long one row of a snapshot takes to be restored, in seconds.
///
/// # Errors
/// When the snapshot cannot be read.
pub async fn snapshot(
    systems: &Systems,
    plan: &Plan,
    of: &Load,
    base: &Base,
    budget: Duration,
) -> Result<f64> {
    let loader = loader(systems, plan, of)?;
    let batches = base.state(&of.kept_as)?;
    let measured = blocking(move || load::measure_state(batches, loader, budget)).await?;
    Ok(measured.took.as_secs_f64() / count(measured.count.max(1)))
}

/// Records that the log has got since the plan was made.
///
/// # Errors
/// When it cannot be asked.
pub async fn arrived(systems: &Systems, plan: &Plan) -> Result<u64> {
    let mut arrived = 0;
    for topic in plan.topics() {
        let (log, name) = (systems.log().await?, topic.clone());
        let now = blocking(move || log.topic(&name)).await?;
        let of = |l: &&Load| l.topic.name == topic;
        let Some(then) = plan.loads.iter().find(of) else {
            continue;
        };
        for (now, then) in now.extents.iter().zip(&then.topic.extents) {
            arrived += u64::try_from(now.end - then.end).unwrap_or(0);
        }
    }
    Ok(arrived)
}

/// Whether a plan begins with a snapshot.
#[must_use]
pub fn base_of(plan: &Plan) -> Option<&Base> {
    match &plan.options.begin {
        Begin::Snapshot(base) => Some(base),
        Begin::Zero | Begin::Offsets(_) => None,
    }
}

/// About how many rows a load comes to have.
#[must_use]
pub fn rows_of(view: &View) -> Option<u64> {
    let source = view.sources().first().and_then(|s| s.table.rows_estimate);
    view.table.rows_estimate.max(source)
}
