//! A log far larger than memory: what a load, a snapshot and a partial replay hold is bounded.

use std::io::Write as _;

use crate::support::embedded::{Embedded, usual_playbook};
use crate::support::{command, seed, size, text};

/// Peak memory of a load, in MiB: the limit that the design sets.
const PEAK_MIB_MAX: u64 = 512;

/// Writes some of the events of keys in random order, packed; each key's events ascend by position.
fn generate(path: &std::path::Path, keys: u64, events: std::ops::Range<u64>, seed: u64) {
    let mut out = zstd::Encoder::new(std::fs::File::create(path).unwrap(), 1).unwrap();
    let mut next = [0u64; 4];
    for n in 0..events.end {
        // A full-period walk over the keys, so that each comes equally often and never twice in a row.
        let id = n.wrapping_mul(2_654_435_761).wrapping_add(seed) % keys;
        let partition = usize::try_from(id % 4).unwrap();
        let offset = next[partition];
        next[partition] += 1;
        if n < events.start {
            continue;
        }
        let (lsn, ms) = (1_000 + n, 1_700_000_000_000 + n / 100);
        writeln!(
            out,
            "{{\"topic\":\"shop.main.t\",\"partition\":{partition},\"offset\":{offset},\"tstype\":\"create\",\"ts\":{ms},\"broker\":0,\
             \"key\":\"{{\\\"id\\\":{id}}}\",\"payload\":\"{{\\\"before\\\":null,\\\"after\\\":{{\\\"id\\\":{id},\\\"a\\\":\\\"row {id} at {n}\\\",\\\"b\\\":{n}}},\
             \\\"source\\\":{{\\\"connector\\\":\\\"postgresql\\\",\\\"name\\\":\\\"shop\\\",\\\"db\\\":\\\"shop\\\",\\\"lsn\\\":{lsn},\\\"ts_ms\\\":{ms},\\\"snapshot\\\":\\\"false\\\"}},\\\"op\\\":\\\"u\\\",\\\"ts_ms\\\":{ms}}}\"}}"
        )
        .unwrap();
    }
    out.finish().unwrap();
}

/// The greatest resident size that the kernel has seen of a running process, in MiB.
pub fn peak_mib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

/// When each tenth of a file had been read by a running process, as far as could be seen from outside. It may read it more than
/// once, to index it: the last time counts.
struct Tenths<'p> {
    path: &'p std::path::Path,
    bytes: u64,
    position: u64,
    began: std::time::Instant,
    reached: [Option<std::time::Duration>; 11],
}

impl Tenths<'_> {
    fn of(path: &std::path::Path) -> Tenths<'_> {
        Tenths {
            path,
            bytes: std::fs::metadata(path).unwrap().len(),
            position: 0,
            began: std::time::Instant::now(),
            reached: [None; 11],
        }
    }

    fn look(&mut self, pid: u32) {
        let Some(position) = position(pid, self.path) else {
            return;
        };
        if position < self.position {
            self.reached = [None; 11];
        }
        self.position = position;
        let tenth = usize::try_from(position * 10 / self.bytes).unwrap();
        let now = self.began.elapsed();
        for reached in &mut self.reached[..=tenth.min(10)] {
            reached.get_or_insert(now);
        }
    }

    /// Events a second in each tenth of the file, for a file that has them evenly.
    fn rates(&self, events: u64) -> Vec<u64> {
        self.reached
            .windows(2)
            .filter_map(|pair| Some(pair[1]?.checked_sub(pair[0]?)?.as_millis().max(1)))
            .map(|took| events * 100 / u64::try_from(took).unwrap())
            .collect()
    }
}

/// How far a process has read a file.
fn position(pid: u32, path: &std::path::Path) -> Option<u64> {
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten() {
        if std::fs::read_link(entry.path()).is_ok_and(|to| to == path) {
            let fd = entry.file_name();
            let info = format!("/proc/{pid}/fdinfo/{}", fd.to_string_lossy());
            let info = std::fs::read_to_string(info).ok()?;
            return info
                .lines()
                .next()?
                .strip_prefix("pos:")?
                .trim()
                .parse()
                .ok();
        }
    }
    None
}

/// Runs the program to its end: the greatest memory that it took, in MiB, and its one JSON object.
fn peak_of(
    system: &Embedded,
    args: &[&str],
    mut look: impl FnMut(u32),
) -> (u64, serde_json::Value) {
    let began = std::time::Instant::now();
    let playbook = text(&system.path("playbook.yaml"));
    let flags = [&playbook, "--yes", "--quiet", "--format", "json"];
    let mut child = command(&[&args[..2], &flags, &args[2..]].concat())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(peak_mib(child.id()).unwrap_or(0));
        look(child.id());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{args:?}: {:?}", output.status);
    println!(
        "{}: {peak} MiB at most, {:?}",
        args.join(" "),
        began.elapsed()
    );
    assert!(peak < PEAK_MIB_MAX, "{args:?}: {peak} MiB");
    (peak, serde_json::from_slice(&output.stdout).unwrap())
}

/// Every key has its newest row, which is one of the last.
#[track_caller]
fn holds_the_newest(system: &Embedded, keys: u64, events: u64) {
    assert_eq!(
        system.rows("read.db", "SELECT count(*) FROM copy"),
        [[keys.to_string()]]
    );
    let newest = system.rows("read.db", "SELECT min(b) FROM copy");
    let oldest: u64 = newest[0][0].parse().unwrap();
    assert!(
        oldest >= events - keys - keys / 2,
        "a key kept an old version: {oldest}"
    );
}

#[test]
fn a_large_log_is_loaded_in_bounded_memory() {
    let seed = seed() % 1_000_003;
    let (keys, events) = (
        size(50_000, 20_000_000) as u64,
        size(200_000, 100_000_000) as u64,
    );
    let system = Embedded::usual();
    let log = system.path("log.jsonl");
    generate(&log, keys, 0..events, seed);
    let mut tenths = Tenths::of(&log);
    let args = ["replay", "big-bang", "--no-check"];
    let (_, done) = peak_of(&system, &args, |pid| tenths.look(pid));
    println!(
        "{events} events of {keys} keys, {} MB packed, events a second by tenths {:?}: {}",
        tenths.bytes >> 20,
        tenths.rates(events),
        done["counts"]
    );
    assert_eq!(done["counts"]["read"], events);
    holds_the_newest(&system, keys, events);
}

#[test]
fn a_large_snapshot_is_made_and_gone_on_from_in_bounded_memory() {
    let seed = seed() % 1_000_003;
    let (keys, events) = (200_000, size(400_000, 5_000_000) as u64);
    let cut = events / 4 * 3;
    let system = Embedded::usual();
    generate(&system.path("log.jsonl"), keys, 0..cut, seed);
    let (_, made) = peak_of(&system, &["snapshot", "create"], |_| ());
    assert_eq!(made["snapshot"]["tables"][0]["rows"], keys);

    generate(&system.path("later.jsonl"), keys, cut..events, seed);
    system.playbook(&usual_playbook().replace("log.jsonl", "[log.jsonl, later.jsonl]"));
    let from_latest = ["--snapshot", "latest", "--unverified", "--no-check"];
    let args = [&["replay", "partial"][..], &from_latest].concat();
    let (_, done) = peak_of(&system, &args, |_| ());
    println!(
        "{events} events of {keys} keys, cut at {cut}: {}",
        done["counts"]
    );
    assert_eq!(done["counts"]["read"], events - cut);
    holds_the_newest(&system, keys, events);
}
