//! What a write into a table sets off: triggers, and foreign keys on both sides.

use std::collections::BTreeMap;

use crate::store::dialect::sqlite::Bind;
use crate::store::dialect::{sqlite_repair as dialect, sqlite_trigger};
use crate::store::repair::WriteKind;
use crate::store::{Catalog, Effect, StoreError};

use super::error::failed;
use super::{Sqlite, fetch, words};

pub(super) async fn effects(store: &Sqlite, table: &Catalog) -> Result<Vec<Effect>, StoreError> {
    let shown = table.table.to_string();
    let doing = store
        .file
        .doing(&shown, "reading what a write into the table sets off");
    let mut session = store.reader().await?;
    let mut ask = async |sql: &str| {
        let binds = vec![Bind::Text(table.table.name.clone())];
        let rows = fetch(&mut session, sql, binds).await;
        rows.map_err(|e| failed(doing, &e))
    };
    let mut found = Vec::new();
    for row in &ask(dialect::TRIGGERS).await? {
        found.push(Effect {
            on: sqlite_trigger::events(&words(row, 1)),
            what: format!("trigger {} runs", words(row, 0)),
        });
    }
    // One foreign key has a row for each of its columns.
    let mut keys = BTreeMap::new();
    for row in &ask(dialect::REFERRING).await? {
        let key = (words(row, 0), words(row, 1), words(row, 2), words(row, 3));
        let columns: &mut Vec<String> = keys.entry(key).or_default();
        columns.push(words(row, 4));
    }
    for ((child, _, on_delete, on_update), columns) in keys {
        found.push(referring(&child, WriteKind::Delete, &on_delete, ""));
        let when = match columns.concat().as_str() {
            "" => " when the primary key changes".to_owned(),
            _ => format!(" when {} changes", columns.join(" or ")),
        };
        found.push(referring(&child, WriteKind::Update, &on_update, &when));
    }
    for row in &ask(dialect::REFERRED).await? {
        found.push(Effect {
            on: vec![WriteKind::Insert, WriteKind::Update],
            what: format!("foreign key to {}: may refuse it", words(row, 0)),
        });
    }
    Ok(found)
}

/// What a foreign key of another table does to its rows, or to the write.
fn referring(child: &str, on: WriteKind, action: &str, when: &str) -> Effect {
    let event = on.word().to_uppercase();
    let does = match (on, action) {
        (WriteKind::Delete, "CASCADE") => format!("ON DELETE CASCADE deletes its rows{when}"),
        (_, "CASCADE" | "SET NULL" | "SET DEFAULT") => {
            format!("ON {event} {action} changes its rows{when}")
        }
        _ => format!("may refuse it{when}"),
    };
    Effect {
        on: vec![on],
        what: format!("foreign key of {child}: {does}"),
    }
}
