//! Says what is waited for when nothing has come forward for a while. It ends nothing.

use std::time::{Duration, Instant};

use super::Pace;
use super::watch::THROTTLED;
use crate::report::progress::Progress;
use crate::store::Acts;
use crate::strategies::{Systems, blocking};

/// What was seen of the work, and since when it is so.
pub(super) struct Stall {
    after: Duration,
    /// How far it was, and whether it was made to stand still.
    mark: ((String, u64), bool),
    since: Instant,
    /// When it was said last, and what.
    told: Option<(Instant, String)>,
}

impl Stall {
    pub(super) fn new(after: Duration) -> Stall {
        Stall {
            after,
            mark: Default::default(),
            since: Instant::now(),
            told: None,
        }
    }

    /// What was said, while it still holds.
    pub(super) fn said(&self) -> Option<String> {
        self.told.as_ref().map(|(_, said)| said.clone())
    }

    /// Looks whether the work has come forward; when it has not for too long, finds out why and says so, again and again.
    pub(super) async fn look(&mut self, systems: &Systems, pace: &Pace, progress: &Progress) {
        let mark = (progress.mark(), pace.stands_still());
        if mark != self.mark {
            (self.mark, self.since, self.told) = (mark, Instant::now(), None);
            return;
        }
        let last = self.told.as_ref().map_or(self.since, |(at, _)| *at);
        if last.elapsed() < self.after {
            return;
        }
        let (seconds, stage) = (self.since.elapsed().as_secs(), &self.mark.0.0);
        let (is_blocked, why) = why(systems, pace).await;
        let said = format!("no progress for {seconds} s: {why}");
        if is_blocked {
            tracing::warn!("{stage}: {said}");
        } else {
            tracing::info!("{stage}: {said}");
        }
        self.told = Some((Instant::now(), said));
    }
}

/// What the work waits for, and whether that is anything but a statement that takes its time.
async fn why(systems: &Systems, pace: &Pace) -> (bool, String) {
    if let Some(held) = pace.held().filter(|_| pace.stands_still()) {
        // A pause is what the operator wants.
        return (held.starts_with(THROTTLED), held);
    }
    let mut working = Vec::new();
    for (name, store) in [
        ("read store", Some(&systems.read_store)),
        ("primary", Some(&systems.primary)),
        ("staging", systems.scratch.as_ref()),
    ] {
        let Some(store) = store else { continue };
        for waiting in store.waiting().await.unwrap_or_default() {
            let said = format!("{name}: {waiting}");
            if !waiting.blockers.is_empty() {
                return (true, said);
            }
            working.push(said);
        }
    }
    if let Some(said) = reading(systems, pace).await {
        return (true, said);
    }
    if working.is_empty() {
        // Its own work, or somebody whom it says itself that it waits for.
        working.push("nothing that trueup can see is in its way".to_owned());
    }
    (false, working.join("; "))
}

/// Where the log is read, and who has to give it.
async fn reading(systems: &Systems, pace: &Pace) -> Option<String> {
    let place = pace.place()?;
    let (topic, partition) = (place.range.topic.to_string(), place.range.partition);
    let log = systems.log().await.ok()?;
    let asked = topic.clone();
    let broker = blocking(move || log.broker(&asked, partition)).await;
    let from = match broker {
        Ok(Some(broker)) => format!(" from {broker}"),
        Ok(None) => String::new(),
        Err(problem) => format!(" ({problem})"),
    };
    Some(format!(
        "waiting for {topic} partition {partition} at offset {} of {}{from}",
        place.next(),
        place.range.to
    ))
}
