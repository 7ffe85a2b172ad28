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
    /// The message key; `None` when the producer sent none.
    pub key: Option<&'a [u8]>,
    /// The message value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers in their order; a header without a value has empty bytes.
    pub headers: &'a [(&'a str, &'a [u8])],
}
