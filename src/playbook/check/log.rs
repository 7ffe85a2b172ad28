//! Checks the log, and how far it and the projector are.

use super::later::Later;
use super::reader::Reader;
use crate::playbook::checked::{Applied, Captured, Log, Scalar};
use crate::playbook::raw;
use crate::playbook::secret::{Properties, RegistryUrl};
use crate::playbook::shape::{Field, Section};

/// Where records come from, and the registry of the schemas that they are framed with.
pub(super) fn log(
    reader: &mut Reader<'_>,
    field: Field<Section<raw::Log>>,
) -> (Option<Log>, Option<RegistryUrl>) {
    let fix = "write `kafka: { brokers: … }` or `archive: [files]`";
    let Some(raw) = reader.need("log", field, fix) else {
        return (None, None);
    };
    let mut raw = reader.open("log", raw);
    let registry = registry(reader, std::mem::take(&mut raw.registry));
    (place(reader, raw, fix), registry)
}

fn registry(reader: &mut Reader<'_>, field: Field<Section<raw::Registry>>) -> Option<RegistryUrl> {
    let raw = reader.section("log.registry", field)?;
    let path = "log.registry.url";
    let fix = "write http://host:port or https://user:password@host/path, percent-encoded (`@` is %40, `/` %2F)";
    let text = reader.need_text(path, raw.url, fix)?;
    match RegistryUrl::parse(&text) {
        Ok(url) => Some(url),
        Err(error) => {
            reader.problem(path, error.to_string(), fix);
            None
        }
    }
}

fn place(reader: &mut Reader<'_>, raw: raw::Log, fix: &str) -> Option<Log> {
    let written = [
        ("kafka", raw.kafka.is_written()),
        ("archive", raw.archive.is_written()),
    ];
    let only = one_of(reader, "log", &written, fix);
    let kafka = reader.section("log.kafka", raw.kafka);
    let kafka = kafka.and_then(|raw| self::kafka(reader, raw));
    let files = reader.get("log.archive", raw.archive);
    let files = files.and_then(|files| reader.texts("log.archive", files));
    let in_folder = |files: Vec<String>| files.iter().map(|f| reader.folder.join(f)).collect();
    only?;
    kafka.or(files.map(in_folder).map(Log::Archive))
}

fn kafka(reader: &mut Reader<'_>, raw: raw::Kafka) -> Option<Log> {
    let fix = "write `brokers: host:port`";
    let brokers = reader.need_text("log.kafka.brokers", raw.brokers, fix);
    let path = "log.kafka.properties";
    let properties = reader.get(path, raw.properties).unwrap_or_default();
    let properties = reader.each(path, properties, |reader, path, key, value| {
        Some((key.to_owned(), property(reader, path, value)?))
    });
    Some(Log::Kafka {
        brokers: brokers?,
        properties: properties?.into_iter().collect::<Properties>(),
    })
}

/// librdkafka takes every property as text.
fn property(reader: &mut Reader<'_>, path: &str, value: Scalar) -> Option<String> {
    match value {
        Scalar::Null => {
            reader.problem(path, "is empty", "write a value, or leave the property out");
            None
        }
        Scalar::Bool(flag) => Some(flag.to_string()),
        Scalar::Int(number) => Some(number.to_string()),
        Scalar::Number(text) | Scalar::Text(text) => Some(text),
    }
}

/// How far the log has the primary.
pub(super) fn captured(
    reader: &mut Reader<'_>,
    field: Field<Section<raw::Captured>>,
) -> Option<Captured> {
    let raw = reader.section("captured", field)?;
    reader.later_key("captured.heartbeat", &raw.heartbeat, &Later::Heartbeat);
    let fix = "write `{ slot: name }`, or leave `captured` out";
    if raw.heartbeat.is_written() {
        return None;
    }
    one_of(reader, "captured", &[("slot", raw.slot.is_written())], fix)?;
    reader.text("captured.slot", raw.slot).map(Captured::Slot)
}

/// How far the projector is: always said, for without it lag cannot be told from drift.
pub(super) fn applied(reader: &mut Reader<'_>, field: Field<raw::Applied>) -> Option<Applied> {
    let fix = "say how far the projector is: `{ consumer_group: name }` if it commits what it has \
               applied; `{ checkpoint: \"SELECT topic, partition, next_offset …\" }` if it keeps \
               its place in the read store; `{ within: 30s }` if you promise that it never lags \
               more; `none` if no projector writes these tables";
    let how = match reader.need("applied", field, fix)? {
        raw::Applied::Word(word) if word == "none" => return Some(Applied::None),
        raw::Applied::Word(word) => {
            reader.problem(
                "applied",
                format!("`{word}` does not say how far the projector is"),
                fix,
            );
            return None;
        }
        raw::Applied::How(section) => reader.open("applied", section),
    };
    let written = [
        ("consumer_group", how.consumer_group.is_written()),
        ("checkpoint", how.checkpoint.is_written()),
        ("within", how.within.is_written()),
    ];
    one_of(reader, "applied", &written, fix)?;
    let group = reader.text("applied.consumer_group", how.consumer_group);
    let checkpoint = reader.text("applied.checkpoint", how.checkpoint);
    let within = reader.duration("applied.within", how.within);
    group
        .map(Applied::ConsumerGroup)
        .or(checkpoint.map(Applied::Checkpoint))
        .or(within.map(Applied::Within))
}

/// Notes a problem unless exactly one of the keys was written.
fn one_of(reader: &mut Reader<'_>, path: &str, keys: &[(&str, bool)], fix: &str) -> Option<()> {
    let written: Vec<&str> = keys
        .iter()
        .filter(|(_, is)| *is)
        .map(|(key, _)| *key)
        .collect();
    match written.as_slice() {
        [_] => return Some(()),
        [] => reader.problem(path, "says nothing", fix),
        several => {
            let what = format!("`{}` exclude each other", several.join("` and `"));
            reader.problem(path, what, "keep one of them");
        }
    }
    None
}
