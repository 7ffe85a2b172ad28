//! Logins, rights, and who else is there.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn what_stands_in_the_way_of_a_connection() {
    with_db("login", |db| async move {
        let wrong = db.url.replacen(":trueup@", ":wrong@", 1);
        let problem = Postgres::connect(&wrong, "postgres://test", Access::Read)
            .await
            .expect_err("wrong password");
        assert!(matches!(problem, StoreError::Login { .. }), "{problem:?}");
        assert!(!problem.to_string().contains("wrong@"), "{problem}");
        let began = Instant::now();
        let closed = "postgres://u:p@127.0.0.1:1/db";
        let problem = Postgres::connect(closed, "postgres://u@127.0.0.1:1/db", Access::Read)
            .await
            .expect_err("closed");
        assert!(
            matches!(problem, StoreError::Unreachable { .. }),
            "{problem:?}"
        );
        assert!(began.elapsed() < Duration::from_secs(12));
        let problem = Postgres::connect("nonsense", "nonsense", Access::Read)
            .await
            .expect_err("no URL");
        assert!(matches!(problem, StoreError::Refused(_)), "{problem:?}");
    });
}

#[test]
fn a_reading_session_cannot_write() {
    with_db("readonly", |mut db| async move {
        db.run("CREATE TABLE t (id int PRIMARY KEY)").await;
        let store = db.store(Access::Read).await;
        let live = store.catalog(&table("public", "t")).await.expect("t");
        let problem = store
            .begin(&WritePermit::grant(), &shadow("r1", live, &["id"]))
            .await
            .expect_err("read only");
        assert!(matches!(problem, StoreError::Denied { .. }), "{problem:?}");
        assert_eq!(
            db.text("count(*) FROM pg_namespace WHERE nspname LIKE 'trueup%'")
                .await,
            "0"
        );
    });
}

#[test]
fn a_role_that_may_select_can_read_everything() {
    with_db("selectonly", |mut db| async move {
        db.role("trueup_reader").await;
        db.run("CREATE SCHEMA shop; CREATE TABLE shop.t (id int PRIMARY KEY, name text); INSERT INTO shop.t SELECT i, 'n' || i FROM generate_series(1, 50) i; \
                GRANT USAGE ON SCHEMA shop TO trueup_reader; GRANT SELECT ON shop.t TO trueup_reader; CREATE TABLE shop.secret (id int PRIMARY KEY)").await;
        let store = Postgres::connect(&db.url_of("trueup_reader"), "r", Access::Write)
            .await
            .expect("reader");
        let identity = store.identity().await.expect("identity");
        assert_eq!(
            identity,
            db.store(Access::Read)
                .await
                .identity()
                .await
                .expect("identity")
        );
        let live = store.catalog(&table("shop", "t")).await.expect("catalog");
        let scan = whole(&live);
        assert_eq!(read_all(&store, &scan).await.expect("rows").len(), 50);
        assert_eq!(store.digest(&scan).await.expect("digest").rows, 50);
        assert!(
            store
                .digest_dialect(&scan)
                .await
                .expect("dialect")
                .is_some()
        );
        assert_eq!(
            store
                .lookup(&scan, &[Key(vec![Cell::Int(7)])])
                .await
                .expect("lookup")
                .len(),
            1
        );
        assert_eq!(store.split(&scan, 5).await.expect("split").len(), 4);
        assert!(store.write_position().await.expect("position").is_some());
        assert_eq!(
            store
                .query("SELECT 1, NULL::int, 'x;y' -- done")
                .await
                .expect("query"),
            vec![vec![Some("1".to_owned()), None, Some("x;y".to_owned())]]
        );
        let run = shadow("r1", live.clone(), &["id", "name"]);
        assert!(
            store
                .old_snapshots(&run)
                .await
                .expect("snapshots")
                .is_empty()
        );
        let obstacles = store.obstacles(&live).await.expect("obstacles");
        let privileges: Vec<String> = obstacles.iter().map(ToString::to_string).collect();
        assert_eq!(privileges.len(), 3, "{privileges:?}");
        assert!(
            privileges
                .iter()
                .all(|p| p.starts_with("privilege trueup_reader ")),
            "{privileges:?}"
        );
        let denied = store
            .begin(&WritePermit::grant(), &run)
            .await
            .expect_err("no right");
        assert!(matches!(denied, StoreError::Denied { .. }), "{denied:?}");
        let secret = store
            .catalog(&table("shop", "secret"))
            .await
            .expect("the catalog is public");
        let denied = read_all(&store, &whole(&secret))
            .await
            .expect_err("no right");
        assert!(matches!(denied, StoreError::Denied { .. }), "{denied:?}");
        // Row security must be an error, never fewer rows.
        db.run("ALTER TABLE shop.t ENABLE ROW LEVEL SECURITY").await;
        let denied = read_all(&store, &scan).await.expect_err("row security");
        assert!(matches!(denied, StoreError::Denied { .. }), "{denied:?}");
    });
}

#[test]
fn a_second_run_is_busy_and_a_dead_one_is_removed() {
    with_db("runs", |mut db| async move {
        db.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
            .await;
        let permit = WritePermit::grant();
        let first = db.store(Access::Write).await;
        let live = first.catalog(&table("public", "t")).await.expect("t");
        first
            .begin(&permit, &shadow("r1", live.clone(), &["id"]))
            .await
            .expect("the first run");
        for store in [&first, &db.store(Access::Write).await] {
            let busy = store
                .begin(&permit, &shadow("r2", live.clone(), &["id"]))
                .await
                .expect_err("busy");
            assert!(
                matches!(&busy, StoreError::Busy { problem } if problem.contains("r1")),
                "{busy:?}"
            );
        }
        // Its process is killed: every connection is gone.
        drop(first);
        let next = db.store(Access::Write).await;
        let began = Instant::now();
        while let Err(problem) = next
            .begin(&permit, &shadow("r3", live.clone(), &["id"]))
            .await
        {
            assert!(matches!(problem, StoreError::Busy { .. }), "{problem:?}");
            assert!(
                began.elapsed() < Duration::from_secs(5),
                "the lock of a dead run stays"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(db.text("to_regnamespace('trueup_r1')").await, "");
        assert_eq!(
            db.text("string_agg(id || ' ' || state, ', ' ORDER BY id) FROM trueup.run")
                .await,
            "r1 discarded, r3 running"
        );
        let run = shadow("r3", live, &["id"]);
        next.end(&permit, &run, trueup::store::RunState::Discarded)
            .await
            .expect("ended");
        assert_eq!(
            db.text("count(*) FROM pg_namespace WHERE nspname LIKE 'trueup\\_%'")
                .await,
            "0"
        );
        assert_eq!(db.text("count(*) FROM t").await, "1");
        assert_eq!(
            db.text("count(*) FROM pg_locks JOIN pg_database d ON d.oid = database WHERE locktype = 'advisory' AND datname = current_database()")
                .await,
            "0"
        );
    });
}

/// Locks of runs in this test's database. The lock around creating trueup's own tables is not one: it ends with its
/// transaction, and who wants it waits.
const LOCKS: &str = "count(*) FROM pg_locks JOIN pg_database d ON d.oid = database WHERE locktype = 'advisory' AND datname = current_database() \
     AND (classid::bigint << 32 | objid::bigint) <> hashtextextended('trueup own tables', 7)";

#[test]
fn a_run_follows_at_once() {
    with_db("atonce", |mut db| async move {
        db.run("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)")
            .await;
        let store = db.store(Access::Write).await;
        let permit = WritePermit::grant();
        let live = store.catalog(&table("public", "t")).await.expect("t");
        for i in 0..60 {
            let run = shadow(&format!("r{i}"), live.clone(), &["id"]);
            store
                .begin(&permit, &run)
                .await
                .expect("the one before has ended");
            store
                .end(&permit, &run, trueup::store::RunState::Discarded)
                .await
                .expect("ended");
            // Counted by a session that is open already: opening one takes longer than a late release.
            assert_eq!(db.text(LOCKS).await, "0", "after run {i}");
        }
        // A begin that fails holds nothing either: the id is taken already.
        let live = store.catalog(&table("public", "u")).await.expect("u");
        db.run("UPDATE trueup.run SET state = 'kept' WHERE id = 'r0'")
            .await;
        for i in 0..20 {
            let run = shadow("r0", live.clone(), &["id"]);
            let problem = store
                .begin(&permit, &run)
                .await
                .expect_err("the id is taken");
            assert!(
                matches!(problem, StoreError::Refused(_)),
                "try {i}: {problem:?}"
            );
            assert_eq!(db.text(LOCKS).await, "0", "after try {i}");
        }
    });
}

#[test]
fn two_first_runs_at_once() {
    with_db("firstruns", |mut db| async move {
        db.run("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
            .await;
        let permit = WritePermit::grant();
        let (x, y) = (db.store(Access::Write).await, db.store(Access::Write).await);
        let a = shadow(
            "ra",
            x.catalog(&table("public", "a")).await.expect("a"),
            &["id"],
        );
        let b = shadow(
            "rb",
            y.catalog(&table("public", "b")).await.expect("b"),
            &["id"],
        );
        let (one, two) = tokio::join!(x.begin(&permit, &a), y.begin(&permit, &b));
        one.expect("a");
        two.expect("b");
    });
}
