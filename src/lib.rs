//! trueup finds, explains and repairs drift in CQRS read models.
//!
//! The table of contents, top-down; every arrow between these rooms goes down.

pub mod cli;
pub mod demo;
pub mod playbook;
pub mod strategies;

pub mod snapshot;

pub mod report;
pub mod store;
pub mod stream;

pub mod projection;

#[doc(hidden)]
pub mod fault;
pub mod limits;
