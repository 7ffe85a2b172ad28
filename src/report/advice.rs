//! What to do about the causes that were found: the commands, in the order to run them, each with its reason.

use std::collections::BTreeMap;

use super::table::grouped;
use crate::projection::cause::Cause;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Why.
    pub why: String,
    /// The command line, where there is one.
    pub command: Option<String>,
}

/// The steps for a playbook whose rows differ for these causes.
#[must_use]
pub fn steps(playbook: &str, causes: &BTreeMap<Cause, u64>) -> Vec<Step> {
    let count = |of: &[Cause]| of.iter().filter_map(|c| causes.get(c)).sum::<u64>();
    let mut steps = Vec::new();
    let mut step = |rows: u64, why: &str, command: Option<&str>| {
        if rows > 0 {
            steps.push(Step {
                why: format!("{} of the rows {why}", grouped(rows)),
                command: command.map(|c| c.replace("{}", playbook)),
            });
        }
    };
    step(
        count(&[Cause::Lagging]),
        "are on their way: see how far the projector is, and wait",
        Some("trueup lag {}"),
    );
    step(
        count(&[Cause::Miscomputed]),
        "are wrong in the same way: mend the projector before anything is repaired, or they will be wrong again",
        None,
    );
    step(
        count(&[Cause::LostEvent]),
        "changed in the primary without the log hearing of it: no replay brings them back, reconcile does",
        None,
    );
    step(
        count(&[Cause::LogIncomplete]),
        "are right now and would be wrong after a replay: do not replay this view",
        None,
    );
    let clear: u64 = causes
        .iter()
        .filter(|(cause, _)| cause.is_clear() && **cause != Cause::Representation)
        .map(|(_, n)| n)
        .sum();
    step(
        clear,
        "may be repaired: the evidence agrees on what they should be. This shows what would be written",
        Some("trueup reconcile {} --explain"),
    );
    step(
        clear,
        "are then written, each only while it is as it was seen, and journalled so that it can be taken back",
        Some("trueup reconcile {} --explain --apply"),
    );
    step(
        count(&[Cause::Unexplained]),
        "are explained by nothing: look at them before you let them be written with --include unexplained",
        Some("trueup explain {} --key KEY --show-values"),
    );
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projector_is_mended_before_its_rows() {
        let causes = BTreeMap::from([(Cause::Miscomputed, 40), (Cause::Unexplained, 1)]);
        let steps = steps("p.yaml", &causes);
        assert!(steps[0].why.contains("mend the projector") && steps[0].command.is_none());
        let commands: Vec<&str> = steps.iter().filter_map(|s| s.command.as_deref()).collect();
        assert_eq!(
            commands,
            [
                "trueup reconcile p.yaml --explain",
                "trueup reconcile p.yaml --explain --apply",
                "trueup explain p.yaml --key KEY --show-values"
            ]
        );
        assert!(super::steps("p.yaml", &BTreeMap::new()).is_empty());
    }
}
