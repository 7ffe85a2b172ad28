//! How far behind the log and the projector are.

use serde_json::{Value, json};

use super::json::FORMAT;
use super::metrics::Metrics;
use super::table::{grouped, table};

/// How far the log has the primary.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptureLag {
    /// The connector's replication slot.
    pub slot: String,
    /// Whether the connector reads it now.
    pub active: bool,
    /// Bytes of the primary's log that it has not confirmed.
    pub bytes: u64,
    /// Seconds that it is behind, where the role may know.
    pub seconds: Option<f64>,
}

/// How far the projector has one partition.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionLag {
    /// Partition.
    pub partition: i32,
    /// Where the log ends.
    pub end: i64,
    /// The next offset that the projector will apply; `None` where nothing says so.
    pub place: Option<i64>,
    /// Events not applied yet, markers and holes among them.
    pub events: Option<u64>,
    /// How long ago the first of them was changed in the primary.
    pub seconds: Option<f64>,
}

/// How far the projector has one topic.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceLag {
    /// Source.
    pub source: String,
    /// Its topic.
    pub topic: String,
    /// Its partitions.
    pub partitions: Vec<PartitionLag>,
}

/// Both halves of lag.
#[derive(Clone, Debug, PartialEq)]
pub struct LagReport {
    /// The playbook.
    pub playbook: String,
    /// Between primary and log.
    pub capture: Option<CaptureLag>,
    /// Who is asked how far the projector is.
    pub projector: String,
    /// What its group does.
    pub group_state: Option<String>,
    /// Who is in it.
    pub group_members: usize,
    /// Between log and read store.
    pub sources: Vec<SourceLag>,
    /// What cannot be said, and why.
    pub reasons: Vec<String>,
}

impl LagReport {
    fn partitions(&self) -> impl Iterator<Item = (&SourceLag, &PartitionLag)> {
        self.sources
            .iter()
            .flat_map(|s| s.partitions.iter().map(move |p| (s, p)))
    }

    /// The sum of events that are not applied yet.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.partitions().filter_map(|(_, p)| p.events).sum()
    }

    /// The longest that anything known is behind, on either half, in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        let applied = self.partitions().filter_map(|(_, p)| p.seconds);
        let capture = self.capture.iter().filter_map(|c| c.seconds);
        applied.chain(capture).fold(0.0, f64::max)
    }

    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        if let Some(c) = &self.capture {
            let reader = if c.active {
                "is read"
            } else {
                "is not read: the connector is stopped"
            };
            let late = c.seconds.map_or(String::new(), |s| format!(", {s:.1} s"));
            out.push_str(&format!(
                "primary to log: slot {} {reader}; {}{late} behind\n",
                c.slot,
                indicatif::HumanBytes(c.bytes)
            ));
        }
        let group = self.group_state.as_ref().map_or(String::new(), |state| {
            format!(" ({state}, {} members)", self.group_members)
        });
        out.push_str(&format!(
            "log to read store: {}{group}; {} events, {:.1} s behind\n",
            self.projector,
            grouped(self.events()),
            self.partitions()
                .filter_map(|(_, p)| p.seconds)
                .fold(0.0, f64::max)
        ));
        let shown = |n: Option<String>| n.unwrap_or_else(|| "unknown".to_owned());
        let row = |(s, p): (&SourceLag, &PartitionLag)| {
            vec![
                s.topic.clone(),
                p.partition.to_string(),
                p.end.to_string(),
                shown(p.place.map(|n| n.to_string())),
                shown(p.events.map(grouped)),
                shown(p.seconds.map(|s| format!("{s:.1}"))),
            ]
        };
        let header = [
            "topic",
            "partition",
            "log ends",
            "applied to",
            "events",
            "seconds",
        ];
        out.push_str(&table(&header, self.partitions().map(row).collect()));
        out.push('\n');
        for reason in &self.reasons {
            out.push_str(&format!("{reason}\n"));
        }
        out
    }

    /// As one line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let capture = self.capture.as_ref().map(
            |c| json!({"slot": c.slot, "active": c.active, "bytes": c.bytes, "seconds": c.seconds}),
        );
        let partitions: Vec<Value> = self
            .partitions()
            .map(|(s, p)| {
                json!({
                    "source": s.source, "topic": s.topic, "partition": p.partition, "log_end": p.end, "applied_to": p.place,
                    "events": p.events, "seconds": p.seconds,
                })
            })
            .collect();
        json!({
            "format": FORMAT, "playbook": self.playbook, "captured": capture, "projector": self.projector,
            "group_state": self.group_state, "group_members": self.group_members, "events": self.events(),
            "seconds": self.seconds(), "partitions": partitions, "reasons": self.reasons,
        })
        .to_string()
    }

    /// Adds what it says to a file of metrics.
    pub fn measure(&self, metrics: &mut Metrics) {
        let playbook = ("playbook", self.playbook.as_str());
        if let Some(c) = &self.capture {
            let slot = [playbook, ("slot", c.slot.as_str())];
            metrics.gauge(
                "trueup_capture_active",
                "Whether the connector reads its replication slot",
                &slot,
                f64::from(c.active),
            );
            metrics.gauge(
                "trueup_capture_lag_bytes",
                "Bytes of the primary's log that the connector has not confirmed",
                &slot,
                whole(c.bytes),
            );
            if let Some(seconds) = c.seconds {
                metrics.gauge(
                    "trueup_capture_lag_seconds",
                    "Seconds that the connector is behind the primary",
                    &slot,
                    seconds,
                );
            }
        }
        for (s, p) in self.partitions() {
            let partition = p.partition.to_string();
            let labels = [
                playbook,
                ("topic", s.topic.as_str()),
                ("partition", partition.as_str()),
            ];
            if let Some(events) = p.events {
                metrics.gauge(
                    "trueup_applied_lag_events",
                    "Events that the projector has not applied",
                    &labels,
                    whole(events),
                );
            }
            if let Some(seconds) = p.seconds {
                metrics.gauge(
                    "trueup_applied_lag_seconds",
                    "Age of the first event that the projector has not applied",
                    &labels,
                    seconds,
                );
            }
        }
    }
}

#[allow(clippy::cast_precision_loss)] // A gauge is a float.
fn whole(number: u64) -> f64 {
    number as f64
}
