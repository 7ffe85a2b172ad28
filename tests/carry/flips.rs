//! Swaps forth and back under readers, and a reader whose snapshot is older than the load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use trueup::projection::cell::Row;
use trueup::store::Acts;

use super::{Reads, int, table};
use crate::support::size;

const ROWS: i64 = 500;

/// Reads until told to stop: every row is of one generation, and none is missing. Gives the reads and the longest of them.
async fn reader(url: String, from: &'static str, stop: Arc<AtomicBool>) -> (u64, Duration) {
    let mut session = PgConnection::connect(&url).await.unwrap();
    let sql = format!("SELECT count(*), min(generation), max(generation) FROM {from}");
    let (mut reads, mut longest) = (0, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let (count, least, most): (i64, i64, i64) =
            sqlx::query_as(sqlx::AssertSqlSafe(sql.clone()))
                .fetch_one(&mut session)
                .await
                .unwrap();
        longest = longest.max(began.elapsed());
        assert_eq!(count, ROWS, "an empty or half a table");
        assert_eq!(least, most, "two generations in one read");
        reads += 1;
        // Two that never rest leave a small machine no time for the swaps.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (reads, longest)
}

#[test]
fn swaps_forth_and_back_under_readers() {
    let Some(reads) = Reads::new("flips") else {
        return;
    };
    reads.sql(&format!(
        "CREATE TABLE parent (id bigint PRIMARY KEY); INSERT INTO parent VALUES (1);
         CREATE TABLE t (id bigint PRIMARY KEY, generation bigint NOT NULL, of bigint DEFAULT 1 REFERENCES parent);
         INSERT INTO t SELECT i, 0 FROM generate_series(1, {ROWS}) i;
         CREATE TABLE child (t_id bigint REFERENCES t); INSERT INTO child SELECT id FROM t LIMIT 50;
         CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fire();
         CREATE VIEW inner_v AS SELECT id, generation FROM t; CREATE VIEW outer_v AS SELECT v.* FROM inner_v v JOIN t USING (id)"
    ));
    let before = reads.dump();
    let t = table("public", "t");
    let shadow = reads.shadow("f0", &t, &["id", "generation"], &[]);
    let rows: Vec<Row<'static>> = (1..=ROWS).map(|id| vec![int(id), int(1)]).collect();
    reads.ready(&shadow, &rows).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let readers = ["t", "outer_v"].map(|from| {
        let reader = reader(reads.url(), from, stop.clone());
        reads.runtime.spawn(reader)
    });
    let (swaps, began) = (size(200, 5_000), Instant::now());
    let (mut attempts, mut locked) = (0, Vec::with_capacity(swaps));
    for nth in 0..swaps {
        let swapped = match nth {
            0 => reads.swap(&shadow),
            _ => reads.swap_back(&format!("f{nth}"), &format!("f{}", nth - 1), &t),
        };
        let swapped = swapped.unwrap_or_else(|e| panic!("swap {nth}: {e}"));
        attempts += swapped.attempts;
        locked.push(swapped.locked_ms);
        assert!(swapped.warnings.is_empty(), "{:?}", swapped.warnings);
        if nth % 500 == 499 {
            println!("{} swaps after {:?}", nth + 1, began.elapsed());
        }
    }
    stop.store(true, Ordering::Relaxed);
    locked.sort_unstable();
    println!(
        "{swaps} swaps in {:?}, {attempts} tries; locked for {} ms (median), {} ms (99 %), {} ms (longest)",
        began.elapsed(),
        locked[swaps / 2],
        locked[swaps * 99 / 100],
        locked[swaps - 1]
    );
    for reader in readers {
        let (count, longest) = reads.wait(reader).expect("a reader sees no error");
        println!("{count} reads, the longest took {longest:?}");
        assert!(count > 100, "{count} reads");
    }
    assert_eq!(reads.dump(), before);
    let generation = if swaps % 2 == 0 { "0" } else { "1" };
    assert_eq!(reads.sql("SELECT max(generation) FROM t"), generation);
}

#[test]
fn a_snapshot_older_than_the_load_is_waited_for() {
    let Some(reads) = Reads::new("snapshot") else {
        return;
    };
    reads.sql("CREATE TABLE t (id bigint PRIMARY KEY, generation bigint); INSERT INTO t SELECT i, 0 FROM generate_series(1, 100) i");
    let t = table("public", "t");
    let held = Duration::from_secs(size(2, 20) as u64);
    let mut old = reads.wait(PgConnection::connect(&reads.url())).unwrap();
    let begin =
        "SET application_name = 'old report'; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1";
    reads.wait(sqlx::raw_sql(begin).execute(&mut old)).unwrap();
    let shadow = reads.shadow("o1", &t, &["id", "generation"], &[]);
    let rows: Vec<Row<'static>> = (1..=100).map(|id| vec![int(id), int(1)]).collect();
    reads.ready(&shadow, &rows).unwrap();
    let ready = Instant::now();
    // Whoever reads and ends later sees the table that its snapshot knows, until nobody does.
    let report = reads.runtime.spawn(async move {
        tokio::time::sleep(held).await;
        let seen: (i64, i64, i64) =
            sqlx::query_as("SELECT count(*), min(generation), max(generation) FROM t")
                .fetch_one(&mut old)
                .await
                .unwrap();
        sqlx::raw_sql("COMMIT").execute(&mut old).await.unwrap();
        seen
    });
    let mut looks = 0;
    loop {
        let found = reads.wait(reads.store.old_snapshots(&shadow)).unwrap();
        if found.is_empty() {
            break;
        }
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].application, "old report");
        assert!(
            ready.elapsed() < held + Duration::from_secs(10),
            "it is gone, and still shown"
        );
        looks += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(
        looks > 5 && ready.elapsed() >= held,
        "shown as long as it lasts"
    );
    assert_eq!(
        reads.wait(report).unwrap(),
        (100, 0, 0),
        "it saw what its snapshot knows"
    );
    reads.swap(&shadow).unwrap();
    assert_eq!(
        reads.sql("SELECT count(*), min(generation) FROM t"),
        "100|1"
    );
    println!("an old snapshot was shown {looks} times in {held:?}");
}
