//! Loading a shadow, settling, swapping, and everything that can come in between.

use std::collections::BTreeMap;

use trueup::projection::cell::{Cell, Row};
use trueup::projection::change::{Change, Key, Op};
use trueup::projection::version::{Rank, Version};
use trueup::store::sqlite::Sqlite;
use trueup::store::{
    Access, Acts, NextOffset, Origin, RunState, Settle, Settled, Shadow, StoreError,
};

use super::{Db, permit, read_all, shadow, text};

pub(super) fn version(lsn: u64, offset: i64) -> Version {
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

    fn take(&mut self, end: bool) -> anyhow::Result<Vec<Settled>> {
        let mut ready = std::mem::take(&mut self.changes);
        if !end && let Some((key, last)) = ready.pop_last() {
            self.changes.insert(key, last);
        }
        let mut settled = Vec::new();
        for (key, mut changes) in ready {
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
            settled.push(match row {
                Some(row) => Settled::Row(row, newest),
                None => Settled::Gone(key, newest),
            });
        }
        Ok(settled)
    }
}

pub(super) fn row(key: i128, value: &str) -> Row<'static> {
    vec![Cell::Int(key), text(value)]
}

pub(super) async fn append(
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
        .append(
            &permit(),
            shadow,
            batch,
            &trueup::store::Mark {
                quarantined: Vec::new(),
                next: next.to_vec(),
                memo: String::new(),
            },
        )
        .await
        .expect("appended");
}

const SCHEMA: &str = "SELECT coalesce(sql, name) FROM sqlite_schema WHERE name NOT LIKE 'trueup%' AND tbl_name NOT LIKE 'trueup%' ORDER BY 1";

pub(super) const ACCOUNTS: &str = "
    CREATE TABLE accounts (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, note TEXT DEFAULT 'new', shout TEXT AS (upper(email)) STORED, CHECK (email <> ''));
    CREATE INDEX by_note ON accounts (note);
    CREATE VIEW noted AS SELECT id FROM accounts WHERE note IS NOT NULL;
    CREATE TABLE child (account INTEGER REFERENCES accounts (id));
    INSERT INTO accounts (id, email, note) VALUES (1, 'a', 'kept 1'), (2, 'b', 'kept 2'), (3, 'gone', 'x'), (5, 'e', NULL);
    INSERT INTO child VALUES (1), (2);";

pub(super) async fn loaded(store: &Sqlite) -> Shadow {
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

pub(super) async fn finish(store: &Sqlite, shadow: &Shadow) {
    store.build(&permit(), shadow).await.expect("built");
    store.seal(&permit(), shadow).await.expect("sealed");
    let swapped = store
        .swap(
            &permit(),
            std::slice::from_ref(shadow),
            &trueup::store::Fence::none(),
        )
        .await
        .expect("swapped")
        .remove(0);
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
        let unsettled = store
            .swap(
                &permit(),
                std::slice::from_ref(&shadow),
                &trueup::store::Fence::none(),
            )
            .await;
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
            .replace(&permit(), &shadow, &replaced, "")
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
            "trueup_run-2_accounts_trueup_gone",
            "trueup_run-2_accounts_trueup_later",
            "trueup_run-3_elsewhere",
            "trueup_run-3_elsewhere_trueup_gone",
            "trueup_run-3_elsewhere_trueup_later"
        ]
    );
    assert_eq!(read_all(&other, "accounts").await.expect("rows").len(), 4);
    let swapped = other
        .swap(
            &permit(),
            std::slice::from_ref(&dead),
            &trueup::store::Fence::none(),
        )
        .await;
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
