//! The swap among readers, blockers and broken connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

async fn ready(store: &Postgres, permit: &WritePermit, name: &str, rows: i128) -> Shadow {
    let live = store.catalog(&table("public", "t")).await.expect("t");
    let run = shadow(name, live, &["id"]);
    store.begin(permit, &run).await.expect("begun");
    let rows: Vec<Row<'static>> = (1..=rows).map(|id| vec![Cell::Int(id)]).collect();
    load(store, permit, &run, &rows).await;
    store.build(permit, &run).await.expect("built");
    store.seal(permit, &run).await.expect("sealed");
    run
}

#[test]
fn readers_see_no_error_and_no_empty_table() {
    with_db("readers", |mut db| async move {
        db.run(
            "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 1000)",
        )
        .await;
        let (stop, reads) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let mut readers = Vec::new();
        for _ in 0..2 {
            let (stop, reads, url) = (stop.clone(), reads.clone(), db.url.clone());
            readers.push(tokio::spawn(async move {
                let mut reader = PgConnection::connect(&url).await.expect("a reader");
                while !stop.load(Ordering::Relaxed) {
                    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM t")
                        .fetch_one(&mut reader)
                        .await
                        .expect("a reader sees no error");
                    assert_eq!(count, 1000);
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        let store = db.store(Access::Write).await;
        let permit = WritePermit::grant();
        let mut locked = Vec::new();
        for i in 0..20 {
            let run = ready(&store, &permit, &format!("r{i}"), 1000).await;
            let swapped = store
                .swap(
                    &permit,
                    std::slice::from_ref(&run),
                    &trueup::store::Fence::none(),
                )
                .await
                .expect("swapped")
                .remove(0);
            locked.push(swapped.locked_ms);
        }
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.await.expect("a reader");
        }
        println!(
            "{} reads during 20 swaps, locked {locked:?} ms",
            reads.load(Ordering::Relaxed)
        );
        assert!(reads.load(Ordering::Relaxed) > 20);
    });
}

#[test]
fn blockers_are_named_and_nothing_has_changed() {
    with_db("blockers", |mut db| async move {
        db.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
            .await;
        let store = db.store(Access::Write).await;
        let permit = WritePermit::grant();
        let run = ready(&store, &permit, "r1", 3).await;
        let mut reader = PgConnection::connect(&db.url).await.expect("a reader");
        sqlx::raw_sql("SET application_name = 'slow report'; BEGIN; SELECT count(*) FROM t")
            .execute(&mut reader)
            .await
            .expect("reads");
        let began = Instant::now();
        let busy = store
            .swap(
                &permit,
                std::slice::from_ref(&run),
                &trueup::store::Fence::none(),
            )
            .await
            .expect_err("busy");
        println!("gave up after {:?}", began.elapsed());
        assert!(
            matches!(&busy, StoreError::Busy { problem } if problem.contains("slow report") && problem.contains("SELECT count(*) FROM t")),
            "{busy:?}"
        );
        assert_eq!(db.text("count(*) FROM t").await, "1");
        // Freed in the middle of the ladder.
        let mut watcher = PgConnection::connect(&db.url).await.expect("a watcher");
        let fence = trueup::store::Fence::none();
        let (swapped, ()) = tokio::join!(
            store.swap(&permit, std::slice::from_ref(&run), &fence),
            async {
                second_wait(&mut watcher).await;
                sqlx::raw_sql("COMMIT")
                    .execute(&mut reader)
                    .await
                    .expect("ends");
            }
        );
        let swapped = swapped.expect("swapped").remove(0);
        assert!(swapped.attempts > 1, "{swapped:?}");
        assert_eq!(db.text("count(*) FROM t").await, "3");
    });
}

/// Returns when somebody has waited for a lock on a table, given up, and waits again.
async fn second_wait(watcher: &mut PgConnection) {
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation' \
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let (mut begun, mut was_waiting) = (0, false);
    while begun < 2 {
        let waiting: i64 = sqlx::query_scalar(waits)
            .fetch_one(&mut *watcher)
            .await
            .expect("looks");
        begun += u32::from(waiting > 0 && !was_waiting);
        was_waiting = waiting > 0;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn snapshots_older_than_the_load_are_found() {
    with_db("snapshots", |mut db| async move {
        db.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
            .await;
        let store = db.store(Access::Write).await;
        let permit = WritePermit::grant();
        let begin =
            "SET application_name = 'report'; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1";
        let mut old = PgConnection::connect(&db.url).await.expect("a session");
        sqlx::raw_sql(begin)
            .execute(&mut old)
            .await
            .expect("a snapshot");
        let run = ready(&store, &permit, "r1", 3).await;
        let mut fresh = PgConnection::connect(&db.url).await.expect("a session");
        tokio::time::sleep(Duration::from_millis(5)).await;
        let found = store.old_snapshots(&run).await.expect("found");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (found[0].application.as_str(), found[0].user.as_str()),
            ("report", "postgres")
        );
        // One that is newer than the load is no blocker, though the old one holds its xmin back.
        sqlx::raw_sql(begin)
            .execute(&mut fresh)
            .await
            .expect("a snapshot");
        let pids =
            |found: Vec<trueup::store::Blocker>| found.iter().map(|b| b.pid).collect::<Vec<_>>();
        assert_eq!(
            pids(store.old_snapshots(&run).await.expect("found")),
            [found[0].pid]
        );
        sqlx::raw_sql("COMMIT")
            .execute(&mut old)
            .await
            .expect("ends");
        assert!(store.old_snapshots(&run).await.expect("found").is_empty());
        // Another write makes the second one old; a prepared transaction on the table never goes away by itself.
        store.seal(&permit, &run).await.expect("sealed again");
        assert_eq!(store.old_snapshots(&run).await.expect("found").len(), 1);
        sqlx::raw_sql("COMMIT")
            .execute(&mut fresh)
            .await
            .expect("ends");
        if db
            .text("current_setting('max_prepared_transactions')")
            .await
            != "0"
        {
            db.run("BEGIN; INSERT INTO t VALUES (99)").await;
            db.run("PREPARE TRANSACTION 'trueup test'").await;
            let found = store.old_snapshots(&run).await.expect("found");
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].application, "prepared transaction trueup test");
            db.run("ROLLBACK PREPARED 'trueup test'").await;
        }
    });
}

/// Forwards to the server; once armed, the next COMMIT reaches it, but its reply is never heard.
async fn proxy(server: String, armed: Arc<AtomicBool>, swallow_request: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (server, armed) = (server.clone(), armed.clone());
            tokio::spawn(async move {
                let upstream = TcpStream::connect(server).await.expect("the server");
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = upstream.into_split();
                let back = tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
                });
                let mut buffer = vec![0; 65_536];
                while let Ok(n @ 1..) = from_client.read(&mut buffer).await {
                    let commit = buffer[..n].windows(6).any(|w| w == b"COMMIT");
                    if commit && armed.swap(false, Ordering::Relaxed) {
                        back.abort();
                        if !swallow_request {
                            let _ = to_server.write_all(&buffer[..n]).await;
                            tokio::time::sleep(Duration::from_millis(300)).await;
                        }
                        return;
                    }
                    if to_server.write_all(&buffer[..n]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[test]
fn a_lost_reply_to_commit_is_answered_by_the_runs_row() {
    with_db("lostreply", |mut db| async move {
        let at = db.url.find('@').expect("a user") + 1;
        let slash = db.url[at..].find('/').expect("a database") + at;
        let server = db.url[at..slash].to_owned();
        let permit = WritePermit::grant();
        for (i, swallow) in [false, true].into_iter().enumerate() {
            db.run("DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY)")
                .await;
            let armed = Arc::new(AtomicBool::new(false));
            let port = proxy(server.clone(), armed.clone(), swallow).await;
            let url = format!(
                "{}127.0.0.1:{port}{}?sslmode=disable",
                &db.url[..at],
                &db.url[slash..]
            );
            let store = Postgres::connect(&url, "proxy", Access::Write)
                .await
                .expect("through the proxy");
            let run = ready(&store, &permit, &format!("r{i}"), 3).await;
            armed.store(true, Ordering::Relaxed);
            let outcome = store
                .swap(
                    &permit,
                    std::slice::from_ref(&run),
                    &trueup::store::Fence::none(),
                )
                .await;
            assert!(!armed.load(Ordering::Relaxed), "the fault has happened");
            if swallow {
                assert!(
                    matches!(outcome, Err(StoreError::Unreachable { .. })),
                    "{outcome:?}"
                );
                assert_eq!(db.text("count(*) FROM t").await, "0", "nothing has changed");
            } else {
                assert_eq!(outcome.expect("it was committed")[0].attempts, 1);
                assert_eq!(db.text("count(*) FROM t").await, "3");
            }
        }
    });
}
