//! `kill -9` at random instants of making a snapshot: what is listed is whole, and the next one clears up.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{History, create, equal_oracle, partial, primary, system};
use crate::support::embedded::Embedded;
use crate::support::{command, seed, size, text};

/// Every table and view of the read store.
fn schema(system: &Embedded) -> BTreeSet<String> {
    let names = system.rows("read.db", "SELECT name FROM sqlite_master ORDER BY 1");
    names.into_iter().flatten().collect()
}

/// Files beside the databases, and unfinished snapshots.
fn litter(system: &Embedded) -> Vec<String> {
    let folders = [system.path(""), system.path("snapshots").join("partial")];
    let entries = folders.iter().flat_map(|f| fs::read_dir(f).unwrap());
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    names
        .filter(|n| n.contains("lock") || n.ends_with(".part"))
        .collect()
}

/// The ids of the snapshots that pass as whole, each of them looked at in full.
fn whole(system: &Embedded) -> BTreeSet<String> {
    let listed = system
        .trueup(&["snapshot", "list", "{}", "--format", "json"])
        .exit(0)
        .json();
    let mut ids = BTreeSet::new();
    for snapshot in listed["snapshots"].as_array().unwrap() {
        let id = snapshot["id"].as_str().unwrap().to_owned();
        assert!(snapshot["problem"].is_null(), "{snapshot}");
        system.trueup(&["snapshot", "show", "{}", &id]).exit(0);
        ids.insert(id);
    }
    ids
}

#[test]
fn a_snapshot_is_whole_or_not_there() {
    let kills = size(8, 50);
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let history = History::random(seed, 2_000, size(4_000, 20_000), 4);
    let (system, state) = (system(), history.state(history.len()));
    system.log(&history.archive(history.len()));
    primary(&system, &state);

    let began = Instant::now();
    create(&system, &["--full", "--verify"]);
    let took = began.elapsed();
    let clean = schema(&system);
    let playbook = text(&system.path("playbook.yaml"));
    let (mut finished, mut staged, mut unfinished) = (0, 0, 0);
    for kill in 0..kills {
        let before = whole(&system);
        let args = [
            "snapshot", "create", &playbook, "--full", "--verify", "--yes", "--quiet",
        ];
        let mut child = command(&args)
            .current_dir(system.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let micros = u64::try_from(took.as_micros()).unwrap();
        std::thread::sleep(Duration::from_micros(rng.random_range(0..micros)));
        let _ = child.kill();
        child.wait().unwrap();

        finished += whole(&system).difference(&before).count();
        staged += usize::from(schema(&system) != clean);
        unfinished += usize::from(litter(&system).iter().any(|n| n.ends_with(".part")));
        let (id, _) = create(&system, &["--verify"]);
        assert!(whole(&system).contains(&id), "kill {kill}");
        assert_eq!(
            schema(&system),
            clean,
            "kill {kill}: the dead one's staging area"
        );
        assert_eq!(litter(&system), [""; 0], "kill {kill}");
    }
    println!(
        "{kills} kills within {took:?}: {staged} left a staging area, {unfinished} an unfinished snapshot, {finished} were through"
    );
    partial(&system, &["--snapshot", "latest"]).exit(0);
    equal_oracle(&system, &state, "after all kills");
}
