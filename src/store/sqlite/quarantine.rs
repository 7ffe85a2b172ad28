//! Records that were set aside: kept with the batch that passed over them.

use sqlx::SqliteConnection;

use super::error::{Doing, failed};
use super::load::execute;
use super::run::own_version;
use super::{Sqlite, fetch, int, words};
use crate::projection::record::Position;
use crate::store::dialect::sqlite::Bind;
use crate::store::dialect::sqlite_own as dialect;
use crate::store::quarantine::Columns;
use crate::store::{Kept, Quarantined, Shadow, Standing, StoreError};

fn text(text: &str) -> Bind {
    Bind::Text(text.to_owned())
}

/// Keeps records in the transaction that carries the load beyond them.
pub(super) async fn keep(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    shadow: &Shadow,
    records: &[Quarantined],
) -> Result<(), StoreError> {
    for record in records {
        let binds = vec![
            text(&shadow.run),
            text(&shadow.live.table.name),
            text(&record.topic),
            Bind::Int(record.partition.into()),
            Bind::Int(record.offset),
            text(&record.written_key()),
            text(&record.reason),
            text(&record.written()),
        ];
        execute(session, doing, dialect::QUARANTINE, binds).await?;
    }
    Ok(())
}

pub(super) async fn quarantined(store: &Sqlite) -> Result<Vec<Kept>, StoreError> {
    let doing = store.file.doing("", "reading the quarantined records");
    let mut session = store.reader().await?;
    if own_version(&mut session, doing).await? < dialect::QUARANTINE_VERSION {
        return Ok(Vec::new());
    }
    let rows = fetch(&mut session, dialect::QUARANTINED, Vec::new()).await;
    let rows = rows.map_err(|e| failed(doing, &e))?;
    let read = |row| {
        let columns = Columns {
            run: words(row, 0),
            table: words(row, 1),
            topic: words(row, 2),
            partition: i32::try_from(int(row, 3)).unwrap_or_default(),
            offset: int(row, 4),
            key: words(row, 5),
            reason: words(row, 6),
            record: words(row, 7),
            standing: words(row, 8),
            kept_at: words(row, 9),
        };
        columns.read()
    };
    rows.iter().map(read).collect()
}

pub(super) async fn release(
    store: &Sqlite,
    (run, table): (&str, &str),
    one: Option<Position<'_>>,
    standing: Standing,
) -> Result<(), StoreError> {
    let doing = store
        .file
        .doing("", "noting what became of quarantined records");
    let (topic, partition, offset) = match one {
        Some(at) => (
            text(at.topic),
            Bind::Int(at.partition.into()),
            Bind::Int(at.offset),
        ),
        None => (Bind::Null, Bind::Null, Bind::Null),
    };
    let binds = vec![
        text(standing.word()),
        text(run),
        text(table),
        topic,
        partition,
        offset,
    ];
    store
        .write(doing, async |session| {
            execute(session, doing, dialect::RELEASE, binds.clone())
                .await
                .map(drop)
        })
        .await
}
