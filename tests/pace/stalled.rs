//! When nothing comes forward, the program says what it waits for, and goes on once that is over.

use std::io::Write as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::json;

use super::Running;
use crate::support::pair::{Engine, Pair, Side};
use crate::support::projector::topics::{self, Writer};
use crate::support::service;

/// A session that holds a lock until it is told to let go.
struct Holder(Child);

impl Holder {
    fn new(pair: &Pair, lock: &str) -> Holder {
        let Pair::Postgres { server, .. } = pair else {
            unreachable!("a lock of PostgreSQL");
        };
        let mut psql = server
            .program("psql")
            .args(["-Xq", "-d", &pair.url(Side::Read)])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let stdin = psql.stdin.as_mut().unwrap();
        writeln!(stdin, "SET application_name = 'migration'; BEGIN; {lock};").unwrap();
        stdin.flush().unwrap();
        Holder(psql)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn for_a_lock() {
    let Some(pair) = Pair::new(Engine::Postgres, "stalled") else {
        return;
    };
    for side in [Side::Primary, Side::Read] {
        pair.sql(side, "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t SELECT i, 'a' FROM generate_series(1, 50) AS i");
    }
    pair.playbook_of(
        "none",
        "sources: { t: { topic: x.public.t } }\nviews: { t: { from: t, key: [id] } }\n",
    );
    pair.sql(Side::Read, "UPDATE t SET a = 'b' WHERE id = 7");
    let holder = Holder::new(&pair, "SELECT * FROM t WHERE id = 7 FOR UPDATE");
    let there = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'migration' AND state = 'idle in transaction'";
    crate::support::projector::until("the lock is held", || {
        pair.lines(Side::Read, there) == ["1"]
    });
    let apply = ["reconcile", "{}", "--apply", "--yes", "--stall-after", "2s"];
    let running = Running::start(&mut pair.command(&apply));
    std::thread::sleep(Duration::from_secs(7));
    drop(holder);
    let (code, _, said) = running.end();
    assert_eq!(code, 0, "{said}");
    for words in [
        "repairing",
        "no progress for ",
        "read store: pid ",
        "blocked by pid ",
        "(postgres, migration)",
        "FOR UPDATE",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(
        pair.lines(Side::Read, "SELECT a FROM t WHERE id = 7"),
        ["a"]
    );
}

#[test]
fn for_a_record_of_the_log() {
    let Some(brokers) = service("TRUEUP_TEST_KAFKA") else {
        return;
    };
    let Some(pair) = Pair::new(Engine::Postgres, "silent") else {
        return;
    };
    let topic = topics::create(&brokers, "tu_silent", 1);
    for side in [Side::Primary, Side::Read] {
        pair.sql(side, "CREATE TABLE t (id int PRIMARY KEY, a text)");
    }
    pair.sql(Side::Primary, "INSERT INTO t VALUES (1, 'x'), (2, 'y')");
    pair.playbook(&format!(
        "version: 1\nname: x\nprimary: {{ url: \"{}\" }}\nread_store: {{ url: \"{}\" }}\nlog: {{ kafka: {{ brokers: \"{brokers}\" }} }}\napplied: none\n\
         sources: {{ t: {{ topic: {topic}, table: t, order_by: source.lsn }} }}\nviews: {{ t: {{ from: t, key: [id] }} }}\n",
        pair.url(Side::Primary),
        pair.url(Side::Read)
    ));
    // A transaction that stays open: nobody gets what comes behind it.
    let open = Writer::transactional(&brokers, &topic);
    let put = |writer: &Writer, id: i64, a: &str| {
        let row = json!({"id": id, "a": a});
        let envelope = topics::envelope("c", &row, u64::try_from(id).unwrap());
        writer.send(0, &json!({"id": id}), Some(&envelope));
        writer.flush();
    };
    open.begin();
    put(&open, 1, "x");
    put(&Writer::plain(&brokers, &topic), 2, "y");
    let args = ["replay", "big-bang", "{}", "--yes", "--stall-after", "2s"];
    let running = Running::start(&mut pair.command(&args));
    std::thread::sleep(Duration::from_secs(6));
    open.commit();
    let (code, _, said) = running.end();
    assert_eq!(code, 0, "{said}");
    let words =
        format!("waiting for {topic} partition 0 at offset 0 of 2 from broker 1 ({brokers})");
    assert!(said.contains(&words), "{said}");
    assert_eq!(
        pair.lines(Side::Read, "SELECT a FROM t ORDER BY id"),
        ["x", "y"]
    );
    topics::delete(&brokers, &topic);
}
