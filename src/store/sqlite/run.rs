//! Runs that write: trueup's own tables brought up to date, a run begun and ended, dead ones buried.

use sqlx::SqliteConnection;

use crate::store::dialect::sqlite::Bind;
use crate::store::dialect::sqlite_own as dialect;
use crate::store::{Access, RunKind, RunState, Start, StoreError};

use super::catalog::Kind;
use super::error::{Doing, failed};
use super::load::execute;
use super::lock::RunLock;
use super::{Sqlite, catalog, fetch, int, stage, words};

pub(super) async fn start(store: &Sqlite, start: &Start) -> Result<(), StoreError> {
    begin(store, start, async |_, _| Ok(())).await
}

/// Takes the table's lock and records the run; `then` is what else belongs to its beginning, in the same transaction.
pub(super) async fn begin(
    store: &Sqlite,
    start: &Start,
    then: impl AsyncFnOnce(&mut SqliteConnection, Option<&Kind>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let shown = start.table.to_string();
    let doing = store.file.doing(&shown, "beginning a run");
    if store.access == Access::Read {
        return store.write(doing, async |_| Ok(())).await; // Says why not, before a lock file is made.
    }
    let held = store.locks().contains_key(&start.run);
    if held {
        return Err(StoreError::Refused(format!(
            "run {} has begun already",
            start.run
        )));
    }
    let lock = RunLock::take(&store.file.path, &start.table.name, &start.run)?;
    let begun = store
        .write(doing, async |session| {
            own_tables(session, doing).await?;
            // A staging area is no table.
            let kind = match start.kind {
                RunKind::Staging => None,
                _ => Some(catalog::kind(session, doing, &start.table).await?),
            };
            if kind.as_ref().is_some_and(|k| k.id != start.table_id) {
                return Err(StoreError::Refused(format!(
                    "{shown}: the table was changed or replaced since the plan was made; plan again"
                )));
            }
            let target = kind.as_ref().map_or(&start.table.name, |k| &k.name);
            bury(session, doing, target).await?;
            record(session, doing, start, target).await?;
            then(session, kind.as_ref()).await
        })
        .await;
    match begun {
        Ok(()) => {
            store.locks().insert(start.run.clone(), lock);
            Ok(())
        }
        Err(problem) => {
            lock.release();
            Err(problem)
        }
    }
}

/// The version of trueup's own tables, 0 without any; one that this trueup does not know is refused.
pub(super) async fn own_version(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
) -> Result<usize, StoreError> {
    let made = fetch(session, dialect::HAS_META, Vec::new()).await;
    if made.map_err(|e| failed(doing, &e))?.is_empty() {
        return Ok(0);
    }
    let rows = fetch(session, dialect::VERSION, Vec::new()).await;
    let rows = rows.map_err(|e| failed(doing, &e))?;
    let version = rows.first().map_or(0, |r| int(r, 0));
    let known = dialect::MIGRATIONS.len();
    match usize::try_from(version) {
        Ok(version) if version <= known => Ok(version),
        _ => Err(StoreError::Refused(format!(
            "{}: its trueup tables have version {version}, this trueup knows version {known}; use the newer trueup",
            doing.database
        ))),
    }
}

/// Brings trueup's own tables up to date.
async fn own_tables(session: &mut SqliteConnection, doing: Doing<'_>) -> Result<(), StoreError> {
    let version = own_version(session, doing).await?;
    let missing = dialect::MIGRATIONS.iter().skip(version);
    for sql in missing.clone().copied().flatten() {
        execute(session, doing, sql, Vec::new()).await?;
    }
    if missing.len() == 0 {
        return Ok(());
    }
    let [forget, note] = dialect::SET_VERSION;
    execute(session, doing, forget, Vec::new()).await?;
    let reached = i64::try_from(dialect::MIGRATIONS.len()).unwrap_or(i64::MAX);
    execute(session, doing, note, vec![Bind::Int(reached)])
        .await
        .map(|_| ())
}

/// Closes the dead runs on the table. Holding the table's lock is the proof that they are dead. Of a replay nothing is
/// left; what a run wrote into the table itself stays there, and so does its journal.
async fn bury(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    target: &str,
) -> Result<(), StoreError> {
    let binds = [RunState::Running.word(), target].map(|t| Bind::Text(t.to_owned()));
    let dead = fetch(session, dialect::RUNS_OF_TABLE, binds.to_vec()).await;
    for row in &dead.map_err(|e| failed(doing, &e))? {
        let id = words(row, 0);
        if !RunKind::builds(&words(row, 1)) {
            close(session, doing, &id, RunState::Incomplete).await?;
            continue;
        }
        stage::discard(session, doing, &id).await?;
        close(session, doing, &id, RunState::Discarded).await?;
    }
    Ok(())
}

async fn record(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    start: &Start,
    target: &str,
) -> Result<(), StoreError> {
    let text = |t: &str| Bind::Text(t.to_owned());
    let binds = vec![
        text(&start.run),
        text(start.kind.word()),
        text(target),
        Bind::Int(start.table_id),
        text(RunState::Running.word()),
        text(&std::process::id().to_string()),
        start.reverts.as_deref().map_or(Bind::Null, text),
    ];
    match execute(session, doing, dialect::RECORD_RUN, binds).await? {
        1 => Ok(()),
        _ => Err(StoreError::Refused(format!(
            "there has been a run {} already",
            start.run
        ))),
    }
}

/// The state in the run's row; nothing when there is none.
pub(super) async fn state(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    run: &str,
) -> Result<String, StoreError> {
    let binds = vec![Bind::Text(run.to_owned())];
    let rows = fetch(session, dialect::RUN_STATE, binds).await;
    let rows = rows.map_err(|e| failed(doing, &e))?;
    Ok(rows.first().map(|r| words(r, 0)).unwrap_or_default())
}

/// Writes the run's end; whether it was running.
pub(super) async fn close(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    id: &str,
    state: RunState,
) -> Result<bool, StoreError> {
    let binds = vec![Bind::Text(id.to_owned())];
    execute(session, doing, dialect::FORGET_POSITIONS, binds.clone()).await?;
    execute(session, doing, dialect::FORGET_LOADS, binds).await?;
    let binds = [state.word(), id, RunState::Running.word()].map(|t| Bind::Text(t.to_owned()));
    Ok(execute(session, doing, dialect::CLOSE_RUN, binds.to_vec()).await? == 1)
}

pub(super) async fn finish(store: &Sqlite, run: &str, state: RunState) -> Result<(), StoreError> {
    let doing = store.file.doing("", "ending the run");
    store
        .write(doing, async |session| {
            if close(session, doing, run, state).await? {
                return Ok(());
            }
            let found = self::state(session, doing, run).await?;
            if found == state.word() {
                return Ok(()); // Ended before, and only the answer was lost.
            }
            Err(StoreError::Refused(format!("run {run} is not running")))
        })
        .await?;
    release(store, run);
    Ok(())
}

/// Gives up the lock of a run that has ended.
pub(super) fn release(store: &Sqlite, run: &str) {
    let lock = store.locks().remove(run);
    if let Some(lock) = lock {
        lock.release();
    }
}
