//! Digests: what can be hashed, by which expression, and when two hashes mean the same.

use super::postgres::type_name;
use super::postgres_scan::{Shape, collates, column, conditions, relation, where_clause};
use crate::projection::types::ColumnType;
use crate::store::{Output, Scan};

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
        "SELECT count(*), coalesce(sum(hashint8extended(hash_record_extended(ROW({}), 0), 1)), 0)::text FROM {}{}",
        values.join(", "),
        relation(&scan.relation),
        where_clause(&conditions(scan, shape)?)
    ))
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
        Bool, Bytes, Date, Float32, Float64, Int, Numeric, Text, Time, Timestamp, TimestampTz, Uuid,
    };
    let name = column(scan, &output.column.name);
    let (from, to) = (&output.column.kind, output.kind());
    let family = family(to)?;
    if shape.json.contains(&output.column.name) {
        return None;
    }
    let value = match (from, to) {
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
        (Bytes, _) | (_, _) => return None,
    };
    Some((
        if collates(to) {
            format!("{value} COLLATE \"C\"")
        } else {
            value
        },
        family,
    ))
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
SELECT count(*), coalesce(sum(hashint8extended(hash_record_extended(ROW("Order"."code" COLLATE "C", "Order"."n", CAST("Order"."at" AS timestamp)), 0), 1)), 0)::text FROM "shop"."Order" WHERE ((CAST("Order"."status" AS text) COLLATE "C" IN ('it''s'::text) OR "Order"."status" IS NULL)) IS NOT TRUE AND (tenant = 5 -- ours
) AND ("Order"."code" COLLATE "C", "Order"."n") >= ('a'::text, (-1))
"#);
        insta::assert_snapshot!(hashes(&scan(), &Shape::default()).expect("hashable"), @r#"text,int,timestamp"#);
    }

    #[test]
    fn what_may_lose_something_is_not_hashed() {
        let mut scan = scan();
        for (from, to, family) in [
            ("integer", "numeric(5,2)", Some("numeric")),
            ("bigint", "integer", Some("int")),
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
