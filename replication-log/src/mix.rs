//! One way to make numbers look random that gives the same numbers everywhere.

/// The finaliser of `SplitMix64` (Steele, Lea, Flood: *Fast splittable pseudorandom number
/// generators*, 2014) applied to the `index`-th state after `seed`: distinct for distinct indices,
/// and without visible pattern.
pub(crate) fn mix(seed: u64, index: u64) -> u64 {
    let mut mixed = seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
