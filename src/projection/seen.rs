//! What reading on needs to know of the records before, beside the rows that they left.

use serde::{Deserialize, Serialize};

use super::version::Identity;
use super::version::Version;

/// What a decoder that goes on where another one stopped must know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// By partition, the highest source position: records without one take it.
    pub positions: Vec<(i32, [u64; 3])>,
    /// By partition, the epoch of that, where it is not the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub epochs: Vec<(i32, u8)>,
    /// By partition, the latest that the source's clock was.
    #[serde(default)]
    pub clocks: Vec<(i32, i64)>,
    /// By epoch, the database that the records came from.
    pub origins: Vec<Option<SourceIdentity>>,
    /// By partition, the key of a delete that was the last record there: its tombstone may follow.
    pub deleted: Vec<(i32, String)>,
    /// The newest truncate, before which nothing counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncated: Option<Version>,
}

/// The database that records come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceIdentity {
    /// Connector kind, `postgresql` for example.
    pub connector: String,
    /// The connector's logical name.
    pub name: String,
    /// Database.
    pub database: String,
    /// Server number; 0 where the connector tells none.
    pub server: u64,
}

impl SourceIdentity {
    /// Whether a record's identity is this one.
    pub(super) fn is(&self, other: &Identity<'_>) -> bool {
        self.server == other.server
            && self.name == other.name
            && self.database == other.database
            && self.connector == other.connector
    }

    /// As a record says it.
    pub(super) fn identity(&self) -> Identity<'_> {
        Identity {
            connector: &self.connector,
            name: &self.name,
            database: &self.database,
            server: self.server,
        }
    }
}

impl From<&Identity<'_>> for SourceIdentity {
    fn from(identity: &Identity<'_>) -> SourceIdentity {
        SourceIdentity {
            connector: identity.connector.to_owned(),
            name: identity.name.to_owned(),
            database: identity.database.to_owned(),
            server: identity.server,
        }
    }
}
