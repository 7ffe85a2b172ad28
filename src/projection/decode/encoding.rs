//! How a column's values are written in a record. Bare JSON has no types, so the column's own type and the connector's
//! settings say it; an embedded schema says it outright.

use super::foreign::{self, Foreign};
use super::settings::{Binary, Decimals, Settings, Times};
use crate::projection::types::ColumnType;

/// How a value is written in the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As JSON has it: booleans, numbers, text.
    Plain,
    /// A decimal: base64 of the unscaled integer under this scale, or `{"scale","value"}`; numbers are taken too.
    Decimal { scale: Option<i32> },
    /// A decimal as text, or as a number.
    DecimalText,
    /// Bytes as text.
    Bytes(Binary),
    /// Days since the epoch.
    Days,
    /// Units since midnight.
    TimeOfDay { unit_nanos: i64 },
    /// Units since the epoch.
    Instant { unit_nanos: i64 },
    /// Text in ISO form, mostly with a zone.
    Iso,
    /// A list.
    Array(Box<Encoding>),
    /// A type that the engine knows as text only, in the record's own form.
    Foreign(Foreign),
    /// A list of such a type, which becomes the text of an array.
    ForeignArray(Box<Encoding>),
}

impl Encoding {
    /// How Debezium writes a column of this type under these settings.
    pub(super) fn bare(kind: &ColumnType, settings: &Settings) -> Encoding {
        match kind {
            ColumnType::Numeric { size } => match settings.decimals {
                Decimals::Precise => Encoding::Decimal {
                    scale: size.and_then(|(_, s)| i32::try_from(s).ok()),
                },
                Decimals::Double | Decimals::Text => Encoding::DecimalText,
            },
            ColumnType::Bytes => Encoding::Bytes(settings.binary),
            ColumnType::Date if settings.times == Times::Iso => Encoding::Iso,
            ColumnType::Date => Encoding::Days,
            ColumnType::Time { digits } => match time_unit(settings.times, *digits, true) {
                Some(unit_nanos) => Encoding::TimeOfDay { unit_nanos },
                None => Encoding::Iso,
            },
            ColumnType::Timestamp { digits } => match time_unit(settings.times, *digits, false) {
                Some(unit_nanos) => Encoding::Instant { unit_nanos },
                None => Encoding::Iso,
            },
            ColumnType::TimestampTz { .. } => Encoding::Iso,
            ColumnType::Array(of) => Encoding::Array(Box::new(Encoding::bare(of, settings))),
            ColumnType::Other(name) => match name.strip_suffix("[]") {
                Some(of) => {
                    let form = match foreign::of(of, settings) {
                        // Within an array addresses have no mask.
                        Foreign::Inet => Foreign::Spelled,
                        form => form,
                    };
                    Encoding::ForeignArray(Box::new(Encoding::Foreign(form)))
                }
                None => Encoding::Foreign(foreign::of(name, settings)),
            },
            _ => Encoding::Plain,
        }
    }
}

/// The unit of a time in nanoseconds; `None` where it is text.
fn time_unit(times: Times, digits: u8, of_day: bool) -> Option<i64> {
    const MILLIS: i64 = 1_000_000;
    const MICROS: i64 = 1_000;
    match times {
        Times::AdaptiveMicros if of_day => Some(MICROS),
        Times::Adaptive | Times::AdaptiveMicros if digits <= 3 => Some(MILLIS),
        Times::Adaptive | Times::AdaptiveMicros | Times::Micros => Some(MICROS),
        Times::Connect => Some(MILLIS),
        Times::Nanos => Some(1),
        Times::Iso => None,
    }
}

/// Whether the connector writes NULL for a TOASTed value of this type that an update did not touch: for most arrays it has
/// no placeholder.
pub(super) fn null_may_be_unchanged(kind: &ColumnType, settings: &Settings) -> bool {
    let as_days = !matches!(settings.times, Times::Iso | Times::Connect);
    match kind {
        ColumnType::Bytes => matches!(settings.binary, Binary::Base64 | Binary::UrlSafe),
        ColumnType::Array(of) => match &**of {
            ColumnType::Text { .. } | ColumnType::Json | ColumnType::Uuid => false,
            ColumnType::Int { bits, .. } => *bits < 32,
            ColumnType::Date => !as_days,
            ColumnType::Bytes => settings.binary != Binary::Bytes,
            _ => true,
        },
        ColumnType::Other(name) => name.ends_with("[]"),
        _ => false,
    }
}
