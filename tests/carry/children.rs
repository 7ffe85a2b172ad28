//! Foreign keys both ways while children, parents and rows come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::{Connection, PgConnection};
use trueup::projection::cell::Row;

use super::{Reads, int, table};

const TABLES: &str = "CREATE TABLE parent (id bigint PRIMARY KEY); INSERT INTO parent SELECT generate_series(1, 50);
    CREATE TABLE t (id bigint PRIMARY KEY, of bigint CONSTRAINT up REFERENCES parent); INSERT INTO t SELECT i, i FROM generate_series(1, 40) i;
    CREATE TABLE child (id bigserial, t_id bigint CONSTRAINT down REFERENCES t ON DELETE CASCADE)";

fn rows(ids: impl Iterator<Item = i64>) -> Vec<Row<'static>> {
    ids.map(|id| vec![int(id), int(id)]).collect()
}

#[test]
fn children_are_written_and_parents_deleted_meanwhile() {
    let Some(reads) = Reads::new("children") else {
        return;
    };
    reads.sql(TABLES);
    let before = reads.dump();
    let t = table("public", "t");
    let stop = Arc::new(AtomicBool::new(false));
    let writers = [0, 1].map(|writer| {
        let (stop, url) = (stop.clone(), reads.url());
        reads.runtime.spawn(async move {
            let mut session = PgConnection::connect(&url).await.unwrap();
            let mut written = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                let sql = format!(
                    "INSERT INTO child (t_id) VALUES ({})",
                    1 + (written + writer) % 20
                );
                let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
                    .execute(&mut session)
                    .await;
                done.expect("a child of a row that stays can be written");
                written += 1;
            }
            written
        })
    });
    for round in 0..5 {
        let shadow = reads.shadow(&format!("c{round}"), &t, &["id", "of"], &[]);
        // A row and its parent go while the shadow is loaded, as a projector that knows of both deletes them.
        let gone = 40 - round;
        reads.sql(&format!(
            "DELETE FROM t WHERE id = {gone}; DELETE FROM parent WHERE id = {gone}"
        ));
        reads.ready(&shadow, &rows(1..gone)).unwrap();
        let swapped = reads.swap(&shadow).unwrap();
        assert!(swapped.warnings.is_empty(), "{:?}", swapped.warnings);
        // And after the swap: neither is held back by the old table.
        let next = 25 + round % 5;
        reads.sql(&format!("DELETE FROM t WHERE id = {next}; DELETE FROM parent WHERE id = {next}; INSERT INTO parent VALUES ({next}); INSERT INTO t VALUES ({next}, {next})"));
    }
    stop.store(true, Ordering::Relaxed);
    let written: u64 = writers.into_iter().map(|w| reads.wait(w).unwrap()).sum();
    println!("{written} children were written during 5 swaps");
    assert!(written > 10);
    assert_eq!(reads.sql("SELECT count(*) FROM child"), written.to_string());
    assert_eq!(reads.dump(), before);
    // The keys hold: what has no parent is refused, and children go with their row.
    let refused = "DO $$ BEGIN INSERT INTO t VALUES (900, 900); RAISE 'let in'; EXCEPTION WHEN foreign_key_violation THEN NULL; END $$";
    reads.sql(refused);
    reads.sql(&refused.replace("INTO t VALUES (900, 900)", "INTO child (t_id) VALUES (900)"));
    reads.sql("DELETE FROM t WHERE id <= 20");
    assert_eq!(reads.sql("SELECT count(*) FROM child"), "0");
}

#[test]
fn rows_that_do_not_fit_are_told_and_the_swap_stays() {
    let Some(reads) = Reads::new("misfits") else {
        return;
    };
    reads.sql(TABLES);
    reads.sql("INSERT INTO child (t_id) VALUES (7)");
    let t = table("public", "t");
    let shadow = reads.shadow("m1", &t, &["id", "of"], &[]);
    // The child's row is missing, and a parent too.
    let new = rows((1..=60).filter(|id| *id != 7));
    reads.ready(&shadow, &new).unwrap();
    let swapped = reads.swap(&shadow).unwrap();
    assert_eq!(swapped.warnings.len(), 2, "{:?}", swapped.warnings);
    for name in ["up", "down"] {
        let told = swapped
            .warnings
            .iter()
            .find(|w| w.contains(&format!("\"{name}\"")));
        let told = told.unwrap_or_else(|| panic!("{name}: {:?}", swapped.warnings));
        assert!(
            told.contains("VALIDATE CONSTRAINT") && told.contains("the swap is done"),
            "{told}"
        );
    }
    assert_eq!(reads.sql("SELECT count(*) FROM t"), "59");
    let open = "SELECT string_agg(conname, ' ' ORDER BY conname) FROM pg_constraint WHERE NOT convalidated";
    assert_eq!(reads.sql(open), "down up");
    // New rows are checked, and once the old ones fit, what was told can be typed.
    reads.sql("DELETE FROM t WHERE id > 50; INSERT INTO t VALUES (7, 7)");
    for told in &swapped.warnings {
        let (_, sql) = told.split_once("repaired: ").unwrap();
        reads.sql(sql);
    }
    assert_eq!(reads.sql(open), "");
}

#[test]
fn tables_that_refer_to_each_other_are_swapped_together() {
    use trueup::store::Acts;
    let Some(reads) = Reads::new("together") else {
        return;
    };
    reads.sql(
        "CREATE TABLE a (id bigint PRIMARY KEY, me bigint REFERENCES a); CREATE TABLE b (id bigint PRIMARY KEY, a bigint REFERENCES a DEFERRABLE);
         ALTER TABLE a ADD CONSTRAINT round FOREIGN KEY (me) REFERENCES b DEFERRABLE; CREATE VIEW both_v AS SELECT a.id FROM a JOIN b USING (id)",
    );
    let before = reads.dump();
    let shadows: Vec<_> = [("a", "me"), ("b", "a")]
        .map(|(name, refers)| {
            let shadow = reads.shadow(
                &format!("t_{name}"),
                &table("public", name),
                &["id", refers],
                &[],
            );
            reads.ready(&shadow, &rows(1..10)).unwrap();
            shadow
        })
        .into();
    let swapped = reads
        .wait(
            reads
                .store
                .swap(&reads.permit, &shadows, &trueup::store::Fence::none()),
        )
        .unwrap();
    assert!(swapped.iter().all(|s| s.warnings.is_empty()), "{swapped:?}");
    assert_eq!(reads.dump(), before);
    assert_eq!(reads.sql("SELECT count(*) FROM both_v"), "9");
}
