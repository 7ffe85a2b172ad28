//! The ways to find and repair drift. Each `plan` only reads; each `execute` takes a `WritePermit`. They share the loop of
//! `load` and the comparison of `verify`, and know no YAML.

pub mod bounds;
pub mod compare;
pub mod doctor;
pub mod draft;
pub mod explain;
pub mod fingerprint;
pub mod lag;
pub mod load;
pub mod pace;
pub mod reconcile;
pub mod replay;
pub mod rollback;
pub mod settle;
pub mod snapshot;
pub mod tally;
pub mod undo;
pub mod verify;
pub mod weigh;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::OnceCell;

use crate::projection::decode::events::{EventDecoder, Events};
use crate::projection::decode::{AnyDecoder, Decoder, Settings, Source};
use crate::projection::mapping::Mapping;
use crate::projection::query::Query;
use crate::projection::query::TouchedBy;
use crate::projection::rule::Rule;
use crate::projection::start::Start;
use crate::projection::version::Guard;
use crate::store::{Acts, Catalog, Relation, Store, TableName};
use crate::stream::{Log, StreamError};
use pace::Pace;

/// How far the projector is, as far as the playbook says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// A Kafka consumer group commits it.
    ConsumerGroup(String),
    /// A query over the read store tells it.
    Checkpoint(String),
    /// Lag never exceeds this; the operator's promise.
    Within(Duration),
    /// No projector writes these tables.
    None,
}

/// A source, as far as a strategy needs it.
#[derive(Clone, Debug)]
pub struct SourcePart {
    /// Its name in the playbook.
    pub name: String,
    /// Its topic.
    pub topic: String,
    /// Its table in the primary; without a column where it carries events, which are of none.
    pub table: Catalog,
    /// The field that the playbook orders by.
    pub order_by: Option<String>,
    /// Epochs of the playbook: partition to first offset of the next one.
    pub epochs: Vec<BTreeMap<i32, i64>>,
    /// How the connector that writes its topic was set up.
    pub settings: Settings,
}

impl SourcePart {
    /// Whether it is a table of the primary.
    #[must_use]
    pub fn is_table(&self) -> bool {
        !self.table.columns.is_empty()
    }
}

/// A view, wired to the catalogs of both databases.
#[derive(Clone, Debug)]
pub struct View {
    /// Its name in the playbook.
    pub name: String,
    /// What its rows come from.
    pub origin: Origin,
    /// Its table in the read store.
    pub table: Catalog,
    /// How a row of its origin becomes its row.
    pub mapping: Mapping,
    /// How each compared column is compared; empty when all are exact.
    pub rules: Vec<Rule>,
    /// Columns of its table that are never compared and carried over by key.
    pub carried: Vec<String>,
    /// The condition that says which part of the table is its own.
    pub scope: Option<String>,
}

/// What the rows of a view come from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// One source's rows, one each.
    Copy {
        /// The source.
        source: SourcePart,
        /// Former names of source columns, with their place among the mapping's source columns.
        former: Vec<(String, usize)>,
    },
    /// Domain events of one source, folded. The columns that they fill come first in the mapping, in the order of theirs.
    Events {
        /// The source.
        source: SourcePart,
        /// What they do.
        events: Box<Events>,
        /// What the rows should be by the primary, where the playbook says how to ask it.
        expected: Option<Expectation>,
    },
    /// A SELECT over sources; the mapping begins at the columns that it gives.
    Query {
        /// The SELECT.
        query: Query,
        /// The sources that it reads; never empty.
        sources: Vec<SourcePart>,
        /// What the playbook says of the keys that changes of a source touch, by source.
        touched_by: BTreeMap<String, TouchedBy>,
    },
}

/// A SELECT over the primary that gives what the rows of a view of events should be.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Its text.
    pub text: String,
    /// Ids of the tables that it reads, as far as they are known.
    pub tables: Vec<i64>,
    /// How its rows become those that are compared; `None` while the primary does not answer.
    pub mapping: Option<Box<Mapping>>,
}

impl View {
    /// What reads its records; `None` for a query, whose rows are no records.
    #[must_use]
    pub fn decoder(&self, guard: Guard) -> Option<AnyDecoder> {
        if let Origin::Events { events, .. } = &self.origin {
            let decoder = EventDecoder::new(events.as_ref().clone(), guard);
            return Some(AnyDecoder::Events(Box::new(decoder)));
        }
        let decoder = Decoder::new(self.decoded()?, guard);
        Some(AnyDecoder::Rows(Box::new(decoder)))
    }

    /// Where its rows begin; `None` where each record has all of its row.
    #[must_use]
    pub fn start(&self) -> Option<Start> {
        let Origin::Events { events, .. } = &self.origin else {
            return None;
        };
        let besides = self.mapping.columns.iter().skip(events.columns.len());
        Some(events.start(besides.map(|t| t.column.clone())))
    }

    /// How a row of the primary becomes one that is compared.
    #[must_use]
    pub fn compared(&self) -> Mapping {
        match &self.origin {
            Origin::Events {
                expected:
                    Some(Expectation {
                        mapping: Some(mapping),
                        ..
                    }),
                ..
            } => (**mapping).clone(),
            _ => self.mapping.compared(),
        }
    }

    /// Why it cannot be compared with the primary; `None` when it can.
    #[must_use]
    pub fn incomparable(&self) -> Option<String> {
        let of_events = matches!(&self.origin, Origin::Events { expected: None, .. });
        of_events.then(|| {
            format!(
                "view {} is made of events, and nothing says what its rows should be: give it `expected:`, a SELECT over the primary",
                self.name
            )
        })
    }

    /// Its source as the decoder of rows needs it; `None` where its records are no rows, or its rows no records.
    #[must_use]
    pub fn decoded(&self) -> Option<Source> {
        match &self.origin {
            Origin::Copy { source, former } => Some(Source {
                name: source.name.clone(),
                columns: self.mapping.source.clone(),
                key: self.mapping.source_key.clone(),
                former: former.clone(),
                computed: computed(source, &self.mapping),
                settings: source.settings.clone(),
            }),
            Origin::Events { .. } | Origin::Query { .. } => None,
        }
    }

    /// The sources that its rows come from.
    #[must_use]
    pub fn sources(&self) -> &[SourcePart] {
        match &self.origin {
            Origin::Copy { source, .. } | Origin::Events { source, .. } => {
                std::slice::from_ref(source)
            }
            Origin::Query { sources, .. } => sources,
        }
    }

    /// What its rows are read from, where each source is a table of `store`.
    #[must_use]
    pub fn relation(&self, store: &Store, table: impl Fn(&SourcePart) -> TableName) -> Relation {
        match &self.origin {
            Origin::Copy { source, .. } => Relation::Table(table(source)),
            Origin::Events { expected, .. } => Relation::Query {
                name: self.name.clone(),
                text: expected
                    .as_ref()
                    .map_or_else(String::new, |e| e.text.clone()),
            },
            Origin::Query { query, sources, .. } => {
                let spelled = |name: &str| {
                    let source = sources.iter().find(|s| s.name == name);
                    source.map_or_else(String::new, |s| store.spelled(&table(s)))
                };
                Relation::Query {
                    name: self.name.clone(),
                    text: query.over(spelled),
                }
            }
        }
    }
}

/// The places of the columns that the source's table computes.
fn computed(source: &SourcePart, mapping: &Mapping) -> Vec<usize> {
    let is = |name: &str| source.table.column(name).is_some_and(|c| c.generated);
    let columns = mapping.source.iter().enumerate();
    columns
        .filter(|(_, c)| is(&c.name))
        .map(|(at, _)| at)
        .collect()
}

/// How far the log has the primary, as far as the playbook says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Captured {
    /// The connector confirms it in this replication slot.
    Slot(String),
    /// Nothing says it.
    Unknown,
}

/// Opens the log. It may block.
pub type OpenLog = Box<dyn Fn() -> Result<Log, StreamError> + Send + Sync>;

/// The systems that a playbook names, opened.
pub struct Systems {
    /// The primary, read-only; for heavy reads perhaps a replica of it.
    pub primary: Store,
    /// The primary itself, where `primary` is a replica.
    pub origin: Option<Store>,
    /// The read store.
    pub read_store: Store,
    /// The database that sources are staged in, where it is not the read store.
    pub scratch: Option<Store>,
    /// How far the log has the primary.
    pub captured: Captured,
    /// How far the projector is.
    pub applied: Applied,
    /// How fast work may go on.
    pub pace: Arc<Pace>,
    log: OnceCell<Arc<Log>>,
    open_log: Arc<OpenLog>,
}

impl Systems {
    /// Systems whose log is opened when it is first needed.
    #[must_use]
    pub fn new(
        (primary, origin): (Store, Option<Store>),
        (read_store, scratch): (Store, Option<Store>),
        captured: Captured,
        applied: Applied,
        open_log: OpenLog,
    ) -> Systems {
        Systems {
            primary,
            origin,
            read_store,
            scratch,
            captured,
            applied,
            pace: Arc::default(),
            log: OnceCell::new(),
            open_log: Arc::new(open_log),
        }
    }

    /// The log, shared with the threads that read it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn log(&self) -> Result<Arc<Log>> {
        let open = || async {
            let open = Arc::clone(&self.open_log);
            blocking(move || open()).await.map(Arc::new)
        };
        self.log.get_or_try_init(open).await.map(Arc::clone)
    }

    /// Where sources are staged.
    #[must_use]
    pub fn staging(&self) -> &Store {
        self.scratch.as_ref().unwrap_or(&self.read_store)
    }

    /// Where the connector reads the primary.
    #[must_use]
    pub fn capture_side(&self) -> &Store {
        self.origin.as_ref().unwrap_or(&self.primary)
    }
}

/// Runs what blocks (the log's clients do) off the task.
///
/// # Errors
/// Those of `f`.
pub async fn blocking<T: Send + 'static, E: Into<anyhow::Error> + Send + 'static>(
    f: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(f).await?.map_err(Into::into)
}

/// A safety check that said no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Refused(pub Vec<String>);

impl Refused {
    /// One reason.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> Refused {
        Refused(vec![reason.into()])
    }
}

/// The operator stopped the run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{state}")]
pub struct Interrupted {
    /// What state things are in, and how to go on.
    pub state: String,
}

/// A broken promise of trueup itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; please report this as a bug in trueup")]
pub struct Bug(pub String);
