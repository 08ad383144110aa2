//! The one keyed hash of this process: for tables, and for telling apart states that sit side by side.
//!
//! All tables share one seed, which is drawn when the first hash is taken and differs from process to process. Sharing
//! it is what makes merging fast: two tables with the same elements keep them in the same order, so that a walk over
//! one probes the other from its beginning to its end. It also asks for care: whoever walks one table to fill another
//! must make room before and not while filling it, or else all that arrive crowd into the same part of a table that is
//! still too small.
//!
//! Nothing made of these hashes may reach an output: not the order of a table, not a hash, not a fingerprint. They mean
//! nothing to another process, nor to this one after a restart. What is compared between replicas is a
//! [version digest](crate::VersionDigest).
//!
//! The seed comes from where the system put the program in memory. It keeps those who choose elements from afar from
//! making tables slow, and is no defence against those who can watch this process closely.

use core::hash::{Hash, Hasher};

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;

/// The leading digits of the fraction of pi: numbers with nothing up their sleeve, where any will do.
const PI: [u64; 3] = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0];

/// The hash of `value`, the same for equal values everywhere in this process.
#[inline]
pub(crate) fn hash_one<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = FoldHasher::with_seed(PI[0], SharedSeed::global_random());
    value.hash(&mut hasher);
    hasher.finish()
}

/// What an item adds to the fingerprint of its set, given its [hash](hash_one) and what else tells it apart: the dot
/// that added it, say. Where there is nothing else, any constant will do.
///
/// A fingerprint is the wrapping sum over all items: O(1) to keep, and the same whatever the order. Two sets that
/// differ have equal sums with a probability of about 2⁻⁶⁴, the width of the hash. Both multiplications are keyed, and
/// the exclusive or between them keeps a sum from being that of the hashes in disguise.
#[inline]
pub(crate) fn fingerprint(hash: u64, salt: u64) -> u128 {
    let key = hash_one(&PI[1]);
    let product = u128::from(hash ^ key) * u128::from(salt ^ key.rotate_left(32) ^ PI[2]);
    let folded = low(product) ^ low(product >> 64);
    // Odd, so that no bit of the other factor is lost.
    product ^ (u128::from(folded ^ PI[0]) * u128::from(key | 1)).rotate_left(64)
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
#[inline]
const fn low(wide: u128) -> u64 {
    wide as u64
}

#[cfg(test)]
mod tests;
