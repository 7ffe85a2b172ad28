//! trueup.
pub mod playbook;
pub mod projection;
pub mod store;
