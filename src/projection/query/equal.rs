//! Which columns of the joined tables are equal in every joined row: what JOIN and WHERE say so of, read off the tree.

use sqlparser::ast::{
    BinaryOperator, Expr, JoinConstraint, JoinOperator, Select, TableFactor, TableWithJoins,
};

use super::columns::{folded, last};
use super::joined::{Factor, Named, Reading};

/// Two columns that are equal wherever both tables have a row.
pub(super) type Equal = (Named, Named);

impl Reading<'_> {
    /// Those of a SELECT whose tables are `factors`, in the order of the text.
    pub(super) fn equal(&self, select: &Select, factors: &[Factor]) -> Vec<Equal> {
        let mut out = Vec::new();
        let mut rest = factors;
        for chain in &select.from {
            let (these, behind) = rest.split_at(tables(chain).min(rest.len()));
            rest = behind;
            self.of_chain(chain, these, &mut out);
        }
        if let Some(filter) = &select.selection {
            self.of_condition(filter, &mut out);
        }
        out
    }

    fn of_chain(&self, chain: &TableWithJoins, factors: &[Factor], out: &mut Vec<Equal>) {
        let first = factors.len().saturating_sub(chain.joins.len());
        if let TableFactor::NestedJoin {
            table_with_joins, ..
        } = &chain.relation
        {
            self.of_chain(table_with_joins, &factors[..first], out);
        }
        for (join, at) in chain.joins.iter().zip(first..) {
            let constraint = match &join.join_operator {
                JoinOperator::Join(c)
                | JoinOperator::Inner(c)
                | JoinOperator::CrossJoin(c)
                | JoinOperator::Left(c)
                | JoinOperator::LeftOuter(c) => c,
                _ => continue,
            };
            match constraint {
                JoinConstraint::On(expr) => self.of_condition(expr, out),
                JoinConstraint::Using(names) => {
                    let names = names.iter().filter_map(last);
                    for name in names.map(|n| self.told_apart(&folded(self.dialect, n))) {
                        let of = |factor: &Factor| Named {
                            table: Some(factor.alias.clone()),
                            column: name.clone(),
                        };
                        // Tables before it that have no such column are told by their columns later.
                        let before = factors[..at].iter();
                        out.extend(before.map(|before| (of(before), of(&factors[at]))));
                    }
                }
                JoinConstraint::Natural | JoinConstraint::None => {}
            }
        }
    }

    fn of_condition(&self, expr: &Expr, out: &mut Vec<Equal>) {
        match expr {
            Expr::Nested(inner) => self.of_condition(inner, out),
            Expr::BinaryOp {
                left,
                op: BinaryOperator::And,
                right,
            } => {
                self.of_condition(left, out);
                self.of_condition(right, out);
            }
            Expr::BinaryOp {
                left,
                op: BinaryOperator::Eq,
                right,
            } => out.extend(self.named(left).zip(self.named(right))),
            _ => {}
        }
    }
}

/// How many tables an item of FROM joins.
fn tables(chain: &TableWithJoins) -> usize {
    let first = match &chain.relation {
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => tables(table_with_joins),
        _ => 1,
    };
    first + chain.joins.len()
}
