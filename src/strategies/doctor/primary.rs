//! What the primary does not tell the log.

use super::sql;
use crate::report::doctor::{DoctorReport, Severity};
use crate::store::{Acts, Store, StoreError};
use crate::strategies::{Captured, SourcePart, Systems};

/// Bytes of the primary's log that a connector at work is behind at most.
const BEHIND_BYTES_MAX: f64 = 1_073_741_824.0;

/// Looks at how a source's table is published.
pub(super) async fn table(systems: &Systems, part: &SourcePart, report: &mut DoctorReport) {
    let store = systems.capture_side();
    let subject = part.table.table.to_string();
    if !matches!(store, Store::Postgres(_)) {
        return report.absent(
            "primary.table",
            &subject,
            "the primary has no log that a connector reads",
        );
    }
    if let Err(e) = replica_identity(store, part, &subject, report).await {
        report.unknown("primary.replica_identity", &subject, e.to_string());
    }
    if let Err(e) = publication(systems, store, part, &subject, report).await {
        report.unknown("primary.publication", &subject, e.to_string());
    }
}

async fn replica_identity(
    store: &Store,
    part: &SourcePart,
    subject: &str,
    report: &mut DoctorReport,
) -> Result<(), StoreError> {
    const CHECK: &str = "primary.replica_identity";
    let rows = store.query(&sql::replica_identity(&part.table)).await?;
    let Some([Some(identity), Some(has_key), Some(toast)]) = rows.first().map(Vec::as_slice) else {
        report.unknown(CHECK, subject, "the catalog does not know the table");
        return Ok(());
    };
    let fix = format!("ALTER TABLE {subject} REPLICA IDENTITY FULL, or give it a primary key");
    match (identity.as_str(), has_key == "true", toast == "0") {
        ("n", ..) => report.found(
            Severity::Error,
            (CHECK, subject),
            "REPLICA IDENTITY NOTHING: updates and deletes carry no key",
            fix,
        ),
        ("d", false, _) => report.found(
            Severity::Error,
            (CHECK, subject),
            "default replica identity and no primary key: PostgreSQL refuses its updates and deletes while it is published",
            fix,
        ),
        ("f", ..) => report.fine(CHECK, subject, "full: every change carries the whole row"),
        (_, _, true) => report.fine(CHECK, subject, "the key; no value is stored out of line"),
        _ => report.found(
            Severity::Warning,
            (CHECK, subject),
            format!("not full, and {toast} bytes of its values are stored out of line: an update that does not touch such a value publishes a placeholder instead"),
            format!("trueup knows them; a projector that does not writes the placeholder over the value. ALTER TABLE {subject} REPLICA IDENTITY FULL, or have it skip them"),
        ),
    }
    Ok(())
}

async fn publication(
    systems: &Systems,
    store: &Store,
    part: &SourcePart,
    subject: &str,
    report: &mut DoctorReport,
) -> Result<(), StoreError> {
    const CHECK: &str = "primary.publication";
    let rows = store.query(&sql::publications(&part.table)).await?;
    let mut named = Vec::new();
    for row in &rows {
        let [Some(name), Some(left_out)] = row.as_slice() else {
            continue;
        };
        named.push(name.as_str());
        if left_out.is_empty() {
            continue;
        }
        let only_truncate = left_out == "truncate";
        report.found(
            if only_truncate {
                Severity::Warning
            } else {
                Severity::Error
            },
            (CHECK, subject),
            format!("publication {name} does not publish: {left_out}"),
            format!("ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate')"),
        );
    }
    if !named.is_empty() {
        report.fine(CHECK, subject, format!("it is in {}", named.join(", ")));
        return Ok(());
    }
    // Without a slot nobody says that a connector reads this very database.
    let severity = match systems.captured {
        Captured::Slot(_) => Severity::Error,
        Captured::Unknown => Severity::Note,
    };
    report.found(
        severity,
        (CHECK, subject),
        "no publication has it: its changes never reach the log",
        format!("ALTER PUBLICATION … ADD TABLE {subject}, then reconcile what was missed"),
    );
    Ok(())
}

/// Looks at the connector's replication slot.
pub(super) async fn slot(systems: &Systems, report: &mut DoctorReport) {
    const CHECK: &str = "primary.slot";
    let Captured::Slot(name) = &systems.captured else {
        return report.absent(
            CHECK,
            "captured",
            "the playbook names no slot: write `captured: { slot: … }`",
        );
    };
    let store = systems.capture_side();
    if !matches!(store, Store::Postgres(_)) {
        return report.absent(CHECK, name, "the primary has no replication slots");
    }
    let rows = match store.query(&sql::slot(name)).await {
        Ok(rows) => rows,
        Err(e) => return report.unknown(CHECK, name, e.to_string()),
    };
    let Some([_, Some(active), Some(status), Some(behind), Some(keep)]) =
        rows.first().map(Vec::as_slice)
    else {
        return report.found(
            Severity::Error,
            (CHECK, name),
            "the primary has no such slot: nothing keeps what the connector has not read",
            "start the connector, which makes it, or correct `captured:`; then reconcile what was written in between",
        );
    };
    let before = report.findings.len();
    standing(name, active == "true", status, behind, report);
    if keep != "-1" {
        report.found(
            Severity::Note,
            (CHECK, name),
            format!("max_slot_wal_keep_size={keep}: a connector that is behind by more loses its slot, and with it changes"),
            "alarm on its lag (`trueup lag --max-time`) well before that",
        );
    }
    if report.findings.len() == before {
        report.fine(
            CHECK,
            name,
            format!("it is read, and {behind} bytes behind"),
        );
    }
}

fn standing(name: &str, is_active: bool, status: &str, behind: &str, report: &mut DoctorReport) {
    let subject = ("primary.slot", name);
    match status {
        "lost" => report.found(
            Severity::Error,
            subject,
            "wal_status=lost: the primary has removed what the connector had not read",
            "drop the slot, have the connector take a new snapshot, then reconcile: changes are missing in the log",
        ),
        "unreserved" => report.found(
            Severity::Error,
            subject,
            "wal_status=unreserved: the next checkpoint may remove what the connector has not read",
            "bring the connector up to date now, and raise max_slot_wal_keep_size",
        ),
        _ => {}
    }
    if !is_active {
        report.found(
            Severity::Error,
            subject,
            format!("nobody reads it; {behind} bytes of the primary's log wait"),
            "start the connector: the read store gets nothing, and the primary's disk fills up",
        );
    }
    if is_active && behind.parse().is_ok_and(|b: f64| b > BEHIND_BYTES_MAX) {
        report.found(
            Severity::Warning,
            subject,
            format!("the connector is {behind} bytes behind"),
            "look at its errors and at its queue; `trueup lag --watch` shows whether it catches up",
        );
    }
}
