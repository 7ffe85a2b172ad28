//! The first round of every load: from its beginning, or from a snapshot, to its keys and indexes.

use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::{Pipeline, store};
use crate::limits;
use crate::store::{Acts, NextOffset, StoreError};
use crate::strategies::Refused;
use crate::strategies::load;
use crate::strategies::replay::base::Base;
use crate::strategies::replay::options::Begin;
use crate::stream::Range;

impl Pipeline<'_> {
    /// Loads every table from its beginning, and builds their keys.
    ///
    /// # Errors
    /// Whatever goes wrong; what was loaded stays in the shadows.
    pub async fn load_all(&mut self) -> Result<()> {
        for at in 0..self.plan.loads.len() {
            let load = &self.plan.loads[at];
            let ranges = if self.states[at].begun {
                self.rest(at)
            } else {
                self.restored(at).await?;
                load.ranges()
            };
            let records = |r: &Range| u64::try_from(r.to - r.from).unwrap_or(0);
            self.progress.stage(
                &format!("loading {}", load.view.name),
                "records",
                Some(ranges.iter().map(records).sum()),
            );
            self.pass(at, ranges).await?;
            self.stage("building keys and indexes")?;
            self.systems.pace.pass().await;
            self.build(at).await?;
            crate::crash_point!("load.built");
            // From now on the indexes are there, and a row that came before the one that makes room for it would break a
            // unique one: what was, goes first.
            if let Some(loader) = &mut self.states[at].loader {
                loader.again_only();
            }
        }
        Ok(self.without_holes()?)
    }

    /// A load at its beginning: an empty shadow, or what a snapshot holds of it.
    async fn restored(&mut self, at: usize) -> Result<()> {
        let load = &self.plan.loads[at];
        if self.plan.goes_on {
            let store = store(self.systems, load);
            store.clear(self.permit, &load.shadow).await?;
        }
        match &self.plan.options.begin {
            Begin::Snapshot(base) => self.restore(at, base).await,
            Begin::Zero | Begin::Offsets(_) => Ok(()),
        }
    }

    /// What a snapshot holds of one load.
    async fn restore(&mut self, at: usize, base: &Base) -> Result<()> {
        let load = &self.plan.loads[at];
        let name = &load.view.name;
        self.progress
            .stage(&format!("restoring {name}"), "rows", None);
        let next = load.extents.iter().map(|e| NextOffset {
            topic: load.topic.name.clone(),
            partition: e.partition,
            offset: e.start,
        });
        let (loader, stopped) = load::restore(
            (base.state(&load.kept_as)?, Arc::clone(&self.systems.pace)),
            next.collect(),
            self.take(at)?,
            store(self.systems, load),
            &load.shadow,
            self.permit,
            self.progress,
            Arc::clone(&self.stop),
        )
        .await
        .with_context(|| format!("restoring {name}"))?;
        self.put(at, loader, stopped)
    }

    /// Builds keys and indexes. Where the load was cut, one partition may have a value that another still has to give up: as
    /// long as the log goes on, it is read on, and that is no reason to give up.
    async fn build(&mut self, at: usize) -> Result<()> {
        let mut round = 0;
        loop {
            let load = &self.plan.loads[at];
            let built = store(self.systems, load)
                .build(self.permit, &load.shadow)
                .await;
            match built {
                Err(StoreError::Unique { problem, .. }) => {
                    round += 1;
                    let extents = self.extents_now(&load.topic.name).await?;
                    let ahead = self.ahead(at, &extents);
                    let over = round > limits::CATCH_UP_ROUNDS_MAX;
                    if over || ahead.is_empty() || !self.plan.options.until.is_empty() {
                        return Err(Refused::because(problem).into());
                    }
                    tracing::info!("{problem}; the log has gone on, and is read on");
                    self.pass(at, ahead).await?;
                }
                built => return Ok(built?),
            }
        }
    }
}
