//! Frames that were damaged on their way.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use trueup::projection::framed::{Language, Schema, Written};

use crate::support::{seed, size};

/// A row that Debezium wrote, and its schema.
const SCHEMA: &str = include_str!("../../src/projection/framed/tests/kinds.avsc");
const RECORD: &str = include_str!("../../src/projection/framed/tests/kinds.hex");

/// Bytes changed, taken out and put in anywhere: an error or a value, never a panic, and no more JSON than the bytes can hold.
#[test]
fn damaged_rows_are_values_or_errors() {
    let digits: Vec<u8> = RECORD.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let record: Vec<u8> = digits.chunks(2).map(byte).collect();
    let schema = Schema::read(&Written {
        language: Language::Avro,
        text: SCHEMA.to_owned(),
        references: Vec::new(),
    })
    .unwrap();
    let mut random = StdRng::seed_from_u64(seed());
    let count = size(200_000, 10_000_000);
    let (mut opened, mut out, mut longest) = (0, Vec::new(), 0);
    for _ in 0..count {
        let mut bytes = record.clone();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(5..bytes.len());
            match random.random_range(0..3) {
                0 => bytes[at] = random.random(),
                1 => {
                    bytes.remove(at);
                }
                _ => bytes.insert(at, random.random()),
            }
        }
        if schema.open(&bytes, &mut out).is_ok() {
            opened += 1;
            serde_json::from_slice::<serde::de::IgnoredAny>(&out).unwrap();
        }
        longest = longest.max(out.len());
    }
    println!("{opened} of {count} could still be read; the longest was {longest} bytes");
    assert!(opened > 0);
    // A hundred thousand elements that take no bytes are the most that is written of nothing.
    assert!(longest < 1_000_000, "{longest} bytes of JSON");
}
