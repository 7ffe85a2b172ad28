//! Where Kafka's own clients put a key: to tell that a topic got more partitions after records had been written.

/// The partition of a key among `partitions`, by the default of Kafka's Java clients: murmur2 of its bytes.
pub(super) fn partition(key: &[u8], partitions: i32) -> i32 {
    let positive = (murmur2(key) & 0x7fff_ffff).cast_signed();
    positive % partitions.max(1)
}

/// MurmurHash2 with Kafka's seed.
fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    // The length is a part of the hash in 32 bits: keys are shorter.
    #[allow(clippy::cast_possible_truncation)]
    let mut hash = SEED ^ bytes.len() as u32;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (at, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * at);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The one number of partitions below `now` by which every key lies where it does; `None` when they lie as they should for
/// `now`, when no number or more than one explains them, or when there are too few keys to tell.
pub(super) fn fewer(keys: &[(Vec<u8>, i32)], now: i32) -> Option<i32> {
    const KEYS_MIN: usize = 8;
    let fits = |n: i32| keys.iter().all(|(key, at)| partition(key, n) == *at);
    if keys.len() < KEYS_MIN || fits(now) {
        return None;
    }
    let mut fitting = (1..now).filter(|n| fits(*n));
    let found = fitting.next()?;
    fitting.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lie_where_java_puts_them() {
        // From the tests of Kafka's own `Utils.murmur2`.
        for (text, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
        ] {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }

    #[test]
    fn a_topic_that_grew_is_told_from_one_that_did_not() {
        let keys = |partitions| -> Vec<(Vec<u8>, i32)> {
            let key = |n: i32| format!("{{\"id\":{n}}}").into_bytes();
            let placed = (0..200).map(|n| (key(n), partition(&key(n), partitions)));
            placed.collect()
        };
        assert_eq!(fewer(&keys(3), 8), Some(3));
        assert_eq!(fewer(&keys(8), 8), None);
        // Not by the default at all.
        let strange: Vec<_> = keys(8).into_iter().map(|(k, at)| (k, 7 - at)).collect();
        assert_eq!(fewer(&strange, 8), None);
    }
}
