//! Random cells of every type, extremes and NULLs among them.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, RngExt as _};

use trueup::projection::cell::Cell;
use trueup::projection::types::ColumnType;

/// Every type that a column can have, each array once.
pub fn types() -> Vec<ColumnType> {
    let mut types = vec![
        ColumnType::Bool,
        ColumnType::Float32,
        ColumnType::Float64,
        ColumnType::Numeric { size: None },
        ColumnType::TEXT,
        ColumnType::Text {
            max_chars: Some(9),
            padded: true,
        },
        ColumnType::Bytes,
        ColumnType::Date,
        ColumnType::Time { digits: 6 },
        ColumnType::Timestamp { digits: 6 },
        ColumnType::TimestampTz { digits: 3 },
        ColumnType::Uuid,
        ColumnType::Json,
        ColumnType::Other("tsvector".to_owned()),
    ];
    for bits in [8, 16, 24, 32, 64] {
        types.extend([true, false].map(|unsigned| ColumnType::Int { bits, unsigned }));
    }
    // Each width that a decimal can be stored in, and those that it cannot be.
    for size in [
        (4, 2),
        (9, 0),
        (10, 2),
        (18, 18),
        (19, 6),
        (38, 0),
        (38, 38),
        (39, 2),
        (3, 5),
    ] {
        types.push(ColumnType::Numeric { size: Some(size) });
    }
    let arrays: Vec<ColumnType> = types
        .iter()
        .map(|t| ColumnType::Array(Box::new(t.clone())))
        .collect();
    types.extend(arrays);
    types
}

/// A cell of that type, every seventh of them NULL.
pub fn cell(rng: &mut StdRng, kind: &ColumnType) -> Cell<'static> {
    if rng.random_range(0..7) == 0 {
        return Cell::Null;
    }
    match kind {
        ColumnType::Bool => Cell::Bool(rng.random()),
        ColumnType::Int { bits, unsigned } => {
            let (least, greatest) = ColumnType::int_range(*bits, *unsigned);
            let any = rng.random_range(least..=greatest);
            Cell::Int(*[least, greatest, 0, any].choose(rng).unwrap())
        }
        ColumnType::Float32 => {
            let any = f64::from(f32::from_bits(rng.random()));
            // The last ones are more than 32 bits can hold.
            Cell::Float(
                *[any, -0.0, f64::NAN, f64::INFINITY, 0.1, -1e300]
                    .choose(rng)
                    .unwrap(),
            )
        }
        ColumnType::Float64 => {
            let any = f64::from_bits(rng.random());
            Cell::Float(
                *[any, -0.0, f64::NAN, f64::NEG_INFINITY, 5e-324]
                    .choose(rng)
                    .unwrap(),
            )
        }
        ColumnType::Numeric { size } => Cell::Numeric(number(rng, *size).into()),
        ColumnType::Text { .. } | ColumnType::Other(_) => Cell::Text(text(rng).into()),
        ColumnType::Json => {
            let texts = [
                "{}",
                r#"{ "b": 1.0,"a":[null]}"#,
                "\"\\u0041\"",
                "1e2",
                " [1,2 ] ",
                "null",
            ];
            Cell::Json((*texts.choose(rng).unwrap()).into())
        }
        ColumnType::Bytes => {
            let mut bytes = vec![0; rng.random_range(0..20)];
            rng.fill_bytes(&mut bytes);
            Cell::Bytes(bytes.into())
        }
        ColumnType::Date => Cell::Date(
            *[i32::MIN, i32::MAX, 0, -1, rng.random()]
                .choose(rng)
                .unwrap(),
        ),
        ColumnType::Time { .. } => Cell::Time(rng.random_range(0..=86_400_000_000)),
        ColumnType::Timestamp { .. } => Cell::Timestamp(instant(rng)),
        ColumnType::TimestampTz { .. } => Cell::TimestampTz(instant(rng)),
        ColumnType::Uuid => Cell::Uuid(*[0, u128::MAX, rng.random()].choose(rng).unwrap()),
        ColumnType::Array(of) => {
            let length = rng.random_range(0..4);
            Cell::Array((0..length).map(|_| cell(rng, of)).collect())
        }
    }
}

fn instant(rng: &mut StdRng) -> i64 {
    *[i64::MIN, i64::MAX, 0, -1, rng.random()]
        .choose(rng)
        .unwrap()
}

fn text(rng: &mut StdRng) -> String {
    let known = ["", " ", "a ", "ä€𝄞", "\0", "line\nend", "NULL", "{}"];
    match rng.random_range(0..10) {
        0 => "long ".repeat(rng.random_range(1..400)),
        _ => (*known.choose(rng).unwrap()).to_owned(),
    }
}

/// Most of them as the column has them; others with another scale, other zeros, or no numbers at all.
fn number(rng: &mut StdRng, size: Option<(u32, u32)>) -> String {
    let odd = [
        "NaN",
        "Infinity",
        "-Infinity",
        "0",
        "-0",
        "-0.00",
        "007",
        "1.50",
        "1.5",
        "0.1000",
        "99999999999999999999999999999999999999999",
    ];
    if rng.random_range(0..4) == 0 {
        return (*odd.choose(rng).unwrap()).to_owned();
    }
    let (precision, scale) = size.unwrap_or((rng.random_range(1..60), rng.random_range(0..20)));
    let whole = digits(rng, precision.saturating_sub(scale));
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        rest => rest,
    };
    let sign = ["", "-"][rng.random_range(0..2)];
    match scale {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{}", digits(rng, scale)),
    }
}

fn digits(rng: &mut StdRng, count: u32) -> String {
    let least = if rng.random_range(0..3) == 0 { 9 } else { 0 };
    let digit = |_| char::from(b'0' + rng.random_range(least..10));
    (0..count).map(digit).collect()
}
