//! Every refusal of a replay or a reconciliation, provoked for real: its whole message, its exit code, and that nothing was
//! written. Held elsewhere:
//! - a projector at work, of both group protocols: `pipe::the_projector_must_be_stopped`; one that comes back:
//!   `cutover::somebody_else_brings_the_projector_back`; a session of its role: `cutover::a_session_of_the_writer_is_seen`
//! - a snapshot that does not fit, or whose log is another: `partial::refusals`; a damaged one: `snapshots::damage`
//! - a compacted topic that may have forgotten deletes since a snapshot: `snapshots`, by `replay::base`
//! - a query in place: `partial::in_place::a_query_is_refused_in_place`
//! - repairs or deletes beyond the bounds, a primary that lost its rows, exchanged URLs, a captured read table:
//!   `reconcile::refusals`
//! - what hangs on a table, each kind of it: `stores::postgres::obstacles`, `carry::twins`
//! - a log that does not add up, a value that does not fit: `bad_input`

mod catalog;
mod pooler;
mod topics;
mod unique;

use crate::support::Ran;
use crate::support::embedded::{Embedded, change, line};
use crate::support::pair::{Engine, Pair, Side};

const BIG_BANG: [&str; 4] = ["replay", "big-bang", "{}", "--yes"];

/// What a refusal says, run ids and times left out.
#[track_caller]
pub fn refusal(ran: Ran, code: i32) -> String {
    let ran = ran.exit(code);
    let from = ran
        .stderr
        .find("error: ")
        .unwrap_or_else(|| panic!("no error: {}", ran.stderr));
    let words = ran.stderr[from..].trim_end().lines();
    let of_line = |line: &str| {
        line.split(' ')
            .map(without_ids)
            .collect::<Vec<_>>()
            .join(" ")
    };
    words.map(of_line).collect::<Vec<_>>().join("\n")
}

/// A run's id is 14 digits, and four more in hexadecimal.
fn without_ids(word: &str) -> String {
    let is_id = word.len() >= 19
        && word.as_bytes()[..14].iter().all(u8::is_ascii_digit)
        && word.as_bytes()[14] == b'_';
    if is_id {
        format!("RUN{}", &word[19..])
    } else {
        word.to_owned()
    }
}

/// A system whose live table is as it was afterwards.
struct Untouched {
    system: Embedded,
    before: Vec<Vec<String>>,
}

impl Untouched {
    fn new(log: &str) -> Untouched {
        let system = Embedded::usual();
        let rows = "(1, 'old', 1), (2, 'old', 2)";
        system.sql("read.db", &format!("INSERT INTO copy VALUES {rows}"));
        system.sql("primary.db", &format!("INSERT INTO t VALUES {rows}"));
        system.log(log);
        let before = system.rows("read.db", "SELECT * FROM copy ORDER BY id");
        Untouched { system, before }
    }

    #[track_caller]
    fn refusal(&self, args: &[&str], code: i32) -> String {
        let said = refusal(self.system.trueup(args), code);
        assert_eq!(
            self.system
                .rows("read.db", "SELECT * FROM copy ORDER BY id"),
            self.before
        );
        said
    }
}

fn put(partition: i32, offset: i64, lsn: u64, id: i64, a: &str) -> String {
    let value = change("c", lsn, id, a, id);
    line(partition, offset, &format!("{{\"id\":{id}}}"), Some(&value))
}

/// A record without a source position.
fn bare(partition: i32, offset: i64, id: i64, a: &str) -> String {
    let mut value: serde_json::Value = serde_json::from_str(&change("c", 0, id, a, id)).unwrap();
    value["source"].as_object_mut().unwrap().remove("lsn");
    line(
        partition,
        offset,
        &format!("{{\"id\":{id}}}"),
        Some(&value.to_string()),
    )
}

#[test]
fn a_log_that_has_lost_its_beginning() {
    let system = Untouched::new(&put(0, 5, 10, 1, "old"));
    insta::assert_snapshot!(system.refusal(&BIG_BANG, 3), @"error: shop.main.t partition 0 starts at offset 5, not at 0: what was before it has left the log, and a replay would lose it; reconcile against the primary, or add an archive of the older records");
}

#[test]
fn no_order_between_two_partitions() {
    let log = bare(0, 0, 1, "one") + &bare(1, 0, 1, "two");
    let system = Untouched::new(&log);
    insta::assert_snapshot!(system.refusal(&BIG_BANG, 3), @r"
    error: view copy: key 1 is in partitions 0 (offset 0) and 1 (offset 0), and the records carry no source position: nothing says which is newer
    name a field that orders them in the source's `order_by:`
    ");
}

#[test]
fn positions_that_fall_back() {
    let mut later: serde_json::Value =
        serde_json::from_str(&change("u", 40, 1, "restored", 1)).unwrap();
    later["source"]["ts_ms"] = 1_800_000_000_000u64.into();
    let log = put(0, 0, 50, 1, "first") + &line(0, 1, r#"{"id":1}"#, Some(&later.to_string()));
    let system = Untouched::new(&log);
    insta::assert_snapshot!(system.refusal(&BIG_BANG, 3), @r"
    error: view copy: key 1: the record at partition 0 offset 1 is later by the source's clock than that at partition 0 offset 0, but its source position is lower
    if the primary was restored or failed over there, name the first offsets after it in the source's `epochs:`; if not, `order_by: source.lsn` takes the positions at their word
    ");
}

#[test]
fn a_shadow_that_is_worse_and_one_that_drops_rows() {
    let system = Untouched::new(&put(0, 0, 10, 1, "old"));
    insta::assert_snapshot!(system.refusal(&BIG_BANG, 3), @r"
    error: view copy: the shadow is worse than the live table: 1 keys are wrong in it and right in the live table (2); the log does not hold what the primary holds
    nothing was swapped and copy is as it was; reconcile repairs from the primary
    ");
    let playbook = crate::support::embedded::usual_playbook() + "limits: { deletes_max: 0 }\n";
    system.system.playbook(&playbook);
    insta::assert_snapshot!(system.refusal(&BIG_BANG, 3), @r"
    error: view copy: the shadow is worse than the live table: 1 keys are wrong in it and right in the live table (2); the log does not hold what the primary holds
    the swap would drop 1 rows that the primary has (deletes_max 0)
    nothing was swapped and copy is as it was; reconcile repairs from the primary
    ");
}

#[test]
fn nobody_who_consents() {
    let system = Untouched::new(&put(0, 0, 10, 1, "old"));
    let said = system.refusal(&BIG_BANG[..3], 3);
    assert!(
        said.contains("nobody can be asked here") && said.contains("--yes"),
        "{said}"
    );
    let said = system.refusal(&["replay", "big-bang", "{}", "--confirm", "other"], 3);
    assert!(said.contains("not confirmed"), "{said}");
}

/// Repairs that the log does not have are told of by the plan, and what would undo them is refused.
#[test]
fn repairs_that_a_replay_would_undo() {
    let system = Embedded::usual();
    let log: String = (1..=4)
        .map(|id| put(0, id - 1, u64::try_from(id).unwrap(), id, "old"))
        .collect();
    system.log(&log);
    let rows = "(1, 'old', 1), (2, 'old', 2), (3, 'old', 3), (4, 'old', 4)";
    system.sql("primary.db", &format!("INSERT INTO t VALUES {rows}"));
    system.sql("read.db", &format!("INSERT INTO copy VALUES {rows}"));
    // The log never hears of it.
    system.sql("primary.db", "UPDATE t SET a = 'new' WHERE id <= 2");
    system
        .trueup(&["reconcile", "{}", "--apply", "--yes"])
        .exit(0);
    let plan = system
        .trueup(&["replay", "big-bang", "{}", "--dry-run"])
        .exit(0)
        .stdout;
    assert!(
        plan.contains("has repaired 2 rows of copy from the primary"),
        "{plan}"
    );
    let said = refusal(system.trueup(&BIG_BANG), 3);
    assert!(
        said.contains("the shadow is worse than the live table: 2 keys"),
        "{said}"
    );
    assert_eq!(
        system.rows("read.db", "SELECT count(*) FROM copy WHERE a = 'new'"),
        [["2"]]
    );
}

/// What hangs on the table is named, all of it; and a run that is alive is not disturbed by another.
#[test]
fn on_postgres() {
    let Some(pair) = Pair::new(Engine::Postgres, "refused") else {
        return;
    };
    let table = "CREATE TABLE t (id bigint PRIMARY KEY, a text, b bigint); INSERT INTO t VALUES (1, 'old', 1), (2, 'old', 2)";
    for side in [Side::Primary, Side::Read] {
        pair.sql(side, table);
    }
    pair.playbook_of(
        "none",
        "sources: { t: { topic: shop.main.t, table: public.t } }\nviews: { t: { from: t, key: [id] } }\n",
    );
    std::fs::write(
        pair.path("log.jsonl"),
        put(0, 0, 10, 1, "old") + &put(0, 1, 11, 2, "old"),
    )
    .unwrap();
    pair.sql(
        Side::Read,
        "CREATE MATERIALIZED VIEW rich AS SELECT * FROM t; CREATE TABLE young () INHERITS (t)",
    );
    let said = refusal(pair.trueup(&BIG_BANG), 3);
    for hanging in [
        "would not survive the swap of public.t: materialized view ",
        "young",
    ] {
        assert!(said.contains(hanging), "{said}");
    }
    let own = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'trueup%'";
    assert_eq!(pair.lines(Side::Read, own), ["0"]);
    pair.sql(Side::Read, "DROP MATERIALIZED VIEW rich; DROP TABLE young");

    let file = pair.path("pause");
    std::fs::write(&file, "").unwrap();
    let args = [&BIG_BANG[..], &["--pause-file", "pause"]].concat();
    let running = crate::pace::Running::start(&mut pair.command(&args));
    let loading = "SELECT count(*) FROM trueup.run WHERE state = 'running'";
    crate::support::projector::until("the run is there", || {
        pair.lines(Side::Read, "SELECT to_regclass('trueup.run') IS NOT NULL") == ["t"]
            && pair.lines(Side::Read, loading) == ["1"]
    });
    let said = refusal(pair.trueup(&BIG_BANG), 6);
    assert!(
        said.contains("another run on public.t is alive: RUN"),
        "{said}"
    );
    let said = refusal(
        pair.trueup(&["runs", "abort", "{}", &alive(&pair), "--yes"]),
        6,
    );
    assert_eq!(said, "error: run RUN is underway; stop it first");
    std::fs::remove_file(&file).unwrap();
    let (code, _, said) = running.end();
    assert_eq!(code, 0, "{said}");
}

fn alive(pair: &Pair) -> String {
    pair.lines(
        Side::Read,
        "SELECT id FROM trueup.run WHERE state = 'running'",
    )
    .remove(0)
}
