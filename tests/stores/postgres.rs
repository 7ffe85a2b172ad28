//! The PostgreSQL store against a real server: `TRUEUP_TEST_POSTGRES` is a superuser's URL. Every test has a database of its
//! own, since publications and trueup's own tables are a database's.

mod bench;
mod builds;
mod obstacles;
mod reads;
mod sessions;
mod swaps;
mod twin;

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use trueup::projection::cell::{Cell, Row};
use trueup::projection::change::{Change, Key, Op};
use trueup::projection::types::Column;
use trueup::projection::version::{Rank, Version};
use trueup::store::postgres::Postgres;
use trueup::store::{
    Access, Acts, Catalog, Engine, Origin, Output, Relation, Scan, Settle, Settled, Shadow, Store,
    StoreError, TableName, WritePermit,
};

/// A database of one test, and a superuser's connection to it.
struct Db {
    url: String,
    admin: PgConnection,
}

impl Db {
    async fn run(&mut self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut self.admin)
            .await
            .unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    async fn text(&mut self, sql: &str) -> String {
        let row = sqlx::raw_sql(AssertSqlSafe(format!(
            "SELECT x::text FROM (SELECT {sql}) AS q (x)"
        )))
        .fetch_one(&mut self.admin)
        .await
        .unwrap_or_else(|e| panic!("{sql}: {e}"));
        sqlx::Row::get::<Option<String>, _>(&row, 0).unwrap_or_default()
    }

    async fn store(&self, access: Access) -> Postgres {
        Postgres::connect(&self.url, "postgres://test", access)
            .await
            .expect("the server is there")
    }

    /// The same database as another role, whose password is its name.
    fn url_of(&self, role: &str) -> String {
        let at = self.url.find('@').expect("a URL with a user");
        format!("postgres://{role}:{role}{}", &self.url[at..])
    }

    async fn role(&mut self, name: &str) {
        let _ = sqlx::raw_sql(AssertSqlSafe(format!(
            "CREATE ROLE {name} LOGIN PASSWORD '{name}'"
        )))
        .execute(&mut self.admin)
        .await;
    }
}

/// Runs a test in a database of its own; without a server it says so.
fn with_db<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Db) -> F) {
    let Ok(url) = std::env::var("TRUEUP_TEST_POSTGRES") else {
        assert!(
            std::env::var_os("CI").is_none(),
            "TRUEUP_TEST_POSTGRES is not set"
        );
        println!("SKIPPED {name}: TRUEUP_TEST_POSTGRES is not set");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let database = format!("trueup_{name}_{}", std::process::id());
    let (base, options) = match url.split_once('?') {
        Some((base, options)) => (base.to_owned(), format!("?{options}")),
        None => (url.clone(), String::new()),
    };
    let stem = base
        .rsplit_once('/')
        .expect("a URL with a database")
        .0
        .to_owned();
    let own = format!("{stem}/{database}{options}");
    let drop_it = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
    let admin = |sql: String| {
        let url = url.clone();
        async move {
            let mut admin = PgConnection::connect(&url)
                .await
                .expect("the server of TRUEUP_TEST_POSTGRES");
            sqlx::raw_sql(AssertSqlSafe(sql))
                .execute(&mut admin)
                .await
                .expect("a superuser");
        }
    };
    runtime.block_on(async {
        admin(drop_it.clone()).await;
        // A locale whose order is not that of the bytes, or a forgotten collation would pass.
        admin(format!(
            "CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en'"
        ))
        .await;
    });
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let admin = PgConnection::connect(&own).await.expect("the new database");
            test(Db {
                url: own.clone(),
                admin,
            })
            .await;
        });
    }));
    runtime.block_on(admin(drop_it));
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

fn table(schema: &str, name: &str) -> TableName {
    TableName {
        schema: Some(schema.to_owned()),
        name: name.to_owned(),
    }
}

fn text(value: &str) -> Cell<'static> {
    Cell::Text(value.to_owned().into())
}

/// All columns of a table as they are, by its primary key or else its first column.
fn whole(catalog: &Catalog) -> Scan {
    let at = |name: &String| {
        catalog
            .columns
            .iter()
            .position(|c| c.column.name == *name)
            .expect("a column")
    };
    let key: Vec<usize> = catalog.primary_key.iter().map(at).collect();
    Scan {
        relation: Relation::Table(catalog.table.clone()),
        outputs: catalog
            .columns
            .iter()
            .map(|c| Output {
                column: c.column.clone(),
                cast: None,
            })
            .collect(),
        key: if key.is_empty() { vec![0] } else { key },
        filter: Vec::new(),
        scope: None,
        from: None,
        to: None,
    }
}

async fn read_all(store: &Postgres, scan: &Scan) -> Result<Vec<Row<'static>>, StoreError> {
    let mut rows = store.rows(scan.clone()).await?;
    let mut all = Vec::new();
    while let Some(batch) = rows.recv().await {
        all.extend(batch?);
    }
    Ok(all)
}

/// A run that loads the named columns.
fn shadow(run: &str, live: Catalog, loaded: &[&str]) -> Shadow {
    let columns: Vec<Column> = loaded
        .iter()
        .map(|name| {
            live.column(name)
                .expect("a column of the table")
                .column
                .clone()
        })
        .collect();
    let key = live.primary_key.iter().map(|k| {
        columns
            .iter()
            .position(|c| c.name == *k)
            .expect("a loaded key")
    });
    Shadow {
        run: run.to_owned(),
        key: key.collect(),
        columns,
        carried: Vec::new(),
        rank_words: 1,
        staged: false,
        live,
    }
}

fn origin(offset: i64) -> Origin {
    Origin {
        version: version(offset),
        arrival: u64::try_from(offset).unwrap_or(0),
    }
}

fn version(offset: i64) -> Version {
    Version {
        rank: Rank {
            epoch: 0,
            words: [u64::try_from(offset).unwrap_or(0), 0, 0],
        },
        partition: 0,
        offset,
        clock: Some(1_700_000_000_000 + offset),
    }
}

/// The newest change of each key, holes filled from what it had; counts what it is handed.
#[derive(Default)]
struct Latest {
    keys: BTreeMap<Key<'static>, (Version, Option<Row<'static>>)>,
    last: Option<Key<'static>>,
    held: usize,
    changes: usize,
    fail_after: Option<usize>,
}

impl Settle for Latest {
    fn held(&mut self, change: Change<'static>) -> anyhow::Result<()> {
        self.held += 1;
        self.note(change)
    }

    fn change(&mut self, change: Change<'static>) -> anyhow::Result<()> {
        self.changes += 1;
        anyhow::ensure!(self.fail_after != Some(self.changes), "asked to fail");
        self.note(change)
    }

    fn take(&mut self, end: bool) -> anyhow::Result<Vec<Settled>> {
        let open = if end { None } else { self.last.clone() };
        let mut done = Vec::new();
        self.keys.retain(|key, (version, row)| {
            if open.as_ref() == Some(key) {
                return true;
            }
            done.push(match row.take() {
                Some(row) => Settled::Row(row, *version),
                None => Settled::Gone(key.clone(), *version),
            });
            false
        });
        Ok(done)
    }
}

impl Latest {
    fn note(&mut self, change: Change<'static>) -> anyhow::Result<()> {
        self.last = Some(change.key.clone());
        let row = match change.op {
            Op::Put(row) => Some(row),
            _ => None,
        };
        match self.keys.get_mut(&change.key) {
            None => drop(self.keys.insert(change.key, (change.version, row))),
            Some((version, known)) if change.version > *version => {
                *version = change.version;
                *known = match (row, known.take()) {
                    (Some(row), Some(old)) => Some(
                        row.into_iter()
                            .zip(old)
                            .map(|(new, old)| {
                                if matches!(new, Cell::Unchanged) {
                                    old
                                } else {
                                    new
                                }
                            })
                            .collect(),
                    ),
                    (row, _) => row,
                };
            }
            Some(_) => {}
        }
        Ok(())
    }
}

#[test]
fn a_state_goes_on_in_another_shadow() {
    with_db("state", |mut db| async move {
        db.run(super::state::TABLES).await;
        let store = Store::open(Engine::Postgres, &db.url, "postgres://test", Access::Write).await;
        super::state::goes_on(&store.expect("the server is there"), Some("public")).await;
    });
}

/// Loads rows as first ones, in one batch.
async fn load(store: &Postgres, permit: &WritePermit, shadow: &Shadow, rows: &[Row<'static>]) {
    let mut encoder = store.encoder(shadow);
    for (offset, row) in (0..).zip(rows) {
        encoder.first(row, &origin(offset));
    }
    store
        .append(
            permit,
            shadow,
            encoder.take(),
            &trueup::store::Mark::default(),
        )
        .await
        .expect("appended");
}
