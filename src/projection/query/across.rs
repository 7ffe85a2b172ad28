//! What makes a query look across keys: its rows then do not follow from the joined rows of one key alone.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, LimitClause, Query as Tree, Select, SetExpr, Visit, Visitor,
};

use super::Dialect;
use super::columns::last;
use super::words;

/// The SELECT that a query is, if its rows follow from the joined rows one group at a time.
pub(super) fn plain(tree: &Tree, dialect: Dialect) -> Result<&Select, String> {
    let not = |what: &str| Err(what.to_owned());
    if let Some(with) = &tree.with {
        return not(if with.recursive {
            "it is recursive"
        } else {
            "it has a subquery"
        });
    }
    let select = match &*tree.body {
        SetExpr::Select(select) => select,
        SetExpr::SetOperation { .. } => return not("it is a set operation"),
        _ => return not("it is no plain SELECT"),
    };
    if tree.fetch.is_some() || limits(tree) {
        return not("it has a LIMIT");
    }
    if matches!(select.distinct, Some(Distinct::On(_))) {
        return not("it has a DISTINCT ON");
    }
    let mut found = Found::default();
    let _ = tree.visit(&mut found);
    if found.windows > 0 || !select.named_window.is_empty() {
        return not("it has a window");
    }
    if found.queries > 1 {
        return not("it has a subquery");
    }
    let GroupByExpr::Expressions(group, modifiers) = &select.group_by else {
        return not("it groups by everything");
    };
    let sets = |e: &Expr| matches!(e, Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_));
    if !modifiers.is_empty() || group.iter().any(sets) {
        return not("it has grouping sets");
    }
    // PostgreSQL takes no other column beside an aggregate; SQLite gives that of any row.
    let alone = group.is_empty() && dialect == Dialect::Sqlite;
    if alone && (select.having.is_some() || found.unknown_call) {
        return not("it may have an aggregate without GROUP BY");
    }
    let other = select.prewhere.is_some()
        || select.qualify.is_some()
        || select.top.is_some()
        || !select.lateral_views.is_empty()
        || !select.connect_by.is_empty();
    if other {
        return not("it is no plain SELECT");
    }
    Ok(select)
}

fn limits(tree: &Tree) -> bool {
    match &tree.limit_clause {
        None => false,
        Some(LimitClause::LimitOffset {
            limit,
            offset,
            limit_by,
        }) => limit.is_some() || offset.is_some() || !limit_by.is_empty(),
        Some(LimitClause::OffsetCommaLimit { .. }) => true,
    }
}

/// What is somewhere in a tree.
#[derive(Default)]
struct Found {
    queries: usize,
    windows: usize,
    /// A call of what may be an aggregate of SQLite.
    unknown_call: bool,
}

impl Visitor for Found {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Tree) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(call) = expr {
            self.windows += usize::from(call.over.is_some());
            let name = last(&call.name).map(|i| i.value.to_ascii_lowercase());
            self.unknown_call |= !name.is_some_and(|n| words::is_scalar_sqlite(&n));
        }
        ControlFlow::Continue(())
    }
}
