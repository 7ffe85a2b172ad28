//! Direct reconciliation: the differences between primary and read store, and the writes that remove them. `plan` only
//! reads; `apply` writes; `saved` keeps a plan in a file.

pub mod apply;
pub mod by_cause;
pub mod saved;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Result;

use self::by_cause::ByCause;
use super::bounds::Bound;
use super::compare::{Comparison, Found};
use super::{Refused, Systems, View, lag, pace, verify};
use crate::limits;
use crate::projection::cast;
use crate::projection::cause::Cause;
use crate::projection::cell::Cell;
use crate::projection::change::Key;
use crate::projection::diff::{Difference, Kind, Repair};
use crate::projection::mapping::{From, Mapping, Test};
use crate::report::explained::Explained;
use crate::report::progress::Progress;
use crate::report::reconcile::PlanReport;
use crate::report::table::grouped;
use crate::report::verdict::Sample;
use crate::store::repair::WriteKind;
use crate::store::{Acts, Effect, Target};

/// Which of the differences are to be repaired; empty parts select everything.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Kinds of difference.
    pub kinds: Vec<Kind>,
    /// Keys; only these are looked at.
    pub keys: Vec<Key<'static>>,
    /// Compared column and test: a key is in if its expected or its actual row passes all.
    pub filter: Vec<(usize, Test)>,
    /// Compared columns: of changed rows, only these are repaired.
    pub columns: Vec<usize>,
}

impl Selection {
    /// The repair of a difference; `None` when it is not selected.
    #[must_use]
    pub fn repair(&self, difference: Difference) -> Option<Repair> {
        let kind = difference.kind();
        let passes = |row: &Vec<Cell<'static>>| {
            let holds = |(at, test): &(usize, Test)| test.holds(&row[*at]) == Some(true);
            self.filter.iter().all(holds)
        };
        let sides = [&difference.expected, &difference.actual];
        let in_filter = sides.into_iter().flatten().any(passes);
        if !(self.kinds.is_empty() || self.kinds.contains(&kind)) || !in_filter {
            return None;
        }
        if self.columns.is_empty() {
            return Some(difference.into());
        }
        let (Some(expected), Some(actual)) = (&difference.expected, &difference.actual) else {
            return None;
        };
        let mut after = actual.clone();
        for at in &self.columns {
            after[*at] = expected[*at].clone();
        }
        (after != *actual).then(|| Repair {
            key: difference.key.clone(),
            before: difference.actual.clone(),
            after: Some(after),
        })
    }
}

/// What is asked of a reconciliation.
#[derive(Clone, Debug)]
pub struct Options {
    /// What to repair.
    pub selection: Selection,
    /// Repairs at most.
    pub repairs_max: Bound,
    /// Deletes among them at most.
    pub deletes_max: Bound,
    /// Whether the primary may have less than half of the read table's rows.
    pub allow_shrink: bool,
    /// How long to wait for lag to pass.
    pub lag_wait: Duration,
    /// Whether a hash may prove ranges equal.
    pub hash: bool,
    /// Which causes are repaired, where the log is asked for them.
    pub by_cause: Option<ByCause>,
    /// Which part of the rows that agree the log is asked for too.
    pub sample: f64,
}

/// How long the parts of a plan took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// The comparison.
    pub compare: Duration,
    /// Of that, the hashes; zero where nothing was hashed.
    pub hash: Duration,
    /// Telling lag from drift.
    pub decide: Duration,
    /// Asking the log why rows differ.
    pub explain: Duration,
}

/// What the repairs come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// The primary, which may move while they are written.
    Primary,
    /// A stretch of the log, folded: it stays as it is, and the projector is at rest.
    Log,
}

/// A plan, printed before anything is written.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The run's id.
    pub run: String,
    /// The view.
    pub view: View,
    /// What its repairs come from.
    pub against: Against,
    /// Which differences it repairs.
    pub selection: Selection,
    /// The repairs: deletes, then updates, then inserts, each by key.
    pub repairs: Vec<Repair>,
    /// Keys looked at.
    pub rows: u64,
    /// Keys that differ beyond those that could be looked at again.
    pub beyond: u64,
    /// Keys that differed at first and agreed later.
    pub lagging: u64,
    /// Keys of which nothing can be said.
    pub undecided: u64,
    /// Keys to be repaired by cause, where the log was asked.
    pub causes: BTreeMap<Cause, u64>,
    /// Why the rows differ, where the log was asked; also those that are not repaired.
    pub explained: Option<Explained>,
    /// Why, in words.
    pub reasons: Vec<String>,
    /// What the operator should know.
    pub notes: Vec<String>,
    /// Why it must not be applied.
    pub refusals: Vec<String>,
    /// How long to wait for lag to pass.
    pub lag_wait: Duration,
    /// Whether it was made earlier and read from a file: then what has changed since is left alone.
    pub saved: bool,
    /// How long it took to make.
    pub took: Took,
}

/// What a repair writes.
#[must_use]
pub fn write_kind(repair: &Repair) -> WriteKind {
    WriteKind::of(&repair.before, &repair.after)
}

impl Plan {
    /// How many repairs are of this kind.
    #[must_use]
    pub fn count(&self, kind: WriteKind) -> u64 {
        let of_kind = |r: &&Repair| write_kind(r) == kind;
        self.repairs.iter().filter(of_kind).count() as u64
    }

    fn by_key(&self) -> Vec<&Repair> {
        let mut repairs: Vec<&Repair> = self.repairs.iter().collect();
        repairs.sort_by(|a, b| a.key.cmp(&b.key));
        repairs
    }

    /// What is shown of it; `shown` is the number of differences at most.
    #[must_use]
    pub fn report(&self, shown: usize) -> PlanReport {
        let mapping = self.mapping();
        let columns: Vec<String> = mapping
            .columns
            .iter()
            .map(|t| t.column.name.clone())
            .collect();
        let sample = |r: &Repair| {
            let difference = Difference {
                key: r.key.clone(),
                expected: r.after.clone(),
                actual: r.before.clone(),
            };
            Sample::whole(&difference, &columns, &mapping.key)
        };
        let mut by_column = BTreeMap::new();
        for repair in &self.repairs {
            if let (Some(before), Some(after)) = (&repair.before, &repair.after) {
                for (name, _) in columns
                    .iter()
                    .zip(before.iter().zip(after))
                    .filter(|(_, (b, a))| b != a)
                {
                    *by_column.entry(name.clone()).or_default() += 1;
                }
            }
        }
        PlanReport {
            run: self.run.clone(),
            view: self.view.name.clone(),
            table: self.view.table.table.to_string(),
            rows: self.rows,
            inserts: self.count(WriteKind::Insert),
            updates: self.count(WriteKind::Update),
            deletes: self.count(WriteKind::Delete),
            lagging: self.lagging,
            unknown: self.undecided,
            causes: self.causes.clone(),
            by_column,
            samples: self.by_key().into_iter().take(shown).map(sample).collect(),
            reasons: self.reasons.clone(),
            notes: self.notes.clone(),
            refusals: self.refusals.clone(),
        }
    }

    /// How its rows are made: from the log, with the projector's bookkeeping, of which the primary knows nothing.
    #[must_use]
    pub fn mapping(&self) -> Mapping {
        match self.against {
            Against::Primary => self.view.mapping.compared(),
            Against::Log => self.view.mapping.clone(),
        }
    }

    /// Where its repairs go.
    #[must_use]
    pub fn target(&self) -> Target {
        let mapping = self.mapping();
        Target {
            run: self.run.clone(),
            table: self.view.table.clone(),
            columns: mapping.columns.iter().map(|t| t.column.clone()).collect(),
            key: mapping.key,
            fill: match self.against {
                Against::Primary => fill(&self.view),
                Against::Log => Vec::new(),
            },
            scope: self.view.scope.clone(),
            reverts: None,
        }
    }
}

/// Bookkeeping columns of an inserted row: no record brought it, so they are left to the database; one that must have a
/// value gets 0, older than every record.
fn fill(view: &View) -> Vec<(String, Cell<'static>)> {
    let bookkeeping = view
        .mapping
        .columns
        .iter()
        .filter(|t| !matches!(t.from, From::Source(_)));
    let needed = bookkeeping.filter(|t| {
        let has_default = view
            .table
            .column(&t.column.name)
            .is_some_and(|c| c.has_default);
        !t.column.nullable && !has_default
    });
    needed
        .filter_map(|t| {
            let zero = cast::coerce(Cell::Int(0), &t.column).ok()?;
            Some((t.column.name.clone(), zero.into_owned()))
        })
        .collect()
}

/// Makes the plan of one view.
///
/// # Errors
/// When a side cannot be read. Reasons to refuse are part of the plan.
pub async fn plan(
    systems: &Systems,
    view: &View,
    run: String,
    options: &Options,
    progress: &Progress,
) -> Result<Plan> {
    if let Some(reason) = view.incomparable() {
        return Err(Refused::because(reason).into());
    }
    verify::refuse_same_table(systems, view).await?;
    let comparison = Comparison::new(systems, view);
    progress.stage(
        &format!("comparing {}", view.name),
        "rows",
        comparison.rows_estimate,
    );
    let selection = &options.selection;
    let mut clock = Instant::now();
    let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed();
    let found = if selection.keys.is_empty() {
        comparison.run(options.hash, &progress.counter()).await?
    } else {
        let keys: BTreeSet<Key<'static>> = selection.keys.iter().cloned().collect();
        let keys: Vec<Key<'static>> = keys.into_iter().collect();
        Found {
            rows: keys.len() as u64,
            differences: comparison.again(&keys).await?,
            ..Found::default()
        }
    };
    let mut took = Took {
        compare: lap(),
        hash: found.hashing,
        ..Took::default()
    };
    let (rows, beyond) = (found.rows, found.beyond);
    let mut refusals = whole(selection, &found, view, options);
    let wait = options.lag_wait;
    let decided = lag::decide(
        systems,
        view,
        &comparison,
        wait,
        found.differences,
        progress,
    )
    .await?;
    took.decide = lap();
    let kept = by_cause::keep(
        (systems, view),
        &comparison,
        (rows, decided.drift),
        options,
        progress,
    );
    let kept = kept.await?;
    took.explain = lap();
    let mut repairs: Vec<Repair> = kept
        .differences
        .into_iter()
        .filter_map(|d| selection.repair(d))
        .collect();
    // What goes makes room, also for unique values, before anything comes.
    repairs.sort_by_key(|r| std::cmp::Reverse(write_kind(r)));
    if beyond > 0 {
        refusals.push(format!(
            "more than {} keys differ: rebuild the table with a replay, or narrow the plan with --keys",
            grouped(limits::RECHECK_KEYS_MAX as u64)
        ));
    }
    let mut plan = Plan {
        run,
        view: view.clone(),
        against: Against::Primary,
        selection: selection.clone(),
        repairs,
        rows,
        beyond,
        lagging: decided.lagging,
        undecided: decided.undecided.len() as u64,
        causes: kept.causes,
        explained: kept.explained,
        reasons: decided.reasons,
        notes: kept.notes,
        refusals,
        lag_wait: options.lag_wait,
        saved: false,
        took,
    };
    plan.notes.extend(pace::blind(systems).await?);
    check(systems, &mut plan, options).await?;
    Ok(plan)
}

/// A primary that lost its rows, or is not the primary, would empty the read table.
fn whole(selection: &Selection, found: &Found, view: &View, options: &Options) -> Vec<String> {
    if !selection.keys.is_empty() || options.allow_shrink {
        return Vec::new();
    }
    let count = |kind| {
        found
            .differences
            .iter()
            .filter(|d| d.kind() == kind)
            .count() as u64
    };
    let expected = found.rows - count(Kind::Extra);
    let actual = found.rows - count(Kind::Missing);
    if expected * 2 >= actual {
        return Vec::new();
    }
    vec![format!(
        "the primary has {} of the rows of {}, which has {}: is `primary.url` right, and its table whole? --allow-shrink says that it is",
        grouped(expected),
        view.table.table,
        grouped(actual)
    )]
}

/// What speaks against applying these repairs, and what they would set off, noted in the plan.
///
/// # Errors
/// When the read store cannot be asked.
pub async fn check(systems: &Systems, plan: &mut Plan, options: &Options) -> Result<()> {
    let view = &plan.view;
    let table = &view.table.table;
    let mut refusals = Vec::new();
    let size = if options.selection.keys.is_empty() {
        plan.rows
    } else {
        view.table.rows_estimate.unwrap_or(0).max(plan.rows)
    };
    let deletes = plan.count(WriteKind::Delete);
    for (what, flag, count, bound) in [
        (
            "repairs",
            "repairs_max",
            plan.repairs.len() as u64,
            options.repairs_max,
        ),
        ("deletes", "deletes_max", deletes, options.deletes_max),
    ] {
        let most = bound.rows(size);
        if count > most {
            refusals.push(format!(
                "{} {what} in {table} are more than {} ({flag}: {bound}); look at a few first, then raise {flag} in the playbook or with --{}",
                grouped(count),
                grouped(most),
                flag.replace('_', "-")
            ));
        }
    }
    refusals.extend(unique_key(view));
    if plan.count(WriteKind::Insert) > 0 {
        refusals.extend(insertable(view));
    }
    let effects = systems.read_store.effects(&view.table).await?;
    let happens = |e: &&Effect| e.on.iter().any(|kind| plan.count(*kind) > 0);
    let notes = effects.iter().filter(happens);
    let set_off = notes.map(|e| format!("writing sets off: {}", e.what));
    let set_off: Vec<String> = set_off.collect();
    plan.notes.extend(set_off);
    plan.refusals.extend(refusals);
    Ok(())
}

/// Without a unique key two rows could come to have one key.
fn unique_key(view: &View) -> Option<String> {
    let key: Vec<&String> = view
        .mapping
        .key
        .iter()
        .map(|at| &view.mapping.columns[*at].column.name)
        .collect();
    let covered = |unique: &Vec<String>| unique.iter().all(|column| key.contains(&column));
    if view.table.unique_keys.iter().any(covered) {
        return None;
    }
    let names: Vec<&str> = key.iter().map(|k| k.as_str()).collect();
    Some(format!(
        "{} has no unique key over {}, so a repair cannot be sure to touch one row only; add one",
        view.table.table,
        names.join(", ")
    ))
}

/// Columns that an inserted row must have and nobody has a value for.
fn insertable(view: &View) -> Option<String> {
    let filled = fill(view);
    let known = |name: &str| {
        let mapped = view
            .mapping
            .columns
            .iter()
            .any(|t| t.column.name == name && matches!(t.from, From::Source(_)));
        mapped || filled.iter().any(|(column, _)| column == name)
    };
    let missing: Vec<&str> = view
        .table
        .columns
        .iter()
        .filter(|c| !c.generated && !c.has_default && !c.column.nullable)
        .map(|c| c.column.name.as_str())
        .filter(|name| !known(name))
        .collect();
    (!missing.is_empty()).then(|| {
        format!(
            "missing rows cannot be inserted into {}: {} must have a value, and the primary has none for it; leave them out with --kind changed --kind extra",
            view.table.table,
            missing.join(", ")
        )
    })
}
