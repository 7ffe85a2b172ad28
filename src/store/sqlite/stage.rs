//! Staging: the sources of query views, loaded into tables of their own and derived from there.

use sqlx::SqliteConnection;

use crate::store::dialect::sqlite::Bind;
use crate::store::dialect::{sqlite_load as load, sqlite_stage as dialect};
use crate::store::{RunKind, RunState, Shadow, Staging, Start, StoreError, TableName};

use super::error::{Doing, failed};
use super::load::execute;
use super::resume::forget;
use super::run::{self, close, release};
use super::{Sqlite, fetch, words};

pub(super) async fn stage(store: &Sqlite, staging: &Staging) -> Result<(), StoreError> {
    let shown = staging.table().to_string();
    let doing = store.file.doing(&shown, "staging sources");
    let start = Start {
        run: staging.run.clone(),
        kind: RunKind::Staging,
        table: staging.table(),
        table_id: 0,
        reverts: None,
    };
    run::begin(store, &start, async |session, _| {
        for shadow in &staging.shadows {
            for sql in load::create(shadow, false) {
                execute(session, doing, &sql, Vec::new()).await?;
            }
        }
        Ok(())
    })
    .await
}

pub(super) async fn unstage(store: &Sqlite, run: &str) -> Result<(), StoreError> {
    let doing = store.file.doing("", "removing the staged sources");
    store
        .write(doing, async |session| {
            discard(session, doing, run).await?;
            close(session, doing, run, RunState::Discarded)
                .await
                .map(|_| ())
        })
        .await?;
    release(store, run);
    Ok(())
}

/// Removes everything that a run made.
pub(super) async fn discard(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    run: &str,
) -> Result<(), StoreError> {
    let binds = vec![Bind::Text(dialect::prefix(run))];
    let made = fetch(session, dialect::MADE_BY, binds).await;
    for row in &made.map_err(|e| failed(doing, &e))? {
        let sql = dialect::drop(&words(row, 0), &words(row, 1));
        execute(session, doing, &sql, Vec::new()).await?;
    }
    Ok(())
}

/// SQLite asks for no key where a query groups by it, so that a view does for every query.
pub(super) async fn expose(
    store: &Sqlite,
    shadows: &[Shadow],
) -> Result<Vec<TableName>, StoreError> {
    let doing = store.file.doing("", "exposing the staged sources");
    store
        .write(doing, async |session| {
            for sql in shadows.iter().flat_map(dialect::expose) {
                execute(session, doing, &sql, Vec::new()).await?;
            }
            Ok(())
        })
        .await?;
    Ok(shadows.iter().map(dialect::exposed).collect())
}

pub(super) async fn clear(store: &Sqlite, shadow: &Shadow) -> Result<(), StoreError> {
    let shown = shadow.live.table.to_string();
    let doing = store.file.doing(&shown, "emptying the shadow");
    store
        .write(doing, async |session| {
            for sql in dialect::clear(shadow) {
                execute(session, doing, &sql, Vec::new()).await?;
            }
            forget(session, doing, shadow).await
        })
        .await
}

pub(super) async fn fill(store: &Sqlite, shadow: &Shadow, query: &str) -> Result<(), StoreError> {
    run_all(store, shadow, "deriving", &[dialect::fill(shadow, query)]).await
}

async fn run_all(
    store: &Sqlite,
    shadow: &Shadow,
    act: &str,
    statements: &[String],
) -> Result<(), StoreError> {
    let shown = shadow.live.table.to_string();
    let doing = store.file.doing(&shown, act);
    store
        .write(doing, async |session| {
            for sql in statements {
                execute(session, doing, sql, Vec::new()).await?;
            }
            Ok(())
        })
        .await
}
