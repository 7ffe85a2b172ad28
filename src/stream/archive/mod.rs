//! Recorded topics as files: what `kcat -C -J` writes, one JSON object a line, plain, gzip or zstd. A key or payload that is
//! no text, which kcat cannot record, is an object: `{"base64": "…"}`.
//!
//! Files are read in the order given, which is the arrival order. The first question about an archive costs
//! one pass over all files (`index`), remembered for as long as the archive is open.

mod file;
mod index;
mod line;
mod read;
#[cfg(test)]
mod tests;
mod times;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use index::Index;

use super::StreamError;
use super::error::alike;
use super::registry::Registry;
use super::types::{Cleanup, Extent, Topic};

/// Which files, and what to make of holes in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveConfig {
    /// The files, oldest records first.
    pub files: Vec<PathBuf>,
    /// The recorded topics were compacted or written in transactions: offsets may be missing in between.
    pub compacted: bool,
}

/// Recorded topics.
#[derive(Debug)]
pub struct Archive {
    config: ArchiveConfig,
    index: Mutex<Option<Arc<Index>>>,
    pub(super) registry: Option<Registry>,
}

impl Archive {
    /// Opens an archive: looks whether each file is one that can be read.
    ///
    /// # Errors
    /// [`StreamError::Config`] without any file; [`StreamError::Io`] for one that is not there.
    pub fn open(config: ArchiveConfig) -> Result<Archive, StreamError> {
        if config.files.is_empty() {
            let problem = "the archive names no file; record one with: kcat -C -e -J -b BROKER -t TOPIC > FILE";
            return Err(StreamError::Config {
                problem: problem.to_owned(),
            });
        }
        for file in &config.files {
            file::Lines::open(file)?;
        }
        Ok(Archive {
            config,
            index: Mutex::new(None),
            registry: None,
        })
    }

    /// Opens framed records with the schemas of this registry.
    #[must_use]
    pub fn with_registry(mut self, registry: Option<Registry>) -> Archive {
        self.registry = registry;
        self
    }

    /// See [`super::Log::topic`].
    ///
    /// # Errors
    /// [`StreamError::NoTopic`], [`StreamError::Archive`], [`StreamError::Io`].
    pub fn topic(&self, name: &str) -> Result<Topic, StreamError> {
        let index = self.index()?;
        let Some(partitions) = index.topics.get(name) else {
            return Err(StreamError::NoTopic {
                topic: name.to_owned(),
                place: self.place(),
                near: alike(name, index.topics.keys().map(String::as_str)),
            });
        };
        Ok(Topic {
            name: name.to_owned(),
            extents: partitions
                .iter()
                .map(|(&partition, runs)| Extent {
                    partition,
                    start: runs.start(),
                    end: runs.end(),
                })
                .collect(),
            cleanup: Cleanup::Unknown,
            delete_retention_ms: None,
            retention_ms: None,
            retention_bytes: None,
            cluster_id: None,
        })
    }

    fn index(&self) -> Result<Arc<Index>, StreamError> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = &*index {
            return Ok(Arc::clone(index));
        }
        let built = Arc::new(Index::build(&self.config.files)?);
        *index = Some(Arc::clone(&built));
        Ok(built)
    }

    fn place(&self) -> String {
        match self.config.files.as_slice() {
            [file] => file.display().to_string(),
            files => format!("the archive ({} files)", files.len()),
        }
    }
}
