//! What a partial replay begins with: a snapshot, and whether it fits the plan.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::projection::seen::Seen;
use crate::projection::version::Order;
use crate::snapshot::{PartitionCut, Snapshot};
use crate::store::StateBatch;
use crate::strategies::fingerprint;
use crate::stream::{Cleanup, Topic};

/// What a snapshot keeps of each of its tables beside the rows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Part {
    /// What decides its rows, as [`fingerprint::canonical`] has it.
    pub projection: String,
    /// The order of its source; nothing for a query.
    pub order: Option<String>,
    /// What its load had seen of the log.
    pub seen: Seen,
}

/// A snapshot, as a plan looks at it.
#[derive(Debug)]
pub struct Base {
    snapshot: Snapshot,
    parts: BTreeMap<String, Part>,
}

/// A topic as it is now.
pub struct Now<'a> {
    /// The topic.
    pub topic: &'a Topic,
    /// Why it is not the one that the snapshot was made of.
    pub replaced: Option<String>,
}

impl Base {
    /// Looks at a snapshot whose files are whole.
    ///
    /// # Errors
    /// When it does not say what its tables are.
    pub fn new(snapshot: Snapshot) -> Result<Base> {
        let parts = snapshot.manifest().draft.projection_parts.clone();
        let parts = serde_json::from_value(parts)
            .with_context(|| format!("snapshot {}: its parts", snapshot.manifest().id))?;
        Ok(Base { snapshot, parts })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.snapshot.manifest().id
    }

    /// The snapshot itself.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What told a topic from others when it was made.
    #[must_use]
    pub fn topic_id(&self, topic: &str) -> Option<&str> {
        let topics = &self.snapshot.manifest().draft.topics;
        let cut = topics.iter().find(|t| t.topic == topic)?;
        (cut.id != UNTOLD).then_some(cut.id.as_str())
    }

    /// Where it was cut.
    #[must_use]
    pub fn cut(&self, topic: &str, partition: i32) -> Option<&PartitionCut> {
        let topics = &self.snapshot.manifest().draft.topics;
        let cut = topics.iter().find(|t| t.topic == topic)?;
        cut.partitions.iter().find(|p| p.partition == partition)
    }

    /// The order of a table's source; `None` where it holds nothing that an order was chosen for.
    #[must_use]
    pub fn order(&self, table: &str) -> Option<Order> {
        let stored = self.snapshot.manifest().table(table)?;
        let is_empty = stored.rows.count == 0 && stored.gone.is_none();
        let order = read_order(self.parts.get(table)?.order.as_deref()?);
        order.filter(|order| *order != Order::Offset || !is_empty)
    }

    /// What a table's load had seen of the log.
    #[must_use]
    pub fn seen(&self, table: &str) -> Seen {
        let part = self.parts.get(table);
        part.map(|p| p.seen.clone()).unwrap_or_default()
    }

    /// The rows and tombstones of a table.
    ///
    /// # Errors
    /// When its files cannot be read.
    pub fn state(
        &self,
        table: &str,
    ) -> Result<impl Iterator<Item = Result<StateBatch>> + Send + 'static + use<>> {
        let versioned = |batch: Vec<_>| {
            let rows = batch.into_iter().map(|(row, version): (_, Option<_>)| {
                Ok((
                    row,
                    version.context("a row of a snapshot without a version")?,
                ))
            });
            rows.collect::<Result<_>>().map(StateBatch::Rows)
        };
        let rows = self.snapshot.rows(table)?;
        let gone = self.snapshot.gone(table)?;
        let rows = rows.map(move |batch| versioned(batch?));
        Ok(rows.chain(gone.map(|batch| Ok(StateBatch::Gone(batch?)))))
    }

    /// Why a table of it cannot be the beginning of this projection.
    #[must_use]
    pub fn misfit(&self, table: &str, projection: &str) -> Option<String> {
        let id = self.id();
        let Some(part) = self.parts.get(table) else {
            return Some(format!(
                "snapshot {id} has no {table}: it was made of other views; create a new one"
            ));
        };
        let changes = fingerprint::changes(&part.projection, projection);
        (!changes.is_empty()).then(|| {
            format!(
                "snapshot {id} was made of another projection of {table}: changed since: {}; create a new one",
                changes.join(", ")
            )
        })
    }

    /// Why the log cannot go on where it was cut.
    #[must_use]
    pub fn broken(&self, now: &Now<'_>) -> Vec<String> {
        let (id, topic) = (self.id(), now.topic);
        let made = &self.snapshot.manifest().draft;
        let left = "what is left: a big-bang replay if the log begins at zero, else `reconcile` from the primary";
        let mut reasons = Vec::new();
        let cluster = topic.cluster_id.as_deref().unwrap_or(ARCHIVE);
        if made.cluster != cluster {
            reasons.push(format!(
                "snapshot {id} was made of cluster {}, and this log is of cluster {cluster}; {left}",
                made.cluster
            ));
            return reasons;
        }
        let Some(cut) = made.topics.iter().find(|t| t.topic == topic.name) else {
            reasons.push(format!(
                "snapshot {id} has no cut in topic {}; create a new one",
                topic.name
            ));
            return reasons;
        };
        if let Some(why) = &now.replaced {
            reasons.push(format!(
                "topic {} was made anew since snapshot {id}: {why}; {left}",
                topic.name
            ));
            return reasons;
        }
        for partition in &cut.partitions {
            let place = format!("{}:{}", topic.name, partition.partition);
            let next = partition.next_offset;
            let extent = topic
                .extents
                .iter()
                .find(|e| e.partition == partition.partition);
            match extent {
                None => reasons.push(format!("snapshot {id} has a cut in {place}, which is gone; {left}")),
                Some(e) if next < e.start => reasons.push(format!(
                    "snapshot {id} was cut at offset {next} of {place}, and the log begins at {}: {} records between them have left the log; {left}",
                    e.start, e.start - next
                )),
                Some(e) if next > e.end => reasons.push(format!(
                    "snapshot {id} was cut at offset {next} of {place}, and the log ends at {}: {} records that it holds are not in the log any more; {left}",
                    e.end, next - e.end
                )),
                Some(_) => {}
            }
            reasons.extend(forgotten(topic, partition, id, left));
        }
        reasons
    }
}

/// A compacted topic forgets deletes after a while: those after the cut must all be there still.
fn forgotten(topic: &Topic, cut: &PartitionCut, id: &str, left: &str) -> Option<String> {
    if !matches!(topic.cleanup, Cleanup::Compact | Cleanup::CompactDelete) {
        return None;
    }
    let (retention, at) = (
        i64::try_from(topic.delete_retention_ms?).ok()?,
        cut.time_ms?,
    );
    let over = now_ms() - at - retention;
    (over > 0).then(|| {
        format!(
            "{} is compacted and keeps deletes for {} s (delete.retention.ms), and snapshot {id} is {} s older than that: deletes since may have vanished; {left}",
            topic.name,
            retention / 1_000,
            over / 1_000
        )
    })
}

/// What stands in the place of a topic's id where nothing tells topics apart.
pub const UNTOLD: &str = "unknown";

/// What an archive is called in the place of a cluster.
pub const ARCHIVE: &str = "archive";

/// Milliseconds since 1970.
#[must_use]
pub fn now_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// An order as a snapshot keeps it.
#[must_use]
pub fn order_word(order: &Order) -> String {
    match order {
        Order::Field(name) => format!("field {name}"),
        Order::Lsn => "lsn".to_owned(),
        Order::Binlog => "binlog".to_owned(),
        Order::Offset => "offset".to_owned(),
    }
}

fn read_order(word: &str) -> Option<Order> {
    match (word, word.split_once(' ')) {
        (_, Some(("field", name))) => Some(Order::Field(name.to_owned())),
        ("lsn", _) => Some(Order::Lsn),
        ("binlog", _) => Some(Order::Binlog),
        ("offset", _) => Some(Order::Offset),
        _ => None,
    }
}
