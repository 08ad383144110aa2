//! A remove-wins set that forgets settled removals beside one that never does: nobody can tell them apart.

#![cfg(feature = "proptest")]

mod common;

use core::mem::take;
use std::collections::BTreeSet;

use crdt_core::{Crdt, DeltaCrdt, ReplicaId, RwSet};
use proptest::collection::vec;
use proptest::prelude::*;

use common::by;

#[derive(Clone, Copy, Debug)]
enum Step {
    Add(usize, u8),
    Remove(usize, u8),
    /// Any delta ever made, at any replica, any number of times, or never.
    Deliver(usize, usize),
    MergeState(usize, usize),
    SendMissing(usize, usize),
    /// A replica takes its turn in the rounds that lead to forgetting, whatever the others do meanwhile.
    Turn(usize),
}

const REPLICAS: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    let at = || 0..REPLICAS;
    let element = || 0_u8..3;
    prop_oneof![
        3 => (at(), element()).prop_map(|(at, element)| Step::Add(at, element)),
        4 => (at(), element()).prop_map(|(at, element)| Step::Remove(at, element)),
        6 => (0_usize..48, at()).prop_map(|(delta, to)| Step::Deliver(delta, to)),
        1 => (at(), at()).prop_map(|(from, to)| Step::MergeState(from, to)),
        1 => (at(), at()).prop_map(|(from, to)| Step::SendMissing(from, to)),
        8 => at().prop_map(Step::Turn),
    ]
}

/// The same set twice, written and merged alike.
#[derive(Clone, Debug, Default)]
struct Twins {
    forgetful: RwSet<u8>,
    remembering: RwSet<u8>,
}

impl Twins {
    fn each(&mut self, change: impl Fn(&mut RwSet<u8>) -> RwSet<u8>) -> Self {
        Self { forgetful: change(&mut self.forgetful), remembering: change(&mut self.remembering) }
    }

    fn merge(&mut self, other: &Self) {
        let _ = self.forgetful.merge(&other.forgetful);
        let _ = self.remembering.merge(&other.remembering);
    }

    fn missing_at(&self, receiver: &Self) -> Self {
        Self {
            forgetful: self.forgetful.delta_since(&receiver.forgetful.digest()),
            remembering: self.remembering.delta_since(&receiver.remembering.digest()),
        }
    }

    fn look_alike(&self) -> bool {
        self.forgetful.iter().eq(self.remembering.iter())
            && self.forgetful.removed().all(|element| self.remembering.removed().any(|held| held == element))
    }
}

/// How far the replicas are on the way to forgetting, and who had a turn in this round.
#[derive(Default)]
struct Rounds {
    round: usize,
    turns: BTreeSet<usize>,
    first: Twins,
    second: Twins,
}

impl Rounds {
    /// Collect; tell and collect; tell. The delta that forgets, after the last turn of the last round.
    fn turn(&mut self, at: usize, state: &mut Twins) -> Option<Twins> {
        match self.round {
            0 => self.first.merge(state),
            1 => {
                state.merge(&self.first);
                self.second.merge(&self.first);
                self.second.merge(state);
            }
            _ => state.merge(&self.second),
        }
        self.turns.insert(at);
        if self.turns.len() < REPLICAS {
            return None;
        }
        self.turns.clear();
        self.round += 1;
        if self.round < 3 {
            return None;
        }
        let Self { first, mut second, .. } = take(self);
        let forgotten = second.forgetful.forget_stable(first.forgetful.context());
        Some(Twins { forgetful: forgotten, remembering: RwSet::default() })
    }
}

#[derive(Default)]
struct World {
    replicas: [Twins; REPLICAS],
    deltas: Vec<Twins>,
    rounds: Rounds,
    forgotten: usize,
}

impl World {
    fn take(&mut self, step: Step) {
        match step {
            Step::Add(at, element) => {
                let add = |set: &mut RwSet<u8>| set.add(by(id(at)), element).expect("few dots");
                self.deltas.push(self.replicas[at].each(add));
            }
            Step::Remove(at, element) => {
                let remove = |set: &mut RwSet<u8>| set.remove(by(id(at)), element).expect("few dots");
                self.deltas.push(self.replicas[at].each(remove));
            }
            Step::Deliver(delta, to) => {
                if let Some(delta) = self.deltas.get(delta) {
                    self.replicas[to].merge(delta);
                }
            }
            Step::MergeState(from, to) => {
                let state = self.replicas[from].clone();
                self.replicas[to].merge(&state);
            }
            Step::SendMissing(from, to) => {
                let message = self.replicas[from].missing_at(&self.replicas[to]);
                self.replicas[to].merge(&message);
            }
            Step::Turn(at) => {
                if let Some(forgotten) = self.rounds.turn(at, &mut self.replicas[at]) {
                    self.forgotten += usize::from(!forgotten.forgetful.is_bottom());
                    self.deltas.push(forgotten);
                }
            }
        }
    }

    /// Nobody writes any more, and everybody takes turns until all that can be forgotten is.
    fn settle(&mut self) {
        self.rounds = Rounds::default();
        for _ in 0..3 {
            (0..REPLICAS).for_each(|at| self.take(Step::Turn(at)));
        }
        for delta in &self.deltas {
            self.replicas.iter_mut().for_each(|replica| replica.merge(delta));
        }
    }
}

fn id(at: usize) -> ReplicaId {
    ReplicaId::from_u128(at as u128 + 1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn forgetting_what_is_settled_is_never_noticed(steps in vec(step(), 0..120)) {
        let mut world = World::default();
        for step in steps {
            world.take(step);
            for replica in &world.replicas {
                prop_assert!(replica.look_alike(), "{replica:?}");
            }
        }
        world.settle();
        let [a, b, c] = &world.replicas;
        prop_assert!(a.look_alike());
        prop_assert_eq!(&a.forgetful, &b.forgetful);
        prop_assert_eq!(&b.forgetful, &c.forgetful);
        for element in a.forgetful.removed() {
            let contested = a.forgetful.marks(element).is_some_and(|marks| !marks.adds().is_empty());
            prop_assert!(contested, "a removal that nothing races with has left a mark");
        }
    }
}

#[test]
fn the_histories_do_forget() {
    let mut world = World::default();
    for element in 0..3 {
        world.take(Step::Remove(0, element));
    }
    world.settle();
    assert_eq!(world.forgotten, 1);
    assert!(world.replicas.iter().all(|twins| twins.forgetful.store().is_empty()));
    assert!(world.replicas.iter().all(|twins| twins.remembering.removed().count() == 3));
}
