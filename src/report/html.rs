//! One page to attach to an incident: the verdict, the causes, when and where it began, the rows, and what to run. It needs
//! nothing but itself: no script, no font, no network.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::advice;
use super::explained::{Explained, ExplainedKey, ThreeWay, Timeline, moment};
use super::reconcile::PlanReport;
use super::table::grouped;
use super::verdict::{PlaybookVerdict, Sample, Shown, Verdict, ViewVerdict};
use crate::projection::cause::Cause;

const STYLE: &str = include_str!("html.css");

/// What the page is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The playbook's name.
    pub playbook: &'a str,
    /// Its file, for the commands.
    pub file: &'a str,
    /// When it was made.
    pub made_at: &'a str,
    /// Whether values of columns are shown.
    pub show_values: bool,
}

/// The page of a verification.
#[must_use]
pub fn verified(about: About<'_>, verdict: &PlaybookVerdict) -> String {
    let mut causes = BTreeMap::new();
    let mut body = String::new();
    for view in &verdict.views {
        add(&mut causes, &view.causes());
        body += &checked(about, view);
    }
    page(about, verdict.verdict(), &causes, &body)
}

/// The page of a reconciliation that is planned.
#[must_use]
pub fn planned(about: About<'_>, plans: &[(PlanReport, Option<Explained>)]) -> String {
    let mut causes = BTreeMap::new();
    let (mut body, mut verdict) = (String::new(), Verdict::InSync);
    for (plan, explained) in plans {
        if let Some(explained) = explained {
            add(&mut causes, &explained.causes);
        }
        verdict = verdict.max(match (plan.repairs(), plan.unknown) {
            (0, 0) => Verdict::InSync,
            (0, _) => Verdict::Unknown,
            _ => Verdict::Drift,
        });
        body += &plan_of(about, plan, explained.as_ref());
    }
    page(about, verdict, &causes, &body)
}

fn add(all: &mut BTreeMap<Cause, u64>, some: &BTreeMap<Cause, u64>) {
    for (cause, n) in some {
        *all.entry(*cause).or_default() += n;
    }
}

/// Text that is no markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn page(about: About<'_>, verdict: Verdict, causes: &BTreeMap<Cause, u64>, body: &str) -> String {
    let (word, sentence) = match verdict {
        Verdict::InSync => ("in sync", "The read model says what the primary says."),
        Verdict::Unknown => ("unknown", "Not everything could be decided."),
        Verdict::Drift => ("drift", "Rows differ, and lag does not explain it."),
    };
    let mut steps = String::new();
    for step in advice::steps(about.file, causes) {
        let command = step.command.map(|c| format!("<pre>{}</pre>", escaped(&c)));
        let why = escaped(&step.why);
        let _ = write!(steps, "<li>{why}{}</li>", command.unwrap_or_default());
    }
    if !steps.is_empty() {
        steps = format!("<section><h2>What to do</h2><ol class=steps>{steps}</ol></section>");
    }
    let name = escaped(about.playbook);
    let hidden = if about.show_values {
        ""
    } else {
        " Values are left out; <code>--show-values</code> shows them."
    };
    format!(
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>{name}: {word}</title><style>{STYLE}</style></head><body><main>\
         <header class=\"{class}\"><p class=verdict>{word}</p><h1>{name}</h1><p>{sentence}</p>\
         <p class=made>{made} · trueup {version}.{hidden}</p></header>{body}{steps}</main></body></html>\n",
        class = verdict.word(),
        made = escaped(about.made_at),
        version = env!("CARGO_PKG_VERSION"),
    )
}

fn figures(figures: &[(u64, &str)]) -> String {
    let one = |(n, what): &(u64, &str)| {
        let quiet = if *n == 0 { " class=none" } else { "" };
        format!("<li{quiet}><b>{}</b> {what}</li>", grouped(*n))
    };
    let all: String = figures.iter().map(one).collect();
    format!("<ul class=figures>{all}</ul>")
}

fn notes(notes: &[String]) -> String {
    let one = |note: &String| format!("<p class=note>{}</p>", escaped(note));
    notes.iter().map(one).collect()
}

fn checked(about: About<'_>, view: &ViewVerdict) -> String {
    let mut out = heading(&view.view, &view.table);
    out += &figures(&[
        (view.rows_checked, "rows compared"),
        (view.missing, "missing"),
        (view.extra, "extra"),
        (view.changed, "changed"),
        (view.lagging, "lagged"),
        (view.unknown, "undecided"),
    ]);
    out += &notes(&view.reasons);
    match &view.explained {
        Some(explained) => out += &why(about, explained),
        None => out += &samples(about, &view.samples),
    }
    out + "</section>"
}

fn plan_of(about: About<'_>, plan: &PlanReport, explained: Option<&Explained>) -> String {
    let mut out = heading(&plan.view, &plan.table);
    out += &figures(&[
        (plan.rows, "rows compared"),
        (plan.updates, "to update"),
        (plan.inserts, "to insert"),
        (plan.deletes, "to delete"),
        (plan.lagging, "lagged"),
        (plan.unknown, "undecided"),
    ]);
    out += &notes(&plan.refusals);
    out += &notes(&plan.reasons);
    out += &notes(&plan.notes);
    match explained {
        Some(explained) => out += &why(about, explained),
        None => out += &samples(about, &plan.samples),
    }
    out + "</section>"
}

fn heading(view: &str, table: &str) -> String {
    format!(
        "<section><h2>{} <small>{}</small></h2>",
        escaped(view),
        escaped(table)
    )
}

/// The causes, when it began, and the rows.
fn why(about: About<'_>, explained: &Explained) -> String {
    let mut out = causes(explained);
    if let Some((at, ms)) = &explained.began {
        let _ = write!(
            out,
            "<p>It began with <code>{}</code> of {}.</p>",
            escaped(at),
            moment(*ms)
        );
    }
    out += &timeline(&explained.timeline);
    for (what, rows) in &explained.patterns {
        let _ = write!(
            out,
            "<p class=note>In {} rows, {}.</p>",
            grouped(*rows),
            escaped(what)
        );
    }
    if let Some(broken) = explained.broken_by_replay() {
        let _ = write!(
            out,
            "<p class=note>Of {} rows that agree and were looked at, a replay would break {}: about {} in all.</p>",
            grouped(explained.sampled),
            grouped(explained.causes[&Cause::LogIncomplete]),
            grouped(broken)
        );
    }
    out += &notes(&explained.notes);
    for key in &explained.keys {
        out += &three_way(about, key);
    }
    out
}

fn causes(explained: &Explained) -> String {
    let most = explained.causes.values().max().copied().unwrap_or(1).max(1);
    let row = |(cause, n): (&Cause, &u64)| {
        format!(
            "<tr><td class=n>{}</td><td><b>{}</b><div class=bar style=\"width:{}%\"></div></td><td>{}</td><td>{}</td></tr>",
            grouped(*n),
            cause.word(),
            (n * 100).div_ceil(most),
            escaped(cause.meaning()),
            escaped(cause.fix())
        )
    };
    let rows: String = explained.causes.iter().map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<table class=causes><thead><tr><th class=n>Rows</th><th>Cause</th><th>They …</th><th>What fixes it</th></tr></thead>\
         <tbody>{rows}</tbody></table>"
    )
}

/// Keys by the time of the event with which they went wrong.
fn timeline(timeline: &Timeline) -> String {
    const HEIGHT: u64 = 60;
    const WIDTH: usize = 20;
    let sums: Vec<u64> = timeline.parts.iter().map(|p| p.values().sum()).collect();
    let Some(most) = sums.iter().max().copied().filter(|m| *m > 0) else {
        return String::new();
    };
    let mut bars = String::new();
    for (nth, sum) in sums.iter().enumerate() {
        let height = (sum * HEIGHT).div_ceil(most);
        let from = timeline.from_ms + timeline.step_ms * i64::try_from(nth).unwrap_or(0);
        let _ = write!(
            bars,
            "<rect x={} y={} width={} height={height}><title>{}: {} rows</title></rect>",
            nth * WIDTH,
            HEIGHT - height,
            WIDTH - 2,
            moment(from),
            grouped(*sum)
        );
    }
    let last = timeline.from_ms + timeline.step_ms * i64::try_from(sums.len()).unwrap_or(0);
    format!(
        "<figure><svg viewBox=\"0 0 {} {HEIGHT}\" preserveAspectRatio=none role=img aria-label=\"rows by the time at which they went wrong\">{bars}</svg>\
         <figcaption><span>{}</span><span>rows by the time at which they went wrong</span><span>{}</span></figcaption></figure>",
        sums.len() * WIDTH,
        moment(timeline.from_ms),
        moment(last)
    )
}

fn three_way(about: About<'_>, key: &ExplainedKey) -> String {
    let (primary, log, stored) = key.present;
    let value = |present: Option<bool>, value: &Shown| match (present, value) {
        (Some(false), _) => "<i>no row</i>".to_owned(),
        (None, _) => "<i>not known</i>".to_owned(),
        (_, None) => "<i>NULL</i>".to_owned(),
        (_, Some(text)) if text.is_empty() => "<i>empty</i>".to_owned(),
        (_, Some(text)) => escaped(text),
    };
    let row = |c: &ThreeWay| {
        let values = if about.show_values {
            format!(
                "<td>{}</td><td>{}</td><td>{}</td>",
                value(Some(primary), &c.primary),
                value(log, &c.log),
                value(Some(stored), &c.stored)
            )
        } else {
            String::new()
        };
        format!("<tr><th scope=row>{}</th>{values}</tr>", escaped(&c.column))
    };
    let rows: String = key.columns.iter().filter(|c| c.differs).map(row).collect();
    let head = if about.show_values {
        "<th>primary</th><th>log</th><th>read store</th>"
    } else {
        ""
    };
    format!(
        "<details><summary><span class=cause>{}</span> <code>{}</code></summary><p>{}</p>\
         <div class=wide><table><thead><tr><th>differs in</th>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>",
        key.cause.word(),
        escaped(&key.key_text()),
        escaped(&key.evidence())
    )
}

/// Rows that differ, where nobody asked why.
fn samples(about: About<'_>, samples: &[Sample]) -> String {
    let shown = |v: &Shown| escaped(v.as_deref().unwrap_or("NULL"));
    let mut rows = String::new();
    for sample in samples {
        let column = |(name, expected, actual): &(String, Shown, Shown)| {
            let name = escaped(name);
            if about.show_values {
                format!("{name}: {} → {}", shown(actual), shown(expected))
            } else {
                name
            }
        };
        let columns: Vec<String> = sample.columns.iter().map(column).collect();
        let _ = write!(
            rows,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
            escaped(&sample.key_text()),
            sample.kind.word(),
            columns.join("<br>")
        );
    }
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<div class=wide><table><thead><tr><th>Key</th><th>Difference</th><th>Columns</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
}
