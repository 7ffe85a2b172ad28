//! The playbook as a whole: what loads, and what is said about what does not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

mod limits;
mod queries;
mod registry;

/// The example of the design, less its query view.
const EXAMPLE: &str = r#"version: 1
name: order-summary
primary:    { url: "${PRIMARY_URL}" }
read_store: { url: "${READ_STORE_URL}" }
log:
  kafka: { brokers: "${KAFKA_BROKERS}", properties: { security.protocol: SASL_SSL, socket.timeout.ms: 30000 } }
captured: { slot: debezium }
applied:  { consumer_group: order-projector }
sources:
  customers:   { topic: shop.public.customers }
  orders:      { topic: shop.public.orders }
  order_items: { topic: shop.public.order_items }
  accounts:    { topic: shop.public.accounts, table: public.accounts }
views:
  accounts_copy:
    table: read.accounts
    key: [account_id]
    from: accounts
    where: { status: [open, frozen] }
    columns: { account_id: aid, balance: abalance, applied_offset: "@offset", note: "@foreign" }
cutover: { pause: "kubectl scale deploy/projector --replicas=0", resume: "kubectl scale deploy/projector --replicas=3", pause_max: 60s, writer_role: projector }
limits:  { repairs_max: "10%", deletes_max: 1000 }
"#;

fn env(name: &str) -> Option<String> {
    let value = match name {
        "PRIMARY_URL" => "postgres://me:hunter2@primary/shop?sslpassword=hunter2",
        "READ_STORE_URL" => "postgres://me:hunter2@read/shop",
        "KAFKA_BROKERS" => "kafka-1:9092,kafka-2:9092",
        "ODD" => "hunter2 # ]: {",
        _ => return None,
    };
    Some(value.to_owned())
}

fn load_text(text: &str) -> Result<Playbook, Problems> {
    parse(text, Path::new("books/shop.yaml"), &env)
}

#[track_caller]
fn loaded(text: &str) -> Playbook {
    load_text(text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The problems of `text`, one a line.
#[track_caller]
fn problems(text: &str) -> String {
    load_text(text).expect_err("a bad playbook").to_string()
}

/// The problems of the example once `from` is `to`.
#[track_caller]
fn problems_with(from: &str, to: &str) -> String {
    assert!(EXAMPLE.contains(from), "{from}");
    problems(&EXAMPLE.replace(from, to))
}

fn table(schema: &str, name: &str) -> TableName {
    TableName {
        schema: Some(schema.to_owned()),
        name: name.to_owned(),
    }
}

fn column(name: &str) -> Origin {
    Origin::Column {
        name: name.to_owned(),
        former: Vec::new(),
    }
}

#[test]
fn the_example_loads() {
    let playbook = loaded(EXAMPLE);
    assert_eq!(playbook.name, "order-summary");
    assert_eq!(playbook.file, Path::new("books/shop.yaml"));
    assert_eq!(playbook.primary.url.kind(), DatabaseKind::Postgres);
    assert_eq!(
        playbook.read_store.expose(),
        "postgres://me:hunter2@read/shop"
    );
    let Log::Kafka {
        brokers,
        properties,
    } = &playbook.log
    else {
        panic!("{:?}", playbook.log);
    };
    assert_eq!(brokers, "kafka-1:9092,kafka-2:9092");
    assert_eq!(properties.expose()["socket.timeout.ms"], "30000");
    assert_eq!(
        playbook.captured,
        Some(Captured::Slot("debezium".to_owned()))
    );
    assert_eq!(
        playbook.applied,
        Applied::ConsumerGroup("order-projector".to_owned())
    );
    let tables: Vec<&TableName> = playbook
        .sources
        .iter()
        .map(|source| &source.table)
        .collect();
    let expected = ["customers", "orders", "order_items", "accounts"];
    assert_eq!(
        tables,
        expected
            .map(|name| table("public", name))
            .iter()
            .collect::<Vec<_>>()
    );
    let text = |text: &str| Scalar::Text(text.to_owned());
    let view = View {
        name: "accounts_copy".to_owned(),
        table: table("read", "accounts"),
        key: vec!["account_id".to_owned()],
        kind: ViewKind::Copy {
            from: "accounts".to_owned(),
            filter: vec![(
                "status".to_owned(),
                Test::AnyOf(vec![text("open"), text("frozen")]),
            )],
            columns: Some(vec![
                ("account_id".to_owned(), column("aid")),
                ("balance".to_owned(), column("abalance")),
                ("applied_offset".to_owned(), Origin::Offset),
                ("note".to_owned(), Origin::Foreign),
            ]),
        },
        compare: Vec::new(),
        scope: None,
        line: 15,
    };
    assert_eq!(playbook.views, [view]);
    let cutover = playbook.cutover.expect("a cutover");
    assert_eq!(cutover.pause_max, Some(Duration::from_secs(60)));
    assert_eq!(cutover.writer_role.as_deref(), Some("projector"));
    assert_eq!(playbook.limits.repairs_max, Some(Bound::Percent(10.0)));
    assert_eq!(playbook.limits.deletes_max, Some(Bound::Rows(1000)));
    assert_eq!(
        playbook.snapshots,
        Snapshots::Folder("books/snapshots/order-summary".into())
    );
}

#[test]
fn snapshots_are_kept_in_a_folder_or_an_object_store() {
    let with = |line: &str| format!("{EXAMPLE}snapshots: {line}\n");
    let folder = |line: &str| match loaded(&with(line)).snapshots {
        Snapshots::Folder(folder) => folder,
        Snapshots::Url(url) => panic!("{url}"),
    };
    assert_eq!(folder("../kept"), Path::new("books/../kept/order-summary"));
    assert_eq!(folder("/var/kept"), Path::new("/var/kept/order-summary"));
    for (url, below) in [
        ("s3://bucket", "s3://bucket/order-summary"),
        ("s3://bucket/kept/", "s3://bucket/kept/order-summary"),
        ("file:///var/kept", "file:///var/kept/order-summary"),
    ] {
        if cfg!(feature = "object-store") {
            assert_eq!(
                loaded(&with(url)).snapshots,
                Snapshots::Url(below.to_owned())
            );
        } else {
            let said = problems(&with(url));
            assert!(said.contains("--features object-store"), "{said}");
        }
    }
    for (url, word) in [
        ("gs://bucket/kept", "s3://bucket/prefix"),
        ("file://kept", "file:///folder"),
        ("s3:///kept", "s3://bucket/prefix"),
        ("s3://me:hunter2@bucket/kept", "AWS_ACCESS_KEY_ID"),
    ] {
        let said = problems(&with(url));
        assert!(
            said.contains(word) && !said.contains("hunter2"),
            "{url}: {said}"
        );
    }
}

#[test]
fn everything_else_that_can_be_said_loads() {
    let playbook = loaded(
        r#"
version: 1
name: shop
primary: { url: "sqlite:primary.db", read_url: sqlite:/replica.db }
read_store: { url: "sqlite:read.db?mode=rwc" }
log: { archive: [orders.ndjson, /var/log/items.ndjson] }
applied: { within: 500ms }
sources:
  orders:
    topic: shop.orders
    order_by: source.lsn
    epochs: [{ 0: 100, 1: 250 }, { 0: 900 }]
views:
  plain: { key: id, from: orders }
  scoped:
    table: big
    key: [tenant, id]
    from: orders
    scope: tenant = 5
    where:
      deleted_at: null
      flag: true
      price: { not: [1.10, 170141183460469231731687303715884105727, -3, "4", 1e400] }
      note: { not: null }
    columns: { tenant: tenant, id: [id, order_id, no], lsn: "@lsn", at: "@ts", p: "@partition", d: "@default" }
"#,
    );
    assert_eq!(playbook.primary.url.expose(), "sqlite:books/primary.db");
    let replica = playbook.primary.read_url.expect("a replica");
    assert_eq!(replica.expose(), "sqlite:/replica.db");
    let files = ["books/orders.ndjson", "/var/log/items.ndjson"].map(PathBuf::from);
    assert_eq!(playbook.log, Log::Archive(files.to_vec()));
    assert_eq!(
        playbook.applied,
        Applied::Within(Duration::from_millis(500))
    );
    let orders = &playbook.sources[0];
    assert_eq!(
        (orders.table.to_string().as_str(), orders.line),
        ("orders", 9)
    );
    assert_eq!(
        orders.epochs,
        [[(0, 100), (1, 250)].into(), [(0, 900)].into()]
    );
    let [plain, scoped] = playbook.views.as_slice() else {
        panic!("{:?}", playbook.views);
    };
    assert!(
        matches!(&plain.kind, ViewKind::Copy { columns: None, .. }),
        "{plain:?}"
    );
    assert_eq!(plain.table.to_string(), "plain");
    let ViewKind::Copy {
        filter, columns, ..
    } = &scoped.kind
    else {
        panic!("{scoped:?}");
    };
    assert_eq!(scoped.scope.as_deref(), Some("tenant = 5"));
    let number = |text: &str| Scalar::Number(text.to_owned());
    let numbers = vec![
        number("1.10"),
        Scalar::Int(i128::MAX),
        Scalar::Int(-3),
        Scalar::Text("4".to_owned()),
        Scalar::Text("1e400".to_owned()),
    ];
    let tests: Vec<&Test> = filter.iter().map(|(_, test)| test).collect();
    assert_eq!(tests[0], &Test::IsNull);
    assert_eq!(tests[1], &Test::AnyOf(vec![Scalar::Bool(true)]));
    assert_eq!(tests[2], &Test::Not(Box::new(Test::AnyOf(numbers))));
    assert_eq!(tests[3], &Test::Not(Box::new(Test::IsNull)));
    let former = ["order_id", "no"].map(str::to_owned).to_vec();
    let name = "id".to_owned();
    let columns = columns.as_ref().expect("columns");
    assert_eq!(columns[1].1, Origin::Column { name, former });
}

#[test]
fn all_problems_are_reported_at_once() {
    let said = problems(
        r#"version: 2
name: order summary
primary: { url: "mysql://me:hunter2@primary/shop" }
read_store: { url: "${READ_STORE}" }
log: { kafka: { broker: "a:1" }, archive: x }
sources:
  orders: { topic: orders, epochs: [{ zero: 1 }] }
  items: { topic: shop.public.items, format: event }
  items: { topic: twice }
views:
  a:
    key: [id, no, at]
    form: items
    where: { status: [], kind: { nott: 1 } }
    columns: { id: oid, at: "@tz", nr: "@offset" }
  b: { key: [id], from: item, columns: { id: "@lsn" } }
  c:
    key: [id]
    query: SELECT 1
    where: { a: 1 }
    as_of: soon
cutover: { pause: stop, pause_max: 60 }
limits: { repairs_max: "110%", deletes_max: { rows: 1 }, replica_lag_max: 1.5 }
extra:
"#,
    );
    insta::assert_snapshot!(said, @r#"
    books/shop.yaml:1: version: is not one that this trueup reads; write `version: 1`
    books/shop.yaml:1: applied: is missing; say how far the projector is: `{ consumer_group: name }` if it commits what it has applied; `{ checkpoint: "SELECT topic, partition, next_offset …" }` if it keeps its place in the read store; `{ within: 30s }` if you promise that it never lags more; `none` if no projector writes these tables
    books/shop.yaml:2: name: `order summary` is no name; name this read model, for reports and locks: letters, digits, `-`, `_` and `.`
    books/shop.yaml:3: primary.url: MySQL and MariaDB are not supported by this version; PostgreSQL and SQLite are
    books/shop.yaml:4: read_store.url: the environment variable `READ_STORE` is not set; set it, or give a default: `${READ_STORE:-…}`
    books/shop.yaml:5: log: `kafka` and `archive` exclude each other; keep one of them
    books/shop.yaml:5: log.kafka.broker: is no key of a playbook; did you mean `brokers`?
    books/shop.yaml:5: log.kafka.brokers: is missing; write `brokers: host:port`
    books/shop.yaml:7: sources.orders: the topic `orders` does not name its table; add `table:`
    books/shop.yaml:7: sources.orders.epochs[0].zero: is no partition and offset; write both as whole numbers: `{ 0: 184467 }`
    books/shop.yaml:8: sources.items.format: `event` is no format; did you mean `events`?
    books/shop.yaml:9: sources.items: the key is written twice, first on line 8; keep one of the two
    books/shop.yaml:11: views.a.from: is missing; name the source that the view copies, or write a `query:` over several
    books/shop.yaml:12: views.a.key[1]: the key column `no` is not in `columns`; did you mean `nr`?
    books/shop.yaml:13: views.a.form: is no key of a playbook; did you mean `from`?
    books/shop.yaml:14: views.a.where.status: no row is one of nothing; list at least one value
    books/shop.yaml:14: views.a.where.kind.nott: is no key of a playbook; did you mean `not`?
    books/shop.yaml:14: views.a.where.kind.not: is missing; write `{ not: … }`
    books/shop.yaml:15: views.a.columns.at: `@tz` fills no column; did you mean `@ts`?
    books/shop.yaml:16: views.b.key[0]: the key column `id` is not filled from the source; map it to a column, or choose another key
    books/shop.yaml:16: views.b.from: `item` is no source; did you mean `items`?
    books/shop.yaml:20: views.c.where: `query` and `where` exclude each other; write it into the query's own WHERE
    books/shop.yaml:21: views.c.as_of: `soon` is no timestamp; write it with its zone: 2024-01-31T12:00:00Z
    books/shop.yaml:22: cutover.resume: is missing; write the command that resumes the projector
    books/shop.yaml:22: cutover.pause_max: is no duration; write a whole number above zero with its unit: 500ms, 30s, 2m or 1h
    books/shop.yaml:23: limits.repairs_max: is no bound; write a number of rows, or a share such as "10%" (0% to 100%)
    books/shop.yaml:23: limits.deletes_max: must be one value, not a map; write one text or number
    books/shop.yaml:23: limits.replica_lag_max: is no bound of lag; write a time above zero with its unit, such as 1.5s or 500ms; or `none`, and replicas are not looked at
    books/shop.yaml:24: extra: is no key of a playbook; known here: version, name, primary, read_store, log, captured, applied, sources, views, cutover, limits, staging, snapshots
    "#);
}

#[test]
fn applied_is_required_and_explained() {
    let said = problems_with("applied:  { consumer_group: order-projector }\n", "");
    insta::assert_snapshot!(said, @r#"
    books/shop.yaml:1: applied: is missing; say how far the projector is: `{ consumer_group: name }` if it commits what it has applied; `{ checkpoint: "SELECT topic, partition, next_offset …" }` if it keeps its place in the read store; `{ within: 30s }` if you promise that it never lags more; `none` if no projector writes these tables
    "#);
    assert!(problems_with("{ consumer_group: order-projector }", "soon").contains("within: 30s"));
    let two = "{ consumer_group: a, within: 30s }";
    let said = problems_with("{ consumer_group: order-projector }", two);
    assert!(
        said.contains("applied: `consumer_group` and `within` exclude each other"),
        "{said}"
    );
    let none = EXAMPLE.replace("{ consumer_group: order-projector }", "none");
    assert_eq!(loaded(&none).applied, Applied::None);
    let checkpoint = EXAMPLE.replace("consumer_group: order-projector", "checkpoint: SELECT 1");
    assert_eq!(
        loaded(&checkpoint).applied,
        Applied::Checkpoint("SELECT 1".to_owned())
    );
}

#[test]
fn a_file_that_is_no_playbook_says_where() {
    let said = [
        problems("name: shop\nviews: [a, b\nlimits: {}\n"),
        problems(""),
        problems("# nothing but a comment\n"),
        problems("- a\n- b\n"),
        problems("name: a\n---\nname: b\n"),
        problems(&format!("name: {}", "[".repeat(10_000))),
        problems(&format!("name: {}{}", "[".repeat(40), "]".repeat(40))),
        problems("primary: { url: ${PRIMARY_URL} }\n"),
    ];
    insta::assert_snapshot!(said.join("\n"), @r#"
    books/shop.yaml:3: this is no YAML: illegal placement of ':' indicator (column 7); often an indent, a missing quote or a missing bracket just above
    books/shop.yaml:1: the playbook is empty; `trueup init` writes a first playbook
    books/shop.yaml:1: the playbook is empty; `trueup init` writes a first playbook
    books/shop.yaml:1: a playbook must be a map of keys; `trueup init` writes a first one
    books/shop.yaml:2: a second document starts here; put it into a file of its own
    books/shop.yaml:1: this is no YAML: recursion limit exceeded (column 262); often an indent, a missing quote or a missing bracket just above
    books/shop.yaml:1: name[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: more than 32 lists and maps within one another; no key is this deep; look at the brackets above
    books/shop.yaml:1: this is no YAML: while parsing a flow mapping, did not find expected ',' or '}' (column 18); a `${NAME}` within `{ }` or `[ ]` needs quotes: "${NAME}"
    "#);
    let missing = load(Path::new("no/such.yaml"), &env).expect_err("no file");
    assert!(
        matches!(&missing, Problems::Unreadable { .. }),
        "{missing:?}"
    );
    assert_eq!(missing.to_string(), "cannot read the playbook no/such.yaml");
}

#[test]
fn what_is_reported_once_is_not_reported_again() {
    let said = [
        problems_with("name: order-summary", "name: !text order-summary"),
        problems_with("{ slot: debezium }", "&slot { slot: *slot }"),
        problems_with("${PRIMARY_URL}", "${A}${B:-b}${C}"),
        problems_with("key: [account_id]", "key: [account_id, account_id]"),
        problems_with("{ slot: debezium }", ""),
        problems_with("[open, frozen]", "[open, [frozen]]"),
        problems_with("name: order-summary", "name: 2024"),
    ];
    insta::assert_snapshot!(said.join("\n"), @r#"
    books/shop.yaml:2: name: tags (`!name`) are not read; leave the tag out, and quote what is text
    books/shop.yaml:7: captured.slot: aliases (`*name`) are not read; write the value out in full
    books/shop.yaml:3: primary.url: the environment variable `A` is not set; set it, or give a default: `${A:-…}`
    books/shop.yaml:3: primary.url: the environment variable `C` is not set; set it, or give a default: `${C:-…}`
    books/shop.yaml:17: views.accounts_copy.key[1]: `account_id` is written twice; keep one of the two
    books/shop.yaml:7: captured: says nothing; write `{ slot: name }`, or leave `captured` out
    books/shop.yaml:19: views.accounts_copy.where.status[1]: must be one value, not a list; write one text or number
    books/shop.yaml:2: name: must be text, not a number; write one text, in quotes if it looks like something else
    "#);
}

#[test]
fn two_views_of_one_table_need_scopes() {
    let second = "  second: { table: read.accounts, key: [id], from: accounts }\ncutover:";
    let said = problems_with("cutover:", second);
    insta::assert_snapshot!(said, @r#"
    books/shop.yaml:21: views.second: `read.accounts` is the table of view `accounts_copy` too; give each of them the `scope:` of its own rows, or keep one
    "#);
}

#[test]
fn a_variable_cannot_break_the_yaml() {
    let text = EXAMPLE.replace("security.protocol: SASL_SSL", "sasl.password: \"${ODD}\"");
    let playbook = loaded(&text);
    let Log::Kafka { properties, .. } = &playbook.log else {
        panic!("{:?}", playbook.log);
    };
    assert_eq!(properties.expose()["sasl.password"], "hunter2 # ]: {");
    let escaped = loaded(&EXAMPLE.replace("order-projector", "'$${GROUP}-${GROUP:-a}'"));
    assert_eq!(
        escaped.applied,
        Applied::ConsumerGroup("${GROUP}-a".to_owned())
    );
}

/// A slip of the finger anywhere in the file ends in problems or in a playbook, never in a panic.
#[test]
fn no_slip_of_the_finger_panics() {
    for (at, character) in EXAMPLE.char_indices() {
        let rest = &EXAMPLE[at + character.len_utf8()..];
        for slip in [
            "", "[", "{ ", ": ", "~", "\"", "\n", "- ", "${", "!x ", "&a ", ", ",
        ] {
            let text = format!("{}{slip}{rest}", &EXAMPLE[..at]);
            if let Err(Problems::Found(problems)) = load_text(&text) {
                assert!(!problems.is_empty(), "{text}");
            }
        }
    }
}

/// The secret is in every place that can hold one, right and wrong, and nothing prints it.
#[test]
fn a_secret_is_never_printed() {
    let secret = "sasl.password: hunter2, ssl.key.pem: hunter2, sasl.jaas.config: \"x hunter2\"";
    let text = EXAMPLE.replace("security.protocol: SASL_SSL", secret);
    let text = text.replace("url: \"${P", "read_url: \"${PRIMARY_URL}\", url: \"${P");
    let playbook = loaded(&text);
    assert!(playbook.primary.url.expose().contains("hunter2"));
    let shown = format!("{playbook:?}\n{playbook:#?}\n{}", playbook.primary.url);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(
        shown.contains("postgres://me:***@primary/shop?sslpassword=***"),
        "{shown}"
    );

    let wrong = [
        ("\"${PRIMARY_URL}\"", "oracle://me:hunter2@host/db"),
        ("\"${PRIMARY_URL}\"", "mysql://me:hunter2@host/db"),
        ("\"${PRIMARY_URL}\"", "postgres://me:hunter2/@host/db"),
        ("\"${PRIMARY_URL}\"", "\"postgres://me:hunter2@host/db \""),
        ("\"${PRIMARY_URL}\"", "me:hunter2@host"),
        ("\"${PRIMARY_URL}\"", "[postgres://me:hunter2@host/db]"),
        ("\"${PRIMARY_URL}\"", "{ password: hunter2 }"),
        ("SASL_SSL", "{ password: hunter2 }"),
        ("SASL_SSL", "!secret hunter2"),
        ("SASL_SSL", "[hunter2]"),
    ];
    for (from, to) in wrong {
        let problems = load_text(&EXAMPLE.replace(from, to)).expect_err(to);
        let shown = format!("{problems}\n{problems:?}\n{problems:#?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
