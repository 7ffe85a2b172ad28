//! Plans that must not be applied, and what may not be written by whom.

use crate::support::embedded::{Embedded, usual_playbook};
use crate::support::pair::{Engine, Pair, Side};
use crate::support::services::Postgres;

/// Ten rows, of which the copy has `wrong` with another value.
fn system(wrong: usize) -> Embedded {
    let system = Embedded::usual();
    let rows = |table: &str| {
        (1..=10)
            .map(|i| format!("INSERT INTO {table} VALUES ({i}, 'a{i}', {i});"))
            .collect::<String>()
    };
    system.sql("primary.db", &rows("t"));
    system.sql(
        "read.db",
        &(rows("copy") + &format!("UPDATE copy SET b = 0 WHERE id <= {wrong}")),
    );
    system
}

const APPLY: [&str; 4] = ["reconcile", "{}", "--apply", "--yes"];

/// Nothing was written, not even trueup's own tables.
#[track_caller]
fn untouched(system: &Embedded) {
    assert_eq!(
        system.rows(
            "read.db",
            "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'trueup%'"
        ),
        [["0"]]
    );
    assert_eq!(
        system.rows(
            "primary.db",
            "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'trueup%'"
        ),
        [["0"]]
    );
}

#[test]
fn more_than_the_bounds_allow() {
    let system = system(5);
    let bounded =
        |limits: &str| system.playbook(&(usual_playbook() + &format!("limits: {{ {limits} }}\n")));
    bounded("repairs_max: 4");
    system
        .trueup(&APPLY)
        .exit(3)
        .says(&["5 repairs", "more than 4", "repairs_max"]);
    system.trueup(&["reconcile", "{}"]).exit(3);
    bounded("repairs_max: \"40%\"");
    system
        .trueup(&APPLY)
        .exit(3)
        .says(&["more than 4 (repairs_max: 40%)"]);
    bounded("deletes_max: 1");
    system.sql(
        "read.db",
        "INSERT INTO copy VALUES (11, 'x', 1), (12, 'y', 2)",
    );
    system.trueup(&APPLY).exit(3).says(&["2 deletes"]);
    untouched(&system);
    system
        .trueup(&[
            "reconcile",
            "{}",
            "--apply",
            "--yes",
            "--deletes-max",
            "20%",
        ])
        .exit(0);
    system.trueup(&["verify", "{}"]).exit(0);
}

#[test]
fn a_primary_that_lost_its_rows() {
    let system = system(0);
    system.sql("primary.db", "DELETE FROM t");
    system
        .trueup(&APPLY)
        .exit(3)
        .says(&["the primary has 0 of the rows", "--allow-shrink"]);
    system.sql(
        "primary.db",
        "INSERT INTO t VALUES (1, 'a1', 1), (2, 'a2', 2), (3, 'a3', 3), (4, 'a4', 4)",
    );
    system.trueup(&APPLY).exit(3);
    untouched(&system);
    system
        .trueup(&["reconcile", "{}", "--apply", "--yes", "--allow-shrink"])
        .exit(0);
    assert_eq!(system.rows("read.db", "SELECT count(*) FROM copy"), [["4"]]);
}

#[test]
fn the_urls_exchanged() {
    let system = system(2);
    let exchanged = usual_playbook()
        .replace("primary.db", "x.db")
        .replace("read.db", "primary.db")
        .replace("x.db", "read.db");
    system.playbook(&exchanged);
    for command in [&APPLY[..], &["verify", "{}"]] {
        system.trueup(command).exit(3).says(&["look exchanged"]);
    }
    untouched(&system);

    // Tables of one name and shape: trueup's own tables tell the read store.
    let twins = Embedded::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'x')",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'y')",
    );
    let playbook = usual_playbook().replace("copy: {", "t: {");
    twins.playbook(&playbook);
    twins.trueup(&APPLY).exit(0);
    twins.playbook(
        &playbook
            .replace("primary.db", "x.db")
            .replace("read.db", "primary.db")
            .replace("x.db", "read.db"),
    );
    twins.trueup(&APPLY).exit(3).says(&["look exchanged"]);
}

#[test]
fn the_primarys_own_table_nobody_s_consent_and_no_unique_key() {
    let system = system(2);
    system.playbook(
        &usual_playbook()
            .replace("read.db", "primary.db")
            .replace("copy: {", "t: {"),
    );
    system
        .trueup(&APPLY)
        .exit(3)
        .says(&["the primary's own table"]);
    system.playbook(&usual_playbook());
    system
        .trueup(&["reconcile", "{}", "--apply"])
        .exit(3)
        .says(&["nobody can be asked here"]);
    system
        .trueup(&["reconcile", "{}", "--apply", "--confirm", "other"])
        .exit(3)
        .says(&["not confirmed"]);
    system.sql("read.db", "CREATE TABLE bare AS SELECT * FROM copy");
    system.playbook(&usual_playbook().replace("copy: {", "bare: {"));
    system
        .trueup(&APPLY)
        .exit(3)
        .says(&["no unique key over id"]);
    untouched(&system);
}

#[test]
fn a_captured_table_is_a_primarys() {
    let Some(pair) = Pair::new(Engine::Postgres, "captured") else {
        return;
    };
    let table = "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'x');";
    pair.sql(Side::Primary, table);
    pair.sql(Side::Read, table);
    pair.sql(Side::Read, "CREATE PUBLICATION p FOR TABLE t; SELECT pg_create_logical_replication_slot('trueup_captured', 'pgoutput')");
    pair.playbook_of(
        "none",
        "sources: { t: { topic: x.public.t } }\nviews: { t: { from: t, key: [id] } }\n",
    );
    pair.trueup(&APPLY)
        .exit(3)
        .says(&["look exchanged", "replication slot"]);
    pair.sql(
        Side::Read,
        "SELECT pg_drop_replication_slot('trueup_captured')",
    );
    pair.trueup(&APPLY).exit(0);
}

#[test]
fn looking_needs_select_only_and_writes_nothing() {
    let (Some(pair), Some(server)) = (Pair::new(Engine::Postgres, "looking"), Postgres::new())
    else {
        return;
    };
    for side in [Side::Primary, Side::Read] {
        pair.sql(side, "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t SELECT i, 'a' FROM generate_series(1, 20) AS i");
    }
    pair.sql(Side::Read, "DROP ROLE IF EXISTS trueup_looker; CREATE ROLE trueup_looker LOGIN PASSWORD 'trueup_looker'; UPDATE t SET a = 'b' WHERE id = 3");
    for side in [Side::Primary, Side::Read] {
        pair.sql(side, "GRANT SELECT ON t TO trueup_looker");
    }
    let url = |side| {
        let url = pair.url(side);
        server.url_as(
            "trueup_looker",
            "trueup_looker",
            url.rsplit_once('/').unwrap().1,
        )
    };
    pair.playbook(&format!(
        "version: 1\nname: x\nprimary: {{ url: \"{}\" }}\nread_store: {{ url: \"{}\" }}\nlog: {{ archive: log.jsonl }}\napplied: none\nsources: {{ t: {{ topic: x.public.t }} }}\nviews: {{ t: {{ from: t, key: [id] }} }}\n",
        url(Side::Primary),
        url(Side::Read)
    ));
    let own = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'trueup%'";
    for command in [&["verify", "{}"][..], &["reconcile", "{}"]] {
        pair.trueup(command).exit(1);
    }
    pair.trueup(&["runs", "{}"]).exit(0);
    assert_eq!(pair.lines(Side::Read, own), ["0"]);
    pair.trueup(&APPLY).exit(3).says(&["permission denied"]);
    assert_eq!(pair.lines(Side::Read, own), ["0"]);
    pair.playbook_of(
        "none",
        "sources: { t: { topic: x.public.t } }\nviews: { t: { from: t, key: [id] } }\n",
    );
    pair.trueup(&APPLY).exit(0);
    pair.sql(Side::Read, "DROP OWNED BY trueup_looker");
    pair.sql(
        Side::Primary,
        "DROP OWNED BY trueup_looker; DROP ROLE trueup_looker",
    );
}
