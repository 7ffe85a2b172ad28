//! The playbook: the YAML file that says how a primary, its log and the tables of a read store
//! belong together.
//!
//! The path through this folder: `marks` walks the file's events into a tree of values that
//! knows its lines (`${NAME}` is expanded here, by `expand`); `raw` reads that tree as what was
//! written, one serde struct a section, out of the `shape`s that a value can have; `check` turns
//! it into `checked`, types that cannot be wrong, and gathers **all** problems on the way
//! (`problem`), each with its line and its fix. `secret` keeps passwords out of what is printed.
//! The other way round, `draft` writes a first playbook out of plain data, with every name quoted
//! by `yaml`; `given` takes what the command line says in the words of a playbook.
//!
//! It must not know any other part of trueup: it hands out plain data, and `cli/wiring.rs` alone
//! turns that into parts. To add a key: a field in `raw`, its check in `check`, its place in
//! `checked`. What a playbook may say but this version cannot do stands in `check/later.rs`.

mod check;
mod checked;
mod draft;
pub mod events;
mod expand;
mod given;
mod marks;
mod problem;
mod raw;
mod secret;
mod shape;
#[cfg(test)]
mod tests;
mod yaml;

use std::path::Path;

pub use self::checked::{
    Applied, Bound, Captured, Compare, Cutover, Database, Format, LagMax, Limits, Log, Origin,
    Playbook, Scalar, Snapshots, Source, TableName, Test, TouchedBy, View, ViewKind,
};
pub use self::draft::{Draft, DraftSource, DraftView, as_literal};
pub use self::expand::Env;
pub use self::given::{expanded, is_sayable_column, tells_secret, url};
pub use self::problem::{Problem, Problems, did_you_mean};
pub use self::secret::{DatabaseKind, DatabaseUrl, Properties, UrlError};

/// Reads and checks the playbook at `path`; `env` looks up the variables that it names.
///
/// Files that the playbook names are relative to its own folder. Nothing is connected to; the
/// files of queries are read, and no others.
///
/// # Errors
/// [`Problems`], all of them at once.
pub fn load(path: &Path, env: Env<'_>) -> Result<Playbook, Problems> {
    let text = std::fs::read_to_string(path).map_err(|source| Problems::Unreadable {
        file: path.to_path_buf(),
        source,
    })?;
    parse(&text, path, env)
}

/// [`load`] for a text that has been read; `path` is the name that problems carry.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, path: &Path, env: Env<'_>) -> Result<Playbook, Problems> {
    let mut findings = problem::Findings::new(path);
    let playbook = match marks::read(text, env, &mut findings) {
        Some((tree, marks)) => check::playbook(path, tree, &marks, &mut findings),
        None => None,
    };
    match (playbook, findings.into_problems()) {
        (Some(playbook), None) => Ok(playbook),
        (_, Some(problems)) => Err(problems),
        (None, None) => unreachable!("a playbook that fails its checks says why"),
    }
}

/// Reads a filter that was given alone, written as under `where:` with or without its braces:
/// `state: [open, frozen], cents: 0`. `name` is what problems call the place.
///
/// # Errors
/// [`Problems`], all of them at once.
pub fn filter(text: &str, name: &str) -> Result<Vec<(String, Test)>, Problems> {
    let mut findings = problem::Findings::new(Path::new(name));
    let braced = match text.trim().starts_with('{') {
        true => text.to_owned(),
        false => format!("{{ {text} }}"),
    };
    let filter = match marks::read(&braced, &|_| None, &mut findings) {
        Some((tree, marks)) => check::filter(tree, &marks, &mut findings),
        None => None,
    };
    match (filter, findings.into_problems()) {
        (Some(filter), None) => Ok(filter),
        (_, Some(problems)) => Err(problems),
        (None, None) => unreachable!("a filter that fails its checks says why"),
    }
}

/// Reads a bound as `limits:` has it: a number of rows, or a share such as `10%`.
#[must_use]
pub fn bound(text: &str) -> Option<Bound> {
    check::bound(text)
}
