//! What the read store does to writes of the projector and of a replay.

use super::{copies, key_of, source_column, sql};
use crate::report::doctor::{DoctorReport, Severity};
use crate::store::{Acts, Store, StoreError};
use crate::strategies::{Systems, View};

/// Looks at a view's table.
pub(super) async fn examine(systems: &Systems, view: &View, report: &mut DoctorReport) {
    let (store, subject) = (&systems.read_store, view.table.table.to_string());
    unique(view, &subject, report);
    let triggers = match store {
        Store::Postgres(_) => postgres(store, view, &subject, report).await,
        _ => effects(store, view, &subject, report).await,
    };
    if let Err(e) = triggers {
        report.unknown("read_store", &subject, e.to_string());
    }
}

/// A unique key beside the view's own is broken by whoever writes rows in another order than the primary did.
fn unique(view: &View, subject: &str, report: &mut DoctorReport) {
    const CHECK: &str = "read_store.unique";
    let key = key_of(view);
    let others = view.table.unique_keys.iter();
    let others: Vec<String> = others
        .filter(|columns| !key.iter().all(|k| columns.iter().any(|c| c == k)))
        .map(|columns| format!("({})", columns.join(", ")))
        .collect();
    if others.is_empty() {
        return report.fine(CHECK, subject, "nothing is unique but its key");
    }
    report.found(
        Severity::Warning,
        (CHECK, subject),
        format!("it has unique keys that the view's key ({}) does not decide: {}", key.join(", "), others.join(", ")),
        "two rows can hold one value for a moment, as records of different keys come in no order: a projector or a replay then fails. Drop \
         them here; the primary guards them",
    );
}

async fn postgres(
    store: &Store,
    view: &View,
    subject: &str,
    report: &mut DoctorReport,
) -> Result<(), StoreError> {
    let odd = store.query(&sql::odd_unique_indexes(&view.table)).await?;
    let odd: Vec<String> = odd.into_iter().flatten().flatten().collect();
    if !odd.is_empty() {
        report.found(
            Severity::Warning,
            ("read_store.unique", subject),
            odd.join("; "),
            "rows can break it for a moment, as records of different keys come in no order: make it a plain index",
        );
    }
    let names = store.query(&sql::triggers(&view.table)).await?;
    let names: Vec<String> = names.into_iter().flatten().flatten().collect();
    triggered(&names, subject, report);
    let parts = store.query(&sql::partitioned_by(&view.table)).await?;
    let parts: Vec<Option<String>> = parts.into_iter().flatten().collect();
    spread(
        view,
        "read_store.partitioned",
        "partitioned",
        parts,
        subject,
        report,
    );
    let distributes = store.query(sql::IS_DISTRIBUTED).await?;
    if distributes
        .into_iter()
        .flatten()
        .flatten()
        .any(|v| v == "true")
    {
        let columns = store.query(&sql::distributed_by(&view.table)).await?;
        let columns = columns.into_iter().flatten().collect();
        spread(
            view,
            "read_store.distributed",
            "distributed",
            columns,
            subject,
            report,
        );
    } else {
        report.absent(
            "read_store.distributed",
            subject,
            "this database distributes no tables",
        );
    }
    Ok(())
}

/// A table in pieces whose pieces are told by something else than what orders its changes.
fn spread(
    view: &View,
    check: &'static str,
    how: &str,
    columns: Vec<Option<String>>,
    subject: &str,
    report: &mut DoctorReport,
) {
    if columns.is_empty() {
        return report.fine(check, subject, format!("it is not {how}"));
    }
    let ordered: Vec<&str> = match view.sources() {
        [part] if copies(view, part) => part.table.primary_key.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let orders = |column: &Option<String>| {
        let from = column.as_deref().and_then(|c| source_column(view, c));
        from.is_some_and(|c| ordered.contains(&c))
    };
    let names: Vec<&str> = columns
        .iter()
        .map(|c| c.as_deref().unwrap_or("an expression"))
        .collect();
    let names = names.join(", ");
    if columns.iter().all(orders) {
        return report.fine(
            check,
            subject,
            format!("it is {how} by its log's key: {names}"),
        );
    }
    report.found(
        Severity::Warning,
        (check, subject),
        format!("it is {how} by {names}, and its log is ordered by ({})", ordered.join(", ")),
        "a row that changes this column moves from one piece to another: readers may see it twice, not at all, or go back in time. \
         Take a part of the record's key, or read in one transaction",
    );
}

async fn effects(
    store: &Store,
    view: &View,
    subject: &str,
    report: &mut DoctorReport,
) -> Result<(), StoreError> {
    let effects = store.effects(&view.table).await?;
    let names: Vec<String> = effects.into_iter().map(|e| e.what).collect();
    triggered(&names, subject, report);
    Ok(())
}

fn triggered(names: &[String], subject: &str, report: &mut DoctorReport) {
    const CHECK: &str = "read_store.triggers";
    if names.is_empty() {
        return report.fine(CHECK, subject, "a write sets nothing off");
    }
    report.found(
        Severity::Warning,
        (CHECK, subject),
        format!("a write sets off: {}", names.join(", ")),
        "what it does for the projector it does again for every repair, and not for a table that was replayed and swapped in: move it to \
         the projector, or see to it that it may run twice or never",
    );
}
