//! Removals from sets that take away more than the dots they found.
//!
//! Whoever removes an element promises that it is gone as far as *anything* was seen of it here: under the dots that
//! are found, and under those that were found and removed, or replaced, before. No state names the latter any more, and
//! other replicas may still hold them, because what took them away has not reached them. So each partition remembers
//! which dots died lately, and of which element; a removal names those of its element as well as those it found. Of
//! dots that died longer ago, or of an unknown element, it is only known that they did: whoever vouches for the removal
//! must have seen them, too.
//!
//! No dots of other elements are named: what took those away may have put something in their place, which the removal
//! does not carry.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crdt_core::{CausalContext, Crdt, Dot};

use super::{Action, ItemKey, Partition, Replica, RunError, Write};
use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::wire::{Died, KeyState, MergedState, Removal};

/// So many dots of a partition are remembered with their element: more than die while a message is on its way, and few
/// enough that a removal does not grow by a kilobyte.
const REMEMBERED: usize = 32;

/// The dots of sets that are seen and not alive.
///
/// Not durable: after a start nothing is remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dead {
    /// Each with a digest of its element, the first to die first.
    lately: VecDeque<(u128, Dot)>,
    /// All others, and dots that are alive or of no set among them: of each origin all that was seen up to some dot, so
    /// that it has no more ranges than the context.
    before: CausalContext,
}

impl Dead {
    /// These died of an element. O(dots), and O(ranges of the context) for each that is forgotten for it.
    fn note(
        &mut self,
        (item, element): (&ItemKey, &Bytes),
        dots: impl IntoIterator<Item = Dot>,
        seen: &CausalContext,
    ) {
        let name = name_of(item, element);
        for dot in dots {
            if self.lately.len() == REMEMBERED
                && let Some((_, forgotten)) = self.lately.pop_front()
            {
                self.note_some_of(&CausalContext::from_iter([forgotten]), seen);
            }
            self.lately.push_back((name, dot));
        }
    }

    /// Any of these may have died, of any element. O(ranges).
    fn note_some_of(&mut self, dots: &CausalContext, seen: &CausalContext) {
        let mut up_to = CausalContext::new();
        for (origin, counters) in dots.ranges() {
            up_to.insert_range(origin, 1..=*counters.end());
        }
        let _ = self.before.merge(&seen.intersection(&up_to));
    }

    fn of(&self, item: &ItemKey, element: &Bytes) -> impl Iterator<Item = Dot> {
        let name = name_of(item, element);
        self.lately.iter().filter(move |(of, _)| *of == name).map(|(_, dot)| *dot)
    }
}

/// By 128 bits, so that no two elements of a cluster have the same.
fn name_of(item: &ItemKey, element: &Bytes) -> u128 {
    let of_key = crdt_core::digest_of(&item.key).to_le_bytes();
    let of_element = crdt_core::digest_of(element).to_le_bytes();
    crdt_core::digest_of(&[item.collection.as_bytes(), &of_key[..], &of_element[..]].concat())
}

impl Replica {
    /// From now on it is remembered what dies. Nothing is known of what died before. O(ranges of the contexts).
    pub(crate) fn remember_what_dies(&mut self) {
        for partition in &mut self.partitions {
            partition.dead = Some(Dead { lately: VecDeque::new(), before: partition.context.clone() });
        }
    }

    /// If a write removes an element, names in what is told of it all that is known to be dead of that, and returns
    /// what to tell beside it. O(dots remembered and ranges of the context), and O(1) for other kinds than sets.
    pub(super) fn complete_removal(&mut self, write: &Write, told: &mut MergedState) -> Option<Removal> {
        let (Action::Add(element) | Action::Remove(element)) = &write.action else { return None };
        let item = ItemKey { collection: write.collection, key: write.key.clone() };
        let Partition { dead: Some(dead), context, .. } = self.partition_mut(told.partition) else {
            return None;
        };
        dead.note((&item, element), told.removed.iter().copied(), context);
        write.action.removes().map(|element| {
            let found = core::mem::take(&mut told.removed);
            told.removed = sorted(found.into_iter().chain(dead.of(&item, element)));
            Removal { element: element.clone(), before: dead.before.clone() }
        })
    }

    /// The state of a key, and what is known to have died of an element. O(dots remembered, state and ranges of the
    /// contexts).
    pub(crate) fn whole_state_and_what_died(
        &self,
        item: &ItemKey,
        element: &Bytes,
    ) -> Result<KeyState, RunError> {
        let dead = self.partition(self.partition_of(item.collection, &item.key)).dead.as_ref();
        let died =
            dead.map(|dead| Died { lately: dead.of(item, element).collect(), before: dead.before.clone() });
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
    /// These dots were told to be dead: of one element, or of who knows which. They are in the context already.
    pub(super) fn note_dead(&mut self, item: &ItemKey, of: Option<&Bytes>, dots: &CausalContext) {
        let Self { dead: Some(dead), context, .. } = self else { return };
        match of {
            Some(element) => dead.note((item, element), dots.dots(), context),
            None if dots.is_empty() => {}
            None => dead.note_some_of(dots, context),
        }
    }

    /// A peer's context is taken over. Each dot that was not seen here may have died there.
    pub(super) fn take_over(&mut self, theirs: &CausalContext) {
        let unseen = self.dead.as_ref().map(|_| theirs.difference(&self.context));
        let _ = self.context.merge(theirs);
        if let (Some(dead), Some(unseen)) = (&mut self.dead, unseen) {
            dead.note_some_of(&unseen, &self.context);
        }
    }
}

fn sorted(dots: impl Iterator<Item = Dot>) -> Vec<Dot> {
    let mut dots: Vec<Dot> = dots.collect();
    dots.sort_unstable();
    dots.dedup();
    dots
}
