//! What is asked of a replay.

use std::sync::Arc;

use super::base::Base;
use super::cutover::Cutover;
use crate::strategies::bounds::Bound;
use crate::strategies::load::OnBad;

/// Where a replay begins to read.
#[derive(Clone, Debug)]
pub enum Begin {
    /// At offset zero.
    Zero,
    /// With a snapshot, at its cut.
    Snapshot(Arc<Base>),
    /// At these offsets: topic, partition, offset. Partitions that are not named are not read.
    Offsets(Vec<(String, i32, i64)>),
}

/// Where a replay brings what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Shadows beside the live tables.
    Shadows,
    /// A staging area, and from there the live tables, which the projector writes, too.
    Live,
    /// A staging area, for tables that no projector writes.
    Aside,
}

/// What is asked of a replay.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it begins.
    pub begin: Begin,
    /// Where what it reads goes.
    pub into: Destination,
    /// Read only up to these offsets: topic, partition, offset.
    pub until: Vec<(String, i32, i64)>,
    /// Build the shadow and leave it beside the live table.
    pub no_swap: bool,
    /// Do not compare the shadow with the primary.
    pub no_check: bool,
    /// What becomes of records that cannot be applied.
    pub on_bad: OnBad,
    /// Swap though keys are blocked whose row the primary does not tell.
    pub accept_holes: bool,
    /// Rows of the primary that the swap may drop at most.
    pub deletes_max: Bound,
    /// How to cut over.
    pub cutover: Cutover,
}
