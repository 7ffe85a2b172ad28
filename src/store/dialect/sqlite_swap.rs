//! SQLite: the swap as SQL. Contents are exchanged by difference inside one transaction, so that whatever hangs on the
//! table stays as it is.

use std::collections::BTreeSet;

use crate::store::{CatalogColumn, Shadow};

use super::sqlite::{names, quoted, table};
use super::sqlite_load::{key_columns, shadow_table};

/// Where rows wait whose unique columns change: updating them one by one could collide with each other.
const MOVED: &str = "temp.trueup_moved";

/// The statements that make the live table's contents those of the shadow, in order.
#[must_use]
pub fn exchange(shadow: &Shadow) -> Vec<String> {
    let live = table(&shadow.live.table);
    let new = shadow_table(shadow);
    let loaded: Vec<&str> = written(shadow).map(|c| c.column.name.as_str()).collect();
    let key: BTreeSet<&str> = key_columns(shadow).collect();
    let same = same_key(shadow);
    let mut all = vec![format!(
        "DELETE FROM {live} AS l WHERE NOT EXISTS (SELECT 1 FROM {new} AS s WHERE {same})"
    )];
    let unique = other_unique(shadow, &key, &loaded);
    let mut put_back = Vec::new();
    if !unique.is_empty() {
        let (out, back) = move_out(shadow, &loaded, &unique);
        all.extend(out);
        put_back = back;
    }
    let rest: Vec<&str> = loaded
        .iter()
        .copied()
        .filter(|c| !key.contains(c))
        .collect();
    if !rest.is_empty() {
        let set: Vec<String> = rest
            .iter()
            .map(|c| format!("{0} = s.{0}", quoted(c)))
            .collect();
        all.push(format!(
            "UPDATE {live} AS l SET {} FROM {new} AS s WHERE {same} AND ({})",
            set.join(", "),
            differs(rest.iter().copied())
        ));
    }
    all.extend(put_back);
    all.push(format!(
        "INSERT INTO {live} ({}) SELECT {} FROM {new} AS s \
         WHERE NOT EXISTS (SELECT 1 FROM {live} AS l WHERE {same})",
        names("", loaded.iter().copied()),
        names("s.", loaded.iter().copied())
    ));
    all
}

/// Rows of the live table and of the shadow, which must be as many after the exchange.
#[must_use]
pub fn counts(shadow: &Shadow) -> String {
    format!(
        "SELECT (SELECT count(*) FROM {}), (SELECT count(*) FROM {})",
        table(&shadow.live.table),
        shadow_table(shadow)
    )
}

/// The loaded columns that can be written.
fn written(shadow: &Shadow) -> impl Iterator<Item = &CatalogColumn> {
    let loaded = shadow
        .columns
        .iter()
        .filter_map(|c| shadow.live.column(&c.name));
    loaded.filter(|c| !c.generated)
}

/// Equal keys. Both ways round, since the left side's collation decides: bytes for the shadow's index, and whatever
/// the live table's key index has.
fn same_key(shadow: &Shadow) -> String {
    let both: Vec<String> = key_columns(shadow)
        .map(|c| format!("s.{0} = l.{0} AND l.{0} = s.{0}", quoted(c)))
        .collect();
    both.join(" AND ")
}

fn differs<'a>(columns: impl IntoIterator<Item = &'a str>) -> String {
    let each: Vec<String> = columns
        .into_iter()
        .map(|c| format!("l.{0} COLLATE BINARY IS NOT s.{0}", quoted(c)))
        .collect();
    each.join(" OR ")
}

/// Loaded columns of unique keys other than the key.
fn other_unique<'a>(
    shadow: &'a Shadow,
    key: &BTreeSet<&str>,
    loaded: &[&'a str],
) -> BTreeSet<&'a str> {
    let others = shadow.live.unique_keys.iter().flatten();
    others
        .map(String::as_str)
        .filter(|c| loaded.contains(c) && !key.contains(c))
        .collect()
}

/// Takes rows whose unique columns change out of the live table and puts them back changed, with the columns that
/// nobody loads as they were.
fn move_out(
    shadow: &Shadow,
    loaded: &[&str],
    unique: &BTreeSet<&str>,
) -> (Vec<String>, Vec<String>) {
    let live = table(&shadow.live.table);
    let new = shadow_table(shadow);
    let same = same_key(shadow);
    let kept: Vec<&str> = shadow
        .live
        .columns
        .iter()
        .filter(|c| !c.generated && !loaded.contains(&c.column.name.as_str()))
        .map(|c| c.column.name.as_str())
        .collect();
    let held = names("l.", key_columns(shadow).chain(kept.iter().copied()));
    let key = names("", key_columns(shadow));
    let out = vec![
        format!(
            "CREATE TEMPORARY TABLE trueup_moved AS SELECT {held} FROM {live} AS l JOIN {new} AS s ON {same} \
             WHERE {}",
            differs(unique.iter().copied())
        ),
        format!("CREATE INDEX temp.trueup_moved_key ON trueup_moved ({key})"),
        format!("DELETE FROM {live} WHERE ({key}) IN (SELECT {key} FROM {MOVED})"),
    ];
    let all = loaded.iter().copied().chain(kept.iter().copied());
    let mut from: Vec<String> = loaded.iter().map(|c| format!("s.{}", quoted(c))).collect();
    from.extend(kept.iter().map(|c| format!("l.{}", quoted(c))));
    let back = vec![
        format!(
            "INSERT INTO {live} ({}) SELECT {} FROM {MOVED} AS l JOIN {new} AS s ON {same}",
            names("", all),
            from.join(", ")
        ),
        format!("DROP TABLE {MOVED}"),
    ];
    (out, back)
}

#[cfg(test)]
mod tests {
    use super::super::sqlite_load as load;
    use super::*;
    use crate::projection::types::{Column, ColumnType};
    use crate::store::{Catalog, TableName};

    fn accounts(unique: bool) -> Shadow {
        let column = |name: &str, sql_type: &str, generated| CatalogColumn {
            column: Column {
                name: name.to_owned(),
                kind: ColumnType::TEXT,
                nullable: true,
            },
            sql_type: sql_type.to_owned(),
            has_default: false,
            generated,
            is_list: false,
        };
        let columns = vec![
            column("id", "INTEGER", false),
            column("email", "\"odd (text\"", false),
            column("note", "TEXT", false),
            column("shout", "TEXT", true),
        ];
        let mut unique_keys = vec![vec!["id".to_owned()]];
        if unique {
            unique_keys.push(vec!["email".to_owned()]);
        }
        Shadow {
            run: "r1".to_owned(),
            staged: false,
            columns: columns[..2].iter().map(|c| c.column.clone()).collect(),
            live: Catalog {
                table: TableName {
                    schema: None,
                    name: "accounts".to_owned(),
                },
                id: 0,
                columns,
                primary_key: vec!["id".to_owned()],
                unique_keys,
                indexes: Vec::new(),
                rows_estimate: None,
                bytes: 0,
            },
            key: vec![0],
            carried: vec!["note".to_owned()],
            rank_words: 1,
        }
    }

    #[test]
    fn contents_by_difference() {
        insta::assert_snapshot!(exchange(&accounts(false)).join("\n"), @"
        DELETE FROM `main`.`accounts` AS l WHERE NOT EXISTS (SELECT 1 FROM `main`.`trueup_r1_accounts` AS s WHERE s.`id` = l.`id` AND l.`id` = s.`id`)
        UPDATE `main`.`accounts` AS l SET `email` = s.`email` FROM `main`.`trueup_r1_accounts` AS s WHERE s.`id` = l.`id` AND l.`id` = s.`id` AND (l.`email` COLLATE BINARY IS NOT s.`email`)
        INSERT INTO `main`.`accounts` (`id`, `email`) SELECT s.`id`, s.`email` FROM `main`.`trueup_r1_accounts` AS s WHERE NOT EXISTS (SELECT 1 FROM `main`.`accounts` AS l WHERE s.`id` = l.`id` AND l.`id` = s.`id`)
        ");
    }

    #[test]
    fn rows_whose_unique_columns_change_are_moved_out_first() {
        insta::assert_snapshot!(exchange(&accounts(true))[1..].join("\n"), @"
        CREATE TEMPORARY TABLE trueup_moved AS SELECT l.`id`, l.`note` FROM `main`.`accounts` AS l JOIN `main`.`trueup_r1_accounts` AS s ON s.`id` = l.`id` AND l.`id` = s.`id` WHERE l.`email` COLLATE BINARY IS NOT s.`email`
        CREATE INDEX temp.trueup_moved_key ON trueup_moved (`id`)
        DELETE FROM `main`.`accounts` WHERE (`id`) IN (SELECT `id` FROM temp.trueup_moved)
        UPDATE `main`.`accounts` AS l SET `email` = s.`email` FROM `main`.`trueup_r1_accounts` AS s WHERE s.`id` = l.`id` AND l.`id` = s.`id` AND (l.`email` COLLATE BINARY IS NOT s.`email`)
        INSERT INTO `main`.`accounts` (`id`, `email`, `note`) SELECT s.`id`, s.`email`, l.`note` FROM temp.trueup_moved AS l JOIN `main`.`trueup_r1_accounts` AS s ON s.`id` = l.`id` AND l.`id` = s.`id`
        DROP TABLE temp.trueup_moved
        INSERT INTO `main`.`accounts` (`id`, `email`) SELECT s.`id`, s.`email` FROM `main`.`trueup_r1_accounts` AS s WHERE NOT EXISTS (SELECT 1 FROM `main`.`accounts` AS l WHERE s.`id` = l.`id` AND l.`id` = s.`id`)
        ");
    }

    #[test]
    fn the_life_of_a_shadow() {
        let shadow = accounts(false);
        let mut all = load::create(&shadow, true).to_vec();
        all.push(load::insert(&shadow, 2));
        all.push(load::insert_later(&shadow, 1));
        all.push(load::insert_gone(&shadow, 2));
        all.extend(load::gather(&shadow));
        all.push(load::page(&shadow, true, 10));
        all.extend(load::settled(&shadow));
        all.push(load::remove(&shadow, 2));
        all.push(load::remove_gone(&shadow, 1));
        all.push(load::build(&shadow));
        all.extend(load::strip(&shadow));
        all.extend(load::discard("r1", &shadow.live.table));
        insta::assert_snapshot!(all.join("\n"), @"
        CREATE TABLE `main`.`trueup_r1_accounts` (`id` INTEGER, `email` TEXT, `trueup_partition` INTEGER, `trueup_offset` INTEGER, `trueup_rank` BLOB, `trueup_clock` INTEGER) STRICT
        CREATE TABLE `main`.`trueup_r1_accounts_trueup_later` (`id` INTEGER, `email` TEXT, `trueup_partition` INTEGER, `trueup_offset` INTEGER, `trueup_rank` BLOB, `trueup_clock` INTEGER, `trueup_arrival` INTEGER, `trueup_gone` INTEGER, `trueup_holes` TEXT) STRICT
        CREATE TABLE `main`.`trueup_r1_accounts_trueup_gone` (`id` INTEGER, `trueup_partition` INTEGER, `trueup_offset` INTEGER, `trueup_rank` BLOB, `trueup_clock` INTEGER) STRICT
        INSERT INTO `main`.`trueup_r1_accounts` (`id`, `email`, `trueup_partition`, `trueup_offset`, `trueup_rank`, `trueup_clock`) VALUES (?,?,?,?,?,?),(?,?,?,?,?,?)
        INSERT INTO `main`.`trueup_r1_accounts_trueup_later` (`id`, `email`, `trueup_partition`, `trueup_offset`, `trueup_rank`, `trueup_clock`, `trueup_arrival`, `trueup_gone`, `trueup_holes`) VALUES (?,?,?,?,?,?,?,?,?)
        INSERT INTO `main`.`trueup_r1_accounts_trueup_gone` (`id`, `trueup_partition`, `trueup_offset`, `trueup_rank`, `trueup_clock`) VALUES (?,?,?,?,?),(?,?,?,?,?)
        INSERT INTO `main`.`trueup_r1_accounts_trueup_later` (`id`, `email`, `trueup_partition`, `trueup_offset`, `trueup_rank`, `trueup_clock`, `trueup_arrival`, `trueup_gone`, `trueup_holes`) SELECT `id`, `email`, `trueup_partition`, `trueup_offset`, `trueup_rank`, `trueup_clock`, -1, 0, NULL FROM `main`.`trueup_r1_accounts` WHERE (`id`) IN (SELECT `id` FROM `main`.`trueup_r1_accounts_trueup_later`)
        INSERT INTO `main`.`trueup_r1_accounts_trueup_later` (`id`, `trueup_partition`, `trueup_offset`, `trueup_rank`, `trueup_clock`, trueup_arrival, trueup_gone) SELECT `id`, `trueup_partition`, `trueup_offset`, `trueup_rank`, `trueup_clock`, -1, 1 FROM `main`.`trueup_r1_accounts_trueup_gone` WHERE (`id`) IN (SELECT `id` FROM `main`.`trueup_r1_accounts_trueup_later`)
        CREATE INDEX main.`trueup_r1_accounts_trueup_order` ON `trueup_r1_accounts_trueup_later` (`id`, trueup_arrival)
        DELETE FROM `main`.`trueup_r1_accounts` WHERE (`id`) IN (SELECT `id` FROM `main`.`trueup_r1_accounts_trueup_later`)
        DELETE FROM `main`.`trueup_r1_accounts_trueup_gone` WHERE (`id`) IN (SELECT `id` FROM `main`.`trueup_r1_accounts_trueup_later`)
        SELECT `id`, `email`, `trueup_partition`, `trueup_offset`, `trueup_rank`, `trueup_clock`, `trueup_arrival`, `trueup_gone`, `trueup_holes` FROM `main`.`trueup_r1_accounts_trueup_later` WHERE (`id`, trueup_arrival) > (?,?) ORDER BY `id`, trueup_arrival LIMIT 10
        DROP INDEX main.`trueup_r1_accounts_trueup_order`
        DELETE FROM `main`.`trueup_r1_accounts_trueup_later`
        DELETE FROM `main`.`trueup_r1_accounts` WHERE (`id`) IN (VALUES (?),(?))
        DELETE FROM `main`.`trueup_r1_accounts_trueup_gone` WHERE (`id`) IN (VALUES (?))
        CREATE UNIQUE INDEX IF NOT EXISTS main.`trueup_r1_accounts_trueup_key` ON `trueup_r1_accounts` (`id`)
        DROP TABLE IF EXISTS `main`.`trueup_r1_accounts_trueup_later`
        DROP TABLE IF EXISTS `main`.`trueup_r1_accounts_trueup_gone`
        ALTER TABLE `main`.`trueup_r1_accounts` DROP COLUMN `trueup_partition`
        ALTER TABLE `main`.`trueup_r1_accounts` DROP COLUMN `trueup_offset`
        ALTER TABLE `main`.`trueup_r1_accounts` DROP COLUMN `trueup_rank`
        ALTER TABLE `main`.`trueup_r1_accounts` DROP COLUMN `trueup_clock`
        DROP TABLE IF EXISTS `main`.`trueup_r1_accounts_trueup_later`
        DROP TABLE IF EXISTS `main`.`trueup_r1_accounts_trueup_gone`
        DROP TABLE IF EXISTS `main`.`trueup_r1_accounts`
        ");
    }
}
