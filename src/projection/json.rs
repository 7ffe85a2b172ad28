//! Equality of JSON documents: by content, numbers by their decimal value, never through a float.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::numeric;

/// Equal when the documents are; otherwise their texts are compared, so that the order is at least stable.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    if a == b || equal(a, b) {
        Ordering::Equal
    } else {
        a.cmp(b)
    }
}

/// Whether two texts are the same JSON document. A text that is no JSON equals only itself.
#[must_use]
pub fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim(), b.trim());
    if a == b {
        return true;
    }
    match (a.as_bytes().first(), b.as_bytes().first()) {
        (Some(b'{'), Some(b'{')) => objects_equal(a, b).unwrap_or(false),
        (Some(b'['), Some(b'[')) => arrays_equal(a, b).unwrap_or(false),
        (Some(b'"'), Some(b'"')) => strings_equal(a, b).unwrap_or(false),
        _ => match (numeric::parse(a), numeric::parse(b)) {
            (Some(a), Some(b)) => numeric::compare(&a, &b) == Ordering::Equal,
            _ => false,
        },
    }
}

fn objects_equal(a: &str, b: &str) -> Result<bool, serde_json::Error> {
    let a: BTreeMap<String, &RawValue> = serde_json::from_str(a)?;
    let b: BTreeMap<String, &RawValue> = serde_json::from_str(b)?;
    Ok(a.len() == b.len()
        && a.iter()
            .zip(&b)
            .all(|((ka, va), (kb, vb))| ka == kb && equal(va.get(), vb.get())))
}

fn arrays_equal(a: &str, b: &str) -> Result<bool, serde_json::Error> {
    let a: Vec<&RawValue> = serde_json::from_str(a)?;
    let b: Vec<&RawValue> = serde_json::from_str(b)?;
    Ok(a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| equal(a.get(), b.get())))
}

fn strings_equal(a: &str, b: &str) -> Result<bool, serde_json::Error> {
    Ok(serde_json::from_str::<String>(a)? == serde_json::from_str::<String>(b)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_content() {
        assert!(equal(
            r#"{"a":1,"b":[1,2]}"#,
            r#"{ "b": [1.0, 2], "a": 1 }"#
        ));
        assert!(equal(r#""\u0041""#, r#""A""#));
        assert!(equal("10", "1e1"));
        assert!(!equal("9007199254740993", "9007199254740992"));
        assert!(!equal("[1,2]", "[2,1]"));
        assert!(!equal("null", "0"));
    }
}
