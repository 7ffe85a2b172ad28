//! What arrives from the log: bytes at a position. Nothing here knows what the bytes mean.

use std::fmt;

/// Where a record stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position<'a> {
    /// Topic name.
    pub topic: &'a str,
    /// Partition number, from 0.
    pub partition: i32,
    /// Offset within the partition, from 0.
    pub offset: i64,
}

impl fmt::Display for Position<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.topic, self.partition, self.offset)
    }
}

/// One record of the log, borrowed from whoever read it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Where it stands.
    pub at: Position<'a>,
    /// The message key, opened if it came framed; `None` when the producer sent none.
    pub key: Option<&'a [u8]>,
    /// The message value, opened if it came framed; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers in their order; a header without a value has empty bytes.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// Whether the key came framed.
    pub key_frame: Frame<'a>,
    /// Whether the value came framed.
    pub value_frame: Frame<'a>,
}

/// How a key or value came: as it is, or behind the id of a schema that a registry holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Frame<'a> {
    /// As it is.
    #[default]
    None,
    /// Framed, and opened: the record holds the JSON that Connect would have written of it.
    Opened {
        /// The Connect schema of that JSON.
        schema: &'a str,
        /// The bytes as they came.
        bytes: &'a [u8],
    },
    /// Framed, and not to be opened: the record holds the bytes as they came.
    Sealed {
        /// Why not. Holds no values.
        problem: &'a str,
    },
}

impl<'a> Frame<'a> {
    /// The Connect schema of what was opened.
    #[must_use]
    pub fn schema(self) -> Option<&'a str> {
        match self {
            Frame::Opened { schema, .. } => Some(schema),
            Frame::None | Frame::Sealed { .. } => None,
        }
    }
}
