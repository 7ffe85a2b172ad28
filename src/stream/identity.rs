//! What tells a topic from another that was made later under the same name.

use std::ops::ControlFlow;

use sha2::{Digest as _, Sha256};

use super::{Log, Range, StreamError, Topic};
use crate::projection::record::Record;

impl Log {
    /// What tells a topic from another that was made later under the same name: its id; for an archive, which has none, a mark
    /// of the last record of each partition. `None` where nothing tells it.
    ///
    /// # Errors
    /// As [`Log::topic`].
    pub fn identity(&self, topic: &Topic) -> Result<Option<String>, StreamError> {
        if let Log::Kafka(kafka) = self {
            return kafka.topic_id(&topic.name);
        }
        let held = topic.extents.iter().filter(|e| e.start < e.end);
        let places: Vec<_> = held.map(|e| (e.partition, e.end - 1)).collect();
        let marks = self.marks(&topic.name, &places)?;
        Ok((!marks.is_empty()).then(|| marks.join(" ")))
    }

    /// Why a topic is not the one that once had this identity; `None` when it is, or where nothing tells. An archive is
    /// looked at where it still holds the records that were marked.
    ///
    /// # Errors
    /// As [`Log::topic`].
    pub fn replaced(&self, topic: &Topic, identity: &str) -> Result<Option<String>, StreamError> {
        if let Log::Kafka(kafka) = self {
            let now = kafka.topic_id(&topic.name)?;
            let other = now.filter(|now| now != identity);
            return Ok(other.map(|now| format!("it had the id {identity}, now it has {now}")));
        }
        let is_held = |(partition, offset): &(i32, i64)| {
            let mut extents = topic.extents.iter();
            extents.any(|e| e.partition == *partition && (e.start..e.end).contains(offset))
        };
        let places: Vec<_> = identity
            .split(' ')
            .filter_map(place)
            .filter(is_held)
            .collect();
        let marks = self.marks(&topic.name, &places)?;
        let mut other = marks
            .iter()
            .filter(|m| !identity.split(' ').any(|i| i == *m));
        let said = |(partition, offset)| format!("record {partition}:{offset} is another one");
        Ok(other.find_map(|mark| place(mark)).map(said))
    }

    /// `partition:offset:hash` of these records.
    fn marks(&self, topic: &str, places: &[(i32, i64)]) -> Result<Vec<String>, StreamError> {
        let range = |(partition, offset): &(i32, i64)| Range {
            topic: topic.into(),
            partition: *partition,
            from: *offset,
            to: offset + 1,
        };
        let ranges: Vec<Range> = places.iter().map(range).collect();
        let mut marks = Vec::with_capacity(ranges.len());
        if !ranges.is_empty() {
            self.scan(&ranges, |record| {
                marks.push(mark(record));
                ControlFlow::Continue(())
            })?;
        }
        Ok(marks)
    }
}

fn mark(record: &Record<'_>) -> String {
    const HASH_BYTES: usize = 16;
    let mut hash = Sha256::new();
    for part in [record.key, record.value] {
        let length = part.map_or(-1, |p| i64::try_from(p.len()).unwrap_or(i64::MAX));
        hash.update(length.to_be_bytes());
        hash.update(part.unwrap_or_default());
    }
    let hash = hash.finalize();
    let hash: String = hash
        .iter()
        .take(HASH_BYTES)
        .map(|b| format!("{b:02x}"))
        .collect();
    format!("{}:{}:{hash}", record.at.partition, record.at.offset)
}

/// Partition and offset of a mark.
fn place(mark: &str) -> Option<(i32, i64)> {
    let mut parts = mark.split(':');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
