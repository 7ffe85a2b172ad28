//! Everything that a swap would lose is named.

use super::*;

/// What to hang on the table, and the obstacles that must then be found.
const CASES: &[(&str, &[&str])] = &[
    (
        "CREATE TABLE o (t_id int REFERENCES t)",
        &["foreign key o_t_id_fkey of o to t"],
    ),
    (
        "CREATE TABLE p (id int PRIMARY KEY); ALTER TABLE t ADD CONSTRAINT out FOREIGN KEY (id) REFERENCES p",
        &["foreign key out of t to p"],
    ),
    (
        "ALTER TABLE t ADD CONSTRAINT me FOREIGN KEY (n) REFERENCES t",
        &["foreign key me of t to t"],
    ),
    (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        &["trigger tr"],
    ),
    (
        "CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING",
        &["rule r"],
    ),
    ("CREATE VIEW v AS SELECT id FROM t", &["view v"]),
    (
        "CREATE VIEW v AS SELECT id, x FROM t GROUP BY id",
        &["view v"],
    ),
    (
        "CREATE MATERIALIZED VIEW mv AS SELECT count(*) FROM t",
        &["materialized view mv"],
    ),
    (
        "CREATE FUNCTION fa() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM t; END",
        &["function fa()"],
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
    ("CREATE POLICY po ON t USING (true)", &["policy po"]),
    (
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        &["row security t"],
    ),
    (
        "ALTER TABLE t FORCE ROW LEVEL SECURITY",
        &["row security t"],
    ),
    ("CREATE PUBLICATION pt FOR TABLE t", &["publication pt"]),
    (
        "CREATE PUBLICATION pa FOR ALL TABLES",
        &["publication pa (all tables)"],
    ),
    (
        "CREATE PUBLICATION ps FOR TABLES IN SCHEMA public",
        &["publication ps"],
    ),
    (
        "ALTER TABLE t REPLICA IDENTITY FULL",
        &["replica identity full"],
    ),
    (
        "ALTER TABLE t REPLICA IDENTITY USING INDEX t_pkey",
        &["replica identity index"],
    ),
    (
        "ALTER TABLE t ADD COLUMN i int GENERATED ALWAYS AS IDENTITY",
        &["identity column i", "owned sequence t_i_seq"],
    ),
    (
        "ALTER TABLE t ADD COLUMN s serial",
        &["owned sequence t_s_seq"],
    ),
    (
        "ALTER TABLE t ALTER x SET STATISTICS 500",
        &["statistics target x"],
    ),
    (
        "ALTER TABLE t ALTER x SET (n_distinct = 5)",
        &["column option x"],
    ),
    (
        "CREATE INDEX ix ON t ((n + 1)); ALTER INDEX ix ALTER COLUMN 1 SET STATISTICS 300",
        &["statistics target ix expr"],
    ),
    (
        "CREATE STATISTICS st ON id, n FROM t",
        &["extended statistics st"],
    ),
    ("CLUSTER t USING t_pkey", &["cluster mark t_pkey"]),
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
        "ALTER TABLE t ADD COLUMN trueup_offset int",
        &["column name reserved for trueup trueup_offset"],
    ),
    (
        "CREATE TABLE fresh (a int DEFAULT 1, CONSTRAINT c CHECK (a > 0)); CREATE INDEX carried ON t (x) WHERE n > 1; COMMENT ON TABLE t IS 'x'; GRANT SELECT ON t TO PUBLIC; ALTER TABLE t SET (fillfactor = 50)",
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
                db.run("ALTER EXTENSION pg_trgm DROP TABLE t; DROP EXTENSION pg_trgm")
                    .await;
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
            ("CREATE VIEW v AS SELECT id FROM t", "DROP VIEW v", "view v"),
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
