//! Planted against reported: so many differences of every cause in a large copy, on Kafka and PostgreSQL. What is said of each
//! key is set beside what was done to it; then what is advised is run, and leaves what it said that it would leave.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::scene::{PARTITIONS, Planted, Scene, home};
use crate::support::pair::{Engine, Side};
use crate::support::{seed, size};

/// What is done to a key, and the word that it should lead to.
const PLANTED: [Planted; 12] = [
    ("an update was skipped", "skipped"),
    ("an insert was skipped", "skipped"),
    ("an older event came after a newer one", "time_travel"),
    ("a delete was overtaken", "resurrected"),
    ("changed by hand", "off_history"),
    ("deleted by hand", "off_history"),
    ("inserted by hand", "off_history"),
    ("computed wrongly", "miscomputed"),
    ("the log never heard of an update", "lost_event"),
    ("not in the log as it is", "log_incomplete"),
    ("on its way", "lagging"),
    ("written differently", "representation"),
];
const CREATE: &str =
    "(id bigint PRIMARY KEY, holder text NOT NULL, balance numeric(14,2) NOT NULL, tags text)";

/// A row, as the databases and the log have it.
#[derive(Clone, PartialEq)]
struct Row {
    holder: String,
    cents: i64,
    tags: String,
}

impl Row {
    fn random(rng: &mut StdRng) -> Row {
        Row {
            holder: format!("Holder {}", rng.random_range(0..1_000_000_000u64)),
            cents: rng.random_range(1..100_000_000),
            tags: "a, b, c".to_owned(),
        }
    }

    fn balance(&self) -> String {
        format!("{}.{:02}", self.cents / 100, self.cents % 100)
    }

    fn line(&self, id: usize) -> String {
        format!("{id}\t{}\t{}\t{}\n", self.holder, self.balance(), self.tags)
    }

    fn json(&self, id: usize) -> Value {
        json!({"id": id, "holder": self.holder, "balance": self.balance(), "tags": self.tags})
    }
}

struct System {
    scene: Scene,
    /// The newest rows of those that are on their way.
    coming: Vec<(usize, Row)>,
    rows: usize,
}

impl System {
    /// So many rows, and of each kind of difference so many.
    fn new(rows: usize, each: usize) -> Option<System> {
        let scene = Scene::new(
            Engine::Postgres,
            "copy",
            &["accounts"],
            [
                &format!("CREATE TABLE accounts {CREATE}"),
                &format!("CREATE TABLE copy {CREATE}"),
            ],
            "views:\n  copy: { from: accounts, key: [id], compare: { tags: { unordered: \", \" } } }\n",
        )?;
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
        let (mut primary, mut stored) = (Vec::new(), Vec::new());
        for id in 0..self.rows * 2 {
            if id >= self.rows && !self.scene.planted.contains_key(&id) {
                continue;
            }
            let (p, s) = self.one(id, &mut rng);
            primary.extend(p.map(|row| row.line(id)));
            stored.extend(s.map(|row| row.line(id)));
        }
        self.scene.flush();
        self.scene.place();
        for (id, row) in &self.coming {
            let log = &mut self.scene.log;
            log.event(0, home(*id), "u", *id, &row.json(*id));
        }
        self.scene.flush();
        self.scene.fill(Side::Primary, "accounts", &primary);
        self.scene.fill(Side::Read, "copy", &stored);
    }

    /// Writes the events of a key; gives its row in the primary and in the read store.
    fn one(&mut self, id: usize, rng: &mut StdRng) -> (Option<Row>, Option<Row>) {
        let (first, second) = (Row::random(rng), Row::random(rng));
        let partition = home(id);
        let what = self.scene.planted.get(&id).copied().unwrap_or_default();
        let log = &mut self.scene.log;
        let mut is =
            |partition: i32, op: &str, row: &Row| log.event(0, partition, op, id, &row.json(id));
        match what {
            "an insert was skipped" => {
                is(partition, "c", &first);
                return (Some(first), None);
            }
            "inserted by hand" => return (None, Some(first)),
            "the log never heard of an update" => {
                is(partition, "c", &first);
                return (Some(second), Some(first));
            }
            "not in the log as it is" => {
                is(partition, "c", &first);
                return (Some(second.clone()), Some(second));
            }
            "on its way" => {
                is(partition, "c", &first);
                self.coming.push((id, second.clone()));
                return (Some(second), Some(first));
            }
            "a delete was overtaken" => {
                is(partition, "c", &first);
                is(partition, "d", &first);
                return (None, Some(first));
            }
            "an older event came after a newer one" => {
                is(partition, "c", &first);
                is((partition + 1) % PARTITIONS, "u", &second);
                return (Some(second), Some(first));
            }
            _ => {}
        }
        is(partition, "c", &first);
        if what.is_empty() && !id.is_multiple_of(3) {
            return (Some(first.clone()), Some(first));
        }
        is(partition, "u", &second);
        let mut stored = second.clone();
        match what {
            "an update was skipped" => stored = first,
            "deleted by hand" => return (Some(second), None),
            "changed by hand" if id.is_multiple_of(2) => stored.holder = Row::random(rng).holder,
            "changed by hand" => stored.cents = rng.random_range(1..100_000_000),
            "computed wrongly" => stored.cents *= 100,
            "written differently" => stored.tags = "c, a, b".to_owned(),
            _ => {}
        }
        (Some(second), Some(stored))
    }
}

#[test]
fn planted_against_reported_of_a_copy() {
    let (rows, each) = (size(20_000, 1_000_000), size(25, 200));
    let Some(system) = System::new(rows, each) else {
        return;
    };
    let scene = &system.scene;
    let table = scene.matrix(&PLANTED, &scene.reported("id"));
    println!("{rows} rows:\n{table}");
    assert!(!table.contains("<--"), "\n{table}");

    // The whole table says the same, and what a replay would break is found among the rows that agree.
    let mut wanted: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, cause) in PLANTED {
        *wanted.entry(cause).or_default() += each;
    }
    assert_eq!(scene.causes(100, 5), json!(wanted));

    // The projector comes to what was on its way; then what is advised is done.
    for (id, row) in &system.coming {
        scene.pair.sql(
            Side::Read,
            &format!(
                "UPDATE copy SET holder = '{}', balance = {} WHERE id = {id}",
                row.holder,
                row.balance()
            ),
        );
    }
    scene.place();
    let repair = "reconcile {} --explain --apply --yes --repairs-max 50% --deletes-max 50%";
    scene.trueup(&repair.split(' ').collect::<Vec<_>>()).exit(0);
    // What the log never heard of is right now, and in the log as little as before: a replay would break it.
    let left = json!({"representation": each, "log_incomplete": 2 * each});
    assert_eq!(scene.causes(100, 0), left);
    println!("what could be repaired is, and nothing but this is left: {left}");
}
