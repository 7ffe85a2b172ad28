//! Loading the shadow: the run's beginning, batches in, rows replaced.

use sqlx::SqliteConnection;

use crate::projection::cell::{Cell, Row};
use crate::projection::change::Key;
use crate::projection::version::Version;
use crate::store::dialect::sqlite::Bind;
use crate::store::dialect::sqlite_load as dialect;
use crate::store::{Batch, Encoder, NextOffset, Origin, RunState, Shadow, StoreError};

use super::bind::{Binder, insert, insert_rows};
use super::error::{Doing, failed};
use super::lock::RunLock;
use super::{Sqlite, catalog, fetch, int, run, words};

/// Rows collected as they are.
#[derive(Debug, Default)]
pub(super) struct Collected {
    first: Vec<(Row<'static>, Origin)>,
    again: Vec<(Key<'static>, Option<Row<'static>>, Origin)>,
    bytes: usize,
}

impl Collected {
    fn own(&mut self, cells: &[Cell<'_>]) -> Vec<Cell<'static>> {
        let own = |cell: &Cell<'_>| {
            self.bytes += size_of::<Cell<'_>>() + cell.heap_bytes();
            cell.clone().into_owned()
        };
        cells.iter().map(own).collect()
    }
}

impl Encoder for Collected {
    fn first(&mut self, row: &Row<'_>, origin: &Origin) {
        let row = self.own(row);
        self.first.push((row, *origin));
    }

    fn again(&mut self, key: &Key<'_>, row: Option<&Row<'_>>, origin: &Origin) {
        let key = Key(self.own(&key.0));
        let row = row.map(|row| self.own(row));
        self.again.push((key, row, *origin));
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn take(&mut self) -> Batch {
        self.bytes = 0;
        Batch::Rows {
            first: std::mem::take(&mut self.first),
            again: std::mem::take(&mut self.again),
        }
    }
}

pub(super) async fn begin(store: &Sqlite, shadow: &Shadow) -> Result<(), StoreError> {
    let shown = shadow.live.table.to_string();
    let doing = store.file.doing(&shown, "beginning a run");
    if store.access == crate::store::Access::Read {
        return store.write(doing, async |_| Ok(())).await; // Says why not, before a lock file is made.
    }
    let held = store.locks().contains_key(&shadow.run);
    if held {
        return Err(StoreError::Refused(format!(
            "run {} has begun already",
            shadow.run
        )));
    }
    let lock = RunLock::take(&store.file.path, &shadow.live.table.name, &shadow.run)?;
    let begun = store
        .write(doing, async |session| {
            own_tables(session, doing).await?;
            let kind = catalog::kind(session, doing, &shadow.live.table).await?;
            if kind.id != shadow.live.id {
                return Err(StoreError::Refused(format!(
                    "{shown}: the table was changed or replaced since the plan was made; plan again"
                )));
            }
            bury(session, doing, shadow).await?;
            record(session, doing, shadow).await?;
            for sql in dialect::create(shadow, kind.strict) {
                execute(session, doing, &sql, Vec::new()).await?;
            }
            Ok(())
        })
        .await;
    match begun {
        Ok(()) => {
            store.locks().insert(shadow.run.clone(), lock);
            Ok(())
        }
        Err(problem) => {
            lock.release();
            Err(problem)
        }
    }
}

pub(super) async fn execute(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    sql: &str,
    binds: Vec<Bind>,
) -> Result<u64, StoreError> {
    run(session, sql, binds)
        .await
        .map_err(|e| failed(doing, &e))
}

async fn own_tables(session: &mut SqliteConnection, doing: Doing<'_>) -> Result<(), StoreError> {
    for sql in dialect::OWN_TABLES {
        execute(session, doing, sql, Vec::new()).await?;
    }
    let rows = fetch(session, "SELECT version FROM main.trueup_meta", Vec::new()).await;
    let version = rows
        .map_err(|e| failed(doing, &e))?
        .first()
        .map_or(0, |r| int(r, 0));
    if version == dialect::OWN_VERSION {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "{}: its trueup tables have version {version}, this trueup knows version {}; use the newer trueup",
        doing.database,
        dialect::OWN_VERSION
    )))
}

/// Removes what dead runs on the table left behind. Holding the table's lock is the proof that they are dead.
async fn bury(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    shadow: &Shadow,
) -> Result<(), StoreError> {
    let sql = "SELECT id FROM main.trueup_run WHERE state = ? AND target = ?";
    let binds = vec![
        Bind::Text(RunState::Running.word().to_owned()),
        Bind::Text(shadow.live.table.name.clone()),
    ];
    let dead = fetch(session, sql, binds).await;
    for row in &dead.map_err(|e| failed(doing, &e))? {
        let id = words(row, 0);
        for sql in dialect::discard(&id, &shadow.live.table) {
            execute(session, doing, &sql, Vec::new()).await?;
        }
        close(session, doing, &id, RunState::Discarded).await?;
    }
    Ok(())
}

/// Writes the run's end; whether it was running.
pub(super) async fn close(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    id: &str,
    state: RunState,
) -> Result<bool, StoreError> {
    let sql = "DELETE FROM main.trueup_position WHERE run = ?";
    execute(session, doing, sql, vec![Bind::Text(id.to_owned())]).await?;
    let sql = "UPDATE main.trueup_run SET state = ?, ended_at = strftime('%Y-%m-%d %H:%M:%f+00') \
               WHERE id = ? AND state = ?";
    let binds = [state.word(), id, RunState::Running.word()].map(|t| Bind::Text(t.to_owned()));
    Ok(execute(session, doing, sql, binds.to_vec()).await? == 1)
}

async fn record(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    shadow: &Shadow,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO main.trueup_run (id, kind, target, target_id, state, process, started_at) \
               VALUES (?, 'replay', ?, ?, ?, ?, strftime('%Y-%m-%d %H:%M:%f+00'))";
    let binds = vec![
        Bind::Text(shadow.run.clone()),
        Bind::Text(shadow.live.table.name.clone()),
        Bind::Int(shadow.live.id),
        Bind::Text(RunState::Running.word().to_owned()),
        Bind::Text(std::process::id().to_string()),
    ];
    execute(session, doing, sql, binds).await.map(|_| ())
}

pub(super) async fn append(
    store: &Sqlite,
    shadow: &Shadow,
    batch: Batch,
    next: &[NextOffset],
) -> Result<(), StoreError> {
    let Batch::Rows { first, again } = batch else {
        let problem = "a batch in another store's form was handed to SQLite (a bug in trueup)";
        return Err(StoreError::Refused(problem.to_owned()));
    };
    let shown = shadow.live.table.to_string();
    let doing = store.file.doing(&shown, "appending to the shadow");
    store
        .write(doing, async |session| {
            insert_rows(session, doing, shadow, &first, |(row, origin)| {
                (row.as_slice(), origin.version)
            })
            .await?;
            let binder = Binder::new(shadow, doing.table);
            let width = shadow.columns.len() + dialect::LATER_COUNT;
            let sql = |rows| dialect::insert_later(shadow, rows);
            insert(
                session,
                doing,
                &again,
                width,
                sql,
                |(key, row, origin), out| binder.again(key, row.as_ref(), origin, out),
            )
            .await?;
            for offset in next {
                let binds = vec![
                    Bind::Text(shadow.run.clone()),
                    Bind::Text(offset.topic.clone()),
                    Bind::Int(offset.partition.into()),
                    Bind::Int(offset.offset),
                ];
                execute(session, doing, dialect::RECORD_POSITION, binds).await?;
            }
            Ok(())
        })
        .await
}

pub(super) async fn replace(
    store: &Sqlite,
    shadow: &Shadow,
    rows: &[(Key<'static>, Option<Row<'static>>, Version)],
) -> Result<(), StoreError> {
    let shown = shadow.live.table.to_string();
    let doing = store.file.doing(&shown, "replacing rows of the shadow");
    let binder = Binder::new(shadow, doing.table);
    store
        .write(doing, async |session| {
            let sql = |rows| dialect::remove(shadow, rows);
            let width = shadow.key.len();
            insert(session, doing, rows, width, sql, |(key, ..), out| {
                binder.key(key, out)
            })
            .await?;
            let put: Vec<(&Row<'static>, Version)> = rows
                .iter()
                .filter_map(|(_, row, version)| row.as_ref().map(|row| (row, *version)))
                .collect();
            insert_rows(session, doing, shadow, &put, |(row, version)| {
                (row.as_slice(), *version)
            })
            .await
        })
        .await
}
