//! Query views, and how columns are compared.

use super::*;

/// The view of the example, with `written` in place of everything below its name.
fn view(written: &str) -> String {
    let start = EXAMPLE.find("    table: read.accounts").expect("the view");
    let end = EXAMPLE.find("cutover:").expect("what follows it");
    format!("{}{written}{}", &EXAMPLE[..start], &EXAMPLE[end..])
}

#[test]
fn a_query_and_all_that_belongs_to_it() {
    let text = view(
        r#"    table: read.summary
    key: [id]
    scope: tenant = 5
    query: |

      SELECT id, '$${x}' AS "é"
      FROM orders  -- ${ODD}
    columns: { note: "@foreign", at: "@default" }
    compare: { tags: unordered, names: { unordered: ", " }, blanks: { unordered: " " }, mean: { tolerance: 1e-9 } }
    as_of: 2024-01-31T12:00:00+02:00
    touched_by:
      customers: order
      orders: |
        SELECT id
        FROM orders
staging: { url: "${READ_STORE_URL}" }
"#,
    );
    let text = text.replace(
        "{ topic: shop.public.customers }",
        "{ topic: shop.public.customers, key: [id, at], types: { price: \"numeric(12,2)\" } }",
    );
    let playbook = loaded(&text);
    let staging = playbook.staging.expect("staging");
    assert_eq!(staging.to_string(), "postgres://me:***@read/shop");
    let customers = &playbook.sources[0];
    let key = ["id", "at"].map(str::to_owned).to_vec();
    assert_eq!(customers.key, Some(key));
    assert_eq!(
        customers.types,
        [("price".to_owned(), "numeric(12,2)".to_owned())]
    );
    assert_eq!(playbook.sources[1].key, None);
    let [view] = playbook.views.as_slice() else {
        panic!("{:?}", playbook.views);
    };
    let kind = ViewKind::Query {
        text: "\nSELECT id, '${x}' AS \"é\"\nFROM orders  -- hunter2 # ]: {\n".to_owned(),
        file: None,
        text_line: 20,
        columns: Some(vec![
            ("note".to_owned(), Origin::Foreign),
            ("at".to_owned(), Origin::Default),
        ]),
        as_of: Some("2024-01-31T12:00:00+02:00".to_owned()),
        touched_by: vec![
            (
                "customers".to_owned(),
                TouchedBy::Column("order".to_owned()),
            ),
            (
                "orders".to_owned(),
                TouchedBy::Query {
                    text: "SELECT id\nFROM orders\n".to_owned(),
                    line: 29,
                },
            ),
        ],
    };
    assert_eq!(view.kind, kind);
    assert_eq!(view.scope.as_deref(), Some("tenant = 5"));
    let compare = [
        ("tags", Compare::Unordered),
        ("names", Compare::Separated(", ".to_owned())),
        ("blanks", Compare::Separated(" ".to_owned())),
        ("mean", Compare::Tolerance(1e-9)),
    ];
    assert_eq!(view.compare, compare.map(|(c, rule)| (c.to_owned(), rule)));
}

/// The line that problems of the text count from, however the text is written.
#[test]
fn the_line_of_the_text() {
    for (written, line) in [
        ("query: SELECT 1", 16),
        ("query:\n      SELECT 1", 17),
        ("query: \"SELECT 1\"", 16),
        ("query: |\n      SELECT 1", 17),
        ("query: |2-  # a remark\n      SELECT 1", 17),
        ("query: >\n      SELECT 1", 17),
        ("query:\n      |\n      SELECT 1", 18),
    ] {
        let playbook = loaded(&view(&format!("    {written}\n    key: [id]\n")));
        let ViewKind::Query { text_line, .. } = &playbook.views[0].kind else {
            panic!("{:?}", playbook.views);
        };
        assert_eq!(*text_line, line, "{written}");
    }
}

#[test]
fn everything_wrong_with_a_query_view_is_said() {
    let said = [
        "key: [id], query: SELECT 1, from: orders, where: { a: 1 }, as_of: 2024-01-31, staging: x",
        "key: [id], query: { file: no/such.sql }, columns: { a: b, id: \"@default\", o: \"@offset\", x: \"@nothing\" }",
        "key: [id], query: { fil: a.sql }",
        "key: [id], query: [SELECT 1]",
        "key: [id], query: \" \", compare: { id: unordered, a: ordered, b: { tolerance: 1 }, c: { unordered: \"\" } }",
        "key: [id], query: S, columns: { n: \"@foreign\" }, compare: { n: unordered, a: {}, b: { unordered: x, tolerance: 0.1 }, c: [x] }",
        "key: [id], from: orders, as_of: 2024-01-31T12:00:00Z, columns: { id: a, tags: b, o: \"@offset\" }, compare: { tag: unordered, o: unordered, tags: unordered }",
        "key: [id], from: orders, touched_by: { orders: id }",
        "key: [id], query: S, touched_by: { order: id, orders: \" \", customers: [id] }",
        "key: [a, b], query: S, touched_by: { orders: id }",
    ];
    let said = said.map(|written| {
        let lines: String = written.replace(", ", ",\n      ");
        problems(&view(&format!("    {{ {lines} }}\n")))
    });
    insta::assert_snapshot!(said.join("\n"), @r#"
    books/shop.yaml:18: views.accounts_copy.from: `query` and `from` exclude each other; keep one of them
    books/shop.yaml:19: views.accounts_copy.where: `query` and `where` exclude each other; write it into the query's own WHERE
    books/shop.yaml:20: views.accounts_copy.as_of: `2024-01-31` is no timestamp; write it with its zone: 2024-01-31T12:00:00Z
    books/shop.yaml:21: views.accounts_copy.staging: is no key of a playbook; known here: table, key, from, where, columns, scope, query, as_of, compare, touched_by, on, expected
    books/shop.yaml:17: views.accounts_copy.query.file: cannot read books/no/such.sql: No such file or directory (os error 2); it is looked for beside the playbook
    books/shop.yaml:18: views.accounts_copy.columns.a: `a` is filled by the query, which names its columns itself; list only what the query does not give: "@default" or "@foreign"
    books/shop.yaml:19: views.accounts_copy.columns.id: the key column `id` is not filled by the query; take it out here, and select it
    books/shop.yaml:20: views.accounts_copy.columns.o: `o` is filled by the query, which names its columns itself; list only what the query does not give: "@default" or "@foreign"
    books/shop.yaml:21: views.accounts_copy.columns.x: `@nothing` fills no column; known here: @offset, @partition, @lsn, @ts, @default, @foreign
    books/shop.yaml:17: views.accounts_copy.query.fil: is no key of a playbook; did you mean `file`?
    books/shop.yaml:17: views.accounts_copy.query.file: is missing; name the file that holds the SELECT
    books/shop.yaml:17: views.accounts_copy.query: must be a SELECT, or `{ file: … }`, not a list; write `query: |` and the SELECT on the lines below, indented
    books/shop.yaml:17: views.accounts_copy.query: is empty; write a value, or leave the key out
    books/shop.yaml:18: views.accounts_copy.compare.id: `id` is of the key, which is compared exactly; take it out
    books/shop.yaml:19: views.accounts_copy.compare.a: `ordered` is no way to compare; write `unordered`, `{ unordered: ", " }` or `{ tolerance: 1e-9 }`
    books/shop.yaml:20: views.accounts_copy.compare.b.tolerance: is no tolerance; write a number above 0 and below 1: 1e-9
    books/shop.yaml:21: views.accounts_copy.compare.c.unordered: is empty; write what stands between the parts
    books/shop.yaml:19: views.accounts_copy.compare.n: `n` is never compared; take it out
    books/shop.yaml:20: views.accounts_copy.compare.a: says nothing; write `unordered`, `{ unordered: ", " }` or `{ tolerance: 1e-9 }`
    books/shop.yaml:21: views.accounts_copy.compare.b: `unordered` and `tolerance` exclude each other; keep one of them
    books/shop.yaml:23: views.accounts_copy.compare.c: must be a word or a map of keys, not a list; write `unordered`, `{ unordered: ", " }` or `{ tolerance: 1e-9 }`
    books/shop.yaml:18: views.accounts_copy.as_of: a copy reads no clock; take it out
    books/shop.yaml:22: views.accounts_copy.compare.tag: `tag` is not in `columns`; did you mean `tags`?
    books/shop.yaml:23: views.accounts_copy.compare.o: `o` is never compared; take it out
    books/shop.yaml:18: views.accounts_copy.touched_by: a copy's rows are those of its source; take it out
    books/shop.yaml:18: views.accounts_copy.touched_by.order: `order` is no source; did you mean `orders`?
    books/shop.yaml:19: views.accounts_copy.touched_by.orders: is empty; write a value, or leave the key out
    books/shop.yaml:20: views.accounts_copy.touched_by.customers: must be text, not a list; write one text, in quotes if it looks like something else
    books/shop.yaml:19: views.accounts_copy.touched_by.orders: one column cannot hold the key (a, b); write a SELECT of keys: its columns are those of the key, in their order
    "#);
    let said = [
        problems_with(
            "limits:",
            "staging: { url: \"mysql://me:hunter2@h/d\" }\nlimits:",
        ),
        problems_with("limits:", "staging: {}\nlimits:"),
        problems_with(
            "{ topic: shop.public.customers }",
            "{ topic: shop.public.customers, key: [], types: { a: 1, b: \"\" } }",
        ),
    ];
    insta::assert_snapshot!(said.join("\n"), @r#"
    books/shop.yaml:22: staging.url: MySQL and MariaDB are not supported by this version; PostgreSQL and SQLite are
    books/shop.yaml:22: staging.url: is missing; write `staging: { url: "${STAGING_URL}" }`
    books/shop.yaml:10: sources.customers.types.a: must be text, not a number; write one text, in quotes if it looks like something else
    books/shop.yaml:10: sources.customers.types.b: is empty; write a value, or leave the key out
    books/shop.yaml:10: sources.customers.key: is an empty list; write at least one
    "#);
}
