//! The calls that the safe interface of rdkafka lacks. All `unsafe` of the crate is here.

use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as c;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;

use super::super::types::{GroupState, Member};
use super::config::Reader;

fn millis(wait: Duration) -> i32 {
    i32::try_from(wait.as_millis()).unwrap_or(i32::MAX)
}

/// Records taken from a consumer's queue many at a time: a quarter less work than one poll for each.
pub(super) struct Batch<'c> {
    queue: *mut c::rd_kafka_queue_t,
    /// The first `filled` are messages that we own, the others are stale.
    messages: Vec<*mut c::rd_kafka_message_t>,
    filled: usize,
    /// Messages and queue must not outlive their consumer.
    consumer: PhantomData<&'c Reader>,
}

impl<'c> Batch<'c> {
    /// For the queue of this consumer, `size` records at a time.
    pub(super) fn new(consumer: &'c Reader, size: usize) -> KafkaResult<Batch<'c>> {
        // SAFETY: the client pointer is valid for as long as `consumer` lives, which 'c outlasts.
        let queue = unsafe { c::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        if queue.is_null() {
            return Err(KafkaError::ClientCreation(
                "the consumer has no queue".to_owned(),
            ));
        }
        Ok(Batch {
            queue,
            messages: vec![ptr::null_mut(); size],
            filled: 0,
            consumer: PhantomData,
        })
    }

    /// Gives the last batch back, waits until the next one is full, or for at most `wait`.
    pub(super) fn fill(&mut self, wait: Duration) -> usize {
        self.clear();
        // SAFETY: `queue` is ours until drop, and `messages` has room for as many pointers as we say.
        let filled = unsafe {
            c::rd_kafka_consume_batch_queue(
                self.queue,
                millis(wait),
                self.messages.as_mut_ptr(),
                self.messages.len(),
            )
        };
        // Negative would be an error, which this call does not document to return.
        self.filled = usize::try_from(filled).unwrap_or(0);
        self.filled
    }

    /// The messages of this batch.
    pub(super) fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        // SAFETY: the first `filled` pointers were set by the last call of `fill`, are not null, and are
        // destroyed only by `clear`, which needs `&mut self` while the messages borrow `&self`.
        self.messages[..self.filled]
            .iter()
            .map(|message| Message(unsafe { &**message }))
    }

    fn clear(&mut self) {
        for message in &self.messages[..self.filled] {
            // SAFETY: each of these is ours, and is given back once: `filled` is reset below.
            unsafe { c::rd_kafka_message_destroy(*message) };
        }
        self.filled = 0;
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.clear();
        // SAFETY: the queue came from rd_kafka_queue_get_consumer, whose caller has to destroy it.
        unsafe { c::rd_kafka_queue_destroy(self.queue) };
    }
}

/// A record, or an event of one partition.
#[derive(Clone, Copy)]
pub(super) struct Message<'b>(&'b c::rd_kafka_message_t);

impl<'b> Message<'b> {
    /// 0 for a record, else librdkafka's number of the error.
    pub(super) fn error(self) -> i32 {
        // SAFETY: the field is a C enum of four bytes. It is read as a number, since a broker newer than the
        // bindings may put one into it that the Rust enum lacks.
        unsafe { ptr::addr_of!(self.0.err).cast::<i32>().read() }
    }

    /// What the error is about, in words.
    pub(super) fn error_text(self) -> String {
        // SAFETY: the message is valid; the text lives as long as it, and is copied.
        unsafe { text(c::rd_kafka_message_errstr(self.0)) }
    }

    pub(super) fn partition(self) -> i32 {
        self.0.partition
    }

    pub(super) fn offset(self) -> i64 {
        self.0.offset
    }

    /// Identifies the topic without its name: two messages with the same handle are of the same topic.
    pub(super) fn topic_handle(self) -> usize {
        self.0.rkt.addr()
    }

    /// The name of the topic; `None` for an event that is about no topic.
    pub(super) fn topic(self) -> Option<&'b str> {
        if self.0.rkt.is_null() {
            return None;
        }
        // SAFETY: the message holds a reference to its topic, whose name does not change.
        unsafe { CStr::from_ptr(c::rd_kafka_topic_name(self.0.rkt)) }
            .to_str()
            .ok()
    }

    pub(super) fn key(self) -> Option<&'b [u8]> {
        // SAFETY: a key that is not null has that many bytes, for as long as the message lives.
        unsafe { bytes(self.0.key.cast(), self.0.key_len) }
    }

    pub(super) fn value(self) -> Option<&'b [u8]> {
        // SAFETY: as for the key.
        unsafe { bytes(self.0.payload.cast(), self.0.len) }
    }

    /// Replaces the contents of `out` by the headers.
    pub(super) fn headers(self, out: &mut Vec<(&'b str, &'b [u8])>) {
        out.clear();
        let mut headers = ptr::null_mut();
        // SAFETY: the message is valid. Headers, names and values belong to it and live as long; parsing them
        // at the first call writes to memory that librdkafka owns, from the one thread that has the batch.
        unsafe {
            if c::rd_kafka_message_headers(self.0, &mut headers)
                != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
            {
                return;
            }
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            let none = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
            while c::rd_kafka_header_get_all(headers, out.len(), &mut name, &mut value, &mut size)
                == none
            {
                let name = CStr::from_ptr(name).to_str().unwrap_or("\u{fffd}");
                out.push((name, bytes(value.cast(), size).unwrap_or_default()));
            }
        }
    }
}

/// # Safety
/// `start` is null, or valid for `len` bytes throughout 'a.
unsafe fn bytes<'a>(start: *const u8, len: usize) -> Option<&'a [u8]> {
    // SAFETY: as the caller promises.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start, len) })
}

/// # Safety
/// `text` is null or a C string.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// State and members of a consumer group.
pub(super) struct Described {
    pub(super) state: GroupState,
    pub(super) members: Vec<Member>,
}

/// Asks for state and members of a group. `fetch_group_list` would be safe to call, but reports a group of the
/// newer protocol (KIP-848) as dead and empty while its members consume.
pub(super) fn describe_group(
    consumer: &Reader,
    group: &str,
    wait: Duration,
) -> KafkaResult<Described> {
    let group = CString::new(group).map_err(KafkaError::Nul)?;
    let client = consumer.client().native_ptr();
    let mut error = [0; 256];
    // SAFETY: `client` is valid while `consumer` is borrowed. Options, queue and event are made here and
    // destroyed here once each; the group's name outlives the call, which copies it; results are read before
    // their event is destroyed.
    unsafe {
        let operation = c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
        let options = c::rd_kafka_AdminOptions_new(client, operation);
        c::rd_kafka_AdminOptions_set_request_timeout(
            options,
            millis(wait),
            error.as_mut_ptr(),
            error.len(),
        );
        let queue = c::rd_kafka_queue_new(client);
        let mut groups = [group.as_ptr()];
        c::rd_kafka_DescribeConsumerGroups(client, groups.as_mut_ptr(), 1, options, queue);
        let event = c::rd_kafka_queue_poll(queue, millis(wait + Duration::from_secs(1)));
        let described = if event.is_null() {
            Err(KafkaError::GroupListFetch(
                RDKafkaErrorCode::OperationTimedOut,
            ))
        } else {
            let described = described(event);
            c::rd_kafka_event_destroy(event);
            described
        };
        c::rd_kafka_queue_destroy(queue);
        c::rd_kafka_AdminOptions_destroy(options);
        described
    }
}

/// # Safety
/// `event` is a valid event, not yet destroyed.
unsafe fn described(event: *mut c::rd_kafka_event_t) -> KafkaResult<Described> {
    let none = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
    // SAFETY: everything read here belongs to the event; null results are looked for; indexes are below the
    // counts that the same objects give.
    unsafe {
        let code = c::rd_kafka_event_error(event);
        if code != none {
            return Err(KafkaError::GroupListFetch(code.into()));
        }
        let missing = || KafkaError::GroupListFetch(RDKafkaErrorCode::UnknownGroup);
        let result = c::rd_kafka_event_DescribeConsumerGroups_result(event);
        let mut count = 0;
        if result.is_null() {
            return Err(missing());
        }
        let groups = c::rd_kafka_DescribeConsumerGroups_result_groups(result, &mut count);
        if groups.is_null() || count == 0 {
            return Err(missing());
        }
        let group = *groups;
        let error = c::rd_kafka_ConsumerGroupDescription_error(group);
        if !error.is_null() {
            let code = c::rd_kafka_error_code(error);
            if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND {
                return Ok(Described {
                    state: GroupState::Dead,
                    members: Vec::new(),
                });
            }
            if code != none {
                return Err(KafkaError::GroupListFetch(code.into()));
            }
        }
        let members = (0..c::rd_kafka_ConsumerGroupDescription_member_count(group))
            .map(|index| c::rd_kafka_ConsumerGroupDescription_member(group, index))
            .filter(|member| !member.is_null())
            .map(|member| Member {
                client_id: text(c::rd_kafka_MemberDescription_client_id(member)),
                host: text(c::rd_kafka_MemberDescription_host(member))
                    .trim_start_matches('/')
                    .to_owned(),
            })
            .collect();
        use c::rd_kafka_consumer_group_state_t as State;
        let state = match c::rd_kafka_ConsumerGroupDescription_state(group) {
            State::RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY => GroupState::Empty,
            State::RD_KAFKA_CONSUMER_GROUP_STATE_STABLE => GroupState::Stable,
            State::RD_KAFKA_CONSUMER_GROUP_STATE_DEAD => GroupState::Dead,
            State::RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE
            | State::RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE => GroupState::Rebalancing,
            _ => GroupState::Unknown,
        };
        Ok(Described { state, members })
    }
}
