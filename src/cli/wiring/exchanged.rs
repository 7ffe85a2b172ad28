//! Whether primary and read store were taken for each other. Repairs would then overwrite the system of record, so every
//! sign of it is a refusal.

use anyhow::Result;

use crate::playbook::Playbook;
use crate::store::{Acts, Store, StoreError};
use crate::strategies::{CopyView, Refused, Systems};

const HINT: &str = "primary.url and read_store.url look exchanged";

/// After a view did not fit: whether it would with the two databases exchanged.
pub(super) async fn would_fit(playbook: &Playbook, asked: &[String], systems: &Systems) -> bool {
    let (primary, read_store) = (&systems.read_store, &systems.primary);
    super::view::wire(playbook, asked, primary, read_store)
        .await
        .is_ok()
}

/// The refusal for that.
pub(super) fn refusal() -> Refused {
    Refused::because(format!(
        "{HINT}: the views do not fit the tables as they are, and would fit the other way round"
    ))
}

/// Signs that tables which fit both ways are nevertheless the wrong way round.
pub(super) async fn check(systems: &Systems, views: &[CopyView]) -> Result<()> {
    if has_runs(&systems.primary).await? && !has_runs(&systems.read_store).await? {
        return Err(Refused::because(format!(
            "{HINT}: trueup's own tables, which it keeps in read stores, are in the primary and not in the read store"
        ))
        .into());
    }
    for view in views {
        let captured = systems.read_store.is_captured(&view.table).await?;
        if captured && !systems.primary.is_captured(&view.source.table).await? {
            return Err(Refused::because(format!(
                "{HINT}: {} of the read store is published to a replication slot, as a primary's table is, and {} of the primary is not",
                view.table.table, view.source.table.table
            ))
            .into());
        }
    }
    Ok(())
}

async fn has_runs(store: &Store) -> Result<bool> {
    match store.runs().await {
        // Who may not look has no sign.
        Err(StoreError::Denied { .. }) => Ok(false),
        runs => Ok(!runs?.is_empty()),
    }
}
