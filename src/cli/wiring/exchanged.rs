//! Whether primary and read store were taken for each other. Repairs would then overwrite the system of record, so every
//! sign of it is a refusal.

use anyhow::Result;

use super::Sides;
use crate::store::{Acts, Store, StoreError};
use crate::strategies::{Refused, Systems, View};

const HINT: &str = "primary.url and read_store.url look exchanged";

/// After a view did not fit: whether it would with the two databases exchanged.
pub(super) async fn would_fit(sides: &Sides<'_>, asked: &[String]) -> bool {
    let exchanged = Sides {
        primary: sides.read_store,
        read_store: sides.primary,
        ..*sides
    };
    super::view::wire(&exchanged, asked).await.is_ok()
}

/// The refusal for that.
pub(super) fn refusal() -> Refused {
    Refused::because(format!(
        "{HINT}: the views do not fit the tables as they are, and would fit the other way round"
    ))
}

/// Signs that tables which fit both ways are nevertheless the wrong way round.
pub(super) async fn check(systems: &Systems, views: &[View]) -> Result<()> {
    if has_runs(&systems.primary).await? && !has_runs(&systems.read_store).await? {
        return Err(Refused::because(format!(
            "{HINT}: trueup's own tables, which it keeps in read stores, are in the primary and not in the read store"
        ))
        .into());
    }
    for view in views {
        let captured = systems.read_store.is_captured(&view.table).await?;
        for source in view.sources().iter().filter(|s| captured && s.is_table()) {
            if !systems.primary.is_captured(&source.table).await? {
                return Err(Refused::because(format!(
                    "{HINT}: {} of the read store is published to a replication slot, as a primary's table is, and {} of the primary is not",
                    view.table.table, source.table.table
                ))
                .into());
            }
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
