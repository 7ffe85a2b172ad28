//! Building, sealing and swapping the shadow, and ending a run without a swap.

use std::time::Instant;

use sqlx::SqliteConnection;

use crate::store::dialect::{sqlite_load, sqlite_swap};
use crate::store::{Fence, RunState, Shadow, StoreError, Swapped};

use super::error::{Doing, failed};
use super::load::execute;
use super::run::{self, close, release};
use super::settle::is_settled;
use super::{Sqlite, catalog, fetch, int, read};

/// Tries of a swap, each waiting [`super::BUSY_TIMEOUT`] for the write lock.
const TRIES: u32 = 4;

/// A key that is in the shadow twice fails here: it would be a bug of the load.
pub(super) async fn build(store: &Sqlite, shadow: &Shadow) -> Result<(), StoreError> {
    let shown = shadow.live.table.to_string();
    let doing = store.file.doing(&shown, "building the shadow's key");
    store
        .write(doing, async |session| {
            execute(session, doing, &sqlite_load::build(shadow), Vec::new())
                .await
                .map(|_| ())
        })
        .await
}

/// The swap works on the shadow as it is, and the live table keeps its foreign columns: nothing to take off, nothing to
/// carry. ANALYZE would put its tables into a schema that must stay as it is.
pub(super) async fn seal(store: &Sqlite, shadow: &Shadow) -> Result<(), StoreError> {
    let shown = shadow.live.table.to_string();
    let doing = store.file.doing(&shown, "sealing the shadow");
    if is_settled(store, doing, shadow).await? {
        return Ok(());
    }
    Err(unsettled(&shown))
}

fn unsettled(table: &str) -> StoreError {
    StoreError::Refused(format!(
        "{table}: the shadow has changes that are not settled (a bug in trueup)"
    ))
}

/// All in one transaction.
pub(super) async fn swap(
    store: &Sqlite,
    shadows: &[Shadow],
    fence: &Fence<'_>,
) -> Result<Vec<Swapped>, StoreError> {
    let names: Vec<String> = shadows.iter().map(|s| s.live.table.to_string()).collect();
    let shown = names.join(", ");
    let doing = store.file.doing(&shown, "swapping");
    let mut attempts = 1;
    loop {
        let began = Instant::now();
        let problem = match store
            .write(doing, async |session| {
                // The file has one writer, and that is this one now.
                nobody_writes(session, doing, fence).await?;
                exchange_all(session, doing, shadows).await
            })
            .await
        {
            Ok(()) => return Ok(swapped(store, shadows, began, attempts)),
            Err(problem) => problem,
        };
        // The answer to COMMIT may have been lost: the runs' rows, written in it, know.
        if is_swapped(store, doing, shadows).await {
            return Ok(swapped(store, shadows, began, attempts));
        }
        let over = fence.until.is_some_and(|until| Instant::now() >= until);
        if over || attempts == TRIES || !matches!(problem, StoreError::Busy { .. }) {
            return Err(problem);
        }
        attempts += 1;
    }
}

fn swapped(store: &Sqlite, shadows: &[Shadow], began: Instant, attempts: u32) -> Vec<Swapped> {
    let locked_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let one = |shadow: &Shadow| {
        release(store, &shadow.run);
        Swapped {
            old: None,
            locked_ms,
            attempts,
            warnings: Vec::new(),
        }
    };
    shadows.iter().map(one).collect()
}

async fn is_swapped(store: &Sqlite, doing: Doing<'_>, shadows: &[Shadow]) -> bool {
    let Some(first) = shadows.first() else {
        return false;
    };
    let state = state(store, doing, first).await.unwrap_or_default();
    state == RunState::Swapped.word()
}

/// The state in the run's row.
async fn state(store: &Sqlite, doing: Doing<'_>, shadow: &Shadow) -> Result<String, StoreError> {
    let mut session = store.reader().await?;
    run::state(&mut session, doing, &shadow.run).await
}

async fn nobody_writes(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    fence: &Fence<'_>,
) -> Result<(), StoreError> {
    if let Some((sql, before)) = &fence.checkpoint {
        let rows = fetch(session, sql, Vec::new()).await;
        let rows = rows.map_err(|e| failed(doing, &e))?;
        if read::texts(&rows, doing)? != *before {
            let problem = "the projector came back: its checkpoint moved".to_owned();
            return Err(StoreError::Busy { problem });
        }
    }
    let still = (fence.still)().await;
    still.map_err(|problem| StoreError::Busy { problem })
}

/// Rows that refer to each other may be missing in between; all must be right at COMMIT.
async fn exchange_all(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    shadows: &[Shadow],
) -> Result<(), StoreError> {
    execute(session, doing, "PRAGMA defer_foreign_keys = ON", Vec::new()).await?;
    for shadow in shadows {
        exchange(session, doing, shadow).await?;
    }
    crate::crash_point!("swap.exchanged");
    Ok(())
}

async fn exchange(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    shadow: &Shadow,
) -> Result<(), StoreError> {
    let refused = |why: String| Err(StoreError::Refused(format!("{}: {why}", doing.table)));
    let kind = catalog::kind(session, doing, &shadow.live.table).await?;
    if kind.id != shadow.live.id {
        return refused("the table was changed or replaced since the run began".to_owned());
    }
    let sql = format!("SELECT 1 FROM {} LIMIT 1", sqlite_load::later_table(shadow));
    let later = fetch(session, &sql, Vec::new()).await;
    if !later.map_err(|e| failed(doing, &e))?.is_empty() {
        return Err(unsettled(doing.table));
    }
    for sql in sqlite_swap::exchange(shadow) {
        execute(session, doing, &sql, Vec::new()).await?;
    }
    let counts = fetch(session, &sqlite_swap::counts(shadow), Vec::new()).await;
    let counts = counts.map_err(|e| failed(doing, &e))?;
    let (live, new) = counts.first().map_or((0, 0), |r| (int(r, 0), int(r, 1)));
    if live != new {
        return refused(format!(
            "after the exchange it would have {live} rows and not {new}: the key is not unique in it"
        ));
    }
    for sql in sqlite_load::discard(&shadow.run, &shadow.live.table) {
        execute(session, doing, &sql, Vec::new()).await?;
    }
    if !close(session, doing, &shadow.run, RunState::Swapped).await? {
        return refused(format!("run {} is not running any more", shadow.run));
    }
    Ok(())
}

pub(super) async fn end(
    store: &Sqlite,
    shadow: &Shadow,
    state: RunState,
) -> Result<(), StoreError> {
    let shown = shadow.live.table.to_string();
    let doing = store.file.doing(&shown, "ending the run");
    let found = self::state(store, doing, shadow).await?;
    if found == RunState::Running.word() {
        if state == RunState::Kept && !is_settled(store, doing, shadow).await? {
            return Err(unsettled(&shown));
        }
        let statements = match state {
            RunState::Kept => sqlite_load::strip(shadow),
            _ => sqlite_load::discard(&shadow.run, &shadow.live.table).to_vec(),
        };
        store
            .write(doing, async |session| {
                for sql in &statements {
                    execute(session, doing, sql, Vec::new()).await?;
                }
                close(session, doing, &shadow.run, state).await.map(|_| ())
            })
            .await?;
    }
    release(store, &shadow.run);
    Ok(())
}
