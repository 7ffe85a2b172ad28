//! What a decoder minds of records that came framed with the id of a schema; what is inside is read like any other JSON.

use super::debezium::key_names;
use super::envelope::Names;
use super::{DecodeError, Source};
use crate::projection::framed::{adjusted, schema_id};
use crate::projection::record::{Frame, Record};

/// Refuses a record whose key or value is framed and was not opened.
pub(super) fn opened(record: &Record<'_>) -> Result<(), DecodeError> {
    let parts = [
        ("key", record.key, record.key_frame),
        ("value", record.value, record.value_frame),
    ];
    for (part, bytes, frame) in parts {
        match frame {
            Frame::Opened { .. } => {}
            Frame::Sealed { problem } => {
                return Err(DecodeError::new(
                    record.at,
                    format!("its {part} {problem}"),
                    "",
                ));
            }
            Frame::None => {
                let id = bytes.map_or(Ok(None), schema_id);
                let problem = match id {
                    Ok(None) => continue,
                    Ok(Some(id)) => format!("its {part} is framed with the schema id {id}"),
                    Err(bad) => format!("its {part} {bad}"),
                };
                let hint = "say where the schema registry is: `log: registry: { url: … }`";
                return Err(DecodeError::new(record.at, problem, hint));
            }
        }
    }
    Ok(())
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
