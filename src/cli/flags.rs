//! Values of flags that have a grammar of their own.

use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde_json::Value;

use crate::projection::cause::Cause;

/// A duration, as the flags write it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait(pub(super) Duration);

impl std::fmt::Display for Wait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}s", self.0.as_secs())
    }
}

impl std::str::FromStr for Wait {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> Result<Wait> {
        let at = text
            .find(|c: char| !c.is_ascii_digit())
            .ok_or_else(|| anyhow!("give a unit: 500ms, 90s, 2m or 1h"))?;
        let number: u64 = text[..at].parse()?;
        let unit = match &text[at..] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(anyhow!("give a unit: 500ms, 90s, 2m or 1h")),
        };
        Ok(Wait(Duration::from_millis(number.saturating_mul(unit))))
    }
}

/// A number of rows or records a second, as the flags write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate(pub(super) u64);

impl std::str::FromStr for Rate {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> Result<Rate> {
        let wrong = || anyhow!("write a number above zero: 5000, 5k or 2m");
        let at = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let times = match &text[at..] {
            "" => 1,
            "k" => 1_000,
            "m" => 1_000_000,
            _ => return Err(wrong()),
        };
        let number: u64 = text[..at].parse().map_err(|_| wrong())?;
        let rate = number.checked_mul(times).filter(|rate| *rate > 0);
        rate.map(Rate).ok_or_else(wrong)
    }
}

/// Keys, as `--keys` takes them: each a list of its parts in the order of the key's columns.
///
/// `7,13` are two keys of one column; JSON is for anything else: `["a,b"]` is one key with a comma in it, `[[1,"a"]]` one
/// key of two columns; `@FILE` reads either from a file, one a line.
///
/// # Errors
/// When a file cannot be read, or JSON is none.
pub(super) fn keys(written: &[String]) -> Result<Vec<Vec<String>>> {
    let mut keys = Vec::new();
    for one in written {
        match one.strip_prefix('@') {
            None => keys.extend(keys_of(one)?),
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|e| Usage(format!("--keys @{file}: {e}")))?;
                for line in text.lines().filter(|l| !l.trim().is_empty()) {
                    keys.extend(keys_of(line)?);
                }
            }
        }
    }
    Ok(keys)
}

fn keys_of(text: &str) -> Result<Vec<Vec<String>>> {
    if !text.trim_start().starts_with('[') {
        let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
        return Ok(parts.map(|p| vec![p.to_owned()]).collect());
    }
    let wrong = || {
        Usage(format!(
            "--keys {text}: no JSON list of keys such as [7, 13] or [[1, \"a\"]]"
        ))
    };
    let list: Vec<Value> = serde_json::from_str(text).map_err(|_| wrong())?;
    let part = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(b) => Some(if *b { "t" } else { "f" }.to_owned()),
        _ => None,
    };
    let key = |value: &Value| match value {
        Value::Array(parts) => parts.iter().map(part).collect(),
        value => part(value).map(|p| vec![p]),
    };
    let keys: Option<Vec<Vec<String>>> = list.iter().map(key).collect();
    Ok(keys.ok_or_else(wrong)?)
}

/// A cause, by its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CauseArg(pub(super) Cause);

impl CauseArg {
    /// What the flags take: the causes that a repair can be about.
    pub(super) fn values() -> impl TypedValueParser<Value = CauseArg> {
        let repaired = |cause: &Cause| {
            !matches!(
                cause,
                Cause::Representation | Cause::Lagging | Cause::LogIncomplete
            )
        };
        let causes: Vec<Cause> = Cause::ALL.into_iter().filter(repaired).collect();
        let words = causes.iter().map(|c| PossibleValue::new(c.word()));
        PossibleValuesParser::new(words.collect::<Vec<_>>()).map(move |word| {
            let of = causes.iter().find(|c| c.word() == word);
            CauseArg(of.copied().unwrap_or(Cause::Unexplained))
        })
    }
}

/// A flag whose value means nothing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_each_form() {
        let of = |text: &str| keys(&[text.to_owned()]).expect("keys");
        assert_eq!(of("7, 13"), [["7"], ["13"]]);
        assert_eq!(of(r#"["a,b", 7]"#), [["a,b"], ["7"]]);
        assert_eq!(of(r#"[[1, "a"], [2, "b"]]"#), [["1", "a"], ["2", "b"]]);
        assert!(keys(&["[{}]".to_owned()]).is_err());
        assert!(keys(&["[1".to_owned()]).is_err());
        assert!(keys(&["@/no/such/file".to_owned()]).is_err());
    }

    #[test]
    fn rates() {
        let of = |text: &str| text.parse::<Rate>().map(|r| r.0).ok();
        assert_eq!(of("5000"), Some(5_000));
        assert_eq!(of("5k"), Some(5_000));
        assert_eq!(of("2m"), Some(2_000_000));
        for wrong in ["0", "k", "5 k", "5k/s", "-1", "99999999999999999999m"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn waits() {
        let of = |text: &str| text.parse::<Wait>().map(|w| w.0.as_millis()).ok();
        assert_eq!(of("500ms"), Some(500));
        assert_eq!(of("2m"), Some(120_000));
        assert_eq!(of("30"), None);
    }
}
