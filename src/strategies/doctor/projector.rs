//! Whether the projector is where it says, and will find its place again.

use anyhow::Result;

use super::span;
use crate::report::doctor::{DoctorReport, Severity};
use crate::strategies::lag::applied::{Projector, Standing};
use crate::strategies::{Applied, SourcePart, Systems, blocking};
use crate::stream::{Extent, GroupState};

/// Looks at the projector of one source's topic.
pub(super) async fn examine(systems: &Systems, part: &SourcePart, report: &mut DoctorReport) {
    const CHECK: &str = "projector";
    let why = match &systems.applied {
        Applied::None => Some("the playbook says that no projector writes these tables"),
        Applied::Within(_) => Some("`applied: { within: … }` names nobody who can be asked"),
        Applied::ConsumerGroup(_) | Applied::Checkpoint(_) => None,
    };
    if let Some(why) = why {
        return report.absent(CHECK, &part.topic, why);
    }
    match look(systems, part).await {
        Ok((standing, extents, name)) => {
            members(&standing, &extents, &name, systems, report).await;
            places(&standing, &extents, &part.topic, &name, report);
        }
        Err(e) => report.unknown(CHECK, &part.topic, format!("{e:#}")),
    }
}

async fn look(systems: &Systems, part: &SourcePart) -> Result<(Standing, Vec<Extent>, String)> {
    let projector = Projector::of(systems, &part.topic);
    // The ends are taken last: whoever is beyond them is so for good.
    let standing = projector.standing().await?;
    Ok((standing, projector.extents().await?, projector.name()))
}

async fn members(
    standing: &Standing,
    extents: &[Extent],
    name: &str,
    systems: &Systems,
    report: &mut DoctorReport,
) {
    const CHECK: &str = "projector.members";
    let Some(state) = standing.group else {
        return;
    };
    let subject = (CHECK, name);
    match state {
        GroupState::Dead => report.found(
            Severity::Error,
            subject,
            "the cluster does not know this group: it never committed, or everything it committed has expired",
            "start the projector, or correct `applied:`; before it starts from nowhere look at its auto.offset.reset",
        ),
        GroupState::Empty => report.found(
            Severity::Error,
            subject,
            format!("nobody is in it{}", forgotten(systems).await),
            "start the projector: the read store falls behind, and when its offsets have expired it begins anew or skips what was written \
             meanwhile",
        ),
        GroupState::Unknown => report.unknown(CHECK, name, "the cluster names a state of it that trueup does not know"),
        GroupState::Rebalancing => report.found(
            Severity::Note,
            subject,
            "members come or go just now",
            "look again: a group that never settles reads records twice",
        ),
        GroupState::Stable if standing.members > extents.len() => report.found(
            Severity::Note,
            subject,
            format!("{} members share {} partitions", standing.members, extents.len()),
            "those without a partition do nothing; they take over when another one stops",
        ),
        GroupState::Stable => report.fine(CHECK, name, format!("{} members", standing.members)),
    }
}

/// When the cluster forgets what an empty group has committed.
async fn forgotten(systems: &Systems) -> String {
    let asked = async {
        let log = systems.log().await?;
        blocking(move || log.cluster_setting("offsets.retention.minutes")).await
    };
    let minutes = asked
        .await
        .ok()
        .flatten()
        .and_then(|m| m.parse::<f64>().ok());
    minutes.map_or(String::new(), |m| {
        format!(
            "; the cluster forgets its offsets {} after the last member left (offsets.retention.minutes)",
            span(m * 60.0)
        )
    })
}

fn places(
    standing: &Standing,
    extents: &[Extent],
    topic: &str,
    name: &str,
    report: &mut DoctorReport,
) {
    const CHECK: &str = "projector.offsets";
    let subject = format!("{name} in {topic}");
    let before = report.findings.len();
    for extent in extents {
        let at = format!("{topic}:{}", extent.partition);
        match standing.places.get(&extent.partition).copied().flatten() {
            None if extent.start < extent.end => report.found(
                Severity::Error,
                (CHECK, &subject),
                format!("no offset in {at}, which has records from {} to {}", extent.start, extent.end),
                "nobody is assigned this partition, nothing in it was ever committed, or what was has expired: look at the projector's \
                 assignment, then `trueup verify`",
            ),
            None => {}
            Some(place) if place < extent.start => report.found(
                Severity::Error,
                (CHECK, &subject),
                format!("it is at {at}:{place}, before the log's first record {}", extent.start),
                format!("{} records were removed before it read them: reconcile, and keep records longer", extent.start - place),
            ),
            Some(place) if place > extent.end => report.found(
                Severity::Error,
                (CHECK, &subject),
                format!("it is at {at}:{place}, beyond the log's end {}", extent.end),
                "the topic was made anew, or the offset was set by hand: records up to there will be skipped. Set it to where the projector \
                 is, and verify",
            ),
            Some(_) => {}
        }
    }
    if report.findings.len() == before {
        report.fine(
            CHECK,
            &subject,
            format!("within the log in all of {} partitions", extents.len()),
        );
    }
}
