//! Keys of which a record was set aside: their rows come from the primary, or have a hole.

use anyhow::Result;

use super::{Pipeline, store};
use crate::limits;
use crate::projection::change::Key;
use crate::projection::types::ColumnType;
use crate::projection::version::Version;
use crate::report::table::grouped;
use crate::store::{Acts, Kept, Shadow, Standing};
use crate::strategies::load::Loader;
use crate::strategies::settle::key_of_texts;

/// Keys are blocked of which nobody can say what their rows are. The run waits for somebody to decide.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} of which a record was set aside: {}; their rows are as they were before it. Look at them with `trueup quarantine list`; \
     the same command with --accept-holes swaps all the same, and `trueup quarantine skip` says to do without the records",
    if *count == 1 { "there is 1 key".to_owned() } else { format!("there are {} keys", grouped(*count as u64)) },
    keys.join(", ")
)]
pub struct Holes {
    /// How many there are.
    pub count: usize,
    /// Some of them, with their tables.
    pub keys: Vec<String>,
}

/// The keys that a load which died had blocked.
///
/// # Errors
/// For a key that trueup did not write.
pub(super) fn blocked(
    shadow: &Shadow,
    kept: &[Kept],
    kinds: &[ColumnType],
) -> Result<Vec<(Key<'static>, Version)>> {
    let is_its = |kept: &&Kept| {
        kept.run == shadow.run
            && kept.table == shadow.live.table.name
            && kept.standing == Standing::Open
    };
    let of = |kept: &Kept| Ok((key_of_texts(&kept.what.key, kinds)?, kept.what.version));
    kept.iter().filter(is_its).map(of).collect()
}

impl Pipeline<'_> {
    /// The blocked keys of a load.
    pub(super) fn blocked(&self, at: usize) -> Vec<(Key<'static>, Version)> {
        let loader = self.states[at].loader.as_ref();
        loader.map(Loader::blocked).unwrap_or_default()
    }

    /// Whether the primary says what the rows of a load are. What later events add to a row that the primary holds, it may hold
    /// already.
    pub(super) fn settles(&self, at: usize) -> bool {
        let view = &self.plan.loads[at].view;
        view.start().is_none() && self.systems.primary.down().is_none()
    }

    /// The rows of the blocked keys came from the primary.
    pub(super) async fn unblock(&mut self, at: usize) -> Result<()> {
        let load = &self.plan.loads[at];
        let of = (&*load.shadow.run, &*load.shadow.live.table.name);
        store(self.systems, load)
            .release(self.permit, of, None, Standing::Settled)
            .await?;
        if let Some(loader) = &mut self.states[at].loader {
            loader.unblock();
        }
        Ok(())
    }

    /// Keys whose rows have a hole, with their tables.
    #[must_use]
    pub fn holes(&self) -> Vec<String> {
        let all = self.plan.loads.iter().enumerate().flat_map(|(at, load)| {
            let name = &load.view.name;
            let keys = self.blocked(at).into_iter();
            keys.map(move |(key, _)| format!("{name} {key}"))
        });
        all.collect()
    }

    /// Goes on only when no row has a hole, or when that is accepted.
    ///
    /// # Errors
    /// [`Holes`].
    pub fn without_holes(&self) -> Result<(), Holes> {
        let mut keys = self.holes();
        let count = keys.len();
        if count == 0 || self.plan.options.accept_holes {
            return Ok(());
        }
        keys.truncate(limits::KEYS_SHOWN_MAX);
        Err(Holes { count, keys })
    }
}
