//! COPY out of the database: rows handed out while they arrive, and the state of a shadow.

use futures_util::StreamExt;
use sqlx::PgConnection;
use tokio::sync::mpsc;

use super::read::Reader;
use super::stage::DERIVE_MEMORY;
use super::{Postgres, RowStream, Scan, Shadow, StateStream, StoreError, execute, fail, get};
use crate::projection::cell::Row;
use crate::store::dialect::{
    postgres_load as sql, postgres_scan as scans, postgres_settle as settling,
};
use crate::store::state;

/// Batches that wait for their reader.
const BATCHES_AHEAD_MAX: usize = 3;

/// Begins the transaction of a COPY.
const READING: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// What becomes of the rows of a COPY, given which of them it is.
type Made<T> = fn(usize, Vec<Row<'static>>) -> Result<T, StoreError>;

impl Postgres {
    /// Starts a COPY in a transaction of its own and hands out its rows while they arrive.
    pub(super) async fn stream(
        &self,
        sql: String,
        reader: Reader,
    ) -> Result<RowStream, StoreError> {
        self.stream_each(READING, vec![(sql, reader)], |_, rows| Ok(rows))
            .await
    }

    /// Starts COPYs, one after the other in one transaction and so of one snapshot, and hands out what is made of their
    /// rows.
    async fn stream_each<T: Send + 'static>(
        &self,
        begin: impl Into<String>,
        mut copies: Vec<(String, Reader)>,
        made: Made<T>,
    ) -> Result<mpsc::Receiver<Result<T, StoreError>>, StoreError> {
        let (mut connection, begin) = (self.acquire().await?, begin.into());
        let (send, receive) = mpsc::channel(BATCHES_AHEAD_MAX);
        let (database, pulse) = (self.database.clone(), self.pulse.clone());
        tokio::spawn(async move {
            let pumped = pump(&mut connection, &begin, &mut copies, made, &send, &database);
            match pulse.beside(pumped).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(problem) => drop(send.send(Err(problem)).await),
            }
            // Rows are still under way on this connection: it cannot be used again.
            drop(connection.detach());
        });
        Ok(receive)
    }

    /// The rows of a scan that takes as much memory as deriving does.
    pub(super) async fn read_derived(&self, scan: &Scan) -> Result<RowStream, StoreError> {
        let shape = self.shape(scan).await?;
        let sql = scans::copy(scan, &shape).map_err(|p| Self::refuse(scan, p))?;
        let begin = format!("{READING}; {DERIVE_MEMORY}");
        let copies = vec![(sql, Reader::of_scan(scan))];
        self.stream_each(begin, copies, |_, rows| Ok(rows)).await
    }

    /// Nobody else writes a shadow, so that what is settled stays so until it is read.
    pub(super) async fn read_state(&self, shadow: &Shadow) -> Result<StateStream, StoreError> {
        let (rows, gone) = (sql::shadow_table(shadow), sql::gone_table(shadow));
        let act = format!("reading the state of {rows}");
        let later = self.ask(&act, &settling::any_later(shadow)).await?;
        if later.first().map_or(Ok(true), |row| get(row, 0))? {
            return Err(state::unsettled(&rows));
        }
        let mut copies = Vec::with_capacity(2);
        for scan in state::scans(shadow, rows, gone) {
            let shape = self.shape(&scan).await?;
            let sql = scans::copy(&scan, &shape).map_err(|p| Self::refuse(&scan, p))?;
            copies.push((sql, Reader::of_scan(&scan)));
        }
        self.stream_each(READING, copies, state::batch).await
    }
}

/// Whether the connection is clean afterwards.
async fn pump<T>(
    connection: &mut PgConnection,
    begin: &str,
    copies: &mut [(String, Reader)],
    made: Made<T>,
    send: &mpsc::Sender<Result<T, StoreError>>,
    database: &str,
) -> Result<bool, StoreError> {
    let tables: Vec<&str> = copies.iter().map(|(_, r)| r.table.as_str()).collect();
    let act = format!("reading {}", tables.join(" and "));
    let fail = |e| fail::store_error(database, &act, e);
    execute(connection, begin).await.map_err(fail)?;
    for (at, (sql, reader)) in copies.iter_mut().enumerate() {
        let mut chunks = connection.copy_out_raw(sql).await.map_err(fail)?;
        while let Some(chunk) = chunks.next().await {
            reader.feed(&chunk.map_err(fail)?)?;
            if reader.is_full() && send.send(Ok(made(at, reader.take())?)).await.is_err() {
                return Ok(false);
            }
        }
        drop(chunks);
        let rest = reader.take();
        if !rest.is_empty() && send.send(Ok(made(at, rest)?)).await.is_err() {
            // The reader has gone; the connection is still good.
            break;
        }
    }
    execute(connection, "COMMIT").await.map_err(fail)?;
    Ok(true)
}
