//! The twin property: a mapping run by the database is the mapping run by the engine.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use trueup::projection::mapping::{Bookkeeping, Expected, From, Mapping, Target, Test, key_of};

use super::*;

const ROUNDS: u64 = 40;
const ROWS: usize = 250;

/// SQL type, and the types that it can be cast to without losing anything of what `value` makes.
const KINDS: &[(&str, &[&str])] = &[
    (
        "smallint",
        &["integer", "bigint", "numeric", "text", "numeric(8,2)"],
    ),
    (
        "integer",
        &["bigint", "numeric", "text", "character varying(20)"],
    ),
    ("bigint", &["numeric(20,0)", "text"]),
    ("numeric(12,3)", &["numeric", "numeric(15,4)", "text"]),
    ("numeric", &["text"]),
    ("boolean", &["smallint", "bigint", "text"]),
    ("real", &["double precision"]),
    ("double precision", &[]),
    ("text", &["character varying(60)"]),
    ("character varying(40)", &["text", "character(45)"]),
    (
        "character(12)",
        &["text", "character varying(12)", "character(20)"],
    ),
    ("bytea", &[]),
    (
        "date",
        &[
            "timestamp(6) without time zone",
            "timestamp(0) with time zone",
            "text",
        ],
    ),
    ("time(6) without time zone", &["text"]),
    (
        "timestamp(3) without time zone",
        &[
            "timestamp(6) without time zone",
            "timestamp(3) with time zone",
            "text",
        ],
    ),
    (
        "timestamp(6) with time zone",
        &["timestamp(6) without time zone", "text"],
    ),
    ("uuid", &["text"]),
    ("jsonb", &[]),
    ("json", &[]),
    ("integer[]", &["integer[]"]),
    ("text[]", &[]),
    ("mood", &[]),
    ("interval", &[]),
];

/// A random value as SQL's text; extremes are as likely as anything.
fn value(kind: &str, r: &mut StdRng) -> String {
    let pick = |r: &mut StdRng, from: &[&str]| from[r.random_range(0..from.len())].to_owned();
    let word = |r: &mut StdRng| -> String {
        let letters: Vec<char> = "abAB zé'\\\"\t\n{},%_1🦀".chars().collect();
        (0..r.random_range(0..10))
            .map(|_| letters[r.random_range(0..letters.len())])
            .collect()
    };
    let few = r.random_bool(0.5);
    match kind {
        "smallint" if few => r.random_range(-3..4).to_string(),
        "smallint" => pick(r, &["-32768", "32767", "0"]),
        "integer" if few => r.random_range(-5..6).to_string(),
        "integer" => pick(r, &["-2147483648", "2147483647", "77"]),
        "bigint" if few => r.random_range(-5..6).to_string(),
        "bigint" => pick(
            r,
            &[
                "-9223372036854775808",
                "9223372036854775807",
                "9007199254740993",
            ],
        ),
        "numeric(12,3)" => pick(
            r,
            &["1.500", "-0.001", "999999999.999", "0", "NaN", "12.34"],
        ),
        "numeric" => pick(
            r,
            &[
                "1.50",
                "1.5",
                "-123456789012345678901234567890.123456789",
                "0.000000000000000001",
                "NaN",
                "Infinity",
                "-Infinity",
                "0",
            ],
        ),
        "boolean" => pick(r, &["t", "f"]),
        "real" => pick(
            r,
            &[
                "0.1",
                "-0",
                "3.4028235e38",
                "1e-45",
                "NaN",
                "Infinity",
                "-Infinity",
                "16777216",
            ],
        ),
        "double precision" => pick(
            r,
            &[
                "0.1",
                "-0",
                "0",
                "1.7976931348623157e308",
                "5e-324",
                "NaN",
                "Infinity",
                "-Infinity",
                "1e15",
                "123456789.125",
            ],
        ),
        "text" | "character varying(40)" => word(r),
        "character(12)" => word(r).replace('\t', "x"),
        "bytea" => pick(r, &["\\x", "\\x00", "\\xdeadbeef5c", "\\xff"]),
        "date" => pick(
            r,
            &[
                "infinity",
                "-infinity",
                "0044-03-15 BC",
                "9999-12-31",
                "1970-01-01",
                "2024-02-29",
                "12345-06-07",
            ],
        ),
        "time(6) without time zone" => pick(
            r,
            &["00:00:00", "24:00:00", "12:34:56.789", "23:59:59.999999"],
        ),
        "timestamp(3) without time zone" => pick(
            r,
            &[
                "infinity",
                "-infinity",
                "0044-03-15 12:00:00.001 BC",
                "2024-02-29 23:59:59.999",
                "1970-01-01 00:00:00",
                "12345-06-07 08:09:10",
            ],
        ),
        "timestamp(6) with time zone" => pick(
            r,
            &[
                "infinity",
                "-infinity",
                "0044-03-15 12:00:00+00 BC",
                "2024-02-29 23:59:59.999999+05:30",
                "1969-12-31 23:59:59.999999+00",
            ],
        ),
        "uuid" => pick(
            r,
            &[
                "00000000-0000-0000-0000-000000000000",
                "ffffffff-ffff-ffff-ffff-ffffffffffff",
                "00112233-4455-6677-8899-AABBCCDDEEFF",
            ],
        ),
        "jsonb" | "json" => pick(
            r,
            &[
                "{\"a\": 1, \"b\": [1.0, null]}",
                "{\"b\":[1,null],\"a\":1.00}",
                "[]",
                "\"x\\ty\"",
                "null",
                "12345678901234567890.5",
                "1e2",
            ],
        ),
        "integer[]" => pick(r, &["{}", "{1,NULL,-2147483648}", "{1}"]),
        "text[]" => pick(
            r,
            &["{}", "{a,NULL,\"NULL\",\"\",\"b \\\\ \\\" c\"}", "{é}"],
        ),
        "mood" => pick(r, &["sad", "ok", "a mood's"]),
        "interval" => pick(r, &["1 day", "01:02:03.5", "-3 mons"]),
        other => panic!("no values of {other}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\t', "\\t")
        .replace('\n', "\\n")
}

struct Round {
    mapping: Mapping,
    /// What each of the mapping's columns is cast to, if it is.
    casts: Vec<Option<String>>,
    kinds: Vec<String>,
    key_kind: String,
}

/// Kinds that can be a key, and that a million random values of do not run out.
fn key(kind: &str, n: usize) -> String {
    match kind {
        "integer" | "bigint" | "numeric" => format!("{}", (n as i64 - 50) * 7919 % 100_003),
        "uuid" => format!("{:08x}-0000-0000-0000-{:012x}", n * 7919 % 65_521, n),
        "date" => format!("{:04}-01-{:02}", 1 + n * 37 % 2_000, 1 + n % 28),
        "bytea" => format!("\\x{:04x}{n:04x}", n * 7919 % 65_521),
        "timestamp(6) with time zone" => {
            format!("{:04}-01-01 00:00:00.{n:06}+00", 1 + n * 37 % 2_000)
        }
        _ => format!("{}{n}", ["a", "B", "é", "a-", "a_", "Z "][n % 6]),
    }
}

#[test]
fn the_database_maps_as_the_engine_does() {
    let seed = std::env::var("TRUEUP_TEST_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or_else(|| {
            std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(1, |d| d.as_secs())
        });
    println!("TRUEUP_TEST_SEED={seed}");
    with_db("twin", |mut db| async move {
        db.run("CREATE TYPE mood AS ENUM ('sad', 'ok', 'a mood''s')")
            .await;
        let store = db.store(Access::Read).await;
        let mut r = StdRng::seed_from_u64(seed);
        let (mut passed, mut hashed) = (0, 0);
        for round in 0..ROUNDS {
            let (rows, digests) = one_round(&mut db, &store, &mut r).await;
            println!("round {round}: {rows} rows expected, digest {digests}");
            passed += rows;
            hashed += usize::from(digests);
        }
        assert!(passed > 1_000, "the filters let {passed} rows through");
        assert!(hashed > 3, "{hashed} rounds had digests");
    });
}

async fn one_round(db: &mut Db, store: &Postgres, r: &mut StdRng) -> (usize, bool) {
    let key_kinds = [
        "integer",
        "bigint",
        "text",
        "character varying(40)",
        "character(12)",
        "uuid",
        "numeric",
        "date",
        "bytea",
        "timestamp(6) with time zone",
    ];
    let key_kind = key_kinds[r.random_range(0..key_kinds.len())];
    let kinds: Vec<&str> = (0..r.random_range(2..9))
        .map(|_| KINDS[r.random_range(0..KINDS.len())].0)
        .collect();
    create_source(db, r, key_kind, &kinds).await;
    let live = store.catalog(&table("public", "src")).await.expect("src");
    let plain = whole(&live);
    let source = read_all(store, &plain).await.expect("the plain rows");
    assert_eq!(source.len(), ROWS);
    let all_kinds: Vec<&str> = [key_kind]
        .into_iter()
        .chain(kinds.iter().copied())
        .collect();
    let round = mapping(r, &live, &all_kinds, &source);

    let mut expected = Vec::new();
    for row in &source {
        match round
            .mapping
            .expected(row.clone(), &Bookkeeping::default())
            .expect("casts that lose nothing")
        {
            Expected::Row(row) => expected.push(row),
            Expected::Filtered => {}
            Expected::Unknown => panic!("every value is known"),
        }
    }
    expected.sort_by_key(|row| key_of(row, &round.mapping.key));
    let scan = scan_of(&round, &live);
    let read = read_all(store, &scan).await.expect("the mapped rows");
    assert_eq!(read, expected, "{scan:?}");
    pieces(store, r, &scan, &expected).await;
    let digests = digests_agree(db, store, &round, &scan, &expected).await;
    (expected.len(), digests)
}

async fn create_source(db: &mut Db, r: &mut StdRng, key_kind: &str, kinds: &[&str]) {
    let columns: Vec<String> = kinds
        .iter()
        .enumerate()
        .map(|(i, k)| format!("\"c {i}\" {k}"))
        .collect();
    db.run(&format!(
        "DROP TABLE IF EXISTS src; CREATE TABLE src (k {key_kind} PRIMARY KEY, {})",
        columns.join(", ")
    ))
    .await;
    let mut text = String::new();
    for n in 0..ROWS {
        text.push_str(&escape(&key(key_kind, n)));
        for kind in kinds {
            text.push('\t');
            text.push_str(&if r.random_bool(0.15) {
                "\\N".to_owned()
            } else {
                escape(&value(kind, r))
            });
        }
        text.push('\n');
    }
    let mut copy = db
        .admin
        .copy_in_raw("COPY src FROM STDIN")
        .await
        .expect("COPY");
    copy.send(text.as_bytes()).await.expect("sent");
    copy.finish().await.expect("copied");
}

fn mapping(r: &mut StdRng, live: &Catalog, kinds: &[&str], source: &[Row<'static>]) -> Round {
    let (mut columns, mut casts, mut chosen) = (Vec::new(), Vec::new(), Vec::new());
    let mut key_at = 0;
    let mut order: Vec<usize> = (0..kinds.len())
        .filter(|at| *at == 0 || r.random_bool(0.8))
        .collect();
    let turn = r.random_range(0..order.len());
    order.rotate_left(turn);
    for (place, at) in order.into_iter().enumerate() {
        let targets = KINDS
            .iter()
            .find(|(k, _)| *k == kinds[at])
            .map_or(&[][..], |(_, t)| *t);
        let cast = (!targets.is_empty() && r.random_bool(0.6))
            .then(|| targets[r.random_range(0..targets.len())]);
        if at == 0 {
            key_at = place;
        }
        let kind = cast.map_or_else(
            || live.columns[at].column.kind.clone(),
            trueup::store::dialect::postgres::column_type,
        );
        columns.push(Target {
            column: Column {
                name: format!("out {place}"),
                kind,
                nullable: at != 0,
            },
            from: From::Source(at),
        });
        casts.push(cast.map(str::to_owned));
        chosen.push(kinds[at].to_owned());
    }
    let filter = (0..r.random_range(0..3)).map(|_| {
        let at = r.random_range(0..kinds.len());
        let mut values: Vec<Cell<'static>> = (0..r.random_range(0..4))
            .map(|_| source[r.random_range(0..source.len())][at].clone())
            .collect();
        if r.random_bool(0.2) {
            values.push(Cell::Null);
        }
        if r.random_bool(0.1) {
            values.push(text("no such value\0"));
        }
        let mut test = Test::AnyOf(values);
        for _ in 0..r.random_range(0..3) {
            test = Test::Not(Box::new(test));
        }
        (at, test)
    });
    Round {
        mapping: Mapping {
            source: live.columns.iter().map(|c| c.column.clone()).collect(),
            source_key: vec![0],
            filter: filter.collect(),
            columns,
            key: vec![key_at],
        },
        casts,
        key_kind: kinds[0].to_owned(),
        kinds: chosen,
    }
}

fn scan_of(round: &Round, live: &Catalog) -> Scan {
    let outputs = round
        .mapping
        .columns
        .iter()
        .zip(&round.casts)
        .map(|(target, cast)| {
            let From::Source(at) = target.from else {
                panic!("only source columns")
            };
            Output {
                column: live.columns[at].column.clone(),
                cast: cast.as_ref().map(|_| target.column.kind.clone()),
            }
        });
    Scan {
        relation: Relation::Table(live.table.clone()),
        outputs: outputs.collect(),
        key: round.mapping.key.clone(),
        filter: round
            .mapping
            .filter
            .iter()
            .map(|(at, test)| (live.columns[*at].column.clone(), test.clone()))
            .collect(),
        scope: None,
        from: None,
        to: None,
    }
}

/// Ranges and look-ups give the rows that they should.
async fn pieces(store: &Postgres, r: &mut StdRng, scan: &Scan, expected: &[Row<'static>]) {
    if expected.is_empty() {
        return;
    }
    let key = |at: usize| key_of(&expected[at], &scan.key);
    let (mut a, mut b) = (
        r.random_range(0..expected.len()),
        r.random_range(0..expected.len()),
    );
    if a > b {
        (a, b) = (b, a);
    }
    let ranged = Scan {
        from: Some(key(a)),
        to: Some(key(b)),
        ..scan.clone()
    };
    assert_eq!(
        read_all(store, &ranged).await.expect("a range"),
        expected[a..b],
        "{ranged:?}"
    );
    let keys = [key(b), key(a), key(b)];
    let mut want = vec![expected[a].clone()];
    if a != b {
        want.push(expected[b].clone());
    }
    assert_eq!(store.lookup(scan, &keys).await.expect("keys"), want);
    let cuts = store.split(scan, 5).await.expect("cuts");
    assert_eq!(cuts.len(), 4.min(expected.len() - 1));
    assert!(
        cuts.is_sorted()
            && cuts
                .iter()
                .all(|c| expected.iter().any(|row| key_of(row, &scan.key) == *c))
    );
}

/// What was expected, stored in a table of the target's types, has the digest of the mapped source.
async fn digests_agree(
    db: &mut Db,
    store: &Postgres,
    round: &Round,
    scan: &Scan,
    expected: &[Row<'static>],
) -> bool {
    let Some(dialect) = store.digest_dialect(scan).await.expect("a dialect") else {
        return false;
    };
    let columns: Vec<String> = round
        .mapping
        .columns
        .iter()
        .zip(round.casts.iter().zip(&round.kinds))
        .enumerate()
        .map(|(i, (target, (cast, kind)))| {
            let rule = if i == round.mapping.key[0] {
                "PRIMARY KEY"
            } else {
                ""
            };
            format!(
                "\"{}\" {} {rule}",
                target.column.name,
                cast.as_ref().unwrap_or(kind)
            )
        })
        .collect();
    db.run(&format!(
        "DROP TABLE IF EXISTS dst; CREATE TABLE dst ({})",
        columns.join(", ")
    ))
    .await;
    let mut lines = String::new();
    for row in expected {
        let cells: Vec<String> = row
            .iter()
            .map(|c| trueup::projection::text::of(c).map_or("\\N".to_owned(), |t| escape(&t)))
            .collect();
        lines.push_str(&cells.join("\t"));
        lines.push('\n');
    }
    let mut copy = db
        .admin
        .copy_in_raw("COPY dst FROM STDIN")
        .await
        .expect("COPY");
    copy.send(lines.as_bytes()).await.expect("sent");
    copy.finish().await.expect("copied");
    let target = whole(&store.catalog(&table("public", "dst")).await.expect("dst"));
    assert_eq!(
        read_all(store, &target).await.expect("rows"),
        *expected,
        "key {}",
        round.key_kind
    );
    assert_eq!(
        store.digest_dialect(&target).await.expect("a dialect"),
        Some(dialect),
        "{scan:?}"
    );
    let (mapped, stored) = (
        store.digest(scan).await.expect("digest"),
        store.digest(&target).await.expect("digest"),
    );
    assert_eq!(mapped, stored, "{scan:?}");
    assert_eq!(stored.rows, expected.len() as u64);
    true
}
