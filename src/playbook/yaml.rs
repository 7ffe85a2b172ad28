//! Text as a YAML scalar: plain where that is safe beyond doubt, else in double quotes, so that any name comes back as
//! it was.

use std::borrow::Cow;

/// Words that some version of YAML takes for a truth value, nothing, or a number.
const TAKEN: &[&str] = &[
    "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf",
];

/// `text` as a key, which is never expanded.
pub(super) fn key(text: &str) -> Cow<'_, str> {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_well && text.chars().all(word) && !TAKEN.contains(&&*text.to_ascii_lowercase()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(quoted(text))
}

/// `text` as a value that means itself, whatever `${` it holds.
pub(super) fn value(text: &str) -> Cow<'_, str> {
    if text.contains("${") {
        return Cow::Owned(quoted(&literal(text)));
    }
    key(text)
}

/// `text` with what would be expanded made literal.
pub(super) fn literal(text: &str) -> String {
    text.replace("${", "$${")
}

/// `text` in double quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if is_unsafe(c) && u32::from(c) > 0xffff => {
                out.push_str(&format!("\\U{:08x}", u32::from(c)));
            }
            c if is_unsafe(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A remark for behind a `#`, on one line whatever names it holds.
pub(super) fn remark(text: &str) -> String {
    let shown = |c: char| if is_unsafe(c) { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// What breaks a line somewhere, cannot be seen, or turns the text around it.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
