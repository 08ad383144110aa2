//! What a turn will cost: how many nodes differ at each depth, and from that the cheapest way down.
//!
//! All arithmetic is on integers, so that every machine makes the same choice.

use alloc::vec::Vec;

/// The turns of digests that a session should take at most, so that it needs six messages.
pub(super) const DIGEST_TURNS: u8 = 3;
/// What a further turn has to save in bytes.
const TURN: u64 = 96;
/// A bound on the balls per bin that differing bins can still tell.
const MOST_PER_BIN: u64 = 16;
/// One in 64-bit fixed point.
const ONE: u128 = 1 << 64;

/// How the cheapest way goes on from nodes that differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// With digests of the descendants this many bits deeper.
    Ask(u8),
    /// With a list of the items.
    List,
}

/// Two trees with differences spread at random.
pub(super) struct Spread {
    /// The depth of the leaves.
    leaf_bits: u8,
    /// How many items a side has.
    items: u64,
    /// The nodes at each depth that differ.
    open: Vec<u64>,
}

impl Spread {
    pub(super) fn new(leaf_bits: u8, items: u64, differing: u64) -> Self {
        let open = (0..=leaf_bits).map(|bits| occupied(differing, 1 << bits)).collect();
        Self { leaf_bits, items, open }
    }

    /// The cheapest way down from the differing nodes at depth `bits` in at most `turns` turns of
    /// digests, and what it costs. No node may have more than `2^max_fanout` digests in a turn.
    pub(super) fn cheapest(&self, bits: u8, turns: u8, max_fanout: u8) -> (u64, Next) {
        let list = (self.list(bits), Next::List);
        match self.cheapest_questions(bits, turns, max_fanout) {
            Some((cost, fanout)) if cost < list.0 => (cost, Next::Ask(fanout)),
            _ => list,
        }
    }

    /// The same, for a way that begins with digests.
    pub(super) fn cheapest_questions(&self, bits: u8, turns: u8, max_fanout: u8) -> Option<(u64, u8)> {
        let deepest = if turns == 0 { 0 } else { max_fanout.min(self.leaf_bits - bits) };
        let ways = (1..=deepest).map(|fanout| {
            let digests = self.open[usize::from(bits)] << fanout;
            let (rest, _) = self.cheapest(bits + fanout, turns - 1, max_fanout);
            (digests * u64::from(digest_width(digests)) + TURN + rest, fanout)
        });
        ways.min()
    }

    fn list(&self, bits: u8) -> u64 {
        let open = self.open[usize::from(bits)];
        list_bytes(open.saturating_mul(self.items) >> bits, open)
    }
}

/// The bytes of a digest among this many. With three of them, a difference goes unseen once in 2^24
/// comparisons, until the next session.
pub(super) fn digest_width(digests: u64) -> u8 {
    if digests > 8 { 3 } else { 4 }
}

/// The bytes of listing this many items in so many parts: a count for each part, and for each item a
/// fingerprint that no other is likely to equal, less what the order of a list saves.
pub(super) fn list_bytes(items: u64, parts: u64) -> u64 {
    let per_part = items.checked_div(parts).unwrap_or(0).max(1).ilog2();
    let bits = u64::from(items.max(1).ilog2() + 14).max(34_u64.saturating_sub(per_part.into()));
    items.saturating_mul(bits) / 8 + 2 * parts
}

/// How many of `bins` hold a ball when `balls` are thrown at random, rounded.
pub(super) fn occupied(balls: u64, bins: u64) -> u64 {
    if bins <= 1 {
        return balls.min(bins);
    }
    let empty = power(ONE - ONE / u128::from(bins), balls);
    let occupied = (u128::from(bins) * (ONE - empty) + ONE / 2) >> 64;
    u64::try_from(occupied).unwrap_or(bins)
}

/// The number of balls that most likely leave `hit` of `bins` with a ball; `None` if too few bins are
/// empty to tell (linear counting; Whang, Vander-Zanden and Taylor, 1990).
pub(super) fn balls(hit: u64, bins: u64) -> Option<u64> {
    let (mut low, mut high) = (hit, bins * MOST_PER_BIN);
    if occupied(high, bins) <= hit {
        return None;
    }
    while low < high {
        let middle = low.midpoint(high);
        if occupied(middle, bins) < hit {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Some(low)
}

/// A power of a number below one in fixed point.
fn power(base: u128, mut exponent: u64) -> u128 {
    let (mut base, mut result) = (base, ONE);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = times(result, base);
        }
        base = times(base, base);
        exponent >>= 1;
    }
    result
}

/// Both at most one: the product of 64-bit fractions, by halves so that it stays within 128 bits.
fn times(a: u128, b: u128) -> u128 {
    if a == ONE {
        return b;
    }
    if b == ONE {
        return a;
    }
    (a * b) >> 64
}
