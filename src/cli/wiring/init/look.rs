//! What the databases and the broker have, as far as a playbook has words for it.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::super::table_name;
use super::written;
use crate::cli::flags::Usage;
use crate::playbook::{self, is_sayable_column};
use crate::store::{Acts, Catalog, Store, StoreError};
use crate::strategies::Refused;
use crate::stream::{Kafka, KafkaConfig};

/// The two databases.
pub(super) struct Sides {
    pub(super) primary: Store,
    pub(super) read_store: Store,
}

/// The tables of both sides that a playbook can name.
pub(super) struct Tables {
    pub(super) sources: Vec<Catalog>,
    pub(super) reads: Vec<Catalog>,
    /// Tables that it cannot, each with the reason.
    pub(super) left_out: Vec<String>,
}

impl Sides {
    /// The tables asked for and their possible sources.
    pub(super) async fn tables(&self, asked: &[String]) -> Result<Tables> {
        let (one, two) = tokio::try_join!(self.primary.identity(), self.read_store.identity())?;
        let is_one = one.database == two.database;
        if is_one && asked.is_empty() {
            let tables: Vec<String> = self
                .read_store
                .tables()
                .await?
                .iter()
                .map(ToString::to_string)
                .collect();
            let reason = format!(
                "the primary and the read store are one database, so it takes you to say which tables are the copies: \
                 --table NAME; it has {}",
                tables.join(", ")
            );
            return Err(Refused::because(reason).into());
        }
        let mut left_out = Vec::new();
        let reads = match asked {
            [] => self.all(&self.read_store, &mut left_out).await?,
            names => self.named(names).await?,
        };
        let mut unsaid = Vec::new();
        let mut sources = self.all(&self.primary, &mut unsaid).await?;
        if is_one {
            sources.retain(|source| reads.iter().all(|read| read.table != source.table));
        }
        Ok(Tables {
            sources,
            reads,
            left_out,
        })
    }

    /// The tables that the operator named.
    async fn named(&self, names: &[String]) -> Result<Vec<Catalog>> {
        let mut catalogs: Vec<Catalog> = Vec::new();
        for name in names {
            let table = playbook::TableName::read(name).ok_or_else(|| {
                Usage(format!(
                    "--table {name} names no table; write `table` or `schema.table`"
                ))
            })?;
            let catalog = self.read_store.catalog(&table_name(&table)).await;
            let catalog = catalog.context("read store")?;
            if catalogs.iter().all(|c| c.table != catalog.table) {
                catalogs.push(sayable(catalog));
            }
        }
        Ok(catalogs)
    }

    /// Every table. One whose catalog cannot be read, such as a view over a table that is gone, is left out.
    async fn all(&self, store: &Store, left_out: &mut Vec<String>) -> Result<Vec<Catalog>> {
        let mut catalogs = Vec::new();
        for table in store.tables().await? {
            if !written(&table).is_sayable() {
                left_out.push(format!(
                    "{table}: a playbook cannot name it, because of its dots or blanks"
                ));
                continue;
            }
            match store.catalog(&table).await {
                Ok(catalog) => catalogs.push(sayable(catalog)),
                Err(
                    e @ (StoreError::Sql { .. }
                    | StoreError::Refused(_)
                    | StoreError::Denied { .. }
                    | StoreError::NoTable { .. }),
                ) => left_out.push(format!("{table}: {e}")),
                Err(e) => return Err(e.into()),
            }
        }
        Ok(catalogs)
    }
}

/// A catalog without the columns and keys that a playbook has no words for.
fn sayable(mut catalog: Catalog) -> Catalog {
    let is_key = |key: &Vec<String>| key.iter().all(|part| is_sayable_column(part));
    catalog.unique_keys.retain(is_key);
    if !is_key(&catalog.primary_key) {
        catalog.primary_key.clear();
    }
    catalog
}

/// Opening Kafka may wait for a broker, so it is done off the task.
pub(super) async fn topics(brokers: String) -> Result<Vec<String>> {
    let list = move || {
        let properties = Vec::new();
        Kafka::open(KafkaConfig {
            brokers,
            properties,
        })?
        .topics()
    };
    let topics = crate::strategies::blocking(list).await;
    topics.context("listing the topics; without --brokers and KAFKA_BROKERS they are guessed")
}

/// The plain name of a database: a server's own, or that of the file.
pub(super) async fn database_name(store: &Store) -> Result<String> {
    let full = store.identity().await?.database;
    let name = match store {
        Store::Postgres(_) => full.split_once('/').map(|(_, name)| name.to_owned()),
        Store::Sqlite(_) => {
            let stem = Path::new(&full).file_stem();
            stem.map(|stem| stem.to_string_lossy().into_owned())
        }
        Store::Down(_) => None,
    };
    Ok(name
        .filter(|name| !name.trim().is_empty())
        .unwrap_or_else(|| "database".to_owned()))
}
