//! Digests: what can be hashed, by which expression, and when two hashes mean the same.

use super::postgres::type_name;
use super::postgres_scan::{Shape, collates, column, conditions, relation, where_clause};
use crate::projection::types::ColumnType;
use crate::store::{Output, Scan};

/// What a row's hash begins with. It must not be 0: that is what PostgreSQL gives for NULL, and with a seed of 0 for the
/// number 0 too.
const SEED: i64 = 8_128;

/// Count and mixed hash. The expressions are those of `hashed`.
///
/// # Errors
/// When a range bound is no value of the key.
pub fn digest(scan: &Scan, shape: &Shape) -> Result<String, String> {
    let mut values = Vec::with_capacity(scan.outputs.len());
    for output in &scan.outputs {
        let (value, _) = hashed(scan, output, shape)
            .ok_or_else(|| format!("column {} cannot be hashed", output.column.name))?;
        values.push(value);
    }
    Ok(format!(
        "SELECT count(*), coalesce(sum({}), 0)::text FROM {}{}",
        mixed(&values.join(", ")),
        relation(&scan.relation),
        where_clause(&conditions(scan, shape)?)
    ))
}

/// The hash of one row. Hashed once only it would be linear in its columns, so that values exchanged between two rows
/// would leave the sum as it was; and hashed again as a number, it would keep 32 of its 64 bits.
fn mixed(values: &str) -> String {
    format!(
        "hash_record_extended(ROW(int8send(hash_record_extended(ROW({values}), {SEED}))), {SEED})"
    )
}

/// Asks for the hash of values that are of no table: servers that give another one do not hash alike, whatever their
/// version says.
#[must_use]
pub fn probe() -> String {
    let values = [
        "TRUE",
        "-1",
        "int8send(8589934595)",
        "numeric_send(trim_scale(-1.50))",
        "CAST(0.1 AS double precision)",
        "CAST('true up' AS text) COLLATE \"C\"",
        "CAST('up  ' AS character(4)) COLLATE \"C\"",
        "CAST('\\x00ff' AS bytea)",
        "CAST('2024-02-29' AS date)",
        "timestamp_send('2024-02-29 12:34:56.789')",
        "CAST('00112233-4455-6677-8899-aabbccddeeff' AS uuid)",
        "CAST(CAST('{\"b\": 1.0, \"a\": []}' AS jsonb) AS text) COLLATE \"C\"",
        "CAST(ARRAY[0.1, NULL] AS text) COLLATE \"C\"",
        "CAST(NULL AS text) COLLATE \"C\"",
    ];
    format!("SELECT ({})::text", mixed(&values.join(", ")))
}

/// The names of what is hashed, joined; `None` when a column cannot be, or only through a cast that could lose something.
#[must_use]
pub fn hashes(scan: &Scan, shape: &Shape) -> Option<String> {
    let names: Option<Vec<String>> = scan
        .outputs
        .iter()
        .map(|o| hashed(scan, o, shape).map(|(_, family)| family))
        .collect();
    names.map(|names| names.join(","))
}

/// What is hashed for an output, and the name of its family: values of one family have equal hashes when they are
/// equal, whatever their width. `None`: not hashable, or only by a cast that may lose something.
fn hashed(scan: &Scan, output: &Output, shape: &Shape) -> Option<(String, String)> {
    use ColumnType::{
        Bool, Date, Float32, Float64, Int, Numeric, Text, Time, Timestamp, TimestampTz, Uuid,
    };
    let name = column(scan, &output.column.name);
    let (from, to) = (&output.column.kind, output.kind());
    let family = family(to)?;
    if shape.json.contains(&output.column.name) {
        return None;
    }
    let value = match (from, to) {
        (Int { bits: 64, .. }, Int { bits, .. }) if *bits < 64 => return None,
        (Int { .. }, Int { .. })
        | (Numeric { .. }, Numeric { .. })
        | (Text { padded: false, .. }, Text { padded: false, .. })
        | (Text { padded: true, .. }, Text { padded: true, .. })
        | (Time { .. }, Time { .. })
        | (Timestamp { .. }, Timestamp { .. })
        | (TimestampTz { .. }, TimestampTz { .. }) => name,
        (from, to) if from == to => name,
        // Casts that lose nothing, whatever the value.
        (Int { .. }, Numeric { .. })
        | (Int { .. } | Bool | Date | Uuid, Text { padded: false, .. })
        | (Text { padded: true, .. }, Text { padded: false, .. })
        | (Date, Timestamp { .. } | TimestampTz { .. })
        | (Timestamp { .. }, TimestampTz { .. })
        | (TimestampTz { .. }, Timestamp { .. })
        | (Float32, Float64) => format!("CAST({name} AS {})", unlimited(to)),
        (Bool, Int { .. }) => format!("CAST({name} AS integer)"),
        (_, _) => return None,
    };
    Some((whole(&value, to), family))
}

/// What stands for a value so that values that differ have hashes that do. PostgreSQL's own hashes only promise that equal
/// values have equal ones: those of decimal numbers leave out the sign, and NaN and the infinities are one; of 64 bits the
/// halves are folded, so that they may change places; those of arrays leave out the dimensions, and those of JSON where its
/// brackets close. Texts of numbers in arrays and in JSON may differ where the numbers do not: then the merge decides.
fn whole(value: &str, kind: &ColumnType) -> String {
    match kind {
        ColumnType::Int { bits: 64, .. } => format!("int8send(CAST({value} AS bigint))"),
        ColumnType::Numeric { .. } => format!("numeric_send(trim_scale({value}))"),
        ColumnType::Time { .. } => format!("time_send({value})"),
        ColumnType::Timestamp { .. } => format!("timestamp_send({value})"),
        ColumnType::TimestampTz { .. } => format!("timestamptz_send({value})"),
        ColumnType::Json | ColumnType::Array(_) => format!("CAST({value} AS text) COLLATE \"C\""),
        kind if collates(kind) => format!("{value} COLLATE \"C\""),
        _ => value.to_owned(),
    }
}

/// Without a size, since a cast to a size cuts or rounds.
fn unlimited(kind: &ColumnType) -> String {
    match kind {
        ColumnType::Numeric { .. } => "numeric".to_owned(),
        ColumnType::Text { .. } => "text".to_owned(),
        ColumnType::Timestamp { .. } => "timestamp".to_owned(),
        ColumnType::TimestampTz { .. } => "timestamptz".to_owned(),
        kind => type_name(kind),
    }
}

fn family(kind: &ColumnType) -> Option<String> {
    Some(match kind {
        ColumnType::Int { bits: 64, .. } => "int64".to_owned(),
        ColumnType::Int { .. } => "int".to_owned(),
        ColumnType::Numeric { .. } => "numeric".to_owned(),
        ColumnType::Text { padded, .. } => if *padded { "char" } else { "text" }.to_owned(),
        ColumnType::Time { .. } => "time".to_owned(),
        ColumnType::Timestamp { .. } => "timestamp".to_owned(),
        ColumnType::TimestampTz { .. } => "timestamptz".to_owned(),
        ColumnType::Json => "jsonb".to_owned(),
        ColumnType::Array(of) => format!("{}[]", family(of)?),
        ColumnType::Other(_) => return None,
        kind => kind.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::postgres_scan::tests::{named, scan};
    use super::*;
    use crate::store::dialect::postgres::column_type;

    #[test]
    fn a_digest() {
        insta::assert_snapshot!(digest(&scan(), &Shape::default()).expect("hashable"), @r#"
SELECT count(*), coalesce(sum(hash_record_extended(ROW(int8send(hash_record_extended(ROW("Order"."code" COLLATE "C", "Order"."n", timestamp_send(CAST("Order"."at" AS timestamp))), 8128))), 8128)), 0)::text FROM "shop"."Order" WHERE ((CAST("Order"."status" AS text) COLLATE "C" IN ('it''s'::text) OR "Order"."status" IS NULL)) IS NOT TRUE AND (tenant = 5 -- ours
) AND ("Order"."code" COLLATE "C", "Order"."n") >= ('a'::text, (-1))
"#);
        insta::assert_snapshot!(hashes(&scan(), &Shape::default()).expect("hashable"), @r#"text,int,timestamp"#);
    }

    #[test]
    fn what_may_lose_something_is_not_hashed() {
        let mut scan = scan();
        for (from, to, family) in [
            ("integer", "numeric(5,2)", Some("numeric")),
            ("integer", "bigint", Some("int64")),
            ("smallint", "integer", Some("int")),
            ("bigint", "integer", None),
            ("numeric", "integer", None),
            ("double precision", "real", None),
            ("real", "double precision", Some("float64")),
            ("text", "uuid", None),
            ("character(3)", "character varying(3)", Some("text")),
            ("integer[]", "integer[]", Some("int[]")),
            ("public.mood", "public.mood", None),
        ] {
            scan.outputs = vec![Output {
                column: named("c", from, true),
                cast: Some(column_type(to)),
            }];
            assert_eq!(
                hashes(&scan, &Shape::default()).as_deref(),
                family,
                "{from} {to}"
            );
        }
    }
}
