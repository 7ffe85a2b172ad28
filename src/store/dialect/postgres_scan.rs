//! A scan as PostgreSQL's SQL: what is read, in which order, how it is hashed and cut into ranges.
//!
//! Casts are the reader's business wherever rows come out ([`crate::projection::cast`]), so that a value which the engine
//! refuses is refused here too; the database casts only what it sorts or hashes by.

use std::collections::HashSet;

use super::condition;
use super::postgres::{literal, quoted, table};
use crate::projection::cell::Cell;
use crate::projection::change::Key;
use crate::projection::mapping::Test;
use crate::projection::types::{Column, ColumnType};
use crate::store::{Output, Relation, Scan, TableName};

/// What the text of a scan depends on beyond the scan itself.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// Text columns whose own collation sorts bytewise, so that their index can be used as it is.
    pub bytewise: HashSet<String>,
    /// Columns of type `json`, which has no equality.
    pub json: HashSet<String>,
}

/// `COPY` of the rows of a scan in key order.
///
/// # Errors
/// When the key cannot be sorted by the database as the engine sorts it.
pub fn copy(scan: &Scan, shape: &Shape) -> Result<String, String> {
    Ok(format!("COPY ({}) TO STDOUT", select(scan, shape, None)?))
}

/// `COPY` of the rows of a scan that have one of these keys, in key order.
///
/// # Errors
/// As for [`copy`].
pub fn lookup(scan: &Scan, shape: &Shape, keys: &[Key<'static>]) -> Result<String, String> {
    let among = among_keys(scan, keys)?;
    Ok(format!(
        "COPY ({}) TO STDOUT",
        select(scan, shape, Some(among))?
    ))
}

fn select(scan: &Scan, shape: &Shape, also: Option<String>) -> Result<String, String> {
    let outputs: Vec<String> = scan.outputs.iter().map(|o| read(scan, &o.column)).collect();
    let mut conditions = conditions(scan, shape)?;
    conditions.extend(also);
    Ok(format!(
        "SELECT {} FROM {}{} ORDER BY {}",
        outputs.join(", "),
        relation(&scan.relation),
        where_clause(&conditions),
        order(scan, shape)?.join(", ")
    ))
}

/// Keys that cut a scan into `parts`: the first key of every part but the first. `sample` is the percentage of the
/// table's pages to look at.
///
/// # Errors
/// As for [`copy`].
pub fn split(
    scan: &Scan,
    shape: &Shape,
    parts: usize,
    sample: Option<f64>,
) -> Result<String, String> {
    let key = scan.key.iter().map(|at| &scan.outputs[*at].column);
    let named: Vec<String> = key
        .enumerate()
        .map(|(i, column)| format!("{} AS k{i}", read(scan, column)))
        .collect();
    let names: Vec<String> = (0..named.len()).map(|i| format!("k{i}")).collect();
    let sampled = sample.map_or(String::new(), |percent| {
        format!(" TABLESAMPLE SYSTEM ({percent:.4}) REPEATABLE (1)")
    });
    Ok(format!(
        "COPY (SELECT DISTINCT ON (part) {} FROM (SELECT {}, ntile({parts}) OVER w AS part, row_number() OVER w AS place \
         FROM {}{sampled}{} WINDOW w AS (ORDER BY {})) AS s WHERE part > 1 ORDER BY part, place) TO STDOUT",
        names.join(", "),
        named.join(", "),
        relation(&scan.relation),
        where_clause(&conditions(scan, shape)?),
        order(scan, shape)?.join(", ")
    ))
}

/// What a scan reads, as it stands behind FROM.
pub(super) fn relation(relation: &Relation) -> String {
    match relation {
        Relation::Table(name) => table(name),
        // A comment at its end must not swallow the bracket.
        Relation::Query { name, text } => format!("({text}\n) AS {}", quoted(name)),
    }
}

pub(super) fn where_clause(conditions: &[String]) -> String {
    if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    }
}

/// Qualified, since a bare name in ORDER BY would mean the output of that name.
pub(super) fn column(scan: &Scan, name: &str) -> String {
    format!("{}.{}", quoted(scan.relation.alias()), quoted(name))
}

fn read(scan: &Scan, read: &Column) -> String {
    let name = column(scan, &read.name);
    match read.kind {
        ColumnType::Other(_) => format!("CAST({name} AS text)"),
        _ => name,
    }
}

pub(super) fn conditions(scan: &Scan, shape: &Shape) -> Result<Vec<String>, String> {
    let mut all: Vec<String> = scan
        .filter
        .iter()
        .map(|(column, test)| filter(scan, column, test))
        .collect();
    if let Some(scope) = &scan.scope {
        // A comment at its end must not swallow the bracket.
        all.push(format!("({scope}\n)"));
    }
    let bound = |key: &Key<'_>, from: bool| bound(scan, shape, key, from);
    all.extend(scan.from.as_ref().map(|k| bound(k, true)).transpose()?);
    all.extend(scan.to.as_ref().map(|k| bound(k, false)).transpose()?);
    Ok(all)
}

fn filter(scan: &Scan, tested: &Column, test: &Test) -> String {
    let name = column(scan, &tested.name);
    let (value, kind) = match &tested.kind {
        // The engine compares the text without its padding, byte by byte.
        ColumnType::Text { padded: true, .. } | ColumnType::Other(_) => (
            format!("CAST({name} AS text) COLLATE \"C\""),
            ColumnType::TEXT,
        ),
        ColumnType::Json => (format!("CAST({name} AS jsonb)"), ColumnType::Json),
        kind if collates(kind) => (format!("{name} COLLATE \"C\""), kind.clone()),
        kind => (name.clone(), kind.clone()),
    };
    let among = |cells: &[Cell<'static>]| {
        let values: Vec<String> = cells.iter().filter_map(|c| literal(c, &kind)).collect();
        (!values.is_empty()).then(|| format!("{value} IN ({})", values.join(", ")))
    };
    condition(test, &among, &format!("{name} IS NULL"))
}

pub(super) fn collates(kind: &ColumnType) -> bool {
    match kind {
        ColumnType::Text { .. } => true,
        ColumnType::Array(of) => collates(of),
        _ => false,
    }
}

/// What a key column is sorted by. An order-preserving cast is left out, so that the column's index serves.
fn sorted(scan: &Scan, output: &Output) -> Result<String, String> {
    use ColumnType::{
        Bool, Date, Float32, Float64, Int, Json, Numeric, Other, Text, Timestamp, TimestampTz, Uuid,
    };
    let name = column(scan, &output.column.name);
    let cast = |to: &str| Ok(format!("CAST({name} AS {to})"));
    match (&output.column.kind, output.kind()) {
        (Json, _) | (_, Json) => Err(format!(
            "column {} is JSON, which has no order",
            output.column.name
        )),
        (Other(_), Other(_) | Text { padded: false, .. }) => cast("text"),
        // Such a type is compared by its text, and so is what comes to be of it.
        (Text { padded: false, .. }, Other(_)) => Ok(name),
        (from, to) if from == to => Ok(name),
        (Int { .. } | Numeric { .. }, Int { .. } | Numeric { .. })
        | (Float32 | Float64, Float32 | Float64)
        | (Date | Timestamp { .. } | TimestampTz { .. }, Timestamp { .. } | TimestampTz { .. })
        | (Timestamp { .. }, Date)
        | (Text { padded: false, .. }, Text { padded: false, .. })
        | (Text { padded: true, .. }, Text { padded: true, .. }) => Ok(name),
        (Text { .. }, Text { padded: false, .. }) => cast("text"),
        (Text { .. }, Text { padded: true, .. }) => cast("bpchar"),
        (
            Bool
            | Int { .. }
            | Numeric { .. }
            | Date
            | Uuid
            | Timestamp { .. }
            | TimestampTz { .. },
            Text { .. },
        )
        | (ColumnType::Time { .. }, Text { .. }) => cast("text"),
        (Text { .. }, Uuid) => cast("uuid"),
        (ColumnType::Time { .. }, ColumnType::Time { .. }) => Ok(name),
        (Bool, Int { .. }) => cast("integer"),
        (Int { .. }, Bool) => Ok(format!("CAST(CAST({name} AS integer) AS boolean)")),
        (from, to) => Err(format!(
            "column {} of type {from} cannot be sorted as {to} by the database",
            output.column.name
        )),
    }
}

/// The sort terms of the key; bytewise where the type is text.
fn order(scan: &Scan, shape: &Shape) -> Result<Vec<String>, String> {
    scan.key
        .iter()
        .map(|at| term(scan, shape, &scan.outputs[*at]))
        .collect()
}

fn term(scan: &Scan, shape: &Shape, output: &Output) -> Result<String, String> {
    let term = sorted(scan, output)?;
    let text = collates(output.kind()) || matches!(output.kind(), ColumnType::Other(_));
    let own =
        shape.bytewise.contains(&output.column.name) && term == column(scan, &output.column.name);
    Ok(if text && !own {
        format!("{term} COLLATE \"C\"")
    } else {
        term
    })
}

/// At or after `key` (`from`), or before it. NULL sorts last.
fn bound(scan: &Scan, shape: &Shape, key: &Key<'_>, from: bool) -> Result<String, String> {
    let mut terms = Vec::with_capacity(key.0.len());
    let mut values = Vec::with_capacity(key.0.len());
    let mut nullable = false;
    for (at, cell) in scan.key.iter().zip(&key.0) {
        let output = &scan.outputs[*at];
        terms.push(term(scan, shape, output)?);
        values.push(
            literal(cell, output.kind())
                .ok_or_else(|| format!("a bound that is no {}", output.kind()))?,
        );
        nullable |= output.column.nullable;
    }
    if nullable {
        return Ok(expanded(&terms, &values, from));
    }
    let sign = if from { ">=" } else { "<" };
    Ok(if terms.len() == 1 {
        format!("{} {sign} {}", terms[0], values[0])
    } else {
        format!("({}) {sign} ({})", terms.join(", "), values.join(", "))
    })
}

/// A row comparison would be NULL, and so lose the row, where a key column is.
fn expanded(terms: &[String], values: &[String], from: bool) -> String {
    let (Some((term, terms)), Some((value, values))) = (terms.split_first(), values.split_first())
    else {
        return if from { "TRUE" } else { "FALSE" }.to_owned();
    };
    let rest = expanded(terms, values, from);
    match (value.as_str(), from) {
        ("NULL", true) => format!("({term} IS NULL AND {rest})"),
        ("NULL", false) => format!("({term} IS NOT NULL OR {rest})"),
        (_, true) => {
            format!("({term} > {value} OR {term} IS NULL OR ({term} = {value} AND {rest}))")
        }
        (_, false) => format!("({term} < {value} OR ({term} = {value} AND {rest}))"),
    }
}

/// Plain equality, so that any index on the key serves; the reader drops what is equal only under a collation.
fn among_keys(scan: &Scan, keys: &[Key<'static>]) -> Result<String, String> {
    let outputs: Vec<&Output> = scan.key.iter().map(|at| &scan.outputs[*at]).collect();
    let terms: Vec<String> = outputs
        .iter()
        .map(|o| sorted(scan, o))
        .collect::<Result<_, _>>()?;
    let (mut plain, mut others) = (Vec::new(), Vec::new());
    for key in keys {
        let values: Option<Vec<String>> = key
            .0
            .iter()
            .zip(&outputs)
            .map(|(c, o)| literal(c, o.kind()))
            .collect();
        let Some(values) = values else { continue };
        if values.iter().any(|v| v == "NULL") {
            let same = terms
                .iter()
                .zip(&values)
                .map(|(t, v)| format!("{t} IS NOT DISTINCT FROM {v}"));
            others.push(format!("({})", same.collect::<Vec<_>>().join(" AND ")));
        } else if values.len() == 1 {
            plain.push(values.concat());
        } else {
            plain.push(format!("({})", values.join(", ")));
        }
    }
    if !plain.is_empty() {
        let (terms, plain) = (terms.join(", "), plain.join(", "));
        others.push(if outputs.len() == 1 {
            format!("{terms} IN ({plain})")
        } else {
            format!("({terms}) IN (VALUES {plain})")
        });
    }
    Ok(if others.is_empty() {
        "FALSE".to_owned()
    } else {
        format!("({})", others.join(" OR "))
    })
}

/// Tells a [`Shape`]: name, whether the column's own collation sorts bytewise, whether it is `json`.
#[must_use]
pub fn shape(name: &TableName) -> String {
    format!(
        "SELECT a.attname::text, coalesce(c.collprovider = 'c' AND c.collcollate IN ('C', 'POSIX') OR c.collprovider = 'd' \
         AND coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') = 'c' AND d.datcollate IN ('C', 'POSIX'), FALSE), a.atttypid = 'json'::regtype OR a.atttypid = 'json[]'::regtype \
         FROM pg_attribute a CROSS JOIN pg_database d LEFT JOIN pg_collation c ON c.oid = a.attcollation \
         WHERE a.attrelid = to_regclass({}) AND a.attnum > 0 AND NOT a.attisdropped AND d.datname = current_database()",
        super::postgres::string(&table(name))
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::store::dialect::postgres::column_type;

    pub(in crate::store::dialect) fn named(name: &str, kind: &str, nullable: bool) -> Column {
        Column {
            name: name.to_owned(),
            kind: column_type(kind),
            nullable,
        }
    }

    pub(in crate::store::dialect) fn scan() -> Scan {
        let plain = |column| Output { column, cast: None };
        Scan {
            relation: Relation::Table(TableName {
                schema: Some("shop".to_owned()),
                name: "Order".to_owned(),
            }),
            outputs: vec![
                plain(named("code", "text", false)),
                plain(named("n", "integer", false)),
                Output {
                    column: named("at", "date", true),
                    cast: Some(column_type("timestamp(6) without time zone")),
                },
            ],
            key: vec![0, 1],
            filter: vec![(
                named("status", "character(3)", true),
                Test::Not(Box::new(Test::AnyOf(vec![
                    Cell::Text("it's".into()),
                    Cell::Null,
                    Cell::Int(1),
                ]))),
            )],
            scope: Some("tenant = 5 -- ours".to_owned()),
            from: Some(Key(vec![Cell::Text("a".into()), Cell::Int(-1)])),
            to: None,
        }
    }

    #[test]
    fn a_scan() {
        insta::assert_snapshot!(copy(&scan(), &Shape::default()).expect("sortable"), @r#"
COPY (SELECT "Order"."code", "Order"."n", "Order"."at" FROM "shop"."Order" WHERE ((CAST("Order"."status" AS text) COLLATE "C" IN ('it''s'::text) OR "Order"."status" IS NULL)) IS NOT TRUE AND (tenant = 5 -- ours
) AND ("Order"."code" COLLATE "C", "Order"."n") >= ('a'::text, (-1)) ORDER BY "Order"."code" COLLATE "C", "Order"."n") TO STDOUT
"#);
    }

    #[test]
    fn ranges_keep_rows_whose_key_is_null() {
        let mut scan = scan();
        scan.outputs[1].column.nullable = true;
        scan.filter.clear();
        scan.scope = None;
        scan.to = Some(Key(vec![Cell::Text("b".into()), Cell::Null]));
        let shape = Shape {
            bytewise: HashSet::from(["code".to_owned()]),
            ..Shape::default()
        };
        insta::assert_snapshot!(copy(&scan, &shape).expect("sortable"), @r#"COPY (SELECT "Order"."code", "Order"."n", "Order"."at" FROM "shop"."Order" WHERE ("Order"."code" > 'a'::text OR "Order"."code" IS NULL OR ("Order"."code" = 'a'::text AND ("Order"."n" > (-1) OR "Order"."n" IS NULL OR ("Order"."n" = (-1) AND TRUE)))) AND ("Order"."code" < 'b'::text OR ("Order"."code" = 'b'::text AND ("Order"."n" IS NOT NULL OR FALSE))) ORDER BY "Order"."code", "Order"."n") TO STDOUT"#);
    }

    #[test]
    fn keys_and_parts() {
        let mut scan = scan();
        (scan.filter, scan.scope, scan.from) = (Vec::new(), None, None);
        let key = |code: &str, n| Key(vec![Cell::Text(code.to_owned().into()), Cell::Int(n)]);
        insta::assert_snapshot!(lookup(&scan, &Shape::default(), &[key("a", 1), key("b", 2)]).expect("sortable"), @r#"COPY (SELECT "Order"."code", "Order"."n", "Order"."at" FROM "shop"."Order" WHERE (("Order"."code", "Order"."n") IN (VALUES ('a'::text, 1), ('b'::text, 2))) ORDER BY "Order"."code" COLLATE "C", "Order"."n") TO STDOUT"#);
        insta::assert_snapshot!(split(&scan, &Shape::default(), 4, Some(2.5)).expect("sortable"), @r#"COPY (SELECT DISTINCT ON (part) k0, k1 FROM (SELECT "Order"."code" AS k0, "Order"."n" AS k1, ntile(4) OVER w AS part, row_number() OVER w AS place FROM "shop"."Order" TABLESAMPLE SYSTEM (2.5000) REPEATABLE (1) WINDOW w AS (ORDER BY "Order"."code" COLLATE "C", "Order"."n")) AS s WHERE part > 1 ORDER BY part, place) TO STDOUT"#);
        scan.key = vec![1];
        insta::assert_snapshot!(lookup(&scan, &Shape::default(), &[Key(vec![Cell::Int(1)]), Key(vec![Cell::Null])]).expect("sortable"), @r#"COPY (SELECT "Order"."code", "Order"."n", "Order"."at" FROM "shop"."Order" WHERE (("Order"."n" IS NOT DISTINCT FROM NULL) OR "Order"."n" IN (1)) ORDER BY "Order"."n") TO STDOUT"#);
    }
}
