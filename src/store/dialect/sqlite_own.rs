//! SQLite: trueup's own tables as SQL: how they came to be, version by version, the runs and the journal.

/// What each version adds to the one before it; a new file gets all of them in order. What is written here stays as it is:
/// databases were made by it.
pub const MIGRATIONS: [&[&str]; 4] = [
    &[
        "CREATE TABLE IF NOT EXISTS main.trueup_meta (version INTEGER NOT NULL)",
        "CREATE TABLE IF NOT EXISTS main.trueup_run (id TEXT PRIMARY KEY NOT NULL, kind TEXT NOT NULL, \
         target TEXT NOT NULL, target_id INTEGER NOT NULL, state TEXT NOT NULL, process TEXT NOT NULL, \
         started_at TEXT NOT NULL, ended_at TEXT, old_table TEXT)",
        "CREATE TABLE IF NOT EXISTS main.trueup_position (run TEXT NOT NULL, topic TEXT NOT NULL, \
         `partition` INTEGER NOT NULL, next_offset INTEGER NOT NULL, PRIMARY KEY (run, topic, `partition`))",
    ],
    &[
        "ALTER TABLE main.trueup_run ADD COLUMN reverts TEXT",
        "CREATE TABLE main.trueup_journal (run TEXT NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL, \
         `key` TEXT NOT NULL, `before` TEXT, `after` TEXT, confirmation TEXT NOT NULL, written_at TEXT NOT NULL, \
         undone_by TEXT, PRIMARY KEY (run, number))",
        // Most repairs are confirmed, and those that are not are asked for by every run.
        "CREATE INDEX main.trueup_journal_unconfirmed ON trueup_journal (run, number) \
         WHERE confirmation = 'unconfirmed'",
    ],
    &[
        "ALTER TABLE main.trueup_run ADD COLUMN binding TEXT",
        "ALTER TABLE main.trueup_run ADD COLUMN stage TEXT",
        "ALTER TABLE main.trueup_run ADD COLUMN paused_at TEXT",
        "CREATE TABLE main.trueup_load (run TEXT NOT NULL, table_name TEXT NOT NULL, loaded TEXT, settled TEXT, \
         PRIMARY KEY (run, table_name))",
    ],
    &[
        "CREATE TABLE main.trueup_quarantine (run TEXT NOT NULL, table_name TEXT NOT NULL, topic TEXT NOT NULL, \
         `partition` INTEGER NOT NULL, record_offset INTEGER NOT NULL, `key` TEXT NOT NULL, reason TEXT NOT NULL, \
         record TEXT NOT NULL, standing TEXT NOT NULL DEFAULT 'open', kept_at TEXT NOT NULL, \
         PRIMARY KEY (run, table_name, topic, `partition`, record_offset))",
    ],
];

/// The first version that keeps records that could not be applied.
pub const QUARANTINE_VERSION: usize = 4;

/// The first version that has a journal.
pub const JOURNAL_VERSION: usize = 2;

/// The first version that has loads to go on with.
pub const LOAD_VERSION: usize = 3;

/// Whether there is a table of versions.
pub const HAS_META: &str =
    "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = 'trueup_meta'";

/// The version that trueup's own tables have.
pub const VERSION: &str = "SELECT version FROM main.trueup_meta";

/// Notes the version that they have been brought to.
pub const SET_VERSION: [&str; 2] = [
    "DELETE FROM main.trueup_meta",
    "INSERT INTO main.trueup_meta (version) VALUES (?)",
];

/// Records a run, anew where one of this id was given up because it had hardly begun: id, kind, table and its identity, state, process, the run that it takes back.
pub const RECORD_RUN: &str = "INSERT INTO main.trueup_run (id, kind, target, target_id, state, process, started_at, reverts) \
     VALUES (?, ?, ?, ?, ?, ?, strftime('%Y-%m-%d %H:%M:%f+00'), ?) \
     ON CONFLICT (id) DO UPDATE SET target_id = excluded.target_id, state = excluded.state, process = excluded.process, \
     started_at = excluded.started_at, ended_at = NULL WHERE trueup_run.state = 'discarded'";

/// Runs of this state on a table: id and kind.
pub const RUNS_OF_TABLE: &str =
    "SELECT id, kind FROM main.trueup_run WHERE state = ? AND target = ?";

/// The state of a run.
pub const RUN_STATE: &str = "SELECT state FROM main.trueup_run WHERE id = ?";

/// Ends a run: state, id and the state that it must have had.
pub const CLOSE_RUN: &str = "UPDATE main.trueup_run SET state = ?, ended_at = strftime('%Y-%m-%d %H:%M:%f+00') \
     WHERE id = ? AND state = ?";

/// Forgets how far a run had read.
pub const FORGET_POSITIONS: &str = "DELETE FROM main.trueup_position WHERE run = ?";

/// Forgets what the loads of a run remember.
pub const FORGET_LOADS: &str = "DELETE FROM main.trueup_load WHERE run = ?";

/// Forgets what the load of one table remembers: run and table.
pub const FORGET_LOAD: &str = "DELETE FROM main.trueup_load WHERE run = ? AND table_name = ?";

/// Remembers something of a load: run, table, memo.
#[must_use]
pub fn remember(column: &str) -> String {
    format!(
        "INSERT INTO main.trueup_load (run, table_name, {column}) VALUES (?, ?, ?) \
         ON CONFLICT (run, table_name) DO UPDATE SET {column} = excluded.{column}"
    )
}

/// How far a run has read: what it is bound to, topic, partition, next offset.
pub const HELD: &str = "SELECT r.binding, p.topic, p.`partition`, p.next_offset FROM main.trueup_run AS r \
     LEFT JOIN main.trueup_position AS p ON p.run = r.id WHERE r.id = ? ORDER BY 2, 3";

/// What the loads of a run remember: table and both memos.
pub const MEMOS: &str = "SELECT table_name, loaded, settled FROM main.trueup_load WHERE run = ?";

/// Runs that build something for a table or area and did not end: id, binding, stage, begin; the table.
pub const UNFINISHED: &str = "SELECT id, binding, stage, started_at FROM main.trueup_run \
     WHERE state = 'running' AND kind IN ('replay', 'staging') AND target = ? COLLATE NOCASE ORDER BY started_at, rowid";

/// Runs that paused the projector and did not resume it: id, binding, stage, when; the table.
pub const PAUSES: &str = "SELECT id, binding, stage, paused_at, target FROM main.trueup_run \
     WHERE paused_at IS NOT NULL ORDER BY paused_at";

/// Notes that the projector is about to be paused: the run.
pub const PAUSE: &str =
    "UPDATE main.trueup_run SET paused_at = strftime('%Y-%m-%d %H:%M:%f+00') WHERE id = ?";

/// Notes that the projector was resumed: the run.
pub const RESUMED: &str = "UPDATE main.trueup_run SET paused_at = NULL WHERE id = ?";

/// Makes a run ours, where it is bound to the same: process; id, binding and table.
pub const TAKE_UP: &str = "UPDATE main.trueup_run SET process = ? \
     WHERE id = ? AND binding = ? AND target = ? COLLATE NOCASE AND state = 'running'";

/// Notes what a run is bound to, where that is said, and where it stands: binding, stage; id.
pub const NOTE: &str = "UPDATE main.trueup_run SET binding = coalesce(?, binding), stage = ? \
     WHERE id = ? AND state = 'running'";
/// All runs, oldest first, with the counts of their repairs; before version 2 there were none.
#[must_use]
pub fn runs(version: usize) -> String {
    let stage = if version < LOAD_VERSION {
        "NULL"
    } else {
        "r.stage"
    };
    let run = format!(
        "r.id, r.kind, r.state, r.target, r.started_at, r.ended_at, {stage}, \
         (SELECT coalesce(sum(p.next_offset), 0) FROM main.trueup_position AS p WHERE p.run = r.id)"
    );
    if version < JOURNAL_VERSION {
        return format!(
            "SELECT {run}, NULL, 0, 0, 0, 0, 0 FROM main.trueup_run AS r ORDER BY r.started_at, r.rowid"
        );
    }
    let counted = [
        "kind = 'insert'",
        "kind = 'update'",
        "kind = 'delete'",
        "confirmation = 'unconfirmed'",
        "undone_by IS NOT NULL",
    ]
    .map(|of| format!("count(*) FILTER (WHERE j.{of})"));
    format!(
        "SELECT {run}, r.reverts, {} FROM main.trueup_run AS r LEFT JOIN main.trueup_journal AS j ON j.run = r.id \
         GROUP BY r.id ORDER BY r.started_at, r.rowid",
        counted.join(", ")
    )
}

/// What an entry is read as.
const ENTRY: &str = "j.run, j.number, j.`key`, j.`before`, j.`after`, j.confirmation, j.undone_by";

/// The repairs of a run in their order.
#[must_use]
pub fn journal() -> String {
    format!("SELECT {ENTRY} FROM main.trueup_journal AS j WHERE j.run = ? ORDER BY j.number")
}

/// The repairs of a table that nobody has confirmed or taken back, of runs that are not underway; `?2` says that those that
/// are recorded as running are dead as well.
#[must_use]
pub fn unconfirmed() -> String {
    format!(
        "SELECT {ENTRY} FROM main.trueup_journal AS j JOIN main.trueup_run AS r ON r.id = j.run \
         WHERE j.confirmation = 'unconfirmed' AND j.undone_by IS NULL AND r.target = ?1 COLLATE NOCASE \
         AND (r.state <> 'running' OR ?2) ORDER BY r.started_at, r.rowid, j.number"
    )
}

/// The number of a run's last repair.
pub const LAST_NUMBER: &str =
    "SELECT coalesce(max(number), 0) FROM main.trueup_journal WHERE run = ?";

/// Journals a repair: run, number, kind, key, the row before and after, confirmation.
pub const RECORD_REPAIR: &str = "INSERT INTO main.trueup_journal (run, number, kind, `key`, `before`, `after`, confirmation, written_at) \
     VALUES (?, ?, ?, ?, ?, ?, ?, strftime('%Y-%m-%d %H:%M:%f+00'))";

/// Notes that a repair was taken back: by which run; run and number.
pub const TAKE_BACK: &str = "UPDATE main.trueup_journal SET undone_by = ? \
     WHERE run = ? AND number = ? AND undone_by IS NULL";

/// Notes what the primary said after a repair: the word; run and number.
pub const CONFIRM: &str =
    "UPDATE main.trueup_journal SET confirmation = ? WHERE run = ? AND number = ?";

/// Keeps a record: run, table, topic, partition, offset, key, reason, record.
pub const QUARANTINE: &str = "INSERT INTO main.trueup_quarantine (run, table_name, topic, `partition`, record_offset, `key`, reason, record, kept_at) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, strftime('%Y-%m-%d %H:%M:%f+00')) \
     ON CONFLICT (run, table_name, topic, `partition`, record_offset) DO UPDATE SET standing = 'open', reason = excluded.reason";

/// The records that were kept, of runs that are not given up.
pub const QUARANTINED: &str = "SELECT q.run, q.table_name, q.topic, q.`partition`, q.record_offset, q.`key`, q.reason, q.record, q.standing, q.kept_at \
     FROM main.trueup_quarantine AS q JOIN main.trueup_run AS r ON r.id = q.run \
     WHERE r.kind <> 'replay' OR r.state <> 'discarded' ORDER BY q.topic, q.`partition`, q.record_offset, q.kept_at";

/// Notes what became of the open records of a run and a table, or of one of them: standing; run, table, topic or NULL, partition, offset.
pub const RELEASE: &str = "UPDATE main.trueup_quarantine SET standing = ?1 WHERE run = ?2 AND table_name = ?3 AND standing = 'open' \
     AND (?4 IS NULL OR (topic, `partition`, record_offset) = (?4, ?5, ?6))";

/// Forgets the records that were kept for the load of one table: run and table.
pub const FORGET_QUARANTINED: &str =
    "DELETE FROM main.trueup_quarantine WHERE run = ? AND table_name = ?";
