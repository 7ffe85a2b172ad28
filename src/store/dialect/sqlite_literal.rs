//! SQLite's own text: a value as the SQL literal of its storage class. It is made and read here alone, and each value
//! has one spelling, so that equal texts are equal values of one class.

use super::sqlite::Bind;

/// What an infinity is written as: a literal too large for a float.
const INFINITY: &str = "9e999";

/// A value as a literal; `None` for NULL, which NaN is to SQLite too.
#[must_use]
pub fn write(value: &Bind) -> Option<String> {
    match value {
        Bind::Null => None,
        Bind::Int(i) => Some(i.to_string()),
        Bind::Real(f) if f.is_nan() => None,
        Bind::Real(f) if f.is_infinite() => {
            let sign = if *f < 0.0 { "-" } else { "" };
            Some(format!("{sign}{INFINITY}"))
        }
        // The shortest text that reads back as the same float, never without a point or an exponent.
        Bind::Real(f) => Some(format!("{f:?}")),
        Bind::Text(t) => Some(format!("'{}'", t.replace('\'', "''"))),
        Bind::Blob(bytes) => {
            let mut out = String::with_capacity(2 * bytes.len() + 3);
            out.push_str("X'");
            for half in bytes.iter().flat_map(|b| [b >> 4, b & 15]) {
                out.extend(char::from_digit(half.into(), 16));
            }
            out.push('\'');
            Some(out)
        }
    }
}

/// The value of a literal that [`write()`] has made; `None` for any other text.
#[must_use]
pub fn read(literal: &str) -> Option<Bind> {
    let inside = |start: &str| literal.strip_prefix(start)?.strip_suffix('\'');
    let value = if let Some(text) = inside("'") {
        Bind::Text(text.replace("''", "'"))
    } else if let Some(hex) = inside("X'") {
        Bind::Blob(bytes(hex)?)
    } else if literal.contains(['.', 'e']) {
        Bind::Real(literal.parse().ok()?)
    } else {
        Bind::Int(literal.parse().ok()?)
    };
    // Whatever is spelled in another way was not written here.
    (write(&value).as_deref() == Some(literal)).then_some(value)
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let half = |b: u8| char::from(b).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| u8::try_from(half(*high)? << 4 | half(*low)?).ok();
    pairs.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back_in_its_class_and_to_the_bit() {
        for (value, literal) in [
            (Bind::Int(5), "5"),
            (Bind::Int(i64::MIN), "-9223372036854775808"),
            (Bind::Real(5.0), "5.0"),
            (Bind::Real(0.1), "0.1"),
            (Bind::Real(-0.0), "-0.0"),
            (Bind::Real(5e-324), "5e-324"),
            (Bind::Real(f64::MAX), "1.7976931348623157e308"),
            (Bind::Real(f64::INFINITY), "9e999"),
            (Bind::Real(f64::NEG_INFINITY), "-9e999"),
            (Bind::Text(String::new()), "''"),
            (Bind::Text("it's".to_owned()), "'it''s'"),
            (Bind::Text("'".to_owned()), "''''"),
            (Bind::Text("5".to_owned()), "'5'"),
            (Bind::Text("a\0b".to_owned()), "'a\0b'"),
            (Bind::Text("X'00'".to_owned()), "'X''00'''"),
            (Bind::Blob(Vec::new()), "X''"),
            (Bind::Blob(vec![0, 255, 39]), "X'00ff27'"),
        ] {
            assert_eq!(write(&value).as_deref(), Some(literal));
            let back = read(literal).expect(literal);
            assert_eq!(back, value);
            if let (Bind::Real(back), Bind::Real(f)) = (&back, &value) {
                assert_eq!(back.to_bits(), f.to_bits(), "{literal}");
            }
        }
        assert_eq!(write(&Bind::Null), None);
        assert_eq!(write(&Bind::Real(f64::NAN)), None);
    }

    #[test]
    fn any_other_spelling_is_no_literal() {
        for wrong in [
            "",
            "'",
            "'it's'",
            "'''",
            "NULL",
            "+5",
            "05",
            "5e0",
            "1.50",
            "inf",
            "NaN",
            "1e999",
            "X'0'",
            "X'0g'",
            "X'FF'",
            "x'ff'",
            "9223372036854775808",
            "five",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
