//! Records damaged at random: each is read or refused with its position, nothing panics, nothing is kept.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use trueup::projection::decode::{self, Decoder};
use trueup::projection::fold::Fold;
use trueup::projection::record::{Frame, Position, Record};
use trueup::projection::types::Column;
use trueup::projection::version::Order;

use super::recorded::{column, columns, decoder, forms, settings};
use crate::support::{seed, size};

/// Texts that parsers have stumbled over.
const ODD: [&str; 24] = [
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "-0",
    "1e999999",
    "-1e-999999",
    "9223372036854775808",
    "-9223372036854775809",
    "99999999999999999999999999",
    "\"\\ud800\"",
    "\"NaN\"",
    "\"+999999999-12-31T23:59:59.999999999Z\"",
    "\"-0000-00-00Z\"",
    "\"2024-02-29T10:00:00+9999999999999999999:00\"",
    "\"P99999999999999999999Y\"",
    "\"P1Y2M3DT4H5M.S\"",
    "{\"scale\":2147483647,\"value\":\"AQ==\"}",
    "{\"scale\":-2147483648,\"value\":\"\"}",
    "{\"wkb\":\"AQ==\",\"srid\":4294967295}",
    "[[[[[[[[]]]]]]]]",
    "{\"x\":null,\"y\":{}}",
    "\"====\"",
];

struct Damage {
    rng: StdRng,
}

impl Damage {
    /// One to four wounds.
    fn strike(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.rng.random_range(1..=4) {
            if bytes.is_empty() {
                return;
            }
            let at = self.rng.random_range(0..bytes.len());
            let to = (at + self.rng.random_range(1..=24)).min(bytes.len());
            match self.rng.random_range(0..8) {
                0 => bytes[at] ^= 1 << self.rng.random_range(0..8),
                1 => bytes[at] = *b"\"\\{}[],:0-e".choose(&mut self.rng).unwrap(),
                2 => drop(bytes.drain(at..to)),
                3 => {
                    let some = bytes[at..to].to_vec();
                    bytes.splice(at..at, some);
                }
                4 => bytes.truncate(at),
                _ => self.value(bytes, at),
            }
        }
    }

    /// Puts something odd in the place of a value.
    fn value(&mut self, bytes: &mut Vec<u8>, from: usize) {
        let Some(start) = bytes[from..]
            .iter()
            .position(|b| *b == b':')
            .map(|i| from + i + 1)
        else {
            return;
        };
        let end = bytes[start..]
            .iter()
            .position(|b| matches!(b, b',' | b'}'))
            .map(|i| start + i);
        let odd = ODD.choose(&mut self.rng).unwrap().bytes();
        bytes.splice(start..end.unwrap_or(bytes.len()), odd);
    }
}

fn all_types(form: &str) -> Decoder {
    let settings = settings(form);
    let readable = columns().into_iter().filter(|c| {
        let kind = column(&c.name, &c.kind, true).kind;
        c.name != "id" && decode::unreadable(&kind, c.list, &settings).is_none()
    });
    let all: Vec<Column> = readable
        .map(|c| column(&c.name, &c.kind, c.nullable))
        .collect();
    decoder(all, settings)
}

/// Memory of this process, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn damaged_records_are_read_or_refused_with_their_position() {
    const GROWTH_MAX: u64 = 64 << 20;
    let total = size(20_000, 10_000_000);
    let mut damage = Damage {
        rng: StdRng::seed_from_u64(seed()),
    };
    let recorded = forms();
    let mut decoders: Vec<(&str, Decoder)> = ["bare", "modes", "double", "schemas", "flat"]
        .map(|form| (form, all_types(form)))
        .into();
    let mut fold = Fold::new(Order::Lsn);
    let (mut read, mut refused, mut before) = (0u64, 0u64, 0);
    for nth in 0..total {
        if nth == total / 10 {
            before = resident();
        }
        let one = recorded.choose(&mut damage.rng).unwrap();
        // A schema makes a record ten times as long, and is mostly what is hit then.
        if one.form == "schemas" && damage.rng.random_ratio(9, 10) {
            continue;
        }
        let mut key = one.key.clone().map(String::into_bytes);
        let mut value = one.value.clone().map(String::into_bytes);
        match (damage.rng.random_range(0..8), &mut key, &mut value) {
            (0, Some(key), _) => damage.strike(key),
            (1, _, value) if damage.rng.random_ratio(1, 50) => *value = None,
            (_, _, Some(value)) => damage.strike(value),
            _ => {}
        }
        let (_, decoder) = decoders
            .iter_mut()
            .find(|(form, _)| *form == one.form)
            .unwrap();
        let record = Record {
            at: Position {
                topic: "t",
                partition: 1,
                offset: i64::try_from(nth).unwrap(),
            },
            key: key.as_deref(),
            value: value.as_deref(),
            headers: &[],
            key_frame: Frame::None,
            value_frame: Frame::None,
        };
        let mut out = Vec::new();
        match decoder.decode(&record, &mut out) {
            Ok(_) => read += 1,
            Err(e) => {
                assert!(e.to_string().contains(&format!("t:1:{nth}")), "{e}");
                assert!(
                    e.to_string().len() < 2_000,
                    "{} bytes of error",
                    e.to_string().len()
                );
                refused += 1;
            }
        }
        for change in out {
            fold.apply(change.into_owned());
        }
        if nth % 1_000 == 0 {
            drop(fold.drain());
        }
    }
    let grown = resident().saturating_sub(before);
    println!(
        "{total} damaged records: {read} read, {refused} refused; memory grew by {} KiB",
        grown >> 10
    );
    assert!(read > 0 && refused > 0);
    assert!(grown < GROWTH_MAX, "memory grew by {grown} bytes");
}
