//! The read side's writer, with the usual mistakes: it believes that what comes later is newer; an error in its handler is
//! swallowed, so that an event is lost; it was stopped before it had read everything; and then somebody edits a row.

use std::collections::BTreeMap;

use anyhow::Result;
use sqlx::sqlite::SqliteConnection;

use super::bank::Account;
use super::execute;
use super::records::Record;

/// The account whose balance somebody set to nothing.
const EDITED: u32 = 28;

/// Records that it had not read yet when it was stopped.
const BEHIND: usize = 1;

/// Projects the log into the read store.
pub(super) async fn project(read_store: &mut SqliteConnection, log: &[Record]) -> Result<()> {
    let mut rows: BTreeMap<u32, Account> = BTreeMap::new();
    let read = &log[..log.len() - BEHIND];
    for record in delivered(read)
        .into_iter()
        .filter(|r| !r.tombstone && !fails_on(r))
    {
        apply(&mut rows, record);
    }
    if let Some(row) = rows.get_mut(&EDITED) {
        row.balance = 0;
    }
    save(read_store, &rows).await
}

/// The records in the order in which they reach it: as they were written, but for one. When the topic got its third partition, the
/// consumer of an old one was slow; a record still waiting there came after newer ones of its account.
fn delivered(log: &[Record]) -> Vec<&Record> {
    let overtaken = |at: usize| {
        let r = &log[at];
        let newer = log[at + 1..]
            .iter()
            .any(|n| n.change.id == r.change.id && n.partition != r.partition);
        newer && r.change.op == 'u' && r.change.id != EDITED
    };
    let late = (0..log.len()).rev().find(|at| overtaken(*at));
    let others = log
        .iter()
        .enumerate()
        .filter(|(at, _)| Some(*at) != late)
        .map(|(_, r)| r);
    others.chain(late.map(|at| &log[at])).collect()
}

/// The events that its handler fails on: the opening of one account, the closing of another, a freeze.
fn fails_on(r: &Record) -> bool {
    match r.change.op {
        'c' => r.change.id == 7,
        'd' => r.change.id == 21,
        _ => r
            .change
            .after
            .as_ref()
            .is_some_and(|a| a.status == "frozen"),
    }
}

fn apply(rows: &mut BTreeMap<u32, Account>, record: &Record) {
    match (record.change.op, &record.change.after) {
        ('c', Some(account)) => {
            rows.insert(account.id, account.clone());
        }
        (_, Some(account)) => {
            if let Some(row) = rows.get_mut(&account.id) {
                *row = account.clone();
            }
        }
        (_, None) => {
            rows.remove(&record.change.id);
        }
    }
}

async fn save(read_store: &mut SqliteConnection, rows: &BTreeMap<u32, Account>) -> Result<()> {
    let mut sql = "CREATE TABLE account_list (account INTEGER PRIMARY KEY, holder TEXT NOT NULL, cents BIGINT NOT NULL, state TEXT NOT NULL);\n".to_owned();
    for a in rows.values() {
        sql.push_str(&format!(
            "INSERT INTO account_list VALUES ({}, '{}', {}, '{}');\n",
            a.id, a.owner, a.balance, a.status
        ));
    }
    execute(read_store, sql).await
}
