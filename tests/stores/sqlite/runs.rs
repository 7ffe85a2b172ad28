//! Runs as trueup's own tables keep them: versions of these tables, runs that died, and what a write sets off.

use trueup::projection::cell::Cell;
use trueup::store::repair::Image;
use trueup::store::sqlite::Sqlite;
use trueup::store::{Access, Acts, RunKind, RunState, Start};

use super::repairing::{begun, target, write};
use super::{Db, permit, table, text};

/// trueup's own tables as version 1 made them.
const VERSION_1: &str = "
    CREATE TABLE trueup_meta (version INTEGER NOT NULL);
    INSERT INTO trueup_meta (version) VALUES (1);
    CREATE TABLE trueup_run (id TEXT PRIMARY KEY NOT NULL, kind TEXT NOT NULL, target TEXT NOT NULL,
      target_id INTEGER NOT NULL, state TEXT NOT NULL, process TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT,
      old_table TEXT);
    CREATE TABLE trueup_position (run TEXT NOT NULL, topic TEXT NOT NULL, `partition` INTEGER NOT NULL,
      next_offset INTEGER NOT NULL, PRIMARY KEY (run, topic, `partition`));
    INSERT INTO trueup_run VALUES ('dead', 'replay', 't', 1, 'running', '7', '2024-01-31 12:00:00.000+00', NULL, NULL),
      ('old', 'replay', 't', 1, 'swapped', '7', '2023-01-31 12:00:00.000+00', '2023-01-31 13:00:00.000+00', NULL);
    CREATE TABLE trueup_dead_t (k);";

#[tokio::test]
async fn own_tables_are_brought_up_to_date_by_runs_alone() {
    let db = Db::new("CREATE TABLE t (k INTEGER PRIMARY KEY)").await;
    let schema = "SELECT sql FROM sqlite_schema ORDER BY name";
    let states = async |store: &Sqlite| -> Vec<String> {
        let runs = store.runs().await.expect("runs");
        runs.into_iter()
            .map(|r| format!("{} {}", r.id, r.state))
            .collect()
    };
    for (made, known) in [
        ("", vec![]),
        (VERSION_1, vec!["old swapped", "dead running"]),
    ] {
        db.run(made).await;
        let before = db.texts(schema).await;
        let reader = db.open(Access::Read).await;
        assert_eq!(states(&reader).await, known);
        assert_eq!(reader.journal("old").await.expect("none"), []);
        assert_eq!(reader.unconfirmed(&table("t")).await.expect("none"), []);
        let catalog = reader.catalog(&table("t")).await.expect("found");
        assert_eq!(reader.effects(&catalog).await.expect("none"), []);
        assert_eq!(db.texts(schema).await, before);
    }
    let fresh = Db::new("CREATE TABLE t (k INTEGER PRIMARY KEY)").await;
    for db in [&db, &fresh] {
        let store = db.open(Access::Write).await;
        begun(&store, "t", "r1", None).await;
        store
            .finish(&permit(), "r1", RunState::Done)
            .await
            .expect("ended");
        store
            .finish(&permit(), "r1", RunState::Done)
            .await
            .expect("it has ended as that");
        assert!(
            store
                .finish(&permit(), "r1", RunState::Incomplete)
                .await
                .is_err()
        );
        assert_eq!(db.texts("SELECT version FROM trueup_meta").await, ["4"]);
    }
    let store = db.open(Access::Read).await;
    assert_eq!(
        states(&store).await,
        ["old swapped", "dead discarded", "r1 done"]
    );
    let columns = "SELECT m.name || ' ' || c.name || ' ' || c.type FROM sqlite_schema AS m, pragma_table_info(m.name) AS c ORDER BY 1";
    assert_eq!(db.texts(columns).await, fresh.texts(columns).await);

    db.run("UPDATE trueup_meta SET version = 99").await;
    let before = db.texts(schema).await;
    let store = db.open(Access::Write).await;
    let catalog = store.catalog(&table("t")).await.expect("found");
    let start = Start {
        run: "r2".to_owned(),
        kind: RunKind::Reconcile,
        table: catalog.table,
        table_id: catalog.id,
        reverts: None,
    };
    for refused in [
        store.start(&permit(), &start).await,
        store.runs().await.map(|_| ()),
    ] {
        assert!(refused.is_err_and(|e| e.to_string().contains("use the newer trueup")));
    }
    assert_eq!(db.texts(schema).await, before);
}

#[tokio::test]
async fn a_dead_repair_leaves_its_journal() {
    let db = Db::new(
        "CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
    )
    .await;
    let store = db.open(Access::Write).await;
    begun(&store, "t", "r1", None).await;
    let to = target(&store, "t", "r1", &["k", "v"], 1).await;
    let change = write(
        1,
        Some(vec![Cell::Int(1), text("a")]),
        Some(vec![Cell::Int(1), text("c")]),
    );
    store.repair(&permit(), &to, &[change]).await.expect("done");
    let other = db.open(Access::Write).await;
    let start = Start {
        run: "r2".to_owned(),
        kind: RunKind::Reconcile,
        table: to.table.table.clone(),
        table_id: to.table.id,
        reverts: None,
    };
    let busy = other.start(&permit(), &start).await;
    assert!(busy.is_err_and(|e| e.to_string().contains("written by run r1, process")));
    assert_eq!(other.unconfirmed(&table("t")).await.expect("none"), []);
    drop(store); // As a crash would: no word of farewell.
    let image = |v: &str| {
        Some(Image(vec![
            ("k".to_owned(), Some("1".to_owned())),
            ("v".to_owned(), Some(format!("'{v}'"))),
        ]))
    };
    for state in ["running", "incomplete"] {
        let open = other.unconfirmed(&table("t")).await.expect("entries");
        assert_eq!(open.len(), 1, "{state}");
        assert_eq!(
            (&open[0].run, &open[0].before, &open[0].after),
            (&"r1".to_owned(), &image("a"), &image("c"))
        );
        assert_eq!(other.runs().await.expect("runs")[0].state, state);
        if state == "running" {
            other
                .start(&permit(), &start)
                .await
                .expect("the dead run is no obstacle");
        }
    }
}

#[tokio::test]
async fn what_a_write_sets_off_is_told() {
    let db = Db::new(
        "CREATE TABLE t (k INTEGER PRIMARY KEY, a INT, b INT, parent INT REFERENCES t (k), far INT REFERENCES missing, UNIQUE (a, b));
         CREATE TRIGGER audit AFTER UPDATE OF a ON T BEGIN SELECT 1; END;
         CREATE TRIGGER \"before delete\" INSERT ON t BEGIN SELECT 1; END;
         CREATE TABLE orders (t INT REFERENCES T ON DELETE CASCADE);
         CREATE TABLE notes (a INT, b INT, FOREIGN KEY (a, b) REFERENCES t (a, b) ON UPDATE SET NULL ON DELETE RESTRICT);",
    )
    .await;
    let store = db.open(Access::Read).await;
    let catalog = store.catalog(&table("t")).await.expect("found");
    let effects = store.effects(&catalog).await.expect("known");
    let lines: Vec<String> = effects
        .iter()
        .map(|e| {
            let on: Vec<&str> = e.on.iter().map(|k| k.word()).collect();
            format!("{}: {}", on.join(", "), e.what)
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    update: trigger audit runs
    insert: trigger before delete runs
    delete: foreign key of notes: may refuse it
    update: foreign key of notes: ON UPDATE SET NULL changes its rows when a or b changes
    delete: foreign key of orders: ON DELETE CASCADE deletes its rows
    update: foreign key of orders: may refuse it when the primary key changes
    delete: foreign key of t: may refuse it
    update: foreign key of t: may refuse it when k changes
    insert, update: foreign key to missing: may refuse it
    insert, update: foreign key to t: may refuse it
    ");
}
