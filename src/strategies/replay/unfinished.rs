//! Runs that did not end: whether this one may go on with what they built.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::options::Begin;
use super::plan::Plan;
use super::shape::kept_as;
use crate::store::{Acts, Catalog, Unfinished};
use crate::strategies::{Systems, blocking, fingerprint};
use crate::stream::StreamError;

/// Changed whenever what a run remembers changes its meaning.
const FORM: u32 = 1;

/// What the work of a run is bound to: none of it is worth anything where one of these is another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Binding {
    form: u32,
    /// Offset zero, or a snapshot.
    begin: String,
    until: Vec<(String, i32, i64)>,
    /// Tables and staged sources, by what a snapshot would keep them as: the hash of what decides their rows and their shape.
    built: BTreeMap<String, String>,
    /// The order of each load's changes.
    orders: BTreeMap<String, String>,
    /// What tells each topic from another of its name.
    topics: BTreeMap<String, Option<String>>,
}

impl Binding {
    /// Of a plan.
    ///
    /// # Errors
    /// When the log cannot be asked.
    pub(super) async fn of(systems: &Systems, plan: &Plan) -> Result<Binding> {
        let log = systems.log().await?;
        let mut loaded: Vec<_> = plan.loads.iter().map(|l| l.topic.clone()).collect();
        loaded.sort_by(|a, b| a.name.cmp(&b.name));
        loaded.dedup_by(|a, b| a.name == b.name);
        let topics = blocking(move || {
            let identity = |t: &crate::stream::Topic| Ok((t.name.clone(), log.identity(t)?));
            loaded
                .iter()
                .map(identity)
                .collect::<Result<_, StreamError>>()
        })
        .await?;
        let loads = plan.loads.iter().map(|l| {
            let decides = (l.kept_as.clone(), shape(&l.projection, &l.view.table));
            (decides, (l.kept_as.clone(), l.order.to_string()))
        });
        let (mut built, orders): (BTreeMap<_, _>, BTreeMap<_, _>) = loads.unzip();
        for derived in &plan.derived {
            let canonical = fingerprint::canonical(&derived.view);
            built.insert(
                kept_as(&derived.view),
                shape(&canonical, &derived.view.table),
            );
        }
        Ok(Binding {
            form: FORM,
            begin: match &plan.options.begin {
                Begin::Snapshot(base) => format!("snapshot {}", base.id()),
                Begin::Zero | Begin::Offsets(_) => "offset zero".to_owned(),
            },
            until: plan.options.until.clone(),
            built,
            orders,
            topics,
        })
    }

    /// Why work that was bound to `then` is of no use to this plan.
    async fn misfit(&self, systems: &Systems, plan: &Plan, then: &Binding) -> Result<Vec<String>> {
        if self.form != then.form {
            return Ok(vec!["another version of trueup began it".to_owned()]);
        }
        let mut reasons = Vec::new();
        if (&self.begin, &self.until) != (&then.begin, &then.until) {
            reasons.push(format!("it began from {}", then.begin));
        }
        reasons.extend(changed(
            &then.built,
            &self.built,
            "another playbook or table",
        ));
        reasons.extend(changed(
            &then.orders,
            &self.orders,
            "another order of changes",
        ));
        for topic in plan.topics() {
            reasons.extend(then.replaced(systems, &topic).await?);
        }
        Ok(reasons)
    }

    /// Why a topic is not the one that this was bound to.
    async fn replaced(&self, systems: &Systems, topic: &str) -> Result<Option<String>> {
        let Some(Some(identity)) = self.topics.get(topic).cloned() else {
            return Ok(None);
        };
        let (log, name) = (systems.log().await?, topic.to_owned());
        let replaced = blocking(move || log.replaced(&log.topic(&name)?, &identity)).await?;
        Ok(replaced.map(|how| format!("topic {topic} was made anew: {how}")))
    }
}

/// Which of these topics are not those that a run was bound to; nothing where that cannot be said.
///
/// # Errors
/// When the log cannot be asked.
pub(in crate::strategies) async fn replaced(
    systems: &Systems,
    binding: &str,
    topics: &[String],
) -> Result<Vec<String>> {
    let mut reasons = Vec::new();
    if let Ok(then) = serde_json::from_str::<Binding>(binding) {
        for topic in topics {
            reasons.extend(then.replaced(systems, topic).await?);
        }
    }
    Ok(reasons)
}

/// What decides the rows of a table, and the table itself.
fn shape(canonical: &str, table: &Catalog) -> String {
    fingerprint::hash(&format!(
        "{canonical}\n{} {} {:?}",
        table.table, table.id, table.columns
    ))
}

fn changed(
    then: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
    what: &str,
) -> Option<String> {
    let mut names = then.keys().chain(now.keys());
    let name = names.find(|name| then.get(*name) != now.get(*name))?;
    Some(format!("it was of {what} for {name}"))
}

/// Lets a plan go on with what a dead run of the same kind left, or says why it cannot.
///
/// # Errors
/// When the read store or the log cannot be asked.
pub(super) async fn look(systems: &Systems, plan: &mut Plan) -> Result<()> {
    let Some(table) = plan
        .targets()
        .next()
        .map(|(view, _)| view.table.table.clone())
    else {
        return Ok(());
    };
    let binding = Binding::of(systems, plan).await?;
    plan.binding = serde_json::json!(binding).to_string();
    for left in systems.read_store.unfinished(&table).await? {
        let at = left.stage.as_deref().unwrap_or("beginning");
        let said = format!(
            "run {} of {} UTC did not end ({at})",
            left.run, left.started_at
        );
        if left.alive {
            plan.notes.push(format!(
                "{said}: it is underway, and this one will be refused until it ends"
            ));
            continue;
        }
        match usable(systems, plan, &binding, &left).await? {
            Ok(words) => {
                plan.notes.push(format!("{said}: this one goes on with it"));
                plan.take_over(&left.run, words);
            }
            Err(why) => plan.notes.push(format!(
                "{said}, and cannot be gone on with: {why}; it is removed"
            )),
        }
    }
    Ok(())
}

/// The binding of a run that can be gone on with, or why it cannot.
async fn usable(
    systems: &Systems,
    plan: &Plan,
    binding: &Binding,
    left: &Unfinished,
) -> Result<Result<String, String>> {
    let Some(words) = &left.binding else {
        return Ok(Err("it had not begun to load".to_owned()));
    };
    let Ok(then) = serde_json::from_str::<Binding>(words) else {
        return Ok(Err("another version of trueup began it".to_owned()));
    };
    let misfit = binding.misfit(systems, plan, &then).await?;
    Ok(if misfit.is_empty() {
        Ok(words.clone())
    } else {
        Err(misfit.join("; "))
    })
}
