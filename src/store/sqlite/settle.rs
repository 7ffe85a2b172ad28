//! Settling the keys that occur more than once, in one transaction: the file has one writer, so nothing is gained by
//! more of them, and after a failure everything is as it was.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use crate::projection::cell::{Cell, Row};
use crate::projection::change::{Change, Key, Op};
use crate::projection::types::ColumnType;
use crate::projection::version::Version;
use crate::store::dialect::sqlite::Bind;
use crate::store::dialect::sqlite_load as dialect;
use crate::store::marks;
use crate::store::{Settle, Settled, Shadow, StateStream, StoreError, state};

use super::bind::{Binder, insert_gone, insert_rows};
use super::error::{Doing, failed};
use super::load::execute;
use super::resume::remember;
use super::{Sqlite, fetch, int, read, value, words};

/// Changes handed over at a time.
const PAGE_ROWS: usize = 2_000;

pub(super) async fn settle(
    store: &Sqlite,
    shadow: &Shadow,
    by: &mut dyn Settle,
) -> Result<(), StoreError> {
    let shown = shadow.live.table.to_string();
    let doing = store
        .file
        .doing(&shown, "settling keys that occur more than once");
    if let Some(truncate) = by.truncated() {
        store
            .write(doing, async |session| {
                for sql in dialect::clear(shadow) {
                    let rank = truncate.rank.to_bytes(shadow.rank_words);
                    let binds = vec![
                        Bind::Blob(rank),
                        Bind::Int(truncate.offset),
                        Bind::Int(truncate.partition.into()),
                    ];
                    execute(session, doing, &sql, binds).await?;
                }
                Ok(())
            })
            .await?;
    }
    if is_settled(store, doing, shadow).await? {
        return Ok(());
    }
    store
        .write(doing, async |session| {
            for sql in dialect::gather(shadow) {
                execute(session, doing, &sql, Vec::new()).await?;
            }
            hand_over(session, doing, shadow, by).await?;
            for sql in dialect::settled(shadow) {
                execute(session, doing, &sql, Vec::new()).await?;
            }
            remember(session, doing, shadow, "settled", &by.memo()).await
        })
        .await
}

/// Whether no later change waits.
pub(super) async fn is_settled(
    store: &Sqlite,
    doing: Doing<'_>,
    shadow: &Shadow,
) -> Result<bool, StoreError> {
    let mut session = store.reader().await?;
    let sql = format!("SELECT 1 FROM {} LIMIT 1", dialect::later_table(shadow));
    let rows = fetch(&mut session, &sql, Vec::new()).await;
    Ok(rows.map_err(|e| failed(doing, &e))?.is_empty())
}

async fn hand_over(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    shadow: &Shadow,
    by: &mut dyn Settle,
) -> Result<(), StoreError> {
    let binder = Binder::new(shadow, doing.table);
    let mut after: Vec<Bind> = Vec::new();
    loop {
        let sql = dialect::page(shadow, !after.is_empty(), PAGE_ROWS);
        let rows = fetch(session, &sql, after).await;
        let rows = rows.map_err(|e| failed(doing, &e))?;
        after = Vec::new();
        for row in &rows {
            let change = change(row, shadow, doing)?;
            let arrival = int(row, shadow.columns.len() + dialect::TRAILING_COUNT);
            after.clear();
            binder.key(&change.key, &mut after)?;
            after.push(Bind::Int(arrival));
            if arrival < 0 {
                by.held(change)?;
            } else {
                by.change(change)?;
            }
        }
        let end = rows.len() < PAGE_ROWS;
        write(session, doing, shadow, by.take(end)?).await?;
        if end {
            return Ok(());
        }
    }
}

async fn write(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    shadow: &Shadow,
    settled: Vec<Settled>,
) -> Result<(), StoreError> {
    let mut rows: Vec<(Row<'static>, Version)> = Vec::with_capacity(settled.len());
    let mut gone = Vec::new();
    for settled in settled {
        match settled {
            Settled::Row(row, version) => rows.push((row, version)),
            Settled::Gone(key, version) => gone.push((key, version)),
        }
    }
    insert_rows(session, doing, shadow, &rows, |(row, version)| {
        (row.as_slice(), *version)
    })
    .await?;
    insert_gone(session, doing, shadow, &gone, |(key, version)| {
        (key, *version)
    })
    .await
}

/// Nobody else writes a shadow, so that what is settled stays so until it is read.
pub(super) async fn state(store: &Sqlite, shadow: &Shadow) -> Result<StateStream, StoreError> {
    let (run, live) = (&shadow.run, &shadow.live.table);
    let (rows, gone) = (
        dialect::shadow_name(run, live),
        dialect::gone_name(run, live),
    );
    let shown = rows.to_string();
    let doing = store.file.doing(&shown, "reading the shadow's state");
    if !is_settled(store, doing, shadow).await? {
        return Err(state::unsettled(&rows));
    }
    read::stream(store, state::scans(shadow, rows, gone), state::batch).await
}

/// A later change as it was appended.
fn change(
    row: &SqliteRow,
    shadow: &Shadow,
    doing: Doing<'_>,
) -> Result<Change<'static>, StoreError> {
    let width = shadow.columns.len();
    let mut cells = Vec::with_capacity(width);
    for (at, column) in shadow.columns.iter().enumerate() {
        cells.push(cell(row, at, &column.kind, &column.name, doing)?);
    }
    let mut stamp = Vec::with_capacity(dialect::TRAILING_COUNT);
    for (at, (name, kind)) in (width..).zip(&state::VERSION) {
        stamp.push(cell(row, at, kind, name, doing)?);
    }
    let version = state::version(&stamp).ok_or_else(|| bad(doing, "trueup_rank", "no version"))?;
    let key = Key(shadow.key.iter().map(|at| cells[*at].clone()).collect());
    let trailing = width + dialect::TRAILING_COUNT;
    let op = if int(row, trailing + 1) == 1 {
        Op::Delete
    } else {
        for hole in words(row, trailing + 2)
            .split(',')
            .filter(|h| !h.is_empty())
        {
            let mark = hole.parse().ok();
            let put_back = mark.and_then(|mark| marks::put_back(&mut cells, mark));
            put_back.ok_or_else(|| bad(doing, "trueup_holes", "no column"))?;
        }
        if shadow.key.iter().any(|at| cells[*at] == Cell::Unchanged) {
            Op::Lost
        } else {
            Op::Put(cells)
        }
    };
    Ok(Change { key, version, op })
}

fn cell(
    row: &SqliteRow,
    at: usize,
    kind: &ColumnType,
    name: &str,
    doing: Doing<'_>,
) -> Result<Cell<'static>, StoreError> {
    let raw = row.try_get_raw(at).map_err(|e| failed(doing, &e))?;
    value::cell(raw, kind).map_err(|problem| bad(doing, name, &problem))
}

fn bad(doing: Doing<'_>, column: &str, problem: &str) -> StoreError {
    StoreError::Value {
        table: doing.table.to_owned(),
        problem: format!("column {column}: {problem}"),
    }
}
