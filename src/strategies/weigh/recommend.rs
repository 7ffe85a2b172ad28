//! Which strategy to take, by what is wrong and what each would do about it. Pure.

use super::effect::fixed;
use super::predict::count;
use crate::limits;
use crate::projection::cause::Cause;
use crate::report::table::grouped;
use crate::report::weighed::{Advice, Outlook, Recommended, Strategy, Wrong};

/// How the command lines are written that are recommended.
#[derive(Clone, Debug)]
pub struct Commands {
    /// The playbook, as the operator named it.
    pub playbook: String,
    /// The view, where the playbook has more than one.
    pub view: Option<String>,
    /// Whether the log was asked for causes, so that a repair may go by them.
    pub explained: bool,
    /// Whether the primary answers; a replay can do without.
    pub has_primary: bool,
}

impl Commands {
    fn of(&self, command: &str, flags: &str) -> String {
        let view = self.view.as_ref();
        let view = view.map(|v| format!(" --view {}", quoted(v)));
        let (playbook, view) = (quoted(&self.playbook), view.unwrap_or_default());
        format!("trueup {command} {playbook}{view}{flags}")
    }

    /// The command line of a strategy.
    #[must_use]
    pub fn strategy(&self, strategy: Strategy) -> String {
        let check = if self.has_primary { "" } else { " --no-check" };
        match strategy {
            Strategy::BigBang => self.of("replay big-bang", check),
            Strategy::Partial => self.of("replay partial", &format!(" --snapshot latest{check}")),
            Strategy::Reconcile if self.explained => self.of("reconcile", " --explain --apply"),
            Strategy::Reconcile => self.of("reconcile", " --apply"),
        }
    }
}

/// A word of a command line, for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// What to do.
#[must_use]
pub fn recommend(wrong: Option<&Wrong>, outlooks: &[Outlook], commands: &Commands) -> Recommended {
    let Some(wrong) = wrong else {
        return Recommended {
            advice: Advice::Look,
            reason: "nothing was compared, so nobody knows whether anything is wrong".to_owned(),
            command: Some(commands.of("verify", " --explain")),
            then: None,
        };
    };
    let coming = wrong.causes.get(&Cause::Lagging).copied().unwrap_or(0);
    if coming >= wrong.differing {
        return at_rest(wrong, commands);
    }
    let unexplained = wrong.causes.get(&Cause::Unexplained).copied().unwrap_or(0);
    if unexplained >= wrong.differing {
        return Recommended {
            advice: Advice::Look,
            reason: format!(
                "nothing that the log says explains the {} rows that differ: look at some of them before anything is written",
                grouped(wrong.differing)
            ),
            command: Some(commands.of("explain", " --key KEY --show-values")),
            then: Some(commands.of("reconcile", " --include unexplained --apply")),
        };
    }
    let chosen = choose(wrong, outlooks, commands);
    let miscomputed = wrong.causes.get(&Cause::Miscomputed).copied().unwrap_or(0);
    if miscomputed == 0 {
        return chosen;
    }
    let pattern = wrong.patterns.first().map(|(what, _)| format!(": {what}"));
    Recommended {
        advice: Advice::MendProjector,
        reason: format!(
            "{} of the {} rows that differ are wrong in the same way{}; whoever writes them would write the same again. After that, {}: {}",
            grouped(miscomputed),
            grouped(wrong.differing),
            pattern.unwrap_or_default(),
            chosen.advice.phrase(),
            chosen.reason
        ),
        command: None,
        then: chosen.command,
    }
}

/// Nothing differs that would have to be repaired.
fn at_rest(wrong: &Wrong, commands: &Commands) -> Recommended {
    let never = match wrong.broken_by_replay {
        0 => String::new(),
        n => format!(
            "; do not replay it, which would break about {} rows that are right",
            grouped(n)
        ),
    };
    if wrong.unknown > 0 {
        return Recommended {
            advice: Advice::Wait,
            reason: format!(
                "{} rows could not be decided, and no others differ: give lag more time{never}",
                grouped(wrong.unknown)
            ),
            command: Some(commands.of("verify", " --explain --lag-wait 5m")),
            then: None,
        };
    }
    if wrong.lagging > 0 || wrong.causes.contains_key(&Cause::Lagging) {
        return Recommended {
            advice: Advice::Wait,
            reason: format!("whatever differed was on its way{never}"),
            command: Some(commands.of("lag", "")),
            then: None,
        };
    }
    Recommended {
        advice: Advice::Nothing,
        reason: format!("nothing differs{never}"),
        command: None,
        then: None,
    }
}

/// Among the strategies that are not blocked and break nothing, the one that fixes the most, and of those that fix as much the
/// gentlest: repairs for few rows, else what is over soonest.
fn choose(wrong: &Wrong, outlooks: &[Outlook], commands: &Commands) -> Recommended {
    let open = |o: &&Outlook| o.blockers.is_empty() && o.effect.breaks == 0;
    let may_fix = |o: &Outlook| {
        let unsure: u64 = o.effect.unsure.iter().map(|(_, n)| n).sum();
        fixed(&o.effect) + unsure
    };
    let most = outlooks.iter().filter(open).map(may_fix).max().unwrap_or(0);
    let fit: Vec<&Outlook> = outlooks
        .iter()
        .filter(open)
        .filter(|o| most > 0 && may_fix(o) == most)
        .collect();
    let seconds = |o: &Outlook| o.seconds().unwrap_or(f64::INFINITY);
    let soonest = fit.iter().min_by(|a, b| seconds(a).total_cmp(&seconds(b)));
    let Some(soonest) = soonest else {
        return none(wrong, outlooks, commands);
    };
    let repairs = fit.iter().find(|o| o.strategy == Strategy::Reconcile);
    let percent = 100.0 * count(wrong.differing) / count(wrong.rows.max(1));
    let take = |o: &Outlook, reason: String| Recommended {
        advice: Advice::Take(o.strategy),
        reason: reason + &left(o),
        command: Some(commands.strategy(o.strategy)),
        then: None,
    };
    let few = |o: &&&Outlook| percent <= limits::REBUILD_PERCENT || seconds(o) <= seconds(soonest);
    if let Some(repairs) = repairs.filter(few) {
        return take(repairs, why_repairs(wrong, outlooks, fit.len() == 1));
    }
    let rows = rows_differ(wrong);
    let reason = match (repairs, blocked(outlooks, Strategy::Reconcile)) {
        (Some(_), _) => {
            format!("{rows}, and rebuilding the table takes less time than repairing it row by row")
        }
        (None, Some(why)) => {
            format!("{rows}, and the log has what they should be; reconcile is blocked: {why}")
        }
        (None, None) => format!("{rows}, and it may fix more of them than a reconciliation"),
    };
    take(soonest, reason)
}

fn rows_differ(wrong: &Wrong) -> String {
    let (differing, rows) = (grouped(wrong.differing), grouped(wrong.rows));
    format!("{differing} of {rows} rows differ")
}

/// What a strategy leaves.
fn left(outlook: &Outlook) -> String {
    let each = |(cause, n): &(&str, u64)| format!("{cause} {}", grouped(*n));
    let left: Vec<String> = outlook.effect.leaves.iter().map(each).collect();
    match left.as_slice() {
        [] => String::new(),
        left => format!("; it leaves {}", left.join(", ")),
    }
}

fn blocked(outlooks: &[Outlook], strategy: Strategy) -> Option<&str> {
    let of = outlooks.iter().find(|o| o.strategy == strategy)?;
    of.blockers.first().map(String::as_str)
}

/// Why rows are repaired one by one.
fn why_repairs(wrong: &Wrong, outlooks: &[Outlook], alone: bool) -> String {
    let rows = rows_differ(wrong);
    let lost = wrong.causes.get(&Cause::LostEvent).copied().unwrap_or(0);
    if lost > 0 {
        return format!(
            "{rows}, and the log never heard of {} of them: no replay brings them back",
            grouped(lost)
        );
    }
    if wrong.broken_by_replay > 0 {
        return format!(
            "{rows}; a replay would break about {} rows that are right",
            grouped(wrong.broken_by_replay)
        );
    }
    let replays_blocked = [Strategy::BigBang, Strategy::Partial]
        .into_iter()
        .all(|s| blocked(outlooks, s).is_some());
    if alone && replays_blocked {
        return format!("{rows}, and both replays are blocked");
    }
    format!(
        "{rows}: only those are touched, each fenced and journalled, and readers see them right at once"
    )
}

/// Every strategy is blocked, would break rows, or fixes nothing.
fn none(wrong: &Wrong, outlooks: &[Outlook], commands: &Commands) -> Recommended {
    let why: Vec<String> = outlooks
        .iter()
        .map(|o| match (o.blockers.first(), o.effect.breaks) {
            (Some(blocker), _) => format!("{}: {blocker}", o.strategy.name()),
            (None, 0) => format!("{} fixes none of them", o.strategy.name()),
            (None, n) => format!("{} would break {} rows", o.strategy.name(), grouped(n)),
        })
        .collect();
    Recommended {
        advice: Advice::Unblock,
        reason: format!(
            "{}, and no strategy can be taken as things are: {}",
            rows_differ(wrong),
            why.join("; ")
        ),
        command: Some(commands.of("reconcile", " --explain")),
        then: None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::report::weighed::{Cost, Effect};

    fn outlook(strategy: Strategy, seconds: f64, fixes: u64) -> Outlook {
        Outlook {
            strategy,
            stages: vec![("load", seconds)],
            availability: String::new(),
            cost: Cost::default(),
            effect: Effect {
                fixes: vec![("skipped", fixes)],
                ..Effect::default()
            },
            blockers: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn commands() -> Commands {
        Commands {
            playbook: "my plan.yaml".to_owned(),
            view: Some("v".to_owned()),
            explained: true,
            has_primary: true,
        }
    }

    fn wrong(differing: u64, causes: &[(Cause, u64)]) -> Wrong {
        Wrong {
            rows: 1_000,
            differing,
            causes: causes.iter().copied().collect::<BTreeMap<_, _>>(),
            ..Wrong::default()
        }
    }

    fn advise(wrong: &Wrong, outlooks: &[Outlook]) -> Recommended {
        recommend(Some(wrong), outlooks, &commands())
    }

    #[test]
    fn few_rows_are_repaired_and_many_rebuilt() {
        let all = |differing| {
            [
                outlook(Strategy::BigBang, 90.0, differing),
                outlook(Strategy::Partial, 30.0, differing),
                outlook(Strategy::Reconcile, 60.0, differing),
            ]
        };
        let few = advise(&wrong(5, &[(Cause::Skipped, 5)]), &all(5));
        assert_eq!(few.advice, Advice::Take(Strategy::Reconcile));
        assert_eq!(
            few.command.as_deref(),
            Some("trueup reconcile 'my plan.yaml' --view v --explain --apply")
        );
        let many = advise(&wrong(500, &[(Cause::Skipped, 500)]), &all(500));
        assert_eq!(many.advice, Advice::Take(Strategy::Partial));
        let mut blocked = all(500);
        blocked[1].blockers.push("there is no snapshot".to_owned());
        let rebuilt = advise(&wrong(500, &[(Cause::Skipped, 500)]), &blocked);
        // Repairing is over before the whole log is read.
        assert_eq!(rebuilt.advice, Advice::Take(Strategy::Reconcile));
        blocked[2].blockers.push("too many".to_owned());
        let rebuilt = advise(&wrong(500, &[(Cause::Skipped, 500)]), &blocked);
        assert_eq!(rebuilt.advice, Advice::Take(Strategy::BigBang));
        assert!(rebuilt.reason.contains("too many"), "{}", rebuilt.reason);
        blocked[0].effect.breaks = 7;
        let nothing = advise(&wrong(500, &[(Cause::Skipped, 500)]), &blocked);
        assert_eq!(nothing.advice, Advice::Unblock);
        assert!(nothing.reason.contains("would break 7 rows"));
    }

    #[test]
    fn what_no_replay_brings_back_is_repaired() {
        let outlooks = [
            outlook(Strategy::BigBang, 1.0, 400),
            outlook(Strategy::Reconcile, 60.0, 500),
        ];
        let causes = [(Cause::Skipped, 400), (Cause::LostEvent, 100)];
        let advice = advise(&wrong(500, &causes), &outlooks);
        assert_eq!(advice.advice, Advice::Take(Strategy::Reconcile));
        assert!(advice.reason.contains("never heard of 100"));
    }

    #[test]
    fn projectors_are_mended_and_lag_is_waited_for() {
        let outlooks = [outlook(Strategy::Reconcile, 1.0, 40)];
        let mend = advise(&wrong(40, &[(Cause::Miscomputed, 40)]), &outlooks);
        assert_eq!(mend.advice, Advice::MendProjector);
        assert!(mend.command.is_none() && mend.then.is_some());
        let lagging = Wrong {
            lagging: 3,
            ..wrong(0, &[])
        };
        assert_eq!(advise(&lagging, &outlooks).advice, Advice::Wait);
        let fine = Wrong {
            broken_by_replay: 9,
            ..wrong(0, &[])
        };
        let nothing = advise(&fine, &outlooks);
        assert_eq!(nothing.advice, Advice::Nothing);
        assert!(nothing.reason.contains("do not replay"));
        let look = advise(&wrong(4, &[(Cause::Unexplained, 4)]), &outlooks);
        assert_eq!(look.advice, Advice::Look);
        assert_eq!(recommend(None, &outlooks, &commands()).advice, Advice::Look);
    }
}
