//! From text to a tree of values, with the line of every path in it.
//!
//! serde_yaml stops at its first error and keeps no lines, so the tree is built here from the
//! parser's marked events; serde_yaml then decides what each plain value is. What only the events
//! can show is reported here: syntax, keys written twice, unset variables.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};
use serde_yaml::Value;
use serde_yaml::value::{Tag, TaggedValue};

use super::expand::{self, Env};
use super::problem::Findings;

/// Lists and maps within one another, at most.
const DEPTH_MAX: usize = 32;

/// The tag of a number that a machine word would round: it stays the text that was written.
const NUMBER: &str = "number";

/// The tag of a value that has been reported already, so that nobody complains a second time.
const REPORTED: &str = "reported";

/// The line of every path, like `views.accounts_copy.key[0]`.
pub(super) struct Marks {
    lines: BTreeMap<String, usize>,
    /// The line on which the text of a scalar starts, where that is another one.
    texts: BTreeMap<String, usize>,
}

impl Marks {
    /// The line on which the text at `path` starts: for a block, the one below its `|`.
    pub(super) fn text_line(&self, path: &str) -> usize {
        let line = self.texts.get(path).copied();
        line.unwrap_or_else(|| self.line(path))
    }

    /// The line of `path`, or of the nearest section around it that was written.
    pub(super) fn line(&self, path: &str) -> usize {
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return *line;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return self.lines.get("").copied().unwrap_or(1),
            }
        }
    }
}

/// The path of `key` within `path`.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The text of a number that is kept as it was written, if `value` is one.
pub(super) fn number_as_written(value: &Value) -> Option<&str> {
    match value {
        Value::Tagged(tagged) if tagged.tag == NUMBER => tagged.value.as_str(),
        _ => None,
    }
}

/// Whether `value` stands for one that has been reported.
pub(super) fn is_reported(value: &Value) -> bool {
    matches!(value, Value::Tagged(tagged) if tagged.tag == REPORTED)
}

/// The tree of the one document in `text`; `None` when it cannot be read to its end.
pub(super) fn read(text: &str, env: Env<'_>, findings: &mut Findings) -> Option<(Value, Marks)> {
    let mut walk = Walk {
        text,
        parser: Parser::new_from_str(text),
        env,
        marks: Marks {
            lines: BTreeMap::new(),
            texts: BTreeMap::new(),
        },
        findings,
    };
    let tree = walk.document()?;
    Some((tree, walk.marks))
}

struct Walk<'t, 'a> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    env: Env<'a>,
    marks: Marks,
    findings: &'a mut Findings,
}

impl<'t> Walk<'t, '_> {
    fn document(&mut self) -> Option<Value> {
        let mut root = None;
        loop {
            match self.event()? {
                (Event::StreamEnd, _) => break,
                (Event::DocumentStart(_), line) if root.is_some() => {
                    let fix = "put it into a file of its own";
                    self.findings
                        .add(line, "", "a second document starts here", fix);
                    return None;
                }
                (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd, _) => {}
                (event, line) => root = Some(self.node(event, line, "", 0)?),
            }
        }
        match root {
            Some(root) if !root.is_null() => Some(root),
            _ => {
                let fix = "`trueup init` writes a first playbook";
                self.findings.add(1, "", "the playbook is empty", fix);
                None
            }
        }
    }

    /// The next event and its line. A syntax error is reported, and ends the walk.
    fn event(&mut self) -> Option<(Event<'t>, usize)> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Some((event, span.start.line())),
            Some(Err(error)) => {
                let column = error.marker().col() + 1;
                let what = format!("this is no YAML: {} (column {column})", error.info());
                let line = error.marker().line();
                let written = self.text.lines().nth(line.saturating_sub(1));
                let fix = match written {
                    Some(written) if written.contains("${") => {
                        "a `${NAME}` within `{ }` or `[ ]` needs quotes: \"${NAME}\""
                    }
                    _ => "often an indent, a missing quote or a missing bracket just above",
                };
                self.findings.add(line, "", what, fix);
                None
            }
            None => Some((Event::StreamEnd, 1)),
        }
    }

    fn node(&mut self, event: Event<'t>, line: usize, path: &str, depth: usize) -> Option<Value> {
        self.marks.lines.entry(path.to_owned()).or_insert(line);
        if depth > DEPTH_MAX {
            let what = format!("more than {DEPTH_MAX} lists and maps within one another");
            self.findings.add(
                line,
                path,
                what,
                "no key is this deep; look at the brackets above",
            );
            return None;
        }
        match event {
            Event::Scalar(text, style, _, None) => Some(self.scalar(&text, style, line, path)),
            Event::SequenceStart(_, None) => self.sequence(path, depth),
            Event::MappingStart(_, None) => self.mapping(path, depth),
            Event::Alias(_) => {
                let fix = "write the value out in full";
                self.findings
                    .add(line, path, "aliases (`*name`) are not read", fix);
                Some(tagged(REPORTED, String::new()))
            }
            tagged_event => {
                let fix = "leave the tag out, and quote what is text";
                self.findings
                    .add(line, path, "tags (`!name`) are not read", fix);
                self.skip(&tagged_event)?;
                Some(tagged(REPORTED, String::new()))
            }
        }
    }

    fn sequence(&mut self, path: &str, depth: usize) -> Option<Value> {
        let mut items = Vec::new();
        loop {
            let (event, line) = self.event()?;
            if event == Event::SequenceEnd {
                return Some(Value::Sequence(items));
            }
            let path = format!("{path}[{}]", items.len());
            items.push(self.node(event, line, &path, depth + 1)?);
        }
    }

    fn mapping(&mut self, path: &str, depth: usize) -> Option<Value> {
        let mut entries = serde_yaml::Mapping::new();
        loop {
            let (event, line) = self.event()?;
            let key = match event {
                Event::MappingEnd => return Some(Value::Mapping(entries)),
                Event::Scalar(key, ..) => key.into_owned(),
                other => {
                    self.findings
                        .add(line, path, "a key must be one word", "name the entry");
                    self.skip(&other)?;
                    let (value, _) = self.event()?;
                    self.skip(&value)?;
                    continue;
                }
            };
            let path = join(path, &key);
            let (event, value_line) = self.event()?;
            let key = Value::String(key);
            if entries.contains_key(&key) {
                let first = self.marks.line(&path);
                let what = format!("the key is written twice, first on line {first}");
                self.findings.add(line, &path, what, "keep one of the two");
                self.skip(&event)?;
                continue;
            }
            self.marks.lines.insert(path.clone(), line);
            let value = self.node(event, value_line, &path, depth + 1)?;
            entries.insert(key, value);
        }
    }

    /// Reads to the end of what `start` has begun, and forgets it.
    fn skip(&mut self, start: &Event<'t>) -> Option<()> {
        let opens = |e: &Event<'_>| matches!(e, Event::SequenceStart(..) | Event::MappingStart(..));
        let mut open = usize::from(opens(start));
        while open > 0 {
            match self.event()?.0 {
                Event::SequenceEnd | Event::MappingEnd => open -= 1,
                event => open += usize::from(opens(&event)),
            }
        }
        Some(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, line: usize, path: &str) -> Value {
        let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        // The parser names the first line of a block that is not blank.
        let blank = text.bytes().take_while(|b| *b == b'\n').count();
        let text_line = line.saturating_sub(if is_block { blank } else { 0 });
        if self.marks.lines.get(path) != Some(&text_line) {
            self.marks.texts.insert(path.to_owned(), text_line);
        }
        match expand::expand(text, self.env) {
            Ok(expanded) if style == ScalarStyle::Plain && expanded == text => plain(text),
            Ok(expanded) => Value::String(expanded.into_owned()),
            Err(failed) => {
                for why in failed {
                    self.findings.add(line, path, why.to_string(), why.fix());
                }
                tagged(REPORTED, String::new())
            }
        }
    }
}

/// What an unquoted value is: serde_yaml knows. A number keeps all its digits.
fn plain(text: &str) -> Value {
    let is_number = || serde_yaml::from_str::<f64>(text).is_ok_and(f64::is_finite);
    match serde_yaml::from_str(text) {
        _ if text.is_empty() => Value::Null,
        Ok(value @ (Value::Null | Value::Bool(_))) => value,
        Ok(Value::Number(whole)) if whole.is_i64() || whole.is_u64() => Value::Number(whole),
        Ok(Value::Number(_)) | Err(_) if is_number() => tagged(NUMBER, text.to_owned()),
        _ => Value::String(text.to_owned()),
    }
}

fn tagged(tag: &str, text: String) -> Value {
    Value::Tagged(Box::new(TaggedValue {
        tag: Tag::new(tag),
        value: Value::String(text),
    }))
}
