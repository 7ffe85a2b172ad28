//! Repairs while the system goes on: a primary that is written, a projector some way behind it, and somebody who edits the
//! read table. No repair may put an older row in a newer one's place.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::support::pair::{Engine, Pair, Side};
use crate::support::{seed, size};

const KEYS: i64 = 250;
/// What the projector is behind at most; the playbook promises twice as much.
const LAG: Duration = Duration::from_millis(250);

/// What happened to one key in the primary: version, and whether the row was there.
type History = Arc<Mutex<HashMap<i64, Vec<(i64, bool)>>>>;

struct System {
    stop: AtomicBool,
    drained: AtomicBool,
    writes: AtomicU64,
    edits: AtomicU64,
    /// Changes on their way to the projector, by the time at which they arrive.
    queue: Mutex<std::collections::VecDeque<(Instant, i64, Option<i64>)>>,
}

impl System {
    /// One partition: nothing overtakes, and nothing arrives later than the lag that is promised.
    fn send(&self, arrives: Instant, id: i64, version: Option<i64>) {
        let mut queue = self.queue.lock().unwrap();
        let after = queue
            .back()
            .map_or(arrives, |(last, ..)| arrives.max(*last));
        queue.push_back((after.min(Instant::now() + LAG), id, version));
    }
}

fn run<F: Future>(work: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

async fn execute(connection: &mut PgConnection, sql: String) -> u64 {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .unwrap()
        .rows_affected()
}

/// Commands on the primary; each one's change goes into the queue.
async fn write(url: String, seed: u64, system: Arc<System>, history: History) {
    let mut primary = PgConnection::connect(&url).await.unwrap();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut version = 1_000;
    while !system.stop.load(Ordering::Relaxed) {
        let id = rng.random_range(1..=KEYS);
        version += 1;
        let exists = rng.random_bool(0.85);
        let sql = if exists {
            format!(
                "INSERT INTO p VALUES ({id}, {version}, 'v{version}') ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v, t = EXCLUDED.t"
            )
        } else {
            format!("DELETE FROM p WHERE id = {id}")
        };
        // Known before it can be seen.
        history
            .lock()
            .unwrap()
            .entry(id)
            .or_default()
            .push((version, exists));
        execute(&mut primary, sql).await;
        let arrives = Instant::now() + LAG.mul_f64(rng.random_range(0.2..1.0));
        system.send(arrives, id, exists.then_some(version));
        system.writes.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(rng.random_range(1..6))).await;
    }
}

/// The projector: it writes whole rows in the order of the log, whatever it finds.
async fn project(url: String, system: Arc<System>) {
    let mut read = PgConnection::connect(&url).await.unwrap();
    loop {
        let next = system.queue.lock().unwrap().front().copied();
        let Some((arrives, id, version)) = next else {
            if system.stop.load(Ordering::Relaxed) {
                system.drained.store(true, Ordering::Relaxed);
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
            continue;
        };
        tokio::time::sleep(arrives.saturating_duration_since(Instant::now())).await;
        let sql = match version {
            Some(v) => format!(
                "INSERT INTO r VALUES ({id}, {v}, 'v{v}') ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v, t = EXCLUDED.t"
            ),
            None => format!("DELETE FROM r WHERE id = {id}"),
        };
        execute(&mut read, sql).await;
        system.queue.lock().unwrap().pop_front();
    }
}

/// Somebody who edits, removes and adds rows.
async fn edit(url: String, seed: u64, system: Arc<System>) {
    let mut read = PgConnection::connect(&url).await.unwrap();
    let mut rng = StdRng::seed_from_u64(seed);
    while !system.stop.load(Ordering::Relaxed) {
        let id = rng.random_range(1..=KEYS);
        let sql = match rng.random_range(0..3) {
            0 => format!("UPDATE r SET t = 'by hand' WHERE id = {id}"),
            1 => format!("DELETE FROM r WHERE id = {id}"),
            _ => format!(
                "INSERT INTO r VALUES ({}, 0, 'by hand') ON CONFLICT DO NOTHING",
                KEYS + id
            ),
        };
        system
            .edits
            .fetch_add(execute(&mut read, sql).await, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(rng.random_range(20..60))).await;
    }
}

/// Every repair went forward: from a version to a newer one, or to none that was there after it.
fn check_journal(pair: &Pair, history: &HashMap<i64, Vec<(i64, bool)>>) -> BTreeMap<String, usize> {
    let query = "SELECT kind, key->>'id', coalesce(before->>'v', ''), coalesce(after->>'v', ''), confirmation FROM trueup.journal ORDER BY run, number";
    let mut kinds = BTreeMap::new();
    for line in pair.lines(Side::Read, query) {
        let [kind, id, before, after, confirmation] = line.split('|').collect::<Vec<_>>()[..]
        else {
            panic!("{line}")
        };
        let (id, before, after): (i64, Option<i64>, Option<i64>) =
            (id.parse().unwrap(), before.parse().ok(), after.parse().ok());
        let all = history.get(&id).map(Vec::as_slice).unwrap_or_default();
        match (before, after) {
            (Some(before), Some(after)) => assert!(
                after >= before,
                "an older row in a newer one's place: {line}"
            ),
            (Some(before), None) => assert!(
                before == 0
                    || all
                        .iter()
                        .any(|(version, exists)| *version > before && !exists),
                "a row deleted that the primary had: {line}"
            ),
            _ => {}
        }
        assert_ne!(confirmation, "unconfirmed", "{line}");
        *kinds.entry(format!("{kind} {confirmation}")).or_default() += 1;
    }
    kinds
}

#[test]
fn no_repair_goes_back_in_time() {
    let Some(pair) = Pair::new(Engine::Postgres, "writers") else {
        return;
    };
    let table = |name: &str| {
        format!(
            "CREATE TABLE {name} (id bigint PRIMARY KEY, v bigint NOT NULL, t text NOT NULL); INSERT INTO {name} SELECT i, i, 'v' || i FROM generate_series(1, {KEYS}) AS i;"
        )
    };
    pair.sql(Side::Primary, &table("p"));
    pair.sql(Side::Read, &table("r"));
    pair.playbook_of(
        &format!("{{ within: {}ms }}", LAG.as_millis() * 2),
        "sources: { p: { topic: x.public.p, table: p } }\nviews: { r: { from: p, key: [id] } }\nlimits: { repairs_max: \"100%\" }\n",
    );
    let system = Arc::new(System {
        stop: AtomicBool::new(false),
        drained: AtomicBool::new(false),
        writes: AtomicU64::new(0),
        edits: AtomicU64::new(0),
        queue: Mutex::default(),
    });
    let (history, seed) = (History::default(), seed());
    let (primary, read) = (pair.url(Side::Primary), pair.url(Side::Read));
    let threads = [
        {
            let (s, h) = (Arc::clone(&system), Arc::clone(&history));
            std::thread::spawn(move || run(write(primary, seed, s, h)))
        },
        {
            let (s, url) = (Arc::clone(&system), read.clone());
            std::thread::spawn(move || run(project(url, s)))
        },
        {
            let s = Arc::clone(&system);
            std::thread::spawn(move || run(edit(read, !seed, s)))
        },
    ];
    let applies = size(8, 100);
    let mut ended: BTreeMap<i32, usize> = BTreeMap::new();
    for _ in 0..applies {
        let ran = pair.trueup(&[
            "reconcile",
            "{}",
            "--apply",
            "--yes",
            "--quiet",
            "--lag-wait",
            "3s",
        ]);
        assert!(matches!(ran.code, 0 | 5), "{}\n{}", ran.stdout, ran.stderr);
        *ended.entry(ran.code).or_default() += 1;
    }
    system.stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(system.drained.load(Ordering::Relaxed));
    pair.trueup(&["reconcile", "{}", "--apply", "--yes", "--quiet"])
        .exit(0);
    pair.trueup(&["verify", "{}"]).exit(0);
    let all = ["id", "v", "t"];
    assert_eq!(
        pair.dump(Side::Read, "r", &all),
        pair.dump(Side::Primary, "p", &all)
    );
    let kinds = check_journal(&pair, &history.lock().unwrap());
    println!(
        "{applies} applies (by exit code {ended:?}) during {} writes and {} edits: {kinds:?}, 0 back in time",
        system.writes.load(Ordering::Relaxed),
        system.edits.load(Ordering::Relaxed)
    );
}
