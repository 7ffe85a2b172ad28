//! Raw, then checked: turns what was written into types that cannot be wrong, and notes every
//! problem on the way. Each part is read to its end before any of them is needed, so that one
//! problem never hides another.

mod compare;
mod events;
mod later;
mod log;
mod query;
mod reader;
mod source;
mod values;
mod view;

use std::path::Path;

use serde_yaml::Value;

pub(super) use self::later::Later;
use self::reader::Reader;
use super::checked::{
    Bound, Cutover, Database, Format, Limits, Playbook, Scalar, Snapshots, Source, Test, View,
    ViewKind,
};
use super::marks::Marks;
use super::problem::Findings;
use super::raw;
use super::secret::DatabaseUrl;
use super::shape::{Entries, Field, Section, Text};

/// The playbook in `tree`, or `None` with at least one finding.
pub(super) fn playbook(
    file: &Path,
    tree: Value,
    marks: &Marks,
    findings: &mut Findings,
) -> Option<Playbook> {
    let mut reader = Reader {
        folder: file.parent().unwrap_or(Path::new("")),
        marks,
        findings,
    };
    let reader = &mut reader;
    let Ok(section) = serde_yaml::from_value::<Section<raw::Playbook>>(tree) else {
        reader.problem(
            "",
            "a playbook must be a map of keys",
            "`trueup init` writes a first one",
        );
        return None;
    };
    let raw = reader.open("", section);
    version(reader, raw.version);
    let name = name(reader, raw.name);
    let primary = primary(reader, raw.primary);
    let read_store = read_store(reader, raw.read_store);
    let (log, registry) = log::log(reader, raw.log);
    let captured = log::captured(reader, raw.captured);
    let applied = log::applied(reader, raw.applied);
    let sources = reader.need_entries(
        "sources",
        raw.sources,
        "name at least one table and its topic",
    );
    let names: Vec<String> = match &sources {
        Some(sources) => sources.0.iter().map(|(name, _)| name.clone()).collect(),
        None => Vec::new(),
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let sources = sources.and_then(|sources| {
        reader.each("sources", sources, |reader, path, name, section| {
            let raw = reader.open(path, section);
            source::source(reader, path, name, raw)
        })
    });
    let views = views(reader, raw.views, &names);
    if let (Some(sources), Some(views)) = (&sources, &views) {
        of_one_kind(reader, sources, views);
    }
    let cutover = cutover(reader, raw.cutover);
    let limits = limits(reader, raw.limits);
    let staging = staging(reader, raw.staging);
    let snapshots = snapshots(reader, raw.snapshots);
    Some(Playbook {
        snapshots: snapshots?.of(name.as_deref()?),
        name: name?,
        file: file.to_path_buf(),
        primary: primary?,
        read_store: read_store?,
        log: log?,
        registry,
        captured,
        applied: applied?,
        sources: sources?,
        views: views?,
        cutover,
        limits,
        staging,
    })
}

/// The filter in `tree`, which was given alone, or `None` with at least one finding.
pub(super) fn filter(
    tree: Value,
    marks: &Marks,
    findings: &mut Findings,
) -> Option<Vec<(String, Test)>> {
    let mut reader = Reader {
        folder: Path::new(""),
        marks,
        findings,
    };
    let field = serde_yaml::from_value(tree).unwrap_or_default();
    view::filter(&mut reader, "", field)
}

fn version(reader: &mut Reader<'_>, field: Field<Scalar>) {
    let version = reader.need("version", field, "write `version: 1`");
    if version.is_some_and(|version| version != Scalar::Int(1)) {
        reader.problem(
            "version",
            "is not one that this trueup reads",
            "write `version: 1`",
        );
    }
}

/// Whether the name of a playbook may have this character.
pub(super) fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || "-_.".contains(c)
}

/// The name goes into lock names and file names.
fn name(reader: &mut Reader<'_>, field: Field<Text>) -> Option<String> {
    let fix = "name this read model, for reports and locks: letters, digits, `-`, `_` and `.`";
    let name = reader.need_text("name", field, fix)?;
    if !name.chars().all(is_of_name) {
        reader.problem("name", format!("`{name}` is no name"), fix);
        return None;
    }
    Some(name)
}

/// Where the snapshots of this playbook and perhaps of others are.
fn snapshots(reader: &mut Reader<'_>, field: Field<Text>) -> Option<Snapshots> {
    let written = reader.text("snapshots", field);
    let written = written.as_deref().unwrap_or("snapshots");
    let Some((scheme, rest)) = written.split_once("://") else {
        return Some(Snapshots::Folder(reader.folder.join(written)));
    };
    let is_known = match scheme {
        "s3" => rest.starts_with(|c: char| c.is_ascii_alphanumeric()),
        "file" => rest.starts_with('/'),
        _ => false,
    };
    let (what, fix) = if !is_known {
        (
            "is a URL of no object store that trueup knows",
            "write s3://bucket/prefix or file:///folder, or name a folder, relative to that of the playbook",
        )
    } else if rest.contains(['@', '?', '#']) {
        (
            "says more than a bucket and a prefix",
            "write s3://bucket/prefix; credentials, region and endpoint come from the environment (AWS_ACCESS_KEY_ID, AWS_REGION, AWS_ENDPOINT …)",
        )
    } else if !cfg!(feature = "object-store") {
        (
            "is in an object store, and this trueup was built without them",
            "build it with `--features object-store`, or name a folder, relative to that of the playbook",
        )
    } else {
        return Some(Snapshots::Url(written.trim_end_matches('/').to_owned()));
    };
    reader.problem("snapshots", what, fix);
    None
}

fn primary(reader: &mut Reader<'_>, field: Field<Section<raw::Primary>>) -> Option<Database> {
    let fix = "write `primary: { url: \"${PRIMARY_URL}\" }`";
    let raw = reader.need("primary", field, fix)?;
    let raw = reader.open("primary", raw);
    let url = reader.need_text("primary.url", raw.url, fix);
    let url = url.and_then(|url| reader.database("primary.url", &url));
    let read_url = reader.text("primary.read_url", raw.read_url);
    let read_url = read_url.and_then(|url| reader.database("primary.read_url", &url));
    if let (Some(url), Some(replica)) = (&url, &read_url)
        && url.kind() != replica.kind()
    {
        let what = "is another kind of database than `primary.url`";
        reader.problem("primary.read_url", what, "name a replica of the primary");
    }
    Some(Database {
        url: url?,
        read_url,
    })
}

fn read_store(
    reader: &mut Reader<'_>,
    field: Field<Section<raw::ReadStore>>,
) -> Option<DatabaseUrl> {
    let fix = "write `read_store: { url: \"${READ_STORE_URL}\" }`";
    let raw = reader.need("read_store", field, fix)?;
    let raw = reader.open("read_store", raw);
    let url = reader.need_text("read_store.url", raw.url, fix)?;
    reader.database("read_store.url", &url)
}

fn staging(reader: &mut Reader<'_>, field: Field<Section<raw::Staging>>) -> Option<DatabaseUrl> {
    let raw = reader.section("staging", field)?;
    let fix = "write `staging: { url: \"${STAGING_URL}\" }`";
    let url = reader.need_text("staging.url", raw.url, fix)?;
    reader.database("staging.url", &url)
}

fn views(
    reader: &mut Reader<'_>,
    field: Field<Entries<Section<raw::View>>>,
    sources: &[&str],
) -> Option<Vec<View>> {
    let views = reader.need_entries("views", field, "name at least one table of the read store")?;
    let views = reader.each("views", views, |reader, path, name, section| {
        let raw = reader.open(path, section);
        view::view(reader, path, name, raw, sources)
    })?;
    for (nth, view) in views.iter().enumerate() {
        let shares = |other: &&View| {
            other.table == view.table && (other.scope.is_none() || view.scope.is_none())
        };
        if let Some(other) = views[..nth].iter().find(shares) {
            let what = format!("`{}` is the table of view `{}` too", view.table, other.name);
            let fix = "give each of them the `scope:` of its own rows, or keep one";
            reader.problem(&format!("views.{}", view.name), what, fix);
        }
    }
    Some(views)
}

/// A view that says what events do is made of events, and no other is.
fn of_one_kind(reader: &mut Reader<'_>, sources: &[Source], views: &[View]) {
    for view in views {
        let (from, of_events) = match &view.kind {
            ViewKind::Copy { from, .. } => (from, false),
            ViewKind::Events { from, .. } => (from, true),
            ViewKind::Query { .. } => continue,
        };
        let source = sources.iter().find(|s| s.name == *from);
        let carries_events = source.is_some_and(|s| matches!(s.format, Format::Events(_)));
        let path = format!("views.{}.from", view.name);
        match (of_events, carries_events) {
            (true, false) => {
                let what = format!("`{from}` carries rows, and `on:` says what events do");
                reader.problem(
                    &path,
                    what,
                    "add `format: events` to the source, or take out `on:`",
                );
            }
            (false, true) => {
                let what = format!("`{from}` carries events, which are no rows to be copied");
                reader.problem(&path, what, "say with `on:` what each type of event does");
            }
            _ => {}
        }
    }
}

fn cutover(reader: &mut Reader<'_>, field: Field<Section<raw::Cutover>>) -> Option<Cutover> {
    let raw = reader.section("cutover", field)?;
    let pause = reader.need_text(
        "cutover.pause",
        raw.pause,
        "write the command that pauses the projector",
    );
    let resume = reader.need_text(
        "cutover.resume",
        raw.resume,
        "write the command that resumes the projector",
    );
    let pause_max = reader.duration("cutover.pause_max", raw.pause_max);
    let writer_role = reader.text("cutover.writer_role", raw.writer_role);
    Some(Cutover {
        pause: pause?,
        resume: resume?,
        pause_max,
        writer_role,
    })
}

/// A bound that was given alone.
pub(super) fn bound(text: &str) -> Option<Bound> {
    values::bound(&Scalar::Text(text.to_owned()))
}

fn limits(reader: &mut Reader<'_>, field: Field<Section<raw::Limits>>) -> Limits {
    let Some(raw) = reader.section("limits", field) else {
        return Limits::default();
    };
    Limits {
        repairs_max: reader.bound("limits.repairs_max", raw.repairs_max),
        deletes_max: reader.bound("limits.deletes_max", raw.deletes_max),
        replica_lag_max: reader.lag_max("limits.replica_lag_max", raw.replica_lag_max),
    }
}
