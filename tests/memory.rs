//! A log far larger than memory: what a load holds is bounded.

use std::io::Write as _;

use crate::support::embedded::Embedded;
use crate::support::{command, seed, size, text};

/// Peak memory of a load, in MiB: the limit that the design sets.
const PEAK_MIB_MAX: u64 = 512;

/// Writes events of keys in random order, packed; each key's events ascend by position.
fn generate(path: &std::path::Path, keys: u64, events: u64, seed: u64) {
    let mut out = zstd::Encoder::new(std::fs::File::create(path).unwrap(), 1).unwrap();
    let mut next = [0u64; 4];
    for n in 0..events {
        // A full-period walk over the keys, so that each comes equally often and never twice in a row.
        let id = n.wrapping_mul(2_654_435_761).wrapping_add(seed) % keys;
        let partition = usize::try_from(id % 4).unwrap();
        let offset = next[partition];
        next[partition] += 1;
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
fn peak_mib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

#[test]
fn a_large_log_is_loaded_in_bounded_memory() {
    let seed = seed() % 1_000_003;
    let (keys, events) = (
        size(50_000, 5_000_000) as u64,
        size(200_000, 20_000_000) as u64,
    );
    let system = Embedded::usual();
    generate(&system.path("log.jsonl"), keys, events, seed);
    let began = std::time::Instant::now();
    let playbook = text(&system.path("playbook.yaml"));
    let mut child = command(&[
        "replay",
        "big-bang",
        &playbook,
        "--yes",
        "--no-check",
        "--quiet",
        "--format",
        "json",
    ])
    .stdout(std::process::Stdio::piped())
    .spawn()
    .unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(peak_mib(child.id()).unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
    let done: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    println!(
        "{events} events of {keys} keys: {peak} MiB at most, {:?}; {}",
        began.elapsed(),
        done["counts"]
    );
    assert_eq!(done["counts"]["read"], events);
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
    assert!(peak < PEAK_MIB_MAX, "{peak} MiB");
}
