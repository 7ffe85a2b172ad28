//! The fault matrix: every fault, in front of every system, in every phase of the work. Whatever happens: done and equal, or a
//! clean exit code, with the live tables as they were or right; and the same command goes on once all is well.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::aim::{Aim, Fault, PLACES, Place, Reach, Step};
use super::is_clean;
use super::networked::Networked;
use crate::support::pair::Side;
use crate::support::{seed, service, size};

/// Longer than every limit of the program's own.
const PATIENCE: Duration = Duration::from_secs(240);
/// How often each cell runs at full size, every time with the fault in another place.
const PLACES_IN_A_CELL: usize = 3;
/// Cells that run at the same time: most of the time they wait.
const AT_ONCE: usize = 4;

const REPLAY: [&str; 5] = ["replay", "big-bang", "{}", "--yes", "--quiet"];
const RECONCILE: [&str; 5] = ["reconcile", "{}", "--apply", "--yes", "--quiet"];

/// The faults, as far as a cell names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Cut,
    Close,
    Stall,
    BlackHole,
    Slow,
    Slice,
    Refuse,
    SwallowCommit,
}

const KINDS: [Kind; 8] = [
    Kind::Cut,
    Kind::Close,
    Kind::Stall,
    Kind::BlackHole,
    Kind::Slow,
    Kind::Slice,
    Kind::Refuse,
    Kind::SwallowCommit,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Load,
    CatchUp,
    Swap,
    Repair,
}

const PHASES: [Phase; 4] = [Phase::Load, Phase::CatchUp, Phase::Swap, Phase::Repair];

/// One cell of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    kind: Kind,
    place: Place,
    phase: Phase,
}

/// Cells that there cannot be: fault, system, phase (any where it is `None`), and why.
const SENSELESS: [(Option<Kind>, Place, Option<Phase>, &str); 3] = [
    (
        Some(Kind::SwallowCommit),
        Place::Kafka,
        None,
        "nothing is committed to Kafka",
    ),
    (
        Some(Kind::SwallowCommit),
        Place::Primary,
        None,
        "the primary is only read: nothing hangs on the reply to its COMMIT, and without it a swallowed one is a cut",
    ),
    (
        None,
        Place::Primary,
        Some(Phase::Swap),
        "once the shadow is checked the primary is not asked again",
    ),
];

impl Cell {
    fn senseless(self) -> Option<&'static str> {
        let found = SENSELESS.iter().find(|(kind, place, phase, _)| {
            kind.is_none_or(|k| k == self.kind)
                && *place == self.place
                && phase.is_none_or(|p| p == self.phase)
        });
        found.map(|(.., why)| *why)
    }

    fn name(self) -> String {
        format!("{:?} x {:?} x {:?}", self.kind, self.place, self.phase)
    }

    /// A reconciliation reads no log; a replay in place repairs from one.
    fn is_in_place(self) -> bool {
        (self.phase, self.place) == (Phase::Repair, Place::Kafka)
    }

    /// What passes, only more slowly, changes nothing.
    fn is_harmless(self) -> bool {
        matches!(self.kind, Kind::Stall | Kind::Slow | Kind::Slice)
    }

    fn fault(self, rng: &mut StdRng) -> Fault {
        let reach = [Reach::One, Reach::All][rng.random_range(0..2)];
        let time = Duration::from_millis(rng.random_range(1_000..6_000));
        match self.kind {
            Kind::Cut => Fault::Cut(reach),
            Kind::Close => Fault::Close(reach),
            Kind::Stall => Fault::Stall(time),
            Kind::BlackHole => Fault::BlackHole,
            Kind::Slow => Fault::Slow(time),
            Kind::Slice => Fault::Slice,
            Kind::Refuse => Fault::Refuse(time),
            Kind::SwallowCommit => Fault::SwallowCommit,
        }
    }

    /// Where in its phase the fault strikes.
    fn aim(self, networked: &Networked, rng: &mut StdRng) -> Aim {
        let read = |text| Step {
            on: Place::ReadStore,
            text,
            hook: None,
        };
        let more_to_do = || Step {
            hook: Some(networked.change()),
            ..read("stage = 'checking'")
        };
        let (copy, exchange) = ("FROM STDIN", "SET SCHEMA");
        let journal = "INSERT INTO trueup.journal";
        let loads = rng.random_range(1..=4);
        let (steps, bytes) = match (self.place, self.phase) {
            // The plan, which looks into the log too, is made by then.
            (Place::Kafka, Phase::Load | Phase::Repair) => {
                (vec![read("INSERT INTO trueup.run")], 500_000)
            }
            (Place::Kafka, Phase::CatchUp) => (vec![more_to_do()], 2_000),
            (Place::Kafka, Phase::Swap) => (vec![read("stage = 'swapping'")], 200),
            (Place::ReadStore, Phase::Load) => (vec![read(copy); loads], 20_000),
            (Place::ReadStore, Phase::CatchUp) => (vec![more_to_do(), read(copy)], 2_000),
            (Place::ReadStore, Phase::Swap) => (vec![read(exchange)], 200),
            (Place::ReadStore, Phase::Repair) => (vec![read(journal); loads], 2_000),
            (Place::Primary, Phase::Load) => (vec![read(copy); loads], 2_000),
            (Place::Primary, Phase::CatchUp) => (vec![more_to_do()], 20_000),
            (Place::Primary, Phase::Repair) => (vec![read(journal); loads], 2_000),
            (Place::Primary, Phase::Swap) => unreachable!("{}", self.name()),
        };
        Aim {
            at: self.place,
            fault: self.fault(rng),
            steps,
            // Half of them strike at the very statement.
            bytes: rng.random_range(0..2) * rng.random_range(0..bytes),
        }
    }

    fn command(self, networked: &Networked) -> Vec<String> {
        let own = |args: &[&str]| args.iter().map(|a| (*a).to_owned()).collect();
        match self.phase {
            Phase::Repair if self.is_in_place() => own(&[
                "replay",
                "partial",
                "{}",
                "--view",
                "copy",
                "--from-offsets",
                &networked.first_offsets(),
                "--yes",
                "--quiet",
            ]),
            Phase::Repair => own(&RECONCILE),
            _ => own(&REPLAY),
        }
    }
}

/// How the program ended.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    took: Duration,
}

fn run(networked: &Networked, args: &[String], what: &str) -> Ended {
    let pair = &networked.system().pair;
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let said = pair.path("stderr.txt");
    let began = Instant::now();
    let mut child = pair
        .command(&args)
        .env("TRUEUP_BATCH_BYTES", "60000")
        .stdout(File::create(pair.path("stdout.txt")).unwrap())
        .stderr(File::create(&said).unwrap())
        .spawn()
        .unwrap();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if began.elapsed() > PATIENCE {
            let _ = (child.kill(), child.wait());
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let stdout = std::fs::read_to_string(pair.path("stdout.txt")).unwrap();
    let stderr = std::fs::read_to_string(said).unwrap();
    let status = status.unwrap_or_else(|| panic!("{what}: it hangs: {stderr}"));
    Ended {
        code: status.code(),
        stdout,
        stderr,
        took: began.elapsed(),
    }
}

/// Runs one cell; what became of it.
fn one(networked: &Networked, cell: Cell, rng: &mut StdRng) -> String {
    let (system, network) = (networked.system(), &networked.network);
    system.spoil();
    if cell.is_in_place() {
        // What no record of the log is about, it leaves alone.
        system
            .pair
            .sql(Side::Read, "DELETE FROM copy WHERE id <= 0");
    }
    let before = system.tables().map(|(_, _, found)| found);
    let aim = cell.aim(networked, rng);
    let what = format!("{}: {aim:?}", cell.name());
    let args = cell.command(networked);
    network.aim(aim);
    let ended = run(networked, &args, &what);
    let standing = network.watch.standing();
    assert!(
        network.heal(),
        "{what}: the fault did not happen ({standing}): {:?}: {}",
        ended.code,
        ended.stderr
    );
    let (code, took) = (ended.code.unwrap_or(-1), ended.took);
    let said = ended.stderr.trim_end();
    assert!(
        matches!(code, 0 | 3..=6) && !said.contains("panicked") && !said.contains("bug in trueup"),
        "{what}: {code}: {said}\n{}",
        ended.stdout
    );
    assert!(
        code == 0 || !cell.is_harmless(),
        "{what}: nothing was lost, and it failed with {code}: {said}"
    );
    nothing_mixed(networked, cell, &before, code == 0, &what);
    let times = again(networked, &args, &what);
    all_is_well(networked, cell, &what);
    let last = said.lines().last().unwrap_or_default();
    let last: String = last.chars().take(120).collect();
    format!("{what}: {code} after {took:.1?}, then 0 at try {times} {last}")
}

/// A replay changes both tables at once or none; a repair each row.
fn nothing_mixed(
    networked: &Networked,
    cell: Cell,
    before: &[Vec<String>; 2],
    done: bool,
    what: &str,
) {
    let now = networked.system().tables();
    let repaired = if cell.is_in_place() {
        &now[..1]
    } else {
        &now[..]
    };
    let right = repaired.iter().all(|(_, wanted, found)| wanted == found);
    if done {
        assert!(right, "{what}: it says that all is done, and it is not");
    }
    if cell.phase != Phase::Repair {
        let as_before = now.iter().zip(before).all(|((.., found), b)| found == b);
        assert!(right || as_before, "{what}: the live tables are mixed");
        return;
    }
    for ((name, wanted, found), before) in now.iter().zip(before) {
        for row in found {
            assert!(
                before.binary_search(row).is_ok() || wanted.binary_search(row).is_ok(),
                "{what}: {name} has a row that never was: {row}"
            );
        }
        for row in before.iter().filter(|r| wanted.binary_search(r).is_ok()) {
            assert!(
                found.binary_search(row).is_ok(),
                "{what}: {name} lost {row}, which was right"
            );
        }
    }
}

/// The same command without the fault, until it says that all is done; how often that took.
fn again(networked: &Networked, args: &[String], what: &str) -> usize {
    let mut said = String::new();
    for times in 1..=40 {
        let ended = run(networked, args, what);
        match ended.code {
            Some(0) => return times,
            // The server notices some time later that nobody is at the other end.
            Some(5 | 6) => std::thread::sleep(Duration::from_millis(500)),
            code => panic!(
                "{what}: again, {code:?}: {}\n{}",
                ended.stderr, ended.stdout
            ),
        }
        said = ended.stderr;
    }
    panic!("{what}: the same command does not come to its end: {said}");
}

fn all_is_well(networked: &Networked, cell: Cell, what: &str) {
    let system = networked.system();
    if cell.is_in_place() {
        let [(name, wanted, found), _] = system.tables();
        assert!(wanted == found, "{what}: {name} is wrong");
        let reconcile = RECONCILE.map(str::to_owned);
        assert_eq!(run(networked, &reconcile, what).code, Some(0), "{what}");
    }
    system.is_right(what);
    is_clean(&system.pair, what);
    let open = "SELECT id || ' ' || state FROM trueup.run WHERE state = 'running' OR paused_at IS NOT NULL";
    let open = system.pair.lines(Side::Read, open);
    assert!(open.is_empty(), "{what}: runs are left open: {open:?}");
    // The old tables of a hundred swaps would be in the way of nobody but the disk.
    let gc = ["runs", "gc", "{}", "--older-than", "0h", "--yes", "--quiet"].map(str::to_owned);
    let ended = run(networked, &gc, what);
    assert!(
        matches!(ended.code, Some(0 | 6)),
        "{what}: {}",
        ended.stderr
    );
}

/// The cells to run: all of them several times, or a choice that has every fault, and every system in every phase.
fn choice(rng: &mut StdRng) -> Vec<Cell> {
    let mut all = Vec::new();
    for place in PLACES {
        for phase in PHASES {
            all.extend(KINDS.map(|kind| Cell { kind, place, phase }));
        }
    }
    let (mut cells, senseless): (Vec<Cell>, Vec<Cell>) =
        all.into_iter().partition(|c| c.senseless().is_none());
    println!("{} cells, {} senseless:", cells.len(), senseless.len());
    for cell in senseless {
        println!("  {}: {}", cell.name(), cell.senseless().unwrap());
    }
    if let Ok(named) = std::env::var("TRUEUP_CELLS") {
        cells.retain(|c| c.name().contains(&named));
        return cells;
    }
    cells.shuffle(rng);
    let times = size(0, PLACES_IN_A_CELL);
    if times > 0 {
        return cells.repeat(times);
    }
    let mut chosen: Vec<Cell> = Vec::new();
    for kind in KINDS.iter().cycle().take(12) {
        let fresh = |c: &&Cell| {
            let same = |d: &Cell| (d.place, d.phase) == (c.place, c.phase);
            c.kind == *kind && !chosen.iter().any(same)
        };
        let other = |c: &&Cell| c.kind == *kind && !chosen.contains(c);
        let found = cells.iter().find(fresh);
        let found = found.or_else(|| cells.iter().find(other));
        chosen.extend(found.copied());
    }
    chosen
}

#[test]
fn every_fault_everywhere() {
    if service("TRUEUP_TEST_KAFKA").is_none() || service("TRUEUP_TEST_POSTGRES").is_none() {
        return;
    }
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let cells: Vec<(u64, Cell)> = choice(&mut rng)
        .into_iter()
        .map(|cell| (rng.random(), cell))
        .collect();
    let (count, began) = (cells.len(), Instant::now());
    let left = Mutex::new(cells);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for nth in 0..AT_ONCE.min(count) {
            let (left, failed) = (&left, &failed);
            scope.spawn(move || work(&format!("matrix{nth}"), seed, left, failed));
        }
    });
    let failed = failed.into_inner().unwrap();
    println!(
        "{count} cells in {:.0?}, {} failed",
        began.elapsed(),
        failed.len()
    );
    assert!(failed.is_empty(), "failed: {failed:#?}");
}

/// Takes cells until none is left, each with the seed of its own.
fn work(name: &str, seed: u64, left: &Mutex<Vec<(u64, Cell)>>, failed: &Mutex<Vec<String>>) {
    let mut networked = None;
    loop {
        let Some((own, cell)) = left.lock().unwrap().pop() else {
            return;
        };
        if networked.is_none() {
            networked = Networked::new(name, seed);
        }
        let system = networked.as_ref().expect("the services are there");
        let mut rng = StdRng::seed_from_u64(own);
        let done = catch_unwind(AssertUnwindSafe(|| one(system, cell, &mut rng)));
        match done {
            Ok(line) => println!("{line}"),
            Err(_) => {
                failed.lock().unwrap().push(cell.name());
                // What it left may spoil the next one.
                networked = None;
            }
        }
    }
}
