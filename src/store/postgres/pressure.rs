//! Followers of the database, and what our sessions wait for.

use sqlx::postgres::PgRow;

use super::swap::blocker_at;
use super::{Postgres, StoreError, get};
use crate::store::dialect::postgres_pressure as sql;
use crate::store::{Follower, Replication, Waiting};

impl Postgres {
    pub(super) async fn read_replication(&self) -> Result<Replication, StoreError> {
        let act = "asking who follows the database";
        let rows = self.ask(act, sql::STANDING).await?;
        let row = rows.first().ok_or_else(|| self.empty(act))?;
        let position: Option<String> = get(row, 0)?;
        let hidden_from: Option<String> = get(row, 2)?;
        let followers = if hidden_from.is_some() {
            Vec::new()
        } else {
            self.ask(act, sql::FOLLOWERS).await?
        };
        // One that has just come has not said yet how far it is.
        let followers = followers.iter().map(follower).filter_map(Result::transpose);
        Ok(Replication {
            position: position.and_then(|p| p.parse().ok()),
            behind_seconds: get(row, 1)?,
            followers: followers.collect::<Result<_, _>>()?,
            hidden_from,
        })
    }

    pub(super) async fn read_waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        let pids = self.pids();
        let rows = self
            .ask("looking for what is waited for", &sql::waiting(&pids))
            .await?;
        let mut all: Vec<Waiting> = Vec::new();
        for row in &rows {
            let pid: i64 = get(row, 0)?;
            if all.last().is_none_or(|last| last.pid != pid) {
                all.push(waiting(row)?);
            }
            if let (Some(last), Some(_)) = (all.last_mut(), get::<Option<i64>>(row, 5)?) {
                last.blockers.push(blocker_at(row, 5)?);
            }
        }
        Ok(all)
    }
}

fn follower(row: &PgRow) -> Result<Option<Follower>, StoreError> {
    let (name, position): (String, Option<String>) = (get(row, 0)?, get(row, 1)?);
    let position = position.and_then(|p| p.parse().ok());
    Ok(position.map(|position| Follower { name, position }))
}

fn waiting(row: &PgRow) -> Result<Waiting, StoreError> {
    let tables: Option<String> = get(row, 4)?;
    Ok(Waiting {
        pid: get(row, 0)?,
        age_seconds: u64::try_from(get::<i64>(row, 1)?).unwrap_or(0),
        statement: get(row, 2)?,
        waits_for: get(row, 3)?,
        tables: tables.into_iter().collect(),
        blockers: Vec::new(),
    })
}
