//! From records to changes. One file a format; this page says what they share.

mod debezium;
mod envelope;
mod schema;
mod value;

use std::fmt;

use super::cell::Cell;
use super::record::Position;
use super::types::Column;
use super::version::IdentityChanged;

pub use debezium::{Decoder, changed_at, offered_order};
pub use schema::described;

/// What the engine must know of a source to read its records.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name in the playbook, for messages.
    pub name: String,
    /// The columns of a source row, in its order, with the primary's types.
    pub columns: Vec<Column>,
    /// Which of them are the key of the log, in the order of a change's key.
    pub key: Vec<usize>,
    /// Former names of columns, which older records use: name and column.
    pub former: Vec<(String, usize)>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// So many changes were pushed.
    Changes(usize),
    /// It says nothing about rows.
    Ignored(Ignored),
}

/// Why a record says nothing about rows.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub enum Ignored {
    /// The tombstone behind a delete that was read just before it.
    Tombstone,
    /// A logical message of the primary (`op: m`).
    Message,
}

impl Ignored {
    /// The word for it in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Ignored::Tombstone => "tombstone",
            Ignored::Message => "message",
        }
    }
}

/// A record that cannot be decoded: where it stands, what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// `topic:partition:offset`.
    pub at: String,
    /// What is wrong with it. Never holds values.
    pub problem: String,
    /// What to do next; may be empty.
    pub hint: &'static str,
}

impl DecodeError {
    fn new(at: Position<'_>, problem: impl Into<String>, hint: &'static str) -> DecodeError {
        DecodeError {
            at: at.to_string(),
            problem: problem.into(),
            hint,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {}: {}", self.at, self.problem)?;
        if self.hint.is_empty() {
            Ok(())
        } else {
            write!(f, "; {}", self.hint)
        }
    }
}

impl std::error::Error for DecodeError {}

impl From<IdentityChanged> for DecodeError {
    fn from(e: IdentityChanged) -> DecodeError {
        DecodeError {
            problem: format!("it comes from {}, those before it from {}", e.now, e.was),
            at: e.at,
            hint: "if the source was restored or moved, name this offset in the source's `epochs:`",
        }
    }
}

/// A 64-bit word that orders as the value does, for `order_by`; `None` when the value has no such word.
fn order_word(cell: &Cell<'_>) -> Option<u64> {
    const SIGN: u64 = 1 << 63;
    let signed = |i: i64| i.cast_unsigned() ^ SIGN;
    match cell {
        Cell::Int(i) => i64::try_from(*i).ok().map(signed),
        Cell::Date(d) => Some(signed(i64::from(*d))),
        Cell::Timestamp(t) | Cell::TimestampTz(t) => Some(signed(*t)),
        _ => None,
    }
}
