//! What is measured, written down once: every candidate goes through the same steps.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// A set that replicas merge.
pub trait MergingSet: Clone + Default {
    /// Adds an element in the name of a replica.
    fn add(&mut self, replica: u128, element: u64);
    /// Removes an element as far as it is seen.
    fn remove(&mut self, element: u64);
    /// Merges another replica's set, which is used up.
    fn merge_with(&mut self, other: Self);
    /// The elements, ascending.
    fn elements(&self) -> Vec<u64>;
}

/// A counter that replicas merge.
pub trait MergingCounter: Clone + Default {
    /// Counts in the name of a replica.
    fn increment(&mut self, replica: u128, amount: u64);
    /// Merges another replica's counter, which is used up.
    fn merge_with(&mut self, other: Self);
    /// The sum of what all counted.
    fn total(&self) -> u128;
}

/// How two sets of the same size differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// Not at all.
    None,
    /// Either side added 1 % and removed another 1 %.
    Slight,
    /// Half of either side's elements are new to the other.
    Half,
}

impl Divergence {
    /// All of them, with their names.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::None, "equal"), (Self::Slight, "1 % added, 1 % removed"), (Self::Half, "half common")];
}

const LEFT: u128 = 0xa;
const RIGHT: u128 = 0xb;

/// Two replicas of a set of about `len` random elements that were one and then went apart.
pub fn diverged_sets<S: MergingSet>(len: usize, divergence: Divergence) -> [S; 2] {
    let mut rng = ChaCha8Rng::seed_from_u64(len as u64);
    let (common, added, removed) = match divergence {
        Divergence::None => (len, 0, 0),
        Divergence::Slight => (len, len / 100, len / 100),
        Divergence::Half => (len / 2, len / 2, 0),
    };
    let elements: Vec<u64> = (0..common).map(|_| rng.next_u64()).collect();
    let mut start = S::default();
    for (&element, replica) in elements.iter().zip([LEFT, RIGHT].into_iter().cycle()) {
        start.add(replica, element);
    }
    let mut sides = [start.clone(), start];
    for (side, (set, replica)) in sides.iter_mut().zip([LEFT, RIGHT]).enumerate() {
        for _ in 0..added {
            set.add(replica, rng.next_u64());
        }
        for element in elements.iter().skip(side * removed).take(removed) {
            set.remove(*element);
        }
    }
    sides
}

/// Two replicas of a counter with `replicas` entries, each of which is further on one side or the other.
pub fn diverged_counters<C: MergingCounter>(replicas: u128) -> [C; 2] {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut sides = [C::default(), C::default()];
    for replica in 1..=replicas {
        for side in &mut sides {
            side.increment(replica, u64::from(rng.next_u32()) + 1);
        }
    }
    sides
}
