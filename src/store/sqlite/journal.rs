//! The recorded runs and the journal of their repairs. Reading works on a file that trueup never wrote to and on one whose
//! own tables are of an older version.

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::projection::text;
use crate::store::dialect::sqlite::Bind;
use crate::store::dialect::sqlite_own as dialect;
use crate::store::repair::Image;
use crate::store::{
    Confirmation, Entry, RunRecord, RunState, StoreError, TableName, Target, Write,
};

use super::error::{Doing, failed};
use super::load::execute;
use super::lock::RunLock;
use super::run::own_version;
use super::{Sqlite, fetch, int, maybe, words};

pub(super) async fn runs(store: &Sqlite) -> Result<Vec<RunRecord>, StoreError> {
    let doing = store.file.doing("", "reading the recorded runs");
    let mut session = store.reader().await?;
    let version = own_version(&mut session, doing).await?;
    if version == 0 {
        return Ok(Vec::new());
    }
    let rows = fetch(&mut session, &dialect::runs(version), Vec::new()).await;
    let rows = rows.map_err(|e| failed(doing, &e))?;
    store.file.still_frozen()?;
    let count = |row: &SqliteRow, at| u64::try_from(int(row, at)).unwrap_or_default();
    let record = |row: &SqliteRow| RunRecord {
        id: words(row, 0),
        kind: words(row, 1),
        state: words(row, 2),
        table: TableName {
            schema: None,
            name: words(row, 3),
        },
        started_at: words(row, 4),
        ended_at: maybe(row, 5),
        stage: maybe(row, 6),
        alive: words(row, 2) == RunState::Running.word()
            && RunLock::is_held(&store.file.path, &words(row, 3)),
        records: count(row, 7),
        reverts: maybe(row, 8),
        inserted: count(row, 9),
        updated: count(row, 10),
        deleted: count(row, 11),
        unconfirmed: count(row, 12),
        undone: count(row, 13),
        // Contents are exchanged in place.
        old_table: None,
        old_dropped_at: None,
    };
    Ok(rows.iter().map(record).collect())
}

pub(super) async fn journal(store: &Sqlite, run: &str) -> Result<Vec<Entry>, StoreError> {
    let doing = store.file.doing("", "reading the journal");
    let mut session = store.reader().await?;
    let binds = vec![Bind::Text(run.to_owned())];
    let found = entries(&mut session, doing, &dialect::journal(), binds).await?;
    store.file.still_frozen()?;
    Ok(found)
}

pub(super) async fn unconfirmed(
    store: &Sqlite,
    table: &TableName,
) -> Result<Vec<Entry>, StoreError> {
    let shown = table.to_string();
    let doing = store.file.doing(&shown, "reading the journal");
    let mut session = store.reader().await?;
    // A run that died is recorded as running until the next one begins.
    let dead = !RunLock::is_held(&store.file.path, &table.name);
    let binds = vec![Bind::Text(table.name.clone()), Bind::Int(i64::from(dead))];
    let found = entries(&mut session, doing, &dialect::unconfirmed(), binds).await?;
    store.file.still_frozen()?;
    Ok(found)
}

async fn entries(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    sql: &str,
    binds: Vec<Bind>,
) -> Result<Vec<Entry>, StoreError> {
    if own_version(session, doing).await? < dialect::JOURNAL_VERSION {
        return Ok(Vec::new());
    }
    let rows = fetch(session, sql, binds).await;
    let rows = rows.map_err(|e| failed(doing, &e))?;
    rows.iter().map(entry).collect()
}

fn entry(row: &SqliteRow) -> Result<Entry, StoreError> {
    let (run, number) = (words(row, 0), int(row, 1));
    let image = |column: &str, text: String| {
        serde_json::from_str::<Image>(&text).map_err(|problem| StoreError::Value {
            table: "trueup_journal".to_owned(),
            problem: format!(
                "column {column} of entry {number} of run {run} is no row: {:?} error at character {}",
                problem.classify(),
                problem.column()
            ),
        })
    };
    Ok(Entry {
        key: image("key", words(row, 2))?,
        before: maybe(row, 3).map(|t| image("before", t)).transpose()?,
        after: maybe(row, 4).map(|t| image("after", t)).transpose()?,
        confirmation: words(row, 5),
        undone_by: maybe(row, 6),
        run,
        number,
    })
}

pub(super) async fn confirm(
    store: &Sqlite,
    entries: &[(String, i64)],
    confirmation: Confirmation,
) -> Result<(), StoreError> {
    let doing = store.file.doing("", "confirming repairs");
    store
        .write(doing, async |session| {
            for (run, number) in entries {
                let binds = vec![
                    Bind::Text(confirmation.word().to_owned()),
                    Bind::Text(run.clone()),
                    Bind::Int(*number),
                ];
                if execute(session, doing, dialect::CONFIRM, binds).await? != 1 {
                    return Err(StoreError::Refused(format!(
                        "{}: the journal has no entry {number} of run {run}",
                        doing.database
                    )));
                }
            }
            Ok(())
        })
        .await
}

/// Where the repairs of a batch are journalled.
pub(super) struct Writer<'a> {
    doing: Doing<'a>,
    target: &'a Target,
    last: i64,
}

impl<'a> Writer<'a> {
    pub(super) async fn open(
        session: &mut SqliteConnection,
        doing: Doing<'a>,
        target: &'a Target,
    ) -> Result<Writer<'a>, StoreError> {
        let binds = vec![Bind::Text(target.run.clone())];
        let rows = fetch(session, dialect::LAST_NUMBER, binds).await;
        let rows = rows.map_err(|e| failed(doing, &e))?;
        Ok(Writer {
            doing,
            target,
            last: rows.first().map_or(0, |r| int(r, 0)),
        })
    }

    /// Adds an entry, and notes in the one that it takes back that it did; its number.
    pub(super) async fn add(
        &mut self,
        session: &mut SqliteConnection,
        write: &Write,
        before: Option<&Image>,
        after: Option<&Image>,
    ) -> Result<i64, StoreError> {
        self.last += 1;
        let confirmation = match &self.target.reverts {
            // Nothing is asked of the primary: it is not the primary's row that comes back.
            Some(_) => Confirmation::Confirmed,
            None => Confirmation::Unconfirmed,
        };
        let key = self.target.key_columns().zip(&write.key.0);
        let key = key.map(|(column, cell)| (column.name.clone(), text::of(cell)));
        let binds = vec![
            Bind::Text(self.target.run.clone()),
            Bind::Int(self.last),
            Bind::Text(write.kind().word().to_owned()),
            json(&Image(key.collect()))?,
            before.map_or(Ok(Bind::Null), json)?,
            after.map_or(Ok(Bind::Null), json)?,
            Bind::Text(confirmation.word().to_owned()),
        ];
        execute(session, self.doing, dialect::RECORD_REPAIR, binds).await?;
        if let (Some(reverted), Some(number)) = (&self.target.reverts, write.reverts) {
            let binds = vec![
                Bind::Text(self.target.run.clone()),
                Bind::Text(reverted.clone()),
                Bind::Int(number),
            ];
            if execute(session, self.doing, dialect::TAKE_BACK, binds).await? != 1 {
                let problem = format!("repair {number} of run {reverted} was taken back before");
                return Err(StoreError::Value {
                    table: self.doing.table.to_owned(),
                    problem,
                });
            }
        }
        Ok(self.last)
    }
}

fn json(image: &Image) -> Result<Bind, StoreError> {
    let text = serde_json::to_string(image);
    text.map(Bind::Text)
        .map_err(|problem| StoreError::Sink(problem.into()))
}
