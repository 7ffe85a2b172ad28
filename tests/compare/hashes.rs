//! What PostgreSQL's own hashes take for equal is told apart, and what is equal across types is proven so by hash. One row a
//! table, so that nothing else can make a difference.

use super::systems::{PAIRS, Systems};
use crate::support::pair::Side;

/// Type in the primary and in the read store, a value, one that differs from it.
const DIFFERENT: &[[&str; 4]] = &[
    ["numeric", "numeric", "1.5", "-1.5"],
    ["numeric(12,2)", "numeric(12,2)", "100", "-100"],
    ["integer", "numeric", "7", "-7"],
    ["numeric", "numeric", "'NaN'", "'Infinity'"],
    ["numeric", "numeric", "'Infinity'", "'-Infinity'"],
    ["numeric", "numeric", "'NaN'", "NULL"],
    ["numeric", "numeric", "0", "NULL"],
    ["numeric", "numeric", "NULL", "'-Infinity'"],
    ["float8", "float8", "0", "NULL"],
    ["float8", "float8", "NULL", "'-0'"],
    ["float8", "float8", "'NaN'", "NULL"],
    ["float8", "float8", "'NaN'", "'Infinity'"],
    ["real", "float8", "0.1", "0.1"],
    ["real", "real", "0", "NULL"],
    ["bigint", "bigint", "8589934595", "12884901890"],
    ["bigint", "bigint", "0", "4294967297"],
    ["bigint", "bigint", "-1", "-4294967298"],
    ["integer", "bigint", "0", "4294967297"],
    ["bigint", "numeric", "0", "4294967297"],
    ["boolean", "integer", "TRUE", "2"],
    ["boolean", "boolean", "FALSE", "NULL"],
    [
        "timestamp",
        "timestamp",
        "'2000-01-01 02:23:09.934595'",
        "'2000-01-01 03:34:44.90189'",
    ],
    [
        "timestamptz",
        "timestamptz",
        "'2000-01-01 02:23:09.934595+00'",
        "'2000-01-01 03:34:44.90189+00'",
    ],
    [
        "timestamptz",
        "timestamp",
        "'2000-01-01 00:00:00+00'",
        "'2000-01-01 01:11:34.967297'",
    ],
    ["time", "time", "'02:23:09.934595'", "'03:34:44.90189'"],
    ["time", "time", "'00:00:00'", "'24:00:00'"],
    [
        "date",
        "timestamp",
        "'2024-02-29'",
        "'2024-02-29 00:00:00.000001'",
    ],
    ["jsonb", "jsonb", "'[[1],2]'", "'[[1,2]]'"],
    [
        "jsonb",
        "jsonb",
        "'{\"a\":{\"b\":1},\"c\":2}'",
        "'{\"a\":{\"b\":1,\"c\":2}}'",
    ],
    ["jsonb", "jsonb", "'{\"a\":1}'", "'{\"a\":-1}'"],
    ["jsonb", "jsonb", "'[[]]'", "NULL"],
    ["jsonb", "jsonb", "'null'", "NULL"],
    ["integer[]", "integer[]", "'{}'", "NULL"],
    ["integer[]", "integer[]", "'{NULL}'", "'{}'"],
    ["float8[]", "float8[]", "'{0}'", "'{NULL}'"],
    ["numeric[]", "numeric[]", "'{1.5}'", "'{-1.5}'"],
    ["text[]", "text[]", "'{\"a,b\"}'", "'{a,b}'"],
    ["text", "text", "''", "NULL"],
    ["text", "text", "'a'", "'a '"],
    ["text", "text COLLATE folded", "'a'", "'A'"],
    ["text COLLATE folded", "text COLLATE folded", "'é'", "'É'"],
    ["citext", "citext", "'a'", "'A'"],
    ["character(4)", "text", "'a'", "'a '"],
    ["character(4)", "character(4)", "''", "NULL"],
    ["bytea", "bytea", "'\\x'", "NULL"],
    ["bytea", "bytea", "'\\x00'", "'\\x0000'"],
    [
        "uuid",
        "text",
        "'00112233-4455-6677-8899-aabbccddeeff'",
        "'00112233-4455-6677-8899-AABBCCDDEEFF'",
    ],
    ["mood", "mood", "'sad'", "'Sad'"],
    ["interval", "interval", "'1 day'", "'24:00:00'"],
];

/// The same, of values that are equal.
const EQUAL: &[[&str; 4]] = &[
    ["smallint", "integer", "-32768", "-32768"],
    ["smallint", "bigint", "-1", "-1"],
    ["integer", "bigint", "-2147483648", "-2147483648"],
    ["integer", "numeric(12,2)", "5", "5"],
    [
        "bigint",
        "numeric",
        "-9223372036854775808",
        "-9223372036854775808.00",
    ],
    [
        "bigint",
        "text",
        "-9223372036854775808",
        "'-9223372036854775808'",
    ],
    ["numeric(12,4)", "numeric", "1.5", "1.500000"],
    ["numeric", "numeric", "10000", "10000.0000"],
    ["numeric", "numeric", "-0.0", "0"],
    ["numeric", "numeric", "'NaN'", "'nan'"],
    ["boolean", "smallint", "TRUE", "1"],
    ["boolean", "bigint", "FALSE", "0"],
    ["boolean", "text", "TRUE", "'true'"],
    ["real", "float8", "0.1", "0.1::real::float8"],
    ["real", "float8", "'-0'", "0"],
    ["float8", "float8", "'-0'", "0"],
    [
        "float8",
        "float8",
        "'Infinity'::float8 - 'Infinity'::float8",
        "'NaN'",
    ],
    ["character(4)", "character(9)", "'a'", "'a '"],
    ["character(4)", "varchar(9)", "'a '", "'a'"],
    ["varchar(9)", "text COLLATE folded", "'a'", "'a'"],
    ["date", "timestamp", "'infinity'", "'infinity'"],
    [
        "date",
        "timestamptz",
        "'2024-02-29'",
        "'2024-02-29 05:30:00+05:30'",
    ],
    ["date", "text", "'2024-02-29'", "'2024-02-29'"],
    ["time(0)", "time", "'12:34:56'", "'12:34:56.000'"],
    [
        "timestamp(3)",
        "timestamptz",
        "'2024-02-29 12:34:56.789'",
        "'2024-02-29 12:34:56.789+00'",
    ],
    [
        "timestamptz(0)",
        "timestamp",
        "'2024-02-29 12:34:56-03:30'",
        "'2024-02-29 16:04:56'",
    ],
    [
        "uuid",
        "text",
        "'00112233-4455-6677-8899-AABBCCDDEEFF'",
        "'00112233-4455-6677-8899-aabbccddeeff'",
    ],
    [
        "jsonb",
        "jsonb",
        "'{\"b\":1,\"a\":[]}'",
        "'{ \"a\": [],  \"b\": 1 }'",
    ],
    ["text[]", "text[]", "'{a,\"b\"}'", "ARRAY['a', 'b']"],
    ["price", "numeric", "1.5", "1.50"],
    ["bytea", "bytea", "'\\x00FF'", "'\\000\\377'"],
];

/// The tables of these cases and the views over them.
fn tables(systems: &Systems, cases: &[[&str; 4]]) {
    let [mut primary, mut read, mut sources, mut views] = [const { String::new() }; 4];
    for (i, [from, to, here, there]) in cases.iter().enumerate() {
        primary += &format!(
            "CREATE TABLE t{i} (id int PRIMARY KEY, v {from}); INSERT INTO t{i} VALUES (1, {here});\n"
        );
        read += &format!(
            "CREATE TABLE r{i} (id int PRIMARY KEY, v {to}); INSERT INTO r{i} VALUES (1, {there});\n"
        );
        sources += &format!("  t{i}: {{ topic: t{i}, table: t{i} }}\n");
        views += &format!("  v{i}: {{ table: r{i}, key: [id], from: t{i} }}\n");
    }
    systems.sql(Side::Primary, &primary);
    systems.sql(Side::Read, &read);
    systems.playbook(&sources, &views);
}

#[test]
fn what_a_hash_cannot_tell_is_told_apart() {
    let Some(systems) = Systems::new(PAIRS[0]) else {
        return;
    };
    tables(&systems, DIFFERENT);
    for way in systems.ways() {
        let verdict = systems.trueup(way).exit(1).json();
        let views = verdict["views"].as_array().unwrap();
        assert_eq!(views.len(), DIFFERENT.len());
        for (i, case) in DIFFERENT.iter().enumerate() {
            let view = views.iter().find(|v| v["view"] == format!("v{i}")).unwrap();
            assert_eq!(view["changed"], 1, "{way:?} {case:?}: {view}");
        }
    }
}

#[test]
fn what_is_equal_across_types_is_proven_by_hash() {
    let Some(systems) = Systems::new(PAIRS[0]) else {
        return;
    };
    tables(&systems, EQUAL);
    for way in systems.ways() {
        let verdict = systems.trueup(way).exit(0).json();
        let views = verdict["views"].as_array().unwrap();
        assert_eq!(views.len(), EQUAL.len());
        let by = if way.contains(&"--no-hash") {
            "merge"
        } else {
            "hash"
        };
        for (i, case) in EQUAL.iter().enumerate() {
            let view = views.iter().find(|v| v["view"] == format!("v{i}")).unwrap();
            assert_eq!(view["compared_by"], by, "{way:?} {case:?}: {view}");
        }
    }
}

/// Small hashes that add up alike: two empty things in different places.
#[test]
fn empty_in_another_place() {
    let Some(systems) = Systems::new(PAIRS[0]) else {
        return;
    };
    let table = |name: &str, values: &str| {
        format!(
            "CREATE TABLE {name} (id int PRIMARY KEY, a int[], b int[], c float8, d float8, e numeric, f numeric); INSERT INTO {name} VALUES {values};"
        )
    };
    systems.sql(
        Side::Primary,
        &table("t", "(1, '{}', NULL, 0, NULL, 0, 'NaN'), (2, NULL, NULL, NULL, NULL, 1, 2), (3, NULL, NULL, 1, 2, 3, 4)"),
    );
    systems.sql(
        Side::Read,
        &table("r", "(1, NULL, '{NULL}', NULL, 0, 'NaN', 0), (2, NULL, NULL, NULL, NULL, 3, 2), (3, NULL, NULL, 1, 2, 1, 4)"),
    );
    systems.playbook(
        "  t: { topic: t, table: t }\n",
        "  v: { table: r, key: [id], from: t }\n",
    );
    for way in systems.ways() {
        let verdict = systems.trueup(way).exit(1).json();
        assert_eq!(verdict["views"][0]["changed"], 3, "{way:?}");
    }
}

/// An array of another shape with the same elements is refused where it has to be looked at, and never called equal.
#[test]
fn dimensions_are_no_elements() {
    let Some(systems) = Systems::new(PAIRS[0]) else {
        return;
    };
    for (here, there) in [("{1,2}", "[0:1]={1,2}"), ("{{1,2},{3,4}}", "{1,2,3,4}")] {
        let table = |name: &str, value: &str| {
            format!(
                "DROP TABLE IF EXISTS {name}; CREATE TABLE {name} (id int PRIMARY KEY, a int[]); INSERT INTO {name} VALUES (1, '{value}');"
            )
        };
        systems.sql(Side::Primary, &table("t", here));
        systems.sql(Side::Read, &table("r", there));
        systems.playbook(
            "  t: { topic: t, table: t }\n",
            "  v: { table: r, key: [id], from: t }\n",
        );
        for way in systems.ways() {
            systems.trueup(way).exit(3).says(&["column a", "int32[]"]);
        }
    }
}
