//! trueup.
pub mod playbook;
pub mod projection;
