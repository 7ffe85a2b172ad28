//! One walk through the tree of a query, which gathers its tables, its functions and its problems.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};

use sqlparser::ast::{
    Expr, Ident, ObjectName, Query as Tree, Select, SelectItem, SelectItemQualifiedWildcardKind,
    SetExpr, Statement, TableFactor, Value, ValueWithSpan, Visit, Visitor,
};

use super::call::bare_call;
use super::clock::{Clock, is_time_word};
use super::columns::{by_call, folded, naming_call};
use super::joined;
use super::place::{Place, Text, place_of};
use super::words;
use super::{Aggregate, Dialect, NoSource, Query, QueryProblem, Resolve, With, cut_without_order};

/// The common table expressions of one query, and how many of them can be seen from where the walk is.
struct Scope {
    names: Vec<String>,
    visible: usize,
    /// Whether they can all see one another.
    mutual: bool,
    /// Queries met directly within this one; the first of them are those of its common table expressions.
    met: usize,
}

/// What has been gathered.
pub(super) struct Walk<'a> {
    pub(super) dialect: Dialect,
    pub(super) text: &'a Text<'a>,
    /// The instant that the clock is pinned at, or any instant when it is not pinned.
    pub(super) clock: Clock,
    pub(super) is_pinned: bool,
    resolve: Resolve<'a>,
    scopes: Vec<Scope>,
    /// Output columns, by the calls that fill them.
    pub(super) columns: BTreeMap<Place, String>,
    /// Places where a pinned call must leave its name behind, and whether that can be written.
    pub(super) naming: BTreeMap<Place, bool>,
    splices: BTreeMap<(usize, usize), With>,
    pub(super) functions: BTreeSet<String>,
    pub(super) unordered: Vec<Aggregate>,
    pub(super) sums: Vec<Aggregate>,
    problems: Vec<QueryProblem>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        dialect: Dialect,
        text: &'a Text<'a>,
        pinned: Option<Clock>,
        resolve: Resolve<'a>,
        tree: &Tree,
    ) -> Self {
        Walk {
            dialect,
            text,
            is_pinned: pinned.is_some(),
            clock: pinned.unwrap_or(Clock::ANY),
            resolve,
            scopes: Vec::new(),
            columns: by_call(tree, dialect),
            naming: BTreeMap::new(),
            splices: BTreeMap::new(),
            functions: BTreeSet::new(),
            unordered: Vec::new(),
            sums: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Notes rows that are cut off without an order.
    pub(super) fn undefined_rows(&mut self, tree: &Tree) {
        let mut found = Vec::new();
        cut_without_order(tree, &mut found);
        for word in found {
            let place = match self.text.word(&[word], true) {
                Place::START => self.text.word(&[word], false),
                place => place,
            };
            let what = format!("{word} without ORDER BY: which rows it keeps is not defined");
            self.problem(
                place,
                what,
                "add an ORDER BY that no two rows share, or take it out",
            );
        }
    }

    /// Walks through the whole tree.
    pub(super) fn walk(mut self, tree: &Tree) -> Result<Self, Vec<QueryProblem>> {
        let _ = tree.visit(&mut self);
        if self.problems.is_empty() {
            return Ok(self);
        }
        self.problems.sort_by_key(|problem| problem.place);
        self.problems.dedup();
        Err(self.problems)
    }

    /// The query, once nothing is wrong with it.
    pub(super) fn query(
        mut self,
        text: &str,
        placed: &Text<'_>,
        tree: &Tree,
    ) -> Result<Query, Vec<QueryProblem>> {
        for range in placed.semicolons() {
            self.write(range, With::Text(String::new()));
        }
        let mut before = 0;
        for (start, end) in self.splices.keys() {
            assert!(
                *start >= before,
                "two replacements of a query overlap at byte {start}"
            );
            before = *end;
        }
        let joined = joined::read(tree, placed, self.dialect, &self.splices);
        Ok(Query {
            text: text.to_owned(),
            joined,
            splices: self.splices,
            functions: self.functions,
            unordered: self.unordered,
            sums: self.sums,
        })
    }

    /// Notes what to write in place of some bytes.
    pub(super) fn write(&mut self, range: Range<usize>, with: With) {
        self.splices.insert((range.start, range.end), with);
    }

    pub(super) fn problem(
        &mut self,
        place: Place,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.problems.push(QueryProblem {
            place,
            what: what.into(),
            fix: fix.into(),
        });
    }

    /// The bytes of a name; a problem when the text there is something else.
    pub(super) fn bytes(&mut self, ident: &Ident) -> Option<Range<usize>> {
        let bytes = self.text.ident(ident);
        if bytes.is_none() {
            let what = format!("the place of `{}` is not certain", ident.value);
            self.problem(place_of(ident.span.start), what, "write it in another way");
        }
        bytes
    }

    /// The parts of a name that is made of words alone.
    pub(super) fn parts<'n>(&mut self, name: &'n ObjectName) -> Option<Vec<&'n Ident>> {
        let parts: Option<Vec<&Ident>> = name.0.iter().map(|part| part.as_ident()).collect();
        if parts.is_none() {
            let place = self.text.word(&["IDENTIFIER"], false);
            self.problem(
                place,
                format!("`{name}` is no name"),
                "write the name itself",
            );
        }
        parts
    }

    /// What tables and aliases are told apart by.
    fn told_apart(&self, ident: &Ident) -> String {
        match self.dialect {
            Dialect::Postgres => folded(self.dialect, ident),
            Dialect::Sqlite => ident.value.to_ascii_lowercase(),
        }
    }

    fn is_common_table(&self, ident: &Ident) -> bool {
        let name = self.told_apart(ident);
        let sees = |scope: &Scope| scope.names[..scope.visible].contains(&name);
        self.scopes.iter().any(sees)
    }

    /// A table of FROM: a common table expression, or a source.
    fn table(&mut self, name: &ObjectName, has_alias: bool) -> Option<()> {
        let parts = self.parts(name)?;
        let (ident, schema) = match parts.as_slice() {
            [ident] => (*ident, None),
            [schema, ident] => (*ident, Some(*schema)),
            [first, .., _] => {
                let what = format!("`{name}` has more parts than schema and table");
                self.problem(place_of(first.span.start), what, "leave the database out");
                return None;
            }
            [] => return None,
        };
        let place = place_of(parts[0].span.start);
        if self.dialect == Dialect::Postgres && is_word(ident, "only") {
            self.only(place);
            return None;
        }
        if schema.is_none() && self.is_common_table(ident) {
            return Some(());
        }
        let source = match self.source(schema, ident) {
            Ok(source) => source,
            Err(none) => {
                self.problem(place, none.what, none.fix);
                return None;
            }
        };
        let (first, end) = (self.bytes(parts[0])?, self.bytes(ident)?);
        let alias = (!has_alias).then(|| folded(self.dialect, ident));
        let with = With::Table { source, alias };
        self.write(first.start..end.end, with);
        Some(())
    }

    /// The source that a table means, by its name as the database reads it, or as it was written.
    fn source(&self, schema: Option<&Ident>, ident: &Ident) -> Result<String, NoSource> {
        let read = |ident| folded(self.dialect, ident);
        (self.resolve)(schema.map(read).as_deref(), &read(ident)).or_else(|none| {
            let as_written = (self.resolve)(schema.map(|s| s.value.as_str()), &ident.value);
            as_written.map_err(|_| none)
        })
    }

    pub(super) fn only(&mut self, place: Place) {
        let what =
            "ONLY leaves rows of a table's children out, which a copy of the table cannot know";
        self.problem(place, what, "take ONLY out");
    }

    fn system_column(&mut self, ident: &Ident) {
        let name = ident.value.to_ascii_lowercase();
        if ident.quote_style.is_none() && words::is_system_column(self.dialect, &name) {
            let what =
                format!("`{name}` is the database's own, and another in every copy of a table");
            let fix = "use the key's columns, or quote it if the column is yours";
            self.problem(place_of(ident.span.start), what, fix);
        }
    }

    /// A name that stands where a value could.
    fn identifier(&mut self, ident: &Ident) {
        let is_call = words::is_bare_call(self.dialect, &ident.value.to_ascii_lowercase());
        if ident.quote_style.is_none() && is_call {
            self.call(&bare_call(ObjectName::from(vec![ident.clone()])));
        } else {
            self.system_column(ident);
        }
    }

    /// `'now'::timestamptz` reads the clock.
    fn time_word(&mut self, value: &ValueWithSpan) {
        if let Value::SingleQuotedString(word) = &value.value
            && self.dialect == Dialect::Postgres
            && is_time_word(word)
        {
            let what = format!("'{word}' reads the clock when it is cast");
            let fix = "write `now()` or `current_date`, and pin it with `as_of:`";
            self.problem(place_of(value.span.start), what, fix);
        }
    }

    /// `schema.table.column` does not outlive the replacement of the table.
    fn qualified(&mut self, parts: &[Ident], parts_max: usize) {
        if let [first, .., table, _] = parts
            && parts.len() > parts_max
        {
            let what = format!("a column is named by its schema, `{}`", first.value);
            let fix = format!("leave the schema out: `{}` and the column", table.value);
            self.problem(place_of(first.span.start), what, fix);
        }
    }

    fn select(&mut self, select: &Select) {
        if select.into.is_some() {
            let place = self.text.word(&["INTO"], false);
            self.problem(place, "INTO writes a table", "take it out");
        }
        for item in &select.projection {
            if let SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(name),
                _,
            ) = item
                && let Some(mut parts) = self.parts(name)
                && let Some(table) = parts.pop()
                && let Some(schema) = parts.pop()
            {
                let what = format!("a table is named by its schema, `{}`", schema.value);
                let fix = format!("leave the schema out: `{}.*`", table.value);
                self.problem(place_of(schema.span.start), what, fix);
            }
            if self.dialect == Dialect::Postgres
                && let Some((name, bare)) = naming_call(item)
            {
                self.naming.insert(place_of(name.span.start), bare);
            }
        }
    }

    fn scope(&mut self, tree: &Tree) {
        if let Some(scope) = self.scopes.last_mut() {
            if scope.met < scope.names.len() && !scope.mutual {
                scope.visible = scope.met;
            }
            scope.met += 1;
        }
        let with = tree.with.as_ref();
        let names: Vec<String> = with
            .iter()
            .flat_map(|with| &with.cte_tables)
            .map(|cte| self.told_apart(&cte.alias.name))
            .collect();
        self.scopes.push(Scope {
            visible: names.len(),
            // In SQLite all see one another, whether RECURSIVE is written or not.
            mutual: with.is_some_and(|with| with.recursive) || self.dialect == Dialect::Sqlite,
            names,
            met: 0,
        });
    }

    fn query_clauses(&mut self, tree: &Tree) {
        if !tree.locks.is_empty() || tree.for_clause.is_some() {
            let place = self.text.word(&["FOR"], false);
            self.problem(
                place,
                "FOR locks rows, or writes them otherwise",
                "take it out",
            );
        }
        if !tree.pipe_operators.is_empty()
            || tree.settings.is_some()
            || tree.format_clause.is_some()
        {
            let what = format!("this is no SQL of {}", self.dialect.name());
            self.problem(Place::START, what, "write a plain SELECT");
        }
        if let SetExpr::Table(_) = &*tree.body {
            let place = self.text.word(&["TABLE"], false);
            self.problem(
                place,
                "TABLE stands for a SELECT",
                "write `SELECT * FROM` instead",
            );
        }
    }
}

impl Visitor for Walk<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, tree: &Tree) -> ControlFlow<()> {
        self.scope(tree);
        self.query_clauses(tree);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Tree) -> ControlFlow<()> {
        self.scopes.pop();
        if let Some(scope) = self.scopes.last_mut() {
            scope.visible = scope.names.len();
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.select(select);
        ControlFlow::Continue(())
    }

    /// The query itself is walked, not its statement: one that is met stands within it.
    fn pre_visit_statement(&mut self, _: &Statement) -> ControlFlow<()> {
        let place = self
            .text
            .word(&["INSERT", "UPDATE", "DELETE", "MERGE"], false);
        self.problem(place, "a part of this writes", "write a SELECT alone");
        ControlFlow::Break(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table {
                name,
                args: Some(_),
                ..
            }
            | TableFactor::Function { name, .. } => {
                self.table_function(name);
            }
            TableFactor::Table { name, alias, .. } if is_plain(factor) => {
                self.table(name, alias.is_some());
            }
            TableFactor::Derived { sample: None, .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::JsonTable { .. }
            | TableFactor::XmlTable { .. }
            | TableFactor::NestedJoin { .. } => {}
            _ => {
                let place = self.text.word(&["TABLESAMPLE"], false);
                let what = match place {
                    Place::START => "a table is read in a way that trueup does not know".to_owned(),
                    _ => "TABLESAMPLE does not give the same rows twice".to_owned(),
                };
                self.problem(place, what, "read the whole table");
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(call) => {
                self.call(call);
            }
            Expr::Identifier(ident) => self.identifier(ident),
            Expr::CompoundIdentifier(parts) => {
                self.qualified(parts, 2);
                parts.last().into_iter().for_each(|c| self.system_column(c));
            }
            Expr::Cast { expr, .. } => {
                if let Expr::Value(value) = &**expr {
                    self.time_word(value);
                }
            }
            Expr::TypedString(typed) => self.time_word(&typed.value),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
        if let Value::Placeholder(name) = &value.value {
            let what = format!("`{name}` stands for a value that nobody gives");
            self.problem(place_of(value.span.start), what, "write the value");
        }
        ControlFlow::Continue(())
    }
}

/// Whether a table is read as a whole, with nothing beside its name and alias.
fn is_plain(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Table {
            with_hints,
            version: None,
            with_ordinality: false,
            partitions,
            json_path: None,
            sample: None,
            index_hints,
            ..
        } => with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty(),
        _ => false,
    }
}

pub(super) fn is_word(ident: &Ident, word: &str) -> bool {
    ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case(word)
}
