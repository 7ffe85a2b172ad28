//! What each strategy would take, read, write, fix and break, from its plan and what was measured.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::measure::{self, Log, Rows};
use super::predict::{self, Factors, count};
use super::{Options, effect, rate};
use crate::limits;
use crate::projection::cause::Cause;
use crate::report::table::grouped;
use crate::report::weighed::{Cost, Outlook, Rate, Strategy, Wrong};
use crate::store::Store;
use crate::strategies::compare::Comparison;
use crate::strategies::replay::plan::Load;
use crate::strategies::replay::touched::Ways;
use crate::strategies::replay::{Pausing, Plan};
use crate::strategies::{Applied, Captured, Origin, Systems, View, reconcile};

/// A replay's own plan, or why there is none.
pub(super) struct Planned {
    /// The plan.
    pub(super) plan: Option<Plan>,
    /// Why it must not run.
    pub(super) blockers: Vec<String>,
    /// What the operator should know.
    pub(super) notes: Vec<String>,
    /// How long it took to make.
    pub(super) took: Duration,
}

impl Planned {
    /// None, for this reason.
    pub(super) fn blocked(why: String) -> Planned {
        Planned {
            plan: None,
            blockers: vec![why],
            notes: Vec::new(),
            took: Duration::ZERO,
        }
    }
}

/// What is known before anything is measured.
pub(super) struct Known<'a> {
    pub(super) systems: &'a Systems,
    pub(super) view: &'a View,
    pub(super) options: &'a Options,
    /// What is wrong, where that was looked for.
    pub(super) wrong: Option<Wrong>,
    /// The repairs of it.
    pub(super) repairs: Option<reconcile::Plan>,
    pub(super) primary_down: bool,
    /// When the plans were made.
    pub(super) asked: Instant,
}

/// What was measured.
#[derive(Default)]
pub(super) struct Figures {
    /// By what is loaded.
    logs: BTreeMap<String, Log>,
    read_store: Option<Rows>,
    primary: Option<Rows>,
    /// Seconds a row of the snapshot, by what is loaded.
    restores: BTreeMap<String, f64>,
    /// Whether hashes may prove ranges equal.
    hashed: bool,
    /// Records that the log gets a second.
    arriving: f64,
    /// What would stop any load.
    problems: Vec<String>,
    /// What could not be measured.
    pub(super) notes: Vec<String>,
}

impl Figures {
    /// How long one row takes to be streamed, in seconds.
    fn row(&self) -> f64 {
        let enough = |rows: &&Rows| rows.count >= 1_000;
        let measured = self.read_store.as_ref().filter(enough);
        let measured = measured.or(self.primary.as_ref().filter(enough));
        measured.map_or(1.0 / limits::ROWS_PER_SECOND, |rows| rows.each)
    }

    /// For the report.
    pub(super) fn rates(&self) -> Vec<Rate> {
        let log = |(of, log): (&String, &Log)| {
            rate(&format!("log of {of}"), "records", log.count, log.took)
        };
        let rows = [("read store", self.read_store), ("primary", self.primary)];
        let rows = rows
            .into_iter()
            .filter_map(|(of, rows)| rows.map(|r| rate(of, "rows", r.count, r.took)));
        self.logs.iter().map(log).chain(rows).collect()
    }
}

impl Known<'_> {
    /// About how many rows the view has.
    pub(super) fn rows(&self) -> Option<u64> {
        let compared = self.wrong.as_ref().map(|w| w.rows);
        compared.or_else(|| measure::rows_of(self.view))
    }

    fn is_query(&self) -> bool {
        matches!(self.view.origin, Origin::Query { .. })
    }

    fn factors(&self) -> &'static Factors {
        match self.systems.read_store {
            Store::Sqlite(_) => &Factors::SQLITE,
            Store::Postgres(_) | Store::Down(_) => &Factors::POSTGRES,
        }
    }

    /// Reads each of the systems for a moment.
    pub(super) async fn measure(
        &self,
        comparison: &Comparison<'_>,
        big_bang: &super::Planned,
        partial: &super::Planned,
    ) -> Result<Figures> {
        let mut figures = Figures {
            read_store: measure::read_store(comparison).await?,
            ..Figures::default()
        };
        // Where it was compared, that is measured already.
        let comparable = self.view.incomparable().is_none() && !self.primary_down;
        if comparable && self.repairs.is_none() {
            figures.hashed = comparison.can_hash().await?;
            figures.primary = measure::primary(comparison).await?;
            if figures.primary.is_none() && self.is_query() {
                figures.notes.push(format!(
                    "the query gave no row within {} s: how long it takes is not known",
                    limits::MEASURE_QUERY.as_secs()
                ));
            }
        }
        if let Some(plan) = &big_bang.plan {
            let budget = limits::MEASURE / u32::try_from(plan.loads.len().max(1)).unwrap_or(1);
            for load in &plan.loads {
                let (log, problem) = measure::log(self.systems, plan, load, budget).await?;
                figures
                    .logs
                    .extend(log.map(|log| (load.view.name.clone(), log)));
                figures.problems.extend(problem);
            }
            let arrived = measure::arrived(self.systems, plan).await?;
            figures.arriving = count(arrived) / self.asked.elapsed().as_secs_f64().max(0.1);
        }
        if let Some((plan, base)) = partial
            .plan
            .as_ref()
            .and_then(|p| Some((p, measure::base_of(p)?)))
        {
            let budget = limits::MEASURE / u32::try_from(plan.loads.len().max(1)).unwrap_or(1);
            let fits = |l: &&Load| base.snapshot().manifest().table(&l.kept_as).is_some();
            for load in plan.loads.iter().filter(fits) {
                let row = measure::snapshot(self.systems, plan, load, base, budget).await?;
                figures.restores.insert(load.view.name.clone(), row);
            }
        }
        Ok(figures)
    }

    /// How long a comparison takes that finds nothing, in seconds; `None` where nothing can be compared.
    fn check(&self, figures: &Figures, leaves_some: bool) -> Option<f64> {
        if self.view.incomparable().is_some() || self.primary_down {
            return None;
        }
        let Some(repairs) = &self.repairs else {
            return self.compare(figures);
        };
        let took = repairs.took;
        let equal = if took.hash.is_zero() || leaves_some {
            took.compare
        } else {
            took.hash
        };
        // What differs without anything telling whether it is on its way is given time to agree.
        let waits = leaves_some && self.systems.captured == Captured::Unknown;
        let wait = if waits {
            limits::HEAL_WAIT
        } else {
            Duration::ZERO
        };
        Some((equal + wait).as_secs_f64())
    }

    /// How long a comparison would take that was not made, in seconds.
    fn compare(&self, figures: &Figures) -> Option<f64> {
        let rows = self.rows().unwrap_or(0);
        let (primary, read_store) = (figures.primary?, figures.read_store.unwrap_or_default());
        let sides = (&primary, &read_store);
        Some(predict::comparison(
            rows,
            sides,
            figures.hashed,
            self.factors(),
        ))
    }

    /// A load, as far as its time goes.
    fn load(&self, plan: &Plan, of: &Load, figures: &Figures) -> predict::Load {
        let log = figures.logs.get(&of.view.name).copied();
        let base = measure::base_of(plan);
        let kept = base.and_then(|b| b.snapshot().manifest().table(&of.kept_as));
        let restored = kept.map_or(0, |t| t.rows.count);
        let records = of.records();
        let estimate = if of.is_source() {
            of.source().table.rows_estimate
        } else {
            self.rows()
        };
        let table = &of.view.table;
        let indexes = table.unique_keys.len() + table.indexes.len();
        predict::Load {
            records,
            restored,
            rows: estimate
                .unwrap_or(restored + records)
                .min(restored + records),
            indexes: indexes.max(1) as u64,
            log: match base {
                Some(_) => log.map(Log::tail),
                None => log,
            },
            restore: figures.restores.get(&of.view.name).copied().unwrap_or(0.0),
        }
    }

    /// How a replay would go.
    pub(super) fn replay(
        &self,
        (strategy, planned): (Strategy, Planned),
        figures: &Figures,
    ) -> Outlook {
        let wrong = self.wrong.clone().unwrap_or_default();
        let mut blockers = planned.blockers;
        let mut outlook = Outlook {
            strategy,
            stages: Vec::new(),
            availability: String::new(),
            cost: Cost::default(),
            effect: effect::of(strategy, &wrong, false),
            blockers: Vec::new(),
            notes: planned.notes,
        };
        let Some(plan) = planned.plan else {
            outlook.blockers = blockers;
            outlook.availability = "cannot be planned as things are".to_owned();
            return outlook;
        };
        // A snapshot may be behind what would stop a load from the beginning.
        if strategy == Strategy::BigBang {
            blockers.extend(figures.problems.iter().cloned());
        }
        outlook.blockers = blockers;
        let known_good = measure::base_of(&plan).is_some_and(|b| b.snapshot().verified().is_some());
        let is_cut = |l: &Load| l.topic.extents.iter().any(|e| e.start > 0);
        let since_good = known_good && plan.loads.iter().any(is_cut);
        outlook.effect = effect::of(strategy, &wrong, since_good);
        let loads: Vec<predict::Load> = plan
            .loads
            .iter()
            .map(|l| self.load(&plan, l, figures))
            .collect();
        outlook.cost = self.cost(&plan, &loads, figures);
        let left = |cause: &&(&str, u64)| cause.0 != Cause::Lagging.word();
        let leaves_some =
            outlook.effect.leaves.iter().any(|l| left(&l)) || outlook.effect.breaks > 0;
        let rows = self.rows().unwrap_or(0);
        let query = match (&self.repairs, &figures.primary) {
            (Some(repairs), _) => Some(repairs.took.compare.as_secs_f64()),
            (None, Some(primary)) => Some(primary.first),
            (None, None) => None,
        };
        let derived: Vec<(u64, f64)> = plan
            .derived
            .iter()
            .map(|_| (rows, query.unwrap_or(0.0)))
            .collect();
        // Without the time of its query, that of a derived view is not known.
        if !derived.is_empty() && query.is_none() {
            outlook.availability = availability(self.systems, &plan, &wrong);
            return outlook;
        }
        let table = &self.view.table;
        let of_indexes = (table.unique_keys.len() + table.indexes.len()) as u64;
        let whole = |d: &crate::strategies::replay::plan::Derived| !Ways::of(&d.view).any();
        let replay = predict::Replay {
            open: (self.options.opened + planned.took).as_secs_f64(),
            derived_indexes: if derived.is_empty() {
                0
            } else {
                rows * of_indexes
            },
            derives_again: plan.derived.iter().any(whole),
            loads,
            derived,
            rows,
            row: figures.row(),
            check: plan
                .checks()
                .then(|| self.check(figures, leaves_some))
                .flatten(),
            arriving: figures.arriving,
        };
        outlook.stages = predict::replay(&replay, self.factors());
        outlook.availability = availability(self.systems, &plan, &wrong);
        outlook
    }

    fn cost(&self, plan: &Plan, loads: &[predict::Load], figures: &Figures) -> Cost {
        let mut cost = Cost::default();
        let sized =
            |bytes: u64, rows: u64, each: f64| if bytes > 0 { bytes } else { size(rows, each) };
        for (load, of) in loads.iter().zip(&plan.loads) {
            let log = figures.logs.get(&of.view.name).copied().unwrap_or_default();
            cost.log_records += load.records;
            cost.log_bytes += size(load.records, log.bytes);
            cost.rows_written += load.rows;
            let table = if of.is_source() {
                &of.source().table
            } else {
                &of.view.table
            };
            cost.space_bytes += sized(table.bytes, load.rows, log.bulk_bytes);
            let kept = measure::base_of(plan)
                .and_then(|b| b.snapshot().manifest().table(&of.kept_as).cloned());
            if let Some(kept) = kept {
                cost.snapshot_rows += kept.rows.count;
                cost.snapshot_bytes += kept.rows.bytes;
            }
        }
        for _ in &plan.derived {
            cost.rows_written += self.rows().unwrap_or(0);
            cost.space_bytes += self.view.table.bytes;
        }
        if plan.checks() {
            (cost.primary_rows, cost.primary_bytes) = self.primary();
        }
        cost
    }

    /// What a comparison reads of the primary: rows, and the size of their tables in bytes.
    fn primary(&self) -> (u64, u64) {
        let tables = self.view.sources().iter().map(|s| s.table.bytes);
        (self.rows().unwrap_or(0), tables.sum())
    }

    /// How a reconciliation would go.
    pub(super) fn reconcile(&self, figures: &Figures) -> Outlook {
        let wrong = self.wrong.clone().unwrap_or_default();
        let effect = effect::of(Strategy::Reconcile, &wrong, false);
        let (primary_rows, primary_bytes) = self.primary();
        let writes = effect::fixed(&effect);
        let mut outlook = Outlook {
            strategy: Strategy::Reconcile,
            stages: Vec::new(),
            availability: format!(
                "readers see the table all the time; each of the {} rows that differ is right as soon as it is written, {} in a \
                 transaction, and the projector goes on",
                grouped(wrong.differing),
                grouped(limits::REPAIR_ROWS as u64)
            ),
            cost: Cost {
                primary_rows,
                primary_bytes,
                rows_written: writes,
                ..Cost::default()
            },
            effect,
            blockers: Vec::new(),
            notes: Vec::new(),
        };
        let open = self.options.opened.as_secs_f64();
        let row = figures.row();
        let of = match &self.repairs {
            Some(plan) => {
                outlook.blockers.clone_from(&plan.refusals);
                outlook.notes.clone_from(&plan.notes);
                let explain = if wrong.differing > 0 {
                    plan.took.decide + plan.took.explain
                } else {
                    plan.took.decide
                };
                predict::Reconcile {
                    open,
                    compare: plan.took.compare.as_secs_f64(),
                    explain: explain.as_secs_f64(),
                    repairs: Some(writes),
                    row,
                }
            }
            None => {
                let why = if self.primary_down {
                    Some("the primary does not answer".to_owned())
                } else {
                    self.view.incomparable()
                };
                outlook.blockers.extend(why);
                let Some(compare) = self
                    .compare(figures)
                    .filter(|_| outlook.blockers.is_empty())
                else {
                    return outlook;
                };
                outlook.notes.push(
                    "the time of the repairs comes on top: how many there are is not known"
                        .to_owned(),
                );
                predict::Reconcile {
                    open,
                    compare,
                    row,
                    ..predict::Reconcile::default()
                }
            }
        };
        outlook.stages = predict::reconcile(of, self.factors());
        outlook
    }
}

/// So many of so many bytes.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // An estimate, not below zero.
fn size(number: u64, each: f64) -> u64 {
    (count(number) * each) as u64
}

/// What readers and the projector see while a replay is under way.
fn availability(systems: &Systems, plan: &Plan, wrong: &Wrong) -> String {
    let as_it_is = match wrong.differing {
        0 => "readers see the old table until the swap".to_owned(),
        n => format!(
            "readers see the old table, with its {} wrong rows, until the swap",
            grouped(n)
        ),
    };
    let projector = match &plan.options.cutover.pausing {
        Some(Pausing::Commands { .. }) => "; the projector is paused for it if it is active",
        Some(Pausing::ByHand(_)) => "; you are asked to stop the projector for it if it is active",
        None => "",
    };
    let projector = match systems.applied {
        Applied::None => "",
        _ => projector,
    };
    format!("{as_it_is}, which locks it for a moment{projector}")
}
