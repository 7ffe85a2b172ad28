//! Which keys a load has seen, as far as memory goes.

use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::projection::cell::Cell;

/// The hashes of the keys seen so far. It may say "seen" of a key that was not (a collision, or when it is full); never
/// the other way round.
pub(super) struct KeySet {
    table: HashTable<u64>,
    hasher: DefaultHashBuilder,
    bytes_max: usize,
    pub(super) full: bool,
}

impl KeySet {
    /// An empty set that takes so much memory at most.
    pub(super) fn new(bytes_max: usize) -> KeySet {
        KeySet {
            table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            bytes_max,
            full: false,
        }
    }

    /// A set in which every key may have been seen.
    pub(super) fn of_everything() -> KeySet {
        KeySet {
            full: true,
            ..KeySet::new(0)
        }
    }

    /// Whether the key of these cells is certainly seen for the first time.
    pub(super) fn is_first<'k>(&mut self, key: impl Iterator<Item = &'k Cell<'k>>) -> bool {
        let mut hasher = self.hasher.build_hasher();
        key.for_each(|cell| cell.hash(&mut hasher));
        let hash = hasher.finish();
        if self.full || self.table.find(hash, |h| *h == hash).is_some() {
            return false;
        }
        // Growing doubles it: that moment is the one that counts.
        let grown = if self.table.len() == self.table.capacity() {
            self.table.capacity() * 3
        } else {
            self.table.capacity()
        };
        if grown * (size_of::<u64>() + 1) > self.bytes_max {
            self.full = true;
            return false;
        }
        self.table.insert_unique(hash, hash, |h| *h);
        true
    }
}
