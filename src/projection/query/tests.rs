//! Real queries of both dialects: what is found in them, what is refused, and that the rest stays as it is.

use super::*;

const SOURCES: &[&str] = &["orders", "customers", "items", "Odd One", "größe"];

fn resolve(schema: Option<&str>, name: &str) -> Result<String, NoSource> {
    let known =
        SOURCES.contains(&name) && matches!(schema, None | Some("public" | "main" | "Shop"));
    known.then(|| name.to_owned()).ok_or(NoSource {
        what: format!("`{name}` is no source"),
        fix: "did you mean `orders`?".to_owned(),
    })
}

fn read(dialect: Dialect, as_of: Option<&str>, text: &str) -> Result<Query, Vec<QueryProblem>> {
    Query::parse(text, dialect, as_of, &resolve)
}

#[track_caller]
fn query(dialect: Dialect, text: &str) -> Query {
    read(dialect, None, text).unwrap_or_else(|problems| panic!("{text}\n{problems:?}"))
}

#[track_caller]
fn problems(dialect: Dialect, text: &str) -> String {
    let problems = read(dialect, None, text).expect_err(text);
    let lines: Vec<String> = problems.iter().map(QueryProblem::to_string).collect();
    lines.join("\n")
}

/// The text over tables whose names show where they were written.
fn over(query: &Query) -> String {
    query.over(|source| format!("<{source}>"))
}

#[track_caller]
fn rewritten(dialect: Dialect, text: &str, expected: &str) {
    assert_eq!(over(&query(dialect, text)), expected, "{text}");
}

use Dialect::{Postgres, Sqlite};

#[test]
fn tables_are_replaced_in_place_and_nothing_else() {
    for dialect in [Postgres, Sqlite] {
        for (text, expected) in [
            (
                "SELECT * FROM orders",
                r#"SELECT * FROM <orders> AS "orders""#,
            ),
            (
                " select o.id\tfrom  orders o ;\n",
                " select o.id\tfrom  <orders> o \n",
            ),
            (
                "SELECT 1 FROM orders AS customers, customers AS orders -- customers",
                "SELECT 1 FROM <orders> AS customers, <customers> AS orders -- customers",
            ),
            (
                "SELECT 'é from orders', \"orders\".x /* 日本 orders */ FROM \"größe\" g, \"orders\"",
                "SELECT 'é from orders', \"orders\".x /* 日本 orders */ FROM <größe> g, <orders> AS \"orders\"",
            ),
            (
                "SELECT x FROM \"Odd One\" JOIN items USING (id)",
                r#"SELECT x FROM <Odd One> AS "Odd One" JOIN <items> AS "items" USING (id)"#,
            ),
            (
                "SELECT orders.id, orders FROM orders WHERE EXISTS (SELECT 1 FROM items i WHERE i.order_id = orders.id AND i.x IN (SELECT y FROM customers))",
                r#"SELECT orders.id, orders FROM <orders> AS "orders" WHERE EXISTS (SELECT 1 FROM <items> i WHERE i.order_id = orders.id AND i.x IN (SELECT y FROM <customers> AS "customers"))"#,
            ),
            (
                "SELECT a FROM orders o LEFT JOIN (items i JOIN customers c ON i.a = c.a) ON o.a = i.a UNION ALL SELECT b FROM items ORDER BY 1 LIMIT 3",
                r#"SELECT a FROM <orders> o LEFT JOIN (<items> i JOIN <customers> c ON i.a = c.a) ON o.a = i.a UNION ALL SELECT b FROM <items> AS "items" ORDER BY 1 LIMIT 3"#,
            ),
            ("VALUES (1, 'orders')", "VALUES (1, 'orders')"),
        ] {
            rewritten(dialect, text, expected);
        }
    }
    rewritten(
        Postgres,
        "SELECT Orders.id FROM public.Orders",
        r#"SELECT Orders.id FROM <orders> AS "orders""#,
    );
    rewritten(
        Postgres,
        "SELECT 1 FROM \"Shop\".\"Odd One\" x(a, b)",
        "SELECT 1 FROM <Odd One> x(a, b)",
    );
    rewritten(
        Sqlite,
        "SELECT [orders].a FROM [orders], main.`items` i",
        r#"SELECT [orders].a FROM <orders> AS "orders", <items> i"#,
    );
    let sources = query(
        Postgres,
        "SELECT 1 FROM items, orders a, orders b, customers",
    );
    assert_eq!(sources.sources(), ["customers", "items", "orders"]);
}

/// A common table expression shadows a table only where it can be seen.
#[test]
fn common_table_expressions_are_no_tables_where_they_are_seen() {
    let (pg, lite) = ([Postgres].as_slice(), [Sqlite].as_slice());
    let both = [Postgres, Sqlite];
    for (dialects, text, expected) in [
        (
            pg,
            "WITH orders AS (SELECT * FROM orders) SELECT * FROM orders",
            r#"WITH orders AS (SELECT * FROM <orders> AS "orders") SELECT * FROM orders"#,
        ),
        (
            &both,
            "WITH a AS (SELECT 1 FROM orders o) SELECT * FROM (WITH orders AS (SELECT 1) SELECT * FROM orders, a) s, orders p",
            "WITH a AS (SELECT 1 FROM <orders> o) SELECT * FROM (WITH orders AS (SELECT 1) SELECT * FROM orders, a) s, <orders> p",
        ),
        (
            pg,
            "WITH items AS (SELECT 1 FROM orders o), orders AS (SELECT 1 FROM items, orders o) SELECT 1 FROM items, orders",
            "WITH items AS (SELECT 1 FROM <orders> o), orders AS (SELECT 1 FROM items, <orders> o) SELECT 1 FROM items, orders",
        ),
        (
            lite,
            "WITH a AS (SELECT 1 FROM items), items AS (SELECT 1) SELECT 1 FROM a",
            "WITH a AS (SELECT 1 FROM items), items AS (SELECT 1) SELECT 1 FROM a",
        ),
        (
            &both,
            "WITH RECURSIVE items(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM items, orders o) SELECT * FROM items",
            "WITH RECURSIVE items(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM items, <orders> o) SELECT * FROM items",
        ),
        (
            &both,
            "SELECT (WITH items AS (SELECT 1 FROM orders o) SELECT max(1) FROM items) FROM items i",
            "SELECT (WITH items AS (SELECT 1 FROM <orders> o) SELECT max(1) FROM items) FROM <items> i",
        ),
        (
            pg,
            "WITH \"Items\" AS (SELECT 1) SELECT 1 FROM Items i",
            "WITH \"Items\" AS (SELECT 1) SELECT 1 FROM <items> i",
        ),
        (
            pg,
            "WITH items AS (SELECT 1) SELECT 1 FROM public.items i",
            "WITH items AS (SELECT 1) SELECT 1 FROM <items> i",
        ),
    ] {
        for dialect in dialects {
            rewritten(*dialect, text, expected);
        }
    }
}

/// What `pg_get_viewdef` and people write.
#[test]
fn real_queries_are_read() {
    for text in [
        " SELECT o.id AS order_id,\n    c.name AS customer,\n    count(i.id) AS items,\n    sum(((i.qty)::numeric * i.price)) AS total\n   FROM ((public.orders o\n     JOIN public.customers c ON ((c.id = o.customer_id)))\n     LEFT JOIN public.items i ON ((i.order_id = o.id)))\n  GROUP BY o.id, c.name;",
        "SELECT count(*) FILTER (WHERE a) AS n, percentile_cont(0.5) WITHIN GROUP (ORDER BY x) FROM orders GROUP BY GROUPING SETS ((a), (b), ())",
        "SELECT * FROM orders o, LATERAL (SELECT max(x) FROM items i WHERE i.o = o.id) m, generate_series(1, o.n) g(n), unnest(ARRAY[1, 2]) WITH ORDINALITY u",
        "SELECT o.a OPERATOR(pg_catalog.=) o.b, ARRAY[]::text[], (o.c).d, o.e[1:2], o.f -> 'x' ->> 'y', o.g @> '{}'::jsonb FROM orders o",
        "SELECT sum(x) OVER w, rank() OVER (PARTITION BY a ORDER BY b DESC NULLS LAST ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM orders WINDOW w AS (PARTITION BY c ORDER BY d)",
        "SELECT DISTINCT ON (o.customer_id) o.customer_id, o.id FROM orders o ORDER BY o.customer_id, o.at DESC, o.id",
        "SELECT E'a\\'b', $$ ; from x $$, $q$ -- $q$ /* a /* b */ from c */, U&'\\0041', interval '1 day', x AT TIME ZONE 'utc' FROM orders",
        "SELECT CASE WHEN (a > 0) THEN 'x'::text ELSE NULL::text END AS k, COALESCE(b, (0)::bigint), EXTRACT(epoch FROM t), \"substring\"(s, 2), (a || b) COLLATE \"C\" FROM orders WHERE ((a)::text = ANY ((ARRAY['x'::character varying, 'y'::character varying])::text[])) AND NOT (EXISTS ( SELECT FROM items))",
        "(SELECT a FROM orders) INTERSECT (SELECT a FROM items EXCEPT SELECT a FROM customers)",
        "SELECT a FROM orders NATURAL JOIN items FULL JOIN customers USING (a) FETCH FIRST 0 ROWS ONLY",
        "SELECT string_agg(DISTINCT a, ', ' ORDER BY a) FROM orders GROUP BY ROLLUP (b), CUBE (c) HAVING count(*) > 1",
        "SELECT key, value FROM orders, json_each(orders.body), jsonb_to_recordset(orders.x) AS r(a integer, b text)",
    ] {
        // The one that cuts rows off says so; the others read.
        match read(Postgres, None, text) {
            Ok(_) => {}
            Err(found) => assert!(
                text.contains("FETCH") && found.len() == 1,
                "{text}\n{found:?}"
            ),
        }
    }
    for text in [
        "SELECT o.id, group_concat(i.name, ', ' ORDER BY i.name) FROM orders o LEFT JOIN items i ON i.o == o.id GROUP BY 1",
        "SELECT json_group_array(json_object('a', a)) FILTER (WHERE b IS NOT NULL) FROM orders",
        "SELECT x ->> '$.a', iif(a, b, c), a GLOB 'x*', CAST(a AS TEXT), x'ab' FROM orders WHERE a NOT NULL LIMIT 0 OFFSET 0",
        "SELECT value FROM orders, json_each(orders.tags)",
        "SELECT sum(a) OVER (ORDER BY b ROWS 2 PRECEDING) FROM orders WHERE date(at, '+1 day') < date('2024-01-31')",
    ] {
        match read(Sqlite, None, text) {
            Ok(_) => {}
            Err(found) => assert!(
                text.contains("LIMIT") && found.len() == 1,
                "{text}\n{found:?}"
            ),
        }
    }
    let joins: String = (0..60)
        .map(|n| format!(" JOIN items i{n} ON (i{n}.a = o.a))"))
        .collect();
    let deep = format!("SELECT 1 FROM {}orders o{joins}", "(".repeat(60));
    assert_eq!(query(Postgres, &deep).sources(), ["items", "orders"]);
}

/// Whatever would make the rows something else than a function of the sources' rows.
#[test]
fn what_is_no_view_is_refused_with_its_place() {
    let postgres = [
        "SELECT * FROM ordrs, public.cats, other.orders, a.b.c",
        "SELECT *\nFROM ONLY orders",
        "SELECT * FROM ONLY (orders)",
        "SELECT * FROM orders o TABLESAMPLE system (5)",
        "SELECT * FROM orders FOR UPDATE",
        "SELECT 1 INTO x FROM orders",
        "WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d",
        "SELECT 'é', random(), o.id, nextval('s'), pg_catalog.clock_timestamp() FROM orders o, gen_random_uuid() g",
        "SELECT current_user, user, version(), ctid, o.xmin FROM orders o",
        "SELECT now(), current_date, age(o.at), 'now'::timestamptz, DATE 'Today' FROM orders o, current_timestamp",
        "SELECT a FROM orders LIMIT 1",
        "(SELECT DISTINCT ON (a) a FROM orders) UNION ALL (SELECT a FROM orders ORDER BY a OFFSET 3)",
        "SELECT public.orders.id, public.orders.* FROM public.orders",
        "SELECT $1 FROM orders",
        "SELECT 1; SELECT 2",
        "UPDATE orders SET a = 1",
        "",
        "SELECT a FROM orders\nWHERE (b = 'ü' AND",
        "SELECT 'ü",
    ];
    let said: Vec<String> = postgres
        .map(|text| format!("-- {text}\n{}", problems(Postgres, text)))
        .to_vec();
    insta::assert_snapshot!(said.join("\n"), @r#"
    -- SELECT * FROM ordrs, public.cats, other.orders, a.b.c
    1:15: `ordrs` is no source; did you mean `orders`?
    1:22: `cats` is no source; did you mean `orders`?
    1:35: `orders` is no source; did you mean `orders`?
    1:49: `a.b.c` has more parts than schema and table; leave the database out
    -- SELECT *
    FROM ONLY orders
    2:6: ONLY leaves rows of a table's children out, which a copy of the table cannot know; take ONLY out
    -- SELECT * FROM ONLY (orders)
    1:15: ONLY leaves rows of a table's children out, which a copy of the table cannot know; take ONLY out
    -- SELECT * FROM orders o TABLESAMPLE system (5)
    1:24: TABLESAMPLE does not give the same rows twice; read the whole table
    -- SELECT * FROM orders FOR UPDATE
    1:22: FOR locks rows, or writes them otherwise; take it out
    -- SELECT 1 INTO x FROM orders
    1:10: INTO writes a table; take it out
    -- WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d
    1:12: a part of this writes; write a SELECT alone
    -- SELECT 'é', random(), o.id, nextval('s'), pg_catalog.clock_timestamp() FROM orders o, gen_random_uuid() g
    1:13: `random` does not give the same value twice; a view can only hold what its sources hold: take it out
    1:29: `nextval` does not give the same value twice; a view can only hold what its sources hold: take it out
    1:43: `clock_timestamp` does not give the same value twice; a view can only hold what its sources hold: take it out
    1:87: `gen_random_uuid` does not give the same value twice; a view can only hold what its sources hold: take it out
    -- SELECT current_user, user, version(), ctid, o.xmin FROM orders o
    1:8: `current_user` gives another value in another session; a view can only hold what its sources hold: take it out
    1:22: `user` gives another value in another session; a view can only hold what its sources hold: take it out
    1:28: `version` gives another value in another session; a view can only hold what its sources hold: take it out
    1:39: `ctid` is the database's own, and another in every copy of a table; use the key's columns, or quote it if the column is yours
    1:47: `xmin` is the database's own, and another in every copy of a table; use the key's columns, or quote it if the column is yours
    -- SELECT now(), current_date, age(o.at), 'now'::timestamptz, DATE 'Today' FROM orders o, current_timestamp
    1:8: `now` gives another value at another time; pin it: `as_of: 2024-01-31T12:00:00Z` beside `query:`
    1:15: `current_date` gives another value at another time; pin it: `as_of: 2024-01-31T12:00:00Z` beside `query:`
    1:29: `age` gives another value at another time; pin it: `as_of: 2024-01-31T12:00:00Z` beside `query:`
    1:40: 'now' reads the clock when it is cast; write `now()` or `current_date`, and pin it with `as_of:`
    1:65: 'Today' reads the clock when it is cast; write `now()` or `current_date`, and pin it with `as_of:`
    1:88: `current_timestamp` is no source; did you mean `orders`?
    -- SELECT a FROM orders LIMIT 1
    1:22: LIMIT without ORDER BY: which rows it keeps is not defined; add an ORDER BY that no two rows share, or take it out
    -- (SELECT DISTINCT ON (a) a FROM orders) UNION ALL (SELECT a FROM orders ORDER BY a OFFSET 3)
    1:9: DISTINCT without ORDER BY: which rows it keeps is not defined; add an ORDER BY that no two rows share, or take it out
    -- SELECT public.orders.id, public.orders.* FROM public.orders
    1:8: a column is named by its schema, `public`; leave the schema out: `orders` and the column
    1:26: a table is named by its schema, `public`; leave the schema out: `orders.*`
    -- SELECT $1 FROM orders
    1:8: `$1` stands for a value that nobody gives; write the value
    -- SELECT 1; SELECT 2
    1:1: these are 2 statements; write one SELECT
    -- UPDATE orders SET a = 1
    1:1: this is no query; write one SELECT
    -- 
    1:1: this is no query; write one SELECT
    -- SELECT a FROM orders
    WHERE (b = 'ü' AND
    2:19: this cannot be read as PostgreSQL: Expected: an expression, found: the end; if the database takes it, write it in another way here
    -- SELECT 'ü
    1:8: this cannot be read as PostgreSQL: Unterminated string literal; if the database takes it, write it in another way here
    "#);
    let sqlite = [
        "SELECT random(), randomblob(3), last_insert_rowid(), changes(), sqlite_version(), rowid FROM orders",
        "SELECT CURRENT_TIMESTAMP, date('now'), time(), strftime('%Y', 'NOW', 'utc'), datetime('subsec') FROM orders",
        "SELECT ?1, :x FROM sqlite_master",
        "SELECT a FROM orders LIMIT 3, 4",
    ];
    let said: Vec<String> = sqlite
        .map(|text| format!("-- {text}\n{}", problems(Sqlite, text)))
        .to_vec();
    insta::assert_snapshot!(said.join("\n"), @r#"
    -- SELECT random(), randomblob(3), last_insert_rowid(), changes(), sqlite_version(), rowid FROM orders
    1:8: `random` does not give the same value twice; a view can only hold what its sources hold: take it out
    1:18: `randomblob` does not give the same value twice; a view can only hold what its sources hold: take it out
    1:33: `last_insert_rowid` does not give the same value twice; a view can only hold what its sources hold: take it out
    1:54: `changes` does not give the same value twice; a view can only hold what its sources hold: take it out
    1:65: `sqlite_version` gives another value in another session; a view can only hold what its sources hold: take it out
    1:83: `rowid` is the database's own, and another in every copy of a table; use the key's columns, or quote it if the column is yours
    -- SELECT CURRENT_TIMESTAMP, date('now'), time(), strftime('%Y', 'NOW', 'utc'), datetime('subsec') FROM orders
    1:8: `current_timestamp` gives another value at another time; pin it: `as_of: 2024-01-31T12:00:00Z` beside `query:`
    1:27: `date` gives another value at another time; pin it: `as_of: 2024-01-31T12:00:00Z` beside `query:`
    1:40: `time` gives another value at another time; pin it: `as_of: 2024-01-31T12:00:00Z` beside `query:`
    1:48: `strftime` gives another value at another time; pin it: `as_of: 2024-01-31T12:00:00Z` beside `query:`
    1:78: `datetime` reads the clock in a way that cannot be pinned; write it in another way
    -- SELECT ?1, :x FROM sqlite_master
    1:8: `?1` stands for a value that nobody gives; write the value
    1:12: `:x` stands for a value that nobody gives; write the value
    1:20: `sqlite_master` is no source; did you mean `orders`?
    -- SELECT a FROM orders LIMIT 3, 4
    1:22: LIMIT without ORDER BY: which rows it keeps is not defined; add an ORDER BY that no two rows share, or take it out
    "#);
}

#[test]
fn now_is_the_instant_that_is_given() {
    let pinned = |dialect, text: &str| {
        let as_of = Some("2024-03-01T01:30:00.25+02:00");
        let query = read(dialect, as_of, text);
        over(&query.unwrap_or_else(|problems| panic!("{text}\n{problems:?}")))
    };
    for (text, expected) in [
        (
            "SELECT now() - at AS a FROM orders o",
            "SELECT TIMESTAMPTZ '2024-02-29 23:30:00.25+00' - at AS a FROM <orders> o",
        ),
        (
            "SELECT now(), current_date, x.now FROM orders x",
            "SELECT TIMESTAMPTZ '2024-02-29 23:30:00.25+00' AS \"now\", DATE '2024-02-29' AS \"current_date\", x.now FROM <orders> x",
        ),
        (
            "SELECT pg_catalog.now ( )::date AS d",
            "SELECT TIMESTAMPTZ '2024-02-29 23:30:00.25+00'::date AS d",
        ),
        (
            "SELECT 1 WHERE LOCALTIMESTAMP(0) > at AND current_time <> t",
            "SELECT 1 WHERE CAST(TIMESTAMP '2024-02-29 23:30:00.25' AS TIMESTAMP(0)) > at AND TIMETZ '23:30:00.25+00' <> t",
        ),
        (
            "SELECT age(now()) AS a, age(x, y) AS b, age(x) AS c",
            "SELECT age(DATE '2024-02-29', TIMESTAMPTZ '2024-02-29 23:30:00.25+00') AS a, age(x, y) AS b, age(DATE '2024-02-29', x) AS c",
        ),
    ] {
        assert_eq!(pinned(Postgres, text), expected);
    }
    for (text, expected) in [
        (
            "SELECT CURRENT_TIMESTAMP AS a, current_date AS b",
            "SELECT '2024-02-29 23:30:00' AS a, '2024-02-29' AS b",
        ),
        (
            "SELECT date('now', '-1 day') AS a, time() AS b, strftime('%s', 'now') AS c, strftime('%s') AS d, datetime(at) AS e FROM orders o",
            "SELECT date('2024-02-29 23:30:00.25', '-1 day') AS a, time('2024-02-29 23:30:00.25') AS b, strftime('%s', '2024-02-29 23:30:00.25') AS c, strftime('%s', '2024-02-29 23:30:00.25') AS d, datetime(at) AS e FROM <orders> o",
        ),
    ] {
        assert_eq!(pinned(Sqlite, text), expected);
    }
    let unnamed =
        read(Postgres, Some("2024-03-01T00:00:00Z"), "SELECT now()::date").expect_err("no name");
    assert!(unnamed[0].fix.contains("AS now"), "{unnamed:?}");
    for wrong in [
        "2024-03-01",
        "2024-02-30T00:00:00Z",
        "infinity",
        "0044-03-15 00:00:00+00 BC",
    ] {
        assert!(read(Postgres, Some(wrong), "SELECT 1").is_err(), "{wrong}");
    }
}

#[test]
fn aggregates_are_told_with_the_column_that_they_fill() {
    let shown = |found: &[Aggregate]| {
        let shown = found.iter().map(|a| {
            let column = a.column.as_deref().unwrap_or("?");
            format!(
                "{} {} {}:{}",
                a.function, column, a.place.line, a.place.column
            )
        });
        shown.collect::<Vec<_>>().join(", ")
    };
    for (text, expected) in [
        (
            "SELECT string_agg(x, ',' ORDER BY x), array_agg(x ORDER BY y) AS b FROM orders",
            "",
        ),
        (
            "SELECT string_agg(x, ',') FROM orders",
            "string_agg string_agg 1:8",
        ),
        (
            "SELECT o.*, Array_Agg(x) AS \"Tags\", length(json_agg(x)::text) AS n FROM orders o",
            "array_agg Tags 1:13, json_agg n 1:44",
        ),
        (
            "SELECT 'é' AS a, ARRAY(SELECT x FROM items) AS t, ARRAY(SELECT x FROM items ORDER BY x) AS u FROM orders",
            "array t 1:18",
        ),
        (
            "WITH a AS (SELECT array_agg(x) AS b FROM orders) SELECT b FROM a",
            "array_agg ? 1:19",
        ),
        (
            "SELECT 1 AS n, NULL AS tags UNION SELECT 2, (SELECT xmlagg(x) FROM items) FROM orders",
            "xmlagg tags 1:53",
        ),
        (
            "SELECT a.*, NULL AS tags FROM orders a UNION SELECT b.*, xmlagg(x) FROM orders b",
            "xmlagg ? 1:58",
        ),
        (
            "SELECT array_agg(x) OVER (ORDER BY y) AS a, mode() WITHIN GROUP (ORDER BY x) AS m FROM orders",
            "",
        ),
        ("SELECT mine.array_agg(x) AS a FROM orders", ""),
    ] {
        assert_eq!(shown(query(Postgres, text).unordered()), expected, "{text}");
    }
    let lite = query(
        Sqlite,
        "SELECT group_concat(x) AS g, total(y), json_group_array(z) FROM orders",
    );
    assert_eq!(
        shown(lite.unordered()),
        "group_concat g 1:8, json_group_array ? 1:40"
    );
    assert_eq!(shown(lite.sums()), "total ? 1:30");
    let sums = query(
        Postgres,
        "SELECT sum(a) / count(*) AS m, avg(b), regr_slope(c, d) FROM orders",
    );
    assert_eq!(
        shown(sums.sums()),
        "sum m 1:8, avg avg 1:32, regr_slope regr_slope 1:40"
    );
}

#[test]
fn functions_are_named_so_that_a_database_can_be_asked() {
    let text = "SELECT Lower(a), \"Mine\".\"F\"(b), \"lower\"(c), coalesce(d, tools.g(e)), current_date FROM orders, generate_series(1, 2) n";
    let found = read(Postgres, Some("2024-03-01T00:00:00Z"), text).expect("a query");
    let expected = ["\"Mine\".\"F\"", "generate_series", "lower", "tools.g"];
    assert_eq!(found.functions(), expected);
}
