//! The swap: one short transaction on a ladder of lock timeouts.

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};

use super::{
    Blocker, Fence, Postgres, RunState, Shadow, StoreError, Swapped, TableName, affected, all,
    catalog, execute, fail, get, one, read,
};
use crate::store::dialect::{
    postgres_catalog as questions, postgres_load as load, postgres_run as runs,
    postgres_settle as settling, postgres_swap as swaps,
};

/// Lock timeouts of the tries, in milliseconds, and the pause before each, in seconds. A lock timeout is the outage that
/// readers may feel. Autovacuum gives way only after the server's `deadlock_timeout` of one second: hence those above it.
const LADDER: [(u64, u64); 8] = [
    (100, 0),
    (200, 0),
    (500, 0),
    (1_200, 0),
    (1_500, 0),
    (1_500, 1),
    (1_500, 2),
    (1_500, 5),
];
/// Blockers that a message names.
const BLOCKERS_SHOWN_MAX: usize = 5;
/// Longest wait for the fate of a COMMIT whose reply was lost.
const FATE_SECONDS_MAX: u64 = 30;

/// One try's outcome.
enum Try {
    Done(Duration),
    Locked(sqlx::Error),
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
        let names: Vec<String> = shadows.iter().map(|s| s.live.table.to_string()).collect();
        let act = format!("swapping {}", names.join(", "));
        let mut session = self.dedicated().await?;
        for shadow in shadows {
            self.still_held(&shadow.run, &shadow.live.table).await?;
            execute(&mut session, &swaps::prepare(shadow))
                .await
                .map_err(|e| self.fail(&act, e))?;
            // Once before any lock: what fails here disturbs nobody, and the session has read the catalog that it reads
            // again under the lock.
            match self.check(shadow, &mut session).await {
                Ok(()) => {}
                Err(Exchange::Driver(problem)) => return Err(self.fail(&act, problem)),
                Err(Exchange::Refused(problem)) => return Err(problem),
            }
        }
        let mut attempts = 0;
        for (timeout, pause) in LADDER {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            if fence.until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
            attempts += 1;
            match self
                .try_swap(shadows, fence, &mut session, timeout, &act)
                .await?
            {
                Try::Done(locked) => {
                    let _ = session.close().await;
                    return Ok(self.swapped(shadows, locked, attempts).await);
                }
                Try::Locked(problem) => {
                    tracing::debug!(attempts, %problem, "the swap did not get its lock")
                }
            }
        }
        let mut blockers = Vec::with_capacity(shadows.len());
        for shadow in shadows {
            blockers.push(self.blockers(shadow).await?);
        }
        Err(StoreError::Busy {
            problem: format!(
                "{} could not be locked in {attempts} tries; in the way: {}",
                names.join(", "),
                blockers.join("; ")
            ),
        })
    }

    async fn swapped(&self, shadows: &[Shadow], locked: Duration, attempts: u32) -> Vec<Swapped> {
        let mut swapped = Vec::with_capacity(shadows.len());
        for shadow in shadows {
            self.tidy(shadow).await;
            swapped.push(Swapped {
                old: Some(TableName {
                    schema: Some(load::old_schema(&shadow.run)),
                    name: shadow.live.table.name.clone(),
                }),
                locked_ms: u64::try_from(locked.as_millis()).unwrap_or(u64::MAX),
                attempts,
            });
        }
        swapped
    }

    async fn blockers(&self, shadow: &Shadow) -> Result<String, StoreError> {
        let rows = self
            .ask(
                "looking for who blocks",
                &questions::lock_holders(shadow.live.id),
            )
            .await?;
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
        shadows: &[Shadow],
        fence: &Fence<'_>,
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
        match self.exchange(shadows, fence, &mut tx).await {
            Ok(()) => {}
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
        }
        crate::crash_point!("swap.exchanged");
        match tx.commit().await {
            Ok(()) => Ok(Try::Done(began.elapsed())),
            Err(problem) if fail::is_lost(&problem) => {
                self.fate(shadows, pid, began, self.fail(act, problem))
                    .await
            }
            Err(problem) => Err(self.fail(act, problem)),
        }
    }

    /// Everything between the locks and the COMMIT.
    async fn exchange(
        &self,
        shadows: &[Shadow],
        fence: &Fence<'_>,
        tx: &mut PgConnection,
    ) -> Result<(), Exchange> {
        execute(tx, &swaps::lock(shadows)).await?;
        self.nobody_writes(fence, tx).await?;
        for shadow in shadows {
            // Under the lock nothing more can be hung on the table.
            self.check(shadow, tx).await?;
            if let Some(carry) = settling::carry(shadow) {
                execute(tx, &carry).await?;
            }
            self.strip(shadow, tx).await?;
            if affected(tx, &swaps::exchange(shadow)).await? != 1 {
                return Err(StoreError::Refused(format!(
                    "run {} is not running any more",
                    shadow.run
                ))
                .into());
            }
        }
        Ok(())
    }

    /// Looked at under the locks: who comes back now waits for them, and then finds the new tables.
    async fn nobody_writes(
        &self,
        fence: &Fence<'_>,
        tx: &mut PgConnection,
    ) -> Result<(), Exchange> {
        if let Some(role) = fence.writer_role {
            let sessions = all(tx, &runs::sessions_of(role)).await?;
            let named: Result<Vec<String>, StoreError> = sessions
                .iter()
                .map(|row| {
                    Ok(format!(
                        "pid {} ({})",
                        get::<i32>(row, 0)?,
                        get::<String>(row, 1)?
                    ))
                })
                .collect();
            if !sessions.is_empty() {
                let problem = format!("role {role} still has sessions: {}", named?.join(", "));
                return Err(StoreError::Busy { problem }.into());
            }
        }
        if let Some((sql, before)) = &fence.checkpoint {
            let now = read::texts(&all(tx, &read::playbook_query(sql)).await?)?;
            if now != *before {
                let problem = "the projector came back: its checkpoint moved".to_owned();
                return Err(StoreError::Busy { problem }.into());
            }
        }
        let still = (fence.still)().await;
        still.map_err(|problem| StoreError::Busy { problem }.into())
    }

    /// Whether the live table is still the plan's, and the shadow its twin.
    async fn check(&self, shadow: &Shadow, tx: &mut PgConnection) -> Result<(), Exchange> {
        let row = one(tx, &swaps::live_id(shadow)).await?;
        if get::<Option<i64>>(&row, 0)? != Some(shadow.live.id) {
            return Err(StoreError::Refused(format!(
                "{} was replaced by another table since the plan",
                shadow.live.table
            ))
            .into());
        }
        let hanging = all(tx, &questions::obstacles(shadow.live.id, self.version)).await?;
        if let Some(row) = hanging.first() {
            let obstacle = catalog::obstacle(row)?;
            return Err(StoreError::Refused(format!(
                "{} cannot be swapped any more: {obstacle}",
                shadow.live.table
            ))
            .into());
        }
        let differences: Option<String> = get(&one(tx, &swaps::differences(shadow)).await?, 0)?;
        if let Some(differences) = differences {
            return Err(StoreError::Refused(format!(
                "{} was altered since the run began: {differences}",
                shadow.live.table
            ))
            .into());
        }
        Ok(())
    }

    /// The reply to COMMIT was lost: the run's row, written in the same transaction, knows. As long as the session is
    /// still at work the answer may change.
    async fn fate(
        &self,
        shadows: &[Shadow],
        pid: i32,
        began: Instant,
        lost: StoreError,
    ) -> Result<Try, StoreError> {
        let until = Instant::now() + Duration::from_secs(FATE_SECONDS_MAX);
        let act = "asking whether the swap was committed";
        // All runs' rows are written in one transaction: one of them speaks for all.
        let Some(shadow) = shadows.first() else {
            return Err(lost);
        };
        loop {
            if let Ok(mut session) = self.dedicated().await {
                // Asked before the row is read: a session that is gone can commit nothing more.
                let row = one(&mut session, &swaps::alive(pid))
                    .await
                    .map_err(|e| self.fail(act, e))?;
                let alive: bool = get(&row, 0)?;
                let row = one(&mut session, &swaps::state(&shadow.run))
                    .await
                    .map_err(|e| self.fail(act, e))?;
                let state: String = get(&row, 0)?;
                if state == RunState::Swapped.word() {
                    return Ok(Try::Done(began.elapsed()));
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
                        shadow.live.table, shadow.run
                    ),
                });
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// After the swap: the empty schema goes, and with the lock's session the run.
    async fn tidy(&self, shadow: &Shadow) {
        let drop_schema = load::drop_emptied(&shadow.run);
        if let Err(problem) = self
            .ask("dropping the empty schema of the shadow", &drop_schema)
            .await
        {
            tracing::warn!(%problem, run = shadow.run, "the swap is done; an empty schema is left");
        }
        self.release(&shadow.run).await;
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
            match self.strip(shadow, &mut tx).await {
                Ok(()) => {}
                Err(Exchange::Driver(problem)) => return Err(self.fail(&act, problem)),
                Err(Exchange::Refused(problem)) => return Err(problem),
            }
        }
        execute(&mut tx, &sql)
            .await
            .map_err(|e| self.fail(&act, e))?;
        tx.commit().await.map_err(|e| self.fail(&act, e))?;
        self.release(&shadow.run).await;
        Ok(())
    }
}

/// What went wrong in the transaction of a swap.
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
    Ok(Blocker {
        pid: get(row, 0)?,
        user: get(row, 1)?,
        application: get(row, 2)?,
        age_seconds: u64::try_from(get::<i64>(row, 3)?).unwrap_or(0),
        query: get(row, 4)?,
    })
}
