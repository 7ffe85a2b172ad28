//! A SELECT that joins tables, taken apart: each table, each condition and each column of the result by its place in the
//! text. What is taken for a condition is read once more by itself and has to be the one of the tree; a text that does not
//! come apart like that is left whole.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    Join, JoinConstraint, JoinOperator, Query as Tree, Select, SelectItem, TableFactor,
    TableWithJoins, Value, Visit, Visitor,
};
use sqlparser::parser::Parser;

use super::across::plain;
use super::columns::{folded, last};
use super::equal::Equal;
use super::place::Text;
use super::tokens::{Joint, Piece, Tokens};
use super::words;
use super::{Dialect, With};

/// Why a text that ought to come apart does not.
const WHOLE: &str = "its text does not come apart into tables and conditions";

/// How a table comes to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// It is the first one behind FROM or a comma.
    First,
    /// Rows without a partner are left out.
    Inner,
    /// A row before it without a partner is kept.
    Left,
}

/// What joins a table to those before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum On {
    /// Every row to every row.
    Nothing,
    /// Equality of the columns of these names.
    Using(Range<usize>),
    /// All columns of one name.
    Natural,
    /// A condition.
    Condition(Condition),
}

/// A column as the text names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// What its table goes by, if it says.
    pub(super) table: Option<String>,
    pub(super) column: String,
}

/// A condition and what it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) text: Range<usize>,
    /// `None` where it reads what has no name, such as a whole row.
    pub(super) reads: Option<Vec<Named>>,
}

/// A table of FROM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Factor {
    pub(super) source: String,
    /// What it goes by.
    pub(super) alias: String,
    pub(super) text: Range<usize>,
    pub(super) link: Link,
    pub(super) on: On,
}

/// What the rows are grouped by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Grouped {
    Column(Named),
    /// The column of the result in this place, from 1.
    Output(usize),
    Expression,
}

/// A column of the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) name: Option<String>,
    /// The column that it is, and where that stands.
    pub(super) plain: Option<(Named, Range<usize>)>,
}

/// A SELECT that joins tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) dialect: Dialect,
    pub(super) outputs: Vec<Output>,
    pub(super) from: Range<usize>,
    pub(super) factors: Vec<Factor>,
    /// WHERE, and the conditions in it that all have to hold.
    pub(super) filter: Option<(Range<usize>, Vec<Condition>)>,
    pub(super) group: Vec<Grouped>,
    /// Columns that are equal wherever both tables have a row.
    pub(super) equal: Vec<Equal>,
}

/// Takes a query apart.
///
/// # Errors
/// Why it is no such SELECT, as what it has.
pub(super) fn read(
    tree: &Tree,
    text: &Text<'_>,
    dialect: Dialect,
    splices: &BTreeMap<(usize, usize), With>,
) -> Result<Joined, String> {
    let select = plain(tree, dialect)?;
    let reading = Reading {
        text,
        dialect,
        splices,
    };
    reading.select(select).ok_or_else(|| WHOLE.to_owned())?
}

/// A text being taken apart; `None` where it does not come apart.
pub(super) struct Reading<'a> {
    text: &'a Text<'a>,
    pub(super) dialect: Dialect,
    splices: &'a BTreeMap<(usize, usize), With>,
}

impl Reading<'_> {
    fn select(&self, select: &Select) -> Option<Result<Joined, String>> {
        let clauses = self.text.clauses()?;
        let mut factors = Vec::new();
        let chains = clauses.from.split_at_commas();
        if chains.len() != select.from.len() {
            return None;
        }
        for (tokens, chain) in chains.iter().zip(&select.from) {
            match self.chain(tokens, chain)? {
                Ok(found) => factors.extend(found),
                Err(why) => return Some(Err(why)),
            }
        }
        for (at, factor) in factors.iter().enumerate() {
            if factors[..at].iter().any(|f| f.source == factor.source) {
                return Some(Err(format!("it reads {} more than once", factor.source)));
            }
        }
        let filter = match (&select.selection, clauses.filter) {
            (None, None) => None,
            (Some(expr), Some(tokens)) => {
                let mut conditions = Vec::new();
                self.conjuncts(&tokens, expr, &mut conditions)?;
                Some((tokens.bytes()?, conditions))
            }
            _ => return None,
        };
        let GroupByExpr::Expressions(group, _) = &select.group_by else {
            return None;
        };
        Some(Ok(Joined {
            dialect: self.dialect,
            outputs: select.projection.iter().map(|i| self.output(i)).collect(),
            equal: self.equal(select, &factors),
            from: clauses.from.bytes()?,
            factors,
            filter,
            group: group.iter().map(|e| self.grouped(e)).collect(),
        }))
    }

    /// The tables of one item of FROM, in order.
    fn chain(
        &self,
        tokens: &Tokens<'_>,
        chain: &TableWithJoins,
    ) -> Option<Result<Vec<Factor>, String>> {
        let pieces = tokens.split_at_joins();
        let (first, rest) = pieces.split_first()?;
        if rest.len() != chain.joins.len() {
            return None;
        }
        let mut factors = match &chain.relation {
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => match self.chain(&first.table.within()?, table_with_joins)? {
                Ok(factors) => factors,
                Err(why) => return Some(Err(why)),
            },
            // Brackets around one table leave no trace in the tree.
            relation => {
                match self.factor(&first.table.bare(), relation, Link::First, On::Nothing)? {
                    Ok(factor) => vec![factor],
                    Err(why) => return Some(Err(why)),
                }
            }
        };
        for (piece, join) in rest.iter().zip(&chain.joins) {
            let (link, on) = match self.joint(piece, join)? {
                Ok(joint) => joint,
                Err(why) => return Some(Err(why)),
            };
            match self.factor(&piece.table.bare(), &join.relation, link, on)? {
                Ok(factor) => factors.push(factor),
                Err(why) => return Some(Err(why)),
            }
        }
        Some(Ok(factors))
    }

    fn joint(&self, piece: &Piece<'_>, join: &Join) -> Option<Result<(Link, On), String>> {
        let (link, constraint) = match &join.join_operator {
            JoinOperator::Join(c) | JoinOperator::Inner(c) | JoinOperator::CrossJoin(c) => {
                (Link::Inner, c)
            }
            JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => (Link::Left, c),
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => {
                return Some(Err("it has a RIGHT JOIN".to_owned()));
            }
            JoinOperator::FullOuter(_) => return Some(Err("it has a FULL JOIN".to_owned())),
            _ => return None,
        };
        let on = match (constraint, &piece.joint) {
            (JoinConstraint::None, Joint::Nothing) => On::Nothing,
            (JoinConstraint::Natural, Joint::Natural) => On::Natural,
            (JoinConstraint::Using(_), Joint::Using(tokens)) => On::Using(tokens.bytes()?),
            (JoinConstraint::On(expr), Joint::On(tokens)) => {
                On::Condition(self.condition(tokens, expr)?)
            }
            _ => return None,
        };
        Some(Ok((link, on)))
    }

    fn factor(
        &self,
        tokens: &Tokens<'_>,
        relation: &TableFactor,
        link: Link,
        on: On,
    ) -> Option<Result<Factor, String>> {
        let (name, alias) = match relation {
            TableFactor::Table {
                name,
                alias,
                args: None,
                ..
            } => (name, alias),
            TableFactor::NestedJoin { .. } => {
                return Some(Err("it joins what stands in brackets".to_owned()));
            }
            _ => return Some(Err("it reads what is no table".to_owned())),
        };
        if alias.as_ref().is_some_and(|a| !a.columns.is_empty()) {
            return Some(Err("it renames the columns of a table".to_owned()));
        }
        let text = tokens.bytes()?;
        let mut sources = self
            .splices
            .range((text.start, 0)..(text.end, 0))
            .filter_map(|(_, with)| match with {
                With::Table { source, .. } => Some(source),
                With::Text(_) => None,
            });
        let source = sources.next()?.clone();
        if sources.next().is_some() {
            return None;
        }
        let ident = alias.as_ref().map(|a| &a.name).or_else(|| last(name))?;
        Some(Ok(Factor {
            source,
            alias: self.told_apart(&folded(self.dialect, ident)),
            text,
            link,
            on,
        }))
    }

    pub(super) fn told_apart(&self, name: &str) -> String {
        match self.dialect {
            Dialect::Postgres => name.to_owned(),
            Dialect::Sqlite => name.to_ascii_lowercase(),
        }
    }

    /// A condition, once these tokens have been found to be it.
    fn condition(&self, tokens: &Tokens<'_>, expr: &Expr) -> Option<Condition> {
        let sql = self.dialect.sql();
        let mut parser = Parser::new(sql).with_tokens_with_locations(tokens.owned());
        let read = parser.parse_expr().ok()?;
        let at_end = parser.peek_token().token == sqlparser::tokenizer::Token::EOF;
        (at_end && read == *expr).then_some(())?;
        Some(Condition {
            text: tokens.bytes()?,
            reads: self.reads(expr),
        })
    }

    /// The conditions of which all have to hold.
    fn conjuncts(&self, tokens: &Tokens<'_>, expr: &Expr, out: &mut Vec<Condition>) -> Option<()> {
        let both = |e: &Expr| {
            matches!(
                e,
                Expr::BinaryOp {
                    op: BinaryOperator::And,
                    ..
                }
            )
        };
        match expr {
            Expr::Nested(inner) if both(inner) => {
                return self.conjuncts(&tokens.within()?, inner, out);
            }
            e if both(e) => {}
            _ => {
                out.push(self.condition(tokens, expr)?);
                return Some(());
            }
        }
        let mut parts = Vec::new();
        let mut rest = expr;
        while let Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } = rest
        {
            parts.push(&**right);
            rest = left;
        }
        parts.push(rest);
        parts.reverse();
        let pieces = tokens.split_at_and();
        if pieces.len() != parts.len() {
            return None;
        }
        for (tokens, part) in pieces.iter().zip(parts) {
            self.conjuncts(tokens, part, out)?;
        }
        Some(())
    }

    /// The columns that an expression reads.
    fn reads(&self, expr: &Expr) -> Option<Vec<Named>> {
        struct Reads<'r, 'a> {
            reading: &'r Reading<'a>,
            named: Vec<Named>,
        }
        impl Visitor for Reads<'_, '_> {
            type Break = ();

            fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
                match expr {
                    Expr::Identifier(ident) => {
                        let word = ident.value.to_ascii_lowercase();
                        let is_call = ident.quote_style.is_none()
                            && words::is_bare_call(self.reading.dialect, &word);
                        if !is_call {
                            self.named.extend(self.reading.named(expr));
                        }
                    }
                    Expr::CompoundIdentifier(_) => match self.reading.named(expr) {
                        Some(named) => self.named.push(named),
                        None => return ControlFlow::Break(()),
                    },
                    Expr::Function(call) if takes_rows(call) => return ControlFlow::Break(()),
                    Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => {
                        return ControlFlow::Break(());
                    }
                    _ => {}
                }
                ControlFlow::Continue(())
            }
        }
        let mut reads = Reads {
            reading: self,
            named: Vec::new(),
        };
        match expr.visit(&mut reads) {
            ControlFlow::Continue(()) => Some(reads.named),
            ControlFlow::Break(()) => None,
        }
    }

    /// The column that an expression is.
    pub(super) fn named(&self, expr: &Expr) -> Option<Named> {
        let name = |ident| self.told_apart(&folded(self.dialect, ident));
        match expr {
            Expr::Identifier(ident) => Some(Named {
                table: None,
                column: name(ident),
            }),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, column] => Some(Named {
                    table: Some(name(table)),
                    column: name(column),
                }),
                _ => None,
            },
            Expr::Nested(inner) => self.named(inner),
            _ => None,
        }
    }

    fn output(&self, item: &SelectItem) -> Output {
        let (expr, alias) = match item {
            SelectItem::UnnamedExpr(expr) => (expr, None),
            SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias)),
            _ => {
                return Output {
                    name: None,
                    plain: None,
                };
            }
        };
        let mut inner = expr;
        while let Expr::Nested(nested) = inner {
            inner = nested;
        }
        let (first, end) = match inner {
            Expr::Identifier(ident) => (Some(ident), Some(ident)),
            Expr::CompoundIdentifier(parts) => (parts.first(), parts.last()),
            _ => (None, None),
        };
        let bytes = || {
            let (first, end) = (self.text.ident(first?)?, self.text.ident(end?)?);
            Some(first.start..end.end)
        };
        let own = end.map(|ident| folded(self.dialect, ident));
        let name = alias.map(|a| folded(self.dialect, a)).or(own);
        Output {
            name: name.map(|n| self.told_apart(&n)),
            plain: self.named(inner).zip(bytes()),
        }
    }

    fn grouped(&self, expr: &Expr) -> Grouped {
        if let Expr::Value(value) = expr
            && let Value::Number(number, _) = &value.value
            && let Ok(place) = number.to_string().parse()
        {
            return Grouped::Output(place);
        }
        self.named(expr)
            .map_or(Grouped::Expression, Grouped::Column)
    }
}

/// Whether a call is given rows as a whole.
fn takes_rows(call: &Function) -> bool {
    let whole = |arg: &FunctionArg| {
        let (FunctionArg::Named { arg, .. }
        | FunctionArg::ExprNamed { arg, .. }
        | FunctionArg::Unnamed(arg)) = arg;
        !matches!(arg, FunctionArgExpr::Expr(_))
    };
    matches!(&call.args, FunctionArguments::List(list) if list.args.iter().any(whole))
}
