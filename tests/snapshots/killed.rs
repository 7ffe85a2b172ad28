//! `kill -9` at random instants of making a snapshot: what is found afterwards is whole, or is not found.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use trueup::projection::cell::Cell;
use trueup::snapshot::Place;

use super::{Rows, draft, names, notes, read, version};
use crate::support::seed;

/// Tells this test, run once more in a process of its own, that it is the one to be killed, and where.
const CHILD: &str = "TRUEUP_TEST_SNAPSHOT_CHILD";
const TABLES: i64 = 4;
const ROWS: i64 = 40_000;
const KILLS: usize = 50;

fn row(table: i64, id: i64) -> Vec<Cell<'static>> {
    vec![
        Cell::Int(id.into()),
        Cell::Text(format!("{table} {}", id * 7919).into()),
    ]
}

fn make(place: &Place, id: &str) {
    let mut writer = place.create(draft(), id).unwrap();
    for number in 0..TABLES {
        let mut table = writer.table(notes(&format!("t{number}"))).unwrap();
        for first in (0..ROWS).step_by(1_000) {
            let batch: Rows = (first..first + 1_000)
                .map(|id| (row(number, id), Some(version(id))))
                .collect();
            table.rows(&batch).unwrap();
        }
        table.close().unwrap();
    }
    writer.finish().unwrap();
}

fn child(place: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "snapshots::killed::at_any_instant"])
        .env(CHILD, place)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn at_any_instant() {
    if let Some(place) = std::env::var_os(CHILD) {
        make(&Place::open(Path::new(&place)), "s");
        return;
    }
    let mut rng = StdRng::seed_from_u64(seed());
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    assert!(
        child(&folder.path().join("whole"))
            .wait()
            .unwrap()
            .success()
    );
    let whole = began.elapsed();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for kill in 0..KILLS {
        let path = folder.path().join(kill.to_string());
        let place = Place::open(&path);
        let mut child = child(&path);
        std::thread::sleep(Duration::from_micros(
            rng.random_range(0..whole.as_micros() as u64),
        ));
        let _ = child.kill();
        child.wait().unwrap();
        let left = if path.exists() {
            names(&path)
        } else {
            Vec::new()
        };
        let listed = place.list().unwrap();
        match listed.as_slice() {
            [] => assert!(
                left.is_empty() || left == [".s.part"],
                "kill {kill}: {left:?}"
            ),
            [one] => {
                assert_eq!(left, ["s"], "kill {kill}");
                assert!(one.what.is_ok(), "kill {kill}: {:?}", one.what);
                let snapshot = place.load("s").unwrap();
                for number in 0..TABLES {
                    let rows = read(&snapshot, &format!("t{number}"));
                    assert!(
                        rows.len() == ROWS as usize
                            && rows
                                .iter()
                                .zip(0..)
                                .all(|((cells, _), id)| *cells == row(number, id))
                    );
                }
            }
            more => panic!("kill {kill}: {more:?}"),
        }
        let state = match (left.is_empty(), listed.is_empty()) {
            (true, _) => "before",
            (_, true) => "half-way",
            _ => "after",
        };
        *seen.entry(state).or_default() += 1;
        if state == "half-way" {
            // The next one is not in the way of what the dead one has left.
            drop(place.create(draft(), "s").unwrap());
            assert_eq!(names(&path), [""; 0], "kill {kill}");
        }
    }
    println!("{KILLS} kills within {whole:?}: {seen:?}, 0 wrong");
    assert!(seen.get("half-way").is_some_and(|n| *n >= 5), "{seen:?}");
}
