//! Loading the shadow: the run's beginning, batches in, rows replaced.

use sqlx::SqliteConnection;

use crate::projection::cell::{Cell, Row};
use crate::projection::change::Key;
use crate::projection::version::Version;
use crate::store::dialect::sqlite::Bind;
use crate::store::dialect::sqlite_load as dialect;
use crate::store::{Batch, Encoder, Mark, Origin, RunKind, Shadow, Start, StoreError};

use super::bind::{Binder, insert, insert_gone, insert_rows};
use super::error::{Doing, failed};
use super::quarantine::keep;
use super::{Sqlite, resume::remember, run};

/// Rows collected as they are.
#[derive(Debug, Default)]
pub(super) struct Collected {
    first: Vec<(Row<'static>, Origin)>,
    again: Vec<(Key<'static>, Option<Row<'static>>, Origin)>,
    gone: Vec<(Key<'static>, Version)>,
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

    fn gone(&mut self, key: &Key<'_>, version: &Version) {
        let key = Key(self.own(&key.0));
        self.gone.push((key, *version));
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn take(&mut self) -> Batch {
        self.bytes = 0;
        Batch::Rows {
            first: std::mem::take(&mut self.first),
            again: std::mem::take(&mut self.again),
            gone: std::mem::take(&mut self.gone),
        }
    }
}

pub(super) async fn begin(store: &Sqlite, shadow: &Shadow) -> Result<(), StoreError> {
    let shown = shadow.live.table.to_string();
    let doing = store.file.doing(&shown, "creating the shadow");
    let start = Start {
        run: shadow.run.clone(),
        kind: RunKind::Replay,
        table: shadow.live.table.clone(),
        table_id: shadow.live.id,
        reverts: None,
    };
    run::begin(store, &start, async |session, kind| {
        for sql in dialect::create(shadow, kind.is_some_and(|k| k.strict)) {
            execute(session, doing, &sql, Vec::new()).await?;
        }
        Ok(())
    })
    .await
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

pub(super) async fn append(
    store: &Sqlite,
    shadow: &Shadow,
    batch: Batch,
    mark: &Mark,
) -> Result<(), StoreError> {
    let Batch::Rows { first, again, gone } = batch else {
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
            insert_gone(session, doing, shadow, &gone, |(key, version)| {
                (key, *version)
            })
            .await?;
            for offset in &mark.next {
                let binds = vec![
                    Bind::Text(shadow.run.clone()),
                    Bind::Text(offset.topic.clone()),
                    Bind::Int(offset.partition.into()),
                    Bind::Int(offset.offset),
                ];
                execute(session, doing, dialect::RECORD_POSITION, binds).await?;
            }
            keep(session, doing, shadow, &mark.quarantined).await?;
            remember(session, doing, shadow, "loaded", &mark.memo).await?;
            crate::crash_point!("load.appending");
            Ok(())
        })
        .await
}

pub(super) async fn replace(
    store: &Sqlite,
    shadow: &Shadow,
    rows: &[(Key<'static>, Option<Row<'static>>, Version)],
    memo: &str,
) -> Result<(), StoreError> {
    let shown = shadow.live.table.to_string();
    let doing = store.file.doing(&shown, "replacing rows of the shadow");
    let binder = Binder::new(shadow, doing.table);
    store
        .write(doing, async |session| {
            let width = shadow.key.len();
            for sql in [dialect::remove, dialect::remove_gone] {
                let sql = |rows| sql(shadow, rows);
                insert(session, doing, rows, width, sql, |(key, ..), out| {
                    binder.key(key, out)
                })
                .await?;
            }
            let put: Vec<(&Row<'static>, Version)> = rows
                .iter()
                .filter_map(|(_, row, version)| row.as_ref().map(|row| (row, *version)))
                .collect();
            insert_rows(session, doing, shadow, &put, |(row, version)| {
                (row.as_slice(), *version)
            })
            .await?;
            let gone: Vec<&(Key<'static>, _, Version)> =
                rows.iter().filter(|(_, row, _)| row.is_none()).collect();
            insert_gone(session, doing, shadow, &gone, |(key, _, version)| {
                (key, *version)
            })
            .await?;
            remember(session, doing, shadow, "settled", memo).await
        })
        .await
}
