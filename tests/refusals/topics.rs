//! Compacted topics of a real broker, which forget deletes after a while.

use std::time::Duration;

use serde_json::json;

use super::refusal;
use crate::support::pair::{Engine, Pair, Side};
use crate::support::projector::topics::{self, Writer};
use crate::support::service;

#[test]
fn that_forget_deletes() {
    let Some(brokers) = service("TRUEUP_TEST_KAFKA") else {
        return;
    };
    let Some(pair) = Pair::new(Engine::Postgres, "compacted") else {
        return;
    };
    let topic = topics::create(&brokers, "tu_forgets", 1);
    topics::configure(
        &brokers,
        &topic,
        &[
            ("cleanup.policy", "compact"),
            ("delete.retention.ms", "3000"),
        ],
    );
    for side in [Side::Primary, Side::Read] {
        pair.sql(side, "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t SELECT i, 'x' FROM generate_series(1, 9) AS i");
    }
    let playbook = |order: &str| {
        pair.playbook(&format!(
        "version: 1\nname: x\nprimary: {{ url: \"{}\" }}\nread_store: {{ url: \"{}\" }}\nlog: {{ kafka: {{ brokers: \"{brokers}\" }} }}\napplied: none\n\
         sources: {{ t: {{ topic: {topic}, table: t{order} }} }}\nviews: {{ t: {{ from: t, key: [id] }} }}\n",
        pair.url(Side::Primary),
        pair.url(Side::Read)
    ))
    };
    playbook("");
    let writer = Writer::plain(&brokers, &topic);
    for id in 1..=9u64 {
        let envelope = topics::envelope("c", &json!({"id": id, "a": "x"}), id);
        writer.send(0, &json!({"id": id}), Some(&envelope));
    }
    writer.flush();
    let said = refusal(
        pair.trueup(&["replay", "big-bang", "{}", "--yes", "--rate", "1"]),
        3,
    );
    assert_eq!(
        said,
        format!(
            "error: {topic} is compacted and keeps deletes for 3 s (delete.retention.ms), but reading it may take 9 s: deletes could vanish underway; raise delete.retention.ms, or --rate"
        )
    );
    std::thread::sleep(Duration::from_millis(3_500));
    let from = format!("{topic}:0:4");
    let said = refusal(
        pair.trueup(&["replay", "partial", "{}", "--from-offsets", &from, "--yes"]),
        3,
    );
    assert_eq!(
        said,
        format!(
            "error: {topic} is compacted and keeps deletes for 3 s (delete.retention.ms), and offset 4 of partition 0 is older than that: deletes since then may have vanished; begin at offset 9 or later, or at zero"
        )
    );
    pair.trueup(&["replay", "big-bang", "{}", "--yes"]).exit(0);
    topics::delete(&brokers, &topic);
}
