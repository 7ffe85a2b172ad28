//! The verdict on a whole system that never stops: pgbench at full speed, Debezium, and a projector that lags at random.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::live::Live;
use crate::support::projector::{Lag, Projector, Protocol, Route, Setup, Which};
use crate::support::services::kafka_tool;
use crate::support::{Ran, run, seed, size, text};

const HOUR: Duration = Duration::from_secs(3_600);
/// What is planted: rows with another balance, rows that are gone, and rows that nobody expects.
const CHANGED: u64 = 40;
const MISSING: u64 = 30;
const EXTRA: u64 = 30;

struct System {
    live: Live,
    projector: Option<Projector>,
    setup: Setup,
    folder: tempfile::TempDir,
}

impl System {
    /// pgbench's accounts and their copy, in step, with a projector that lags up to this.
    fn start(name: &'static str, scale: u64, lag: Duration, protocol: Protocol) -> Option<System> {
        let live = Live::start(name, scale)?;
        let route = Route::accounts(&live.topic(), "read.accounts");
        let group = format!("{name}_{}", std::process::id());
        let setup = Setup::new(&live.brokers, &group, &live.reads_url(), route).protocol(protocol);
        let projector = Projector::start(setup.clone());
        projector.drained(&projector.ends(&live.topic()));
        let setup = setup.lag(Lag::random(lag), seed());
        projector.lag(setup.lag);
        let folder = tempfile::tempdir().unwrap();
        let applied = format!(
            "applied: {{ consumer_group: {group} }}\ncaptured: {{ slot: {} }}",
            live.slot()
        );
        let written = std::fs::read_to_string(&live.playbook).unwrap();
        assert!(written.contains("applied: none"), "{written}");
        let playbook =
            written.replace("applied: none", &applied) + "limits: { repairs_max: \"50%\" }\n";
        std::fs::write(folder.path().join("playbook.yaml"), playbook).unwrap();
        Some(System {
            live,
            projector: Some(projector),
            setup,
            folder,
        })
    }

    fn projector(&self) -> &Projector {
        self.projector.as_ref().unwrap()
    }

    fn trueup(&self, args: &[&str]) -> Ran {
        let playbook = text(&self.folder.path().join("playbook.yaml"));
        let args: Vec<&str> = args
            .iter()
            .map(|a| if *a == "{}" { &playbook } else { *a })
            .collect();
        run(&mut crate::support::command(&args))
    }

    /// Verifies so many times: exit codes, and the longest time.
    fn verify(&self, times: usize, what: &str) -> BTreeMap<i32, usize> {
        let (mut codes, mut longest, mut lagging) = (BTreeMap::new(), Duration::ZERO, 0);
        for _ in 0..times {
            let began = Instant::now();
            let ran = self.trueup(&["verify", "{}", "--format", "json", "--quiet"]);
            longest = longest.max(began.elapsed());
            assert!(
                matches!(ran.code, 0 | 1 | 5),
                "{}{}",
                ran.stdout,
                ran.stderr
            );
            lagging += ran.json()["views"][0]["lagging"].as_u64().unwrap();
            if ran.code != 0 {
                println!("{what}: {}", ran.stdout.trim());
            }
            *codes.entry(ran.code).or_default() += 1;
        }
        println!(
            "{what}: {times} verifications, by exit code {codes:?}, {lagging} keys were lagging, the longest took {longest:?}"
        );
        codes
    }

    /// Plants differences that the projector does not heal, and gives their keys.
    fn plant(&self) -> BTreeSet<String> {
        let rows = self.live.rows;
        let step = rows / (CHANGED + MISSING);
        let keys: Vec<u64> = (1..=CHANGED + MISSING).map(|i| i * step).collect();
        let (changed, missing) = keys.split_at(usize::try_from(CHANGED).unwrap());
        let list = |keys: &[u64]| {
            keys.iter()
                .map(u64::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let all: Vec<String> = keys.iter().map(u64::to_string).collect();
        self.projector()
            .skip(Which::keys(all.iter().map(String::as_str)));
        self.live.reads(&format!(
            "UPDATE read.accounts SET balance = balance + 1000000007 WHERE account_id IN ({})",
            list(changed)
        ));
        self.live.reads(&format!(
            "DELETE FROM read.accounts WHERE account_id IN ({})",
            list(missing)
        ));
        self.live.reads(&format!(
            "INSERT INTO read.accounts (account_id, branch_id, balance, filler) SELECT {rows} + i, 1, 0, '' FROM generate_series(1, {EXTRA}) AS i"
        ));
        all.into_iter()
            .chain((1..=EXTRA).map(|i| (rows + i).to_string()))
            .collect()
    }
}

/// Keys of a dry run's differences.
fn found(plan: &Value) -> BTreeSet<String> {
    let samples = plan["views"][0]["samples"].as_array().unwrap();
    let key = |s: &Value| s["key"]["account_id"].as_str().unwrap().to_owned();
    samples.iter().map(key).collect()
}

/// Somebody who writes some accounts again and again.
fn busy(system: &System, keys: Vec<u64>) -> (Arc<AtomicBool>, std::thread::JoinHandle<u64>) {
    let stop = Arc::new(AtomicBool::new(false));
    let url = system
        .live
        .postgres
        .url(&format!("{}_primary", system.live.name));
    let (flag, mut writes) = (Arc::clone(&stop), 0);
    let thread = std::thread::spawn(move || {
        use sqlx::Connection as _;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut primary = sqlx::PgConnection::connect(&url).await.unwrap();
            while !flag.load(Ordering::Relaxed) {
                for key in &keys {
                    let sql = format!(
                        "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = {key}"
                    );
                    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
                        .execute(&mut primary)
                        .await
                        .unwrap();
                    writes += 1;
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        });
        writes
    });
    (stop, thread)
}

/// Plants differences, some of them on keys that are written all the time, finds them so many times, and repairs them.
fn find_and_repair(system: &System, times: usize, round: usize) {
    let planted = system.plant();
    let step = system.live.rows / (CHANGED + MISSING);
    let (stop, thread) = busy(system, (1..=20).map(|i| i * step).collect());
    for _ in 0..times {
        let began = Instant::now();
        let plan = system
            .trueup(&[
                "reconcile",
                "{}",
                "--format",
                "json",
                "--show",
                "1000",
                "--quiet",
            ])
            .exit(1)
            .json();
        assert_eq!(found(&plan), planted, "{plan}");
        let lagging = &plan["views"][0]["lagging"];
        println!(
            "{round}: all {} planted differences and nothing else in {:?}, {lagging} lagging",
            planted.len(),
            began.elapsed()
        );
    }
    stop.store(true, Ordering::Relaxed);
    println!(
        "{round}: {} writes to 20 of the planted keys meanwhile",
        thread.join().unwrap()
    );
    let done = system.trueup(&[
        "reconcile",
        "{}",
        "--apply",
        "--yes",
        "--quiet",
        "--format",
        "json",
    ]);
    println!(
        "{round}: repaired: exit {} {}",
        done.code,
        done.stdout.trim()
    );
    assert!(matches!(done.code, 0 | 5), "{}", done.stderr);
    system.projector().skip(Which::None);
}

#[test]
fn lag_is_never_drift_and_drift_is_never_lag() {
    let (scale, lag) = (size(1, 10) as u64, Duration::from_secs(size(2, 5) as u64));
    let Some(system) = System::start("tu_lag", scale, lag, Protocol::Classic) else {
        return;
    };
    let writing = system.live.write(HOUR);
    let times = size(3, 20);

    let codes = system.verify(times, "in step");
    assert_eq!(codes.get(&1), None, "lag was taken for drift");
    assert!(
        codes.get(&0).copied().unwrap_or_default() * 20 >= times * 19,
        "{codes:?}"
    );

    for round in 0..size(1, 2) {
        find_and_repair(&system, size(1, 10), round);
    }
    writing.stop();
    println!("captured {:?} later", system.live.captured());
    system.projector().lag(Lag::NONE);
    system
        .projector()
        .drained(&system.projector().ends(&system.live.topic()));
    // What was skipped while it was planted comes again only with the next change.
    system
        .trueup(&["reconcile", "{}", "--apply", "--yes", "--quiet"])
        .exit(0);
    assert_eq!(system.live.differing("read.accounts"), BTreeMap::new());
    system.trueup(&["verify", "{}"]).exit(0);
}

#[test]
fn a_half_that_stands_still_is_named() {
    let Some(mut system) = System::start(
        "tu_halves",
        1,
        Duration::from_millis(500),
        Protocol::Consumer,
    ) else {
        return;
    };
    let writing = system.live.write(HOUR);
    // Without a topic for it, a message would stop the connector for good: so none is sent.
    system.verify(1, "before there is a topic of messages");
    let topics = kafka_tool(
        "org.apache.kafka.tools.TopicCommand",
        &["--bootstrap-server", &system.live.brokers, "--list"],
    );
    assert!(
        topics.contains(&system.live.topic()) && !topics.contains(&system.live.message_topic()),
        "{topics}"
    );
    let unknown = |system: &System, says: &str| {
        let verdict = system
            .trueup(&[
                "verify",
                "{}",
                "--format",
                "json",
                "--quiet",
                "--lag-wait",
                "8s",
            ])
            .exit(5)
            .json();
        let view = &verdict["views"][0];
        assert_eq!(verdict["verdict"], "unknown");
        assert_eq!(
            (
                view["missing"].as_u64(),
                view["extra"].as_u64(),
                view["changed"].as_u64()
            ),
            (Some(0), Some(0), Some(0)),
            "{view}"
        );
        assert!(view["unknown"].as_u64().unwrap() > 0, "{view}");
        assert!(view["reasons"].to_string().contains(says), "{view}");
        println!("{}", view["reasons"]);
    };
    system.live.pause();
    unknown(&system, "the log does not have what the primary has");
    system.live.resume();
    // From here on the log is at rest and whole: how fast it is captured is not the question.
    writing.stop();
    system.live.captured();

    system.projector = None;
    system.live.write(Duration::from_secs(2)).finish();
    system.live.captured();
    unknown(&system, "the projector is stopped");
    let lag = system
        .trueup(&["lag", "{}", "--format", "json", "--max-events", "0"])
        .exit(1)
        .json();
    assert!(
        lag["events"].as_u64().unwrap() > 0 && lag["seconds"].as_f64().unwrap() > 0.0,
        "{lag}"
    );
    assert_eq!(lag["captured"]["active"], true, "{lag}");

    system.projector = Some(Projector::start(system.setup.clone().lag(Lag::NONE, 0)));
    system
        .projector()
        .drained(&system.projector().ends(&system.live.topic()));
    system.trueup(&["verify", "{}"]).exit(0);
    system
        .trueup(&["lag", "{}", "--max-events", "1000", "--max-time", "1h"])
        .exit(0);
}
