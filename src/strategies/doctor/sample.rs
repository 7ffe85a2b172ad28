//! A bounded read of a topic: what its records say of keys, truncates and the speed of reading.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::hash::BuildHasher as _;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use hashbrown::DefaultHashBuilder;
use hashbrown::HashMap;
use serde::Deserialize;

use crate::limits;
use crate::projection::decode;
use crate::projection::record::Record;
use crate::stream::{Log, Peek, Range, ReadError, StreamError, Topic};

/// What was read of a topic.
#[derive(Debug, Default)]
pub(super) struct Sample {
    /// Records that were read.
    pub(super) records: u64,
    /// Offsets of the topic, holes among them.
    pub(super) of: u64,
    /// Records in a second, while they were read.
    pub(super) rate: f64,
    /// Records whose key was seen before in another partition.
    pub(super) elsewhere: u64,
    /// Some of these keys, each with both positions.
    pub(super) examples: Vec<String>,
    /// Whether more keys were seen than are remembered.
    pub(super) forgot: bool,
    /// Records without a key.
    pub(super) keyless: u64,
    /// The first of them.
    pub(super) keyless_at: Option<String>,
    /// Sets of the fields that keys have, with the first position of each.
    pub(super) fields: BTreeMap<BTreeSet<String>, String>,
    /// Where a truncate was seen.
    pub(super) truncate_at: Option<String>,
    /// When the oldest record that the log still has was changed, in milliseconds since 1970.
    pub(super) oldest_ms: Option<i64>,
    /// Keys of the first records of each partition, with the partition.
    pub(super) first_keys: Vec<(Vec<u8>, i32)>,
}

/// Reads the last `records` of each partition, or all of them, and the first few. It blocks.
///
/// # Errors
/// As [`Log::read`].
pub(super) fn take(log: &Log, topic: &Topic, records: Option<u64>) -> Result<Sample, StreamError> {
    let name: Arc<str> = topic.name.as_str().into();
    let range = |from: i64, e: &crate::stream::Extent| Range {
        topic: Arc::clone(&name),
        partition: e.partition,
        from: from.max(e.start),
        to: e.end,
    };
    let filled = || topic.extents.iter().filter(|e| e.start < e.end);
    let whole: Vec<Range> = filled().map(|e| range(e.start, e)).collect();
    let last = |e: &crate::stream::Extent| match records {
        Some(n) => e.end.saturating_sub_unsigned(n),
        None => e.start,
    };
    let tail: Vec<Range> = filled().map(|e| range(last(e), e)).collect();
    let mut sample = Sample {
        of: whole.iter().map(|r| r.to.abs_diff(r.from)).sum(),
        ..Sample::default()
    };
    if whole.is_empty() {
        return Ok(sample);
    }
    sample.begins(log.peek(&whole, limits::PEEK_RECORDS)?);
    let mut keys = Keys::default();
    let (never, began) = (AtomicBool::new(false), Instant::now());
    let read = log.read(&tail, &never, |record| {
        sample.record(record, &mut keys);
        Ok::<_, Infallible>(ControlFlow::Continue(()))
    });
    match read {
        Ok(outcome) => sample.records = outcome.records,
        Err(ReadError::Stream(e)) => return Err(e),
        Err(ReadError::Sink(never)) => match never {},
    }
    #[allow(clippy::cast_precision_loss)] // A rate is a float.
    let read = sample.records as f64;
    sample.rate = read / began.elapsed().as_secs_f64().max(1e-6);
    sample.elsewhere = keys.elsewhere;
    sample.examples = keys.examples;
    sample.forgot = keys.forgot;
    Ok(sample)
}

impl Sample {
    fn begins(&mut self, peeked: Vec<Peek>) {
        for record in peeked.into_iter().flat_map(|p| p.first) {
            let changed = record.value.as_deref().and_then(decode::changed_at);
            self.oldest_ms = match (self.oldest_ms, changed) {
                (Some(old), Some(new)) => Some(old.min(new)),
                (old, new) => old.or(new),
            };
            if let Some(key) = record.key {
                self.first_keys.push((key, record.partition));
            }
        }
    }

    fn record(&mut self, record: &Record<'_>, keys: &mut Keys) {
        let at = || {
            format!(
                "{}:{}:{}",
                record.at.topic, record.at.partition, record.at.offset
            )
        };
        if record.value.is_some_and(is_truncate) {
            // It is about the table, and has no key.
            self.truncate_at.get_or_insert_with(at);
            return;
        }
        let Some(key) = record.key else {
            self.keyless += 1;
            self.keyless_at.get_or_insert_with(at);
            return;
        };
        keys.see(key, record);
        // What the keys are made of does not change often, and parsing each is slow.
        if keys.is_new_shape(key)
            && let Some(fields) = fields(key)
        {
            self.fields.entry(fields).or_insert_with(at);
        }
    }
}

/// Keys by their hash, with where each was seen first.
#[derive(Default)]
struct Keys {
    hasher: DefaultHashBuilder,
    seen: HashMap<u64, (i32, i64)>,
    shapes: BTreeSet<usize>,
    elsewhere: u64,
    examples: Vec<String>,
    forgot: bool,
}

impl Keys {
    fn see(&mut self, key: &[u8], record: &Record<'_>) {
        let hash = self.hasher.hash_one(key);
        let (partition, offset) = (record.at.partition, record.at.offset);
        match self.seen.get(&hash) {
            Some((first, at)) if *first != partition => {
                self.elsewhere += 1;
                if self.examples.len() < limits::KEYS_SHOWN_MAX {
                    self.examples.push(format!(
                        "{} at {first}:{at} and {partition}:{offset}",
                        shown(key)
                    ));
                }
            }
            Some(_) => {}
            None if self.seen.len() < limits::DOCTOR_KEYS_MAX => {
                self.seen.insert(hash, (partition, offset));
            }
            None => self.forgot = true,
        }
    }

    /// Keys of one length have mostly the same fields: the first of each length is looked at.
    fn is_new_shape(&mut self, key: &[u8]) -> bool {
        self.shapes.insert(key.len())
    }
}

/// The payload of a key, short enough for a sentence.
fn shown(key: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        payload: &'a serde_json::value::RawValue,
    }
    const CHARS_MAX: usize = 80;
    let text = match serde_json::from_slice::<Wrapped<'_>>(key) {
        Ok(wrapped) => wrapped.payload.get().to_owned(),
        Err(_) => String::from_utf8_lossy(key).into_owned(),
    };
    text.chars().take(CHARS_MAX).collect()
}

/// The names of a key's fields; `None` for one that is no JSON object.
fn fields(key: &[u8]) -> Option<BTreeSet<String>> {
    let mut value: serde_json::Value = serde_json::from_slice(key).ok()?;
    if value.get("schema").is_some()
        && let Some(payload) = value.get_mut("payload")
    {
        value = payload.take();
    }
    Some(value.as_object()?.keys().cloned().collect())
}

/// Whether a value is Debezium's truncate. The cheap look comes first: it has neither a row before nor one after.
fn is_truncate(value: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Op {
        op: Option<String>,
        payload: Option<Box<Op>>,
    }
    const MARK: &[u8] = b"\"t\"";
    if !value.windows(MARK.len()).any(|w| w == MARK) {
        return false;
    }
    let read: Option<Op> = serde_json::from_slice(value).ok();
    let op = read.and_then(|r| r.payload.map_or(r.op, |p| p.op));
    op.as_deref() == Some("t")
}
