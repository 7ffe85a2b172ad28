//! What trueup says: tables, JSON and progress. Data in, text out; the command line writes it.

pub mod advice;
pub mod doctor;
pub mod explained;
pub mod html;
pub mod json;
pub mod lag;
pub mod made;
pub mod metrics;
pub mod progress;
pub mod quarantine;
pub mod reconcile;
pub mod replay;
pub mod rollback;
pub mod runs;
pub mod snapshot;
pub mod table;
pub mod verdict;
pub mod weighed;
