//! Which rows of the sources a row of a query view is made of: found from the view's key, from one source to the next, by
//! the columns that its text says to be equal. It is never less than those rows, and may be more: conditions that are no
//! equality are left to the query.

use std::collections::BTreeSet;

use super::Query;
use super::touched::{ColumnsOf, Resolving};

/// How the rows of one source are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partner {
    /// The source.
    pub source: String,
    /// Its columns, and what they are equal to.
    pub by: Vec<(String, EqualTo)>,
}

/// What a column of a source is equal to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EqualTo {
    /// A column of the view's key, by its place in it.
    Key(usize),
    /// A column of a source that was found before.
    Of(String, String),
}

/// A column of a table of FROM.
type Place = (usize, String);

impl Query {
    /// How the rows of each source are found that a row with some key is made of: one source after the other, each by the
    /// key and by columns of one source before it.
    ///
    /// # Errors
    /// Why that does not follow from its text.
    pub fn partners(&self, key: &[String], columns: ColumnsOf<'_>) -> Result<Vec<Partner>, String> {
        let joined = self.joined.as_ref().map_err(Clone::clone)?;
        let resolving = Resolving::new(joined, columns);
        let mut classes = Vec::new();
        for name in key {
            classes.push(BTreeSet::from([resolving.key_place(name)?]));
        }
        let keys = classes.len();
        let place = |named| resolving.table(named).map(|at| (at, named.column.clone()));
        for (one, other) in &joined.equal {
            if let Some((one, other)) = place(one).zip(place(other)) {
                unite(&mut classes, keys, one, other);
            }
        }
        let mut finding = Finding {
            sources: joined.factors.iter().map(|f| f.source.as_str()).collect(),
            classes,
            keys,
            found: Vec::new(),
        };
        finding.all()
    }
}

/// Puts two columns into one class. Two columns of the key stay two.
fn unite(classes: &mut Vec<BTreeSet<Place>>, keys: usize, one: Place, other: Place) {
    let at = |classes: &[BTreeSet<Place>], place| classes.iter().position(|c| c.contains(place));
    match (at(classes, &one), at(classes, &other)) {
        (Some(a), Some(b)) if a == b || (a < keys && b < keys) => {}
        (Some(a), Some(b)) => {
            let merged = classes.remove(a.max(b));
            classes[a.min(b)].extend(merged);
        }
        (Some(a), None) => {
            classes[a].insert(other);
        }
        (None, Some(b)) => {
            classes[b].insert(one);
        }
        (None, None) => classes.push(BTreeSet::from([one, other])),
    }
}

struct Finding<'a> {
    /// The source of each table of FROM.
    sources: Vec<&'a str>,
    /// Columns that are equal; the first ones are those of the key.
    classes: Vec<BTreeSet<Place>>,
    keys: usize,
    found: Vec<usize>,
}

impl Finding<'_> {
    fn all(&mut self) -> Result<Vec<Partner>, String> {
        let mut partners = Vec::new();
        while self.found.len() < self.sources.len() {
            let open = (0..self.sources.len()).filter(|at| !self.found.contains(at));
            let links = open.map(|at| (at, self.link(at)));
            // The one that most columns lead to has the fewest rows.
            let best = links.max_by_key(|(at, by)| (by.len(), std::cmp::Reverse(*at)));
            let Some((at, by)) = best.filter(|(_, by)| !by.is_empty()) else {
                let missing = (0..self.sources.len()).find(|at| !self.found.contains(at));
                let missing = missing.map_or("", |at| self.sources[at]);
                return Err(format!("no equality of columns leads to {missing}"));
            };
            self.found.push(at);
            partners.push(Partner {
                source: self.sources[at].to_owned(),
                by,
            });
        }
        Ok(partners)
    }

    /// By what the rows of a table are found: the key, and the source before it that gives most beyond that.
    fn link(&self, at: usize) -> Vec<(String, EqualTo)> {
        let by = |from: Option<usize>| {
            let mut by: Vec<(String, EqualTo)> = Vec::new();
            for (nth, class) in self.classes.iter().enumerate() {
                let other = class.iter().find(|(table, _)| Some(*table) == from);
                let to = match other {
                    _ if nth < self.keys => EqualTo::Key(nth),
                    Some((table, column)) => {
                        EqualTo::Of(self.sources[*table].to_owned(), column.clone())
                    }
                    None => continue,
                };
                let mine = class.iter().filter(|(table, _)| *table == at);
                by.extend(mine.map(|(_, column)| (column.clone(), to.clone())));
            }
            by
        };
        let found = self.found.iter().map(|from| by(Some(*from)));
        let best = found.max_by_key(Vec::len);
        best.unwrap_or_else(|| by(None))
    }
}
