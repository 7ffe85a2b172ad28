//! Decimals and bit strings out of the bytes that Connect writes them as.

use std::borrow::Cow;

use num_bigint::BigInt;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::settings::Binary;
use super::value::{Read, Unread, bytes, shape, string};
use crate::projection::cell::Cell;
use crate::projection::numeric;

#[derive(Deserialize)]
struct Variable<'a> {
    scale: i32,
    #[serde(borrow)]
    value: &'a RawValue,
}

fn bad(raw: &str) -> Unread {
    Unread::Bad(format!("{} that is no decimal", shape(raw)))
}

/// A decimal under this scale.
pub(super) fn decimal(raw: &str, scale: Option<i32>) -> Read<'_> {
    match (raw.as_bytes().first(), scale) {
        (Some(b'{'), _) => {
            let variable: Variable<'_> = serde_json::from_str(raw).map_err(|_| bad(raw))?;
            unscaled(variable.value.get(), variable.scale)
        }
        (Some(b'"'), Some(scale)) => {
            let value = string(raw)?;
            // A point or a sign is no base64, and then there is no doubt what it is.
            if value.contains(['.', '-']) || value.starts_with("NAN") || value.ends_with("INFINITY")
            {
                return text(raw);
            }
            unscaled(raw, scale)
        }
        (Some(b'"'), None) => Err(Unread::Bad(
            "a text where `{scale, value}` is expected; if the connector writes decimals as text, say so in the source's \
             `debezium: { decimal.handling.mode: string }`"
                .to_owned(),
        )),
        _ => text(raw),
    }
}

/// A decimal as a text or a number.
pub(super) fn text(raw: &str) -> Read<'_> {
    if raw.starts_with('"') {
        let value = string(raw)?;
        let read = numeric::parse(&value).map(|t| Cow::Owned(t.into_owned()));
        return read.map(Cell::Numeric).ok_or_else(|| bad(raw));
    }
    numeric::parse(raw)
        .map(Cell::Numeric)
        .ok_or_else(|| bad(raw))
}

/// A big-endian two's-complement integer in base64, with its decimal point moved.
fn unscaled(raw: &str, scale: i32) -> Read<'static> {
    let bytes = bytes(raw, Binary::Bytes)?;
    let digits = match <[u8; 8]>::try_from(sign_extended(&bytes)) {
        Ok(word) if bytes.len() <= 8 => i64::from_be_bytes(word).to_string(),
        _ => BigInt::from_signed_bytes_be(&bytes).to_string(),
    };
    Ok(Cell::Numeric(Cow::Owned(point(&digits, scale)?)))
}

fn sign_extended(bytes: &[u8]) -> Vec<u8> {
    let fill = if bytes.first().is_some_and(|b| b & 0x80 != 0) {
        0xff
    } else {
        0
    };
    let mut word = vec![fill; 8usize.saturating_sub(bytes.len())];
    word.extend_from_slice(bytes);
    word
}

fn point(digits: &str, scale: i32) -> Result<String, Unread> {
    if !(-20_000..=20_000).contains(&scale) {
        return Err(Unread::Bad(
            "a decimal whose scale is out of range".to_owned(),
        ));
    }
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |d| ("-", d));
    let Ok(scale) = usize::try_from(scale) else {
        let zeros = if digits == "0" {
            0
        } else {
            scale.unsigned_abs() as usize
        };
        return Ok(format!("{sign}{digits}{}", "0".repeat(zeros)));
    };
    if scale == 0 {
        return Ok(format!("{sign}{digits}"));
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    Ok(format!("{sign}{whole}.{fraction}"))
}

/// `length` bits, of which the record has the bytes from the lowest up, without those that are zero at the end.
pub(super) fn bits(raw: &str, length: u32) -> Read<'static> {
    let bit = |on: bool| Ok(Cell::Text(Cow::Borrowed(if on { "1" } else { "0" })));
    match raw {
        "true" => return bit(true),
        "false" => return bit(false),
        _ => {}
    }
    let bytes = bytes(raw, Binary::Bytes)?;
    let set = |place: usize| {
        bytes
            .get(place / 8)
            .is_some_and(|b| b >> (place % 8) & 1 == 1)
    };
    let length = length as usize;
    if (length..bytes.len() * 8).any(set) {
        return Err(Unread::Bad(format!("more than {length} bits")));
    }
    let bits = (0..length).rev().map(|at| if set(at) { '1' } else { '0' });
    Ok(Cell::Text(Cow::Owned(bits.collect())))
}
