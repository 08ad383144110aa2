//! Removals from sets that take away more than the dots they found.
//!
//! Whoever removes an element promises that it is gone as far as *anything* was seen of it here: under the dots that
//! are found, and under those that were found and removed, or replaced, before. No state names the latter any more, and
//! other replicas may still hold them, because what took them away has not reached them. So each partition remembers
//! which dots died lately, and under which key; a removal names those of its key as well as those it found. Of dots
//! that died longer ago it is only known that they did: whoever vouches for the removal must have seen them, too.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crdt_core::{CausalContext, Crdt, Dot};

use super::{Action, ItemKey, Partition, Replica, RunError, Write};
use crate::cell::Cell;
use crate::wire::{Died, KeyState, MergedState, Removal};

/// So many dots of a partition are remembered with their key: more than die while a message is on its way, and few
/// enough that a removal from a busy set does not grow by a kilobyte.
const REMEMBERED: usize = 32;

/// The dots of sets that are seen and not alive.
///
/// Not durable: after a start nothing is remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dead {
    /// Each with a digest of its key, the first to die first. Keys with one digest are told each other's dots, which
    /// are dead all the same.
    lately: VecDeque<(u128, Dot)>,
    /// All others, and dots that are alive or of no set among them.
    before: CausalContext,
}

impl Dead {
    /// These died under a key. O(dots).
    pub(super) fn note(&mut self, item: &ItemKey, dots: impl IntoIterator<Item = Dot>) {
        let key = name_of(item);
        for dot in dots {
            if self.lately.len() == REMEMBERED
                && let Some((_, forgotten)) = self.lately.pop_front()
            {
                self.before.insert(forgotten);
            }
            self.lately.push_back((key, dot));
        }
    }

    /// Any of these may have died, under any key.
    pub(super) fn note_some_of(&mut self, dots: &CausalContext) {
        let _ = self.before.merge(dots);
    }

    fn of(&self, item: &ItemKey) -> impl Iterator<Item = Dot> {
        let key = name_of(item);
        self.lately.iter().filter(move |(name, _)| *name == key).map(|(_, dot)| *dot)
    }
}

/// Keys of several collections that are spelt alike have one name.
fn name_of(item: &ItemKey) -> u128 {
    crdt_core::digest_of(&item.key)
}

impl Replica {
    /// Nothing is known of what died here before now. O(ranges of the contexts).
    pub(crate) fn forget_what_died(&mut self) {
        for partition in &mut self.partitions {
            partition.dead = Dead { lately: VecDeque::new(), before: partition.context.clone() };
        }
    }

    /// Names in what is told of a write all that is known to be dead of its key, and returns what to tell beside it, if
    /// it removes an element. O(dots remembered and ranges of the context).
    pub(super) fn complete_removal(&mut self, write: &Write, told: &mut MergedState) -> Option<Removal> {
        let item = ItemKey { collection: write.collection, key: write.key.clone() };
        let dead = &mut self.partition_mut(told.partition).dead;
        let found = told.removed.clone();
        let removal = match &write.action {
            Action::Remove(element) => {
                told.removed = sorted(found.iter().copied().chain(dead.of(&item)));
                Some(Removal { element: element.clone(), before: dead.before.clone() })
            }
            _ => None,
        };
        if matches!(write.action, Action::Add(_) | Action::Remove(_)) {
            dead.note(&item, found);
        }
        removal
    }

    /// The state of a key, and what is known to have died of it. O(dots remembered, state and ranges of the contexts).
    pub(crate) fn whole_state_and_what_died(&self, item: &ItemKey) -> Result<KeyState, RunError> {
        let dead = &self.partition(self.partition_of(item.collection, &item.key)).dead;
        let died = Some(Died { lately: dead.of(item).collect(), before: dead.before.clone() });
        Ok(KeyState { died, ..self.whole_state(item)? })
    }

    /// What was told, and the dots beside it that the removal takes away here. O(dots of the element).
    pub(crate) fn with_what_it_removes(&self, told: &MergedState, removal: &Removal) -> MergedState {
        let mut told = told.clone();
        let item = ItemKey { collection: told.collection, key: told.key.clone() };
        let partition = self.partitions.get(usize::from(told.partition));
        let held = partition.and_then(|partition| partition.cells.get(&item));
        if let Some(Cell::Set(elements)) = held.map(|held| &held.cell) {
            let held = elements.dots_of(&removal.element);
            let gone = held.iter().filter(|dot| removal.before.contains(*dot));
            told.removed = sorted(told.removed.iter().copied().chain(gone));
        }
        told
    }

    /// Whether this node has seen of a partition all of these. O(ranges of both contexts).
    pub(crate) fn has_seen_all(&self, number: u16, seen: &CausalContext) -> bool {
        self.partitions.get(usize::from(number)).is_some_and(|partition| partition.context.is_superset(seen))
    }
}

impl Partition {
    /// What is not known of the peer's context but that it contains these dots. Each may have died there.
    pub(super) fn note_unseen(&mut self, theirs: &CausalContext) {
        let unseen = theirs.difference(&self.context);
        self.dead.note_some_of(&unseen);
    }
}

fn sorted(dots: impl Iterator<Item = Dot>) -> Vec<Dot> {
    let mut dots: Vec<Dot> = dots.collect();
    dots.sort_unstable();
    dots.dedup();
    dots
}
