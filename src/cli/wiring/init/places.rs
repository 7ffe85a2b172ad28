//! The URLs that were given: what is connected to, and what the playbook says instead where that would be a secret, or a
//! path that means another file from where the playbook lies.

use std::path::{Component, Path, PathBuf};

use anyhow::Result;

use crate::cli::flags::Usage;
use crate::playbook::{self, DatabaseUrl};
use crate::strategies::Refused;

/// A value, and whether it was typed or found in the environment.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Given {
    /// The value.
    pub(in crate::cli) text: String,
    /// Whether it stands on the command line.
    pub(in crate::cli) typed: bool,
}

/// A database: where it is, and how the playbook says so.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) url: DatabaseUrl,
    pub(super) written: String,
}

impl Place {
    /// What `flag` or `variable` gave for a playbook that will be `file`.
    pub(super) fn of(given: &Given, flag: &str, variable: &str, file: &Path) -> Result<Place> {
        let named = if given.typed { flag } else { variable };
        if given.typed && playbook::tells_secret(&given.text) {
            let problem = format!(
                "{flag} holds a password, and everybody on this machine can read command lines; put the URL into the \
                 environment variable {variable} and leave {flag} out, or name a variable in it: '${{NAME}}'"
            );
            return Err(Usage(problem).into());
        }
        let text = if given.typed {
            let expanded = playbook::expanded(&given.text, &from_environment);
            expanded.map_err(|problem| Usage(format!("{named}: {problem}")))?
        } else {
            given.text.clone()
        };
        let url = playbook::url(&text, Path::new(""))
            .map_err(|problem| Usage(format!("{named} {problem}")))?;
        let written = match moved(&url, file)? {
            Some(moved) => moved,
            None if given.typed => given.text.clone(),
            None => format!("${{{variable}}}"),
        };
        Ok(Place { url, written })
    }
}

/// A variable of the environment.
pub(super) fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Kafka's brokers: what is connected to, and how the playbook says so.
pub(super) struct Brokers {
    pub(super) expanded: String,
    pub(super) written: String,
}

pub(super) fn brokers(given: &Given) -> Result<Brokers> {
    if !given.typed {
        return Ok(Brokers {
            expanded: given.text.clone(),
            written: "${KAFKA_BROKERS}".to_owned(),
        });
    }
    let expanded = playbook::expanded(&given.text, &from_environment);
    Ok(Brokers {
        expanded: expanded.map_err(|problem| Usage(format!("--brokers: {problem}")))?,
        written: given.text.clone(),
    })
}

/// A SQLite file that was named from the working directory, named from the playbook's folder; `None` when the name means
/// the same file there.
fn moved(url: &DatabaseUrl, file: &Path) -> Result<Option<String>> {
    let Some((path, query)) = url.relative_file() else {
        return Ok(None);
    };
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => return Ok(None),
    };
    let real = |path: &Path| {
        path.canonicalize()
            .map_err(|e| Refused::because(format!("{}: {e}", path.display())))
    };
    let back = between(&real(folder)?, &real(Path::new("."))?);
    let Some(back) = back.to_str().filter(|back| !back.is_empty()) else {
        return Ok(None);
    };
    Ok(Some(format!(
        "sqlite:{}/{}{query}",
        encoded(back),
        playbook::as_literal(path)
    )))
}

/// The way from one folder to another; both absolute.
fn between(from: &Path, to: &Path) -> PathBuf {
    let shared = from
        .components()
        .zip(to.components())
        .take_while(|(a, b)| a == b)
        .count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(to.components().skip(shared)).collect()
}

/// A path as a URL spells it.
fn encoded(path: &str) -> String {
    let mut out = String::new();
    for c in path.chars() {
        match c {
            '%' | '?' | ' ' | '#' => out.push_str(&format!("%{:02X}", u32::from(c))),
            c => out.push(c),
        }
    }
    playbook::as_literal(&out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_between_folders() {
        let way = |from: &str, to: &str| {
            between(Path::new(from), Path::new(to))
                .display()
                .to_string()
        };
        assert_eq!(way("/a/b", "/a/b"), "");
        assert_eq!(way("/a/b/c", "/a/b"), "..");
        assert_eq!(way("/a/b", "/a/b/c d"), "c d");
        assert_eq!(way("/x/y", "/a/b"), "../../a/b");
        assert_eq!(encoded("a b%?${X}"), "a%20b%25%3F$${X}");
    }
}
