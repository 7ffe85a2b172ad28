//! What would become of the rows that differ, and of those that do not.

use crate::projection::cause::Cause;
use crate::report::weighed::{Effect, Strategy, Wrong};

/// What a row is counted as whose cause is not known.
const UNKNOWN: &str = "cause_unknown";

/// What a strategy does to what is wrong. `since_good` is a replay that begins with a snapshot known to be good while the log has
/// lost its beginning: the snapshot may well hold what the log does not say any more.
#[must_use]
pub(super) fn of(strategy: Strategy, wrong: &Wrong, since_good: bool) -> Effect {
    let mut effect = Effect::default();
    let replays = strategy != Strategy::Reconcile;
    for (cause, rows) in &wrong.causes {
        let row = (cause.word(), *rows);
        match cause {
            // They mean the same.
            Cause::Representation => {}
            Cause::LogIncomplete => {}
            Cause::Lagging => effect.leaves.push(row),
            Cause::Unexplained if replays && since_good => effect.unsure.push(row),
            cause if replays && cause.is_fixed_by_replay() => effect.fixes.push(row),
            cause if !replays && cause.is_clear() => effect.fixes.push(row),
            _ => effect.leaves.push(row),
        }
    }
    let told: u64 = wrong
        .causes
        .iter()
        .filter(|(cause, _)| !matches!(cause, Cause::Representation | Cause::LogIncomplete))
        .map(|(_, n)| n)
        .sum();
    let untold = wrong.differing.saturating_sub(told);
    match (untold, replays) {
        (0, _) => {}
        (n, false) => effect.fixes.push((UNKNOWN, n)),
        (n, true) => effect.unsure.push((UNKNOWN, n)),
    }
    if replays && !since_good {
        effect.breaks = wrong.broken_by_replay;
        effect.breaks_keys.clone_from(&wrong.broken_keys);
    }
    effect
}

/// Rows that a strategy makes right.
#[must_use]
pub(super) fn fixed(effect: &Effect) -> u64 {
    effect.fixes.iter().map(|(_, n)| n).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn each_cause_by_each_strategy() {
        let wrong = Wrong {
            rows: 1_000,
            differing: 20,
            causes: BTreeMap::from([
                (Cause::Representation, 9),
                (Cause::Lagging, 1),
                (Cause::TimeTravel, 2),
                (Cause::LostEvent, 3),
                (Cause::LogIncomplete, 4),
                (Cause::Unexplained, 5),
            ]),
            broken_by_replay: 400,
            broken_keys: vec!["id=7".to_owned()],
            ..Wrong::default()
        };
        let replay = of(Strategy::BigBang, &wrong, false);
        assert_eq!(replay.fixes, [("time_travel", 2)]);
        assert_eq!(
            replay.leaves,
            [("lagging", 1), ("lost_event", 3), ("unexplained", 5)]
        );
        // Of the others that differ, no cause was found.
        assert_eq!(replay.unsure, [(UNKNOWN, 9)]);
        assert_eq!((replay.breaks, fixed(&replay)), (400, 2));
        let reconcile = of(Strategy::Reconcile, &wrong, false);
        assert_eq!(
            reconcile.fixes,
            [("time_travel", 2), ("lost_event", 3), (UNKNOWN, 9)]
        );
        assert_eq!(reconcile.leaves, [("lagging", 1), ("unexplained", 5)]);
        assert_eq!(reconcile.breaks, 0);
        let since_good = of(Strategy::Partial, &wrong, true);
        assert_eq!(since_good.unsure[0], ("unexplained", 5));
        assert_eq!(since_good.breaks, 0);
    }
}
