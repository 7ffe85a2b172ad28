//! From a playbook to parts: the only place that knows both. Everything that only the catalogs can tell (a column that does
//! not exist, one that is not accounted for) is found here, all at once, with its line.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};

pub(super) use crate::playbook::Problems;
use crate::playbook::{
    self, Applied as Written, Bound, DatabaseKind, DatabaseUrl, Log as WrittenLog, Playbook,
};
use crate::store::{Access, Acts, Store, TableName};
use crate::strategies::{Applied, CopyView, SourcePart, Systems};
use crate::stream::{Archive, ArchiveConfig, Kafka, KafkaConfig, Log};

pub(super) mod init;
mod view;

/// What the systems are opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Comparing; heavy reads go to `read_url`.
    Verify,
    /// Planning; nothing is written.
    Plan,
    /// Rebuilding.
    Replay,
}

/// A playbook with its systems opened.
pub(super) struct Wired {
    /// Its name.
    pub(super) name: String,
    /// The systems.
    pub(super) systems: Systems,
    /// The views asked for.
    pub(super) views: Vec<CopyView>,
    /// Rows that a swap may drop, when the playbook says so.
    pub(super) deletes_max: Option<u64>,
}

/// Loads a playbook, opens what it names, and wires the views asked for (all of them, when none is named).
pub(super) async fn open(path: &Path, views: &[String], purpose: Use) -> Result<Wired> {
    let playbook = playbook::load(path, &|name| std::env::var(name).ok())?;
    let systems = systems(&playbook, purpose).await?;
    let wired = view::wire(&playbook, views, &systems).await?;
    Ok(Wired {
        name: playbook.name.clone(),
        views: wired,
        deletes_max: deletes_max(&playbook),
        systems,
    })
}

async fn systems(playbook: &Playbook, purpose: Use) -> Result<Systems> {
    let primary = match (&playbook.primary.read_url, purpose) {
        (Some(replica), Use::Verify) => replica,
        _ => &playbook.primary.url,
    };
    let access = if purpose == Use::Replay {
        Access::Write
    } else {
        Access::Read
    };
    // Each login takes a while, so both are under way at once.
    let (primary, read_store) = tokio::join!(
        store(primary, Access::Read),
        store(&playbook.read_store, access)
    );
    Ok(Systems {
        primary: primary.context("primary")?,
        read_store: read_store.context("read store")?,
        log: if purpose == Use::Verify {
            None
        } else {
            Some(log(playbook).await?)
        },
        applied: match &playbook.applied {
            Written::ConsumerGroup(name) => Applied::ConsumerGroup(name.clone()),
            Written::Checkpoint(sql) => Applied::Checkpoint(sql.clone()),
            Written::Within(lag) => Applied::Within(*lag),
            Written::None => Applied::None,
        },
    })
}

async fn store(url: &DatabaseUrl, access: Access) -> Result<Store> {
    let kind = match url.kind() {
        DatabaseKind::Postgres => crate::store::Engine::Postgres,
        DatabaseKind::Sqlite => crate::store::Engine::Sqlite,
        DatabaseKind::Mysql => unreachable!("the playbook refuses what this version cannot open"),
    };
    Ok(Store::open(kind, url.expose(), &url.to_string(), access).await?)
}

/// Opening a log may wait for a broker, so it is done off the task.
async fn log(playbook: &Playbook) -> Result<Arc<Log>> {
    let written = playbook.log.clone();
    let open = move || {
        Ok::<_, crate::stream::StreamError>(match written {
            WrittenLog::Kafka {
                brokers,
                properties,
            } => {
                let properties = properties
                    .expose()
                    .iter()
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect();
                // No format of this version looks at headers.
                Log::Kafka(
                    Kafka::open(KafkaConfig {
                        brokers,
                        properties,
                    })?
                    .without_headers(),
                )
            }
            WrittenLog::Archive(files) => Log::Archive(Archive::open(ArchiveConfig {
                files,
                compacted: false,
            })?),
        })
    };
    Ok(Arc::new(crate::strategies::plan::blocking(open).await?))
}

fn table_name(written: &playbook::TableName) -> TableName {
    TableName {
        schema: written.schema.clone(),
        name: written.name.clone(),
    }
}

/// Percentages need a table's size; a later command knows it.
fn deletes_max(playbook: &Playbook) -> Option<u64> {
    match playbook.limits.deletes_max {
        Some(Bound::Rows(rows)) => Some(rows),
        _ => None,
    }
}

/// A new run id: the time in UTC and four random digits, fit for a schema name.
pub(super) fn run_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let mut text = String::new();
    let micros = i64::try_from(now.as_micros()).unwrap_or(0);
    crate::projection::calendar::write_timestamp(
        &mut text,
        micros - micros.rem_euclid(1_000_000),
        "",
    );
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    format!(
        "{digits}_{:04x}",
        RandomState::new().hash_one(micros) & 0xffff
    )
}

/// The source part of a view.
async fn source_part(
    playbook: &Playbook,
    name: &str,
    systems: &Systems,
) -> Result<SourcePart, anyhow::Error> {
    let Some(source) = playbook.sources.iter().find(|s| s.name == name) else {
        unreachable!("the playbook checks that every view's source exists");
    };
    Ok(SourcePart {
        name: source.name.clone(),
        topic: source.topic.clone(),
        table: systems
            .primary
            .catalog(&table_name(&source.table))
            .await
            .context("primary")?,
        order_by: source.order_by.clone(),
        epochs: source.epochs.clone(),
    })
}

/// Problems as an error, when there are any.
fn none_or(problems: Vec<playbook::Problem>) -> Result<(), Problems> {
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Problems::Found(problems))
    }
}
