//! A pooler that gives each transaction another server session is no place for settings, locks and temporary tables of a
//! session: it is found out before anything relies on them.

use sqlx::PgConnection;

use super::ask::{execute, one};
use super::{Postgres, StoreError};

/// Looks at two connections: a pooler that others use at the same time may hide itself from one of them.
const LOOKS: usize = 3;

impl Postgres {
    /// Refuses a pooler in transaction or statement mode. Two connections of ours are two sessions of the server, and each
    /// stays the same outside transactions; behind such a pooler, the one that is at rest lends its session to the other.
    pub(super) async fn refuse_pooler(&self) -> Result<(), StoreError> {
        let mut first = self.acquire().await?;
        let mut second = self.acquire().await?;
        for _ in 0..LOOKS {
            match one_session(&mut first, &mut second).await {
                Ok(None) => {}
                Ok(Some(evidence)) => return Err(self.pooled(&evidence)),
                Err(e) if e.to_string().contains("statement pooling") => {
                    return Err(self.pooled("it allows no transactions"));
                }
                Err(e) => return Err(self.fail("looking for a pooler", e)),
            }
        }
        Ok(())
    }

    fn pooled(&self, evidence: &str) -> StoreError {
        StoreError::Refused(format!(
            "{}: a pooler that gives every transaction another session stands before this database ({evidence}); \
             settings and locks of a session would be lost or be somebody else's: connect to the server's own port, \
             or to a pool in session mode",
            self.database
        ))
    }
}

/// Why these two connections cannot be two sessions of a server; nothing when they can.
async fn one_session(
    first: &mut PgConnection,
    second: &mut PgConnection,
) -> Result<Option<String>, sqlx::Error> {
    let before = pid(first).await?;
    execute(second, "BEGIN").await?;
    let other = pid(second).await?;
    let evidence = if other == before {
        Some(format!("two connections have one server process, {before}"))
    } else {
        let after = pid(first).await?;
        (after != before)
            .then(|| format!("one connection has server process {before}, then {after}"))
    };
    execute(second, "ROLLBACK").await?;
    Ok(evidence)
}

async fn pid(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    let row = one(connection, "SELECT pg_backend_pid()").await?;
    sqlx::Row::try_get(&row, 0)
}
