//! The pass over the log.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use anyhow::Result;

use super::untold;
use crate::projection::cause::Extent;
use crate::projection::decode::AnyDecoder;
use crate::projection::trace::Follow;
use crate::projection::trace::Suspect;
use crate::projection::trace::TraceError;
use crate::projection::trace::Traces;
use crate::projection::version::Guard;
use crate::projection::version::Order;
use crate::report::progress::Progress;
use crate::strategies::compare::Comparison;
use crate::strategies::replay::extents;
use crate::strategies::replay::options::Begin;
use crate::strategies::{Bug, Systems, View, blocking};
use crate::stream::{Cleanup, Topic};

/// How a topic is read.
pub(super) struct Reading {
    /// The topic.
    pub(super) topic: String,
    /// How much of its history it holds.
    pub(super) extent: Extent,
    order: Order,
    /// Records that could not be read: how many, and the first problem.
    unreadable: Arc<Mutex<(u64, Option<String>)>>,
}

impl Reading {
    /// How the topic of a view is read whose rows are records of one.
    pub(super) async fn of(systems: &Systems, view: &View) -> Result<Reading> {
        let [source] = view.sources() else {
            return Err(bug());
        };
        let topic = topic(systems, &source.topic).await?;
        let (extents, _) = extents::of(&topic, &Begin::Zero, &[]);
        let order = match view.start() {
            Some(_) => Order::Offset,
            None => extents::order(systems, source, &topic, &extents, &mut Vec::new()).await?,
        };
        Ok(Reading {
            extent: extent(&topic),
            topic: topic.name,
            order,
            unreadable: Arc::default(),
        })
    }

    /// What reads the records of that view, and what orders them.
    pub(super) fn decoder(&self, view: &View) -> Result<(AnyDecoder, Order)> {
        let epochs = view.sources()[0].epochs.clone();
        let decoder = view.decoder(Guard::new(self.order.clone(), epochs));
        Ok((decoder.ok_or_else(bug)?, self.order.clone()))
    }

    /// What follows these keys.
    pub(super) fn traces(
        &self,
        view: &View,
        comparison: &Comparison<'_>,
        suspects: Vec<Suspect>,
    ) -> Result<Traces> {
        let (decoder, order) = self.decoder(view)?;
        Ok(Traces::new(
            (decoder, order, view.start()),
            view.mapping.clone(),
            (&comparison.columns(), comparison.rules().to_vec()),
            suspects,
        ))
    }

    /// Leads somebody through the topic, from its beginning to where it ends now.
    pub(super) async fn read<F: Follow + Send + 'static>(
        &self,
        systems: &Systems,
        follower: F,
        (progress, stage): (&Progress, &str),
    ) -> Result<F> {
        let topic = topic(systems, &self.topic).await?;
        let (extents, _) = extents::of(&topic, &Begin::Zero, &[]);
        let records = extents.iter().map(extents::Extent::records).sum();
        progress.stage(stage, "records", Some(records));
        let ranges = extents::ranges(&topic.name, &extents);
        if ranges.is_empty() {
            return Ok(follower);
        }
        let (log, pace) = (systems.log().await?, Arc::clone(&systems.pace));
        let (counter, unreadable) = (progress.counter(), Arc::clone(&self.unreadable));
        let read = move || -> Result<F> {
            let mut follower = follower;
            let mut of_the_log = None;
            let (grain, mut due) = (pace.grain(), 0);
            log.scan(&ranges, |record| {
                due += 1;
                if due >= grain {
                    pace.take_blocking(due, &|| false);
                    due = 0;
                }
                counter.add(1);
                match follower.record(record) {
                    Err(TraceError::Decode(problem)) if problem.of_the_log => {
                        of_the_log = Some(problem);
                        return ControlFlow::Break(());
                    }
                    Err(problem) => {
                        let mut known = unreadable.lock().unwrap_or_else(PoisonError::into_inner);
                        known.0 += 1;
                        known.1.get_or_insert_with(|| problem.to_string());
                    }
                    Ok(()) => {}
                }
                ControlFlow::Continue(())
            })?;
            of_the_log.map_or(Ok(follower), |problem| Err(problem.into()))
        };
        blocking(read).await
    }

    /// What could not be told.
    pub(super) fn notes(&self) -> Vec<String> {
        let known = self
            .unreadable
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let bad = known.1.as_ref().map(|first| {
            format!(
                "{} records could not be read, and what they say is not known: {first}",
                known.0
            )
        });
        untold(&self.topic, self.extent)
            .into_iter()
            .chain(bad)
            .collect()
    }
}

async fn topic(systems: &Systems, name: &str) -> Result<Topic> {
    let (log, name) = (systems.log().await?, name.to_owned());
    blocking(move || log.topic(&name)).await
}

fn bug() -> anyhow::Error {
    Bug("a query was to be read from a topic".to_owned()).into()
}

fn extent(topic: &Topic) -> Extent {
    if topic.extents.iter().any(|e| e.start > 0) {
        return Extent::Cut;
    }
    match topic.cleanup {
        Cleanup::Compact | Cleanup::CompactDelete => Extent::Compacted,
        Cleanup::Delete | Cleanup::Unknown => Extent::Whole,
    }
}
