//! What is wrong with a playbook, and how to put it right.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// One thing that is wrong, where it stands, and what to do about it. It never quotes a value
/// that may be secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The playbook, as it was named.
    pub file: PathBuf,
    /// The line, from 1; for a missing key the line of the section that lacks it.
    pub line: usize,
    /// The path in the file, like `views.accounts_copy.key`; empty for the file as a whole.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file.display(), self.line)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}; {}", self.what, self.fix)
    }
}

/// Why a playbook could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum Problems {
    /// The file could not be read at all.
    #[error("cannot read the playbook {}", file.display())]
    Unreadable {
        /// The file, as it was named.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file was read, and this is wrong with it: in the order of its lines, never empty.
    #[error("{}", one_a_line(.0))]
    Found(Vec<Problem>),
}

fn one_a_line(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

/// Gathers problems while the file is read.
pub(super) struct Findings {
    file: PathBuf,
    problems: Vec<Problem>,
}

impl Findings {
    pub(super) fn new(file: &Path) -> Self {
        Self {
            file: file.to_path_buf(),
            problems: Vec::new(),
        }
    }

    /// Notes one problem.
    pub(super) fn add(
        &mut self,
        line: usize,
        path: &str,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.problems.push(Problem {
            file: self.file.clone(),
            line,
            path: path.to_owned(),
            what: what.into(),
            fix: fix.into(),
        });
    }

    /// All problems by line, or `None` if there are none.
    pub(super) fn into_problems(mut self) -> Option<Problems> {
        self.problems.sort_by_key(|problem| problem.line);
        (!self.problems.is_empty()).then_some(Problems::Found(self.problems))
    }
}

/// The fix for a word that is none of `known`: the one that was meant, or all there are.
#[must_use]
pub fn did_you_mean(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// The known word that is at most two slips of the keyboard away, and at most half of the word.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let (word, slips_max) = (plain(word), (word.chars().count() / 2).min(2));
    known
        .iter()
        .map(|candidate| (slips(&word, &plain(candidate)), *candidate))
        .filter(|(slips, _)| *slips <= slips_max)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// The Levenshtein distance.
fn slips(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
