//! Long histories: what grows, is packed, refilled and mostly removed again, beside the plain form.

use super::*;
use crate::Change;

const REPLICAS: usize = 3;

/// Deltas made lately; what is older than these was lost.
const UNDER_WAY: usize = 48;

#[derive(Clone)]
struct Pair {
    fast: Fast,
    plain: Plain,
}

impl Pair {
    fn new() -> Self {
        let mut store = ElementStore::new();
        store.track_digest();
        let fast = Causal::from_parts(store, CausalContext::new()).unwrap();
        Self { fast, plain: Plain::default() }
    }

    fn merge(&mut self, other: &Self) {
        let change = self.fast.merge(&other.fast);
        assert_eq!(change, self.plain.merge(&other.plain));
        assert_eq!(self.fast.merge(&other.fast), Change::Unchanged);
    }

    fn add(&mut self, replica: ReplicaId, element: u16) -> Self {
        let dot = self.fast.context().next_dot(replica).unwrap();
        let superseded: CausalContext = self.fast.store().dots_of(&element).iter().collect();
        let mut added = DotMap::new();
        added.add(dot, element);
        let fast = Causal::delta([(dot, element)].into_iter().collect(), superseded.clone());
        let delta = Self { fast, plain: Causal::delta(added, superseded) };
        self.merge(&delta);
        delta
    }

    /// Removes the elements that `which` picks, in place as a mutator does.
    fn remove(&mut self, which: impl Fn(u16) -> bool) -> Self {
        let elements: Vec<u16> =
            self.fast.store().iter().copied().filter(|element| which(*element)).collect();
        let mut removed = Vec::new();
        let (store, _) = self.fast.parts_mut();
        for element in &elements {
            removed.extend(store.take(element).iter());
        }
        let removed: CausalContext = removed.into_iter().collect();
        let delta = Self {
            fast: Causal::delta(ElementStore::new(), removed.clone()),
            plain: Causal::delta(DotMap::new(), removed),
        };
        let _ = self.plain.merge(&delta.plain);
        delta
    }

    fn check(&self) {
        check_sound(self.fast.store());
        assert_eq!(plain(&self.fast), self.plain);
        assert_eq!(self.fast.digest(), self.plain.digest());
        let tracked = self.fast.store().tracked.map(|tracked| tracked.sum);
        assert_eq!(tracked, Some(self.plain.store().store_digest()));
    }
}

/// How a history goes: how many elements there are, and how often a large part of them goes at once.
#[derive(Clone, Copy, Debug)]
struct Manner {
    universe: u16,
    steps: usize,
    mass_removals: u64,
}

fn run(manner: Manner, seed: u64) {
    let mut dice = Dice(seed);
    let mut replicas: Vec<Pair> = (0..REPLICAS).map(|_| Pair::new()).collect();
    let mut under_way: Vec<Pair> = Vec::new();
    for step in 0..manner.steps {
        let at = dice.below(REPLICAS as u64) as usize;
        let me = id(at as u8 + 1);
        let element = dice.below(manner.universe.into()) as u16;
        let made = match dice.below(100) {
            0..35 => Some(replicas[at].add(me, element)),
            35..40 => {
                let mut group = Pair { fast: Fast::default(), plain: Plain::default() };
                for more in 0..dice.below(u64::from(manner.universe).min(300)) {
                    let element = (element + more as u16) % manner.universe;
                    group.merge(&replicas[at].add(me, element));
                }
                Some(group)
            }
            40..55 => Some(replicas[at].remove(|other| other == element)),
            55..57 if dice.below(100) < manner.mass_removals => {
                let spared = dice.below(20) as u16;
                Some(replicas[at].remove(|other| spared == 0 || other % 20 != spared))
            }
            57..80 if !under_way.is_empty() => {
                let delta = dice.below(under_way.len() as u64) as usize;
                let delta = under_way[delta].clone();
                replicas[at].merge(&delta);
                None
            }
            80..92 => {
                let other = dice.below(REPLICAS as u64) as usize;
                let digest = replicas[other].fast.digest();
                let Pair { fast, plain } = &replicas[at];
                let missing = Pair { fast: fast.delta_since(&digest), plain: plain.delta_since(&digest) };
                check_sound(missing.fast.store());
                replicas[other].merge(&missing);
                None
            }
            92..96 => {
                let state = replicas[dice.below(REPLICAS as u64) as usize].clone();
                replicas[at].merge(&state);
                None
            }
            _ => None,
        };
        under_way.extend(made);
        if under_way.len() > UNDER_WAY {
            under_way.swap_remove(dice.below(UNDER_WAY as u64) as usize);
        }
        if step % 64 == 0 {
            replicas.iter().for_each(Pair::check);
        }
    }
    let whole = replicas[1..].iter().fold(replicas[0].clone(), |mut whole, replica| {
        whole.merge(replica);
        whole
    });
    for mut replica in replicas.into_iter().rev() {
        replica.check();
        replica.merge(&whole);
        replica.check();
        assert!(replica.fast == whole.fast);
        replica.remove(|_| true);
        assert!(replica.fast.store().heap_size() < 4_000, "{} bytes for nothing", replica.fast.heap_size());
    }
}

struct Dice(u64);

impl Dice {
    /// `SplitMix64`.
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % sides
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn few_elements_over_thousands_of_steps(seed in any::<u64>()) {
        run(Manner { universe: 6, steps: 3_000, mass_removals: 30 }, seed);
    }

    #[test]
    fn many_elements_with_mass_removals(seed in any::<u64>()) {
        run(Manner { universe: 1_200, steps: 600, mass_removals: 100 }, seed);
    }

    #[test]
    fn some_elements_that_mostly_stay(seed in any::<u64>()) {
        run(Manner { universe: 90, steps: 1_500, mass_removals: 10 }, seed);
    }
}
