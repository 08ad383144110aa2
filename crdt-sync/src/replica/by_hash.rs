//! Keys by keyed hash, so that the items of any part of the hash tree are found together.

use alloc::vec;
use alloc::vec::Vec;

use smallvec::SmallVec;

use super::ItemKey;
use crate::merkle::KeyHash;

/// How many items a bucket has on average before all buckets of its shard are divided.
const CROWDED: usize = 12;
/// How many items there are before there is more than one shard.
const MANY: usize = 4_096;
const SHARD_BITS: u8 = 8;

/// What is known of a key where it is found by hash.
#[derive(Clone, Debug)]
pub(super) struct Hashed {
    pub(super) hash: KeyHash,
    /// The digest of what is held under the key: whoever compares trees need not look the key up.
    pub(super) digest: u128,
    pub(super) key: ItemKey,
    /// The number of the last photograph that was taken before the key came; zero when nobody looked at one then.
    pub(super) unseen_by: u64,
}

/// All keys of a partition. Two keys may share a hash.
///
/// Sessions walk it, and nothing else does. So it is made when the first of them has to, and kept up from then on: a
/// node that ships entries, is filled or fills others does without, which saves a sixth of its memory.
///
/// Hashes are keyed, hence uniform, so their first bits choose a bucket that holds a dozen items at most times: a new
/// item goes to its end, which touches two lines of the cache where a search tree over as many random numbers touches
/// one or two on every level. Buckets are divided shard by shard, so that no write waits for more than a 256th of
/// them.
#[derive(Debug)]
pub(super) struct ByHash {
    /// One, or one for each value of the first bits.
    shards: Vec<Shard>,
    len: usize,
}

/// The items whose hashes begin alike, in buckets by the bits that follow.
#[derive(Clone, Debug)]
struct Shard {
    buckets: Vec<Vec<Hashed>>,
    /// There are two to the power of this many buckets.
    bits: u8,
    len: usize,
}

impl ByHash {
    /// All these keys, of which there are about `count`. O(keys), and hardly any shard is divided on the way.
    pub(super) fn of(items: impl Iterator<Item = Hashed>, count: usize) -> Self {
        let shards = if count < MANY { 1 } else { 1 << SHARD_BITS };
        let mut index = Self { shards: vec![Shard::for_about(count / shards); shards], len: 0 };
        items.for_each(|item| index.insert(item));
        index
    }

    /// Adds a key that is not there. O(1) amortised.
    pub(super) fn insert(&mut self, item: Hashed) {
        if self.len == MANY && self.shards.len() == 1 {
            self.divide();
        }
        let ((shard, rest), skipped) = (self.place(item.hash), self.skipped());
        self.shards[shard].insert(item, rest, skipped);
        self.len += 1;
    }

    /// Takes a key out, and returns what was known of it. O(1) on average.
    pub(super) fn remove(&mut self, hash: KeyHash, key: &ItemKey) -> Option<Hashed> {
        let (shard, rest) = self.place(hash);
        let shard = &mut self.shards[shard];
        let bucket = shard.bucket_of(rest);
        let bucket = &mut shard.buckets[bucket];
        let at = bucket.iter().position(|item| item.hash == hash && item.key == *key)?;
        shard.len -= 1;
        self.len -= 1;
        Some(bucket.swap_remove(at))
    }

    /// Something else is held under a key; returns what is known of it now. O(1) on average.
    pub(super) fn renew(&mut self, hash: KeyHash, key: &ItemKey, digest: u128) -> Option<&Hashed> {
        let (shard, rest) = self.place(hash);
        let shard = &mut self.shards[shard];
        let bucket = shard.bucket_of(rest);
        let found = shard.buckets[bucket].iter_mut().find(|item| item.hash == hash && item.key == *key);
        let item = found?;
        item.digest = digest;
        Some(item)
    }

    /// Calls `f` with every item whose hash lies between the two, ascending. O(items + 1) on average, and O(buckets)
    /// at most.
    pub(super) fn for_each_between(&self, first: KeyHash, last: KeyHash, f: &mut dyn FnMut(&Hashed)) {
        let ((from, from_rest), (to, to_rest)) = (self.place(first), self.place(last));
        for (number, shard) in self.shards.iter().enumerate().take(to + 1).skip(from) {
            let from = if number == from { shard.bucket_of(from_rest) } else { 0 };
            let to = if number == to { shard.bucket_of(to_rest) } else { shard.buckets.len() - 1 };
            for bucket in shard.buckets.iter().take(to + 1).skip(from) {
                let within = bucket.iter().filter(|item| (first..=last).contains(&item.hash));
                let mut within: SmallVec<[&Hashed; 2 * CROWDED]> = within.collect();
                within.sort_unstable_by(|one, other| (one.hash, &one.key).cmp(&(other.hash, &other.key)));
                within.into_iter().for_each(&mut *f);
            }
        }
    }

    /// Which shard a hash belongs to, and the bits of it that say where in there, leading.
    fn place(&self, hash: KeyHash) -> (usize, u128) {
        let hash = hash.as_u128();
        if self.shards.len() == 1 {
            return (0, hash);
        }
        ((hash >> (128 - u32::from(SHARD_BITS))) as usize, hash << SHARD_BITS)
    }

    /// How many bits of a hash say which shard it is.
    fn skipped(&self) -> u8 {
        if self.shards.len() == 1 { 0 } else { SHARD_BITS }
    }

    fn divide(&mut self) {
        let shards = vec![Shard::for_about(MANY >> SHARD_BITS); 1 << SHARD_BITS];
        let undivided = core::mem::replace(&mut self.shards, shards);
        for item in undivided.into_iter().flat_map(|shard| shard.buckets).flatten() {
            let (shard, rest) = self.place(item.hash);
            self.shards[shard].insert(item, rest, SHARD_BITS);
        }
    }
}

impl Shard {
    /// One without items, with as many buckets as so many of them need.
    fn for_about(items: usize) -> Self {
        let mut bits = 0;
        while items > CROWDED << bits {
            bits += 1;
        }
        Self { buckets: vec![Vec::new(); 1 << bits], bits, len: 0 }
    }

    fn bucket_of(&self, rest: u128) -> usize {
        bucket_of(rest, self.bits)
    }

    /// `rest` are the bits of the item's hash behind the first `skipped`.
    fn insert(&mut self, item: Hashed, rest: u128, skipped: u8) {
        if self.len >= CROWDED << self.bits {
            self.divide(skipped);
        }
        let bucket = self.bucket_of(rest);
        self.buckets[bucket].push(item);
        self.len += 1;
    }

    fn divide(&mut self, skipped: u8) {
        self.bits += 1;
        let mut buckets = Vec::with_capacity(1 << self.bits);
        for bucket in self.buckets.drain(..) {
            let is_upper = |item: &Hashed| bucket_of(item.hash.as_u128() << skipped, self.bits) % 2 == 1;
            let (upper, lower) = bucket.into_iter().partition(is_upper);
            buckets.extend([lower, upper]);
        }
        self.buckets = buckets;
    }
}

/// The first `bits` bits.
fn bucket_of(rest: u128, bits: u8) -> usize {
    // Shifting in two steps, for there may be none to keep.
    (rest >> 1 >> (127 - u32::from(bits))) as usize
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::collection::Collection;

    fn key(number: u16) -> ItemKey {
        let key = number.to_be_bytes()[..].into();
        ItemKey { collection: Collection::registers("titles").id(), key }
    }

    /// Spread over all hashes, with a few that are shared.
    fn hash(number: u16) -> KeyHash {
        let shared = u128::from(number / 2);
        KeyHash::from_u128((shared << 112) | (shared.wrapping_mul(0x9e37_79b9_7f4a_7c15) << 32))
    }

    fn between(index: &ByHash, first: u128, last: u128) -> Vec<(KeyHash, ItemKey, u128)> {
        let mut found = Vec::new();
        let (first, last) = (KeyHash::from_u128(first), KeyHash::from_u128(last));
        index.for_each_between(first, last, &mut |item| {
            found.push((item.hash, item.key.clone(), item.digest));
        });
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Enough keys for shards and their buckets to be divided, in an order that is not theirs.
        #[test]
        fn it_finds_what_a_search_tree_finds(
            count in 0_u16..9_000,
            at_once in 0_u16..9_000,
            step in (0_u16..500).prop_map(|half| 2 * half + 1),
            changes in prop::collection::vec((any::<u16>(), any::<bool>()), 0..64),
            ranges in prop::collection::vec((any::<u128>(), any::<u128>()), 0..16),
        ) {
            let numbers = |from| (from..count).map(|number: u16| number.wrapping_mul(step));
            let item = |number: u16| {
                let (hash, key) = (hash(number), key(number));
                Hashed { hash, digest: number.into(), key, unseen_by: 0 }
            };
            let at_once = at_once.min(count);
            let mut index = ByHash::of(numbers(0).take(at_once.into()).map(item), at_once.into());
            let mut oracle = BTreeMap::new();
            numbers(at_once).map(item).for_each(|item| index.insert(item));
            for number in numbers(0) {
                oracle.insert((hash(number), key(number)), u128::from(number));
            }
            for (number, removed) in changes {
                let number = number.wrapping_mul(step);
                if removed {
                    index.remove(hash(number), &key(number));
                    oracle.remove(&(hash(number), key(number)));
                } else {
                    index.renew(hash(number), &key(number), 7);
                    oracle.entry((hash(number), key(number))).and_modify(|digest| *digest = 7);
                }
            }
            for (first, last) in ranges.into_iter().chain([(0, u128::MAX), (u128::MAX, 0)]) {
                let expected: Vec<_> = oracle
                    .iter()
                    .filter(|((hash, _), _)| (first..=last).contains(&hash.as_u128()))
                    .map(|((hash, key), digest)| (*hash, key.clone(), *digest))
                    .collect();
                prop_assert_eq!(between(&index, first, last), expected);
            }
            prop_assert_eq!(index.len, oracle.len());
        }
    }
}
