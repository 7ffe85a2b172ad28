//! The first half of lag: how far the log has the primary. The connector's replication slot says it, or a message of our own
//! in the primary's log that comes out in the connector's topic of messages: everything visible before it has been sent on
//! by then.

use anyhow::Result;
use tokio::time::Instant;

use super::Passed;
use super::message::Watch;
use crate::limits;
use crate::store::{Acts, Slot, Store};
use crate::strategies::{Captured, Systems, View};

/// Asks how far the log has the primary.
pub struct Capture<'a> {
    systems: &'a Systems,
    primary: &'a Store,
    view: &'a View,
    hopeless: bool,
}

impl<'a> Capture<'a> {
    /// For the source of a view.
    #[must_use]
    pub fn of(systems: &'a Systems, view: &'a View) -> Capture<'a> {
        Capture {
            systems,
            primary: systems.capture_side(),
            view,
            hopeless: false,
        }
    }

    /// Whether waiting longer cannot help.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.hopeless
    }

    fn hopeless(&mut self, reason: impl Into<String>) -> Passed {
        self.hopeless = true;
        Err(reason.into())
    }

    /// Waits until the log has everything that can be seen in the primary now.
    ///
    /// # Errors
    /// When a system cannot be asked.
    pub async fn pass(&mut self, until: Instant) -> Result<Passed> {
        self.hopeless = false;
        let Some(wanted) = self.primary.write_position().await? else {
            return Ok(self.hopeless(
                "nothing says how far the log has the primary, which keeps no log that has positions: what is still under way \
                 cannot be told from drift",
            ));
        };
        let mut watch = Watch::begin(self.systems, self.view).await?;
        // Where nothing is written, the connector has nothing to confirm: this gives it something. It is no write. Without a
        // topic for it the connector would wait for one for ever, and deliver nothing more.
        if watch.may_come() && !self.primary.emit(watch.content()).await? {
            watch.cannot_come();
        }
        let Captured::Slot(name) = &self.systems.captured else {
            return self.by_message(watch, until).await;
        };
        let mut moved = (0, Instant::now());
        loop {
            let Some(slot) = self.primary.slot(name).await? else {
                return Ok(self.hopeless(format!("the primary has no replication slot {name}")));
            };
            if slot.confirmed >= wanted || watch.has_come().await? {
                return Ok(Ok(()));
            }
            if slot.confirmed != moved.0 {
                moved = (slot.confirmed, Instant::now());
            }
            // On a quiet primary a connector does not confirm the end of its last transaction before the next one.
            let stands = !watch.may_come() && moved.1.elapsed() >= limits::HEAL_WAIT;
            self.hopeless |= stands;
            if stands || Instant::now() >= until {
                return Ok(Err(behind(name, &slot, wanted, &watch)));
            }
            tokio::time::sleep(limits::LAG_LOOK).await;
        }
    }

    async fn by_message(&mut self, mut watch: Watch<'_>, until: Instant) -> Result<Passed> {
        while watch.may_come() && Instant::now() < until {
            if watch.has_come().await? {
                return Ok(Ok(()));
            }
            tokio::time::sleep(limits::LAG_LOOK).await;
        }
        Ok(self.hopeless(
            "nothing says how far the log has the primary, so that a change which is still under way to it cannot be told from \
             drift: name the connector's replication slot in `captured: { slot: … }`",
        ))
    }
}

fn behind(name: &str, slot: &Slot, wanted: u64, watch: &Watch<'_>) -> String {
    let reader = match (slot.active, watch.missing_topic()) {
        (false, _) => "nobody reads it: the connector is stopped".to_owned(),
        (true, None) => "it is read, but does not get there in time".to_owned(),
        // A connector confirms the end of its last transaction only with the next one.
        (true, Some(topic)) => format!(
            "it is read, but does not get there in time; where little is written, a topic {topic} lets trueup ask the connector"
        ),
    };
    format!(
        "the log does not have what the primary has: replication slot {name} is {} bytes behind, and {reader}",
        wanted.saturating_sub(slot.confirmed)
    )
}
