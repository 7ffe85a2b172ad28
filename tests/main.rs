//! The one test binary. Tests without services run everywhere; those of `kafka`, `pipe` and `stores::postgres` want the
//! services that `tests/services run` starts, and say so when they are missing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub
)]

mod support;

mod bad_input;
mod carry;
mod causes;
mod compare;
mod completions;
mod cutover;
mod doctor;
mod embedded;
mod events;
mod faults;
mod forms;
mod init;
mod lag;
mod laws;
mod memory;
mod oracle;
mod pace;
mod partial;
mod kafka {
    pub mod projector;
    pub mod settled;
    pub mod stream;
}
mod pipe;
mod plan;
mod playbooks;
mod query;
mod reconcile;
mod refusals;
mod registry;
mod shop;
mod snapshots;
mod stores {
    pub mod postgres;
    pub mod sqlite;
    pub mod state;
}
mod tails;
mod tidy;
mod touched;
