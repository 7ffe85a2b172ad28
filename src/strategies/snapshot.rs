//! Snapshots of a read model's derived state: folded from the log, never read from the read store, so that what has drifted
//! there cannot leak in. Known-good is one that, with the log after it, equals the primary.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use tokio::time::Instant;

use super::lag::captured::Capture;
use super::replay::base::{self, Part, now_ms};
use super::replay::derive::Derivation;
use super::replay::pipeline::Pipeline;
use super::replay::plan::Load;
use super::replay::run::unstage;
use super::replay::shape::kept_as;
use super::replay::{Begin, Plan};
use super::{Refused, Systems, blocking, fingerprint};
use crate::limits;
use crate::projection::change::Key;
use crate::projection::diff::Difference;
use crate::report::progress::Progress;
use crate::snapshot::{
    Draft, Manifest, PartitionCut, Place, Table, TableKind, TopicCut, Verified, Writer,
};
use crate::store::{Acts, Shadow, StateBatch, StoreError, WritePermit};
use crate::strategies::compare::Comparison;
use crate::stream::{StreamError, Topic};

/// What is asked of a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether it is compared with the primary.
    pub verify: bool,
    /// Whether it is marked when it equals the primary.
    pub mark: bool,
    /// How long that waits for the log to have what the primary has.
    pub lag_wait: std::time::Duration,
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its id.
    pub id: String,
    /// Rows compared with the primary; `None` where nothing was compared.
    pub checked: Option<u64>,
    /// Keys in which it differs from the primary, as far as they are named.
    pub differing: Vec<String>,
    /// What could not be said, and why.
    pub undecided: Option<String>,
}

impl Outcome {
    /// Whether it is known to be good.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.checked.is_some() && self.differing.is_empty() && self.undecided.is_none()
    }
}

/// Folds the log into a snapshot, from where the plan begins.
///
/// # Errors
/// The plan's own refusals, and whatever goes wrong; then nothing is left that looks like a snapshot.
pub async fn create(
    systems: &Systems,
    plan: &Plan,
    place: Place,
    options: Options,
    permit: &WritePermit,
    progress: &Progress,
    stop: Arc<AtomicBool>,
) -> Result<(Manifest, Outcome)> {
    let at = now_ms();
    let ids = topic_ids(systems, plan).await?;
    staged(systems, plan, permit, progress, stop, async |mut folded| {
        let manifest = folded.write(&place, &ids, at).await?;
        let id = manifest.id.clone();
        let outcome = if options.verify {
            folded.known_good(&place, &id, options).await?
        } else {
            Outcome {
                id,
                checked: None,
                differing: Vec::new(),
                undecided: None,
            }
        };
        Ok((manifest, outcome))
    })
    .await
}

/// Compares a snapshot, with the log after it, with the primary, and marks it when they are equal.
///
/// # Errors
/// As for [`create`].
pub async fn verify(
    systems: &Systems,
    plan: &Plan,
    place: Place,
    options: Options,
    permit: &WritePermit,
    progress: &Progress,
    stop: Arc<AtomicBool>,
) -> Result<Outcome> {
    let Begin::Snapshot(base) = &plan.options.begin else {
        return Err(Refused::because("a snapshot is verified from itself").into());
    };
    let id = base.id().to_owned();
    staged(systems, plan, permit, progress, stop, async |mut folded| {
        folded.known_good(&place, &id, options).await
    })
    .await
}

/// By topic, what tells it from others of its name.
type TopicIds = BTreeMap<String, String>;

/// The ids of the topics as the plan saw them: taken before they are read, so that one made anew underway is another.
async fn topic_ids(systems: &Systems, plan: &Plan) -> Result<TopicIds> {
    let log = systems.log().await?;
    let topics: BTreeMap<String, Topic> = plan
        .loads
        .iter()
        .map(|l| (l.topic.name.clone(), l.topic.clone()))
        .collect();
    blocking(move || {
        let mut ids = TopicIds::new();
        for (name, topic) in topics {
            if let Some(id) = log.identity(&topic)? {
                ids.insert(name, id);
            }
        }
        Ok::<_, StreamError>(ids)
    })
    .await
}

/// Folds what the plan says in a staging area, does `work` with it, and removes the area.
async fn staged<T>(
    systems: &Systems,
    plan: &Plan,
    permit: &WritePermit,
    progress: &Progress,
    stop: Arc<AtomicBool>,
    work: impl AsyncFnOnce(Folded<'_>) -> Result<T>,
) -> Result<T> {
    if !plan.refusals.is_empty() {
        return Err(Refused(plan.refusals.clone()).into());
    }
    if let Some(staging) = plan.staging() {
        progress.stage("creating the staging area", "steps", None);
        systems.staging().stage(permit, &staging).await?;
    }
    let done = async {
        let mut pipeline = Pipeline::new(systems, plan, permit, progress, stop)?;
        pipeline.load_all().await?;
        let mut folded = Folded {
            pipeline,
            derivation: Derivation::default(),
        };
        folded.derivation.renew(&mut folded.pipeline).await?;
        work(folded).await
    };
    let done = done.await;
    unstage(systems, plan, permit).await;
    done
}

/// Everything folded and derived, in a staging area.
struct Folded<'a> {
    pipeline: Pipeline<'a>,
    derivation: Derivation<'a>,
}

impl<'a> Folded<'a> {
    /// Writes everything as it is now.
    async fn write(&mut self, place: &Place, ids: &TopicIds, at_ms: i64) -> Result<Manifest> {
        let plan = self.pipeline.plan;
        let mut writer = place.create(self.draft(ids, at_ms)?, &plan.run)?;
        for load in &plan.loads {
            self.pipeline.stage(&format!("writing {}", load.kept_as))?;
            self.pipeline.systems.pace.pass().await;
            writer = self.table(writer, &load.shadow, kept_table(load)).await?;
        }
        for derived in &plan.derived {
            let name = kept_as(&derived.view);
            self.pipeline.stage(&format!("writing {name}"))?;
            self.pipeline.systems.pace.pass().await;
            let table = table(name, TableKind::Query, &derived.shadow);
            writer = self.table(writer, &derived.shadow, table).await?;
        }
        blocking(move || writer.finish()).await
    }

    fn draft(&self, ids: &TopicIds, at_ms: i64) -> Result<Draft> {
        let plan = self.pipeline.plan;
        let mut parts: BTreeMap<String, Part> = BTreeMap::new();
        let mut topics: BTreeMap<&str, TopicCut> = BTreeMap::new();
        let mut cluster = base::ARCHIVE.to_owned();
        for (at, load) in plan.loads.iter().enumerate() {
            parts.insert(
                load.kept_as.clone(),
                Part {
                    projection: load.projection.clone(),
                    order: Some(base::order_word(&load.order)),
                    seen: self.pipeline.seen(at),
                },
            );
            let id = ids.get(&load.topic.name).cloned();
            topics.insert(&load.topic.name, cut(load, id, at_ms));
            if let Some(id) = &load.topic.cluster_id {
                cluster.clone_from(id);
            }
        }
        for derived in &plan.derived {
            let part = Part {
                projection: fingerprint::canonical(&derived.view),
                ..Part::default()
            };
            parts.insert(kept_as(&derived.view), part);
        }
        let texts: Vec<String> = parts
            .iter()
            .map(|(name, part)| format!("{name}\n{}", part.projection))
            .collect();
        Ok(Draft {
            playbook: plan.playbook.clone(),
            projection: fingerprint::hash(&texts.join("\n")),
            primary_position: None,
            projection_parts: serde_json::to_value(&parts)?,
            cluster,
            topics: topics.into_values().collect(),
            parent: match &plan.options.begin {
                Begin::Snapshot(base) => Some(base.id().to_owned()),
                _ => None,
            },
        })
    }

    /// One table's rows and tombstones, as they stream out of the staging area.
    async fn table(&self, mut writer: Writer, shadow: &Shadow, table: Table) -> Result<Writer> {
        let mut state = self.pipeline.systems.staging().state(shadow).await?;
        let (versioned, pace) = (table.versioned, Arc::clone(&self.pipeline.systems.pace));
        blocking(move || -> Result<Writer> {
            let mut rows = writer.table(table)?;
            while let Some(batch) = state.blocking_recv() {
                match batch.map_err(|e: StoreError| anyhow::Error::from(e))? {
                    StateBatch::Rows(batch) => {
                        pace.spend_blocking(batch.len() as u64, &|| false);
                        let batch: Vec<_> = batch
                            .into_iter()
                            .map(|(row, version)| (row, versioned.then_some(version)))
                            .collect();
                        rows.rows(&batch)?;
                    }
                    StateBatch::Gone(batch) => rows.gone(&batch)?,
                }
            }
            rows.close()?;
            Ok(writer)
        })
        .await
    }

    /// Compares everything with the primary, following the log, and marks the snapshot when nothing differs.
    async fn known_good(&mut self, place: &Place, id: &str, options: Options) -> Result<Outcome> {
        let mut outcome = Outcome {
            id: id.to_owned(),
            checked: Some(0),
            differing: Vec::new(),
            undecided: None,
        };
        self.pipeline.catch_up().await?;
        self.derivation.renew(&mut self.pipeline).await?;
        for (view, shadow) in self.tables() {
            if let Some(reason) = view.incomparable() {
                outcome.undecided = Some(reason);
                continue;
            }
            self.pipeline
                .stage(&format!("comparing {} with the primary", view.name))?;
            let comparison = self.comparison(view, shadow);
            let found = comparison
                .run(true, &self.pipeline.progress.counter())
                .await?;
            *outcome.checked.get_or_insert(0) += found.rows;
            if found.beyond > 0 {
                outcome.undecided = Some(format!(
                    "view {}: more than {} keys differ",
                    view.name,
                    limits::RECHECK_KEYS_MAX
                ));
            }
            let wrong = self
                .decide(view, shadow, found.differences, options)
                .await?;
            match wrong {
                Ok(keys) => outcome
                    .differing
                    .extend(keys.iter().map(|key| format!("{}: {key}", view.name))),
                Err(reason) => outcome.undecided = Some(format!("view {}: {reason}", view.name)),
            }
        }
        if outcome.is_good() && options.mark {
            let position = self.pipeline.systems.primary.write_position().await?;
            let verified = Verified {
                at_ms: now_ms(),
                position: position.map(|p| p.to_string()),
            };
            let (place, id) = (place.clone(), id.to_owned());
            blocking(move || place.load(&id)?.mark_verified(verified)).await?;
        }
        Ok(outcome)
    }

    /// The views as they are staged.
    fn tables(&self) -> Vec<(&'a super::View, &'a Shadow)> {
        let plan = self.pipeline.plan;
        let loaded = plan.loads.iter().filter(|l| !l.is_source());
        let loaded = loaded.map(|l| (&l.view, &l.shadow));
        let derived = plan.derived.iter().map(|d| (&d.view, &d.shadow));
        loaded.chain(derived).collect()
    }

    fn comparison(&self, view: &super::View, shadow: &Shadow) -> Comparison<'a> {
        let staging = self.pipeline.systems.staging();
        let comparison = Comparison::new(self.pipeline.systems, view);
        comparison.with_actual(staging, staging.shadow_table(shadow))
    }

    /// Which of the keys that differ are wrong: those that still are what they were when the log had everything that the
    /// primary said then. Others have only moved on. The outer `Ok` may hold why it cannot be told.
    async fn decide(
        &mut self,
        view: &super::View,
        shadow: &Shadow,
        mut open: Vec<Difference>,
        options: Options,
    ) -> Result<Result<Vec<Key<'static>>, String>> {
        let until = Instant::now() + options.lag_wait;
        let mut wrong = Vec::new();
        while !open.is_empty() {
            let mut capture = Capture::of(self.pipeline.systems, view);
            let passed = capture.pass(until).await?;
            self.pipeline.catch_up().await?;
            self.derivation.renew(&mut self.pipeline).await?;
            let keys: Vec<Key<'static>> = open.iter().map(|d| d.key.clone()).collect();
            let now = self.comparison(view, shadow).again(&keys).await?;
            let said: BTreeMap<&Key<'static>, &Difference> =
                open.iter().map(|d| (&d.key, d)).collect();
            let stood = |d: &Difference| said.get(&d.key).is_some_and(|s| s.expected == d.expected);
            let (still, moved): (Vec<_>, Vec<_>) = now.into_iter().partition(|d| stood(d));
            if let (Err(reason), false) = (&passed, still.is_empty() && moved.is_empty()) {
                return Ok(Err(reason.clone()));
            }
            wrong.extend(still.into_iter().map(|d| d.key));
            open = moved;
            if !open.is_empty() && Instant::now() >= until {
                return Ok(Err(format!("{} keys keep changing", open.len())));
            }
        }
        Ok(Ok(wrong))
    }
}

fn kept_table(load: &Load) -> Table {
    let kind = if load.is_source() {
        TableKind::Source
    } else {
        TableKind::Copy
    };
    table(load.kept_as.clone(), kind, &load.shadow)
}

fn table(name: String, kind: TableKind, shadow: &Shadow) -> Table {
    Table {
        name,
        kind,
        columns: shadow.columns.clone(),
        key: shadow.key.clone(),
        versioned: kind != TableKind::Query,
    }
}

fn cut(load: &Load, id: Option<String>, at_ms: i64) -> TopicCut {
    let partitions = load.extents.iter().map(|e| PartitionCut {
        partition: e.partition,
        next_offset: e.end,
        time_ms: Some(at_ms),
    });
    TopicCut {
        topic: load.topic.name.clone(),
        id: id.unwrap_or_else(|| base::UNTOLD.to_owned()),
        partitions: partitions.collect(),
    }
}
