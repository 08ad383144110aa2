//! What a replica should hold: a list of all that it knows, with neither contexts nor merges.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use conflict_store::VersionId;
use crdt_core::{Dot, Hlc, ReplicaId};

use super::super::ItemKey;
use crate::bytes::Bytes;
use crate::cell::Cell;

/// What is known of one key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Known {
    /// Elements that were added, and under which dots.
    pub(super) added: BTreeMap<Dot, Bytes>,
    /// Dots that were removed or superseded.
    pub(super) covered: BTreeSet<Dot>,
    /// The largest totals of each replica.
    pub(super) totals: BTreeMap<ReplicaId, (u64, u64)>,
    /// What was written to the register, by stamp.
    pub(super) values: BTreeMap<(Hlc, ReplicaId), Option<Bytes>>,
    /// Versions and their parents.
    pub(super) versions: BTreeMap<VersionId, Vec<VersionId>>,
}

/// What a replica knows of all keys.
pub(super) type Model = BTreeMap<ItemKey, Known>;

impl Known {
    pub(super) fn live(&self) -> BTreeMap<Dot, Bytes> {
        let live = self.added.iter().filter(|(dot, _)| !self.covered.contains(dot));
        live.map(|(dot, element)| (*dot, element.clone())).collect()
    }

    /// The dots under which an element lives.
    pub(super) fn dots_of(&self, element: &Bytes) -> Vec<Dot> {
        let live = self.live().into_iter().filter(|(_, other)| other == element);
        live.map(|(dot, _)| dot).collect()
    }

    fn leaves(&self) -> BTreeSet<VersionId> {
        let parents: BTreeSet<_> = self.versions.values().flatten().copied().collect();
        self.versions.keys().copied().filter(|id| !parents.contains(id)).collect()
    }

    /// Learns all that another knows.
    pub(super) fn learn(&mut self, other: &Self) {
        self.added.extend(other.added.clone());
        self.covered.extend(&other.covered);
        self.values.extend(other.values.clone());
        for (id, parents) in &other.versions {
            // What is told of the past ends somewhere, with versions of which the parents are left out.
            let known = self.versions.entry(*id).or_default();
            if known.len() < parents.len() {
                known.clone_from(parents);
            }
        }
        for (replica, (up, down)) in &other.totals {
            let (mine, mine_down) = self.totals.entry(*replica).or_default();
            (*mine, *mine_down) = ((*mine).max(*up), (*mine_down).max(*down));
        }
    }

    /// What those who unite learn: all but removals of elements that none of them holds.
    pub(super) fn united(them: &[Self]) -> Self {
        let mut all = Self::default();
        for one in them {
            all.learn(one);
        }
        let live = all.live();
        let held = them.iter().flat_map(|one| one.live().into_keys());
        all.covered = held.filter(|dot| !live.contains_key(dot)).collect();
        all.added = live;
        all
    }

    /// Whether a cell shows exactly this.
    pub(super) fn is_shown_by(&self, cell: Option<&Cell>) -> bool {
        match cell {
            None => {
                self.live().is_empty()
                    && self.versions.is_empty()
                    && self.values.is_empty()
                    && self.totals.values().all(|totals| *totals == (0, 0))
            }
            Some(Cell::Set(elements)) => {
                let live = self.live();
                let shown = |(dot, element): (&Dot, &Bytes)| elements.dots_of(element).contains(*dot);
                cell.is_some_and(|cell| cell.dots() == live.keys().copied().collect())
                    && live.iter().all(shown)
            }
            Some(Cell::Counter(counter)) => self.totals.iter().all(|(replica, (up, down))| {
                counter.increments().entry(*replica) == *up && counter.decrements().entry(*replica) == *down
            }),
            Some(Cell::Register(register)) => {
                self.values.last_key_value().is_some_and(|(_, value)| register.get() == value.as_ref())
            }
            Some(Cell::Document(document)) => {
                document.leaves().iter().map(|leaf| *leaf.id()).collect::<BTreeSet<_>>() == self.leaves()
            }
        }
    }
}
