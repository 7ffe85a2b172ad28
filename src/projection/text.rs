//! The text form of cells: what PostgreSQL prints under ISO dates, UTC and hex bytes, which the other stores and all
//! reports use too. One writer, one reader.

use std::borrow::Cow;

use super::calendar;
use super::cell::Cell;
use super::numeric;
use super::types::ColumnType;

/// Appends a cell's text. NULL and Unchanged have none: the caller says how they look.
pub fn write(out: &mut String, cell: &Cell<'_>) {
    match cell {
        Cell::Null | Cell::Unchanged => {}
        Cell::Bool(b) => out.push(if *b { 't' } else { 'f' }),
        Cell::Int(i) => write_int(out, *i),
        Cell::Float(f) => write_float(out, *f),
        Cell::Numeric(t) | Cell::Text(t) | Cell::Json(t) => out.push_str(t),
        Cell::Bytes(b) => write_hex(out, b),
        Cell::Date(d) => calendar::write_date(out, *d),
        Cell::Time(t) => calendar::write_time(out, *t),
        Cell::Timestamp(t) => calendar::write_timestamp(out, *t, ""),
        Cell::TimestampTz(t) => calendar::write_timestamp(out, *t, "+00"),
        Cell::Uuid(u) => write_uuid(out, *u),
        Cell::Array(a) => write_array(out, a),
        Cell::Added(by) => write(out, by),
    }
}

/// The text of a cell; `None` for NULL and Unchanged.
#[must_use]
pub fn of(cell: &Cell<'_>) -> Option<String> {
    match cell {
        Cell::Null | Cell::Unchanged => None,
        cell => {
            let mut out = String::new();
            write(&mut out, cell);
            Some(out)
        }
    }
}

fn write_int(out: &mut String, i: i128) {
    match i64::try_from(i) {
        Ok(i) => out.push_str(itoa::Buffer::new().format(i)),
        Err(_) => out.push_str(itoa::Buffer::new().format(i)),
    }
}

/// The shortest text that reads back as the same number.
fn write_float(out: &mut String, f: f64) {
    if f.is_nan() {
        out.push_str("NaN");
    } else if f.is_infinite() {
        out.push_str(if f > 0.0 { "Infinity" } else { "-Infinity" });
    } else if f != 0.0 && !(1e-5..1e16).contains(&f.abs()) {
        out.push_str(&format!("{f:e}"));
    } else {
        out.push_str(&format!("{f}"));
    }
}

fn write_hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push_str("\\x");
    for b in bytes {
        out.push(char::from(DIGITS[usize::from(b >> 4)]));
        out.push(char::from(DIGITS[usize::from(b & 15)]));
    }
}

fn write_uuid(out: &mut String, uuid: u128) {
    let hex = format!("{uuid:032x}");
    for (i, part) in [0..8, 8..12, 12..16, 16..20, 20..32]
        .into_iter()
        .enumerate()
    {
        if i > 0 {
            out.push('-');
        }
        out.push_str(&hex[part]);
    }
}

/// `{1,NULL,"a b"}`: quoted where PostgreSQL's reader would need it.
fn write_array(out: &mut String, cells: &[Cell<'_>]) {
    out.push('{');
    for (i, cell) in cells.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        let Some(text) = of(cell) else {
            out.push_str("NULL");
            continue;
        };
        let plain = !text.is_empty()
            && !text.eq_ignore_ascii_case("null")
            && !text
                .bytes()
                .any(|b| b.is_ascii_whitespace() || b"{},\"\\\x0b".contains(&b));
        if plain {
            out.push_str(&text);
            continue;
        }
        out.push('"');
        for c in text.chars() {
            if c == '"' || c == '\\' {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('"');
    }
    out.push('}');
}

/// Reads the text of a column of type `kind`; `None` when it is no value of that type.
#[must_use]
pub fn read<'a>(kind: &ColumnType, text: &'a str) -> Option<Cell<'a>> {
    Some(match kind {
        ColumnType::Bool => Cell::Bool(read_bool(text)?),
        ColumnType::Int { .. } => Cell::Int(read_int(text)?),
        ColumnType::Float32 => Cell::Float(f64::from(read_float::<f32>(text)?)),
        ColumnType::Float64 => Cell::Float(read_float::<f64>(text)?),
        ColumnType::Numeric { .. } => Cell::Numeric(numeric::parse(text)?),
        ColumnType::Text { padded: true, .. } => {
            Cell::Text(Cow::Borrowed(text.trim_end_matches(' ')))
        }
        ColumnType::Text { .. } | ColumnType::Other(_) => Cell::Text(Cow::Borrowed(text)),
        ColumnType::Bytes => Cell::Bytes(Cow::Owned(read_hex(text.strip_prefix("\\x")?)?)),
        ColumnType::Date => Cell::Date(calendar::read_date(text)?),
        ColumnType::Time { .. } => Cell::Time(calendar::read_time(text)?),
        ColumnType::Timestamp { .. } => Cell::Timestamp(calendar::read_timestamp(text)?),
        ColumnType::TimestampTz { .. } => Cell::TimestampTz(calendar::read_timestamp_tz(text)?),
        ColumnType::Uuid => Cell::Uuid(read_uuid(text)?),
        ColumnType::Json => Cell::Json(Cow::Borrowed(text)),
        ColumnType::Array(of) => Cell::Array(read_array(of, text)?),
    })
}

fn read_bool(text: &str) -> Option<bool> {
    match text {
        "t" | "true" | "1" => Some(true),
        "f" | "false" | "0" => Some(false),
        _ => None,
    }
}

/// `i64` first: it is much the faster reader, and nearly every integer fits.
fn read_int(text: &str) -> Option<i128> {
    text.parse::<i64>()
        .map_or_else(|_| text.parse::<i128>().ok(), |i| Some(i128::from(i)))
}

/// Rust reads `inf` and `nan` in several spellings; only those of the databases are taken.
fn read_float<F: std::str::FromStr>(text: &str) -> Option<F> {
    match text {
        "NaN" | "Infinity" | "-Infinity" => text.parse().ok(),
        _ if text
            .bytes()
            .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) =>
        {
            text.parse().ok()
        }
        _ => None,
    }
}

fn nibble(b: u8) -> Option<u8> {
    char::from(b)
        .to_digit(16)
        .and_then(|d| u8::try_from(d).ok())
}

/// Bytes as pairs of hexadecimal digits.
pub(super) fn read_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[a, b]| Some(nibble(*a)? << 4 | nibble(*b)?))
        .collect()
}

fn read_uuid(text: &str) -> Option<u128> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok())?
}

/// One dimension only: a nested array is no value of a known type.
fn read_array<'a>(of: &ColumnType, text: &'a str) -> Option<Vec<Cell<'a>>> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut cells = Vec::new();
    let mut rest = inner;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (element, after) = read_quoted(quoted)?;
            cells.push(read(of, &element)?.into_owned());
            rest = after;
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let element = &rest[..end];
            if element.is_empty() || element.contains(['{', '}', '"']) {
                return None;
            }
            cells.push(if element.eq_ignore_ascii_case("null") {
                Cell::Null
            } else {
                read(of, element)?
            });
            rest = &rest[end..];
        }
        match rest.strip_prefix(',') {
            Some(more) if !more.is_empty() => rest = more,
            None if rest.is_empty() => {}
            _ => return None,
        }
    }
    Some(cells)
}

fn read_quoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, &text[at + 1..])),
            '\\' => out.push(chars.next()?.1),
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let array = ColumnType::Array(Box::new(ColumnType::TEXT));
        for (kind, text) in [
            (ColumnType::Bool, "t"),
            (ColumnType::INT64, "-9223372036854775808"),
            (
                ColumnType::Int {
                    bits: 64,
                    unsigned: true,
                },
                "18446744073709551615",
            ),
            (ColumnType::Float64, "0.1"),
            (ColumnType::Float64, "1e300"),
            (
                ColumnType::Numeric { size: None },
                "-123456789012345678901234567890.10",
            ),
            (ColumnType::Bytes, "\\x00ff"),
            (ColumnType::Uuid, "00112233-4455-6677-8899-aabbccddeeff"),
            (array.clone(), r#"{a,"b c","",NULL,"NULL","q\"\\"}"#),
            (array, "{}"),
            (
                ColumnType::TimestampTz { digits: 6 },
                "2024-01-31 12:34:56.789+00",
            ),
        ] {
            let cell = read(&kind, text).unwrap_or(Cell::Unchanged);
            assert_eq!(of(&cell).as_deref(), Some(text));
        }
        for (kind, bad) in [
            (ColumnType::Bool, "yes"),
            (ColumnType::Float64, "nan"),
            (ColumnType::INT64, "1.0"),
            (ColumnType::Bytes, "\\x0"),
            (ColumnType::Array(Box::new(ColumnType::INT64)), "{{1},{2}}"),
        ] {
            assert_eq!(read(&kind, bad), None, "{bad}");
        }
    }
}
