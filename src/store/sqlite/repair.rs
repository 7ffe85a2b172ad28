//! Repairs: read the rows, judge the fences, write, read again, journal; all in one transaction that holds the write lock
//! from its start, so that nothing comes between a look and a write.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use crate::projection::cell::Cell;
use crate::projection::change::Key;
use crate::projection::types::Column;
use crate::store::dialect::sqlite::{self as scans, Bind, Statement};
use crate::store::dialect::{sqlite_literal as literal, sqlite_repair as dialect};
use crate::store::repair::{Image, OwnText, WriteKind, is, sets};
use crate::store::{Outcome, RunState, StoreError, Target, Write};

use super::effects::effects;
use super::error::{self, Doing, failed};
use super::journal::Writer;
use super::load::execute;
use super::read::LOOKUP_KEYS;
use super::{Sqlite, catalog, fetch, run, value};

/// SQLite's own text is the literal of a value's storage class.
struct Literals<'a>(&'a Target);

impl OwnText for Literals<'_> {
    fn cell(&self, text: &str, column: &Column) -> Option<Cell<'static>> {
        value::cell_of(&literal::read(text)?, &column.kind).ok()
    }

    fn text(&self, cell: &Cell<'_>, column: &Column) -> Result<Option<String>, String> {
        let declared = self.0.table.column(&column.name);
        let held = value::affinity(declared.map_or("", |c| &c.sql_type));
        let bound = match cell {
            Cell::Unchanged => Err("no value is known".to_owned()),
            cell => value::bind(cell, &column.kind, held),
        };
        let bound = bound.map_err(|p| format!("column {} ({}): {p}", column.name, column.kind))?;
        Ok(literal::write(&bound))
    }
}

/// A row as it is stored.
struct Held {
    key: Vec<Bind>,
    /// What is wrong with a row that has no image.
    image: Result<Image, String>,
}

type Rows = HashMap<Key<'static>, Vec<Held>>;

pub(super) async fn repair(
    store: &Sqlite,
    target: &Target,
    writes: &[Write],
) -> Result<Vec<Outcome>, StoreError> {
    // What goes makes room in unique keys for what changes, and that for what comes; alone as well as together.
    let mut order: Vec<usize> = (0..writes.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(writes[*at].kind()));
    let ordered: Vec<&Write> = order.iter().map(|at| &writes[*at]).collect();
    let done = together(store, target, &ordered).await?;
    let mut outcomes: Vec<(usize, Outcome)> = order.into_iter().zip(done).collect();
    outcomes.sort_by_key(|(at, _)| *at);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

/// In one transaction, or each in its own when one of them is blocked.
async fn together(
    store: &Sqlite,
    target: &Target,
    writes: &[&Write],
) -> Result<Vec<Outcome>, StoreError> {
    if writes.is_empty() {
        return Ok(Vec::new());
    }
    let done = batch(store, target, writes, Manner::Updated).await;
    if !matches!(done, Err(StoreError::Value { .. })) {
        return done;
    }
    let mut outcomes = Vec::with_capacity(writes.len());
    let mut stuck = Vec::new();
    for (at, write) in writes.iter().enumerate() {
        match batch(store, target, &[write], Manner::Updated).await {
            // The fence was judged in the same transaction, so the row has not moved on: what is written is wrong.
            Err(StoreError::Value { problem, .. }) => {
                stuck.push(at);
                outcomes.push(Outcome::Blocked(problem));
            }
            alone => outcomes.extend(alone?),
        }
    }
    put_back_together(store, target, writes, &stuck, &mut outcomes).await?;
    Ok(outcomes)
}

/// Rows that hold each other's unique values cannot be written one after the other. They are taken out and put back as they
/// are to be, in one transaction; not where a delete would set something else off.
async fn put_back_together(
    store: &Sqlite,
    target: &Target,
    writes: &[&Write],
    stuck: &[usize],
    outcomes: &mut [Outcome],
) -> Result<(), StoreError> {
    let is_update = |at: &usize| writes[*at].kind() == WriteKind::Update;
    if stuck.iter().filter(|at| is_update(at)).count() < 2 {
        return Ok(());
    }
    let effects = effects(store, &target.table).await?;
    if effects
        .iter()
        .any(|e| e.on.contains(&WriteKind::Delete) || e.what.starts_with("trigger"))
    {
        return Ok(());
    }
    let some: Vec<&Write> = stuck.iter().map(|at| writes[*at]).collect();
    match batch(store, target, &some, Manner::PutBack).await {
        Err(StoreError::Value { .. }) => {}
        done => {
            for (at, outcome) in stuck.iter().zip(done?) {
                outcomes[*at] = outcome;
            }
        }
    }
    Ok(())
}

/// How changed rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Each is updated.
    Updated,
    /// All are deleted, then inserted as they are to be.
    PutBack,
}

/// One transaction. The error is `Value` when the database does not take one of the writes.
async fn batch(
    store: &Sqlite,
    target: &Target,
    writes: &[&Write],
    manner: Manner,
) -> Result<Vec<Outcome>, StoreError> {
    let shown = target.table.table.to_string();
    let doing = store.file.doing(&shown, "repairing rows");
    let own = Literals(target);
    store
        .write(doing, async |session| {
            check(session, doing, target).await?;
            // Rows that refer to each other may be missing in between; all must be right at COMMIT.
            execute(session, doing, "PRAGMA defer_foreign_keys = ON", Vec::new()).await?;
            let before = look(session, doing, target, writes).await?;
            let mut outcomes = Vec::with_capacity(writes.len());
            let mut later = Vec::new();
            for write in writes {
                match judge((target, manner), &own, write, rows_of(&before, write)) {
                    Ok(statements) => {
                        let mut statements = statements.into_iter();
                        if let Some(first) = statements.next() {
                            put(session, doing, first).await?;
                        }
                        later.extend(statements);
                        outcomes.push(None);
                    }
                    Err(outcome) => outcomes.push(Some(outcome)),
                }
            }
            for statement in later {
                put(session, doing, statement).await?;
            }
            if outcomes.iter().all(Option::is_some) {
                return Ok(outcomes.into_iter().flatten().collect());
            }
            let after = look(session, doing, target, writes).await?;
            let mut entries = Writer::open(session, doing, target).await?;
            let mut done = Vec::with_capacity(writes.len());
            for (write, outcome) in writes.iter().zip(outcomes) {
                done.push(match outcome {
                    Some(outcome) => outcome,
                    None => {
                        let was = image(rows_of(&before, write));
                        let now = written(&own, write, rows_of(&after, write))
                            .map_err(|problem| refused(doing, problem))?;
                        Outcome::Written(entries.add(session, write, was, now).await?)
                    }
                });
            }
            Ok(done)
        })
        .await
}

/// Whether the run is underway and the table still the one that it began on.
async fn check(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    target: &Target,
) -> Result<(), StoreError> {
    let state = super::run::state(session, doing, &target.run).await?;
    if state != RunState::Running.word() {
        return Err(StoreError::Refused(format!(
            "run {} is not running",
            target.run
        )));
    }
    let kind = catalog::kind(session, doing, &target.table.table).await?;
    if kind.id != target.table.id {
        return Err(StoreError::Refused(format!(
            "{}: the table was changed or replaced since the run began",
            doing.table
        )));
    }
    Ok(())
}

/// The rows of the writes' keys as they are now.
async fn look(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    target: &Target,
    writes: &[&Write],
) -> Result<Rows, StoreError> {
    let scan = dialect::rows(target);
    let mut found = Rows::new();
    for some in writes.chunks(LOOKUP_KEYS) {
        let keys: Vec<Key<'static>> = some.iter().map(|w| w.key.clone()).collect();
        let statement = scans::lookup(&scan, &keys).map_err(StoreError::Refused)?;
        let Some(statement) = statement else { continue };
        let rows = fetch(session, &statement.text, statement.binds).await;
        for row in &rows.map_err(|e| failed(doing, &e))? {
            let (key, held) = row_of(row, target).map_err(|problem| refused(doing, problem))?;
            found.entry(key).or_default().push(held);
        }
    }
    Ok(found)
}

fn row_of(row: &SqliteRow, target: &Target) -> Result<(Key<'static>, Held), String> {
    let raw = |at: usize, name: &str| {
        let found = row.try_get_raw(at).map_err(|e| e.to_string());
        let found = found.and_then(value::raw);
        found.map_err(|problem| format!("column {name}: {problem}"))
    };
    let mut texts = Vec::new();
    let mut problem = None;
    for column in target.stored_columns() {
        let name = &column.column.name;
        match raw(texts.len(), name) {
            Ok(bind) => texts.push((name.clone(), literal::write(&bind))),
            Err(found) => {
                texts.push((name.clone(), None));
                problem.get_or_insert(found);
            }
        }
    }
    let (mut key, mut cells) = (Vec::new(), Vec::new());
    for column in target.key_columns() {
        let bind = raw(texts.len() + key.len(), &column.name)?;
        let cell = value::cell_of(&bind, &column.kind);
        cells.push(cell.map_err(|problem| format!("column {}: {problem}", column.name))?);
        key.push(bind);
    }
    let image = problem.map_or(Ok(Image(texts)), Err);
    Ok((Key(cells), Held { key, image }))
}

fn rows_of<'a>(rows: &'a Rows, write: &Write) -> &'a [Held] {
    rows.get(&write.key).map_or(&[], Vec::as_slice)
}

fn image(held: &[Held]) -> Option<&Image> {
    held.first().and_then(|held| held.image.as_ref().ok())
}

/// What to run for a write, nothing when the row is already so; or why it is not to be written. Of two statements, the second
/// is for when all the first ones have run.
fn judge(
    (target, manner): (&Target, Manner),
    own: &Literals<'_>,
    write: &Write,
    held: &[Held],
) -> Result<Vec<Statement>, Outcome> {
    if held.len() > 1 {
        return Err(Outcome::Blocked(format!(
            "its key is in {} rows of the table",
            held.len()
        )));
    }
    let held = held.first();
    let image = match held.map(|held| &held.image) {
        None => None,
        Some(Ok(image)) => Some(image),
        Some(Err(problem)) => return Err(Outcome::Blocked(problem.clone())),
    };
    if !is(write.before.as_ref(), image, target, own) {
        return Err(Outcome::MovedOn);
    }
    let mut set = sets(write, image, target, own).map_err(Outcome::Blocked)?;
    let puts_back = manner == Manner::PutBack && write.kind() == WriteKind::Update;
    if puts_back && !set.is_empty() {
        let mut whole = image.cloned().unwrap_or_default().0;
        whole.retain(|(name, _)| !set.iter().any(|(n, _)| n == name));
        set.extend(whole);
    }
    let set = set.iter().map(|(name, text)| {
        if !target.stored_columns().any(|c| c.column.name == *name) {
            return Err(format!("column {name}: it cannot be written, or is gone"));
        }
        let bind = text.as_deref().map_or(Some(Bind::Null), literal::read);
        let bind = bind.ok_or_else(|| format!("column {name}: a text that SQLite did not write"));
        Ok((name.as_str(), bind?))
    });
    let set = set.collect::<Result<Vec<_>, String>>();
    let set = set.map_err(Outcome::Blocked)?;
    match (write.kind(), held) {
        (WriteKind::Insert, _) => Ok(vec![dialect::insert(target, set)]),
        (_, None) => Err(Outcome::MovedOn),
        (WriteKind::Delete, Some(held)) => Ok(vec![dialect::delete(target, &held.key)]),
        (WriteKind::Update, Some(_)) if set.is_empty() => Ok(Vec::new()),
        (WriteKind::Update, Some(held)) if puts_back => Ok(vec![
            dialect::delete(target, &held.key),
            dialect::insert(target, set),
        ]),
        (WriteKind::Update, Some(held)) => Ok(vec![dialect::update(target, &held.key, set)]),
    }
}

/// Writes one row.
async fn put(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    statement: Statement,
) -> Result<(), StoreError> {
    let done = run(session, &statement.text, statement.binds).await;
    let changed = done.map_err(|error| match error::of_the_row(&error) {
        Some(problem) => refused(doing, problem),
        None => failed(doing, &error),
    })?;
    if changed == 1 {
        return Ok(());
    }
    let problem = format!("{changed} rows were written instead of one (a trigger of the table?)");
    Err(refused(doing, problem))
}

fn refused(doing: Doing<'_>, problem: String) -> StoreError {
    StoreError::Value {
        table: doing.table.to_owned(),
        problem,
    }
}

/// The row after all writes, which must be what was wanted.
fn written<'a>(
    own: &Literals<'_>,
    write: &Write,
    held: &'a [Held],
) -> Result<Option<&'a Image>, String> {
    if let Some(Err(problem)) = held.first().map(|held| &held.image) {
        return Err(problem.clone());
    }
    let now = image(held);
    if held.len() < 2 && is(write.after.as_ref(), now, own.0, own) {
        return Ok(now);
    }
    let problem = "after the write the row was not what was written: a trigger, the scope or another repair of the batch changed it";
    Err(problem.to_owned())
}
