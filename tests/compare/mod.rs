//! Comparison is never falsely equal and never falsely different: one change planted at a time, of every type and key, on
//! every pair of databases, with the hash and without it; and equal rows that only look different.

mod equal;
mod hashes;
mod keys;
mod kind;
mod planted;
mod systems;
mod table;
mod value;
