//! What is read of a table or a query, and how it is described.

use std::fmt;

use super::TableName;
use crate::projection::change::Key;
use crate::projection::mapping::Test;
use crate::projection::types::{Column, ColumnType};

/// One column of a [`Scan`]: read as it is, or cast by the database to another type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Column of the table.
    pub column: Column,
    /// Type to cast it to; `None` reads it as it is.
    pub cast: Option<ColumnType>,
}

impl Output {
    /// The type of the cells that come out.
    #[must_use]
    pub fn kind(&self) -> &ColumnType {
        self.cast.as_ref().unwrap_or(&self.column.kind)
    }
}

/// What a scan reads from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relation {
    /// A table.
    Table(TableName),
    /// A SELECT in the database's own SQL.
    Query {
        /// The name that its rows have in the statement: the view's.
        name: String,
        /// Its text.
        text: String,
    },
}

impl Relation {
    /// The table, where it is one.
    #[must_use]
    pub fn table(&self) -> Option<&TableName> {
        match self {
            Relation::Table(table) => Some(table),
            Relation::Query { .. } => None,
        }
    }

    /// The name by which a statement that reads it calls its columns.
    #[must_use]
    pub fn alias(&self) -> &str {
        match self {
            Relation::Table(table) => &table.name,
            Relation::Query { name, .. } => name,
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Relation::Table(table) => table.fmt(f),
            Relation::Query { name, .. } => write!(f, "the query of {name}"),
        }
    }
}

/// A column that a query gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// Its type, where the database knows it before it has run.
    pub kind: Option<ColumnType>,
}

/// Which rows and columns of a table or query are read; the SQL twin of a view's mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// What is read.
    pub relation: Relation,
    /// What is read, in this order.
    pub outputs: Vec<Output>,
    /// Which outputs are the key; rows come ordered by it.
    pub key: Vec<usize>,
    /// All of these hold for every row read.
    pub filter: Vec<(Column, Test)>,
    /// A condition in the database's own SQL, put in brackets beside the filter.
    pub scope: Option<String>,
    /// Half-open: from this key on; `None` is the first.
    pub from: Option<Key<'static>>,
    /// Half-open: up to before this key; `None` is after the last.
    pub to: Option<Key<'static>>,
}

/// Count and mixed hash of the rows of a scan. Equal digests of two stores that may be compared
/// ([`super::Acts::digest_dialect`]) mean equal rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Rows.
    pub rows: u64,
    /// Sum of the mixed row hashes, as text.
    pub sum: String,
}
