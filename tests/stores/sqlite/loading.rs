//! Loading a shadow, settling, swapping, and everything that can come in between.

use std::collections::BTreeMap;

use trueup::projection::cell::{Cell, Row};
use trueup::projection::change::{Change, Key, Op};
use trueup::projection::version::{Rank, Version};
use trueup::store::sqlite::Sqlite;
use trueup::store::{
    Access, Acts, Batch, NextOffset, Obstacle, Origin, RunState, Settle, Shadow, StoreError,
};

use super::{Db, permit, read, read_all, shadow, table, text};

fn version(lsn: u64, offset: i64) -> Version {
    let rank = Rank {
        epoch: 0,
        words: [lsn, 0, 0],
    };
    Version {
        rank,
        partition: 3,
        offset,
        clock: lsn.is_multiple_of(2).then_some(7),
    }
}

/// The newest version of each key wins; cells that it does not know come from the newest older one.
#[derive(Default)]
pub(super) struct Newest {
    changes: BTreeMap<Key<'static>, Vec<Change<'static>>>,
    seen: Vec<String>,
    fail_at: Option<usize>,
}

impl Newest {
    fn see(&mut self, word: &str, change: Change<'static>) -> anyhow::Result<()> {
        self.seen
            .push(format!("{word} {} {}", change.key, change.version.offset));
        if self.fail_at == Some(self.seen.len()) {
            anyhow::bail!("enough");
        }
        self.changes
            .entry(change.key.clone())
            .or_default()
            .push(change);
        Ok(())
    }
}

impl Settle for Newest {
    fn held(&mut self, change: Change<'static>) -> anyhow::Result<()> {
        self.see("held", change)
    }

    fn change(&mut self, change: Change<'static>) -> anyhow::Result<()> {
        self.see("change", change)
    }

    fn take(&mut self, end: bool) -> anyhow::Result<Vec<(Row<'static>, Version)>> {
        let mut ready = std::mem::take(&mut self.changes);
        if !end && let Some((key, last)) = ready.pop_last() {
            self.changes.insert(key, last);
        }
        let mut rows = Vec::new();
        for mut changes in ready.into_values() {
            changes.sort_by_key(|c| c.version);
            let newest = changes.last().map(|c| c.version).expect("one at least");
            let row = changes
                .into_iter()
                .fold(None, |older: Option<Row<'static>>, change| {
                    match change.op {
                        Op::Put(row) => Some(match older {
                            None => row,
                            Some(older) => row
                                .into_iter()
                                .zip(older)
                                .map(|(new, old)| {
                                    if matches!(new, Cell::Unchanged) {
                                        old
                                    } else {
                                        new
                                    }
                                })
                                .collect(),
                        }),
                        _ => None,
                    }
                });
            rows.extend(row.map(|row| (row, newest)));
        }
        Ok(rows)
    }
}

fn row(key: i128, value: &str) -> Row<'static> {
    vec![Cell::Int(key), text(value)]
}

async fn append(
    store: &Sqlite,
    shadow: &Shadow,
    first: Vec<(Row<'static>, Version)>,
    again: Vec<(i128, Option<Row<'static>>, Version)>,
) {
    let mut encoder = store.encoder(shadow);
    let mut arrival = 0;
    let mut origin = |version| {
        arrival += 1;
        Origin { version, arrival }
    };
    for (row, version) in &first {
        encoder.first(row, &origin(*version));
    }
    for (key, row, version) in &again {
        encoder.again(&Key(vec![Cell::Int(*key)]), row.as_ref(), &origin(*version));
    }
    assert!(encoder.bytes() > 0);
    let next = [NextOffset {
        topic: "t".to_owned(),
        partition: 3,
        offset: 9,
    }];
    let batch = encoder.take();
    assert_eq!(encoder.bytes(), 0);
    store
        .append(&permit(), shadow, batch, &next)
        .await
        .expect("appended");
}

const SCHEMA: &str = "SELECT coalesce(sql, name) FROM sqlite_schema WHERE name NOT LIKE 'trueup%' AND tbl_name NOT LIKE 'trueup%' ORDER BY 1";

const ACCOUNTS: &str = "
    CREATE TABLE accounts (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, note TEXT DEFAULT 'new', shout TEXT AS (upper(email)) STORED, CHECK (email <> ''));
    CREATE INDEX by_note ON accounts (note);
    CREATE VIEW noted AS SELECT id FROM accounts WHERE note IS NOT NULL;
    CREATE TABLE child (account INTEGER REFERENCES accounts (id));
    INSERT INTO accounts (id, email, note) VALUES (1, 'a', 'kept 1'), (2, 'b', 'kept 2'), (3, 'gone', 'x'), (5, 'e', NULL);
    INSERT INTO child VALUES (1), (2);";

async fn loaded(store: &Sqlite) -> Shadow {
    let mut shadow = shadow(store, "accounts", "run-1", &["id", "email"]).await;
    shadow.carried = vec!["note".to_owned()];
    store.begin(&permit(), &shadow).await.expect("begun");
    let first = vec![
        (row(1, "b"), version(1, 1)),
        (row(2, "old"), version(2, 2)),
        (row(4, "d"), version(3, 3)),
        (row(5, "e"), version(4, 4)),
    ];
    let again = vec![
        (2, Some(row(2, "a")), version(9, 7)),
        (2, Some(row(2, "stale")), version(1, 8)),
        (6, None, version(1, 9)),
    ];
    append(store, &shadow, first, again).await;
    shadow
}

async fn finish(store: &Sqlite, shadow: &Shadow) {
    store.build(&permit(), shadow).await.expect("built");
    store.seal(&permit(), shadow).await.expect("sealed");
    let swapped = store.swap(&permit(), shadow).await.expect("swapped");
    assert_eq!((swapped.old, swapped.attempts), (None, 1));
    store
        .end(&permit(), shadow, RunState::Swapped)
        .await
        .expect("ended");
}

#[tokio::test]
async fn a_replay_leaves_the_schema_and_carries_what_it_does_not_load() {
    for mode in ["DELETE", "WAL"] {
        let db = Db::new(&format!("PRAGMA journal_mode = {mode}; {ACCOUNTS}")).await;
        let before = db.texts(SCHEMA).await;
        let store = db.open(Access::Write).await;
        let shadow = loaded(&store).await;
        let unsettled = store.seal(&permit(), &shadow).await;
        assert!(
            matches!(unsettled, Err(StoreError::Refused(_))),
            "{unsettled:?}"
        );
        let mut by = Newest::default();
        store
            .settle(&permit(), &shadow, &mut by)
            .await
            .expect("settled");
        assert_eq!(
            by.seen,
            ["held 2 2", "change 2 7", "change 2 8", "change 6 9"]
        );
        let mut nothing = Newest {
            fail_at: Some(1),
            ..Newest::default()
        };
        store
            .settle(&permit(), &shadow, &mut nothing)
            .await
            .expect("nothing to settle");
        finish(&store, &shadow).await;
        assert_eq!(db.texts(SCHEMA).await, before);
        // The unique e-mails of 1 and 2 changed places.
        let rows = "SELECT concat_ws(' ', id, email, coalesce(note, '-'), shout) FROM accounts ORDER BY id";
        assert_eq!(
            db.texts(rows).await,
            ["1 b kept 1 B", "2 a kept 2 A", "4 d new D", "5 e - E"]
        );
        assert_eq!(db.texts("SELECT count(*) || '' FROM child").await, ["2"]);
        assert_eq!(
            db.texts("SELECT state || ' ' || (ended_at IS NOT NULL) FROM trueup_run")
                .await,
            ["swapped 1"]
        );
        assert_eq!(db.texts("SELECT run FROM trueup_position").await, [""; 0]);
        assert_eq!(db.texts("PRAGMA journal_mode").await, [mode.to_lowercase()]);
        assert_eq!(db.texts("PRAGMA integrity_check").await, ["ok"]);
        let left: Vec<_> = std::fs::read_dir(db.folder.path())
            .expect("listed")
            .filter_map(|f| f.ok()?.file_name().into_string().ok())
            .collect();
        assert!(!left.iter().any(|f| f.contains("lock")), "{left:?}");
    }
}

#[tokio::test]
async fn positions_and_trailing_columns_are_kept() {
    let db = Db::new(ACCOUNTS).await;
    let store = db.open(Access::Write).await;
    let shadow = loaded(&store).await;
    let name = store.shadow_table(&shadow).name;
    let trailing = format!(
        "SELECT concat_ws(' ', id, trueup_partition, trueup_offset, hex(trueup_rank), coalesce(trueup_clock, '-')) FROM \"{name}\" ORDER BY id LIMIT 2"
    );
    assert_eq!(
        db.texts(&trailing).await,
        ["1 3 1 000000000000000001 -", "2 3 2 000000000000000002 7"]
    );
    let later = format!(
        "SELECT concat_ws(' ', id, coalesce(email, '-'), trueup_gone) FROM \"{name}_trueup_later\" ORDER BY rowid"
    );
    assert_eq!(db.texts(&later).await, ["2 a 0", "2 stale 0", "6 - 1"]);
    assert_eq!(
        db.texts(
            "SELECT concat_ws(' ', run, topic, `partition`, next_offset) FROM trueup_position"
        )
        .await,
        ["run-1 t 3 9"]
    );
    store
        .end(&permit(), &shadow, RunState::Discarded)
        .await
        .expect("ended");
    assert_eq!(
        db.texts(
            "SELECT name FROM sqlite_schema WHERE name LIKE '%accounts%' AND name LIKE 'trueup%'"
        )
        .await,
        [""; 0]
    );
    assert_eq!(
        db.texts("SELECT state FROM trueup_run").await,
        ["discarded"]
    );
}

#[tokio::test]
async fn holes_come_back_as_unchanged() {
    let db = Db::new(ACCOUNTS).await;
    let store = db.open(Access::Write).await;
    let shadow = loaded(&store).await;
    let hole = vec![Cell::Int(4), Cell::Unchanged];
    append(
        &store,
        &shadow,
        Vec::new(),
        vec![(4, Some(hole), version(20, 20))],
    )
    .await;
    let mut by = Newest::default();
    store
        .settle(&permit(), &shadow, &mut by)
        .await
        .expect("settled");
    finish(&store, &shadow).await;
    assert_eq!(
        db.texts("SELECT email FROM accounts WHERE id = 4").await,
        ["d"]
    );
}

#[tokio::test]
async fn settling_can_be_repeated_and_goes_on_after_the_build() {
    let db = Db::new("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)").await;
    let store = db.open(Access::Write).await;
    let shadow = shadow(&store, "t", "r", &["id", "v"]).await;
    store.begin(&permit(), &shadow).await.expect("begun");
    let many = |from: i128, to: i128, lsn: u64, word: &'static str| {
        (from..to).map(move |i| (row(i, word), version(lsn, 1)))
    };
    let again: Vec<_> = many(0, 5_000, 5, "second")
        .map(|(r, v)| (if let Cell::Int(i) = r[0] { i } else { 0 }, Some(r), v))
        .collect();
    append(&store, &shadow, many(0, 6_000, 1, "first").collect(), again).await;
    for fail_at in [1, 4_999, 9_999] {
        let mut by = Newest {
            fail_at: Some(fail_at),
            ..Newest::default()
        };
        let stopped = store.settle(&permit(), &shadow, &mut by).await;
        assert!(
            matches!(&stopped, Err(StoreError::Sink(e)) if e.to_string() == "enough"),
            "{stopped:?}"
        );
    }
    let mut by = Newest::default();
    store
        .settle(&permit(), &shadow, &mut by)
        .await
        .expect("settled");
    assert_eq!(by.seen.len(), 10_000);
    store.build(&permit(), &shadow).await.expect("built");
    let again = vec![
        (1, None, version(8, 1)),
        (2, Some(row(2, "third")), version(8, 2)),
        (7_000, Some(row(7_000, "late")), version(8, 3)),
    ];
    append(
        &store,
        &shadow,
        vec![(row(6_500, "first"), version(8, 4))],
        again,
    )
    .await;
    store
        .settle(&permit(), &shadow, &mut Newest::default())
        .await
        .expect("settled");
    let replaced = [
        (
            Key(vec![Cell::Int(3)]),
            Some(row(3, "replaced")),
            version(9, 1),
        ),
        (Key(vec![Cell::Int(4)]), None, version(9, 2)),
        (
            Key(vec![Cell::Int(9_999)]),
            Some(row(9_999, "added")),
            version(9, 3),
        ),
    ];
    for _ in 0..2 {
        store
            .replace(&permit(), &shadow, &replaced)
            .await
            .expect("replaced");
    }
    finish(&store, &shadow).await;
    let counts = "SELECT concat_ws(' ', v, count(*)) FROM t GROUP BY v ORDER BY v";
    assert_eq!(
        db.texts(counts).await,
        [
            "added 1",
            "first 1001",
            "late 1",
            "replaced 1",
            "second 4996",
            "third 1"
        ]
    );
}

#[tokio::test]
async fn one_run_at_a_time_and_the_dead_are_buried() {
    let db = Db::new(ACCOUNTS).await;
    let store = db.open(Access::Write).await;
    let dead = loaded(&store).await;
    let other = db.open(Access::Write).await;
    let mut next = dead.clone();
    next.run = "run-2".to_owned();
    match other.begin(&permit(), &next).await {
        Err(StoreError::Busy { problem }) => {
            assert!(problem.contains("run run-1, process"), "{problem}")
        }
        begun => panic!("{begun:?}"),
    }
    db.run("CREATE TABLE elsewhere (id INTEGER PRIMARY KEY)")
        .await;
    let apart = shadow(&other, "elsewhere", "run-3", &["id"]).await;
    other
        .begin(&permit(), &apart)
        .await
        .expect("another table is free");
    drop(store); // As a crash would: no word of farewell.
    other
        .begin(&permit(), &next)
        .await
        .expect("the dead run is no obstacle");
    assert_eq!(
        db.texts("SELECT id || ' ' || state FROM trueup_run ORDER BY id")
            .await,
        ["run-1 discarded", "run-2 running", "run-3 running"]
    );
    let tables = db.texts("SELECT name FROM sqlite_schema WHERE name LIKE 'trueup_run-%' AND type = 'table' ORDER BY name").await;
    assert_eq!(
        tables,
        [
            "trueup_run-2_accounts",
            "trueup_run-2_accounts_trueup_later",
            "trueup_run-3_elsewhere",
            "trueup_run-3_elsewhere_trueup_later"
        ]
    );
    assert_eq!(read_all(&other, "accounts").await.expect("rows").len(), 4);
    let swapped = other.swap(&permit(), &dead).await;
    assert!(swapped.is_err(), "{swapped:?}");
    assert_eq!(read_all(&other, "accounts").await.expect("rows").len(), 4);
}

#[tokio::test]
async fn a_kept_shadow_is_an_ordinary_table() {
    let db = Db::new(ACCOUNTS).await;
    let store = db.open(Access::Write).await;
    let shadow = loaded(&store).await;
    store
        .settle(&permit(), &shadow, &mut Newest::default())
        .await
        .expect("settled");
    store.build(&permit(), &shadow).await.expect("built");
    store.seal(&permit(), &shadow).await.expect("sealed");
    store
        .end(&permit(), &shadow, RunState::Kept)
        .await
        .expect("kept");
    let kept = store
        .catalog(&store.shadow_table(&shadow))
        .await
        .expect("found");
    let names: Vec<_> = kept
        .columns
        .iter()
        .map(|c| c.column.name.as_str())
        .collect();
    assert_eq!(names, ["id", "email"]);
    assert_eq!(kept.unique_keys, [["id"]]);
    assert_eq!(read_all(&store, "accounts").await.expect("rows").len(), 4);
}

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
        };
        store.append(&permit(), &shadow, batch, &[]).await
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
async fn a_key_that_is_in_the_shadow_twice_stops_the_build() {
    let db = Db::new("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)").await;
    let store = db.open(Access::Write).await;
    let shadow = shadow(&store, "t", "r", &["id", "v"]).await;
    store.begin(&permit(), &shadow).await.expect("begun");
    append(
        &store,
        &shadow,
        vec![(row(1, "a"), version(1, 1)), (row(1, "b"), version(2, 2))],
        Vec::new(),
    )
    .await;
    let built = store.build(&permit(), &shadow).await;
    assert!(
        matches!(&built, Err(StoreError::Value { problem, .. }) if problem.contains("id")),
        "{built:?}"
    );
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
    let swapped = store.swap(&permit(), &shadow).await;
    assert!(
        matches!(&swapped, Err(StoreError::Value { problem, .. }) if problem.contains("FOREIGN KEY")),
        "{swapped:?}"
    );
    assert_eq!(read_all(&store, "accounts").await.expect("rows"), before);
    db.run("DELETE FROM child WHERE account = 3; ALTER TABLE accounts ADD COLUMN late")
        .await;
    let swapped = store.swap(&permit(), &shadow).await;
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
    store.swap(&permit(), &shadow).await.expect("swapped");
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
