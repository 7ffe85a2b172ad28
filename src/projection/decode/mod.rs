//! From records to changes. One file a format; this page says what they share.

mod debezium;
mod encoding;
mod envelope;
pub mod events;
mod flat;
mod foreign;
mod framed;
mod kinds;
mod moment;
mod number;
mod peek;
mod placeholder;
mod schema;
mod settings;
mod value;

use std::fmt;

use self::events::EventDecoder;
use super::cell::Cell;
use super::change::{Change, Key};
use super::record::{Position, Record};
use super::seen::Seen;
use super::types::Column;
use super::types::ColumnType;
use super::version::{IdentityChanged, Version};

pub use debezium::Decoder;
pub use peek::{changed_at, offered_order};
pub use schema::described;
pub use settings::{BadSetting, Binary, Decimals, Flattened, Settings, Times};

/// Reads the records of one source, whatever they say.
#[derive(Debug)]
pub enum AnyDecoder {
    /// What rows have become.
    Rows(Box<Decoder>),
    /// What happened.
    Events(Box<EventDecoder>),
}

impl AnyDecoder {
    /// Pushes the changes of a record.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn decode<'a>(
        &mut self,
        record: &Record<'a>,
        out: &mut Vec<Change<'a>>,
    ) -> Result<Decoded, DecodeError> {
        match self {
            AnyDecoder::Rows(decoder) => decoder.decode(record, out),
            AnyDecoder::Events(decoder) => decoder.decode(record, out),
        }
    }

    /// The key of a record that cannot be read, and the version that its change would have.
    ///
    /// # Errors
    /// When the key cannot be read either: then nobody knows which row it is that is not as it should be.
    pub fn key(&mut self, record: &Record<'_>) -> Result<(Key<'static>, Version), DecodeError> {
        match self {
            AnyDecoder::Rows(decoder) => decoder.key_only(record),
            AnyDecoder::Events(decoder) => decoder.key_only(record),
        }
    }

    /// The newest truncate so far: no change older than it counts.
    #[must_use]
    pub fn truncated(&self) -> Option<Version> {
        match self {
            AnyDecoder::Rows(decoder) => decoder.truncated(),
            AnyDecoder::Events(_) => None,
        }
    }

    /// What a decoder that goes on from here must know.
    #[must_use]
    pub fn seen(&self) -> Seen {
        match self {
            AnyDecoder::Rows(decoder) => decoder.seen(),
            AnyDecoder::Events(decoder) => decoder.seen(),
        }
    }

    /// This decoder, going on where another one stopped.
    #[must_use]
    pub fn after(self, seen: &Seen) -> AnyDecoder {
        match self {
            AnyDecoder::Rows(decoder) => AnyDecoder::Rows(Box::new(decoder.after(seen))),
            AnyDecoder::Events(decoder) => AnyDecoder::Events(Box::new(decoder.after(seen))),
        }
    }
}

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
    /// Which columns the primary computes from others: streamed records do not have them, and an older value says nothing.
    pub computed: Vec<usize>,
    /// How the connector was set up.
    pub settings: Settings,
}

/// Why a column of this type cannot be read from a log; `is_list` says whether it is one of a fixed list of texts, which only
/// the catalog knows.
#[must_use]
pub fn unreadable(kind: &ColumnType, is_list: bool, settings: &Settings) -> Option<&'static str> {
    match kind {
        ColumnType::Other(name) => foreign::unreadable(name, is_list, settings),
        ColumnType::Array(of) if matches!(**of, ColumnType::Array(_)) => {
            Some("the connector does not write arrays of arrays")
        }
        ColumnType::Array(of) => unreadable(of, is_list, settings),
        _ => None,
    }
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
    /// The connector's sign of life.
    Heartbeat,
    /// Where a transaction begins or ends.
    Transaction,
    /// A statement that changed a table.
    SchemaChange,
    /// How far a snapshot is.
    Notification,
    /// A domain event of a type that says nothing of the view.
    Event,
}

impl Ignored {
    /// The word for it in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Ignored::Tombstone => "tombstone",
            Ignored::Message => "message",
            Ignored::Heartbeat => "heartbeat",
            Ignored::Transaction => "transaction",
            Ignored::SchemaChange => "schema change",
            Ignored::Notification => "notification",
            Ignored::Event => "event",
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
    /// Whether it says something of the log, or of the playbook, and not of this one record: leaving the record out is then no
    /// way on.
    pub of_the_log: bool,
}

impl DecodeError {
    fn new(at: Position<'_>, problem: impl Into<String>, hint: &'static str) -> DecodeError {
        DecodeError {
            at: at.to_string(),
            problem: problem.into(),
            hint,
            of_the_log: false,
        }
    }

    fn of_the_log(self) -> DecodeError {
        DecodeError {
            of_the_log: true,
            ..self
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
            of_the_log: true,
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
