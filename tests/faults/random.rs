//! `kill -9` at random instants of a replay, again and again, until it is done.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::System;
use crate::support::pair::Engine;
use crate::support::{seed, size};

const REPLAY: [&str; 5] = ["replay", "big-bang", "{}", "--yes", "--format=json"];

fn killed(engine: Engine, name: &str, kills: usize) {
    let Some(system) = System::new(engine, name) else {
        return;
    };
    let mut rng = StdRng::seed_from_u64(seed());
    let began = Instant::now();
    let whole_counts = system.pair.trueup(&REPLAY).exit(0).json()["counts"].clone();
    let whole = began.elapsed();
    let (mut killed, mut replays, mut gone_on) = (0, 0, 0);
    while killed < kills {
        system.spoil();
        replays += 1;
        let mut kills_of_this = 0;
        loop {
            let mut child = system
                .pair
                .command(&REPLAY)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            // Often killed, but not for ever.
            let instant = rng.random_range(0..(whole.as_micros() as u64));
            std::thread::sleep(Duration::from_micros(instant));
            let _ = child.kill();
            let output = child.wait_with_output().unwrap();
            match output.status.code() {
                None => {
                    killed += 1;
                    kills_of_this += 1;
                }
                // A session that was cut off may hold its lock for a moment.
                Some(6) => std::thread::sleep(Duration::from_millis(50)),
                Some(0) => {
                    let said = String::from_utf8_lossy(&output.stderr);
                    gone_on += usize::from(said.contains("goes on with it"));
                    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
                    if kills_of_this > 0 {
                        same_counts(&report["counts"], &whole_counts);
                    }
                    break;
                }
                code => panic!("{code:?}: {}", String::from_utf8_lossy(&output.stderr)),
            }
        }
        let what = format!("replay {replays}, after {killed} kills");
        system.is_right(&what);
        system.is_clean(engine, &what);
    }
    println!(
        "{engine:?}: {killed} kills of {replays} replays of {whole:?}, {gone_on} ended by going on, 0 wrong"
    );
    assert!(gone_on > 0, "no replay was gone on with");
}

/// However often it was interrupted, every record was counted once.
fn same_counts(found: &serde_json::Value, wanted: &serde_json::Value) {
    for count in ["read", "put", "deleted", "stale", "duplicate"] {
        assert_eq!(
            found[count], wanted[count],
            "{count}: {found} against {wanted}"
        );
    }
}

#[test]
fn kills_on_sqlite() {
    killed(Engine::Sqlite, "kills", size(20, 2_000));
}

#[test]
fn kills_on_postgres() {
    killed(Engine::Postgres, "kills", size(15, 300));
}
