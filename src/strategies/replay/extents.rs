//! What is read of a topic, in which order its changes are taken, and why that may not be enough.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;

use super::options::Begin;
use crate::limits;
use crate::projection::decode;
use crate::projection::version::Order;
use crate::strategies::lag::applied::Places;
use crate::strategies::{SourcePart, Systems, blocking};
use crate::stream::{Cleanup, Log, Range, StreamError, Topic};

/// Where a partition is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Partition.
    pub partition: i32,
    /// First offset that is read.
    pub start: i64,
    /// First offset that is not read.
    pub end: i64,
    /// Where the log ends.
    pub log_end: i64,
}

impl Extent {
    /// Records to read at most.
    #[must_use]
    pub fn records(&self) -> u64 {
        u64::try_from(self.end - self.start).unwrap_or(0)
    }
}

/// The ranges of these extents that hold anything.
pub(in crate::strategies) fn ranges(topic: &str, extents: &[Extent]) -> Vec<Range> {
    let topic: Arc<str> = topic.into();
    extents
        .iter()
        .filter(|e| e.end > e.start)
        .map(|e| Range {
            topic: Arc::clone(&topic),
            partition: e.partition,
            from: e.start,
            to: e.end,
        })
        .collect()
}

/// What is read of each partition, and why that may not be enough.
pub(in crate::strategies) fn of(
    topic: &Topic,
    begin: &Begin,
    until: &[(String, i32, i64)],
) -> (Vec<Extent>, Vec<String>) {
    let mut refusals = Vec::new();
    let mut extents = Vec::new();
    let named = |list: &[(String, i32, i64)], partition: i32| {
        let is = |(t, p, _): &&(String, i32, i64)| *t == topic.name && *p == partition;
        list.iter().find(is).map(|(_, _, offset)| *offset)
    };
    for e in &topic.extents {
        let mut inside = |flag: &str, offset: Option<i64>| {
            let offset = offset?;
            if offset > e.end || offset < e.start {
                refusals.push(format!(
                    "{flag} {}:{}:{offset} lies outside the log, which holds {} to {}",
                    topic.name, e.partition, e.start, e.end
                ));
            }
            Some(offset)
        };
        let end = inside("--until", named(until, e.partition)).unwrap_or(e.end);
        let start = match begin {
            Begin::Zero => e.start,
            // A partition without a cut is newer than the snapshot.
            Begin::Snapshot(base) => base
                .cut(&topic.name, e.partition)
                .map_or(e.start, |cut| cut.next_offset),
            Begin::Offsets(from) => {
                inside("--from-offsets", named(from, e.partition)).unwrap_or(end)
            }
        };
        let is_whole = match begin {
            Begin::Zero => e.start == 0,
            Begin::Snapshot(base) => e.start == 0 || base.cut(&topic.name, e.partition).is_some(),
            Begin::Offsets(_) => true,
        };
        if !is_whole {
            refusals.push(format!(
                "{} partition {} starts at offset {}, not at 0: what was before it has left the log, and a replay would lose it; \
                 reconcile against the primary, or add an archive of the older records",
                topic.name, e.partition, e.start
            ));
        }
        extents.push(Extent {
            partition: e.partition,
            start: start.min(end),
            end,
            log_end: e.end,
        });
    }
    (extents, refusals)
}

/// Reads no further than the projector is, where that is known; why that cannot be.
pub(super) fn stop_at(topic: &str, extents: &mut [Extent], places: &Places) -> Vec<String> {
    let mut refusals = Vec::new();
    for extent in extents {
        let Some(Some(place)) = places.get(&extent.partition).copied() else {
            continue;
        };
        if place < extent.start {
            refusals.push(format!(
                "the projector is at offset {place} of {topic}:{}, and this replay would begin at {}, beyond it",
                extent.partition, extent.start
            ));
        }
        extent.end = extent.end.min(place).max(extent.start);
    }
    refusals
}

/// What a flag names and no topic that is read has.
pub(super) fn outside(
    flag: &str,
    named: &[(String, i32, i64)],
    topics: &BTreeMap<String, Topic>,
) -> Vec<String> {
    let is_there = |(name, partition, _): &&(String, i32, i64)| {
        topics
            .get(name)
            .is_some_and(|t| t.extents.iter().any(|e| e.partition == *partition))
    };
    let names: Vec<&str> = topics.keys().map(String::as_str).collect();
    named
        .iter()
        .filter(|one| !is_there(one))
        .map(|(name, partition, _)| {
            format!(
                "{flag} names {name}:{partition}, which is no partition of {}",
                names.join(", ")
            )
        })
        .collect()
}

/// The order of the source: what the playbook says, else what the records at both ends of every partition offer.
pub(in crate::strategies) async fn order(
    systems: &Systems,
    source: &SourcePart,
    topic: &Topic,
    extents: &[Extent],
    notes: &mut Vec<String>,
) -> Result<Order> {
    if let Some(field) = &source.order_by {
        return Ok(Order::Field(field.clone()));
    }
    let ranges = ranges(&topic.name, extents);
    let is_empty = ranges.is_empty();
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
        let value = record.value.as_deref();
        let order = value.and_then(|value| decode::offered_order(value, &source.settings));
        if let Some(order) = order {
            offered.entry(order.to_string()).or_insert((order, 0)).1 += 1;
        }
    }
    let best = offered
        .into_values()
        .max_by_key(|(_, records)| *records)
        .map(|(order, _)| order);
    if best.is_none() && !is_empty {
        notes.push(format!(
            "the records of {} carry no source position: the offset decides, and a key in two partitions stops the run",
            topic.name
        ));
    }
    Ok(best.unwrap_or(Order::Offset))
}

/// A compacted topic forgets deletes after a while: why it cannot be read any more from there, or not fast enough.
pub(super) async fn compacted(
    systems: &Systems,
    topic: &Topic,
    extents: &[Extent],
    begin: &Begin,
) -> Result<Vec<String>> {
    let mut refusals = compaction(topic, extents, systems.pace.asked().rate);
    if let Begin::Offsets(_) = begin {
        refusals.extend(forgotten(systems, topic, extents).await?);
    }
    Ok(refusals)
}

/// A compacted topic forgets deletes after a while: a replay must be through by then.
fn compaction(topic: &Topic, extents: &[Extent], rate: Option<u64>) -> Vec<String> {
    /// Slow on purpose: a promise about time is made with the worst rate in mind.
    const RECORDS_PER_SECOND: u64 = 20_000;
    let Some(retention) = topic
        .delete_retention_ms
        .filter(|_| matches!(topic.cleanup, Cleanup::Compact | Cleanup::CompactDelete))
    else {
        return Vec::new();
    };
    let records: u64 = extents.iter().map(Extent::records).sum();
    let rate = rate.map_or(RECORDS_PER_SECOND, |rate| rate.min(RECORDS_PER_SECOND));
    let needed = records.saturating_mul(1000) / rate.max(1);
    if needed < retention {
        return Vec::new();
    }
    vec![format!(
        "{} is compacted and keeps deletes for {} s (delete.retention.ms), but reading it may take {} s: deletes could vanish underway; raise delete.retention.ms{}",
        topic.name,
        retention / 1000,
        needed / 1000,
        if rate < RECORDS_PER_SECOND {
            ", or --rate"
        } else {
            ""
        }
    )]
}

/// A compacted topic read from the middle: every delete since then must be there still, and those that are older than the
/// topic keeps them may not be.
async fn forgotten(systems: &Systems, topic: &Topic, extents: &[Extent]) -> Result<Vec<String>> {
    let is_compacted = matches!(topic.cleanup, Cleanup::Compact | Cleanup::CompactDelete);
    let retention = topic.delete_retention_ms.filter(|_| is_compacted);
    let Some(retention) = retention.and_then(|ms| i64::try_from(ms).ok()) else {
        return Ok(Vec::new());
    };
    let (log, name) = (systems.log().await?, topic.name.clone());
    let since = super::base::now_ms() - retention;
    let kept = blocking(move || log.offsets_at(&name, since)).await?;
    let read = extents.iter().filter(|e| e.start > 0 && e.records() > 0);
    let forgotten = read.filter_map(|e| {
        let (_, kept) = kept.iter().find(|(p, _)| *p == e.partition)?;
        (e.start < *kept).then(|| {
            format!(
                "{} is compacted and keeps deletes for {} s (delete.retention.ms), and offset {} of partition {} is older than that: \
                 deletes since then may have vanished; begin at offset {kept} or later, or at zero",
                topic.name,
                retention / 1000,
                e.start,
                e.partition
            )
        })
    });
    Ok(forgotten.collect())
}
