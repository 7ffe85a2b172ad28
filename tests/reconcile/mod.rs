//! Direct reconciliation, its journal and its undo.

mod drifts;
mod killed;
mod planted;
mod refusals;
mod selection;
mod writers;
