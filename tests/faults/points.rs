//! Every named point of the program, at its first hits.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use super::{System, is_clean};
use crate::support::pair::Engine;
use crate::support::size;

/// The signal of `abort`.
const ABORTED: i32 = 6;

/// What an operator does, one after the other; each begins with tables that are wrong.
const COMMANDS: [&[&str]; 3] = [
    &["replay", "big-bang", "{}", "--yes", "--quiet"],
    &[
        "replay",
        "partial",
        "{}",
        "--snapshot",
        "latest",
        "--yes",
        "--quiet",
    ],
    &["reconcile", "{}", "--apply", "--yes", "--quiet"],
];

/// The points that the sources name, less those that only an object store comes to (`snapshots/objects.rs`).
fn points() -> Vec<String> {
    let mut points = Vec::new();
    let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let named = text.split("crash_point!(\"").skip(1);
            points.extend(
                named
                    .filter_map(|t| t.split_once('"'))
                    .map(|(name, _)| name.to_owned())
                    .filter(|name| !name.starts_with("snapshot.")),
            );
        }
    }
    points.sort();
    points.dedup();
    assert!(points.len() > 10, "{points:?}");
    points
}

fn crashed(status: ExitStatus) -> bool {
    status.signal() == Some(ABORTED)
}

/// How often each point ended the program.
fn every_point(engine: Engine, name: &str) -> Option<BTreeMap<String, usize>> {
    let system = System::new(engine, name)?;
    let pair = &system.pair;
    pair.trueup(COMMANDS[0]).exit(0);
    pair.trueup(&["snapshot", "create", "{}", "--yes", "--verify", "--quiet"])
        .exit(0);
    let mut fired = BTreeMap::new();
    for point in points() {
        for command in COMMANDS {
            for hit in 1..=size(1, 3) {
                let what = format!("{engine:?}: {point}:{hit} of {}", command[..2].join(" "));
                system.spoil();
                let mut crashing = pair.command(command);
                crashing
                    .env("TRUEUP_CRASH", format!("{point}:{hit}"))
                    .env("TRUEUP_BATCH_BYTES", "60000");
                let output = crashing.output().unwrap();
                if !crashed(output.status) {
                    assert_eq!(
                        output.status.code(),
                        Some(0),
                        "{what}: {}",
                        String::from_utf8_lossy(&output.stderr)
                    );
                    system.is_right(&what);
                    break;
                }
                *fired.entry(point.clone()).or_default() += 1;
                again(&system, command, &what);
                system.is_right(&what);
                is_clean(&system.pair, &what);
            }
        }
    }
    Some(fired)
}

/// The same command until it says that all is done.
fn again(system: &System, command: &[&str], what: &str) {
    let mut ran = system.pair.trueup(command);
    for _ in 0..3 {
        if ran.code == 0 {
            return;
        }
        // A session that was cut off may still hold its locks for a moment.
        assert!(
            matches!(ran.code, 5 | 6),
            "{what}: {}: {}",
            ran.code,
            ran.stderr
        );
        std::thread::sleep(std::time::Duration::from_millis(300));
        ran = system.pair.trueup(command);
    }
    ran.exit(0);
}

#[test]
fn the_same_command_goes_on_after_a_crash_at_any_point() {
    let sqlite = every_point(Engine::Sqlite, "points").unwrap();
    let Some(postgres) = every_point(Engine::Postgres, "points") else {
        return;
    };
    let never: Vec<String> = points()
        .into_iter()
        // Those of the cutover need a projector: the tests of the cutover reach them.
        .filter(|p| !p.starts_with("cutover."))
        .filter(|p| !sqlite.contains_key(p) && !postgres.contains_key(p))
        .collect();
    println!("sqlite: {sqlite:?}\npostgres: {postgres:?}");
    assert!(never.is_empty(), "never reached: {never:?}");
}
