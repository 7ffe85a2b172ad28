//! Records that could not be applied, as the store keeps them beside the run that met them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::projection::record::{Frame, Position, Record};
use crate::projection::version::Version;

/// What became of a record that was set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its key has a hole: what the record says, and what later ones say, is not in the table.
    Open,
    /// The row came from the primary.
    Settled,
    /// The log was read again, and the record could be applied.
    Retried,
    /// The operator said to do without it.
    Skipped,
    /// A later replay has rebuilt the table.
    Rebuilt,
}

impl Standing {
    const ALL: [Standing; 5] = [
        Standing::Open,
        Standing::Settled,
        Standing::Retried,
        Standing::Skipped,
        Standing::Rebuilt,
    ];

    /// Its word in the table of quarantined records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Standing::Open => "open",
            Standing::Settled => "settled",
            Standing::Retried => "retried",
            Standing::Skipped => "skipped",
            Standing::Rebuilt => "rebuilt",
        }
    }
}

/// A record that could not be applied, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// The key of the table's row, as the texts of its cells.
    pub key: Vec<String>,
    /// Why it could not be applied. Holds no values.
    pub reason: String,
    /// The version that its change would have.
    pub version: Version,
    /// The message key.
    pub record_key: Option<Vec<u8>>,
    /// The message value.
    pub record_value: Option<Vec<u8>>,
    /// The headers.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// One of a read store's quarantined records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The run that set it aside, as its table has it.
    pub run: String,
    /// The table that it was for.
    pub table: String,
    /// The record.
    pub what: Quarantined,
    /// What became of it.
    pub standing: Standing,
    /// When it was set aside, as the database writes it in UTC.
    pub kept_at: String,
}

/// The parts of a record as they are written: bytes in base64.
#[derive(Serialize, Deserialize)]
struct Written {
    version: Version,
    key: Option<String>,
    value: Option<String>,
    headers: Vec<(String, String)>,
}

impl Quarantined {
    /// Sets a record aside. What came framed is kept as it came.
    #[must_use]
    pub fn of(
        record: &Record<'_>,
        key: Vec<String>,
        version: Version,
        reason: String,
    ) -> Quarantined {
        let raw = |opened: Option<&[u8]>, frame: Frame<'_>| match frame {
            Frame::Opened { bytes, .. } => Some(bytes.to_vec()),
            _ => opened.map(<[u8]>::to_vec),
        };
        let headers = record.headers.iter();
        Quarantined {
            topic: record.at.topic.to_owned(),
            partition: record.at.partition,
            offset: record.at.offset,
            key,
            reason,
            version,
            record_key: raw(record.key, record.key_frame),
            record_value: raw(record.value, record.value_frame),
            headers: headers
                .map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()))
                .collect(),
        }
    }

    /// Where it stands in the log.
    #[must_use]
    pub fn at(&self) -> Position<'_> {
        Position {
            topic: &self.topic,
            partition: self.partition,
            offset: self.offset,
        }
    }

    /// The record in one text.
    pub(super) fn written(&self) -> String {
        let text = |bytes: &Vec<u8>| STANDARD.encode(bytes);
        let headers = self.headers.iter();
        let written = Written {
            version: self.version,
            key: self.record_key.as_ref().map(text),
            value: self.record_value.as_ref().map(text),
            headers: headers.map(|(n, bytes)| (n.clone(), text(bytes))).collect(),
        };
        serde_json::json!(written).to_string()
    }

    /// Its key in one text.
    pub(super) fn written_key(&self) -> String {
        serde_json::json!(self.key).to_string()
    }
}

/// The columns of one kept record, as both stores read them.
pub(super) struct Columns {
    pub run: String,
    pub table: String,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub key: String,
    pub reason: String,
    pub record: String,
    pub standing: String,
    pub kept_at: String,
}

impl Columns {
    /// The record that they hold.
    ///
    /// # Errors
    /// When trueup did not write them.
    pub(super) fn read(self) -> Result<Kept, StoreError> {
        let at = format!("{}:{}:{}", self.topic, self.partition, self.offset);
        let foreign = || {
            StoreError::Refused(format!(
                "the quarantined record {at} is not as trueup wrote it"
            ))
        };
        let bytes = |text: String| STANDARD.decode(text).map_err(|_| foreign());
        let written: Written = serde_json::from_str(&self.record).map_err(|_| foreign())?;
        let headers = written.headers.into_iter();
        let mut all = Standing::ALL.into_iter();
        Ok(Kept {
            standing: all
                .find(|s| s.word() == self.standing)
                .ok_or_else(foreign)?,
            what: Quarantined {
                key: serde_json::from_str(&self.key).map_err(|_| foreign())?,
                version: written.version,
                record_key: written.key.map(bytes).transpose()?,
                record_value: written.value.map(bytes).transpose()?,
                headers: headers
                    .map(|(name, text)| Ok((name, bytes(text)?)))
                    .collect::<Result<_, StoreError>>()?,
                topic: self.topic,
                partition: self.partition,
                offset: self.offset,
                reason: self.reason,
            },
            run: self.run,
            table: self.table,
            kept_at: self.kept_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::version::Rank;

    #[test]
    fn what_is_written_is_read_again() {
        let what = Quarantined {
            topic: "t".to_owned(),
            partition: 2,
            offset: 7,
            key: vec!["1".to_owned(), "ä\"".to_owned()],
            reason: "no".to_owned(),
            version: Version {
                rank: Rank::default(),
                partition: !2,
                offset: 7,
                clock: Some(5),
            },
            record_key: Some(b"{}".to_vec()),
            record_value: Some(vec![0, 255, 10]),
            headers: vec![("h".to_owned(), vec![0])],
        };
        let read = Columns {
            run: "r".to_owned(),
            table: "x".to_owned(),
            topic: what.topic.clone(),
            partition: what.partition,
            offset: what.offset,
            key: what.written_key(),
            reason: what.reason.clone(),
            record: what.written(),
            standing: "open".to_owned(),
            kept_at: String::new(),
        };
        let kept = read.read().expect("as it was written");
        assert_eq!((kept.what, kept.standing), (what, Standing::Open));
    }
}
