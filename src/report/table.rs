//! What an operator reads: tables and short sentences.

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};

use super::explained;
use super::verdict::{PlaybookVerdict, Sample, Verdict, ViewVerdict};
use crate::projection::counts::Counts;

/// What a result may show: values only to people, colours only to those who see them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Values of columns, and not only keys and column names.
    pub values: bool,
    /// Colours.
    pub colour: bool,
}

impl Look {
    /// The cell in a colour, where there are any.
    #[must_use]
    pub fn paint(self, cell: Cell, colour: Color) -> Cell {
        if self.colour { cell.fg(colour) } else { cell }
    }
}

/// A plain table, wide enough for what it holds.
#[must_use]
pub fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let cells = |row: Vec<String>| row.into_iter().map(Cell::new).collect();
    table_of(header, rows.into_iter().map(cells).collect())
}

/// Narrower terminals wrap lines themselves.
const COLUMNS_MIN: u16 = 40;

/// The same, of cells that may be coloured.
#[must_use]
pub fn table_of(header: &[&str], rows: Vec<Vec<Cell>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // Some terminals do not know how wide they are, and say 0.
    if table.width().is_some_and(|columns| columns >= COLUMNS_MIN) {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table.set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    // Cells are padded to their column's width, the last one too.
    table.trim_fmt()
}

/// The outcome of `verify`.
#[must_use]
pub fn verify(verdict: &PlaybookVerdict, show_values: bool) -> String {
    let rows = verdict.views.iter().map(view_row).collect();
    let header = [
        "view", "verdict", "rows", "missing", "extra", "changed", "lagging", "unknown",
    ];
    let mut out = format!(
        "{}: {}\n{}\n",
        verdict.playbook,
        sentence(verdict.verdict()),
        table(&header, rows)
    );
    for view in &verdict.views {
        for reason in &view.reasons {
            out.push_str(&format!("{}: {reason}\n", view.view));
        }
        if view.representation > 0 {
            out.push_str(&format!(
                "{}: {} rows are written differently and mean the same (`compare:`)\n",
                view.view,
                grouped(view.representation)
            ));
        }
        if !view.by_column.is_empty() {
            let columns: Vec<String> = view
                .by_column
                .iter()
                .map(|(c, n)| format!("{c} {n}"))
                .collect();
            out.push_str(&format!(
                "{}: changed by column: {}\n",
                view.view,
                columns.join(", ")
            ));
        }
        // What is explained need not be listed once more.
        let explained = view.explained.as_ref().filter(|why| !why.keys.is_empty());
        if !view.samples.is_empty() && explained.is_none() {
            out.push_str(&samples(view, show_values));
        }
        if let Some(why) = &view.explained {
            out.push_str(&explained::text(&view.view, why, show_values));
        }
    }
    out
}

fn sentence(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::InSync => "in sync",
        Verdict::Unknown => "unknown: not everything could be decided",
        Verdict::Drift => "drift: differences that lag does not explain",
    }
}

fn view_row(v: &ViewVerdict) -> Vec<String> {
    let numbers = [
        v.rows_checked,
        v.missing,
        v.extra,
        v.changed,
        v.lagging,
        v.unknown,
    ];
    let mut row = vec![v.view.clone(), v.verdict().word().to_owned()];
    row.extend(numbers.map(grouped));
    row
}

fn samples(view: &ViewVerdict, show_values: bool) -> String {
    let mut rows = Vec::new();
    for sample in &view.samples {
        rows.push(vec![
            sample.key_text(),
            sample.kind.word().to_owned(),
            columns(sample, show_values),
        ]);
    }
    let shown = view.samples.len() as u64;
    let all = view.drifted().max(view.unknown);
    let more = if all > shown {
        format!("… and {} more\n", grouped(all - shown))
    } else {
        String::new()
    };
    format!("{}\n{more}", table(&["key", "difference", "columns"], rows))
}

fn columns(sample: &Sample, show_values: bool) -> String {
    let text = |v: &Option<String>| v.as_deref().map_or_else(|| "NULL".to_owned(), clip);
    let one = |(name, expected, actual): &(String, Option<String>, Option<String>)| {
        if show_values {
            format!("{name}: {} → {}", text(actual), text(expected))
        } else {
            name.clone()
        }
    };
    sample
        .columns
        .iter()
        .map(one)
        .collect::<Vec<_>>()
        .join(", ")
}

/// A long value, cut.
pub(super) fn clip(text: &str) -> String {
    const SHOWN_CHARS: usize = 40;
    if text.chars().count() <= SHOWN_CHARS {
        return text.to_owned();
    }
    let cut: String = text.chars().take(SHOWN_CHARS).collect();
    format!("{cut}…")
}

/// `1,234,567`.
#[must_use]
pub fn grouped(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// The counts of a pass over the log, in one line.
#[must_use]
pub fn counts(c: &Counts) -> String {
    let mut parts = vec![format!("{} read", grouped(c.read))];
    let mut add = |name: &str, n: u64| {
        if n > 0 {
            parts.push(format!("{} {name}", grouped(n)));
        }
    };
    add("put", c.put);
    add("deleted", c.deleted);
    add("truncated", c.truncated);
    add("stale", c.stale);
    add("duplicate", c.duplicate);
    for (kind, n) in &c.ignored {
        add(&format!("ignored ({})", kind.word()), *n);
    }
    add("quarantined", c.quarantined);
    add("blocked", c.blocked);
    parts.join(", ")
}
