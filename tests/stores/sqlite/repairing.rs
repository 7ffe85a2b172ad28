//! Repairs and their journal: fences, what the database does not take, and the way back to the very bytes.

use trueup::projection::cell::{Cell, Row};
use trueup::projection::change::Key;
use trueup::projection::text as cell_text;
use trueup::store::repair::Side;
use trueup::store::sqlite::Sqlite;
use trueup::store::{Access, Acts, Confirmation, Outcome, RunKind, RunState, Start, Target, Write};

use super::{Db, permit, table, text};

/// Starts a run on a table.
pub(super) async fn begun(store: &Sqlite, name: &str, run: &str, reverts: Option<&str>) {
    let catalog = store.catalog(&table(name)).await.expect("the table");
    let start = Start {
        run: run.to_owned(),
        kind: reverts.map_or(RunKind::Reconcile, |_| RunKind::Undo),
        table: catalog.table,
        table_id: catalog.id,
        reverts: reverts.map(str::to_owned),
    };
    store.start(&permit(), &start).await.expect("started");
}

/// Repairs of a table under a run that has begun; the first `key` columns are the key.
pub(super) async fn target(
    store: &Sqlite,
    name: &str,
    run: &str,
    columns: &[&str],
    key: usize,
) -> Target {
    let live = store.catalog(&table(name)).await.expect("the table");
    let column = |c: &&str| live.column(c).expect("a column").column.clone();
    Target {
        run: run.to_owned(),
        columns: columns.iter().map(column).collect(),
        key: (0..key).collect(),
        fill: Vec::new(),
        scope: None,
        reverts: None,
        table: live,
    }
}

/// A write from cells to cells, of a key that is the first `key` of them.
pub(super) fn write(
    key: usize,
    before: Option<Row<'static>>,
    after: Option<Row<'static>>,
) -> Write {
    let row = before.as_ref().or(after.as_ref()).expect("a side");
    Write {
        key: Key(row[..key].to_vec()),
        before: before.map(Side::Cells),
        after: after.map(Side::Cells),
        reverts: None,
    }
}

/// What takes a run's repairs back, newest first.
async fn inverse(store: &Sqlite, target: &Target, run: &str) -> Vec<Write> {
    let journal = store.journal(run).await.expect("the journal");
    let back = journal.into_iter().rev().map(|entry| {
        let cells = target.key_columns().map(|column| {
            let text = entry.key.get(&column.name).flatten().expect("a key");
            let cell = cell_text::read(&column.kind, text).expect("a cell");
            cell.into_owned()
        });
        Write {
            key: Key(cells.collect()),
            before: entry.after.map(Side::Image),
            after: entry.before.map(Side::Image),
            reverts: Some(entry.number),
        }
    });
    back.collect()
}

fn blocked(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Blocked(why) => why,
        other => panic!("{other:?}"),
    }
}

const ODD: &str = "
    CREATE TABLE odd (a TEXT NOT NULL, b INT NOT NULL, n INTEGER NOT NULL, r REAL, x, y BLOB, note TEXT DEFAULT 'new',
      up TEXT AS (upper(note)) STORED, PRIMARY KEY (a, b));
    INSERT INTO odd (a, b, n, r, x, y, note) VALUES
      ('it''s', 1, 'twelve', 9e999, x'00ff', 'no blob', 'a''b'),
      ('it''s', 2, 9223372036854775807, -0.0, 5, NULL, 'a' || char(0) || 'z'),
      ('gone', 1, 5.5, 5e-324, '5', x'', ''),
      ('kept', 1, -9223372036854775808, NULL, 5.0, x'27', NULL);";

async fn dump(db: &Db) -> Vec<String> {
    let all = ["a", "b", "n", "r", "x", "y", "note", "up"]
        .map(|c| format!("typeof({c}) || ' ' || quote(CAST({c} AS BLOB)) || ' ' || quote({c})"));
    db.texts(&format!(
        "SELECT {} FROM odd ORDER BY a, b",
        all.join(" || ', ' || ")
    ))
    .await
}

/// An insert, two updates and a delete, of `b, a, r, note`.
fn each_kind() -> Vec<Write> {
    let row =
        |b: i128, a: &str, r: Cell<'static>, note: &str| vec![Cell::Int(b), text(a), r, text(note)];
    let float = Cell::Float;
    vec![
        write(2, None, Some(row(3, "it's", float(0.1), "made"))),
        write(
            2,
            Some(row(1, "it's", float(f64::INFINITY), "a'b")),
            Some(row(1, "it's", Cell::Null, "a'b")),
        ),
        write(2, Some(row(1, "gone", float(5e-324), "")), None),
        write(
            2,
            Some(row(2, "it's", float(0.0), "a\0z")),
            Some(row(2, "it's", float(2.0), "it's")),
        ),
    ]
}

/// The runs with their inserted, updated, deleted, unconfirmed and undone rows.
async fn counts(store: &Sqlite) -> Vec<String> {
    let runs = store.runs().await.expect("runs");
    runs.iter()
        .map(|r| {
            assert!(r.started_at.ends_with("+00") && r.ended_at.is_some());
            let counts = [r.inserted, r.updated, r.deleted, r.unconfirmed, r.undone];
            format!(
                "{} {} {} {} {:?} {counts:?}",
                r.id, r.kind, r.state, r.table, r.reverts
            )
        })
        .collect()
}

/// Takes run `r1` back as `u1`, while somebody changes a row and changes it back.
async fn take_back(db: &Db, store: &Sqlite) {
    begun(store, "odd", "u1", Some("r1")).await;
    let mut back = target(store, "odd", "u1", &["b", "a"], 2).await;
    back.reverts = Some("r1".to_owned());
    let inverses = inverse(store, &back, "r1").await;
    // Of somebody else's column, and only in its class.
    db.run("UPDATE odd SET x = 5.0 WHERE a = 'it''s' AND b = 2")
        .await;
    let done = store
        .repair(&permit(), &back, &inverses)
        .await
        .expect("done");
    let written = Outcome::Written;
    assert_eq!(done, [written(1), Outcome::MovedOn, written(2), written(3)]);
    db.run("UPDATE odd SET x = 5 WHERE a = 'it''s' AND b = 2")
        .await;
    let done = store
        .repair(&permit(), &back, &inverses[1..2])
        .await
        .expect("done");
    assert_eq!(done, [written(4)]);
    let twice = store
        .repair(&permit(), &back, &inverses)
        .await
        .expect("done");
    assert!(twice.iter().all(|o| *o == Outcome::MovedOn), "{twice:?}");
    store
        .finish(&permit(), "u1", RunState::Done)
        .await
        .expect("ended");
}

#[tokio::test]
async fn repairs_are_taken_back_to_the_byte() {
    let db = Db::new(ODD).await;
    let original = dump(&db).await;
    let store = db.open(Access::Write).await;
    begun(&store, "odd", "r1", None).await;
    let mut to = target(&store, "odd", "r1", &["b", "a", "r", "note"], 2).await;
    to.fill = vec![("n".to_owned(), Cell::Int(0))];
    let writes = each_kind();
    let done = store.repair(&permit(), &to, &writes).await.expect("done");
    assert_eq!(
        done,
        [4, 2, 1, 3].map(Outcome::Written),
        "what goes, goes first"
    );
    assert_eq!(
        db.texts("SELECT a || b || typeof(n) || quote(r) || note || up FROM odd ORDER BY a, b")
            .await,
        [
            "it's1textNULLa'bA'B",
            "it's2integer2.0it'sIT'S",
            "it's3integer0.1madeMADE",
            "NULL"
        ]
    );
    let journal = store.journal("r1").await.expect("the journal");
    assert_eq!(
        serde_json::to_string(&(&journal[1].key, &journal[1].before, &journal[3].after))
            .expect("JSON"),
        r#"[{"b":"1","a":"it's"},{"a":"'it''s'","b":"1","n":"'twelve'","r":"9e999","x":"X'00ff'","y":"'no blob'","note":"'a''b'"},{"a":"'it''s'","b":"3","n":"0","r":"0.1","x":null,"y":null,"note":"'made'"}]"#
    );
    let open = store.unconfirmed(&table("odd")).await.expect("entries");
    assert_eq!(open.len(), 0, "the run is alive");
    let entries = [("r1".to_owned(), 1), ("r1".to_owned(), 3)];
    store
        .confirm(&permit(), &entries, Confirmation::Confirmed)
        .await
        .expect("confirmed");
    let none = store
        .confirm(&permit(), &[("r1".to_owned(), 9)], Confirmation::Confirmed)
        .await;
    assert!(none.is_err(), "{none:?}");
    store
        .finish(&permit(), "r1", RunState::Incomplete)
        .await
        .expect("ended");
    let open = store.unconfirmed(&table("ODD")).await.expect("entries");
    assert_eq!(open.iter().map(|e| e.number).collect::<Vec<_>>(), [2, 4]);

    take_back(&db, &store).await;
    assert_eq!(dump(&db).await, original);
    assert_eq!(
        counts(&store).await,
        [
            "r1 reconcile incomplete odd None [1, 2, 1, 2, 4]",
            "u1 undo done odd Some(\"r1\") [1, 2, 1, 0, 0]"
        ]
    );
    let undone = store.journal("r1").await.expect("the journal");
    assert!(undone.iter().all(|e| e.undone_by.as_deref() == Some("u1")));
    let open = store.unconfirmed(&table("odd")).await.expect("entries");
    assert!(open.is_empty(), "nothing is left to confirm: {open:?}");
}

#[tokio::test]
async fn only_the_row_that_was_seen_is_written() {
    let db = Db::new(
        "CREATE TABLE t (tenant INT, k TEXT COLLATE NOCASE PRIMARY KEY, v TEXT, extra TEXT);
         INSERT INTO t VALUES (5, 'same', 'old', 'x'), (5, 'moved', 'newer', 'x'), (5, 'changed', 'newer', 'x'), (5, 'appeared', 'a', 'x'),
           (6, 'abroad', 'old', 'x'), (5, 'Spelled', 'old', 'x'), (5, 'last', 'old', 'x');",
    )
    .await;
    let store = db.open(Access::Write).await;
    begun(&store, "t", "r1", None).await;
    let mut to = target(&store, "t", "r1", &["k", "v"], 1).await;
    to.scope = Some("tenant = 5 -- ours".to_owned());
    let row = |k: &str, v: &str| Some(vec![text(k), text(v)]);
    let writes = [
        write(1, row("same", "old"), row("same", "new")),
        write(1, row("moved", "old"), row("moved", "new")),
        write(1, row("changed", "old"), None),
        write(1, row("vanished", "old"), row("vanished", "new")),
        write(1, None, row("appeared", "new")),
        write(1, row("abroad", "old"), row("abroad", "new")),
        write(1, row("spelled", "old"), row("spelled", "new")),
        write(1, row("last", "old"), None),
    ];
    let done = store.repair(&permit(), &to, &writes).await.expect("done");
    let moved = || Outcome::MovedOn;
    assert_eq!(
        done,
        [
            Outcome::Written(2),
            moved(),
            moved(),
            moved(),
            moved(),
            moved(),
            moved(),
            Outcome::Written(1)
        ]
    );
    // In the scope there is no such row, and in the table there is; nor may a row come in that is out of the scope.
    let writes = [
        write(1, None, row("abroad", "new")),
        write(1, None, row("nobody's", "new")),
    ];
    let done = store.repair(&permit(), &to, &writes).await.expect("done");
    assert_eq!(blocked(&done[0]), "UNIQUE constraint failed: t.k");
    assert!(blocked(&done[1]).contains("the scope"), "{done:?}");
    assert_eq!(
        db.texts("SELECT tenant || k || v || extra FROM t ORDER BY k")
            .await,
        [
            "6abroadoldx",
            "5appearedax",
            "5changednewerx",
            "5movednewerx",
            "5samenewx",
            "5Spelledoldx"
        ]
    );
    assert_eq!(store.journal("r1").await.expect("the journal").len(), 2);

    db.run("ALTER TABLE t ADD COLUMN late").await;
    let late = store.repair(&permit(), &to, &writes).await;
    assert!(late.is_err_and(|e| e.to_string().contains("changed or replaced")));
    store
        .finish(&permit(), "r1", RunState::Done)
        .await
        .expect("ended");
    let late = store.repair(&permit(), &to, &writes).await;
    assert!(late.is_err_and(|e| e.to_string().contains("run r1 is not running")));
}

#[tokio::test]
async fn what_the_database_does_not_take_holds_nothing_else_up() {
    let db = Db::new(
        "CREATE TABLE t (k INTEGER PRIMARY KEY, u TEXT UNIQUE ON CONFLICT REPLACE, v INT CHECK (v < 100), up INT REFERENCES t);
         CREATE TRIGGER refuses BEFORE UPDATE ON t WHEN NEW.v = 20 BEGIN SELECT RAISE(ROLLBACK, 'not twenty'); END;
         CREATE TRIGGER ignores BEFORE UPDATE ON t WHEN NEW.v = 30 BEGIN SELECT RAISE(IGNORE); END;
         CREATE TRIGGER fails BEFORE UPDATE ON t WHEN NEW.v = 40 BEGIN SELECT abs(-9223372036854775808); END;
         CREATE TRIGGER changes AFTER UPDATE ON t WHEN NEW.v = 50 BEGIN UPDATE t SET v = 51 WHERE k = NEW.k; END;
         INSERT INTO t (k, u, v) VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (4, 'd', 4), (5, 'e', 5), (6, 'f', 6), (7, 'g', 7);",
    )
    .await;
    let store = db.open(Access::Write).await;
    begun(&store, "t", "r1", None).await;
    let to = target(&store, "t", "r1", &["k", "u", "v", "up"], 1).await;
    let row = |k: i128, u: &str, v: i128, up: Option<i128>| {
        Some(vec![
            Cell::Int(k),
            text(u),
            Cell::Int(v),
            up.map_or(Cell::Null, Cell::Int),
        ])
    };
    let repair = async |writes: &[Write]| store.repair(&permit(), &to, writes).await.expect("done");
    let writes = [
        write(1, None, row(9, "i", 9, Some(8))),
        write(1, None, row(8, "g", 8, None)),
        write(1, row(7, "g", 7, None), None),
    ];
    let done = repair(&writes).await;
    assert_eq!(
        done,
        [2, 3, 1].map(Outcome::Written),
        "each needs another one"
    );
    let writes = [
        write(1, row(1, "a", 1, None), row(1, "a", 100, None)),
        write(1, row(2, "b", 2, None), row(2, "b", 20, None)),
        write(1, row(3, "c", 3, None), row(3, "c", 30, None)),
        write(1, row(4, "d", 4, None), row(4, "d", 40, None)),
        write(1, row(5, "e", 5, None), row(5, "e", 50, None)),
        write(1, row(6, "f", 6, None), row(6, "f", 60, None)),
        write(1, row(8, "g", 8, None), None),
        write(1, None, row(10, "b", 0, None)),
        write(1, None, row(11, "j", 1 << 70, None)),
        write(
            1,
            row(9, "i", 9, Some(8)),
            Some(vec![
                Cell::Int(9),
                Cell::Unchanged,
                Cell::Int(9),
                Cell::Null,
            ]),
        ),
    ];
    let done = repair(&writes).await;
    assert_eq!(done[5], Outcome::Written(4));
    for (at, says) in [
        (0, "CHECK constraint failed: v < 100"),
        (1, "not twenty"),
        (2, "0 rows were written instead of one"),
        (3, "integer overflow"),
        (4, "a trigger"),
        (6, "FOREIGN KEY constraint failed"),
        (7, "UNIQUE constraint failed: t.u"),
        (8, "column v (int64): an integer beyond the 64 bits"),
        (9, "column u (text): no value is known"),
    ] {
        assert!(blocked(&done[at]).contains(says), "{:?}", done[at]);
    }
    // Each stands where the other wants to be.
    let writes = [
        write(1, row(1, "a", 1, None), row(1, "b", 1, None)),
        write(1, row(2, "b", 2, None), row(2, "a", 2, None)),
    ];
    for outcome in repair(&writes).await {
        assert_eq!(blocked(&outcome), "UNIQUE constraint failed: t.u");
    }
    let lines = db
        .texts("SELECT k || u || v || coalesce(up, '') FROM t ORDER BY k")
        .await;
    assert_eq!(
        lines,
        ["1a1", "2b2", "3c3", "4d4", "5e5", "6f60", "8g8", "9i98"]
    );
}

#[tokio::test]
async fn a_row_that_is_not_one_or_has_no_image_is_not_written() {
    let db = Db::new(
        "CREATE TABLE loose (k INT, v TEXT);
         INSERT INTO loose VALUES (1, 'a'), (1, 'b'), (2, CAST(x'ff' AS TEXT)), (3, 'c');",
    )
    .await;
    let store = db.open(Access::Write).await;
    begun(&store, "loose", "r1", None).await;
    let to = target(&store, "loose", "r1", &["k", "v"], 1).await;
    let row = |k: i128, v: &str| Some(vec![Cell::Int(k), text(v)]);
    let writes = [
        write(1, row(1, "a"), row(1, "c")),
        write(1, row(2, "a"), None),
        write(1, row(3, "c"), None),
    ];
    let done = store.repair(&permit(), &to, &writes).await.expect("done");
    assert_eq!(blocked(&done[0]), "its key is in 2 rows of the table");
    assert!(
        blocked(&done[1]).starts_with("column v: invalid utf-8"),
        "{done:?}"
    );
    assert_eq!(done[2], Outcome::Written(1));
}
