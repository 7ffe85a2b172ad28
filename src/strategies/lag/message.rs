//! A message of our own on its way through the connector: put into the primary's log, looked for in the connector's topic of
//! messages (Debezium: `<prefix>.message`).

use std::hash::{BuildHasher as _, RandomState};
use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::limits;
use crate::strategies::{SourcePart, Systems, View, blocking};
use crate::stream::{Extent, Log, Range, StreamError};

/// Waits for one message.
pub(super) struct Watch<'a> {
    systems: &'a Systems,
    content: String,
    /// `None` when the message cannot be seen.
    place: Option<Place>,
    /// The topic of messages, when there is none of that name.
    missing: Option<Arc<str>>,
    seen: bool,
}

/// The topic of messages, and where it was last seen to end.
struct Place {
    topic: Arc<str>,
    ends: Vec<Extent>,
}

impl<'a> Watch<'a> {
    /// Before the message is sent: where the topic ends, if there is one.
    pub(super) async fn begin(systems: &'a Systems, view: &View) -> Result<Watch<'a>> {
        let content = format!("trueup {:016x}", RandomState::new().hash_one(0));
        let mut watch = Watch {
            systems,
            content,
            place: None,
            missing: None,
            seen: false,
        };
        let Some(topic) = topic_of_messages(view) else {
            return Ok(watch);
        };
        match watch.ends(&topic).await? {
            Some(ends) => watch.place = Some(Place { topic, ends }),
            None => watch.missing = Some(topic),
        }
        Ok(watch)
    }

    /// What the message says.
    pub(super) fn content(&self) -> &str {
        &self.content
    }

    /// It was not sent.
    pub(super) fn cannot_come(&mut self) {
        self.place = None;
    }

    /// The topic that it would be seen in, if there were one.
    pub(super) fn missing_topic(&self) -> Option<&str> {
        self.missing.as_deref()
    }

    /// Whether it can be seen at all.
    pub(super) fn may_come(&self) -> bool {
        self.place.is_some()
    }

    async fn ends(&self, topic: &Arc<str>) -> Result<Option<Vec<Extent>>> {
        let (log, topic) = (self.systems.log().await?, Arc::clone(topic));
        match blocking(move || log.topic(&topic)).await {
            Ok(found) => Ok(Some(found.extents)),
            Err(e) if matches!(e.downcast_ref(), Some(StreamError::NoTopic { .. })) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Whether it has come by now. What was sent before it, to other partitions, is given a moment to arrive.
    pub(super) async fn has_come(&mut self) -> Result<bool> {
        if self.seen {
            return Ok(true);
        }
        let Some(Place { topic, ends }) = self.place.take() else {
            return Ok(false);
        };
        let now = self.ends(&topic).await?.unwrap_or_default();
        let ranges = Range::between(&topic, &ends, &now);
        if !ranges.is_empty() {
            let (log, needles) = (self.systems.log().await?, spellings(&self.content));
            self.seen = blocking(move || find(&log, &ranges, &needles)).await?;
        }
        self.place = Some(Place { topic, ends: now });
        if self.seen {
            tokio::time::sleep(limits::IN_FLIGHT).await;
        }
        Ok(self.seen)
    }
}

/// Debezium names topics `<prefix>.<schema>.<table>` and `<prefix>.message`.
fn topic_of_messages(view: &View) -> Option<Arc<str>> {
    let prefix = |source: &SourcePart| {
        let table = source.table.table.to_string();
        let prefix = source.topic.strip_suffix(&table)?.strip_suffix('.')?;
        Some(format!("{prefix}.message").into())
    };
    view.sources().iter().find_map(prefix)
}

/// The connector's `binary.handling.mode` decides how the content is written.
fn spellings(content: &str) -> [Vec<u8>; 3] {
    let hex: String = content.bytes().map(|b| format!("{b:02x}")).collect();
    [
        STANDARD.encode(content).into_bytes(),
        hex.into_bytes(),
        content.as_bytes().to_vec(),
    ]
}

fn find(log: &Log, ranges: &[Range], needles: &[Vec<u8>]) -> Result<bool, StreamError> {
    let mut found = false;
    log.scan(ranges, |record| {
        let value = record.value.unwrap_or_default();
        found = needles
            .iter()
            .any(|n| value.windows(n.len()).any(|w| w == &n[..]));
        if found {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    Ok(found)
}
