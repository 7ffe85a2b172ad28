//! Replay: the log, or a snapshot and the log after it, into shadows; query views derived from staged sources; all of it
//! checked against the primary and swapped in together. `plan` only reads, `run` writes.

pub mod base;
mod caught_up;
mod check;
pub mod cutover;
pub mod derive;
mod extents;
pub mod in_place;
pub mod options;
pub mod pipeline;
pub mod plan;
mod projector;
pub mod run;
pub mod shape;
mod suits;
pub mod touched;
mod unfinished;

pub use cutover::{Cutover, Pausing};
pub use options::{Begin, Options};
pub use plan::{Plan, plan};
pub use run::{Done, execute};
