//! Replicas that write, remove, and exchange deltas in any order, with an index and without.

use core::fmt::Debug;
use core::num::NonZeroI64;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index as Pick;

use super::*;
use crate::dotted::{DotFun, DotRuns, ElementStore, StoreDigest};
use crate::{Crdt, DeltaCrdt, HeapSize};

/// `at`, `from` and `to` name one of three replicas.
#[derive(Clone, Debug)]
enum Step {
    /// Mints dots under a key, beside those it has or in their place.
    Write {
        at: usize,
        key: u8,
        dots: u64,
        replace: bool,
        in_place: bool,
    },
    Remove {
        at: usize,
        key: u8,
        in_place: bool,
    },
    /// Any delta made so far, late, again, or never.
    Deliver {
        delta: Pick,
        to: usize,
    },
    /// What the other lacks.
    Since {
        from: usize,
        to: usize,
    },
    Merge {
        from: usize,
        to: usize,
    },
}

fn arb_step() -> impl Strategy<Value = Step> {
    let at = || 0..3_usize;
    // Some keys are written again and again.
    let key = || prop_oneof![0..KEYS, 0..4_u8];
    prop_oneof![
        6 => (at(), key(), 1..4_u64, any::<bool>(), any::<bool>())
            .prop_map(|(at, key, dots, replace, in_place)| Step::Write { at, key, dots, replace, in_place }),
        4 => (at(), key(), any::<bool>()).prop_map(|(at, key, in_place)| Step::Remove { at, key, in_place }),
        8 => (any::<Pick>(), at()).prop_map(|(delta, to)| Step::Deliver { delta, to }),
        2 => (at(), at()).prop_map(|(from, to)| Step::Since { from, to }),
        1 => (at(), at()).prop_map(|(from, to)| Step::Merge { from, to }),
    ]
}

const KEYS: u8 = 60;

/// A store in which the histories can write.
trait Place: StoreDigest + Debug {
    fn put(&mut self, dot: Dot, key: u8);
}

impl Place for DotSet {
    fn put(&mut self, dot: Dot, _: u8) {
        self.insert(dot);
    }
}

impl Place for DotFun<u64> {
    fn put(&mut self, dot: Dot, _: u8) {
        self.insert(dot, dot.counter() % 3);
    }
}

impl Place for DotRuns {
    fn put(&mut self, dot: Dot, _: u8) {
        self.insert(dot, NonZeroI64::new(1 + i64::from(small(dot, 250) / 16)).unwrap());
    }
}

impl Place for ElementStore<u8> {
    fn put(&mut self, dot: Dot, _: u8) {
        let live: Vec<_> = self.iter_dots().map(|(dot, element)| (dot, *element)).collect();
        *self = live.into_iter().chain([(dot, small(dot, 5))]).collect();
    }
}

impl<S: Place> Place for DotMap<u8, S> {
    fn put(&mut self, dot: Dot, key: u8) {
        let inner = small(dot, 3);
        let mut store = self.remove(&inner).unwrap_or_default();
        store.put(dot, key);
        self.insert(inner, store);
    }
}

/// A number that follows from the dot, as the content of a dot does.
fn small(dot: Dot, below: u64) -> u8 {
    u8::try_from(dot.counter() % below).unwrap()
}

/// A replica, and its store as the plain walk leaves it.
struct Side<S> {
    state: Causal<DotMap<u8, S>>,
    plain: DotMap<u8, S>,
}

impl<S: Place> Side<S> {
    fn write(&mut self, step: &Step) -> Causal<DotMap<u8, S>> {
        let (at, key, dots, replace, in_place) = match *step {
            Step::Write { at, key, dots, replace, in_place } => (at, key, dots, replace, in_place),
            Step::Remove { at, key, in_place } => (at, key, 0, true, in_place),
            _ => return Causal::default(),
        };
        let before = self.state.store().get(&key).cloned().unwrap_or_default();
        let (mut new, mut after) = (S::default(), if replace { S::default() } else { before.clone() });
        let mut context = self.state.context().clone();
        for _ in 0..dots {
            let dot = context.next_dot(replica(at)).unwrap();
            context.insert(dot);
            new.put(dot, key);
            after.put(dot, key);
        }
        let superseded = if replace { before.dots() } else { CausalContext::new() };
        let delta = Causal::delta([(key, new)].into_iter().collect(), superseded);
        if in_place {
            let (store, seen) = self.state.parts_mut();
            if after.is_empty() {
                store.remove(&key)
            } else {
                store.insert(key, after.clone())
            };
            self.plain.insert(key, after);
            *seen = context;
            self.check();
        } else {
            self.take_in(&delta);
        }
        delta
    }

    fn take_in(&mut self, delta: &Causal<DotMap<u8, S>>) {
        let (store, seen) = (delta.store(), delta.context());
        let absorbs = self.plain.absorbs_all(self.state.context(), store, seen);
        assert_eq!(self.state.store().absorbs(self.state.context(), store, seen), absorbs);
        let mut joined = self.state.store().clone();
        let change = joined.join(self.state.context(), store, seen);
        assert_eq!(change, self.plain.join_all(self.state.context(), store, seen));
        assert_eq!(absorbs, !change.is_changed());
        let _ = self.state.merge(delta);
        assert_eq!(&joined, self.state.store());
        self.check();
    }

    fn check(&self) {
        let store = self.state.store();
        assert_eq!(store, &self.plain);
        assert!(store.scrub());
        assert_eq!(store.dots(), self.plain.dots());
        assert_eq!(store.store_digest(), self.plain.store_digest());
    }

    fn check_questions(&self, other: &Self) {
        let (store, seen) = (self.state.store(), other.state.context());
        assert_eq!(store.unseen_by(seen), self.plain.unseen_by(seen));
        assert_eq!(store.find_fork(self.state.context(), other.state.store()), None);
        assert!(!store.unseen_by(seen).is_indexed());
    }
}

fn check<S: Place>(steps: &[Step]) {
    let mut sides = [0, 1, 2].map(|_| Side::<S> { state: Causal::default(), plain: DotMap::new() });
    for key in 0..KEYS {
        let at = usize::from(key) % 3;
        sides[at].write(&Step::Write {
            at,
            key,
            dots: 1 + u64::from(key % 2),
            replace: true,
            in_place: true,
        });
    }
    for to in [0, 1, 2, 0, 1] {
        let state = sides[(to + 1) % 3].state.clone();
        sides[to].take_in(&state);
        sides[to].state.parts_mut().0.track_digest();
    }
    let mut deltas = Vec::new();
    for step in steps {
        match *step {
            Step::Write { at, .. } | Step::Remove { at, .. } => deltas.push(sides[at].write(step)),
            Step::Deliver { ref delta, to } => {
                if !deltas.is_empty() {
                    sides[to].take_in(delta.get(&deltas));
                }
            }
            Step::Since { from, to } => {
                sides[from].check_questions(&sides[to]);
                let news = sides[from].state.delta_since(&sides[to].state.digest());
                sides[to].take_in(&news);
            }
            Step::Merge { from, to } => {
                sides[from].check_questions(&sides[to]);
                let state = sides[from].state.clone();
                sides[to].take_in(&state);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn sets_join_as_by_the_plain_walk(steps in vec(arb_step(), 0..60)) {
        check::<DotSet>(&steps);
    }

    #[test]
    fn registers_join_as_by_the_plain_walk(steps in vec(arb_step(), 0..60)) {
        check::<DotFun<u64>>(&steps);
    }

    #[test]
    fn counters_join_as_by_the_plain_walk(steps in vec(arb_step(), 0..60)) {
        check::<DotRuns>(&steps);
    }

    #[test]
    fn nested_sets_join_as_by_the_plain_walk(steps in vec(arb_step(), 0..60)) {
        check::<DotMap<u8, ElementStore<u8>>>(&steps);
    }

    /// Whichever dots a forged state files under whichever keys.
    #[test]
    fn a_fork_is_the_one_that_the_plain_walk_finds(
        forged in vec((1..100_u64, 0..100_u32), 0..6),
        removed in vec(0..100_u32, 0..8),
    ) {
        let (mut store, context) = elements(80, |number| number).into_parts();
        let _ = store.join(&context, &DotMap::new(), &CausalContext::from(dot(5)));
        prop_assert!(store.is_indexed());
        for key in removed {
            store.remove(&key);
        }
        let other = forged.into_iter().map(|(counter, key)| (key, DotSet::from(dot(counter)))).collect();
        let found = store.find_fork(&context, &other);
        prop_assert_eq!(found, store.find_fork_in_all(&context, &other));
    }
}

#[test]
fn what_is_kept_beside_the_entries_makes_no_difference() {
    let (mut store, context) = elements(100, |number| number).into_parts();
    let plain = store.clone();
    let small = store.heap_size();
    store.track_digest();
    let _ = store.join(&context, &DotMap::new(), &CausalContext::from(dot(200)));
    assert!(store.is_indexed() && !plain.is_indexed());
    assert_eq!(store, plain);
    assert_eq!(std::format!("{store:?}"), std::format!("{plain:?}"));
    assert_eq!(crate::hashing::hash_one(&store), crate::hashing::hash_one(&plain));
    assert!(store.heap_size() > small, "but for memory");
    assert_eq!(store.without_index().dots(), plain.dots());
}

#[test]
fn an_index_goes_when_the_map_is_small_again() {
    let (mut store, context) = elements(100, |number| number).into_parts();
    let _ = store.join(&context, &DotMap::new(), &CausalContext::from(dot(200)));
    for key in 0..84 {
        store.remove(&key);
        assert!(store.is_indexed() && store.scrub());
    }
    store.remove(&84);
    assert!(!store.is_indexed());
}

#[test]
fn a_tracked_digest_survives_clearing_copying_and_renaming() {
    let (store, context) = elements(50, |number| number).into_parts();
    let digest = store.store_digest();
    let mut tracked = DotMap::<u32, DotSet>::new();
    tracked.track_digest();
    let _ = tracked.join(&CausalContext::new(), &store, &context);
    assert_eq!(tracked.store_digest(), digest);
    let mut copy = tracked.clone();
    copy.clear();
    assert_eq!((copy.store_digest(), copy.is_empty()), (0, true));
    for (key, store) in store.iter() {
        copy.insert(*key, store.clone());
    }
    assert_eq!(copy.store_digest(), digest);
    assert!(copy.scrub() && tracked.scrub());
    let moved = |dot: Dot| Dot::new(replica(1), dot.counter() + 7).unwrap();
    let renamed = tracked.renamed(&moved);
    assert!(renamed.kept.tracked.is_some() && renamed.scrub());
    assert_eq!(renamed.store_digest(), store.renamed(&moved).store_digest());
}

/// Such a map is refused wherever it comes in; should one be made all the same, it works as well as a small one.
#[test]
fn a_dot_in_two_places_is_nothing_an_index_can_tell() {
    let (mut store, context) = elements(50, |number| number).into_parts();
    store.insert(60, DotSet::from(dot(1)));
    assert!(Causal::from_parts(store.clone(), context.clone()).is_err());
    let mut plain = store.clone();
    let removal = CausalContext::from(dot(1));
    assert!(store.join(&context, &DotMap::new(), &removal).is_changed());
    assert!(plain.join_all(&context, &DotMap::new(), &removal).is_changed());
    assert_eq!(store, plain);
    assert!(store.scrub());

    let _ = store.join(&context, &DotMap::new(), &CausalContext::from(dot(2)));
    assert!(store.is_indexed());
    store.insert(61, DotSet::from(dot(3)));
    assert!(!store.is_indexed() && store.scrub());
}
