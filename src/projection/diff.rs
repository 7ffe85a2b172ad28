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
    /// There, but not expected; or there once more.
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

/// A side whose keys do not ascend.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OrderError {
    /// An expected key twice: of what is expected, each key names one row. An actual row too many is a difference.
    #[error(
        "more than one of the {side} rows has the key {key}: it does not name a row; choose another `key:`"
    )]
    Twice {
        /// Which side.
        side: &'static str,
        /// The key.
        key: String,
    },
    /// A database that sorts differently.
    #[error("the {side} rows are not sorted by type and byte: {then} comes after {first}")]
    Unsorted {
        /// Which side.
        side: &'static str,
        /// The key that came first.
        first: String,
        /// The key that came after it.
        then: String,
    },
}

/// What is decided when both sides are to be fed anew.
#[derive(Clone, Debug, PartialEq)]
pub struct Behind {
    /// The last key.
    pub key: Key<'static>,
    /// How many actual rows of that key; `None` when it is all of them.
    pub copies: Option<usize>,
}

#[derive(Debug)]
struct Side {
    name: &'static str,
    /// Whether a key may come again: nothing keeps a table without a unique key from holding a row twice.
    repeats: bool,
    rows: VecDeque<Row<'static>>,
    last: Option<Row<'static>>,
    /// Rows so far of the key that was taken last.
    copies: usize,
    /// Whether the front row has that key too.
    again: bool,
    ended: bool,
}

impl Side {
    fn new(name: &'static str, repeats: bool) -> Side {
        Side {
            name,
            repeats,
            rows: VecDeque::new(),
            last: None,
            copies: 0,
            again: false,
            ended: false,
        }
    }

    fn feed(&mut self, rows: Vec<Row<'static>>) {
        self.rows.extend(rows);
    }

    fn lacks_rows(&self) -> bool {
        self.rows.is_empty() && !self.ended
    }

    /// Takes the front row, after checking that the one behind it comes later.
    fn pop(&mut self, key: &[usize]) -> Result<Row<'static>, OrderError> {
        let row = self.rows.pop_front().unwrap_or_default();
        self.copies = if self.again { self.copies + 1 } else { 1 };
        self.again = match self.rows.front() {
            Some(then) => self.repeated(&row, then, key)?,
            None => {
                self.last = Some(row.clone());
                false
            }
        };
        Ok(row)
    }

    /// The first row of a batch must come after the last of the batch before.
    fn check_seam(&mut self, key: &[usize]) -> Result<(), OrderError> {
        match (self.last.take(), self.rows.front()) {
            (Some(first), Some(then)) => self.again = self.repeated(&first, then, key)?,
            (last, _) => self.last = last,
        }
        Ok(())
    }

    /// Whether a row has the key of the one before it.
    fn repeated(&self, first: &Row<'_>, then: &Row<'_>, key: &[usize]) -> Result<bool, OrderError> {
        let side = self.name;
        match compare(first, then, key) {
            Ordering::Less => Ok(false),
            Ordering::Equal if self.repeats => Ok(true),
            Ordering::Equal => Err(OrderError::Twice {
                side,
                key: key_of(then, key).to_string(),
            }),
            Ordering::Greater => Err(OrderError::Unsorted {
                side,
                first: key_of(first, key).to_string(),
                then: key_of(then, key).to_string(),
            }),
        }
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
            expected: Side::new("expected", false),
            actual: Side::new("actual", true),
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

    /// Asked for rows, forgets those that are not looked at yet, so that both sides can be fed anew, each from behind what
    /// this gives: that is decided. `None` where nothing is; then nothing is forgotten.
    pub fn rewind(&mut self) -> Option<Behind> {
        // The side that lacks rows is the one that was looked at last.
        let (side, copies) = if self.actual.lacks_rows() {
            (&self.actual, Some(self.actual.copies))
        } else {
            (&self.expected, None)
        };
        let key = key_of(side.last.as_ref()?, &self.key);
        // An actual row of that key may still come, and is one too many.
        self.actual.last = self.actual.last.take().filter(|_| copies.is_some());
        self.expected.last = None;
        for side in [&mut self.expected, &mut self.actual] {
            side.rows.clear();
            side.ended = false;
        }
        Some(Behind { key, copies })
    }

    /// Goes on to the next difference, or to where rows are missing. Of actual rows with one key, the first is compared, and
    /// each further one is a difference of its own.
    ///
    /// # Errors
    /// When a side's keys do not ascend.
    pub fn step(&mut self) -> Result<Step, OrderError> {
        loop {
            self.expected.check_seam(&self.key)?;
            self.actual.check_seam(&self.key)?;
            if self.actual.again {
                let surplus = self.actual.pop(&self.key)?;
                return Ok(Step::Differs(Difference {
                    key: key_of(&surplus, &self.key),
                    expected: None,
                    actual: Some(surplus),
                }));
            }
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
mod tests;
