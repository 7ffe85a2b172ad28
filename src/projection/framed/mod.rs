//! Records framed as Confluent's serializers do it: a zero byte, the id of a schema in four bytes, the value. Opening one
//! gives the JSON that Kafka Connect would have written of the same value, and beside it the schema that Connect would
//! have embedded, so that everything behind knows one form. Schemas are fetched first and handed in.

mod avro;
mod connect;
mod datum;
mod json_schema;
mod proto;
mod protobuf;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;

/// The bytes in front of a framed value.
const HEAD: usize = 5;

/// What a schema is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Avro; the value is in Avro's binary encoding.
    Avro,
    /// JSON Schema; the value is JSON.
    Json,
    /// Protobuf; the value begins with the path to its message.
    Protobuf,
}

impl Language {
    /// The language that a registry calls this.
    #[must_use]
    pub fn named(name: &str) -> Option<Language> {
        match name {
            "AVRO" => Some(Language::Avro),
            "JSON" => Some(Language::Json),
            "PROTOBUF" => Some(Language::Protobuf),
            _ => None,
        }
    }
}

/// A schema as a registry holds it, with all that it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What it is written in.
    pub language: Language,
    /// Its text.
    pub text: String,
    /// Name and text of what it refers to, each behind those that it refers to itself.
    pub references: Vec<(String, String)>,
}

/// A schema that is ready to open values with.
#[derive(Debug)]
pub struct Schema {
    form: Form,
    /// Its size as written, for who keeps many.
    bytes: usize,
}

#[derive(Debug)]
enum Form {
    Avro(avro::Schema),
    /// The Connect schema.
    Json(String),
    Protobuf(protobuf::Schema),
}

impl Schema {
    /// Makes a schema ready.
    ///
    /// # Errors
    /// What is wrong with the schema.
    pub fn read(written: &Written) -> Result<Schema, String> {
        let Written {
            language,
            text,
            references,
        } = written;
        Ok(Schema {
            form: match language {
                Language::Avro => Form::Avro(avro::Schema::read(text, references)?),
                Language::Json => Form::Json(json_schema::connect(text, references)?),
                Language::Protobuf => Form::Protobuf(protobuf::Schema::read(text, references)?),
            },
            bytes: text.len() + references.iter().map(|(_, t)| t.len()).sum::<usize>(),
        })
    }

    /// Opens a framed value: writes its JSON to `out` and returns the Connect schema of that.
    ///
    /// # Errors
    /// What is wrong with the value, without any of it.
    pub fn open(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<&str, String> {
        let body = bytes.get(HEAD..).unwrap_or_default();
        out.clear();
        match &self.form {
            Form::Avro(schema) => schema.open(body, out),
            Form::Json(connect) => {
                out.extend_from_slice(body);
                Ok(connect)
            }
            Form::Protobuf(schema) => schema.open(body, out),
        }
    }

    /// Bytes of its text, and of those that it refers to.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The id of the schema that bytes are framed with; `None` for what is not framed. No JSON begins with a zero byte.
///
/// # Errors
/// For a frame that is cut off, or is none of Confluent's.
pub fn schema_id(bytes: &[u8]) -> Result<Option<u32>, BadFrame> {
    match bytes {
        [0, a, b, c, d, rest @ ..] => match u32::from_be_bytes([*a, *b, *c, *d]) {
            0 if rest.len() >= 4 => Err(BadFrame::Long),
            id => Ok(Some(id)),
        },
        [0, ..] => Err(BadFrame::Short(bytes.len())),
        _ => Ok(None),
    }
}

/// What Debezium makes of a name that Avro does not allow (`field.name.adjustment.mode: avro`); `None` for one that it does.
#[must_use]
pub fn adjusted(name: &str) -> Option<String> {
    let allowed =
        |at: usize, c: char| c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit());
    let fits = name.chars().enumerate().all(|(at, c)| allowed(at, c));
    let fit = |(at, c)| if allowed(at, c) { c } else { '_' };
    (!fits).then(|| name.chars().enumerate().map(fit).collect())
}

/// A frame that cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFrame {
    /// So few bytes.
    Short(usize),
    /// An id of eight bytes.
    Long,
}

impl fmt::Display for BadFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadFrame::Short(bytes) => write!(
                f,
                "begins as a frame with a schema id, and ends after {bytes} of at least {HEAD} bytes"
            ),
            BadFrame::Long => f.write_str(
                "is framed with a schema id of eight bytes, Apicurio's own form (write with `apicurio.registry.as-confluent`)",
            ),
        }
    }
}
