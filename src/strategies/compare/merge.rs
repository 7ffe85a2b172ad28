//! Two streams merged at the pace that is asked for, and let go of while work stands still.

use std::cmp::Ordering;
use std::time::Instant;

use anyhow::Result;

use super::{Comparison, Found, next};
use crate::limits;
use crate::projection::cell::Row;
use crate::projection::change::Key;
use crate::projection::diff::{Behind, Step};
use crate::projection::mapping::key_of;
use crate::report::progress::Counter;
use crate::store::{Acts, RowStream, Scan};

/// A range of keys: from, to; half-open, an end that is not given is that of the table.
type KeyRange = (Option<Key<'static>>, Option<Key<'static>>);

/// Both sides of a comparison, being read.
struct Sides {
    expected: RowStream,
    actual: RowStream,
    range: KeyRange,
    /// What is decided, of sides that were begun again.
    behind: Option<Behind>,
    opened: Instant,
}

impl Sides {
    /// The rows of a batch that are not decided yet.
    fn unseen(&self, mut rows: Vec<Row<'static>>, key: &[usize]) -> Vec<Row<'static>> {
        if let Some(behind) = &self.behind {
            rows.retain(|row| key_of(row, key) > behind.key);
        }
        rows
    }

    /// The same of actual rows, of which the last key may have more.
    fn unseen_actual(&mut self, mut rows: Vec<Row<'static>>, key: &[usize]) -> Vec<Row<'static>> {
        if let Some(Behind {
            key: last,
            copies: seen,
        }) = &mut self.behind
        {
            rows.retain(|row| match (key_of(row, key).cmp(last), &mut *seen) {
                (Ordering::Greater, _) | (Ordering::Equal, Some(0)) => true,
                (Ordering::Equal, Some(seen)) => {
                    *seen -= 1;
                    false
                }
                _ => false,
            });
        }
        rows
    }
}

impl Comparison<'_> {
    /// Whether a hash may prove ranges of the two sides equal.
    ///
    /// # Errors
    /// When a side cannot be asked.
    pub async fn can_hash(&self) -> Result<bool> {
        Ok(self.unique && self.hash().await?.is_some())
    }

    /// Reads both sides of a range, and merges them.
    pub(super) async fn merge(
        &self,
        from: Option<Key<'static>>,
        to: Option<Key<'static>>,
        found: &mut Found,
        counter: &Counter,
    ) -> Result<()> {
        let mut sides = self.sides((from, to)).await?;
        found.merged = true;
        let mut diff = self.diff();
        let mut counted = 0;
        loop {
            match diff.step()? {
                Step::Differs(d) if found.differences.len() < limits::RECHECK_KEYS_MAX => {
                    found.differences.push(d);
                    continue;
                }
                Step::Differs(_) => {
                    found.beyond += 1;
                    continue;
                }
                Step::NeedExpected if !self.is_due(&sides) => {
                    diff.expected(self.more_expected(&mut sides).await?);
                }
                Step::NeedActual if !self.is_due(&sides) => {
                    diff.actual(self.more_actual(&mut sides).await?);
                }
                needs @ (Step::NeedExpected | Step::NeedActual) => match diff.rewind() {
                    Some(behind) => sides = self.begun_again(sides, behind).await?,
                    // Nothing is decided yet.
                    None if needs == Step::NeedExpected => {
                        diff.expected(self.more_expected(&mut sides).await?);
                    }
                    None => diff.actual(self.more_actual(&mut sides).await?),
                },
                Step::Done => break,
            }
            let rows = diff.rows() - counted;
            counter.add(rows);
            counted = diff.rows();
            self.pace.spend(rows).await;
        }
        counter.add(diff.rows() - counted);
        found.rows += diff.rows();
        found.representation += diff.representation();
        Ok(())
    }

    /// Both sides of a range, from its beginning.
    async fn sides(&self, range: KeyRange) -> Result<Sides> {
        let bounded = |scan: Scan| Scan {
            from: range.0.clone(),
            to: range.1.clone(),
            ..scan
        };
        let (expected, actual) = tokio::try_join!(
            self.origin.rows(bounded(self.source_scan())),
            self.actual.rows(bounded(self.actual_scan()))
        )?;
        Ok(Sides {
            expected,
            actual,
            range,
            behind: None,
            opened: Instant::now(),
        })
    }

    /// More expected rows; none at the end only.
    async fn more_expected(&self, sides: &mut Sides) -> Result<Vec<Row<'static>>> {
        loop {
            let rows = self.next_expected(&mut sides.expected).await?;
            let is_end = rows.is_empty();
            let rows = sides.unseen(rows, &self.mapping.key);
            if is_end || !rows.is_empty() {
                return Ok(rows);
            }
        }
    }

    /// More actual rows; none at the end only.
    async fn more_actual(&self, sides: &mut Sides) -> Result<Vec<Row<'static>>> {
        loop {
            let rows = next(&mut sides.actual).await?;
            let is_end = rows.is_empty();
            let rows = sides.unseen_actual(rows, &self.mapping.key);
            if is_end || !rows.is_empty() {
                return Ok(rows);
            }
        }
    }

    /// Whether both sides are to be let go of: work has to stand still, or a statement is open for long. A query is run once,
    /// and so to its end.
    fn is_due(&self, sides: &Sides) -> bool {
        let due = self.pace.stands_still() || self.pace.is_long(sides.opened.elapsed());
        due && !self.is_query()
    }

    /// Lets go of both sides, so that no transaction is open while work stands still, and begins them again behind what is
    /// decided.
    async fn begun_again(&self, sides: Sides, behind: Behind) -> Result<Sides> {
        let to = sides.range.1.clone();
        drop(sides);
        self.pace.pass().await;
        let mut sides = self.sides((Some(behind.key.clone()), to)).await?;
        sides.behind = Some(behind);
        Ok(sides)
    }
}
