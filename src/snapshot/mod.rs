//! Snapshots: the state of a read model at a known cut of the log, kept as files, so that later a replay need only read
//! what came after.
//!
//! A snapshot is a folder: for each table a Parquet file of its rows (and one of the keys that are gone), `manifest.json`,
//! and `SHA256SUMS` over all of them; `verified.json` joins them when the snapshot was proven against the primary. It is
//! made under another name and moved into place in one step, so one that is there is whole; whatever was changed since, a
//! single byte or a whole file, is found before anything is believed.
//!
//! `place` knows where they are, through the acts of `home`, which `folder` and `objects` (an object store, whose client
//! is in `bucket`) do each in its way; `writer` makes one, `reader` reads one, `sums` and `disk` are about the files themselves, `parquet` about what is in
//! them. This room knows neither playbooks nor databases. To add a type of column: `parquet/form.rs`; another kind of
//! place: beside `folder`.

#[cfg(feature = "object-store")]
mod bucket;
mod disk;
mod error;
mod folder;
mod home;
mod manifest;
#[cfg(feature = "object-store")]
mod objects;
mod parquet;
mod place;
mod prune;
mod reader;
mod sums;
mod writer;

pub use error::SnapshotError;
pub use manifest::{
    Draft, Manifest, Part, PartitionCut, Stored, Table, TableKind, TopicCut, Verified,
};
pub use place::{Listed, Place};
pub use prune::Prune;
pub use reader::{Gone, Rows, Snapshot};
pub use writer::{TableWriter, Writer};
