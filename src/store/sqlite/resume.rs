//! What a later process needs to take up a run that died.

use sqlx::SqliteConnection;

use crate::store::dialect::sqlite::Bind;
use crate::store::dialect::sqlite_own as dialect;
use crate::store::{
    Held, Memo, NextOffset, Note, RunState, Shadow, StoreError, TableName, Unfinished,
};

use super::error::{Doing, failed};
use super::load::execute;
use super::lock::RunLock;
use super::run::{close, own_version};
use super::{Sqlite, fetch, int, maybe, stage, words};

fn text(text: &str) -> Bind {
    Bind::Text(text.to_owned())
}

pub(super) async fn take_up(
    store: &Sqlite,
    name: &TableName,
    run: &str,
    binding: &str,
) -> Result<bool, StoreError> {
    let lock = RunLock::take(&store.file.path, &name.name, run)?;
    let doing = store.file.doing("", "taking up a run");
    let process = std::process::id().to_string();
    let binds = [&process, run, binding, &name.name].map(text).to_vec();
    let taken = store
        .write(doing, async |session| {
            execute(session, doing, dialect::TAKE_UP, binds.clone()).await
        })
        .await;
    match taken {
        Ok(1) => {
            store.locks().insert(run.to_owned(), lock);
            Ok(true)
        }
        Ok(_) => {
            lock.release();
            Ok(false)
        }
        Err(problem) => {
            lock.release();
            Err(problem)
        }
    }
}

pub(super) async fn note(store: &Sqlite, run: &str, note: &Note) -> Result<(), StoreError> {
    let doing = store.file.doing("", "noting where a run stands");
    let binding = note.binding.as_deref().map_or(Bind::Null, text);
    let binds = vec![binding, text(&note.stage), text(run)];
    let noted = store
        .write(doing, async |session| {
            execute(session, doing, dialect::NOTE, binds.clone()).await
        })
        .await?;
    if noted == 1 {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "run {run} is not running any more"
    )))
}

pub(super) async fn unfinished(
    store: &Sqlite,
    name: &TableName,
) -> Result<Vec<Unfinished>, StoreError> {
    let doing = store.file.doing("", "looking for runs that did not end");
    let mut session = store.reader().await?;
    if own_version(&mut session, doing).await? < dialect::LOAD_VERSION {
        return Ok(Vec::new());
    }
    let rows = fetch(&mut session, dialect::UNFINISHED, vec![text(&name.name)]).await;
    let alive = RunLock::is_held(&store.file.path, &name.name);
    let rows = rows.map_err(|e| failed(doing, &e))?;
    store.file.still_frozen()?;
    let read = |row| Unfinished {
        run: words(row, 0),
        binding: maybe(row, 1),
        stage: maybe(row, 2),
        started_at: words(row, 3),
        alive,
    };
    Ok(rows.iter().map(read).collect())
}

pub(super) async fn abandon(store: &Sqlite, name: &TableName, run: &str) -> Result<(), StoreError> {
    let lock = RunLock::take(&store.file.path, &name.name, run)?;
    let doing = store.file.doing("", "removing what a run has built");
    let removed = store
        .write(doing, async |session| {
            stage::discard(session, doing, run).await?;
            close(session, doing, run, RunState::Discarded)
                .await
                .map(drop)
        })
        .await;
    lock.release();
    removed
}

pub(super) async fn pause(store: &Sqlite, run: &str, paused: bool) -> Result<(), StoreError> {
    let doing = store.file.doing("", "noting that the projector is paused");
    let sql = if paused {
        dialect::PAUSE
    } else {
        dialect::RESUMED
    };
    store
        .write(doing, async |session| {
            execute(session, doing, sql, vec![text(run)])
                .await
                .map(drop)
        })
        .await
}

pub(super) async fn pauses(store: &Sqlite) -> Result<Vec<Unfinished>, StoreError> {
    let doing = store
        .file
        .doing("", "looking for a projector that is paused");
    let mut session = store.reader().await?;
    if own_version(&mut session, doing).await? < dialect::LOAD_VERSION {
        return Ok(Vec::new());
    }
    let rows = fetch(&mut session, dialect::PAUSES, Vec::new()).await;
    let rows = rows.map_err(|e| failed(doing, &e))?;
    let read = |row| Unfinished {
        run: words(row, 0),
        binding: maybe(row, 1),
        stage: maybe(row, 2),
        started_at: words(row, 3),
        alive: RunLock::is_held(&store.file.path, &words(row, 4)),
    };
    Ok(rows.iter().map(read).filter(|u| !u.alive).collect())
}

pub(super) async fn held(store: &Sqlite, run: &str) -> Result<Held, StoreError> {
    let doing = store.file.doing("", "reading how far a run had read");
    let mut session = store.reader().await?;
    let rows = fetch(&mut session, dialect::HELD, vec![text(run)]).await;
    let rows = rows.map_err(|e| failed(doing, &e))?;
    let next = |row| {
        Some(NextOffset {
            topic: maybe(row, 1)?,
            partition: i32::try_from(int(row, 2)).ok()?,
            offset: int(row, 3),
        })
    };
    Ok(Held {
        binding: rows.first().and_then(|row| maybe(row, 0)),
        next: rows.iter().filter_map(next).collect(),
    })
}

pub(super) async fn memos(store: &Sqlite, run: &str) -> Result<Vec<Memo>, StoreError> {
    let doing = store.file.doing("", "reading what a run remembers");
    let mut session = store.reader().await?;
    let rows = fetch(&mut session, dialect::MEMOS, vec![text(run)]).await;
    let read = |row| Memo {
        table: words(row, 0),
        loaded: maybe(row, 1),
        settled: maybe(row, 2),
    };
    let rows = rows.map_err(|e| failed(doing, &e))?;
    Ok(rows.iter().map(read).collect())
}

/// Notes something that the load of a shadow has to know to go on; nothing of an empty one.
pub(super) async fn remember(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    shadow: &Shadow,
    column: &str,
    memo: &str,
) -> Result<(), StoreError> {
    if memo.is_empty() {
        return Ok(());
    }
    let binds = [&shadow.run, &shadow.live.table.name, memo].map(text);
    execute(session, doing, &dialect::remember(column), binds.to_vec())
        .await
        .map(drop)
}

/// Forgets what the load of a shadow remembers, and the records that were kept for it.
pub(super) async fn forget(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    shadow: &Shadow,
) -> Result<(), StoreError> {
    for statement in [dialect::FORGET_QUARANTINED, dialect::FORGET_LOAD] {
        let binds = [&*shadow.run, &shadow.live.table.name].map(text);
        execute(session, doing, statement, binds.to_vec()).await?;
    }
    Ok(())
}
