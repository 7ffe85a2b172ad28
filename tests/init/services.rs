//! `trueup init` on PostgreSQL and Kafka: schemas, passwords, topics.

use super::{counts_agree, drafted, holds, line};
use crate::support::embedded::Embedded;
use crate::support::services::{Postgres, kafka_tool};
use crate::support::{Ran, run, service};

/// A database of this test alone, dropped at the end.
struct Database<'a>(&'a Postgres, String);

impl<'a> Database<'a> {
    fn new(postgres: &'a Postgres, name: &str, sql: &str) -> Database<'a> {
        let name = format!("tu_init_{name}_{}", std::process::id());
        postgres.sql("postgres", &format!("DROP DATABASE IF EXISTS {name}"));
        postgres.sql("postgres", &format!("CREATE DATABASE {name}"));
        postgres.sql(&name, sql);
        Database(postgres, name)
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.1);
        self.0.sql("postgres", &drop);
    }
}

#[test]
fn schemas_passwords_and_topics_on_real_services() {
    let Some(postgres) = Postgres::new() else {
        return;
    };
    let primary = Database::new(
        &postgres,
        "p",
        "CREATE SCHEMA sales; CREATE TABLE sales.orders (id bigint PRIMARY KEY, customer text, total numeric(10,2), at timestamptz);
         CREATE TABLE public.customers (id uuid PRIMARY KEY, name varchar(20)) PARTITION BY HASH (id);
         CREATE TABLE public.customers_0 PARTITION OF public.customers FOR VALUES WITH (MODULUS 1, REMAINDER 0);
         INSERT INTO sales.orders VALUES (1, 'ann', 1.50, '2024-01-01'); INSERT INTO customers VALUES (gen_random_uuid(), 'ann')",
    );
    let reads = Database::new(
        &postgres,
        "r",
        "CREATE SCHEMA read; CREATE TABLE read.orders (order_id bigint PRIMARY KEY, customer text, total numeric(12,2), at timestamptz,
           kafka_offset bigint, loaded_at timestamptz DEFAULT now(), day date GENERATED ALWAYS AS ((at AT TIME ZONE 'UTC')::date) STORED);
         CREATE TABLE read.\"Customer List\" (id uuid PRIMARY KEY, name text); CREATE SCHEMA trueup; CREATE TABLE trueup.run (id text);
         CREATE SCHEMA trueup_x; CREATE TABLE trueup_x.orders (id bigint PRIMARY KEY);
         INSERT INTO read.orders VALUES (1, 'ann', 1.50, '2024-01-01')",
    );
    let system = Embedded::new("", "");
    let password = postgres
        .url("x")
        .split([':', '@'])
        .nth(2)
        .unwrap()
        .to_owned();
    let run_with = |args: &[&str]| {
        let mut line = line(&system, args);
        line.env("PRIMARY_URL", postgres.url(&primary.1));
        line.env("READ_STORE_URL", postgres.url(&reads.1));
        run(&mut line)
    };
    let ran = run_with(&["init"]).exit(0).says(&[
        "read.orders is a copy of sales.orders: 4 of 6 columns, key order_id",
        "read.Customer List is a copy of public.customers",
    ]);
    let yaml = drafted(&system);
    println!("{yaml}{}", ran.stderr);
    counts_agree(&yaml, &ran);
    assert!(
        !yaml.contains(&format!(":{password}@")) && !ran.stderr.contains(&format!(":{password}@"))
    );
    holds(
        &yaml,
        &[
            "primary: { url: \"${PRIMARY_URL}\" }",
            "read_store: { url: \"${READ_STORE_URL}\" }",
            &format!("topic: {}.sales.orders # guessed:", primary.1),
            "table: \"read.Customer List\"",
            "order_id: id # guessed:",
            "kafka_offset: \"@offset\" # guessed:",
            "loaded_at: \"@default\" # guessed:",
        ],
    );
    assert!(
        !yaml.contains("trueup_x") && !yaml.contains("customers_0"),
        "{yaml}"
    );
    let report = run_with(&["verify", "playbook.yaml", "--format", "json"])
        .exit(1)
        .json();
    let missing = |view: usize| report["views"][view]["missing"].as_u64();
    // Views stand in the order of their names: `Customer List` lacks its row, `orders` is in sync.
    assert_eq!((missing(0), missing(1)), (Some(1), Some(0)), "{report}");
    topics_are_looked_up(&system, &run_with);
    // A URL whose password is a variable is written as it was given.
    let named =
        postgres
            .url(&primary.1)
            .replacen(&format!(":{password}@"), ":${SHOP_PASSWORD}@", 1);
    let args = ["init", "--primary", &named, "--out", "named.yaml"];
    let mut line = line(&system, &args);
    line.env("READ_STORE_URL", postgres.url(&reads.1));
    run(line.env("SHOP_PASSWORD", &password)).exit(0);
    let yaml = std::fs::read_to_string(system.path("named.yaml")).unwrap();
    holds(&yaml, &[&format!("primary: {{ url: \"{named}\" }}")]);
}

fn topics_are_looked_up(system: &Embedded, run_with: &dyn Fn(&[&str]) -> Ran) {
    let Some(brokers) = service("TRUEUP_TEST_KAFKA") else {
        return;
    };
    let prefix = format!("tu-init-{}", std::process::id());
    let topics = [
        format!("{prefix}.sales.orders"),
        format!("{prefix}.other.customers"),
    ];
    let tool = |topic: &str, what: &[&str]| {
        let args = [
            &["--bootstrap-server", &brokers, "--topic", topic][..],
            what,
        ]
        .concat();
        kafka_tool("org.apache.kafka.tools.TopicCommand", &args);
    };
    for topic in &topics {
        tool(
            topic,
            &["--create", "--partitions", "1", "--replication-factor", "1"],
        );
    }
    let ran = run_with(&[
        "init",
        "--out",
        "topics.yaml",
        "--brokers",
        &brokers,
        "--table",
        "read.orders",
        "--table",
        "read.Customer List",
    ]);
    for topic in &topics {
        tool(topic, &["--delete"]);
    }
    let ran = ran.exit(0);
    let yaml = std::fs::read_to_string(system.path("topics.yaml")).unwrap();
    println!("{yaml}{}", ran.stderr);
    counts_agree(&yaml, &ran);
    holds(
        &yaml,
        &[
            &format!("log: {{ kafka: {{ brokers: \"{brokers}\" }} }}"),
            &format!("topic: {}", topics[0]),
            &format!("topic: {} # guessed:", topics[1]),
        ],
    );
    run_with(&["init", "--out", "more.yaml", "--brokers", "127.0.0.1:1"])
        .exit(4)
        .says(&["without --brokers", "127.0.0.1:1"]);
}
