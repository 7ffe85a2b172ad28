//! Planted against reported in a query view of three sources: what is said of a row is decided by the rows that it is made of.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::scene::{PARTITIONS, Planted, Scene, home};
use crate::support::pair::{Engine, Side};
use crate::support::{seed, size};

/// What is done to a row of the view or to the rows that it is made of, and the word that it should lead to.
const PLANTED: [Planted; 17] = [
    ("an item's update was skipped", "skipped"),
    ("an item's insert was skipped", "skipped"),
    ("an item's delete was skipped", "skipped"),
    ("a customer's update was skipped", "skipped"),
    ("an order's insert was skipped", "skipped"),
    ("everything was skipped since some time", "skipped"),
    ("an item came to another order", "skipped"),
    (
        "an item's older event came after a newer one",
        "time_travel",
    ),
    ("an order's delete was overtaken", "resurrected"),
    ("changed by hand", "off_history"),
    ("deleted by hand", "off_history"),
    ("inserted by hand", "off_history"),
    ("computed wrongly", "miscomputed"),
    ("the log never heard of an item", "lost_event"),
    ("an item is not in the log as it is", "log_incomplete"),
    ("an item is on its way", "lagging"),
    ("written differently", "representation"),
];
const PRIMARY: &str = "CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL); \
     CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL, tags text NOT NULL); \
     CREATE TABLE items (id bigint PRIMARY KEY, order_id bigint NOT NULL, cents bigint NOT NULL); \
     CREATE INDEX items_of ON items (order_id)";
const READ: &str = "CREATE TABLE summary (order_id bigint PRIMARY KEY, customer text NOT NULL, tags text NOT NULL, \
     items bigint NOT NULL, cents bigint NOT NULL)";
const VIEWS: &str = "views:
  summary:
    key: [order_id]
    compare: { tags: { unordered: \", \" } }
    query: |
      SELECT o.id AS order_id, c.name AS customer, o.tags, count(i.id) AS items, CAST(coalesce(sum(i.cents), 0) AS bigint) AS cents
      FROM orders o JOIN customers c ON c.id = o.customer_id LEFT JOIN items i ON i.order_id = o.id
      GROUP BY o.id, c.name, o.tags
";
const CUSTOMERS: usize = 0;
const ORDERS: usize = 1;
const ITEMS: usize = 2;

/// An order with all that belongs to it, as one of the sides has it. Its customer has its number, its items twice that and one
/// more.
#[derive(Clone)]
struct Order {
    customer: String,
    tags: String,
    cents: BTreeMap<usize, i64>,
}

impl Order {
    fn random(id: usize, rng: &mut StdRng) -> Order {
        let mut cents = || rng.random_range(1..100_000_000);
        Order {
            cents: BTreeMap::from([(2 * id, cents()), (2 * id + 1, cents())]),
            customer: format!("Customer {}", cents()),
            tags: "a, b, c".to_owned(),
        }
    }

    /// Its row of the view.
    fn line(&self, id: usize) -> String {
        let (items, cents) = (self.cents.len(), self.cents.values().sum::<i64>());
        format!("{id}\t{}\t{}\t{items}\t{cents}\n", self.customer, self.tags)
    }
}

#[derive(Default)]
struct Lines {
    customers: Vec<String>,
    orders: Vec<String>,
    items: Vec<String>,
    stored: Vec<String>,
}

struct System {
    scene: Scene,
    /// The items that are on their way, with their orders as they are then.
    coming: Vec<(usize, Order)>,
    rows: usize,
}

impl System {
    /// So many rows, and of each kind of difference so many.
    fn new(engine: Engine, rows: usize, each: usize) -> Option<System> {
        let sources = ["customers", "orders", "items"];
        let scene = Scene::new(engine, "joined", &sources, [PRIMARY, READ], VIEWS)?;
        let mut system = System {
            scene,
            coming: Vec::new(),
            rows,
        };
        system.plant(each);
        Some(system)
    }

    fn plant(&mut self, each: usize) {
        let mut rng = StdRng::seed_from_u64(seed());
        self.scene.choose(self.rows, each, &PLANTED, &mut rng);
        let mut lines = Lines::default();
        for id in 0..self.rows * 2 {
            if id < self.rows || self.scene.planted.contains_key(&id) {
                self.one(id, &mut lines, &mut rng);
            }
        }
        self.scene.flush();
        self.scene.place();
        for (id, order) in self.coming.clone() {
            self.item("u", 2 * id, id, &order, home(2 * id));
        }
        self.scene.flush();
        for (table, lines) in [
            ("customers", &lines.customers),
            ("orders", &lines.orders),
            ("items", &lines.items),
        ] {
            self.scene.fill(Side::Primary, table, lines);
        }
        self.scene.fill(Side::Read, "summary", &lines.stored);
    }

    fn customer(&mut self, op: &str, id: usize, order: &Order) {
        let row = json!({"id": id, "name": order.customer});
        self.scene.log.event(CUSTOMERS, home(id), op, id, &row);
    }

    fn order(&mut self, op: &str, id: usize, order: &Order, partition: i32) {
        let row = json!({"id": id, "customer_id": id, "tags": order.tags});
        self.scene.log.event(ORDERS, partition, op, id, &row);
    }

    fn item(&mut self, op: &str, item: usize, id: usize, order: &Order, partition: i32) {
        let row = json!({"id": item, "order_id": id, "cents": order.cents[&item]});
        self.scene.log.event(ITEMS, partition, op, item, &row);
    }

    /// Writes the events of an order and of all that belongs to it, and its rows in every table.
    fn one(&mut self, id: usize, lines: &mut Lines, rng: &mut StdRng) {
        let (first, second) = (Order::random(id, rng), Order::random(id, rng));
        let what = self.scene.planted.get(&id).copied().unwrap_or_default();
        if what == "inserted by hand" {
            lines.stored.push(first.line(id));
            return;
        }
        let (one, two) = (2 * id, 2 * id + 1);
        self.customer("c", id, &first);
        self.order("c", id, &first, home(id));
        self.item("c", one, id, &first, home(one));
        let mut now = first.clone();
        let mut stored = first.clone();
        if what == "an item's insert was skipped" {
            stored.cents.remove(&two);
        }
        self.item("c", two, id, &first, home(two));
        // What is planted below is the second event of whatever it befalls.
        if what != "an order's insert was skipped" && id.is_multiple_of(2)
            || what == "deleted by hand"
        {
            self.order("u", id, &first, home(id));
        }
        let update = |now: &mut Order| {
            now.cents.insert(one, second.cents[&one]);
        };
        let mut in_primary = true;
        let mut shown = true;
        match what {
            "an item's update was skipped" => {
                update(&mut now);
                self.item("u", one, id, &now, home(one));
            }
            "an item's older event came after a newer one" => {
                update(&mut now);
                self.item("u", one, id, &now, (home(one) + 1) % PARTITIONS);
            }
            "an item's delete was skipped" => {
                self.item("d", two, id, &now, home(two));
                now.cents.remove(&two);
            }
            "an item came to another order" => {
                // One that nobody has: its own row alone is wrong.
                let row = json!({"id": two, "order_id": 1_000_000_000 + id, "cents": 1});
                self.scene.log.event(ITEMS, home(two), "u", two, &row);
                lines
                    .items
                    .push(format!("{two}\t{}\t1\n", 1_000_000_000 + id));
                now.cents.remove(&two);
            }
            "a customer's update was skipped" => {
                now.customer.clone_from(&second.customer);
                self.customer("u", id, &now);
            }
            "an order's insert was skipped" => shown = false,
            "everything was skipped since some time" => {
                now = second.clone();
                self.customer("u", id, &now);
                self.item("u", one, id, &now, home(one));
                self.item("u", two, id, &now, home(two));
            }
            "an order's delete was overtaken" => {
                self.order("d", id, &now, home(id));
                in_primary = false;
            }
            "changed by hand" if id.is_multiple_of(2) => {
                stored.customer.clone_from(&second.customer)
            }
            "changed by hand" => {
                *stored.cents.get_mut(&one).unwrap() += rng.random_range(1..1_000_000)
            }
            "deleted by hand" => shown = false,
            "computed wrongly" => stored.cents.values_mut().for_each(|cents| *cents *= 100),
            "the log never heard of an item" => update(&mut now),
            "an item is not in the log as it is" => {
                update(&mut now);
                stored = now.clone();
            }
            "an item is on its way" => {
                update(&mut now);
                self.coming.push((id, now.clone()));
            }
            "written differently" => stored.tags = "c, a, b".to_owned(),
            "" if id.is_multiple_of(3) => {
                update(&mut now);
                self.item("u", one, id, &now, home(one));
                stored = now.clone();
            }
            _ => {}
        }
        lines.customers.push(format!("{id}\t{}\n", now.customer));
        if in_primary {
            lines.orders.push(format!("{id}\t{id}\t{}\n", now.tags));
        }
        let items = now.cents.iter();
        let items = items.map(|(item, cents)| format!("{item}\t{id}\t{cents}\n"));
        lines.items.extend(items);
        if shown {
            lines.stored.push(stored.line(id));
        }
    }
}

/// What each kind should lead to, where nothing tells how far the log has the primary if not `captured`.
fn wanted(captured: bool) -> Vec<Planted> {
    let word = |(what, cause): Planted| match cause {
        "lost_event" if !captured => (what, "unexplained"),
        _ => (what, cause),
    };
    PLANTED.into_iter().map(word).collect()
}

fn planted_against_reported(engine: Engine, rows: usize, each: usize) {
    let Some(system) = System::new(engine, rows, each) else {
        return;
    };
    let scene = &system.scene;
    let planted = wanted(engine == Engine::Postgres);
    let table = scene.matrix(&planted, &scene.reported("order_id"));
    println!("{rows} rows:\n{table}");
    assert!(!table.contains("<--"), "\n{table}");

    let mut causes: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, cause) in planted {
        *causes.entry(cause).or_default() += each;
    }
    // Each part of the rows that agree is a pass over all topics: of many rows only those that differ are looked at again.
    let percent = size(100, 0);
    let whole = |mut causes: Value| {
        let found = causes.as_object_mut().unwrap();
        found.retain(|cause, _| percent > 0 || cause != "log_incomplete");
        causes
    };
    assert_eq!(whole(scene.causes(percent, 5)), whole(json!(causes)));
    if engine == Engine::Sqlite {
        // Without a log of its own that has positions, nothing says that a key is at rest.
        return;
    }

    // The projector comes to what was on its way; then what is advised is done.
    for (id, order) in &system.coming {
        let cents: i64 = order.cents.values().sum();
        let update = format!("UPDATE summary SET cents = {cents} WHERE order_id = {id}");
        scene.pair.sql(Side::Read, &update);
    }
    scene.place();
    let repair = "reconcile {} --explain --apply --yes --repairs-max 90% --deletes-max 90%";
    scene.trueup(&repair.split(' ').collect::<Vec<_>>()).exit(0);
    let left = json!({"representation": each, "log_incomplete": 2 * each});
    assert_eq!(whole(scene.causes(percent, 0)), whole(left.clone()));
    println!("what could be repaired is, and nothing but this is left: {left}");
}

#[test]
fn planted_against_reported_of_a_query() {
    planted_against_reported(Engine::Postgres, size(5_000, 1_000_000), size(25, 200));
}

#[test]
fn planted_against_reported_of_a_query_embedded() {
    planted_against_reported(Engine::Sqlite, 1_000, 25);
}

#[test]
fn what_cannot_be_told_is_said() {
    let Some(system) = System::new(Engine::Sqlite, 100, 1) else {
        return;
    };
    let playbook = system.scene.pair.path("playbook.yaml");
    let text = std::fs::read_to_string(&playbook).unwrap();
    let ranked = text.replace(
        "SELECT o.id AS",
        "SELECT row_number() OVER (ORDER BY o.id) * 0 + o.id AS",
    );
    std::fs::write(&playbook, ranked).unwrap();
    system
        .scene
        .trueup(&["explain", "{}", "--key", "1"])
        .exit(0)
        .shows(&["cannot be told", "it has a window"]);
    std::fs::write(&playbook, text).unwrap();
    let skipped = system.scene.planted.iter();
    let skipped = skipped.filter(|(_, what)| **what == "a customer's update was skipped");
    for (id, _) in skipped {
        let ran = system
            .scene
            .trueup(&["explain", "{}", "--key", &id.to_string()]);
        let (row, topic) = (format!("customers id={id}"), "shop.main.customers:");
        ran.exit(1).shows(&["skipped", &row, topic]);
    }
}
