//! A second implementation, naive on purpose, and random histories to compare it with the first.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crdt_core::{Crdt, Hlc, ReplicaId, Stamp};
use proptest::prelude::*;

use super::id::VersionId;
use super::place::Place;
use super::tree::RevisionTree;
use super::version::Version;

pub(crate) type Body = Vec<u8>;
pub(crate) type Tree = RevisionTree<Body>;

pub(crate) const KEY: &[u8] = b"key";

/// All definitions taken literally: quadratic or worse, and short.
pub(crate) struct Oracle(pub(crate) BTreeMap<VersionId, Version<Body>>);

impl Oracle {
    pub(crate) fn of<'a>(trees: impl IntoIterator<Item = &'a Tree>) -> Self {
        let mut oracle = Self(BTreeMap::new());
        trees.into_iter().flat_map(RevisionTree::versions).for_each(|version| oracle.learn(version));
        oracle
    }

    /// A version known whole is more than its stub.
    pub(crate) fn learn(&mut self, version: &Version<Body>) {
        if !version.is_stub() || !self.0.contains_key(version.id()) {
            self.0.insert(*version.id(), version.clone());
        }
    }

    pub(crate) fn has_content(&self, id: &VersionId) -> bool {
        self.0.get(id).is_some_and(|version| !version.is_stub())
    }

    /// What has content, and from what else with content no path leads to.
    pub(crate) fn leaves(&self) -> Vec<VersionId> {
        let with_content: Vec<_> = self.0.keys().filter(|id| self.has_content(id)).copied().collect();
        let mut superseded = BTreeSet::new();
        for id in &with_content {
            superseded.extend(self.steps_below(*id).into_keys().filter(|below| below != id));
        }
        with_content.into_iter().filter(|id| !superseded.contains(id)).collect()
    }

    /// Where the leaves of `other` come to lie: its branches are merged one by one, then the rest.
    pub(crate) fn places(&self, other: &Tree) -> Vec<(VersionId, Place)> {
        let (whole, told) = (Self::of([other]), other.leaves().iter().map(|leaf| *leaf.id()));
        let mut now = Self(self.0.clone());
        let mut places = Vec::new();
        for leaf in told {
            let (before, was_known) = (now.leaves(), now.has_content(&leaf));
            whole.steps_below(leaf).keys().for_each(|id| now.learn(&whole.0[id]));
            let (after, below) = (now.leaves(), now.steps_below(leaf));
            let continues = before.iter().any(|id| !after.contains(id) && below.contains_key(id));
            places.push((
                leaf,
                match () {
                    () if was_known => Place::InternalNode,
                    () if before.is_empty() || continues => Place::NewLeaf,
                    () => Place::NewBranch,
                },
            ));
        }
        whole.0.values().for_each(|version| now.learn(version));
        let leaves = now.leaves();
        for (_, place) in places.iter_mut().filter(|(id, _)| !leaves.contains(id)) {
            *place = Place::InternalNode;
        }
        places
    }

    pub(crate) fn winner(&self) -> Option<VersionId> {
        let mut leaves = self.leaves();
        leaves.sort_by_key(|id| (!self.0[id].is_deleted(), id.generation(), *id.digest()));
        leaves.pop()
    }

    /// The fewest steps from `id` to each known version it stands on, itself included.
    pub(crate) fn steps_below(&self, id: VersionId) -> BTreeMap<VersionId, usize> {
        let mut steps = BTreeMap::new();
        let mut level = BTreeSet::from([id]);
        for step in 0.. {
            level.retain(|id| self.0.contains_key(id) && !steps.contains_key(id));
            if level.is_empty() {
                break;
            }
            steps.extend(level.iter().map(|id| (*id, step)));
            level = level.iter().flat_map(|id| self.0[id].parents()).copied().collect();
        }
        steps
    }

    pub(crate) fn within(&self, limit: usize) -> BTreeSet<VersionId> {
        let below = self.leaves().into_iter().flat_map(|leaf| self.steps_below(leaf));
        below.filter(|(_, steps)| *steps <= limit).map(|(id, _)| id).collect()
    }

    pub(crate) fn common_ancestor(&self, ids: &[VersionId]) -> Option<VersionId> {
        let below = |id: &VersionId| self.steps_below(*id).into_keys().collect::<BTreeSet<_>>();
        let common = ids.iter().map(below).reduce(|a, b| &a & &b)?;
        common.into_iter().rfind(|id| self.has_content(id))
    }
}

/// One step of a history among three replicas of one document. Numbers pick among what there is.
#[derive(Clone, Copy, Debug)]
enum Step {
    Put { at: usize, leaf: usize, body: Option<u8>, stamp: Option<u8> },
    Branch { at: usize, parent: usize, body: Option<u8> },
    Supersede { at: usize, body: Option<u8> },
    Send { from: usize, to: usize },
    SendOneVersion { from: usize, to: usize, version: usize },
    SendStub { from: usize, to: usize, version: usize },
    SendBranch { from: usize, to: usize, leaf: usize, known: usize },
    Stem { at: usize, limit: usize },
}

fn arb_step() -> impl Strategy<Value = Step> {
    let at = || 0..3_usize;
    let any_index = || 0..64_usize;
    let body = || proptest::option::weighted(0.8, 0..3_u8);
    prop_oneof![
        6 => (at(), any_index(), body(), proptest::option::weighted(0.2, 0..3_u8))
            .prop_map(|(at, leaf, body, stamp)| Step::Put { at, leaf, body, stamp }),
        2 => (at(), any_index(), body()).prop_map(|(at, parent, body)| Step::Branch { at, parent, body }),
        1 => (at(), body()).prop_map(|(at, body)| Step::Supersede { at, body }),
        3 => (at(), at()).prop_map(|(from, to)| Step::Send { from, to }),
        2 => (at(), at(), any_index())
            .prop_map(|(from, to, version)| Step::SendOneVersion { from, to, version }),
        1 => (at(), at(), any_index())
            .prop_map(|(from, to, version)| Step::SendStub { from, to, version }),
        2 => (at(), at(), any_index(), any_index())
            .prop_map(|(from, to, leaf, known)| Step::SendBranch { from, to, leaf, known }),
        1 => (at(), 0..4_usize).prop_map(|(at, limit)| Step::Stem { at, limit }),
    ]
}

/// The states of three replicas after a history of writes, branches, resolutions, exchanges, partial
/// exchanges, some of them of places without content, and stemming.
pub(crate) fn arb_replicas() -> impl Strategy<Value = [Tree; 3]> {
    proptest::collection::vec(arb_step(), 0..40).prop_map(|steps| {
        let mut replicas = [Tree::default(), Tree::default(), Tree::default()];
        for step in steps {
            perform(&mut replicas, step);
        }
        replicas
    })
}

fn perform(replicas: &mut [Tree; 3], step: Step) {
    let nth = |tree: &Tree, n: usize| tree.versions().nth(n % tree.len().max(1)).map(|version| *version.id());
    let bytes = |body: Option<u8>| body.map(|body| alloc::vec![body]);
    match step {
        Step::Put { at, leaf, body, stamp } => {
            let tree = &mut replicas[at];
            let leaf = tree.leaves().get(leaf % tree.leaves().len().max(1)).map(|leaf| *leaf.id());
            let replica = ReplicaId::from_bytes([7; 16]);
            let stamp = stamp.map(|time| Stamp { time: Hlc::new(time.into(), 0), replica });
            // Deleting a deletion is refused, which is fine here.
            let _ = tree.put(KEY, leaf.as_ref(), bytes(body), stamp);
        }
        Step::Branch { at, parent, body } => {
            let parent = nth(&replicas[at], parent);
            replicas[at].put_branch(KEY, parent.as_ref(), bytes(body), None);
        }
        Step::Supersede { at, body } => {
            let seen: Vec<_> = replicas[at].leaves().iter().map(|leaf| *leaf.id()).collect();
            let _ = replicas[at].supersede(KEY, &seen, bytes(body), None);
        }
        Step::Send { from, to } => {
            let sent = replicas[from].clone();
            let _ = replicas[to].merge(&sent);
        }
        Step::SendOneVersion { from, to, version } => {
            let sent = nth(&replicas[from], version).and_then(|id| replicas[from].get(&id).cloned());
            let _ = sent.map(|version| replicas[to].insert_version(version));
        }
        Step::SendStub { from, to, version } => {
            let sent = nth(&replicas[from], version).and_then(|id| replicas[from].get(&id));
            let _ = sent.map(Version::to_stub).map(|stub| replicas[to].insert_version(stub));
        }
        Step::SendBranch { from, to, leaf, known } => {
            let known: Vec<_> = nth(&replicas[to], known).into_iter().collect();
            let sent = nth(&replicas[from], leaf).and_then(|leaf| replicas[from].branch(&leaf, &known));
            let _ = sent.map(|branch| replicas[to].merge(&branch));
        }
        Step::Stem { at, limit } => {
            replicas[at].stem(limit);
        }
    }
}
