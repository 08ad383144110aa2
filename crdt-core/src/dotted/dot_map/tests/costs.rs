//! Work is counted, not timed: comparisons and clones of keys, and pieces of stores that are looked at.

use core::cell::Cell;
use core::cmp::Ordering;
use core::ops::RangeInclusive;

use super::*;
use crate::dotted::CausalDigest;
use crate::{Change, Crdt, DeltaCrdt, OrMap, ReplicaId};

std::thread_local! {
    static COMPARED: Cell<u64> = const { Cell::new(0) };
    static CLONED: Cell<u64> = const { Cell::new(0) };
    static WALKED: Cell<u64> = const { Cell::new(0) };
}

#[derive(Debug)]
struct Counted(u32);

impl Clone for Counted {
    fn clone(&self) -> Self {
        CLONED.set(CLONED.get() + 1);
        Self(self.0)
    }
}

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Counted {}

impl PartialOrd for Counted {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Counted {
    fn cmp(&self, other: &Self) -> Ordering {
        COMPARED.set(COMPARED.get() + 1);
        self.0.cmp(&other.0)
    }
}

type Elements = Causal<DotMap<Counted, DotSet>>;

/// How many keys were compared and cloned.
fn work<R>(work: impl FnOnce() -> R) -> (u64, u64, R) {
    let before = (COMPARED.get(), CLONED.get());
    let result = work();
    (COMPARED.get() - before.0, CLONED.get() - before.1, result)
}

/// A search in a B-tree of 30,000 keys compares at most 11 keys on each of 5 levels. A key costs a few searches.
const ONE_KEY: u64 = 8 * 11 * 5;

fn costs_one_key<R>(what: &str, keys: u32, count: u64, act: impl FnOnce() -> R) -> R {
    let (compared, cloned, result) = work(act);
    assert!(compared <= count * ONE_KEY, "{what} in {keys} keys: {compared} comparisons");
    assert!(cloned <= count * 4, "{what} in {keys} keys: {cloned} clones");
    result
}

fn add(counter: u64, key: u32, superseded: CausalContext) -> Elements {
    let store = [(Counted(key), DotSet::from(dot(counter)))].into_iter().collect();
    Causal::delta(store, superseded)
}

#[test]
fn a_small_delta_costs_what_it_touches_however_large_the_map_is() {
    for keys in [1_000, 30_000] {
        let next = u64::from(keys) + 1;
        let mut state = elements(keys, Counted);
        // The first delta makes the index.
        let _ = state.merge(&add(next, keys, CausalContext::new()));
        assert!(state.store().is_indexed());
        let peer = state.digest();

        let new = add(next + 1, keys + 1, CausalContext::new());
        let again = add(next + 2, keys / 2, CausalContext::from(dot(u64::from(keys / 2) + 1)));
        let removal = Causal::delta(DotMap::new(), CausalContext::from(dot(77)));
        for (what, delta) in [("an add", &new), ("an update", &again), ("a removal", &removal)] {
            costs_one_key("the check", keys, 1, || state.store().find_fork(state.context(), delta.store()));
            let absorbs = |state: &Elements| state.compare(delta) == Some(Ordering::Greater);
            assert!(!costs_one_key("comparing", keys, 2, || absorbs(&state)));
            assert!(costs_one_key(what, keys, 1, || state.merge(delta)).is_changed());
            assert!(!costs_one_key("a repetition", keys, 1, || state.merge(delta)).is_changed());
            assert!(costs_one_key("comparing", keys, 2, || absorbs(&state)));
        }

        // The digest names ranges, the delta what has changed.
        let delta = costs_one_key("what a peer lacks", keys, 3, || state.delta_since(&peer));
        assert_eq!((delta.store().len(), delta.context().dots().count()), (2, 4));
        let mut other = elements(keys, Counted);
        let _ = other.merge(&add(next, keys, CausalContext::new()));
        assert!(costs_one_key("what it lacked", keys, 4, || other.merge(&delta)).is_changed());
        assert_eq!(other, state);
        assert!(state.store().scrub() && other.store().scrub());
    }
}

#[test]
fn a_key_can_be_changed_in_place_at_the_cost_of_the_key() {
    for keys in [1_000, 30_000] {
        let mut store = elements(keys, Counted).into_parts().0;
        let mut context = store.dots();
        let _ = store.join(&context, &DotMap::new(), &CausalContext::from(dot(77)));
        assert!(store.is_indexed());
        for key in [0, 5, keys, keys - 1] {
            let dot = context.next_dot(replica(0)).unwrap();
            context.insert(dot);
            costs_one_key("an add", keys, 1, || store.add(dot, Counted(key)));
            costs_one_key("a removal", keys, 1, || store.take(&Counted(key)));
        }
        assert!(store.scrub());
    }
}

/// A store that counts how often one of its pieces is shown.
#[derive(Clone, Debug, Default, PartialEq)]
struct Watched(DotMap<u32, DotSet>);

impl DotStore for Watched {
    fn join(&mut self, context: &CausalContext, other: &Self, other_context: &CausalContext) -> Change {
        self.0.join(context, &other.0, other_context)
    }

    fn absorbs(&self, context: &CausalContext, other: &Self, other_context: &CausalContext) -> bool {
        self.0.absorbs(context, &other.0, other_context)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn for_each_dot(&self, visit: &mut dyn FnMut(Dot)) {
        self.0.for_each_dot(visit);
    }

    fn for_each_range(&self, visit: &mut dyn FnMut(ReplicaId, RangeInclusive<u64>)) {
        self.0.for_each_range(&mut |replica, counters| {
            WALKED.set(WALKED.get() + 1);
            visit(replica, counters);
        });
    }

    fn unseen_by(&self, context: &CausalContext) -> Self {
        Self(self.0.unseen_by(context))
    }

    fn find_fork(&self, context: &CausalContext, other: &Self) -> Option<Dot> {
        self.0.find_fork(context, &other.0)
    }

    fn renamed(&self, rename: &dyn Fn(Dot) -> Dot) -> Self {
        Self(self.0.renamed(rename))
    }

    fn split(&self) -> Vec<(Dot, Self)> {
        self.0.split().into_iter().map(|(dot, part)| (dot, Self(part))).collect()
    }
}

/// Writing a large value bit by bit would else take time in the square of its size.
#[test]
fn a_change_within_a_large_value_does_not_walk_the_value() {
    type Values = OrMap<u32, Causal<Watched>>;
    let write = |map: &mut Values, key: u32, inner: u32| {
        let delta = map.update(key, |value| {
            let store = Watched(
                [(inner, DotSet::from(value.context().next_dot(replica(0)).unwrap()))].into_iter().collect(),
            );
            let delta = Causal::delta(store, CausalContext::new());
            let _ = value.merge(&delta);
            Ok::<_, core::convert::Infallible>(delta)
        });
        delta.unwrap()
    };
    let mut map = Values::default();
    for key in 0..40 {
        write(&mut map, key, 0);
    }
    let mut copy = map.clone();
    let _ = map.merge(&Values::from(Causal::delta(DotMap::new(), CausalContext::from(dot(1)))));
    let _ = copy.merge(&Values::from(Causal::delta(DotMap::new(), CausalContext::from(dot(1)))));
    assert!(map.store().is_indexed() && copy.store().is_indexed());

    WALKED.set(0);
    for inner in 1..1_000 {
        let delta = write(&mut map, 7 + inner % 2, inner);
        let _ = copy.merge(&delta);
    }
    assert!(WALKED.get() <= 12 * 1_000, "{} pieces for 1,000 changes", WALKED.get());
    assert_eq!(map, copy);
    assert!(map.scrub() && copy.scrub());
    let digest: CausalDigest = map.digest();
    assert_eq!(digest.live.range_count(), 1);
}
