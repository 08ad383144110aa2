//! The add-wins set beside a model that never forgets: every add and every dropped dot ever heard of.

#![cfg(feature = "proptest")]

use core::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crdt_core::laws::{check_delta_laws, check_laws};
use crdt_core::{Crdt, DeltaCrdt, Dot, OrSet, ReplicaId, VersionDigest};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::by;

/// Knowledge only grows here, so merging is union and there is nothing to get wrong.
#[derive(Clone, Default, PartialEq)]
struct Model {
    added: BTreeMap<Dot, u8>,
    dropped: BTreeSet<Dot>,
}

impl Model {
    fn add(&mut self, dot: Dot, element: u8) -> Self {
        let delta = Self { added: [(dot, element)].into(), dropped: self.dots_of(element) };
        self.merge(&delta);
        delta
    }

    fn remove(&mut self, element: u8) -> Self {
        self.drop_dots(self.dots_of(element))
    }

    fn clear(&mut self) -> Self {
        self.drop_dots(self.live().map(|(dot, _)| dot).collect())
    }

    fn drop_dots(&mut self, dropped: BTreeSet<Dot>) -> Self {
        let delta = Self { added: BTreeMap::new(), dropped };
        self.merge(&delta);
        delta
    }

    fn merge(&mut self, other: &Self) {
        self.added.extend(&other.added);
        self.dropped.extend(&other.dropped);
    }

    fn live(&self) -> impl Iterator<Item = (Dot, u8)> {
        let live = self.added.iter().filter(|(dot, _)| !self.dropped.contains(dot));
        live.map(|(dot, element)| (*dot, *element))
    }

    fn dots_of(&self, element: u8) -> BTreeSet<Dot> {
        self.live().filter(|(_, live)| *live == element).map(|(dot, _)| dot).collect()
    }

    fn seen(&self) -> BTreeSet<Dot> {
        self.added.keys().chain(&self.dropped).copied().collect()
    }

    fn knows_all_of(&self, other: &Self) -> bool {
        self.seen().is_superset(&other.seen()) && self.dropped.is_superset(&other.dropped)
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (other.knows_all_of(self), self.knows_all_of(other)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Less),
            (false, true) => Some(Ordering::Greater),
            (false, false) => None,
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add(usize, u8),
    AddAll(usize, Vec<u8>),
    Remove(usize, u8),
    Clear(usize),
    /// Any delta ever made, at any replica, any number of times, or never.
    Deliver(usize, usize),
    MergeState(usize, usize),
    SendMissing(usize, usize),
}

const REPLICAS: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    let at = || 0..REPLICAS;
    let element = || 0_u8..4;
    prop_oneof![
        6 => (at(), element()).prop_map(|(at, element)| Step::Add(at, element)),
        1 => (at(), vec(element(), 0..4)).prop_map(|(at, elements)| Step::AddAll(at, elements)),
        4 => (at(), element()).prop_map(|(at, element)| Step::Remove(at, element)),
        1 => at().prop_map(Step::Clear),
        6 => (0_usize..32, at()).prop_map(|(delta, to)| Step::Deliver(delta, to)),
        2 => (at(), at()).prop_map(|(from, to)| Step::MergeState(from, to)),
        2 => (at(), at()).prop_map(|(from, to)| Step::SendMissing(from, to)),
    ]
}

#[derive(Clone, Default)]
struct Replica {
    set: OrSet<u8>,
    model: Model,
}

#[derive(Default)]
struct World {
    replicas: [Replica; REPLICAS],
    deltas: Vec<Replica>,
}

impl World {
    fn run(steps: Vec<Step>) -> Self {
        let mut world = Self::default();
        for step in steps {
            world.take(step);
            for replica in &world.replicas {
                replica.agree();
            }
        }
        world
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Add(at, element) => {
                let delta = self.replicas[at].add(id(at), element);
                self.deltas.push(delta);
            }
            Step::AddAll(at, elements) => {
                let delta = self.replicas[at].add_all(id(at), elements);
                self.deltas.push(delta);
            }
            Step::Remove(at, element) => {
                let Replica { set, model } = &mut self.replicas[at];
                self.deltas.push(Replica { set: set.remove(&element), model: model.remove(element) });
            }
            Step::Clear(at) => {
                let Replica { set, model } = &mut self.replicas[at];
                self.deltas.push(Replica { set: set.clear(), model: model.clear() });
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
                let mut message = self.replicas[from].clone();
                message.set = message.set.delta_since(&self.replicas[to].set.digest());
                self.replicas[to].merge(&message);
            }
        }
    }
}

impl Replica {
    fn add(&mut self, replica: ReplicaId, element: u8) -> Self {
        let dot = self.set.context().next_dot(replica).expect("few dots are used here");
        let set = self.set.add(by(replica), element).expect("few dots are used here");
        Self { set, model: self.model.add(dot, element) }
    }

    fn add_all(&mut self, replica: ReplicaId, elements: Vec<u8>) -> Self {
        let mut delta = Self::default();
        let first = self.set.context().highest(replica) + 1;
        for (counter, element) in (first..).zip(&elements) {
            let dot = Dot::new(replica, counter).expect("counters start at 1");
            delta.model.merge(&self.model.add(dot, *element));
        }
        delta.set = self.set.add_all(by(replica), elements).expect("few dots are used here");
        delta
    }

    fn merge(&mut self, other: &Self) {
        let before = self.model.clone();
        let change = self.set.merge(&other.set);
        self.model.merge(&other.model);
        let grown = !before.knows_all_of(&self.model);
        assert_eq!(change.is_changed(), grown);
    }

    fn agree(&self) {
        let live: BTreeMap<Dot, u8> =
            self.set.store().iter_dots().map(|(dot, element)| (dot, *element)).collect();
        assert!(self.set.scrub());
        assert_eq!(live, self.model.live().collect());
        assert_eq!(self.set.context().dots().collect::<BTreeSet<_>>(), self.model.seen());
        let elements: BTreeSet<u8> = live.into_values().collect();
        assert!(self.set.to_sorted().into_iter().eq(&elements));
        assert_eq!(self.set.len(), elements.len());
        assert!((0..4).all(|element| self.set.contains(&element) == elements.contains(&element)));
    }
}

fn id(at: usize) -> ReplicaId {
    ReplicaId::from_u128(at as u128 + 1)
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn the_set_says_what_the_model_says(steps in vec(step(), 0..40)) {
        let world = World::run(steps);
        for a in &world.replicas {
            for b in &world.replicas {
                let order = a.model.compare(&b.model);
                prop_assert_eq!(a.set.compare(&b.set), order);
                prop_assert_eq!(a.set == b.set, order == Some(Ordering::Equal));
                let same_digest = a.set.version_digest() == b.set.version_digest();
                prop_assert_eq!(same_digest, order == Some(Ordering::Equal));
            }
        }
    }

    #[test]
    fn reachable_sets_and_their_deltas_obey_the_laws(steps in vec(step(), 0..40)) {
        let world = World::run(steps);
        let [a, b, c] = &world.replicas;
        check_laws(&a.set, &b.set, &c.set)?;
        check_delta_laws(&a.set, &b.set, &c.set)?;
        if let [.., delta] = world.deltas.as_slice() {
            check_laws(&a.set, &delta.set, &c.set)?;
            check_delta_laws(&a.set, &delta.set, &c.set)?;
        }
    }

    #[test]
    fn all_deltas_in_any_order_are_the_whole(steps in vec(step(), 0..40), seed in any::<u128>()) {
        let mut world = World::run(steps);
        let in_order = world.deltas.iter().fold(OrSet::default(), |sum, delta| sum.merged(&delta.set));
        world.deltas.sort_by_key(|delta| delta.set.version_digest() ^ seed);
        let shuffled = world.deltas.iter().fold(OrSet::default(), |sum, delta| sum.merged(&delta.set));
        let replicas = world.replicas.iter().fold(OrSet::default(), |sum, replica| sum.merged(&replica.set));
        prop_assert_eq!(&in_order, &shuffled);
        prop_assert_eq!(&in_order, &replicas);
    }
}
