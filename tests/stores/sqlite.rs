//! The SQLite store: reading, catalogs and errors. Loading and the twin property have files of their own.

mod figures;
mod loading;
mod repairing;
mod runs;
mod swapping;
mod twin;

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row as _, SqliteConnection};
use tempfile::TempDir;

use trueup::projection::cell::{Cell, Row};
use trueup::projection::change::Key;
use trueup::projection::types::ColumnType;
use trueup::store::Relation;
use trueup::store::sqlite::Sqlite;
use trueup::store::{
    Access, Acts, Catalog, Engine, Output, RowStream, Scan, Shadow, Store, StoreError, TableName,
    WritePermit,
};

/// A database file of one test.
struct Db {
    folder: TempDir,
}

impl Db {
    async fn new(sql: &str) -> Db {
        let db = Db {
            folder: tempfile::tempdir().expect("a folder"),
        };
        let mut session = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(db.path())
            .create_if_missing(true)
            .connect()
            .await
            .expect("a new file");
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut session)
            .await
            .expect("the test's SQL");
        session.close().await.expect("closed");
        db
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("read store.db")
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    async fn session(&self) -> SqliteConnection {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.path());
        options
            .foreign_keys(false)
            .connect()
            .await
            .expect("a session")
    }

    async fn run(&self, sql: &str) {
        let mut session = self.session().await;
        let mut done = sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut session)
            .await;
        for _ in 0..50 {
            // A store that was dropped may still be closing its file.
            if !done
                .as_ref()
                .is_err_and(|e| e.to_string().contains("locked"))
            {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            done = sqlx::raw_sql(AssertSqlSafe(sql))
                .execute(&mut session)
                .await;
        }
        done.expect("the test's SQL");
        session.close().await.expect("closed");
    }

    /// The first column of a query, as text.
    async fn texts(&self, sql: &str) -> Vec<String> {
        let mut session = self.session().await;
        let rows = sqlx::query(AssertSqlSafe(sql))
            .fetch_all(&mut session)
            .await;
        let rows = rows.expect("the test's query");
        rows.iter()
            .map(|row| {
                let text: Option<String> = row.get_unchecked(0);
                text.unwrap_or_else(|| "NULL".to_owned())
            })
            .collect()
    }

    async fn open(&self, access: Access) -> Sqlite {
        let opened = Sqlite::connect(&self.url(), "sqlite:shown", access).await;
        opened.expect("the store opens")
    }
}

fn table(name: &str) -> TableName {
    TableName {
        schema: None,
        name: name.to_owned(),
    }
}

fn permit() -> WritePermit {
    WritePermit::grant()
}

/// All columns of a table as they are, keyed by its primary key.
fn plain(catalog: &Catalog, of: &TableName) -> Scan {
    let outputs = catalog.columns.iter().map(|c| Output {
        column: c.column.clone(),
        cast: None,
    });
    let at = |name: &String| catalog.columns.iter().position(|c| c.column.name == *name);
    Scan {
        relation: Relation::Table(of.clone()),
        outputs: outputs.collect(),
        key: catalog.primary_key.iter().filter_map(at).collect(),
        filter: Vec::new(),
        scope: None,
        from: None,
        to: None,
    }
}

async fn collect(mut stream: RowStream) -> Result<Vec<Row<'static>>, StoreError> {
    let mut all = Vec::new();
    while let Some(batch) = stream.recv().await {
        all.extend(batch?);
    }
    Ok(all)
}

async fn read(store: &Sqlite, scan: Scan) -> Result<Vec<Row<'static>>, StoreError> {
    collect(store.rows(scan).await?).await
}

async fn read_all(store: &Sqlite, name: &str) -> Result<Vec<Row<'static>>, StoreError> {
    let catalog = store.catalog(&table(name)).await?;
    read(store, plain(&catalog, &table(name))).await
}

/// A shadow of a table that loads these columns, keyed by its primary key.
async fn shadow(store: &Sqlite, name: &str, run: &str, loaded: &[&str]) -> Shadow {
    let live = store.catalog(&table(name)).await.expect("the table");
    let columns: Vec<_> = loaded
        .iter()
        .map(|c| live.column(c).expect("a column").column.clone())
        .collect();
    let at = |name: &String| columns.iter().position(|c| c.name == *name);
    Shadow {
        run: run.to_owned(),
        key: live.primary_key.iter().filter_map(at).collect(),
        carried: Vec::new(),
        rank_words: 1,
        staged: false,
        columns,
        live,
    }
}

fn text(t: &str) -> Cell<'static> {
    Cell::Text(t.to_owned().into())
}

#[tokio::test]
async fn a_state_goes_on_in_another_shadow() {
    let db = Db::new(super::state::TABLES).await;
    let store = Store::open(Engine::Sqlite, &db.url(), "sqlite:shown", Access::Write).await;
    super::state::goes_on(&store.expect("the store opens"), None).await;
}

#[tokio::test]
async fn the_catalog_knows_the_kitchen_sink() {
    let db = Db::new(
        "CREATE TABLE \"Kitchen `Sink\" (
           id INTEGER PRIMARY KEY, i BIGINT UNSIGNED NOT NULL DEFAULT 7, b BOOLEAN, r DOUBLE PRECISION,
           n DECIMAL(12, 3), t VARCHAR(5) NOT NULL COLLATE NOCASE UNIQUE, y BLOB, d DATE, ti TIME, ts DATETIME,
           tz TIMESTAMP WITH TIME ZONE, u UUID, j JSONB, a TEXT[], x, p POINT, s STRING,
           g INTEGER GENERATED ALWAYS AS (i + 1) STORED, UNIQUE (i, b));
         CREATE UNIQUE INDEX part ON \"Kitchen `Sink\" (d) WHERE d IS NOT NULL;
         CREATE UNIQUE INDEX expr ON \"Kitchen `Sink\" (lower(t));
         CREATE TABLE strict_one (k TEXT NOT NULL, k2 INT NOT NULL, v ANY, PRIMARY KEY (k2, k)) STRICT, WITHOUT ROWID;
         CREATE TABLE loose (k INT PRIMARY KEY, v TEXT);
         CREATE VIEW seen AS SELECT id, t, i * 2 AS twice FROM \"Kitchen `Sink\";
         INSERT INTO loose VALUES (1, 'a'), (2, 'b');",
    )
    .await;
    let store = db.open(Access::Read).await;
    let sink = store.catalog(&table("kitchen `sink")).await.expect("found");
    let lines: Vec<String> = sink
        .columns
        .iter()
        .map(|c| {
            let (column, kind) = (&c.column, &c.column.kind);
            let null = if column.nullable { "" } else { " not null" };
            let default = if c.has_default { " default" } else { "" };
            let generated = if c.generated { " generated" } else { "" };
            format!(
                "{} [{}] {kind}{null}{default}{generated}",
                column.name, c.sql_type
            )
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    id [INTEGER] int64 not null default
    i [BIGINT UNSIGNED] int64 not null default
    b [BOOLEAN] boolean
    r [DOUBLE PRECISION] float64
    n [DECIMAL(12, 3)] numeric(12,3)
    t [VARCHAR(5)] text not null
    y [BLOB] bytes
    d [DATE] date
    ti [TIME] time(6)
    ts [DATETIME] timestamp(6)
    tz [TIMESTAMP WITH TIME ZONE] timestamptz(6)
    u [UUID] uuid
    j [JSONB] json
    a [TEXT[]] text[]
    x [] untyped
    p [POINT] POINT
    s [STRING] STRING
    g [INTEGER] int64 generated
    ");
    assert_eq!(sink.table.name, "Kitchen `Sink");
    assert_eq!(sink.primary_key, ["id"]);
    assert_eq!(sink.unique_keys, [vec!["id"], vec!["t"], vec!["i", "b"]]);
    assert_eq!(sink.rows_estimate, Some(0));
    assert!(sink.bytes > 0);

    let strict = store.catalog(&table("strict_one")).await.expect("found");
    assert_eq!(strict.primary_key, ["k2", "k"]);
    assert!(strict.columns[..2].iter().all(|c| !c.column.nullable));
    let loose = store.catalog(&table("loose")).await.expect("found");
    assert!(loose.columns[0].column.nullable, "INT is no INTEGER");
    assert!(!loose.columns[0].has_default);
    assert_eq!(loose.rows_estimate, Some(2));
    let seen = store.catalog(&table("seen")).await.expect("found");
    assert_eq!(seen.columns.len(), 3);
    assert!(seen.primary_key.is_empty());

    let before = loose.id;
    db.run("VACUUM; ALTER TABLE loose ADD COLUMN w").await;
    let after = store.catalog(&table("loose")).await.expect("found");
    assert_ne!(after.id, before, "a changed table is another one");
    assert_eq!(
        store.catalog(&table("strict_one")).await.expect("found").id,
        strict.id
    );

    match store.catalog(&table("loos")).await {
        Err(StoreError::NoTable { hint, .. }) => assert_eq!(hint, "; did you mean loose?"),
        other => panic!("{other:?}"),
    }
    let elsewhere = TableName {
        schema: Some("public".to_owned()),
        name: "loose".to_owned(),
    };
    assert!(matches!(
        store.catalog(&elsewhere).await,
        Err(StoreError::Refused(_))
    ));
}

#[tokio::test]
async fn a_missing_file_is_named_and_never_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("none.db");
    for access in [Access::Read, Access::Write] {
        let url = format!("sqlite:{}", path.display());
        match Sqlite::connect(&url, "sqlite:shown", access).await {
            Err(StoreError::Unreachable { database, problem }) => {
                assert_eq!(database, "sqlite:shown");
                assert!(problem.contains("never creates a database"), "{problem}");
            }
            other => panic!("{other:?}"),
        }
        assert!(!path.exists());
    }
    std::fs::write(
        &path,
        "this is no database, though it is long enough to be one",
    )
    .expect("written");
    let url = format!("sqlite:{}", path.display());
    let opened = Sqlite::connect(&url, "sqlite:shown", Access::Read).await;
    assert!(
        matches!(opened, Err(StoreError::Unreachable { .. })),
        "{opened:?}"
    );
}

#[tokio::test]
async fn values_of_another_type_are_named_with_their_row() {
    let db = Db::new(
        "CREATE TABLE t (k INTEGER PRIMARY KEY, i INTEGER, b BOOLEAN, d DATE, u UUID, y BLOB, f REAL, x);",
    )
    .await;
    let store = db.open(Access::Read).await;
    for (column, value, says) in [
        ("i", "'twelve'", "a TEXT in a column of type int64"),
        ("i", "1.5", "a REAL in a column of type int64"),
        ("b", "2", "an INTEGER in a column of type boolean"),
        ("d", "'2024-02-30'", "a TEXT that is no date"),
        ("d", "1700000000", "an INTEGER in a column of type date"),
        (
            "u",
            "x'00112233445566778899aabbccddeeff'",
            "a BLOB in a column of type uuid",
        ),
        ("y", "'text'", "a TEXT that is no bytes"),
        ("f", "'wide'", "a TEXT in a column of type float64"),
        ("x", "x'00'", "a BLOB in a column of type untyped"),
    ] {
        db.run(&format!(
            "DELETE FROM t; INSERT INTO t (k, {column}) VALUES (1, NULL), (42, {value})"
        ))
        .await;
        match read_all(&store, "t").await {
            Err(StoreError::Value { table, problem }) => {
                assert_eq!(table, "t");
                assert_eq!(
                    problem,
                    format!("column {column}: {says}, in the row k = 42")
                );
            }
            other => panic!("{column}: {other:?}"),
        }
        let catalog = store.catalog(&table("t")).await.expect("found");
        let mut scan = plain(&catalog, &table("t"));
        let column = catalog.column(column).expect("a column").column.clone();
        scan.outputs.truncate(1);
        scan.filter = vec![(
            column,
            trueup::projection::mapping::Test::AnyOf(vec![Cell::Null]),
        )];
        let filtered = read(&store, scan).await;
        assert!(
            matches!(filtered, Err(StoreError::Value { .. })),
            "{filtered:?}"
        );
    }
}

#[tokio::test]
async fn keys_that_would_sort_or_be_found_wrongly_are_refused() {
    for (kind, keys) in [
        ("UUID", "('00112233-4455-6677-8899-AABBCCDDEEFF')"),
        ("TIMESTAMP", "('2024-01-31T12:00:00')"),
        ("TIMESTAMPTZ", "('2024-01-31 12:00:00+02')"),
        ("DATE", "('0044-03-15 BC'), ('0043-01-31 BC')"),
        ("DATE", "('10000-01-01'), ('2024-01-31')"),
        ("INT", "(NULL)"),
        ("INT", "('seven')"),
    ] {
        let db = Db::new(&format!(
            "CREATE TABLE t (k {kind} PRIMARY KEY); INSERT INTO t VALUES {keys}"
        ))
        .await;
        let read = read_all(&db.open(Access::Read).await, "t").await;
        assert!(
            matches!(read, Err(StoreError::Value { .. })),
            "{kind} {keys}: {read:?}"
        );
    }
    let db = Db::new("CREATE TABLE t (k JSON PRIMARY KEY, v TIMESTAMP); INSERT INTO t VALUES ('{}', '2024-01-31T12:00Z')").await;
    let read = read_all(&db.open(Access::Read).await, "t").await;
    assert!(matches!(read, Err(StoreError::Refused(_))), "{read:?}");
}

#[tokio::test]
async fn a_column_that_has_vanished_is_an_error_and_not_its_name() {
    let db =
        Db::new("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a')")
            .await;
    let store = db.open(Access::Read).await;
    let catalog = store.catalog(&table("t")).await.expect("found");
    db.run("ALTER TABLE t RENAME COLUMN v TO w").await;
    let read = read(&store, plain(&catalog, &table("t"))).await;
    assert!(matches!(read, Err(StoreError::Sql { .. })), "{read:?}");
}

#[tokio::test]
async fn reading_needs_no_right_to_write() {
    let db = Db::new("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')").await;
    let may = |folder: u32, file: u32| {
        use std::os::unix::fs::PermissionsExt;
        let to = |mode| std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(db.path(), to(file)).expect("permissions");
        std::fs::set_permissions(db.folder.path(), to(folder)).expect("permissions");
    };
    for mode in ["WAL", "DELETE"] {
        db.run(&format!("PRAGMA journal_mode = {mode}")).await;
        let files = || {
            let listed = std::fs::read_dir(db.folder.path()).expect("listed");
            let mut names: Vec<_> = listed.filter_map(|f| Some(f.ok()?.file_name())).collect();
            names.sort();
            names
        };
        let before = std::fs::read(db.path()).expect("read");
        may(0o555, 0o444);
        let store = db.open(Access::Read).await;
        let catalog = store.catalog(&table("t")).await.expect("found");
        let scan = plain(&catalog, &table("t"));
        assert_eq!(store.identity().await.expect("known").encoding, "UTF-8");
        assert_eq!(read(&store, scan.clone()).await.expect("rows").len(), 3);
        let keys = [Key(vec![Cell::Int(2)]), Key(vec![Cell::Int(9)])];
        assert_eq!(store.lookup(&scan, &keys).await.expect("rows").len(), 1);
        assert_eq!(store.split(&scan, 3).await.expect("keys").len(), 2);
        assert_eq!(
            store
                .query("SELECT v, 1.5, NULL, x'ff' FROM t LIMIT 1")
                .await
                .expect("rows"),
            [[
                Some("a".to_owned()),
                Some("1.5".to_owned()),
                None,
                Some("\\xff".to_owned())
            ]]
        );
        let found = store.obstacles(&catalog).await.expect("known");
        assert_eq!(found[0].what, "read-only file");
        assert!(store.query("DELETE FROM t").await.is_err());
        assert_eq!(store.digest_dialect(&scan).await.expect("none"), None);
        assert!(matches!(
            store.digest(&scan).await,
            Err(StoreError::Refused(_))
        ));
        assert_eq!(store.write_position().await.expect("none"), None);
        let shadow = shadow(&store, "t", "r1", &["k", "v"]).await;
        let begun = store.begin(&permit(), &shadow).await;
        assert!(matches!(begun, Err(StoreError::Denied { .. })), "{begun:?}");
        drop(store);
        may(0o755, 0o644);
        assert!(before == std::fs::read(db.path()).expect("read"), "{mode}");
        if mode == "DELETE" {
            assert_eq!(files().len(), 1);
        }
    }
}

#[tokio::test]
async fn ranges_are_half_open_and_scoped() {
    let db = Db::new(
        "CREATE TABLE t (a INT NOT NULL, b TEXT NOT NULL, tenant INT, PRIMARY KEY (a, b));
         INSERT INTO t VALUES (1, 'B', 5), (1, 'a', 5), (1, 'aa', 6), (2, '', 5), (10, 'x', 5);",
    )
    .await;
    let store = db.open(Access::Read).await;
    let catalog = store.catalog(&table("t")).await.expect("found");
    let mut scan = plain(&catalog, &table("t"));
    let keys = |rows: Vec<Row<'static>>| -> Vec<String> {
        rows.iter()
            .map(|r| format!("{:?}", &r[..2]))
            .map(|s| s.replace("\"", ""))
            .collect()
    };
    assert_eq!(
        keys(read(&store, scan.clone()).await.expect("rows")).len(),
        5
    );
    scan.from = Some(Key(vec![Cell::Int(1), text("a")]));
    scan.to = Some(Key(vec![Cell::Int(10), text("x")]));
    scan.scope = Some("tenant = 5 -- ours".to_owned());
    let found = keys(read(&store, scan.clone()).await.expect("rows"));
    assert_eq!(found, ["[Int(1), Text(a)]", "[Int(2), Text()]"]);
    scan.outputs[0].cast = Some(ColumnType::TEXT);
    scan.from = None;
    scan.to = Some(Key(vec![text("10"), text("y")]));
    let found = keys(read(&store, scan.clone()).await.expect("rows"));
    assert_eq!(
        found,
        [
            "[Text(1), Text(B)]",
            "[Text(1), Text(a)]",
            "[Text(10), Text(x)]"
        ]
    );
}

#[tokio::test]
async fn what_a_dead_writer_left_is_rolled_back_only_by_who_may_write() {
    let db = Db::new(
        "CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
         INSERT INTO t SELECT i, printf('%0100d', i) FROM n",
    )
    .await;
    // A copy of the files in the middle of a transaction is what a crash leaves.
    let mut session = db.session().await;
    let half = "PRAGMA cache_size = 10; BEGIN; UPDATE t SET v = 'half done'";
    sqlx::raw_sql(half)
        .execute(&mut session)
        .await
        .expect("the test's SQL");
    let crashed = Db {
        folder: tempfile::tempdir().expect("a folder"),
    };
    let journal = |db: &Db| db.folder.path().join("read store.db-journal");
    std::fs::copy(db.path(), crashed.path()).expect("copied");
    std::fs::copy(journal(&db), journal(&crashed)).expect("copied");
    drop(session);
    match Sqlite::connect(&crashed.url(), "sqlite:shown", Access::Read).await {
        Err(StoreError::Unreachable { problem, .. }) => {
            assert!(problem.contains("a writer died"), "{problem}")
        }
        opened => panic!("{opened:?}"),
    }
    let store = crashed.open(Access::Write).await;
    let rows = read_all(&store, "t").await.expect("rows");
    assert_eq!(rows.len(), 5_000);
    assert!(rows.iter().all(|row| row[1] != text("half done")));
}
