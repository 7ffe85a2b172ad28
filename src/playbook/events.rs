//! What a playbook says of domain events, checked.

use super::checked::{Origin, Scalar};

/// Where the parts of an event are; what is not said, the envelope knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// The shape around it.
    pub envelope: Envelope,
    /// `type:` its type; of several places the first that is there.
    pub kind: Vec<Place>,
    /// `data:` its data, as a path through the record's value.
    pub data: Option<Vec<String>>,
    /// `id:` its id.
    pub id: Vec<Place>,
    /// `time:` its time.
    pub time: Vec<Place>,
}

/// The shape around an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// `plain`: the record's value is the event.
    Plain,
    /// `outbox`: Debezium's outbox event router.
    Outbox,
    /// `cloudevents`: CloudEvents in JSON.
    CloudEvents,
}

/// Where something of an event is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `customer.id`: a field of the event's data.
    Data(Vec<String>),
    /// `@value.meta`: a field of the record's value.
    Value(Vec<String>),
    /// `@key`, `@key.id`: the record's key, or a field of it.
    Key(Vec<String>),
    /// `header:name`
    Header(String),
    /// `@type`, `@id`, `@time`, and of CloudEvents any other attribute.
    Attribute(String),
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// The event: the first of these places that is there.
    Found {
        /// Never empty.
        places: Vec<Place>,
        /// What it means when none is.
        absent: Absent,
    },
    /// `{ value: … }`
    Literal(Scalar),
}

/// `absent:` what it means that an event does not have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Nothing said: the event cannot be read.
    Wrong,
    /// `null`
    Null,
    /// `keep`: the column is as it was.
    Keep,
}

/// What fills a column, whatever the event's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Every event.
    Event(Value),
    /// `@offset`, `@partition`, `@default` or `@foreign`.
    Besides(Origin),
}

/// What an event of one type does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum On {
    /// `set:` and `add:`, by column.
    Change {
        /// Columns that become a value.
        set: Vec<(String, Value)>,
        /// Columns that grow by a number; none of those that are set.
        add: Vec<(String, Term)>,
    },
    /// `delete`
    Delete,
    /// `ignore`
    Ignore,
}

/// What is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The number.
    pub value: Value,
    /// `-amount`: it is taken off.
    pub negative: bool,
}
