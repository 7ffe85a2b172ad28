//! One line of an archive: an object with topic, partition, offset, key, payload and perhaps headers.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A line whose key, payload and headers are not looked into yet.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow)]
    pub(super) topic: Cow<'a, str>,
    pub(super) partition: i32,
    pub(super) offset: i64,
    #[serde(borrow)]
    pub(super) key: &'a RawValue,
    #[serde(borrow)]
    pub(super) payload: &'a RawValue,
    #[serde(borrow, default)]
    pub(super) headers: Option<&'a RawValue>,
}

/// Text of a list of headers; borrowed where nothing is escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Name and value.
pub(super) type Header<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The headers of a line, from kcat's flat array: name, value, name, value …
pub(super) fn headers(raw: &RawValue) -> Result<Vec<Header<'_>>, String> {
    let flat: Option<Vec<Option<Text<'_>>>> = serde_json::from_str(raw.get())
        .map_err(|error| format!("headers are no list of texts ({error})"))?;
    let mut flat = flat.unwrap_or_default().into_iter();
    let mut headers = Vec::with_capacity(flat.len() / 2);
    while let Some(name) = flat.next() {
        match (name, flat.next()) {
            (Some(name), Some(value)) => {
                headers.push((name.0, value.map_or(Cow::Borrowed(""), |value| value.0)));
            }
            _ => return Err("headers do not come in pairs of name and value".to_owned()),
        }
    }
    Ok(headers)
}

/// The bytes of a key or payload: borrowed from the line if nothing is escaped, else written to `buffer`.
pub(super) fn bytes<'a>(
    field: &str,
    raw: &'a RawValue,
    buffer: &'a mut Vec<u8>,
) -> Result<Option<&'a [u8]>, String> {
    let raw = raw.get();
    if raw == "null" {
        return Ok(None);
    }
    if raw.starts_with('{') {
        return binary(field, raw, buffer).map(Some);
    }
    let Some(inside) = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) else {
        return Err(format!(
            "{field} is no text; record without a deserializer (kcat without -s and -r)"
        ));
    };
    if !inside.contains('\\') {
        return Ok(Some(inside.as_bytes()));
    }
    unescape(inside, buffer).map_err(|problem| format!("{field}: {problem}"))?;
    Ok(Some(buffer))
}

/// What is no text, which kcat cannot record: `{"base64": "…"}`.
fn binary<'a>(field: &str, raw: &str, buffer: &'a mut Vec<u8>) -> Result<&'a [u8], String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Binary<'t> {
        #[serde(borrow)]
        base64: Cow<'t, str>,
    }
    buffer.clear();
    let written = serde_json::from_str::<Binary<'_>>(raw).ok();
    written
        .and_then(|written| STANDARD.decode_vec(&*written.base64, buffer).ok())
        .ok_or_else(|| {
            format!("{field} is no text, and no object with the bytes: {{\"base64\": \"…\"}}")
        })?;
    Ok(buffer)
}

/// `text` is the inside of a JSON text that serde_json has already walked over, so that only what it does not
/// check there can be wrong: surrogates without their other half.
fn unescape(text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    out.clear();
    let mut rest = text;
    // Escaped JSON has a backslash every few bytes: a plain loop beats a search made for long stretches.
    while let Some(at) = rest.bytes().position(|byte| byte == b'\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        rest = rest.get(at + 2..).unwrap_or_default();
        let byte = match escape {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (character, behind) = unicode(rest)?;
                let mut utf8 = [0; 4];
                out.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
                rest = behind;
                continue;
            }
            other => other,
        };
        out.push(byte);
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(())
}

/// The character of a `\u` escape, and the text behind it.
fn unicode(text: &str) -> Result<(char, &str), String> {
    let unit = |text: &str| {
        text.get(..4)
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
    };
    let lone = |unit: u32| format!("\\u{unit:04x} is half a character");
    let Some(high) = unit(text) else {
        return Err("\\u without four hexadecimal digits".to_owned());
    };
    let rest = &text[4..];
    if !(0xd800..0xdc00).contains(&high) {
        return char::from_u32(high)
            .map(|character| (character, rest))
            .ok_or_else(|| lone(high));
    }
    let low = rest
        .strip_prefix("\\u")
        .and_then(unit)
        .filter(|low| (0xdc00..0xe000).contains(low));
    let character =
        low.and_then(|low| char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)));
    character
        .map(|character| (character, &rest[6..]))
        .ok_or_else(|| lone(high))
}

/// What serde_json found wrong, without its line number, which is always 1.
pub(super) fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    match error.column() {
        0 => format!("{text}; is this the output of kcat -J?"),
        column => format!("{text} at column {column}; is this the output of kcat -J?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unescapes_as_serde_json_does() {
        for json in [
            r#""""#,
            r#""plain""#,
            r#""a\"b\\c\/d\b\f\n\r\t""#,
            r#""\u00e9\u20AC\ud83d\uDE00 é😀""#,
            r#""ends with \\""#,
            r#""\u0000""#,
        ] {
            let expected: String = serde_json::from_str(json).unwrap();
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            let mut buffer = vec![1, 2, 3];
            assert_eq!(
                bytes("key", raw, &mut buffer).unwrap(),
                Some(expected.as_bytes()),
                "{json}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_text_stand_in_base64() {
        let read = |json| {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            let mut buffer = vec![9];
            bytes("payload", raw, &mut buffer).map(|b| b.map(<[u8]>::to_vec))
        };
        assert_eq!(
            read(r#"{"base64":"AAAA/w=="}"#),
            Ok(Some(vec![0, 0, 0, 255]))
        );
        assert_eq!(read(r#"{"base64":""}"#), Ok(Some(vec![])));
        for wrong in [
            r#"{"a":1}"#,
            r#"{"base64":"?"}"#,
            r#"{"base64":"AA==","b":1}"#,
        ] {
            let said = read(wrong).unwrap_err();
            assert!(
                said.starts_with("payload is no text, and no object"),
                "{said}"
            );
        }
    }

    #[test]
    fn half_characters_are_refused() {
        for json in [
            r#""\ud83d""#,
            r#""\ud83dx""#,
            r#""\ude00""#,
            r#""\ud83d\u0041""#,
        ] {
            let mut buffer = Vec::new();
            let raw: Result<&RawValue, _> = serde_json::from_str(json);
            if let Ok(raw) = raw {
                assert!(bytes("key", raw, &mut buffer).is_err(), "{json}");
            }
        }
    }

    #[test]
    fn headers_are_pairs() {
        let raw = |json| -> &RawValue { serde_json::from_str(json).unwrap() };
        let both = headers(raw(r#"["a","1","b",null]"#)).unwrap();
        assert_eq!(both, [("a".into(), "1".into()), ("b".into(), "".into())]);
        assert!(headers(raw(r#"["a"]"#)).is_err());
        assert!(headers(raw(r#"{"a":1}"#)).is_err());
    }
}
