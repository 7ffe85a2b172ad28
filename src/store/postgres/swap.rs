//! The swap: one short transaction on a ladder of lock timeouts.

use std::time::{Duration, Instant, SystemTime};

use sqlx::{Connection, PgConnection};

use super::{
    Blocker, Fence, Postgres, RunState, Shadow, StoreError, Swapped, execute, fail, get, one,
};
use crate::store::dialect::postgres_swap::{self as swaps, Taking};
use crate::store::dialect::{
    postgres_catalog as questions, postgres_hanging as hanging, postgres_load as load,
    postgres_run as runs, postgres_settle as settling,
};

/// Lock timeouts of the tries, and the least pause before each, in milliseconds. A lock timeout is the outage that readers
/// may feel. Autovacuum gives way only after the server's `deadlock_timeout` of one second: hence those above it.
const LADDER: [(u64, u64); 8] = [
    (100, 0),
    (200, 50),
    (500, 50),
    (1_200, 100),
    (1_500, 100),
    (1_500, 1_000),
    (1_500, 2_000),
    (1_500, 5_000),
];
/// Blockers that a message names.
const BLOCKERS_SHOWN_MAX: usize = 5;
/// Longest wait for the fate of a COMMIT whose reply was lost.
const FATE_SECONDS_MAX: u64 = 30;

/// One try's outcome.
enum Try {
    Done(Duration, Afterwards),
    Locked(sqlx::Error),
}

/// What is left to do and to say once the exchange is committed.
#[derive(Default)]
pub(super) struct Afterwards {
    /// Statements that check the foreign keys, in their order.
    pub(super) checks: Vec<String>,
    /// What the operator should know.
    pub(super) warnings: Vec<String>,
}

/// Tables that take others' places.
pub(super) struct Exchanging<'a, 'f> {
    pub(super) takings: &'a [Taking],
    /// What is tried out on them before any lock is taken, and rolled back.
    pub(super) try_out: &'a [String],
    /// What finishes them once nobody writes any more: foreign columns carried over, what only a load needed taken off.
    pub(super) finish: &'a [String],
    pub(super) fence: &'a Fence<'f>,
}

impl Postgres {
    pub(super) async fn find_old_snapshots(
        &self,
        shadow: &Shadow,
    ) -> Result<Vec<Blocker>, StoreError> {
        let act = "looking for old snapshots";
        let known = self.boundaries.lock().await.get(&shadow.run).cloned();
        let (next, at) = match known {
            Some(known) => known,
            None => {
                let rows = self.ask(act, questions::BOUNDARY).await?;
                let row = rows.first().ok_or_else(|| self.empty(act))?;
                let boundary: (i64, String) = (get(row, 0)?, get(row, 1)?);
                self.boundaries
                    .lock()
                    .await
                    .insert(shadow.run.clone(), boundary.clone());
                boundary
            }
        };
        let rows = self
            .ask(act, &questions::old_snapshots(shadow.live.id, next, &at))
            .await?;
        rows.iter().map(blocker).collect()
    }

    pub(super) async fn swap_tables(
        &self,
        shadows: &[Shadow],
        fence: &Fence<'_>,
    ) -> Result<Vec<Swapped>, StoreError> {
        let takings: Vec<Taking> = shadows.iter().map(Taking::of).collect();
        let (mut finish, mut try_out) = (Vec::new(), Vec::new());
        for shadow in shadows {
            let strip = self.strip(shadow, &mut *self.acquire().await?).await?;
            let carry = settling::carry(shadow);
            // A column can be made strict again only once it is filled; else trying it out is not worth filling it.
            if load::relaxed(shadow).next().is_some() {
                try_out.extend(carry.clone());
            }
            finish.extend(carry);
            try_out.push(strip.clone());
            finish.push(strip);
        }
        self.take_places(&Exchanging {
            takings: &takings,
            try_out: &try_out,
            finish: &finish,
            fence,
        })
        .await
    }

    /// Tries the ladder of lock timeouts.
    pub(super) async fn take_places(
        &self,
        exchanging: &Exchanging<'_, '_>,
    ) -> Result<Vec<Swapped>, StoreError> {
        let takings = exchanging.takings;
        let names: Vec<String> = takings.iter().map(|t| t.place.to_string()).collect();
        let act = format!("swapping {}", names.join(", "));
        let mut session = self.dedicated().await?;
        for taking in takings {
            self.still_held(&taking.run, &taking.place).await?;
            execute(&mut session, &swaps::prepare(taking))
                .await
                .map_err(|e| self.fail(&act, e))?;
        }
        self.check_before(exchanging, &mut session, &act).await?;
        let mut attempts = 0;
        for (timeout, pause) in LADDER {
            tokio::time::sleep(jittered(pause)).await;
            let until = exchanging.fence.until;
            if until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
            attempts += 1;
            match self
                .try_swap(exchanging, &mut session, timeout, &act)
                .await?
            {
                Try::Done(locked, afterwards) => {
                    let warnings = self.afterwards(afterwards, &mut session).await;
                    let _ = session.close().await;
                    return Ok(self.swapped(takings, locked, attempts, warnings).await);
                }
                Try::Locked(problem) => {
                    tracing::debug!(attempts, %problem, "the swap did not get its lock")
                }
            }
        }
        Err(StoreError::Busy {
            problem: format!(
                "{} could not be locked in {attempts} tries; in the way: {}",
                names.join(", "),
                self.blockers(takings).await?
            ),
        })
    }

    /// Once before any lock.
    async fn check_before(
        &self,
        exchanging: &Exchanging<'_, '_>,
        session: &mut PgConnection,
        act: &str,
    ) -> Result<(), StoreError> {
        let mut tx = session.begin().await.map_err(|e| self.fail(act, e))?;
        let checked = async {
            self.finish(exchanging.try_out, &mut tx).await?;
            self.rehearse(exchanging.takings, &mut tx).await
        };
        let checked = checked.await;
        // Nothing was written in it.
        let _ = tx.rollback().await;
        match checked {
            Ok(()) => Ok(()),
            Err(Exchange::Driver(problem)) => Err(self.fail(act, problem)),
            Err(Exchange::Refused(problem)) => Err(problem),
        }
    }

    async fn swapped(
        &self,
        takings: &[Taking],
        locked: Duration,
        attempts: u32,
        mut warnings: Vec<String>,
    ) -> Vec<Swapped> {
        let mut swapped = Vec::with_capacity(takings.len());
        for taking in takings {
            self.tidy(taking).await;
            swapped.push(Swapped {
                old: Some(taking.old()),
                locked_ms: u64::try_from(locked.as_millis()).unwrap_or(u64::MAX),
                attempts,
                warnings: std::mem::take(&mut warnings),
            });
        }
        swapped
    }

    /// Who holds a lock on anything that the swap has to lock.
    async fn blockers(&self, takings: &[Taking]) -> Result<String, StoreError> {
        let act = "looking for who blocks";
        let locks = self.ask(act, &hanging::locks(takings)).await?;
        let beside: Result<Vec<i64>, StoreError> = locks.iter().map(|row| get(row, 1)).collect();
        let mut ids: Vec<i64> = takings.iter().map(|t| t.id).collect();
        ids.extend(beside?);
        let rows = self.ask(act, &questions::lock_holders(&ids)).await?;
        let blockers: Result<Vec<Blocker>, StoreError> = rows.iter().map(blocker).collect();
        let shown: Vec<String> = blockers?
            .iter()
            .take(BLOCKERS_SHOWN_MAX)
            .map(Blocker::to_string)
            .collect();
        Ok(if shown.is_empty() {
            "nobody any more".to_owned()
        } else {
            shown.join("; ")
        })
    }

    async fn try_swap(
        &self,
        exchanging: &Exchanging<'_, '_>,
        session: &mut PgConnection,
        timeout: u64,
        act: &str,
    ) -> Result<Try, StoreError> {
        let pid: i32 = get(
            &one(session, swaps::PID)
                .await
                .map_err(|e| self.fail(act, e))?,
            0,
        )?;
        let mut tx = session.begin().await.map_err(|e| self.fail(act, e))?;
        execute(&mut tx, &swaps::limits(timeout))
            .await
            .map_err(|e| self.fail(act, e))?;
        let began = Instant::now();
        let afterwards = match self.exchange(exchanging, &mut tx).await {
            Ok(afterwards) => afterwards,
            Err(Exchange::Driver(problem)) if fail::is_lock_conflict(&problem) => {
                tx.rollback().await.map_err(|e| self.fail(act, e))?;
                return Ok(Try::Locked(problem));
            }
            Err(Exchange::Driver(problem)) => return Err(self.fail(act, problem)),
            Err(Exchange::Refused(problem)) => {
                // Whatever the answer, the transaction is over.
                let _ = tx.rollback().await;
                return Err(problem);
            }
        };
        crate::crash_point!("swap.exchanged");
        match tx.commit().await {
            Ok(()) => {}
            Err(problem) if fail::is_lost(&problem) => {
                self.fate(exchanging.takings, pid, self.fail(act, problem))
                    .await?;
            }
            Err(problem) => return Err(self.fail(act, problem)),
        }
        Ok(Try::Done(began.elapsed(), afterwards))
    }

    /// The reply to COMMIT was lost: the run's row, written in the same transaction, knows. As long as the session is
    /// still at work the answer may change.
    async fn fate(&self, takings: &[Taking], pid: i32, lost: StoreError) -> Result<(), StoreError> {
        let until = Instant::now() + Duration::from_secs(FATE_SECONDS_MAX);
        let act = "asking whether the swap was committed";
        // All runs' rows are written in one transaction: one of them speaks for all.
        let Some(taking) = takings.first() else {
            return Err(lost);
        };
        loop {
            if let Ok(mut session) = self.dedicated().await {
                // Asked before the row is read: a session that is gone can commit nothing more.
                let row = one(&mut session, &swaps::alive(pid))
                    .await
                    .map_err(|e| self.fail(act, e))?;
                let alive: bool = get(&row, 0)?;
                let row = one(&mut session, &swaps::state(&taking.run))
                    .await
                    .map_err(|e| self.fail(act, e))?;
                let state: String = get(&row, 0)?;
                if state == RunState::Swapped.word() {
                    return Ok(());
                }
                if !alive {
                    return Err(lost);
                }
            }
            if Instant::now() >= until {
                return Err(StoreError::Unreachable {
                    database: self.database.clone(),
                    problem: format!(
                        "the connection broke while the swap of {} was committed; whether it was is in trueup.run, id {}",
                        taking.place, taking.run
                    ),
                });
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// After the swap: the empty schema goes, and with the lock's session the run.
    async fn tidy(&self, taking: &Taking) {
        let drop_schema = swaps::drop_emptied(taking);
        if let Err(problem) = self.ask("dropping an emptied schema", &drop_schema).await {
            tracing::warn!(%problem, run = taking.run, "the swap is done; an empty schema is left");
        }
        self.release(&taking.run).await;
    }

    pub(super) async fn end_run(&self, shadow: &Shadow, state: RunState) -> Result<(), StoreError> {
        let act = format!("ending run {}", shadow.run);
        let sql = match state {
            RunState::Discarded => load::discard(&shadow.run),
            RunState::Kept => runs::ended(&shadow.run, state),
            RunState::Running | RunState::Swapped | RunState::Done | RunState::Incomplete => {
                return Err(StoreError::Refused(format!(
                    "a run does not end as {}",
                    state.word()
                )));
            }
        };
        let mut tx = self.begin_transaction().await?;
        if state == RunState::Kept {
            let strip = self.strip(shadow, &mut tx).await?;
            execute(&mut tx, &strip)
                .await
                .map_err(|e| self.fail(&act, e))?;
        }
        execute(&mut tx, &sql)
            .await
            .map_err(|e| self.fail(&act, e))?;
        tx.commit().await.map_err(|e| self.fail(&act, e))?;
        self.release(&shadow.run).await;
        Ok(())
    }
}

/// Why an exchange did not come to its end.
pub(super) enum Exchange {
    Driver(sqlx::Error),
    Refused(StoreError),
}

impl From<sqlx::Error> for Exchange {
    fn from(problem: sqlx::Error) -> Exchange {
        Exchange::Driver(problem)
    }
}

impl From<StoreError> for Exchange {
    fn from(problem: StoreError) -> Exchange {
        Exchange::Refused(problem)
    }
}

fn blocker(row: &sqlx::postgres::PgRow) -> Result<Blocker, StoreError> {
    blocker_at(row, 0)
}

/// A session in the way, told by five columns from `at` on.
pub(super) fn blocker_at(row: &sqlx::postgres::PgRow, at: usize) -> Result<Blocker, StoreError> {
    Ok(Blocker {
        pid: get(row, at)?,
        user: get(row, at + 1)?,
        application: get(row, at + 2)?,
        age_seconds: u64::try_from(get::<i64>(row, at + 3)?).unwrap_or(0),
        query: get(row, at + 4)?,
    })
}

/// A pause and up to as much again, so that two that met do not meet again.
fn jittered(pause_ms: u64) -> Duration {
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanoseconds = clock.map_or(0, |now| u64::from(now.subsec_nanos()));
    Duration::from_millis(pause_ms + nanoseconds / 1_000 % (pause_ms + 1))
}
