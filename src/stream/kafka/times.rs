//! Offsets of a moment.

use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};

use super::super::StreamError;
use super::Kafka;

impl Kafka {
    /// See [`super::super::Log::offsets_at`].
    ///
    /// # Errors
    /// As [`Kafka::topic`].
    pub fn offsets_at(&self, topic: &str, time_ms: i64) -> Result<Vec<(i32, i64)>, StreamError> {
        let extents = self.topic(topic)?.extents;
        let what = format!("looking up the offsets of {topic} at a time");
        let found = self.client.ask(&what, |asker, wait| {
            let mut times = TopicPartitionList::new();
            for extent in &extents {
                times.add_partition_offset(topic, extent.partition, Offset::Offset(time_ms))?;
            }
            asker.offsets_for_times(times, wait)
        })?;
        let at = |partition| match found
            .find_partition(topic, partition)
            .map(|found| found.offset())
        {
            Some(Offset::Offset(offset)) => Some(offset),
            _ => None,
        };
        // A partition without a record at or after that moment is read to its end.
        Ok(extents
            .iter()
            .map(|e| (e.partition, at(e.partition).unwrap_or(e.end)))
            .collect())
    }
}
