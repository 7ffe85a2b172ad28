//! Scalars as JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub(super) fn integer(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

pub(super) fn float(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(out, &value);
    } else {
        out.extend_from_slice(not_finite(value));
    }
}

/// With no more digits than a single has.
pub(super) fn single(out: &mut Vec<u8>, value: f32) {
    if value.is_finite() {
        let _ = serde_json::to_writer(out, &value);
    } else {
        out.extend_from_slice(not_finite(value.into()));
    }
}

/// As Connect's JSON converter has it, which JSON has no words for.
fn not_finite(value: f64) -> &'static [u8] {
    if value.is_nan() {
        b"\"NaN\""
    } else if value > 0.0 {
        b"\"Infinity\""
    } else {
        b"\"-Infinity\""
    }
}

pub(super) fn boolean(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

pub(super) fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}

pub(super) fn text(out: &mut Vec<u8>, value: &str) {
    let plain = |b: u8| b >= 0x20 && b != b'"' && b != b'\\';
    if value.bytes().all(plain) {
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    } else {
        let _ = serde_json::to_writer(out, value);
    }
}

pub(super) fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + value.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(value, &mut out[start..]);
    out.truncate(start + written.unwrap_or(0));
    out.push(b'"');
}
