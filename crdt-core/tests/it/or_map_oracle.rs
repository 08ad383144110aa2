//! The reset-remove map beside a model that never forgets: every change and every dropped dot ever heard of. Maps of
//! sets, and maps of maps of sets.

#![cfg(feature = "proptest")]
#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use core::cmp::Ordering;
use core::convert::Infallible;
use core::fmt::Debug;
use std::collections::{BTreeMap, BTreeSet};

use crdt_core::dotted::CausalCrdt;
use crdt_core::{CausalContext, DeltaCrdt, Dot, OrMap, OrSet, ReplicaId, VersionDigest};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::by;

/// A set, or a map of such: elements at the end of paths.
trait Tree: CausalCrdt + DeltaCrdt + VersionDigest + PartialEq + Debug {
    /// How long a path is.
    const DEPTH: usize;

    fn add(&mut self, me: ReplicaId, path: &[u8]) -> Self;

    /// Removes everything whose path starts like this.
    fn remove(&mut self, prefix: &[u8]) -> Self;

    /// Removes what starts with the first `depth` keys of the path (fewer than all) and adds the element, in one.
    fn replace(&mut self, me: ReplicaId, depth: usize, path: &[u8]) -> Self;

    fn live(&self) -> BTreeMap<Dot, Vec<u8>>;

    fn seen(&self) -> &CausalContext;
}

impl Tree for OrSet<u8> {
    const DEPTH: usize = 1;

    fn add(&mut self, me: ReplicaId, path: &[u8]) -> Self {
        self.add(by(me), path[0]).unwrap()
    }

    fn remove(&mut self, prefix: &[u8]) -> Self {
        match prefix {
            [] => self.clear(),
            [element, ..] => self.remove(element),
        }
    }

    fn replace(&mut self, _: ReplicaId, _: usize, _: &[u8]) -> Self {
        unreachable!("an element has nothing under it")
    }

    fn live(&self) -> BTreeMap<Dot, Vec<u8>> {
        // What removing an element would remove are its dots.
        let dots = |element: &u8| self.clone().remove(element).context().dots().collect::<Vec<_>>();
        let live =
            self.iter().flat_map(|element| dots(element).into_iter().map(move |dot| (dot, vec![*element])));
        live.collect()
    }

    fn seen(&self) -> &CausalContext {
        self.context()
    }
}

impl<C: Tree> Tree for OrMap<u8, C>
where
    Self: CausalCrdt + VersionDigest + Debug,
{
    const DEPTH: usize = C::DEPTH + 1;

    fn add(&mut self, me: ReplicaId, path: &[u8]) -> Self {
        self.update(path[0], |value| Ok::<_, Infallible>(value.add(me, &path[1..]))).unwrap()
    }

    fn remove(&mut self, prefix: &[u8]) -> Self {
        match prefix {
            [] => self.clear(),
            [key] => self.remove(key),
            [key, rest @ ..] => self.update_with(*key, |value| value.remove(rest)),
        }
    }

    fn replace(&mut self, me: ReplicaId, depth: usize, path: &[u8]) -> Self {
        let (key, rest) = (path[0], &path[1..]);
        if depth == 1 {
            return self.replace(key, |value| Ok::<_, Infallible>(value.add(me, rest))).unwrap();
        }
        self.update_with(key, |value| value.replace(me, depth - 1, rest))
    }

    fn live(&self) -> BTreeMap<Dot, Vec<u8>> {
        let mut live = BTreeMap::new();
        for key in self.keys() {
            let under_key = self.value(key).unwrap().live();
            assert!(!under_key.is_empty(), "a key without anything alive");
            live.extend(under_key.into_iter().map(|(dot, rest)| (dot, [vec![*key], rest].concat())));
        }
        live
    }

    fn seen(&self) -> &CausalContext {
        self.context()
    }
}

/// Knowledge only grows here, so merging is union and there is nothing to get wrong.
#[derive(Clone, Default, PartialEq)]
struct Model {
    added: BTreeMap<Dot, Vec<u8>>,
    dropped: BTreeSet<Dot>,
}

impl Model {
    fn change(&mut self, added: Option<(Dot, &[u8])>, replaced: &[u8]) -> Self {
        let dropped =
            self.live().filter(|(_, path)| path.starts_with(replaced)).map(|(dot, _)| dot).collect();
        let added = added.into_iter().map(|(dot, path)| (dot, path.to_vec())).collect();
        let delta = Self { added, dropped };
        self.merge(&delta);
        delta
    }

    fn merge(&mut self, other: &Self) {
        self.added.extend(other.added.clone());
        self.dropped.extend(&other.dropped);
    }

    fn live(&self) -> impl Iterator<Item = (Dot, &Vec<u8>)> {
        let live = self.added.iter().filter(|(dot, _)| !self.dropped.contains(dot));
        live.map(|(dot, path)| (*dot, path))
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

/// Paths are as long as the deepest map needs; shallower ones use their beginning.
#[derive(Clone, Debug)]
enum Step {
    Add(usize, [u8; 3]),
    Replace(usize, usize, [u8; 3]),
    Remove(usize, usize, [u8; 3]),
    /// Any delta ever made, at any replica, any number of times, or never.
    Deliver(usize, usize),
    MergeState(usize, usize),
    SendMissing(usize, usize),
    /// One part of a state, without the rest.
    SendPart(usize, usize, usize),
}

const REPLICAS: usize = 3;

fn arb_step() -> impl Strategy<Value = Step> {
    let at = || 0..REPLICAS;
    let path = || [0_u8..2, 0_u8..2, 0_u8..3];
    prop_oneof![
        6 => (at(), path()).prop_map(|(at, path)| Step::Add(at, path)),
        2 => (at(), 1_usize..3, path()).prop_map(|(at, depth, path)| Step::Replace(at, depth, path)),
        4 => (at(), 0_usize..4, path()).prop_map(|(at, depth, path)| Step::Remove(at, depth, path)),
        6 => (0_usize..32, at()).prop_map(|(delta, to)| Step::Deliver(delta, to)),
        2 => (at(), at()).prop_map(|(from, to)| Step::MergeState(from, to)),
        2 => (at(), at()).prop_map(|(from, to)| Step::SendMissing(from, to)),
        1 => (at(), 0_usize..8, at()).prop_map(|(from, part, to)| Step::SendPart(from, part, to)),
    ]
}

#[derive(Clone, Default)]
struct Replica<T> {
    tree: T,
    model: Model,
}

#[derive(Default)]
struct World<T> {
    replicas: [Replica<T>; REPLICAS],
    deltas: Vec<Replica<T>>,
}

impl<T: Tree> World<T> {
    fn run(steps: Vec<Step>) -> Self {
        let mut world = Self::default();
        for step in steps {
            world.take(&step);
            for replica in world.replicas.iter().chain(world.deltas.last()) {
                replica.agree();
            }
        }
        world
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Add(at, path) => {
                let path = &path[..T::DEPTH];
                let delta =
                    self.replicas[at].change(Some((id(at), path)), path, |tree| tree.add(id(at), path));
                self.deltas.push(delta);
            }
            Step::Replace(at, depth, path) => {
                let (depth, path) = (depth.min(T::DEPTH - 1), &path[..T::DEPTH]);
                let write = |tree: &mut T| tree.replace(id(at), depth, path);
                let delta = self.replicas[at].change(Some((id(at), path)), &path[..depth], write);
                self.deltas.push(delta);
            }
            Step::Remove(at, depth, path) => {
                let prefix = &path[..depth.min(T::DEPTH)];
                let delta = self.replicas[at].change(None, prefix, |tree| tree.remove(prefix));
                self.deltas.push(delta);
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
                message.tree = message.tree.delta_since(&self.replicas[to].tree.digest());
                self.replicas[to].merge(&message);
            }
            Step::SendPart(from, part, to) => {
                if let Some(tree) = self.replicas[from].tree.split().into_iter().nth(part) {
                    let live = tree.live();
                    let dropped = tree.seen().dots().filter(|dot| !live.contains_key(dot)).collect();
                    self.replicas[to].merge(&Replica { tree, model: Model { added: live, dropped } });
                }
            }
        }
    }
}

impl<T: Tree> Replica<T> {
    fn change(
        &mut self,
        added: Option<(ReplicaId, &[u8])>,
        replaced: &[u8],
        change: impl FnOnce(&mut T) -> T,
    ) -> Self {
        let added = added.map(|(replica, path)| (self.tree.seen().next_dot(replica).unwrap(), path));
        let before = self.tree.clone();
        let tree = change(&mut self.tree);
        assert_eq!(before.merged(&tree), self.tree, "a mutator does what merging its delta does");
        Self { tree, model: self.model.change(added, replaced) }
    }

    fn merge(&mut self, other: &Self) {
        let before = self.model.clone();
        let change = self.tree.merge(&other.tree);
        self.model.merge(&other.model);
        assert_eq!(change.is_changed(), !before.knows_all_of(&self.model));
    }

    fn agree(&self) {
        let live: BTreeMap<_, _> = self.model.live().map(|(dot, path)| (dot, path.clone())).collect();
        assert_eq!(self.tree.live(), live);
        assert_eq!(self.tree.seen().dots().collect::<BTreeSet<_>>(), self.model.seen());
    }
}

fn id(at: usize) -> ReplicaId {
    ReplicaId::from_u128(at as u128 + 1)
}

fn check<T: Tree>(steps: Vec<Step>, seed: u128) -> Result<(), TestCaseError> {
    let mut world = World::<T>::run(steps);
    for a in &world.replicas {
        for b in &world.replicas {
            let order = a.model.compare(&b.model);
            prop_assert_eq!(a.tree.compare(&b.tree), order);
            prop_assert_eq!(a.tree == b.tree, order == Some(Ordering::Equal));
            let same_digest = a.tree.version_digest() == b.tree.version_digest();
            prop_assert_eq!(same_digest, order == Some(Ordering::Equal));
        }
    }
    let in_order = world.deltas.iter().fold(T::default(), |sum, delta| sum.merged(&delta.tree));
    world.deltas.sort_by_key(|delta| delta.tree.version_digest() ^ seed);
    let shuffled = world.deltas.iter().fold(T::default(), |sum, delta| sum.merged(&delta.tree));
    let replicas = world.replicas.iter().fold(T::default(), |sum, replica| sum.merged(&replica.tree));
    prop_assert_eq!(&in_order, &shuffled);
    prop_assert_eq!(&in_order, &replicas);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn a_map_of_sets_says_what_the_model_says(steps in vec(arb_step(), 0..40), seed in any::<u128>()) {
        check::<OrMap<u8, OrSet<u8>>>(steps, seed)?;
    }

    #[test]
    fn a_map_of_maps_says_what_the_model_says(steps in vec(arb_step(), 0..40), seed in any::<u128>()) {
        check::<OrMap<u8, OrMap<u8, OrSet<u8>>>>(steps, seed)?;
    }
}
