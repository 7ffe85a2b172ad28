//! What it is good for: a view of five tables, of which as many rows are touched as are exchanged by their keys.

use std::time::{Duration, Instant};

use trueup::report::progress::{Progress, Show};
use trueup::store::{Acts, WritePermit};
use trueup::strategies::replay::derive::Round;

use super::{Recorded, Written, derived, staging};
use crate::support::pair::Engine;
use crate::support::size;

const SOURCES: [&str; 5] = ["customers", "products", "orders", "items", "payments"];
const TABLES: &str = "
CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL);
CREATE TABLE products (id bigint PRIMARY KEY, price bigint NOT NULL);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL, note text);
CREATE INDEX ON orders (customer_id);
CREATE TABLE items (id bigint PRIMARY KEY, order_id bigint NOT NULL, product_id bigint NOT NULL, qty bigint NOT NULL);
CREATE INDEX ON items (order_id); CREATE INDEX ON items (product_id);
CREATE TABLE payments (id bigint PRIMARY KEY, order_id bigint NOT NULL, amount bigint NOT NULL);
CREATE INDEX ON payments (order_id);";

fn summary() -> Written {
    Written {
        name: "summary".to_owned(),
        key: 1,
        columns: vec![
            ("order_id", "bigint NOT NULL"),
            ("customer", "text"),
            ("note", "text"),
            ("items", "bigint"),
            ("total", "bigint"),
            ("paid", "bigint"),
        ],
        query: "SELECT o.id AS order_id, c.name AS customer, o.note, count(DISTINCT i.id) AS items, \
                CAST(sum(i.qty * p.price) AS bigint) AS total, CAST(max(y.amount) AS bigint) AS paid \
                FROM orders o JOIN customers c ON c.id = o.customer_id LEFT JOIN items i ON i.order_id = o.id \
                LEFT JOIN products p ON p.id = i.product_id LEFT JOIN payments y ON y.order_id = o.id \
                GROUP BY o.id, o.note, c.name"
            .to_owned(),
        touched_by: Vec::new(),
    }
}

/// The row of a source for its nth key; a `salt` other than 0 makes it another one.
fn row(source: usize, id: usize, orders: usize, salt: usize) -> String {
    match source {
        0 => format!(r#"{{"id":{id},"name":"customer {} {salt}"}}"#, id % 1_000),
        1 => format!(r#"{{"id":{id},"price":{}}}"#, 100 + id % 900 + salt),
        2 => format!(
            r#"{{"id":{id},"customer_id":{},"note":"note {salt}"}}"#,
            id * 7 % (orders / 10)
        ),
        3 => format!(
            r#"{{"id":{id},"order_id":{},"product_id":{},"qty":{}}}"#,
            (id + salt * 3) % orders,
            id * 11 % (orders / 100),
            1 + id % 5
        ),
        _ => format!(
            r#"{{"id":{id},"order_id":{},"amount":{}}}"#,
            id * 2,
            id % 10_000 + salt
        ),
    }
}

fn put(recorded: &mut Recorded, source: usize, id: usize, orders: usize, salt: usize) {
    let op = if salt == 0 { "c" } else { "u" };
    let after = row(source, id, orders, salt);
    recorded.change(source, &format!(r#"{{"id":{id}}}"#), op, Some(&after));
}

/// So many changes, in every source; each row changes twice.
fn changes(recorded: &mut Recorded, orders: usize, many: usize) -> usize {
    for nth in 0..many {
        let (id, salt) = (nth % (many / 2) * 13 % (orders / 2), 1 + nth / (many / 2));
        match nth % 8 {
            0..=2 => put(recorded, 2, id, orders, salt),
            3..=4 => put(recorded, 4, id, orders, salt),
            5 => recorded.change(3, &format!(r#"{{"id":{id}}}"#), "d", None),
            _ => put(recorded, 3, id, orders, salt),
        }
    }
    for id in 0..4 {
        put(recorded, 0, id, orders, 1);
        put(recorded, 1, id, orders, 1);
    }
    many + 8
}

fn seconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 100.0).round() / 100.0
}

/// Catching up against deriving whole, and that both come to the same.
#[test]
fn a_view_of_five_tables() {
    let orders = size(3_000, 1_000_000);
    let views = vec![summary()];
    let Some(mut recorded) = Recorded::new(Engine::Postgres, TABLES, &SOURCES, views) else {
        return;
    };
    let many = [orders / 10, orders / 100, orders, orders, orders / 2];
    for (source, many) in many.into_iter().enumerate() {
        for id in 0..many {
            put(&mut recorded, source, id, orders, 0);
        }
    }
    recorded.cut();
    // Beyond 8 % of many rows a view is derived whole.
    let changes = changes(&mut recorded, orders, size(300, 100_000));
    recorded.cut();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (first, longer) = (recorded.systems(1).await, recorded.systems(2).await);
        let views = recorded.views(&first).await;
        let plan = staging(&first, &views, "figures").await;
        let (permit, progress) = (WritePermit::grant(), Progress::start(Show::Quiet));
        let began = Instant::now();
        let (mut pipeline, mut derivation) = derived(&first, &plan, &permit, &progress).await;
        let loaded = began.elapsed();
        pipeline.systems = &longer;
        let began = Instant::now();
        pipeline.catch_up().await.unwrap();
        let read = began.elapsed();
        let began = Instant::now();
        derivation.renew(&mut pipeline).await.unwrap();
        let by_keys = began.elapsed();
        let [derived] = plan.derived.as_slice() else {
            panic!("one view");
        };
        let store = first.staging();
        let exposure = derivation.exposure().unwrap();
        let comparison = exposure
            .comparison(&derived.view)
            .with_actual(store, store.shadow_table(&derived.shadow));
        let found = comparison.run(true, &progress.counter()).await.unwrap();
        assert_eq!((found.differences.len(), found.beyond), (0, 0));
        assert_eq!(found.rows, orders as u64);
        let Round::Keys(keys) = derivation.rounds()[0][0] else {
            panic!("{:?}", derivation.rounds());
        };
        // Of a row that moves each of its orders, and those of four customers and four products.
        let changes = changes as u64;
        assert!(keys > changes / 4 && keys < changes + 440, "{keys}");
        let began = Instant::now();
        exposure.fill(derived).await.unwrap();
        let whole = began.elapsed();
        println!(
            "{orders} rows of 5 tables, loaded and derived in {} s; {changes} changes, read and settled in {} s, touch {keys} keys; \
             caught up in {} s, derived whole in {} s",
            seconds(loaded),
            seconds(read),
            seconds(by_keys),
            seconds(whole)
        );
        let run = plan.staging().unwrap().run;
        store.unstage(&permit, &run).await.unwrap();
    });
}
