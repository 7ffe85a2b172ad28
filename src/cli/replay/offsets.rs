//! Places in the log, as a flag writes them.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow, bail};

use crate::cli::wiring::Wired;
use crate::projection::calendar;
use crate::strategies::{Refused, View, blocking};

/// `topic:partition:offset,…`, or a time that the log turns into offsets.
///
/// # Errors
/// When it is neither.
pub(super) async fn read(
    flag: &str,
    written: &str,
    wired: &Wired,
) -> Result<Vec<(String, i32, i64)>> {
    if let Some(time) = calendar::read_timestamp_tz(written) {
        let topics: BTreeSet<&str> = wired
            .views
            .iter()
            .flat_map(View::sources)
            .map(|s| s.topic.as_str())
            .collect();
        let mut found = Vec::new();
        for topic in topics {
            let (log, asked) = (wired.systems.log().await?, topic.to_owned());
            let offsets = blocking(move || log.offsets_at(&asked, time / 1_000)).await?;
            found.extend(offsets.into_iter().map(|(p, o)| (topic.to_owned(), p, o)));
        }
        return Ok(found);
    }
    let mut list = Vec::new();
    for part in written.split(',') {
        let mut fields = part.rsplitn(3, ':');
        let (offset, partition, topic) = (fields.next(), fields.next(), fields.next());
        let parsed = || {
            Some((
                topic?.to_owned(),
                partition?.parse().ok()?,
                offset?.parse().ok()?,
            ))
        };
        match parsed() {
            Some(one) => list.push(one),
            None => bail!(Refused::because(format!(
                "{flag} {part:?} is neither a time (2026-01-31T12:00:00Z) nor topic:partition:offset"
            ))),
        }
    }
    if list.is_empty() {
        Err(anyhow!("{flag} is empty"))
    } else {
        Ok(list)
    }
}
