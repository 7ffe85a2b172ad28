//! Takes written values apart: whatever is wrong is noted with its place, and reading goes on.

use std::path::Path;

use crate::playbook::marks::{Marks, join};
use crate::playbook::problem::{Findings, did_you_mean};
use crate::playbook::shape::{Entries, Field, Section, Shape, Text, Texts};

/// Reads fields, and gathers the problems found. `None` from any of its methods means that the
/// key is missing, or that a problem has been noted.
pub(super) struct Reader<'a> {
    /// The playbook's folder, which files are relative to.
    pub(super) folder: &'a Path,
    pub(super) marks: &'a Marks,
    pub(super) findings: &'a mut Findings,
}

impl Reader<'_> {
    /// The line of `path`.
    pub(super) fn line(&self, path: &str) -> usize {
        self.marks.line(path)
    }

    /// Notes a problem at `path`.
    pub(super) fn problem(&mut self, path: &str, what: impl Into<String>, fix: impl Into<String>) {
        self.findings.add(self.marks.line(path), path, what, fix);
    }

    /// An optional value.
    pub(super) fn get<T: Shape>(&mut self, path: &str, field: Field<T>) -> Option<T> {
        match field {
            Field::Is(value) => Some(value),
            Field::Missing | Field::Reported => None,
            Field::Wrong(found) => {
                self.problem(path, format!("must be {}, not {found}", T::NAME), T::FIX);
                None
            }
        }
    }

    /// A required value; `fix` says what to write when it is missing.
    pub(super) fn need<T: Shape>(&mut self, path: &str, field: Field<T>, fix: &str) -> Option<T> {
        if !field.is_written() {
            self.problem(path, "is missing", fix);
        }
        self.get(path, field)
    }

    /// An optional section.
    pub(super) fn section<T>(&mut self, path: &str, field: Field<Section<T>>) -> Option<T> {
        let section = self.get(path, field)?;
        Some(self.open(path, section))
    }

    /// What a section holds, once its unknown keys are noted.
    pub(super) fn open<T>(&mut self, path: &str, section: Section<T>) -> T {
        for key in section.unknown {
            let fix = did_you_mean(&key, section.known);
            self.problem(&join(path, &key), "is no key of a playbook", fix);
        }
        section.is
    }

    /// An optional text that is not blank.
    pub(super) fn text(&mut self, path: &str, field: Field<Text>) -> Option<String> {
        let Text(text) = self.get(path, field)?;
        if text.trim().is_empty() {
            self.problem(path, "is empty", "write a value, or leave the key out");
            return None;
        }
        Some(text)
    }

    /// A required text that is not blank.
    pub(super) fn need_text(
        &mut self,
        path: &str,
        field: Field<Text>,
        fix: &str,
    ) -> Option<String> {
        if !field.is_written() {
            self.problem(path, "is missing", fix);
        }
        self.text(path, field)
    }

    /// One text or several, none of them blank or twice; never an empty list.
    pub(super) fn texts(&mut self, path: &str, texts: Texts) -> Option<Vec<String>> {
        let list = match texts {
            Texts::One(text) => vec![self.text(path, Field::Is(Text(text)))?],
            Texts::List(list) => {
                let items = list.into_iter().enumerate();
                let read = items.map(|(nth, item)| self.text(&format!("{path}[{nth}]"), item));
                // To the end of the list, not of its first problem.
                let read: Vec<Option<String>> = read.collect();
                read.into_iter().collect::<Option<Vec<String>>>()?
            }
        };
        if list.is_empty() {
            self.problem(path, "is an empty list", "write at least one");
            return None;
        }
        for (nth, item) in list.iter().enumerate() {
            if list[..nth].contains(item) {
                let what = format!("`{item}` is written twice");
                self.problem(&format!("{path}[{nth}]"), what, "keep one of the two");
            }
        }
        Some(list)
    }

    /// Reads each entry with `read`, all of them even if some fail.
    pub(super) fn each<T: Shape, R>(
        &mut self,
        path: &str,
        entries: Entries<T>,
        mut read: impl FnMut(&mut Self, &str, &str, T) -> Option<R>,
    ) -> Option<Vec<R>> {
        let mut all = Some(Vec::with_capacity(entries.0.len()));
        for (name, field) in entries.0 {
            let path = join(path, &name);
            let value = self.get(&path, field);
            let value = value.and_then(|value| read(self, &path, &name, value));
            all = all.zip(value).map(|(mut all, value)| {
                all.push(value);
                all
            });
        }
        all
    }

    /// A map of names that needs at least one.
    pub(super) fn need_entries<T>(
        &mut self,
        path: &str,
        field: Field<Entries<T>>,
        fix: &str,
    ) -> Option<Entries<T>> {
        let entries = self.need(path, field, fix)?;
        if entries.0.is_empty() {
            self.problem(path, "is empty", fix);
            return None;
        }
        Some(entries)
    }
}
