//! Decimal numbers as whole ones: `12.50` with two digits after the point is 1250.

/// The most digits that fit 128 bits.
pub(super) const PRECISION_MAX: u32 = 38;

/// Bytes that hold any number of so many digits, with its sign.
pub(super) fn bytes(precision: u32) -> u32 {
    let most = 10i128.pow(precision.min(PRECISION_MAX)) - 1;
    let bits = 128 - most.leading_zeros() + 1;
    bits.div_ceil(8)
}

/// The number without its point, or `None` when that loses more than zeros at its end.
pub(super) fn whole(text: &str, precision: u32, scale: u32) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (before, after) = digits.split_once('.').unwrap_or((digits, ""));
    let after = after.trim_end_matches('0');
    let scale = scale as usize;
    if after.len() > scale || (before.is_empty() && after.is_empty()) {
        return None;
    }
    let zeros = std::iter::repeat_n(b'0', scale - after.len());
    let limit = 10i128.pow(precision);
    let mut number = 0i128;
    for digit in before.bytes().chain(after.bytes()).chain(zeros) {
        if !digit.is_ascii_digit() {
            return None;
        }
        // What overflows is beyond the limit too.
        let digit = i128::from(digit - b'0');
        number = number.checked_mul(10)?.checked_add(digit)?;
        if number >= limit {
            return None;
        }
    }
    Some(if negative { -number } else { number })
}

/// The number with its point again.
pub(super) fn text(number: i128, scale: u32) -> String {
    let scale = scale as usize;
    let mut text = number.unsigned_abs().to_string();
    if text.len() <= scale {
        text.insert_str(0, &"0".repeat(scale + 1 - text.len()));
    }
    if scale > 0 {
        text.insert(text.len() - scale, '.');
    }
    if number < 0 {
        text.insert(0, '-');
    }
    text
}

/// The last `length` bytes of the number, greatest first.
pub(super) fn to_bytes(number: i128, precision: u32) -> Vec<u8> {
    let all = number.to_be_bytes();
    all[all.len() - bytes(precision) as usize..].to_vec()
}

/// Reads [`to_bytes`]; `None` for more bytes than a number has.
pub(super) fn from_bytes(bytes: &[u8]) -> Option<i128> {
    let negative = bytes.first().is_some_and(|b| b & 0x80 != 0);
    let mut all = [if negative { 0xff } else { 0 }; 16];
    let start = all.len().checked_sub(bytes.len())?;
    all[start..].copy_from_slice(bytes);
    Some(i128::from_be_bytes(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_their_texts() {
        for (given, precision, scale, want) in [
            ("12.50", 10, 2, Some(1250)),
            ("-0.05", 3, 2, Some(-5)),
            ("7", 10, 2, Some(700)),
            ("1.500", 10, 2, Some(150)),
            ("1.505", 10, 2, None),
            ("99.99", 4, 2, Some(9999)),
            ("100.00", 4, 2, None),
            ("NaN", 4, 2, None),
            ("-Infinity", 4, 2, None),
            ("", 4, 2, None),
        ] {
            assert_eq!(whole(given, precision, scale), want, "{given}");
        }
        let nines = "9".repeat(38);
        let most = whole(&nines, 38, 0).expect("38 digits fit");
        for more in ["0", "9"] {
            assert_eq!(whole(&format!("{nines}{more}"), 38, 0), None);
        }
        for (number, precision, scale, want) in [
            (1250, 10, 2, "12.50"),
            (-5, 3, 2, "-0.05"),
            (0, 3, 3, "0.000"),
            (42, 9, 0, "42"),
            (most, 38, 0, nines.as_str()),
        ] {
            assert_eq!(text(number, scale), want);
            for number in [number, -number] {
                assert_eq!(from_bytes(&to_bytes(number, precision)), Some(number));
            }
        }
    }
}
