//! The projector whose table a replay rebuilds: whether it is at work, and how far it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};

use crate::limits;
use crate::store::{Acts, NextOffset};
use crate::strategies::lag::applied::{Places, Projector};
use crate::strategies::{Applied, Systems, blocking};
use crate::stream::{GroupState, Log, StreamError};

/// Where the projector is, by topic and partition.
pub(in crate::strategies) type Standing = BTreeMap<String, Places>;

/// Why the projector cannot be taken to be at rest; nothing when it is, or where nothing can tell.
///
/// # Errors
/// When it cannot be asked.
pub(in crate::strategies) async fn activity(
    systems: &Systems,
    topics: &[String],
) -> Result<Option<String>> {
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
pub(in crate::strategies) async fn standing(
    systems: &Systems,
    topics: &[String],
) -> Result<Standing> {
    let mut standing = Standing::new();
    for topic in topics {
        let places = Projector::of(systems, topic).standing().await?.places;
        standing.insert(topic.clone(), places);
    }
    Ok(standing)
}

/// Lets the projector go on at these offsets. It rests.
///
/// # Errors
/// When the cluster refuses; the tables are swapped by then, and the error says what is left to do.
pub(super) async fn hand_over(systems: &Systems, to: &[NextOffset]) -> Result<()> {
    let Applied::ConsumerGroup(name) = &systems.applied else {
        return Ok(());
    };
    let next = |n: &NextOffset| (n.topic.clone(), n.partition, n.offset);
    let offsets: Vec<(String, i32, i64)> = to.iter().map(next).collect();
    let said: Vec<String> = offsets
        .iter()
        .map(|(t, p, o)| format!("{t}:{p}:{o}"))
        .collect();
    let (log, group) = (systems.log().await?, name.clone());
    blocking(move || log.set_group_offsets(&group, &offsets)).await.with_context(|| {
        format!(
            "the tables are swapped, and the projector's offsets are not set: set those of consumer group {name} to {} before it starts",
            said.join(", ")
        )
    })
}

/// Why the projector's offsets cannot be set: they are those of everything that its group reads.
///
/// # Errors
/// When the log cannot be asked.
pub(super) async fn cannot_hand_over(
    systems: &Systems,
    topics: &[String],
) -> Result<Option<String>> {
    let Applied::ConsumerGroup(name) = &systems.applied else {
        let why = "--hand-over sets the offsets of a consumer group, and `applied:` names none";
        return Ok(Some(why.to_owned()));
    };
    let (log, group) = (systems.log().await?, name.clone());
    let mut other = blocking(move || log.group_topics(&group)).await?;
    other.retain(|topic| !topics.contains(topic));
    Ok((!other.is_empty()).then(|| {
        format!(
            "--hand-over is for a group whose every topic is in this replay: {name} reads {}, too",
            other.join(", ")
        )
    }))
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
