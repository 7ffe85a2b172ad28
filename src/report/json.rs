//! The JSON contract, version 1. Fields may be added; none is renamed or removed within a version. Values are strings or null,
//! and appear only when asked for; keys and column names always do.

use serde_json::{Map, Value, json};

use super::explained;
use super::verdict::{PlaybookVerdict, Sample, ViewVerdict};

/// The version of the contract.
pub const FORMAT: u32 = 1;

/// The outcome of `verify`, as one line.
#[must_use]
pub fn verify(verdict: &PlaybookVerdict, show_values: bool) -> String {
    let views: Vec<Value> = verdict.views.iter().map(|v| view(v, show_values)).collect();
    json!({
        "format": FORMAT,
        "playbook": verdict.playbook,
        "verdict": verdict.verdict().word(),
        "views": views,
    })
    .to_string()
}

fn view(v: &ViewVerdict, show_values: bool) -> Value {
    let mut view = json!({
        "view": v.view,
        "table": v.table,
        "verdict": v.verdict().word(),
        "compared_by": v.compared_by,
        "rows_checked": v.rows_checked,
        "missing": v.missing,
        "extra": v.extra,
        "changed": v.changed,
        "lagging": v.lagging,
        "unknown": v.unknown,
        "reasons": v.reasons,
        "causes": explained::causes(&v.causes()),
        "columns": v.by_column,
        "samples": v.samples.iter().map(|s| sample(s, show_values)).collect::<Vec<_>>(),
    });
    if let Some(why) = &v.explained {
        view["explained"] = explained::json(why, show_values);
    }
    view
}

pub(super) fn sample(s: &Sample, show_values: bool) -> Value {
    let key: Map<String, Value> = s
        .key
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let columns: Vec<Value> = s
        .columns
        .iter()
        .map(|(name, expected, actual)| {
            if show_values {
                json!({"column": name, "expected": expected, "actual": actual})
            } else {
                json!({"column": name})
            }
        })
        .collect();
    json!({"kind": s.kind.word(), "key": key, "columns": columns})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::diff::Kind;

    #[test]
    fn values_appear_only_when_asked_for() {
        let sample = Sample {
            kind: Kind::Changed,
            key: vec![("id".to_owned(), Some("7".to_owned()))],
            columns: vec![("note".to_owned(), Some("secret".to_owned()), None)],
        };
        let view = ViewVerdict {
            view: "v".to_owned(),
            changed: 1,
            samples: vec![sample],
            ..ViewVerdict::default()
        };
        let verdict = PlaybookVerdict {
            playbook: "p".to_owned(),
            views: vec![view],
        };
        let hidden = verify(&verdict, false);
        assert!(
            hidden.contains(r#""verdict":"drift""#)
                && hidden.contains(r#""id":"7""#)
                && !hidden.contains("secret")
        );
        assert!(verify(&verdict, true).contains(r#""expected":"secret""#));
    }
}
