//! How far behind both halves are, in events and in seconds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;

use super::applied::Projector;
use crate::projection::decode;
use crate::report::lag::{CaptureLag, LagReport, PartitionLag, SourceLag};
use crate::store::Acts;
use crate::strategies::{Applied, Captured, SourcePart, Systems, View, blocking};
use crate::stream::{Extent, GroupState, Range};

/// Looks at both halves once, for every source of these views.
///
/// # Errors
/// When a system cannot be asked.
pub async fn status(systems: &Systems, playbook: &str, views: &[View]) -> Result<LagReport> {
    let mut report = LagReport {
        playbook: playbook.to_owned(),
        capture: capture(systems).await?,
        projector: match &systems.applied {
            Applied::ConsumerGroup(name) => format!("consumer group {name}"),
            Applied::Checkpoint(_) => "the projector's checkpoint".to_owned(),
            Applied::Within(_) | Applied::None => "no projector that can be asked".to_owned(),
        },
        group_state: None,
        group_members: 0,
        sources: Vec::new(),
        reasons: Vec::new(),
    };
    match (&systems.captured, &report.capture) {
        (Captured::Unknown, _) => report.reasons.push(
            "how far the log has the primary is not known: the playbook has no `captured: { slot: … }`".to_owned(),
        ),
        (Captured::Slot(name), None) => {
            report.reasons.push(format!("the primary has no replication slot {name}"));
        }
        _ => {}
    }
    if matches!(systems.applied, Applied::Within(_) | Applied::None) {
        report.reasons.push(
            "how far the projector is is not known: `applied:` names neither a consumer group nor a checkpoint".to_owned(),
        );
    }
    let mut seen = BTreeSet::new();
    for part in views.iter().flat_map(View::sources) {
        if seen.insert(&part.name) {
            source(systems, part, &mut report).await?;
        }
    }
    Ok(report)
}

async fn capture(systems: &Systems) -> Result<Option<CaptureLag>> {
    let Captured::Slot(name) = &systems.captured else {
        return Ok(None);
    };
    let slot = systems.capture_side().slot(name).await?;
    Ok(slot.map(|slot| CaptureLag {
        slot: name.clone(),
        active: slot.active,
        bytes: slot.behind_bytes,
        seconds: slot.seconds,
    }))
}

async fn source(systems: &Systems, part: &SourcePart, report: &mut LagReport) -> Result<()> {
    let projector = Projector::of(systems, &part.topic);
    let extents = projector.extents().await?;
    let standing = projector.standing().await?;
    if let Some(state) = standing.group {
        report.group_state = Some(word(state).to_owned());
        report.group_members = standing.members;
    }
    let topic: Arc<str> = part.topic.as_str().into();
    let mut partitions = Vec::with_capacity(extents.len());
    for extent in extents {
        let place = standing.places.get(&extent.partition).copied().flatten();
        let (events, seconds) = match place {
            Some(place) => behind(systems, &topic, &extent, place).await?,
            None => (None, None),
        };
        partitions.push(PartitionLag {
            partition: extent.partition,
            end: extent.end,
            place,
            events,
            seconds,
        });
    }
    let nowhere = partitions
        .iter()
        .filter(|p| p.place.is_none() && p.end > 0)
        .count();
    if nowhere > 0 && !matches!(systems.applied, Applied::Within(_) | Applied::None) {
        report.reasons.push(format!(
            "{} has no offset in {nowhere} partitions of {topic}: it never committed there, or what it committed has expired",
            report.projector
        ));
    }
    report.sources.push(SourceLag {
        source: part.name.clone(),
        topic: part.topic.clone(),
        partitions,
    });
    Ok(())
}

/// Offsets not applied yet, and how old the first of them is. Markers and holes alone are nothing to apply.
async fn behind(
    systems: &Systems,
    topic: &Arc<str>,
    extent: &Extent,
    place: i64,
) -> Result<(Option<u64>, Option<f64>)> {
    let from = place.max(extent.start);
    if from >= extent.end {
        return Ok((Some(0), Some(0.0)));
    }
    let log = systems.log().await?;
    let range = Range {
        topic: Arc::clone(topic),
        partition: extent.partition,
        from,
        to: extent.end,
    };
    let peeked = blocking(move || log.peek(&[range], 1)).await?;
    let Some(first) = peeked.into_iter().flat_map(|p| p.first).next() else {
        return Ok((Some(0), Some(0.0)));
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let changed = first.value.as_deref().and_then(decode::changed_at);
    #[allow(clippy::cast_precision_loss)] // Milliseconds of this century fit.
    let seconds = changed.map(|ms| (now.as_secs_f64() - ms as f64 / 1_000.0).max(0.0));
    Ok((u64::try_from(extent.end - from).ok(), seconds))
}

fn word(state: GroupState) -> &'static str {
    match state {
        GroupState::Empty => "empty",
        GroupState::Stable => "stable",
        GroupState::Rebalancing => "rebalancing",
        GroupState::Dead => "not there",
        GroupState::Unknown => "unknown",
    }
}
