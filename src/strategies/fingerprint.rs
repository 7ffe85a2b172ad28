//! What decides which rows a view has, as text and as one hash: a saved plan and a snapshot are good for just that.

use sha2::{Digest as _, Sha256};

use super::{Origin, View};
use crate::projection::decode::Settings;
use crate::projection::mapping::Mapping;

/// What decides a view's rows, one thing a line, each with its name before a colon.
#[must_use]
pub fn canonical(view: &View) -> String {
    let Mapping {
        source,
        source_key,
        columns,
        key,
        filter,
    } = &view.mapping;
    let mut lines = Vec::new();
    for part in view.sources() {
        lines.push(format!(
            "source {}: table {} topic {} order_by {:?} epochs {:?}",
            part.name, part.table.table, part.topic, part.order_by, part.epochs
        ));
        if part.settings != Settings::default() {
            lines.push(format!("connector of {}: {:?}", part.name, part.settings));
        }
    }
    match &view.origin {
        Origin::Copy { former, .. } => lines.push(format!("former names: {former:?}")),
        Origin::Events {
            events, expected, ..
        } => {
            lines.push(format!("envelope: {:?}", events.form));
            lines.push(format!("of every event: {:?}", events.always));
            lines.push(format!(
                "on: {:?} others {:?}",
                events.on, events.ignores_others
            ));
            let expected = expected.as_ref().map(|e| &e.text);
            lines.push(format!("expected: {expected:?}"));
        }
        Origin::Query { query, .. } => {
            let text = query.over(|name| format!("<{name}>"));
            lines.push(format!("query: {text:?}"));
        }
    }
    lines.push(format!("source columns: {source:?} key {source_key:?}"));
    lines.push(format!("table: {}", view.table.table));
    lines.push(format!("columns: {columns:?}"));
    lines.push(format!("key: {key:?}"));
    lines.push(format!("where: {filter:?}"));
    lines.push(format!("scope: {:?}", view.scope));
    lines.push(format!("compare: {:?}", view.rules));
    lines.join("\n")
}

/// A text's hash, in hexadecimal.
#[must_use]
pub fn hash(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What two canonical texts do not have in common, by name.
#[must_use]
pub fn changes(then: &str, now: &str) -> Vec<String> {
    let name = |line: &str| line.split(": ").next().unwrap_or_default().to_owned();
    let mut names = Vec::new();
    for (a, b) in [(then, now), (now, then)] {
        for line in a.lines().filter(|line| !b.lines().any(|l| l == *line)) {
            let name = name(line);
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}
