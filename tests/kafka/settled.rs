//! Rows that the log does not hold whole are taken from a primary that is written to meanwhile.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::support::pair::{Engine, Pair, Side};
use crate::support::projector::topics::{self, Writer, envelope};
use crate::support::projector::until_within;
use crate::support::services::Postgres;
use crate::support::{service, text};

const COLUMNS: [&str; 3] = ["id", "note", "n"];

/// A transaction that has changed a row and is not committed yet.
struct Underway {
    session: Child,
    /// Where its change stands in the primary's own log.
    lsn: u64,
}

impl Underway {
    fn begin(url: &str, change: &str) -> Underway {
        let mut session = Postgres::new()
            .unwrap()
            .program("psql")
            .args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let position = "SELECT pg_current_wal_insert_lsn() - '0/0'";
        writeln!(
            session.stdin.as_mut().unwrap(),
            "BEGIN; {change}; {position};"
        )
        .unwrap();
        let mut line = String::new();
        BufReader::new(session.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let lsn = line.trim().parse().unwrap();
        Underway { session, lsn }
    }

    fn commit(mut self) {
        let mut stdin = self.session.stdin.take().unwrap();
        writeln!(stdin, "COMMIT;").unwrap();
        drop(stdin);
        assert!(self.session.wait().unwrap().success());
    }
}

/// What was written before the row was read, and committed after it, comes with a position below that of the reading.
#[test]
fn a_change_underway_is_not_lost() {
    let Some(brokers) = service("TRUEUP_TEST_KAFKA") else {
        return;
    };
    let Some(pair) = Pair::new(Engine::Postgres, "settled") else {
        return;
    };
    let topic = topics::create(&brokers, "settled", 1);
    let table = "(id bigint PRIMARY KEY, note text, n bigint NOT NULL)";
    pair.sql(
        Side::Primary,
        &format!("CREATE TABLE t {table}; INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 1)"),
    );
    pair.sql(Side::Read, &format!("CREATE TABLE copy {table}"));
    pair.playbook(&format!(
        "version: 1\nname: settled\nprimary: {{ url: \"{}\" }}\nread_store: {{ url: \"{}\" }}\n\
         log: {{ kafka: {{ brokers: \"{brokers}\" }} }}\napplied: none\nsources:\n  t: {{ topic: {topic}, table: t }}\n\
         views:\n  copy: {{ from: t, key: [id] }}\n",
        pair.url(Side::Primary),
        pair.url(Side::Read),
    ));
    let log = Writer::plain(&brokers, &topic);
    let without_note = |id: i64, n: i64, lsn: u64| {
        let row = json!({"id": id, "note": "__debezium_unavailable_value", "n": n});
        log.send(0, &json!({"id": id}), Some(&envelope("u", &row, lsn)));
        log.flush();
    };
    without_note(1, 1, 1_000);
    without_note(2, 1, 1_001);
    let underway = Underway::begin(&pair.url(Side::Primary), "UPDATE t SET n = 2 WHERE id = 1");
    let written = underway.lsn;

    let postponed = pair.path("postponed");
    std::fs::write(&postponed, "").unwrap();
    let file = text(&postponed);
    let replay = ["replay", "big-bang", "{}", "--yes", "--cutover-file", &file];
    let mut replay = pair.command(&replay);
    let replay = replay.stdout(Stdio::piped()).stderr(Stdio::piped());
    let replay = replay.spawn().unwrap();
    until_within(Duration::from_secs(60), "it is ready to swap", || {
        let there = "SELECT to_regclass('trueup.run') IS NOT NULL";
        let ready =
            "SELECT count(*) FROM trueup.run WHERE stage = 'swapping' AND state = 'running'";
        pair.lines(Side::Read, there) == ["t"] && pair.lines(Side::Read, ready) == ["1"]
    });
    underway.commit();
    without_note(1, 2, written);
    std::fs::remove_file(&postponed).unwrap();

    let output = replay.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let wanted = pair.dump(Side::Primary, "t", &COLUMNS);
    assert_eq!(pair.dump(Side::Read, "copy", &COLUMNS), wanted);
    topics::delete(&brokers, &topic);
}
