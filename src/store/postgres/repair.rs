//! Repairs in place: rows locked, judged, written and journalled in one transaction.

use std::borrow::Cow;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _, ValueRef as _};

use super::{
    Confirmation, Effect, Entry, Outcome, Postgres, StoreError, TableName, Target, Write, all,
    execute, get, one,
};
use crate::projection::cell::Cell;
use crate::projection::change::Key;
use crate::projection::text;
use crate::projection::types::Column;
use crate::store::Catalog;
use crate::store::dialect::postgres_repair::{self as sql, Journalled};
use crate::store::repair::{self, Image, OwnText, WriteKind};

/// PostgreSQL's text is what the engine reads and writes.
struct Own;

impl OwnText for Own {
    fn cell(&self, written: &str, column: &Column) -> Option<Cell<'static>> {
        text::read(&column.kind, written).map(Cell::into_owned)
    }

    fn text(&self, cell: &Cell<'_>, column: &Column) -> Result<Option<String>, String> {
        match cell {
            Cell::Unchanged | Cell::Added(_) => {
                Err(format!("column {}: no value is known", column.name))
            }
            Cell::Text(t) if t.contains('\0') => Err(format!(
                "column {}: a NUL, which no text of PostgreSQL holds",
                column.name
            )),
            cell => Ok(text::of(cell)),
        }
    }
}

/// A write that passed its fence.
struct Passed<'a> {
    at: usize,
    write: &'a Write,
    before: Option<Image>,
    sets: Vec<(String, Option<String>)>,
}

/// How changed rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Each is updated.
    Updated,
    /// All are deleted, then inserted as they are to be.
    PutBack,
}

/// The statements of these writes. What goes makes room, also for unique values, before anything comes.
fn statements(target: &Target, passed: &[Passed<'_>], manner: Manner) -> String {
    let of = |kind| {
        passed.iter().filter(move |p| {
            p.write.kind() == kind && (kind == WriteKind::Delete || !p.sets.is_empty())
        })
    };
    let write = |kind, p: &Passed<'_>| sql::write(target, kind, &p.write.key, &p.sets);
    let mut all: Vec<String> = of(WriteKind::Delete)
        .map(|p| write(WriteKind::Delete, p))
        .collect();
    match manner {
        Manner::Updated => all.extend(of(WriteKind::Update).map(|p| write(WriteKind::Update, p))),
        Manner::PutBack => {
            all.extend(
                of(WriteKind::Update)
                    .map(|p| sql::write(target, WriteKind::Delete, &p.write.key, &[])),
            );
            all.extend(
                of(WriteKind::Update)
                    .map(|p| sql::write(target, WriteKind::Insert, &p.write.key, &p.whole())),
            );
        }
    }
    all.extend(of(WriteKind::Insert).map(|p| write(WriteKind::Insert, p)));
    // Nothing at all is written of rows that are as they are to be already.
    if all.is_empty() {
        all.push("SELECT 1".to_owned());
    }
    all.join("; ")
}

impl Passed<'_> {
    /// The whole row as it is to be.
    fn whole(&self) -> Vec<(String, Option<String>)> {
        let mut row = self.before.clone().unwrap_or_default().0;
        for (name, text) in &self.sets {
            match row.iter_mut().find(|(n, _)| n == name) {
                Some((_, old)) => old.clone_from(text),
                None => row.push((name.clone(), text.clone())),
            }
        }
        row
    }
}

impl Postgres {
    pub(super) async fn repair_rows(
        &self,
        target: &Target,
        writes: &[Write],
    ) -> Result<Vec<Outcome>, StoreError> {
        let together = self.repair_together(target, writes, Manner::Updated).await;
        let Err(StoreError::Value { .. } | StoreError::Unique { .. }) = together else {
            return together;
        };
        let mut outcomes = Vec::with_capacity(writes.len());
        let mut stuck = Vec::new();
        for (at, write) in writes.iter().enumerate() {
            let alone = std::slice::from_ref(write);
            match self.repair_together(target, alone, Manner::Updated).await {
                Err(StoreError::Unique { problem, .. }) => {
                    stuck.push(at);
                    outcomes.push(self.why(target, write, problem).await?);
                }
                Err(StoreError::Value { problem, .. }) => {
                    outcomes.push(self.why(target, write, problem).await?);
                }
                done => outcomes.extend(done?),
            }
        }
        stuck.retain(|at| matches!(outcomes[*at], Outcome::Blocked(_)));
        self.put_back_together(target, writes, &stuck, &mut outcomes)
            .await?;
        Ok(outcomes)
    }

    /// Rows that hold each other's unique values cannot be written one after the other. They are taken out and put back as
    /// they are to be, in one transaction; not where a delete would set something else off.
    async fn put_back_together(
        &self,
        target: &Target,
        writes: &[Write],
        stuck: &[usize],
        outcomes: &mut [Outcome],
    ) -> Result<(), StoreError> {
        if stuck.len() < 2 {
            return Ok(());
        }
        let sets_off = |e: &Effect| {
            e.on.contains(&WriteKind::Delete)
                || (e.on.contains(&WriteKind::Insert) && !e.what.starts_with("foreign key"))
        };
        let effects = self.read_effects(&target.table).await?;
        if let Some(effect) = effects.iter().find(|e| sets_off(e)) {
            for at in stuck {
                if let Outcome::Blocked(problem) = &mut outcomes[*at] {
                    problem.push_str(&format!(
                        "; rows that hold each other's values are not taken out of the table and put back, because of its {}",
                        effect.what
                    ));
                }
            }
            return Ok(());
        }
        let some: Vec<Write> = stuck.iter().map(|at| writes[*at].clone()).collect();
        match self.repair_together(target, &some, Manner::PutBack).await {
            Err(StoreError::Value { .. } | StoreError::Unique { .. }) => {}
            done => {
                for (at, outcome) in stuck.iter().zip(done?) {
                    outcomes[*at] = outcome;
                }
            }
        }
        Ok(())
    }

    /// A constraint said no: because somebody else wrote the row in between, or because it is in the way.
    async fn why(
        &self,
        target: &Target,
        write: &Write,
        problem: String,
    ) -> Result<Outcome, StoreError> {
        let mut connection = self.acquire().await?;
        let held = self
            .held(&mut connection, target, &[&write.key], false)
            .await?;
        let stands = matches!(&held[0][..], [] | [_])
            && repair::is(write.before.as_ref(), held[0].first(), target, &Own);
        Ok(if stands {
            Outcome::Blocked(problem)
        } else {
            Outcome::MovedOn
        })
    }

    /// All of them in one transaction. A `Value` or `Unique` error means that one of them is blocked, and nothing was written.
    async fn repair_together(
        &self,
        target: &Target,
        writes: &[Write],
        manner: Manner,
    ) -> Result<Vec<Outcome>, StoreError> {
        let act = format!("repairing {}", target.table.table);
        let fail = |e| self.fail(&act, e);
        self.still_held(&target.run, &target.table.table).await?;
        let mut outcomes = vec![Outcome::MovedOn; writes.len()];
        let mut tx = self.begin_transaction().await?;
        let keys: Vec<&Key<'static>> = writes.iter().map(|w| &w.key).collect();
        let held = self.held(&mut tx, target, &keys, true).await?;
        let mut passed = Vec::new();
        for (at, (write, rows)) in writes.iter().zip(held).enumerate() {
            if rows.len() > 1 {
                outcomes[at] = Outcome::Blocked(format!("{} rows have this key", rows.len()));
                continue;
            }
            let before = rows.into_iter().next();
            if !repair::is(write.before.as_ref(), before.as_ref(), target, &Own) {
                continue;
            }
            match repair::sets(write, before.as_ref(), target, &Own) {
                Ok(sets) => passed.push(Passed {
                    at,
                    write,
                    before,
                    sets,
                }),
                Err(problem) => outcomes[at] = Outcome::Blocked(problem),
            }
        }
        if !passed.is_empty() {
            let last: i64 = get(
                &one(&mut tx, &sql::last_number(&target.run))
                    .await
                    .map_err(fail)?,
                0,
            )?;
            let statements = statements(target, &passed, manner);
            execute(&mut tx, &statements).await.map_err(fail)?;
            self.journal_passed(&mut tx, target, &passed, last, &act)
                .await?;
            for (number, done) in (last + 1..).zip(&passed) {
                outcomes[done.at] = Outcome::Written(number);
            }
        }
        tx.commit().await.map_err(fail)?;
        Ok(outcomes)
    }

    async fn journal_passed(
        &self,
        tx: &mut PgConnection,
        target: &Target,
        passed: &[Passed<'_>],
        last: i64,
        act: &str,
    ) -> Result<(), StoreError> {
        let fail = |e| self.fail(act, e);
        let keys: Vec<&Key<'static>> = passed.iter().map(|p| &p.write.key).collect();
        let now = self.held(tx, target, &keys, false).await?;
        let mut journalled = Vec::with_capacity(passed.len());
        for (number, (done, mut rows)) in (last + 1..).zip(passed.iter().zip(now)) {
            let as_wanted = rows.len() <= 1
                && repair::is(done.write.after.as_ref(), rows.first(), target, &Own);
            if !as_wanted {
                return Err(StoreError::Value {
                    table: target.table.table.to_string(),
                    problem:
                        "a trigger, a rule or the column itself made something else of the row"
                            .to_owned(),
                });
            }
            let names = target.key_columns().map(|c| c.name.clone());
            journalled.push(Journalled {
                number,
                kind: done.write.kind(),
                key: Image(names.zip(done.write.key.0.iter().map(text::of)).collect()),
                before: done.before.clone(),
                after: rows.pop(),
                reverts: done.write.reverts,
            });
        }
        let journal = sql::journal(target, &journalled).map_err(|e| StoreError::Sql {
            act: act.to_owned(),
            problem: e.to_string(),
        })?;
        execute(tx, &journal).await.map_err(fail)
    }

    /// The rows that each key has.
    async fn held(
        &self,
        connection: &mut PgConnection,
        target: &Target,
        keys: &[&Key<'static>],
        lock: bool,
    ) -> Result<Vec<Vec<Image>>, StoreError> {
        let act = format!("reading rows of {}", target.table.table);
        let mut held = vec![Vec::new(); keys.len()];
        let rows = all(connection, &sql::held(target, keys, lock))
            .await
            .map_err(|e| self.fail(&act, e))?;
        for row in rows {
            let place: i64 = get(&row, 0)?;
            let at = usize::try_from(place - 1).unwrap_or(usize::MAX);
            let texts = (1..).zip(target.stored_columns());
            let image: Result<Vec<_>, StoreError> = texts
                .map(|(at, c)| {
                    Ok((
                        c.column.name.clone(),
                        own_text(&row, at, &act)?.map(Cow::into_owned),
                    ))
                })
                .collect();
            if let Some(rows) = held.get_mut(at) {
                rows.push(Image(image?));
            }
        }
        Ok(held)
    }

    pub(super) async fn confirm_repairs(
        &self,
        entries: &[(String, i64)],
        confirmation: Confirmation,
    ) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        self.ask("confirming repairs", &sql::confirm(entries, confirmation))
            .await
            .map(drop)
    }

    pub(super) async fn read_journal(&self, run: &str) -> Result<Vec<Entry>, StoreError> {
        self.entries(&sql::entries(run)).await
    }

    pub(super) async fn read_unconfirmed(
        &self,
        table: &TableName,
    ) -> Result<Vec<Entry>, StoreError> {
        self.entries(&sql::unconfirmed(table)).await
    }

    async fn entries(&self, sql: &str) -> Result<Vec<Entry>, StoreError> {
        if !self.has_journal().await? {
            return Ok(Vec::new());
        }
        let act = "reading the journal";
        let rows = self.ask(act, sql).await?;
        let entry = |row: &PgRow| {
            Ok(Entry {
                run: get(row, 0)?,
                number: get(row, 1)?,
                key: image(row, 2, act)?.unwrap_or_default(),
                before: image(row, 3, act)?,
                after: image(row, 4, act)?,
                confirmation: get(row, 5)?,
                undone_by: get(row, 6)?,
            })
        };
        rows.iter().map(entry).collect()
    }

    pub(super) async fn read_effects(&self, table: &Catalog) -> Result<Vec<Effect>, StoreError> {
        let rows = self
            .ask("asking what a write sets off", &sql::effects(table))
            .await?;
        let effect = |row: &PgRow| {
            let kinds = [WriteKind::Insert, WriteKind::Update, WriteKind::Delete];
            let mut on = Vec::new();
            for (at, kind) in (1..).zip(kinds) {
                if get(row, at)? {
                    on.push(kind);
                }
            }
            Ok(Effect {
                on,
                what: get(row, 0)?,
            })
        };
        rows.iter().map(effect).collect()
    }
}

/// A cell as the server wrote it; the simple protocol sends nothing but text.
fn own_text<'r>(row: &'r PgRow, at: usize, act: &str) -> Result<Option<Cow<'r, str>>, StoreError> {
    let strange = |problem: String| StoreError::Sql {
        act: act.to_owned(),
        problem,
    };
    let value = row.try_get_raw(at).map_err(|e| strange(e.to_string()))?;
    if value.is_null() {
        return Ok(None);
    }
    value
        .as_str()
        .map(|text| Some(Cow::Borrowed(text)))
        .map_err(|e| strange(e.to_string()))
}

fn image(row: &PgRow, at: usize, act: &str) -> Result<Option<Image>, StoreError> {
    let Some(json) = own_text(row, at, act)? else {
        return Ok(None);
    };
    serde_json::from_str(&json)
        .map(Some)
        .map_err(|e| StoreError::Refused(format!("{act}: an image that trueup did not write: {e}")))
}
