//! What stops a replay of events, what cannot be said of them, and what the primary can still repair.

use serde_json::{Value, json};

use super::{BIG_BANG, RUBBISH, VIEW, book::History, equal_oracle, log, primary, system};
use crate::support::embedded::Embedded;
use crate::support::pair::{Engine, Pair, Side};
use crate::support::seed;

pub(super) fn embedded() -> Pair {
    system(Engine::Sqlite).expect("SQLite is always there")
}

/// A record of the outbox: JSON text in a plain value, its type in a header.
pub(super) fn line(partition: i32, offset: i64, key: &str, kind: &str, data: &Value) -> String {
    let json = json!({
        "topic": "shop.events.order", "partition": partition, "offset": offset, "tstype": "create", "ts": 1_700_000_000_000i64,
        "broker": 0, "headers": ["eventType", kind], "key": key, "payload": data.to_string(),
    });
    format!("{json}\n")
}

pub(super) fn placed(partition: i32, offset: i64, key: &str) -> String {
    line(
        partition,
        offset,
        key,
        "OrderPlaced",
        &json!({"customer_id": "c"}),
    )
}

/// The book as it stands.
pub(super) fn book(pair: &Pair) -> Vec<String> {
    pair.lines(
        Side::Read,
        "SELECT order_id, state, total FROM book ORDER BY 1",
    )
}

#[test]
fn what_stops_a_replay_leaves_the_table_as_it_was() {
    let paid = |amount: &str| json!({"payment": {"amount": amount}});
    let added = |amount: Value| json!({"amount": amount});
    let cases: [(Vec<String>, &[&str]); 7] = [
        (
            vec![placed(0, 0, "1"), placed(1, 0, "1")],
            &["key 1 is in partitions"],
        ),
        (
            vec![placed(0, 0, "1"), line(0, 1, "1", "LineAdded", &json!({}))],
            &[
                "record shop.events.order:0:1: event LineAdded: the value of column total is not there (amount)",
            ],
        ),
        (
            vec![
                placed(0, 0, "1"),
                line(0, 1, "1", "LineAdded", &added(json!("much"))),
            ],
            &["shop.events.order:0:1", "a text that is no numeric(14,2)"],
        ),
        (
            vec![
                placed(0, 0, "1"),
                line(0, 1, "1", "LineAdded", &added(json!(0.001))),
            ],
            &["shop.events.order:0:1", "more digits after the point"],
        ),
        (
            vec![line(0, 0, "7", "OrderPaid", &paid("1"))],
            &[
                "the events of key 7 up to offset 0 of partition 0",
                "customer",
                "NOT NULL",
            ],
        ),
        (
            vec![
                placed(0, 0, "7"),
                line(0, 1, "7", "OrderPaid", &paid("999999999999.99")),
                line(0, 2, "7", "OrderPaid", &paid("0.01")),
            ],
            &["the events of key 7 up to offset 2", "paid", "too large"],
        ),
        (
            vec![line(0, 0, "x", "OrderPlaced", &json!({"customer_id": "c"}))],
            &[
                "shop.events.order:0:0",
                "column order_id",
                "a text that is no int64",
            ],
        ),
    ];
    let pair = embedded();
    let before = book(&pair);
    for (lines, words) in cases {
        log(&pair, &lines);
        let ran = pair.trueup(&["replay", "big-bang", "{}", "--yes", "--no-check"]);
        assert_ne!(ran.code, 0, "{words:?}");
        ran.says(words);
        assert_eq!(book(&pair), before, "{words:?}");
        pair.trueup(&["runs", "abort", "{}", "--yes"]);
    }
}

#[test]
fn a_type_that_on_does_not_name_is_no_event_of_nothing() {
    let pair = embedded();
    let strict = VIEW.replace("      \"*\": ignore\n", "");
    pair.playbook_of("none", &strict);
    log(
        &pair,
        &[
            placed(0, 0, "1"),
            line(0, 1, "1", "OrderViewed", &json!({})),
        ],
    );
    let ran = pair.trueup(&["replay", "big-bang", "{}", "--yes", "--no-check"]);
    assert_ne!(ran.code, 0);
    ran.says(&[
        "record shop.events.order:0:1",
        "nothing for events of type \"OrderViewed\"",
        "\"*\": ignore",
    ]);
}

#[test]
fn without_expected_nothing_is_compared_and_that_is_said() {
    let pair = embedded();
    let (head, _) = VIEW.split_once("    expected:").unwrap();
    pair.playbook_of(
        "none",
        &format!("{head}limits: {{ deletes_max: \"100%\" }}\n"),
    );
    let history = History::random(seed(), 10, 100, 2);
    log(&pair, &history.lines);
    let said = "nothing says what its rows should be: give it `expected:`";
    let verdict = pair
        .trueup(&["verify", "{}", "--format", "json"])
        .exit(5)
        .json();
    assert_eq!(verdict["verdict"], "unknown");
    assert!(verdict.to_string().contains("expected"), "{verdict}");
    pair.trueup(&["reconcile", "{}"]).exit(3).says(&[said]);
    let plan = pair
        .trueup(&["replay", "big-bang", "{}", "--dry-run"])
        .exit(0);
    let shown = plan.stdout + &plan.stderr;
    assert!(
        shown.contains(said) && shown.contains("not compared before the swap"),
        "{shown}"
    );
    assert!(!shown.contains("compares it with the primary"), "{shown}");
    pair.trueup(BIG_BANG).exit(0);
    equal_oracle(&pair, &history.orders(history.len()), "without a check");
}

#[test]
fn a_stretch_of_events_is_no_row() {
    let pair = embedded();
    let history = History::random(seed(), 10, 100, 1);
    log(&pair, &history.lines);
    let args = [
        "replay",
        "partial",
        "{}",
        "--from-offsets",
        "shop.events.order:0:5",
        "--yes",
    ];
    pair.trueup(&args).exit(3).says(&[
        "is made of events, which build on those before them",
        "--snapshot",
    ]);
}

#[test]
fn a_snapshot_of_other_rules_is_refused() {
    let pair = embedded();
    let history = History::random(seed(), 10, 200, 2);
    log(&pair, &history.lines);
    primary(&pair, &history.orders(history.len()));
    pair.trueup(&["snapshot", "create", "{}", "--verify", "--yes", "--quiet"])
        .exit(0);
    let partial = [
        "replay",
        "partial",
        "{}",
        "--snapshot",
        "latest",
        "--yes",
        "--quiet",
    ];
    pair.trueup(&partial).exit(0);
    let folder = pair.path("playbook.yaml");
    let written = std::fs::read_to_string(&folder).unwrap();
    let changed = written.replace("total: -amount", "total: amount");
    assert_ne!(written, changed);
    std::fs::write(&folder, changed).unwrap();
    pair.trueup(&partial)
        .exit(3)
        .says(&["another projection of view.book", "changed since: on"]);
}

#[test]
fn the_primary_repairs_what_events_made() {
    let pair = embedded();
    let history = History::random(seed(), 30, 300, 3);
    let orders = history.orders(history.len());
    log(&pair, &history.lines);
    primary(&pair, &orders);
    pair.trueup(BIG_BANG).exit(0);
    pair.sql(Side::Read, RUBBISH);
    pair.trueup(&["verify", "{}"]).exit(1);
    pair.trueup(&["reconcile", "{}", "--apply", "--yes", "--quiet"])
        .exit(0);
    pair.trueup(&["verify", "{}"]).exit(0);
    // A check that finds the log wrong keeps it from being swapped in.
    let mut other = orders;
    other.values_mut().for_each(|o| o.total += 1);
    primary(&pair, &other);
    pair.trueup(&["reconcile", "{}", "--apply", "--yes", "--quiet"])
        .exit(0);
    pair.trueup(BIG_BANG)
        .exit(3)
        .says(&["the shadow is worse than the live table"]);
}

#[test]
fn a_select_of_the_table_itself_is_no_comparison() {
    let folder = Embedded::new("", "");
    let table = "CREATE TABLE book (id INTEGER PRIMARY KEY, n INTEGER);";
    folder.sql("primary.db", table);
    let playbook = |expected: &str| {
        format!(
            "version: 1\nname: self\nprimary: {{ url: \"sqlite:primary.db\" }}\nread_store: {{ url: \"sqlite:primary.db\" }}\n\
             log: {{ archive: log.jsonl }}\napplied: none\nsources:\n  e: {{ topic: t, format: events }}\nviews:\n  book:\n    \
             key: [id]\n    from: e\n    columns: {{ id: \"@key\" }}\n    on: {{ Counted: {{ add: {{ n: by }} }} }}\n    \
             expected: \"{expected}\"\n"
        )
    };
    folder.playbook(&playbook("SELECT id, n FROM book"));
    folder
        .trueup(&["verify", "{}"])
        .exit(3)
        .says(&["reads book itself"]);
    for (expected, wrong) in [
        ("SELECT id FROM book", "it does not give column n"),
        (
            "SELECT id, n, n AS m FROM book",
            "it gives column m, which no event fills",
        ),
        ("SELECT id, random() AS n FROM book", "random"),
        ("SELECT id, n FROM nowhere", "no table nowhere"),
        ("DELETE FROM book", "expected"),
    ] {
        folder.playbook(&playbook(expected));
        folder
            .trueup(&["verify", "{}"])
            .exit(2)
            .says(&["views.book.expected", wrong]);
    }
}

#[test]
fn what_a_playbook_cannot_say_of_events() {
    let folder = Embedded::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY);",
        "CREATE TABLE book (id INTEGER PRIMARY KEY, n INTEGER, word TEXT, at TIMESTAMP);",
    );
    let playbook = |source: &str, view: &str| {
        format!(
            "version: 1\nname: wrong\nprimary: {{ url: \"sqlite:primary.db\" }}\nread_store: {{ url: \"sqlite:read.db\" }}\n\
             log: {{ archive: log.jsonl }}\napplied: none\nsources:\n  e: {{ topic: t, {source} }}\nviews:\n  book:\n    \
             key: [id]\n    from: e\n    {view}\n"
        )
    };
    let columns = "columns: { id: \"@key\", word: \"@default\", at: \"@default\" }\n    on: ";
    let on = |on: &str| format!("{columns}{on}");
    let plain = "format: events";
    for (source, view, words) in [
        (
            "format: events, order_by: at",
            on("{ A: { add: { n: by } } }"),
            &["the order of their offsets"][..],
        ),
        (
            "format: events, envelope: outbx",
            on("{ A: delete }"),
            &["did you mean `outbox`"],
        ),
        (
            "format: debezium, envelope: outbox",
            "columns: { id: id }".to_owned(),
            &["only a source of events"],
        ),
        (
            "table: t",
            on("{ A: delete }"),
            &["carries rows, and `on:` says what events do"],
        ),
        (
            plain,
            "columns: { id: id }".to_owned(),
            &["carries events, which are no rows to be copied"],
        ),
        (
            plain,
            on("{ A: { add: { n: by }, set: { n: by } } }"),
            &["`n` is set by the same event"],
        ),
        (
            plain,
            on("{ A: { set: { id: by } } }"),
            &["`id` is of the key"],
        ),
        (
            plain,
            on("{ A: remove }"),
            &["`remove` is nothing that an event does"],
        ),
        (
            plain,
            on("{ \"*\": delete }"),
            &["they can only be ignored"],
        ),
        (plain, on("{ A: { } }"), &["does nothing"]),
        (
            plain,
            on("{ A: { set: { n: \"@offset\" } } }"),
            &["nothing that an event says"],
        ),
        (
            plain,
            on("{ A: { set: { n: a..b } } }"),
            &["`a..b` is no place in an event"],
        ),
        (
            plain,
            on("{ A: { set: { n: { value: 1, field: a } } } }"),
            &["neither one value nor one field"],
        ),
        (
            plain,
            on("{ A: { set: { n: { field: a, absent: zero } } } }"),
            &["nothing that a missing field can mean"],
        ),
        (
            plain,
            on("{ A: { add: { n: { value: one } } } }"),
            &["only a number can be added"],
        ),
        (
            plain,
            on("{ A: { add: { word: by } } }"),
            &["to which nothing can be added", "something else"],
        ),
        (
            plain,
            on("{ A: { set: { n: { value: x } } } }"),
            &["x is no value of column n"],
        ),
        (
            plain,
            on("{ A: { set: { n: by, m: by } } }"),
            &["has no column m"],
        ),
        (
            plain,
            on("{ A: { set: { n: \"@subject\" } } }"),
            &["have no `@subject` that is known"],
        ),
        (
            plain,
            "columns: { id: \"@key\" }\n    on: { A: delete }".to_owned(),
            &["column n of table book is not accounted for"],
        ),
        (
            plain,
            "columns: { n: by }\n    on: { A: delete }".to_owned(),
            &["nothing says where an event has the key column `id`"],
        ),
        (
            plain,
            format!("where: {{ n: 1 }}\n    {}", on("{ A: { add: { n: by } } }")),
            &["says nothing of a view that is made of events"],
        ),
    ] {
        folder.playbook(&playbook(source, &view));
        println!("{source} / {view}");
        folder.trueup(&["verify", "{}"]).exit(2).says(words);
    }
}

#[test]
fn cloud_events_become_rows() {
    let pair = embedded();
    pair.sql(
        Side::Read,
        "CREATE TABLE seen (subject text PRIMARY KEY, n bigint, last text, at timestamptz);",
    );
    pair.playbook_of(
        "none",
        r#"sources:
  readings: { topic: readings, format: events, envelope: cloudevents }
views:
  seen:
    key: [subject]
    from: readings
    columns: { subject: "@subject", last: "@id", at: "@time" }
    on: { com.example.counted: { add: { n: by } }, com.example.reset: delete }
"#,
    );
    let record = |offset: i64, headers: Value, payload: Value| {
        let json = json!({
            "topic": "readings", "partition": 0, "offset": offset, "tstype": "create", "ts": 1, "broker": 0,
            "headers": headers, "key": null, "payload": payload.to_string(),
        });
        format!("{json}\n")
    };
    let structured = |id: &str, subject: &str, kind: &str, by: i64| {
        json!({"specversion": "1.0", "id": id, "source": "/s", "subject": subject, "type": kind,
               "time": "2024-01-31T12:00:00+02:00", "datacontenttype": "application/json", "data": {"by": by}})
    };
    let binary = |id: &str, subject: &str| {
        json!([
            "ce_specversion",
            "1.0",
            "ce_id",
            id,
            "ce_source",
            "/s",
            "ce_subject",
            subject,
            "ce_type",
            "com.example.counted",
            "ce_time",
            "2024-01-31T10:00:01Z",
            "content-type",
            "application/json"
        ])
    };
    let said = json!(["content-type", "application/cloudevents+json"]);
    log(
        &pair,
        &[
            record(
                0,
                said.clone(),
                structured("1", "a", "com.example.counted", 5),
            ),
            record(1, binary("2", "a"), json!({"by": 7})),
            record(2, json!([]), structured("3", "b", "com.example.counted", 1)),
            record(
                3,
                said.clone(),
                structured("4", "b", "com.example.reset", 0),
            ),
            record(4, binary("5", "c"), json!({"by": -2})),
        ],
    );
    pair.trueup(BIG_BANG).exit(0);
    assert_eq!(
        pair.lines(
            Side::Read,
            "SELECT subject, n, last, at FROM seen ORDER BY 1"
        ),
        [
            "a|12|2|2024-01-31 10:00:01+00",
            "c|-2|5|2024-01-31 10:00:01+00"
        ]
    );
}
