//! The write side: commands that change the primary, and the changes as its own log would have them.

use anyhow::Result;
use sqlx::sqlite::SqliteConnection;

use super::execute;

/// An account as the primary has it.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) id: u32,
    pub(super) owner: String,
    pub(super) balance: i64,
    pub(super) status: &'static str,
}

/// One change of the primary: the account after it, or none when it was closed.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) id: u32,
    pub(super) op: char,
    pub(super) after: Option<Account>,
    /// The position in the primary's own log.
    pub(super) position: u64,
}

const OWNERS: [&str; 8] = ["Ada", "Bo", "Chen", "Dara", "Eve", "Femi", "Gus", "Hana"];
const ACCOUNTS: u32 = 40;
/// The account of the last change of the week.
const LAST: u32 = 3;

/// Commands: opens accounts, moves money, freezes one account and closes two; returns the changes in order.
pub(super) async fn live_through_a_week(primary: &mut SqliteConnection) -> Result<Vec<Change>> {
    let mut bank = Bank {
        accounts: Vec::new(),
        changes: Vec::new(),
    };
    for id in 1..=ACCOUNTS {
        bank.open(id);
    }
    for round in 1..=5u32 {
        for id in (1..=ACCOUNTS).filter(|id| (id + round) % 3 != 0) {
            bank.deposit(id, i64::from(id * 7 + round * 100) - 250);
        }
    }
    bank.freeze(13);
    bank.close(21);
    bank.close(34);
    bank.deposit(LAST, 2_500);
    bank.save(primary).await?;
    Ok(bank.changes)
}

struct Bank {
    accounts: Vec<Account>,
    changes: Vec<Change>,
}

impl Bank {
    fn open(&mut self, id: u32) {
        let owner = format!("{} {id}", OWNERS[id as usize % OWNERS.len()]);
        self.accounts.push(Account {
            id,
            owner,
            balance: 10_000,
            status: "open",
        });
        self.changed(id, 'c');
    }

    fn deposit(&mut self, id: u32, cents: i64) {
        self.with(id, |a| a.balance += cents);
    }

    fn freeze(&mut self, id: u32) {
        self.with(id, |a| a.status = "frozen");
    }

    fn close(&mut self, id: u32) {
        self.accounts.retain(|a| a.id != id);
        self.changed(id, 'd');
    }

    fn with(&mut self, id: u32, change: impl Fn(&mut Account)) {
        self.accounts
            .iter_mut()
            .filter(|a| a.id == id)
            .for_each(change);
        self.changed(id, 'u');
    }

    fn changed(&mut self, id: u32, op: char) {
        let position = 1_000 + 8 * self.changes.len() as u64;
        let after = self.accounts.iter().find(|a| a.id == id).cloned();
        self.changes.push(Change {
            id,
            op,
            after,
            position,
        });
    }

    async fn save(&self, primary: &mut SqliteConnection) -> Result<()> {
        let mut sql = "CREATE TABLE accounts (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, balance BIGINT NOT NULL, status TEXT NOT NULL);\n".to_owned();
        for a in &self.accounts {
            sql.push_str(&format!(
                "INSERT INTO accounts VALUES ({}, '{}', {}, '{}');\n",
                a.id, a.owner, a.balance, a.status
            ));
        }
        execute(primary, sql).await
    }
}
