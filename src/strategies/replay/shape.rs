//! What a replay builds for a view or a source, and what it is called.

use std::collections::BTreeMap;

use super::losses;
use crate::projection::mapping::{From, Mapping, Target};
use crate::store::{Catalog, CatalogColumn, Shadow, TableName};
use crate::strategies::{Origin, SourcePart, View, fingerprint};

/// Every source of these views, once.
pub(super) fn sources_of(views: &[View]) -> Vec<&SourcePart> {
    let mut sources: BTreeMap<&str, &SourcePart> = BTreeMap::new();
    for source in views.iter().flat_map(View::sources) {
        sources.insert(&source.name, source);
    }
    sources.into_values().collect()
}

/// What a snapshot keeps a view as.
#[must_use]
pub fn kept_as(view: &View) -> String {
    format!("view.{}", view.name)
}

/// A view that is built apart from its table, under a name that no source has and that fits any database.
pub(super) fn apart(view: &View) -> View {
    const BYTES_MAX: usize = 40;
    let mut name = format!("view {}", view.name);
    let mut hash = String::new();
    if name.len() > BYTES_MAX {
        while name.len() > BYTES_MAX {
            name.pop();
        }
        hash = fingerprint::hash(&view.name)[..8].to_owned();
    }
    let mut apart = view.clone();
    apart.table.table = TableName {
        schema: None,
        name: name + &hash,
    };
    // Nobody looks anything up there.
    apart.table.indexes.clear();
    apart
}

/// The shadow that a view is built in.
pub(super) fn shadow(view: &View, run: String, rank_words: usize, staged: bool) -> Shadow {
    let columns = view.mapping.columns.iter().map(|t| t.column.clone());
    Shadow {
        run,
        live: view.table.clone(),
        columns: columns.collect(),
        key: view.mapping.key.clone(),
        carried: view.carried.clone(),
        rank_words,
        staged,
    }
}

/// By which columns else queries of the primary find rows quickly; they count on it in a staging area too.
fn lookups(table: &Catalog, columns: &[&CatalogColumn]) -> Vec<Vec<String>> {
    let is_here = |name: &String| columns.iter().any(|c| c.column.name == *name);
    table
        .unique_keys
        .iter()
        .chain(&table.indexes)
        .filter(|index| !table.primary_key.starts_with(index) && index.iter().all(is_here))
        .cloned()
        .collect()
}

/// A source as a copy of itself, and the columns that are left out: those that cannot be read from a log, and those that the
/// primary computes and the log need not have.
#[must_use]
pub fn staged(source: &SourcePart) -> (View, Vec<String>) {
    let fits =
        |c: &&CatalogColumn| losses::unreadable(c, &source.settings).is_none() && !c.generated;
    let (columns, left_out): (Vec<&CatalogColumn>, Vec<&CatalogColumn>) =
        source.table.columns.iter().partition(fits);
    let place = |name: &String| columns.iter().position(|c| c.column.name == *name);
    let key: Vec<usize> = source.table.primary_key.iter().filter_map(place).collect();
    let target = |(at, column): (usize, &&CatalogColumn)| Target {
        column: column.column.clone(),
        from: From::Source(at),
    };
    let view = View {
        name: source.name.clone(),
        table: Catalog {
            table: TableName {
                schema: None,
                name: source.name.clone(),
            },
            id: 0,
            columns: columns.iter().map(|c| (*c).clone()).collect(),
            primary_key: source.table.primary_key.clone(),
            unique_keys: vec![source.table.primary_key.clone()],
            indexes: lookups(&source.table, &columns),
            rows_estimate: source.table.rows_estimate,
            bytes: 0,
        },
        mapping: Mapping {
            source: columns.iter().map(|c| c.column.clone()).collect(),
            source_key: key.clone(),
            columns: columns.iter().enumerate().map(target).collect(),
            key,
            filter: Vec::new(),
        },
        rules: Vec::new(),
        carried: Vec::new(),
        scope: None,
        origin: Origin::Copy {
            source: source.clone(),
            former: Vec::new(),
        },
    };
    let names = left_out.iter().map(|c| c.column.name.clone());
    (view, names.collect())
}
