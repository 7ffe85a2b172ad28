//! When two values of one column are the same although they are not equal: what a query's text leaves open, an order or
//! a last digit, is no difference.

use std::cmp::Ordering;

use serde_json::value::RawValue;

use super::cell::Cell;
use super::json;

/// How the values of a column are compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Rule {
    /// They are equal.
    #[default]
    Exact,
    /// Arrays, and JSON arrays at their top level: the same elements, in any order.
    Unordered,
    /// Text: the same parts between this separator, in any order.
    Separated(String),
    /// Numbers: no further apart than this share of the larger magnitude, or than this number where that is below 1.
    Tolerance(f64),
}

impl Rule {
    /// Whether two values are the same by this rule. NULL is only NULL, and NaN is NaN.
    #[must_use]
    pub fn equal(&self, a: &Cell<'_>, b: &Cell<'_>) -> bool {
        a == b
            || match (self, a, b) {
                (Rule::Unordered, Cell::Array(a), Cell::Array(b)) => same_parts(a, b, Cell::cmp),
                (Rule::Unordered, Cell::Json(a), Cell::Json(b)) => same_elements(a, b),
                (Rule::Separated(by), Cell::Text(a), Cell::Text(b)) if !by.is_empty() => {
                    let (a, b): (Vec<&str>, Vec<&str>) =
                        (a.split(by).collect(), b.split(by).collect());
                    same_parts(&a, &b, Ord::cmp)
                }
                (Rule::Tolerance(share), a, b) => near(*share, a, b).unwrap_or(false),
                _ => false,
            }
    }
}

/// Whether both hold the same, each as often. `order` is total.
fn same_parts<T>(a: &[T], b: &[T], order: impl Fn(&T, &T) -> Ordering) -> bool {
    let sorted = |parts: &[T]| {
        let mut places: Vec<usize> = (0..parts.len()).collect();
        places.sort_by(|i, j| order(&parts[*i], &parts[*j]));
        places
    };
    let mut pairs = sorted(a).into_iter().zip(sorted(b));
    a.len() == b.len() && pairs.all(|(i, j)| order(&a[i], &b[j]).is_eq())
}

/// Equal documents may be written in different ways, so that their texts have no order to sort by: pairs are sought.
fn same_elements(a: &str, b: &str) -> bool {
    let read = |text| serde_json::from_str::<Vec<&RawValue>>(text).ok();
    let (Some(a), Some(mut b)) = (read(a), read(b)) else {
        return false;
    };
    a.len() == b.len()
        && a.iter().all(|a| {
            let pair = b.iter().position(|b| json::equal(a.get(), b.get()));
            pair.map(|at| b.swap_remove(at)).is_some()
        })
}

fn near(share: f64, a: &Cell<'_>, b: &Cell<'_>) -> Option<bool> {
    let (a, b) = (number(a)?, number(b)?);
    // Infinities are near nothing else: their distance is no number, or infinite as the bound would be.
    let bound = share * a.abs().max(b.abs()).max(1.0);
    Some(a.is_finite() && b.is_finite() && (a - b).abs() <= bound)
}

/// A number to the precision that a tolerance has.
#[allow(clippy::cast_precision_loss)]
pub(super) fn number(cell: &Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Float(f) => Some(*f),
        Cell::Int(i) => Some(*i as f64),
        Cell::Numeric(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(of: &[i128]) -> Cell<'static> {
        Cell::Array(of.iter().copied().map(Cell::Int).collect())
    }

    #[test]
    fn any_order_is_the_same_but_not_any_number() {
        let rule = Rule::Unordered;
        assert!(rule.equal(&array(&[1, 2, 2]), &array(&[2, 1, 2])));
        assert!(!Rule::Exact.equal(&array(&[1, 2]), &array(&[2, 1])));
        for other in [array(&[1, 2, 1]), array(&[1, 2]), array(&[]), Cell::Null] {
            assert!(!rule.equal(&array(&[1, 2, 2]), &other), "{other:?}");
        }
        let json = |text: &'static str| Cell::Json(text.into());
        let first = json(r#"[1, {"a": [1, 2], "b": 2}, 1]"#);
        assert!(rule.equal(&first, &json(r#"[{"b": 2.0, "a": [1, 2]}, 1.0, 1]"#)));
        for other in [
            r#"[{"b": 2, "a": [2, 1]}, 1, 1]"#,
            r#"[{"b": 2, "a": [1, 2]}, {"b": 2, "a": [1, 2]}, 1]"#,
            r#"[1, 1]"#,
            "null",
        ] {
            assert!(!rule.equal(&first, &json(other)), "{other}");
        }
    }

    #[test]
    fn parts_between_a_separator() {
        let text = |text: &'static str| Cell::Text(text.into());
        let rule = Rule::Separated(", ".to_owned());
        assert!(rule.equal(&text("a, b, a"), &text("a, a, b")));
        for other in [
            text("a, b"),
            text("a, b, b"),
            text("a,b, a"),
            text(""),
            Cell::Null,
        ] {
            assert!(!rule.equal(&text("a, b, a"), &other), "{other:?}");
        }
        assert!(!Rule::Separated(String::new()).equal(&text("ab"), &text("ba")));
    }

    #[test]
    fn numbers_within_a_tolerance() {
        let rule = Rule::Tolerance(1e-9);
        let numeric = |text: &'static str| Cell::Numeric(text.into());
        for (a, b, near) in [
            (Cell::Float(0.1 + 0.2), Cell::Float(0.3), true),
            (Cell::Float(1e12), Cell::Float(1e12 + 100.0), true),
            (Cell::Float(1e12), Cell::Float(1e12 + 10_000.0), false),
            (Cell::Float(1e-12), Cell::Float(-1e-12), true),
            (numeric("10.0000000001"), numeric("10"), true),
            (numeric("10.001"), Cell::Int(10), false),
            (Cell::Float(f64::NAN), Cell::Float(f64::NAN), true),
            (Cell::Float(f64::NAN), Cell::Float(1.0), false),
            (Cell::Float(f64::INFINITY), Cell::Float(f64::INFINITY), true),
            (
                Cell::Float(f64::INFINITY),
                Cell::Float(f64::NEG_INFINITY),
                false,
            ),
            (Cell::Float(f64::INFINITY), Cell::Float(f64::MAX), false),
            (numeric("NaN"), numeric("NaN"), true),
            (Cell::Null, Cell::Null, true),
            (Cell::Null, Cell::Int(0), false),
            (Cell::Text("1".into()), Cell::Int(1), false),
        ] {
            assert_eq!(rule.equal(&a, &b), near, "{a:?} {b:?}");
            assert_eq!(rule.equal(&b, &a), near, "{b:?} {a:?}");
        }
    }
}
