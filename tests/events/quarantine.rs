//! Events that cannot be applied: nothing that comes after them is added to their rows.

use serde_json::{Value, json};

use super::refusals::{book, embedded, line, placed};
use super::{BIG_BANG, RUBBISH, VIEW, log};
use crate::support::pair::Pair;

fn listed(pair: &Pair) -> Vec<Value> {
    let list = pair
        .trueup(&["quarantine", "list", "{}", "--all", "--format", "json"])
        .exit(0)
        .json();
    list["quarantined"].as_array().unwrap().clone()
}

/// Order 1 has an event without its amount between others; order 2 has none. Nothing says what the rows should be.
fn holed() -> Pair {
    let pair = embedded();
    let (head, _) = VIEW.split_once("    expected:").unwrap();
    pair.playbook_of(
        "none",
        &format!("{head}limits: {{ deletes_max: \"100%\" }}\n"),
    );
    let added = |offset, key: &str, amount: Value| {
        line(0, offset, key, "LineAdded", &json!({ "amount": amount }))
    };
    log(
        &pair,
        &[
            placed(0, 0, "1"),
            added(1, "1", json!("2.50")),
            placed(0, 2, "2"),
            added(3, "1", json!("much")),
            added(4, "1", json!("4.00")),
            added(5, "2", json!("8.00")),
        ],
    );
    pair
}

#[test]
fn a_swap_with_holes_needs_a_word() {
    let pair = holed();
    let before = book(&pair);
    let mut quarantine = BIG_BANG.to_vec();
    quarantine.extend(["--on-bad", "quarantine"]);
    pair.trueup(BIG_BANG)
        .exit(3)
        .says(&["record shop.events.order:0:3"]);
    pair.trueup(&quarantine).exit(3).says(&[
        "there is 1 key",
        "book 1",
        "--accept-holes",
        "goes on",
    ]);
    assert_eq!(book(&pair), before);
    let kept = listed(&pair);
    assert_eq!(kept.len(), 1);
    assert_eq!(
        (&kept[0]["record"], &kept[0]["standing"]),
        (&json!("shop.events.order:0:3"), &json!("open"))
    );
    // The same command stops again, and does not set it aside twice; with the word it goes on where it stood.
    pair.trueup(&quarantine).exit(3);
    quarantine.push("--accept-holes");
    let done = pair.trueup(&quarantine).exit(0).json();
    assert_eq!(done["counts"]["quarantined"], 1);
    assert_eq!(done["counts"]["blocked"], 1);
    assert_eq!(done["counts"]["read"], 6);
    assert_eq!(done["holes"], json!(["book 1"]));
    let found = book(&pair);
    assert_eq!(found, ["1|placed|2.5", "2|placed|8"]);
    assert_eq!(listed(&pair).len(), 1);
    // A stretch of events does not say the row.
    pair.trueup(&["quarantine", "retry", "{}", "--yes"])
        .exit(3)
        .says(&["made of events"]);
    pair.sql(crate::support::pair::Side::Read, RUBBISH);
    // Rebuilt from a log without it.
    log(&pair, &[placed(0, 0, "1"), placed(0, 1, "2")]);
    pair.trueup(BIG_BANG).exit(0);
    assert_eq!(listed(&pair)[0]["standing"], "rebuilt");
}

#[test]
fn a_record_that_is_skipped_blocks_no_swap() {
    let pair = holed();
    let mut quarantine = BIG_BANG.to_vec();
    quarantine.extend(["--on-bad", "quarantine"]);
    pair.trueup(&quarantine).exit(3);
    let skip = [
        "quarantine",
        "skip",
        "{}",
        "--record",
        "shop.events.order:0:3",
    ];
    pair.trueup(&skip).exit(3);
    assert_eq!(listed(&pair)[0]["standing"], "open");
    let mut consented = skip.to_vec();
    consented.push("--yes");
    pair.trueup(&consented)
        .exit(0)
        .shows(&["shop.events.order:0:3 is skipped"]);
    let done = pair.trueup(&quarantine).exit(0).json();
    assert_eq!(done["holes"], json!([]));
    assert_eq!(book(&pair), ["1|placed|2.5", "2|placed|8"]);
    assert_eq!(listed(&pair)[0]["standing"], "skipped");
}
