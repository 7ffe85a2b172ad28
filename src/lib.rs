//! trueup.
pub mod projection;
pub mod stream;
