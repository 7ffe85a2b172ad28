//! The projector at rest: paused where it works, for as long as its tables are exchanged, and resumed whatever happens. A pause
//! is journalled before it begins.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::cutover::{Cutover, Pausing};
use super::projector::{self, Standing};
use crate::crash_point;
use crate::limits;
use crate::report::progress::Progress;
use crate::store::{Acts, Fence, NextOffset, StoreError, WritePermit};
use crate::strategies::{Applied, Interrupted, Refused, Systems};

/// Tables that are about to be exchanged, and the projector that writes them.
pub(in crate::strategies) struct AtRest<'a> {
    /// The systems.
    pub(in crate::strategies) systems: &'a Systems,
    /// The right to write.
    pub(in crate::strategies) permit: &'a WritePermit,
    /// The run under which a pause is journalled.
    pub(in crate::strategies) run: &'a str,
    /// The topics that the tables are made of.
    pub(in crate::strategies) topics: Vec<String>,
    /// How the projector is paused.
    pub(in crate::strategies) cutover: &'a Cutover,
    /// How long the work is likely to take.
    pub(in crate::strategies) left: Duration,
    /// What is shown of it.
    pub(in crate::strategies) progress: &'a Progress,
    /// Whether the operator said stop.
    pub(in crate::strategies) stop: &'a AtomicBool,
}

impl AtRest<'_> {
    /// Does something while the projector is paused, or is at rest anyway; how long it was paused, in milliseconds. The work is
    /// told when it must have ended.
    ///
    /// # Errors
    /// When the projector cannot be brought to rest or be resumed, and whatever goes wrong meanwhile.
    pub(in crate::strategies) async fn meanwhile<T>(
        &self,
        work: impl AsyncFnOnce(Option<Instant>) -> Result<T>,
    ) -> Result<(T, Option<u64>)> {
        self.systems.pace.pass().await;
        // The projector is at rest from here on, or will be.
        let _hurry = self.systems.pace.hurry();
        let Some(who) = projector::activity(self.systems, &self.topics).await? else {
            return Ok((work(None).await?, None));
        };
        let Some(pausing) = &self.cutover.pausing else {
            let reason = format!("the projector came back: {who}; nothing was swapped");
            return Err(Refused::because(reason).into());
        };
        self.is_short_enough(pausing)?;
        self.progress.stage("pausing the projector", "steps", None);
        let read_store = &self.systems.read_store;
        read_store.pause(self.permit, self.run, true).await?;
        crash_point!("cutover.pausing");
        let began = Instant::now();
        let until = began + self.cutover.pause_max;
        let outcome = match pausing.pause(self.cutover.pause_max).await {
            Ok(()) => {
                crash_point!("cutover.paused");
                // What is waited for by hand takes as long as it takes.
                work(matches!(pausing, Pausing::Commands { .. }).then_some(until)).await
            }
            Err(problem) => Err(problem),
        };
        crash_point!("cutover.swapped");
        let resumed = pausing.resume().await;
        let paused_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match (outcome, resumed) {
            (outcome, Ok(())) => {
                read_store.pause(self.permit, self.run, false).await?;
                Ok((outcome?, Some(paused_ms)))
            }
            (Ok(_), Err(problem)) => Err(problem.context("the swap is done")),
            (Err(outcome), Err(problem)) => {
                tracing::error!("{problem:#}");
                Err(outcome)
            }
        }
    }

    /// A pause that would have to be given up is not begun.
    fn is_short_enough(&self, pausing: &Pausing) -> Result<(), StoreError> {
        let (left, most) = (self.left, self.cutover.pause_max);
        if matches!(pausing, Pausing::ByHand(_)) || left <= most {
            return Ok(());
        }
        let problem = format!(
            "catching up takes {} ms each time, and the projector may be paused for {} ms (cutover.pause_max): nothing was paused; \
             try again when less is written, or allow a longer pause",
            left.as_millis(),
            most.as_millis()
        );
        Err(StoreError::Busy { problem })
    }

    /// Waits until nobody is at work; where the projector is then.
    ///
    /// # Errors
    /// `Busy` when somebody still is at the end of the time.
    pub(in crate::strategies) async fn standing(&self, until: Option<Instant>) -> Result<Standing> {
        while let Some(who) = projector::activity(self.systems, &self.topics).await? {
            if until.is_none_or(|until| Instant::now() >= until) {
                let problem = format!("the projector is not at rest: {who}");
                return Err(StoreError::Busy { problem }.into());
            }
            if self.stop.load(Ordering::Relaxed) {
                let state = "interrupted: nothing was swapped".to_owned();
                return Err(Interrupted { state }.into());
            }
            tokio::time::sleep(limits::LAG_LOOK).await;
        }
        projector::standing(self.systems, &self.topics).await
    }

    /// Exchanges tables behind a fence: that nobody writes them, and that the projector is where it was, is asked once more
    /// under the locks. `holds` is how far the tables are by then.
    ///
    /// # Errors
    /// When the projector cannot be asked, and those of the exchange.
    pub(in crate::strategies) async fn fenced<T>(
        &self,
        standing: &Standing,
        holds: &[NextOffset],
        until: Option<Instant>,
        exchange: impl AsyncFnOnce(&Fence<'_>) -> Result<T, StoreError>,
    ) -> Result<T> {
        self.progress.stage("swapping", "steps", None);
        let systems = self.systems;
        let group = match &systems.applied {
            Applied::ConsumerGroup(name) => Some((systems.log().await?, name.clone())),
            _ => None,
        };
        let still = || -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> {
            let Some((log, name)) = group.clone() else {
                return Box::pin(async { Ok(()) });
            };
            let (topics, standing) = (self.topics.clone(), standing.clone());
            Box::pin(async move {
                let asked = tokio::task::spawn_blocking(move || {
                    projector::still_at_rest(&log, &name, &topics, &standing)
                });
                asked.await.unwrap_or_else(|e| Err(e.to_string()))
            })
        };
        let checkpoint = match &systems.applied {
            Applied::Checkpoint(sql) => Some((sql.as_str(), systems.read_store.query(sql).await?)),
            _ => None,
        };
        let fence = Fence {
            writer_role: self.cutover.writer_role.as_deref(),
            checkpoint,
            still: &still,
            holds,
            until,
        };
        Ok(exchange(&fence).await?)
    }
}

/// Brings tables so near to the projector that a pause has little left to do: each round of catching up has what came during the
/// one before it. How long such a round takes in the end.
///
/// # Errors
/// Those of a round.
pub(in crate::strategies) async fn close_in(
    mut round: impl AsyncFnMut() -> Result<bool>,
) -> Result<Duration> {
    let mut left = Duration::MAX;
    for _ in 0..limits::CATCH_UP_ROUNDS_MAX {
        let (before, began) = (left, Instant::now());
        let any = round().await?;
        left = began.elapsed();
        if !any || left < limits::CLOSE_ENOUGH || left > before / 2 {
            break;
        }
    }
    Ok(left)
}

/// Whether another try may go better.
pub(in crate::strategies) fn passes(problem: &anyhow::Error) -> bool {
    matches!(problem.downcast_ref(), Some(StoreError::Busy { .. })) || is_unique(problem)
}

/// Whether two rows have one value of a unique index, where the log ends now.
pub(in crate::strategies) fn is_unique(problem: &anyhow::Error) -> bool {
    matches!(problem.downcast_ref(), Some(StoreError::Unique { .. }))
}
