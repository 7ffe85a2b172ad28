//! What fills each column of a read table: by name, then by key, by likeness, by place; what is left is bookkeeping, a
//! default, or somebody else's.

use super::{Fill, Filled};
use crate::projection::cast;
use crate::projection::types::{Column, ColumnType};
use crate::store::{Catalog, CatalogColumn};

/// The shortest part of a name that makes two names alike.
const LIKE_CHARS_MIN: usize = 3;

/// What fills every column of `table` that is written, if it is a copy of `source`.
pub(super) fn fill(table: &Catalog, source: &Catalog) -> Vec<Filled> {
    let ours: Vec<&CatalogColumn> = table.columns.iter().filter(|c| !c.generated).collect();
    let mut matching = Matching {
        found: vec![None; ours.len()],
        used: vec![false; source.columns.len()],
        kept: ours.iter().map(|c| bookkeeping(&c.column)).collect(),
        ours,
        table,
        source,
    };
    matching.by_name();
    matching.by_key();
    matching.by_likeness();
    matching.by_place();
    matching.filled()
}

/// Two tables being laid side by side.
struct Matching<'a> {
    ours: Vec<&'a CatalogColumn>,
    table: &'a Catalog,
    source: &'a Catalog,
    /// For each of our columns that of the source, and why, when it is a guess.
    found: Vec<Option<(usize, Option<&'static str>)>>,
    /// Columns of the source that have been found.
    used: Vec<bool>,
    /// What our columns would be if they are bookkeeping.
    kept: Vec<Option<Fill>>,
}

impl Matching<'_> {
    fn take(&mut self, ours: usize, theirs: usize, guessed: Option<&'static str>) {
        self.found[ours] = Some((theirs, guessed));
        self.used[theirs] = true;
    }

    fn theirs(&self, at: usize) -> &Column {
        &self.source.columns[at].column
    }

    /// The first column of the source that is free and passes.
    fn free(&self, passes: impl Fn(&Column) -> bool) -> Option<usize> {
        (0..self.used.len()).find(|at| !self.used[*at] && passes(self.theirs(*at)))
    }

    /// The very name first, so that no other spelling takes its place.
    fn by_name(&mut self) {
        let spelled = "the same name, spelled differently";
        for guessed in [None, Some(spelled)] {
            for at in 0..self.ours.len() {
                let ours = &self.ours[at].column;
                let named = |theirs: &Column| match guessed {
                    None => theirs.name == ours.name,
                    Some(_) => same(&theirs.name, &ours.name),
                };
                let fits = |theirs: &Column| named(theirs) && cast::takes(&ours.kind, &theirs.kind);
                if self.found[at].is_none()
                    && let Some(theirs) = self.free(fits)
                {
                    self.take(at, theirs, guessed);
                }
            }
        }
    }

    /// What is left of one key holds what is left of the other.
    fn by_key(&mut self) {
        let ours = |name: &String| self.ours.iter().position(|c| c.column.name == *name);
        let ours = self.table.primary_key.iter().filter_map(ours);
        let ours: Vec<usize> = ours.filter(|at| self.found[*at].is_none()).collect();
        let theirs = |name: &String| self.free(|c| c.name == *name);
        let theirs: Vec<usize> = self.source.primary_key.iter().filter_map(theirs).collect();
        let akin = ours
            .iter()
            .zip(&theirs)
            .all(|(o, t)| akin(&self.ours[*o].column.kind, &self.theirs(*t).kind));
        if ours.len() == theirs.len() && akin {
            for (ours, theirs) in ours.into_iter().zip(theirs) {
                self.take(ours, theirs, Some("renamed; both are the key"));
            }
        }
    }

    fn by_likeness(&mut self) {
        for at in 0..self.ours.len() {
            if self.found[at].is_some() || self.kept[at].is_some() {
                continue;
            }
            let ours = &self.ours[at].column;
            let fits =
                |theirs: &Column| alike(&theirs.name, &ours.name) && akin(&theirs.kind, &ours.kind);
            if let Some(theirs) = self.free(fits) {
                self.take(at, theirs, Some("renamed; the names are alike"));
            }
        }
    }

    /// Between two neighbours that are known, columns of the same types in the same order.
    fn by_place(&mut self) {
        let mut from = 0;
        while from < self.ours.len() {
            let to = (from..self.ours.len())
                .find(|at| self.found[*at].is_some())
                .unwrap_or(self.ours.len());
            let below = from.checked_sub(1).and_then(|at| self.found[at]);
            let above = self.found.get(to).copied().flatten();
            let start = below.map_or(0, |(at, _)| at + 1);
            let end = above.map_or(self.used.len(), |(at, _)| at);
            let theirs: Vec<usize> = (start..end).filter(|at| !self.used[*at]).collect();
            // A column that the database or the projector fills has no need of a source.
            let ours = (from..to).filter(|at| !self.ours[*at].has_default);
            let ours: Vec<usize> = ours.filter(|at| self.kept[*at].is_none()).collect();
            let akin = ours
                .iter()
                .zip(&theirs)
                .all(|(o, t)| akin(&self.ours[*o].column.kind, &self.theirs(*t).kind));
            // Columns of our own are added behind; one alone of theirs says too little of where it went.
            let enough = ours.len() == theirs.len() || (2..ours.len()).contains(&theirs.len());
            if enough && akin {
                for (ours, theirs) in ours.into_iter().zip(theirs) {
                    self.take(
                        ours,
                        theirs,
                        Some("renamed; the same type in the same place"),
                    );
                }
            }
            from = to + 1;
        }
    }

    fn filled(&self) -> Vec<Filled> {
        let fill = |(at, ours): (usize, &&CatalogColumn)| {
            let (by, guessed) = match (self.found[at], &self.kept[at]) {
                (Some((theirs, guessed)), _) => (
                    Fill::Source(self.theirs(theirs).name.clone()),
                    guessed.map(str::to_owned),
                ),
                (None, Some(kept)) => (kept.clone(), Some("by its name and type".to_owned())),
                (None, None) if ours.has_default => (
                    Fill::Default,
                    Some(self.nothing_fits(ours) + ", and it has a default"),
                ),
                (None, None) => (Fill::Foreign, Some(self.nothing_fits(ours))),
            };
            Filled {
                name: ours.column.name.clone(),
                by,
                guessed,
            }
        };
        self.ours.iter().enumerate().map(fill).collect()
    }

    fn nothing_fits(&self, ours: &CatalogColumn) -> String {
        let (name, kind) = (&ours.column.name, &ours.column.kind);
        match self.source.column(name) {
            Some(theirs) if !cast::takes(kind, &theirs.column.kind) => format!(
                "{name} of {} is {}, which {kind} does not take",
                self.source.table, theirs.column.kind
            ),
            _ => format!("nothing of {} fits", self.source.table),
        }
    }
}

/// What a column is for when it holds a projector's own notes, told by the words of its name. The notes are whole numbers.
fn bookkeeping(column: &Column) -> Option<Fill> {
    let whole = matches!(
        column.kind,
        ColumnType::Int { bits: 32.., .. } | ColumnType::Numeric { .. }
    );
    let words = words(&column.name);
    let has = |word: &str| words.iter().any(|w| w == word);
    let last = words.last()?.as_str();
    let named = |these: &[&str]| these.contains(&words.join("_").as_str());
    // An offset from UTC is none of a topic.
    let of_time = ["utc", "tz", "timezone", "zone", "gmt", "time"]
        .iter()
        .any(|w| has(w));
    if !whole {
        return None;
    }
    match last {
        "offset" if !of_time => Some(Fill::Offset),
        "partition" => Some(Fill::Partition),
        "lsn" => Some(Fill::Lsn),
        "ts" | "timestamp"
            if has("kafka") || has("applied") || has("event") || words.len() == 1 =>
        {
            Some(Fill::Clock)
        }
        _ if named(&[
            "ts_ms",
            "source_ts_ms",
            "kafka_ts_ms",
            "event_ts_ms",
            "applied_ts_ms",
        ]) =>
        {
            Some(Fill::Clock)
        }
        _ => None,
    }
}

/// Whether two types hold the same kind of thing.
fn akin(a: &ColumnType, b: &ColumnType) -> bool {
    use ColumnType::{
        Array, Float32, Float64, Int, Numeric, Other, Text, Time, Timestamp, TimestampTz,
    };
    match (a, b) {
        (Int { .. } | Numeric { .. }, Int { .. } | Numeric { .. })
        | (Float32 | Float64, Float32 | Float64)
        | (Text { .. }, Text { .. })
        | (Time { .. }, Time { .. })
        | (Timestamp { .. } | TimestampTz { .. }, Timestamp { .. } | TimestampTz { .. }) => true,
        (Array(a), Array(b)) => akin(a, b),
        (Other(a), Other(b)) => a == b,
        (a, b) => a == b,
    }
}

/// The words of a name, in lower case: `orderId` and `order_id` have two.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_small) {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        was_small = c.is_lowercase() || c.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether two names are one but for case and separators.
pub(super) fn same(a: &str, b: &str) -> bool {
    a == b || (words(a).concat() == words(b).concat() && !words(a).is_empty())
}

/// Whether one name holds the other, or both share a telling word: `balance` and `abalance`, `orders` and `order_list`.
pub(super) fn alike(a: &str, b: &str) -> bool {
    let singular = |name: &str| -> Vec<String> {
        let cut = |w: String| w.strip_suffix('s').map_or(w.clone(), str::to_owned);
        words(name).into_iter().map(cut).collect()
    };
    let (a, b) = (singular(a), singular(b));
    let (joined_a, joined_b) = (a.concat(), b.concat());
    let (short, long) = if joined_a.len() <= joined_b.len() {
        (&joined_a, &joined_b)
    } else {
        (&joined_b, &joined_a)
    };
    let telling = |word: &str| word.chars().count() >= LIKE_CHARS_MIN;
    telling(short) && (long.starts_with(short.as_str()) || long.ends_with(short.as_str()))
}
