//! Dates, times and timestamps in the units that the connector writes, and what it cannot write.
//!
//! Where it is known that a value arrives as another one (infinities beyond recognition, the old calendar before 1582, years
//! that overflow), the value is lost: better none than a wrong one.

use super::value::{Read, Unread, shape, string};
use crate::projection::calendar;
use crate::projection::cell::Cell;
use crate::projection::text;
use crate::projection::types::ColumnType;

/// PostgreSQL's dates begin in 4714 BC and end in 5874897 AD.
const DATES: std::ops::RangeInclusive<i64> = -2_440_588..=2_145_042_905;
/// Its first timestamp, 4714-11-24 BC, in microseconds.
const FIRST_MICROS: i64 = -210_866_803_200_000_000;
/// How the connector writes infinity: its own two constants in a stream, and in a snapshot what becomes of those of the
/// driver, which the zone of the connector may move by a day.
const INFINITE_DATES: [(std::ops::RangeInclusive<i64>, i32); 4] = [
    (-2_147_472_692..=-2_147_472_692, i32::MAX),
    (-2_147_472_691..=-2_147_472_691, i32::MIN),
    (-622_191_235..=-622_191_233, i32::MAX),
    (-625_821_273..=-625_821_271, i32::MIN),
];
/// The values by which the PostgreSQL connector writes infinity, in microseconds.
const INFINITE_MICROS: (i64, i64) = (9_223_372_036_825_200_000, -9_223_372_036_832_400_000);
/// The earlier of them as text, which begins on a day that microseconds do not hold.
const INFINITE_ISO: &str = "-290308-12-21T19:59:27.6";
/// Where snapshots and arrays stop being in the old calendar: ten days after it ended, for its last days arrive as those.
const NEW_CALENDAR_MICROS: i64 = -12_218_428_800_000_000;
/// The days that the change of the calendar left out, as they arrive in a snapshot.
const LEFT_OUT_DAYS: std::ops::RangeInclusive<i64> = -141_427..=-141_418;

/// Days since the epoch.
pub(super) fn days(days: i64, old_calendar: bool) -> Read<'static> {
    if let Some((_, infinite)) = INFINITE_DATES.iter().find(|(at, _)| at.contains(&days)) {
        return Ok(Cell::Date(*infinite));
    }
    if old_calendar && LEFT_OUT_DAYS.contains(&days) {
        return Err(Unread::Lost);
    }
    match i32::try_from(days) {
        Ok(date) if DATES.contains(&days) => Ok(Cell::Date(date)),
        _ => Err(Unread::Bad("a date out of range".to_owned())),
    }
}

/// Units since midnight.
pub(super) fn time_of_day(value: i64, unit_nanos: i64) -> Read<'static> {
    let micros = to_micros(value, unit_nanos).ok_or("a time finer than a microsecond")?;
    if (0..=calendar::DAY_MICROS).contains(&micros) {
        Ok(Cell::Time(micros))
    } else {
        Err(Unread::Bad("a time of day out of range".to_owned()))
    }
}

fn to_micros(value: i64, unit_nanos: i64) -> Option<i64> {
    let nanos = i128::from(value) * i128::from(unit_nanos);
    if nanos % 1_000 == 0 {
        i64::try_from(nanos / 1_000).ok()
    } else {
        None
    }
}

/// Units since the epoch.
pub(super) fn instant(
    value: i64,
    unit_nanos: i64,
    kind: &ColumnType,
    old_calendar: bool,
) -> Read<'static> {
    let micros = match to_micros(value, unit_nanos) {
        Some(micros) => micros,
        None if unit_nanos > 1_000 => return Err(Unread::Lost),
        None => return Err("a timestamp finer than a microsecond".into()),
    };
    of_micros(micros, kind, old_calendar)
}

fn of_micros(micros: i64, kind: &ColumnType, old_calendar: bool) -> Read<'static> {
    let micros = match micros {
        m if m == INFINITE_MICROS.0 => i64::MAX,
        m if m == INFINITE_MICROS.1 => i64::MIN,
        i64::MAX | i64::MIN => micros,
        m if m < FIRST_MICROS || (old_calendar && m < NEW_CALENDAR_MICROS) => {
            return Err(Unread::Lost);
        }
        m => m,
    };
    Ok(match kind {
        ColumnType::TimestampTz { .. } => Cell::TimestampTz(micros),
        _ => Cell::Timestamp(micros),
    })
}

/// A text in ISO form.
pub(super) fn iso(raw: &str, kind: &ColumnType, old_calendar: bool) -> Read<'static> {
    if !raw.starts_with('"') {
        return Err(Unread::Bad(format!(
            "{} where a text in ISO form is expected; the source's `debezium: {{ time.precision.mode: … }}` says how the connector writes times",
            shape(raw)
        )));
    }
    let value = string(raw)?;
    let bad = || Unread::Bad(format!("a text that is no {kind}"));
    let local = value.strip_suffix('Z').unwrap_or(&value);
    match kind {
        ColumnType::TimestampTz { .. } => match calendar::read_timestamp_tz(&value) {
            Some(micros) => of_micros(micros, kind, old_calendar),
            // Some infinities of arrays arrive as years that no timestamp has.
            None if value.starts_with(['+', '-']) => Err(Unread::Lost),
            None => Err(bad()),
        },
        ColumnType::Timestamp { .. } if local == INFINITE_ISO => Ok(Cell::Timestamp(i64::MIN)),
        ColumnType::Timestamp { .. } => match calendar::read_timestamp(local) {
            Some(micros) => of_micros(micros, kind, old_calendar),
            None if value.starts_with(['+', '-']) => Err(Unread::Lost),
            None => Err(bad()),
        },
        ColumnType::Date => match calendar::read_day(local) {
            // What does not fit 32 bits would be cut to them in the other modes.
            #[allow(clippy::cast_possible_truncation)]
            Some(day) => days(i64::from(day as i32), old_calendar),
            None => Err(bad()),
        },
        ColumnType::Time { .. } => calendar::read_time(local).map(Cell::Time).ok_or_else(bad),
        _ => text::read(kind, &value)
            .map(Cell::into_owned)
            .ok_or_else(bad),
    }
}
