//! Which keys of a query view the changed rows of its sources touch, and how that is known: as the playbook says, or as the
//! text of the query says. Where neither does, the view is derived whole.

use std::collections::BTreeSet;
use std::fmt;

use crate::projection::cell::Cell;
use crate::projection::cell::Row;
use crate::projection::change::Key;
use crate::projection::mapping::From;
use crate::projection::mapping::Target;
use crate::projection::query::TouchedBy;
use crate::projection::types::ColumnType;
use crate::store::{Acts, Output, Relation, RowStream, Scan, Shadow, Store, StoreError, Touch};
use crate::strategies::{Origin, SourcePart, View};

/// How the keys are known that changes of one source touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// The playbook says it.
    Written,
    /// The query's text says it.
    Itself,
    /// Nothing does, and why not.
    Whole(String),
}

/// How a query view is caught up, for each of its sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ways(Vec<(String, Way)>);

impl Ways {
    /// Those of a view; none for a copy.
    #[must_use]
    pub fn of(view: &View) -> Ways {
        let way = |source: &str| match touched_by(view, source) {
            Some(_) => Way::Written,
            None => match itself(view, source, |name| name.to_owned()) {
                Ok(_) => Way::Itself,
                Err(why) => Way::Whole(why),
            },
        };
        let sources = match &view.origin {
            Origin::Query { sources, .. } => sources.as_slice(),
            Origin::Copy { .. } | Origin::Events { .. } => &[],
        };
        let all = sources.iter().map(|s| (s.name.clone(), way(&s.name)));
        Ways(all.collect())
    }

    /// Whether the changes of any source lead to keys.
    #[must_use]
    pub fn any(&self) -> bool {
        self.0.iter().any(|(_, way)| !matches!(way, Way::Whole(_)))
    }

    /// Why a change of one of these sources leads to no keys.
    #[must_use]
    pub fn whole(&self, changed: &BTreeSet<&str>) -> Option<&str> {
        let mut of = self.0.iter().filter(|(s, _)| changed.contains(s.as_str()));
        of.find_map(|(_, way)| match way {
            Way::Whole(why) => Some(why.as_str()),
            _ => None,
        })
    }

    /// Which of these sources the playbook speaks of.
    #[must_use]
    pub fn written(&self, changed: &BTreeSet<&str>) -> Vec<&str> {
        let written =
            |(s, way): &&(String, Way)| changed.contains(s.as_str()) && *way == Way::Written;
        let written = self.0.iter().filter(written);
        written.map(|(s, _)| s.as_str()).collect()
    }
}

impl fmt::Display for Ways {
    /// `by touched_by`, `by itself`, `recomputed whole: it has a window`; and by source where these differ.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said: Vec<(String, Vec<&str>)> = Vec::new();
        for (source, way) in &self.0 {
            let way = match way {
                Way::Written => "by touched_by".to_owned(),
                Way::Itself => "by itself".to_owned(),
                Way::Whole(why) => format!("recomputed whole: {why}"),
            };
            match said.iter_mut().find(|(said, _)| *said == way) {
                Some((_, sources)) => sources.push(source),
                None => said.push((way, vec![source])),
            }
        }
        if let [(way, _)] = said.as_slice() {
            return f.write_str(way);
        }
        for (nth, (way, sources)) in said.iter().enumerate() {
            let gap = if nth > 0 { "; " } else { "" };
            write!(f, "{gap}when {} changes, {way}", sources.join(" or "))?;
        }
        Ok(())
    }
}

fn touched_by<'v>(view: &'v View, source: &str) -> Option<&'v TouchedBy> {
    match &view.origin {
        Origin::Query { touched_by, .. } => touched_by.get(source),
        Origin::Copy { .. } | Origin::Events { .. } => None,
    }
}

/// The SELECT of keys that the query's own text makes.
fn itself(view: &View, source: &str, name: impl Fn(&str) -> String) -> Result<String, String> {
    let Origin::Query { query, sources, .. } = &view.origin else {
        return Err("it is a copy".to_owned());
    };
    let columns = |name: &str| columns_of(sources, name);
    let names: Vec<String> = key_names(view).map(str::to_owned).collect();
    let text = query.touched(source, &names, &columns, name)?;
    key_unlike(view).map_or(Ok(text), Err)
}

/// The names of a source's columns.
pub(in crate::strategies) fn columns_of(sources: &[SourcePart], name: &str) -> Vec<String> {
    let source = sources.iter().find(|s| s.name == name);
    let columns = source.map_or(&[][..], |s| &s.table.columns);
    columns.iter().map(|c| c.column.name.clone()).collect()
}

/// Why the cells of a query view's key are not those of the columns that they come from: values that are equal and not alike
/// may stand for one another in a group.
pub(in crate::strategies) fn key_unlike(view: &View) -> Option<String> {
    let alike = |target: &Target| match (kind(view, target), &target.column.kind) {
        (ColumnType::Int { .. }, ColumnType::Int { .. }) => true,
        (ColumnType::Text { .. }, ColumnType::Text { .. }) => true,
        (ColumnType::Other(_), _) => false,
        (source, target) => source == target,
    };
    let target = key(view).find(|t| !alike(t))?;
    Some(format!(
        "its key column {} is of another type than what it comes from",
        target.column.name
    ))
}

/// The columns of a view's key.
pub(super) fn key(view: &View) -> impl Iterator<Item = &Target> {
    let key = view.mapping.key.iter();
    key.map(|at| &view.mapping.columns[*at])
}

/// Their names, which are those of the query, too.
pub(in crate::strategies) fn key_names(view: &View) -> impl Iterator<Item = &str> {
    key(view).map(|t| t.column.name.as_str())
}

/// The type that the query gives a column.
fn kind<'v>(view: &'v View, target: &'v Target) -> &'v ColumnType {
    match target.from {
        From::Source(at) => &view.mapping.source[at].kind,
        _ => &target.column.kind,
    }
}

/// The keys of a view that the changed rows of these sources touch, as `staging` tells them.
pub(super) struct Touching<'a> {
    pub(super) staging: &'a Store,
    pub(super) view: &'a View,
    /// The staged sources.
    pub(super) shadows: &'a [Shadow],
}

impl Touching<'_> {
    /// Their stream, in order.
    pub(super) async fn keys(&self, changed: &BTreeSet<&str>) -> Result<RowStream, StoreError> {
        let mut selects = Vec::new();
        for source in self.view.sources() {
            if changed.contains(source.name.as_str()) {
                selects.push(self.select(&source.name).map_err(StoreError::Refused)?);
            }
        }
        let names: Vec<&str> = key_names(self.view).collect();
        let filled = key(self.view).filter(|t| !t.column.nullable);
        let filled: Vec<&str> = filled.map(|t| t.column.name.as_str()).collect();
        let text = self.staging.each_once(&selects, &names, &filled);
        self.staging.touched_rows(keys_of(self.view, text)).await
    }

    /// The keys that the changed rows of one source touch.
    fn select(&self, source: &str) -> Result<String, String> {
        let name = |name: &str| {
            let shadow = self.shadows.iter().find(|s| s.live.table.name == name);
            let touched = shadow.map(|s| self.staging.touched(s));
            let table = touched.map(|t| if name == source { t.changed } else { t.both });
            table.map_or_else(String::new, |t| self.staging.spelled(&t))
        };
        match touched_by(self.view, source) {
            Some(TouchedBy::Query(query)) => Ok(query.over(name)),
            Some(TouchedBy::Column(column)) => {
                let shadow = self.shadows.iter().find(|s| s.live.table.name == source);
                let changed = shadow.map(|s| self.staging.touched(s).changed);
                let changed = changed.ok_or_else(|| format!("{source} is not staged"))?;
                Ok(self.staging.column_of(&changed, column))
            }
            None => itself(self.view, source, name),
        }
    }
}

/// A scan of a SELECT of keys: cells as the view's table has them.
pub(super) fn keys_of(view: &View, text: String) -> Scan {
    let output = |target: &Target| {
        let mut column = target.column.clone();
        column.kind = kind(view, target).clone();
        let cast = (column.kind != target.column.kind).then(|| target.column.kind.clone());
        Output { column, cast }
    };
    let outputs: Vec<Output> = key(view).map(output).collect();
    Scan {
        relation: Relation::Query {
            name: view.name.clone(),
            text,
        },
        key: (0..outputs.len()).collect(),
        outputs,
        filter: Vec::new(),
        scope: None,
        from: None,
        to: None,
    }
}

/// What the cells of a row are as a key; `None` with a NULL among them.
pub(super) fn as_key(row: Row<'static>) -> Option<Key<'static>> {
    let is_whole = !row.contains(&Cell::Null);
    is_whole.then_some(Key(row))
}
