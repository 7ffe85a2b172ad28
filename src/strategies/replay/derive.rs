//! Query views over staged sources: the sources shown to the query, the query's rows in a shadow.

use anyhow::{Context as _, Result};

use super::plan::{Derived, Plan};
use crate::limits;
use crate::projection::version::{Rank, Version};
use crate::store::{
    Acts, Mark, Origin as Loaded, Relation, Shadow, Store, StoreError, TableName, WritePermit,
};
use crate::strategies::compare::Comparison;
use crate::strategies::{Systems, View};

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

    /// Shows what the sources have become, where a copy of them is shown.
    ///
    /// # Errors
    /// When the staging database cannot do it.
    pub async fn renew(&mut self) -> Result<()> {
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
        let (staging, read_store) = (self.systems.staging(), &self.systems.read_store);
        let is_here = derived.shadow.staged || self.systems.scratch.is_none();
        let store = if is_here { staging } else { read_store };
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
