//! The shop's life: many small transactions at random, one after another, in the background or so many at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// A row of each table whose number is about this share of the largest one. There always is one.
const FUNCTIONS: &str = "
SET search_path = shop;
CREATE FUNCTION pg_temp.an_order(share float8) RETURNS bigint LANGUAGE sql STABLE AS
$$ SELECT id FROM shop.orders WHERE id >= (share * (SELECT max(id) FROM shop.orders))::bigint ORDER BY id LIMIT 1 $$;
CREATE FUNCTION pg_temp.a_customer(share float8) RETURNS bigint LANGUAGE sql STABLE AS
$$ SELECT id FROM shop.customers WHERE id >= (share * (SELECT max(id) FROM shop.customers))::bigint ORDER BY id LIMIT 1 $$;
CREATE FUNCTION pg_temp.a_product(share float8) RETURNS bigint LANGUAGE sql STABLE AS
$$ SELECT id FROM shop.products WHERE id >= (share * (SELECT max(id) FROM shop.products))::bigint ORDER BY id LIMIT 1 $$;
CREATE FUNCTION pg_temp.a_category(share float8) RETURNS int LANGUAGE sql STABLE AS
$$ SELECT id FROM shop.categories WHERE id >= (share * (SELECT max(id) FROM shop.categories))::int ORDER BY id LIMIT 1 $$;
";

/// A transaction at random, as SQL.
type Kind = fn(&mut StdRng) -> String;

/// Each kind of transaction and how often it happens, out of the sum of all.
const KINDS: &[(u32, Kind)] = &[
    (30, new_order),
    (16, order_goes_on),
    (10, pay),
    (8, ship),
    (8, change_lines),
    (5, new_customer),
    (5, change_customer),
    (5, change_product),
    (4, count_stock),
    (4, review),
    (3, delete_order),
    (1, delete_customer),
    (2, change_key),
    (2, change_categories),
    (2, change_supplier),
    (2, never_happens),
];

/// A writer in the background.
pub struct Writer {
    began: Instant,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Writer {
    /// Writes until it is stopped, some hundred transactions a second.
    pub fn start(url: String, seed: u64) -> Writer {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread =
            std::thread::spawn(move || work(&url, seed, |_| !flag.load(Ordering::Relaxed), PAUSE));
        Writer {
            began: Instant::now(),
            stop,
            thread: Some(thread),
        }
    }

    /// Ends it; gives how many transactions there were, and how many of them a second.
    pub fn stop(mut self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        let written = self.thread.take().unwrap().join().unwrap();
        (written, written / self.began.elapsed().as_secs().max(1))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// So that the tables grow slowly however long a replay takes.
const PAUSE: Duration = Duration::from_millis(2);

/// So many transactions, at once.
pub fn write(url: &str, seed: u64, transactions: u64) {
    work(url, seed, |done| done < transactions, Duration::ZERO);
}

fn work(url: &str, seed: u64, goes_on: impl Fn(u64) -> bool, pause: Duration) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut primary = PgConnection::connect(url).await.unwrap();
        execute(&mut primary, FUNCTIONS.to_owned()).await;
        let (mut rng, mut done) = (StdRng::seed_from_u64(seed), 0);
        while goes_on(done) {
            execute(&mut primary, transaction(&mut rng)).await;
            done += 1;
            tokio::time::sleep(pause).await;
        }
        done
    })
}

async fn execute(primary: &mut PgConnection, sql: String) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.clone()))
        .execute(primary)
        .await;
    done.unwrap_or_else(|e| panic!("{e}: {sql}"));
}

fn transaction(rng: &mut StdRng) -> String {
    let mut which = rng.random_range(0..KINDS.iter().map(|(often, _)| often).sum());
    for (often, kind) in KINDS {
        if which < *often {
            return kind(rng);
        }
        which -= often;
    }
    unreachable!("the sum of all kinds was larger")
}

fn order(rng: &mut StdRng) -> String {
    format!("pg_temp.an_order({})", rng.random::<f64>())
}

fn customer(rng: &mut StdRng) -> String {
    format!("pg_temp.a_customer({})", rng.random::<f64>())
}

fn product(rng: &mut StdRng) -> String {
    format!("pg_temp.a_product({})", rng.random::<f64>())
}

fn category(rng: &mut StdRng) -> String {
    format!("pg_temp.a_category({})", rng.random::<f64>())
}

fn one_of<'t>(rng: &mut StdRng, words: &[&'t str]) -> &'t str {
    words[rng.random_range(0..words.len())]
}

/// An amount of two digits after the point.
fn amount(rng: &mut StdRng) -> String {
    format!(
        "{}.{:02}",
        rng.random_range(0..400),
        rng.random_range(0..100)
    )
}

fn new_order(rng: &mut StdRng) -> String {
    let (who, second) = (customer(rng), rng.random_range(0..50_000_000));
    let channel = one_of(rng, &["web", "shop", "phone", "fair"]);
    let note = one_of(
        rng,
        &[
            "NULL",
            "'call first'",
            "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 100) AS n)",
        ],
    );
    let coupons = one_of(rng, &["NULL", "'{}'", "'{VIP,NULL}'", "ARRAY['ü', 'a,b']"]);
    let mut sql = format!(
        "INSERT INTO orders SELECT max(id) + 1, {who}, 'new', TIMESTAMPTZ '2024-01-01 UTC' + {second} * INTERVAL '1.000001 s', NULL, {}, '{channel}', {coupons}, {note} FROM orders;",
        amount(rng)
    );
    for line in 1..=rng.random_range(0..5) {
        sql.push_str(&format!(
            "INSERT INTO order_items SELECT (SELECT max(id) FROM orders), {line}, id, {}, price FROM products WHERE id = {};",
            rng.random_range(1..9),
            product(rng)
        ));
    }
    sql
}

fn order_goes_on(rng: &mut StdRng) -> String {
    let status = one_of(rng, &["new", "paid", "shipped", "done", "cancelled"]);
    let days = rng.random_range(0..500);
    let more = one_of(
        rng,
        &[
            "",
            ", coupons = array_append(coupons, 'LATE')",
            ", note = NULL",
            ", placed = placed + interval '1 month'",
        ],
    );
    format!(
        "UPDATE orders SET status = '{status}', ship_by = DATE '2024-01-01' + {days}{more} WHERE id = {}",
        order(rng)
    )
}

fn pay(rng: &mut StdRng) -> String {
    let (which, id) = (order(rng), rng.random::<u128>());
    match rng.random_range(0..4) {
        0 => format!("UPDATE payments SET paid = now() WHERE order_id = {which} AND paid IS NULL"),
        1 => format!(
            "DELETE FROM payments WHERE id = (SELECT min(id::text)::uuid FROM payments WHERE order_id = {which})"
        ),
        _ => format!(
            "INSERT INTO payments VALUES ('{id:032x}', {which}, {}, 'card', {}, {})",
            amount(rng),
            one_of(rng, &["NULL", "now()", "'2024-02-29 23:59:59.999999+00'"]),
            one_of(
                rng,
                &[
                    "NULL",
                    r#"'{"part": 2, "of": 2}'"#,
                    r#"'[1.10, "é", null]'"#
                ]
            )
        ),
    }
}

fn ship(rng: &mut StdRng) -> String {
    let which = order(rng);
    if rng.random_bool(0.5) {
        return format!(
            "UPDATE shipments SET delivered = sent + interval '2 days' WHERE order_id = {which}"
        );
    }
    format!(
        "INSERT INTO shipments SELECT coalesce(max(id), 0) + 1, {which}, 'Post', {}, '2024-03-04 05:06:07.000008', NULL FROM shipments",
        rng.random::<f64>()
    )
}

fn change_lines(rng: &mut StdRng) -> String {
    let which = order(rng);
    match rng.random_range(0..3) {
        0 => format!(
            "DELETE FROM order_items WHERE order_id = {which} AND line = (SELECT max(line) FROM order_items WHERE order_id = {which})"
        ),
        1 => format!(
            "UPDATE order_items SET quantity = quantity + 1, price = {} WHERE order_id = {which} AND line % 2 = 1",
            amount(rng)
        ),
        _ => format!(
            "INSERT INTO order_items SELECT {which}, coalesce(max(line), 0) + 1, {}, 1, {} FROM order_items WHERE order_id = {which}",
            product(rng),
            amount(rng)
        ),
    }
}

fn new_customer(rng: &mut StdRng) -> String {
    let (city, id) = (
        one_of(rng, &["Bern", "Basel", "Sion"]),
        rng.random::<u128>(),
    );
    let email = one_of(rng, &["NULL", "'new@mail.example'"]);
    format!(
        "INSERT INTO customers SELECT max(id) + 1, '{id:032x}', {email}, 'New ' || max(id), now(), NULL, NULL, '{{}}' FROM customers;
         INSERT INTO addresses SELECT max(id), 'home', 'New Street', '{city}', NULL FROM customers"
    )
}

fn change_customer(rng: &mut StdRng) -> String {
    let which = customer(rng);
    let number: u32 = rng.random();
    match rng.random_range(0..4) {
        0 => format!(
            "UPDATE customers SET preferences = preferences || '{{\"language\": \"it\", \"last\": {number}}}' WHERE id = {which}"
        ),
        1 => format!(
            "UPDATE customers SET newsletter = NOT newsletter, email = NULL WHERE id = {which}"
        ),
        2 => format!(
            "UPDATE addresses SET city = 'Thun', postcode = NULL WHERE customer_id = {which}"
        ),
        _ => format!(
            "INSERT INTO addresses VALUES ({which}, 'billing', 'Lane {number}', 'Olten', '4600') ON CONFLICT (customer_id, kind) DO UPDATE SET street = excluded.street"
        ),
    }
}

fn change_product(rng: &mut StdRng) -> String {
    let which = product(rng);
    let what = match rng.random_range(0..5) {
        0 => format!("price = {}", amount(rng)),
        1 => "tags = array_append(tags, 'late'), attributes = NULL".to_owned(),
        2 => "attributes = coalesce(attributes, '{}') || '{\"colour\": \"black\"}'".to_owned(),
        3 => format!("weight = {}", rng.random::<f64>() * 1e3),
        _ => format!("active = NOT active, category_id = {}", category(rng)),
    };
    format!("UPDATE products SET {what} WHERE id = {which}")
}

fn count_stock(rng: &mut StdRng) -> String {
    format!(
        "INSERT INTO stock VALUES ({}, {}, {}, 0, '2025-01-02 03:04:05.678') ON CONFLICT (product_id, warehouse) DO UPDATE SET quantity = excluded.quantity, counted = excluded.counted",
        product(rng),
        rng.random_range(1..5),
        rng.random_range(0..100)
    )
}

fn review(rng: &mut StdRng) -> String {
    let (what, who) = (product(rng), customer(rng));
    if rng.random_bool(0.3) {
        return format!("DELETE FROM reviews WHERE customer_id = {who}");
    }
    format!(
        "INSERT INTO reviews VALUES ({what}, {who}, {}, 'fine', '2024-12-24 18:00') ON CONFLICT (product_id, customer_id) DO UPDATE SET stars = excluded.stars, body = NULL",
        rng.random_range(1..6)
    )
}

fn delete_order(rng: &mut StdRng) -> String {
    format!("DELETE FROM orders WHERE id = {}", order(rng))
}

fn delete_customer(rng: &mut StdRng) -> String {
    format!("DELETE FROM customers WHERE id = {}", customer(rng))
}

/// The children follow: their keys or their references change too. A long note goes to its new key without being carried.
fn change_key(rng: &mut StdRng) -> String {
    if rng.random_bool(0.5) {
        let which = customer(rng);
        return format!(
            "UPDATE customers SET id = (SELECT max(id) + 1 FROM customers) WHERE id = {which}"
        );
    }
    format!(
        "UPDATE orders SET id = (SELECT max(id) + 1 FROM orders) WHERE id = {}",
        order(rng)
    )
}

fn change_categories(rng: &mut StdRng) -> String {
    let which = category(rng);
    if rng.random_bool(0.2) {
        return format!(
            "INSERT INTO categories SELECT max(id) + 1, {which}, 'new ' || max(id), 0 FROM categories"
        );
    }
    format!(
        "UPDATE categories SET parent_id = 1 + floor({} * (id - 1)), name = name || '*' WHERE id = {which} AND id > 1 AND length(name) < 50",
        rng.random::<f64>()
    )
}

fn change_supplier(rng: &mut StdRng) -> String {
    format!(
        "UPDATE suppliers SET rating = {}, active = NOT active, contact = contact || '{{\"asked\": {}}}' WHERE id = (SELECT supplier_id FROM products WHERE id = {})",
        rng.random::<f64>() * 5.0,
        rng.random::<u16>(),
        product(rng)
    )
}

/// A transaction that is rolled back: no record of it may count.
fn never_happens(rng: &mut StdRng) -> String {
    format!(
        "BEGIN; {}; {}; ROLLBACK",
        delete_order(rng),
        new_customer(rng)
    )
}
