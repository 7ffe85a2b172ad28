//! trueup.
pub mod projection;
