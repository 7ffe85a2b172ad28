//! Which output column a call fills: it is part of an item of the outermost SELECT that has a name.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Ident, ObjectName, Query, Select, SelectItem, SetExpr, Visit, Visitor};

use super::Dialect;
use super::place::{Place, place_of};

/// A name as the database reads it.
pub(super) fn folded(dialect: Dialect, ident: &Ident) -> String {
    match (dialect, ident.quote_style) {
        (Dialect::Postgres, None) => ident.value.to_ascii_lowercase(),
        _ => ident.value.clone(),
    }
}

/// The last part of a name.
pub(super) fn last(name: &ObjectName) -> Option<&Ident> {
    name.0.last().and_then(|part| part.as_ident())
}

/// For every call within an item of the outermost SELECTs, by the place of its name: the column that the item fills.
pub(super) fn by_call(query: &Query, dialect: Dialect) -> BTreeMap<Place, String> {
    let mut selects = Vec::new();
    outermost(&query.body, &mut selects);
    let mut found = BTreeMap::new();
    let Some(first) = selects.first() else {
        return found;
    };
    for select in &selects {
        // The first SELECT names the columns of all.
        let by_position = !(has_wildcard(select) || has_wildcard(first));
        for (nth, item) in select.projection.iter().enumerate() {
            let named = match (std::ptr::eq(*select, *first), by_position) {
                (true, _) => name_of(item, dialect),
                (false, true) => first.projection.get(nth).and_then(|i| name_of(i, dialect)),
                (false, false) => None,
            };
            if let Some(name) = named {
                for place in calls_in(item) {
                    found.insert(place, name.clone());
                }
            }
        }
    }
    found
}

/// The SELECTs whose rows are the query's own, in the order written.
fn outermost<'q>(body: &'q SetExpr, selects: &mut Vec<&'q Select>) {
    match body {
        SetExpr::Select(select) => selects.push(select),
        SetExpr::Query(query) => outermost(&query.body, selects),
        SetExpr::SetOperation { left, right, .. } => {
            outermost(left, selects);
            outermost(right, selects);
        }
        _ => {}
    }
}

fn has_wildcard(select: &Select) -> bool {
    let wild = |item: &SelectItem| {
        matches!(
            item,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
        )
    };
    select.projection.iter().any(wild)
}

/// The name of an item's column, where that is beyond doubt.
fn name_of(item: &SelectItem, dialect: Dialect) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(dialect, alias)),
        // SQLite names it after its text, PostgreSQL after the function or column.
        SelectItem::UnnamedExpr(expr) if dialect == Dialect::Postgres => named_after(expr),
        _ => None,
    }
}

fn named_after(expr: &Expr) -> Option<String> {
    let ident = match expr {
        Expr::Function(call) => last(&call.name)?,
        Expr::Identifier(ident) => ident,
        Expr::CompoundIdentifier(parts) => parts.last()?,
        Expr::Cast { expr, .. } | Expr::Nested(expr) => return named_after(expr),
        _ => return None,
    };
    Some(folded(Dialect::Postgres, ident))
}

/// The call that an item is as a whole, if it names the item's column: the item has no other name.
pub(super) fn naming_call(item: &SelectItem) -> Option<(&Ident, bool)> {
    fn within(expr: &Expr, bare: bool) -> Option<(&Ident, bool)> {
        match expr {
            Expr::Function(call) => last(&call.name).map(|name| (name, bare)),
            Expr::Identifier(ident) => Some((ident, bare)),
            Expr::Cast { expr, .. } | Expr::Nested(expr) => within(expr, false),
            _ => None,
        }
    }
    match item {
        SelectItem::UnnamedExpr(expr) => within(expr, true),
        _ => None,
    }
}

fn calls_in(item: &SelectItem) -> Vec<Place> {
    struct Calls(Vec<Place>);
    impl Visitor for Calls {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Function(call) = expr {
                self.0
                    .extend(last(&call.name).map(|name| place_of(name.span.start)));
            }
            ControlFlow::Continue(())
        }
    }
    let mut calls = Calls(Vec::new());
    let _ = item.visit(&mut calls);
    calls.0
}
