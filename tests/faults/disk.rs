//! A disk that runs full under the read store, and under snapshots: the operator is told which it is, the live tables are as
//! they were, and once there is room the same command ends.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{System, is_clean};
use crate::support::Ran;
use crate::support::pair::{Engine, Pair, Side};
use crate::support::services::out;

const MB: u64 = 1 << 20;
const REPLAY: [&str; 5] = ["replay", "big-bang", "{}", "--yes", "--quiet"];
const RECONCILE: [&str; 5] = ["reconcile", "{}", "--apply", "--yes", "--quiet"];
const SNAPSHOT: [&str; 5] = ["snapshot", "create", "{}", "--yes", "--quiet"];

/// A file system of its own size, in memory; gone when it is dropped.
struct Disk {
    path: PathBuf,
}

impl Disk {
    /// `None` where this process may mount nothing, which CI may not be.
    fn mount(path: &Path) -> Option<Disk> {
        std::fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64m", "none"])
            .arg(path)
            .output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        if !is_mounted {
            println!("SKIPPED: a small file system can be mounted by root alone");
            assert!(std::env::var_os("CI").is_none(), "CI skips nothing");
            return None;
        }
        Some(Disk {
            path: path.to_path_buf(),
        })
    }

    /// Bytes that are taken.
    fn used(&self) -> u64 {
        let df = Command::new("df")
            .args(["--output=used", "-B1"])
            .arg(&self.path)
            .output();
        let said = out(&df.unwrap());
        said.lines().last().unwrap().trim().parse().unwrap()
    }

    /// Leaves this much room, in bytes.
    fn leave(&self, bytes: u64) {
        let size = format!("remount,size={}", self.used() + bytes);
        let remounted = Command::new("mount")
            .args(["-o", &size])
            .arg(&self.path)
            .output();
        out(&remounted.unwrap());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmount = |lazily: &[&str]| {
            let done = Command::new("umount").args(lazily).arg(&self.path).status();
            done.is_ok_and(|status| status.success())
        };
        if unmount(&[]) || unmount(&["-l"]) {
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

/// A system whose read store is on a small disk. The fields go in their order: the disk is the last.
struct Small {
    system: System,
    _tablespace: Option<Tablespace>,
    disk: Disk,
}

/// Dropped after the database that is in it.
struct Tablespace {
    server: crate::support::services::Postgres,
    name: String,
}

impl Drop for Tablespace {
    fn drop(&mut self) {
        let sql = format!("DROP TABLESPACE IF EXISTS {}", self.name);
        let url = self.server.url("postgres");
        let mut psql = self.server.program("psql");
        let _ = psql.args(["-Xq", "-d", &url, "-c", &sql]).output();
    }
}

impl Small {
    fn sqlite() -> Option<Small> {
        let system = System::new(Engine::Sqlite, "disk").unwrap();
        let pair = &system.pair;
        let disk = Disk::mount(&pair.path("small"))?;
        std::fs::copy(pair.path("read.db"), disk.path.join("read.db")).unwrap();
        // The test itself goes on reading it where it was.
        std::fs::remove_file(pair.path("read.db")).unwrap();
        std::os::unix::fs::symlink("small/read.db", pair.path("read.db")).unwrap();
        say(pair, "sqlite:read.db", "sqlite:small/read.db");
        Some(Small {
            system,
            _tablespace: None,
            disk,
        })
    }

    fn postgres() -> Option<Small> {
        let system = System::new(Engine::Postgres, "disk")?;
        let server = crate::support::services::Postgres::new()?;
        static DISKS: AtomicU32 = AtomicU32::new(0);
        let nth = DISKS.fetch_add(1, Ordering::Relaxed);
        let name = format!("trueup_disk_{}_{nth}", std::process::id());
        // The server's user has to get there.
        let disk = Disk::mount(&Path::new("/var/tmp").join(&name))?;
        let owner = server.sql("postgres", "SHOW data_directory");
        let owned = Command::new("chown")
            .args(["--reference", &owner])
            .arg(&disk.path)
            .output();
        out(&owned.unwrap());
        let place = disk.path.display();
        server.sql(
            "postgres",
            &format!("CREATE TABLESPACE {name} LOCATION '{place}'"),
        );
        let tablespace = Tablespace { server, name };
        let url = system.pair.url(Side::Read);
        let database = url.rsplit('/').next().unwrap();
        tablespace.server.sql(
            "postgres",
            &format!(
                "ALTER DATABASE {database} SET TABLESPACE {}",
                tablespace.name
            ),
        );
        Some(Small {
            system,
            _tablespace: Some(tablespace),
            disk,
        })
    }

    fn of(engine: Engine) -> Option<Small> {
        match engine {
            Engine::Sqlite => Small::sqlite(),
            Engine::Postgres => Small::postgres(),
        }
    }

    /// A command that runs out of room, and then again with room.
    fn runs_out(&self, engine: Engine, command: &[&str], room: u64) {
        let what = format!("{engine:?}: {}", command.join(" "));
        let (system, disk) = (&self.system, &self.disk);
        disk.leave(64 * MB);
        system.pair.trueup(&REPLAY).exit(0);
        system.spoil();
        let before = system.tables().map(|(.., found)| found);
        disk.leave(room);
        let ran = system.pair.trueup(command);
        println!("{what}: {}: {}", ran.code, ran.stderr.trim_end());
        is_told(&ran, 5, &what);
        for ((name, wanted, found), before) in system.tables().iter().zip(&before) {
            if command[0] == "replay" {
                assert!(found == before, "{what}: {name} was touched");
            }
            let was_never = found
                .iter()
                .find(|row| !before.contains(row) && wanted.binary_search(row).is_err());
            assert!(was_never.is_none(), "{what}: {name} has {was_never:?}");
        }
        disk.leave(64 * MB);
        system.pair.trueup(command).exit(0);
        system.is_right(&what);
        is_clean(&system.pair, &what);
    }
}

/// Exchanges words of the playbook.
fn say(pair: &Pair, old: &str, new: &str) {
    let file = pair.path("playbook.yaml");
    let playbook = std::fs::read_to_string(&file).unwrap();
    assert!(playbook.contains(old), "{playbook}");
    std::fs::write(file, playbook.replace(old, new)).unwrap();
}

/// The disk is full, and the operator is told so.
#[track_caller]
fn is_told(ran: &Ran, code: i32, what: &str) {
    let said = ran.stderr.to_lowercase();
    let is_full = ["no space left", "disk is full", "disk full"];
    assert!(
        is_full.iter().any(|words| said.contains(words)),
        "{what}: the disk did not run full: {}: {}",
        ran.code,
        ran.stderr
    );
    assert!(said.contains("make room"), "{what}: {}", ran.stderr);
    assert_eq!(ran.code, code, "{what}: {}", ran.stderr);
}

fn a_read_store(engine: Engine) {
    let Some(small) = Small::of(engine) else {
        return;
    };
    // At the beginning, and on the way.
    for (replay, reconcile) in [(16 << 10, 16 << 10), (200 << 10, 64 << 10)] {
        small.runs_out(engine, &REPLAY, replay);
        small.runs_out(engine, &RECONCILE, reconcile);
    }
}

#[test]
fn under_sqlite() {
    a_read_store(Engine::Sqlite);
}

#[test]
fn under_postgres() {
    a_read_store(Engine::Postgres);
}

#[test]
fn under_snapshots() {
    let system = System::new(Engine::Sqlite, "disk").unwrap();
    let pair = &system.pair;
    let Some(disk) = Disk::mount(&pair.path("kept")) else {
        return;
    };
    say(pair, "limits:", "snapshots: kept\nlimits:");
    pair.trueup(&REPLAY).exit(0);
    for room in [4 << 10, 16 << 10, 32 << 10] {
        disk.leave(room);
        let ran = pair.trueup(&SNAPSHOT);
        println!("snapshot: {}: {}", ran.code, ran.stderr.trim_end());
        is_told(&ran, 4, "a snapshot");
        assert!(ran.stderr.contains("kept"), "{}", ran.stderr);
        let listed = pair.trueup(&["snapshot", "list", "{}", "--format", "json"]);
        let listed = &listed.exit(0).json()["snapshots"];
        assert_eq!(*listed, serde_json::json!([]), "with room {room}");
        disk.leave(64 * MB);
        pair.trueup(&SNAPSHOT).exit(0);
        pair.trueup(&["snapshot", "show", "{}", "latest"]).exit(0);
        std::fs::remove_dir_all(pair.path("kept/pair")).unwrap();
    }
}
