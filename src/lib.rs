//! trueup.
pub mod projection;
pub mod store;
