//! What many wrong rows have in common: a column that is, in all of them, made of what it should be in one and the same way.
//! Whoever computes it does so wrongly.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

use super::cell::{Cell, Row};
use super::rule::number;
use super::text;

/// Fewer rows than this have nothing in common but chance.
const ROWS_MIN: usize = 20;
/// Of a hundred rows in which the same columns differ, so many follow a relation at least; fewer may by chance.
const PERCENT_MIN: usize = 25;
/// Values that a column must have at least for a relation to be seen: with fewer, several would fit.
const VALUES_MIN: usize = 3;

/// How the values of a column follow from those that it should have.
#[derive(Clone, Debug, PartialEq)]
pub enum Relation {
    /// So many times as much.
    Factor(f64),
    /// So much more.
    Shift(f64),
    /// So many seconds later.
    Late(i64),
    /// In capitals.
    Upper,
    /// In small letters.
    Lower,
    /// Without the spaces around it.
    Trimmed,
    /// The first so many characters.
    Cut(usize),
    /// What another column should be.
    Other(String),
    /// Always NULL.
    Null,
    /// Always this, which is not shown: values are shown to who asks for them.
    Constant(String),
}

impl Relation {
    /// Whether somebody must have computed it: one statement by hand sets many rows to one value as well.
    fn is_computed(&self) -> bool {
        !matches!(self, Relation::Null | Relation::Constant(_))
    }

    /// The place of its kind: what says more comes first.
    fn kind(&self) -> u8 {
        match self {
            Relation::Null => 0,
            Relation::Constant(_) => 1,
            Relation::Upper | Relation::Lower | Relation::Trimmed => 2,
            Relation::Factor(_) => 3,
            Relation::Shift(_) | Relation::Late(_) => 4,
            Relation::Cut(_) => 5,
            Relation::Other(_) => 6,
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Relation::Factor(by) => write!(f, "is {by} times what it should be"),
            Relation::Shift(by) => write!(f, "is what it should be and {by} more"),
            Relation::Late(seconds) => write!(f, "is {seconds} s later than it should be"),
            Relation::Upper => f.write_str("is in capitals"),
            Relation::Lower => f.write_str("is in small letters"),
            Relation::Trimmed => f.write_str("lacks the spaces around it"),
            Relation::Cut(chars) => write!(f, "is cut after {chars} characters"),
            Relation::Other(column) => write!(f, "is what {column} should be"),
            Relation::Null => f.write_str("is NULL"),
            Relation::Constant(_) => f.write_str("is the same everywhere"),
        }
    }
}

/// The same columns, wrong in the same way, in many rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// The columns that differ, each with what it is, where that is the same everywhere.
    pub columns: Vec<(String, Option<Relation>)>,
    /// Which of the rows, by their place.
    pub rows: Vec<usize>,
}

impl Pattern {
    /// Whether what the rows show must have been computed.
    #[must_use]
    pub fn is_computed(&self) -> bool {
        let computed =
            |(_, r): &(String, Option<Relation>)| r.as_ref().is_some_and(Relation::is_computed);
        self.columns.iter().all(computed)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, (column, relation)) in self.columns.iter().enumerate() {
            f.write_str(if nth > 0 { ", " } else { "" })?;
            match relation {
                Some(relation) => write!(f, "{column} {relation}")?,
                None => write!(f, "{column} differs")?,
            }
        }
        Ok(())
    }
}

/// A wrong row: as it should be, and as it is.
pub type Pair<'a> = (&'a Row<'static>, &'a Row<'static>);

/// What these rows have in common.
#[must_use]
pub fn patterns(pairs: &[Pair<'_>], columns: &[String]) -> Vec<Pattern> {
    let mut groups: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for (nth, (expected, actual)) in pairs.iter().enumerate() {
        let differing = (0..expected.len()).filter(|at| expected[*at] != actual[*at]);
        groups.entry(differing.collect()).or_default().push(nth);
    }
    let large = groups
        .into_iter()
        .filter(|(at, rows)| !at.is_empty() && rows.len() >= ROWS_MIN);
    large
        .map(|(at, rows)| pattern(pairs, columns, &at, rows))
        .collect()
}

fn pattern(pairs: &[Pair<'_>], columns: &[String], at: &[usize], rows: Vec<usize>) -> Pattern {
    let mut follow: BTreeSet<usize> = rows.iter().copied().collect();
    let mut found = Vec::new();
    for column in at {
        let relation = relation(pairs, columns, *column, &rows);
        if let Some((_, followers)) = &relation {
            follow.retain(|row| followers.contains(row));
        }
        found.push((columns[*column].clone(), relation.map(|(r, _)| r)));
    }
    Pattern {
        columns: found,
        rows: follow.into_iter().collect(),
    }
}

/// The relation that most rows follow, and which do.
fn relation(
    pairs: &[Pair<'_>],
    columns: &[String],
    at: usize,
    rows: &[usize],
) -> Option<(Relation, BTreeSet<usize>)> {
    let mut followers: BTreeMap<String, (Relation, BTreeSet<usize>)> = BTreeMap::new();
    for row in rows {
        let (expected, actual) = (&pairs[*row].0[at], &pairs[*row].1[at]);
        let others = (0..columns.len()).filter(|other| *other != at);
        let same = others.filter(|other| pairs[*row].0[*other] == *actual);
        let mut offered = offered((expected, actual));
        offered.extend(same.map(|other| Relation::Other(columns[other].clone())));
        for relation in offered {
            let of = followers.entry(format!("{relation:?}"));
            let of = of.or_insert_with(|| (relation, BTreeSet::new()));
            of.1.insert(*row);
        }
    }
    let is_seen = |(relation, of): &(Relation, BTreeSet<usize>)| {
        let expected: BTreeSet<Option<String>> =
            of.iter().map(|row| text::of(&pairs[*row].0[at])).collect();
        let varied = !relation.is_computed() || expected.len() >= VALUES_MIN;
        varied && of.len() >= ROWS_MIN && of.len() * 100 >= rows.len() * PERCENT_MIN
    };
    // Of those with the same followers, the first in the order of their kinds.
    let seen = followers.into_values().filter(is_seen);
    seen.max_by_key(|(relation, of)| (of.len(), std::cmp::Reverse(relation.kind())))
}

/// Every way in which one value may follow from the other.
fn offered((expected, actual): (&Cell<'_>, &Cell<'_>)) -> Vec<Relation> {
    let mut all = vec![match text::of(actual) {
        Some(value) => Relation::Constant(value),
        None => Relation::Null,
    }];
    if let (Some(should), Some(is)) = (number(expected), number(actual)) {
        // Nothing is so many times as much as nothing, and nothing of anything is set, not computed.
        if should != 0.0 && is != 0.0 && (is / should).is_finite() {
            all.push(Relation::Factor(rounded(is / should)));
        }
        all.push(Relation::Shift(rounded(is - should)));
    }
    if let (Some(should), Some(is)) = (micros(expected), micros(actual)) {
        all.push(Relation::Late(is.saturating_sub(should) / 1_000_000));
    }
    if let (Cell::Text(should), Cell::Text(is)) = (expected, actual) {
        let (should, is) = (should.as_ref(), is.as_ref());
        let chars = is.chars().count();
        for (holds, relation) in [
            (should.to_uppercase() == is, Relation::Upper),
            (should.to_lowercase() == is, Relation::Lower),
            (should.trim() == is, Relation::Trimmed),
            (should.starts_with(is), Relation::Cut(chars)),
        ] {
            if holds {
                all.push(relation);
            }
        }
    }
    all
}

/// Without the last digits, which a division makes.
fn rounded(number: f64) -> f64 {
    const DIGITS: f64 = 1e6;
    (number * DIGITS).round() / DIGITS
}

fn micros(cell: &Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Timestamp(at) | Cell::TimestampTz(at) | Cell::Time(at) => Some(*at),
        Cell::Date(days) => i64::from(*days).checked_mul(86_400_000_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pair: impl Fn(i64) -> (Row<'static>, Row<'static>)) -> Vec<Pattern> {
        let rows: Vec<_> = (0..40).map(pair).collect();
        let pairs: Vec<Pair<'_>> = rows.iter().map(|(e, a)| (e, a)).collect();
        let columns = ["id", "amount", "name"].map(str::to_owned);
        patterns(&pairs, &columns)
    }

    fn row(id: i64, amount: String, name: String) -> Row<'static> {
        vec![
            Cell::Int(id.into()),
            Cell::Numeric(amount.into()),
            Cell::Text(name.into()),
        ]
    }

    fn plain(id: i64) -> Row<'static> {
        row(id, format!("{id}.50"), format!("Name {id}"))
    }

    #[test]
    fn a_column_that_is_computed_in_one_way() {
        let hundredfold = |id| (plain(id), row(id, format!("{id}50"), format!("Name {id}")));
        let patterns = found(hundredfold);
        assert_eq!(patterns.len(), 1);
        assert!(patterns[0].is_computed());
        assert_eq!(
            patterns[0].to_string(),
            "amount is 100 times what it should be"
        );
        let both = |id| {
            (
                plain(id),
                row(id, format!("{}.50", id + 7), format!("NAME {id}")),
            )
        };
        let said = found(both)[0].to_string();
        assert_eq!(
            said,
            "amount is what it should be and 7 more, name is in capitals"
        );
        let named = |id: i64, name: String| row(id, format!("{id}.50"), name);
        let cut = |id| {
            let whole = named(id, format!("Na{id:02}me"));
            (whole, named(id, format!("Na{id:02}")))
        };
        assert_eq!(found(cut)[0].to_string(), "name is cut after 4 characters");
    }

    #[test]
    fn what_a_hand_does_is_not_computed() {
        let set = |id| (plain(id), row(id, format!("{id}.50"), "gone".to_owned()));
        let patterns = found(set);
        assert_eq!(patterns[0].to_string(), "name is the same everywhere");
        assert!(!patterns[0].is_computed());
        let scattered = |id: i64| {
            (
                plain(id),
                row(
                    id,
                    format!("{}.75", (id * 7_919) % 997),
                    format!("Name {id}"),
                ),
            )
        };
        assert!(!found(scattered)[0].is_computed());
        let few = |id| {
            if id < 10 {
                (plain(id), row(id, "0".to_owned(), String::new()))
            } else {
                (plain(id), plain(id))
            }
        };
        assert!(found(few).is_empty());
    }
}
