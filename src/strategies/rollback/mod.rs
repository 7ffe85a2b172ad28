//! Rollback: a table that a swap put aside comes back to its place, by the same swap. First it catches up with what the log has
//! got since, so that the projector goes on where it is. `plan` only reads; `execute` writes.

mod execute;

use std::collections::BTreeMap;

use anyhow::Result;

use super::replay::projector::{self, Standing};
use super::replay::{Cutover, suits, unfinished};
use super::{Origin, Refused, Systems, View, blocking};
use crate::report::rollback::{Lacking, PlanReport, PlanTable};
use crate::store::{Acts, Catalog, NextOffset, OldTable, RunRecord};
use crate::stream::StreamError;

pub use execute::{Done, execute};

/// What is asked of a rollback.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bring the tables back as they are.
    pub stale: bool,
    /// How to cut over.
    pub cutover: Cutover,
}

/// One table that comes back.
#[derive(Clone, Debug)]
pub struct Table {
    /// The run that records its swap.
    pub run: String,
    /// The run that put it aside.
    pub of: String,
    /// Its view, over the live table.
    pub view: View,
    /// The table that comes back.
    pub old: OldTable,
    /// Its catalog.
    pub catalog: Catalog,
}

/// By topic and partition, an offset.
pub type Offsets = BTreeMap<(String, i32), i64>;

/// A plan, printed before anything is written.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The run's id.
    pub run: String,
    /// The run that is taken back.
    pub of: String,
    /// The playbook's name.
    pub playbook: String,
    /// The tables that come back together.
    pub tables: Vec<Table>,
    /// What their offsets are bound to.
    pub binding: Option<String>,
    /// How far the old tables hold the log.
    pub held: Offsets,
    /// How far the projector is, or the log where nothing says that.
    pub reached: Offsets,
    /// What the operator should know.
    pub notes: Vec<String>,
    /// Why it must not run; empty when it may.
    pub refusals: Vec<String>,
    /// What was asked.
    pub options: Options,
}

impl Plan {
    /// The topics that its tables are made of, each once.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        let sources = self.tables.iter().flat_map(|t| t.view.sources());
        let mut topics: Vec<String> = sources.map(|s| s.topic.clone()).collect();
        topics.sort();
        topics.dedup();
        topics
    }

    /// What is shown of it.
    #[must_use]
    pub fn report(&self) -> PlanReport {
        let table = |t: &Table| PlanTable {
            view: t.view.name.clone(),
            table: t.view.table.table.to_string(),
            run: t.run.clone(),
            of: t.of.clone(),
            old: t.old.old.to_string(),
            age: t.old.age,
        };
        let lacking = self.held.iter().map(|((topic, partition), from)| Lacking {
            topic: topic.clone(),
            partition: *partition,
            from: *from,
            to: self
                .reached
                .get(&(topic.clone(), *partition))
                .copied()
                .unwrap_or(*from)
                .max(*from),
        });
        PlanReport {
            run: self.run.clone(),
            of: self.of.clone(),
            tables: self.tables.iter().map(table).collect(),
            lacking: lacking.collect(),
            stale: self.options.stale,
            notes: self.notes.clone(),
            refusals: self.refusals.clone(),
        }
    }
}

/// Makes the plan: `of` is the id of the run that is taken back, or `latest`. What that run swapped together goes back together.
///
/// # Errors
/// When a system cannot be asked, or there is nothing to bring back. Reasons to refuse are part of the plan.
pub async fn plan(
    systems: &Systems,
    playbook: &str,
    views: &[View],
    run: String,
    of: &str,
    options: Options,
) -> Result<Plan> {
    let runs = systems.read_store.runs().await?;
    let kept = systems.read_store.old_tables().await?;
    let of = find(&runs, &kept, of)?;
    let mut plan = Plan {
        run,
        of: of.clone(),
        playbook: playbook.to_owned(),
        tables: Vec::new(),
        binding: None,
        held: Offsets::new(),
        reached: Offsets::new(),
        notes: Vec::new(),
        refusals: Vec::new(),
        options,
    };
    for old in kept.iter().filter(|old| is_of(&runs, &old.run, &of)) {
        plan.table(systems, views, old).await?;
        plan.later_swaps(&runs, old);
    }
    plan.offsets(systems).await?;
    plan.same_log(systems).await?;
    let (notes, refusals) = suits::can_rest(systems, &plan.topics(), &plan.options.cutover).await?;
    plan.notes.extend(notes);
    plan.refusals.extend(refusals);
    Ok(plan)
}

fn is_of(runs: &[RunRecord], run: &str, of: &str) -> bool {
    runs.iter().any(|r| r.id == run && r.is_of(of))
}

/// The run that is meant, and has an old table.
fn find(runs: &[RunRecord], kept: &[OldTable], of: &str) -> Result<String, Refused> {
    if of == "latest" {
        // Tables that were swapped together have one run, whose other records have its id and a number.
        let ended = |r: &&RunRecord| kept.iter().any(|old| old.run == r.id);
        let newest = runs
            .iter()
            .filter(ended)
            .max_by(|a, b| a.ended_at.cmp(&b.ended_at));
        let newest = newest.ok_or_else(|| {
            Refused::because(
                "no run keeps an old table: nothing was swapped here, `trueup runs gc` dropped what was, \
                 or the database exchanges contents in place and keeps none",
            )
        })?;
        let whole = runs
            .iter()
            .find(|r| newest.id != r.id && newest.is_of(&r.id));
        return Ok(whole.unwrap_or(newest).id.clone());
    }
    if kept.iter().any(|old| is_of(runs, &old.run, of)) {
        return Ok(of.to_owned());
    }
    let Some(record) = runs.iter().find(|r| r.id == of) else {
        let reason =
            format!("there is no run {of} in this read store; `trueup runs PLAYBOOK` lists them");
        return Err(Refused::because(reason));
    };
    let why = match (&record.old_dropped_at, record.state.as_str()) {
        (Some(at), _) => format!("its old table was dropped at {at} UTC by `trueup runs gc`"),
        (None, "swapped") => {
            "it keeps no old table: that is back in its place, or contents were exchanged"
                .to_owned()
        }
        (None, state) => format!("it swapped nothing ({} {state})", record.kind),
    };
    Err(Refused::because(format!(
        "run {of} cannot be taken back: {why}"
    )))
}

impl Plan {
    async fn table(&mut self, systems: &Systems, views: &[View], old: &OldTable) -> Result<()> {
        let Some(view) = views.iter().find(|v| v.table.table == old.live) else {
            self.refusals.push(format!(
                "run {} swapped {}, which is no view of this playbook",
                old.run, old.live
            ));
            return Ok(());
        };
        let catalog = systems.read_store.catalog(&old.old).await?;
        if catalog.columns != view.table.columns {
            self.refusals.push(format!(
                "{} has other columns than {}, which was altered since the swap: rebuild it with a replay",
                old.old, old.live
            ));
        }
        let of_what = match &view.origin {
            Origin::Copy { .. } => None,
            Origin::Query { .. } => Some("is a query"),
            Origin::Events { .. } => Some("is made of events"),
        };
        if let (Some(of_what), false) = (of_what, self.options.stale) {
            self.refusals.push(format!(
                "view {} {of_what}, and its old table cannot catch up: a stretch of the log does not say its rows; \
                 --stale brings it back as it was, and lacks what is listed",
                view.name
            ));
        }
        let held = systems.read_store.held(&old.run).await?;
        let topics: Vec<&str> = view.sources().iter().map(|s| s.topic.as_str()).collect();
        let next = held
            .next
            .into_iter()
            .filter(|n| topics.contains(&n.topic.as_str()));
        let next: Offsets = next.map(|n| ((n.topic, n.partition), n.offset)).collect();
        if next.is_empty() && !self.options.stale {
            self.refusals.push(format!(
                "run {} did not record how far {} holds the log: only --stale can bring it back",
                old.run, old.old
            ));
        }
        self.held.extend(next);
        self.binding = self.binding.take().or(held.binding);
        let run = match self.tables.len() {
            0 => self.run.clone(),
            nth => format!("{}_{}", self.run, nth + 1),
        };
        self.tables.push(Table {
            run,
            of: old.run.clone(),
            view: view.clone(),
            old: old.clone(),
            catalog,
        });
        Ok(())
    }

    /// Swaps of the same table after the one that is taken back: they go, too.
    fn later_swaps(&mut self, runs: &[RunRecord], old: &OldTable) {
        let at = runs.iter().position(|r| r.id == old.run);
        let later = runs.iter().skip(at.map_or(runs.len(), |at| at + 1));
        let later = later.filter(|r| r.table == old.live && r.state == "swapped");
        let later: Vec<&str> = later.map(|r| r.id.as_str()).collect();
        if !later.is_empty() {
            self.notes.push(format!(
                "{} was swapped again after run {}, by {}: what they built goes as well",
                old.live,
                old.run,
                later.join(", ")
            ));
        }
    }

    /// Every partition of every topic: one that came after the swap begins at its beginning.
    async fn offsets(&mut self, systems: &Systems) -> Result<()> {
        let topics = self.topics();
        let ends = ends(systems, &topics).await?;
        let standing = projector::standing(systems, &topics).await?;
        if !self.held.is_empty() {
            for (at, (start, _)) in &ends {
                self.held.entry(at.clone()).or_insert(*start);
            }
        }
        self.reached = reached(&ends, &standing);
        for ((topic, partition), held) in &self.held {
            let at = (topic.clone(), *partition);
            if let Some(reached) = self.reached.get(&at).filter(|reached| *reached < held) {
                self.refusals.push(format!(
                    "the old tables hold {topic}:{partition} up to offset {held}, and the projector is only at {reached}: it would \
                     apply older records on top of newer ones; let it get there first"
                ));
            }
            match ends.get(&at) {
                Some((start, _)) if start > held && !self.options.stale => self.refusals.push(format!(
                    "{topic}:{partition} starts at offset {start} now, and the old tables hold it up to {held}: what was between \
                     them has left the log, so that they cannot catch up; --stale brings them back without it"
                )),
                _ => {}
            }
        }
        Ok(())
    }

    /// Offsets mean nothing in a topic that was made anew.
    async fn same_log(&mut self, systems: &Systems) -> Result<()> {
        let Some(binding) = &self.binding else {
            return Ok(());
        };
        let replaced = unfinished::replaced(systems, binding, &self.topics()).await?;
        if self.options.stale {
            self.notes.extend(replaced);
        } else {
            self.refusals.extend(replaced);
        }
        Ok(())
    }
}

/// First offset and end of every partition.
async fn ends(systems: &Systems, topics: &[String]) -> Result<BTreeMap<(String, i32), (i64, i64)>> {
    let (log, topics) = (systems.log().await?, topics.to_vec());
    blocking(move || {
        let mut ends = BTreeMap::new();
        for name in topics {
            for e in log.topic(&name)?.extents {
                ends.insert((name.clone(), e.partition), (e.start, e.end));
            }
        }
        Ok::<_, StreamError>(ends)
    })
    .await
}

/// How far the projector is, or the log where nothing says that.
fn reached(ends: &BTreeMap<(String, i32), (i64, i64)>, standing: &Standing) -> Offsets {
    let place = |(at, (_, end)): (&(String, i32), &(i64, i64))| {
        let places = standing.get(&at.0);
        let place = places.and_then(|p| p.get(&at.1)).copied().flatten();
        (at.clone(), place.unwrap_or(*end))
    };
    ends.iter().map(place).collect()
}

/// As a store records them.
fn next_offsets(offsets: &Offsets) -> Vec<NextOffset> {
    let next = |((topic, partition), offset): (&(String, i32), &i64)| NextOffset {
        topic: topic.clone(),
        partition: *partition,
        offset: *offset,
    };
    offsets.iter().map(next).collect()
}
