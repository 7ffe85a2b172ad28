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
