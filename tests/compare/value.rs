//! Values of each kind; the smallest changes of them; and other spellings of them.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, RngExt as _};

use super::kind::Kind;

/// Documents that are all different, each with another spelling of it. What PostgreSQL's own hash takes for equal is among them.
const DOCUMENTS: &[(&str, &str)] = &[
    ("[[1],2]", "[[1.0], 2]"),
    ("[[1,2]]", "[ [1, 2.00] ]"),
    ("[1,2]", "[1,\n2]"),
    ("[2,1]", "[20e-1, 1]"),
    ("[]", "[ ]"),
    ("[[]]", "[[ ]]"),
    ("{}", "{ }"),
    ("null", " null"),
    ("0", "0.00"),
    ("\"0\"", "\"\\u0030\""),
    ("false", "false "),
    ("\"\"", " \"\""),
    ("{\"a\":1}", "{\"a\":  1.0}"),
    ("{\"a\":-1}", "{\"a\":-10e-1}"),
    ("{\"a\":\"1\"}", "{\"\\u0061\":\"1\"}"),
    ("{\"a\":null}", "{ \"a\" : null }"),
    ("{\"A\":1}", "{\"A\":1}"),
    ("{\"a\":{\"b\":1},\"c\":2}", "{\"c\":2,\"a\":{\"b\":1}}"),
    ("{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"c\":2,\"b\":1}}"),
    ("{\"a\":9007199254740993}", "{\"a\":9007199254740993.0}"),
    ("{\"a\":9007199254740992}", "{\"a\": 9007199254740992}"),
];

const INTS: &[(&str, &str)] = &[
    ("{}", "{}"),
    ("{NULL}", "{null}"),
    ("{0}", "{0}"),
    ("{1,2}", "{1,2}"),
    ("{2,1}", "{2,1}"),
    ("{1,2,2}", "{1,2,2}"),
    ("{1,NULL}", "{1,NULL}"),
    ("{NULL,1}", "{NULL,1}"),
    ("{-1,2}", "{-1,2}"),
];

const TEXTS: &[(&str, &str)] = &[
    ("{}", "{}"),
    ("{NULL}", "{null}"),
    ("{\"\"}", "{\"\"}"),
    ("{\"NULL\"}", "{\"NULL\"}"),
    ("{a,b}", "{\"a\",b}"),
    ("{\"a,b\"}", "{\"a,b\"}"),
    ("{b,a}", "{b,\"a\"}"),
    ("{A,b}", "{\"A\",\"b\"}"),
    ("{\"a \",b}", "{\"a \",b}"),
];

const NUMS: &[(&str, &str)] = &[
    ("{}", "{}"),
    ("{NULL}", "{null}"),
    ("{1.5}", "{1.500}"),
    ("{-1.5}", "{-1.50}"),
    ("{0}", "{0.0}"),
    ("{1,5}", "{1.0,5}"),
    ("{15}", "{15}"),
];

const SPANS: &[&str] = &[
    "1 day",
    "24:00:00",
    "1 mon",
    "30 days",
    "-00:00:01",
    "00:00:00",
];

const MOODS: &[&str] = &["sad", "Sad", "ok", "so so"];

/// Numbers whose 64 bits PostgreSQL's own hash folds into the same 32.
const FOLDED: &[&str] = &[
    "0",
    "4294967297",
    "8589934595",
    "12884901890",
    "-1",
    "-4294967298",
];

const LETTERS: &[&str] = &[
    "a", "A", "b", "B", "z", "Z", "é", "e\u{301}", "ß", "ss", "-", "_", " ", "'", "\\", "\t", "%",
    "0", "🦀", "İ", "i",
];

fn pool(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::Jsonb | Kind::Json => DOCUMENTS,
        Kind::Ints => INTS,
        Kind::Texts => TEXTS,
        Kind::Nums => NUMS,
        _ => &[],
    }
}

fn word(rng: &mut StdRng) -> String {
    (0..rng.random_range(0..5))
        .map(|_| *LETTERS.choose(rng).unwrap())
        .collect()
}

fn date(rng: &mut StdRng) -> String {
    format!(
        "20{:02}-{:02}-{:02}",
        rng.random_range(1..38),
        rng.random_range(1..13),
        rng.random_range(1..29)
    )
}

/// A time of day with so many digits of seconds, without zeros at its end.
fn time(rng: &mut StdRng, digits: u32) -> String {
    let whole = format!(
        "{:02}:{:02}:{:02}",
        rng.random_range(0..24),
        rng.random_range(0..60),
        rng.random_range(0..60)
    );
    let unit = 10u32.pow(6 - digits);
    let micros = rng.random_range(0..10u32.pow(digits)) * unit;
    match micros {
        0 => whole,
        _ => format!("{whole}.{micros:06}")
            .trim_end_matches('0')
            .to_owned(),
    }
}

fn uuid(n: u128) -> String {
    let h = format!("{n:032x}");
    [&h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..]].join("-")
}

/// A random value. `plain`: one that SQLite keeps too.
pub fn value(kind: Kind, rng: &mut StdRng, plain: bool) -> String {
    let special = !plain && rng.random_bool(0.2);
    match kind {
        Kind::Small => rng.random::<i16>().to_string(),
        Kind::Int => match rng.random_range(0..3) {
            0 => rng.random_range(-3..4).to_string(),
            _ => rng.random::<i32>().to_string(),
        },
        Kind::Big | Kind::Wide if rng.random_bool(0.3) => (*FOLDED.choose(rng).unwrap()).to_owned(),
        Kind::Big | Kind::Wide => rng.random::<i64>().to_string(),
        Kind::Float4 | Kind::Float8 if special => {
            (*["NaN", "Infinity", "-Infinity", "0"].choose(rng).unwrap()).to_owned()
        }
        Kind::Float4 => format!("{:?}", f64::from(rng.random_range(-99_999..99_999)) / 16.0),
        Kind::Float8 => match rng.random_range(0..4) {
            0 => "0.0".to_owned(),
            1 => "0.1".to_owned(),
            _ => format!("{:?}", rng.random::<f64>() * 1e9 - 5e8),
        },
        Kind::Free if special => (*[
            "NaN",
            "Infinity",
            "-Infinity",
            "-123456789012345678901234567890.123456789",
            "123456789012345678901234567890.123456789",
            "0.000000000000000001",
        ]
        .choose(rng)
        .unwrap())
        .to_owned(),
        Kind::Num | Kind::Free | Kind::Price => match rng.random_range(0..5) {
            0 => "0".to_owned(),
            1 => rng.random_range(-20..21).to_string(),
            _ => Kind::Free.canonical(&format!(
                "{:.4}",
                f64::from(rng.random_range(-800_000..800_000)) / 16.0
            )),
        },
        Kind::Flag | Kind::FlagInt => i32::from(rng.random_bool(0.5)).to_string(),
        Kind::Text | Kind::Varchar | Kind::Citext => word(rng),
        Kind::Char | Kind::CharText => word(rng)
            .replace(['\t'], "")
            .chars()
            .take(12)
            .collect::<String>()
            .trim_end()
            .to_owned(),
        Kind::Bytes => (0..rng.random_range(0..6)).fold("\\x".to_owned(), |all, _| {
            all + &format!("{:02x}", rng.random::<u8>())
        }),
        Kind::Date | Kind::DateTime => date(rng),
        Kind::Time => time(rng, 3),
        Kind::Ts => format!("{} {}", date(rng), time(rng, 3)),
        Kind::Tz => format!("{} {}+00", date(rng), time(rng, 6)),
        Kind::Uuid | Kind::UuidText => uuid(rng.random()),
        Kind::Mood => (*MOODS.choose(rng).unwrap()).to_owned(),
        Kind::Span => (*SPANS.choose(rng).unwrap()).to_owned(),
        kind => pool(kind).choose(rng).unwrap().0.to_owned(),
    }
}

/// Another value that is as near as can be: one bit, one character, one digit, one microsecond, or the other of a pair that is
/// easily taken for one.
pub fn changed(kind: Kind, old: &str, rng: &mut StdRng, plain: bool) -> String {
    loop {
        let new = match kind {
            Kind::Small => flipped(old, 32, rng),
            Kind::Int | Kind::Big if rng.random_bool(0.8) => flipped(old, 64, rng),
            Kind::Wide if rng.random_bool(0.5) => flipped(old, 63, rng),
            Kind::Float4 | Kind::Float8 => bit_of_float(old, rng),
            Kind::Num | Kind::Free | Kind::Price | Kind::Wide => digit(old, rng, kind, plain),
            Kind::Flag => i32::from(old == "0").to_string(),
            Kind::FlagInt => (*["0", "1", "2", "-1", "4294967296"].choose(rng).unwrap()).to_owned(),
            Kind::Text | Kind::Varchar | Kind::Citext => character(old, rng),
            Kind::CharText | Kind::UuidText => character(old, rng),
            Kind::Char => character(old, rng).trim_end().chars().take(20).collect(),
            Kind::Bytes => bit_of_bytes(old, rng),
            Kind::DateTime => format!("{old} 00:00:00.000001"),
            Kind::Time | Kind::Ts => micro(old, "", rng),
            Kind::Tz => micro(old, "+00", rng),
            Kind::Uuid => {
                let bits = u128::from_str_radix(&old.replace('-', ""), 16).unwrap();
                uuid(bits ^ (1 << rng.random_range(0..128)))
            }
            kind => value(kind, rng, plain),
        };
        if kind.canonical(&new) != kind.canonical(old) {
            return new;
        }
    }
}

/// One bit of a whole number.
fn flipped(old: &str, bits: u32, rng: &mut StdRng) -> String {
    let bit = rng.random_range(0..bits);
    if bits == 32 {
        let old: i32 = old.parse().unwrap();
        return (old ^ (1 << bit)).to_string();
    }
    let old: i64 = old.parse().unwrap();
    (old ^ (1 << bit)).to_string()
}

fn bit_of_float(old: &str, rng: &mut StdRng) -> String {
    let old: f64 = old.parse().unwrap();
    if !old.is_finite() {
        return (*["0", "1", "-1.5"].choose(rng).unwrap()).to_owned();
    }
    // Not one of the exponent's: that may make it none.
    let bit = match rng.random_range(0..10) {
        0 if old != 0.0 => 63,
        _ => rng.random_range(0..52),
    };
    let new = f64::from_bits(old.to_bits() ^ (1 << bit));
    // SQLite reads no number that small; nor do all of its versions read every digit of others.
    if new.is_subnormal() {
        "1e-300".to_owned()
    } else {
        format!("{new:?}")
    }
}

fn digit(old: &str, rng: &mut StdRng, kind: Kind, plain: bool) -> String {
    if old.ends_with('N') || old.ends_with('y') {
        return (*["NaN", "Infinity", "-Infinity", "0", "1"]
            .choose(rng)
            .unwrap())
        .to_owned();
    }
    if rng.random_bool(0.3) && old != "0" {
        return match old.strip_prefix('-') {
            Some(positive) => positive.to_owned(),
            None => format!("-{old}"),
        };
    }
    if !plain && kind != Kind::Wide && rng.random_bool(0.3) {
        let point = if old.contains('.') { "" } else { "." };
        return format!("{old}{point}00000000000000000001");
    }
    let places: Vec<usize> = old
        .char_indices()
        .filter(|(_, c)| c.is_ascii_digit())
        .map(|(at, _)| at)
        .collect();
    // Only the last digits: those before the point could become too many.
    let at = if plain {
        places[places.len() - 1]
    } else {
        *places.choose(rng).unwrap()
    };
    let mut new = old.to_owned();
    let whole = if plain && old.contains('.') {
        "05"
    } else {
        "0123456789"
    };
    let digits: Vec<char> = whole.chars().collect();
    new.replace_range(at..=at, &digits.choose(rng).unwrap().to_string());
    let sign = if new.starts_with('-') { "-" } else { "" };
    let trimmed = new.trim_start_matches('-').trim_start_matches('0');
    match trimmed.chars().next() {
        None => "0".to_owned(),
        Some('.') => format!("{sign}0{trimmed}"),
        Some(_) => format!("{sign}{trimmed}"),
    }
}

/// One character replaced, added, taken out, or in the other case.
fn character(old: &str, rng: &mut StdRng) -> String {
    let mut letters: Vec<String> = old.chars().map(String::from).collect();
    let new = (*LETTERS.choose(rng).unwrap()).to_owned();
    let at = rng.random_range(0..=letters.len());
    match rng.random_range(0..5) {
        0 => letters.insert(at, new),
        1 => letters.push(" ".to_owned()),
        _ if at == letters.len() => letters.push(new),
        2 => drop(letters.remove(at)),
        3 => letters[at] = new,
        _ => {
            let upper = letters[at].to_uppercase();
            letters[at] = if upper == letters[at] {
                letters[at].to_lowercase()
            } else {
                upper
            };
        }
    }
    letters.concat()
}

fn bit_of_bytes(old: &str, rng: &mut StdRng) -> String {
    let mut digits: Vec<char> = old.trim_start_matches("\\x").chars().collect();
    match rng.random_range(0..4) {
        0 => digits.extend(['0', '0']),
        _ if digits.is_empty() => digits.extend(['0', '0']),
        1 => digits.truncate(digits.len() - 2),
        _ => {
            let at = rng.random_range(0..digits.len());
            let nibble = digits[at].to_digit(16).unwrap() ^ (1 << rng.random_range(0..4));
            digits[at] = char::from_digit(nibble, 16).unwrap();
        }
    }
    format!("\\x{}", digits.into_iter().collect::<String>())
}

/// A microsecond, or one digit of the year or of the seconds.
fn micro(old: &str, zone: &str, rng: &mut StdRng) -> String {
    let bare = old.strip_suffix(zone).unwrap();
    let digits = bare
        .split_once('.')
        .map_or(0, |(_, fraction)| fraction.len());
    let new = match (rng.random_range(0..3), digits) {
        (0, _) => {
            let at = if bare.len() > 15 { 3 } else { 7 };
            let other = if &bare[at..=at] == "1" { "2" } else { "1" };
            format!("{}{other}{}", &bare[..at], &bare[at + 1..])
        }
        (_, 0) => format!("{bare}.000001"),
        (_, 6) => format!("{}{}", &bare[..bare.len() - 1], (rng.next_u32() % 9) + 1),
        (_, n) => format!("{bare}{}1", "0".repeat(5 - n)),
    };
    format!("{new}{zone}")
}

/// The same value in another spelling; `plain`: one that SQLite keeps too.
pub fn respelled(kind: Kind, old: &str, rng: &mut StdRng, plain: bool) -> String {
    let number = old.ends_with(|c: char| c.is_ascii_digit());
    match kind {
        Kind::Num | Kind::Free | Kind::Price if number => {
            let point = if old.contains('.') { "" } else { "." };
            format!("{old}{point}{}", "0".repeat(rng.random_range(1..4)))
        }
        Kind::Float4 | Kind::Float8 if old.parse() == Ok(0.0) => "-0.0".to_owned(),
        Kind::Flag if !plain => (*if old == "1" {
            ["t", "yes", "on"]
        } else {
            ["f", "no", "off"]
        }
        .choose(rng)
        .unwrap())
        .to_owned(),
        Kind::Char if !plain && old.chars().count() < 10 => format!("{old}  "),
        Kind::Uuid => old.to_uppercase(),
        Kind::Bytes => old.to_uppercase().replace("\\X", "\\x"),
        Kind::Time | Kind::Ts if !old.contains('.') => format!("{old}.000"),
        // Half an hour is not lost, whatever the zone.
        Kind::Tz => match rng.random_range(0..2) {
            0 => old.replace("+00", "+00:00"),
            _ => east(old),
        },
        kind => {
            let found = pool(kind).iter().find(|(first, _)| *first == old);
            found.map_or_else(|| old.to_owned(), |(_, second)| (*second).to_owned())
        }
    }
}

/// The instant as a clock 5:30 to the east shows it, if that is the same day.
fn east(old: &str) -> String {
    let (hour, minute): (u32, u32) = (old[11..13].parse().unwrap(), old[14..16].parse().unwrap());
    let late = hour * 60 + minute + 330;
    if late >= 24 * 60 {
        return old.to_owned();
    }
    let rest = old[16..].replace("+00", "+05:30");
    format!("{}{:02}:{:02}{rest}", &old[..11], late / 60, late % 60)
}
