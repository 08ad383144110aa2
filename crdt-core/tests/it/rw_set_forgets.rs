//! A remove-wins set that forgets settled removals beside one that never does.

#![cfg(feature = "proptest")]

use core::mem::take;
use std::collections::{BTreeMap, BTreeSet};

use crdt_core::{CausalContext, Crdt, DeltaCrdt, Dot, ReplicaId, RwSet, stable_cut};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::by;

#[derive(Clone, Copy, Debug)]
enum Step {
    Add(usize, u8),
    Remove(usize, u8),
    /// A delta made lately, counted from the last, arrives: any number of times, in any order, or never.
    Deliver(usize, usize),
    MergeState(usize, usize),
    SendMissing(usize, usize),
    /// A replica takes its turn in the rounds that lead to forgetting, whatever the others do meanwhile.
    Turn(usize),
}

const REPLICAS: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    let at = || 0..REPLICAS;
    let element = || 0_u8..2;
    prop_oneof![
        3 => (at(), element()).prop_map(|(at, element)| Step::Add(at, element)),
        4 => (at(), element()).prop_map(|(at, element)| Step::Remove(at, element)),
        8 => (0_usize..12, at()).prop_map(|(delta, to)| Step::Deliver(delta, to)),
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
    /// The deltas that are in it, by number.
    deltas: BTreeSet<usize>,
}

impl Twins {
    fn merge(&mut self, other: &Self) {
        let _ = self.forgetful.merge(&other.forgetful);
        let _ = self.remembering.merge(&other.remembering);
        self.deltas.extend(&other.deltas);
    }

    fn missing_at(&self, receiver: &Self) -> Self {
        Self {
            forgetful: self.forgetful.delta_since(&receiver.forgetful.digest()),
            remembering: self.remembering.delta_since(&receiver.remembering.digest()),
            deltas: self.deltas.clone(),
        }
    }

    fn look_alike(&self) -> bool {
        self.forgetful.iter().eq(self.remembering.iter())
    }
}

/// How far the replicas are on the way to forgetting, and who had a turn in this round.
#[derive(Default)]
struct Rounds {
    round: usize,
    turns: BTreeSet<usize>,
    first: Twins,
    /// In place of a first state that all merge: what each had seen at its turn.
    contexts: Vec<CausalContext>,
    second: Twins,
}

impl Rounds {
    /// Collect; tell and collect; tell. After the last turn of the last round, what is forgotten then.
    fn turn(&mut self, at: usize, state: &mut Twins, by_cut: bool) -> Option<Twins> {
        match self.round {
            0 if by_cut => self.contexts.push(state.forgetful.context().clone()),
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
        let Self { first, contexts, mut second, .. } = take(self);
        let stable = if by_cut { stable_cut(&contexts) } else { first.forgetful.context().clone() };
        let forgetful = second.forgetful.forget_stable(&stable);
        Some(Twins { forgetful, remembering: RwSet::default(), deltas: second.deltas })
    }
}

#[derive(Default)]
struct World {
    /// Whether a delta waits for all that its maker knew.
    causal: bool,
    /// Whether the first round is a cut of contexts that members tell anyway.
    by_cut: bool,
    replicas: [Twins; REPLICAS],
    /// Each with the numbers of all deltas its maker knew, and its own.
    deltas: Vec<Twins>,
    /// What the maker of each change had seen.
    seen_by: BTreeMap<Dot, CausalContext>,
    rounds: Rounds,
    forgotten: usize,
}

impl World {
    fn take(&mut self, step: Step) {
        match step {
            Step::Add(at, element) => {
                self.write(at, |set| set.add(by(id(at)), element).expect("few dots"));
            }
            Step::Remove(at, element) => {
                self.write(at, |set| set.remove(by(id(at)), element).expect("few dots"));
            }
            Step::Deliver(back, to) => {
                let Some(number) = self.deltas.len().checked_sub(back + 1) else { return };
                let delta = &self.deltas[number];
                let mut known = self.replicas[to].deltas.clone();
                known.insert(number);
                if !self.causal || known.is_superset(&delta.deltas) {
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
                if let Some(mut forgotten) = self.rounds.turn(at, &mut self.replicas[at], self.by_cut) {
                    self.forgotten += usize::from(!forgotten.forgetful.is_bottom());
                    forgotten.deltas.insert(self.deltas.len());
                    self.deltas.push(forgotten);
                }
            }
        }
    }

    fn write(&mut self, at: usize, change: impl Fn(&mut RwSet<u8>) -> RwSet<u8>) {
        let Twins { forgetful, remembering, deltas } = &mut self.replicas[at];
        let context = remembering.context().clone();
        self.seen_by.insert(context.next_dot(id(at)).expect("few dots"), context);
        deltas.insert(self.deltas.len());
        let delta =
            Twins { forgetful: change(forgetful), remembering: change(remembering), deltas: deltas.clone() };
        self.deltas.push(delta);
    }

    /// Whether each element that is in the set although a remembered removal holds it out was added by
    /// somebody who knew of that removal.
    fn removals_win(&self, at: usize) -> bool {
        let Twins { forgetful, remembering, .. } = &self.replicas[at];
        forgetful.store().iter().filter(|(_, marks)| marks.is_present()).all(|(element, marks)| {
            let knew = |removal: Dot| marks.adds().iter().any(|add| self.seen_by[&add].contains(removal));
            let held_out_by =
                remembering.marks(element).into_iter().flat_map(|marks| marks.removals().iter());
            held_out_by.into_iter().all(knew)
        })
    }

    /// Nobody writes any more, and everybody takes turns until all that can be forgotten is.
    fn settle(&mut self) {
        self.rounds = Rounds::default();
        self.by_cut = false;
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
    #![proptest_config(ProptestConfig::default())]

    /// What holds at any time, in any order, with anything lost.
    #[test]
    fn an_add_that_did_not_know_of_a_forgotten_removal_never_takes_effect(
        steps in vec(step(), 0..120), by_cut in any::<bool>(),
    ) {
        let mut world = World { by_cut, ..World::default() };
        for step in steps {
            world.take(step);
            prop_assert!((0..REPLICAS).all(|at| world.removals_win(at)), "{:?}", world.replicas);
        }
    }

    #[test]
    fn where_deltas_arrive_in_causal_order_nobody_notices(steps in vec(step(), 0..120), by_cut in any::<bool>()) {
        let mut world = World { causal: true, by_cut, ..World::default() };
        for step in steps {
            world.take(step);
            prop_assert!(world.replicas.iter().all(Twins::look_alike), "{:?}", world.replicas);
        }
    }

    #[test]
    fn in_the_end_nothing_but_the_marks_is_gone(steps in vec(step(), 0..120)) {
        let mut world = World::default();
        for step in steps {
            world.take(step);
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
fn what_all_have_seen_can_take_the_place_of_the_first_round() {
    let mut world = World { by_cut: true, ..World::default() };
    world.take(Step::Remove(0, 1));
    world.take(Step::Deliver(0, 1));
    world.take(Step::Deliver(0, 2));
    // Not everybody has heard of this one.
    world.take(Step::Remove(0, 2));
    for _ in 0..3 {
        (0..REPLICAS).for_each(|at| world.take(Step::Turn(at)));
    }
    let forgotten = &world.deltas.last().expect("three rounds end in a delta").forgetful;
    assert_eq!(forgotten.context().ranges().collect::<Vec<_>>(), [(id(0), 1..=1)]);
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
