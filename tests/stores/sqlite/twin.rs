//! The SQL twin of a mapping, against the mapping itself, over random rows and mappings.

#![allow(clippy::print_stdout)] // Seeds and figures are what these tests print.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use trueup::projection::cell::{Cell, Row};
use trueup::projection::change::Key;
use trueup::projection::mapping::{Bookkeeping, Expected, From, Mapping, Target, Test, key_of};
use trueup::projection::numeric;
use trueup::projection::text;
use trueup::projection::types::{Column, ColumnType};
use trueup::projection::version::{Rank, Version};
use trueup::store::{Access, Acts, Origin, Output, Relation, RunState, Scan};

use super::{Db, permit, plain, read, shadow, table};

const COLUMNS: &str = "b BOOLEAN, i BIGINT, f DOUBLE, n NUMERIC, m DECIMAL(10, 2), t TEXT, y BLOB, d DATE, ti TIME, \
     ts TIMESTAMP, tz TIMESTAMPTZ, u UUID, j JSON, a TEXT[], ai INTEGER[]";

const KEYS: [&str; 9] = [
    "k1 INTEGER",
    "k1 BIGINT",
    "k1 TEXT",
    "k1 UUID",
    "k1 BLOB",
    "k1 NUMERIC",
    "k1 DATE",
    "k1 TIMESTAMPTZ",
    "k1 DOUBLE",
];

fn characters(rng: &mut StdRng) -> String {
    const SOME: [char; 16] = [
        'a', 'B', 'z', '0', ' ', '"', '\'', '\\', '{', ',', '}', 'é', '漢', '😀', '\u{0}', '\n',
    ];
    let length = rng.random_range(0..8);
    (0..length)
        .filter_map(|_| SOME.choose(rng).copied())
        .collect()
}

/// A value of a type; `tame` leaves out what a key of that type cannot be in SQLite.
fn value(rng: &mut StdRng, kind: &ColumnType, tame: bool) -> Cell<'static> {
    let day = |rng: &mut StdRng| rng.random_range(-719_162..2_932_896);
    let micros = 86_400_000_000_i64;
    match kind {
        ColumnType::Bool => Cell::Bool(rng.random()),
        ColumnType::Int { .. } => Cell::Int(match rng.random_range(0..6) {
            0 => i64::MIN.into(),
            1 => i64::MAX.into(),
            2 => rng.random::<i64>().into(),
            _ => rng.random_range(-50..50),
        }),
        ColumnType::Float64 | ColumnType::Float32 => Cell::Float(match rng.random_range(0..8) {
            0 => f64::INFINITY,
            1 => f64::NEG_INFINITY,
            2 => f64::MIN_POSITIVE / 2.0,
            3 => f64::MAX,
            4 => f64::from(rng.random_range(-5..5)),
            _ => rng.random_range(-1e6..1e6),
        }),
        ColumnType::Numeric { size } => {
            let small = format!(
                "{}.{:02}",
                rng.random_range(-99_999..99_999),
                rng.random_range(0..100)
            );
            let number = match (rng.random_range(0..6), size) {
                (0, None) => i64::MAX.to_string(),
                (1, None) => text::of(&Cell::Float(rng.random_range(-1e3..1e3))).expect("a number"),
                (2, None) => "NaN".to_owned(),
                (3, None) => "1e-9".to_owned(),
                (4, None) => "Infinity".to_owned(),
                _ => small,
            };
            Cell::Numeric(
                numeric::parse(&number)
                    .expect("a number")
                    .into_owned()
                    .into(),
            )
        }
        ColumnType::Text { .. } | ColumnType::Other(_) => Cell::Text(characters(rng).into()),
        ColumnType::Bytes => {
            let length = rng.random_range(0..6);
            Cell::Bytes(
                (0..length)
                    .map(|_| rng.random())
                    .collect::<Vec<u8>>()
                    .into(),
            )
        }
        ColumnType::Date => Cell::Date(match rng.random_range(0..10) {
            0 if !tame => i32::MAX,
            1 if !tame => i32::MIN,
            2 if !tame => -800_000,
            _ => day(rng),
        }),
        ColumnType::Time { .. } => Cell::Time(rng.random_range(0..micros)),
        ColumnType::Timestamp { .. } | ColumnType::TimestampTz { .. } => {
            let at = match rng.random_range(0..10) {
                0 if !tame => i64::MAX,
                1 if !tame => i64::MIN,
                2 if !tame => -70_000_000_000_000_000,
                3 => i64::from(day(rng)) * micros,
                _ => i64::from(day(rng)) * micros + rng.random_range(0..micros),
            };
            match kind {
                ColumnType::Timestamp { .. } => Cell::Timestamp(at),
                _ => Cell::TimestampTz(at),
            }
        }
        ColumnType::Uuid => Cell::Uuid(rng.random()),
        ColumnType::Json => {
            const SOME: [&str; 8] = [
                r#"{"a": 1, "b": [1, 2.50]}"#,
                r#"{"b":[1,2.5],"a":1}"#,
                "1.50",
                "15e-1",
                "null",
                "\"x\"",
                "[]",
                "true",
            ];
            Cell::Json((*SOME.choose(rng).expect("one")).into())
        }
        ColumnType::Array(of) => {
            let length = rng.random_range(0..4);
            let cells = (0..length).map(|_| match rng.random_range(0..4) {
                0 => Cell::Null,
                _ => value(rng, of, tame),
            });
            Cell::Array(cells.collect())
        }
    }
}

/// A type that every value of `kind` fits without loss.
fn wider(rng: &mut StdRng, kind: &ColumnType, key: bool) -> Option<ColumnType> {
    use ColumnType as T;
    let some = match kind {
        T::Bool => vec![T::INT64, T::TEXT],
        T::Int { .. } => vec![T::Numeric { size: None }, T::TEXT],
        T::Float64 if !key => vec![T::TEXT],
        T::Numeric { .. } if !key => vec![T::Numeric { size: None }, T::TEXT],
        T::Date => vec![
            T::Timestamp { digits: 6 },
            T::TimestampTz { digits: 0 },
            T::TEXT,
        ],
        T::Timestamp { .. } => vec![T::TimestampTz { digits: 6 }, T::TEXT],
        T::TimestampTz { .. } => vec![T::Timestamp { digits: 6 }, T::TEXT],
        T::Uuid => vec![T::TEXT],
        T::Json if !key => vec![T::TEXT],
        _ => Vec::new(),
    };
    let some: Vec<_> = some
        .into_iter()
        .filter(|t| !(key && *kind == T::Bool && *t == T::TEXT))
        .collect();
    some.choose(rng).cloned()
}

fn random_test(rng: &mut StdRng, rows: &[Row<'static>], at: usize) -> Test {
    let mut values: Vec<Cell<'static>> = Vec::new();
    for _ in 0..rng.random_range(0..6) {
        values.push(match rng.random_range(0..4) {
            0 => Cell::Null,
            1 => Cell::Int(1i128 << 70), // Fits nowhere.
            _ => rows.choose(rng).map_or(Cell::Null, |row| row[at].clone()),
        });
    }
    let mut test = Test::AnyOf(values);
    for _ in 0..rng.random_range(0..3) {
        test = Test::Not(Box::new(test));
    }
    test
}

fn random_mapping(
    rng: &mut StdRng,
    source: &[Column],
    keys: usize,
    rows: &[Row<'static>],
) -> Mapping {
    let mut columns = Vec::new();
    for (at, column) in source.iter().enumerate() {
        if at >= keys && rng.random_range(0..3) == 0 {
            continue;
        }
        let key = at < keys;
        let cast = rng
            .random_bool(0.4)
            .then(|| wider(rng, &column.kind, key))
            .flatten();
        columns.push(Target {
            column: Column {
                name: format!("renamed_{}", column.name),
                kind: cast.unwrap_or_else(|| column.kind.clone()),
                nullable: true,
            },
            from: From::Source(at),
        });
    }
    let filters = rng.random_range(0..3);
    Mapping {
        source: source.to_vec(),
        source_key: (0..keys).collect(),
        columns,
        key: (0..keys).collect(),
        filter: (0..filters)
            .map(|_| {
                let at = rng.random_range(0..source.len());
                (at, random_test(rng, rows, at))
            })
            .collect(),
    }
}

/// The SQL side of a mapping.
fn scan_of(mapping: &Mapping, of: &str) -> Scan {
    let output = |target: &Target| {
        let From::Source(at) = target.from else {
            panic!("only source columns here")
        };
        let column = mapping.source[at].clone();
        let cast = (column.kind != target.column.kind).then(|| target.column.kind.clone());
        Output { column, cast }
    };
    let filter = mapping.filter.iter();
    Scan {
        relation: Relation::Table(table(of)),
        outputs: mapping.columns.iter().map(output).collect(),
        key: mapping.key.clone(),
        filter: filter
            .map(|(at, test)| (mapping.source[*at].clone(), test.clone()))
            .collect(),
        scope: None,
        from: None,
        to: None,
    }
}

#[tokio::test]
async fn a_scan_is_its_mapping() {
    let seed = std::env::var("TRUEUP_SEED")
        .ok()
        .and_then(|s| s.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    for round in 0..20 {
        one_round(&mut rng, round).await;
    }
}

async fn one_round(rng: &mut StdRng, round: usize) {
    let first = KEYS[round % KEYS.len()];
    let (key, keys) = if rng.random() {
        ("k1", 1)
    } else {
        ("k1, k2", 2)
    };
    let db = Db::new(&format!(
        "CREATE TABLE \"t t\" ({first} NOT NULL, k2 TEXT NOT NULL, {COLUMNS}, PRIMARY KEY ({key}))"
    ))
    .await;
    let store = db.open(Access::Write).await;
    let catalog = store.catalog(&table("t t")).await.expect("found");
    let columns: Vec<Column> = catalog.columns.iter().map(|c| c.column.clone()).collect();

    // Written by the store, read back as they are: equal, and in the order of their types.
    let mut rows: Vec<Row<'static>> = (0..500)
        .map(|_| {
            let cells = columns.iter().enumerate().map(|(at, column)| {
                if at > 1 && rng.random_range(0..5) == 0 {
                    Cell::Null
                } else {
                    value(rng, &column.kind, at < 2)
                }
            });
            cells.collect()
        })
        .collect();
    let key_at: Vec<usize> = (0..keys).collect();
    rows.sort_by_key(|row| key_of(row, &key_at));
    rows.dedup_by_key(|row| key_of(row, &key_at));
    let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
    let shadow = shadow(&store, "t t", "twin", &names).await;
    store.begin(&permit(), &shadow).await.expect("begun");
    let mut encoder = store.encoder(&shadow);
    for row in rows.iter().rev() {
        let version = Version {
            rank: Rank::default(),
            partition: 0,
            offset: 0,
            clock: None,
        };
        encoder.first(
            row,
            &Origin {
                version,
                arrival: 0,
            },
        );
    }
    store
        .append(
            &permit(),
            &shadow,
            encoder.take(),
            &trueup::store::Mark::default(),
        )
        .await
        .expect("appended");
    let source = read(
        &store,
        Scan {
            relation: Relation::Table(store.shadow_table(&shadow)),
            ..plain(&catalog, &table("t t"))
        },
    );
    assert_eq!(source.await.expect("rows"), rows);
    store.build(&permit(), &shadow).await.expect("built");
    store.seal(&permit(), &shadow).await.expect("sealed");
    store
        .swap(
            &permit(),
            std::slice::from_ref(&shadow),
            &trueup::store::Fence::none(),
        )
        .await
        .expect("swapped");
    store
        .end(&permit(), &shadow, RunState::Swapped)
        .await
        .expect("ended");
    let source = read(&store, plain(&catalog, &table("t t")))
        .await
        .expect("rows");
    assert_eq!(source, rows);

    for _ in 0..4 {
        let mapping = random_mapping(rng, &columns, keys, &rows);
        let scan = scan_of(&mapping, "t t");
        let kept = Bookkeeping::default();
        let mut expected: Vec<Row<'static>> = Vec::new();
        for row in source.clone() {
            match mapping.expected(row, &kept).expect("casts lose nothing") {
                Expected::Row(row) => expected.push(row),
                Expected::Filtered => {}
                Expected::Unknown => panic!("every value is known"),
            }
        }
        expected.sort_by_key(|row| key_of(row, &mapping.key));
        let actual = read(&store, scan.clone()).await.expect("rows");
        assert_eq!(actual, expected, "{mapping:?}");
        ranges_and_keys(&store, &scan, &expected, rng).await;
    }
}

/// The parts of a split are the whole; keys are found where they are.
async fn ranges_and_keys(
    store: &trueup::store::sqlite::Sqlite,
    scan: &Scan,
    expected: &[Row<'static>],
    rng: &mut StdRng,
) {
    let cuts = store
        .split(scan, rng.random_range(1..9))
        .await
        .expect("cuts");
    assert!(cuts.is_sorted(), "{cuts:?}");
    let mut parts = Vec::new();
    for i in 0..=cuts.len() {
        let part = Scan {
            from: i.checked_sub(1).map(|i| cuts[i].clone()),
            to: cuts.get(i).cloned(),
            ..scan.clone()
        };
        parts.extend(read(store, part).await.expect("rows"));
    }
    assert_eq!(parts, expected);
    let mut wanted: Vec<&Row<'static>> = expected
        .iter()
        .filter(|_| rng.random_range(0..9) == 0)
        .collect();
    let mut keys: Vec<Key<'static>> = wanted.iter().map(|row| key_of(row, &scan.key)).collect();
    for (at, output) in scan.key.iter().map(|at| &scan.outputs[*at]).enumerate() {
        if let Some(mut other) = keys.first().cloned() {
            other.0[at] = value(rng, output.kind(), true);
            if !expected.iter().any(|row| key_of(row, &scan.key) == other) {
                keys.push(other);
            }
        }
    }
    keys.reverse();
    wanted.sort_by_key(|row| key_of(row, &scan.key));
    let found = store.lookup(scan, &keys).await.expect("rows");
    assert_eq!(found.iter().collect::<Vec<_>>(), wanted);
}
