//! Decimal numbers of any size as text, compared without converting them to anything lossy.

use std::borrow::Cow;
use std::cmp::Ordering;

use num_bigint::BigInt;

/// Sign, digits before the point without leading zeros, digits after it without trailing zeros.
struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

fn parts(text: &str) -> Parts<'_> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let zero = whole.is_empty() && fraction.is_empty();
    Parts {
        negative: negative && !zero,
        whole,
        fraction,
    }
}

/// Place of the special values around the finite numbers: PostgreSQL sorts `NaN` above `Infinity`.
fn special(text: &str) -> i8 {
    match text {
        "-Infinity" => -1,
        "Infinity" => 1,
        "NaN" => 2,
        _ => 0,
    }
}

/// Compares two decimal texts by value.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let (sa, sb) = (special(a), special(b));
    if sa != 0 || sb != 0 {
        return sa.cmp(&sb);
    }
    let (a, b) = (parts(a), parts(b));
    match (a.negative, b.negative) {
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, false) => magnitude(&a, &b),
        (true, true) => magnitude(&b, &a),
    }
}

fn magnitude(a: &Parts<'_>, b: &Parts<'_>) -> Ordering {
    a.whole
        .len()
        .cmp(&b.whole.len())
        .then_with(|| a.whole.cmp(b.whole))
        .then_with(|| a.fraction.cmp(b.fraction))
}

/// The one spelling of a value: no leading or trailing zeros, no `+`, no `-0`.
#[must_use]
pub fn canonical(text: &str) -> Cow<'_, str> {
    if special(text) != 0 {
        return Cow::Borrowed(text);
    }
    let p = parts(text);
    let whole = if p.whole.is_empty() { "0" } else { p.whole };
    let sign = if p.negative { "-" } else { "" };
    let length = sign.len()
        + whole.len()
        + if p.fraction.is_empty() {
            0
        } else {
            p.fraction.len() + 1
        };
    if length == text.len() && !text.starts_with('+') {
        return Cow::Borrowed(text);
    }
    if p.fraction.is_empty() {
        Cow::Owned(format!("{sign}{whole}"))
    } else {
        Cow::Owned(format!("{sign}{whole}.{}", p.fraction))
    }
}

/// Reads a decimal as any system writes it (exponents too) and returns it without an exponent, or `None`
/// when it is no number. Exponents are bounded so that a short text cannot ask for gigabytes.
#[must_use]
pub fn parse(text: &str) -> Option<Cow<'_, str>> {
    match text.to_ascii_lowercase().as_str() {
        "nan" => return Some(Cow::Borrowed("NaN")),
        "infinity" | "inf" | "+infinity" | "positive_infinity" => {
            return Some(Cow::Borrowed("Infinity"));
        }
        "-infinity" | "-inf" | "negative_infinity" => return Some(Cow::Borrowed("-Infinity")),
        _ => {}
    }
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (
            &text[..at],
            text[at + 1..]
                .parse::<i32>()
                .ok()
                .filter(|e| e.abs() <= 20_000)?,
        ),
        None => (text, 0),
    };
    let digits = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let decimal = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !decimal(whole) || !decimal(fraction) {
        return None;
    }
    if exponent == 0 && !whole.is_empty() && !mantissa.starts_with('+') && !mantissa.ends_with('.')
    {
        return Some(Cow::Borrowed(mantissa));
    }
    let sign = if mantissa.starts_with('-') { "-" } else { "" };
    Some(Cow::Owned(shift(sign, whole, fraction, exponent)))
}

fn shift(sign: &str, whole: &str, fraction: &str, exponent: i32) -> String {
    let all = format!("{whole}{fraction}");
    let point = i64::try_from(whole.len()).unwrap_or(i64::MAX) + i64::from(exponent);
    let length = i64::try_from(all.len()).unwrap_or(i64::MAX);
    if point <= 0 {
        let zeros = usize::try_from(-point).unwrap_or(0);
        format!("{sign}0.{}{all}", "0".repeat(zeros))
    } else if point >= length {
        let zeros = usize::try_from(point - length).unwrap_or(0);
        let whole = format!("{all}{}", "0".repeat(zeros));
        let trimmed = whole.trim_start_matches('0');
        format!("{sign}{}", if trimmed.is_empty() { "0" } else { trimmed })
    } else {
        let at = usize::try_from(point).unwrap_or(0);
        format!("{sign}{}.{}", &all[..at], &all[at..])
    }
}

/// Digits before the point (leading zeros not counted) and after it (trailing zeros not counted).
#[must_use]
pub fn digits(text: &str) -> (usize, usize) {
    let p = parts(text);
    (p.whole.len(), p.fraction.len())
}

/// The exact sum of two decimal texts, with the longer fraction of the two. As in PostgreSQL, whatever is no number stays
/// none, and opposite infinities add up to `NaN`.
#[must_use]
pub fn sum(a: &str, b: &str) -> String {
    match (special(a), special(b)) {
        (0, 0) => {}
        (0, _) => return b.to_owned(),
        (_, 0) => return a.to_owned(),
        (x, y) if x == y => return a.to_owned(),
        _ => return "NaN".to_owned(),
    }
    let scale = |text: &str| {
        text.split_once('.')
            .map_or(0, |(_, fraction)| fraction.len())
    };
    let scale = scale(a).max(scale(b));
    let sum = unscaled(a, scale) + unscaled(b, scale);
    let (sign, digits) = (
        if sum < BigInt::ZERO { "-" } else { "" },
        sum.magnitude().to_string(),
    );
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale == 0 { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

/// A finite decimal text in units of its last digit, if it has so many after the point.
fn unscaled(text: &str, scale: usize) -> BigInt {
    let p = parts(text);
    let digits = format!("{}{:0<scale$}", p.whole, p.fraction);
    // Nothing but digits, as `parse` made sure when the text was read; no digit at all is zero.
    let magnitude: BigInt = digits.parse().unwrap_or_default();
    if p.negative { -magnitude } else { magnitude }
}

/// The text of a number with the other sign.
#[must_use]
pub fn negated(text: &str) -> String {
    match text.strip_prefix('-') {
        Some(positive) => positive.to_owned(),
        None if text == "NaN" => text.to_owned(),
        None => format!("-{}", text.strip_prefix('+').unwrap_or(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_by_value() {
        for (a, b, want) in [
            ("1.50", "1.5", Ordering::Equal),
            ("-0", "0.000", Ordering::Equal),
            ("9", "10", Ordering::Less),
            ("-9", "-10", Ordering::Greater),
            ("0.09", "0.1", Ordering::Less),
            ("NaN", "Infinity", Ordering::Greater),
            ("-Infinity", "-1e9", Ordering::Less),
            (
                "123456789012345678901234567890.1",
                "123456789012345678901234567890.10",
                Ordering::Equal,
            ),
        ] {
            assert_eq!(compare(a, b), want, "{a} {b}");
        }
    }

    #[test]
    fn sums_are_exact() {
        for (a, b, want) in [
            ("0", "0", "0"),
            ("1.50", "-1.5", "0.00"),
            ("0.1", "0.2", "0.3"),
            ("-0.05", "0.1", "0.05"),
            ("99.99", "0.01", "100.00"),
            ("-100", "0.01", "-99.99"),
            (
                "123456789012345678901234567890",
                "1",
                "123456789012345678901234567891",
            ),
            ("NaN", "1", "NaN"),
            ("1", "-Infinity", "-Infinity"),
            ("Infinity", "-Infinity", "NaN"),
        ] {
            assert_eq!(sum(a, b), want, "{a} + {b}");
            assert_eq!(sum(b, a), want, "{b} + {a}");
            if special(a) == 0 && special(b) == 0 {
                let back = sum(&sum(a, b), &negated(b));
                assert_eq!(compare(&back, a), Ordering::Equal, "{a} + {b} - {b}");
            }
        }
    }

    #[test]
    fn one_spelling() {
        for (given, want) in [
            ("007.500", "7.5"),
            ("-0.0", "0"),
            ("+3", "3"),
            ("0.10", "0.1"),
            ("12", "12"),
            ("-1.25", "-1.25"),
        ] {
            assert_eq!(canonical(given), want);
        }
    }

    #[test]
    fn reads_exponents_and_refuses_words() {
        for (given, want) in [
            ("1e3", "1000"),
            ("1.5E-3", "0.0015"),
            (".5", "0.5"),
            ("12.34e1", "123.4"),
            ("-2e0", "-2"),
            ("5.", "5"),
        ] {
            assert_eq!(
                parse(given).map(|t| canonical(&t).into_owned()).as_deref(),
                Some(want),
                "{given}"
            );
        }
        for bad in ["", "-", ".", "1e", "abc", "1 2", "1e999999999"] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
