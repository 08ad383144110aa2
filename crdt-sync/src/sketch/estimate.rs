//! How many differences there are, before they are looked for.

/// How many keys differ, estimated from short digests of tree nodes.
///
/// Differing keys fall into nodes at random, so the number of differing nodes tells theirs as occupied boxes tell
/// the number of balls: with `k` of `m` nodes occupied it took `m/m + m/(m-1) + ... + m/(m-k+1)` keys on average (the
/// coupon collector; about `-m ln(1 - k/m)`). Digests of one byte miss one differing node in 256, which is made
/// up for.
///
/// When nearly all nodes differ nothing more can be said than that there are many: then take nodes deeper in the
/// tree, all or a part of them.
///
/// ```
/// use crdt_sync::sketch::Estimate;
///
/// let of_256 = Estimate::of_digests(&[0; 256], &[0; 256], 256);
/// assert_eq!(of_256.differences(), 0);
/// let of_256 = Estimate::of_nodes(84, 256, 256);
/// assert_eq!(of_256.differences(), 102);
/// assert!(of_256.low() <= 100 && 100 <= of_256.high());
/// assert!(Estimate::of_nodes(256, 256, 256).is_saturated());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Estimate {
    differences: u64,
    deviation: u64,
    saturated: bool,
}

/// Values in the sums have this many bits behind the point.
const FRACTION: u32 = 16;
/// Digests of one byte agree by chance once in so many times.
const DIGESTS: u64 = 256;

impl Estimate {
    /// The estimate when `differing` one-byte digests of `compared` nodes differ, at a depth with `nodes` nodes.
    ///
    /// Comparing a part of the nodes, as 256 of 65,536, measures large differences at little cost and less
    /// precision. O(compared).
    pub fn of_nodes(differing: u32, compared: u32, nodes: u32) -> Self {
        let (m, seen) = (u64::from(compared), u64::from(differing.min(compared)));
        let nodes = u64::from(nodes).max(m);
        // Rounded to the nearest.
        let occupied = (seen * DIGESTS + (DIGESTS - 1) / 2) / (DIGESTS - 1);
        let saturated = m == 0 || occupied >= m;
        let occupied = occupied.min(m.saturating_sub(1));
        let (mut keys, mut variance) = (0_u64, 0_u64);
        for k in 0..occupied {
            let free = m - k;
            keys += (m << FRACTION) / free;
            variance += ((m * k) << FRACTION) / (free * free);
        }
        // Each of the digests that agree by chance, at the number of keys that the next node stands for.
        let per_node = m.checked_div(m - occupied).unwrap_or(1);
        variance += (seen << FRACTION) / DIGESTS * per_node * per_node;
        Self::scaled(keys, variance, (nodes, m.max(1)), saturated)
    }

    /// The estimate from two sides' digests of the same nodes, one byte each, in order; digests without a
    /// counterpart do not count.
    pub fn of_digests(ours: &[u8], theirs: &[u8], nodes: u32) -> Self {
        let pairs = ours.iter().zip(theirs);
        let differing = pairs.clone().filter(|(ours, theirs)| ours != theirs).count();
        let count = |value| u32::try_from(value).unwrap_or(u32::MAX);
        Self::of_nodes(count(differing), count(pairs.len()), nodes)
    }

    /// From a part of the nodes to all of them: keys fall into that part by chance as well.
    fn scaled(keys: u64, variance: u64, (nodes, compared): (u64, u64), saturated: bool) -> Self {
        let scale = |value: u64| u128::from(value) * u128::from(nodes) / u128::from(compared);
        let differences = to_u64((scale(keys) + (1 << (FRACTION - 1))) >> FRACTION);
        let sampling = scale(keys) * u128::from(nodes - compared) / u128::from(compared);
        let occupancy = scale(to_u64(scale(variance)));
        let deviation = to_u64(((sampling + occupancy) >> FRACTION).isqrt());
        Self { differences, deviation, saturated }
    }

    /// The most likely number.
    pub fn differences(&self) -> u64 {
        self.differences
    }

    /// The standard deviation.
    pub fn deviation(&self) -> u64 {
        self.deviation
    }

    /// The lower end of an interval that holds the true number 19 times in 20.
    pub fn low(&self) -> u64 {
        self.differences.saturating_sub(2 * self.deviation + self.slack())
    }

    /// The upper end; `u64::MAX` if the estimate is saturated.
    pub fn high(&self) -> u64 {
        if self.is_saturated() {
            return u64::MAX;
        }
        self.differences.saturating_add(2 * self.deviation + self.slack())
    }

    /// Whether all digests differ, so that there may be any number of differences above the estimate.
    pub fn is_saturated(&self) -> bool {
        self.saturated
    }

    /// The one of two estimates that says more.
    pub fn or_tighter(self, other: Self) -> Self {
        let doubt =
            |estimate: &Self, by: u64| u128::from(estimate.deviation).saturating_mul(u128::from(by.max(1)));
        let theirs = doubt(&other, self.differences);
        match (self.saturated, other.saturated) {
            (true, false) => other,
            (false, true) => self,
            _ if doubt(&self, other.differences) <= theirs => self,
            _ => other,
        }
    }

    /// A few differences may hide in one node or behind one digest: an estimate of few is not exact.
    fn slack(&self) -> u64 {
        u64::from(self.differences > 0)
    }
}

fn to_u64(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}
