//! What a playbook's queries mean, and what is said about those that mean nothing.

use std::path::Path;

use super::*;
use crate::playbook;

const HEAD: &str = "version: 1
name: shop
primary: { url: \"postgres://primary/shop\" }
read_store: { url: \"postgres://read/shop\" }
log: { archive: log.ndjson }
applied: none
sources:
  orders: { topic: shop.public.orders }
  old: { topic: shop.archive.orders }
  clients: { topic: shop.public.customers }
  people: { topic: shop.archive.customers }
views:
";

fn read(head: &str, views: &str) -> Result<BTreeMap<String, Read>, String> {
    let text = format!("{head}{views}");
    let playbook = playbook::parse(&text, Path::new("shop.yaml"), &|_| None);
    let playbook = playbook.unwrap_or_else(|problems| panic!("{problems}"));
    parse(&playbook).map_err(|problems| problems.to_string())
}

#[test]
fn a_table_is_a_source_by_its_name_or_its_table() {
    let views = "  v:
    key: [a]
    query: SELECT 1 AS a FROM orders o, archive.orders p, old q, public.customers r, people s
";
    let queries = read(HEAD, views).expect("queries");
    let over = queries["v"].query.over(|source| format!("<{source}>"));
    let expected = "SELECT 1 AS a FROM <orders> o, <old> p, <old> q, <clients> r, <people> s";
    assert_eq!(over, expected);

    let sqlite = HEAD
        .replace("postgres:", "sqlite:")
        .replace("shop.public.orders", "shop.Bestellungen");
    let views = "  v: { key: [a], query: SELECT 1 AS a FROM bestellungen x, main.BESTELLUNGEN y, ORDERS z }\n"
        .replace("SELECT", "\"SELECT")
        .replace(" z }", " z\" }");
    let queries = read(&sqlite, &views).expect("queries");
    assert_eq!(queries["v"].query.sources(), ["orders"]);
}

/// All problems of all queries at once, each with its line in the file.
#[test]
fn problems_carry_the_line_of_the_file() {
    let views = "  a:
    key: [a]
    compare: { tags: unordered }
    query: |
      SELECT a, array_agg(x) AS tags,

        string_agg(y, ',') AS names
      FROM orders
  b:
    key: [a]
    query: |

      SELECT a FROM oders
      JOIN customers
  c: { key: [a], query: \"SELECT a FROM orders LIMIT 1\" }
  d:
    key: [a]
    compare: { names: { unordered: \", \" } }
    query: WITH x AS (SELECT a, string_agg(y, ', ') AS names FROM orders) SELECT * FROM x
  e:
    key: [a]
    query: WITH x AS (SELECT a, string_agg(y, ', ') AS names FROM orders) SELECT * FROM x
";
    insta::assert_snapshot!(read(HEAD, views).expect_err("problems"), @r#"
    shop.yaml:19: views.a.query: `string_agg` keeps its rows in an order that is not defined (line 3 of the query, column 3); add ORDER BY within its brackets, or `compare: { names: unordered }`
    shop.yaml:25: views.b.query: `oders` is no source (line 2 of the query, column 15); add it under `sources:`; did you mean `orders`?
    shop.yaml:26: views.b.query: `customers` is the table of the sources clients and people (line 3 of the query, column 6); write the name of the one that is meant
    shop.yaml:27: views.c.query: LIMIT without ORDER BY: which rows it keeps is not defined (line 1 of the query, column 22); add an ORDER BY that no two rows share, or take it out
    shop.yaml:34: views.e.query: `string_agg` keeps its rows in an order that is not defined (line 1 of the query, column 22); add ORDER BY within its brackets, or `compare: { … : unordered }` for the column that it ends in
    "#);
}

#[test]
fn what_is_touched_is_read_as_the_query_is() {
    let views = "  v:
    key: [a]
    query: SELECT o.a FROM orders o JOIN clients c ON c.a = o.a
    touched_by:
      orders: a
      clients: |
        SELECT o.a FROM orders o
        JOIN public.customers c ON c.a = o.a
";
    let queries = read(HEAD, views).expect("queries");
    let said = &queries["v"].touched_by;
    assert_eq!(said["orders"], TouchedBy::Column("a".to_owned()));
    let TouchedBy::Query(query) = &said["clients"] else {
        panic!("{said:?}");
    };
    assert_eq!(query.sources(), ["clients", "orders"]);
    let views = "  v:
    key: [a]
    query: SELECT a FROM orders JOIN clients ON true
    touched_by:
      old: a
      orders: SELECT c.a FROM clients c
      clients: |
        SELECT a
        FROM clients, old, nothing
  w:
    key: [a]
    query: SELECT a FROM orders
    touched_by:
      orders: |
        SELECT a FROM orders
        JOIN old USING (a)
  x:
    key: [a]
    query: SELECT a FROM orders
    touched_by: { orders: \"SELECT random() FROM orders\" }
";
    insta::assert_snapshot!(read(HEAD, views).expect_err("problems"), @"
shop.yaml:13: views.v.touched_by.old: the query does not read `old`; known here: clients, orders
shop.yaml:18: views.v.touched_by.orders: it does not read `orders`, whose changed rows it is about; write `FROM orders`
shop.yaml:21: views.v.touched_by.clients: `nothing` is no source; add it under `sources:`; known here: orders, old, clients, people
shop.yaml:27: views.w.touched_by.orders: it reads `old`, which the view's query does not; read no other than orders
shop.yaml:32: views.x.touched_by.orders: `random` does not give the same value twice; a view can only hold what its sources hold: take it out
");
}

#[test]
fn a_query_in_a_file_of_its_own() {
    let folder = std::env::temp_dir().join(format!("trueup-query-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("a.sql"), "SELECT a FROM orders;\n").expect("a file");
    std::fs::write(folder.join("b.sql"), "SELECT a\nFROM nothing\n").expect("a file");
    let views =
        "  a: { key: [a], query: { file: a.sql } }\n  b: { key: [a], query: { file: b.sql } }\n";
    let text = format!("{HEAD}{views}");
    let playbook =
        playbook::parse(&text, &folder.join("shop.yaml"), &|_| None).expect("a playbook");
    let said = parse(&playbook).expect_err("problems").to_string();
    std::fs::remove_dir_all(&folder).expect("cleaned up");
    let place = format!(
        "{}:2: views.b.query: `nothing` is no source",
        folder.join("b.sql").display()
    );
    assert!(
        said.starts_with(&place) && said.lines().count() == 1,
        "{said}"
    );
}
