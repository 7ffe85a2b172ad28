//! A snapshot that was made or compared just now.

use serde_json::json;

use super::json::FORMAT;
use super::snapshot::{Snapshot, show, value};
use super::table::grouped;
use crate::limits;

/// What the primary said of it.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Rows compared; `None` where nothing was.
    pub rows: Option<u64>,
    /// View and key of rows that differ.
    pub differing: Vec<String>,
    /// Why something could not be decided.
    pub undecided: Option<String>,
}

/// The snapshot, and what the primary said of it.
#[derive(Clone, Debug)]
pub struct Made {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// What the primary said.
    pub checked: Checked,
}

impl Made {
    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = show(&self.snapshot);
        let Checked {
            rows,
            differing,
            undecided,
        } = &self.checked;
        match rows {
            None => out.push_str("not compared with the primary: --verify does it\n"),
            Some(rows) if differing.is_empty() && undecided.is_none() => out.push_str(&format!(
                "known to be good: {} rows equal the primary\n",
                grouped(*rows)
            )),
            Some(rows) => out.push_str(&format!(
                "not known to be good: {} of {} rows differ from the primary\n",
                grouped(differing.len() as u64),
                grouped(*rows)
            )),
        }
        for key in differing.iter().take(limits::KEYS_SHOWN_MAX) {
            out.push_str(&format!("differs: {key}\n"));
        }
        if let Some(reason) = undecided {
            out.push_str(&format!("could not be decided: {reason}\n"));
        }
        out
    }

    /// As one line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        json!({
            "format": FORMAT, "snapshot": value(&self.snapshot), "rows_checked": self.checked.rows,
            "differing": self.checked.differing, "undecided": self.checked.undecided,
        })
        .to_string()
    }
}
