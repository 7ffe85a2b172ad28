//! Merges, duplicates and repairs.

use super::super::cell::Cell;
use super::*;

fn row(key: i128, value: &str) -> Row<'static> {
    vec![Cell::Int(key), Cell::Text(value.to_owned().into())]
}

fn run(
    expected: &[Row<'static>],
    actual: &[Row<'static>],
    batch: usize,
) -> Result<Vec<(String, Kind)>, OrderError> {
    let mut diff = Diff::new(vec![0]);
    let (mut e, mut a) = (expected.chunks(batch), actual.chunks(batch));
    let mut found = Vec::new();
    loop {
        match diff.step()? {
            Step::Differs(d) => found.push((d.key.to_string(), d.kind())),
            Step::NeedExpected => diff.expected(e.next().map(<[_]>::to_vec).unwrap_or_default()),
            Step::NeedActual => diff.actual(a.next().map(<[_]>::to_vec).unwrap_or_default()),
            Step::Done => return Ok(found),
        }
    }
}

#[test]
fn finds_each_kind_whatever_the_batches() {
    let expected = [row(1, "a"), row(2, "b"), row(4, "d"), row(5, "e")];
    let actual = [
        row(0, "z"),
        row(1, "a"),
        row(2, "x"),
        row(5, "e"),
        row(9, "y"),
    ];
    let want = [
        ("0", Kind::Extra),
        ("2", Kind::Changed),
        ("4", Kind::Missing),
        ("9", Kind::Extra),
    ];
    for batch in 1..6 {
        let got = run(&expected, &actual, batch).expect("ascending");
        assert_eq!(got, want.map(|(k, kind)| (k.to_owned(), kind)));
    }
    assert_eq!(run(&[], &[], 1), Ok(Vec::new()));
}

#[test]
fn keys_that_do_not_ascend_are_an_error() {
    for batch in 1..3 {
        assert!(run(&[row(2, "a"), row(1, "b")], &[], batch).is_err());
        assert!(run(&[], &[row(2, "a"), row(1, "b")], batch).is_err());
        let twice = run(&[row(2, "a"), row(2, "a")], &[], batch).expect_err("twice");
        assert!(matches!(twice, OrderError::Twice { .. }), "{twice}");
    }
}

#[test]
fn a_row_once_more_is_extra() {
    let expected = [row(1, "a"), row(2, "b"), row(3, "c")];
    let actual = [
        row(1, "a"),
        row(1, "a"),
        row(2, "x"),
        row(2, "b"),
        row(2, "b"),
        row(4, "d"),
        row(4, "d"),
    ];
    let want = [
        ("1", Kind::Extra),
        ("2", Kind::Changed),
        ("2", Kind::Extra),
        ("2", Kind::Extra),
        ("3", Kind::Missing),
        ("4", Kind::Extra),
        ("4", Kind::Extra),
    ];
    for batch in 1..8 {
        let got = run(&expected, &actual, batch).expect("ascending");
        assert_eq!(got, want.map(|(k, kind)| (k.to_owned(), kind)));
    }
}

/// What is the same by its rule is no difference, and in a row that differs elsewhere no repair touches it.
#[test]
fn rules_bound_what_differs() {
    let row = |key: f64, list: [i128; 2], sum: f64, text: &str| {
        let list = Cell::Array(list.map(Cell::Int).to_vec());
        vec![
            Cell::Float(key),
            list,
            Cell::Float(sum),
            Cell::Text(text.to_owned().into()),
        ]
    };
    let expected = [
        row(1.0, [1, 2], 0.3, "a"),
        row(2.0, [1, 2], 0.3, "b"),
        row(3.0, [1, 2], 0.3, "c"),
    ];
    let actual = [
        row(1.0, [2, 1], 0.1 + 0.2, "a"),
        row(2.0, [2, 1], 0.4, "x"),
        row(3.1, [2, 1], 0.3, "c"),
    ];
    // The key stays exact, whatever its rule.
    let rules = vec![
        Rule::Tolerance(0.5),
        Rule::Unordered,
        Rule::Tolerance(1e-9),
        Rule::Exact,
    ];
    for (rules, changed, representation) in [
        (rules, vec![vec![2, 3]], 1),
        (Vec::new(), vec![vec![1, 2], vec![1, 2, 3]], 0),
    ] {
        let with_rules = !rules.is_empty();
        let mut diff = Diff::new(vec![0]).with_rules(rules);
        for rows in [&expected[..], &[]] {
            diff.expected(rows.to_vec());
        }
        for rows in [&actual[..], &[]] {
            diff.actual(rows.to_vec());
        }
        let (mut columns, mut kinds) = (Vec::new(), Vec::new());
        while let Step::Differs(found) = diff.step().expect("ascending") {
            if found.kind() == Kind::Changed {
                columns.push(found.columns());
            } else {
                kinds.push(found.kind());
            }
            if with_rules && found.kind() == Kind::Changed {
                let repair = Repair::from(found);
                let (before, after) =
                    (repair.before.expect("before"), repair.after.expect("after"));
                assert_eq!(format!("{:?}", before[1]), format!("{:?}", after[1]));
                assert_eq!(after[3], Cell::Text("b".into()));
            }
        }
        assert_eq!((columns, diff.representation()), (changed, representation));
        assert_eq!((kinds, diff.rows()), (vec![Kind::Missing, Kind::Extra], 4));
    }
}

#[test]
fn a_repair_and_its_inverse() {
    let d = Difference {
        key: Key(vec![Cell::Int(1)]),
        expected: Some(row(1, "a")),
        actual: None,
    };
    let repair = Repair::from(d);
    assert_eq!(repair.clone().inverse().inverse(), repair);
    assert_eq!(repair.inverse().after, None);
}
