//! The statements that settle repeated keys, replace rows and carry columns over.

use super::postgres::{list, quoted, string, table};
use super::postgres_load::{
    gone_table, key_names, later_names, later_table, names, shadow_table, trailing_names,
};
use crate::projection::cell::Cell;
use crate::projection::change::Key;
use crate::projection::text;
use crate::projection::types::ColumnType;
use crate::projection::version::Version;
use crate::store::Shadow;
use crate::store::TableName;

/// Moves the shadow's rows of all keys that have later changes beside these, as those that came first.
#[must_use]
pub fn move_held(shadow: &Shadow) -> String {
    let all: Vec<&str> = names(shadow).chain(trailing_names()).collect();
    let mut moved: Vec<String> = shadow
        .columns
        .iter()
        .enumerate()
        .map(|(at, c)| {
            let name = quoted(&c.name);
            if shadow.key.contains(&at) {
                name
            } else {
                format!("CAST({name} AS text)")
            }
        })
        .collect();
    moved.extend(trailing_names().map(quoted));
    let taken = moved.join(", ");
    move_first(shadow, &shadow_table(shadow), &all, &taken, "FALSE")
}

/// Moves the tombstones of these keys there too. A key has a row or a tombstone, never both.
#[must_use]
pub fn move_gone(shadow: &Shadow) -> String {
    let all: Vec<&str> = key_names(shadow).chain(trailing_names()).collect();
    let taken = list(all.iter().copied());
    move_first(shadow, &gone_table(shadow), &all, &taken, "TRUE")
}

/// Takes what the table has of keys with later changes out of it and puts it beside them; `gone` says whether it is no row.
fn move_first(shadow: &Shadow, from: &TableName, all: &[&str], taken: &str, gone: &str) -> String {
    let later = table(&later_table(shadow));
    let same: Vec<String> = key_names(shadow)
        .map(|k| format!("s.{0} = k.{0}", quoted(k)))
        .collect();
    let returned: Vec<String> = all.iter().map(|n| format!("s.{}", quoted(n))).collect();
    format!(
        "WITH gone AS (DELETE FROM {} AS s USING (SELECT DISTINCT {} FROM {later}) AS k WHERE {} RETURNING {}) \
         INSERT INTO {later} ({}, trueup_arrival, trueup_gone) SELECT {taken}, -1, {gone} FROM gone",
        table(from),
        list(key_names(shadow)),
        same.join(" AND "),
        returned.join(", "),
        list(all.iter().copied()),
    )
}

/// Removes the rows and tombstones that are older than a truncate.
#[must_use]
pub fn clear(shadow: &Shadow, truncate: &Version) -> [String; 2] {
    let rank = text::of(&Cell::Bytes(
        truncate.rank.to_bytes(shadow.rank_words).into(),
    ));
    [shadow_table(shadow), gone_table(shadow)].map(|from| {
        format!(
            "DELETE FROM {} WHERE (trueup_rank, trueup_offset, trueup_partition) < ({}::bytea, {}, {})",
            table(&from),
            string(rank.as_deref().unwrap_or_default()),
            truncate.offset,
            truncate.partition
        )
    })
}

/// Whether there are later changes.
#[must_use]
pub fn any_later(shadow: &Shadow) -> String {
    format!(
        "SELECT EXISTS (SELECT FROM {})",
        table(&later_table(shadow))
    )
}

/// The later changes in order of arrival within their key, and the types of what comes out.
#[must_use]
pub fn copy_later(shadow: &Shadow) -> (String, Vec<ColumnType>) {
    let int = || ColumnType::INT64;
    let mut kinds: Vec<ColumnType> = shadow.columns.iter().map(|c| c.kind.clone()).collect();
    kinds.extend([
        int(),
        int(),
        ColumnType::Bytes,
        int(),
        int(),
        ColumnType::Bool,
    ]);
    kinds.push(ColumnType::Array(Box::new(int())));
    let order: Vec<String> = shadow
        .key
        .iter()
        .map(|at| {
            let column = &shadow.columns[*at];
            let collate = if matches!(column.kind, ColumnType::Text { .. }) {
                " COLLATE \"C\""
            } else {
                ""
            };
            format!("{}{collate}", quoted(&column.name))
        })
        .collect();
    let sql = format!(
        "COPY (SELECT {} FROM {} ORDER BY {}, trueup_arrival) TO STDOUT",
        list(names(shadow).chain(trailing_names()).chain(later_names())),
        table(&later_table(shadow)),
        order.join(", ")
    );
    (sql, kinds)
}

/// Empties the table of later changes.
#[must_use]
pub fn empty_later(shadow: &Shadow) -> String {
    format!("TRUNCATE {}", table(&later_table(shadow)))
}

/// Deletes what the shadow, or its table of tombstones, has of these keys: one statement of any size, since the keys come as
/// arrays.
#[must_use]
pub fn delete_keys(shadow: &Shadow, from: &TableName, keys: &[&Key<'static>]) -> String {
    let mut arrays = Vec::with_capacity(shadow.key.len());
    for (place, at) in shadow.key.iter().enumerate() {
        let column = &shadow.columns[*at];
        let cells: Vec<Cell<'static>> = keys.iter().map(|k| k.0[place].clone()).collect();
        let array = text::of(&Cell::Array(cells)).unwrap_or_default();
        let kind = shadow
            .live
            .column(&column.name)
            .map_or("text", |c| c.sql_type.as_str());
        arrays.push(format!("{}::{kind}[]", string(&array)));
    }
    let aliases: Vec<String> = (0..arrays.len()).map(|i| format!("k{i}")).collect();
    let same: Vec<String> = key_names(shadow)
        .zip(&aliases)
        .map(|(name, alias)| format!("s.{} = k.{alias}", quoted(name)))
        .collect();
    format!(
        "DELETE FROM {} AS s USING unnest({}) AS k ({}) WHERE {}",
        table(from),
        arrays.join(", "),
        aliases.join(", "),
        same.join(" AND ")
    )
}

/// Carries the columns that nobody loads over from the live table, where they differ; `None` when there are none.
#[must_use]
pub fn carry(shadow: &Shadow) -> Option<String> {
    if shadow.carried.is_empty() {
        return None;
    }
    let set: Vec<String> = shadow
        .carried
        .iter()
        .map(|c| format!("{0} = l.{0}", quoted(c)))
        .collect();
    let differ: Vec<String> = shadow
        .carried
        .iter()
        .map(|name| {
            let column = quoted(name);
            // Types without equality are compared as they print.
            match shadow.live.column(name).map(|c| &c.column.kind) {
                Some(ColumnType::Json | ColumnType::Other(_) | ColumnType::Array(_)) | None => {
                    format!("CAST(s.{column} AS text) IS DISTINCT FROM CAST(l.{column} AS text)")
                }
                Some(_) => format!("s.{column} IS DISTINCT FROM l.{column}"),
            }
        })
        .collect();
    let same: Vec<String> = key_names(shadow)
        .map(|k| format!("s.{0} = l.{0}", quoted(k)))
        .collect();
    Some(format!(
        "UPDATE {} AS s SET {} FROM {} AS l WHERE {} AND ({})",
        table(&shadow_table(shadow)),
        set.join(", "),
        table(&shadow.live.table),
        same.join(" AND "),
        differ.join(" OR ")
    ))
}

/// Gives the planner the size of the table of later changes.
#[must_use]
pub fn analyze_later(shadow: &Shadow) -> String {
    format!("ANALYZE {}", table(&later_table(shadow)))
}

#[cfg(test)]
mod tests {
    use super::super::postgres_load::tests::shadow;
    use super::*;

    #[test]
    fn settling() {
        insta::assert_snapshot!(move_held(&shadow()), @r#"WITH gone AS (DELETE FROM "trueup_r1"."accounts" AS s USING (SELECT DISTINCT "id" FROM "trueup_r1"."accounts_trueup_later") AS k WHERE s."id" = k."id" RETURNING s."id", s."Name", s."trueup_partition", s."trueup_offset", s."trueup_rank", s."trueup_clock") INSERT INTO "trueup_r1"."accounts_trueup_later" ("id", "Name", "trueup_partition", "trueup_offset", "trueup_rank", "trueup_clock", trueup_arrival, trueup_gone) SELECT "id", CAST("Name" AS text), "trueup_partition", "trueup_offset", "trueup_rank", "trueup_clock", -1, FALSE FROM gone"#);
        insta::assert_snapshot!(move_gone(&shadow()), @r#"WITH gone AS (DELETE FROM "trueup_r1"."accounts_trueup_gone" AS s USING (SELECT DISTINCT "id" FROM "trueup_r1"."accounts_trueup_later") AS k WHERE s."id" = k."id" RETURNING s."id", s."trueup_partition", s."trueup_offset", s."trueup_rank", s."trueup_clock") INSERT INTO "trueup_r1"."accounts_trueup_later" ("id", "trueup_partition", "trueup_offset", "trueup_rank", "trueup_clock", trueup_arrival, trueup_gone) SELECT "id", "trueup_partition", "trueup_offset", "trueup_rank", "trueup_clock", -1, TRUE FROM gone"#);
        insta::assert_snapshot!(copy_later(&shadow()).0, @r#"COPY (SELECT "id", "Name", "trueup_partition", "trueup_offset", "trueup_rank", "trueup_clock", "trueup_arrival", "trueup_gone", "trueup_holes" FROM "trueup_r1"."accounts_trueup_later" ORDER BY "id", trueup_arrival) TO STDOUT"#);
        insta::assert_snapshot!(delete_keys(&shadow(), &gone_table(&shadow()), &[&Key(vec![Cell::Int(1)]), &Key(vec![Cell::Int(-2)])]), @r#"DELETE FROM "trueup_r1"."accounts_trueup_gone" AS s USING unnest('{1,-2}'::bigint[]) AS k (k0) WHERE s."id" = k.k0"#);
        insta::assert_snapshot!(carry(&shadow()).expect("a carried column"), @r#"UPDATE "trueup_r1"."accounts" AS s SET "note" = l."note" FROM "read"."accounts" AS l WHERE s."id" = l."id" AND (CAST(s."note" AS text) IS DISTINCT FROM CAST(l."note" AS text))"#);
    }
}
