//! The rows of the sources that rows of a query view are made of: as the primary has them, and all that the log says that
//! they have been.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use anyhow::Result;

use super::log::Reading;
use crate::limits;
use crate::projection::cause::Extent;
use crate::projection::cell::{Cell, Row};
use crate::projection::change::Key;
use crate::projection::mapping::key_of;
use crate::projection::pasts::{Having, Past, Pasts};
use crate::projection::query::{EqualTo, Partner};
use crate::projection::trace::Suspect;
use crate::projection::types::Column;
use crate::report::progress::Progress;
use crate::store::{Acts, Output, Relation, Scan};
use crate::strategies::replay::{shape, touched};
use crate::strategies::{Bug, Origin, SourcePart, Systems, View};

/// What a column of a source is equal to.
#[derive(Clone, Copy, Debug)]
enum Link {
    /// A column of the view's key, by its place in it.
    Key(usize),
    /// A column of an earlier part.
    Of(usize, usize),
}

/// How the rows of one source are found and read.
pub(super) struct Part {
    /// Its place among the view's sources.
    pub(super) place: usize,
    /// It as a copy of itself.
    pub(super) view: View,
    /// How its topic is read.
    pub(super) reading: Reading,
    /// By which of its columns its rows are found.
    by: Vec<(usize, Link)>,
}

/// The sources of a query view, each behind those that lead to it.
pub(super) struct Sources {
    pub(super) parts: Vec<Part>,
}

/// Values of the columns by which rows are found.
type Values = Vec<Cell<'static>>;

/// What is known of the rows of one source.
#[derive(Default)]
pub(super) struct Rows {
    /// As the primary has them.
    pub(super) now: BTreeMap<Key<'static>, Row<'static>>,
    /// What they have been.
    pub(super) pasts: BTreeMap<Key<'static>, Past>,
    /// Which of them have, or had, which values.
    having: HashMap<Values, BTreeSet<Key<'static>>>,
}

impl Rows {
    /// All that a row is or has been.
    fn of(&self, key: &Key<'static>) -> impl Iterator<Item = &Row<'static>> {
        let past = self.pasts.get(key).map_or(&[][..], |p| &p.states);
        let past = past.iter().filter_map(|s| s.row.as_ref());
        past.chain(self.now.get(key))
    }
}

/// The source rows of some keys of the view.
pub(super) struct Gathered {
    /// By part.
    pub(super) rows: Vec<Rows>,
    /// By key of the view, then by part: which rows it is made of.
    pub(super) mine: Vec<Vec<BTreeSet<Key<'static>>>>,
}

impl Sources {
    /// Those of a view; why its rows cannot be followed to theirs.
    pub(super) async fn of(systems: &Systems, view: &View) -> Result<Result<Sources, String>> {
        let Origin::Query { query, sources, .. } = &view.origin else {
            return Err(Bug("a view of one topic was taken for a query".to_owned()).into());
        };
        let names: Vec<String> = touched::key_names(view).map(str::to_owned).collect();
        let columns = |name: &str| touched::columns_of(sources, name);
        let partners = match (touched::key_unlike(view), query.partners(&names, &columns)) {
            (None, Ok(partners)) => partners,
            (Some(why), _) | (None, Err(why)) => {
                return Ok(Err(format!(
                    "the rows that a row of view {} is made of cannot be told, so that nothing is said of causes: {why}",
                    view.name
                )));
            }
        };
        let mut parts: Vec<Part> = Vec::new();
        for partner in &partners {
            let place = sources.iter().position(|s| s.name == partner.source);
            let place = place.ok_or_else(|| Bug(format!("{} is no source", partner.source)))?;
            let (staged, _) = shape::staged(&sources[place]);
            let Some(by) = links(partner, &staged, &parts, sources) else {
                return Ok(Err(format!(
                    "view {} is joined by a column of {} that the log does not have",
                    view.name, partner.source
                )));
            };
            parts.push(Part {
                place,
                reading: Reading::of(systems, &staged).await?,
                view: staged,
                by,
            });
        }
        Ok(Ok(Sources { parts }))
    }

    /// How much the topics still hold, that which holds least.
    pub(super) fn extent(&self) -> Extent {
        let extents = self.parts.iter().map(|p| p.reading.extent);
        extents.max().unwrap_or(Extent::Whole)
    }

    /// The source rows of these keys: one source after the other, each topic once or, where its rows are found by other
    /// columns than their key, twice.
    pub(super) async fn gather(
        &self,
        systems: &Systems,
        suspects: &[Suspect],
        progress: &Progress,
    ) -> Result<Gathered> {
        let mut gathered = Gathered {
            rows: Vec::new(),
            mine: vec![Vec::new(); suspects.len()],
        };
        for part in &self.parts {
            let wanted: Vec<BTreeSet<Values>> = suspects
                .iter()
                .zip(&gathered.mine)
                .map(|(suspect, mine)| part.values(&suspect.key, mine, &gathered.rows))
                .collect();
            let all: BTreeSet<Values> = wanted.iter().flatten().cloned().collect();
            let rows = part.rows(systems, all, progress).await?;
            for (mine, wanted) in gathered.mine.iter_mut().zip(&wanted) {
                let having = wanted.iter().filter_map(|values| rows.having.get(values));
                mine.push(having.flatten().cloned().collect());
            }
            gathered.rows.push(rows);
        }
        Ok(gathered)
    }
}

/// By which columns the rows of a partner are found; `None` where one is not in the log.
fn links(
    partner: &Partner,
    staged: &View,
    parts: &[Part],
    sources: &[SourcePart],
) -> Option<Vec<(usize, Link)>> {
    let column = |view: &View, name: &str| {
        // A database that does not tell case apart was asked in one case.
        let columns = || view.table.columns.iter();
        let same = columns().position(|c| c.column.name == name);
        same.or_else(|| columns().position(|c| c.column.name.eq_ignore_ascii_case(name)))
    };
    let link = |(name, to): &(String, EqualTo)| {
        let to = match to {
            EqualTo::Key(nth) => Link::Key(*nth),
            EqualTo::Of(source, name) => {
                let part = parts
                    .iter()
                    .position(|p| sources[p.place].name == *source)?;
                Link::Of(part, column(&parts[part].view, name)?)
            }
        };
        Some((column(staged, name)?, to))
    };
    partner.by.iter().map(link).collect()
}

impl Part {
    /// Whether its rows are found by the key alone: one that is reached over another is that one's as well.
    pub(super) fn is_keyed(&self) -> bool {
        self.by.iter().all(|(_, link)| matches!(link, Link::Key(_)))
    }

    /// The values that rows have which this row of the view is made of.
    fn values(
        &self,
        key: &Key<'static>,
        mine: &[BTreeSet<Key<'static>>],
        rows: &[Rows],
    ) -> BTreeSet<Values> {
        let of = self.by.iter().find_map(|(_, link)| match link {
            Link::Of(part, _) => Some(*part),
            Link::Key(_) => None,
        });
        let value = |link: &Link, row: Option<&Row<'static>>| match (link, row) {
            (Link::Key(nth), _) => key.0[*nth].clone(),
            (Link::Of(_, column), Some(row)) => row[*column].clone(),
            (Link::Of(..), None) => Cell::Null,
        };
        let values = |row| -> Values { self.by.iter().map(|(_, link)| value(link, row)).collect() };
        let all: BTreeSet<Values> = match of {
            None => BTreeSet::from([values(None)]),
            Some(part) => {
                let keys = mine[part].iter();
                let partners = keys.flat_map(|key| rows[part].of(key));
                partners.map(|row| values(Some(row))).collect()
            }
        };
        // NULL is equal to nothing.
        let is_known = |values: &Values| {
            !values
                .iter()
                .any(|c| matches!(c, Cell::Null | Cell::Unchanged))
        };
        all.into_iter().filter(is_known).collect()
    }

    fn columns(&self) -> Vec<usize> {
        self.by.iter().map(|(column, _)| *column).collect()
    }

    /// The rows that have, or had, these values.
    async fn rows(
        &self,
        systems: &Systems,
        wanted: BTreeSet<Values>,
        progress: &Progress,
    ) -> Result<Rows> {
        let mut rows = Rows::default();
        if wanted.is_empty() {
            return Ok(rows);
        }
        let primary_key = &self.view.mapping.key;
        let wanted: Vec<Key<'static>> = wanted.into_iter().map(Key).collect();
        for some in wanted.chunks(limits::LOOKUP_KEYS) {
            let found = systems.primary.lookup(&self.scan(), some).await?;
            let keyed = found
                .into_iter()
                .map(|row| (key_of(&row, primary_key), row));
            rows.now.extend(keyed);
        }
        let stage = |what: &str| format!("reading {} for {what}", self.reading.topic);
        let mapping = self.view.mapping.clone();
        let mut keys: BTreeSet<Key<'static>> = rows.now.keys().cloned().collect();
        let columns = self.columns();
        let values: HashSet<Values> = wanted.into_iter().map(|Key(values)| values).collect();
        if columns == *primary_key {
            keys.extend(values.into_iter().map(Key));
        } else {
            let (decoder, _) = self.reading.decoder(&self.view)?;
            let having = Having::new(decoder, mapping.clone(), columns.clone(), values);
            let stage = stage("the rows that it is made of");
            let having = self
                .reading
                .read(systems, having, (progress, &stage))
                .await?;
            keys.extend(having.found());
        }
        let stage = stage(&format!("{} rows", keys.len()));
        let decoder = self.reading.decoder(&self.view)?;
        let pasts = Pasts::new(decoder, mapping, self.place, keys.clone());
        let pasts = self
            .reading
            .read(systems, pasts, (progress, &stage))
            .await?;
        rows.pasts = pasts.past();
        let mut having: HashMap<Values, BTreeSet<Key<'static>>> = HashMap::new();
        for key in &keys {
            for row in rows.of(key) {
                let Key(values) = key_of(row, &columns);
                having.entry(values).or_default().insert(key.clone());
            }
        }
        rows.having = having;
        Ok(rows)
    }

    /// The source's table, found by these columns.
    fn scan(&self) -> Scan {
        let output = |column: &Column| Output {
            column: column.clone(),
            cast: None,
        };
        Scan {
            relation: Relation::Table(self.view.sources()[0].table.table.clone()),
            outputs: self.view.mapping.source.iter().map(output).collect(),
            key: self.columns(),
            filter: Vec::new(),
            scope: None,
            from: None,
            to: None,
        }
    }
}
