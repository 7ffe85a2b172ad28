//! Everything that a swap would lose is named.

use super::*;

/// What to hang on the table, and the obstacles that must then be found. What is carried over is in `carry`.
const CASES: &[(&str, &[&str])] = &[
    (
        "CREATE TABLE o (t_id int REFERENCES t) PARTITION BY LIST (t_id)",
        &["foreign key of a partitioned table o_t_id_fkey of o to t"],
    ),
    (
        "CREATE MATERIALIZED VIEW mv AS SELECT count(*) FROM t",
        &["materialized view mv"],
    ),
    (
        "CREATE VIEW v AS SELECT t FROM t",
        &["dependent object column t of view v"],
    ),
    (
        "CREATE FUNCTION fr(r t) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        &["function fr(t)"],
    ),
    (
        "CREATE FUNCTION fs() RETURNS SETOF t LANGUAGE sql AS 'SELECT * FROM t'",
        &["function fs()"],
    ),
    (
        "CREATE FUNCTION fa(r t[]) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        &["function fa(t[])"],
    ),
    (
        "CREATE TABLE holder (r t)",
        &["dependent object column r of table holder"],
    ),
    (
        "CREATE TABLE teller (r regclass DEFAULT 't'::regclass)",
        &["dependent object default value for column r of table teller"],
    ),
    (
        "ALTER TABLE t ADD COLUMN r regclass DEFAULT 't'::regclass",
        &["dependent object default value for column r of table t"],
    ),
    (
        "CREATE PUBLICATION pa FOR ALL TABLES",
        &["publication pa (all tables)"],
    ),
    (
        "ALTER TABLE t ADD COLUMN i int GENERATED ALWAYS AS IDENTITY; CREATE TABLE other (i int DEFAULT nextval('t_i_seq'))",
        &[
            "dependent object default value for column i of table other, which counts with a sequence of the table",
        ],
    ),
    ("ALTER TABLE t SET UNLOGGED", &["unlogged table t"]),
    ("CREATE TABLE kid () INHERITS (t)", &["child table kid"]),
    (
        "CREATE TABLE mum (id int); ALTER TABLE t INHERIT mum",
        &["parent table mum"],
    ),
    (
        "CREATE TABLE parts (LIKE t) PARTITION BY LIST (id); ALTER TABLE parts ATTACH PARTITION t FOR VALUES IN (1)",
        &["parent table parts", "partition t"],
    ),
    (
        "ALTER TABLE t ADD CONSTRAINT late CHECK (n > 0) NOT VALID",
        &["constraint not validated late"],
    ),
    (
        "CREATE EXTENSION pg_trgm; ALTER EXTENSION pg_trgm ADD TABLE t",
        &["extension pg_trgm"],
    ),
    (
        "CREATE EXTENSION pg_trgm; ALTER INDEX t_pkey DEPENDS ON EXTENSION pg_trgm",
        &["dependence on an extension index t_pkey on pg_trgm"],
    ),
    (
        "ALTER TABLE t ADD COLUMN trueup_offset int",
        &["column name reserved for trueup trueup_offset"],
    ),
    (
        "CREATE TABLE fresh (a int DEFAULT 1, CONSTRAINT c CHECK (a > 0)); CREATE INDEX carried ON t (x) WHERE n > 1; CREATE VIEW v AS SELECT id, x FROM t GROUP BY id; \
         CREATE MATERIALIZED VIEW of_v AS SELECT count(*) FROM v; CREATE PUBLICATION ps FOR TABLES IN SCHEMA public",
        &[],
    ),
];

#[test]
fn each_kind_is_named() {
    with_db("obstacles", |mut db| async move {
        let store = db.store(Access::Read).await;
        for (hang, want) in CASES {
            db.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP PUBLICATION IF EXISTS pa; DROP PUBLICATION IF EXISTS pt; DROP PUBLICATION IF EXISTS ps; \
                    CREATE TABLE t (id int PRIMARY KEY, n int, x text)").await;
            db.run(hang).await;
            let live = store.catalog(&table("public", "t")).await.expect("t");
            let found: Vec<String> = store
                .obstacles(&live)
                .await
                .expect("obstacles")
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(found, *want, "{hang}");
            if hang.contains("EXTENSION") {
                if hang.contains("ADD TABLE") {
                    db.run("ALTER EXTENSION pg_trgm DROP TABLE t").await;
                }
                db.run("DROP EXTENSION pg_trgm CASCADE").await;
            }
        }
        db.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE p (id int) PARTITION BY RANGE (id); CREATE VIEW v AS SELECT 1 AS id").await;
        for (name, want) in [("p", "partitioned table p"), ("v", "view v")] {
            let live = store
                .catalog(&table("public", name))
                .await
                .expect("a relation");
            let found = store.obstacles(&live).await.expect("obstacles");
            assert_eq!(
                found.iter().map(ToString::to_string).collect::<Vec<_>>(),
                [want]
            );
        }
    });
}

#[test]
fn what_is_hung_on_later_stops_the_swap() {
    with_db("lateobstacle", |mut db| async move {
        db.run("CREATE TABLE t (id int PRIMARY KEY, n int)").await;
        let store = db.store(Access::Write).await;
        let permit = WritePermit::grant();
        let live = store.catalog(&table("public", "t")).await.expect("t");
        let run = shadow("r1", live, &["id"]);
        store.begin(&permit, &run).await.expect("begun");
        store.build(&permit, &run).await.expect("built");
        store.seal(&permit, &run).await.expect("sealed");
        for (hang, takeoff, word) in [
            (
                "CREATE MATERIALIZED VIEW v AS SELECT id FROM t",
                "DROP MATERIALIZED VIEW v",
                "materialized view public.v",
            ),
            (
                "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
                "ALTER TABLE t DISABLE ROW LEVEL SECURITY",
                "row security",
            ),
            (
                "ALTER TABLE t SET (fillfactor = 50)",
                "ALTER TABLE t RESET (fillfactor)",
                "options",
            ),
            (
                "CREATE STATISTICS st ON id, n FROM t",
                "DROP STATISTICS st",
                "extended statistics st",
            ),
            (
                "GRANT SELECT ON t TO PUBLIC",
                "REVOKE ALL ON t FROM PUBLIC",
                "grants",
            ),
            (
                "ALTER TABLE t ADD COLUMN more int",
                "ALTER TABLE t DROP COLUMN more",
                "column more",
            ),
            (
                "CREATE INDEX fresh ON t (n)",
                "DROP INDEX fresh",
                "index fresh",
            ),
            (
                "ALTER TABLE t ADD CONSTRAINT c CHECK (n > 0)",
                "ALTER TABLE t DROP CONSTRAINT c",
                "constraint c",
            ),
            (
                "ALTER TABLE t ALTER n SET NOT NULL",
                "ALTER TABLE t ALTER n DROP NOT NULL",
                "column n",
            ),
            (
                "ALTER TABLE t RENAME TO u; CREATE TABLE t (id int)",
                "DROP TABLE t; ALTER TABLE u RENAME TO t",
                "replaced by another table",
            ),
        ] {
            db.run(hang).await;
            let problem = store
                .swap(
                    &permit,
                    std::slice::from_ref(&run),
                    &trueup::store::Fence::none(),
                )
                .await
                .expect_err(hang);
            assert!(
                matches!(&problem, StoreError::Refused(p) if p.contains(word)),
                "{hang}: {problem:?}"
            );
            db.run(takeoff).await;
        }
        store
            .swap(
                &permit,
                std::slice::from_ref(&run),
                &trueup::store::Fence::none(),
            )
            .await
            .expect("swapped after all");
    });
}
