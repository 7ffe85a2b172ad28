//! A database that did not answer. What can be done without it is done; whatever asks it is told why it cannot.

use super::StoreError;

/// A database that cannot be reached.
#[derive(Clone, Debug)]
pub struct Down {
    database: String,
    problem: String,
}

impl Down {
    /// The database that this error says does not answer; any other error is given back.
    ///
    /// # Errors
    /// The error, when it says something else.
    pub fn of(error: StoreError) -> Result<Down, StoreError> {
        match error {
            StoreError::Unreachable { database, problem } => Ok(Down { database, problem }),
            other => Err(other),
        }
    }

    /// Why it cannot be asked.
    #[must_use]
    pub fn error(&self) -> StoreError {
        StoreError::Unreachable {
            database: self.database.clone(),
            problem: self.problem.clone(),
        }
    }
}
