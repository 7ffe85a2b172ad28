//! Every form that Debezium sends: records of the real connector, read to exactly the row that the primary has, or refused
//! with a reason; a table of all types through the real pipe; records damaged at random.

mod log;
mod mutations;
mod quarantine;
mod real;
mod recorded;
mod schema;
mod vectors;
