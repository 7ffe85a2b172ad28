//! From two databases and a broker to a first playbook: the other direction of the wiring.

mod look;
mod places;

use std::path::Path;

use anyhow::{Context as _, Result};

use super::store;
use crate::playbook::{self, Draft, DraftSource, DraftView, Origin};
use crate::store::{Access, Catalog, TableName};
use crate::strategies::draft::{self, Fill, Pair};
use crate::strategies::{Bug, Refused};

use look::{Sides, Tables};
pub(in crate::cli) use places::Given;
use places::Place;

/// Tables of a database that a message lists.
const TABLES_SHOWN_MAX: usize = 20;

/// What `init` was asked for.
pub(in crate::cli) struct Asked<'a> {
    /// The primary's URL.
    pub(in crate::cli) primary: &'a Given,
    /// The read store's URL.
    pub(in crate::cli) read_store: &'a Given,
    /// Kafka's brokers, when topics are to be looked up.
    pub(in crate::cli) brokers: Option<&'a Given>,
    /// Tables of the read store; none asks for all.
    pub(in crate::cli) tables: &'a [String],
    /// The file that the playbook will be.
    pub(in crate::cli) file: &'a Path,
}

/// A first playbook.
pub(in crate::cli) struct Drafted {
    /// Its text.
    pub(in crate::cli) text: String,
    /// What was found, one a line.
    pub(in crate::cli) found: Vec<String>,
    /// What was guessed, one a line.
    pub(in crate::cli) guessed: Vec<String>,
    /// What only the operator can decide, one a line.
    pub(in crate::cli) questions: Vec<String>,
    /// The command that comes next.
    pub(in crate::cli) next: String,
    /// Whether it has a view that can be used as it stands.
    pub(in crate::cli) usable: bool,
}

/// Looks at the databases, and at the broker when there is one, and drafts a playbook.
pub(in crate::cli) async fn draft(asked: &Asked<'_>) -> Result<Drafted> {
    let primary = Place::of(asked.primary, "--primary", "PRIMARY_URL", asked.file)?;
    let read_store = Place::of(
        asked.read_store,
        "--read-store",
        "READ_STORE_URL",
        asked.file,
    )?;
    let brokers = asked.brokers.map(places::brokers).transpose()?;
    let (one, two) = tokio::join!(
        store(&primary.url, Access::Read),
        store(&read_store.url, Access::Read)
    );
    let sides = Sides {
        primary: one.context("primary")?,
        read_store: two.context("read store")?,
    };
    let tables = sides.tables(asked.tables).await?;
    let topics = match &brokers {
        Some(brokers) => Some(look::topics(brokers.expanded.clone()).await?),
        None => None,
    };
    let named = DraftNames {
        file: typed(asked.file),
        primary: primary.written,
        read_store: read_store.written,
        brokers: match brokers {
            Some(brokers) => (brokers.written, None),
            None => {
                let why = "not looked at; init --brokers does";
                (
                    "${KAFKA_BROKERS:-localhost:9092}".to_owned(),
                    Some(why.to_owned()),
                )
            }
        },
        database: look::database_name(&sides.primary).await?,
        name: look::database_name(&sides.read_store).await?,
        topics,
    };
    finish(&named, &tables)
}

/// What the draft says beside its tables.
struct DraftNames {
    file: String,
    primary: String,
    read_store: String,
    brokers: (String, Option<String>),
    /// The primary's own name, which topics usually carry.
    database: String,
    name: String,
    topics: Option<Vec<String>>,
}

/// Pairs the tables, and writes the playbook down.
fn finish(names: &DraftNames, tables: &Tables) -> Result<Drafted> {
    let mut left_out = tables.left_out.clone();
    let mut pairs = Vec::new();
    for read in &tables.reads {
        match draft::pair(read, &tables.sources) {
            Some(pair) => pairs.push(pair),
            None => left_out.push(format!("{}: no table of the primary fits it", read.table)),
        }
    }
    if pairs.is_empty() {
        return Err(Refused::because(nothing_fits(tables)).into());
    }
    let (sources, views) = sections(&pairs, names);
    let draft = Draft {
        file: names.file.clone(),
        name: names.name.clone(),
        primary: names.primary.clone(),
        read_store: names.read_store.clone(),
        brokers: names.brokers.clone(),
        sources,
        views,
        left_out: left_out.clone(),
    };
    let text = draft.text();
    let usable = pairs.iter().any(|pair| pair.unusable.is_none());
    if usable
        && let Err(problems) =
            playbook::parse(&text, Path::new(&names.file), &places::from_environment)
    {
        return Err(Bug(format!(
            "the playbook that init drafted has problems: {problems}"
        ))
        .into());
    }
    let mut found: Vec<String> = pairs.iter().map(found).collect();
    found.extend(left_out.iter().map(|why| format!("left out: {why}")));
    Ok(Drafted {
        text,
        found,
        guessed: draft.guesses(),
        questions: draft.questions(),
        next: format!("trueup verify {}", names.file),
        usable,
    })
}

/// The file as one would type it in a shell.
fn typed(file: &Path) -> String {
    let shown = file.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "-_./".contains(c);
    if shown.chars().all(is_plain) {
        return shown;
    }
    format!("'{}'", shown.replace('\'', "'\\''"))
}

fn found(pair: &Pair) -> String {
    let copied = pair
        .columns
        .iter()
        .filter(|c| matches!(c.by, Fill::Source(_)))
        .count();
    let line = format!(
        "{} is a copy of {}: {copied} of {} columns, key {}",
        pair.table,
        pair.source,
        pair.columns.len(),
        pair.key.join(", ")
    );
    match &pair.unusable {
        Some(why) => format!("not usable yet: {line}: {why}"),
        None => line,
    }
}

fn nothing_fits(tables: &Tables) -> String {
    let list = |catalogs: &[Catalog]| {
        let mut lines: Vec<String> = catalogs
            .iter()
            .take(TABLES_SHOWN_MAX)
            .map(|table| {
                let columns = table
                    .columns
                    .iter()
                    .map(|c| format!("{} {}", c.column.name, c.column.kind));
                format!(
                    "  {} ({})",
                    table.table,
                    columns.collect::<Vec<_>>().join(", ")
                )
            })
            .collect();
        if catalogs.len() > TABLES_SHOWN_MAX {
            lines.push(format!("  and {} more", catalogs.len() - TABLES_SHOWN_MAX));
        }
        if lines.is_empty() {
            lines.push("  no table that a playbook can name".to_owned());
        }
        lines.join("\n")
    };
    format!(
        "no table of the primary fits a table of the read store by its name or its columns, so nothing was written; \
         check the URLs, or write the playbook by hand\nprimary:\n{}\nread store:\n{}",
        list(&tables.sources),
        list(&tables.reads)
    )
}

/// The sources and views of the playbook, each under a name of its own.
fn sections(pairs: &[Pair], names: &DraftNames) -> (Vec<DraftSource>, Vec<DraftView>) {
    let mut sources: Vec<(&TableName, DraftSource)> = Vec::new();
    let mut views: Vec<DraftView> = Vec::new();
    for pair in pairs {
        if !sources.iter().any(|(table, _)| **table == pair.source) {
            let name = free_name(&pair.source, |n| sources.iter().any(|(_, s)| s.name == n));
            let table = written(&pair.source);
            let topic = draft::topic(&pair.source, &names.database, names.topics.as_deref());
            sources.push((&pair.source, DraftSource { name, table, topic }));
        }
        let source = sources.iter().find(|(table, _)| **table == pair.source);
        let source = source.map(|(_, s)| s.name.clone()).unwrap_or_default();
        let name = free_name(&pair.table, |n| views.iter().any(|v| v.name == n));
        views.push(view(pair, name, source));
    }
    (
        sources.into_iter().map(|(_, source)| source).collect(),
        views,
    )
}

fn view(pair: &Pair, name: String, source: String) -> DraftView {
    let mut remarks = Vec::new();
    if !pair.uncopied.is_empty() {
        remarks.push(format!(
            "not copied of {}: {}",
            pair.source,
            pair.uncopied.join(", ")
        ));
    }
    let rows = pair.fewer_rows.map(|(theirs, ours)| {
        format!("{} has about {theirs} rows and this table {ours}: if only some rows are copied, say which with `where:`", pair.source)
    });
    let column = |column: &draft::Filled| {
        let origin = match &column.by {
            Fill::Source(name) => Origin::Column {
                name: name.clone(),
                former: Vec::new(),
            },
            Fill::Offset => Origin::Offset,
            Fill::Partition => Origin::Partition,
            Fill::Lsn => Origin::Lsn,
            Fill::Clock => Origin::Ts,
            Fill::Default => Origin::Default,
            Fill::Foreign => Origin::Foreign,
        };
        (column.name.clone(), origin, column.guessed.clone())
    };
    DraftView {
        name,
        table: written(&pair.table),
        key: pair.key.clone(),
        from: (source, pair.guessed.clone()),
        columns: pair.columns.iter().map(column).collect(),
        remarks,
        decide: rows.into_iter().collect(),
        unusable: pair.unusable.clone(),
    }
}

/// The table's name, with its schema before it where that alone is taken.
fn free_name(table: &TableName, taken: impl Fn(&str) -> bool) -> String {
    if !taken(&table.name) {
        return table.name.clone();
    }
    let full = match &table.schema {
        Some(schema) => format!("{schema}_{}", table.name),
        None => table.name.clone(),
    };
    let numbered = (2..).map(|n| format!("{full}_{n}"));
    std::iter::once(full.clone())
        .chain(numbered)
        .find(|name| !taken(name))
        .unwrap_or(full)
}

fn written(table: &TableName) -> playbook::TableName {
    playbook::TableName {
        schema: table.schema.clone(),
        name: table.name.clone(),
    }
}
