//! Bad input: each ends with what, where and what to do, and the right exit code; nothing is half written.

use crate::support::embedded::{Embedded, change, line, usual_playbook};

/// A system with one good row everywhere, and this log behind the good record.
fn with_log(bad: &str) -> Embedded {
    let system = Embedded::usual();
    system.sql("primary.db", "INSERT INTO t VALUES (1, 'one', 10)");
    system.sql("read.db", "INSERT INTO copy VALUES (1, 'live', 0)");
    let good = line(0, 0, r#"{"id":1}"#, Some(&change("c", 5, 1, "one", 10)));
    system.log(&format!("{good}{bad}"));
    system
}

/// The replay refuses, says these words, and leaves the live table and the database as they were.
#[track_caller]
fn refused(system: &Embedded, code: i32, words: &[&str]) {
    let tables = system.rows(
        "read.db",
        "SELECT name FROM sqlite_schema WHERE name NOT LIKE '%trueup%'",
    );
    system
        .trueup(&["replay", "big-bang", "{}", "--yes"])
        .exit(code)
        .says(words);
    assert_eq!(
        system.rows("read.db", "SELECT * FROM copy"),
        [["1", "live", "0"]]
    );
    assert_eq!(
        system.rows(
            "read.db",
            "SELECT name FROM sqlite_schema WHERE name NOT LIKE '%trueup%'"
        ),
        tables
    );
    let left = system.rows(
        "read.db",
        "SELECT name FROM sqlite_schema WHERE name LIKE 'trueup_2%'",
    );
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn records_that_cannot_be_applied() {
    let value = |v: &str| line(0, 1, r#"{"id":2}"#, Some(v));
    for (bad, words) in [
        (
            value("{not json"),
            &["shop.main.t:0:1", "no Debezium JSON"][..],
        ),
        (
            value(r#"{"id":2,"a":"x"}"#),
            &["shop.main.t:0:1", "no `op`", "flattened"],
        ),
        (
            value(&change("x", 6, 2, "x", 1)),
            &["shop.main.t:0:1", "unknown op \"x\""],
        ),
        (
            value(&change("c", 6, 2, "x", 1).replace("\"b\":1", "\"b\":\"word\"")),
            &["shop.main.t:0:1", "column b"],
        ),
        (
            value(r#"{"op":"u","after":null,"source":{"lsn":6}}"#),
            &["shop.main.t:0:1", "no `after`"],
        ),
        (
            line(0, 1, r#"{"id":2}"#, Some(&change("c", 6, 2, "x", 1)))
                .replace(r#""key":"{\"id\":2}""#, r#""key":null"#),
            &["shop.main.t:0:1", "no key", "primary key"],
        ),
        (
            line(0, 1, r#"{"other":2}"#, None),
            &["shop.main.t:0:1", "no field id"],
        ),
    ] {
        refused(&with_log(&bad), 3, words);
    }
}

#[test]
fn logs_that_are_not_whole() {
    let good = change("c", 6, 2, "x", 1);
    let gap = line(0, 5, r#"{"id":2}"#, Some(&good));
    refused(
        &with_log(&gap),
        3,
        &["shop.main.t", "lacks the offsets 1 to 4"],
    );

    let system = with_log("");
    system.log(&line(0, 7, r#"{"id":1}"#, Some(&good)));
    refused(&system, 3, &["starts at offset 7, not at 0"]);

    let system = with_log("{\"topic\":\"shop.main.t\",\"partition\":0,\"off");
    refused(&system, 3, &["log.jsonl:2"]);

    let system = with_log("");
    system.playbook(&usual_playbook().replace("topic: shop.main.t", "topic: shop.main.tt"));
    refused(&system, 2, &["no topic \"shop.main.tt\""]);

    let system = with_log("");
    system.playbook(&usual_playbook().replace("log.jsonl", "nowhere.jsonl"));
    refused(&system, 4, &["nowhere.jsonl"]);
}

#[test]
fn a_value_that_does_not_fit_its_column() {
    let system = Embedded::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER); INSERT INTO t VALUES (1, 'one', 10)",
        "CREATE TABLE copy (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b BOOLEAN); INSERT INTO copy VALUES (1, 'live', 0)",
    );
    system.playbook(&usual_playbook());
    system.log(&line(
        0,
        0,
        r#"{"id":1}"#,
        Some(&change("c", 5, 1, "one", 10)),
    ));
    refused(&system, 3, &["shop.main.t:0:0", "column b", "boolean"]);
    system.log(&line(
        0,
        0,
        r#"{"id":1}"#,
        Some(&change("c", 5, 1, "one", 1).replace("\"one\"", "null")),
    ));
    refused(&system, 3, &["shop.main.t:0:0", "column a", "NOT NULL"]);
}

#[test]
fn playbooks_at_odds_with_the_databases() {
    let system = with_log("");
    let yaml = usual_playbook();
    let view = "  copy: { from: t, key: [id] }";
    for (bad, words) in [
        (
            yaml.replace("table: t }", "table: tt }"),
            &["no table tt"][..],
        ),
        (
            yaml.replace(view, "  copies: { from: t, key: [id] }"),
            &["no table copies"],
        ),
        (
            yaml.replace(
                view,
                "  copy: { from: t, key: [id], columns: { id: id, a: nothing, b: b } }",
            ),
            &["playbook.yaml:10", "no column nothing", "it has id, a, b"],
        ),
        (
            yaml.replace(
                view,
                "  copy: { from: t, key: [id], columns: { id: id, a: a } }",
            ),
            &["playbook.yaml:10", "column b of table", "@foreign"],
        ),
        (
            yaml.replace(
                view,
                "  copy: { from: t, key: [a], columns: { id: id, a: a, b: b } }",
            ),
            &["playbook.yaml:10", "told apart by id"],
        ),
        (
            yaml.replace(view, "  copy: { from: t, key: [id], where: { b: word } }"),
            &["playbook.yaml:10", "no value of column b"],
        ),
        (
            yaml.replace("name: usual", "name: usual\nnmae: x"),
            &["playbook.yaml:3", "nmae"],
        ),
        (
            yaml.replace("sqlite:read.db", "${TRUEUP_NO_SUCH_VARIABLE}"),
            &["playbook.yaml:4", "TRUEUP_NO_SUCH_VARIABLE"],
        ),
        (yaml.replace("key: [id]", "key: 7.5"), &["playbook.yaml:10"]),
    ] {
        system.playbook(&bad);
        refused(&system, 2, words);
        system.trueup(&["verify", "{}"]).exit(2).says(words);
    }
    // Several problems are told together.
    system.playbook(&yaml.replace(
        view,
        "  copy: { from: t, key: [nokey], columns: { id: id, a: nothing } }",
    ));
    system.trueup(&["verify", "{}"]).exit(2).says(&["nokey"]);
}

#[test]
fn systems_that_are_away() {
    let system = with_log("");
    system.playbook(&usual_playbook().replace("sqlite:primary.db", "sqlite:nowhere.db"));
    refused(&system, 4, &["nowhere.db"]);
    the_primary_is_away(&system);
    let password = "not-to-be-seen";
    let yaml = usual_playbook();
    system.playbook(&yaml.replace(
        "sqlite:primary.db",
        &format!("postgres://someone:{password}@127.0.0.1:1/db"),
    ));
    let ran = system
        .trueup(&["verify", "{}"])
        .exit(4)
        .says(&["127.0.0.1:1"]);
    assert!(!ran.stderr.contains(password) && !ran.stdout.contains(password));
    system.playbook(&yaml.replace(
        "{ archive: log.jsonl }",
        "{ kafka: { brokers: \"127.0.0.1:1\" } }",
    ));
    system
        .trueup(&["replay", "big-bang", "{}", "--yes"])
        .exit(4)
        .says(&["127.0.0.1:1"]);
}

/// What the log says can be built without it, once somebody says what its columns are.
#[track_caller]
fn the_primary_is_away(system: &Embedded) {
    let away = usual_playbook().replace("sqlite:primary.db", "sqlite:nowhere.db");
    let replay = ["replay", "big-bang", "{}", "--yes"];
    system
        .trueup(&replay)
        .exit(4)
        .says(&["`types:`", "nowhere.db"]);
    let of_source = "topic: shop.main.t,";
    assert!(away.contains(of_source), "{away}");
    let typed = format!("{of_source} types: {{ id: INTEGER, a: TEXT, b: INTEGER }}, key: [id],");
    system.playbook(&away.replace(of_source, &typed));
    system
        .trueup(&replay)
        .exit(4)
        .says(&["--no-check", "nowhere.db"]);
    let unchecked = [
        "replay",
        "big-bang",
        "{}",
        "--yes",
        "--no-check",
        "--no-swap",
    ];
    system.trueup(&unchecked).exit(0);
    // Where the primary does answer, it is believed.
    let wrong = usual_playbook().replace(of_source, &typed.replace("b: INTEGER", "b: TEXT"));
    system.playbook(&wrong);
    system.trueup(&replay).exit(2).says(&["column b", "TEXT"]);
}

#[test]
fn nobody_consented() {
    let system = with_log("");
    system
        .trueup(&["replay", "big-bang", "{}"])
        .exit(3)
        .says(&["--yes"]);
    system
        .trueup(&["replay", "big-bang", "{}", "--confirm", "t"])
        .exit(3)
        .says(&["not confirmed"]);
    assert_eq!(
        system.rows("read.db", "SELECT * FROM copy"),
        [["1", "live", "0"]]
    );
    assert_eq!(
        system.rows("read.db", "SELECT count(*) FROM sqlite_schema"),
        [["1"]]
    );
    system
        .trueup(&["replay", "big-bang", "{}", "--confirm", "copy"])
        .exit(0);
    assert_eq!(
        system.rows("read.db", "SELECT * FROM copy"),
        [["1", "one", "10"]]
    );
}

#[test]
fn wrong_usage() {
    crate::support::trueup(&["verify"]).exit(2);
    crate::support::trueup(&["replay", "sideways"]).exit(2);
    crate::support::trueup(&["verify", "no-such-file.yaml"])
        .exit(2)
        .says(&["no-such-file.yaml"]);
    crate::support::trueup(&["--help"]).exit(0);
}

#[test]
fn a_table_is_not_compared_with_itself() {
    let system = with_log("");
    let same = usual_playbook()
        .replace("sqlite:read.db", "sqlite:primary.db")
        .replace("{ from: t,", "{ from: t, table: t,");
    system.playbook(&same);
    system
        .trueup(&["verify", "{}"])
        .exit(3)
        .says(&["the primary's own table"]);
}
