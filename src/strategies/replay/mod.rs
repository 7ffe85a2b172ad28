//! Replay: the log, or a snapshot and the log after it, into shadows; query views derived from staged sources; all of it
//! checked against the primary and swapped in together. `plan` only reads, `run` writes.

pub(in crate::strategies) mod at_rest;
pub mod base;
mod caught_up;
pub mod check;
pub mod cutover;
pub mod derive;
pub(in crate::strategies) mod extents;
pub mod in_place;
mod losses;
pub mod options;
pub mod pipeline;
pub mod plan;
pub(in crate::strategies) mod projector;
pub mod run;
pub mod shape;
pub(in crate::strategies) mod suits;
pub mod touched;
pub(in crate::strategies) mod unfinished;

pub use cutover::{Cutover, Pausing};
pub use options::{Begin, Destination, Options};
pub use pipeline::Holes;
pub use plan::{Plan, plan};
pub use run::{Done, execute};
