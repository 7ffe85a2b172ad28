//! The projector whose table a replay rebuilds: whether it is at work, and how far it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;

use crate::limits;
use crate::store::Acts;
use crate::strategies::lag::applied::{Places, Projector};
use crate::strategies::{Applied, Systems, blocking};
use crate::stream::{GroupState, Log, StreamError};

/// Where the projector is, by topic and partition.
pub(super) type Standing = BTreeMap<String, Places>;

/// Why the projector cannot be taken to be at rest; nothing when it is, or where nothing can tell.
///
/// # Errors
/// When it cannot be asked.
pub(super) async fn activity(systems: &Systems, topics: &[String]) -> Result<Option<String>> {
    match &systems.applied {
        Applied::None | Applied::Within(_) => Ok(None),
        Applied::ConsumerGroup(name) => {
            let (log, name, topics) = (systems.log().await?, name.clone(), topics.to_vec());
            Ok(blocking(move || in_group(&log, &name, &topics)).await?)
        }
        Applied::Checkpoint(sql) => {
            let before = systems.read_store.query(sql).await?;
            tokio::time::sleep(limits::CHECKPOINT_LOOK).await;
            let moved = systems.read_store.query(sql).await? != before;
            Ok(moved.then(|| "its checkpoint moved while trueup looked".to_owned()))
        }
    }
}

/// Who is in the projector's group; nothing when nobody is.
fn in_group(log: &Arc<Log>, name: &str, topics: &[String]) -> Result<Option<String>, StreamError> {
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let group = log.group(name, &topics)?;
    if matches!(group.state, GroupState::Empty | GroupState::Dead) {
        return Ok(None);
    }
    let members: Vec<String> = group
        .members
        .iter()
        .map(|m| format!("{} from {}", m.client_id, m.host))
        .collect();
    Ok(Some(format!(
        "consumer group {name} is {:?} with {} members ({})",
        group.state,
        members.len(),
        members.join(", ")
    )))
}

/// Where it is in each of these topics; nothing where nothing says so.
///
/// # Errors
/// When it cannot be asked.
pub(super) async fn standing(systems: &Systems, topics: &[String]) -> Result<Standing> {
    let mut standing = Standing::new();
    for topic in topics {
        let places = Projector::of(systems, topic).standing().await?.places;
        standing.insert(topic.clone(), places);
    }
    Ok(standing)
}

/// What the group says under the locks of a swap: that nobody is in it, and that it is where it was.
///
/// # Errors
/// In words, when somebody may write.
pub(super) fn still_at_rest(
    log: &Arc<Log>,
    name: &str,
    topics: &[String],
    then: &Standing,
) -> Result<(), String> {
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let said = |e: StreamError| format!("the projector's group cannot be asked: {e}");
    if let Some(who) = in_group(log, name, topics).map_err(said)? {
        return Err(format!("the projector came back: {who}"));
    }
    for (topic, partition, offset) in log.group(name, &names).map_err(said)?.committed {
        let was = then.get(&topic).and_then(|p| p.get(&partition)).copied();
        if was.flatten() != offset {
            return Err(format!(
                "consumer group {name} moved to {offset:?} in {topic}:{partition} while its tables were swapped"
            ));
        }
    }
    Ok(())
}
