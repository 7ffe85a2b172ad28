//! Tables that are not any more what a snapshot, a plan or a run was made for.

use super::{BIG_BANG, put, refusal};
use crate::pace::Running;
use crate::support::pair::{Engine, Pair, Side};

fn pair(name: &str) -> Option<Pair> {
    let pair = Pair::new(Engine::Postgres, name)?;
    let table = "CREATE TABLE t (id bigint PRIMARY KEY, a text, b bigint); INSERT INTO t VALUES (1, 'x', 1), (2, 'x', 2)";
    pair.sql(Side::Primary, table);
    pair.sql(Side::Read, table);
    pair.playbook_of(
        "none",
        "sources: { t: { topic: shop.main.t, table: public.t } }\nviews: { t: { from: t, key: [id] } }\n",
    );
    let log = put(0, 0, 10, 1, "x") + &put(0, 1, 11, 2, "x");
    std::fs::write(pair.path("log.jsonl"), log).unwrap();
    Some(pair)
}

/// Since the snapshot, a column has got another type in the primary, or in the read table, or is gone from both.
#[test]
fn since_a_snapshot() {
    let Some(pair) = pair("sincesnap") else {
        return;
    };
    pair.trueup(&["snapshot", "create", "{}", "--verify", "--yes"])
        .exit(0);
    let partial = ["replay", "partial", "{}", "--snapshot", "latest", "--yes"];
    pair.trueup(&partial).exit(0);
    let refused = |words: &[&str]| {
        let said = refusal(pair.trueup(&partial), 3);
        for words in [
            &[
                "of another projection of view.t: changed since: ",
                "create a new one",
            ],
            words,
        ]
        .concat()
        {
            assert!(said.contains(words), "{words}: {said}");
        }
    };
    pair.sql(Side::Primary, "ALTER TABLE t ALTER b TYPE numeric(20, 2)");
    refused(&["source columns"]);
    pair.sql(Side::Primary, "ALTER TABLE t ALTER b TYPE bigint");
    pair.trueup(&partial).exit(0);
    pair.sql(Side::Read, "ALTER TABLE t ALTER b TYPE numeric(20, 2)");
    refused(&["columns"]);
    pair.sql(Side::Read, "ALTER TABLE t DROP b");
    refused(&["columns"]);
    pair.sql(Side::Primary, "ALTER TABLE t DROP b");
    refused(&["source columns"]);
}

/// A saved plan of repairs is for the table as it was.
#[test]
fn since_a_plan() {
    let Some(pair) = pair("sinceplan") else {
        return;
    };
    pair.sql(Side::Read, "UPDATE t SET a = 'wrong' WHERE id = 2");
    pair.trueup(&["reconcile", "{}", "--out", "plan.json"])
        .exit(1);
    pair.sql(Side::Read, "ALTER TABLE t DROP b");
    let apply = ["reconcile", "{}", "--apply", "--yes", "--plan", "plan.json"];
    let said = refusal(pair.trueup(&apply), 3);
    assert!(said.contains("columns"), "{said}");
    assert_eq!(
        pair.lines(Side::Read, "SELECT a FROM t WHERE id = 2"),
        ["wrong"]
    );
}

/// The live table is changed while its shadow is built.
#[test]
fn while_a_replay_runs() {
    for (nth, (change, words)) in [
        ("ALTER TABLE t ADD c int", "altered since"),
        ("ALTER TABLE t ALTER a TYPE varchar(20)", "altered since"),
        (
            "DROP TABLE t; CREATE TABLE t (id bigint PRIMARY KEY, a text, b bigint)",
            "replaced by another table",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let Some(pair) = pair(&format!("whilst{nth}")) else {
            return;
        };
        let file = pair.path("pause");
        std::fs::write(&file, "").unwrap();
        let args = [&BIG_BANG[..], &["--pause-file", "pause"]].concat();
        let running = Running::start(&mut pair.command(&args));
        crate::support::projector::until("the run is there", || {
            pair.lines(Side::Read, "SELECT to_regclass('trueup.run') IS NOT NULL") == ["t"]
                && pair.lines(
                    Side::Read,
                    "SELECT count(*) FROM trueup.run WHERE stage = 'loading'",
                ) == ["1"]
        });
        pair.sql(Side::Read, change);
        let before = pair.lines(Side::Read, "SELECT * FROM t ORDER BY id");
        std::fs::remove_file(&file).unwrap();
        let (code, _, said) = running.end();
        println!("{change}: {code}: {said}");
        assert_eq!(code, 3, "{change}: {said}");
        assert!(said.contains(words), "{change}: {said}");
        assert_eq!(
            pair.lines(Side::Read, "SELECT * FROM t ORDER BY id"),
            before
        );
        let left = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'trueup\\_2%'";
        assert_eq!(pair.lines(Side::Read, left), ["0"]);
    }
}
