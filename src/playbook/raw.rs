//! What was written, section by section, as serde reads it: nothing is checked or derived here.
//!
//! serde stops at its first error, so no field may fail: each is a [`Field`], which keeps the
//! error for `check` to report. What each key means stands in `checked`. These structs have no
//! `Debug`, for what they hold may be secret.

use serde::Deserialize;
use serde_yaml::Value;

use super::checked::Scalar;
use super::shape::{Entries, Field, Section, Shape, Text, Texts};

/// The whole file.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Playbook {
    pub(super) version: Field<Scalar>,
    pub(super) name: Field<Text>,
    pub(super) primary: Field<Section<Primary>>,
    pub(super) read_store: Field<Section<ReadStore>>,
    pub(super) log: Field<Section<Log>>,
    pub(super) captured: Field<Section<Captured>>,
    pub(super) applied: Field<Applied>,
    pub(super) sources: Field<Entries<Section<Source>>>,
    pub(super) views: Field<Entries<Section<View>>>,
    pub(super) cutover: Field<Section<Cutover>>,
    pub(super) limits: Field<Section<Limits>>,
    pub(super) staging: Field<Section<Staging>>,
    pub(super) snapshots: Field<Text>,
}

/// `primary:`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Primary {
    pub(super) url: Field<Text>,
    pub(super) read_url: Field<Text>,
}

/// `read_store:`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ReadStore {
    pub(super) url: Field<Text>,
}

/// `staging:`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Staging {
    pub(super) url: Field<Text>,
}

/// `log:`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Log {
    pub(super) kafka: Field<Section<Kafka>>,
    pub(super) archive: Field<Texts>,
    pub(super) registry: Field<Section<Registry>>,
}

/// `log.registry:`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Registry {
    pub(super) url: Field<Text>,
}

/// `log.kafka:`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Kafka {
    pub(super) brokers: Field<Text>,
    pub(super) properties: Field<Entries<Scalar>>,
}

/// `captured:`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Captured {
    pub(super) slot: Field<Text>,
    pub(super) heartbeat: Field<Text>,
}

/// `applied:` is a word or a section.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
pub(super) enum Applied {
    Word(String),
    How(Section<AppliedHow>),
}

/// `applied:` as a section.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AppliedHow {
    pub(super) consumer_group: Field<Text>,
    pub(super) checkpoint: Field<Text>,
    pub(super) within: Field<Scalar>,
}

/// One of `sources:`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Source {
    pub(super) topic: Field<Text>,
    pub(super) table: Field<Text>,
    pub(super) format: Field<Text>,
    pub(super) order_by: Field<Text>,
    pub(super) epochs: Field<Vec<Field<Entries<Scalar>>>>,
    pub(super) types: Field<Entries<Text>>,
    pub(super) key: Field<Texts>,
    pub(super) debezium: Field<Entries<Scalar>>,
    pub(super) envelope: Field<Text>,
    #[serde(rename = "type")]
    pub(super) kind: Field<Texts>,
    pub(super) data: Field<Text>,
    pub(super) id: Field<Texts>,
    pub(super) time: Field<Texts>,
}

/// What a source says of the shape of its events.
pub(super) struct Form {
    pub(super) envelope: Field<Text>,
    pub(super) kind: Field<Texts>,
    pub(super) data: Field<Text>,
    pub(super) id: Field<Texts>,
    pub(super) time: Field<Texts>,
}

impl Source {
    /// Takes out what is said of events.
    pub(super) fn take_form(&mut self) -> Form {
        Form {
            envelope: std::mem::take(&mut self.envelope),
            kind: std::mem::take(&mut self.kind),
            data: std::mem::take(&mut self.data),
            id: std::mem::take(&mut self.id),
            time: std::mem::take(&mut self.time),
        }
    }
}

/// One of `views:`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct View {
    pub(super) table: Field<Text>,
    pub(super) key: Field<Texts>,
    pub(super) from: Field<Text>,
    #[serde(rename = "where")]
    pub(super) filter: Field<Entries<Test>>,
    pub(super) columns: Field<Entries<Texts>>,
    pub(super) scope: Field<Text>,
    pub(super) query: Field<Query>,
    pub(super) as_of: Field<Text>,
    pub(super) compare: Field<Entries<Compare>>,
    pub(super) touched_by: Field<Entries<Text>>,
    pub(super) on: Field<Entries<On>>,
    pub(super) expected: Field<Query>,
}

/// What an event does: a word or a section.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
pub(super) enum On {
    Word(String),
    Does(Section<Does>),
}

/// What an event does, as a section.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Does {
    pub(super) set: Field<Entries<Said>>,
    pub(super) add: Field<Entries<Said>>,
}

/// What an event says of a column: places, or a section.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
pub(super) enum Said {
    Places(Texts),
    How(Section<SaidHow>),
}

/// What an event says of a column, as a section.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SaidHow {
    pub(super) value: Field<Scalar>,
    pub(super) field: Field<Texts>,
    pub(super) absent: Field<Scalar>,
}

/// `query:` is the text, or where to find it.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
pub(super) enum Query {
    Text(String),
    In(Section<QueryFile>),
}

/// `{ file: … }`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct QueryFile {
    pub(super) file: Field<Text>,
}

/// How one column is compared: a word or a section.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
pub(super) enum Compare {
    Word(String),
    How(Section<CompareHow>),
}

/// How one column is compared, as a section.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct CompareHow {
    pub(super) unordered: Field<Text>,
    pub(super) tolerance: Field<Scalar>,
}

/// What `where:` asks of one column.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
pub(super) enum Test {
    Is(Scalar),
    OneOf(Vec<Field<Scalar>>),
    Section(Section<Not>),
}

/// `{ not: … }`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Not {
    pub(super) not: Field<Box<Test>>,
}

/// `cutover:`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Cutover {
    pub(super) pause: Field<Text>,
    pub(super) resume: Field<Text>,
    pub(super) pause_max: Field<Scalar>,
    pub(super) writer_role: Field<Text>,
}

/// `limits:`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Limits {
    pub(super) repairs_max: Field<Scalar>,
    pub(super) deletes_max: Field<Scalar>,
    pub(super) replica_lag_max: Field<Scalar>,
}

impl Shape for Applied {
    const NAME: &'static str = "a word or a map of keys";
    const FIX: &'static str = "write `none`, or one key such as `{ within: 30s }`";
}

impl TryFrom<Value> for Applied {
    type Error = serde_yaml::Error;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match value {
            Value::String(word) => Ok(Self::Word(word)),
            other => serde_yaml::from_value(other).map(Self::How),
        }
    }
}

impl Shape for On {
    const NAME: &'static str = "a word or a map of keys";
    const FIX: &'static str = "write `delete`, `ignore`, or `{ set: { … }, add: { … } }`";
}

impl TryFrom<Value> for On {
    type Error = serde_yaml::Error;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match value {
            Value::String(word) => Ok(Self::Word(word)),
            other => serde_yaml::from_value(other).map(Self::Does),
        }
    }
}

impl Shape for Said {
    const NAME: &'static str = "a field, a list of fields or a map of keys";
    const FIX: &'static str = "write `customer.id`, or `{ value: placed }` for a value of your own";
}

impl TryFrom<Value> for Said {
    type Error = serde_yaml::Error;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match value {
            Value::Mapping(_) => serde_yaml::from_value(value).map(Self::How),
            other => Texts::try_from(other).map(Self::Places),
        }
    }
}

impl Shape for Query {
    const NAME: &'static str = "a SELECT, or `{ file: … }`";
    const FIX: &'static str = "write `query: |` and the SELECT on the lines below, indented";
}

impl TryFrom<Value> for Query {
    type Error = serde_yaml::Error;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match value {
            Value::String(text) => Ok(Self::Text(text)),
            other => serde_yaml::from_value(other).map(Self::In),
        }
    }
}

impl Shape for Compare {
    const NAME: &'static str = "a word or a map of keys";
    const FIX: &'static str = "write `unordered`, `{ unordered: \", \" }` or `{ tolerance: 1e-9 }`";
}

impl TryFrom<Value> for Compare {
    type Error = serde_yaml::Error;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match value {
            Value::String(word) => Ok(Self::Word(word)),
            other => serde_yaml::from_value(other).map(Self::How),
        }
    }
}

impl Shape for Test {
    const NAME: &'static str = "a value, a list of values or `{ not: … }`";
    const FIX: &'static str = "quote the value";
}

impl TryFrom<Value> for Test {
    type Error = serde_yaml::Error;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match value {
            Value::Sequence(_) => serde_yaml::from_value(value).map(Self::OneOf),
            Value::Mapping(_) => serde_yaml::from_value(value).map(Self::Section),
            other => serde_yaml::from_value(other).map(Self::Is),
        }
    }
}
