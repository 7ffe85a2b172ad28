//! The tables of a primary that does not answer, as what is at hand has them: the newest snapshot, the schema that the
//! topic's records carry, and `types:` of the playbook. Where two of them know a column, they must agree.

use std::collections::BTreeMap;

use anyhow::Result;

use super::table_name;
use crate::limits;
use crate::playbook::{Format, Playbook, Problem, Source};
use crate::projection::decode;
use crate::projection::types::Column;
use crate::snapshot::Place;
use crate::store::{Acts, Catalog, CatalogColumn, Store};
use crate::strategies::{Refused, Systems, blocking};
use crate::stream::Range;

/// The table of each source, by the source's name.
pub(super) type Tables = BTreeMap<String, Catalog>;

/// What one of them says of a table.
struct Known {
    who: String,
    columns: Vec<Column>,
    key: Vec<String>,
}

/// The tables of all sources.
///
/// # Errors
/// That the primary does not answer, when too little is known of a source to do without; a refusal when two of those that
/// know it do not agree.
pub(super) async fn tables(playbook: &Playbook, systems: &Systems) -> Result<Tables> {
    let mut tables = Tables::new();
    let (mut unknown, mut refusals) = (Vec::new(), Vec::new());
    let of_rows = |s: &&Source| !matches!(s.format, Format::Events(_));
    for source in playbook.sources.iter().filter(of_rows) {
        let mut known = Vec::new();
        known.extend(snapshot(&super::place(&playbook.snapshots)?, source)?);
        known.extend(topic(systems, source).await?);
        known.extend(written(systems.staging(), source));
        refusals.extend(disagreement(source, &known));
        match table(source, &known, systems.staging()) {
            Ok(table) => drop(tables.insert(source.name.clone(), table)),
            Err(problem) => unknown.push(problem),
        }
    }
    if !refusals.is_empty() {
        return Err(Refused(refusals).into());
    }
    match systems.primary.down() {
        Some(down) if !unknown.is_empty() => {
            Err(anyhow::Error::from(down).context(unknown.join("\n")))
        }
        _ => Ok(tables),
    }
}

/// Problems of `types:` that the primary itself does not bear out.
pub(super) fn contradicted(
    playbook: &Playbook,
    source: &Source,
    table: &Catalog,
    primary: &Store,
) -> Vec<Problem> {
    let wrong = |(name, spelled): &(String, String)| {
        let column = table.column(name).map(|c| &c.column.kind);
        let what = match column {
            Some(kind) if *kind == primary.kind_of(spelled) => return None,
            Some(kind) => format!("column {name} is a {kind} in the primary, and not {spelled}"),
            None => format!("the primary's table {} has no column {name}", table.table),
        };
        Some(Problem {
            file: playbook.file.clone(),
            line: source.line,
            path: format!("sources.{}.types", source.name),
            what,
            fix: "correct it, or take it out: the primary says it itself".to_owned(),
        })
    };
    let mut problems: Vec<Problem> = source.types.iter().filter_map(wrong).collect();
    let written = source.key.iter().flatten();
    problems.extend(
        written
            .filter(|name| table.column(name).is_none())
            .map(|name| Problem {
                file: playbook.file.clone(),
                line: source.line,
                path: format!("sources.{}.key", source.name),
                what: format!("the primary's table {} has no column {name}", table.table),
                fix: "name the columns that name a row".to_owned(),
            }),
    );
    problems
}

fn snapshot(place: &Place, source: &Source) -> Result<Option<Known>> {
    let name = format!("source.{}", source.name);
    for listed in place.list()?.into_iter().rev() {
        let Ok((manifest, _)) = listed.what else {
            continue;
        };
        if let Some(stored) = manifest.table(&name) {
            let columns = &stored.table.columns;
            let key = stored.table.key.iter();
            return Ok(Some(Known {
                who: format!("snapshot {}", manifest.id),
                columns: columns.clone(),
                key: key
                    .filter_map(|at| Some(columns.get(*at)?.name.clone()))
                    .collect(),
            }));
        }
    }
    Ok(None)
}

/// What the last records of the topic say of themselves.
async fn topic(systems: &Systems, source: &Source) -> Result<Option<Known>> {
    let (log, name) = (systems.log().await?, source.topic.clone());
    let peeked = blocking(move || {
        let ranges: Vec<Range> = log
            .topic(&name)?
            .extents
            .iter()
            .filter(|e| e.start < e.end)
            .map(|e| Range {
                topic: name.as_str().into(),
                partition: e.partition,
                from: e.start,
                to: e.end,
            })
            .collect();
        log.peek(&ranges, limits::PEEK_RECORDS)
    })
    .await?;
    let records = peeked.into_iter().flat_map(|p| p.last).rev();
    for record in records {
        let described = record.lend(decode::described);
        if let Some((columns, key)) = described {
            return Ok(Some(Known {
                who: format!("the schema in topic {}", source.topic),
                columns,
                key,
            }));
        }
    }
    Ok(None)
}

fn written(store: &Store, source: &Source) -> Option<Known> {
    let column = |(name, spelled): &(String, String)| Column {
        name: name.clone(),
        kind: store.kind_of(spelled),
        nullable: true,
    };
    (!source.types.is_empty()).then(|| Known {
        who: "`types:`".to_owned(),
        columns: source.types.iter().map(column).collect(),
        key: source.key.clone().unwrap_or_default(),
    })
}

/// Where two of those that know a source do not agree.
fn disagreement(source: &Source, known: &[Known]) -> Option<String> {
    let (first, others) = known.split_first()?;
    others.iter().find_map(|other| {
        other.columns.iter().find_map(|column| {
            let before = first.columns.iter().find(|c| c.name == column.name)?;
            (before.kind != column.kind).then(|| {
                format!(
                    "source {}: column {} is a {} in {} and a {} in {}",
                    source.name, column.name, before.kind, first.who, column.kind, other.who
                )
            })
        })
    })
}

fn table(source: &Source, known: &[Known], store: &Store) -> Result<Catalog, String> {
    let name = &source.name;
    let Some(first) = known.first() else {
        return Err(format!(
            "source {name}: neither a snapshot, nor a schema in topic {}, nor `types:` says what columns it has; write `types:` and `key:` to do without the primary",
            source.topic
        ));
    };
    let key = known.iter().map(|k| &k.key).find(|k| !k.is_empty());
    let Some(key) = key else {
        return Err(format!(
            "source {name}: nothing says which columns name a row; write `key:`"
        ));
    };
    let column = |column: &Column| CatalogColumn {
        sql_type: store.spell_type(&column.kind),
        column: column.clone(),
        has_default: false,
        generated: false,
        is_list: false,
    };
    Ok(Catalog {
        table: table_name(&source.table),
        id: 0,
        columns: first.columns.iter().map(column).collect(),
        primary_key: key.clone(),
        unique_keys: vec![key.clone()],
        indexes: Vec::new(),
        rows_estimate: None,
        bytes: 0,
    })
}
