//! Histories of add-wins sets beside a model that never forgets.

use std::collections::{BTreeMap, BTreeSet};

use crdt_core::dotted::{CausalDigest, DotSet};
use crdt_core::{Crdt, DeltaCrdt, Dot, Limits, OrSet, VersionDigest, codec};

use crate::subject::{id, writer};

const REPLICAS: usize = 3;

/// Deltas are lost, repeated and reordered, digests are stale, clients remove what they were shown, replicas restart
/// from their bytes: whatever happens, a set says what is in it by all adds and drops ever heard of.
pub fn a_set_says_what_a_model_says_that_never_forgets(bytes: &[u8]) {
    let mut world = World::default();
    world.replicas[0].set.track_digest();
    for step in bytes.chunks_exact(3) {
        world.take([step[0], step[1], step[2]]);
    }
    for a in &world.replicas {
        for b in &world.replicas {
            // A drop may be known without the add it concerns, which nobody can tell any more.
            let same = a.model.seen().eq(b.model.seen()) && a.model.dropped == b.model.dropped;
            assert_eq!(a.set == b.set, same);
            assert_eq!(a.set.version_digest() == b.set.version_digest(), same);
        }
    }
    let all = world.deltas.iter().rev().fold(OrSet::default(), |all, delta| all.merged(&delta.set));
    let whole = world.replicas.iter().fold(OrSet::default(), |whole, replica| whole.merged(&replica.set));
    assert_eq!(all, whole, "all deltas in reverse are all there is");
}

/// Knowledge only grows here, so merging is union and there is nothing to get wrong.
#[derive(Clone, Default)]
struct Model {
    added: BTreeMap<Dot, u8>,
    dropped: BTreeSet<Dot>,
}

impl Model {
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

    fn has_seen(&self, dot: Dot) -> bool {
        self.added.contains_key(&dot) || self.dropped.contains(&dot)
    }
}

/// A replica, or a delta.
#[derive(Clone, Default)]
struct Twins {
    set: OrSet<u8>,
    model: Model,
}

impl Twins {
    fn merge(&mut self, other: &Self) {
        let known = self.model.clone();
        let change = self.set.merge(&other.set);
        self.model.merge(&other.model);
        // A drop of what was never seen added counts as seen; hearing of the add later is no news.
        let news = self.model.live().ne(known.live()) || self.model.seen().ne(known.seen());
        assert_eq!(change.is_changed(), news);
    }

    fn add(&mut self, at: usize, elements: core::ops::Range<u8>) -> Self {
        let mut delta = Self::default();
        let first = self.set.context().highest(id(at)) + 1;
        for (counter, element) in (first..).zip(elements.clone()) {
            let dropped = self.model.dots_of(element);
            let dot = Dot::new(id(at), counter).expect("counters start at 1");
            let one = Model { added: [(dot, element)].into(), dropped };
            self.model.merge(&one);
            delta.model.merge(&one);
        }
        delta.set = self.set.add_all(writer(at), elements).expect("few dots are used here");
        delta
    }

    fn drop_dots(&mut self, set: OrSet<u8>, dropped: BTreeSet<Dot>) -> Self {
        let model = Model { added: BTreeMap::new(), dropped };
        self.model.merge(&model);
        Self { set, model }
    }

    fn remove_seen(&mut self, element: u8, shown: &DotSet) -> Self {
        let here = self.model.dots_of(element);
        let unseen = |dot: &Dot| here.contains(dot) || !self.model.has_seen(*dot);
        let dropped = shown.iter().filter(unseen).collect();
        let set = self.set.remove_seen(&element, shown);
        self.drop_dots(set, dropped)
    }

    /// From the bytes it was stored in; what it keeps beside is made anew.
    fn restart(&mut self) {
        let bytes = codec::to_bytes(&self.set);
        let stored: OrSet<u8> = codec::from_bytes(&bytes, &Limits::DEFAULT).expect("as it was written");
        assert_eq!(stored, self.set);
        assert_eq!(stored.version_digest(), self.set.version_digest());
        self.set = stored;
    }

    fn agree(&self) {
        assert!(self.set.scrub());
        let live = self.set.store().iter_dots().map(|(dot, element)| (dot, *element));
        assert!(live.eq(self.model.live()));
        assert!(self.set.context().dots().eq(self.model.seen()));
        let elements: BTreeSet<u8> = self.model.live().map(|(_, element)| element).collect();
        assert!(self.set.to_sorted().into_iter().eq(&elements));
        assert_eq!(self.set.len(), elements.len());
    }
}

impl Model {
    /// Ascending.
    fn seen(&self) -> impl Iterator<Item = Dot> {
        let seen: BTreeSet<Dot> = self.added.keys().chain(&self.dropped).copied().collect();
        seen.into_iter()
    }
}

#[derive(Default)]
struct World {
    replicas: [Twins; REPLICAS],
    deltas: Vec<Twins>,
    /// Each with whose it was.
    digests: Vec<(usize, CausalDigest)>,
    shown: Vec<(u8, DotSet)>,
}

impl World {
    fn take(&mut self, [what, at, which]: [u8; 3]) {
        let (other, at) = (usize::from(at) / REPLICAS % REPLICAS, usize::from(at) % REPLICAS);
        let element = which % 32;
        let replica = &mut self.replicas[at];
        match what % 16 {
            0..=2 => self.deltas.push(replica.add(at, element..element + 1)),
            3 => self.deltas.push(replica.add(at, which / 2..which)),
            4 | 5 => {
                let dropped = replica.model.dots_of(element);
                let set = replica.set.remove(&element);
                self.deltas.push(replica.drop_dots(set, dropped));
            }
            6 if which < 32 => {
                let dropped = replica.model.live().map(|(dot, _)| dot).collect();
                let set = replica.set.clear();
                self.deltas.push(replica.drop_dots(set, dropped));
            }
            6 => {
                replica.restart();
                if which > 128 {
                    replica.set.track_digest();
                }
            }
            7 => self.shown.push((element, replica.set.dots(&element))),
            8 => {
                if let Some((element, shown)) = self.shown.get(usize::from(which)) {
                    self.deltas.push(replica.remove_seen(*element, shown));
                }
            }
            9 | 10 => {
                if let Some(delta) = self.deltas.get(usize::from(which)) {
                    replica.merge(delta);
                }
            }
            11 => {
                let lately = self.deltas.len().checked_sub(usize::from(which) + 1);
                if let Some(delta) = lately.and_then(|index| self.deltas.get(index)) {
                    replica.merge(delta);
                }
            }
            12 => {
                let state = self.replicas[other].clone();
                self.replicas[at].merge(&state);
            }
            13 => self.digests.push((at, replica.set.digest())),
            14 => {
                let mut message = self.replicas[other].clone();
                message.set = message.set.delta_since(&self.replicas[at].set.digest());
                self.replicas[at].merge(&message);
            }
            _ => self.answer_stale(other, usize::from(which)),
        }
        self.replicas[at].agree();
    }

    /// A message for what a replica was once brings it up to date as well, and says nothing its sender does not know.
    fn answer_stale(&mut self, from: usize, which: usize) {
        let Some((owner, digest)) = self.digests.get(which) else { return };
        let mut message = self.replicas[from].clone();
        message.set = message.set.delta_since(digest);
        assert_eq!(self.replicas[from].set.clone().merged(&message.set), self.replicas[from].set);
        self.replicas[*owner].merge(&message);
        self.replicas[*owner].agree();
    }
}
