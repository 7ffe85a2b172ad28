//! How long a strategy would take, from what was measured. Pure: numbers in, seconds out.
//!
//! Reading can be measured by reading. Writing cannot, and is taken as a multiple of the time that the same rows take to be
//! streamed out of the read store in the order of their keys: a machine that is slow at the one is slow at the other. The
//! multiples are those of [`Factors`].

use super::measure::{Log, Rows};

/// What writing costs: multiples of the time of streaming so many rows, and seconds for what does not depend on them.
#[derive(Clone, Copy, Debug)]
pub struct Factors {
    /// A row put into a shadow by the bulk form, its trailing columns included.
    copy: f64,
    /// A change of a key that may be there already, put beside the shadow.
    again: f64,
    /// The same, settled: read back, folded and replaced.
    settle: f64,
    /// A row in one index that is built when all rows are there; the key is one, too.
    index: f64,
    /// A row of a shadow that is made ready for the swap: its trailing columns dropped, statistics gathered.
    finish: f64,
    /// A row of a table whose contents are exchanged, where tables cannot be.
    exchange: f64,
    /// A row that is repaired: fenced, journalled, and the primary read again.
    repair: f64,
    /// A row that both sides hash, where they can.
    hash: f64,
    /// Making shadows, in seconds.
    begin: f64,
    /// A round of a load whatever its size, in seconds.
    load: f64,
    /// Finishing and swapping, in seconds.
    swap: f64,
    /// Beginning and ending a run of repairs, in seconds.
    run: f64,
}

impl Factors {
    /// On PostgreSQL 15. By `tests/prove plan` on two cores and one disk, which Kafka and both databases shared: tables of 20,000 to
    /// 180,000 rows with one text index beside the key.
    pub const POSTGRES: Factors = Factors {
        copy: 3.2,
        again: 3.2,
        settle: 20.0,
        index: 1.6,
        finish: 1.1,
        exchange: 0.0,
        repair: 100.0,
        hash: 0.5,
        begin: 0.15,
        load: 0.2,
        swap: 0.5,
        run: 0.2,
    };
    /// On SQLite, by a table of 200,000 rows on the same machine.
    pub const SQLITE: Factors = Factors {
        copy: 2.0,
        again: 2.0,
        settle: 17.0,
        index: 0.4,
        finish: 0.1,
        exchange: 0.9,
        repair: 180.0,
        hash: 1.0,
        begin: 0.05,
        load: 0.01,
        swap: 0.05,
        run: 0.05,
    };
}

/// A table that a replay loads.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Records of the log.
    pub records: u64,
    /// Rows that a snapshot holds of it.
    pub restored: u64,
    /// Rows that it comes to have.
    pub rows: u64,
    /// Its keys and indexes.
    pub indexes: u64,
    /// How fast its records are read; `None` where there are none.
    pub log: Option<Log>,
    /// How long one row of the snapshot takes, in seconds.
    pub restore: f64,
}

impl Load {
    /// Changes that are not the first of their key.
    fn again(&self) -> u64 {
        let room = self.rows.saturating_sub(self.restored);
        self.records.saturating_sub(room)
    }
}

/// A replay.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    /// What is known beforehand, in seconds: opening, planning, looking at the snapshot.
    pub open: f64,
    /// What it loads.
    pub loads: Vec<Load>,
    /// The rows of each view that is derived, and how long its query takes, in seconds.
    pub derived: Vec<(u64, f64)>,
    /// Rows of the views that are swapped in.
    pub rows: u64,
    /// Keys and indexes of the views that are derived.
    pub derived_indexes: u64,
    /// How long one row takes to be streamed, in seconds.
    pub row: f64,
    /// How long the check takes, in seconds; `None` without one.
    pub check: Option<f64>,
    /// Records that the log gets meanwhile, a second.
    pub arriving: f64,
    /// Whether what arrives has the views derived anew.
    pub derives_again: bool,
}

/// Stages, each in seconds.
pub type Stages = Vec<(&'static str, f64)>;

/// All stages together, in seconds.
#[must_use]
pub fn total(stages: &Stages) -> f64 {
    stages.iter().map(|(_, s)| s).sum()
}

/// What is read is written meanwhile: the slower of the two decides, and gives a part of its machine to the other one.
fn overlapped(one: f64, other: f64) -> f64 {
    one.max(other) + SHARED * one.min(other)
}

/// How much of the quicker one of two that overlap is felt. Both on two cores: less where the database has a machine of its own.
const SHARED: f64 = 0.25;

/// The stages of a replay.
#[must_use]
pub fn replay(of: &Replay, factors: &Factors) -> Stages {
    let times = |rows: u64, factor: f64| count(rows) * factor * of.row;
    let mut stages = vec![("open", of.open + factors.begin)];
    let sum = |each: &dyn Fn(&Load) -> f64| of.loads.iter().map(each).sum::<f64>();
    let restored: u64 = of.loads.iter().map(|l| l.restored).sum();
    if restored > 0 {
        let restore = sum(&|l| {
            let write = times(l.restored, factors.copy);
            overlapped(count(l.restored) * l.restore, write) + factors.load
        });
        stages.push(("restore", restore));
    }
    let load = sum(&|l| {
        let first = l.records - l.again().min(l.records);
        let write = times(first, factors.copy) + times(l.again(), factors.again);
        let read = l.log.map_or(0.0, |log| log.seconds(l.records));
        overlapped(read, write) + factors.load
    });
    stages.push(("load", load));
    stages.push(("settle", sum(&|l| times(l.again(), factors.settle))));
    stages.push((
        "index",
        sum(&|l| times(l.rows * l.indexes, factors.index))
            + times(of.derived_indexes, factors.index),
    ));
    let derive: f64 = of
        .derived
        .iter()
        .map(|(rows, query)| query + times(*rows, factors.copy))
        .sum();
    if !of.derived.is_empty() {
        stages.push(("derive", derive));
    }
    if let Some(check) = of.check {
        stages.push(("check", check));
    }
    let arrived = of.arriving * total(&stages);
    if arrived >= 1.0 {
        let again = arrived * (factors.again + factors.settle) * of.row;
        stages.push((
            "catch_up",
            again + if of.derives_again { derive } else { 0.0 },
        ));
    }
    let exchange = times(of.rows, factors.finish) + times(of.rows, factors.exchange);
    stages.push(("swap", exchange + factors.swap));
    stages
}

/// A reconciliation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reconcile {
    /// Opening, in seconds.
    pub open: f64,
    /// The comparison, in seconds.
    pub compare: f64,
    /// Telling lag from drift, and asking the log why rows differ, in seconds.
    pub explain: f64,
    /// Rows that are repaired; `None` while nobody knows how many.
    pub repairs: Option<u64>,
    /// How long one row takes to be streamed, in seconds.
    pub row: f64,
}

/// The stages of a reconciliation.
#[must_use]
pub fn reconcile(of: Reconcile, factors: &Factors) -> Stages {
    let mut stages = vec![("open", of.open), ("compare", of.compare)];
    if of.explain > 0.0 {
        stages.push(("explain", of.explain));
    }
    if let Some(repairs) = of.repairs.filter(|n| *n > 0) {
        let write = count(repairs) * factors.repair * of.row;
        stages.push(("write", write + factors.run));
    }
    stages
}

/// How long both sides take to be compared where nothing is hashed, or where hashes prove them equal, in seconds.
#[must_use]
pub fn comparison(
    rows: u64,
    (primary, read_store): (&Rows, &Rows),
    hashed: bool,
    factors: &Factors,
) -> f64 {
    let slower = primary.seconds(rows).max(read_store.seconds(rows));
    if hashed {
        slower * factors.hash
    } else {
        slower
    }
}

/// A number of rows or records.
#[allow(clippy::cast_precision_loss)] // An estimate.
pub(super) fn count(rows: u64) -> f64 {
    rows as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine on which a row takes a second to be streamed, and everything that is written two.
    const PLAIN: Factors = Factors {
        copy: 2.0,
        again: 2.0,
        settle: 2.0,
        index: 1.0,
        finish: 1.0,
        exchange: 0.0,
        repair: 10.0,
        hash: 0.5,
        begin: 0.0,
        load: 0.0,
        swap: 0.0,
        run: 0.0,
    };

    fn log(per_record: f64) -> Option<Log> {
        Some(Log {
            first: 0.0,
            early: per_record,
            late: per_record,
            ..Log::default()
        })
    }

    fn stage(stages: &Stages, name: &str) -> f64 {
        let found = stages.iter().find(|(stage, _)| *stage == name);
        found.map_or(0.0, |(_, seconds)| *seconds)
    }

    #[test]
    fn reading_and_writing_overlap() {
        let of = |per_record| Replay {
            loads: vec![Load {
                records: 10,
                rows: 10,
                log: log(per_record),
                ..Load::default()
            }],
            row: 1.0,
            ..Replay::default()
        };
        assert_eq!(stage(&replay(&of(1.0), &PLAIN), "load"), 20.0 + 2.5);
        assert_eq!(stage(&replay(&of(3.0), &PLAIN), "load"), 30.0 + 5.0);
    }

    #[test]
    fn a_tail_is_settled_and_a_base_restored() {
        let of = Replay {
            loads: vec![Load {
                records: 5,
                restored: 100,
                rows: 100,
                indexes: 1,
                log: log(1.0),
                restore: 3.0,
            }],
            row: 1.0,
            rows: 100,
            check: Some(7.0),
            ..Replay::default()
        };
        let stages = replay(&of, &PLAIN);
        assert_eq!(stage(&stages, "restore"), 300.0 + 50.0);
        assert_eq!(stage(&stages, "settle"), 10.0);
        assert_eq!(stage(&stages, "index"), 100.0);
        assert_eq!(stage(&stages, "check"), 7.0);
    }

    #[test]
    fn repairs_cost_by_the_row() {
        let of = Reconcile {
            compare: 4.0,
            repairs: Some(3),
            row: 1.0,
            ..Reconcile::default()
        };
        assert_eq!(total(&reconcile(of, &PLAIN)), 34.0);
    }
}
