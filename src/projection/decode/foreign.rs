//! Types that the engine knows as text only: what the connector writes of them, as the database itself would print it.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::number;
use super::settings::{Binary, Decimals, Settings};
use super::value::{Read, Unread, bytes, shape, string};
use crate::projection::cell::Cell;
use crate::projection::text;
use crate::projection::types::ColumnType;

/// The form of such a value in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    /// As the database prints it, or a number.
    Spelled,
    /// An address, which the database's cast to text gives its mask.
    Inet,
    /// Bits, the lowest byte first.
    Bits(u32),
    /// A JSON object, or the text of one.
    Hstore,
    /// ISO 8601: `P1Y2M3DT4H5M6.7S`.
    Interval,
    /// An amount, as decimals are written.
    Money { scale: i32, as_text: bool },
    /// `{"x","y"}`
    Point,
    /// `{"wkb","srid"}`
    Geometry,
}

/// A type's name without its schema and its arguments, and the first of these.
fn parts(name: &str) -> (&str, Option<u32>) {
    let (stem, arguments) = name.split_once('(').unwrap_or((name, ""));
    let stem = if stem.starts_with('"') {
        stem
    } else {
        stem.rsplit('.').next().unwrap_or(stem)
    };
    let first = arguments.split([',', ')']).next();
    (stem.trim_end(), first.and_then(|n| n.parse().ok()))
}

/// `interval`, with its fields or its precision.
fn is_interval(name: &str) -> bool {
    let rest = name.strip_prefix("interval");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '(']))
}

/// How the connector writes a type of this name.
pub(super) fn of(name: &str, settings: &Settings) -> Foreign {
    let (stem, argument) = parts(name);
    match stem {
        "bit" => Foreign::Bits(argument.unwrap_or(1)),
        "hstore" => Foreign::Hstore,
        "inet" => Foreign::Inet,
        "interval" => Foreign::Interval,
        "money" => Foreign::Money {
            scale: i32::try_from(settings.money_digits).unwrap_or(2),
            as_text: settings.decimals != Decimals::Precise,
        },
        "point" => Foreign::Point,
        "geometry" | "geography" => Foreign::Geometry,
        _ if is_interval(name) => Foreign::Interval,
        _ => Foreign::Spelled,
    }
}

/// Why a type of this name cannot be read from a log; `None` when it can, or when only the catalog can tell (`is_list` says
/// whether it is one of a fixed list of texts).
pub(super) fn unreadable(name: &str, is_list: bool, settings: &Settings) -> Option<&'static str> {
    let element = name.strip_suffix("[]").unwrap_or(name);
    let is_array = element.len() < name.len();
    let (stem, _) = parts(element);
    match stem {
        _ if is_interval(element) && !settings.intervals_as_text => Some(
            "the connector writes intervals as microseconds, which do not tell a month from 30 days; set interval.handling.mode=string there, and say so in the source's `debezium:`",
        ),
        _ if element.starts_with("time") && element.ends_with("with time zone") => {
            Some("the connector writes it in UTC, its own zone is lost")
        }
        "bit varying" => Some("the connector does not write how many bits there are"),
        "point" | "money" | "xml" | "interval" | "bit" if is_array => {
            Some("the connector leaves columns of this type out")
        }
        "inet" | "cidr" | "macaddr" | "macaddr8" | "int4range" | "int8range" | "numrange"
        | "tsrange" | "tstzrange" | "daterange" | "xml" | "citext" | "ltree" | "tsvector"
        | "\"char\"" | "oid" | "bit" | "hstore" | "interval" | "money" | "point" | "geometry"
        | "geography" => None,
        _ if is_interval(element) => None,
        _ if is_list => None,
        _ => {
            Some("the connector leaves columns of this type out, or trueup does not know its form")
        }
    }
}

/// One value, as the text that the database would print.
pub(super) fn read(raw: &str, form: Foreign, snapshot: bool) -> Read<'_> {
    match form {
        Foreign::Spelled => spelled(raw),
        Foreign::Inet => inet(raw),
        Foreign::Bits(length) => number::bits(raw, length),
        Foreign::Hstore => hstore(raw),
        Foreign::Interval => interval(raw),
        Foreign::Money { scale, as_text } => money(raw, scale, as_text, snapshot),
        Foreign::Point => point(raw),
        Foreign::Geometry => geometry(raw),
    }
}

fn owned(text: String) -> Read<'static> {
    Ok(Cell::Text(Cow::Owned(text)))
}

fn spelled(raw: &str) -> Read<'_> {
    match raw.as_bytes().first() {
        Some(b'"') => Ok(Cell::Text(string(raw)?)),
        Some(b'-' | b'0'..=b'9') => Ok(Cell::Text(Cow::Borrowed(raw))),
        _ => Err(Unread::Bad(format!(
            "{} where a text is expected",
            shape(raw)
        ))),
    }
}

fn inet(raw: &str) -> Read<'_> {
    match spelled(raw)? {
        Cell::Text(text) if !text.contains('/') => {
            let bits = if text.contains(':') { 128 } else { 32 };
            owned(format!("{text}/{bits}"))
        }
        masked => Ok(masked),
    }
}

/// `"key"=>"value"`, the shorter keys first, as the database keeps them.
fn hstore(raw: &str) -> Read<'static> {
    let text = if raw.starts_with('"') {
        string(raw)?
    } else {
        Cow::Borrowed(raw)
    };
    let bad = || Unread::Bad("a value that is no hstore".to_owned());
    let Value::Object(map) = serde_json::from_str(&text).map_err(|_| bad())? else {
        return Err(bad());
    };
    let mut pairs: Vec<(String, Option<String>)> = Vec::with_capacity(map.len());
    for (key, value) in map {
        let value = match value {
            Value::Null => None,
            Value::String(text) => Some(text),
            _ => return Err(bad()),
        };
        pairs.push((key, value));
    }
    pairs.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    let mut out = String::new();
    for (nth, (key, value)) in pairs.iter().enumerate() {
        if nth > 0 {
            out.push_str(", ");
        }
        quote(&mut out, key);
        out.push_str("=>");
        match value {
            Some(value) => quote(&mut out, value),
            None => out.push_str("NULL"),
        }
    }
    owned(out)
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// `1 year 2 mons 3 days 04:05:06.7`, as sessions of trueup have it.
fn interval(raw: &str) -> Read<'static> {
    let value = string(raw)?;
    let bad = || Unread::Bad("a text that is no interval".to_owned());
    let (months, days, micros) = iso_interval(&value).ok_or_else(bad)?;
    let mut out = String::new();
    // A field below zero makes the next one above it say so.
    let mut negative = false;
    for (value, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if value == 0 {
            continue;
        }
        let space = if out.is_empty() { "" } else { " " };
        let plus = if negative && value > 0 { "+" } else { "" };
        let many = if value == 1 { "" } else { "s" };
        let _ = write!(out, "{space}{plus}{value} {unit}{many}");
        negative = value < 0;
    }
    if micros != 0 || out.is_empty() {
        let space = if out.is_empty() { "" } else { " " };
        let sign = match (micros < 0, negative) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        let (seconds, fraction) = (
            micros.unsigned_abs() / 1_000_000,
            micros.unsigned_abs() % 1_000_000,
        );
        let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
        let _ = write!(
            out,
            "{space}{sign}{hours:02}:{minutes:02}:{:02}",
            seconds % 60
        );
        if fraction != 0 {
            let digits = format!("{fraction:06}");
            let _ = write!(out, ".{}", digits.trim_end_matches('0'));
        }
    }
    owned(out)
}

/// Months, days and microseconds.
fn iso_interval(text: &str) -> Option<(i64, i64, i64)> {
    let (date, time) = text
        .strip_prefix('P')?
        .split_once('T')
        .unwrap_or((&text[1..], ""));
    let (mut months, mut days, mut micros) = (0i64, 0i64, 0i64);
    for (value, unit) in fields(date)? {
        let value: i64 = value.parse().ok()?;
        match unit {
            'Y' => months = months.checked_add(value.checked_mul(12)?)?,
            'M' => months = months.checked_add(value)?,
            'D' => days = days.checked_add(value)?,
            _ => return None,
        }
    }
    for (value, unit) in fields(time)? {
        let micros_of = match unit {
            'H' => value.parse::<i64>().ok()?.checked_mul(3_600_000_000)?,
            'M' => value.parse::<i64>().ok()?.checked_mul(60_000_000)?,
            'S' => seconds(value)?,
            _ => return None,
        };
        micros = micros.checked_add(micros_of)?;
    }
    Some((months, days, micros))
}

/// Each number with the letter behind it.
fn fields(text: &str) -> Option<Vec<(&str, char)>> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let at = rest.find(|c: char| c.is_ascii_alphabetic())?;
        found.push((&rest[..at], char::from(rest.as_bytes()[at])));
        rest = &rest[at + 1..];
    }
    Some(found)
}

fn seconds(text: &str) -> Option<i64> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |t| (true, t));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if fraction.len() > 6 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole = whole.parse::<i64>().ok()?.checked_mul(1_000_000)?;
    let micros = whole.checked_add(format!("{fraction:0<6}").parse().ok()?)?;
    Some(if negative { -micros } else { micros })
}

/// A snapshot carries amounts as binary floating-point numbers, which are exact up to 2^53 hundredths only.
fn money(raw: &str, scale: i32, as_text: bool, snapshot: bool) -> Read<'_> {
    const DIGITS_EXACT: usize = 15;
    let cell = if as_text {
        number::text(raw)?
    } else {
        number::decimal(raw, Some(scale))?
    };
    let Cell::Numeric(amount) = cell else {
        return Err(Unread::Lost);
    };
    let digits = amount.bytes().filter(u8::is_ascii_digit).count();
    if digits > DIGITS_EXACT && (snapshot || !raw.starts_with('"')) {
        return Err(Unread::Lost);
    }
    Ok(Cell::Text(amount))
}

#[derive(Deserialize)]
struct Coordinates<'a> {
    #[serde(borrow)]
    x: &'a RawValue,
    #[serde(borrow)]
    y: &'a RawValue,
}

/// `(1.5,-2.25)`
fn point(raw: &str) -> Read<'static> {
    let bad = || Unread::Bad(format!("{} that is no point", shape(raw)));
    let at: Coordinates<'_> = serde_json::from_str(raw).map_err(|_| bad())?;
    let number = |raw: &RawValue| {
        let spelled = raw.get().trim_matches('"');
        match text::read(&ColumnType::Float64, spelled) {
            Some(Cell::Float(f)) => Ok(float(f)),
            _ => Err(bad()),
        }
    };
    owned(format!("({},{})", number(at.x)?, number(at.y)?))
}

/// A number as PostgreSQL prints it, whose exponents have a sign and two digits.
fn float(f: f64) -> String {
    if !f.is_finite() || f == 0.0 || (1e-4..1e15).contains(&f.abs()) {
        return text::of(&Cell::Float(f)).unwrap_or_default();
    }
    let written = format!("{f:e}");
    let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let (sign, digits) = exponent
        .strip_prefix('-')
        .map_or(("+", exponent), |d| ("-", d));
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(borrow)]
    wkb: &'a RawValue,
    srid: Option<u32>,
}

/// The extended form in hexadecimal, with the reference system in it.
fn geometry(raw: &str) -> Read<'static> {
    const HAS_SRID: u32 = 0x2000_0000;
    let bad = || Unread::Bad(format!("{} that is no geometry", shape(raw)));
    let written: Shape<'_> = serde_json::from_str(raw).map_err(|_| bad())?;
    let wkb = bytes(written.wkb.get(), Binary::Bytes)?;
    let (Some(order), Some(kind)) = (wkb.first(), wkb.get(1..5)) else {
        return Err(bad());
    };
    let kind = <[u8; 4]>::try_from(kind).map_err(|_| bad())?;
    let little = *order == 1;
    let value = if little {
        u32::from_le_bytes(kind)
    } else {
        u32::from_be_bytes(kind)
    };
    let word = |w: u32| {
        if little {
            w.to_le_bytes()
        } else {
            w.to_be_bytes()
        }
    };
    let mut out = vec![*order];
    match written
        .srid
        .filter(|srid| *srid != 0 && value & HAS_SRID == 0)
    {
        Some(srid) => {
            out.extend(word(value | HAS_SRID));
            out.extend(word(srid));
        }
        None => out.extend(kind),
    }
    out.extend(&wkb[5..]);
    let mut hex = String::with_capacity(out.len() * 2);
    for byte in out {
        let _ = write!(hex, "{byte:02X}");
    }
    owned(hex)
}

/// A list of such values as the text of an array.
pub(super) fn array(cells: Vec<Cell<'_>>) -> Cell<'static> {
    let text = text::of(&Cell::Array(cells)).unwrap_or_default();
    Cell::Text(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, raw: &str) -> Result<String, Unread> {
        let settings = Settings {
            intervals_as_text: true,
            ..Settings::default()
        };
        match read(raw, of(name, &settings), true)? {
            Cell::Text(text) => Ok(text.into_owned()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn as_the_database_prints_them() {
        for (name, raw, want) in [
            ("bit(8)", "\"gQ==\"", "10000001"),
            ("bit(8)", "\"\"", "00000000"),
            ("bit(1)", "true", "1"),
            (
                "public.hstore",
                r#""{\"a b\":\"c\\\"d\",\"e\":\"\",\"n\":null}""#,
                r#""e"=>"", "n"=>NULL, "a b"=>"c\"d""#,
            ),
            ("hstore", r#"{"k":"v"}"#, r#""k"=>"v""#),
            ("hstore", "{}", ""),
            (
                "interval",
                "\"P1Y2M3DT4H5M6.789S\"",
                "1 year 2 mons 3 days 04:05:06.789",
            ),
            (
                "interval",
                "\"P0Y-1M3DT-4H-5M-6.000001S\"",
                "-1 mons +3 days -04:05:06.000001",
            ),
            ("interval(3)", "\"P0Y1M-1DT0H0M0S\"", "1 mon -1 days"),
            ("interval", "\"P0Y0M0DT100H0M0.1S\"", "100:00:00.1"),
            ("interval", "\"P0Y0M0DT0H0M-0.5S\"", "-00:00:00.5"),
            ("interval", "\"P0Y0M0DT0H0M0S\"", "00:00:00"),
            ("interval", "\"P178000000Y0M0DT0H0M0S\"", "178000000 years"),
            ("money", "\"ZA==\"", "1.00"),
            (
                "point",
                r#"{"x":1e300,"y":"NaN","srid":null}"#,
                "(1e+300,NaN)",
            ),
            ("point", r#"{"x":1.5,"y":-2.25}"#, "(1.5,-2.25)"),
            ("oid", "4294967295", "4294967295"),
            ("inet", "\"10.0.0.1\"", "10.0.0.1/32"),
            ("inet", "\"::1\"", "::1/128"),
            ("inet", "\"10.0.0.0/8\"", "10.0.0.0/8"),
            ("mood", "\"it's ok\"", "it's ok"),
            (
                "geometry(Point,4326)",
                r#"{"wkb":"AQEAAAAAAAAAAADwPwAAAAAAAPA/","srid":4326}"#,
                "0101000020E6100000000000000000F03F000000000000F03F",
            ),
        ] {
            assert_eq!(one(name, raw), Ok(want.to_owned()), "{name} {raw}");
        }
        assert_eq!(one("money", "\"/3////////9A\""), Err(Unread::Lost));
        for (name, raw) in [
            ("bit(4)", "\"gQ==\""),
            ("interval", "\"PX\""),
            ("interval", "1"),
            ("hstore", "[]"),
            ("hstore", r#"{"a":1}"#),
            ("point", "1"),
            ("geometry", r#"{"wkb":"AQ==","srid":null}"#),
            ("inet", "{}"),
        ] {
            assert!(
                matches!(one(name, raw), Err(Unread::Bad(_))),
                "{name} {raw}"
            );
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let settings = Settings::default();
        for (name, is_list) in [
            ("inet", false),
            ("mood", true),
            ("mood[]", true),
            ("bit(3)", false),
        ] {
            assert_eq!(unreadable(name, is_list, &settings), None, "{name}");
        }
        for name in [
            "interval",
            "interval day to second",
            "time with time zone",
            "time(3) with time zone[]",
            "bit varying(9)",
            "point[]",
            "box",
            "public.something",
        ] {
            assert!(unreadable(name, false, &settings).is_some(), "{name}");
        }
    }
}
