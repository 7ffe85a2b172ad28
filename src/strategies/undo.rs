//! Undo: the repairs of a run taken back, each only while its row is exactly as the repair left it. It is a run of its own,
//! journalled like any other, so that an undo can be undone.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;

use super::tally::Tally;
use super::{Interrupted, Refused};
use crate::limits;
use crate::projection::cell::Cell;
use crate::projection::change::Key;
use crate::projection::text;
use crate::projection::types::Column;
use crate::report::progress::Progress;
use crate::report::reconcile::UndoReport;
use crate::store::repair::{Image, Side, WriteKind};
use crate::store::{
    Acts, Catalog, Entry, Outcome, RunKind, RunRecord, RunState, Start, Store, Target, Write,
    WritePermit,
};

/// What an undo would do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The run that does it.
    pub run: String,
    /// The run that is taken back.
    pub of: RunRecord,
    /// Its table as it is now.
    pub table: Catalog,
    /// The key's columns.
    pub key: Vec<Column>,
    /// The writes, newest repair first.
    pub writes: Vec<Write>,
    /// Repairs of the run that were taken back before.
    pub undone: u64,
}

/// The key of a journal entry as cells; `None` when the columns are not those of the journal, or hold other types.
#[must_use]
pub fn key(written: &Image, columns: &[Column]) -> Option<Key<'static>> {
    if written.0.len() != columns.len() {
        return None;
    }
    let cell = |column: &Column| match written.get(&column.name)? {
        None => Some(Cell::Null),
        Some(t) => text::read(&column.kind, t).map(Cell::into_owned),
    };
    columns.iter().map(cell).collect::<Option<_>>().map(Key)
}

/// Which run is meant: its id, or `latest` for the newest that repaired rows.
///
/// # Errors
/// When there is no such run, or it repaired no rows in place.
fn find(runs: Vec<RunRecord>, id: &str) -> Result<RunRecord, Refused> {
    let of_rows = [RunKind::Reconcile, RunKind::Undo].map(RunKind::word);
    let repairs = |r: &RunRecord| of_rows.contains(&r.kind.as_str());
    let found = match id {
        "latest" => runs.into_iter().rev().find(repairs),
        id => runs.into_iter().find(|r| r.id == id),
    };
    let Some(run) = found else {
        let reason =
            format!("there is no run {id} in this read store; `trueup runs PLAYBOOK` lists them");
        return Err(Refused::because(reason));
    };
    if repairs(&run) {
        return Ok(run);
    }
    Err(Refused::because(format!(
        "run {} was a {}, which puts a whole table in another's place: there is no repair of a row to take back; `trueup rollback` \
         brings the old table back",
        run.id, run.kind
    )))
}

/// Plans to take a run back, in whole or for some keys: those whose text, part by part, is one of `keys`.
///
/// # Errors
/// When the read store cannot be read, or there is nothing of that name.
pub async fn plan(store: &Store, run: String, id: &str, keys: &[Vec<String>]) -> Result<Plan> {
    let of = find(store.runs().await?, id)?;
    let table = store.catalog(&of.table).await?;
    let entries = store.journal(&of.id).await?;
    let columns = key_columns(&entries, &table)?;
    let written = |e: &Entry| -> Vec<String> {
        let parts = e.key.0.iter();
        parts.map(|(_, t)| t.clone().unwrap_or_default()).collect()
    };
    let repaired: BTreeSet<Vec<String>> = entries.iter().map(written).collect();
    if let Some(key) = keys.iter().find(|k| !repaired.contains(*k)) {
        let reason = format!("run {} repaired no key {}", of.id, key.join(", "));
        return Err(Refused::because(reason).into());
    }
    let wanted = |e: &&Entry| keys.is_empty() || keys.contains(&written(e));
    let mut undone = 0;
    let mut writes = Vec::with_capacity(entries.len());
    for entry in entries.iter().rev().filter(wanted) {
        if entry.undone_by.is_some() {
            undone += 1;
            continue;
        }
        let unreadable = || {
            Refused::because(format!(
                "run {}, repair {}: its key is none of {} any more",
                of.id, entry.number, table.table
            ))
        };
        writes.push(Write {
            key: key(&entry.key, &columns).ok_or_else(unreadable)?,
            before: entry.after.clone().map(Side::Image),
            after: entry.before.clone().map(Side::Image),
            reverts: Some(entry.number),
        });
    }
    Ok(Plan {
        run,
        of,
        table,
        key: columns,
        writes,
        undone,
    })
}

/// The key's columns as the journal names them, with the types that the table has now.
fn key_columns(entries: &[Entry], table: &Catalog) -> Result<Vec<Column>, Refused> {
    let Some(entry) = entries.first() else {
        return Ok(Vec::new());
    };
    let column = |(name, _): &(String, Option<String>)| {
        table.column(name).map(|c| c.column.clone()).ok_or_else(|| {
            Refused::because(format!(
                "{} has no column {name} any more, which was its key",
                table.table
            ))
        })
    };
    entry.key.0.iter().map(column).collect()
}

impl Plan {
    fn target(&self) -> Target {
        Target {
            run: self.run.clone(),
            table: self.table.clone(),
            columns: self.key.clone(),
            key: (0..self.key.len()).collect(),
            fill: Vec::new(),
            scope: None,
            reverts: Some(self.of.id.clone()),
        }
    }

    /// What is shown of it.
    #[must_use]
    pub fn report(&self) -> UndoReport {
        let count = |kind| self.writes.iter().filter(|w| w.kind() == kind).count() as u64;
        UndoReport {
            run: self.run.clone(),
            of: self.of.id.clone(),
            kind: self.of.kind.clone(),
            started_at: self.of.started_at.clone(),
            table: self.table.table.to_string(),
            inserts: count(WriteKind::Insert),
            updates: count(WriteKind::Update),
            deletes: count(WriteKind::Delete),
            undone: self.undone,
        }
    }
}

/// Takes the run back.
///
/// # Errors
/// Whatever goes wrong; what was taken back until then is journalled, and the same command goes on.
pub async fn execute(
    store: &Store,
    plan: &Plan,
    permit: &WritePermit,
    progress: &Progress,
    stop: &AtomicBool,
) -> Result<Tally> {
    let start = Start {
        run: plan.run.clone(),
        kind: RunKind::Undo,
        table: plan.table.table.clone(),
        table_id: plan.table.id,
        reverts: Some(plan.of.id.clone()),
    };
    store.start(permit, &start).await?;
    let mut done = Tally::default();
    let outcome = all(store, plan, permit, progress, stop, &mut done).await;
    done.moved_on.sort();
    let complete = outcome.is_ok() && done.is_complete();
    let state = if complete {
        RunState::Done
    } else {
        RunState::Incomplete
    };
    let finished = store.finish(permit, &plan.run, state).await;
    outcome?;
    finished?;
    Ok(done)
}

async fn all(
    store: &Store,
    plan: &Plan,
    permit: &WritePermit,
    progress: &Progress,
    stop: &AtomicBool,
    done: &mut Tally,
) -> Result<()> {
    let target = plan.target();
    let total = plan.writes.len() as u64;
    progress.stage(&format!("undoing {}", plan.of.id), "rows", Some(total));
    let mut rest = &plan.writes[..];
    while !rest.is_empty() {
        if stop.load(Ordering::Relaxed) {
            let written = done.written();
            let state =
                format!("interrupted after {written} of {total} rows; the same command goes on");
            return Err(Interrupted { state }.into());
        }
        let (some, left) = rest.split_at(distinct(rest));
        rest = left;
        let outcomes = store.repair(permit, &target, some).await?;
        for (write, outcome) in some.iter().zip(outcomes) {
            match outcome {
                Outcome::Written(_) => done.wrote(write.kind()),
                Outcome::MovedOn => done.moved_on.push(write.key.clone()),
                Outcome::Blocked(why) => done.blocked.push((write.key.clone(), why)),
            }
        }
        progress.counter().add(some.len() as u64);
    }
    Ok(())
}

/// How many of these can go together: a key that was repaired twice is taken back in two steps.
fn distinct(writes: &[Write]) -> usize {
    let mut seen = BTreeSet::new();
    let most = writes.iter().take(limits::REPAIR_ROWS);
    most.take_while(|w| seen.insert(&w.key)).count()
}
