//! What the log will do to the next replay, and what it does to the order of changes.

use std::sync::Arc;

use anyhow::Result;

use super::sample::{self, Sample};
use super::{Options, copies, key_of, now_seconds, partitioner, source_column, span};
use crate::report::doctor::{DoctorReport, Severity};
use crate::strategies::{SourcePart, Systems, View, blocking};
use crate::stream::{Cleanup, Topic};

/// A replay should be over in this part of the time that records stay.
const RETENTION_MARGIN: f64 = 4.0;

/// Looks at the topic of one source.
pub(super) async fn examine(
    systems: &Systems,
    part: &SourcePart,
    views: &[View],
    options: Options,
    report: &mut DoctorReport,
) {
    let (topic, sample) = match look(systems, &part.topic, options).await {
        Ok(looked) => looked,
        Err(e) => return report.unknown("log", &part.topic, format!("{e:#}")),
    };
    report.fine(
        "log",
        &part.topic,
        format!(
            "read {} of {} records in {} partitions, {:.0} records/s",
            sample.records,
            sample.of,
            topic.extents.len(),
            sample.rate
        ),
    );
    start(&topic, report);
    retention(&topic, &sample, report);
    compaction(&topic, &sample, report);
    partitions(&topic, &sample, report);
    keys(&topic, &sample, report);
    if part.is_table() {
        key_fields(part, &topic, &sample, views, report);
        truncates(&topic, &sample, report);
    }
}

async fn look(systems: &Systems, topic: &str, options: Options) -> Result<(Topic, Sample)> {
    let (log, name) = (systems.log().await?, topic.to_owned());
    blocking(move || {
        let topic = log.topic(&name)?;
        let sample = sample::take(&Arc::clone(&log), &topic, options.records)?;
        Ok::<_, crate::stream::StreamError>((topic, sample))
    })
    .await
}

fn start(topic: &Topic, report: &mut DoctorReport) {
    const CHECK: &str = "log.start";
    let gone: Vec<String> = topic
        .extents
        .iter()
        .filter(|e| e.start > 0)
        .map(|e| format!("partition {} begins at offset {}", e.partition, e.start))
        .collect();
    if gone.is_empty() {
        return report.fine(CHECK, &topic.name, "every partition begins at offset 0");
    }
    report.found(
        Severity::Error,
        (CHECK, &topic.name),
        gone.join(", "),
        "a big-bang replay would be refused: records are gone. Go on from snapshots (`trueup snapshot create --verify`), or \
         reconcile; to have the log whole again, let the connector take a new snapshot into a new topic",
    );
}

/// How long a replay of the topic takes, in seconds, by the rate of the bounded read.
#[allow(clippy::cast_precision_loss)] // An estimate.
fn replay_seconds(sample: &Sample) -> Option<f64> {
    (sample.records > 0).then(|| sample.of as f64 / sample.rate.max(1.0))
}

fn retention(topic: &Topic, sample: &Sample, report: &mut DoctorReport) {
    const CHECK: &str = "log.retention";
    let subject = (CHECK, topic.name.as_str());
    let deletes = match topic.cleanup {
        Cleanup::Unknown => {
            return report.absent(CHECK, &topic.name, "the log does not say what it removes");
        }
        Cleanup::Compact => {
            return report.fine(
                CHECK,
                &topic.name,
                "it is compacted, and nothing goes by age or size",
            );
        }
        Cleanup::CompactDelete => "cleanup.policy=compact,delete",
        Cleanup::Delete => "cleanup.policy=delete",
    };
    let estimate = replay_seconds(sample);
    let estimated = estimate.map_or(String::new(), |s| {
        format!(
            "; reading it takes about {} at the rate of this look",
            span(s)
        )
    });
    let advice = "set retention.ms=-1 and retention.bytes=-1, or make snapshots (`trueup snapshot create --verify`) more often than \
                  records go: without them neither a big-bang replay nor a partial one is possible once records are gone";
    let bytes = topic.retention_bytes.filter(|b| *b >= 0);
    let Some(ms) = topic.retention_ms.filter(|ms| *ms >= 0) else {
        return match bytes {
            Some(bytes) => report.found(
                Severity::Warning,
                subject,
                format!("{deletes}, retention.bytes={bytes} for each partition{estimated}"),
                advice,
            ),
            None => report.fine(CHECK, &topic.name, "records stay for ever"),
        };
    };
    #[allow(clippy::cast_precision_loss)] // An estimate.
    let seconds = ms as f64 / 1_000.0;
    let also = bytes.map_or(String::new(), |b| format!(", retention.bytes={b}"));
    let evidence = format!(
        "{deletes}, retention.ms={ms} ({}){also}{estimated}",
        span(seconds)
    );
    let is_short = estimate.is_some_and(|s| s * RETENTION_MARGIN > seconds);
    let severity = match is_short {
        true => Severity::Error,
        false => Severity::Warning,
    };
    report.found(severity, subject, evidence, advice);
}

fn compaction(topic: &Topic, sample: &Sample, report: &mut DoctorReport) {
    const CHECK: &str = "log.compaction";
    if !matches!(topic.cleanup, Cleanup::Compact | Cleanup::CompactDelete) {
        return report.fine(CHECK, &topic.name, "it is not compacted");
    }
    let Some(keeps) = topic.delete_retention_ms else {
        return report.unknown(
            CHECK,
            &topic.name,
            "it does not say how long it keeps deletes",
        );
    };
    let Some(oldest) = sample.oldest_ms else {
        return report.unknown(
            CHECK,
            &topic.name,
            "its first records do not say how old they are",
        );
    };
    #[allow(clippy::cast_precision_loss)] // Spans of time for a sentence.
    let (age, keeps) = (
        now_seconds() - oldest as f64 / 1_000.0,
        keeps as f64 / 1_000.0,
    );
    let evidence = format!(
        "it is compacted, keeps deletes for {}, and its oldest change is {} old",
        span(keeps),
        span(age.max(0.0))
    );
    if age <= keeps {
        return report.found(
            Severity::Note,
            (CHECK, &topic.name),
            evidence,
            "nothing is lost yet; keep deletes longer than the log is old (delete.retention.ms), or make snapshots before",
        );
    }
    report.found(
        Severity::Warning,
        (CHECK, &topic.name),
        evidence,
        "deletes may be gone with the rows that they deleted, so that a replay from zero keeps such rows where an older record is \
         left in an active segment: raise delete.retention.ms, go on from snapshots, and `trueup verify` after a replay",
    );
}

fn partitions(topic: &Topic, sample: &Sample, report: &mut DoctorReport) {
    const CHECK: &str = "log.partitions";
    let count = i32::try_from(topic.extents.len()).unwrap_or(i32::MAX);
    match partitioner::fewer(&sample.first_keys, count) {
        Some(before) => report.found(
            Severity::Error,
            (CHECK, &topic.name),
            format!(
                "it has {count} partitions, and the keys of its first {} records lie as Kafka puts them among {before}",
                sample.first_keys.len()
            ),
            "partitions were added after records had been written, so keys have moved: their older and newer changes are read in no \
             order. Let every consumer reach the ends, verify, and publish into a new topic with the final number of partitions",
        ),
        None => report.fine(CHECK, &topic.name, format!("nothing says that its {count} partitions were fewer before")),
    }
}

fn keys(topic: &Topic, sample: &Sample, report: &mut DoctorReport) {
    const CHECK: &str = "log.keys";
    let forgot = match sample.forgot {
        true => "; there are more keys than are remembered, so not all were compared",
        false => "",
    };
    let read = format!("{} of {} records read{forgot}", sample.records, sample.of);
    if sample.elsewhere == 0 {
        return report.fine(
            CHECK,
            &topic.name,
            format!("no key in two partitions, {read}"),
        );
    }
    report.found(
        Severity::Error,
        (CHECK, &topic.name),
        format!(
            "{} records have a key that was seen before in another partition ({read}): {}",
            sample.elsewhere,
            sample.examples.join("; ")
        ),
        "changes of one key are read in no order, so an older one can overwrite a newer one: use one partitioner by the record's key, \
         and do not add partitions to a topic in use; until then the projector must compare source positions (`source.lsn`)",
    );
}

/// The record's key against the row's identity in the primary and in the view.
fn key_fields(
    part: &SourcePart,
    topic: &Topic,
    sample: &Sample,
    views: &[View],
    report: &mut DoctorReport,
) {
    const CHECK: &str = "log.key_fields";
    let subject = (CHECK, topic.name.as_str());
    if let Some(at) = &sample.keyless_at {
        return report.found(
            Severity::Error,
            subject,
            format!("{} of {} records have no key, the first at {at}", sample.keyless, sample.records),
            "they are spread over partitions in no order: give the table a primary key, or the connector `message.key.columns`",
        );
    }
    let primary: Vec<&str> = part.table.primary_key.iter().map(String::as_str).collect();
    let mut is_fine = true;
    for (fields, at) in &sample.fields {
        let list = fields
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        if !primary.is_empty() && !primary.iter().all(|c| fields.contains(*c))
            || fields.len() > primary.len() && !primary.is_empty()
        {
            is_fine = false;
            report.found(
                Severity::Warning,
                subject,
                format!("its keys are ({list}), as at {at}, and the primary key of {} is ({})", part.table.table, primary.join(", ")),
                "changes of one row may have different keys, and different rows the same one: leave `message.key.columns` at the primary \
                 key, or see to it that these columns never change",
            );
        }
        for view in views.iter().filter(|v| copies(v, part)) {
            let key = key_of(view);
            let from: Vec<&str> = key.iter().filter_map(|c| source_column(view, c)).collect();
            if from.len() == key.len()
                && from.iter().all(|c| fields.contains(*c))
                && fields.len() == from.len()
            {
                continue;
            }
            is_fine = false;
            report.found(
                Severity::Warning,
                subject,
                format!("its keys are ({list}), as at {at}, and the key of view {} is ({})", view.name, key.join(", ")),
                "two records with different keys can be about one row of the view, and nothing keeps them in order: key the view by what the \
                 topic is keyed by",
            );
        }
    }
    match (is_fine, sample.fields.is_empty()) {
        (true, true) => report.absent(CHECK, &topic.name, "no key that is a JSON object was read"),
        (true, false) => report.fine(
            CHECK,
            &topic.name,
            "its keys are the primary key and the views' keys",
        ),
        (false, _) => {}
    }
}

fn truncates(topic: &Topic, sample: &Sample, report: &mut DoctorReport) {
    const CHECK: &str = "log.truncates";
    match &sample.truncate_at {
        Some(at) => report.fine(CHECK, &topic.name, format!("the connector publishes them: there is one at {at}")),
        None => report.found(
            Severity::Note,
            (CHECK, &topic.name),
            format!("none in {} records; Debezium skips them unless told otherwise, and Kafka does not know what it was told", sample.records),
            "set `skipped.operations=none` on the connector, or never TRUNCATE: rows that a skipped truncate removed stay in the read store",
        ),
    }
}
