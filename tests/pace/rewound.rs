//! A merge that is begun anew in the middle, on both sides, gives what a merge in one go gives.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use trueup::projection::cell::{Cell, Row};
use trueup::projection::diff::{Diff, Difference, Step};

use crate::support::{seed, size};

type Rows = Vec<Row<'static>>;

fn rows(random: &mut StdRng) -> Rows {
    let mut rows = Vec::new();
    for key in 0..40 {
        if random.random_bool(0.7) {
            rows.push(vec![Cell::Int(key), Cell::Int(random.random_range(0..2))]);
        }
    }
    rows
}

/// What a side has behind a key, in batches; then its end.
struct Side<'r> {
    all: &'r Rows,
    next: usize,
}

impl Side<'_> {
    fn batch(&mut self, random: &mut StdRng) -> Rows {
        let end = (self.next + random.random_range(1..8)).min(self.all.len());
        let batch = self.all[self.next..end].to_vec();
        self.next = end;
        batch
    }

    /// Behind so many rows of a key, or behind all of them.
    fn behind(&mut self, key: &Cell<'static>, copies: Option<usize>) {
        let before = self.all.iter().filter(|row| row[0] < *key).count();
        let same = self.all.iter().filter(|row| row[0] == *key).count();
        self.next = before + copies.unwrap_or(same);
    }
}

fn merge(
    expected: &Rows,
    actual: &Rows,
    random: &mut StdRng,
    rewinds: bool,
) -> (Vec<Difference>, u64) {
    let mut diff = Diff::new(vec![0]);
    let mut sides = [
        Side {
            all: expected,
            next: 0,
        },
        Side {
            all: actual,
            next: 0,
        },
    ];
    let mut found = Vec::new();
    loop {
        let step = diff.step().unwrap();
        // At the very same place as the program does.
        if rewinds
            && matches!(step, Step::NeedExpected | Step::NeedActual)
            && random.random_bool(0.3)
            && let Some(behind) = diff.rewind()
        {
            sides[0].behind(&behind.key.0[0], None);
            sides[1].behind(&behind.key.0[0], behind.copies);
            continue;
        }
        match step {
            Step::Differs(difference) => found.push(difference),
            Step::NeedExpected => diff.expected(sides[0].batch(random)),
            Step::NeedActual => diff.actual(sides[1].batch(random)),
            Step::Done => return (found, diff.rows()),
        }
    }
}

#[test]
fn wherever_a_merge_is_begun_anew() {
    let mut random = StdRng::seed_from_u64(seed());
    let mut rewound = 0;
    for _ in 0..size(3_000, 300_000) {
        let (expected, mut actual) = (rows(&mut random), rows(&mut random));
        // A table without a unique key may hold a row twice, or more often.
        for _ in 0..random.random_range(0..4) {
            if let Some(row) = actual.choose(&mut random).cloned() {
                actual.push(row);
            }
        }
        actual.sort();
        let once = merge(&expected, &actual, &mut random, false);
        let again = merge(&expected, &actual, &mut random, true);
        assert_eq!(once, again, "{expected:?} {actual:?}");
        rewound += usize::from(!once.0.is_empty());
    }
    assert!(rewound > size(2_000, 200_000), "hardly anything differed");
}
