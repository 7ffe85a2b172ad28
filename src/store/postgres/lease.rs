//! The lease of a run: a session that holds its table's lock and gives a sign of life now and then, and what a later process
//! needs to take up a run that died.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::sync::Mutex;

use super::run::unlock;
use super::{Postgres, StoreError, TableName, affected, all, execute, get, one};
use crate::store::dialect::{
    postgres_load as load, postgres_quarantine as quarantine, postgres_run as sql,
};
use crate::store::{Held, Memo, NextOffset, Note, Unfinished};

/// Time between two signs of life.
const BEAT_EVERY: Duration = Duration::from_secs(10);
/// A session whose run was silent for longer is of a process that stands still or cannot be reached.
const SILENT_SECONDS_MAX: u64 = 60;
/// The server notices within half a minute that nobody is there any more.
const KEEPALIVE: &str =
    "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 4";
/// Looks at whether a silent session has ended.
const TERMINATE_LOOKS: u32 = 50;

/// The sessions that hold the locks of running runs, by run.
pub(super) type Leases = Arc<Mutex<HashMap<String, Lease>>>;

/// One run that is ours.
#[derive(Debug)]
pub(super) struct Lease {
    /// Holds the lock.
    pub(super) session: PgConnection,
    /// How often the run was taken up: another process that takes it up again writes with the next number.
    number: i32,
}

impl Postgres {
    /// The session whose life is the run's: while it lasts, nobody else begins a run on this table.
    pub(super) async fn lock_table(&self, live: &TableName) -> Result<PgConnection, StoreError> {
        let mut session = self.dedicated().await?;
        let fail = |e| self.fail(&format!("locking {live} for a run"), e);
        execute(&mut session, KEEPALIVE).await.map_err(fail)?;
        let asked = format!("SELECT pg_try_advisory_lock({})", sql::lock_number(live));
        if get(&one(&mut session, &asked).await.map_err(fail)?, 0)? {
            return Ok(session);
        }
        if self.end_silent(&mut session, live).await
            && get(&one(&mut session, &asked).await.map_err(fail)?, 0)?
        {
            return Ok(session);
        }
        // Who has not begun yet, or cannot be read, has no name.
        let runs = all(&mut session, &sql::running(live))
            .await
            .unwrap_or_default();
        let names: Result<Vec<String>, StoreError> = runs.iter().map(|r| get(r, 0)).collect();
        let names = names?.join(", ");
        let _ = session.close().await;
        Err(StoreError::Busy {
            problem: format!(
                "another run on {live} is alive: {}",
                if names.is_empty() { "starting" } else { &names }
            ),
        })
    }

    /// Ends the session of a run that holds the lock and gives no sign of life: its process stands still, or is out of reach.
    /// What it would write later is refused, since its lease is another's by then.
    async fn end_silent(&self, session: &mut PgConnection, live: &TableName) -> bool {
        let asked = sql::gone_silent(live, SILENT_SECONDS_MAX);
        // Before the first run there is nothing to ask.
        let Ok(rows) = all(session, &asked).await else {
            return false;
        };
        let Some(pid) = rows.first().and_then(|row| get::<i32>(row, 0).ok()) else {
            return false;
        };
        tracing::warn!(pid, table = %live, "a run holds the lock and gave no sign of life for {SILENT_SECONDS_MAX} s: its session is ended");
        if one(session, &sql::terminate(pid)).await.is_err() {
            return false;
        }
        for _ in 0..TERMINATE_LOOKS {
            match all(session, &asked).await {
                Ok(rows) if rows.is_empty() => return true,
                Ok(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(_) => return false,
            }
        }
        false
    }

    /// Keeps the lock's session, and gives signs of life from it.
    pub(super) async fn hold(&self, run: &str, session: PgConnection, number: i32) {
        let lease = Lease { session, number };
        self.held.lock().await.insert(run.to_owned(), lease);
        let (held, run) = (Arc::downgrade(&self.held), run.to_owned());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(BEAT_EVERY).await;
                let Some(held) = held.upgrade() else {
                    return;
                };
                let mut held = held.lock().await;
                let Some(lease) = held.get_mut(&run) else {
                    return;
                };
                let beat = sql::beat(&run, lease.number);
                if affected(&mut lease.session, &beat).await.is_err() {
                    return; // The next act of the run finds out, and says so.
                }
            }
        });
    }

    /// The last statement of a transaction that writes for a run: refused when another process has taken the run up.
    pub(super) async fn fence(&self, run: &str, tx: &mut PgConnection) -> Result<(), StoreError> {
        // A lock that another store of this process holds is looked after there.
        let Some(number) = self.held.lock().await.get(run).map(|l| l.number) else {
            return Ok(());
        };
        match affected(tx, &sql::beat(run, number)).await {
            Ok(1) => Ok(()),
            Ok(_) => Err(StoreError::Busy {
                problem: format!("run {run} was taken up by another process"),
            }),
            Err(e) => Err(self.fail(&format!("writing for run {run}"), e)),
        }
    }

    /// The lock's session must still be there, or another run may have begun.
    pub(super) async fn still_held(&self, run: &str, live: &TableName) -> Result<(), StoreError> {
        let mut held = self.held.lock().await;
        let lost = || StoreError::Busy {
            problem: format!("run {run} no longer holds its lock on {live}"),
        };
        let lease = held.get_mut(run).ok_or_else(lost)?;
        let alive = one(&mut lease.session, "SELECT 1").await;
        alive.map(drop).map_err(|_| lost())
    }

    /// Gives the run's lock up.
    pub(super) async fn release(&self, run: &str) {
        if let Some(lease) = self.held.lock().await.remove(run) {
            unlock(lease.session).await;
        }
        self.boundaries.lock().await.remove(run);
    }

    pub(super) async fn take_run_up(
        &self,
        name: &TableName,
        run: &str,
        binding: &str,
    ) -> Result<bool, StoreError> {
        let session = self.lock_table(name).await?;
        let mut connection = self.acquire().await?;
        let act = format!("taking up run {run}");
        match all(&mut connection, &sql::take_up(name, run, binding)).await {
            Ok(rows) => match rows.first() {
                Some(row) => {
                    self.hold(run, session, get(row, 0)?).await;
                    Ok(true)
                }
                None => {
                    unlock(session).await;
                    Ok(false)
                }
            },
            Err(e) => {
                unlock(session).await;
                Err(self.fail(&act, e))
            }
        }
    }

    pub(super) async fn write_note(&self, run: &str, note: &Note) -> Result<(), StoreError> {
        let mut connection = self.acquire().await?;
        let sql = sql::note(run, note.binding.as_deref(), &note.stage);
        match affected(&mut connection, &sql).await {
            Ok(1) => Ok(()),
            Ok(_) => Err(StoreError::Refused(format!(
                "run {run} is not running any more"
            ))),
            Err(e) => Err(self.fail(&format!("noting where run {run} stands"), e)),
        }
    }

    pub(super) async fn find_unfinished(
        &self,
        name: &TableName,
    ) -> Result<Vec<Unfinished>, StoreError> {
        let mut connection = self.acquire().await?;
        if self.own_version(&mut connection).await? < sql::LOAD_VERSION {
            return Ok(Vec::new());
        }
        self.read_unfinished(&mut connection, &sql::unfinished(name))
            .await
    }

    async fn read_unfinished(
        &self,
        connection: &mut PgConnection,
        sql: &str,
    ) -> Result<Vec<Unfinished>, StoreError> {
        let rows = all(connection, sql)
            .await
            .map_err(|e| self.fail("looking for runs that did not end", e))?;
        let read = |row| {
            Ok(Unfinished {
                run: get(row, 0)?,
                binding: get(row, 1)?,
                stage: get(row, 2)?,
                started_at: get(row, 3)?,
                alive: get(row, 4)?,
            })
        };
        rows.iter().map(read).collect()
    }

    pub(super) async fn abandon_run(&self, name: &TableName, run: &str) -> Result<(), StoreError> {
        let lock = self.lock_table(name).await?;
        let act = format!("removing what run {run} has built");
        let removed = async {
            let mut tx = self.begin_transaction().await?;
            let discard = execute(&mut tx, &load::discard(run)).await;
            discard.map_err(|e| self.fail(&act, e))?;
            tx.commit().await.map_err(|e| self.fail(&act, e))
        };
        let removed = removed.await;
        unlock(lock).await;
        removed
    }

    pub(super) async fn write_pause(&self, run: &str, paused: bool) -> Result<(), StoreError> {
        let act = "noting that the projector is paused";
        self.ask(act, &sql::pause(run, paused)).await.map(drop)
    }

    pub(super) async fn read_pauses(&self) -> Result<Vec<Unfinished>, StoreError> {
        let mut connection = self.acquire().await?;
        if self.own_version(&mut connection).await? < sql::LOAD_VERSION {
            return Ok(Vec::new());
        }
        let mut open = self
            .read_unfinished(&mut connection, &sql::pauses())
            .await?;
        open.retain(|run| !run.alive);
        Ok(open)
    }

    pub(super) async fn read_held(&self, run: &str) -> Result<Held, StoreError> {
        let asked = sql::held(run);
        let rows = self.ask("reading how far a run had read", &asked).await?;
        let mut held = Held::default();
        for row in &rows {
            held.binding = get(row, 0)?;
            if let Some(topic) = get(row, 1)? {
                held.next.push(NextOffset {
                    topic,
                    partition: get(row, 2)?,
                    offset: get(row, 3)?,
                });
            }
        }
        Ok(held)
    }

    pub(super) async fn read_memos(&self, run: &str) -> Result<Vec<Memo>, StoreError> {
        let rows = self
            .ask("reading what a run remembers", &sql::memos(run))
            .await?;
        let read = |row| {
            Ok(Memo {
                table: get(row, 0)?,
                loaded: get(row, 1)?,
                settled: get(row, 2)?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Takes a run's load back to its beginning, when its shadow was emptied.
    pub(super) fn forgotten(run: &str, table: &str) -> String {
        format!(
            "{}; {}; {}",
            load::positions_gone(run),
            quarantine::forget(run, table),
            sql::forget(run, Some(table))
        )
    }
}
