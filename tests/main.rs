//! The one test binary. Tests without services run everywhere; those of `kafka`, `pipe` and `stores::postgres` want the
//! services that `tests/services run` starts, and say so when they are missing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr, missing_docs)]

mod support;

mod bad_input;
mod completions;
mod laws;
mod oracle;
mod pipe;
mod playbooks;
mod tidy;
