//! Whether a view, its table and the projector are such that the view can be replayed now.

use anyhow::Result;

use super::losses;
use super::projector;
use super::{Cutover, Destination, Options, Pausing, Plan};
use crate::projection::mapping::From;
use crate::projection::types::ColumnType;
use crate::store::{Acts, RunRecord, Store, StoreError};
use crate::strategies::{Applied, Origin, SourcePart, Systems, View};
use crate::stream::{Cleanup, Topic};

/// Columns that cannot be read from a log.
pub(super) fn types(view: &View) -> Vec<String> {
    let mut refusals = Vec::new();
    let Origin::Copy { source, .. } = &view.origin else {
        return refusals;
    };
    for column in &view.mapping.source {
        let Some(found) = source.table.column(&column.name) else {
            continue;
        };
        if let Some(why) = losses::unreadable(found, &source.settings) {
            refusals.push(format!(
                "view {}: column {} of the source has type {}, which cannot be read from a log: {why}",
                view.name, column.name, found.sql_type
            ));
        }
    }
    for (i, _) in &view.mapping.filter {
        if let ColumnType::Other(kind) = &view.mapping.source[*i].kind {
            refusals.push(format!("view {}: `where` tests column {} of type {kind}, which this version cannot read from a log", view.name, view.mapping.source[*i].name));
        }
    }
    refusals
}

/// What is to be known of a view that is made of events, and why it cannot be replayed.
pub(super) fn events(view: &View, topic: &Topic, options: &Options) -> (Vec<String>, Vec<String>) {
    let Origin::Events { source, .. } = &view.origin else {
        return (Vec::new(), Vec::new());
    };
    let mut refusals = Vec::new();
    if matches!(topic.cleanup, Cleanup::Compact | Cleanup::CompactDelete) {
        refusals.push(format!(
            "topic {} of source {} is compacted: of several events of one key all but the last may be gone, and a row is made of all of them",
            topic.name, source.name
        ));
    }
    if options.into == Destination::Live {
        refusals.push(format!(
            "view {} is made of events, which build on those before them: a stretch of the log does not say its rows",
            view.name
        ));
    }
    let mut notes = vec![format!(
        "the events of {} are taken in the order of their offsets, and a key in two partitions stops the run",
        topic.name
    )];
    notes.extend(
        view.incomparable()
            .map(|why| format!("{why}; it is not compared before the swap")),
    );
    (notes, refusals)
}

/// What the operator should know of the columns that a view reads from a source's log.
pub(super) fn losses(source: &SourcePart, view: &View) -> Vec<String> {
    let is_read = |name: &str| view.mapping.source.iter().any(|c| c.name == name);
    losses::notes(source, is_read)
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

/// Repairs of earlier runs that a replay takes back where the log does not have what they wrote. Who may not read trueup's own
/// tables is told nothing.
pub(super) async fn repaired(store: &Store, view: &View) -> Vec<String> {
    let of_view = |run: &RunRecord| run.kind == "reconcile" && run.table == view.table.table;
    let mut said = Vec::new();
    for run in store
        .runs()
        .await
        .unwrap_or_default()
        .into_iter()
        .filter(of_view)
    {
        let rows = (run.inserted + run.updated + run.deleted).saturating_sub(run.undone);
        if rows > 0 {
            said.push(format!(
                "run {} has repaired {rows} rows of {} from the primary: where the log does not have what it wrote, they are \
                 as the log has them afterwards; the check before the swap refuses a table that gets worse",
                run.id, run.table
            ));
        }
    }
    said
}

/// Unique keys of the view's table that no unique key of its source's table promises: rows that share a value stop a replay.
pub(super) fn unique(view: &View) -> Vec<String> {
    let Origin::Copy { source, .. } = &view.origin else {
        return Vec::new();
    };
    let mapping = &view.mapping;
    let of_source = |name: &String| {
        let target = mapping.columns.iter().find(|t| t.column.name == *name)?;
        match target.from {
            From::Source(i) => Some(mapping.source[i].name.clone()),
            _ => None,
        }
    };
    let key = mapping
        .key
        .iter()
        .map(|at| &mapping.columns[*at].column.name);
    let key: Vec<&String> = key.collect();
    let mut said = Vec::new();
    for unique in &view.table.unique_keys {
        if key.iter().all(|k| unique.contains(k)) {
            continue;
        }
        let columns: Option<Vec<String>> = unique.iter().map(of_source).collect();
        let is_promised = columns.is_some_and(|columns| {
            let mut keys = source.table.unique_keys.iter();
            keys.any(|key| key.iter().all(|column| columns.contains(column)))
        });
        if !is_promised {
            said.push(format!(
                "{} is unique by {}, and the primary's {} is not: rows of one value stop the run before the swap",
                view.table.table,
                unique.join(", "),
                source.table.table
            ));
        }
    }
    said
}

/// The projector must not write while its table is swapped, or repaired from the log: it has to be at rest, or there has to be a
/// way to bring it there.
pub(super) async fn projector(systems: &Systems, plan: &mut Plan) -> Result<()> {
    let topics = plan.topics();
    let (notes, refusals) = match plan.options.into {
        Destination::Live => {
            let who = projector::activity(systems, &topics).await?;
            let refusal = |who| {
                format!("the projector is active: {who}; stop it and run the same command again")
            };
            (unseen(systems), who.map(refusal).into_iter().collect())
        }
        Destination::Shadows if !plan.options.no_swap => {
            let cutover = &plan.options.cutover;
            let (mut notes, mut refusals) = can_rest(systems, &topics, cutover).await?;
            if cutover.hand_over {
                refusals.extend(projector::cannot_hand_over(systems, &topics).await?);
                notes.push(
                    "the projector's offsets are set to where the tables then are".to_owned(),
                );
            }
            (notes, refusals)
        }
        Destination::Shadows | Destination::Aside => return Ok(()),
    };
    plan.notes.extend(notes);
    plan.refusals.extend(refusals);
    for (topic, places) in projector::standing(systems, &topics).await? {
        for (partition, place) in places {
            let shown = place.map_or_else(|| "nowhere".to_owned(), |o| format!("at offset {o}"));
            plan.notes
                .push(format!("the projector is {shown} in {topic}:{partition}"));
        }
    }
    Ok(())
}

/// How the projector comes to rest while its tables are exchanged: notes, and why it cannot.
///
/// # Errors
/// When it cannot be asked.
pub(in crate::strategies) async fn can_rest(
    systems: &Systems,
    topics: &[String],
    cutover: &Cutover,
) -> Result<(Vec<String>, Vec<String>)> {
    let mut notes = unseen(systems);
    let mut refusals = Vec::new();
    let active = projector::activity(systems, topics).await?;
    match (active, &cutover.pausing) {
        (Some(who), Some(Pausing::Commands { .. })) => notes.push(format!(
            "the projector is active ({who}): it is paused for the swap, and resumed after it"
        )),
        (Some(who), Some(Pausing::ByHand(_))) => notes.push(format!(
            "the projector is active ({who}): you will be asked to stop it for the swap"
        )),
        (Some(who), None) if cutover.postpone.is_some() => notes.push(format!(
            "the projector is active ({who}): stop it before you remove the file that postpones the swap"
        )),
        (Some(who), None) => refusals.push(format!(
            "the projector is active: {who}; stop it and run the same command again, or say in `cutover:` how it is paused and resumed"
        )),
        (None, _) => {}
    }
    Ok((notes, refusals))
}

/// A projector of which nothing can be seen.
fn unseen(systems: &Systems) -> Vec<String> {
    let note = "`applied: within` does not let trueup see the projector: stop it before the swap, or what it writes in between is lost";
    match systems.applied {
        Applied::Within(_) => vec![note.to_owned()],
        _ => Vec::new(),
    }
}
