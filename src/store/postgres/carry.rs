//! Between the locks and the COMMIT of a swap: everything that hangs on a table follows its name to another one, and what
//! stands at that name afterwards must be what stood there before. Foreign keys are checked when it is committed.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::swap::{Afterwards, Exchange, Exchanging};
use super::{Fence, Postgres, StoreError, affected, all, catalog, execute, fail, get, one, read};
use crate::store::dialect::postgres_swap::{self as swaps, Taking};
use crate::store::dialect::{
    postgres_hanging as hanging, postgres_load as load, postgres_obstacles as obstacles,
    postgres_run as runs, postgres_twin as twins,
};

/// No row is looked at under the locks of a swap, but as many as there are afterwards.
const CHECK_LIMITS: &str = "SET lock_timeout = '2s'; SET statement_timeout = 0";
/// Tries to get the lock of such a check, which any other change of the table stands in the way of.
const CHECK_TRIES: u32 = 3;

/// What a table is and has, and whether that acts on others: see [`twins::description`].
type Description = BTreeMap<String, BTreeSet<(bool, String)>>;

impl Postgres {
    /// All of it, in one transaction that the caller commits.
    pub(super) async fn exchange(
        &self,
        exchanging: &Exchanging<'_, '_>,
        tx: &mut PgConnection,
    ) -> Result<Afterwards, Exchange> {
        let takings = exchanging.takings;
        execute(tx, hanging::WHOLE_NAMES).await?;
        let locks = all(tx, "EXECUTE trueup_locks").await?;
        for lock in &locks {
            execute(tx, &get::<String>(lock, 0)?).await?;
        }
        execute(tx, &swaps::lock(takings)).await?;
        self.nobody_writes(exchanging.fence, tx).await?;
        self.finish(exchanging.finish, tx).await?;
        let mut before = Vec::with_capacity(takings.len());
        for taking in takings {
            // Under the lock nothing more can be hung on the table.
            before.push(check(taking, tx).await?);
        }
        let mut steps = BTreeMap::<String, Vec<String>>::new();
        for row in all(tx, "EXECUTE trueup_carried").await? {
            steps.entry(get(&row, 0)?).or_default().push(get(&row, 1)?);
        }
        let mut step = |name: &str| steps.remove(name).unwrap_or_default();
        execute(tx, &step("off").join("; ")).await?;
        for taking in takings {
            if let Some(run) = &taking.reverts {
                execute(tx, &swaps::no_longer_kept(run)).await?;
            }
            let holds = exchanging.fence.holds;
            if !holds.is_empty() {
                execute(tx, &load::holds(&taking.run, holds)).await?;
            }
            if affected(tx, &swaps::exchange(taking)).await? != 1 {
                let problem = format!("run {} is not running any more", taking.run);
                return Err(StoreError::Refused(problem).into());
            }
        }
        execute(tx, &step("on").join("; ")).await?;
        for (taking, before) in takings.iter().zip(&before) {
            let after = description("place", taking, tx).await?;
            let lost = differences(before, &after, true);
            if !lost.is_empty() {
                let problem = format!(
                    "{} would not be the same table after the swap: {}",
                    taking.place,
                    lost.join(", ")
                );
                return Err(StoreError::Refused(problem).into());
            }
        }
        Ok(Afterwards {
            checks: step("after"),
            warnings: step("say"),
        })
    }

    /// Finishes the tables that come, under the usual names.
    pub(super) async fn finish(
        &self,
        statements: &[String],
        tx: &mut PgConnection,
    ) -> Result<(), Exchange> {
        if statements.is_empty() {
            return Ok(());
        }
        let (usual, whole) = (hanging::USUAL_NAMES, hanging::WHOLE_NAMES);
        let sql = format!("{usual}; {}; {whole}", statements.join("; "));
        Ok(execute(tx, &sql).await?)
    }

    /// Looked at under the locks: who comes back now waits for them, and then finds the new tables.
    async fn nobody_writes(
        &self,
        fence: &Fence<'_>,
        tx: &mut PgConnection,
    ) -> Result<(), Exchange> {
        if let Some(role) = fence.writer_role {
            let sessions = all(tx, &runs::sessions_of(role)).await?;
            let named: Result<Vec<String>, StoreError> = sessions
                .iter()
                .map(|row| {
                    Ok(format!(
                        "pid {} ({})",
                        get::<i32>(row, 0)?,
                        get::<String>(row, 1)?
                    ))
                })
                .collect();
            if !sessions.is_empty() {
                let problem = format!("role {role} still has sessions: {}", named?.join(", "));
                return Err(StoreError::Busy { problem }.into());
            }
        }
        if let Some((sql, before)) = &fence.checkpoint {
            execute(tx, hanging::USUAL_NAMES).await?;
            let now = read::texts(&all(tx, &read::playbook_query(sql)).await?)?;
            execute(tx, hanging::WHOLE_NAMES).await?;
            if now != *before {
                let problem = "the projector came back: its checkpoint moved".to_owned();
                return Err(StoreError::Busy { problem }.into());
            }
        }
        let still = (fence.still)().await;
        still.map_err(|problem| StoreError::Busy { problem }.into())
    }

    /// Has the server plan the questions that are asked under the locks, which takes longer than their answers: with no lock
    /// held, each is asked once, and what it would refuse then disturbs nobody.
    pub(super) async fn rehearse(
        &self,
        takings: &[Taking],
        session: &mut PgConnection,
    ) -> Result<(), Exchange> {
        execute(session, hanging::WHOLE_NAMES).await?;
        let mut questions = vec![
            ("locks".to_owned(), hanging::locks(takings)),
            (
                "carried".to_owned(),
                hanging::carried(takings, self.version),
            ),
        ];
        for taking in takings {
            let id = taking.id;
            let obstacles = obstacles::obstacles(id, self.version);
            questions.push((format!("obstacles_{id}"), obstacles));
            for (which, name) in [("place", &taking.place), ("from", &taking.from)] {
                let description = twins::description(name, self.version);
                questions.push((format!("{which}_{id}"), description));
            }
        }
        for (name, question) in questions {
            execute(session, &format!("PREPARE trueup_{name} AS {question}")).await?;
        }
        for taking in takings {
            check(taking, session).await?;
        }
        all(session, "EXECUTE trueup_locks").await?;
        all(session, "EXECUTE trueup_carried").await?;
        Ok(())
    }

    /// Checks the foreign keys. The swap stays, whatever comes of it: what it gives is to be told.
    pub(super) async fn afterwards(
        &self,
        afterwards: Afterwards,
        session: &mut PgConnection,
    ) -> Vec<String> {
        let mut warnings = afterwards.warnings;
        if afterwards.checks.is_empty() {
            return warnings;
        }
        let limits = execute(session, CHECK_LIMITS).await;
        if let Err(problem) = limits {
            tracing::debug!(%problem, "the session of the swap is gone; a new one checks the foreign keys");
            match self.dedicated().await {
                Ok(fresh) => *session = fresh,
                Err(problem) => warnings.push(problem.to_string()),
            }
        }
        for check in afterwards.checks {
            if let Err(problem) = valid(session, &check).await {
                let problem = self.fail("checking a foreign key", problem);
                warnings.push(format!("the swap is done, and a foreign key holds for new rows only: {problem}; when that is repaired: {check}"));
            }
        }
        warnings
    }
}

/// Whether the live table is still the plan's, and the other one its twin in all that does not act. Gives what the live table
/// is.
async fn check(taking: &Taking, tx: &mut PgConnection) -> Result<Description, Exchange> {
    let place = &taking.place;
    let row = one(tx, &swaps::id_of(place)).await?;
    if get::<Option<i64>>(&row, 0)? != Some(taking.id) {
        let problem = format!("{place} was replaced by another table since the plan");
        return Err(StoreError::Refused(problem).into());
    }
    let hanging = all(tx, &format!("EXECUTE trueup_obstacles_{}", taking.id)).await?;
    if let Some(row) = hanging.first() {
        let obstacle = catalog::obstacle(row)?;
        let problem = format!("{place} cannot be swapped any more: {obstacle}");
        return Err(StoreError::Refused(problem).into());
    }
    let live = description("place", taking, tx).await?;
    let other = description("from", taking, tx).await?;
    let differences = differences(&live, &other, false);
    if differences.is_empty() {
        return Ok(live);
    }
    let problem = format!(
        "{place} was altered since the run began: {}",
        differences.join(", ")
    );
    Err(StoreError::Refused(problem).into())
}

/// What the table is that now has the name of the `place`, or of what comes `from` elsewhere.
async fn description(
    which: &str,
    taking: &Taking,
    tx: &mut PgConnection,
) -> Result<Description, Exchange> {
    let mut description = Description::new();
    for row in all(tx, &format!("EXECUTE trueup_{which}_{}", taking.id)).await? {
        let (what, acts): (String, bool) = (get(&row, 0)?, get(&row, 1)?);
        let spelled: Option<String> = get(&row, 2)?;
        let of = description.entry(what).or_default();
        of.insert((acts, spelled.unwrap_or_default()));
    }
    Ok(description)
}

async fn valid(session: &mut PgConnection, check: &str) -> Result<(), sqlx::Error> {
    let mut tries = 1;
    loop {
        match execute(session, check).await {
            Err(problem) if fail::is_lock_conflict(&problem) && tries < CHECK_TRIES => tries += 1,
            outcome => return outcome,
        }
    }
}

/// What is in one of them and not in the other; `acting` counts what acts on others too.
fn differences(one: &Description, other: &Description, acting: bool) -> Vec<String> {
    let none = BTreeSet::new();
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let counted = |of: &BTreeSet<(bool, String)>| -> BTreeSet<String> {
        let counted = of.iter().filter(|(acts, _)| acting || !acts);
        counted.map(|(_, spelled)| spelled.clone()).collect()
    };
    let differ = |name: &&String| {
        let of = |side: &Description| counted(side.get(*name).unwrap_or(&none));
        of(one) != of(other)
    };
    names.into_iter().filter(differ).cloned().collect()
}
