//! Which entries follow which: the histories that were written under each identity, with the places where they part.
//!
//! The world draws it from what each process did to its own identity when it was asked, entry by entry. Whoever holds
//! the head of a history holds everything below it, whatever the identity is called by now: positions hash all that
//! came before them.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use crdt_core::{Dot, ReplicaId};
use crdt_sync::{PartitionStatus, Position};

use crate::model::head_of_partitions;

/// The place of an entry among all that were ever written in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    limb: usize,
    pub(crate) sequence: u64,
}

/// Entries that follow each other without a gap.
#[derive(Clone, Debug)]
struct Limb {
    partition: usize,
    root: ReplicaId,
    /// The place after which it begins, if that is not the beginning of all.
    parent: Option<Place>,
    /// The sequence before its first entry.
    start: u64,
    /// How many entries it has.
    length: u64,
}

/// All histories of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lineage {
    limbs: Vec<Limb>,
    places: BTreeMap<(usize, Position), Vec<(ReplicaId, Place)>>,
    /// The identities that wrote in each partition, and whether their histories part somewhere.
    roots: BTreeMap<(usize, ReplicaId), bool>,
    /// Under which identity each branch was written.
    branches: BTreeMap<ReplicaId, ReplicaId>,
}

impl Lineage {
    /// Entries follow a position of an identity; returns the place of each.
    pub(crate) fn grow(
        &mut self,
        partition: usize,
        root: ReplicaId,
        before: Position,
        entries: impl IntoIterator<Item = Position>,
    ) -> Vec<Place> {
        let mut at = self.find(partition, root, before);
        let mut grown = Vec::new();
        for entry in entries {
            let place = match self.find(partition, root, entry) {
                Some(known) => known,
                None => self.push(partition, root, at, entry),
            };
            grown.push(place);
            at = Some(place);
        }
        grown
    }

    fn push(&mut self, partition: usize, root: ReplicaId, after: Option<Place>, entry: Position) -> Place {
        let end = |limb: &Limb| limb.start + limb.length;
        let continued = after.filter(|after| end(&self.limbs[after.limb]) == after.sequence);
        let place = if let Some(after) = continued {
            self.limbs[after.limb].length += 1;
            Place { limb: after.limb, sequence: entry.sequence }
        } else {
            let parted = self.roots.entry((partition, root));
            parted.and_modify(|parted| *parted = true).or_insert(false);
            let start = entry.sequence - 1;
            self.limbs.push(Limb { partition, root, parent: after, start, length: 1 });
            Place { limb: self.limbs.len() - 1, sequence: entry.sequence }
        };
        self.places.entry((partition, entry)).or_default().push((root, place));
        place
    }

    /// The place of a position that a node has as the head of an identity, or of a branch of one.
    pub(crate) fn find(&self, partition: usize, segment: ReplicaId, position: Position) -> Option<Place> {
        let root = self.root_of(segment);
        let places = self.places.get(&(partition, position))?;
        places.iter().find(|(written, _)| *written == root).map(|(_, place)| *place)
    }

    /// A branch has a name.
    pub(crate) fn name(&mut self, branch: ReplicaId, root: ReplicaId) {
        self.branches.insert(branch, root);
    }

    /// The identity under which what an identity has now was written: its own, unless it is a branch.
    pub(crate) fn root_of(&self, segment: ReplicaId) -> ReplicaId {
        self.branches.get(&segment).copied().unwrap_or(segment)
    }

    /// A dot under the identity under which it was written.
    pub(crate) fn written_as(&self, dot: Dot) -> Dot {
        Dot::new(self.root_of(dot.replica), dot.counter()).unwrap_or(dot)
    }

    /// The last place that is on both ways from the beginning; `None` if they have nothing in common.
    pub(crate) fn shared(&self, a: Place, b: Place) -> Option<u64> {
        let (mut a, mut b) = (a, b);
        while a.limb != b.limb {
            // The limb that was made later is not on the way to the earlier one.
            let later = if a.limb > b.limb { &mut a } else { &mut b };
            *later = self.limbs[later.limb].parent?;
        }
        Some(a.sequence.min(b.sequence))
    }

    /// Whether whoever holds `head` holds `place`.
    pub(crate) fn leads_to(&self, place: Place, head: Place) -> bool {
        self.shared(place, head) == Some(place.sequence)
    }

    /// Whether the histories of the identity under which this was written part somewhere.
    pub(crate) fn is_parted(&self, place: Place) -> bool {
        let limb = &self.limbs[place.limb];
        self.roots.get(&(limb.partition, limb.root)).copied().unwrap_or(false)
    }

    /// The place on the way to another that has this sequence.
    pub(crate) fn on_the_way(&self, mut to: Place, sequence: u64) -> Option<Place> {
        while self.limbs[to.limb].start >= sequence {
            to = self.limbs[to.limb].parent?;
        }
        Some(Place { sequence, ..to })
    }

    /// The partition of an entry.
    pub(crate) fn partition_of(&self, place: Place) -> usize {
        self.limbs[place.limb].partition
    }

    /// The identity under which an entry was written.
    pub(crate) fn origin_of(&self, place: Place) -> ReplicaId {
        self.limbs[place.limb].root
    }

    /// What a node holds that stands like this.
    pub(crate) fn known<'l>(&'l self, partitions: &'l [PartitionStatus]) -> Known<'l> {
        Known { lineage: self, partitions, heads: OnceCell::new() }
    }

    /// Up to where a history that ends at a place is shared with what a node holds: the last sequence that is.
    pub(crate) fn shared_with(&self, head: Place, partitions: &[PartitionStatus]) -> u64 {
        let heads = self.heads_of(self.limbs[head.limb].partition, partitions);
        let same = heads.filter(|other| self.origin_of(*other) == self.origin_of(head));
        same.filter_map(|other| self.shared(head, other)).max().unwrap_or(0)
    }

    fn heads_of(&self, partition: usize, partitions: &[PartitionStatus]) -> impl Iterator<Item = Place> {
        let heads = partitions.get(partition).into_iter().flat_map(|status| &status.heads);
        heads.filter_map(move |(segment, head)| self.find(partition, *segment, *head))
    }
}

/// What a node holds, by its heads.
#[derive(Clone, Debug)]
pub(crate) struct Known<'l> {
    lineage: &'l Lineage,
    partitions: &'l [PartitionStatus],
    /// Per partition the places of its heads, found when histories part.
    heads: OnceCell<Vec<Vec<Place>>>,
}

impl Known<'_> {
    /// Whether the entry of a place is held.
    pub(crate) fn holds(&self, place: Place) -> bool {
        let lineage = self.lineage;
        let (partition, root) = (lineage.limbs[place.limb].partition, lineage.origin_of(place));
        if !lineage.is_parted(place) {
            return head_of_partitions(self.partitions, partition, root) >= place.sequence;
        }
        let heads = self.heads.get_or_init(|| {
            let numbers = 0..self.partitions.len();
            numbers.map(|number| lineage.heads_of(number, self.partitions).collect()).collect()
        });
        let heads = heads.get(partition).into_iter().flatten();
        heads.filter(|head| lineage.origin_of(**head) == root).any(|head| lineage.leads_to(place, *head))
    }

    /// The first head that nobody ever wrote.
    pub(crate) fn unwritten(&self) -> Option<(usize, ReplicaId, Position)> {
        self.partitions.iter().enumerate().find_map(|(partition, status)| {
            let unknown = |(segment, head): &&(ReplicaId, Position)| {
                head.sequence > 0 && self.lineage.find(partition, *segment, *head).is_none()
            };
            status.heads.iter().find(unknown).map(|(segment, head)| (partition, *segment, *head))
        })
    }
}
