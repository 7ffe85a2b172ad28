//! Looks, while work goes on, at what it has to wait for.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Pace;
use super::stall::Stall;
use crate::limits;
use crate::report::progress::Progress;
use crate::store::{Acts, Follower, Replication, Store};
use crate::strategies::{Captured, Systems};

/// What the work does, and so whom it may hold up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// It only reads.
    Reads,
    /// It writes into the read store, whose replicas have to follow.
    Writes,
}

/// Does `work` at the pace of `systems`: its waits are begun and ended here, and shown by `progress`.
pub async fn watched<T>(
    systems: &Systems,
    progress: &Progress,
    what: Watched,
    work: impl Future<Output = T>,
) -> T {
    let mut watch = Watch::new(systems, progress, what);
    // What is there from the beginning holds from the beginning.
    watch.look().await;
    let work = std::pin::pin!(work);
    tokio::select! {
        biased;
        done = work => done,
        never = watch.forever() => match never {},
    }
}

/// What cannot be looked at, for the plan: the lag of replicas that a role may not see.
///
/// # Errors
/// When the read store cannot be asked.
pub async fn blind(systems: &Systems) -> Result<Option<String>> {
    if systems.pace.asked().replica_lag_max.is_none() {
        return Ok(None);
    }
    let asked = systems.read_store.replication().await?;
    Ok(asked.hidden_from.map(|role| {
        format!(
            "the read store has replicas, and role {role} may not see how far they lag: work does not wait for them \
             (GRANT pg_read_all_stats TO {role} lets it)"
        )
    }))
}

struct Watch<'a> {
    systems: &'a Systems,
    pace: &'a Pace,
    progress: &'a Progress,
    what: Watched,
    /// Positions of the read store's log, each with the time at which it was seen.
    positions: Positions,
    /// The same of the primary's.
    captured: Positions,
    stall: Stall,
}

impl<'a> Watch<'a> {
    fn new(systems: &'a Systems, progress: &'a Progress, what: Watched) -> Watch<'a> {
        let pace = &*systems.pace;
        Watch {
            systems,
            pace,
            progress,
            what,
            positions: Positions::default(),
            captured: Positions::default(),
            stall: Stall::new(pace.asked().stall_after),
        }
    }

    async fn forever(&mut self) -> Infallible {
        loop {
            tokio::time::sleep(limits::PACE_LOOK).await;
            self.look().await;
            self.stall
                .look(self.systems, self.pace, self.progress)
                .await;
        }
    }

    async fn look(&mut self) {
        let why = match paused(self.pace.asked().pause_file.as_deref()) {
            Some(paused) => Some(paused),
            None => self.throttled().await,
        };
        if why.is_some() != self.pace.held().is_some() {
            match &why {
                Some(why) => tracing::info!("work stands still: {why}"),
                None => tracing::info!("work goes on"),
            }
        }
        // Nobody waits while others wait for us.
        let shown = why.clone().filter(|_| !self.pace.hurries());
        let said = shown.or_else(|| self.stall.said());
        self.pace.hold(why);
        self.progress.state(said);
    }

    /// Why work waits for replicas: one is over the bound, or was and is not yet under half of it.
    async fn throttled(&mut self) -> Option<String> {
        let max = self.pace.asked().replica_lag_max?;
        let is_held = self
            .pace
            .held()
            .is_some_and(|why| why.starts_with(THROTTLED));
        let bound = if is_held { max / 2 } else { max };
        let mut lags = Vec::new();
        if self.what == Watched::Writes {
            lags.extend(self.followers(is_held).await);
        }
        lags.extend(self.replica().await);
        lags.extend(self.captured().await);
        let (who, lag) = lags.into_iter().max_by_key(|(_, lag)| *lag)?;
        (lag > bound).then(|| {
            format!(
                "{THROTTLED}: replica lag {:.1} s > {} s ({who})",
                lag.as_secs_f64(),
                seconds(bound)
            )
        })
    }

    /// The lag of everybody who follows the read store.
    async fn followers(&mut self, is_held: bool) -> Vec<(String, Duration)> {
        let store = &self.systems.read_store;
        let Some(seen) = asked(store).await else {
            return Vec::new();
        };
        let now = Instant::now();
        if let Some(position) = seen.position {
            self.positions.at(position, now);
        }
        let lag = |f: &Follower| (f.name.clone(), self.positions.lag(f.position, now));
        let lags: Vec<(String, Duration)> = seen.followers.iter().map(lag).collect();
        let last = seen.followers.iter().map(|f| f.position).min();
        self.positions.forget(last);
        // A replica tells how far it is when something arrives, and while work stands still nothing does.
        if is_held && lags.iter().any(|(_, lag)| !lag.is_zero()) {
            let _ = store.emit("trueup: how far are you?").await;
        }
        lags
    }

    /// The lag of the replica of the primary that is read.
    async fn replica(&self) -> Option<(String, Duration)> {
        let seen = asked(&self.systems.primary).await?;
        let lag = Duration::try_from_secs_f64(seen.behind_seconds?).ok()?;
        Some(("read_url".to_owned(), lag))
    }

    /// How far the connector's slot is behind: by what was sent to it, for it confirms that only now and then. A connector that
    /// is down does not catch up however long anybody waits.
    async fn captured(&mut self) -> Option<(String, Duration)> {
        let Captured::Slot(slot) = &self.systems.captured else {
            return None;
        };
        let seen = asked(self.systems.capture_side()).await?;
        let now = Instant::now();
        self.captured.at(seen.position?, now);
        let reader = seen.followers.iter().find(|f| f.name == *slot)?;
        let lag = self.captured.lag(reader.position, now);
        self.captured.forget(Some(reader.position));
        Some((format!("slot {slot}"), lag))
    }
}

/// What a wait for replicas begins with.
pub(super) const THROTTLED: &str = "throttled";

fn paused(file: Option<&Path>) -> Option<String> {
    let file = file.filter(|file| file.exists())?;
    Some(format!("paused: {} exists", file.display()))
}

/// What a database says of those who follow it. One that cannot be asked now is asked again; the work finds out itself.
async fn asked(store: &Store) -> Option<Replication> {
    match store.replication().await {
        Ok(seen) => Some(seen),
        Err(problem) => {
            tracing::debug!(%problem, "replicas were not looked at");
            None
        }
    }
}

/// A bound as it was written: `1.5`, `2`, `0.75`.
fn seconds(bound: Duration) -> String {
    let text = format!("{:.3}", bound.as_secs_f64());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// When which position was the newest: what a replica has not replayed yet is at least as old as the first position beyond it.
#[derive(Debug, Default)]
struct Positions(VecDeque<(u64, Instant)>);

impl Positions {
    fn at(&mut self, position: u64, now: Instant) {
        if self.0.back().is_none_or(|(last, _)| *last < position) {
            self.0.push_back((position, now));
        }
    }

    fn lag(&self, replayed: u64, now: Instant) -> Duration {
        let first = self.0.iter().find(|(position, _)| *position > replayed);
        first.map_or(Duration::ZERO, |(_, seen)| {
            now.saturating_duration_since(*seen)
        })
    }

    /// Positions that every follower has replayed.
    fn forget(&mut self, replayed: Option<u64>) {
        let newest = self.0.back().map(|(position, _)| *position);
        let Some(replayed) = replayed.or(newest) else {
            return;
        };
        while self
            .0
            .front()
            .is_some_and(|(position, _)| *position <= replayed)
        {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_replayed_is_as_old_as_the_first_position_beyond_it() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut positions = Positions::default();
        for second in 0..10 {
            positions.at(100 * second, at(second));
        }
        assert_eq!(positions.lag(900, at(20)), Duration::ZERO);
        assert_eq!(positions.lag(899, at(20)), Duration::from_secs(11));
        assert_eq!(positions.lag(450, at(20)), Duration::from_secs(15));
        positions.forget(Some(450));
        assert_eq!(positions.0.len(), 5);
        assert_eq!(positions.lag(450, at(20)), Duration::from_secs(15));
        // Nobody follows: nothing is kept.
        positions.forget(None);
        assert!(positions.0.is_empty());
    }

    #[test]
    fn bounds_are_said_as_they_were_written() {
        let said: Vec<String> = [1_500, 2_000, 750, 100_000]
            .into_iter()
            .map(|ms| seconds(Duration::from_millis(ms)))
            .collect();
        assert_eq!(said, ["1.5", "2", "0.75", "100"]);
    }
}
