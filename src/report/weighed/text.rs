//! The same for people: one table, the strategies as its columns, and sentences below.

use indicatif::HumanBytes;

use super::{Outlook, Rate, Weighed, Wrong};
use crate::limits;
use crate::report::table::{grouped, table};

/// What an operator reads.
#[must_use]
pub fn text(playbook: &str, views: &[Weighed]) -> String {
    let mut out = format!("{playbook}: what each strategy would take and do now\n");
    for view in views {
        out.push('\n');
        out.push_str(&one(view));
    }
    out
}

fn one(view: &Weighed) -> String {
    let rows = view.rows.map_or_else(
        || "an unknown number of rows".to_owned(),
        |n| format!("about {} rows", grouped(n)),
    );
    let mut out = format!("{} ({}, {rows})\n", view.view, view.table);
    match &view.wrong {
        Some(wrong) => out.push_str(&found(&view.view, wrong)),
        None => out.push_str(&format!("{}: nothing was compared\n", view.view)),
    }
    for note in &view.notes {
        out.push_str(&format!("{}: {note}\n", view.view));
    }
    if let Some(s) = &view.snapshot {
        let state = if s.known_good {
            "known to be good"
        } else {
            "not known to be good"
        };
        out.push_str(&format!(
            "{}: snapshot {} is {} old and {state}\n",
            view.view,
            s.id,
            duration(float(s.age_seconds))
        ));
    }
    let rates: Vec<String> = view.rates.iter().map(rate).collect();
    if !rates.is_empty() {
        out.push_str(&format!("{}: measured: {}\n", view.view, rates.join("; ")));
    }
    out.push_str(&side_by_side(&view.outlooks));
    out.push('\n');
    for outlook in &view.outlooks {
        let name = outlook.strategy.name();
        out.push_str(&format!("{name}: {}\n", outlook.availability));
        for blocker in &outlook.blockers {
            out.push_str(&format!("{name} is blocked: {blocker}\n"));
        }
    }
    out.push_str(&notes(&view.outlooks));
    let advice = &view.recommended;
    out.push_str(&format!(
        "recommended: {}: {}\n",
        advice.advice.phrase(),
        advice.reason
    ));
    for (word, command) in [("  ", &advice.command), ("  then ", &advice.then)] {
        if let Some(command) = command {
            out.push_str(&format!("{word}{command}\n"));
        }
    }
    out
}

/// Notes, each once, with the strategies that it is about.
fn notes(outlooks: &[Outlook]) -> String {
    let mut said: Vec<(&str, Vec<&str>)> = Vec::new();
    for outlook in outlooks {
        for note in &outlook.notes {
            let name = outlook.strategy.name();
            match said.iter_mut().find(|(known, _)| known == note) {
                Some((_, names)) => names.push(name),
                None => said.push((note, vec![name])),
            }
        }
    }
    let line = |(note, names): (&str, Vec<&str>)| format!("note ({}): {note}\n", names.join(", "));
    said.into_iter().map(line).collect()
}

fn found(view: &str, wrong: &Wrong) -> String {
    let mut out = format!(
        "{view}: {} of {} rows differ",
        grouped(wrong.differing),
        grouped(wrong.rows)
    );
    let causes: Vec<(&str, u64)> = wrong.causes.iter().map(|(c, n)| (c.word(), *n)).collect();
    if !causes.is_empty() {
        out.push_str(&format!(" ({})", listed(&causes)));
    }
    for (n, what) in [
        (wrong.lagging, "were only lagging"),
        (wrong.unknown, "could not be decided"),
    ] {
        if n > 0 {
            out.push_str(&format!(", {} {what}", grouped(n)));
        }
    }
    out.push('\n');
    for (pattern, rows) in &wrong.patterns {
        out.push_str(&format!("{view}: in {} rows, {pattern}\n", grouped(*rows)));
    }
    out
}

fn rate(rate: &Rate) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // It is shown, and above zero.
    let per_second = (float(rate.count) / rate.seconds.max(0.001)) as u64;
    format!("{} {} {}/s", rate.of, grouped(per_second), rate.unit)
}

#[allow(clippy::cast_precision_loss)] // It is shown.
fn float(number: u64) -> f64 {
    number as f64
}

fn side_by_side(outlooks: &[Outlook]) -> String {
    let mut rows = Vec::new();
    let mut row = |name: &str, cell: &dyn Fn(&Outlook) -> String| {
        let cells: Vec<String> = outlooks.iter().map(cell).collect();
        if cells.iter().any(|c| !c.is_empty()) {
            let mut row = vec![name.to_owned()];
            row.extend(cells);
            rows.push(row);
        }
    };
    row("time", &|o| {
        o.seconds().map_or_else(
            || "not known".to_owned(),
            |s| format!("about {}", duration(s)),
        )
    });
    let mut stages: Vec<&str> = Vec::new();
    for (stage, _) in outlooks.iter().flat_map(|o| &o.stages) {
        if !stages.contains(stage) {
            stages.push(stage);
        }
    }
    for stage in stages {
        row(&format!("  {}", stage.replace('_', " ")), &|o| {
            let of = o.stages.iter().find(|(name, _)| *name == stage);
            of.map_or_else(String::new, |(_, s)| duration(*s))
        });
    }
    let sized = |n: u64, bytes: u64, unit: &str| match (n, bytes) {
        (0, _) => String::new(),
        (n, 0) => format!("{} {unit}", grouped(n)),
        (n, bytes) => format!("{} {unit}, {}", grouped(n), HumanBytes(bytes)),
    };
    row("reads the log", &|o| {
        sized(o.cost.log_records, o.cost.log_bytes, "records")
    });
    row("reads a snapshot", &|o| {
        sized(o.cost.snapshot_rows, o.cost.snapshot_bytes, "rows")
    });
    row("reads the primary", &|o| {
        sized(o.cost.primary_rows, o.cost.primary_bytes, "rows")
    });
    row("needs room", &|o| match o.cost.space_bytes {
        0 => String::new(),
        bytes => HumanBytes(bytes).to_string(),
    });
    row("writes", &|o| sized(o.cost.rows_written, 0, "rows"));
    row("fixes", &|o| listed(&o.effect.fixes));
    row("leaves", &|o| listed(&o.effect.leaves));
    row("may fix", &|o| listed(&o.effect.unsure));
    row("breaks", &|o| match o.effect.breaks {
        0 => String::new(),
        n => format!("about {} rows: {}", grouped(n), keys(&o.effect.breaks_keys)),
    });
    row("blocked", &|o| {
        if o.blockers.is_empty() {
            String::new()
        } else {
            "yes: see below".to_owned()
        }
    });
    let mut header = vec![""];
    header.extend(outlooks.iter().map(|o| o.strategy.name()));
    table(&header, rows)
}

fn keys(keys: &[String]) -> String {
    let shown = keys.iter().take(limits::BROKEN_KEYS_SHOWN);
    shown.cloned().collect::<Vec<_>>().join("; ")
}

fn listed(causes: &[(&str, u64)]) -> String {
    let each = |(cause, n): &(&str, u64)| format!("{cause} {}", grouped(*n));
    causes.iter().map(each).collect::<Vec<_>>().join(", ")
}

/// `0.4 s`, `95 s`, `4 min 10 s`, `3 h 5 min`.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // It is rounded, and not below zero.
pub(super) fn duration(seconds: f64) -> String {
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..=119 => format!("{whole} s"),
        120..=7_199 => format!("{} min {} s", whole / 60, whole % 60),
        7_200..=172_799 => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{} days", whole / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations() {
        assert_eq!(duration(0.44), "0.4 s");
        assert_eq!(duration(95.2), "95 s");
        assert_eq!(duration(250.0), "4 min 10 s");
        assert_eq!(duration(11_100.0), "3 h 5 min");
        assert_eq!(duration(259_200.0), "3 days");
    }
}
