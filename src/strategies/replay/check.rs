//! Whether the shadows may take the place of the live tables.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::limits;
use crate::projection::change::Key;
use crate::projection::diff::Kind;
use crate::strategies::bounds::Bound;
use crate::strategies::compare::{Comparison, Found};
use crate::strategies::{Refused, Systems, View};

/// Refuses a shadow that is wrong where the live table is right, or that would drop too many of the primary's rows.
pub(super) async fn better_than_live(
    systems: &Systems,
    view: &View,
    comparison: &Comparison<'_>,
    found: &Found,
    deletes_max: Bound,
) -> Result<()> {
    let live = Comparison::new(systems, view);
    let keys: Vec<Key<'static>> = found.differences.iter().map(|d| d.key.clone()).collect();
    let wrong_live: BTreeSet<Key<'static>> = live
        .again(&keys)
        .await?
        .into_iter()
        .map(|d| d.key)
        .collect();
    // A key that changes underway is no evidence: only what still differs counts.
    let wrong_shadow = comparison.again(&keys).await?;
    let worse: Vec<String> = wrong_shadow
        .iter()
        .filter(|d| !wrong_live.contains(&d.key))
        .map(|d| d.key.to_string())
        .collect();
    let dropped = wrong_shadow
        .iter()
        .filter(|d| d.kind() == Kind::Missing && !wrong_live.contains(&d.key))
        .count() as u64;
    let mut reasons = Vec::new();
    if !worse.is_empty() && worse.len() > wrong_live.len() {
        let shown: Vec<&str> = worse.iter().map(String::as_str).collect();
        let shown = &shown[..shown.len().min(limits::KEYS_SHOWN_MAX)];
        reasons.push(format!(
            "the shadow is worse than the live table: {} keys are wrong in it and right in the live table ({}); the log does not hold what the primary holds",
            worse.len(), shown.join("; ")
        ));
    }
    let lost = dropped + found.beyond;
    if lost > deletes_max.rows(found.rows) {
        reasons.push(format!(
            "the swap would drop {lost} rows that the primary has (deletes_max {deletes_max})"
        ));
    }
    if reasons.is_empty() {
        return Ok(());
    }
    reasons.push(format!(
        "nothing was swapped and {} is as it was; reconcile repairs from the primary",
        view.table.table
    ));
    Err(Refused(reasons).into())
}
