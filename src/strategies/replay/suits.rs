//! Whether a view, its table and the projector are such that the view can be replayed now.

use anyhow::Result;

use super::Plan;
use crate::limits;
use crate::projection::mapping::From;
use crate::projection::types::ColumnType;
use crate::store::{Acts, Store, StoreError};
use crate::strategies::{Applied, Origin, Systems, View, blocking};
use crate::stream::GroupState;

/// Columns that cannot be read from a log.
pub(super) fn types(view: &View) -> Vec<String> {
    let mut refusals = Vec::new();
    for target in &view.mapping.columns {
        let From::Source(i) = target.from else {
            continue;
        };
        for (side, column) in [
            ("source", &view.mapping.source[i]),
            ("view", &target.column),
        ] {
            if !column.kind.is_known() {
                refusals.push(format!(
                    "view {}: column {} of the {side} has type {}, which this version cannot replay from a log",
                    view.name, column.name, column.kind
                ));
            }
        }
    }
    for (i, _) in &view.mapping.filter {
        if let ColumnType::Other(kind) = &view.mapping.source[*i].kind {
            refusals.push(format!("view {}: `where` tests column {} of type {kind}, which this version cannot read from a log", view.name, view.mapping.source[*i].name));
        }
    }
    refusals
}

/// Why a query cannot be run over its staged sources: a source without a key, or a type, function or collation that the
/// database does not know.
pub(super) async fn derivable(systems: &Systems, view: &View) -> Result<Vec<String>> {
    let Origin::Query { query, sources, .. } = &view.origin else {
        return Ok(Vec::new());
    };
    let mut refusals = Vec::new();
    for source in sources.iter().filter(|s| s.table.primary_key.is_empty()) {
        refusals.push(format!(
            "view {}: source table {} has no primary key, so its rows cannot be told apart in the log; give it one",
            view.name, source.table.table
        ));
    }
    let staging = systems.staging();
    let hollow = |name: &str| {
        let source = sources.iter().find(|s| s.name == name);
        source.map_or_else(String::new, |s| {
            let (staged, _) = super::shape::staged(s);
            format!("({})", staging.hollow(&staged.table))
        })
    };
    match staging.describe(&query.over(hollow)).await {
        // Without rows there is no key to group by; the staged tables will have one.
        Ok(_) | Err(StoreError::Ungrouped { .. }) => {}
        Err(StoreError::Sql { problem, .. } | StoreError::Value { problem, .. }) => refusals.push(format!(
            "view {}: its query cannot be run over the staged sources: {problem}; \
             what it needs (types, functions, extensions, collations) must be in that database too, or name another with `staging:`",
            view.name
        )),
        Err(other) => return Err(other.into()),
    }
    Ok(refusals)
}

/// What hangs on the view's table and would not survive a swap.
pub(super) async fn hanging(store: &Store, view: &View) -> Result<Vec<String>> {
    let obstacles = store.obstacles(&view.table).await?;
    let say = |o: crate::store::Obstacle| {
        format!(
            "{} would not survive the swap of {}: {o}",
            o.what, view.table.table
        )
    };
    Ok(obstacles.into_iter().map(say).collect())
}

/// The projector must not write while the table is being swapped.
pub(super) async fn projector(systems: &Systems, topic: &str, plan: &mut Plan) -> Result<()> {
    let Plan {
        notes, refusals, ..
    } = plan;
    match &systems.applied {
        Applied::None => {}
        Applied::Within(_) => notes.push(
            "`applied: within` does not let trueup see the projector: stop it before the swap, or what it writes in between is lost".to_owned(),
        ),
        Applied::ConsumerGroup(name) => {
            let (log, group, topic) = (systems.log().await?, name.clone(), topic.to_owned());
            let group = blocking(move || log.group(&group, &[&topic])).await?;
            if !matches!(group.state, GroupState::Empty | GroupState::Dead) {
                let members: Vec<String> = group.members.iter().map(|m| format!("{} from {}", m.client_id, m.host)).collect();
                refusals.push(format!(
                    "the projector is active: consumer group {name} is {:?} with {} members ({}); stop it and run the same command again",
                    group.state, members.len(), members.join(", ")
                ));
            }
            for (topic, partition, committed) in group.committed {
                let shown = committed.map_or_else(|| "nothing".to_owned(), |o| o.to_string());
                notes.push(format!("consumer group {name} committed {shown} in {topic}:{partition}"));
            }
        }
        Applied::Checkpoint(sql) => {
            let before = systems.read_store.query(sql).await?;
            tokio::time::sleep(limits::CHECKPOINT_LOOK).await;
            if systems.read_store.query(sql).await? != before {
                refusals.push("the projector is active: its checkpoint moved while trueup looked; stop it and run the same command again".to_owned());
            }
            for row in before {
                let cells: Vec<&str> = row.iter().map(|c| c.as_deref().unwrap_or("NULL")).collect();
                notes.push(format!("the projector's checkpoint: {}", cells.join(" ")));
            }
        }
    }
    Ok(())
}
