//! Query views over staged sources: the sources shown to the query, the query's rows in a shadow, and in it what becomes of
//! them while the log moves on.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};

use super::caught_up::CatchingUp;
pub use super::caught_up::Round;
use super::pipeline::Pipeline;
use super::plan::{Derived, Plan};
use super::touched::Ways;
use crate::limits;
use crate::projection::version::{Rank, Version};
use crate::store::{
    Acts, Mark, Origin as Loaded, Relation, Shadow, Store, StoreError, TableName, Touch,
    WritePermit,
};
use crate::strategies::compare::Comparison;
use crate::strategies::{Refused, Systems, View};

/// The staged sources of a plan, as queries read them.
pub struct Exposure<'a> {
    systems: &'a Systems,
    permit: &'a WritePermit,
    shadows: Vec<Shadow>,
    names: Vec<TableName>,
    exact: bool,
}

impl<'a> Exposure<'a> {
    /// Shows the staged sources; as tables with a key, where one of these queries leans on a key.
    ///
    /// # Errors
    /// When a query cannot be run over them.
    pub async fn new(
        systems: &'a Systems,
        permit: &'a WritePermit,
        plan: &Plan,
        views: impl Iterator<Item = &View> + Clone,
    ) -> Result<Exposure<'a>> {
        let staged = plan.loads.iter().filter(|l| l.shadow.staged);
        let staging: Vec<Shadow> = staged.map(|l| l.shadow.clone()).collect();
        let mut exposure = Exposure {
            systems,
            permit,
            names: systems.staging().expose(permit, &staging, false).await?,
            shadows: staging,
            exact: false,
        };
        for view in views.clone() {
            if let Err(StoreError::Ungrouped { .. }) = exposure.describe(view).await {
                exposure.exact = true;
                exposure.renew().await?;
                break;
            }
        }
        for view in views {
            exposure
                .describe(view)
                .await
                .with_context(|| format!("the query of view {}", view.name))?;
        }
        Ok(exposure)
    }

    /// The staged sources.
    pub(super) fn shadows(&self) -> &[Shadow] {
        &self.shadows
    }

    /// Shows what the sources have become, where a copy of them is shown.
    async fn renew(&mut self) -> Result<()> {
        if self.exact {
            let staging = self.systems.staging();
            self.names = staging.expose(self.permit, &self.shadows, true).await?;
        }
        Ok(())
    }

    async fn describe(&self, view: &View) -> Result<(), StoreError> {
        let Relation::Query { text, .. } = self.relation(view) else {
            return Ok(());
        };
        self.systems.staging().describe(&text).await.map(drop)
    }

    /// A view's rows, as the staged sources have them.
    #[must_use]
    pub fn relation(&self, view: &View) -> Relation {
        let nowhere = || TableName {
            schema: None,
            name: String::new(),
        };
        let place = |name: &str| {
            let at = self.shadows.iter().position(|s| s.live.table.name == name);
            at.map_or_else(nowhere, |at| self.names[at].clone())
        };
        view.relation(self.systems.staging(), |source| place(&source.name))
    }

    /// A view's rows as the staged sources have them, as the expected side of a comparison.
    #[must_use]
    pub fn comparison(&self, view: &View) -> Comparison<'a> {
        Comparison::new(self.systems, view).with_origin(self.systems.staging(), self.relation(view))
    }

    /// Empties a view's shadow and fills it with what its query gives now.
    ///
    /// # Errors
    /// When the query fails, or a value does not fit its column.
    pub async fn fill(&self, derived: &Derived) -> Result<()> {
        let (is_here, store) = (self.is_here(derived), self.store(derived));
        store.clear(self.permit, &derived.shadow).await?;
        let filled = match self.relation(&derived.view) {
            Relation::Query { text, .. } if is_here => store
                .fill(self.permit, &derived.shadow, &text)
                .await
                .map_err(anyhow::Error::from),
            _ => self.carry(derived, store).await,
        };
        filled.with_context(|| format!("the query of view {}", derived.view.name))
    }

    /// Whether a view is derived in the database that its sources are staged in.
    pub(super) fn is_here(&self, derived: &Derived) -> bool {
        derived.shadow.staged || self.systems.scratch.is_none()
    }

    /// Where a view is derived.
    fn store(&self, derived: &Derived) -> &'a Store {
        if derived.shadow.staged {
            self.systems.staging()
        } else {
            &self.systems.read_store
        }
    }

    /// From one database to the other.
    async fn carry(&self, derived: &Derived, read_store: &Store) -> Result<()> {
        let comparison = self.comparison(&derived.view);
        let mut rows = comparison.expected_rows().await?;
        let mut encoder = read_store.encoder(&derived.shadow);
        let nowhere = Loaded {
            version: Version {
                rank: Rank::default(),
                partition: 0,
                offset: 0,
                clock: None,
            },
            arrival: 0,
        };
        loop {
            let some = comparison.next_expected(&mut rows).await?;
            for row in &some {
                encoder.first(row, &nowhere);
            }
            if encoder.bytes() >= limits::BATCH_BYTES || some.is_empty() {
                let batch = encoder.take();
                read_store
                    .append(self.permit, &derived.shadow, batch, &Mark::default())
                    .await?;
            }
            if some.is_empty() {
                return Ok(());
            }
        }
    }
}

/// The query views of a plan: derived once, and then brought up to date.
#[derive(Default)]
pub struct Derivation<'a> {
    /// The staged sources, once they are loaded.
    exposure: Option<Exposure<'a>>,
    /// What every round did with every view.
    rounds: Vec<Vec<Round>>,
}

impl<'a> Derivation<'a> {
    /// Derives every view from what the sources are now, and builds its key and indexes; from the second time on, brings it
    /// up to date by what has changed in them. When that is cut short, it can be done again.
    ///
    /// # Errors
    /// When a query fails, or `touched_by` is found to be wrong.
    pub async fn renew(&mut self, pipeline: &mut Pipeline<'a>) -> Result<()> {
        if pipeline.plan.derived.is_empty() {
            return Ok(());
        }
        match self.exposure.take() {
            None => self.exposure = Some(derived(pipeline).await?),
            Some(mut exposure) => {
                let round = exposure.round(pipeline).await;
                self.exposure = Some(exposure);
                self.rounds.push(round?);
                pipeline.derived_whole();
            }
        }
        Ok(())
    }

    /// What every round after the first time did with every view, in the order of the plan.
    #[must_use]
    pub fn rounds(&self) -> &[Vec<Round>] {
        &self.rounds
    }

    /// The staged sources, as queries read them, once they are derived from.
    #[must_use]
    pub fn exposure(&self) -> Option<&Exposure<'a>> {
        self.exposure.as_ref()
    }

    /// The views that were brought up to date, each with how that was done.
    #[must_use]
    pub fn report(&self, plan: &Plan) -> Vec<(String, String)> {
        let views = plan.derived.iter().enumerate();
        let said = views.filter_map(|(at, derived)| {
            let (mut rounds, mut keys, mut wholes) = (0, 0, Vec::new());
            for round in self.rounds.iter().map(|round| &round[at]) {
                match round {
                    Round::Untouched => continue,
                    Round::Keys(some) => keys += some,
                    Round::Whole(why) => wholes.push(format!("recomputed whole: {why}")),
                }
                rounds += 1;
            }
            wholes.dedup();
            let mut how = vec![format!("{rounds} rounds"), format!("{keys} keys")];
            how.extend(wholes);
            (rounds > 0).then(|| (derived.view.name.clone(), how.join(", ")))
        });
        said.collect()
    }
}

/// Derives the views of a plan for the first time.
async fn derived<'a>(pipeline: &mut Pipeline<'a>) -> Result<Exposure<'a>> {
    let (systems, permit) = (pipeline.systems, pipeline.permit);
    let plan = pipeline.plan;
    let views = plan.derived.iter().map(|d| &d.view);
    let exposure = Exposure::new(systems, permit, plan, views.clone()).await?;
    for derived in &plan.derived {
        pipeline.stage(&format!("deriving {}", derived.view.name))?;
        systems.pace.pass().await;
        exposure.fill(derived).await?;
        crate::crash_point!("derive.filled");
        let store = exposure.store(derived);
        match store.build(permit, &derived.shadow).await {
            Err(StoreError::Unique { problem, .. }) => {
                return Err(Refused::because(problem).into());
            }
            built => built?,
        }
        crate::crash_point!("derive.built");
    }
    if views.into_iter().any(|view| Ways::of(view).any()) {
        pipeline.watch().await?;
    }
    Ok(exposure)
}

impl<'a> Exposure<'a> {
    /// Brings every view of a plan up to date; what was done with each.
    async fn round(&mut self, pipeline: &Pipeline<'a>) -> Result<Vec<Round>> {
        if !pipeline.watches() || pipeline.was_emptied() {
            return self.whole(pipeline).await;
        }
        let staging = self.systems.staging();
        let mut changed = BTreeSet::new();
        // A copy that is staged beside them is nobody's source.
        let sources: Vec<Shadow> = pipeline.plan.sources().cloned().collect();
        for shadow in &sources {
            if staging.gather(self.permit, shadow).await? > 0 {
                if self.exact {
                    staging.renew(self.permit, shadow).await?;
                }
                changed.insert(shadow.live.table.name.as_str());
            }
        }
        let mut rounds = Vec::new();
        for derived in &pipeline.plan.derived {
            pipeline.stage(&format!("catching up {}", derived.view.name))?;
            let catching_up = CatchingUp {
                exposure: self,
                staging,
                store: self.store(derived),
                permit: self.permit,
                derived,
            };
            let round = catching_up.round(&changed).await;
            rounds.push(round.with_context(|| format!("view {}", derived.view.name))?);
        }
        staging.forget(self.permit, &sources).await?;
        Ok(rounds)
    }

    /// Derives every view again.
    async fn whole(&mut self, pipeline: &Pipeline<'a>) -> Result<Vec<Round>> {
        self.renew().await?;
        let mut rounds = Vec::new();
        for derived in &pipeline.plan.derived {
            pipeline.stage(&format!("deriving {}", derived.view.name))?;
            self.fill(derived).await?;
            let sources = derived.view.sources().iter();
            let all = sources.map(|s| s.name.as_str()).collect();
            let why = Ways::of(&derived.view).whole(&all).map(str::to_owned);
            let why = why.unwrap_or_else(|| "a source was truncated".to_owned());
            rounds.push(Round::Whole(why));
        }
        Ok(rounds)
    }
}
