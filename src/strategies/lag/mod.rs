//! Lag is not drift: which of the differences found are explained by something that is still under way.
//!
//! Lag has two halves. Between the primary and the log (`captured`) and between the log and the read store (`applied`). A key
//! that differs is drift only if, after both halves have passed the look at which it differed, the read store still says
//! what neither the primary said then nor the log has said since.

pub mod applied;
pub mod captured;
mod message;
pub mod status;
mod tail;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use self::applied::{Projector, extents};
use self::captured::Capture;
use super::compare::Comparison;
use super::{Applied, Origin, Systems, View};
use crate::limits;
use crate::projection::change::Key;
use crate::projection::diff::Difference;
use crate::report::progress::Progress;
use crate::stream::Extent;

/// What became of the keys that differed at first.
#[derive(Debug, Default)]
pub struct Decided {
    /// Differences that lag does not explain, by key.
    pub drift: Vec<Difference>,
    /// Keys that agreed when they were looked at again.
    pub lagging: u64,
    /// Differences of which nothing can be said.
    pub undecided: Vec<Difference>,
    /// Why, in words.
    pub reasons: Vec<String>,
}

/// Whether something was passed, or why it cannot be said that it was.
pub type Passed = Result<(), String>;

/// Tells lag from drift as far as `captured:` and `applied:` allow.
///
/// # Errors
/// When a system cannot be read.
pub async fn decide(
    systems: &Systems,
    view: &View,
    comparison: &Comparison<'_>,
    lag_wait: Duration,
    differences: Vec<Difference>,
    progress: &Progress,
) -> Result<Decided> {
    match &systems.applied {
        _ if differences.is_empty() => Ok(Decided::default()),
        Applied::None => Ok(Decided {
            drift: differences,
            ..Decided::default()
        }),
        Applied::Within(lag) => outwait(comparison, *lag, lag_wait, differences, progress).await,
        Applied::ConsumerGroup(_) | Applied::Checkpoint(_) => {
            let projectors = view
                .sources()
                .iter()
                .map(|source| Projector::of(systems, &source.topic));
            let mut projectors: Vec<Projector<'_>> = projectors.collect();
            follow(
                systems,
                view,
                comparison,
                &mut projectors,
                lag_wait,
                differences,
                progress,
            )
            .await
        }
    }
}

/// Whoever writes the compared table from the log: the second half of lag.
#[allow(async_fn_in_trait)] // Awaited on one task only, so no bound on the futures is needed.
pub trait Follower {
    /// Waits until the table has everything that the log holds now.
    ///
    /// # Errors
    /// When a system cannot be asked, or written.
    async fn pass(&mut self, until: Instant) -> Result<Passed>;
    /// Whether waiting longer cannot help.
    fn is_hopeless(&self) -> bool;
    /// Whether it may say that it has applied what it has not written yet.
    fn may_be_ahead_of_itself(&self) -> bool;
}

impl Follower for Vec<Projector<'_>> {
    async fn pass(&mut self, until: Instant) -> Result<Passed> {
        for projector in self {
            let passed = projector.pass(until).await?;
            if passed.is_err() {
                return Ok(passed);
            }
        }
        Ok(Ok(()))
    }

    fn is_hopeless(&self) -> bool {
        self.iter().any(Projector::is_hopeless)
    }

    fn may_be_ahead_of_itself(&self) -> bool {
        self.iter().any(Projector::may_be_ahead_of_itself)
    }
}

/// Tells lag from drift where `follower` brings the table to the end of the log.
///
/// # Errors
/// When a system cannot be read, and those of the follower.
pub async fn follow(
    systems: &Systems,
    view: &View,
    comparison: &Comparison<'_>,
    follower: &mut impl Follower,
    lag_wait: Duration,
    differences: Vec<Difference>,
    progress: &Progress,
) -> Result<Decided> {
    let mut rounds = Rounds {
        systems,
        view,
        comparison,
        capture: Capture::of(systems, view),
        follower,
        began: Instant::now(),
        until: Instant::now() + lag_wait,
        progress,
        end: Vec::new(),
        open: by_key(differences),
        decided: Decided::default(),
        captured: false,
    };
    rounds.all().await?;
    rounds.decided.drift.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(rounds.decided)
}

fn by_key(differences: Vec<Difference>) -> BTreeMap<Key<'static>, Difference> {
    differences
        .into_iter()
        .map(|d| (d.key.clone(), d))
        .collect()
}

/// Rounds of waiting and looking again, until every key is decided or time is up.
///
/// A round begins with the end of the log, then the look at which a key differed: the primary said P. Once both halves have
/// passed that look, the read store must say P, or something newer: one of the rows that the log brings the key after that
/// end. If it says anything else, it is drift, whether or not the primary has moved on meanwhile.
struct Rounds<'a, F> {
    systems: &'a Systems,
    view: &'a View,
    comparison: &'a Comparison<'a>,
    capture: Capture<'a>,
    follower: &'a mut F,
    began: Instant,
    until: Instant,
    progress: &'a Progress,
    /// Where the log ended before the last look; nothing for a query, whose keys are no keys of the log.
    end: Vec<Extent>,
    /// The keys that are not decided, as the last look found them.
    open: BTreeMap<Key<'static>, Difference>,
    decided: Decided,
    /// Whether the first half had passed in the last round.
    captured: bool,
}

impl<F: Follower> Rounds<'_, F> {
    async fn all(&mut self) -> Result<()> {
        self.begin().await?;
        while !self.open.is_empty() {
            let lagging = self.decided.lagging;
            let reason = match self.pass().await? {
                Ok(()) => {
                    self.judge().await?;
                    format!(
                        "{} keys keep changing; a longer --lag-wait may decide them",
                        self.open.len()
                    )
                }
                Err(reason) => {
                    self.begin().await?;
                    reason
                }
            };
            let healing = self.decided.lagging > lagging;
            if !self.open.is_empty() && self.is_over(healing) {
                if !self.captured {
                    self.judge_what_the_log_has().await?;
                }
                if self.open.is_empty() {
                    return Ok(());
                }
                self.decided.undecided = std::mem::take(&mut self.open).into_values().collect();
                self.decided.reasons.push(reason);
                return Ok(());
            }
            tokio::time::sleep(limits::RECHECK_PAUSE).await;
        }
        Ok(())
    }

    /// Where nothing proves that the log has all of the primary, it may still be seen to have what the primary says of a key:
    /// as the last thing that it says of it. Then only the projector's half is left to pass.
    async fn judge_what_the_log_has(&mut self) -> Result<()> {
        if self.view.decoded().is_none() {
            return Ok(());
        }
        self.begin().await?;
        let to = self.extents().await?;
        let records: i64 = to.iter().map(|e| e.end - e.start).sum();
        if records > limits::HISTORY_RECORDS_MAX {
            return Ok(());
        }
        self.progress.stage(
            &format!("reading the log for {} keys", self.open.len()),
            "looks",
            None,
        );
        let start: Vec<Extent> = to.iter().map(|e| Extent { end: e.start, ..*e }).collect();
        let keys = self.open.keys().cloned().collect();
        let Some(history) = tail::read(self.systems, self.view, keys, &start, &to).await? else {
            return Ok(());
        };
        let open = std::mem::take(&mut self.open);
        let has = |d: &Difference| history.ends_with(&d.key, d.expected.as_ref());
        let (known, unknown): (Vec<_>, Vec<_>) = open.into_values().partition(has);
        self.open = by_key(known);
        let until = self.until.max(Instant::now() + limits::HEAL_WAIT);
        if !self.open.is_empty() && self.follower.pass(until).await?.is_ok() {
            self.judge().await?;
        }
        self.open.extend(by_key(unknown));
        Ok(())
    }

    /// The end of the log, then a look at the open keys: what a round is judged by.
    async fn begin(&mut self) -> Result<()> {
        self.end = self.extents().await?;
        let keys: Vec<Key<'static>> = self.open.keys().cloned().collect();
        self.open = by_key(self.look(&keys).await?);
        Ok(())
    }

    /// Whether to stop with keys undecided. Where a half can never be known to have passed, keys are given time to agree by
    /// themselves, and no longer.
    fn is_over(&self, healing: bool) -> bool {
        let hopeless = self.capture.is_hopeless() || self.follower.is_hopeless();
        let enough = self.began.elapsed() >= limits::HEAL_WAIT && !healing;
        Instant::now() >= self.until || (hopeless && enough)
    }

    /// Where the log of the view's source ends now.
    async fn extents(&self) -> Result<Vec<Extent>> {
        match &self.view.origin {
            Origin::Copy { source, .. } => extents(self.systems, &source.topic).await,
            Origin::Events { .. } | Origin::Query { .. } => Ok(Vec::new()),
        }
    }

    /// Waits until both halves have passed this instant. When the first does not, the second is asked all the same: what
    /// is only lagging will agree.
    async fn pass(&mut self) -> Result<Passed> {
        let keys = self.open.len();
        let wait = |what: &str| {
            self.progress.stage(
                &format!("{keys} keys differ: waiting for {what}"),
                "looks",
                None,
            );
        };
        wait("the log to have what the primary has");
        let captured = self.capture.pass(self.until).await?;
        wait("the table to have what the log has");
        let applied = self.follower.pass(self.until).await?;
        self.captured = captured.is_ok();
        Ok(captured.and(applied))
    }

    /// Looks at keys on both sides; those that agree are done.
    async fn look(&mut self, keys: &[Key<'static>]) -> Result<Vec<Difference>> {
        self.progress.stage(
            &format!("looking again at {} keys", keys.len()),
            "looks",
            None,
        );
        let now = self.comparison.again(keys).await?;
        self.decided.lagging += (keys.len() - now.len()) as u64;
        Ok(now)
    }

    /// Both halves have passed the last look: decides each open key, or leaves it open as it is now.
    async fn judge(&mut self) -> Result<()> {
        let before = std::mem::take(&mut self.open);
        let end = self.extents().await?;
        let keys: Vec<Key<'static>> = before.keys().cloned().collect();
        let mut wrong = self.wrong(&before, &keys).await?;
        if !wrong.is_empty() && self.follower.may_be_ahead_of_itself() {
            // A projector may commit before it writes (auto-commit does): what its group says it has applied is given a
            // moment to be written.
            self.progress.stage(
                &format!(
                    "{} keys differ: giving the projector time to write what it committed",
                    wrong.len()
                ),
                "looks",
                None,
            );
            tokio::time::sleep(limits::COMMIT_AHEAD).await;
            let keys: Vec<Key<'static>> = wrong.iter().map(|d| d.key.clone()).collect();
            let actual = by_key(wrong);
            let still = self.wrong(&before, &keys).await?;
            let (same, moved) = still
                .into_iter()
                .partition(|d| actual.get(&d.key).is_some_and(|a| a.actual == d.actual));
            wrong = same;
            self.open.extend(by_key(moved));
        }
        self.decided.drift.extend(wrong);
        self.end = end;
        Ok(())
    }

    /// Of these keys, those whose row in the read store is neither what the primary said at the last look nor anything that the
    /// log has brought since. The others that differ stay open.
    async fn wrong(
        &mut self,
        before: &BTreeMap<Key<'static>, Difference>,
        keys: &[Key<'static>],
    ) -> Result<Vec<Difference>> {
        let now = self.look(keys).await?;
        if now.is_empty() {
            return Ok(now);
        }
        let to = self.extents().await?;
        let differing = now.iter().map(|d| d.key.clone()).collect();
        let history = tail::read(self.systems, self.view, differing, &self.end, &to).await?;
        let is_wrong = |d: &Difference| {
            let said = before.get(&d.key).is_some_and(|b| b.expected == d.actual);
            // A query's row may be made of one topic before a transaction and another after it: that passes.
            let stood = before.get(&d.key) == Some(d);
            match &history {
                Some(history) => !said && !history.may_have_been(&d.key, d.actual.as_ref()),
                None => !said && stood,
            }
        };
        let (wrong, open): (Vec<_>, Vec<_>) = now.into_iter().partition(is_wrong);
        self.open.extend(by_key(open));
        Ok(wrong)
    }
}

/// Looks at differing keys until each agrees, or has differed for longer than lag may last while the primary's row
/// stood still, or time is up.
async fn outwait(
    comparison: &Comparison<'_>,
    lag: Duration,
    lag_wait: Duration,
    differences: Vec<Difference>,
    progress: &Progress,
) -> Result<Decided> {
    let began = Instant::now();
    let until = began + lag_wait.max(lag + limits::RECHECK_PAUSE * 4);
    let mut waited = Decided::default();
    let mut open: BTreeMap<Key<'static>, (Difference, Instant)> = differences
        .into_iter()
        .map(|d| (d.key.clone(), (d, began)))
        .collect();
    while !open.is_empty() {
        progress.stage(
            &format!("looking again at {} keys that differ", open.len()),
            "looks",
            None,
        );
        tokio::time::sleep(limits::RECHECK_PAUSE).await;
        let now = Instant::now();
        let keys: Vec<Key<'static>> = open.keys().cloned().collect();
        let mut still = BTreeMap::new();
        let mut found = 0;
        for d in comparison.again(&keys).await? {
            let Some((old, since)) = open.get(&d.key) else {
                continue;
            };
            found += 1;
            let since = if old.expected == d.expected {
                *since
            } else {
                now
            };
            if now - since >= lag {
                waited.drift.push(d);
            } else {
                still.insert(d.key.clone(), (d, since));
            }
        }
        waited.lagging += keys.len() as u64 - found;
        open = still;
        if Instant::now() >= until {
            waited.undecided = open.into_values().map(|(d, _)| d).collect();
            break;
        }
    }
    waited.drift.sort_by(|a, b| a.key.cmp(&b.key));
    if !waited.undecided.is_empty() {
        waited.reasons.push(format!(
            "{} keys kept changing in the primary for {} s; a longer --lag-wait may decide them",
            waited.undecided.len(),
            lag_wait.as_secs()
        ));
    }
    Ok(waited)
}
