//! Writes a first playbook: plain data in, a file that a person wants to read out. It makes up nothing: what is a guess is
//! handed in as one, and is marked.

use std::fmt::Write as _;

use super::check::is_of_name;
use super::checked::{Origin, TableName};
use super::yaml::{key, literal, quoted, remark, value};

/// Remarks in a block start below one another, unless a line is longer than this.
const REMARK_COLUMN_MAX: usize = 60;

/// What a first playbook says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The file that it will be, as one would type it.
    pub file: String,
    /// The name that reports carry; what a name cannot hold becomes a dash.
    pub name: String,
    /// URL of the primary as a playbook writes it: its `${NAME}` will be expanded.
    pub primary: String,
    /// URL of the read store, likewise.
    pub read_store: String,
    /// Kafka's brokers, likewise, and why when they are a guess.
    pub brokers: (String, Option<String>),
    /// Sources; each name once.
    pub sources: Vec<DraftSource>,
    /// Views; each name once.
    pub views: Vec<DraftView>,
    /// Tables of the read store that are left out, each with the reason.
    pub left_out: Vec<String>,
}

/// A source of a first playbook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftSource {
    /// Its name.
    pub name: String,
    /// Its table.
    pub table: TableName,
    /// Its topic, and why when it is a guess.
    pub topic: (String, Option<String>),
}

/// A view of a first playbook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftView {
    /// Its name.
    pub name: String,
    /// Its table.
    pub table: TableName,
    /// Its key.
    pub key: Vec<String>,
    /// Its source, and why when that is a guess.
    pub from: (String, Option<String>),
    /// Every column that is written, what fills it, and why when that is a guess.
    pub columns: Vec<(String, Origin, Option<String>)>,
    /// What is good to know about it.
    pub remarks: Vec<String>,
    /// What only a person can decide about it.
    pub decide: Vec<String>,
    /// Why it cannot be used as it stands; it is then written as a comment.
    pub unusable: Option<String>,
}

impl Draft {
    /// Every guess as a line: where it stands, what it is, and why.
    #[must_use]
    pub fn guesses(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut add = |path: String, is: &str, why: &Option<String>| {
            all.extend(why.iter().map(|why| format!("{path}: {is} ({why})")));
        };
        add("log".to_owned(), &self.brokers.0, &self.brokers.1);
        for source in &self.sources {
            let path = format!("sources.{}.topic", source.name);
            add(path, &source.topic.0, &source.topic.1);
        }
        for view in &self.views {
            add(
                format!("views.{}.from", view.name),
                &view.from.0,
                &view.from.1,
            );
            for (column, origin, why) in &view.columns {
                let path = format!("views.{}.columns.{column}", view.name);
                add(path, &filled_by(origin), why);
            }
        }
        all
    }

    /// Every question that only a person can answer, as a line.
    #[must_use]
    pub fn questions(&self) -> Vec<String> {
        let of_views = self.views.iter().flat_map(|view| {
            let line = move |text: &String| format!("views.{}: {text}", view.name);
            view.decide.iter().map(line)
        });
        std::iter::once("applied: how far the projector is".to_owned())
            .chain(of_views)
            .collect()
    }

    /// The file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = self.head();
        out += &self.places();
        out += APPLIED;
        out += SOURCES;
        for source in &self.sources {
            let _ = writeln!(out, "  {}:", key(&source.name));
            let topic = format!("    topic: {}", value(&source.topic.0));
            let table = format!("    table: {}", value(&source.table.to_string()));
            out += &block(&[(topic, guessed(&source.topic.1)), (table, None)]);
        }
        out += VIEWS;
        for view in &self.views {
            out += &view.text();
        }
        for left_out in &self.left_out {
            let _ = writeln!(out, "  # left out: {}", remark(left_out));
        }
        out + SUGGESTIONS
    }

    fn head(&self) -> String {
        let guesses = counted(self.guesses().len(), "guess", "guesses");
        let decide = counted(self.questions().len(), "question", "questions");
        let unusable = self.views.iter().filter(|v| v.unusable.is_some()).count();
        let mut head = format!(
            "# Drafted by `trueup init` from what the databases say; yours from here on. Before you rely on it, look at\n\
             # {guesses} marked `# guessed:` and {decide} marked `# decide:` that only you can answer.\n"
        );
        if unusable > 0 {
            let views = counted(unusable, "view stands", "views stand");
            let _ = writeln!(head, "# {views} here as a comment, with the reason.");
        }
        let verify = format!("trueup verify {}", remark(&self.file));
        let _ = writeln!(
            head,
            "# Then `{verify}` compares the tables; it writes nothing and needs SELECT only."
        );
        head
    }

    fn places(&self) -> String {
        let url = |at: &str, url: &str| format!("{at}: {{ url: {} }}", quoted(url));
        let said = |text: &str| Some(text.to_owned());
        let brokers = quoted(&self.brokers.0);
        let name = |c| if is_of_name(c) { c } else { '-' };
        let name: String = self.name.chars().map(name).collect();
        block(&[
            ("version: 1".to_owned(), None),
            (
                format!("name: {}", value(&name)),
                said("what reports call it"),
            ),
            (
                url("primary", &self.primary),
                said("the system of record; `read_url:` beside it names a replica for heavy reads"),
            ),
            (
                url("read_store", &self.read_store),
                said("the tables that are read"),
            ),
            (
                format!("log: {{ kafka: {{ brokers: {brokers} }} }}"),
                guessed(&self.brokers.1)
                    .or(said("any librdkafka setting goes under `properties:`")),
            ),
        ])
    }
}

impl DraftView {
    fn text(&self) -> String {
        let keys: Vec<_> = self.key.iter().map(|part| value(part)).collect();
        let mut lines = vec![
            (
                format!("    table: {}", value(&self.table.to_string())),
                None,
            ),
            (format!("    key: [{}]", keys.join(", ")), None),
            (
                format!("    from: {}", value(&self.from.0)),
                guessed(&self.from.1),
            ),
        ];
        lines.extend(self.remarks.iter().map(|text| said("", text)));
        lines.extend(self.decide.iter().map(|text| said("decide: ", text)));
        if self
            .columns
            .iter()
            .all(|(name, origin, _)| is_same(name, origin))
        {
            lines.push(said(
                "",
                "every column is filled by the one of the same name",
            ));
        } else {
            lines.push(("    columns:".to_owned(), None));
            let column = |(name, origin, why): &(String, Origin, Option<String>)| {
                let by = match origin {
                    Origin::Column { name, .. } => value(name).into_owned(),
                    word => quoted(&filled_by(word)),
                };
                (format!("      {}: {by}", key(name)), guessed(why))
            };
            lines.extend(self.columns.iter().map(column));
        }
        let view = format!("  {}:\n{}", key(&self.name), block(&lines));
        let Some(why) = &self.unusable else {
            return view;
        };
        let commented: String = view
            .lines()
            .map(|line| format!("  # {}\n", &line[2..]))
            .collect();
        format!("  # not usable yet: {}\n{commented}", remark(why))
    }
}

/// A remark on a line of its own.
fn said(kind: &str, text: &str) -> (String, Option<String>) {
    (format!("    # {kind}{}", remark(text)), None)
}

fn guessed(why: &Option<String>) -> Option<String> {
    why.as_ref().map(|why| format!("guessed: {why}"))
}

fn is_same(name: &str, origin: &Origin) -> bool {
    matches!(origin, Origin::Column { name: source, .. } if source == name)
}

fn filled_by(origin: &Origin) -> String {
    match origin {
        Origin::Column { name, .. } => name.clone(),
        Origin::Offset => "@offset".to_owned(),
        Origin::Partition => "@partition".to_owned(),
        Origin::Lsn => "@lsn".to_owned(),
        Origin::Ts => "@ts".to_owned(),
        Origin::Default => "@default".to_owned(),
        Origin::Foreign => "@foreign".to_owned(),
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Lines with their remarks, which start below one another.
fn block(lines: &[(String, Option<String>)]) -> String {
    let width = |line: &str| line.chars().count();
    let remarked = lines.iter().filter(|(_, remark)| remark.is_some());
    let widths = remarked.map(|(line, _)| width(line));
    let column = widths
        .filter(|w| *w <= REMARK_COLUMN_MAX)
        .max()
        .unwrap_or(0);
    let mut out = String::new();
    for (line, said) in lines {
        out += line;
        if let Some(said) = said {
            let blanks = column.saturating_sub(width(line)) + 2;
            let _ = write!(out, "{}# {}", " ".repeat(blanks), remark(said));
        }
        out.push('\n');
    }
    out
}

/// `text` as a playbook writes what is not to be expanded.
#[must_use]
pub fn as_literal(text: &str) -> String {
    literal(text)
}

const APPLIED: &str = r#"
# How far the projector has applied the log: without it, lag cannot be told from drift.
# decide: which of these four is true here
#   none                                no projector writes these tables while trueup looks
#   { within: 30s }                     you promise that it never lags more
#   { consumer_group: my-projector }    it commits to Kafka what it has applied
#   { checkpoint: "SELECT topic, partition, next_offset FROM my_offsets" }    it keeps its place in the read store
applied: none

"#;

const SOURCES: &str = "\
# Tables of the primary, and the topics that carry their changes.
sources:
";

const VIEWS: &str = r#"
# Tables of the read store. `columns:` says what fills each of theirs: a column of the source; "@offset", "@partition",
# "@lsn" or "@ts" (the projector's bookkeeping); "@default" (the database); or "@foreign" (somebody else: never compared,
# carried over when the table is rebuilt). `where: { status: [open, frozen] }` copies only some rows.
views:
"#;

const SUGGESTIONS: &str = r#"
# More that a playbook may say:
# captured: { slot: debezium }      # the connector's replication slot: how far the log has the primary
# limits:
#   repairs_max: "10%"              # a plan that would change more rows is refused
#   deletes_max: 1000               # a swap that would drop more rows that the primary has is refused
#   replica_lag_max: 1.5s           # work waits while a replica, or the connector's slot, lags further; `none` looks at none
# cutover:
#   pause: "kubectl scale deploy/my-projector --replicas=0"     # stops the projector just before a swap
#   resume: "kubectl scale deploy/my-projector --replicas=3"    # starts it again, whatever became of the swap
#   pause_max: 60s                  # the longest pause
#   writer_role: my_projector       # the role whose sessions must be gone before a swap
"#;

#[cfg(test)]
mod tests;
