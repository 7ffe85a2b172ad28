//! The plan of a big-bang replay: everything that can be known by reading, and every reason to refuse, all at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;

use super::bounds::Bound;
use super::{Applied, CopyView, Systems, blocking, verify};
use crate::limits;
use crate::projection::decode;
use crate::projection::mapping::From;
use crate::projection::types::ColumnType;
use crate::projection::version::Order;
use crate::report::replay::PlanReport;
use crate::store::{Acts, Shadow, Store};
use crate::stream::{Cleanup, GroupState, Log, Range, StreamError, Topic};

/// Where a partition is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Partition.
    pub partition: i32,
    /// First offset in the log.
    pub start: i64,
    /// First offset that is not read.
    pub end: i64,
    /// Where the log ends.
    pub log_end: i64,
}

/// What is asked of a replay.
#[derive(Clone, Debug)]
pub struct Options {
    /// Read only up to these offsets: topic, partition, offset.
    pub until: Vec<(String, i32, i64)>,
    /// Build the shadow and leave it beside the live table.
    pub no_swap: bool,
    /// Do not compare the shadow with the primary.
    pub no_check: bool,
    /// Rows of the primary that the swap may drop at most.
    pub deletes_max: Bound,
}

/// A plan, printed before anything is written.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The run's id.
    pub run: String,
    /// The view.
    pub view: CopyView,
    /// The topic as it is.
    pub topic: Topic,
    /// What is read of each partition.
    pub extents: Vec<Extent>,
    /// The order chosen.
    pub order: Order,
    /// What the operator should know.
    pub notes: Vec<String>,
    /// Why it must not run; empty when it may.
    pub refusals: Vec<String>,
    /// What was asked.
    pub options: Options,
}

impl Plan {
    /// Records to read at most.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.extents
            .iter()
            .map(|e| u64::try_from(e.end - e.start).unwrap_or(0))
            .sum()
    }

    /// What is shown of it.
    #[must_use]
    pub fn report(&self) -> PlanReport {
        PlanReport {
            run: self.run.clone(),
            view: self.view.name.clone(),
            table: self.view.table.table.to_string(),
            table_rows: self.view.table.rows_estimate,
            table_bytes: self.view.table.bytes,
            topic: self.topic.name.clone(),
            extents: self
                .extents
                .iter()
                .map(|e| (e.partition, e.start, e.end, e.log_end))
                .collect(),
            order: self.order.to_string(),
            swaps: !self.options.no_swap,
            checks: self.checks(),
            notes: self.notes.clone(),
            refusals: self.refusals.clone(),
        }
    }

    /// Whether the shadow is compared with the primary: not when it ends at some earlier offset, since the primary has
    /// moved on from there.
    #[must_use]
    pub fn checks(&self) -> bool {
        !self.options.no_check && self.options.until.is_empty()
    }

    /// The ranges to read.
    #[must_use]
    pub fn ranges(&self) -> Vec<Range> {
        let topic: Arc<str> = self.topic.name.as_str().into();
        self.extents
            .iter()
            .map(|e| Range {
                topic: Arc::clone(&topic),
                partition: e.partition,
                from: e.start,
                to: e.end,
            })
            .collect()
    }

    /// The shadow that it builds.
    #[must_use]
    pub fn shadow(&self) -> Shadow {
        Shadow {
            run: self.run.clone(),
            live: self.view.table.clone(),
            columns: self
                .view
                .mapping
                .columns
                .iter()
                .map(|t| t.column.clone())
                .collect(),
            key: self.view.mapping.key.clone(),
            carried: self.view.carried.clone(),
            rank_words: self.order.words(),
        }
    }
}

/// Makes the plan of a big-bang replay of one view.
///
/// # Errors
/// When a system cannot be asked. Reasons to refuse are part of the plan.
pub async fn plan(
    systems: &Systems,
    view: &CopyView,
    run: String,
    options: Options,
) -> Result<Plan> {
    let topic = {
        let (log, name) = (systems.log().await?, view.source.topic.clone());
        blocking(move || log.topic(&name)).await?
    };
    let (extents, mut refusals) = extents(&topic, &options);
    let mut notes = Vec::new();
    let order = order(systems, view, &topic, &extents, &mut notes).await?;
    refusals.extend(compaction(&topic, &extents));
    refusals.extend(types(view));
    refusals.extend(match verify::refuse_same_table(systems, view).await {
        Ok(()) => Vec::new(),
        Err(e) => vec![e.downcast::<super::Refused>()?.to_string()],
    });
    if !options.no_swap {
        refusals.extend(hanging(&systems.read_store, view).await?);
    }
    projector(systems, view, &mut notes, &mut refusals).await?;
    if let Some(scope) = &view.scope {
        refusals.push(format!(
            "view {} owns only a part of its table (scope: {scope}); such a table is never swapped",
            view.name
        ));
    }
    Ok(Plan {
        run,
        view: view.clone(),
        topic,
        extents,
        order,
        notes,
        refusals,
        options,
    })
}

/// What is read of each partition, and why that may not be enough.
fn extents(topic: &Topic, options: &Options) -> (Vec<Extent>, Vec<String>) {
    let mut refusals = Vec::new();
    let mut extents = Vec::new();
    for e in &topic.extents {
        let until = options
            .until
            .iter()
            .find(|(t, p, _)| *t == topic.name && *p == e.partition)
            .map(|(_, _, o)| *o);
        if let Some(until) = until.filter(|u| *u > e.end || *u < e.start) {
            refusals.push(format!(
                "--until {}:{}:{until} lies outside the log, which holds {} to {}",
                topic.name, e.partition, e.start, e.end
            ));
        }
        if e.start > 0 {
            refusals.push(format!(
                "{} partition {} starts at offset {}, not at 0: what was before it has left the log, and a replay would lose it; \
                 reconcile against the primary, or add an archive of the older records",
                topic.name, e.partition, e.start
            ));
        }
        extents.push(Extent {
            partition: e.partition,
            start: e.start,
            end: until.unwrap_or(e.end),
            log_end: e.end,
        });
    }
    for (name, partition, _) in &options.until {
        if *name != topic.name || !topic.extents.iter().any(|e| e.partition == *partition) {
            refusals.push(format!(
                "--until names {name}:{partition}, which is no partition of {}",
                topic.name
            ));
        }
    }
    (extents, refusals)
}

/// The order of the source: what the playbook says, else what the records at both ends of every partition offer.
async fn order(
    systems: &Systems,
    view: &CopyView,
    topic: &Topic,
    extents: &[Extent],
    notes: &mut Vec<String>,
) -> Result<Order> {
    if let Some(field) = &view.source.order_by {
        return Ok(Order::Field(field.clone()));
    }
    let name: Arc<str> = topic.name.as_str().into();
    let ranges: Vec<Range> = extents
        .iter()
        .filter(|e| e.end > e.start)
        .map(|e| Range {
            topic: Arc::clone(&name),
            partition: e.partition,
            from: e.start,
            to: e.end,
        })
        .collect();
    let peeked = {
        let log: Arc<Log> = systems.log().await?;
        blocking(move || log.peek(&ranges, limits::PEEK_RECORDS)).await
    };
    let peeked = match peeked {
        Ok(peeked) => peeked,
        // Nothing before the start can be read; the refusal for that is already in the plan.
        Err(e)
            if e.downcast_ref::<StreamError>()
                .is_some_and(|e| matches!(e, StreamError::OutOfRange { .. })) =>
        {
            Vec::new()
        }
        Err(e) => return Err(e),
    };
    let mut offered: BTreeMap<String, (Order, u64)> = BTreeMap::new();
    for record in peeked.iter().flat_map(|p| p.first.iter().chain(&p.last)) {
        if let Some(order) = record.value.as_deref().and_then(decode::offered_order) {
            offered.entry(order.to_string()).or_insert((order, 0)).1 += 1;
        }
    }
    let best = offered
        .into_values()
        .max_by_key(|(_, records)| *records)
        .map(|(order, _)| order);
    Ok(best.unwrap_or_else(|| {
        if extents.iter().any(|e| e.end > e.start) {
            notes.push("the records carry no source position: the offset decides, and a key in two partitions stops the run".to_owned());
        }
        Order::Offset
    }))
}

/// A compacted topic forgets deletes after a while: a replay must be through by then.
fn compaction(topic: &Topic, extents: &[Extent]) -> Vec<String> {
    /// Slow on purpose: a promise about time is made with the worst rate in mind.
    const RECORDS_PER_SECOND: u64 = 20_000;
    let Some(retention) = topic
        .delete_retention_ms
        .filter(|_| matches!(topic.cleanup, Cleanup::Compact | Cleanup::CompactDelete))
    else {
        return Vec::new();
    };
    let records: u64 = extents
        .iter()
        .map(|e| u64::try_from(e.end - e.start).unwrap_or(0))
        .sum();
    let needed = records.saturating_mul(1000) / RECORDS_PER_SECOND;
    if needed < retention {
        return Vec::new();
    }
    vec![format!(
        "{} is compacted and keeps deletes for {} s (delete.retention.ms), but reading it may take {} s: deletes could vanish underway; raise delete.retention.ms",
        topic.name,
        retention / 1000,
        needed / 1000
    )]
}

/// Columns that cannot be read from a log.
fn types(view: &CopyView) -> Vec<String> {
    let mut refusals = Vec::new();
    for target in &view.mapping.columns {
        let From::Source(i) = target.from else {
            continue;
        };
        for (side, column) in [
            ("source", &view.mapping.source[i]),
            ("view", &target.column),
        ] {
            if !column.kind.is_known() {
                refusals.push(format!(
                    "view {}: column {} of the {side} has type {}, which this version cannot replay from a log",
                    view.name, column.name, column.kind
                ));
            }
        }
    }
    for (i, _) in &view.mapping.filter {
        if let ColumnType::Other(kind) = &view.mapping.source[*i].kind {
            refusals.push(format!("view {}: `where` tests column {} of type {kind}, which this version cannot read from a log", view.name, view.mapping.source[*i].name));
        }
    }
    refusals
}

async fn hanging(store: &Store, view: &CopyView) -> Result<Vec<String>> {
    let obstacles = store.obstacles(&view.table).await?;
    let say = |o: crate::store::Obstacle| {
        format!(
            "{} would not survive the swap of {}: {o}",
            o.what, view.table.table
        )
    };
    Ok(obstacles.into_iter().map(say).collect())
}

/// The projector must not write while the table is being swapped.
async fn projector(
    systems: &Systems,
    view: &CopyView,
    notes: &mut Vec<String>,
    refusals: &mut Vec<String>,
) -> Result<()> {
    match &systems.applied {
        Applied::None => {}
        Applied::Within(_) => notes.push(
            "`applied: within` does not let trueup see the projector: stop it before the swap, or what it writes in between is lost".to_owned(),
        ),
        Applied::ConsumerGroup(name) => {
            let (log, group, topic) = (systems.log().await?, name.clone(), view.source.topic.clone());
            let group = blocking(move || log.group(&group, &[&topic])).await?;
            if !matches!(group.state, GroupState::Empty | GroupState::Dead) {
                let members: Vec<String> = group.members.iter().map(|m| format!("{} from {}", m.client_id, m.host)).collect();
                refusals.push(format!(
                    "the projector is active: consumer group {name} is {:?} with {} members ({}); stop it and run the same command again",
                    group.state, members.len(), members.join(", ")
                ));
            }
            for (topic, partition, committed) in group.committed {
                let shown = committed.map_or_else(|| "nothing".to_owned(), |o| o.to_string());
                notes.push(format!("consumer group {name} committed {shown} in {topic}:{partition}"));
            }
        }
        Applied::Checkpoint(sql) => {
            let before = systems.read_store.query(sql).await?;
            tokio::time::sleep(limits::CHECKPOINT_LOOK).await;
            if systems.read_store.query(sql).await? != before {
                refusals.push("the projector is active: its checkpoint moved while trueup looked; stop it and run the same command again".to_owned());
            }
            for row in before {
                let cells: Vec<&str> = row.iter().map(|c| c.as_deref().unwrap_or("NULL")).collect();
                notes.push(format!("the projector's checkpoint: {}", cells.join(" ")));
            }
        }
    }
    Ok(())
}
