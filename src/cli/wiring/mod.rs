//! From a playbook to parts: the only place that knows both. Everything that only the catalogs can tell (a column that does
//! not exist, one that is not accounted for) is found here, all at once, with its line.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::limits;
pub(super) use crate::playbook::Problems;
use crate::playbook::{
    self, Applied as Written, Captured as WrittenCaptured, DatabaseKind, DatabaseUrl, Format,
    LagMax, Log as WrittenLog, Playbook, Snapshots,
};
use crate::projection::decode::Settings;
use crate::snapshot::Place;
use crate::store::down::Down;
use crate::store::{Access, Acts, Store, StoreError, TableName};
use crate::strategies::bounds::Bound;
use crate::strategies::replay::{Cutover, Pausing};
use crate::strategies::{Applied, Captured, OpenLog, SourcePart, Systems, View};
use crate::stream::{Archive, ArchiveConfig, Kafka, KafkaConfig, Log};
use crate::stream::{Registry, RegistryConfig};

mod absent;
mod derived;
mod events;
mod exchanged;
pub(super) mod init;
mod query;
mod select;
mod touched;
mod view;

pub(super) use select::{bound, selection};

/// What the systems are opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Comparing; heavy reads go to `read_url`.
    Verify,
    /// Planning; nothing is written.
    Plan,
    /// Weighing the strategies against each other: nothing is written, and heavy reads go to `read_url`.
    Weigh,
    /// Rebuilding.
    Replay,
    /// Planning repairs: nothing is written, and the primary itself is read, never a replica.
    RepairPlan,
    /// Repairing.
    Repair,
}

/// A playbook with its systems opened.
pub(super) struct Wired {
    /// Its name.
    pub(super) name: String,
    /// The systems.
    pub(super) systems: Systems,
    /// The views asked for.
    pub(super) views: Vec<View>,
    /// Where its snapshots are.
    pub(super) snapshots: Place,
    /// How the projector is paused and resumed, when the playbook says so.
    pub(super) cutover: Cutover,
    /// Repairs at most, when the playbook says so.
    pub(super) repairs_max: Option<Bound>,
    /// Rows that may be dropped or deleted at most, when the playbook says so.
    pub(super) deletes_max: Option<Bound>,
    /// How far replicas may lag before work waits for them; `None` does not look at them.
    pub(super) replica_lag_max: Option<Duration>,
}

/// Loads a playbook, opens what it names, and wires the views asked for (all of them, when none is named).
pub(super) async fn open(path: &Path, views: &[String], purpose: Use) -> Result<Wired> {
    let playbook = playbook::load(path, &|name| std::env::var(name).ok())?;
    let queries = query::parse(&playbook)?;
    none_or(settings_problems(&playbook))?;
    let systems = systems(&playbook, purpose).await?;
    let is_down = systems.primary.down().is_some();
    let absent = if is_down {
        absent::tables(&playbook, &systems).await?
    } else {
        absent::Tables::new()
    };
    let sides = Sides {
        playbook: &playbook,
        queries: &queries,
        absent: &absent,
        primary: &systems.primary,
        read_store: &systems.read_store,
        staging: systems.staging(),
    };
    let wired = match view::wire(&sides, views).await {
        Ok(wired) => wired,
        Err(_) if !is_down && exchanged::would_fit(&sides, views).await => {
            return Err(exchanged::refusal().into());
        }
        Err(e) => return Err(e),
    };
    left_paused(&systems.read_store).await;
    if matches!(purpose, Use::RepairPlan | Use::Repair | Use::Weigh) && !is_down {
        exchanged::check(&systems, &wired).await?;
    }
    Ok(Wired {
        name: playbook.name.clone(),
        views: wired,
        snapshots: place(&playbook.snapshots)?,
        cutover: cutover(&playbook),
        repairs_max: playbook.limits.repairs_max.map(select::of_written),
        deletes_max: playbook.limits.deletes_max.map(select::of_written),
        replica_lag_max: match playbook.limits.replica_lag_max {
            Some(LagMax::Within(lag)) => Some(lag),
            Some(LagMax::None) => None,
            None => Some(limits::REPLICA_LAG_MAX),
        },
        systems,
    })
}

/// Says when a run that died has left the projector paused. Who may not read trueup's own tables is told nothing.
async fn left_paused(read_store: &Store) {
    for open in read_store.pauses().await.unwrap_or_default() {
        tracing::warn!(
            run = open.run,
            "the projector is paused since {} UTC by a run that died; the next command that writes resumes it",
            open.started_at
        );
    }
}

/// How the playbook at `path` says that the projector is paused and resumed.
pub(super) fn cutover_of(path: &Path) -> Result<Cutover> {
    let playbook = playbook::load(path, &|name| std::env::var(name).ok())?;
    Ok(cutover(&playbook))
}

fn cutover(playbook: &Playbook) -> Cutover {
    let Some(written) = &playbook.cutover else {
        return Cutover::default();
    };
    Cutover {
        pausing: Some(Pausing::Commands {
            pause: written.pause.clone(),
            resume: written.resume.clone(),
        }),
        pause_max: written.pause_max.unwrap_or(limits::PAUSE_MAX),
        writer_role: written.writer_role.clone(),
        ..Cutover::default()
    }
}

/// What to call a playbook that could not be opened: its own name, else its file's.
pub(super) fn name_of(path: &Path) -> String {
    let loaded = playbook::load(path, &|name| std::env::var(name).ok());
    loaded.map_or_else(|_| path.display().to_string(), |p| p.name)
}

/// The playbook's name, and the place of its snapshots, which needs no system to be looked at.
pub(super) fn snapshots(path: &Path) -> Result<(String, Place)> {
    let playbook = playbook::load(path, &|name| std::env::var(name).ok())?;
    let place = place(&playbook.snapshots)?;
    Ok((playbook.name, place))
}

fn place(written: &Snapshots) -> Result<Place> {
    match written {
        Snapshots::Folder(folder) => Ok(Place::open(folder)),
        Snapshots::Url(url) => Ok(Place::at(url)?),
    }
}

/// Opens the read store alone: what was written into it needs no primary to be looked at or taken back.
pub(super) async fn open_read_store(path: &Path, write: bool) -> Result<Store> {
    let playbook = playbook::load(path, &|name| std::env::var(name).ok())?;
    let access = if write { Access::Write } else { Access::Read };
    store(&playbook.read_store, access)
        .await
        .context("read store")
}

/// Opens the read store, and the database that sources are staged in where that is another one.
pub(super) async fn open_stores(path: &Path, write: bool) -> Result<Vec<Store>> {
    let access = if write { Access::Write } else { Access::Read };
    let playbook = playbook::load(path, &|name| std::env::var(name).ok())?;
    let read_store = store(&playbook.read_store, access).await;
    let mut stores = vec![read_store.context("read store")?];
    if let Some(staging) = &playbook.staging {
        let scratch = store(staging, access).await;
        stores.push(scratch.context("staging")?);
    }
    Ok(stores)
}

async fn systems(playbook: &Playbook, purpose: Use) -> Result<Systems> {
    let origin = &playbook.primary.url;
    let replica = playbook
        .primary
        .read_url
        .as_ref()
        .filter(|_| matches!(purpose, Use::Verify | Use::Weigh));
    let access = if matches!(purpose, Use::Replay | Use::Repair) {
        Access::Write
    } else {
        Access::Read
    };
    let captured = match &playbook.captured {
        Some(WrittenCaptured::Slot(name)) => Captured::Slot(name.clone()),
        None => Captured::Unknown,
    };
    // Each login takes a while, so all are under way at once. A slot is known at its origin only.
    let apart = replica.filter(|_| captured != Captured::Unknown);
    let stages = matches!(purpose, Use::Plan | Use::Weigh | Use::Replay | Use::Repair);
    let scratch = playbook.staging.as_ref().filter(|_| stages);
    let (primary, origin, read_store, scratch) = tokio::join!(
        store(replica.unwrap_or(origin), Access::Read),
        async {
            match apart {
                Some(_) => store(origin, Access::Read).await.map(Some),
                None => Ok(None),
            }
        },
        store(&playbook.read_store, access),
        async {
            match scratch {
                Some(url) => store(url, access).await.map(Some),
                None => Ok(None),
            }
        }
    );
    let applied = match &playbook.applied {
        Written::ConsumerGroup(name) => Applied::ConsumerGroup(name.clone()),
        Written::Checkpoint(sql) => Applied::Checkpoint(sql.clone()),
        Written::Within(lag) => Applied::Within(*lag),
        Written::None => Applied::None,
    };
    // A replay can do without a primary; what compares or repairs cannot.
    let primary = match primary {
        Err(e) if matches!(purpose, Use::Plan | Use::Weigh | Use::Replay) => down(e),
        primary => primary,
    };
    Ok(Systems::new(
        (primary.context("primary")?, origin.context("primary")?),
        (
            read_store.context("read store")?,
            scratch.context("staging")?,
        ),
        captured,
        applied,
        log(playbook),
    ))
}

async fn store(url: &DatabaseUrl, access: Access) -> Result<Store> {
    let kind = match url.kind() {
        DatabaseKind::Postgres => crate::store::Engine::Postgres,
        DatabaseKind::Sqlite => crate::store::Engine::Sqlite,
        DatabaseKind::Mysql => unreachable!("the playbook refuses what this version cannot open"),
    };
    Ok(Store::open(kind, url.expose(), &url.to_string(), access).await?)
}

/// A database that does not answer, to go on without it.
fn down(error: anyhow::Error) -> Result<Store> {
    let down = error.downcast::<StoreError>().map(Down::of)?;
    Ok(Store::Down(down?))
}

/// Opening a log may wait for a broker, so it is done when the log is first needed, and off the task.
fn log(playbook: &Playbook) -> OpenLog {
    let (written, registry) = (playbook.log.clone(), playbook.registry.clone());
    // Of all formats, events alone look at headers.
    let is_of_events = |s: &playbook::Source| matches!(s.format, Format::Events(_));
    let with_headers = playbook.sources.iter().any(is_of_events);
    Box::new(move || {
        let registry = registry.as_ref().map(|url| {
            Registry::open(&RegistryConfig {
                url: url.expose().to_owned(),
                shown: url.to_string(),
            })
        });
        let registry = registry.transpose()?;
        Ok(match &written {
            WrittenLog::Kafka {
                brokers,
                properties,
            } => {
                let properties = properties
                    .expose()
                    .iter()
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect();
                let kafka = Kafka::open(KafkaConfig {
                    brokers: brokers.clone(),
                    properties,
                })?;
                let kafka = if with_headers {
                    kafka
                } else {
                    kafka.without_headers()
                };
                Log::Kafka(kafka.with_registry(registry))
            }
            WrittenLog::Archive(files) => Log::Archive(
                Archive::open(ArchiveConfig {
                    files: files.clone(),
                    compacted: false,
                })?
                .with_registry(registry),
            ),
        })
    })
}

fn table_name(written: &playbook::TableName) -> TableName {
    TableName {
        schema: written.schema.clone(),
        name: written.name.clone(),
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

/// What views are wired between.
struct Sides<'a> {
    playbook: &'a Playbook,
    queries: &'a BTreeMap<String, query::Read>,
    /// The tables of a primary that does not answer.
    absent: &'a absent::Tables,
    primary: &'a Store,
    read_store: &'a Store,
    /// Where a query is tried while the primary does not answer.
    staging: &'a Store,
}

/// The source part of a view.
async fn source_part(sides: &Sides<'_>, name: &str) -> Result<SourcePart, anyhow::Error> {
    let playbook = sides.playbook;
    let Some(source) = playbook.sources.iter().find(|s| s.name == name) else {
        unreachable!("the playbook checks that every view's source exists");
    };
    let table = match sides.absent.get(name) {
        Some(table) => table.clone(),
        None => {
            let table = sides.primary.catalog(&table_name(&source.table)).await;
            let mut table = table.context("primary")?;
            if table.primary_key.is_empty() {
                // Whether it names a row is seen where its rows are compared.
                table.primary_key = source.key.clone().unwrap_or_default();
            }
            none_or(absent::contradicted(
                playbook,
                source,
                &table,
                sides.primary,
            ))?;
            table
        }
    };
    Ok(SourcePart {
        name: source.name.clone(),
        topic: source.topic.clone(),
        table,
        order_by: source.order_by.clone(),
        epochs: source.epochs.clone(),
        // What is wrong in them was said before anything was opened.
        settings: Settings::of(&source.debezium).unwrap_or_default(),
    })
}

/// Properties of connectors that mean nothing here.
fn settings_problems(playbook: &Playbook) -> Vec<playbook::Problem> {
    let of = |source: &playbook::Source| {
        let bad = Settings::of(&source.debezium).err().unwrap_or_default();
        let path = format!("sources.{}.debezium", source.name);
        let line = source.line;
        bad.into_iter().map(move |bad| playbook::Problem {
            file: playbook.file.clone(),
            line,
            path: format!("{path}.{}", bad.property),
            what: bad.what,
            fix: bad.fix,
        })
    };
    playbook.sources.iter().flat_map(of).collect()
}

/// Problems as an error, when there are any.
fn none_or(problems: Vec<playbook::Problem>) -> Result<(), Problems> {
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Problems::Found(problems))
    }
}
