//! What a decoder minds of records that came framed with the id of a schema; what is inside is read like any other JSON.

use super::debezium::key_names;
use super::envelope::Names;
use super::{DecodeError, Source};
use crate::projection::framed::{adjusted, schema_id};
use crate::projection::record::{Frame, Record};

/// Refuses a record whose key or value is framed and was not opened.
pub(super) fn opened(record: &Record<'_>) -> Result<(), DecodeError> {
    key_opened(record)?;
    part(record, "value", record.value, record.value_frame)
}

/// Refuses a record whose key is framed and was not opened.
pub(super) fn key_opened(record: &Record<'_>) -> Result<(), DecodeError> {
    part(record, "key", record.key, record.key_frame)
}

fn part(
    record: &Record<'_>,
    name: &str,
    bytes: Option<&[u8]>,
    frame: Frame<'_>,
) -> Result<(), DecodeError> {
    match frame {
        Frame::Opened { .. } => Ok(()),
        Frame::Sealed { problem } => Err(DecodeError::new(
            record.at,
            format!("its {name} {problem}"),
            "",
        )),
        Frame::None => {
            let id = bytes.map_or(Ok(None), schema_id);
            let problem = match id {
                Ok(None) => return Ok(()),
                Ok(Some(id)) => format!("its {name} is framed with the schema id {id}"),
                Err(bad) => format!("its {name} {bad}"),
            };
            let hint = "say where the schema registry is: `log: registry: { url: … }`";
            Err(DecodeError::new(record.at, problem, hint).of_the_log())
        }
    }
}

/// The columns of the row and those of the key, also by what their names become where schemas allow only some characters.
/// Two columns that become one, or one that becomes another, are left as they are: no record can hold both.
pub(super) fn names(source: &Source) -> (Names, Names) {
    let mut named = source.clone();
    let other: Vec<Option<String>> = source.columns.iter().map(|c| adjusted(&c.name)).collect();
    for (at, name) in other.iter().enumerate() {
        let Some(name) = name else { continue };
        let taken = source.columns.iter().any(|c| c.name == *name)
            || source.former.iter().any(|(n, _)| n == name)
            || other.iter().filter(|o| o.as_ref() == Some(name)).count() > 1;
        if !taken {
            named.former.push((name.clone(), at));
        }
    }
    let row = Names {
        now: named.columns.iter().map(|c| c.name.clone()).collect(),
        former: named.former.clone(),
    };
    (row, key_names(&named))
}
