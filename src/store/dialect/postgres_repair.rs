//! The statements of repairs in place: rows locked and read by key, written one by one, journalled.

use super::postgres::{list, quoted, string, table};
use super::postgres_run::of_table;
use crate::projection::cell::Cell;
use crate::projection::change::Key;
use crate::projection::text;
use crate::store::repair::{Confirmation, Image, Target, WriteKind};
use crate::store::{Catalog, TableName};

/// The rows of these keys as they are: the key's place in the list, from 1, then every stored column. `lock` keeps everybody
/// else from changing them until the transaction ends.
#[must_use]
pub fn held(target: &Target, keys: &[&Key<'static>], lock: bool) -> String {
    let live = quoted(&target.table.table.name);
    let mut arrays = Vec::new();
    let mut same = Vec::new();
    for (place, column) in target.key_columns().enumerate() {
        let cells: Vec<Cell<'static>> = keys.iter().map(|k| k.0[place].clone()).collect();
        let array = text::of(&Cell::Array(cells)).unwrap_or_default();
        arrays.push(format!(
            "{}::{}[]",
            string(&array),
            sql_type(target, &column.name)
        ));
        same.push(format!(
            "{live}.{} = trueup_k.trueup_k{place}",
            quoted(&column.name)
        ));
    }
    let aliases: Vec<String> = (0..arrays.len()).map(|i| format!("trueup_k{i}")).collect();
    let stored = target
        .stored_columns()
        .map(|c| format!("{live}.{}", quoted(&c.column.name)));
    // A comment at its end must not swallow the bracket.
    let scope = target
        .scope
        .as_ref()
        .map_or(String::new(), |scope| format!(" WHERE ({scope}\n)"));
    let lock = if lock {
        format!(" FOR UPDATE OF {live}")
    } else {
        String::new()
    };
    format!(
        "SELECT trueup_k.trueup_place, {} FROM unnest({}) WITH ORDINALITY AS trueup_k ({}, trueup_place) JOIN {} ON {}{scope} ORDER BY 1{lock}",
        stored.collect::<Vec<_>>().join(", "),
        arrays.join(", "),
        aliases.join(", "),
        table(&target.table.table),
        same.join(" AND "),
    )
}

fn sql_type<'a>(target: &'a Target, column: &str) -> &'a str {
    target
        .table
        .column(column)
        .map_or("text", |c| c.sql_type.as_str())
}

/// A value as the column's input function reads it.
fn value(text: Option<&str>) -> String {
    text.map_or("NULL".to_owned(), string)
}

/// The row with this key.
fn where_key(target: &Target, key: &Key<'static>) -> String {
    let same = target.key_columns().zip(&key.0).map(|(column, cell)| {
        let text = text::of(cell).unwrap_or_default();
        format!(
            "{} = {}::{}",
            quoted(&column.name),
            string(&text),
            sql_type(target, &column.name)
        )
    });
    same.collect::<Vec<_>>().join(" AND ")
}

/// One write of these columns.
#[must_use]
pub fn write(
    target: &Target,
    kind: WriteKind,
    key: &Key<'static>,
    sets: &[(String, Option<String>)],
) -> String {
    let live = table(&target.table.table);
    match kind {
        WriteKind::Delete => format!("DELETE FROM {live} WHERE {}", where_key(target, key)),
        WriteKind::Update => {
            let sets: Vec<String> = sets
                .iter()
                .map(|(column, text)| format!("{} = {}", quoted(column), value(text.as_deref())))
                .collect();
            format!(
                "UPDATE {live} SET {} WHERE {}",
                sets.join(", "),
                where_key(target, key)
            )
        }
        WriteKind::Insert => {
            let values: Vec<String> = sets.iter().map(|(_, t)| value(t.as_deref())).collect();
            format!(
                "INSERT INTO {live} ({}) OVERRIDING SYSTEM VALUE VALUES ({})",
                list(sets.iter().map(|(column, _)| column.as_str())),
                values.join(", ")
            )
        }
    }
}

/// The highest number in a run's journal.
#[must_use]
pub fn last_number(run: &str) -> String {
    format!(
        "SELECT coalesce(max(number), 0) FROM trueup.journal WHERE run = {}",
        string(run)
    )
}

/// One row for the journal.
#[derive(Debug)]
pub struct Journalled {
    /// Its number.
    pub number: i64,
    /// What was written.
    pub kind: WriteKind,
    /// The key, by column.
    pub key: Image,
    /// The row before.
    pub before: Option<Image>,
    /// The row after.
    pub after: Option<Image>,
    /// The entry of the reverted run.
    pub reverts: Option<i64>,
}

/// Journals rows, marks what they take back, and gives a sign of life.
///
/// # Errors
/// When an image cannot be written as JSON.
pub fn journal(target: &Target, rows: &[Journalled]) -> Result<String, serde_json::Error> {
    let (run, confirmation) = (
        string(&target.run),
        match target.reverts {
            Some(_) => Confirmation::Confirmed,
            None => Confirmation::Unconfirmed,
        },
    );
    let mut values = Vec::with_capacity(rows.len());
    for row in rows {
        let image = |image: &Option<Image>| {
            let json = image.as_ref().map(serde_json::to_string).transpose()?;
            Ok::<_, serde_json::Error>(value(json.as_deref()))
        };
        values.push(format!(
            "({run}, {}, '{}', {}, {}, {}, '{}')",
            row.number,
            row.kind.word(),
            string(&serde_json::to_string(&row.key)?),
            image(&row.before)?,
            image(&row.after)?,
            confirmation.word()
        ));
    }
    let mut sql = format!(
        "INSERT INTO trueup.journal (run, number, kind, key, before, after, confirmation) VALUES {}",
        values.join(", ")
    );
    let reverted: Vec<String> = rows
        .iter()
        .filter_map(|r| r.reverts)
        .map(|n| n.to_string())
        .collect();
    if let (Some(of), false) = (&target.reverts, reverted.is_empty()) {
        sql.push_str(&format!(
            "; UPDATE trueup.journal SET undone_by = {run} WHERE run = {} AND number IN ({})",
            string(of),
            reverted.join(", ")
        ));
    }
    sql.push_str(&format!(
        "; UPDATE trueup.run SET heartbeat_at = clock_timestamp() WHERE id = {run}"
    ));
    Ok(sql)
}

/// Notes what the primary said after these repairs.
#[must_use]
pub fn confirm(entries: &[(String, i64)], confirmation: Confirmation) -> String {
    let rows: Vec<String> = entries
        .iter()
        .map(|(run, number)| format!("({}, {number})", string(run)))
        .collect();
    format!(
        "UPDATE trueup.journal AS j SET confirmation = '{}' FROM (VALUES {}) AS k (run, number) WHERE j.run = k.run AND j.number = k.number",
        confirmation.word(),
        rows.join(", ")
    )
}

const ENTRY: &str = "SELECT j.run, j.number, j.key, j.before, j.after, j.confirmation, j.undone_by FROM trueup.journal AS j";

/// The journal of a run.
#[must_use]
pub fn entries(run: &str) -> String {
    format!("{ENTRY} WHERE j.run = {} ORDER BY j.number", string(run))
}

/// The repairs of a table after which nobody read the primary again.
#[must_use]
pub fn unconfirmed(live: &TableName) -> String {
    format!(
        "{ENTRY} JOIN trueup.run AS r ON r.id = j.run WHERE j.confirmation = 'unconfirmed' AND j.undone_by IS NULL AND {} \
         ORDER BY r.started_at, j.number",
        of_table(live)
    )
}

/// What a write sets off: what it is, and whether by insert, update, delete.
#[must_use]
pub fn effects(live: &Catalog) -> String {
    let oid = live.id;
    format!(
        "SELECT 'trigger ' || tgname || ' runs ' || tgfoid::regproc, tgtype & 4 <> 0, tgtype & 16 <> 0, tgtype & 8 <> 0 FROM pg_trigger \
         WHERE tgrelid = {oid} AND NOT tgisinternal AND tgenabled IN ('O', 'A') AND tgtype & 28 <> 0 \
         UNION ALL SELECT 'foreign key ' || conname || ' of ' || conrelid::regclass || CASE confdeltype WHEN 'c' THEN ': a delete here deletes its rows' \
         WHEN 'n' THEN ': a delete here sets its columns to NULL' WHEN 'd' THEN ': a delete here sets its columns to their default' \
         ELSE ' may refuse a delete' END, FALSE, FALSE, TRUE FROM pg_constraint WHERE contype = 'f' AND confrelid = {oid} AND conparentid = 0 \
         UNION ALL SELECT 'foreign key ' || conname || ' wants rows of ' || confrelid::regclass, TRUE, TRUE, FALSE FROM pg_constraint \
         WHERE contype = 'f' AND conrelid = {oid} AND conparentid = 0 \
         UNION ALL SELECT 'rule ' || rulename, ev_type = '3', ev_type = '2', ev_type = '4' FROM pg_rewrite \
         WHERE ev_class = {oid} AND rulename <> '_RETURN' AND ev_enabled <> 'D' ORDER BY 1"
    )
}

#[cfg(test)]
mod tests {
    use super::super::postgres_load::tests::shadow;
    use super::*;

    fn target() -> Target {
        let shadow = shadow();
        Target {
            run: "r2".to_owned(),
            table: shadow.live,
            columns: shadow.columns,
            key: shadow.key,
            fill: Vec::new(),
            scope: Some("tenant = 5 -- ours".to_owned()),
            reverts: Some("r1".to_owned()),
        }
    }

    #[test]
    fn rows_are_locked_by_key() {
        let keys = [Key(vec![Cell::Int(1)]), Key(vec![Cell::Int(-2)])];
        insta::assert_snapshot!(held(&target(), &keys.iter().collect::<Vec<_>>(), true), @r#"SELECT trueup_k.trueup_place, "accounts"."id", "accounts"."Name", "accounts"."note" FROM unnest('{1,-2}'::bigint[]) WITH ORDINALITY AS trueup_k (trueup_k0, trueup_place) JOIN "read"."accounts" ON "accounts"."id" = trueup_k.trueup_k0 WHERE (tenant = 5 -- ours
) ORDER BY 1 FOR UPDATE OF "accounts""#);
    }

    #[test]
    fn writes() {
        let (target, key) = (target(), Key(vec![Cell::Int(7)]));
        let sets = [
            ("id".to_owned(), Some("7".to_owned())),
            ("Name".to_owned(), None),
            ("note".to_owned(), Some("it's".to_owned())),
        ];
        let all: Vec<String> = [WriteKind::Insert, WriteKind::Update, WriteKind::Delete]
            .into_iter()
            .map(|kind| write(&target, kind, &key, &sets))
            .collect();
        insta::assert_snapshot!(all.join("\n"), @r#"
INSERT INTO "read"."accounts" ("id", "Name", "note") OVERRIDING SYSTEM VALUE VALUES ('7', NULL, 'it''s')
UPDATE "read"."accounts" SET "id" = '7', "Name" = NULL, "note" = 'it''s' WHERE "id" = '7'::bigint
DELETE FROM "read"."accounts" WHERE "id" = '7'::bigint
"#);
    }

    #[test]
    fn the_journal() {
        let image = |text: &str| {
            Image(vec![
                ("note".to_owned(), Some(text.to_owned())),
                ("id".to_owned(), Some("7".to_owned())),
            ])
        };
        let row = Journalled {
            number: 3,
            kind: WriteKind::Update,
            key: Image(vec![("id".to_owned(), Some("7".to_owned()))]),
            before: Some(image("it's")),
            after: None,
            reverts: Some(4),
        };
        insta::assert_snapshot!(journal(&target(), &[row]).expect("texts are JSON"), @r#"INSERT INTO trueup.journal (run, number, kind, key, before, after, confirmation) VALUES ('r2', 3, 'update', '{"id":"7"}', '{"note":"it''s","id":"7"}', NULL, 'confirmed'); UPDATE trueup.journal SET undone_by = 'r2' WHERE run = 'r1' AND number IN (4); UPDATE trueup.run SET heartbeat_at = clock_timestamp() WHERE id = 'r2'"#);
        insta::assert_snapshot!(confirm(&[("r1".to_owned(), 1), ("r1".to_owned(), 2)], Confirmation::Confirmed), @r#"UPDATE trueup.journal AS j SET confirmation = 'confirmed' FROM (VALUES ('r1', 1), ('r1', 2)) AS k (run, number) WHERE j.run = k.run AND j.number = k.number"#);
    }
}
