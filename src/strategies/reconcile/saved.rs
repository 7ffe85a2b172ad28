//! A plan in a file: made and read by one person, applied by another. It says what it was made for, so that it cannot be
//! applied to anything else, and each repair is fenced by what both sides said then.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::{Against, Options, Plan, Took, check};
use crate::limits;
use crate::projection::calendar;
use crate::projection::cell::{Cell, Row};
use crate::projection::change::Key;
use crate::projection::diff::Repair;
use crate::projection::text;
use crate::projection::types::Column;
use crate::report::json::FORMAT;
use crate::report::table::grouped;
use crate::store::repair::Image;
use crate::store::{Acts, Identity};
use crate::strategies::{Refused, Systems, View, fingerprint, verify};

/// The file.
#[derive(Debug, Serialize, Deserialize)]
pub struct File {
    format: u32,
    plan: String,
    playbook: String,
    made_at: String,
    primary: String,
    read_store: String,
    views: Vec<SavedView>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedView {
    view: String,
    table: String,
    projection: String,
    /// What the hash is of, to say what has changed.
    #[serde(default)]
    decides: String,
    rows: u64,
    lagging: u64,
    unknown: u64,
    columns: Vec<String>,
    repairs: Vec<SavedRepair>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedRepair {
    key: Image,
    before: Option<Image>,
    after: Option<Image>,
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn place(identity: &Identity) -> String {
    format!("{} {}", identity.engine, identity.database)
}

async fn places(systems: &Systems) -> Result<(String, String)> {
    let (primary, read_store) =
        tokio::try_join!(systems.primary.identity(), systems.read_store.identity())?;
    Ok((place(&primary), place(&read_store)))
}

/// The plans of a playbook as the text of a file. It holds rows.
///
/// # Errors
/// When the databases cannot be asked who they are.
pub async fn write(systems: &Systems, playbook: &str, plans: &[Plan]) -> Result<String> {
    let (primary, read_store) = places(systems).await?;
    let mut made_at = String::new();
    let micros = i64::try_from(now().as_micros()).unwrap_or(0);
    calendar::write_timestamp(&mut made_at, micros, "+00");
    let file = File {
        format: FORMAT,
        plan: "reconcile".to_owned(),
        playbook: playbook.to_owned(),
        made_at,
        primary,
        read_store,
        views: plans.iter().map(saved).collect(),
    };
    Ok(serde_json::to_string_pretty(&file)? + "\n")
}

fn saved(plan: &Plan) -> SavedView {
    let mapping = plan.view.mapping.compared();
    let columns: Vec<Column> = mapping.columns.iter().map(|t| t.column.clone()).collect();
    let image = |cells: &[Cell<'static>], which: &mut dyn Iterator<Item = usize>| {
        let text = which
            .zip(cells)
            .map(|(at, c)| (columns[at].name.clone(), text::of(c)));
        Image(text.collect())
    };
    let whole = |row: &Option<Row<'static>>| row.as_ref().map(|r| image(r, &mut (0..r.len())));
    let repair = |r: &Repair| SavedRepair {
        key: image(&r.key.0, &mut mapping.key.iter().copied()),
        before: whole(&r.before),
        after: whole(&r.after),
    };
    SavedView {
        view: plan.view.name.clone(),
        table: plan.view.table.table.to_string(),
        projection: fingerprint::hash(&fingerprint::canonical(&plan.view)),
        decides: fingerprint::canonical(&plan.view),
        rows: plan.rows,
        lagging: plan.lagging,
        unknown: plan.undecided,
        columns: plan
            .selection
            .columns
            .iter()
            .map(|at| columns[*at].name.clone())
            .collect(),
        repairs: plan.repairs.iter().map(repair).collect(),
    }
}

/// Reads a file that [`write()`] made.
///
/// # Errors
/// When it is none.
pub fn parse(text: &str) -> Result<File> {
    let file: File = serde_json::from_str(text)
        .map_err(|e| Refused::because(format!("this is no plan that trueup wrote: {e}")))?;
    if file.format != FORMAT || file.plan != "reconcile" {
        let reason = format!(
            "a plan of format {} {}, not {FORMAT} reconcile",
            file.format, file.plan
        );
        return Err(Refused::because(reason).into());
    }
    Ok(file)
}

/// The plan of one view out of a file; `None` when the file has none for it.
///
/// # Errors
/// When it was made for something else, or too long ago.
pub async fn plan(
    file: &File,
    systems: &Systems,
    playbook: &str,
    view: &View,
    run: String,
    options: &Options,
) -> Result<Option<Plan>> {
    let Some(found) = file.views.iter().find(|v| v.view == view.name) else {
        return Ok(None);
    };
    verify::refuse_same_table(systems, view).await?;
    stale(file, found, systems, playbook, view).await?;
    let mapping = view.mapping.compared();
    let columns: Vec<Column> = mapping.columns.iter().map(|t| t.column.clone()).collect();
    let keys: Vec<Column> = mapping.key.iter().map(|at| columns[*at].clone()).collect();
    let mut repairs = Vec::with_capacity(found.repairs.len());
    for (at, saved) in found.repairs.iter().enumerate() {
        let row = |image: &Option<Image>| image.as_ref().map(|i| cells(i, &columns)).transpose();
        let read = || -> Result<Repair> {
            Ok(Repair {
                key: Key(cells(&saved.key, &keys)?),
                before: row(&saved.before)?,
                after: row(&saved.after)?,
            })
        };
        repairs.push(read().with_context(|| format!("view {}, repair {}", view.name, at + 1))?);
    }
    let mut selection = options.selection.clone();
    let at = |name: &String| columns.iter().position(|c| c.name == *name);
    selection.columns = found.columns.iter().filter_map(at).collect();
    let mut plan = Plan {
        against: Against::Primary,
        run,
        view: view.clone(),
        selection,
        repairs,
        rows: found.rows,
        beyond: 0,
        lagging: found.lagging,
        undecided: found.unknown,
        causes: BTreeMap::new(),
        explained: None,
        reasons: Vec::new(),
        notes: Vec::new(),
        refusals: Vec::new(),
        lag_wait: options.lag_wait,
        saved: true,
        took: Took::default(),
    };
    check(systems, &mut plan, options).await?;
    Ok(Some(plan))
}

fn cells(image: &Image, columns: &[Column]) -> Result<Row<'static>> {
    let cell = |column: &Column| match image.get(&column.name) {
        Some(None) => Ok(Cell::Null),
        Some(Some(written)) => text::read(&column.kind, written)
            .map(Cell::into_owned)
            .ok_or_else(|| {
                Refused::because(format!(
                    "column {}: no value of type {}",
                    column.name, column.kind
                ))
                .into()
            }),
        None => Err(Refused::because(format!("column {} is missing", column.name)).into()),
    };
    columns.iter().map(cell).collect()
}

/// Refuses a plan that was made for something else, or too long ago.
async fn stale(
    file: &File,
    found: &SavedView,
    systems: &Systems,
    playbook: &str,
    view: &View,
) -> Result<()> {
    let (primary, read_store) = places(systems).await?;
    let mut reasons = Vec::new();
    for (what, made_for, here) in [
        ("playbook", &file.playbook, &playbook.to_owned()),
        ("primary", &file.primary, &primary),
        ("read store", &file.read_store, &read_store),
    ] {
        if made_for != here {
            reasons.push(format!(
                "the plan was made for another {what}: {made_for}, not {here}"
            ));
        }
    }
    let decides = fingerprint::canonical(view);
    if found.projection != fingerprint::hash(&decides) {
        let changes = fingerprint::changes(&found.decides, &decides).join(", ");
        reasons.push(format!(
            "the plan was made for another projection of view {}: changed since: {changes}",
            view.name
        ));
    }
    let made_at = calendar::read_timestamp_tz(&file.made_at);
    let age = made_at.map(|at| i64::try_from(now().as_micros()).unwrap_or(0) - at);
    let most = i64::try_from(limits::PLAN_AGE_MAX.as_micros()).unwrap_or(i64::MAX);
    match age {
        Some(age) if (-most..=most).contains(&age) => {}
        _ => reasons.push(format!(
            "the plan was made at {}, more than {} hours ago",
            file.made_at,
            grouped(limits::PLAN_AGE_MAX.as_secs() / 3_600)
        )),
    }
    if reasons.is_empty() {
        return Ok(());
    }
    reasons.push("make a new one: trueup reconcile PLAYBOOK --out FILE".to_owned());
    Err(Refused(reasons).into())
}
