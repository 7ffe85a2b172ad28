//! `kill -9` at random instants of a replay, again and again, until it is done.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use super::large::Large;
use super::{System, is_clean};
use crate::support::pair::{Engine, Pair, Side};
use crate::support::{seed, size};

const REPLAY: [&str; 5] = ["replay", "big-bang", "{}", "--yes", "--format=json"];

/// What is rebuilt, and killed meanwhile.
pub trait Rebuilt {
    fn pair(&self) -> &Pair;

    /// What no log says, so that there is something to do.
    fn spoil(&self);

    /// Every table is what the primary says.
    fn is_right(&self, after: &str);

    /// Where a run that was killed stands, as far as can be seen; nothing when there is none.
    fn stage(&self) -> String;

    /// How many records the log has, where that is known.
    fn records(&self) -> Option<u64> {
        None
    }

    /// Records of keys that are in several partitions: which of them are stale depends on what comes first.
    fn scattered(&self) -> u64 {
        0
    }
}

impl Rebuilt for System {
    fn pair(&self) -> &Pair {
        &self.pair
    }

    fn spoil(&self) {
        System::spoil(self);
    }

    fn is_right(&self, after: &str) {
        System::is_right(self, after);
    }

    fn stage(&self) -> String {
        let runs = match self.pair.engine() {
            Engine::Sqlite => "trueup_run",
            Engine::Postgres => "trueup.run",
        };
        let sql = format!("SELECT DISTINCT stage FROM {runs} WHERE state = 'running'");
        self.pair.lines(Side::Read, &sql).join(", ")
    }
}

fn killed(system: &dyn Rebuilt, kills: usize, rng: &mut StdRng) {
    let pair = system.pair();
    let began = Instant::now();
    let whole_report = pair.trueup(&REPLAY).exit(0).json();
    let whole = began.elapsed();
    println!("uninterrupted: {whole:?}, {}", whole_report["counts"]);
    if let Some(records) = system.records() {
        assert_eq!(whole_report["counts"]["read"], records);
    }
    let began = Instant::now();
    let (mut killed, mut replays, mut gone_on, mut busy) = (0, 0, 0, 0);
    let mut stages: BTreeMap<String, usize> = BTreeMap::new();
    while killed < kills {
        system.spoil();
        replays += 1;
        let mut kills_of_this = 0;
        loop {
            let mut child = pair
                .command(&REPLAY)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            // Often killed, but not for ever; and half of them early, where one takes up what another has left.
            let latest = whole.as_micros() as u64 / if rng.random_bool(0.5) { 4 } else { 1 };
            let instant = rng.random_range(0..latest);
            std::thread::sleep(Duration::from_micros(instant));
            let _ = child.kill();
            let output = child.wait_with_output().unwrap();
            match output.status.code() {
                None => {
                    killed += 1;
                    kills_of_this += 1;
                    *stages.entry(system.stage()).or_default() += 1;
                }
                // A session that was cut off may hold its lock for a moment.
                Some(6) => {
                    busy += 1;
                    std::thread::sleep(Duration::from_millis(50));
                }
                Some(0) => {
                    let said = String::from_utf8_lossy(&output.stderr);
                    gone_on += usize::from(said.contains("goes on with it"));
                    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
                    if kills_of_this > 0 {
                        same_counts(&report, &whole_report, system.scattered());
                    }
                    break;
                }
                code => panic!("{code:?}: {}", String::from_utf8_lossy(&output.stderr)),
            }
        }
        let what = format!("replay {replays}, after {killed} kills");
        system.is_right(&what);
        is_clean(pair, &what);
        if replays % 50 == 0 {
            println!("{what}: {:?}", began.elapsed());
        }
    }
    pair.trueup(&["verify", "{}", "--quiet"]).exit(0);
    println!(
        "{killed} kills of {replays} replays of {whole:?} in {:?}, {gone_on} ended by going on, {busy} found it busy, 0 wrong; \
         where the kills found them: {stages:?}",
        began.elapsed()
    );
    assert!(gone_on > 0, "no replay was gone on with");
}

/// However often it was interrupted, every record was counted once.
#[track_caller]
fn same_counts(found: &Value, wanted: &Value, scattered: u64) {
    let count = |report: &Value, name: &str| report["counts"][name].as_u64().unwrap();
    let same = |name: &str| {
        let (found, wanted) = (count(found, name), count(wanted, name));
        assert_eq!(found, wanted, "{name}");
    };
    ["read", "deleted", "duplicate", "truncated"]
        .iter()
        .for_each(|name| same(name));
    for what in ["ignored", "quarantined", "blocked"] {
        assert_eq!(
            found["counts"][what], wanted["counts"][what],
            "{what}: {found} against {wanted}"
        );
    }
    assert_eq!(found["settled"], wanted["settled"]);
    if scattered == 0 {
        return ["put", "stale"].iter().for_each(|name| same(name));
    }
    let of = |report| (count(report, "put"), count(report, "stale"));
    let ((put, stale), (put_then, stale_then)) = (of(found), of(wanted));
    assert_eq!(put + stale, put_then + stale_then, "put and stale");
    assert!(
        put.abs_diff(put_then) <= scattered,
        "{put} put against {put_then}"
    );
}

fn killed_small(engine: Engine, name: &str, kills: usize) {
    if let Some(system) = System::new(engine, name) {
        killed(&system, kills, &mut StdRng::seed_from_u64(seed()));
    }
}

#[test]
fn kills_on_sqlite() {
    killed_small(Engine::Sqlite, "kills", size(20, 2_000));
}

#[test]
fn kills_on_postgres() {
    killed_small(Engine::Postgres, "kills", size(15, 300));
}

#[test]
#[ignore = "minutes, on a busy machine"]
fn kills_on_kafka_and_postgres() {
    let seed = seed();
    let records = size(20_000, 2_000_000) as u64;
    if let Some(system) = Large::new("kills_large", records, seed) {
        killed(&system, size(10, 300), &mut StdRng::seed_from_u64(seed));
    }
}
