//! Load, settle, build, seal, swap: what becomes of the table.

use std::process::Command;

use super::*;

const DRESSED: &str = "
CREATE SCHEMA read AUTHORIZATION trueup_owner; GRANT CREATE, USAGE ON SCHEMA read TO PUBLIC;
CREATE SEQUENCE read.free_numbers; ALTER SEQUENCE read.free_numbers OWNER TO trueup_owner;
CREATE DOMAIN read.short AS varchar(30) CHECK (VALUE <> 'never');
CREATE TABLE read.\"Accounts\" (
  id bigint NOT NULL, code text COLLATE \"C\" NOT NULL, balance numeric(12,2) DEFAULT 0.00, status read.short DEFAULT 'open' NOT NULL,
  doc jsonb, tags text[] DEFAULT '{}', at timestamptz DEFAULT now(), big text, nr bigint DEFAULT nextval('read.free_numbers'), gone int,
  twice numeric GENERATED ALWAYS AS (balance * 2) STORED, span int4range,
  CONSTRAINT \"the key\" PRIMARY KEY (id) INCLUDE (code) WITH (fillfactor = 80),
  CONSTRAINT code_once UNIQUE (code) DEFERRABLE INITIALLY DEFERRED,
  CONSTRAINT apart EXCLUDE USING gist (span WITH &&) WITH (fillfactor = 90),
  CONSTRAINT positive CHECK (balance >= 0), CONSTRAINT own CHECK (length(code) > 0) NO INHERIT) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, toast.autovacuum_enabled = false);
ALTER TABLE read.\"Accounts\" DROP COLUMN gone;
ALTER TABLE read.\"Accounts\" ALTER big SET STORAGE EXTERNAL;
ALTER TABLE read.\"Accounts\" ALTER doc SET COMPRESSION pglz;
CREATE INDEX accounts_status_idx ON read.\"Accounts\" (status, at DESC NULLS LAST) WHERE status <> 'closed';
CREATE INDEX \"by lower\" ON read.\"Accounts\" (lower(code) text_pattern_ops, (balance + 1));
CREATE INDEX accounts_doc ON read.\"Accounts\" USING gin (doc jsonb_path_ops) WITH (fastupdate = off);
CREATE UNIQUE INDEX accounts_incl ON read.\"Accounts\" (code, id) INCLUDE (balance) WITH (fillfactor = 60);
COMMENT ON TABLE read.\"Accounts\" IS 'it''s the read model';
COMMENT ON COLUMN read.\"Accounts\".code IS 'a code'; COMMENT ON INDEX read.\"by lower\" IS 'an index';
COMMENT ON CONSTRAINT positive ON read.\"Accounts\" IS 'a check'; COMMENT ON CONSTRAINT \"the key\" ON read.\"Accounts\" IS 'a key';
COMMENT ON INDEX read.\"the key\" IS 'the index of the key';
ALTER TABLE read.\"Accounts\" OWNER TO trueup_owner;
SET ROLE trueup_owner;
GRANT SELECT ON read.\"Accounts\" TO PUBLIC; GRANT SELECT, UPDATE ON read.\"Accounts\" TO trueup_app WITH GRANT OPTION;
GRANT INSERT (code, id), SELECT (doc) ON read.\"Accounts\" TO trueup_clerk; REVOKE TRUNCATE ON read.\"Accounts\" FROM trueup_owner;
SET ROLE trueup_app; GRANT UPDATE ON read.\"Accounts\" TO trueup_clerk; RESET ROLE;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO trueup_clerk;
INSERT INTO read.\"Accounts\" (id, code, balance, doc, tags, big, span) SELECT i, 'c' || i, i, '{\"a\": 1}', '{x,NULL}', repeat('z', 3000), int4range(i, i + 1) FROM generate_series(1, 200) i";

async fn dressed(db: &mut Db) {
    for role in ["trueup_owner", "trueup_app", "trueup_clerk"] {
        db.role(role).await;
    }
    db.run(DRESSED).await;
}

/// The definition of everything in the schema; the random token of newer dumps does not count.
fn dump(db: &Db) -> String {
    let out = Command::new("pg_dump")
        .args(["-s", "-n", "read", &db.url])
        .output()
        .expect("pg_dump");
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let text = String::from_utf8(out.stdout).expect("UTF-8");
    text.lines()
        .filter(|l| !l.contains("restrict "))
        .collect::<Vec<_>>()
        .join("\n")
}

const LOADED: [&str; 8] = [
    "id", "code", "balance", "status", "doc", "tags", "big", "span",
];

fn row(id: i64, code: &str, balance: &str) -> Row<'static> {
    vec![
        Cell::Int(id.into()),
        text(code),
        Cell::Numeric(balance.to_owned().into()),
        text("open"),
        Cell::Json("{\"a\": [1, \"\\\\ \\n\"]}".into()),
        Cell::Array(vec![text("x y"), Cell::Null]),
        text("tab\there"),
        text(&format!("[{id},{})", id + 1)),
    ]
}

#[test]
fn a_swapped_table_is_the_same_table() {
    with_db("dump", |mut db| async move {
        dressed(&mut db).await;
        let before = dump(&db);
        let acls = "string_agg(coalesce(attacl::text, relacl::text), ' ' ORDER BY attnum) FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attacl IS NOT NULL WHERE c.oid = 'read.\"Accounts\"'::regclass";
        let acl = "relacl FROM pg_class WHERE oid = 'read.\"Accounts\"'::regclass";
        let (acls_before, acl_before) = (db.text(acls).await, db.text(acl).await);
        let store = db.store(Access::Write).await;
        let permit = WritePermit::grant();
        let live = store
            .catalog(&table("read", "Accounts"))
            .await
            .expect("accounts");
        assert_eq!(store.obstacles(&live).await.expect("obstacles"), []);
        let run = shadow("r1", live, &LOADED);
        store.begin(&permit, &run).await.expect("begun");
        let rows: Vec<Row<'static>> = (1..=300)
            .map(|i| row(i, &format!("d{i}"), "1.50"))
            .collect();
        load(&store, &permit, &run, &rows).await;
        store
            .settle(&permit, &run, &mut Latest::default())
            .await
            .expect("settled");
        store.build(&permit, &run).await.expect("built");
        store.build(&permit, &run).await.expect("built once");
        store.seal(&permit, &run).await.expect("sealed");
        store.seal(&permit, &run).await.expect("sealed again");
        assert_eq!(
            db.text("count(*) FROM read.\"Accounts\"").await,
            "200",
            "nothing is seen before the swap"
        );
        let swapped = store
            .swap(
                &permit,
                std::slice::from_ref(&run),
                &trueup::store::Fence::none(),
            )
            .await
            .expect("swapped")
            .remove(0);
        assert_eq!(swapped.old, Some(table("trueup_old_r1", "Accounts")));
        assert_eq!(dump(&db), before);
        assert_eq!(db.text(acls).await, acls_before);
        assert_eq!(db.text(acl).await, acl_before);
        assert_eq!(db.text("count(*) FROM read.\"Accounts\"").await, "300");
        assert_eq!(
            db.text("count(*) FROM trueup_old_r1.\"Accounts\"").await,
            "200"
        );
        assert_eq!(db.text("to_regnamespace('trueup_r1')").await, "");
        assert_eq!(
            db.text("state || ' ' || old_table FROM trueup.run").await,
            "swapped \"trueup_old_r1\".\"Accounts\""
        );
        assert!(
            db.text("reltuples FROM pg_class WHERE oid = 'read.\"Accounts\"'::regclass")
                .await
                == "300"
        );
        assert_ne!(
            db.text("count(*) FROM pg_stats WHERE schemaname = 'read'")
                .await,
            "0"
        );
        let catalog = store
            .catalog(&table("read", "Accounts"))
            .await
            .expect("accounts");
        let scan = whole(&catalog);
        let read = read_all(&store, &scan).await.expect("rows");
        for (read, want) in read.iter().zip(&rows) {
            let at = |name: &str| {
                catalog
                    .columns
                    .iter()
                    .position(|c| c.column.name == name)
                    .expect("a column")
            };
            for (name, cell) in LOADED.iter().zip(want) {
                assert_eq!(&read[at(name)], cell, "{name}");
            }
            assert_eq!(read[at("twice")], Cell::Numeric("3.00".into()));
        }
        // The same table can be swapped again.
        let run = shadow("r2", catalog, &LOADED);
        store.begin(&permit, &run).await.expect("begun");
        load(&store, &permit, &run, &rows).await;
        store.build(&permit, &run).await.expect("built");
        store.seal(&permit, &run).await.expect("sealed");
        store
            .swap(
                &permit,
                std::slice::from_ref(&run),
                &trueup::store::Fence::none(),
            )
            .await
            .expect("swapped");
        assert_eq!(dump(&db), before);
    });
}

/// No superuser: a member of the owner that may create schemas.
#[test]
fn a_member_of_the_owner_can_do_it() {
    with_db("owner", |mut db| async move {
        db.role("trueup_member").await;
        dressed(&mut db).await;
        let name = db.text("current_database()").await;
        db.run(&format!("GRANT trueup_owner, trueup_app TO trueup_member; GRANT CREATE ON DATABASE {name} TO trueup_member")).await;
        let before = dump(&db);
        let acl = "relacl FROM pg_class WHERE oid = 'read.\"Accounts\"'::regclass";
        let acl_before = db.text(acl).await;
        let mut other = PgConnection::connect(&db.url)
            .await
            .expect("a superuser's session");
        sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
            .execute(&mut other)
            .await
            .expect("a snapshot");
        let store = Postgres::connect(&db.url_of("trueup_member"), "m", Access::Write)
            .await
            .expect("member");
        let permit = WritePermit::grant();
        let live = store
            .catalog(&table("read", "Accounts"))
            .await
            .expect("accounts");
        assert_eq!(store.obstacles(&live).await.expect("obstacles"), []);
        let run = shadow("r1", live, &LOADED);
        store.begin(&permit, &run).await.expect("begun");
        load(
            &store,
            &permit,
            &run,
            &[row(1, "x", "1.00"), row(2, "y", "2.00")],
        )
        .await;
        store
            .settle(&permit, &run, &mut Latest::default())
            .await
            .expect("settled");
        store.build(&permit, &run).await.expect("built");
        store.seal(&permit, &run).await.expect("sealed");
        // A session whose details are hidden from this role is a blocker all the same.
        assert_eq!(store.old_snapshots(&run).await.expect("found").len(), 1);
        sqlx::raw_sql("COMMIT")
            .execute(&mut other)
            .await
            .expect("ends");
        assert!(store.old_snapshots(&run).await.expect("found").is_empty());
        store
            .swap(
                &permit,
                std::slice::from_ref(&run),
                &trueup::store::Fence::none(),
            )
            .await
            .expect("swapped");
        assert_eq!(dump(&db), before);
        assert_eq!(db.text(acl).await, acl_before);
        assert_eq!(db.text("count(*) FROM read.\"Accounts\"").await, "2");
    });
}

/// A row that the table refuses leaves nothing behind, and its values stay out of the message's context.
#[test]
fn a_refused_batch_leaves_nothing_behind() {
    with_db("refused", |mut db| async move {
        db.run("CREATE TABLE t (id int PRIMARY KEY, n int CHECK (n > 0), v text)")
            .await;
        let store = db.store(Access::Write).await;
        let permit = WritePermit::grant();
        let live = store.catalog(&table("public", "t")).await.expect("t");
        let run = shadow("r1", live, &["id", "n", "v"]);
        store.begin(&permit, &run).await.expect("begun");
        let mut encoder = store.encoder(&run);
        encoder.first(&vec![Cell::Int(1), Cell::Int(1), text("fine")], &origin(0));
        encoder.first(
            &vec![Cell::Int(1 << 40), Cell::Int(1), text("a secret")],
            &origin(1),
        );
        let next = trueup::store::NextOffset {
            topic: "t".to_owned(),
            partition: 0,
            offset: 2,
        };
        let problem = store
            .append(
                &permit,
                &run,
                encoder.take(),
                &trueup::store::Mark {
                    quarantined: Vec::new(),
                    next: vec![next],
                    memo: String::new(),
                },
            )
            .await
            .expect_err("too big");
        let words = problem.to_string();
        assert!(matches!(problem, StoreError::Value { .. }), "{problem:?}");
        assert!(
            words.contains("line 2, column id") && !words.contains("secret"),
            "{words}"
        );
        assert_eq!(db.text("count(*) FROM trueup_r1.t").await, "0");
        assert_eq!(db.text("count(*) FROM trueup.position").await, "0");
        // The connections are still good.
        load(
            &store,
            &permit,
            &run,
            &[vec![Cell::Int(1), Cell::Int(1), text("fine")]],
        )
        .await;
        assert_eq!(db.text("count(*) FROM trueup_r1.t").await, "1");
    });
}

#[test]
fn settling_and_catching_up() {
    with_db("settle", |mut db| async move {
        db.run("CREATE TABLE t (id numeric NOT NULL, part text NOT NULL, v text, j json, PRIMARY KEY (id, part))").await;
        let store = db.store(Access::Write).await;
        let permit = WritePermit::grant();
        let live = store.catalog(&table("public", "t")).await.expect("t");
        let run = shadow("r1", live, &["id", "part", "v", "j"]);
        store.begin(&permit, &run).await.expect("begun");
        let key = |id: &str| vec![Cell::Numeric(id.to_owned().into()), text("p\t")];
        let row = |id: &str, v: &str| [key(id), vec![text(v), Cell::Json("{}".into())]].concat();
        let change = |v: Cell<'static>, id: &str| [key(id), vec![v, Cell::Unchanged]].concat();
        let next = |offset| trueup::store::NextOffset {
            topic: "t".to_owned(),
            partition: 0,
            offset,
        };
        let mut encoder = store.encoder(&run);
        for (offset, id) in (0..).zip(["1.0", "2", "3", "4"]) {
            encoder.first(&row(id, "first"), &origin(offset));
        }
        // Later changes: a newer one of another spelling of the key, a stale one, a delete, a key that comes only here.
        encoder.again(
            &Key(key("1.00")),
            Some(&change(text("new"), "1.00")),
            &origin(10),
        );
        encoder.again(&Key(key("2")), Some(&row("2", "newer")), &origin(12));
        encoder.again(
            &Key(key("2")),
            Some(&row("2", "stale")),
            &Origin {
                version: version(11),
                arrival: 13,
            },
        );
        encoder.again(&Key(key("3")), None, &origin(14));
        encoder.again(&Key(key("9")), Some(&row("9", "only")), &origin(15));
        store
            .append(
                &permit,
                &run,
                encoder.take(),
                &trueup::store::Mark {
                    quarantined: Vec::new(),
                    next: vec![next(16)],
                    memo: String::new(),
                },
            )
            .await
            .expect("appended");
        let values = "string_agg(id || '=' || v, ' ' ORDER BY id) FROM trueup_r1.t";
        // A failure in the middle leaves everything to be done again.
        for after in 1..=5 {
            let mut broken = Latest {
                fail_after: Some(after),
                ..Latest::default()
            };
            let problem = store
                .settle(&permit, &run, &mut broken)
                .await
                .expect_err("asked to fail");
            assert!(matches!(problem, StoreError::Sink(_)), "{problem:?}");
        }
        let mut latest = Latest::default();
        store
            .settle(&permit, &run, &mut latest)
            .await
            .expect("settled");
        assert_eq!((latest.held, latest.changes), (3, 5));
        let settled = "1.0=new 2=newer 4=first 9=only";
        assert_eq!(db.text(values).await, settled.replace("1.0=", "1.00="));
        assert_eq!(
            db.text("count(*) FROM trueup_r1.t WHERE j IS NULL").await,
            "0",
            "the hole was filled"
        );
        assert_eq!(db.text("trueup_offset || ' ' || trueup_rank || ' ' || trueup_clock FROM trueup_r1.t WHERE id = 2").await, "12 \\x00000000000000000c 1700000000012");
        let mut idle = Latest::default();
        store
            .settle(&permit, &run, &mut idle)
            .await
            .expect("nothing to settle");
        assert_eq!((idle.held, idle.changes), (0, 0));
        store.build(&permit, &run).await.expect("built");

        // A second round with the keys built.
        let mut encoder = store.encoder(&run);
        encoder.first(&row("20", "later"), &origin(20));
        encoder.again(&Key(key("9")), Some(&row("9", "again")), &origin(21));
        encoder.again(&Key(key("4")), None, &origin(22));
        store
            .append(
                &permit,
                &run,
                encoder.take(),
                &trueup::store::Mark {
                    quarantined: Vec::new(),
                    next: vec![next(23)],
                    memo: String::new(),
                },
            )
            .await
            .expect("appended");
        store
            .settle(&permit, &run, &mut Latest::default())
            .await
            .expect("settled");
        assert_eq!(db.text(values).await, "1.00=new 2=newer 9=again 20=later");
        assert_eq!(db.text("next_offset FROM trueup.position").await, "23");
        store
            .replace(
                &permit,
                &run,
                &[
                    (Key(key("2")), Some(row("2", "replaced")), version(30)),
                    (Key(key("9")), None, version(31)),
                    (Key(key("77")), Some(row("77", "put")), version(32)),
                ],
                "",
            )
            .await
            .expect("replaced");
        assert_eq!(db.text(values).await, "1.00=new 2=replaced 20=later 77=put");
        store.seal(&permit, &run).await.expect("sealed");
        store
            .swap(
                &permit,
                std::slice::from_ref(&run),
                &trueup::store::Fence::none(),
            )
            .await
            .expect("swapped");
        assert_eq!(db.text("count(*) FROM t").await, "4");
    });
}

#[test]
fn many_later_changes() {
    with_db("many", |mut db| async move {
        db.run("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
        let store = db.store(Access::Write).await;
        let permit = WritePermit::grant();
        let live = store.catalog(&table("public", "t")).await.expect("t");
        let run = shadow("r1", live, &["id", "v"]);
        store.begin(&permit, &run).await.expect("begun");
        let row = |id: i64, v: i64| vec![Cell::Int(id.into()), text(&v.to_string())];
        let mut encoder = store.encoder(&run);
        for id in 0..30_000 {
            encoder.first(&row(id, 0), &origin(id));
        }
        for round in 1..=3 {
            for id in (0..30_000).step_by(2) {
                encoder.again(
                    &Key(vec![Cell::Int(id.into())]),
                    Some(&row(id, round)),
                    &origin(round * 30_000 + id),
                );
            }
        }
        store
            .append(
                &permit,
                &run,
                encoder.take(),
                &trueup::store::Mark::default(),
            )
            .await
            .expect("appended");
        let mut latest = Latest::default();
        store
            .settle(&permit, &run, &mut latest)
            .await
            .expect("settled");
        assert_eq!((latest.held, latest.changes), (15_000, 45_000));
        assert!(latest.keys.is_empty());
        assert_eq!(
            db.text("count(*) || ' ' || sum(v::int) FROM trueup_r1.t")
                .await,
            "30000 45000"
        );
    });
}

#[test]
fn what_nobody_loads_is_carried_over() {
    with_db("carry", |mut db| async move {
        db.run("CREATE TABLE t (id int PRIMARY KEY, v text, note text NOT NULL, extra json, made text NOT NULL DEFAULT 'now'); \
                INSERT INTO t SELECT i, 'old', 'note ' || i, '{\"i\":1}', 'then' FROM generate_series(1, 10) i").await;
        let store = db.store(Access::Write).await;
        let permit = WritePermit::grant();
        let live = store.catalog(&table("public", "t")).await.expect("t");
        let mut run = shadow("r1", live, &["id", "v"]);
        run.carried = vec!["note".to_owned(), "extra".to_owned(), "made".to_owned()];
        store.begin(&permit, &run).await.expect("begun");
        let rows: Vec<Row<'static>> = (1..=9).map(|id| vec![Cell::Int(id), text("new")]).collect();
        load(&store, &permit, &run, &rows).await;
        store.build(&permit, &run).await.expect("built");
        store.seal(&permit, &run).await.expect("sealed");
        db.run("UPDATE t SET note = 'last minute', extra = NULL WHERE id = 5")
            .await;
        store
            .swap(
                &permit,
                std::slice::from_ref(&run),
                &trueup::store::Fence::none(),
            )
            .await
            .expect("swapped");
        assert_eq!(db.text("count(*) FROM t WHERE v = 'new' AND note = 'note ' || id AND extra IS NOT NULL AND made = 'then'").await, "8");
        assert_eq!(
            db.text("note FROM t WHERE id = 5 AND extra IS NULL").await,
            "last minute"
        );
        assert_eq!(db.text("count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'note' AND attnotnull").await, "1");
    });
}
