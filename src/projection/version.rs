//! What decides which of two changes of one key is newer, and the guard that stamps every change with it.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::record::Position;
use super::seen::Seen;
use super::seen::SourceIdentity;

/// The one total order of a source, chosen in the plan. Mixing rules from pair to pair would be no order: the
/// winner would then depend on arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// `order_by:` of the playbook: a field of the row.
    Field(String),
    /// The position in the primary's own log: PostgreSQL's `source.lsn`.
    Lsn,
    /// The position in the primary's own log: MySQL's and MariaDB's `source.file`, `pos` and `row`.
    Binlog,
    /// The offset, which is an order only while no key is in two partitions; the pass proves that.
    Offset,
}

impl Order {
    /// How many words of a [`Rank`] this order uses.
    #[must_use]
    pub fn words(&self) -> usize {
        match self {
            Order::Field(_) | Order::Lsn => 1,
            Order::Binlog => 3,
            Order::Offset => 0,
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Order::Field(name) => write!(f, "field {name}"),
            Order::Lsn => f.write_str("source position (lsn)"),
            Order::Binlog => f.write_str("source position (file, pos, row)"),
            Order::Offset => f.write_str("offset (proving that no key is in two partitions)"),
        }
    }
}

/// The part of a version that comes from the source: epoch first, then the position's words.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Rank {
    /// Which epoch of the source: positions of two epochs cannot be compared.
    pub epoch: u8,
    /// The position; words beyond [`Order::words`] are zero.
    pub words: [u64; 3],
}

/// Longest text of [`Rank::to_bytes`], in bytes.
pub const RANK_BYTES_MAX: usize = 25;

impl Rank {
    /// Bytes that compare as the rank does, `1 + 8 × words` long.
    #[must_use]
    pub fn to_bytes(&self, words: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(RANK_BYTES_MAX);
        out.push(self.epoch);
        for word in self.words.iter().take(words) {
            out.extend_from_slice(&word.to_be_bytes());
        }
        out
    }

    /// Reads [`Rank::to_bytes`]; `None` when the length is none it writes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Rank> {
        let (&epoch, rest) = bytes.split_first()?;
        let (chunks, rest) = rest.as_chunks::<8>();
        if !rest.is_empty() || chunks.len() > 3 {
            return None;
        }
        let mut words = [0; 3];
        for (word, chunk) in words.iter_mut().zip(chunks) {
            *word = u64::from_be_bytes(*chunk);
        }
        Some(Rank { epoch, words })
    }
}

/// The version of a change: ordered by rank, the offset breaking ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// From the source.
    pub rank: Rank,
    /// Partition of the record; its complement when the record had no position of its own and took the highest one seen there.
    pub partition: i32,
    /// Offset of the record.
    pub offset: i64,
    /// The source's own clock at the change, in milliseconds; never an order, only a witness against one.
    pub clock: Option<i64>,
}

impl Version {
    /// Partition of the record.
    #[must_use]
    pub fn place(&self) -> i32 {
        if self.is_borrowed() {
            !self.partition
        } else {
            self.partition
        }
    }

    /// Whether the record had no position of its own.
    #[must_use]
    pub fn is_borrowed(&self) -> bool {
        self.partition < 0
    }

    /// Whether it is newer than another version of its key because it comes after it in the same partition. That decides where
    /// one of the two has a position that is not its own: a transaction that took long has lower positions than others that
    /// were there before it. What a connector sends once more is told by its clock.
    #[must_use]
    pub fn follows(&self, other: &Version) -> bool {
        let after = self.place() == other.place() && self.offset > other.offset;
        let late = || match (self.clock, other.clock) {
            (Some(now), Some(then)) => now > then,
            _ => true,
        };
        after
            && self.rank.epoch == other.rank.epoch
            && (self.is_borrowed() || (other.is_borrowed() && late()))
    }

    /// This version, of what follows the other: at no lower position than that, which is then not its own. So what is newest
    /// in a partition never depends on when the records of other partitions come.
    #[must_use]
    pub fn behind(self, other: &Version) -> Version {
        if self.rank >= other.rank {
            return self;
        }
        Version {
            rank: other.rank,
            partition: !self.place(),
            ..self
        }
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.rank, self.offset, self.place()).cmp(&(other.rank, other.offset, other.place()))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What a record says about its own version.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamp<'a> {
    /// Source position or order field; `None` for records that carry none (tombstones, incremental snapshots).
    pub words: Option<[u64; 3]>,
    /// The source's clock in milliseconds; `None` for snapshot rows, whose clock is that of the reading.
    pub clock: Option<i64>,
    /// Which database wrote it.
    pub identity: Option<Identity<'a>>,
}

/// Which database a record comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    /// Connector kind, `postgresql` for example.
    pub connector: &'a str,
    /// The connector's logical name.
    pub name: &'a str,
    /// Database.
    pub database: &'a str,
    /// Server number, where the connector tells one.
    pub server: u64,
}

impl fmt::Display for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} database {}",
            self.connector, self.name, self.database
        )?;
        if self.server != 0 {
            write!(f, " server {}", self.server)?;
        }
        Ok(())
    }
}

/// The source changed its identity without the playbook saying so.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "{at}: the record comes from {now}, those before it from {was}; positions of two databases cannot be compared"
)]
pub struct IdentityChanged {
    /// First record of the new identity.
    pub at: String,
    /// Identity so far.
    pub was: String,
    /// Identity from here on.
    pub now: String,
}

/// Stamps every change of one source with its [`Version`]. It remembers, for each partition, the highest position seen, for
/// the records that carry none: they are newer than all that was there before them, also where that was sent once more.
#[derive(Clone, Debug)]
pub struct Guard {
    order: Order,
    epochs: Vec<BTreeMap<i32, i64>>,
    /// By partition: every record looks here, so it is an index and no map.
    highest: Vec<Option<Rank>>,
    /// By partition, the latest that the source's clock was.
    clocks: Vec<Option<i64>>,
    /// By epoch.
    origins: Vec<Option<SourceIdentity>>,
}

impl Guard {
    /// A guard for one source. Each of `epochs` maps partitions to the first offset of the next epoch.
    #[must_use]
    pub fn new(order: Order, epochs: Vec<BTreeMap<i32, i64>>) -> Guard {
        Guard {
            order,
            epochs,
            highest: Vec::new(),
            clocks: Vec::new(),
            origins: Vec::new(),
        }
    }

    /// What a guard that goes on from here must know.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let highest = (0..).zip(&self.highest);
        let ranks = highest.filter_map(|(partition, rank)| Some((partition, (*rank)?)));
        let clocks = (0..).zip(&self.clocks);
        Seen {
            clocks: clocks
                .filter_map(|(partition, clock)| Some((partition, (*clock)?)))
                .collect(),
            positions: ranks.clone().map(|(at, rank)| (at, rank.words)).collect(),
            epochs: ranks
                .map(|(at, rank)| (at, rank.epoch))
                .filter(|(_, epoch)| *epoch > 0)
                .collect(),
            origins: self.origins.clone(),
            deleted: Vec::new(),
            truncated: None,
        }
    }

    /// This guard, going on where another one stood.
    #[must_use]
    pub fn after(mut self, seen: &Seen) -> Guard {
        for (partition, words) in &seen.positions {
            let epoch = seen.epochs.iter().find(|(at, _)| at == partition);
            *slot(&mut self.highest, *partition) = Some(Rank {
                epoch: epoch.map_or(0, |(_, epoch)| *epoch),
                words: *words,
            });
        }
        for (partition, clock) in &seen.clocks {
            *slot(&mut self.clocks, *partition) = Some(*clock);
        }
        self.origins.clone_from(&seen.origins);
        self
    }

    /// The order that it stamps by.
    #[must_use]
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// The version of a change at `at`.
    ///
    /// # Errors
    /// When the source's identity changes within an epoch.
    pub fn version(
        &mut self,
        at: Position<'_>,
        stamp: &Stamp<'_>,
    ) -> Result<Version, IdentityChanged> {
        let epoch = self.epoch(at);
        if let Some(identity) = &stamp.identity {
            self.same_identity(at, epoch, identity)?;
        }
        let own = |words| Version {
            rank: Rank { epoch, words },
            partition: at.partition,
            offset: at.offset,
            clock: stamp.clock,
        };
        Ok(match (&self.order, stamp.words) {
            (Order::Offset, _) => own([0; 3]),
            (_, Some(words)) => {
                let highest = slot(&mut self.highest, at.partition);
                *highest = (*highest).max(Some(Rank { epoch, words }));
                let clock = slot(&mut self.clocks, at.partition);
                *clock = (*clock).max(stamp.clock);
                own(words)
            }
            (_, None) => Version {
                partition: !at.partition,
                clock: *slot(&mut self.clocks, at.partition),
                ..own(slot(&mut self.highest, at.partition)
                    .filter(|rank| rank.epoch == epoch)
                    .map_or([0; 3], |rank| rank.words))
            },
        })
    }

    fn epoch(&self, at: Position<'_>) -> u8 {
        let passed = self.epochs.iter().filter(|e| {
            e.get(&at.partition)
                .is_some_and(|first| at.offset >= *first)
        });
        u8::try_from(passed.count()).unwrap_or(u8::MAX)
    }

    fn same_identity(
        &mut self,
        at: Position<'_>,
        epoch: u8,
        now: &Identity<'_>,
    ) -> Result<(), IdentityChanged> {
        let origin = slot(&mut self.origins, i32::from(epoch));
        match origin {
            Some(known) if known.is(now) => Ok(()),
            Some(known) => Err(IdentityChanged {
                at: at.to_string(),
                was: known.identity().to_string(),
                now: now.to_string(),
            }),
            None => {
                *origin = Some(SourceIdentity::from(now));
                Ok(())
            }
        }
    }
}

/// The place of a small number in a list that grows as it is asked for; a negative one has none of its own.
fn slot<T>(list: &mut Vec<Option<T>>, at: i32) -> &mut Option<T> {
    let at = usize::try_from(at).unwrap_or(0);
    if list.len() <= at {
        list.resize_with(at + 1, || None);
    }
    &mut list[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: i32, offset: i64) -> Position<'static> {
        Position {
            topic: "t",
            partition,
            offset,
        }
    }

    fn lsn(lsn: u64) -> Stamp<'static> {
        Stamp {
            words: Some([lsn, 0, 0]),
            ..Stamp::default()
        }
    }

    #[test]
    fn a_record_without_a_position_takes_the_highest_of_its_partition() {
        let mut guard = Guard::new(Order::Lsn, Vec::new());
        let first = guard.version(at(0, 0), &lsn(70)).expect("no identity");
        // What is sent once more takes nothing back.
        guard.version(at(0, 0), &lsn(30)).expect("no identity");
        let bare = guard
            .version(at(0, 1), &Stamp::default())
            .expect("no identity");
        let elsewhere = guard
            .version(at(1, 0), &Stamp::default())
            .expect("no identity");
        assert_eq!(bare.rank, first.rank);
        assert!(bare > first);
        assert!(elsewhere < first);
    }

    #[test]
    fn an_epoch_outranks_every_position_before_it() {
        let mut guard = Guard::new(Order::Lsn, vec![BTreeMap::from([(0, 5)])]);
        let before = guard.version(at(0, 4), &lsn(1_000)).expect("no identity");
        let after = guard.version(at(0, 5), &lsn(10)).expect("no identity");
        assert!(after > before);
    }

    #[test]
    fn a_changed_identity_is_refused_until_an_epoch_names_it() {
        let identity = |database| Stamp {
            identity: Some(Identity {
                connector: "postgresql",
                name: "shop",
                database,
                server: 0,
            }),
            ..lsn(1)
        };
        let mut guard = Guard::new(Order::Lsn, Vec::new());
        guard
            .version(at(0, 0), &identity("a"))
            .expect("the first one");
        assert!(guard.version(at(0, 1), &identity("b")).is_err());
        let mut named = Guard::new(Order::Lsn, vec![BTreeMap::from([(0, 1)])]);
        named
            .version(at(0, 0), &identity("a"))
            .expect("the first one");
        named
            .version(at(0, 1), &identity("b"))
            .expect("a new epoch");
    }

    #[test]
    fn rank_bytes_compare_as_ranks() {
        let ranks = [
            Rank {
                epoch: 0,
                words: [255, 0, 0],
            },
            Rank {
                epoch: 0,
                words: [256, 0, 0],
            },
            Rank {
                epoch: 1,
                words: [0; 3],
            },
        ];
        for pair in ranks.windows(2) {
            assert!(pair[0].to_bytes(1) < pair[1].to_bytes(1));
            assert_eq!(Rank::from_bytes(&pair[0].to_bytes(1)), Some(pair[0]));
        }
    }
}
