//! Which snapshots can go.

use super::error::SnapshotError;
use super::manifest::{Manifest, Verified};
use super::place::{Listed, Place};

/// Which snapshots stay and which go, oldest first.
#[derive(Debug, Default)]
pub struct Prune {
    /// These stay.
    pub kept: Vec<Listed>,
    /// These go.
    pub removed: Vec<Listed>,
}

impl Prune {
    /// The newest `keep` that are whole stay, and the newest one that was proven right. Every byte of those is checked
    /// first, so that none is kept in place of a better one. Damaged ones go; those that only a newer trueup reads, or that
    /// the system does not let be read, stay and do not count.
    ///
    /// # Errors
    /// [`SnapshotError::Io`] when the place cannot be listed.
    pub fn plan(place: &Place, keep: usize) -> Result<Prune, SnapshotError> {
        let mut plan = Prune::default();
        let (mut whole, mut has_proven) = (0, false);
        for mut listed in place.list()?.into_iter().rev() {
            let is_proven = matches!(&listed.what, Ok((_, Some(_))));
            let is_wanted = whole < keep || (is_proven && !has_proven);
            if is_wanted && listed.what.is_ok() {
                listed.what = checked(place, &listed.id);
            }
            match &listed.what {
                Ok(_) if is_wanted => {
                    whole += 1;
                    has_proven |= is_proven;
                    plan.kept.push(listed);
                }
                Ok(_) => plan.removed.push(listed),
                Err(e) if e.is_damage() => plan.removed.push(listed),
                Err(_) => plan.kept.push(listed),
            }
        }
        plan.kept.reverse();
        plan.removed.reverse();
        Ok(plan)
    }
}

fn checked(place: &Place, id: &str) -> Result<(Manifest, Option<Verified>), SnapshotError> {
    let snapshot = place.load(id)?;
    Ok((snapshot.manifest().clone(), snapshot.verified().cloned()))
}
