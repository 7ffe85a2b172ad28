//! Offsets of a moment.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::StreamError;
use super::Archive;
use super::file::Lines;

/// The part of a line that says when it was written.
#[derive(Deserialize)]
struct Moment<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    partition: i32,
    offset: i64,
    #[serde(default)]
    ts: Option<i64>,
}

impl Archive {
    /// See [`super::super::Log::offsets_at`]; one pass over the files.
    ///
    /// # Errors
    /// As [`Archive::topic`]; also when a record has no time.
    pub fn offsets_at(&self, topic: &str, time_ms: i64) -> Result<Vec<(i32, i64)>, StreamError> {
        let mut found: BTreeMap<i32, i64> = self
            .topic(topic)?
            .extents
            .into_iter()
            .map(|e| (e.partition, e.end))
            .collect();
        for file in &self.config.files {
            let mut lines = Lines::open(file)?;
            while let Some(line) = lines.next()? {
                let moment =
                    serde_json::from_str::<Moment<'_>>(line).map_err(|e| super::line::describe(&e));
                let moment = match moment {
                    Ok(moment) => (moment.topic == topic).then_some((
                        moment.partition,
                        moment.offset,
                        moment.ts,
                    )),
                    Err(problem) => return Err(lines.problem(problem)),
                };
                match moment {
                    Some((_, _, None)) => {
                        return Err(
                            lines.problem("it has no `ts`, so its time is not known".to_owned())
                        );
                    }
                    Some((partition, offset, Some(ts))) if ts >= time_ms => {
                        found
                            .entry(partition)
                            .and_modify(|first| *first = offset.min(*first));
                    }
                    _ => {}
                }
            }
        }
        Ok(found.into_iter().collect())
    }
}
