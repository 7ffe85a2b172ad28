//! `doctor`: each thing that will cause drift is found where it is, and nothing is found where it is not.

mod embedded;
mod real;

use serde_json::Value;

use crate::support::Ran;

/// What was found: check, severity, evidence.
fn findings(ran: &Ran) -> Vec<(String, String, String)> {
    let report = ran.json();
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let list = report["findings"].as_array().unwrap().clone();
    for finding in &list {
        assert!(!finding["subject"].as_str().unwrap().is_empty());
        assert!(!finding["advice"].as_str().unwrap().is_empty());
        let is_listed = report["checked"]
            .as_array()
            .unwrap()
            .iter()
            .any(|c| c["check"] == finding["check"] && c["outcome"] == "found");
        assert!(is_listed, "{finding}");
    }
    list.iter()
        .map(|f| {
            (
                text(&f["check"]),
                text(&f["severity"]),
                text(&f["evidence"]),
            )
        })
        .collect()
}

/// There is a finding of this check and severity that says this.
#[track_caller]
fn has(found: &[(String, String, String)], check: &str, severity: &str, words: &str) {
    let is_there =
        |f: &&(String, String, String)| f.0 == check && f.1 == severity && f.2.contains(words);
    assert!(
        found.iter().any(|f| is_there(&f)),
        "no {severity} of {check} says {words:?}: {found:#?}"
    );
}
