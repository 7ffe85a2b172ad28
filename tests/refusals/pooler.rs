//! A real PgBouncer between trueup and its databases: by the session it does no harm, by the transaction it is refused.

use super::refusal;
use crate::support::pair::{Engine, Pair, Side};
use crate::support::services::{out, script};

/// The address of PgBouncer, which is started by whoever needs it; the end of the services is its end.
fn pooler() -> String {
    let lines = out(&script("services")
        .args(["up", "pgbouncer"])
        .output()
        .unwrap());
    let line = lines
        .lines()
        .find_map(|l| l.strip_prefix("export TRUEUP_TEST_PGBOUNCER="));
    line.unwrap_or_else(|| panic!("no address: {lines}"))
        .to_owned()
}

#[test]
fn by_the_transaction_is_refused() {
    let Some(pair) = Pair::new(Engine::Postgres, "pooled") else {
        return;
    };
    let pooler = pooler();
    for side in [Side::Primary, Side::Read] {
        pair.sql(
            side,
            "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'x')",
        );
    }
    let pooled = |side| format!("{pooler}/{}", pair.url(side).rsplit_once('/').unwrap().1);
    let playbook = |primary: &str, read_store: &str| {
        pair.playbook(&format!(
            "version: 1\nname: x\nprimary: {{ url: \"{primary}\" }}\nread_store: {{ url: \"{read_store}\" }}\nlog: {{ archive: log.jsonl }}\napplied: none\n\
             sources: {{ t: {{ topic: x.public.t }} }}\nviews: {{ t: {{ from: t, key: [id] }} }}\n"
        ));
    };
    let words = [
        "a pooler that gives every transaction another session stands before this database",
        "connect to the server's own port, or to a pool in session mode",
    ];
    for (what, primary, read_store) in [
        ("read store", pair.url(Side::Primary), pooled(Side::Read)),
        ("primary", pooled(Side::Primary), pair.url(Side::Read)),
    ] {
        playbook(&primary, &read_store);
        for command in [
            &["verify", "{}"][..],
            &["reconcile", "{}", "--apply", "--yes"],
            &["replay", "big-bang", "{}", "--yes"],
        ] {
            let said = refusal(pair.trueup(command), 3);
            println!("{said}");
            assert!(
                said.contains(what) && words.iter().all(|w| said.contains(w)),
                "{said}"
            );
            assert!(!said.contains(":trueup@"), "{said}");
        }
    }
    let own = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'trueup%'";
    assert_eq!(pair.lines(Side::Read, own), ["0"]);
    playbook(
        &pair.url(Side::Primary),
        &format!("{pooler}/statement_of_postgres"),
    );
    let said = refusal(pair.trueup(&["verify", "{}"]), 3);
    assert!(said.contains(words[0]), "{said}");
    // A pool of sessions is as good as the server.
    playbook(
        &pair.url(Side::Primary),
        &format!("{pooler}/session_of_postgres"),
    );
    let said = refusal(pair.trueup(&["verify", "{}"]), 2);
    assert!(said.contains("no table"), "{said}");
}
