//! The plan of a replay: everything that can be known by reading, and every reason to refuse, all at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;

use super::base::Now;
use super::extents::{self, Extent};
use super::options::{Begin, Destination, Options};
use super::projector;
use super::shape::{apart, kept_as, shadow, sources_of, staged};
use super::suits;
use super::touched::Ways;
use super::unfinished;
use crate::projection::version::Order;
use crate::report::replay::{PlanLoad, PlanReport, PlanView};
use crate::store::{Shadow, Staging};
use crate::strategies::pace;
use crate::strategies::{Origin, SourcePart, Systems, View, blocking, fingerprint, verify};
use crate::stream::{Range, StreamError, Topic};

/// One table that is loaded from one topic.
#[derive(Clone, Debug)]
pub struct Load {
    /// The copy view that it is, or a source staged as a copy of itself.
    pub view: View,
    /// The topic as it is.
    pub topic: Topic,
    /// What is read of each partition.
    pub extents: Vec<Extent>,
    /// The order chosen.
    pub order: Order,
    /// Where it is loaded.
    pub shadow: Shadow,
    /// What a snapshot keeps it as.
    pub kept_as: String,
    /// What decides its rows, as [`fingerprint::canonical`] has it.
    pub projection: String,
}

impl Load {
    /// Records to read at most.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.extents.iter().map(Extent::records).sum()
    }

    /// The ranges to read.
    #[must_use]
    pub fn ranges(&self) -> Vec<Range> {
        extents::ranges(&self.topic.name, &self.extents)
    }

    /// Whether it is a source, staged for queries.
    #[must_use]
    pub fn is_source(&self) -> bool {
        self.kept_as.starts_with("source.")
    }

    /// The source that it reads.
    #[must_use]
    pub fn source(&self) -> &SourcePart {
        // A load is a copy, which has one.
        &self.view.sources()[0]
    }
}

/// One query view, derived from staged sources.
#[derive(Clone, Debug)]
pub struct Derived {
    /// The view.
    pub view: View,
    /// Where it is derived.
    pub shadow: Shadow,
}

/// A plan, printed before anything is written.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The run's id.
    pub run: String,
    /// The playbook's name.
    pub playbook: String,
    /// The views asked for.
    pub views: Vec<View>,
    /// Tables loaded from the log: copy views, then staged sources.
    pub loads: Vec<Load>,
    /// Views derived from them.
    pub derived: Vec<Derived>,
    /// What the operator should know.
    pub notes: Vec<String>,
    /// Why it must not run; empty when it may.
    pub refusals: Vec<String>,
    /// What its work is bound to.
    pub binding: String,
    /// Whether it goes on with what a run that died has built.
    pub goes_on: bool,
    /// What was asked.
    pub options: Options,
}

impl Plan {
    /// The views that it rebuilds, each with its shadow.
    pub fn targets(&self) -> impl Iterator<Item = (&View, &Shadow)> {
        let loaded = self.loads.iter().filter(|l| !l.shadow.staged);
        let derived = self.derived.iter().filter(|d| !d.shadow.staged);
        let derived = derived.map(|d| (&d.view, &d.shadow));
        loaded.map(|l| (&l.view, &l.shadow)).chain(derived)
    }

    /// The sources that it stages; `None` where no view is a query.
    #[must_use]
    pub fn staging(&self) -> Option<Staging> {
        let loaded = self.loads.iter().map(|l| &l.shadow);
        let derived = self.derived.iter().map(|d| &d.shadow);
        let staged = loaded.chain(derived).filter(|s| s.staged);
        let shadows: Vec<Shadow> = staged.cloned().collect();
        let run = shadows.first()?.run.clone();
        Some(Staging {
            run,
            name: self.playbook.clone(),
            shadows,
        })
    }

    /// Becomes the run that died: everything that it builds has its id, and its binding.
    pub(super) fn take_over(&mut self, run: &str, binding: String) {
        let loaded = self.loads.iter_mut().map(|l| &mut l.shadow);
        let derived = self.derived.iter_mut().map(|d| &mut d.shadow);
        for shadow in loaded.chain(derived) {
            let nth = shadow.run.strip_prefix(&self.run).unwrap_or_default();
            shadow.run = format!("{run}{nth}");
        }
        self.run = run.to_owned();
        (self.binding, self.goes_on) = (binding, true);
    }

    /// The topics that it reads, each once.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        let mut topics: Vec<String> = self.loads.iter().map(|l| l.topic.name.clone()).collect();
        topics.sort();
        topics.dedup();
        topics
    }

    /// Whether its shadows stop where the projector is: it goes on from there with what takes their places.
    #[must_use]
    pub fn stops_at_projector(&self) -> bool {
        let swaps = !self.options.no_swap && self.options.into == Destination::Shadows;
        swaps && !self.options.cutover.hand_over
    }

    /// The sources that it stages for queries.
    pub fn sources(&self) -> impl Iterator<Item = &Shadow> {
        self.loads
            .iter()
            .filter(|l| l.is_source())
            .map(|l| &l.shadow)
    }

    /// The tables that it replaces, for a message.
    #[must_use]
    pub fn tables(&self) -> String {
        let names: Vec<String> = self
            .targets()
            .map(|(view, _)| view.table.table.to_string())
            .collect();
        names.join(", ")
    }

    /// What is shown of it.
    #[must_use]
    pub fn report(&self) -> PlanReport {
        let view = |view: &View| PlanView {
            view: view.name.clone(),
            table: view.table.table.to_string(),
            rows: view.table.rows_estimate,
            bytes: view.table.bytes,
        };
        let load = |load: &Load| PlanLoad {
            into: load.view.name.clone(),
            staged: load.shadow.staged,
            topic: load.topic.name.clone(),
            extents: load
                .extents
                .iter()
                .map(|e| (e.partition, e.start, e.end, e.log_end))
                .collect(),
            order: load.order.to_string(),
        };
        PlanReport {
            strategy: match self.options.begin {
                Begin::Zero => "big-bang",
                Begin::Snapshot(_) | Begin::Offsets(_) => "partial",
            },
            run: self.run.clone(),
            views: self.views.iter().map(view).collect(),
            in_place: self.options.into != Destination::Shadows,
            loads: self.loads.iter().map(load).collect(),
            derives: self
                .derived
                .iter()
                .map(|d| (d.view.name.clone(), Ways::of(&d.view).to_string()))
                .collect(),
            swaps: !self.options.no_swap,
            checks: self.checks(),
            notes: self.notes.clone(),
            refusals: self.refusals.clone(),
        }
    }

    /// Whether the shadows are compared with the primary: not when they end at some earlier offset, since the primary has
    /// moved on from there.
    #[must_use]
    pub fn checks(&self) -> bool {
        let is_comparable = self.views.iter().any(|v| v.incomparable().is_none());
        is_comparable && !self.options.no_check && self.options.until.is_empty()
    }
}

/// Makes the plan of a replay of some views.
///
/// # Errors
/// When a system cannot be asked. Reasons to refuse are part of the plan.
pub async fn plan(
    systems: &Systems,
    playbook: &str,
    views: &[View],
    run: String,
    options: Options,
) -> Result<Plan> {
    let mut making = Making {
        systems,
        topics: BTreeMap::new(),
        plan: Plan {
            run,
            playbook: playbook.to_owned(),
            views: views.to_vec(),
            loads: Vec::new(),
            derived: Vec::new(),
            notes: Vec::new(),
            refusals: Vec::new(),
            binding: String::new(),
            goes_on: false,
            options,
        },
    };
    if let Some(down) = systems.primary.down() {
        if !making.plan.options.no_check {
            let hint =
                "the result could not be compared with the primary; --no-check goes on without it";
            return Err(anyhow::Error::from(down).context(hint));
        }
        making.plan.notes.push(
            "the primary does not answer: a key that the log does not hold whole stops the run"
                .to_owned(),
        );
    }
    if let Begin::Offsets(_) = making.plan.options.begin {
        making.plan.notes.push(
            "a key whose newest change was delivered before these records (events that overtook each other) gets an older row: verify afterwards"
                .to_owned(),
        );
    }
    for view in views {
        making.view(view).await?;
    }
    making.sources(views).await?;
    suits::projector(systems, &mut making.plan).await?;
    making.plan.notes.extend(pace::blind(systems).await?);
    making.plan.notes.dedup();
    let Options { begin, until, .. } = &making.plan.options;
    let mut outside = extents::outside("--until", until, &making.topics);
    if let Begin::Offsets(from) = begin {
        outside.extend(extents::outside("--from-offsets", from, &making.topics));
    }
    making.plan.refusals.extend(outside);
    making.plan.refusals.dedup();
    let mut plan = making.plan;
    if plan.refusals.is_empty() && plan.options.into == Destination::Shadows {
        unfinished::look(systems, &mut plan).await?;
    }
    Ok(plan)
}

/// A plan being made.
struct Making<'a> {
    systems: &'a Systems,
    /// One look at each topic, so that what is loaded from one of them ends at one cut.
    topics: BTreeMap<String, Topic>,
    plan: Plan,
}

impl Making<'_> {
    async fn view(&mut self, view: &View) -> Result<()> {
        let targets = self.plan.targets().count();
        let run = match targets {
            0 => self.plan.run.clone(),
            nth => format!("{}_{}", self.plan.run, nth + 1),
        };
        let refused = verify::refuse_same_table(self.systems, view).await;
        if let Err(refused) = refused {
            let refused = refused.downcast::<crate::strategies::Refused>()?;
            self.plan.refusals.push(refused.to_string());
        }
        let staged = self.plan.options.into != Destination::Shadows;
        if !staged {
            self.beside(view).await?;
        }
        match &view.origin {
            Origin::Copy { .. } | Origin::Events { .. } if staged => {
                let (apart, run) = (apart(view), self.staging_run());
                self.load(apart, view, run, true).await
            }
            Origin::Copy { .. } | Origin::Events { .. } => {
                self.load(view.clone(), view, run, false).await
            }
            Origin::Query { .. } => {
                let refusals = suits::derivable(self.systems, view).await?;
                self.plan.refusals.extend(refusals);
                let shadow = if staged {
                    shadow(&apart(view), self.staging_run(), 0, true)
                } else {
                    shadow(view, run, 0, false)
                };
                if let Begin::Snapshot(base) = &self.plan.options.begin {
                    let misfit = base.misfit(&kept_as(view), &fingerprint::canonical(view));
                    self.plan.refusals.extend(misfit);
                }
                let view = view.clone();
                self.plan.derived.push(Derived { view, shadow });
                Ok(())
            }
        }
    }

    /// Why the view's table cannot be replaced.
    async fn beside(&mut self, view: &View) -> Result<()> {
        let repaired = suits::repaired(&self.systems.read_store, view).await;
        self.plan.notes.extend(repaired);
        self.plan.notes.extend(suits::unique(view));
        if !self.plan.options.no_swap {
            let hanging = suits::hanging(&self.systems.read_store, view).await?;
            self.plan.refusals.extend(hanging);
        }
        if let Some(scope) = &view.scope {
            self.plan.refusals.push(format!(
                "view {} owns only a part of its table (scope: {scope}); such a table is never swapped",
                view.name
            ));
        }
        Ok(())
    }

    fn staging_run(&self) -> String {
        format!("{}_src", self.plan.run)
    }

    /// The sources of the query views among these, each staged once.
    async fn sources(&mut self, views: &[View]) -> Result<()> {
        let queries: Vec<View> = views
            .iter()
            .filter(|v| matches!(v.origin, Origin::Query { .. }))
            .cloned()
            .collect();
        for source in sources_of(&queries) {
            let (staged, left_out) = staged(source);
            if !left_out.is_empty() {
                self.plan.notes.push(format!(
                    "source {} is staged without {}, which cannot be read from a log",
                    source.name,
                    left_out.join(", ")
                ));
            }
            let run = self.staging_run();
            self.source(staged, run).await?;
        }
        Ok(())
    }

    async fn load(&mut self, built: View, view: &View, run: String, staged: bool) -> Result<()> {
        let (kept_as, projection) = (kept_as(view), fingerprint::canonical(view));
        self.add(built, run, staged, kept_as, projection).await
    }

    async fn source(&mut self, staged: View, run: String) -> Result<()> {
        let kept_as = format!("source.{}", staged.name);
        let projection = fingerprint::canonical(&staged);
        self.add(staged, run, true, kept_as, projection).await
    }

    async fn add(
        &mut self,
        view: View,
        run: String,
        is_staged: bool,
        kept_as: String,
        projection: String,
    ) -> Result<()> {
        let source = view.sources()[0].clone();
        let topic = self.topic(&source.topic).await?;
        let Options { begin, until, .. } = &self.plan.options;
        let (mut extents, refusals) = extents::of(&topic, begin, until);
        if self.plan.stops_at_projector() {
            let standing =
                projector::standing(self.systems, std::slice::from_ref(&source.topic)).await?;
            let ahead = extents::stop_at(&topic.name, &mut extents, &standing[&source.topic]);
            self.plan.refusals.extend(ahead);
        }
        if let Begin::Snapshot(base) = &self.plan.options.begin {
            let misfit = base.misfit(&kept_as, &projection);
            self.plan.refusals.extend(misfit);
        }
        self.plan.refusals.extend(refusals);
        let (notes, refused) = suits::events(&view, &topic, &self.plan.options);
        self.plan.notes.extend(notes);
        self.plan.refusals.extend(refused);
        let order = match view.start() {
            Some(_) => Order::Offset,
            None => self.order(&kept_as, &source, &topic, &extents).await?,
        };
        let begin = &self.plan.options.begin;
        let compacted = extents::compacted(self.systems, &topic, &extents, begin).await?;
        self.plan.refusals.extend(compacted);
        self.plan.refusals.extend(suits::types(&view));
        self.plan.notes.extend(suits::losses(&source, &view));
        let shadow = shadow(&view, run, order.words(), is_staged);
        self.plan.loads.push(Load {
            view,
            topic,
            extents,
            order,
            shadow,
            kept_as,
            projection,
        });
        Ok(())
    }

    /// The order in which a source's changes are taken: that of the snapshot, where there is one.
    async fn order(
        &mut self,
        kept_as: &str,
        source: &SourcePart,
        topic: &Topic,
        extents: &[Extent],
    ) -> Result<Order> {
        let (kept, id) = match &self.plan.options.begin {
            Begin::Snapshot(base) => (base.order(kept_as), base.id().to_owned()),
            Begin::Zero | Begin::Offsets(_) => (None, String::new()),
        };
        if let Some(positions) = kept.clone().filter(|kept| *kept != Order::Offset) {
            return Ok(positions);
        }
        let notes = &mut self.plan.notes;
        let offered = extents::order(self.systems, source, topic, extents, notes).await?;
        let Some(kept) = kept.filter(|kept| *kept != offered) else {
            return Ok(offered);
        };
        self.plan.refusals.push(format!(
            "snapshot {id} took the records of {} by their offsets, and those after its cut carry a {offered}: \
             the two are not one order; create a new one",
            topic.name
        ));
        Ok(kept)
    }

    /// A topic, looked at once.
    async fn topic(&mut self, name: &str) -> Result<Topic> {
        if let Some(topic) = self.topics.get(name) {
            return Ok(topic.clone());
        }
        let base = match &self.plan.options.begin {
            Begin::Snapshot(base) => Some(Arc::clone(base)),
            Begin::Zero | Begin::Offsets(_) => None,
        };
        let (log, asked) = (self.systems.log().await?, name.to_owned());
        let (topic, broken) = blocking(move || {
            let topic = log.topic(&asked)?;
            let Some(base) = base else {
                return Ok((topic, Vec::new()));
            };
            let replaced = match base.topic_id(&asked) {
                Some(id) => log.replaced(&topic, id)?,
                None => None,
            };
            let broken = base.broken(&Now {
                topic: &topic,
                replaced,
            });
            Ok::<_, StreamError>((topic, broken))
        })
        .await?;
        self.plan.refusals.extend(broken);
        self.topics.insert(name.to_owned(), topic.clone());
        Ok(topic)
    }
}
