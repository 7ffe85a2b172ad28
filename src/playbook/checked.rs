//! The checked playbook: plain data that holds together, ready to be wired.
//!
//! Whatever these types can express has passed every check that needs no connection.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::events::{Fill, Form, On};
use super::secret::{DatabaseUrl, Properties, RegistryUrl};

/// A playbook without a problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Playbook {
    /// The name that runs, locks and reports carry.
    pub name: String,
    /// The file that it was read from, as it was named.
    pub file: PathBuf,
    /// The system of record.
    pub primary: Database,
    /// The database that holds the views.
    pub read_store: DatabaseUrl,
    /// Where the primary's changes can be read.
    pub log: Log,
    /// The schema registry whose ids its records are framed with (`log.registry`), if they are.
    pub registry: Option<RegistryUrl>,
    /// How to tell how far the log has the primary; without it less can be called drift.
    pub captured: Option<Captured>,
    /// How to tell how far the projector has applied the log.
    pub applied: Applied,
    /// The tables of the primary and their topics, in the order written; never empty.
    pub sources: Vec<Source>,
    /// The tables of the read store, in the order written; never empty.
    pub views: Vec<View>,
    /// How the projector is paused and resumed around a swap.
    pub cutover: Option<Cutover>,
    /// What a plan may at most change.
    pub limits: Limits,
    /// A scratch database for the staged tables of query views; without it they are staged in the read store.
    pub staging: Option<DatabaseUrl>,
    /// Where this playbook's snapshots are.
    pub snapshots: Snapshots,
}

/// Where the snapshots of a playbook are: below what was written, and named like the playbook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Snapshots {
    /// A folder.
    Folder(PathBuf),
    /// A prefix of an object store, `s3://bucket/prefix` or `file:///folder`; it holds no secrets.
    Url(String),
}

impl Snapshots {
    /// Those of the playbook of this name.
    #[must_use]
    pub(super) fn of(self, playbook: &str) -> Snapshots {
        match self {
            Snapshots::Folder(folder) => Snapshots::Folder(folder.join(playbook)),
            Snapshots::Url(url) => Snapshots::Url(format!("{url}/{playbook}")),
        }
    }
}

/// The primary: where it is written, and where heavy reads should go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// The primary itself. Repairs are read from here, never from a replica.
    pub url: DatabaseUrl,
    /// A replica of the same kind for the heavy reads.
    pub read_url: Option<DatabaseUrl>,
}

/// Where records come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Log {
    /// A Kafka cluster.
    Kafka {
        /// `host:port,…`
        brokers: String,
        /// Any librdkafka property.
        properties: Properties,
    },
    /// Recorded topics as files, relative to the playbook's folder resolved; never empty.
    Archive(Vec<PathBuf>),
}

/// How far the log has the primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Captured {
    /// The connector's replication slot on the primary.
    Slot(String),
}

/// How far the projector is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The projector's consumer group, which commits what it has applied.
    ConsumerGroup(String),
    /// A SELECT over the read store that yields topic, partition and next offset.
    Checkpoint(String),
    /// A promise: lag never exceeds this.
    Within(Duration),
    /// No projector writes these tables.
    None,
}

/// A table of the primary and the topic that carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name that views use.
    pub name: String,
    /// The topic.
    pub topic: String,
    /// The table, as written or as the topic names it; of events the topic's own name.
    pub table: TableName,
    /// How its records are written.
    pub format: Format,
    /// The field that orders changes of one key (`updated_at`, or `source.lsn`), if the choice
    /// is not left to the plan.
    pub order_by: Option<String>,
    /// Named epoch breaks, oldest first: for each partition the first offset of the next epoch.
    pub epochs: Vec<BTreeMap<i32, i64>>,
    /// Properties of the connector that wrote its topic, by the connector's own names.
    pub debezium: Vec<(String, String)>,
    /// Columns and their types as a database writes them, for what no catalog can be asked.
    pub types: Vec<(String, String)>,
    /// The columns that name a row, likewise, and of a table without a primary key; never empty.
    pub key: Option<Vec<String>>,
    /// The line that it stands on.
    pub line: usize,
}

/// How a source's records are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Debezium's change events.
    Debezium,
    /// Domain events, which are of no table.
    Events(Form),
}

/// A table of the read store.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The name in commands and reports.
    pub name: String,
    /// The table.
    pub table: TableName,
    /// The columns of `table` that name a row; never empty, and each of them a plain column.
    pub key: Vec<String>,
    /// The SQL condition that bounds the part of `table` that this view owns.
    pub scope: Option<String>,
    /// Columns of `table` that are not compared exactly; none of them of the key.
    pub compare: Vec<(String, Compare)>,
    /// Where its rows come from.
    pub kind: ViewKind,
    /// The line that it stands on.
    pub line: usize,
}

/// Where the rows of a view come from.
#[derive(Clone, Debug, PartialEq)]
pub enum ViewKind {
    /// A copy: columns renamed, rows filtered, nothing computed.
    Copy {
        /// The name of its source.
        from: String,
        /// Column of the source and what it must be; all must hold.
        filter: Vec<(String, Test)>,
        /// Column of the table and what fills it; `None` means that every column is filled by the one of the same
        /// name.
        columns: Option<Vec<(String, Origin)>>,
    },
    /// Rows that domain events make.
    Events {
        /// The name of its source.
        from: String,
        /// Column of the table and what fills it, whatever the event's type; the key's columns are filled by events.
        columns: Vec<(String, Fill)>,
        /// Type of event, and what it does; never `"*"`.
        on: Vec<(String, On)>,
        /// Whether other types are ignored.
        ignores_others: bool,
        /// A SELECT over the primary that gives what the rows should be: its text, the file that holds it if it is not the
        /// playbook, and the line of that file on which it starts.
        expected: Option<(String, Option<PathBuf>, usize)>,
    },
    /// A query over the sources.
    Query {
        /// The SELECT, as it was written.
        text: String,
        /// The file that holds it, if it is not the playbook.
        file: Option<PathBuf>,
        /// The line of that file on which the text starts.
        text_line: usize,
        /// Columns of the table that the query does not give: each `@default` or `@foreign`.
        columns: Option<Vec<(String, Origin)>>,
        /// The instant that `now()` stands for: a timestamp with a zone.
        as_of: Option<String>,
        /// By source, the keys that its changed rows touch.
        touched_by: Vec<(String, TouchedBy)>,
    },
}

/// Which keys of a query view the changed rows of a source touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TouchedBy {
    /// Those in this column of the source.
    Column(String),
    /// Those that this SELECT gives.
    Query {
        /// The SELECT, as it was written.
        text: String,
        /// The line on which it starts.
        line: usize,
    },
}

/// How a column is compared, if not exactly.
#[derive(Clone, Debug, PartialEq)]
pub enum Compare {
    /// Arrays: in any order.
    Unordered,
    /// Text: the parts between this separator, in any order; never empty.
    Separated(String),
    /// Numbers: within this share of the larger magnitude, above 0 and below 1.
    Tolerance(f64),
}

/// What a filter asks of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// The value is one of these; never empty.
    AnyOf(Vec<Scalar>),
    /// The value is NULL.
    IsNull,
    /// The test within does not hold.
    Not(Box<Test>),
}

/// One written value. What is quoted, or holds a `${NAME}`, is text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "serde_yaml::Value")]
pub enum Scalar {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Any other number, as it was written: no digit is lost.
    Number(String),
    /// Text.
    Text(String),
}

/// What fills a column of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A column of the source.
    Column {
        /// Its name today.
        name: String,
        /// Its earlier names, which older records still use.
        former: Vec<String>,
    },
    /// `@offset`: the projector's bookkeeping, the record's offset.
    Offset,
    /// `@partition`: the projector's bookkeeping, the record's partition.
    Partition,
    /// `@lsn`: the projector's bookkeeping, the source position.
    Lsn,
    /// `@ts`: the projector's bookkeeping, a time of its own.
    Ts,
    /// `@default`: the database fills it.
    Default,
    /// `@foreign`: somebody else's; never compared, carried over by key at a swap.
    Foreign,
}

/// How the projector is stopped and started around a swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cutover {
    /// The command that pauses it.
    pub pause: String,
    /// The command that resumes it.
    pub resume: String,
    /// The longest pause, if not the usual one.
    pub pause_max: Option<Duration>,
    /// The role whose sessions must be gone before the swap.
    pub writer_role: Option<String>,
}

/// What a plan may at most change, and what its work may do to others; what is not given has a default elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// All repairs.
    pub repairs_max: Option<Bound>,
    /// Deletes among them.
    pub deletes_max: Option<Bound>,
    /// How far a replica may lag before work waits for it.
    pub replica_lag_max: Option<LagMax>,
}

/// A bound of the lag of replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LagMax {
    /// So long.
    Within(Duration),
    /// Replicas are not looked at.
    None,
}

/// A number of rows, or a share of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// So many rows.
    Rows(u64),
    /// So many in a hundred, from 0 to 100.
    Percent(f64),
}

/// A table's name, each part as the catalog spells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// The schema (MySQL: the database); `None` is the connection's default.
    pub schema: Option<String>,
    /// The table.
    pub name: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}
