use alloc::collections::{BTreeMap, BTreeSet};

use core::cmp::Ordering;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::dotted::{Causal, CausalDigest, DotFun, DotMap, DotSet, DotStore};
use crate::laws::{check_delta_laws, check_laws};
use crate::{CausalContext, Change, Crdt, DeltaCrdt, Dot, ReplicaId};

/// What a replica did. `at` and `from` name one of three replicas, `key` one of a few places.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Put something under a key, replacing what is visible there.
    Write { at: usize, key: u8 },
    /// Remove what is visible under a key.
    Remove { at: usize, key: u8 },
    /// Take in all of another replica's state.
    Merge { at: usize, from: usize },
    /// Take in one part of it, as if the other messages were lost or are still on the way.
    Part { at: usize, from: usize, nth: usize },
}

fn arb_history() -> impl Strategy<Value = Vec<Step>> {
    let step =
        (0..3_usize, 0..3_usize, 0..4_u8, 0..8_usize, 0..8_u8).prop_map(|(at, from, key, nth, kind)| {
            match kind {
                0..=2 => Step::Write { at, key },
                3..=4 => Step::Remove { at, key },
                5..=6 => Step::Part { at, from, nth },
                _ => Step::Merge { at, from },
            }
        });
    vec(step, 0..40)
}

/// A store in which the histories can write; the key may spread over several levels.
trait Place: DotStore + core::fmt::Debug {
    fn holding(dot: Dot, key: u8) -> Self;
    fn dots_of(&self, key: u8) -> CausalContext;
}

impl Place for DotSet {
    fn holding(dot: Dot, _: u8) -> Self {
        Self::from(dot)
    }

    fn dots_of(&self, _: u8) -> CausalContext {
        self.dots()
    }
}

impl Place for DotFun<u64> {
    fn holding(dot: Dot, _: u8) -> Self {
        [(dot, dot.counter())].into_iter().collect()
    }

    fn dots_of(&self, _: u8) -> CausalContext {
        self.dots()
    }
}

impl<S: Place> Place for DotMap<u8, S> {
    fn holding(dot: Dot, key: u8) -> Self {
        let mut map = Self::new();
        map.insert(key % 2, S::holding(dot, key / 2));
        map
    }

    fn dots_of(&self, key: u8) -> CausalContext {
        self.get(&(key % 2)).map(|store| store.dots_of(key / 2)).unwrap_or_default()
    }
}

fn replica(index: usize) -> ReplicaId {
    ReplicaId::from_bytes([[0xaa, 0xbb, 0xcc][index]; 16])
}

fn replay<S: Place>(history: &[Step]) -> [Causal<S>; 3] {
    let mut states: [Causal<S>; 3] = Default::default();
    for step in history {
        let (at, news) = match *step {
            Step::Write { at, key } => {
                let dot = states[at].context().next_dot(replica(at)).unwrap();
                (at, Causal::delta(S::holding(dot, key), states[at].store().dots_of(key)))
            }
            Step::Remove { at, key } => (at, Causal::delta(S::default(), states[at].store().dots_of(key))),
            Step::Merge { at, from } => (at, states[from].clone()),
            Step::Part { at, from, nth } => {
                (at, states[from].split().into_iter().nth(nth).unwrap_or_default())
            }
        };
        let _ = states[at].merge(&news);
    }
    states
}

fn check<S: Place>(history: &[Step]) -> Result<(), TestCaseError> {
    let [a, b, c] = replay::<S>(history);
    check_laws(&a, &b, &c)?;
    check_delta_laws(&a, &b, &c)?;
    for (ours, theirs) in [(&a, &b), (&b, &c), (&c, &a)] {
        check_store(ours, theirs)?;
    }
    for state in [&a, &b, &c] {
        prop_assert!(Causal::from_parts(state.store().clone(), state.context().clone()).is_ok());
    }
    Ok(())
}

/// A store under a shared context answers for itself: what it says is about the store alone.
fn check_store<S: Place>(ours: &Causal<S>, theirs: &Causal<S>) -> Result<(), TestCaseError> {
    let mut joined = ours.store().clone();
    let change = joined.join(ours.context(), theirs.store(), theirs.context());
    prop_assert_eq!(change, Change::from(joined != *ours.store()));
    let absorbed = ours.store().absorbs(ours.context(), theirs.store(), theirs.context());
    prop_assert_eq!(absorbed, !change.is_changed());
    prop_assert_eq!(joined.is_empty(), joined.dots().is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn a_flag_obeys_the_laws(history in arb_history()) {
        check::<DotSet>(&history)?;
    }

    #[test]
    fn a_register_obeys_the_laws(history in arb_history()) {
        check::<DotFun<u64>>(&history)?;
    }

    #[test]
    fn a_set_obeys_the_laws(history in arb_history()) {
        check::<DotMap<u8, DotSet>>(&history)?;
    }

    #[test]
    fn a_map_of_maps_obeys_the_laws(history in arb_history()) {
        check::<DotMap<u8, DotMap<u8, DotFun<u64>>>>(&history)?;
    }

    /// A digest taken at any earlier moment of the receiver's history is as good as a fresh one.
    #[test]
    fn a_delta_for_a_stale_digest_still_brings_the_receiver_up_to_date(
        history in arb_history(),
        earlier in 0..40_usize,
    ) {
        let [_, stale, _] = replay::<DotMap<u8, DotSet>>(&history[..earlier.min(history.len())]);
        let [a, b, _] = replay::<DotMap<u8, DotSet>>(&history);
        let delta = a.delta_since(&stale.digest());
        prop_assert_eq!(b.clone().merged(&delta), b.merged(&a));
    }

    /// Half of an add or of a removal is no more than that: a lost rest never removes anything else.
    #[test]
    fn merging_the_parts_one_by_one_in_any_order_gives_the_whole(
        history in arb_history(),
        order in any::<prop::sample::Index>(),
    ) {
        let [a, b, _] = replay::<DotMap<u8, DotSet>>(&history);
        let mut parts = a.split();
        if !parts.is_empty() {
            let middle = order.index(parts.len());
            parts.rotate_left(middle);
        }
        let sum = parts.iter().fold(b.clone(), Crdt::merged);
        prop_assert_eq!(sum, b.merged(&a));
    }
}

/// A causal value the obvious way: which dots were seen, and where the live ones sit.
#[derive(Clone, Debug, Default, PartialEq)]
struct Naive {
    live: BTreeMap<Dot, u8>,
    seen: BTreeSet<Dot>,
}

impl Naive {
    fn of(state: &Causal<DotMap<u8, DotSet>>) -> Self {
        let place = |(dot, part): (Dot, DotMap<u8, DotSet>)| part.iter().next().map(|(key, _)| (dot, *key));
        Self {
            live: state.store().split().into_iter().filter_map(place).collect(),
            seen: state.context().dots().collect(),
        }
    }

    fn merged(&self, other: &Self) -> Self {
        let both = self.live.iter().chain(&other.live);
        let survives = |dot: &Dot| {
            let alive_or_unseen = |side: &Self| side.live.contains_key(dot) || !side.seen.contains(dot);
            alive_or_unseen(self) && alive_or_unseen(other)
        };
        Self {
            live: both.filter(|(dot, _)| survives(dot)).map(|(dot, key)| (*dot, *key)).collect(),
            seen: &self.seen | &other.seen,
        }
    }

    /// The formula, word for word.
    fn delta_since(&self, digest: &CausalDigest) -> Self {
        let removed_here = |dot: &Dot| !self.live.contains_key(dot) && digest.live.contains(*dot);
        let news = |dot: &Dot| !digest.context.contains(*dot);
        Self {
            live: self.live.iter().filter(|(dot, _)| news(dot)).map(|(dot, key)| (*dot, *key)).collect(),
            seen: self.seen.iter().copied().filter(|dot| news(dot) || removed_here(dot)).collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn the_join_of_stores_is_the_join_of_naive_sets(history in arb_history()) {
        let [a, b, _] = replay::<DotMap<u8, DotSet>>(&history);
        let expected = Naive::of(&a).merged(&Naive::of(&b));
        let mut merged = a.clone();
        let change = merged.merge(&b);
        prop_assert_eq!(Naive::of(&merged), expected.clone());
        prop_assert_eq!(change, Change::from(expected != Naive::of(&a)));
        let dominated = expected == Naive::of(&a);
        prop_assert_eq!(b.compare(&a).is_some_and(Ordering::is_le), dominated);
    }

    #[test]
    fn the_delta_is_the_one_of_the_formula(history in arb_history()) {
        let [a, b, _] = replay::<DotMap<u8, DotSet>>(&history);
        let delta = a.delta_since(&b.digest());
        prop_assert_eq!(Naive::of(&delta), Naive::of(&a).delta_since(&b.digest()));
    }

    /// The engine's way: many keys, one context, mutators on the store alone.
    #[test]
    fn stores_under_a_shared_context_agree_with_standalone_values(history in arb_history()) {
        let (mut store, mut context) = (DotMap::<u8, DotSet>::new(), CausalContext::new());
        let mut alone = Causal::<DotMap<u8, DotSet>>::default();
        for step in history {
            let delta = match step {
                Step::Write { key, .. } => {
                    let dot = context.next_dot(replica(0)).unwrap();
                    context.insert(dot);
                    let superseded = store.add(dot, key).dots();
                    Causal::delta([(key, DotSet::from(dot))].into_iter().collect(), superseded)
                }
                Step::Remove { key, .. } => Causal::delta(DotMap::new(), store.take(&key).dots()),
                Step::Merge { .. } | Step::Part { .. } => continue,
            };
            let _ = alone.merge(&delta);
            prop_assert_eq!(alone.store(), &store);
            prop_assert_eq!(alone.context(), &context);
        }
    }
}
