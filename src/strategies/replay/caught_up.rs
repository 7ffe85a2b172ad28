//! A query view brought up to date by what changed in its sources: the rows of the keys touched are exchanged, and what a
//! written `touched_by` leaves out is looked at, too.

use std::collections::{BTreeSet, HashSet};

use anyhow::{Context as _, Result};

use super::derive::Exposure;
use super::plan::Derived;
use super::touched::{Touching, Ways, as_key, key_names, keys_of};
use crate::limits;
use crate::projection::cell::Row;
use crate::projection::change::Key;
use crate::projection::mapping::key_of;
use crate::store::{Acts, Relation, RowStream, Store, Touch, WritePermit};
use crate::strategies::{Bug, Refused};

/// What one round did with a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Round {
    /// None of its sources had changed.
    Untouched,
    /// The rows of so many keys were exchanged.
    Keys(u64),
    /// It was derived whole, and why.
    Whole(String),
}

/// One view, brought up to date.
pub(super) struct CatchingUp<'e> {
    pub(super) exposure: &'e Exposure<'e>,
    pub(super) staging: &'e Store,
    pub(super) store: &'e Store,
    pub(super) permit: &'e WritePermit,
    pub(super) derived: &'e Derived,
}

/// The keys touched, or why the view has to be derived whole.
type Touched = std::result::Result<Vec<Key<'static>>, String>;

impl CatchingUp<'_> {
    /// Brings it up to date, given the sources that have changed.
    pub(super) async fn round(&self, changed: &BTreeSet<&str>) -> Result<Round> {
        let view = &self.derived.view;
        let reads = |s: &crate::strategies::SourcePart| changed.contains(s.name.as_str());
        if !view.sources().iter().any(reads) {
            return Ok(Round::Untouched);
        }
        let ways = Ways::of(view);
        if let Some(why) = ways.whole(changed) {
            return self.whole(why.to_owned()).await;
        }
        let written = ways.written(changed);
        let keys = match self.keys(changed, written.is_empty()).await? {
            Ok(keys) => keys,
            Err(why) => return self.whole(why).await,
        };
        self.exchange(&keys).await?;
        if !written.is_empty() {
            self.untouched(&keys, &written).await?;
        }
        Ok(Round::Keys(keys.len() as u64))
    }

    /// In one transaction where the rows are derived in the database that holds them.
    async fn exchange(&self, keys: &[Key<'static>]) -> Result<()> {
        let (store, shadow) = (self.store, &self.derived.shadow);
        if let Relation::Query { text, .. } = self.exposure.relation(&self.derived.view)
            && self.exposure.is_here(self.derived)
            && store.exchange_by(self.permit, shadow, keys, &text).await?
        {
            return Ok(());
        }
        for some in keys.chunks(limits::EXCHANGE_KEYS) {
            let rows = self.rows_of(some).await?;
            store.exchange(self.permit, shadow, some, &rows).await?;
        }
        Ok(())
    }

    async fn whole(&self, why: String) -> Result<Round> {
        self.exposure.fill(self.derived).await?;
        Ok(Round::Whole(why))
    }

    async fn keys(&self, changed: &BTreeSet<&str>, by_itself: bool) -> Result<Touched> {
        let touching = Touching {
            staging: self.staging,
            view: &self.derived.view,
            shadows: self.exposure.shadows(),
        };
        let asked = async {
            let stream = touching.keys(changed).await?;
            self.collected(stream).await
        };
        match asked.await {
            // Rows that were never together may fail what only those that are together pass.
            Err(problem) if by_itself => Ok(Err(format!(
                "its keys could not be told by itself ({problem:#})"
            ))),
            Err(problem) => Err(problem.context("`touched_by`")),
            asked => asked,
        }
    }

    async fn collected(&self, mut stream: RowStream) -> Result<Touched> {
        let keys_max = self.keys_max().await?;
        let mut keys = Vec::new();
        while let Some(rows) = stream.recv().await {
            for row in rows? {
                match as_key(row) {
                    Some(key) => keys.push(key),
                    None => return Ok(Err("a NULL is in its key".to_owned())),
                }
            }
            if keys.len() as u64 > keys_max {
                let why = format!("more than {keys_max} of its keys are touched");
                return Ok(Err(why));
            }
        }
        Ok(Ok(keys))
    }

    /// How many keys may be touched before it is quicker to derive everything.
    async fn keys_max(&self) -> Result<u64> {
        let shadow = self.store.shadow_table(&self.derived.shadow);
        let count = format!("SELECT count(*) FROM {}", self.store.spelled(&shadow));
        let counted = self.store.query(&count).await?;
        let rows: Option<u64> = counted
            .first()
            .and_then(|row| row.first()?.as_ref()?.parse().ok());
        let rows = rows.ok_or_else(|| Bug(format!("{shadow} has no number of rows")))?;
        let share = rows / 100 * limits::TOUCHED_PERCENT_MAX;
        Ok(share.clamp(limits::TOUCHED_KEYS_FEW, limits::TOUCHED_KEYS_MAX))
    }

    /// What the query gives for these keys now, in their order.
    async fn rows_of(&self, keys: &[Key<'static>]) -> Result<Vec<Row<'static>>> {
        let view = &self.derived.view;
        let comparison = self.exposure.comparison(view);
        let names: Vec<&str> = key_names(view).collect();
        let narrowed = match self.exposure.relation(view) {
            Relation::Query { text, .. } => self.staging.narrowed(&text, &names, keys),
            Relation::Table(_) => None,
        };
        let Some(text) = narrowed else {
            return comparison.expected_of(keys).await;
        };
        let name = view.name.clone();
        let comparison = comparison.with_origin(self.staging, Relation::Query { name, text });
        let wanted: HashSet<&Key<'static>> = keys.iter().collect();
        let mut stream = comparison.expected_rows().await?;
        let mut rows = Vec::with_capacity(keys.len());
        loop {
            let some = comparison.next_expected(&mut stream).await?;
            if some.is_empty() {
                return Ok(rows);
            }
            let among = |row: &Row<'static>| wanted.contains(&key_of(row, comparison.key()));
            rows.extend(some.into_iter().filter(among));
        }
    }

    /// Looks at some keys that a written `touched_by` has left out: their rows must be what the query gives now.
    async fn untouched(&self, touched: &[Key<'static>], written: &[&str]) -> Result<()> {
        let (view, store) = (&self.derived.view, self.store);
        let shadow = store.shadow_table(&self.derived.shadow);
        let touched: HashSet<&Key<'static>> = touched.iter().collect();
        let keys = self.any_keys(&touched).await?;
        let comparison = self.exposure.comparison(view).with_actual(store, shadow);
        let expected = self.rows_of(&keys).await?;
        let actual = comparison.actual_of(&keys).await?;
        let wrong = comparison.differences(expected, actual)?;
        if wrong.is_empty() {
            return Ok(());
        }
        let shown: Vec<String> = wrong
            .iter()
            .take(limits::KEYS_SHOWN_MAX)
            .map(|d| d.key.to_string())
            .collect();
        Err(Refused::because(format!(
            "`touched_by` for {} leaves out keys whose rows have changed: {} of {} looked at, such as {}; \
             correct it in the playbook, or take it out; nothing was swapped",
            written.join(" and "),
            wrong.len(),
            keys.len(),
            shown.join("; ")
        ))
        .into())
    }

    /// Keys of the shadow that are none of these, in order.
    async fn any_keys(&self, but: &HashSet<&Key<'static>>) -> Result<Vec<Key<'static>>> {
        let view = &self.derived.view;
        let shadow = self.store.shadow_table(&self.derived.shadow);
        let names: Vec<&str> = key_names(view).collect();
        // Of those touched there are few, as a rule.
        let asked = limits::UNTOUCHED_KEYS
            + limits::UNTOUCHED_KEYS / 4
            + but.len().min(limits::UNTOUCHED_KEYS);
        let mut scan = keys_of(view, self.store.any_keys(&shadow, &names, asked));
        for output in &mut scan.outputs {
            // They are read from the view's own table.
            if let Some(kind) = output.cast.take() {
                output.column.kind = kind;
            }
        }
        let mut stream = self.store.rows(scan).await.context("keys of the shadow")?;
        let mut keys = Vec::with_capacity(asked);
        while let Some(rows) = stream.recv().await {
            keys.extend(rows?.into_iter().filter_map(as_key));
        }
        keys.retain(|key| !but.contains(key));
        // Every so manieth, so that those left are not the first ones in order.
        let step = keys.len().div_ceil(limits::UNTOUCHED_KEYS).max(1);
        Ok(keys.into_iter().step_by(step).collect())
    }
}
