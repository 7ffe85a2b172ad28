//! The tests.

mod oracle;
mod stores {
    pub(crate) mod sqlite;
}
