//! The one comparison: two streams of rows in key order, merged. Every difference that trueup shows or repairs comes
//! from here.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::cell::Row;
use super::change::Key;
use super::mapping::key_of;
use super::rule::Rule;

/// Where expected and actual do not agree.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Which row.
    pub key: Key<'static>,
    /// How it should be; `None` for a row that should not be there.
    pub expected: Option<Row<'static>>,
    /// How it is; `None` for a row that is not there.
    pub actual: Option<Row<'static>>,
}

/// The kinds of difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Expected, but not there.
    Missing,
    /// There, but not expected.
    Extra,
    /// There, with other values.
    Changed,
}

impl Kind {
    /// The word for it in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Missing => "missing",
            Kind::Extra => "extra",
            Kind::Changed => "changed",
        }
    }
}

impl Difference {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match (&self.expected, &self.actual) {
            (_, None) => Kind::Missing,
            (None, _) => Kind::Extra,
            _ => Kind::Changed,
        }
    }

    /// Which columns differ; for a missing or extra row, none.
    #[must_use]
    pub fn columns(&self) -> Vec<usize> {
        match (&self.expected, &self.actual) {
            (Some(e), Some(a)) => (0..e.len()).filter(|i| e[*i] != a[*i]).collect(),
            _ => Vec::new(),
        }
    }
}

/// The write that removes a difference: only while the row is still `before`.
#[derive(Clone, Debug, PartialEq)]
pub struct Repair {
    /// Which row.
    pub key: Key<'static>,
    /// The row as it must still be.
    pub before: Option<Row<'static>>,
    /// The row as it will be.
    pub after: Option<Row<'static>>,
}

impl From<Difference> for Repair {
    fn from(d: Difference) -> Repair {
        Repair {
            key: d.key,
            before: d.actual,
            after: d.expected,
        }
    }
}

impl Repair {
    /// The repair that takes this one back.
    #[must_use]
    pub fn inverse(self) -> Repair {
        Repair {
            key: self.key,
            before: self.after,
            after: self.before,
        }
    }
}

/// What the merge wants or has found.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A difference.
    Differs(Difference),
    /// More expected rows are needed, or their end.
    NeedExpected,
    /// More actual rows are needed, or their end.
    NeedActual,
    /// Both sides are at their end.
    Done,
}

/// A side whose keys do not ascend: a key twice, or a database that sorts differently.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "{side} rows do not ascend by key: {then} comes after {first}; is the key unique, and sorted bytewise?"
)]
pub struct OrderError {
    side: &'static str,
    first: String,
    then: String,
}

#[derive(Debug)]
struct Side {
    name: &'static str,
    rows: VecDeque<Row<'static>>,
    last: Option<Row<'static>>,
    ended: bool,
}

impl Side {
    fn new(name: &'static str) -> Side {
        Side {
            name,
            rows: VecDeque::new(),
            last: None,
            ended: false,
        }
    }

    fn feed(&mut self, rows: Vec<Row<'static>>) {
        self.rows.extend(rows);
    }

    /// Takes the front row, after checking that the one behind it comes later.
    fn pop(&mut self, key: &[usize]) -> Result<Row<'static>, OrderError> {
        let row = self.rows.pop_front().unwrap_or_default();
        let next = self.rows.front();
        let previous = if next.is_some() { Some(&row) } else { None };
        if let (Some(first), Some(then)) = (previous, next) {
            self.ascending(first, then, key)?;
        }
        if next.is_none() {
            self.last = Some(row.clone());
        }
        Ok(row)
    }

    /// The first row of a batch must come after the last of the batch before.
    fn check_seam(&mut self, key: &[usize]) -> Result<(), OrderError> {
        match (self.last.take(), self.rows.front()) {
            (Some(first), Some(then)) => self.ascending(&first, then, key),
            (last, _) => {
                self.last = last;
                Ok(())
            }
        }
    }

    fn ascending(&self, first: &Row<'_>, then: &Row<'_>, key: &[usize]) -> Result<(), OrderError> {
        if compare(first, then, key) == Ordering::Less {
            return Ok(());
        }
        let show = |row| key_of(row, key).to_string();
        Err(OrderError {
            side: self.name,
            first: show(first),
            then: show(then),
        })
    }
}

fn compare(a: &Row<'_>, b: &Row<'_>, key: &[usize]) -> Ordering {
    key.iter()
        .map(|i| a[*i].cmp(&b[*i]))
        .find(|o| o.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Merges expected and actual rows that both come in key order.
#[derive(Debug)]
pub struct Diff {
    key: Vec<usize>,
    expected: Side,
    actual: Side,
    rules: Vec<Rule>,
    rows: u64,
    representation: u64,
}

impl Diff {
    /// A merge of rows whose cells `key` are the key.
    #[must_use]
    pub fn new(key: Vec<usize>) -> Diff {
        Diff {
            key,
            expected: Side::new("expected"),
            actual: Side::new("actual"),
            rules: Vec::new(),
            rows: 0,
            representation: 0,
        }
    }

    /// Compares each column by its rule; no rules at all are exact ones. The key is always compared exactly.
    #[must_use]
    pub fn with_rules(mut self, mut rules: Vec<Rule>) -> Diff {
        for at in &self.key {
            if let Some(rule) = rules.get_mut(*at) {
                *rule = Rule::Exact;
            }
        }
        self.rules = rules;
        self
    }

    /// Rows so far that are not equal, and the same by their columns' rules.
    #[must_use]
    pub fn representation(&self) -> u64 {
        self.representation
    }

    /// A cell that is the same by its rule takes the actual value: it is no difference, and no repair touches it.
    fn settle(&self, expected: &mut Row<'static>, actual: &Row<'static>) {
        for ((rule, expected), actual) in self.rules.iter().zip(expected).zip(actual) {
            if rule.equal(expected, actual) {
                expected.clone_from(actual);
            }
        }
    }

    /// More expected rows; an empty batch is their end.
    pub fn expected(&mut self, rows: Vec<Row<'static>>) {
        self.expected.ended |= rows.is_empty();
        self.expected.feed(rows);
    }

    /// More actual rows; an empty batch is their end.
    pub fn actual(&mut self, rows: Vec<Row<'static>>) {
        self.actual.ended |= rows.is_empty();
        self.actual.feed(rows);
    }

    /// Keys looked at so far, on whichever side.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Asked for rows, forgets those that are not looked at yet, so that both sides can be fed anew, each from behind the key
    /// that this gives: everything up to it is decided. `None` where nothing is; then nothing is forgotten.
    pub fn rewind(&mut self) -> Option<Key<'static>> {
        // The side that lacks rows is the one that was looked at last.
        let lacks = |side: &Side| side.rows.is_empty() && !side.ended;
        let side = if lacks(&self.expected) {
            &self.expected
        } else {
            &self.actual
        };
        let behind = key_of(side.last.as_ref()?, &self.key);
        for side in [&mut self.expected, &mut self.actual] {
            side.rows.clear();
            (side.last, side.ended) = (None, false);
        }
        Some(behind)
    }

    /// Goes on to the next difference, or to where rows are missing.
    ///
    /// # Errors
    /// When a side's keys do not ascend.
    pub fn step(&mut self) -> Result<Step, OrderError> {
        loop {
            self.expected.check_seam(&self.key)?;
            self.actual.check_seam(&self.key)?;
            let order = match (self.expected.rows.front(), self.actual.rows.front()) {
                (None, _) if !self.expected.ended => return Ok(Step::NeedExpected),
                (_, None) if !self.actual.ended => return Ok(Step::NeedActual),
                (None, None) => return Ok(Step::Done),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(e), Some(a)) => compare(e, a, &self.key),
            };
            self.rows += 1;
            let mut expected = if order.is_le() {
                Some(self.expected.pop(&self.key)?)
            } else {
                None
            };
            let actual = if order.is_ge() {
                Some(self.actual.pop(&self.key)?)
            } else {
                None
            };
            if expected == actual {
                continue;
            }
            if let (Some(expected), Some(actual)) = (&mut expected, &actual) {
                self.settle(expected, actual);
                if expected == actual {
                    self.representation += 1;
                    continue;
                }
            }
            let key = expected
                .as_ref()
                .or(actual.as_ref())
                .map(|r| key_of(r, &self.key));
            return Ok(Step::Differs(Difference {
                key: key.unwrap_or(Key(Vec::new())),
                expected,
                actual,
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::Cell;
    use super::*;

    fn row(key: i128, value: &str) -> Row<'static> {
        vec![Cell::Int(key), Cell::Text(value.to_owned().into())]
    }

    fn run(
        expected: &[Row<'static>],
        actual: &[Row<'static>],
        batch: usize,
    ) -> Result<Vec<(String, Kind)>, OrderError> {
        let mut diff = Diff::new(vec![0]);
        let (mut e, mut a) = (expected.chunks(batch), actual.chunks(batch));
        let mut found = Vec::new();
        loop {
            match diff.step()? {
                Step::Differs(d) => found.push((d.key.to_string(), d.kind())),
                Step::NeedExpected => {
                    diff.expected(e.next().map(<[_]>::to_vec).unwrap_or_default())
                }
                Step::NeedActual => diff.actual(a.next().map(<[_]>::to_vec).unwrap_or_default()),
                Step::Done => return Ok(found),
            }
        }
    }

    #[test]
    fn finds_each_kind_whatever_the_batches() {
        let expected = [row(1, "a"), row(2, "b"), row(4, "d"), row(5, "e")];
        let actual = [
            row(0, "z"),
            row(1, "a"),
            row(2, "x"),
            row(5, "e"),
            row(9, "y"),
        ];
        let want = [
            ("0", Kind::Extra),
            ("2", Kind::Changed),
            ("4", Kind::Missing),
            ("9", Kind::Extra),
        ];
        for batch in 1..6 {
            let got = run(&expected, &actual, batch).expect("ascending");
            assert_eq!(got, want.map(|(k, kind)| (k.to_owned(), kind)));
        }
        assert_eq!(run(&[], &[], 1), Ok(Vec::new()));
    }

    #[test]
    fn keys_that_do_not_ascend_are_an_error() {
        for batch in 1..3 {
            assert!(run(&[row(2, "a"), row(1, "b")], &[], batch).is_err());
            assert!(run(&[], &[row(2, "a"), row(2, "b")], batch).is_err());
        }
    }

    /// What is the same by its rule is no difference, and in a row that differs elsewhere no repair touches it.
    #[test]
    fn rules_bound_what_differs() {
        let row = |key: f64, list: [i128; 2], sum: f64, text: &str| {
            let list = Cell::Array(list.map(Cell::Int).to_vec());
            vec![
                Cell::Float(key),
                list,
                Cell::Float(sum),
                Cell::Text(text.to_owned().into()),
            ]
        };
        let expected = [
            row(1.0, [1, 2], 0.3, "a"),
            row(2.0, [1, 2], 0.3, "b"),
            row(3.0, [1, 2], 0.3, "c"),
        ];
        let actual = [
            row(1.0, [2, 1], 0.1 + 0.2, "a"),
            row(2.0, [2, 1], 0.4, "x"),
            row(3.1, [2, 1], 0.3, "c"),
        ];
        // The key stays exact, whatever its rule.
        let rules = vec![
            Rule::Tolerance(0.5),
            Rule::Unordered,
            Rule::Tolerance(1e-9),
            Rule::Exact,
        ];
        for (rules, changed, representation) in [
            (rules, vec![vec![2, 3]], 1),
            (Vec::new(), vec![vec![1, 2], vec![1, 2, 3]], 0),
        ] {
            let with_rules = !rules.is_empty();
            let mut diff = Diff::new(vec![0]).with_rules(rules);
            for rows in [&expected[..], &[]] {
                diff.expected(rows.to_vec());
            }
            for rows in [&actual[..], &[]] {
                diff.actual(rows.to_vec());
            }
            let (mut columns, mut kinds) = (Vec::new(), Vec::new());
            while let Step::Differs(found) = diff.step().expect("ascending") {
                if found.kind() == Kind::Changed {
                    columns.push(found.columns());
                } else {
                    kinds.push(found.kind());
                }
                if with_rules && found.kind() == Kind::Changed {
                    let repair = Repair::from(found);
                    let (before, after) =
                        (repair.before.expect("before"), repair.after.expect("after"));
                    assert_eq!(format!("{:?}", before[1]), format!("{:?}", after[1]));
                    assert_eq!(after[3], Cell::Text("b".into()));
                }
            }
            assert_eq!((columns, diff.representation()), (changed, representation));
            assert_eq!((kinds, diff.rows()), (vec![Kind::Missing, Kind::Extra], 4));
        }
    }

    #[test]
    fn a_repair_and_its_inverse() {
        let d = Difference {
            key: Key(vec![Cell::Int(1)]),
            expected: Some(row(1, "a")),
            actual: None,
        };
        let repair = Repair::from(d);
        assert_eq!(repair.clone().inverse().inverse(), repair);
        assert_eq!(repair.inverse().after, None);
    }
}
