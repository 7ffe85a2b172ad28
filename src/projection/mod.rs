//! The projection engine: how a record becomes a row, and a row becomes a repair. Every strategy goes through it.
//!
//! It is pure and synchronous: no clock, no I/O, no driver types, nothing else of this crate. What needs I/O is fetched
//! first and handed in. To add an event format: one file under `decode`.

pub mod calendar;
pub mod cast;
pub mod cause;
pub mod cell;
pub mod change;
pub mod counts;
pub mod decode;
pub mod diff;
pub mod fold;
pub mod framed;
pub mod history;
pub mod json;
pub mod mapping;
pub mod numeric;
pub mod pasts;
pub mod pattern;
pub mod query;
pub mod record;
pub mod rule;
pub mod seen;
pub mod start;
pub mod text;
pub mod trace;
pub mod types;
pub mod version;
