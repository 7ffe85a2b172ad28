//! Opens framed records on their way out of a log.

use std::sync::Arc;

use crate::projection::framed::schema_id;
use crate::projection::record::{Frame, Position, Record};

use super::super::StreamError;
use super::{Found, Registry};

/// Opens one record after the other, into the same buffers.
pub(in super::super) struct Opener<'r> {
    registry: Option<&'r Registry>,
    key: Part,
    value: Part,
}

/// A key or value that is being opened.
#[derive(Default)]
struct Part {
    json: Vec<u8>,
    problem: String,
    /// The schema that was used last: records come in runs of one.
    last: Option<(u32, Arc<Found>)>,
}

impl<'r> Opener<'r> {
    /// Without a registry, records stay as they are.
    pub(in super::super) fn new(registry: Option<&'r Registry>) -> Opener<'r> {
        Opener {
            registry,
            key: Part::default(),
            value: Part::default(),
        }
    }

    /// The record with its key and value opened, where they are framed.
    pub(in super::super) fn open<'o>(
        &'o mut self,
        record: &Record<'o>,
    ) -> Result<Record<'o>, StreamError> {
        let mut opened = *record;
        let Some(registry) = self.registry else {
            return Ok(opened);
        };
        let at = record.at;
        if let Some(bytes) = record.key.filter(|b| b.first() == Some(&0)) {
            let (key, frame) = self.key.open(registry, bytes, "key", at)?;
            (opened.key, opened.key_frame) = (Some(key), frame);
        }
        if let Some(bytes) = record.value.filter(|b| b.first() == Some(&0)) {
            let (value, frame) = self.value.open(registry, bytes, "value", at)?;
            (opened.value, opened.value_frame) = (Some(value), frame);
        }
        Ok(opened)
    }
}

impl Part {
    fn open<'o>(
        &'o mut self,
        registry: &Registry,
        bytes: &'o [u8],
        part: &str,
        at: Position<'_>,
    ) -> Result<(&'o [u8], Frame<'o>), StreamError> {
        let id = match schema_id(bytes) {
            Ok(Some(id)) => id,
            Ok(None) => return Ok((bytes, Frame::None)),
            Err(bad) => {
                self.problem = bad.to_string();
                return Ok(sealed(bytes, &self.problem));
            }
        };
        if self.last.as_ref().is_none_or(|(last, _)| *last != id) {
            self.last = Some((id, registry.schema(id, part, at)?));
        }
        let Some((_, found)) = &self.last else {
            unreachable!("it was set just before");
        };
        match found.as_ref() {
            Err(problem) => Ok(sealed(bytes, problem)),
            Ok(schema) => match schema.open(bytes, &mut self.json) {
                Ok(schema) => Ok((&self.json, Frame::Opened { schema, bytes })),
                Err(problem) => {
                    self.problem =
                        format!("was written with the schema {id}, and does not fit it: {problem}");
                    Ok(sealed(bytes, &self.problem))
                }
            },
        }
    }
}

fn sealed<'o>(bytes: &'o [u8], problem: &'o str) -> (&'o [u8], Frame<'o>) {
    (bytes, Frame::Sealed { problem })
}
