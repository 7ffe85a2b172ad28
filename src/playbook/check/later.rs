//! What a playbook may say and this version cannot do: recognised, and refused in one place. A
//! line goes from here when its work is done.

use super::reader::Reader;
use crate::playbook::secret::DatabaseKind;
use crate::playbook::shape::Field;

/// What cannot be done yet.
pub(in crate::playbook) enum Later {
    /// `heartbeat:`
    Heartbeat,
    /// `mysql://`
    Mysql,
}

impl Later {
    pub(in crate::playbook) fn what(&self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeats are not supported by this version",
            Self::Mysql => "MySQL and MariaDB are not supported by this version",
        }
    }

    pub(in crate::playbook) fn fix(&self) -> &'static str {
        match self {
            Self::Heartbeat => "name the connector's replication slot: `{ slot: name }`",
            Self::Mysql => "PostgreSQL and SQLite are",
        }
    }
}

impl Reader<'_> {
    /// Refuses what stands at `path`.
    pub(super) fn later(&mut self, path: &str, later: &Later) {
        self.problem(path, later.what(), later.fix());
    }

    /// Refuses the key at `path` if it is there; says whether it was.
    pub(super) fn later_key<T>(&mut self, path: &str, field: &Field<T>, later: &Later) -> bool {
        let written = field.is_written();
        if written {
            self.later(path, later);
        }
        written
    }

    /// Refuses a kind of database that cannot be spoken to yet.
    pub(super) fn speaks(&mut self, path: &str, kind: DatabaseKind) -> Option<()> {
        match kind {
            DatabaseKind::Postgres | DatabaseKind::Sqlite => Some(()),
            DatabaseKind::Mysql => {
                self.later(path, &Later::Mysql);
                None
            }
        }
    }
}
