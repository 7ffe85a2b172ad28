//! What is made of real queries, and what is left whole.

use super::super::{Dialect, EqualTo, NoSource, Partner, Query};

fn columns(source: &str) -> Vec<String> {
    let columns: &[&str] = match source {
        "orders" => &["id", "customer_id", "placed", "at"],
        "customers" => &["id", "name", "region"],
        "items" => &["order_id", "line", "product_id", "qty"],
        "products" => &["id", "price", "kind"],
        _ => &[],
    };
    columns.iter().map(|c| (*c).to_owned()).collect()
}

#[track_caller]
fn read(dialect: Dialect, text: &str) -> Query {
    let resolve = |_: Option<&str>, name: &str| {
        let known = !columns(name).is_empty();
        known.then(|| name.to_owned()).ok_or(NoSource {
            what: name.to_owned(),
            fix: String::new(),
        })
    };
    let as_of = Some("2024-01-31T12:00:00Z");
    Query::parse(text, dialect, as_of, &resolve).unwrap_or_else(|p| panic!("{text}\n{p:?}"))
}

fn made(query: &Query, source: &str, key: &[&str]) -> Result<String, String> {
    let key: Vec<String> = key.iter().map(|k| (*k).to_owned()).collect();
    let name = |name: &str| {
        if name == source {
            "<changed>".to_owned()
        } else {
            format!("<{name}>")
        }
    };
    query.touched(source, &key, &columns, name)
}

/// For each source in order, what is made of it.
#[track_caller]
fn all(dialect: Dialect, text: &str, key: &[&str]) -> String {
    let query = read(dialect, text);
    let sources = query.sources().into_iter();
    let said = sources.map(|source| match made(&query, source, key) {
        Ok(text) => text,
        Err(why) => format!("{source}: {why}"),
    });
    said.collect::<Vec<_>>().join("\n--\n")
}

use Dialect::{Postgres, Sqlite};

const SUMMARY: &str = "
SELECT o.id AS order_id, c.name, count(i.line) AS items, sum(i.qty * p.price) AS total -- all of it
FROM orders o
JOIN customers c ON c.id = o.customer_id AND c.region IS DISTINCT FROM 'x' -- not these
LEFT JOIN items i ON i.order_id = o.id AND i.qty BETWEEN 1 AND 9
LEFT JOIN products p ON p.id = i.product_id
WHERE (o.placed AND (c.name <> '' OR c.id > 0)) AND (p.kind IS NULL OR p.kind <> 'gift') AND o.at < now()
GROUP BY o.id, c.name HAVING count(*) > 1 ORDER BY 1;";

#[test]
fn outer_joins_to_the_changed_table_become_inner_and_others_go() {
    insta::assert_snapshot!(all(Postgres, SUMMARY, &["order_id"]), @"
SELECT DISTINCT o.id
FROM <orders> o
JOIN <changed> c ON (c.id = o.customer_id AND c.region IS DISTINCT FROM 'x'
)
WHERE (o.placed
)
AND ((c.name <> '' OR c.id > 0)
)
AND (o.at < TIMESTAMPTZ '2024-01-31 12:00:00+00'
)
--
SELECT DISTINCT o.id
FROM <orders> o
JOIN <customers> c ON (c.id = o.customer_id AND c.region IS DISTINCT FROM 'x'
)
JOIN <changed> i ON (i.order_id = o.id AND i.qty BETWEEN 1 AND 9
)
WHERE (o.placed
)
AND ((c.name <> '' OR c.id > 0)
)
AND (o.at < TIMESTAMPTZ '2024-01-31 12:00:00+00'
)
--
SELECT DISTINCT o.id
FROM <changed> o
JOIN <customers> c ON (c.id = o.customer_id AND c.region IS DISTINCT FROM 'x'
)
WHERE (o.placed
)
AND ((c.name <> '' OR c.id > 0)
)
AND (o.at < TIMESTAMPTZ '2024-01-31 12:00:00+00'
)
--
SELECT DISTINCT o.id
FROM <orders> o
JOIN <customers> c ON (c.id = o.customer_id AND c.region IS DISTINCT FROM 'x'
)
LEFT JOIN <items> i ON (i.order_id = o.id AND i.qty BETWEEN 1 AND 9
)
JOIN <changed> p ON (p.id = i.product_id
)
WHERE (o.placed
)
AND ((c.name <> '' OR c.id > 0)
)
AND (o.at < TIMESTAMPTZ '2024-01-31 12:00:00+00'
)
");
    let nested = "SELECT o.id AS order_id FROM ((orders o JOIN customers c ON ((c.id = o.customer_id))) LEFT JOIN items i ON ((i.order_id = o.id))) WHERE ((c.name = 'a'::text) AND (i.qty > 1))";
    insta::assert_snapshot!(all(Postgres, nested, &["order_id"]), @"
SELECT DISTINCT o.id
FROM <orders> o
JOIN <changed> c ON (((c.id = o.customer_id))
)
WHERE ((c.name = 'a'::text)
)
--
SELECT DISTINCT o.id
FROM <orders> o
JOIN <customers> c ON (((c.id = o.customer_id))
)
JOIN <changed> i ON (((i.order_id = o.id))
)
WHERE ((c.name = 'a'::text)
)
--
SELECT DISTINCT o.id
FROM <changed> o
JOIN <customers> c ON (((c.id = o.customer_id))
)
WHERE ((c.name = 'a'::text)
)
");
}

#[test]
fn inner_joins_stay_as_they_are() {
    let text = "SELECT orders.id, line FROM orders, items WHERE order_id = orders.id AND qty > 0";
    insta::assert_snapshot!(all(Postgres, text, &["id", "line"]), @r#"
SELECT DISTINCT orders.id, line
FROM <orders> AS "orders", <changed> AS "items"
WHERE (order_id = orders.id AND qty > 0
)
--
SELECT DISTINCT orders.id, line
FROM <changed> AS "orders", <items> AS "items"
WHERE (order_id = orders.id AND qty > 0
)
"#);
    let text = "SELECT customer_id, max(at) AS newest FROM orders WHERE CASE WHEN placed AND at IS NULL THEN 0 ELSE 1 END = 1 GROUP BY 1";
    insta::assert_snapshot!(all(Sqlite, text, &["customer_id"]), @r#"
SELECT DISTINCT customer_id
FROM <changed> AS "orders"
WHERE (CASE WHEN placed AND at IS NULL THEN 0 ELSE 1 END = 1
)
"#);
}

#[test]
fn what_looks_across_keys_is_left_whole() {
    for (text, why) in [
        (
            "SELECT o.id, rank() OVER (ORDER BY o.at) AS r FROM orders o",
            "it has a window",
        ),
        (
            "SELECT o.id FROM orders o ORDER BY o.id LIMIT 3",
            "it has a LIMIT",
        ),
        (
            "SELECT DISTINCT ON (o.customer_id) o.id FROM orders o ORDER BY o.customer_id, o.id",
            "it has a DISTINCT ON",
        ),
        (
            "SELECT id FROM orders UNION SELECT id FROM customers",
            "it is a set operation",
        ),
        (
            "WITH RECURSIVE t AS (SELECT id FROM orders UNION SELECT id FROM t) SELECT id FROM t",
            "it is recursive",
        ),
        (
            "WITH t AS (SELECT id FROM orders) SELECT id FROM t",
            "it has a subquery",
        ),
        (
            "SELECT o.id FROM orders o WHERE EXISTS (SELECT FROM items i WHERE i.order_id = o.id)",
            "it has a subquery",
        ),
        (
            "SELECT o.id FROM (SELECT * FROM orders) o",
            "it has a subquery",
        ),
        (
            "SELECT o.id FROM orders o JOIN orders p ON p.id = o.customer_id",
            "it reads orders more than once",
        ),
        (
            "SELECT o.customer_id AS id, count(*) AS n FROM orders o GROUP BY ROLLUP (o.customer_id)",
            "it has grouping sets",
        ),
        (
            "SELECT o.id FROM customers c RIGHT JOIN orders o ON c.id = o.customer_id",
            "it has a RIGHT JOIN",
        ),
        (
            "SELECT o.id FROM customers c FULL JOIN orders o ON c.id = o.customer_id",
            "it has a FULL JOIN",
        ),
        (
            "SELECT o.id FROM orders o LEFT JOIN (items i JOIN products p ON p.id = i.product_id) ON i.order_id = o.id",
            "it joins what stands in brackets",
        ),
        (
            "SELECT o.id FROM orders o(id, b)",
            "it renames the columns of a table",
        ),
        (
            "SELECT o.id FROM orders o CROSS JOIN generate_series(1, 2) g",
            "it reads what is no table",
        ),
        (
            "SELECT o.id + 1 AS id FROM orders o",
            "its key column id is no column of one source",
        ),
        (
            "SELECT id FROM orders JOIN customers ON name = ''",
            "its key column id is no column of one source",
        ),
        (
            "SELECT c.id FROM orders o LEFT JOIN customers c ON c.id = o.customer_id",
            "its key column id is of c, which an outer join may leave empty",
        ),
        (
            "SELECT o.id FROM orders o LEFT JOIN customers c ON c.id = o.customer_id JOIN items i ON i.line = coalesce(c.id, 0)",
            "i is joined by more than tables that no outer join leaves empty",
        ),
        (
            "SELECT o.id FROM orders o LEFT JOIN customers c ON c.id = o.customer_id JOIN items i ON i.line = length(c::text)",
            "i is joined by more than tables that no outer join leaves empty",
        ),
        (
            "SELECT o.id FROM orders o NATURAL LEFT JOIN customers c",
            "c is joined by more than tables that no outer join leaves empty",
        ),
    ] {
        let query = read(Postgres, text);
        let found = query
            .sources()
            .iter()
            .find_map(|s| made(&query, s, &["id"]).err());
        assert_eq!(found.as_deref(), Some(why), "{text}");
    }
    for (text, why) in [
        (
            "SELECT o.id, max(o.at) AS m FROM orders o",
            "it may have an aggregate without GROUP BY",
        ),
        (
            "SELECT o.id, max(o.at) AS m FROM orders o GROUP BY o.customer_id",
            "it is not grouped by its key column id",
        ),
    ] {
        let why = Err(why.to_owned());
        assert_eq!(made(&read(Sqlite, text), "orders", &["id"]), why, "{text}");
    }
    let twice = "SELECT o.id, c.name FROM orders o JOIN customers c USING (id)";
    assert!(made(&read(Postgres, twice), "orders", &["id"]).is_ok());
}

/// How the rows of each source are found, a line each.
#[track_caller]
fn partners(dialect: Dialect, text: &str, key: &[&str]) -> String {
    let key: Vec<String> = key.iter().map(|k| (*k).to_owned()).collect();
    let by = |(column, to): &(String, EqualTo)| match to {
        EqualTo::Key(nth) => format!("{column} = key {nth}"),
        EqualTo::Of(source, of) => format!("{column} = {source}.{of}"),
    };
    match read(dialect, text).partners(&key, &columns) {
        Err(why) => why,
        Ok(partners) => {
            let line = |p: &Partner| {
                let by: Vec<String> = p.by.iter().map(by).collect();
                format!("{}: {}", p.source, by.join(" and "))
            };
            partners.iter().map(line).collect::<Vec<_>>().join("\n")
        }
    }
}

#[test]
fn from_a_key_to_the_rows_that_its_row_is_made_of() {
    assert_eq!(
        partners(Postgres, SUMMARY, &["order_id"]),
        "orders: id = key 0\ncustomers: id = orders.customer_id\nitems: order_id = key 0\nproducts: id = items.product_id"
    );
    // What WHERE says counts as much as what ON says; a column that is equal to the key is found by it.
    assert_eq!(
        partners(
            Sqlite,
            "SELECT i.Order_ID, i.line, p.price FROM orders o, items i JOIN products AS p ON (p.id = i.product_id) WHERE o.id = i.order_id AND p.price > 1",
            &["Order_ID", "line"]
        ),
        "items: order_id = key 0 and line = key 1\norders: id = key 0\nproducts: id = items.product_id"
    );
    // Of two ways the one by more columns.
    assert_eq!(
        partners(
            Postgres,
            "SELECT c.region, o.id FROM customers c JOIN orders o ON o.customer_id = c.id AND o.placed = c.region",
            &["region", "id"]
        ),
        "orders: placed = key 0 and id = key 1\ncustomers: region = key 0 and id = orders.customer_id"
    );
    assert_eq!(
        partners(
            Postgres,
            "SELECT o.id, c.name FROM customers c JOIN orders o USING (id)",
            &["id"]
        ),
        "customers: id = key 0\norders: id = key 0"
    );
    for (text, why) in [
        (
            "SELECT o.id, count(*) FROM orders o JOIN products p ON p.price < o.placed GROUP BY o.id",
            "no equality of columns leads to products",
        ),
        (
            "SELECT id, rank() OVER (ORDER BY placed) FROM orders",
            "it has a window",
        ),
        (
            "SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer_id OR c.name = ''",
            "no equality of columns leads to customers",
        ),
    ] {
        assert_eq!(partners(Postgres, text, &["id"]), why);
    }
}
