//! What became of writes into a live table, for repairs and for their undo.

use crate::projection::change::Key;
use crate::report::reconcile::{Besides, DoneReport};
use crate::store::TableName;
use crate::store::repair::WriteKind;

/// Rows written, and keys that were not.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Rows inserted.
    pub inserted: u64,
    /// Rows updated.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// Keys that were not as they had to be any more, and were left alone.
    pub moved_on: Vec<Key<'static>>,
    /// Keys that the database did not take, and why.
    pub blocked: Vec<(Key<'static>, String)>,
}

impl Tally {
    /// Counts a row written.
    pub fn wrote(&mut self, kind: WriteKind) {
        *match kind {
            WriteKind::Insert => &mut self.inserted,
            WriteKind::Update => &mut self.updated,
            WriteKind::Delete => &mut self.deleted,
        } += 1;
    }

    /// Rows written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.inserted + self.updated + self.deleted
    }

    /// Whether everything that was asked for is done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.moved_on.is_empty() && self.blocked.is_empty()
    }

    /// What is shown of it.
    #[must_use]
    pub fn report(
        &self,
        act: &'static str,
        run: &str,
        view: Option<String>,
        table: &TableName,
        besides: Besides,
    ) -> DoneReport {
        let blocked = self.blocked.iter();
        DoneReport {
            act,
            run: run.to_owned(),
            view,
            table: table.to_string(),
            inserted: self.inserted,
            updated: self.updated,
            deleted: self.deleted,
            moved_on: self.moved_on.iter().map(ToString::to_string).collect(),
            blocked: blocked
                .map(|(k, why)| (k.to_string(), why.clone()))
                .collect(),
            besides,
        }
    }
}
