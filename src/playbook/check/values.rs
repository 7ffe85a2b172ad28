//! Single values with a grammar of their own: durations, bounds, tables, databases.

use std::time::Duration;

use super::reader::Reader;
use crate::playbook::checked::{Bound, LagMax, Scalar, TableName};
use crate::playbook::secret::DatabaseUrl;
use crate::playbook::shape::{Field, Text};

impl Reader<'_> {
    /// An optional duration above zero.
    pub(super) fn duration(&mut self, path: &str, field: Field<Scalar>) -> Option<Duration> {
        let duration = match self.get(path, field)? {
            Scalar::Text(text) => duration(&text),
            _ => None,
        };
        if duration.is_none() {
            let fix = "write a whole number above zero with its unit: 500ms, 30s, 2m or 1h";
            self.problem(path, "is no duration", fix);
        }
        duration
    }

    /// An optional bound of lag.
    pub(super) fn lag_max(&mut self, path: &str, field: Field<Scalar>) -> Option<LagMax> {
        let bound = match self.get(path, field)? {
            Scalar::Text(word) if word == "none" => Some(LagMax::None),
            Scalar::Text(text) => fraction(&text).map(LagMax::Within),
            _ => None,
        };
        if bound.is_none() {
            let fix = "write a time above zero with its unit, such as 1.5s or 500ms; or `none`, and replicas are not looked at";
            self.problem(path, "is no bound of lag", fix);
        }
        bound
    }

    /// An optional bound.
    pub(super) fn bound(&mut self, path: &str, field: Field<Scalar>) -> Option<Bound> {
        let bound = bound(&self.get(path, field)?);
        if bound.is_none() {
            let fix = "write a number of rows, or a share such as \"10%\" (0% to 100%)";
            self.problem(path, "is no bound", fix);
        }
        bound
    }

    /// An optional instant: a timestamp with a zone.
    pub(super) fn instant(&mut self, path: &str, field: Field<Text>) -> Option<String> {
        let text = self.text(path, field)?;
        if !is_instant(&text) {
            let fix = "write it with its zone: 2024-01-31T12:00:00Z";
            self.problem(path, format!("`{text}` is no timestamp"), fix);
            return None;
        }
        Some(text)
    }

    /// The table that `text` names.
    pub(super) fn table(&mut self, path: &str, text: &str) -> Option<TableName> {
        let table = TableName::read(text);
        if table.is_none() {
            self.problem(
                path,
                format!("`{text}` is no table"),
                "write `table` or `schema.table`",
            );
        }
        table
    }

    /// The URL of a database that this version speaks to.
    pub(super) fn database(&mut self, path: &str, text: &str) -> Option<DatabaseUrl> {
        match DatabaseUrl::parse(text, self.folder) {
            Ok(url) => {
                self.speaks(path, url.kind())?;
                Some(url)
            }
            Err(error) => {
                self.problem(path, error.to_string(), error.fix());
                None
            }
        }
    }
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let milliseconds_per_unit: u64 = match unit.trim_start() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let milliseconds = number
        .parse::<u64>()
        .ok()?
        .checked_mul(milliseconds_per_unit)?;
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
}

/// A duration that may be written with a decimal fraction of seconds: `1.5s`.
fn fraction(text: &str) -> Option<Duration> {
    let whole = duration(text);
    whole.or_else(|| {
        let seconds = text.strip_suffix('s')?.trim_end();
        let plain = seconds.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let seconds: f64 = seconds.parse().ok().filter(|_| plain)?;
        let wait = Duration::try_from_secs_f64(seconds).ok()?;
        (wait >= Duration::from_millis(1)).then_some(wait)
    })
}

/// Whether `text` is like `2024-01-31T12:00:00.5+02:00`: four digits of a year, seconds if need be, and a zone.
fn is_instant(text: &str) -> bool {
    let number = |text: &str, digits: usize, max: u32| {
        let plain = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|n: &u32| plain && *n <= max)
    };
    let read = || {
        let (date, rest) = text.split_once(['T', ' '])?;
        let (clock, zone) = rest.split_at(rest.find(['Z', '+', '-'])?);
        let mut parts = date.split('-');
        let year = number(parts.next()?, 4, 9999)?;
        let (month, day) = (number(parts.next()?, 2, 12)?, number(parts.next()?, 2, 31)?);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let date_ends = parts.next().is_none();
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
        number(fraction, fraction.len().clamp(1, 6), 999_999)?;
        let mut parts = clock.splitn(3, ':');
        number(parts.next()?, 2, 23)?;
        number(parts.next()?, 2, 59)?;
        number(parts.next().unwrap_or("00"), 2, 59)?;
        if zone != "Z" {
            let (hours, minutes) = zone[1..].split_once(':').unwrap_or((&zone[1..], "00"));
            number(hours, 2, 15)?;
            number(minutes, 2, 59)?;
        }
        (date_ends && year > 0 && month > 0 && (1..=days).contains(&day)).then_some(())
    };
    read().is_some()
}

pub(super) fn bound(written: &Scalar) -> Option<Bound> {
    match written {
        Scalar::Int(rows) => u64::try_from(*rows).ok().map(Bound::Rows),
        Scalar::Text(text) => match text.strip_suffix('%') {
            Some(share) => {
                let share: f64 = share.trim_end().parse().ok()?;
                (0.0..=100.0)
                    .contains(&share)
                    .then_some(Bound::Percent(share))
            }
            None => text.parse().ok().map(Bound::Rows),
        },
        Scalar::Null | Scalar::Bool(_) | Scalar::Number(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let milliseconds = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(milliseconds("500ms"), Some(500));
        assert_eq!(milliseconds("30s"), Some(30_000));
        assert_eq!(milliseconds("2 m"), Some(120_000));
        assert_eq!(milliseconds("1h"), Some(3_600_000));
        for text in [
            "",
            "30",
            "s",
            "-1s",
            "1.5s",
            "0s",
            "1d",
            "30 s x",
            "18446744073709551615h",
        ] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }

    #[test]
    fn instants() {
        for right in [
            "2024-01-31T12:00:00Z",
            "2024-02-29 12:00+02:00",
            "1999-12-31T23:59:59.123456-03",
        ] {
            assert!(is_instant(right), "{right}");
        }
        for wrong in [
            "",
            "now",
            "2024-01-31",
            "2024-01-31T12:00:00",
            "2023-02-29T12:00:00Z",
            "2024-1-31T12:00:00Z",
            "2024-01-31T24:00:00Z",
            "2024-01-31T12:00:00.1234567Z",
            "2024-01-31T12:00:00+2",
            "2024-01-31T12:00:00Zulu",
            "2024-01-31-01T12:00:00Z",
        ] {
            assert!(!is_instant(wrong), "{wrong}");
        }
    }

    #[test]
    fn bounds() {
        let text = |text: &str| bound(&Scalar::Text(text.to_owned()));
        assert_eq!(bound(&Scalar::Int(1000)), Some(Bound::Rows(1000)));
        assert_eq!(bound(&Scalar::Int(-1)), None);
        assert_eq!(bound(&Scalar::Number("0.1".to_owned())), None);
        assert_eq!(text("1000"), Some(Bound::Rows(1000)));
        assert_eq!(text("10%"), Some(Bound::Percent(10.0)));
        assert_eq!(text("0.5 %"), Some(Bound::Percent(0.5)));
        for wrong in ["", "%", "101%", "-1%", "NaN%", "many"] {
            assert_eq!(text(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn tables() {
        let shown = |text| TableName::read(text).map(|table| table.to_string());
        assert_eq!(shown("orders").as_deref(), Some("orders"));
        assert_eq!(shown("public.orders").as_deref(), Some("public.orders"));
        for wrong in ["", ".", "a.", ".a", "a.b.c", "a .b"] {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }
}
