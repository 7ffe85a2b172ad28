//! What can go wrong in a database, sorted by what the operator has to do about it.

/// An error of a store. Messages say what and where; the hint says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The server did not answer, or the connection broke.
    #[error("{database}: cannot be reached: {problem}")]
    Unreachable {
        /// The URL without its password.
        database: String,
        /// The driver's words.
        problem: String,
    },
    /// The server answered and said no to user or password.
    #[error("{database}: login refused: {problem}")]
    Login {
        /// The URL without its password.
        database: String,
        /// The driver's words.
        problem: String,
    },
    /// The role lacks a right.
    #[error("{act}: {problem}")]
    Denied {
        /// What was tried.
        act: String,
        /// The server's words.
        problem: String,
    },
    /// No such table.
    #[error("no table {table} in {database}{hint}")]
    NoTable {
        /// The table asked for.
        table: String,
        /// The URL without its password.
        database: String,
        /// `; did you mean …?` or nothing.
        hint: String,
    },
    /// A lock, another run or an old snapshot stands in the way; trying again may help.
    #[error("{problem}")]
    Busy {
        /// Who and what.
        problem: String,
    },
    /// The store cannot do this, and says why.
    #[error("{0}")]
    Refused(String),
    /// A value that the table does not take.
    #[error("{table}: {problem}")]
    Value {
        /// Table.
        table: String,
        /// The server's words, with column and value where it says them.
        problem: String,
    },
    /// Rows of a table being built that its unique index does not take together: there, where the log was read to.
    #[error("{problem}")]
    Unique {
        /// Table.
        table: String,
        /// Which index, which keys.
        problem: String,
    },
    /// The strategy's own error while it was being handed rows.
    #[error(transparent)]
    Sink(#[from] anyhow::Error),
    /// A query groups by a key that the database does not see as one.
    #[error("{act}: {problem}")]
    Ungrouped {
        /// What was tried.
        act: String,
        /// The server's words.
        problem: String,
    },
    /// Anything else the server said.
    #[error("{act}: {problem}")]
    Sql {
        /// What was tried.
        act: String,
        /// The server's words.
        problem: String,
    },
}
