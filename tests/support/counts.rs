//! The counts of a replay: each record became something.

use serde_json::Value;

/// Records in all, once the counts of what they became have been found to add up to them.
#[track_caller]
pub fn add_up(counts: &Value) -> u64 {
    let number = |value: &Value| value.as_u64().unwrap();
    let became = [
        "put",
        "deleted",
        "truncated",
        "stale",
        "duplicate",
        "blocked",
        "quarantined",
    ];
    let parts: u64 = became.iter().map(|name| number(&counts[*name])).sum();
    let ignored = counts["ignored"].as_object().unwrap().values();
    let all = parts + ignored.map(number).sum::<u64>();
    assert_eq!(all, number(&counts["read"]), "{counts}");
    all
}
