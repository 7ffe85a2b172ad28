//! The second half of lag: how far the projector has the log.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::Result;
use tokio::time::Instant;

use super::Passed;
use crate::limits;
use crate::store::Acts;
use crate::strategies::{Applied, Refused, Systems, blocking};
use crate::stream::{Extent, GroupState, Log, Range, StreamError};

/// Where the projector is in each partition: the next offset that it will apply; `None` where nothing says so.
pub type Places = BTreeMap<i32, Option<i64>>;

/// Asks how far the projector is in one topic.
pub struct Projector<'a> {
    systems: &'a Systems,
    topic: Arc<str>,
    hopeless: bool,
    /// Ranges that were read and hold no data record: partition, from, to.
    empty: BTreeMap<i32, (i64, i64)>,
}

/// What is known of the projector's group or checkpoint.
pub struct Standing {
    /// Where it is.
    pub places: Places,
    /// What its group is doing, where it has one.
    pub group: Option<GroupState>,
    /// Members of the group.
    pub members: usize,
}

impl<'a> Projector<'a> {
    /// For one topic.
    #[must_use]
    pub fn of(systems: &'a Systems, topic: &str) -> Projector<'a> {
        Projector {
            systems,
            topic: topic.into(),
            hopeless: false,
            empty: BTreeMap::new(),
        }
    }

    /// Whether waiting longer cannot help.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.hopeless
    }

    /// Whether it may say that it has applied what it has not written yet. A checkpoint is written with the rows.
    #[must_use]
    pub fn may_be_ahead_of_itself(&self) -> bool {
        matches!(self.systems.applied, Applied::ConsumerGroup(_))
    }

    /// How it is called in messages.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.systems.applied {
            Applied::ConsumerGroup(group) => format!("consumer group {group}"),
            _ => "the projector's checkpoint".to_owned(),
        }
    }

    /// Where the topic begins and ends now.
    ///
    /// # Errors
    /// When the log cannot be asked.
    pub async fn extents(&self) -> Result<Vec<Extent>> {
        extents(self.systems, &self.topic).await
    }

    /// Where it is now.
    ///
    /// # Errors
    /// When the log or the read store cannot be asked, or a checkpoint query gives no offsets.
    pub async fn standing(&self) -> Result<Standing> {
        match &self.systems.applied {
            Applied::ConsumerGroup(name) => {
                let (log, group, topic) = (
                    self.systems.log().await?,
                    name.clone(),
                    Arc::clone(&self.topic),
                );
                let group = blocking(move || log.group(&group, &[&topic])).await?;
                let places = group
                    .committed
                    .into_iter()
                    .map(|(_, partition, offset)| (partition, offset));
                Ok(Standing {
                    places: places.collect(),
                    group: Some(group.state),
                    members: group.members.len(),
                })
            }
            Applied::Checkpoint(sql) => Ok(Standing {
                places: self.checkpoint(sql).await?,
                group: None,
                members: 0,
            }),
            Applied::Within(_) | Applied::None => Ok(Standing {
                places: Places::new(),
                group: None,
                members: 0,
            }),
        }
    }

    async fn checkpoint(&self, sql: &str) -> Result<Places> {
        let mut places = Places::new();
        for row in self.systems.read_store.query(sql).await? {
            let wrong = || {
                Refused::because(
                    "the checkpoint query of `applied:` must give rows of topic, partition and next offset; \
                     write SELECT topic, partition, next_offset FROM …",
                )
            };
            let [Some(topic), Some(partition), next] = &row[..] else {
                return Err(wrong().into());
            };
            if **topic != *self.topic {
                continue;
            }
            let next = next
                .as_ref()
                .map(|n| n.parse())
                .transpose()
                .map_err(|_| wrong())?;
            places.insert(partition.parse().map_err(|_| wrong())?, next);
        }
        Ok(places)
    }

    /// Waits until it has applied everything that the log holds now.
    ///
    /// # Errors
    /// When a system cannot be asked.
    pub async fn pass(&mut self, until: Instant) -> Result<Passed> {
        self.hopeless = false;
        let ends = self.extents().await?;
        let mut before = None;
        loop {
            let standing = self.standing().await?;
            let behind = match self
                .behind(&ends, &standing.places, before.as_ref())
                .await?
            {
                Ok(0) => return Ok(Ok(())),
                Ok(behind) => behind,
                Err(reason) => {
                    self.hopeless = true;
                    return Ok(Err(reason));
                }
            };
            if Instant::now() >= until {
                let doing = match standing.group {
                    Some(GroupState::Empty | GroupState::Dead) => {
                        ", and nobody is in it: the projector is stopped"
                    }
                    _ => "",
                };
                return Ok(Err(format!(
                    "the projector has not applied what the log has: {} is up to {behind} records behind in {}{doing}",
                    self.name(),
                    self.topic
                )));
            }
            before = Some(standing.places);
            tokio::time::sleep(limits::LAG_LOOK).await;
        }
    }

    /// Offsets between where it is and these ends that may hold data records. Where it has not moved since the last look, they
    /// are read: transaction markers and holes are nothing to apply.
    async fn behind(
        &mut self,
        ends: &[Extent],
        places: &Places,
        before: Option<&Places>,
    ) -> Result<Result<u64, String>> {
        let mut behind = 0;
        for extent in ends {
            let partition = extent.partition;
            let place = places.get(&partition).copied().flatten();
            let from = match place {
                Some(place) if place > extent.end && place > self.end_now(partition).await? => {
                    return Ok(Err(format!(
                        "{} is at offset {place} of {}:{partition}, which ends before that: was the topic made anew?",
                        self.name(),
                        self.topic
                    )));
                }
                Some(place) if place >= extent.end => continue,
                Some(place) if place < extent.start => {
                    return Ok(Err(format!(
                        "{} is at offset {place} of {}:{partition}, and the log begins at {}: what was between left it unapplied",
                        self.name(),
                        self.topic,
                        extent.start
                    )));
                }
                Some(place) => place,
                None => extent.start,
            };
            let stands = place.is_none()
                || before.is_some_and(|b| b.get(&partition).copied().flatten() == place);
            if stands && self.is_empty(partition, from, extent.end).await? {
                continue;
            }
            if place.is_none() {
                return Ok(Err(format!(
                    "{} has no offset in {}:{partition}: it never committed there, or what it committed has expired",
                    self.name(),
                    self.topic
                )));
            }
            behind += u64::try_from(extent.end - from).unwrap_or(0);
        }
        Ok(Ok(behind))
    }

    async fn end_now(&self, partition: i32) -> Result<i64> {
        let extents = self.extents().await?;
        Ok(extents
            .iter()
            .find(|e| e.partition == partition)
            .map_or(0, |e| e.end))
    }

    /// Whether a range holds no data record.
    async fn is_empty(&mut self, partition: i32, from: i64, to: i64) -> Result<bool> {
        if from >= to || self.empty.get(&partition) == Some(&(from, to)) {
            return Ok(true);
        }
        let log = self.systems.log().await?;
        let range = Range {
            topic: Arc::clone(&self.topic),
            partition,
            from,
            to,
        };
        let read = blocking(move || holds_records(&log, range)).await;
        match read {
            Ok(true) => Ok(false),
            Ok(false) => {
                self.empty.insert(partition, (from, to));
                Ok(true)
            }
            // An open transaction hides what is behind it.
            Err(e)
                if matches!(
                    e.downcast_ref::<StreamError>(),
                    Some(StreamError::Stalled { .. })
                ) =>
            {
                Ok(false)
            }
            Err(e) => Err(e),
        }
    }
}

/// Where a topic begins and ends now, partition by partition.
///
/// # Errors
/// When the log cannot be asked.
pub async fn extents(systems: &Systems, topic: &str) -> Result<Vec<Extent>> {
    let (log, topic) = (systems.log().await?, topic.to_owned());
    Ok(blocking(move || log.topic(&topic)).await?.extents)
}

/// Whether a range holds any data record.
fn holds_records(log: &Log, range: Range) -> Result<bool, StreamError> {
    let mut found = false;
    log.scan(&[range], |_| {
        found = true;
        ControlFlow::Break(())
    })?;
    Ok(found)
}
