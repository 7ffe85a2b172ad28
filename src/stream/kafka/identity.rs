//! The id of a topic, which tells it from another that was made later under the same name.

use std::ffi::{CStr, CString};
use std::time::Duration;

use rdkafka::bindings as c;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;

use super::super::StreamError;
use super::Kafka;
use super::config::Reader;

impl Kafka {
    /// See [`super::super::Log::identity`].
    ///
    /// # Errors
    /// As [`Kafka::topic`].
    pub fn topic_id(&self, topic: &str) -> Result<Option<String>, StreamError> {
        let what = format!("looking up the id of {topic}");
        self.client.ask(&what, |asker, wait| {
            match describe_topic(asker, topic, wait) {
                // A broker that knows no ids.
                Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnsupportedFeature)) => Ok(None),
                described => described,
            }
        })
    }
}

/// The library's safe side does not ask for topic ids.
fn describe_topic(consumer: &Reader, topic: &str, wait: Duration) -> KafkaResult<Option<String>> {
    let name = CString::new(topic).map_err(KafkaError::Nul)?;
    let client = consumer.client().native_ptr();
    let millis = |wait: Duration| i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    let mut error = [0; 256];
    // SAFETY: `client` is valid while `consumer` is borrowed. Options, queue, collection and event are made here and
    // destroyed here once each; the topic's name outlives the call, which copies it; results are read before their event
    // is destroyed.
    unsafe {
        let operation = c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = c::rd_kafka_AdminOptions_new(client, operation);
        c::rd_kafka_AdminOptions_set_request_timeout(
            options,
            millis(wait),
            error.as_mut_ptr(),
            error.len(),
        );
        let queue = c::rd_kafka_queue_new(client);
        let mut names = [name.as_ptr()];
        let topics = c::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        c::rd_kafka_DescribeTopics(client, topics, options, queue);
        let event = c::rd_kafka_queue_poll(queue, millis(wait + Duration::from_secs(1)));
        let described = if event.is_null() {
            Err(KafkaError::MetadataFetch(
                RDKafkaErrorCode::OperationTimedOut,
            ))
        } else {
            let described = described(event);
            c::rd_kafka_event_destroy(event);
            described
        };
        c::rd_kafka_TopicCollection_destroy(topics);
        c::rd_kafka_queue_destroy(queue);
        c::rd_kafka_AdminOptions_destroy(options);
        described
    }
}

/// # Safety
/// `event` is a valid event, not yet destroyed.
unsafe fn described(event: *mut c::rd_kafka_event_t) -> KafkaResult<Option<String>> {
    let none = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
    // SAFETY: everything read here belongs to the event; null results are looked for; the index is below the count that
    // the same object gives.
    unsafe {
        let code = c::rd_kafka_event_error(event);
        if code != none {
            return Err(KafkaError::MetadataFetch(code.into()));
        }
        let result = c::rd_kafka_event_DescribeTopics_result(event);
        let mut count = 0;
        if result.is_null() {
            return Ok(None);
        }
        let topics = c::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if topics.is_null() || count == 0 {
            return Ok(None);
        }
        let topic = *topics;
        let error = c::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() {
            let code = c::rd_kafka_error_code(error);
            if code != none {
                return Err(KafkaError::MetadataFetch(code.into()));
            }
        }
        let id = c::rd_kafka_TopicDescription_topic_id(topic);
        if id.is_null() {
            return Ok(None);
        }
        let text = c::rd_kafka_Uuid_base64str(id);
        if text.is_null() {
            return Ok(None);
        }
        Ok(Some(CStr::from_ptr(text).to_string_lossy().into_owned()))
    }
}
