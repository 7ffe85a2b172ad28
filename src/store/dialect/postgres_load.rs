//! The statements of a load: the shadow and its later changes, batches and positions, the seal.

use super::postgres::{list, quoted, string, table};
use super::postgres_run::{ended, forget};
use crate::store::{NextOffset, RunState, Shadow, TableName};

/// The columns that only the load needs, and their types.
pub const TRAILING: [(&str, &str); 4] = [
    ("trueup_partition", "integer"),
    ("trueup_offset", "bigint"),
    ("trueup_rank", "bytea"),
    ("trueup_clock", "bigint"),
];

/// What the table of later changes has besides.
pub const LATER: [(&str, &str); 3] = [
    ("trueup_arrival", "bigint"),
    ("trueup_gone", "boolean"),
    ("trueup_holes", "integer[]"),
];

/// Longest name that PostgreSQL keeps, in bytes.
const NAME_BYTES_MAX: usize = 63;

/// Longest run id: its schemas' names must not be cut.
pub const RUN_BYTES_MAX: usize = NAME_BYTES_MAX - "trueup_old_".len();

/// Schema of the shadow.
#[must_use]
pub fn shadow_schema(run: &str) -> String {
    format!("trueup_{run}")
}

/// Schema that the old table is kept in.
#[must_use]
pub fn old_schema(run: &str) -> String {
    format!("trueup_old_{run}")
}

/// The shadow: the live table's name in a schema of its own.
#[must_use]
pub fn shadow_table(shadow: &Shadow) -> TableName {
    TableName {
        schema: Some(shadow_schema(&shadow.run)),
        name: shadow.live.table.name.clone(),
    }
}

/// The table of later changes; the suffix survives a name that is already as long as can be.
#[must_use]
pub fn later_table(shadow: &Shadow) -> TableName {
    TableName {
        schema: Some(shadow_schema(&shadow.run)),
        name: suffixed(&shadow.live.table.name, "_trueup_later"),
    }
}

/// The table of tombstones, named as that of later changes is.
#[must_use]
pub fn gone_table(shadow: &Shadow) -> TableName {
    TableName {
        schema: Some(shadow_schema(&shadow.run)),
        name: suffixed(&shadow.live.table.name, "_trueup_gone"),
    }
}

/// A name with a suffix that survives.
pub(super) fn suffixed(name: &str, suffix: &str) -> String {
    let mut name = name.to_owned();
    while name.len() + suffix.len() > NAME_BYTES_MAX {
        name.pop();
    }
    name + suffix
}

/// Removes what a run left: its shadow with everything in it, and its positions.
#[must_use]
pub fn discard(run: &str) -> String {
    format!(
        "DROP SCHEMA IF EXISTS {} CASCADE; DROP SCHEMA IF EXISTS {} RESTRICT; DELETE FROM trueup.position WHERE run = {}; {}; {}",
        quoted(&shadow_schema(run)),
        quoted(&old_schema(run)),
        string(run),
        forget(run, None),
        ended(run, RunState::Discarded)
    )
}

/// Creates the shadow and the tables of later changes and of tombstones. `options` are the live table's storage parameters.
#[must_use]
pub fn create(shadow: &Shadow, options: &[(String, String)], version: i32) -> String {
    let name = table(&shadow_table(shadow));
    let trailing: Vec<String> = TRAILING.iter().map(|(n, t)| format!("{n} {t}")).collect();
    let compression = if version >= 140_000 {
        " INCLUDING COMPRESSION"
    } else {
        ""
    };
    let mut sql = format!(
        "CREATE SCHEMA {}; CREATE TABLE {name} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED \
         INCLUDING STORAGE INCLUDING COMMENTS{compression}, {})",
        quoted(&shadow_schema(&shadow.run)),
        table(&shadow.live.table),
        trailing.join(", ")
    );
    let mut loading = options.to_vec();
    if !has_autovacuum(options) {
        // A vacuum in the middle of the load would make the statements that follow wait for it.
        loading.push(("autovacuum_enabled".to_owned(), "false".to_owned()));
    }
    sql.push_str(&format!(
        "; ALTER TABLE {name} SET ({})",
        assigned(&loading)
    ));
    for column in relaxed(shadow) {
        sql.push_str(&format!(
            "; ALTER TABLE {name} ALTER COLUMN {} DROP NOT NULL",
            quoted(column)
        ));
    }
    sql.push_str(&format!(
        "; CREATE TABLE {} ({}); CREATE TABLE {} ({})",
        table(&later_table(shadow)),
        later_columns(shadow).join(", "),
        table(&gone_table(shadow)),
        gone_columns(shadow).join(", ")
    ));
    sql
}

/// The columns of the table of later changes, with their types.
pub(super) fn later_columns(shadow: &Shadow) -> Vec<String> {
    let loaded = shadow.columns.iter().enumerate();
    let mut columns: Vec<String> = loaded
        .map(|(at, c)| format!("{} {}", quoted(&c.name), later_type(shadow, at)))
        .collect();
    let besides = TRAILING.iter().chain(&LATER);
    columns.extend(besides.map(|(n, t)| format!("{n} {t}")));
    columns
}

/// The columns of the table of tombstones, with their types.
pub(super) fn gone_columns(shadow: &Shadow) -> Vec<String> {
    let key = key_names(shadow).zip(&shadow.key);
    let mut columns: Vec<String> = key
        .map(|(name, at)| format!("{} {}", quoted(name), later_type(shadow, *at)))
        .collect();
    columns.extend(TRAILING.iter().map(|(n, t)| format!("{n} {t}")));
    columns
}

/// Keys keep their type, since `1.0` and `1.00` are one key; everything else is kept as text, which takes the holes and
/// needs no domain's consent.
fn later_type(shadow: &Shadow, at: usize) -> String {
    let column = &shadow.columns[at];
    match shadow.live.column(&column.name) {
        Some(live) if shadow.key.contains(&at) => live.sql_type.clone(),
        _ => "text".to_owned(),
    }
}

/// Columns that must be written, by nobody before they are carried over.
pub(super) fn relaxed(shadow: &Shadow) -> impl Iterator<Item = &str> {
    shadow.carried.iter().map(String::as_str).filter(|name| {
        shadow
            .live
            .column(name)
            .is_some_and(|c| !c.column.nullable && !c.has_default)
    })
}

fn has_autovacuum(options: &[(String, String)]) -> bool {
    options.iter().any(|(name, _)| name == "autovacuum_enabled")
}

/// `toast."x" = 'v'` for a parameter of the TOAST table.
pub(super) fn assigned(options: &[(String, String)]) -> String {
    let one = |(name, value): &(String, String)| match name.split_once('.') {
        Some((space, name)) => format!("{space}.{} = {}", quoted(name), string(value)),
        None => format!("{} = {}", quoted(name), string(value)),
    };
    options.iter().map(one).collect::<Vec<_>>().join(", ")
}

pub(super) fn names(shadow: &Shadow) -> impl Iterator<Item = &str> {
    shadow.columns.iter().map(|c| c.name.as_str())
}

pub(super) fn key_names(shadow: &Shadow) -> impl Iterator<Item = &str> {
    shadow
        .key
        .iter()
        .map(|at| shadow.columns[*at].name.as_str())
}

pub(super) fn trailing_names<'a>() -> impl Iterator<Item = &'a str> {
    TRAILING.iter().map(|(name, _)| *name)
}

pub(super) fn later_names<'a>() -> impl Iterator<Item = &'a str> {
    LATER.iter().map(|(name, _)| *name)
}

/// `COPY` into the shadow.
#[must_use]
pub fn copy_first(shadow: &Shadow) -> String {
    format!(
        "COPY {} ({}) FROM STDIN",
        table(&shadow_table(shadow)),
        list(names(shadow).chain(trailing_names()))
    )
}

/// `COPY` into the table of later changes.
#[must_use]
pub fn copy_again(shadow: &Shadow) -> String {
    format!(
        "COPY {} ({}) FROM STDIN",
        table(&later_table(shadow)),
        list(names(shadow).chain(trailing_names()).chain(later_names()))
    )
}

/// `COPY` into the table of tombstones.
#[must_use]
pub fn copy_gone(shadow: &Shadow) -> String {
    format!(
        "COPY {} ({}) FROM STDIN",
        table(&gone_table(shadow)),
        list(key_names(shadow).chain(trailing_names()))
    )
}

/// The run's next offsets; nothing without any.
#[must_use]
pub fn positions(run: &str, next: &[NextOffset]) -> String {
    let run = string(run);
    if next.is_empty() {
        return String::new();
    }
    let rows: Vec<String> = next
        .iter()
        .map(|n| {
            format!(
                "({run}, {}, {}, {})",
                string(&n.topic),
                n.partition,
                n.offset
            )
        })
        .collect();
    format!(
        "INSERT INTO trueup.position (run, topic, partition, next_offset) VALUES {} \
         ON CONFLICT (run, topic, partition) DO UPDATE SET next_offset = EXCLUDED.next_offset",
        rows.join(", ")
    )
}

/// Forgets how far a run had read.
#[must_use]
pub fn positions_gone(run: &str) -> String {
    format!("DELETE FROM trueup.position WHERE run = {}", string(run))
}

/// Takes off what only the load needed. `options` are the live table's storage parameters.
#[must_use]
pub fn seal(shadow: &Shadow, options: &[(String, String)]) -> String {
    let name = table(&shadow_table(shadow));
    let mut acts: Vec<String> = trailing_names()
        .map(|n| format!("DROP COLUMN IF EXISTS {n}"))
        .collect();
    acts.extend(relaxed(shadow).map(|c| format!("ALTER COLUMN {} SET NOT NULL", quoted(c))));
    if !has_autovacuum(options) {
        acts.push("RESET (autovacuum_enabled)".to_owned());
    }
    format!(
        "ALTER TABLE {name} {}; DROP TABLE IF EXISTS {}, {}",
        acts.join(", "),
        table(&later_table(shadow)),
        table(&gone_table(shadow))
    )
}

/// Drops a schema that a swap has emptied.
#[must_use]
pub fn drop_emptied(run: &str) -> String {
    format!(
        "DROP SCHEMA IF EXISTS {} RESTRICT",
        quoted(&shadow_schema(run))
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::projection::types::Column;
    use crate::store::dialect::postgres::column_type;
    use crate::store::{Catalog, CatalogColumn};

    pub(in crate::store::dialect) fn shadow() -> Shadow {
        let column = |name: &str, sql_type: &str, nullable| CatalogColumn {
            column: Column {
                name: name.to_owned(),
                kind: column_type(sql_type),
                nullable,
            },
            sql_type: sql_type.to_owned(),
            has_default: false,
            generated: false,
        };
        let columns = vec![
            column("id", "bigint", false),
            column("Name", "character varying(5)", true),
            column("note", "jsonb", false),
        ];
        Shadow {
            run: "r1".to_owned(),
            columns: columns[..2].iter().map(|c| c.column.clone()).collect(),
            key: vec![0],
            carried: vec!["note".to_owned()],
            rank_words: 1,
            staged: false,
            live: Catalog {
                table: TableName {
                    schema: Some("read".to_owned()),
                    name: "accounts".to_owned(),
                },
                id: 42,
                columns,
                primary_key: vec!["id".to_owned()],
                unique_keys: Vec::new(),
                indexes: Vec::new(),
                rows_estimate: None,
                bytes: 0,
            },
        }
    }

    #[test]
    fn a_shadow_and_its_end() {
        let options = [
            ("fillfactor".to_owned(), "70".to_owned()),
            ("toast.autovacuum_enabled".to_owned(), "off".to_owned()),
        ];
        insta::assert_snapshot!(create(&shadow(), &options, 150_000).replace("; ", ";\n"), @r#"
CREATE SCHEMA "trueup_r1";
CREATE TABLE "trueup_r1"."accounts" (LIKE "read"."accounts" INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMMENTS INCLUDING COMPRESSION, trueup_partition integer, trueup_offset bigint, trueup_rank bytea, trueup_clock bigint);
ALTER TABLE "trueup_r1"."accounts" SET ("fillfactor" = '70', toast."autovacuum_enabled" = 'off', "autovacuum_enabled" = 'false');
ALTER TABLE "trueup_r1"."accounts" ALTER COLUMN "note" DROP NOT NULL;
CREATE TABLE "trueup_r1"."accounts_trueup_later" ("id" bigint, "Name" text, trueup_partition integer, trueup_offset bigint, trueup_rank bytea, trueup_clock bigint, trueup_arrival bigint, trueup_gone boolean, trueup_holes integer[]);
CREATE TABLE "trueup_r1"."accounts_trueup_gone" ("id" bigint, trueup_partition integer, trueup_offset bigint, trueup_rank bytea, trueup_clock bigint)
"#);
        insta::assert_snapshot!(seal(&shadow(), &options), @r#"ALTER TABLE "trueup_r1"."accounts" DROP COLUMN IF EXISTS trueup_partition, DROP COLUMN IF EXISTS trueup_offset, DROP COLUMN IF EXISTS trueup_rank, DROP COLUMN IF EXISTS trueup_clock, ALTER COLUMN "note" SET NOT NULL, RESET (autovacuum_enabled); DROP TABLE IF EXISTS "trueup_r1"."accounts_trueup_later", "trueup_r1"."accounts_trueup_gone""#);
        insta::assert_snapshot!(discard("r1").replace("; ", ";\n"), @r#"
DROP SCHEMA IF EXISTS "trueup_r1" CASCADE;
DROP SCHEMA IF EXISTS "trueup_old_r1" RESTRICT;
DELETE FROM trueup.position WHERE run = 'r1';
UPDATE trueup.run SET state = 'discarded', ended_at = clock_timestamp() WHERE id = 'r1' AND state = 'running'
"#);
    }

    #[test]
    fn batches() {
        insta::assert_snapshot!(copy_first(&shadow()), @r#"COPY "trueup_r1"."accounts" ("id", "Name", "trueup_partition", "trueup_offset", "trueup_rank", "trueup_clock") FROM STDIN"#);
        insta::assert_snapshot!(copy_again(&shadow()), @r#"COPY "trueup_r1"."accounts_trueup_later" ("id", "Name", "trueup_partition", "trueup_offset", "trueup_rank", "trueup_clock", "trueup_arrival", "trueup_gone", "trueup_holes") FROM STDIN"#);
        insta::assert_snapshot!(copy_gone(&shadow()), @r#"COPY "trueup_r1"."accounts_trueup_gone" ("id", "trueup_partition", "trueup_offset", "trueup_rank", "trueup_clock") FROM STDIN"#);
        let next = [NextOffset {
            topic: "t'".to_owned(),
            partition: 1,
            offset: 9,
        }];
        insta::assert_snapshot!(positions("r1", &next), @r#"INSERT INTO trueup.position (run, topic, partition, next_offset) VALUES ('r1', 't''', 1, 9) ON CONFLICT (run, topic, partition) DO UPDATE SET next_offset = EXCLUDED.next_offset; UPDATE trueup.run SET heartbeat_at = clock_timestamp() WHERE id = 'r1'"#);
    }

    #[test]
    fn long_names_are_cut_before_the_suffix() {
        let mut shadow = shadow();
        shadow.live.table.name = "ä".repeat(31);
        for (name, suffix) in [
            (later_table(&shadow).name, "_trueup_later"),
            (gone_table(&shadow).name, "_trueup_gone"),
        ] {
            assert!(name.len() <= 63 && name.ends_with(suffix), "{name}");
        }
    }
}
