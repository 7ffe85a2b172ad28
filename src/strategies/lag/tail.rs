//! The end of the log, read for what differing keys have been since a look at them.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;

use crate::projection::change::Key;
use crate::projection::decode::Decoder;
use crate::projection::history::{History, HistoryError};
use crate::projection::version::{Guard, Order};
use crate::strategies::{Systems, View, blocking};
use crate::stream::{Extent, Range, ReadError};

/// What these keys have been in the records from `from` to `to`; `None` when those cannot be read as changes
/// of the view's rows.
///
/// # Errors
/// When the log cannot be read.
pub(super) async fn read(
    systems: &Systems,
    view: &View,
    keys: BTreeSet<Key<'static>>,
    from: &[Extent],
    to: &[Extent],
) -> Result<Option<History>> {
    let (Some(decoded), [source]) = (view.decoded(), view.sources()) else {
        return Ok(None);
    };
    let topic: Arc<str> = source.topic.as_str().into();
    let start = |partition| {
        from.iter()
            .find(|e| e.partition == partition)
            .map_or(0, |e| e.end)
    };
    let ranges: Vec<Range> = to
        .iter()
        .map(|e| Range {
            topic: Arc::clone(&topic),
            partition: e.partition,
            from: start(e.partition).max(e.start),
            to: e.end,
        })
        .filter(|r| r.from < r.to)
        .collect();
    let guard = Guard::new(Order::Offset, Vec::new());
    let history = History::new(Decoder::new(decoded, guard), view.mapping.compared(), keys);
    if ranges.is_empty() {
        return Ok(Some(history));
    }
    let log = systems.log().await?;
    let read = move || -> Result<Option<History>> {
        let mut history = history;
        let mut strange: Option<HistoryError> = None;
        let never = AtomicBool::new(false);
        let read = log.read(&ranges, &never, |record| {
            Ok::<_, Infallible>(match history.record(record) {
                Ok(()) => ControlFlow::Continue(()),
                Err(problem) => {
                    strange = Some(problem);
                    ControlFlow::Break(())
                }
            })
        });
        match read {
            Err(ReadError::Stream(problem)) => return Err(problem.into()),
            Err(ReadError::Sink(never)) => match never {},
            Ok(_) => {}
        }
        if let Some(problem) = strange {
            tracing::warn!(%problem, "the end of the log cannot be read, so that keys which keep changing stay undecided");
            return Ok(None);
        }
        Ok(Some(history))
    };
    blocking(read).await
}
