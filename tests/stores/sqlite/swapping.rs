//! Swapping: what stands in the way, what fails, and who sees what meanwhile.

use trueup::projection::cell::{Cell, Row};
use trueup::store::{Access, Acts, Batch, Obstacle, Origin, StoreError};

use super::loading::{ACCOUNTS, Newest, append, finish, loaded, row, version};
use super::{Db, permit, read, read_all, shadow, table, text};

#[tokio::test]
async fn what_acts_on_the_exchange_is_an_obstacle() {
    let db = Db::new(ACCOUNTS).await;
    db.run(
        "CREATE TRIGGER \"after all\" AFTER UPDATE ON accounts BEGIN SELECT 1; END;
         CREATE TABLE orders (account INTEGER REFERENCES Accounts ON DELETE CASCADE);
         CREATE TABLE mails (mail TEXT REFERENCES accounts (email) ON UPDATE SET NULL);
         CREATE TABLE quiet (account INTEGER REFERENCES accounts (id) ON UPDATE CASCADE);
         CREATE VIRTUAL TABLE words USING fts5(t);",
    )
    .await;
    let store = db.open(Access::Read).await;
    let found = async |name: &str| -> Vec<String> {
        let catalog = store.catalog(&table(name)).await.expect("found");
        let found = store.obstacles(&catalog).await.expect("known");
        found.iter().map(Obstacle::to_string).collect()
    };
    assert_eq!(
        found("accounts").await,
        [
            "trigger after all",
            "foreign key mails(mail) ON UPDATE SET NULL",
            "foreign key orders(account) ON DELETE CASCADE"
        ]
    );
    assert_eq!(found("noted").await, ["view noted"]);
    assert_eq!(found("words").await, ["virtual table words"]);
    assert_eq!(found("child").await, [""; 0]);
}

#[tokio::test]
async fn values_that_would_be_lost_are_refused_by_column() {
    let db = Db::new("CREATE TABLE t (k NUMERIC PRIMARY KEY, f REAL, s STRING, j JSON)").await;
    let store = db.open(Access::Write).await;
    let shadow = shadow(&store, "t", "r", &["k", "f", "s", "j"]).await;
    store.begin(&permit(), &shadow).await.expect("begun");
    let number = |n: &str| Cell::Numeric(n.to_owned().into());
    let json = |n: &str| Cell::Json(n.to_owned().into());
    let try_row = async |row: Row<'static>| {
        let origin = Origin {
            version: version(1, 1),
            arrival: 0,
        };
        let batch = Batch::Rows {
            first: vec![(row, origin)],
            again: Vec::new(),
            gone: Vec::new(),
        };
        store
            .append(&permit(), &shadow, batch, &trueup::store::Mark::default())
            .await
    };
    let fine = [number("0.1"), Cell::Float(0.1), text("abc"), json("1.50")];
    for (at, bad, says) in [
        (
            0,
            number("0.1000000000000000055"),
            "column k (numeric): a decimal number",
        ),
        (
            0,
            number("12345678901234567890"),
            "column k (numeric): a decimal number",
        ),
        (0, Cell::Null, "column k (numeric): NULL in the key"),
        (1, Cell::Float(f64::NAN), "column f (float64): NaN"),
        (
            2,
            text("007"),
            "column s (STRING): a text that SQLite would turn into a number",
        ),
        (2, Cell::Unchanged, "column s (STRING): no value is known"),
        (
            3,
            json("0.1000000000000000055"),
            "column j (json): a decimal number",
        ),
    ] {
        let mut row = fine.to_vec();
        row[at] = bad;
        match try_row(row).await {
            Err(StoreError::Value { table, problem }) => {
                assert_eq!(table, "t");
                assert!(problem.starts_with(says), "{problem}");
            }
            other => panic!("{says}: {other:?}"),
        }
    }
    let exact = [
        "9223372036854775807",
        "-9223372036854775808",
        "9007199254740993",
        "1e-7",
        "123456.789",
        "NaN",
        "-0.5",
    ];
    for n in exact {
        let mut row = fine.to_vec();
        row[0] = number(&trueup::projection::numeric::parse(n).expect("a number"));
        try_row(row).await.expect("exact");
    }
    finish(&store, &shadow).await;
    let mut wanted: Vec<Cell<'static>> = exact
        .iter()
        .map(|n| number(&trueup::projection::numeric::parse(n).expect("a number")))
        .collect();
    wanted.sort();
    let keys: Vec<_> = read_all(&store, "t")
        .await
        .expect("rows")
        .into_iter()
        .map(|r| r[0].clone())
        .collect();
    assert_eq!(keys, wanted);
}

#[tokio::test]
async fn a_swap_that_fails_changes_nothing_and_can_be_tried_again() {
    let db = Db::new(ACCOUNTS).await;
    let store = db.open(Access::Write).await;
    let shadow = loaded(&store).await;
    store
        .settle(&permit(), &shadow, &mut Newest::default())
        .await
        .expect("settled");
    store.build(&permit(), &shadow).await.expect("built");
    // A child of a row that goes: nothing acts on it, so COMMIT must say no.
    db.run("INSERT INTO child VALUES (3)").await;
    let before = read_all(&store, "accounts").await.expect("rows");
    let swapped = store
        .swap(
            &permit(),
            std::slice::from_ref(&shadow),
            &trueup::store::Fence::none(),
        )
        .await;
    assert!(
        matches!(&swapped, Err(StoreError::Value { problem, .. }) if problem.contains("FOREIGN KEY")),
        "{swapped:?}"
    );
    assert_eq!(read_all(&store, "accounts").await.expect("rows"), before);
    db.run("DELETE FROM child WHERE account = 3; ALTER TABLE accounts ADD COLUMN late")
        .await;
    let swapped = store
        .swap(
            &permit(),
            std::slice::from_ref(&shadow),
            &trueup::store::Fence::none(),
        )
        .await;
    assert!(
        matches!(swapped, Err(StoreError::Refused(_))),
        "{swapped:?}"
    );
    db.run("ALTER TABLE accounts DROP COLUMN late").await;
    finish(&store, &shadow).await;
    assert_eq!(read_all(&store, "accounts").await.expect("rows").len(), 4);
}

#[tokio::test]
async fn other_shapes_of_tables_are_swapped_too() {
    for (made, key) in [
        (
            "(a TEXT NOT NULL, b INT NOT NULL, v ANY, PRIMARY KEY (b, a)) STRICT, WITHOUT ROWID",
            "b, a",
        ),
        (
            "(a TEXT COLLATE NOCASE NOT NULL, b INT NOT NULL, v, PRIMARY KEY (a, b))",
            "a, b",
        ),
        (
            "(a TEXT NOT NULL, b INT NOT NULL, PRIMARY KEY (a, b))",
            "a, b",
        ),
    ] {
        let db = Db::new(&format!("CREATE TABLE `o``dd \"t` {made}; INSERT INTO `o``dd \"t` (a, b) VALUES ('x', 1), ('Y', 2), ('z', 3)")).await;
        let store = db.open(Access::Write).await;
        let wide = made.contains(" v");
        let loaded: &[&str] = if wide { &["a", "b", "v"] } else { &["a", "b"] };
        let shadow = shadow(&store, "o`dd \"t", "r`1", loaded).await;
        store.begin(&permit(), &shadow).await.expect("begun");
        let mut first = Vec::new();
        for (a, b) in [("X", 1), ("Y", 2), ("007", 4)] {
            let mut row = vec![text(a), Cell::Int(b)];
            if wide {
                row.push(Cell::Null);
            }
            first.push((row, version(1, 1)));
        }
        append(&store, &shadow, first, Vec::new()).await;
        finish(&store, &shadow).await;
        let rows = read_all(&store, "o`dd \"t").await.expect("rows");
        assert_eq!(rows.len(), 3, "{key}");
        let spelled = db.texts("SELECT a FROM `o``dd \"t` WHERE b = 1").await;
        assert_eq!(spelled, ["X"], "{made}: the spelling is that of the shadow");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_sees_the_old_rows_or_the_new_ones() {
    let db = Db::new(
        "PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
         WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2999) INSERT INTO t SELECT i, 'old' FROM n",
    )
    .await;
    let store = db.open(Access::Write).await;
    let shadow = shadow(&store, "t", "r", &["id", "v"]).await;
    store.begin(&permit(), &shadow).await.expect("begun");
    append(
        &store,
        &shadow,
        (1_000..9_000)
            .map(|i| (row(i, "new"), version(1, 1)))
            .collect(),
        Vec::new(),
    )
    .await;
    store.build(&permit(), &shadow).await.expect("built");
    let reader = db.open(Access::Read).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let reading = tokio::spawn(async move {
        let (mut stopped, mut old, mut new) = (stopped, 0, 0);
        loop {
            let last = stopped.try_recv().is_ok();
            let rows = read_all(&reader, "t").await.expect("rows");
            let words: std::collections::BTreeSet<_> =
                rows.iter().map(|r| format!("{:?}", r[1])).collect();
            assert_eq!(words.len(), 1, "a mixture");
            match rows.len() {
                3_000 => old += 1,
                8_000 => new += 1,
                other => panic!("{other} rows"),
            }
            if last {
                return (old, new);
            }
        }
    });
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    store.seal(&permit(), &shadow).await.expect("sealed");
    store
        .swap(
            &permit(),
            std::slice::from_ref(&shadow),
            &trueup::store::Fence::none(),
        )
        .await
        .expect("swapped");
    stop.send(()).expect("still reading");
    let (old, new) = reading.await.expect("read");
    assert!(old > 0 && new > 0, "{old} {new}");
    let scan = super::plain(
        &store.catalog(&table("t")).await.expect("found"),
        &table("t"),
    );
    assert_eq!(read(&store, scan).await.expect("rows").len(), 8_000);
}

#[tokio::test]
async fn another_writer_is_waited_for_and_named() {
    let db = Db::new("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)").await;
    let store = db.open(Access::Write).await;
    let shadow = shadow(&store, "t", "r", &["id", "v"]).await;
    let mut other = db.session().await;
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .expect("the test's SQL");
    match store.begin(&permit(), &shadow).await {
        Err(StoreError::Busy { problem }) => assert!(problem.contains("one writer"), "{problem}"),
        begun => panic!("{begun:?}"),
    }
    sqlx::raw_sql("COMMIT")
        .execute(&mut other)
        .await
        .expect("the test's SQL");
    store.begin(&permit(), &shadow).await.expect("begun");
}
