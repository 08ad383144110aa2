//! The store of runs beside the obvious one, an amount under each dot: alone and under the keys of a map.

#![cfg(feature = "proptest")]
#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use core::num::NonZeroI64;

use crdt_core::dotted::{Causal, DotFun, DotMap, DotRuns, DotStore};
use crdt_core::{
    CausalContext, Crdt, DeltaCrdt, Dot, OrMap, ReplicaId, ResetCounter, Retire, Retirement, TryMerge,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::by;

type Naive = Causal<DotMap<u8, DotFun<i64>>>;

/// The same state twice.
#[derive(Clone, Debug, Default)]
struct Pair {
    map: OrMap<u8, ResetCounter>,
    naive: Naive,
}

#[derive(Clone, Debug)]
enum Step {
    /// Amounts repeat often, so that runs form.
    Add(usize, u8, i64),
    Reset(usize, u8),
    Remove(usize, u8),
    /// A removal that saw only some of the dots: it cuts runs.
    RemoveSome(usize, u8, u64),
    Deliver(usize, usize),
    Merge(usize, usize),
    SendMissing(usize, usize),
}

fn arb_step() -> impl Strategy<Value = Step> {
    let at = || 0_usize..3;
    let key = || 0_u8..2;
    let amount = prop_oneof![3 => Just(1_i64), 1 => -2_i64..3];
    prop_oneof![
        10 => (at(), key(), amount).prop_map(|(at, key, amount)| Step::Add(at, key, amount)),
        1 => (at(), key()).prop_map(|(at, key)| Step::Reset(at, key)),
        1 => (at(), key()).prop_map(|(at, key)| Step::Remove(at, key)),
        3 => (at(), key(), 1_u64..4).prop_map(|(at, key, nth)| Step::RemoveSome(at, key, nth)),
        6 => (0_usize..40, at()).prop_map(|(delta, to)| Step::Deliver(delta, to)),
        2 => (at(), at()).prop_map(|(from, to)| Step::Merge(from, to)),
        2 => (at(), at()).prop_map(|(from, to)| Step::SendMissing(from, to)),
    ]
}

fn id(at: usize) -> ReplicaId {
    ReplicaId::from_u128(at as u128 + 1)
}

/// Dot by dot.
fn spread(runs: &DotRuns) -> DotFun<i64> {
    let dots = runs.iter().flat_map(|(replica, counters, amount)| {
        counters.map(move |counter| (Dot::new(replica, counter).unwrap(), amount.get()))
    });
    dots.collect()
}

impl Pair {
    fn add(&mut self, at: usize, key: u8, amount: i64) -> Self {
        let map = self.map.update(key, |counter| counter.add(by(id(at)), amount)).unwrap();
        let mut naive = Naive::default();
        if amount != 0 {
            let dot = self.naive.context().next_dot(id(at)).unwrap();
            let amounts: DotFun<i64> = [(dot, amount)].into_iter().collect();
            naive = Causal::delta([(key, amounts)].into_iter().collect(), CausalContext::new());
        }
        let _ = self.naive.merge(&naive);
        Self { map, naive }
    }

    /// The same removal made in either of two ways.
    fn remove(
        &mut self,
        key: u8,
        remove: impl FnOnce(&mut OrMap<u8, ResetCounter>) -> OrMap<u8, ResetCounter>,
    ) -> Self {
        let removed = self.naive.store().get(&key).map(DotStore::dots).unwrap_or_default();
        let naive = Causal::delta(DotMap::new(), removed);
        let _ = self.naive.merge(&naive);
        Self { map: remove(&mut self.map), naive }
    }

    fn remove_some(&mut self, key: u8, nth: u64) -> Self {
        let live = self.naive.store().get(&key).map(DotStore::dots).unwrap_or_default();
        let some: CausalContext = live.dots().filter(|dot| dot.counter() % 4 == nth).collect();
        let delta = Self {
            map: Causal::delta(DotMap::new(), some.clone()).into(),
            naive: Causal::delta(DotMap::new(), some),
        };
        self.merge(&delta);
        delta
    }

    fn merge(&mut self, other: &Self) {
        prop_assert_same(self, other);
        let change = self.map.merge(&other.map);
        assert_eq!(self.naive.merge(&other.naive), change);
    }

    fn agree(&self) {
        assert_eq!(self.map.context(), self.naive.context());
        assert!(self.map.keys().eq(self.naive.store().iter().map(|(key, _)| key)));
        for (key, runs) in self.map.iter() {
            let naive = self.naive.store().get(key).unwrap();
            assert_eq!(&spread(runs), naive);
            assert_eq!(runs.total(), naive.iter().map(|(_, amount)| i128::from(*amount)).sum());
            assert_eq!(runs.len(), naive.len() as u128);
            assert_eq!(runs.dots(), naive.dots());
            // The one list of runs there is for these dots.
            let rebuilt: DotRuns =
                naive.iter().map(|(dot, amount)| (dot, NonZeroI64::new(*amount).unwrap())).collect();
            assert_eq!(runs, &rebuilt);
        }
    }
}

/// What two states say about each other does not depend on how they are kept.
fn prop_assert_same(a: &Pair, b: &Pair) {
    assert_eq!(a.map.compare(&b.map), a.naive.compare(&b.naive));
    assert_eq!(a.map.digest(), a.naive.digest());
    let delta =
        Pair { map: a.map.delta_since(&b.map.digest()), naive: a.naive.delta_since(&b.naive.digest()) };
    delta.agree();
    assert_eq!(a.map.check_merge(&b.map, id(7)), a.naive.check_merge(&b.naive, id(7)));
}

fn run(steps: Vec<Step>) -> [Pair; 3] {
    let mut replicas: [Pair; 3] = Default::default();
    let mut deltas = Vec::new();
    for step in steps {
        match step {
            Step::Add(at, key, amount) => deltas.push(replicas[at].add(at, key, amount)),
            Step::Reset(at, key) => {
                deltas.push(replicas[at].remove(key, |map| map.update_with(key, ResetCounter::reset)));
            }
            Step::Remove(at, key) => deltas.push(replicas[at].remove(key, |map| map.remove(&key))),
            Step::RemoveSome(at, key, nth) => deltas.push(replicas[at].remove_some(key, nth)),
            Step::Deliver(delta, to) => {
                if let Some(delta) = deltas.get(delta) {
                    replicas[to].merge(delta);
                }
            }
            Step::Merge(from, to) => {
                let state = replicas[from].clone();
                replicas[to].merge(&state);
            }
            Step::SendMissing(from, to) => {
                let digest = replicas[to].map.digest();
                let Pair { map, naive } = &replicas[from];
                let missing = Pair { map: map.delta_since(&digest), naive: naive.delta_since(&digest) };
                replicas[to].merge(&missing);
            }
        }
        replicas.iter().chain(deltas.last()).for_each(Pair::agree);
    }
    replicas
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn runs_say_what_single_amounts_say(steps in vec(arb_step(), 0..60)) {
        run(steps);
    }

    #[test]
    fn retiring_renames_runs_as_it_renames_dots(steps in vec(arb_step(), 0..60)) {
        let [mut a, b, c] = run(steps);
        a.merge(&b);
        a.merge(&c);
        let retired = [0, 1].map(|at| (id(at), a.map.changes_to_retire(id(at))));
        let retirement = Retirement::new(1, retired).unwrap();
        a.map.retire(&retirement).unwrap();
        a.naive.retire(&retirement).unwrap();
        a.agree();
    }

    /// The store by itself: any dots in any order, removed in any order.
    #[test]
    fn single_insertions_and_removals_keep_the_one_list(
        steps in vec((1_u128..3, 1_u64..12, -1_i64..2, any::<bool>()), 0..60)
    ) {
        let (mut runs, mut naive) = (DotRuns::new(), DotFun::new());
        for (replica, counter, amount, insert) in steps {
            let dot = Dot::new(ReplicaId::from_u128(replica), counter).unwrap();
            match NonZeroI64::new(amount) {
                Some(amount) if insert => {
                    prop_assert_eq!(runs.insert(dot, amount), naive.insert(dot, amount.get()));
                }
                _ => prop_assert_eq!(runs.remove(dot).map(NonZeroI64::get), naive.remove(dot)),
            }
            prop_assert_eq!(runs.get(dot).map(NonZeroI64::get), naive.get(dot).copied());
            prop_assert_eq!(&spread(&runs), &naive);
            let sorted: DotRuns =
                naive.iter().map(|(dot, amount)| (dot, NonZeroI64::new(*amount).unwrap())).collect();
            prop_assert_eq!(&runs, &sorted);
        }
    }

    /// Forked amounts are found as they are among single dots.
    #[test]
    fn forks_are_found_in_runs(
        ours in vec((1_u64..10, -1_i64..2), 0..10),
        theirs in vec((1_u64..10, -1_i64..2), 0..10),
    ) {
        let build = |amounts: &[(u64, i64)]| {
            let dots = amounts.iter().filter_map(|(counter, amount)| {
                Some((Dot::new(id(0), *counter)?, NonZeroI64::new(*amount)?))
            });
            dots.collect::<DotRuns>()
        };
        let (ours, theirs) = (build(&ours), build(&theirs));
        let seen = ours.dots();
        prop_assert_eq!(ours.find_fork(&seen, &theirs), spread(&ours).find_fork(&seen, &spread(&theirs)));
        let other_seen = theirs.dots();
        prop_assert_eq!(
            ours.absorbs(&seen, &theirs, &other_seen),
            spread(&ours).absorbs(&seen, &spread(&theirs), &other_seen)
        );
        let (mut joined, mut naive) = (ours.clone(), spread(&ours));
        prop_assert_eq!(
            joined.join(&seen, &theirs, &other_seen),
            naive.join(&seen, &spread(&theirs), &other_seen)
        );
        prop_assert_eq!(spread(&joined), naive, "ours stays");
    }
}
