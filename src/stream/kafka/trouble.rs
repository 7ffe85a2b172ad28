//! What the library reports of a partition, other than its end.

use rdkafka::error::RDKafkaErrorCode;

use super::super::StreamError;
use super::Kafka;
use super::raw::Message;

/// An error for what will not pass. Most does: the library tries again by itself, and if
/// that is of no use, the read stalls and says so.
pub(super) fn trouble(kafka: &Kafka, message: Message<'_>, offset: i64) -> Result<(), StreamError> {
    let topic = message.topic().unwrap_or_default().to_owned();
    let partition = message.partition();
    let is = |code: RDKafkaErrorCode| message.error() == code as i32;
    if is(RDKafkaErrorCode::AutoOffsetReset) || is(RDKafkaErrorCode::OffsetOutOfRange) {
        let (start, end) = kafka.client.watermarks(&topic, partition)?;
        return Err(StreamError::OutOfRange {
            topic,
            partition,
            offset,
            start,
            end,
        });
    }
    let what = format!("reading {topic} partition {partition}");
    let reason = kafka.config.redact(&message.error_text());
    if is(RDKafkaErrorCode::TopicAuthorizationFailed) {
        return Err(StreamError::Denied { what, reason });
    }
    let lasting = [
        RDKafkaErrorCode::UnknownTopicOrPartition,
        RDKafkaErrorCode::UnknownTopic,
        RDKafkaErrorCode::UnknownPartition,
        RDKafkaErrorCode::UnknownTopicId,
        RDKafkaErrorCode::BadMessage,
        RDKafkaErrorCode::BadCompression,
        RDKafkaErrorCode::NotImplemented,
        RDKafkaErrorCode::LogTruncation,
        RDKafkaErrorCode::Fatal,
    ];
    if lasting.into_iter().any(is) {
        let brokers = kafka.config.brokers.clone();
        return Err(StreamError::Kafka {
            brokers,
            what,
            reason,
        });
    }
    tracing::debug!(topic, partition, offset, reason, "the library tries again");
    Ok(())
}
