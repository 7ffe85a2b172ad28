//! The tests.

mod stores {
    pub(crate) mod sqlite;
}
