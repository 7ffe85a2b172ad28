//! `${NAME}` and `${NAME:-default}` in values.
//!
//! Only parsed values are expanded, never the file's text, so that a password with a `#` or a `:`
//! cannot break the YAML; what a variable holds is not expanded again.

use std::borrow::Cow;

/// Looks up an environment variable.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Why a value could not be expanded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unexpanded {
    /// A variable is not set and has no default.
    #[error("the environment variable `{0}` is not set")]
    Unset(String),
    /// A `${` that starts no reference.
    #[error("a `${{` here is followed by no NAME}}")]
    Malformed,
}

impl Unexpanded {
    /// What to do about it.
    pub(super) fn fix(&self) -> String {
        match self {
            Self::Unset(name) => format!("set it, or give a default: `${{{name}:-…}}`"),
            Self::Malformed => {
                "write `${NAME}` or `${NAME:-default}`, and `$${` for a literal `${`".to_owned()
            }
        }
    }
}

/// `text` with its variables filled in, or everything that stands against it. As in a shell,
/// the default also stands in for a variable that is empty; `$${` is a literal `${`.
pub(super) fn expand<'t>(text: &'t str, env: Env<'_>) -> Result<Cow<'t, str>, Vec<Unexpanded>> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let (mut out, mut failed) = (String::with_capacity(text.len()), Vec::new());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, reference) = (&rest[..at], &rest[at + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = reference;
            continue;
        }
        out.push_str(before);
        let Some((inner, after)) = reference.split_once('}') else {
            failed.push(Unexpanded::Malformed);
            rest = "";
            break;
        };
        match value_of(inner, env) {
            Ok(value) => out.push_str(&value),
            Err(why) => failed.push(why),
        }
        rest = after;
    }
    out.push_str(rest);
    if failed.is_empty() {
        Ok(Cow::Owned(out))
    } else {
        Err(failed)
    }
}

/// What `${inner}` stands for.
fn value_of(inner: &str, env: Env<'_>) -> Result<String, Unexpanded> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let goes_on_well = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !(starts_well && goes_on_well) {
        return Err(Unexpanded::Malformed);
    }
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Unexpanded::Unset(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("db#1: x".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_owned()),
            _ => None,
        }
    }

    #[track_caller]
    fn case(text: &str, expected: &str) {
        assert_eq!(expand(text, &env).as_deref(), Ok(expected));
    }

    #[test]
    fn variables_and_defaults() {
        case("plain $HOME $5 {x}", "plain $HOME $5 {x}");
        case("${HOST}", "db#1: x");
        case("a ${HOST} b ${HOST}", "a db#1: x b db#1: x");
        case("${NONE:-fallback}/x", "fallback/x");
        case("${NONE:-}", "");
        case("${NONE:-a:-b}", "a:-b");
        case("${EMPTY:-fallback}", "fallback");
        case("${EMPTY}", "");
        case("${NESTED}", "${HOST}");
    }

    #[test]
    fn an_escaped_dollar_is_literal() {
        case("$${HOST}", "${HOST}");
        case("echo $${A} ${HOST} $${", "echo ${A} db#1: x ${");
        case("$$${HOST}", "$${HOST}");
    }

    #[test]
    fn every_failure_is_reported() {
        let unset = |name: &str| Unexpanded::Unset(name.to_owned());
        let failed = expand("${A} ${HOST} ${B} ${1x} ${", &env).expect_err("four failures");
        let expected = [
            unset("A"),
            unset("B"),
            Unexpanded::Malformed,
            Unexpanded::Malformed,
        ];
        assert_eq!(failed, expected);
    }
}
