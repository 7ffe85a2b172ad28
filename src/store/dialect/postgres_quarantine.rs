//! The statements about records that were set aside.

use super::postgres::string;
use crate::projection::record::Position;
use crate::store::{Quarantined, Standing};

/// The first version of trueup's own tables that keeps them.
pub const VERSION: usize = 5;

/// Keeps records for the load of a table; nothing for none.
#[must_use]
pub fn keep(run: &str, table: &str, records: &[Quarantined]) -> String {
    if records.is_empty() {
        return String::new();
    }
    let (run, table) = (string(run), string(table));
    let row = |q: &Quarantined| {
        format!(
            "({run}, {table}, {}, {}, {}, {}, {}, {})",
            string(&q.topic),
            q.partition,
            q.offset,
            string(&q.written_key()),
            string(&q.reason),
            string(&q.written())
        )
    };
    let rows: Vec<String> = records.iter().map(row).collect();
    format!(
        "INSERT INTO trueup.quarantine (run, table_name, topic, partition, record_offset, key, reason, record) VALUES {} \
         ON CONFLICT (run, table_name, topic, partition, record_offset) DO UPDATE SET standing = 'open', reason = EXCLUDED.reason",
        rows.join(", ")
    )
}

/// The records that were kept, of runs that are not given up.
pub const KEPT: &str = "SELECT q.run, q.table_name, q.topic, q.partition, q.record_offset, q.key::text, q.reason, q.record::text, \
     q.standing, q.kept_at::text FROM trueup.quarantine AS q JOIN trueup.run AS r ON r.id = q.run \
     WHERE r.kind <> 'replay' OR r.state <> 'discarded' ORDER BY q.topic, q.partition, q.record_offset, q.kept_at";

/// Notes what became of the open records of a run and a table, or of one of them.
#[must_use]
pub fn release(
    (run, table): (&str, &str),
    one: Option<Position<'_>>,
    standing: Standing,
) -> String {
    let which = one.map_or(String::new(), |at| {
        format!(
            " AND topic = {} AND partition = {} AND record_offset = {}",
            string(at.topic),
            at.partition,
            at.offset
        )
    });
    format!(
        "UPDATE trueup.quarantine SET standing = {} WHERE run = {} AND table_name = {} AND standing = 'open'{which}",
        string(standing.word()),
        string(run),
        string(table)
    )
}

/// Forgets the records that were kept for the load of one table.
#[must_use]
pub fn forget(run: &str, table: &str) -> String {
    format!(
        "DELETE FROM trueup.quarantine WHERE run = {} AND table_name = {}",
        string(run),
        string(table)
    )
}
