//! Rows in Parquet files, without loss: what is read back is what was written, cell for cell, and any program that reads
//! Parquet sees the types of the columns.
//!
//! `form` says how each type of column is stored, `column` turns cells into values and back, `decimal` does that for decimal
//! numbers, `exact` keeps what a stored value would lose; `write` and `read` are the files, one row group at a time.

mod column;
mod decimal;
mod exact;
mod form;
mod read;
mod write;

pub(super) use form::Layout;
pub(super) use read::Reader;
pub(super) use write::{Unfit, WriteError, Writer};
