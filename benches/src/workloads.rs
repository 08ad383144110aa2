//! What is measured, written down once: every candidate goes through the same steps.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// State that replicas merge.
pub trait Merging: Clone + Default + 'static {
    /// What is left of a state that was merged in. Whoever keeps the clock drops it after looking at the clock.
    type Rest;

    /// Merges another replica's state.
    fn merge_with(&mut self, other: Self) -> Self::Rest;
}

/// A counter that replicas merge.
pub trait MergingCounter: Merging {
    /// Counts in the name of a replica, which has not counted before.
    fn count(&mut self, replica: u128, amount: u64);
    /// The sum of what all counted.
    fn total(&self) -> u128;
}

/// A set that replicas merge.
pub trait MergingSet: Merging {
    /// Adds an element in the name of a replica.
    fn add(&mut self, replica: u128, element: u64);
    /// Whether the element is in the set.
    fn has(&self, element: u64) -> bool;
    /// The elements, ascending.
    fn elements(&self) -> Vec<u64>;

    /// The set after these replicas added these elements.
    fn build(adds: &[(u128, Vec<u64>)]) -> Self {
        let mut set = Self::default();
        for (replica, elements) in adds {
            for element in elements {
                set.add(*replica, *element);
            }
        }
        set
    }
}

/// A set that also loses elements.
pub trait RemovingSet: MergingSet {
    /// Removes an element as far as it is seen.
    fn remove(&mut self, element: u64);
}

/// A set whose changes travel by themselves: as deltas, or as operations where those are what a crate has.
pub trait DeltaSet: RemovingSet {
    /// What travels.
    type Delta: Clone + 'static;

    /// Adds the elements in the name of a replica.
    fn adding(&mut self, replica: u128, elements: &[u64]) -> Self::Delta;
    /// Removes the elements.
    fn removing(&mut self, elements: &[u64]) -> Self::Delta;
    /// Takes another replica's changes in.
    fn take_in(&mut self, delta: Self::Delta);
}

/// How two sets of the same size differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// Not at all.
    None,
    /// Either side added 1 % and, if the set can, removed another 1 %.
    Slight,
    /// Half of either side's elements are new to the other.
    Half,
    /// They have nothing in common.
    All,
}

impl Divergence {
    /// All of them, with their names.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::None, "equal"),
        (Self::Slight, "1 % changed"),
        (Self::Half, "half common"),
        (Self::All, "disjoint"),
    ];
}

/// How the replicas of two counters differ; the amounts always do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquaintance {
    /// Both sides know the same replicas.
    Same,
    /// Half of either side's replicas are new to the other.
    HalfNew,
}

impl Acquaintance {
    /// All of them, with their names.
    pub const ALL: [(Self, &'static str); 2] = [(Self::Same, "same replicas"), (Self::HalfNew, "half new")];
}

/// Who writes: the sides are two of them.
const REPLICAS: [u128; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
const SIDES: [u128; 2] = [1, 2];

/// Two replicas of a set of about `len` random elements that were one and then went apart.
///
/// Eight replicas wrote what is common, and their parts arrived in opposite orders.
pub fn diverged_sets<S: RemovingSet>(len: usize, divergence: Divergence) -> [S; 2] {
    let plan = Plan::new(len, divergence);
    let mut sides = plan.sides::<S>();
    for (set, removed) in sides.iter_mut().zip(&plan.removed) {
        for element in removed {
            set.remove(*element);
        }
    }
    sides
}

/// The same for sets that cannot remove.
pub fn grown_sets<S: MergingSet>(len: usize, divergence: Divergence) -> [S; 2] {
    Plan::new(len, divergence).sides()
}

/// The same for two sets that got what is common in one order: copies of one another, or readers of one log.
pub fn forked_sets<S: MergingSet>(len: usize, divergence: Divergence) -> [S; 2] {
    let plan = Plan::new(len, divergence);
    let mut sides = [S::build(&plan.common), S::build(&plan.common)];
    plan.add_to(&mut sides);
    sides
}

/// The same for two sets that got everything in random orders.
pub fn shuffled_sets<S: MergingSet>(len: usize, divergence: Divergence) -> [S; 2] {
    let plan = Plan::new(len, divergence);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    [0, 1].map(|side| {
        let mut elements: Vec<u64> = plan.common.iter().flat_map(|(_, part)| part).copied().collect();
        elements.extend(&plan.added[side]);
        elements.sort_by_cached_key(|_| rng.next_u64());
        S::build(&[(SIDES[side], elements)])
    })
}

struct Plan {
    common: Vec<(u128, Vec<u64>)>,
    added: [Vec<u64>; 2],
    removed: [Vec<u64>; 2],
}

impl Plan {
    fn new(len: usize, divergence: Divergence) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(len as u64);
        let (common, added, removed) = match divergence {
            Divergence::None => (len, 0, 0),
            Divergence::Slight => (len, len / 100, len / 100),
            Divergence::Half => (len / 2, len / 2, 0),
            Divergence::All => (0, len, 0),
        };
        let common = elements(&mut rng, common);
        let added = [(); 2].map(|()| elements(&mut rng, added));
        // From all over the set, on either side others.
        let mut far = common.iter().copied().step_by((common.len() / (2 * removed + 1)).max(1));
        let removed = [(); 2].map(|()| far.by_ref().take(removed).collect());
        let parts = common.chunks(common.len().div_ceil(REPLICAS.len()).max(1)).map(<[u64]>::to_vec);
        Self { common: REPLICAS.into_iter().zip(parts).collect(), added, removed }
    }

    fn sides<S: MergingSet>(&self) -> [S; 2] {
        let backwards: Vec<_> = self.common.iter().rev().cloned().collect();
        let mut sides = [S::build(&self.common), S::build(&backwards)];
        self.add_to(&mut sides);
        sides
    }

    fn add_to<S: MergingSet>(&self, sides: &mut [S; 2]) {
        for ((set, replica), added) in sides.iter_mut().zip(SIDES).zip(&self.added) {
            for element in added {
                set.add(replica, *element);
            }
        }
    }
}

/// A set of `len` elements, and `count` changes of ten elements that another replica makes to it.
pub struct Deltas<S: DeltaSet> {
    /// The set that takes them in.
    pub set: S,
    /// Adds of new elements.
    pub adds: Vec<S::Delta>,
    /// Removals of old elements, from all over the set.
    pub removals: Vec<S::Delta>,
}

impl<S: DeltaSet> Deltas<S> {
    /// How many elements a change concerns.
    pub const WIDTH: usize = 10;

    /// `count` changes of each kind to a set of `len` elements.
    pub fn new(len: usize, count: usize) -> Self {
        let plan = Plan::new(len, Divergence::None);
        let set = S::build(&plan.common);
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let mut source = set.clone();
        let new = elements(&mut rng, count * Self::WIDTH);
        let adds = new.chunks(Self::WIDTH).map(|new| source.adding(SIDES[1], new)).collect();
        let old: Vec<u64> = plan.common.iter().flat_map(|(_, part)| part).copied().collect();
        let far: Vec<u64> = old.iter().step_by((len / new.len()).max(1)).copied().take(new.len()).collect();
        let mut source = set.clone();
        let removals = far.chunks(Self::WIDTH).map(|old| source.removing(old)).collect();
        Self { set, adds, removals }
    }
}

/// Two replicas of a counter with `replicas` entries, each of which is further on one side or the other.
pub fn diverged_counters<C: MergingCounter>(replicas: usize, acquaintance: Acquaintance) -> [C; 2] {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut id = || u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
    let common = match acquaintance {
        Acquaintance::Same => replicas,
        Acquaintance::HalfNew => replicas / 2,
    };
    let common: Vec<u128> = (0..common).map(|_| id()).collect();
    let mut sides = [C::default(), C::default()];
    for side in &mut sides {
        let own = (common.len()..replicas).map(|_| id());
        let all: Vec<u128> = common.iter().copied().chain(own).collect();
        for replica in all {
            side.count(replica, (id() >> 96) as u64 + 1);
        }
    }
    sides
}

/// `count` random numbers.
pub fn elements(rng: &mut ChaCha8Rng, count: usize) -> Vec<u64> {
    (0..count).map(|_| rng.next_u64()).collect()
}
