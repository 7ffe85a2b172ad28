//! Snapshots in an object store: the file system by that interface, and a server of the S3 protocol.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::TryStreamExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::runtime::Runtime;

use trueup::projection::cell::Cell;
use trueup::snapshot::{Place, Verified};

use super::{Rows, draft, notes, read, small, version};
use crate::support::embedded::{Embedded, change, line, usual_playbook};
use crate::support::{command, run, seed, service, size};

/// A prefix of a store of our own, and a second way to its objects.
pub(super) struct Prefix {
    pub(super) url: String,
    store: Arc<dyn ObjectStore>,
    root: Path,
    runtime: Runtime,
    _folder: Option<tempfile::TempDir>,
}

impl Prefix {
    /// Each kind of store that is there.
    pub(super) fn all() -> Vec<Prefix> {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("kept").to_string_lossy().into_owned();
        let mut all = vec![Prefix {
            url: format!("file://{below}"),
            store: Arc::new(LocalFileSystem::new()),
            root: Path::parse(below.trim_start_matches('/')).unwrap(),
            runtime: Runtime::new().unwrap(),
            _folder: Some(folder),
        }];
        if let Some(bucket) = service("TRUEUP_TEST_S3") {
            let name = format!("{:016x}", rand::random::<u64>());
            let store = AmazonS3Builder::from_env()
                .with_bucket_name(bucket.trim_start_matches("s3://"))
                .build();
            all.push(Prefix {
                url: format!("{bucket}/{name}"),
                store: Arc::new(store.unwrap()),
                root: Path::parse(name).unwrap(),
                runtime: Runtime::new().unwrap(),
                _folder: None,
            });
        }
        all
    }

    fn place(&self) -> Place {
        Place::at(&self.url).unwrap()
    }

    /// What is there, by its path below the prefix.
    pub(super) fn names(&self) -> Vec<String> {
        let list = self.store.list(Some(&self.root)).try_collect::<Vec<_>>();
        let objects = self.runtime.block_on(list).unwrap();
        let below = |path: &Path| path.as_ref()[self.root.as_ref().len() + 1..].to_owned();
        let mut names: Vec<String> = objects.iter().map(|o| below(&o.location)).collect();
        names.sort();
        names
    }

    fn get(&self, name: &str) -> Vec<u8> {
        let at = Path::parse(format!("{}/{name}", self.root)).unwrap();
        let found = async { self.store.get(&at).await.unwrap().bytes().await.unwrap() };
        self.runtime.block_on(found).to_vec()
    }

    fn put(&self, name: &str, bytes: Vec<u8>) {
        let at = Path::parse(format!("{}/{name}", self.root)).unwrap();
        let put = self.store.put(&at, bytes.into());
        self.runtime.block_on(put).unwrap();
    }

    fn delete(&self, name: &str) {
        let at = Path::parse(format!("{}/{name}", self.root)).unwrap();
        self.runtime.block_on(self.store.delete(&at)).unwrap();
    }
}

fn ids(place: &Place) -> Vec<(String, bool)> {
    let listed = place.list().unwrap().into_iter();
    listed.map(|l| (l.id, l.what.is_ok())).collect()
}

#[test]
fn a_store_keeps_them_as_a_folder_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut places = vec![Place::open(&folder.path().join("deep"))];
    let prefixes = Prefix::all();
    places.extend(prefixes.iter().map(Prefix::place));
    for place in places {
        assert_eq!(ids(&place), []);
        assert!(place.latest().unwrap().is_none());
        let said = place.load("a").unwrap_err().to_string();
        assert!(said.contains(&place.to_string()), "{said}");
        // Not found before it is finished, nor made by two at once, nor left behind.
        let mut begun = place.create(draft(), "a").unwrap();
        begun.table(notes("t")).unwrap().close().unwrap();
        assert_eq!(ids(&place), []);
        assert!(place.load("a").is_err());
        let said = place.create(draft(), "a").unwrap_err().to_string();
        assert!(said.contains("another process"), "{said}");
        drop(begun);
        small(&place, "a");
        small(&place, "b");
        assert_eq!(
            ids(&place),
            [("a".to_owned(), true), ("b".to_owned(), true)]
        );
        let said = place.create(draft(), "a").unwrap_err().to_string();
        assert!(said.contains("it is taken"), "{said}");
        // Proven once and again, which another process sees.
        let mut a = place.load("a").unwrap();
        for at_ms in [1, 2] {
            let position = None;
            a.mark_verified(Verified { at_ms, position }).unwrap();
            let proof = place.load("a").unwrap().verified().cloned();
            assert_eq!(proof.map(|v| v.at_ms), Some(at_ms));
        }
        // Tables are taken over, and outlive their parent.
        let mut next = place.create(draft(), "c").unwrap();
        next.reuse(&a, "t").unwrap();
        next.finish().unwrap();
        let rows = read(&a, "t");
        place.remove("a", &permit()).unwrap();
        assert!(place.load("a").is_err());
        assert_eq!(rows, read(&place.load("c").unwrap(), "t"));
        assert_eq!(
            ids(&place),
            [("b".to_owned(), true), ("c".to_owned(), true)]
        );
    }
}

fn permit() -> trueup::store::WritePermit {
    trueup::store::WritePermit::grant()
}

#[test]
fn any_change_is_found() {
    let mut rng = StdRng::seed_from_u64(seed());
    for prefix in Prefix::all() {
        let place = prefix.place();
        small(&place, "s");
        let position = None;
        let mut snapshot = place.load("s").unwrap();
        snapshot
            .mark_verified(Verified { at_ms: 1, position })
            .unwrap();
        for name in prefix.names() {
            let file = name.strip_prefix("s/").unwrap();
            let whole = prefix.get(&name);
            let at = rng.random_range(0..whole.len());
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << rng.random_range(0..8);
            let mut longer = whole.clone();
            longer.push(b'\n');
            for changed in [flipped, whole[..whole.len() - 1].to_vec(), longer] {
                prefix.put(&name, changed);
                let problem = place.load("s").unwrap_err();
                assert!(problem.is_damage(), "{name}, byte {at}: {problem}");
            }
            prefix.delete(&name);
            assert!(
                place.load("s").is_err() || file == "verified.json",
                "{name}"
            );
            prefix.put(&name, whole);
            place.load("s").unwrap();
        }
        prefix.put("s/more", vec![1]);
        let said = place.load("s").unwrap_err().to_string();
        assert!(said.contains("more: it does not belong"), "{said}");
    }
}

#[test]
fn what_died_is_not_found_and_swept_when_it_is_old() {
    for prefix in Prefix::all() {
        let place = prefix.place();
        small(&place, "dead");
        small(&place, "done");
        small(&place, "broken");
        // One that died before its last object, one after it, and one that somebody took the last object of.
        prefix.put(".dead.part", b"x".to_vec());
        prefix.delete("dead/SHA256SUMS");
        prefix.put(".done.part", b"x".to_vec());
        prefix.delete("broken/SHA256SUMS");
        let found = [("broken".to_owned(), false), ("done".to_owned(), true)];
        let mut listed = ids(&place);
        listed.sort();
        assert_eq!(listed, found);
        assert!(place.load("dead").is_err());
        assert!(place.create(draft(), "dead").is_err());
        // It may still be at work.
        place.sweep(&permit()).unwrap();
        assert!(prefix.names().contains(&".dead.part".to_owned()));
        let Some(folder) = prefix.url.strip_prefix("file://") else {
            continue;
        };
        for mark in [".dead.part", ".done.part"] {
            let file = std::fs::File::options()
                .append(true)
                .open(format!("{folder}/{mark}"))
                .unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
        place.sweep(&permit()).unwrap();
        let left = prefix.names();
        assert!(
            !left
                .iter()
                .any(|n| n.starts_with("dead/") || n.starts_with('.')),
            "{left:?}"
        );
        place.load("done").unwrap();
        small(&place, "dead");
    }
}

#[test]
fn the_commands_work_on_it() {
    for prefix in Prefix::all() {
        let system = Embedded::usual();
        system.playbook(&format!("{}snapshots: {}\n", usual_playbook(), prefix.url));
        let record = |offset: i64, id: i64, a: &str| {
            let key = format!("{{\"id\":{id}}}");
            line(
                0,
                offset,
                &key,
                Some(&change("c", offset as u64 + 1, id, a, 7)),
            )
        };
        let lines: Vec<String> = (0..50).map(|n| record(n, n, "first")).collect();
        system.log(&lines.concat());
        system.sql(
            "primary.db",
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 49) INSERT INTO t SELECT i, 'first', 7 FROM n",
        );
        let create = ["snapshot", "create", "{}", "--verify", "--yes", "--quiet"];
        system.trueup(&create).exit(0);
        system.trueup(&create).exit(0);
        let list = ["snapshot", "list", "{}", "--format", "json"];
        let listed = system.trueup(&list).exit(0).json();
        assert_eq!(listed["snapshots"].as_array().unwrap().len(), 2);
        system.trueup(&["snapshot", "show", "{}", "latest"]).exit(0);
        system
            .trueup(&["snapshot", "verify", "{}", "latest", "--yes", "--quiet"])
            .exit(0);
        // The log goes on: only what came after the snapshot is read.
        system.log(&format!("{}{}", lines.concat(), record(50, 50, "later")));
        system.sql("primary.db", "INSERT INTO t VALUES (50, 'later', 7)");
        system
            .trueup(&[
                "replay",
                "partial",
                "{}",
                "--snapshot",
                "latest",
                "--yes",
                "--quiet",
            ])
            .exit(0);
        let rows = |database, table| {
            system.rows(
                database,
                &format!("SELECT id, a, b FROM {table} ORDER BY id"),
            )
        };
        assert_eq!(rows("read.db", "copy"), rows("primary.db", "t"));
        system
            .trueup(&["snapshot", "prune", "{}", "--keep", "1", "--yes", "--quiet"])
            .exit(0);
        let listed = system.trueup(&list).exit(0).json();
        assert_eq!(listed["snapshots"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn secrets_are_never_shown() {
    let system = Embedded::usual();
    system.playbook(&format!(
        "{}snapshots: s3://bucket/kept\n",
        usual_playbook()
    ));
    let playbook = crate::support::text(&system.path("playbook.yaml"));
    // Nothing listens there.
    let ran = run(command(&["snapshot", "list", &playbook])
        .env("AWS_ENDPOINT", "http://127.0.0.1:9")
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_ACCESS_KEY_ID", "AKIAHUNTER2")
        .env("AWS_SECRET_ACCESS_KEY", "correct-horse")
        .env("RUST_LOG", "trace"));
    let ran = ran.exit(4).says(&["s3://bucket/kept/usual"]);
    for secret in ["AKIAHUNTER2", "correct-horse"] {
        assert!(!ran.stderr.contains(secret), "{}", ran.stderr);
    }
}

/// Tells the test below, run once more in a process of its own, that it is the one to be killed, and where.
const CHILD: &str = "TRUEUP_TEST_OBJECTS_CHILD";

/// Rows that no compression makes small: their file is sent in several parts.
fn rows() -> Rows {
    let mut rng = StdRng::seed_from_u64(7);
    let mut text = || -> String { (0..1_500).map(|_| rng.random_range('!'..='~')).collect() };
    (0..8_000)
        .map(|id| {
            let cells = vec![Cell::Int(id.into()), Cell::Text(text().into())];
            (cells, Some(version(id)))
        })
        .collect()
}

fn make(place: &Place, id: &str) {
    let mut writer = place.create(draft(), id).unwrap();
    for (name, rows) in [("large", rows()), ("empty", Rows::new())] {
        let mut table = writer.table(notes(name)).unwrap();
        table.rows(&rows).unwrap();
        table.close().unwrap();
    }
    writer.finish().unwrap();
}

fn child(url: &str) -> Child {
    child_with(url, &[])
}

fn child_with(url: &str, variables: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "snapshots::objects::killed_at_any_instant"])
        .env(CHILD, url)
        .envs(variables.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[cfg(feature = "faults")]
#[test]
fn dead_at_every_step() {
    // Two tables and the manifest are sent, then the checksums: only then is it there.
    for prefix in Prefix::all() {
        for (point, is_there) in [
            ("snapshot.uploaded:1", false),
            ("snapshot.uploaded:2", false),
            ("snapshot.uploaded:3", false),
            ("snapshot.summed:1", true),
        ] {
            let url = format!("{}/{}", prefix.url, point.replace(':', "-"));
            let mut child = child_with(&url, &[("TRUEUP_CRASH", point)]);
            assert!(!child.wait().unwrap().success(), "{point}");
            let place = Place::at(&url).unwrap();
            let found = place.list().unwrap();
            assert_eq!(found.len(), usize::from(is_there), "{point}");
            assert_eq!(place.load("s").is_ok(), is_there, "{point}");
        }
    }
}

#[test]
fn killed_at_any_instant() {
    if let Ok(url) = std::env::var(CHILD) {
        make(&Place::at(&url).unwrap(), "s");
        return;
    }
    let mut rng = StdRng::seed_from_u64(seed());
    let (kills, expected) = (size(8, 60), rows());
    for prefix in Prefix::all() {
        let url = |at: &str| format!("{}/{at}", prefix.url);
        let began = Instant::now();
        assert!(child(&url("whole")).wait().unwrap().success());
        let whole = began.elapsed();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for kill in 0..kills {
            let url = url(&kill.to_string());
            let mut child = child(&url);
            let wait = rng.random_range(whole.as_micros() as u64 / 4..whole.as_micros() as u64);
            std::thread::sleep(Duration::from_micros(wait));
            let _ = child.kill();
            child.wait().unwrap();
            let place = Place::at(&url).unwrap();
            let found = ids(&place);
            let begun = format!("{kill}/");
            let is_begun = prefix.names().iter().any(|n| n.starts_with(&begun));
            let state = match (is_begun, found.as_slice()) {
                (false, []) => "before",
                (true, []) => "half-way",
                (true, [(_, true)]) => {
                    let snapshot = place.load("s").unwrap();
                    assert!(read(&snapshot, "large") == expected, "kill {kill}");
                    "after"
                }
                other => panic!("kill {kill}: {other:?}"),
            };
            *seen.entry(state).or_default() += 1;
            if state == "half-way" {
                assert!(place.load("s").is_err(), "kill {kill}");
                small(&place, "next");
                assert_eq!(ids(&place), [("next".to_owned(), true)], "kill {kill}");
            }
        }
        println!(
            "{}: {kills} kills within {whole:?}: {seen:?}, 0 wrong",
            prefix.url
        );
        assert!(seen.contains_key("half-way"), "{seen:?}");
    }
}
