//! What stands for a TOASTed value that an update did not touch, in every form that the connector gives it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use md5::{Digest, Md5};

/// The placeholder as JSON text, form by form.
#[derive(Clone, Debug)]
pub(super) struct Placeholder {
    forms: Vec<String>,
    /// A bit for each length that a form has, modulo 64: nearly every value is told by it alone.
    lengths: u64,
}

impl Placeholder {
    /// Of these bytes.
    pub(super) fn new(bytes: &[u8]) -> Placeholder {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let text = String::from_utf8_lossy(bytes).into_owned();
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let texts = [
            text.clone(),
            STANDARD.encode(bytes),
            URL_SAFE.encode(bytes),
            hex,
        ];
        let mut forms: Vec<String> = texts.iter().map(|t| quoted(t)).collect();
        // Arrays of texts and of bytes have it as their one element, those of UUIDs a UUID made from it.
        forms.extend(texts.iter().map(|t| format!("[{}]", quoted(t))));
        forms.push(format!("[{}]", quoted(&name_uuid(bytes))));
        // Arrays of integers and of dates have its bytes.
        let numbers: Vec<String> = bytes.iter().map(|b| b.cast_signed().to_string()).collect();
        forms.push(format!("[{}]", numbers.join(",")));
        // An hstore has it as key and value, as an object or as the text of one.
        let object = format!("{{{0}:{0}}}", quoted(&text));
        forms.push(quoted(&object));
        forms.push(object);
        forms.sort();
        forms.dedup();
        let lengths = forms.iter().fold(0, |bits, f| bits | bit(f.len()));
        Placeholder { forms, lengths }
    }

    /// Whether this JSON value is the placeholder.
    pub(super) fn is(&self, raw: &str) -> bool {
        self.lengths & bit(raw.len()) != 0
            && matches!(raw.as_bytes().first(), Some(b'"' | b'[' | b'{'))
            && self.forms.iter().any(|form| form == raw)
    }
}

fn bit(length: usize) -> u64 {
    1 << (length % 64)
}

/// The UUID that Java makes from a name: MD5, marked as version 3.
fn name_uuid(bytes: &[u8]) -> String {
    let mut hash: [u8; 16] = Md5::digest(bytes).into();
    hash[6] = hash[6] & 0x0f | 0x30;
    hash[8] = hash[8] & 0x3f | 0x80;
    let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &hex[part]);
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_was_recorded() {
        let usual = Placeholder::new(b"__debezium_unavailable_value");
        let numbers = "[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,97,108,117,101]";
        for form in [
            "\"__debezium_unavailable_value\"",
            "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"",
            "[\"__debezium_unavailable_value\"]",
            "[\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"]",
            "[\"b68a35a7-17ad-35b3-af2a-ae46edb4545a\"]",
            numbers,
            r#""{\"__debezium_unavailable_value\":\"__debezium_unavailable_value\"}""#,
            r#"{"__debezium_unavailable_value":"__debezium_unavailable_value"}"#,
        ] {
            assert!(usual.is(form), "{form}");
        }
        let own = Placeholder::new(b"***");
        for form in [
            "\"***\"",
            "[42,42,42]",
            "[\"8a7ab20e-c0ab-3262-8e32-9c7dcb399a4e\"]",
            r#"{"***":"***"}"#,
        ] {
            assert!(own.is(form) && !usual.is(form), "{form}");
        }
        assert!(!own.is("\"**\"") && !own.is("42") && !own.is(""));
    }
}
