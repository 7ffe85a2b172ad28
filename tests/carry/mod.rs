//! A swap on PostgreSQL carries everything that hangs on a table, or refuses by name: generated tables before and after,
//! thousands of swaps forth and back under readers, old snapshots, children and parents that are written to meanwhile.

mod children;
mod flips;
mod gc;
mod generated;
mod twins;

use std::future::Future;

use trueup::projection::cell::{Cell, Row};
use trueup::projection::version::{Rank, Version};
use trueup::store::postgres::Postgres as Store;
use trueup::store::{
    Access, Acts, Origin, RunKind, Shadow, Start, StoreError, Swapped, TableName, WritePermit,
};

use crate::support::services::{Postgres, out};

/// A database of a test's own, and a store on it.
struct Reads {
    server: Postgres,
    name: String,
    runtime: tokio::runtime::Runtime,
    store: Store,
    permit: WritePermit,
}

impl Reads {
    /// `None` when the service is missing and may be.
    fn new(name: &str) -> Option<Reads> {
        let server = Postgres::new()?;
        let name = format!("trueup_carry_{name}_{}", std::process::id());
        server.sql(
            "postgres",
            &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        );
        server.sql("postgres", &format!("CREATE DATABASE {name}"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let url = server.url(&name);
        let store = runtime.block_on(Store::connect(&url, "postgres://test", Access::Write));
        Some(Reads {
            store: store.unwrap(),
            server,
            name,
            runtime,
            permit: WritePermit::grant(),
        })
    }

    fn url(&self) -> String {
        self.server.url(&self.name)
    }

    #[track_caller]
    fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.name, sql)
    }

    /// The whole database but trueup's own part, without the token that differs from run to run.
    #[track_caller]
    fn dump(&self) -> String {
        let mut dump = self.server.program("pg_dump");
        dump.args(["-s", "-N", "trueup*", "-d", &self.url()]);
        let text = out(&dump.output().unwrap());
        let lines = text.lines().filter(|l| !l.contains("restrict "));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// A shadow of a table, in which these columns are loaded and these carried over.
    fn shadow(&self, run: &str, of: &TableName, loaded: &[&str], carried: &[&str]) -> Shadow {
        let live = self.wait(self.store.catalog(of)).unwrap();
        let column = |name: &&str| live.column(name).unwrap().column.clone();
        let columns: Vec<_> = loaded.iter().map(column).collect();
        let at = |key: &String| columns.iter().position(|c| c.name == *key).unwrap();
        Shadow {
            run: run.to_owned(),
            key: live.primary_key.iter().map(at).collect(),
            columns,
            carried: carried.iter().map(|c| (*c).to_owned()).collect(),
            rank_words: 1,
            staged: false,
            live,
        }
    }

    /// Loads these rows, up to where it may be swapped.
    fn ready(&self, shadow: &Shadow, rows: &[Row<'static>]) -> Result<(), StoreError> {
        self.wait(async {
            let (store, permit) = (&self.store, &self.permit);
            store.begin(permit, shadow).await?;
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
                .await?;
            store.build(permit, shadow).await?;
            store.seal(permit, shadow).await
        })
    }

    fn swap(&self, shadow: &Shadow) -> Result<Swapped, StoreError> {
        let shadows = std::slice::from_ref(shadow);
        let swapped = self.wait(self.store.swap(
            &self.permit,
            shadows,
            &trueup::store::Fence::none(),
        ));
        swapped.map(|mut all| all.remove(0))
    }

    /// Puts the old table of a run back.
    fn swap_back(&self, run: &str, of: &str, table: &TableName) -> Result<Swapped, StoreError> {
        let live = self.wait(self.store.catalog(table))?;
        let start = Start {
            run: run.to_owned(),
            kind: RunKind::Rollback,
            table: live.table,
            table_id: live.id,
            reverts: Some(of.to_owned()),
        };
        self.wait(async {
            self.store.start(&self.permit, &start).await?;
            self.store
                .swap_back(&self.permit, &[start], &trueup::store::Fence::none())
                .await
        })
        .map(|mut all| all.remove(0))
    }
}

impl Drop for Reads {
    fn drop(&mut self) {
        if std::env::var_os("TRUEUP_KEEP").is_none() {
            let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
            self.server.sql("postgres", &sql);
        }
    }
}

fn origin(offset: i64) -> Origin {
    Origin {
        version: Version {
            rank: Rank {
                epoch: 0,
                words: [u64::try_from(offset).unwrap_or(0), 0, 0],
            },
            partition: 0,
            offset,
            clock: None,
        },
        arrival: u64::try_from(offset).unwrap_or(0),
    }
}

fn table(schema: &str, name: &str) -> TableName {
    TableName {
        schema: Some(schema.to_owned()),
        name: name.to_owned(),
    }
}

fn int(number: i64) -> Cell<'static> {
    Cell::Int(number.into())
}
