//! Calls of functions: whether a view may make them, what they read, and what becomes of their order.

use sqlparser::ast::{
    Function, FunctionArgumentClause, FunctionArguments, Ident, ObjectName, WindowType,
};

use super::clock::Reads;
use super::place::{Place, place_of};
use super::walk::{Walk, is_word};
use super::words;
use super::{Aggregate, Dialect, With};

impl Walk<'_> {
    /// A function that stands where a table could.
    pub(super) fn table_function(&mut self, name: &ObjectName) -> Option<()> {
        let parts = self.parts(name)?;
        let place = place_of(parts.first()?.span.start);
        if self.dialect == Dialect::Postgres
            && matches!(parts.as_slice(), [one] if is_word(one, "only"))
        {
            self.only(place);
            return None;
        }
        let built_in = self.called(&parts)?;
        self.refused(&built_in, place);
        let call = bare_call(name.clone());
        let at = self.bytes(parts.last()?)?;
        if !matches!(
            self.clock
                .reads(self.dialect, &built_in, &call, at, self.text),
            Reads::No
        ) {
            let what = format!("`{built_in}` gives another value at another time");
            self.problem(place, what, "select it instead, and pin it with `as_of:`");
        }
        Some(())
    }

    /// Notes a function; its name if it is one of the database itself, or may be.
    fn called(&mut self, parts: &[&Ident]) -> Option<String> {
        let shown = |ident: &&Ident| {
            let name = ident.value.to_ascii_lowercase();
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            let same = ident.quote_style.is_none()
                || self.dialect == Dialect::Sqlite
                || name == ident.value;
            match same && (plain || ident.quote_style.is_none()) {
                true => name,
                false => format!("\"{}\"", ident.value.replace('"', "\"\"")),
            }
        };
        let names: Vec<String> = parts.iter().map(shown).collect();
        let is_bare = |name: &str| {
            words::is_bare_call(self.dialect, name) || words::is_syntax(self.dialect, name)
        };
        if !matches!(names.as_slice(), [name] if is_bare(name)) {
            self.functions.insert(names.join("."));
        }
        match names.as_slice() {
            [name] => Some(name.clone()),
            [schema, name] if schema == "pg_catalog" => Some(name.clone()),
            _ => None,
        }
    }

    fn refused(&mut self, name: &str, place: Place) {
        if let Some(why) = words::refused(self.dialect, name) {
            let fix = "a view can only hold what its sources hold: take it out";
            self.problem(place, format!("`{name}` {why}"), fix);
        }
    }

    pub(super) fn call(&mut self, call: &Function) -> Option<()> {
        let parts = self.parts(&call.name)?;
        let place = place_of(parts.first()?.span.start);
        let built_in = self.called(&parts)?;
        self.refused(&built_in, place);
        self.aggregate(&built_in, call, place);
        let (first, end) = (self.bytes(parts[0])?, self.bytes(parts.last()?)?);
        let at = first.start..end.end;
        let reads = self
            .clock
            .reads(self.dialect, &built_in, call, at, self.text);
        self.reads_clock(&built_in, place, reads);
        Some(())
    }

    /// A call that reads the clock, and what to write for it.
    fn reads_clock(&mut self, name: &str, place: Place, reads: Reads) {
        let written = match reads {
            Reads::No => return,
            Reads::Unwritable => {
                let what = format!("`{name}` reads the clock in a way that cannot be pinned");
                self.problem(place, what, "write it in another way");
                return;
            }
            Reads::Yes(_) if !self.is_pinned => {
                let what = format!("`{name}` gives another value at another time");
                let fix = "pin it: `as_of: 2024-01-31T12:00:00Z` beside `query:`";
                self.problem(place, what, fix);
                return;
            }
            Reads::Yes(written) => written,
        };
        let replaced = written.iter().any(|(range, _)| !range.is_empty());
        let naming = self.naming.get(&place).copied().filter(|_| replaced);
        if naming == Some(false) {
            let what = format!(
                "the column that `{name}` fills is named after it, and `as_of:` replaces it"
            );
            self.problem(place, what, format!("name the column: `AS {name}`"));
        }
        for (range, mut text) in written {
            if naming == Some(true) {
                text.push_str(&format!(" AS \"{name}\""));
            }
            self.write(range, With::Text(text));
        }
    }

    fn aggregate(&mut self, name: &str, call: &Function, place: Place) {
        let aggregate = || Aggregate {
            function: name.to_owned(),
            place,
            column: self.columns.get(&place).cloned(),
        };
        if words::is_sum(name) {
            self.sums.push(aggregate());
        } else if (words::keeps_order(name) && !is_ordered(call)) || is_unordered_array(name, call)
        {
            self.unordered.push(aggregate());
        }
    }
}

/// A call without brackets.
pub(super) fn bare_call(name: ObjectName) -> Function {
    Function {
        name,
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::None,
        within_group: Vec::new(),
        filter: None,
        null_treatment: None,
        over: None,
    }
}

/// Whether an aggregate is told the order of its rows.
fn is_ordered(call: &Function) -> bool {
    let by_window =
        matches!(&call.over, Some(WindowType::WindowSpec(spec)) if !spec.order_by.is_empty());
    let by_clause = match &call.args {
        FunctionArguments::List(list) => {
            let is_order =
                |c: &FunctionArgumentClause| matches!(c, FunctionArgumentClause::OrderBy(_));
            list.clauses.iter().any(is_order)
        }
        _ => false,
    };
    by_window || by_clause || !call.within_group.is_empty()
}

/// `ARRAY(SELECT …)` keeps the order of its query.
fn is_unordered_array(name: &str, call: &Function) -> bool {
    match &call.args {
        FunctionArguments::Subquery(tree) => name == "array" && tree.order_by.is_none(),
        _ => false,
    }
}
