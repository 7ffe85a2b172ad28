//! The read store: each batch is one transaction.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnectOptions};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres};

use super::event::Change;
use super::fold::Folded;
use super::route::Route;

const CHECKPOINT: &str = "CREATE TABLE IF NOT EXISTS projector_checkpoint \
    (topic text, partition int, next_offset bigint NOT NULL, PRIMARY KEY (topic, partition))";

/// What a statement may take: longer is a lock that does not go away.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// A runtime for one thread that is not asynchronous itself.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

async fn connect(url: &str) -> sqlx::Result<PgConnection> {
    let options = PgConnectOptions::from_str(url)?.application_name("projector");
    PgConnection::connect_with(&options).await
}

pub struct Store {
    url: String,
    connection: Option<PgConnection>,
    runtime: tokio::runtime::Runtime,
}

impl Store {
    pub fn new(url: &str) -> Store {
        Store {
            url: url.to_owned(),
            connection: None,
            runtime: runtime(),
        }
    }

    /// All of it or nothing. A connection that has failed once is not used again.
    pub fn write(
        &mut self,
        routes: &[Route],
        folded: &Folded,
        checkpoint: bool,
    ) -> Result<(), String> {
        let Store {
            url,
            connection,
            runtime,
        } = self;
        let writing = async {
            let mut open = match connection.take() {
                Some(open) => open,
                None => connect(url).await?,
            };
            write(&mut open, routes, folded, checkpoint).await?;
            *connection = Some(open);
            Ok::<_, sqlx::Error>(())
        };
        match runtime.block_on(async { tokio::time::timeout(ANSWER_WAIT, writing).await }) {
            Ok(written) => written.map_err(|error| error.to_string()),
            Err(_) => Err(format!("the read store is silent for {ANSWER_WAIT:?}")),
        }
    }
}

async fn write(
    connection: &mut PgConnection,
    routes: &[Route],
    folded: &Folded,
    checkpoint: bool,
) -> sqlx::Result<()> {
    if checkpoint {
        sqlx::query(CHECKPOINT).execute(&mut *connection).await?;
    }
    let mut transaction = connection.begin().await?;
    for route in routes {
        let changes: Vec<&(Change, i64)> = folded
            .writes
            .iter()
            .filter(|((topic, _), _)| *topic == route.topic)
            .map(|(_, write)| write)
            .collect();
        write_route(&mut transaction, route, &changes).await?;
    }
    if checkpoint {
        write_checkpoint(&mut transaction, &folded.next).await?;
    }
    transaction.commit().await
}

async fn write_route(
    connection: &mut PgConnection,
    route: &Route,
    changes: &[&(Change, i64)],
) -> sqlx::Result<()> {
    let (mut gone, mut there) = (Vec::new(), Vec::new());
    for (change, offset) in changes {
        match &change.row {
            Some(row) => there.push((&change.key, row, *offset)),
            None => gone.push(&change.key),
        }
    }
    // Projectors that share a table take their locks in one order, and so do not block each other for ever.
    there.sort_unstable();
    gone.sort_unstable();
    if !gone.is_empty() {
        let mut query = sqlx::query(AssertSqlSafe(route.delete()));
        for n in 0..route.keys().count() {
            query = bind(query, gone.iter().map(|key| key[n].clone()));
        }
        query.execute(&mut *connection).await?;
    }
    if !there.is_empty() {
        let mut query = sqlx::query(AssertSqlSafe(route.upsert()));
        for n in 0..route.columns.len() {
            query = bind(query, there.iter().map(|(_, row, _)| row[n].clone()));
        }
        let offsets: Vec<i64> = there.iter().map(|(_, _, offset)| *offset).collect();
        query.bind(offsets).execute(&mut *connection).await?;
    }
    Ok(())
}

type Asked = Query<'static, Postgres, PgArguments>;

fn bind(query: Asked, values: impl Iterator<Item = Option<String>>) -> Asked {
    query.bind(values.collect::<Vec<_>>())
}

async fn write_checkpoint(
    connection: &mut PgConnection,
    next: &BTreeMap<(String, i32), i64>,
) -> sqlx::Result<()> {
    let topics: Vec<String> = next.keys().map(|at| at.0.clone()).collect();
    let partitions: Vec<i32> = next.keys().map(|at| at.1).collect();
    let offsets: Vec<i64> = next.values().copied().collect();
    sqlx::query(
        "INSERT INTO projector_checkpoint SELECT * FROM unnest($1::text[], $2::int[], $3::int8[]) \
         ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset",
    )
    .bind(topics)
    .bind(partitions)
    .bind(offsets)
    .execute(connection)
    .await?;
    Ok(())
}

/// The checkpoints, for a projector that begins where the table is.
pub fn checkpoints(url: &str) -> sqlx::Result<BTreeMap<(String, i32), i64>> {
    runtime().block_on(async {
        let mut connection = connect(url).await?;
        sqlx::query(CHECKPOINT).execute(&mut connection).await?;
        let rows: Vec<(String, i32, i64)> =
            sqlx::query_as("SELECT topic, partition, next_offset FROM projector_checkpoint")
                .fetch_all(&mut connection)
                .await?;
        Ok(rows
            .into_iter()
            .map(|row| ((row.0, row.1), row.2))
            .collect())
    })
}
