//! A schema registry: what speaks Confluent's protocol (Confluent's own, Karapace, Apicurio, Redpanda). Schemas are fetched by
//! their id when a record first names it, and kept.

mod ask;
mod open;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;

use crate::projection::framed::{Language, Schema, Written};
use crate::projection::record::Position;

use super::StreamError;
use super::limits::{
    ALL_DOWN_WAIT, ANSWER_WAIT, SCHEMA_REFERENCES_MAX, SCHEMAS_BYTES_MAX, SCHEMAS_MAX,
};
use ask::{Answer, Client};

pub(super) use open::Opener;

/// Where a registry is.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryConfig {
    /// `http://host:port/path`, a user and password in front of the host if it wants some.
    pub url: String,
    /// The same without the password.
    pub shown: String,
}

impl fmt::Debug for RegistryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegistryConfig({})", self.shown)
    }
}

/// A registry that has answered.
pub struct Registry {
    client: Client,
    known: Mutex<Known>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({})", self.client.shown)
    }
}

/// A schema, or why there is none to read by.
type Found = Result<Schema, String>;

/// What has been asked before.
#[derive(Default)]
struct Known {
    by_id: HashMap<u32, Arc<Found>>,
    bytes: usize,
}

/// A schema as the registry sends it.
#[derive(Deserialize)]
struct Sent {
    schema: String,
    #[serde(default, rename = "schemaType")]
    kind: Option<String>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
}

/// What a schema refers to: the name that it uses, and where the registry has it.
#[derive(Deserialize)]
struct Reference {
    name: String,
    subject: String,
    version: i64,
}

impl Registry {
    /// Connects: returns once the registry has answered.
    ///
    /// # Errors
    /// [`StreamError::Config`] for what is no URL; [`StreamError::Registry`] when it cannot be reached, lets us not in, or is
    /// no registry.
    pub fn open(config: &RegistryConfig) -> Result<Registry, StreamError> {
        let client = Client::new(config)?;
        match client.get("/schemas/types", ALL_DOWN_WAIT)? {
            Answer::Found(_) => {}
            Answer::Missing => {
                let hint = "what answers there is no schema registry; its path belongs to the URL (Apicurio's is /apis/ccompat/v7)";
                return Err(client.failed("it knows no /schemas/types", hint));
            }
        }
        Ok(Registry {
            client,
            known: Mutex::default(),
        })
    }

    /// The schema of this id, which the record at `at` names in its key or value (`part`).
    ///
    /// # Errors
    /// [`StreamError::Registry`] when the registry cannot be asked. That it has no such schema, or one that cannot be read, is
    /// no failure of the registry's, but a fault of that record's.
    fn schema(&self, id: u32, part: &str, at: Position<'_>) -> Result<Arc<Found>, StreamError> {
        if let Some(found) = self.known().by_id.get(&id) {
            return Ok(Arc::clone(found));
        }
        let found = match self.fetch(id)? {
            Some(written) => {
                written
                    .and_then(|written| Schema::read(&written))
                    .map_err(|problem| {
                        format!("was written with the schema {id}, which cannot be used: {problem}")
                    })
            }
            None => Err(self.missing(id, part, at)?),
        };
        let found = Arc::new(found);
        self.known().keep(id, &found);
        Ok(found)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A schema and all that it refers to; `None` if there is none of this id.
    fn fetch(&self, id: u32) -> Result<Option<Result<Written, String>>, StreamError> {
        let Answer::Found(text) = self
            .client
            .get(&format!("/schemas/ids/{id}"), ANSWER_WAIT)?
        else {
            return Ok(None);
        };
        let sent = self.sent(&text)?;
        let kind = sent.kind.as_deref().unwrap_or("AVRO");
        let Some(language) = Language::named(kind) else {
            return Ok(Some(Err(format!("it is written in {kind}"))));
        };
        let mut references = Vec::new();
        for reference in sent.references.unwrap_or_default() {
            if let Err(problem) = self.reference(&reference, &mut references)? {
                return Ok(Some(Err(problem)));
            }
        }
        Ok(Some(Ok(Written {
            language,
            text: sent.schema,
            references,
        })))
    }

    /// Adds a schema that is referred to, behind those that it refers to itself.
    fn reference(
        &self,
        wanted: &Reference,
        found: &mut Vec<(String, String)>,
    ) -> Result<Result<(), String>, StreamError> {
        let Reference {
            name,
            subject,
            version,
        } = wanted;
        if found.iter().any(|(n, _)| n == name) {
            return Ok(Ok(()));
        }
        if found.len() >= SCHEMA_REFERENCES_MAX {
            return Ok(Err(format!(
                "it refers to more than {SCHEMA_REFERENCES_MAX} others"
            )));
        }
        let path = format!("/subjects/{}/versions/{version}", ask::encoded(subject));
        let Answer::Found(text) = self.client.get(&path, ANSWER_WAIT)? else {
            return Ok(Err(format!(
                "it refers to {name}, version {version} of the subject {subject}, which the registry does not have"
            )));
        };
        let sent = self.sent(&text)?;
        // A schema cannot refer to one that was registered after it, so this ends.
        for below in sent.references.unwrap_or_default() {
            if let Err(problem) = self.reference(&below, found)? {
                return Ok(Err(problem));
            }
        }
        found.push((name.clone(), sent.schema));
        Ok(Ok(()))
    }

    fn sent(&self, text: &str) -> Result<Sent, StreamError> {
        serde_json::from_str(text).map_err(|e| {
            let hint = "what answers there is no schema registry";
            self.client
                .failed(&format!("its answer cannot be read: {e}"), hint)
        })
    }

    /// What to say of an id that the registry does not have.
    fn missing(&self, id: u32, part: &str, at: Position<'_>) -> Result<String, StreamError> {
        let subject = format!("{}-{part}", at.topic);
        let path = format!("/subjects/{}/versions", ask::encoded(&subject));
        let has = match self.client.get(&path, ANSWER_WAIT)? {
            Answer::Found(_) => {
                "it has others of that subject, so this id was deleted there, or comes from another registry"
            }
            Answer::Missing => {
                "it has none of that subject, so the topic was written with another registry"
            }
        };
        Ok(format!(
            "names the schema {id} (subject {subject}), which the registry at {} does not have; first met at {at}; {has}",
            self.client.shown
        ))
    }
}

impl Known {
    fn keep(&mut self, id: u32, found: &Arc<Found>) {
        let bytes = found.as_ref().as_ref().map_or(0, Schema::bytes);
        if self.by_id.len() >= SCHEMAS_MAX || self.bytes + bytes > SCHEMAS_BYTES_MAX {
            // What is still needed is fetched again.
            *self = Known::default();
        }
        self.bytes += bytes;
        self.by_id.insert(id, Arc::clone(found));
    }
}
