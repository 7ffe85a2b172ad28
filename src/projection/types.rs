//! The types of columns, as far as they change what a value means. Stores translate their catalogs into these.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The type of a column. Its serialized form is part of the format of snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// A boolean.
    Bool,
    /// An integer of 8, 16, 32 or 64 bits.
    Int {
        /// Width in bits.
        bits: u8,
        /// Whether it has no negative values.
        unsigned: bool,
    },
    /// A binary floating-point number of 32 bits.
    Float32,
    /// A binary floating-point number of 64 bits.
    Float64,
    /// A decimal number; without a size it takes any precision and scale.
    Numeric {
        /// Total digits and digits after the point.
        size: Option<(u32, u32)>,
    },
    /// Text of any length, or of at most `max_chars` characters.
    Text {
        /// Longest value in characters.
        max_chars: Option<u32>,
        /// `char(n)`: blanks at the end are padding and mean nothing.
        padded: bool,
    },
    /// Bytes.
    Bytes,
    /// A calendar date.
    Date,
    /// A time of day without a zone, with so many digits of seconds.
    Time {
        /// Digits after the second, 0 to 6.
        digits: u8,
    },
    /// A timestamp without a zone, with so many digits of seconds.
    Timestamp {
        /// Digits after the second, 0 to 6.
        digits: u8,
    },
    /// An instant, with so many digits of seconds.
    TimestampTz {
        /// Digits after the second, 0 to 6.
        digits: u8,
    },
    /// A UUID.
    Uuid,
    /// A JSON document.
    Json,
    /// A one-dimensional array.
    Array(Box<ColumnType>),
    /// A type that the engine knows as text only, by the database's name for it. It can be compared between two databases of
    /// one kind; how far it can be read from a log, `decode::unreadable` says.
    Other(String),
}

impl ColumnType {
    /// Text without a limit.
    pub const TEXT: ColumnType = ColumnType::Text {
        max_chars: None,
        padded: false,
    };
    /// A signed integer of 64 bits.
    pub const INT64: ColumnType = ColumnType::Int {
        bits: 64,
        unsigned: false,
    };

    /// Least and greatest value of an integer type of `bits`.
    #[must_use]
    pub fn int_range(bits: u8, unsigned: bool) -> (i128, i128) {
        if unsigned {
            (0, (1i128 << bits) - 1)
        } else {
            (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ColumnType::Bool => f.write_str("boolean"),
            ColumnType::Int { bits, unsigned } => {
                write!(f, "{}int{bits}", if *unsigned { "u" } else { "" })
            }
            ColumnType::Float32 => f.write_str("float32"),
            ColumnType::Float64 => f.write_str("float64"),
            ColumnType::Numeric { size: None } => f.write_str("numeric"),
            ColumnType::Numeric { size: Some((p, s)) } => write!(f, "numeric({p},{s})"),
            ColumnType::Text {
                max_chars: None, ..
            } => f.write_str("text"),
            ColumnType::Text {
                max_chars: Some(n),
                padded,
            } => {
                write!(f, "{}({n})", if *padded { "char" } else { "varchar" })
            }
            ColumnType::Bytes => f.write_str("bytes"),
            ColumnType::Date => f.write_str("date"),
            ColumnType::Time { digits } => write!(f, "time({digits})"),
            ColumnType::Timestamp { digits } => write!(f, "timestamp({digits})"),
            ColumnType::TimestampTz { digits } => write!(f, "timestamptz({digits})"),
            ColumnType::Uuid => f.write_str("uuid"),
            ColumnType::Json => f.write_str("json"),
            ColumnType::Array(of) => write!(f, "{of}[]"),
            ColumnType::Other(name) => f.write_str(name),
        }
    }
}

/// A column of a source or a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, unquoted.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Whether NULL may stand in it.
    pub nullable: bool,
}
