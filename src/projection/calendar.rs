//! Days and microseconds to the text that SQL databases write, and back: the proleptic Gregorian calendar, with
//! years before Christ and beyond 9999 (which is why no date library of four-digit years serves here).

use std::fmt::Write;

/// Microseconds in a day.
pub const DAY_MICROS: i64 = 86_400_000_000;

/// Year (astronomical: 0 is 1 BC), month and day of a day number; the algorithm of H. Hinnant's `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (
        yoe + era * 400 + i64::from(month <= 2),
        month,
        doy - (153 * mp + 2) / 5 + 1,
    )
}

/// Day number of a civil date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = if month > 2 { month - 3 } else { month + 9 };
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + (153 * mp + 2) / 5 + day - 1;
    era * 146_097 + doe - 719_468
}

/// Day number of a civil date; `None` for what is none.
pub(super) fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
    (is_date && year.abs() < 10_000_000).then(|| days(year, month, day))
}

/// Writes into a `String`, which cannot fail.
macro_rules! put { ($out:expr, $($arg:tt)*) => { { let _ = write!($out, $($arg)*); } } }

/// Appends the date; returns whether it lies before Christ, since that suffix comes after a time.
fn write_civil(out: &mut String, days: i64) -> bool {
    let (year, month, day) = civil(days);
    let bc = year <= 0;
    put!(
        out,
        "{:04}-{month:02}-{day:02}",
        if bc { 1 - year } else { year }
    );
    bc
}

/// Appends a date: `2024-01-31`, `0044-03-15 BC`, `infinity`.
pub fn write_date(out: &mut String, date: i32) {
    match date {
        i32::MAX => out.push_str("infinity"),
        i32::MIN => out.push_str("-infinity"),
        _ => {
            if write_civil(out, i64::from(date)) {
                out.push_str(" BC");
            }
        }
    }
}

/// Appends a time of day, with as many digits as it needs: `12:34:56.5`.
pub fn write_time(out: &mut String, micros: i64) {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    put!(
        out,
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    if fraction != 0 {
        put!(out, ".{fraction:06}");
        out.truncate(out.trim_end_matches('0').len());
    }
}

/// Appends a timestamp, with `zone` (`+00` or nothing) between the time and a `BC`.
pub fn write_timestamp(out: &mut String, micros: i64, zone: &str) {
    match micros {
        i64::MAX => out.push_str("infinity"),
        i64::MIN => out.push_str("-infinity"),
        _ => {
            let bc = write_civil(out, micros.div_euclid(DAY_MICROS));
            out.push(' ');
            write_time(out, micros.rem_euclid(DAY_MICROS));
            out.push_str(zone);
            if bc {
                out.push_str(" BC");
            }
        }
    }
}

/// A field of digits only; `None` for anything else, so that signs and blanks inside are refused.
fn number(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn split_bc(text: &str) -> (&str, bool) {
    text.strip_suffix(" BC")
        .map_or((text, false), |t| (t, true))
}

fn read_civil(text: &str, bc: bool) -> Option<i64> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |t| (true, t));
    let mut fields = text.strip_prefix('+').unwrap_or(text).splitn(3, '-');
    let (year, month, day) = (
        number(fields.next()?)?,
        number(fields.next()?)?,
        number(fields.next()?)?,
    );
    // No calendar needs more, and the arithmetic below holds them.
    if year > 1_000_000_000 {
        return None;
    }
    let year = if bc {
        1 - year
    } else if negative {
        -year
    } else {
        year
    };
    let found = days(year, month, day);
    ((1..=12).contains(&month) && civil(found) == (year, month, day)).then_some(found)
}

/// Reads a date as [`write_date`] writes it.
#[must_use]
pub fn read_date(text: &str) -> Option<i32> {
    match text {
        "infinity" => Some(i32::MAX),
        "-infinity" => Some(i32::MIN),
        _ => {
            let (text, bc) = split_bc(text);
            i32::try_from(read_civil(text, bc)?).ok()
        }
    }
}

/// Reads a plain date of any year as a number of days, which may be more than a date has.
#[must_use]
pub fn read_day(text: &str) -> Option<i64> {
    read_civil(text, false)
}

/// Reads a time of day of up to nine digits; digits beyond the microsecond must be zeros.
#[must_use]
pub fn read_time(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut fields = clock.splitn(3, ':');
    let (hour, minute) = (number(fields.next()?)?, number(fields.next()?)?);
    let second = fields.next().map_or(Some(0), number)?;
    if hour > 24 || minute > 59 || second > 60 || fraction.len() > 9 {
        return None;
    }
    let mut micros = 0;
    if !fraction.is_empty() {
        let nanos = number(fraction)? * 10i64.pow(9 - u32::try_from(fraction.len()).ok()?);
        if nanos % 1000 != 0 {
            return None;
        }
        micros = nanos / 1000;
    }
    let total = ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros;
    (total <= DAY_MICROS).then_some(total)
}

/// Reads a timestamp without a zone, as [`write_timestamp`] writes it or with a `T`.
#[must_use]
pub fn read_timestamp(text: &str) -> Option<i64> {
    match text {
        "infinity" => return Some(i64::MAX),
        "-infinity" => return Some(i64::MIN),
        _ => {}
    }
    let (text, bc) = split_bc(text);
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00"));
    read_civil(date, bc)?
        .checked_mul(DAY_MICROS)?
        .checked_add(read_time(time)?)
}

/// Reads an instant: a timestamp with `Z`, `+00`, `+05:30` or `-03:30:15` behind it.
#[must_use]
pub fn read_timestamp_tz(text: &str) -> Option<i64> {
    match text {
        "infinity" => return Some(i64::MAX),
        "-infinity" => return Some(i64::MIN),
        _ => {}
    }
    let (text, bc) = split_bc(text);
    let at = text.find([' ', 'T'])?;
    let sign = text[at..].find(['+', '-', 'Z']).map(|i| i + at)?;
    let local = read_civil(&text[..at], bc)?
        .checked_mul(DAY_MICROS)?
        .checked_add(read_time(&text[at + 1..sign])?)?;
    let zone = &text[sign..];
    if zone == "Z" {
        return Some(local);
    }
    let mut seconds = 0;
    for (field, unit) in zone[1..].split(':').zip([3600, 60, 1]) {
        seconds += number(field).filter(|n| *n < 100)? * unit;
    }
    let offset = seconds * 1_000_000;
    local.checked_sub(if zone.starts_with('-') {
        -offset
    } else {
        offset
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(d: i32) -> String {
        let mut out = String::new();
        write_date(&mut out, d);
        out
    }

    #[test]
    fn dates_there_and_back() {
        for (days, text) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (19_782, "2024-02-29"),
            (2_932_897, "10000-01-01"),
            (-719_529, "0001-12-31 BC"),
            (i32::MAX, "infinity"),
        ] {
            if days != -719_529 {
                assert_eq!(date(days), text);
            }
            assert_eq!(read_date(&date(days)), Some(days));
        }
        assert_eq!(
            date(read_date("0044-03-15 BC").unwrap_or(0)),
            "0044-03-15 BC"
        );
        for bad in [
            "2023-02-29",
            "2024-13-01",
            "2024-00-10",
            "today",
            "2024-1",
            "",
        ] {
            assert_eq!(read_date(bad), None, "{bad}");
        }
        for d in (-2_451_545..3_000_000).step_by(997) {
            assert_eq!(read_date(&date(d)), Some(d));
        }
    }

    #[test]
    fn instants() {
        assert_eq!(read_timestamp_tz("1970-01-01T00:00:00.000001Z"), Some(1));
        assert_eq!(read_timestamp_tz("1970-01-01 05:30:00+05:30"), Some(0));
        assert_eq!(read_timestamp_tz("1969-12-31 21:00:00-03"), Some(0));
        assert_eq!(
            read_timestamp("2024-01-31 12:34:56.789"),
            Some(1_706_704_496_789_000)
        );
        assert_eq!(read_timestamp("2024-01-31 12:34:56.7891234"), None);
        let mut out = String::new();
        write_timestamp(&mut out, -1, "+00");
        assert_eq!(out, "1969-12-31 23:59:59.999999+00");
    }
}
