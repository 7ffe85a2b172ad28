//! The driver's errors, sorted by what the operator has to do.

use sqlx::postgres::PgDatabaseError;

use crate::store::StoreError;

/// `act` is what was tried, for the message.
pub(super) fn store_error(database: &str, act: &str, error: sqlx::Error) -> StoreError {
    let unreachable = |problem: String| StoreError::Unreachable {
        database: database.to_owned(),
        problem,
    };
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default().into_owned();
            sorted(database, act, &code, words(&*error))
        }
        sqlx::Error::PoolTimedOut => {
            unreachable("no connection became free or could be made in time".to_owned())
        }
        error @ (sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed) => unreachable(format!("{act}: {error}")),
        error => StoreError::Sql {
            act: act.to_owned(),
            problem: error.to_string(),
        },
    }
}

fn sorted(database: &str, act: &str, code: &str, problem: String) -> StoreError {
    let (database, act) = (database.to_owned(), act.to_owned());
    match code {
        "28P01" | "28000" | "3D000" => StoreError::Login { database, problem },
        "42501" | "25006" => StoreError::Denied { act, problem },
        "55P03" | "40P01" | "40001" | "55006" => StoreError::Busy {
            problem: format!("{act}: {problem}"),
        },
        "53100" => StoreError::Sql {
            act: format!("{database}: {act}"),
            problem: format!(
                "{problem}; the disk is full: make room, then run the same command again"
            ),
        },
        "53300" => StoreError::Unreachable { database, problem },
        "42803" => StoreError::Ungrouped { act, problem },
        // A trigger's own error, and a row that its view's CHECK OPTION refuses.
        "P0001" | "44000" | "27000" => StoreError::Value {
            table: act,
            problem,
        },
        "23505" => StoreError::Unique {
            table: act,
            problem,
        },
        _ => match &code[..code.len().min(2)] {
            "08" | "57" if code != "57014" => StoreError::Unreachable { database, problem },
            "22" | "23" => StoreError::Value {
                table: act,
                problem,
            },
            _ => StoreError::Sql { act, problem },
        },
    }
}

/// The server's message with whatever tells the place.
fn words(error: &dyn sqlx::error::DatabaseError) -> String {
    let mut words = error.message().to_owned();
    if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
        let place = error.r#where().map(place);
        // The detail of a constraint's error quotes the row.
        let detail = error.detail().filter(|_| !error.code().starts_with("23"));
        for more in [detail, place, error.hint()].into_iter().flatten() {
            words.push_str("; ");
            words.push_str(more.lines().next().unwrap_or_default());
        }
    }
    words
}

/// COPY's context goes on with the column's value, or with the whole row: messages name places, not rows.
fn place(context: &str) -> &str {
    match context.find(": \"") {
        Some(at) if context.starts_with("COPY ") => &context[..at],
        _ => context,
    }
}

/// Whether trying again may help, and nothing of the transaction is left.
pub(super) fn is_lock_conflict(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(e) if matches!(e.code().as_deref(), Some("55P03" | "40P01")))
}

/// Whether two rows have one value of a unique index.
pub(super) fn is_unique_violation(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(e) if e.code().as_deref() == Some("23505"))
}

/// Whether the connection broke, so that the fate of a COMMIT is not known.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(e) => e
            .code()
            .is_some_and(|c| c.starts_with("08") || matches!(&*c, "57P01" | "57P02" | "57P03")),
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_told_without_the_row() {
        assert_eq!(place("COPY t, line 1: \"7\tsecret\""), "COPY t, line 1");
        assert_eq!(
            place("COPY t, line 3, column x: \"a: \"b\"\""),
            "COPY t, line 3, column x"
        );
        assert_eq!(place("SQL function \"f\""), "SQL function \"f\"");
    }

    #[test]
    fn by_what_to_do() {
        let kind = |code: &str| match sorted("db", "act", code, "words".to_owned()) {
            StoreError::Unreachable { .. } => "unreachable",
            StoreError::Login { .. } => "login",
            StoreError::Denied { .. } => "denied",
            StoreError::Busy { .. } => "busy",
            StoreError::Value { .. } => "value",
            StoreError::Unique { .. } => "unique",
            _ => "sql",
        };
        for (code, want) in [
            ("28P01", "login"),
            ("42501", "denied"),
            ("25006", "denied"),
            ("55P03", "busy"),
            ("22P02", "value"),
            ("23502", "value"),
            ("23505", "unique"),
            ("57P01", "unreachable"),
            ("57014", "sql"),
            ("42703", "sql"),
            ("", "sql"),
        ] {
            assert_eq!(kind(code), want, "{code}");
        }
    }
}
