//! The elements of a set, each once, with the dots that keep it alive, found by value.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::hash::Hash;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as TableEntry;
use smallvec::SmallVec;

use super::pages::{grow_by_half, narrow};
use crate::hashing::hash_one;

/// A dot, its replica by number.
pub(super) type RowDot = (u32, u64);

/// An element that was appended and turned out to be here already.
pub(super) struct Double {
    /// Where it was put, and is no more.
    pub(super) slot: u32,
    /// Where it is.
    pub(super) first: u32,
    /// The dot it came under.
    pub(super) dot: RowDot,
}

/// Up to this many entries are looked through one by one; a table for fewer costs more than it saves, and a delta of
/// one element allocates nothing.
const SCANNED: usize = 8;

/// 24 bytes for an element of eight.
#[derive(Clone, Debug)]
struct Entry<T> {
    element: T,
    /// Of the first dot; of a free entry, the next free one.
    counter: u64,
    row: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing: the element is a leftover, dropped when the entry is used again or the arena is packed.
    Free,
    /// Has lost its last dot and not yet been looked at again.
    Orphan,
    One,
    /// The others are in `more`.
    Many,
}

#[derive(Clone, Debug)]
pub(super) struct Arena<T> {
    entries: SmallVec<[Entry<T>; 1]>,
    /// The slots of all entries that are not free, once there are more than [`SCANNED`].
    table: HashTable<u32>,
    /// Dots beyond the first, of the few elements that were added concurrently, filed under their slots. Ordered, as
    /// whoever forges a state can give one element as many dots as there are bytes.
    more: BTreeSet<(u32, RowDot)>,
    free: Option<u32>,
    used: usize,
}

impl<T> Arena<T> {
    /// How many elements there are.
    pub(super) const fn len(&self) -> usize {
        self.used
    }

    pub(super) fn element(&self, slot: u32) -> &T {
        &self.entries[slot as usize].element
    }

    /// The dot of an element that has one, else any of them.
    pub(super) fn first_dot(&self, slot: u32) -> RowDot {
        let entry = &self.entries[slot as usize];
        (entry.row, entry.counter)
    }

    /// The dots of an element, in no order.
    pub(super) fn dots(&self, slot: u32) -> impl Iterator<Item = RowDot> {
        let entry = &self.entries[slot as usize];
        let first = matches!(entry.state, State::One | State::Many).then_some((entry.row, entry.counter));
        let more = (entry.state == State::Many).then(|| self.more_of(slot));
        first.into_iter().chain(more.into_iter().flatten())
    }

    fn more_of(&self, slot: u32) -> impl DoubleEndedIterator<Item = RowDot> {
        self.more.range((slot, (0, 0))..=(slot, (u32::MAX, u64::MAX))).map(|(_, dot)| *dot)
    }

    /// Whether the element has exactly one dot: the usual case.
    pub(super) fn has_one_dot(&self, slot: u32) -> bool {
        self.entries[slot as usize].state == State::One
    }

    pub(super) fn is_orphan(&self, slot: u32) -> bool {
        self.entries[slot as usize].state == State::Orphan
    }

    pub(super) fn add_dot(&mut self, slot: u32, (row, counter): RowDot) {
        let entry = &mut self.entries[slot as usize];
        if entry.state == State::Orphan {
            (entry.row, entry.counter, entry.state) = (row, counter, State::One);
        } else {
            entry.state = State::Many;
            self.more.insert((slot, (row, counter)));
        }
    }

    pub(super) fn remove_dot(&mut self, slot: u32, dot: RowDot) {
        let entry = &mut self.entries[slot as usize];
        if entry.state != State::Many {
            entry.state = State::Orphan;
            return;
        }
        let first = (entry.row, entry.counter);
        let gone = if first == dot { self.more_of(slot).next_back().unwrap_or(dot) } else { dot };
        self.more.remove(&(slot, gone));
        let none_more = self.more_of(slot).next().is_none();
        let entry = &mut self.entries[slot as usize];
        if first == dot {
            (entry.row, entry.counter) = gone;
        }
        if none_more {
            entry.state = State::One;
        }
    }

    /// Whether so much is free that packing pays.
    pub(super) fn is_sparse(&self) -> bool {
        self.entries.len() > 2 * self.used + 32
    }

    /// Slots in use, with what was moved where: `remap[old]` is the new slot.
    ///
    /// The table is left to [`index`](Self::index) anew.
    pub(super) fn pack(&mut self) -> Vec<u32> {
        let mut remap = Vec::with_capacity(self.entries.len());
        let mut kept = SmallVec::with_capacity(self.used);
        for entry in self.entries.drain(..) {
            remap.push(narrow(kept.len()));
            if entry.state != State::Free {
                kept.push(entry);
            }
        }
        self.entries = kept;
        let more = core::mem::take(&mut self.more);
        self.more = more.into_iter().map(|(slot, dots)| (remap[slot as usize], dots)).collect();
        self.free = None;
        self.table = HashTable::new();
        remap
    }

    /// Bytes of the tables themselves.
    pub(super) fn heap_bytes(&self) -> usize {
        let entries =
            if self.entries.spilled() { self.entries.capacity() * size_of::<Entry<T>>() } else { 0 };
        let more = crate::dotted::b_tree_bytes(self.more.len(), size_of::<(u32, RowDot)>());
        entries + self.table.allocation_size() + more
    }

    /// Elements in the order of their slots, leftovers excluded.
    pub(super) fn elements(&self) -> impl Iterator<Item = &T> {
        let used = self.entries.iter().filter(|entry| entry.state != State::Free);
        used.map(|entry| &entry.element)
    }
}

impl<T: Eq + Hash> Arena<T> {
    pub(super) fn find<Q: Eq + Hash + ?Sized>(&self, hash: u64, element: &Q) -> Option<u32>
    where
        T: Borrow<Q>,
    {
        if self.entries.len() > SCANNED {
            let same = |&slot: &u32| self.entries[slot as usize].element.borrow() == element;
            return self.table.find(hash, same).copied();
        }
        let same = |entry: &Entry<T>| entry.state != State::Free && entry.element.borrow() == element;
        self.entries.iter().position(same).map(narrow)
    }

    /// Adds an element that is not here.
    pub(super) fn insert(&mut self, hash: u64, element: T, dot: RowDot) -> u32 {
        let slot = match self.free {
            Some(slot) => {
                let place = &mut self.entries[slot as usize];
                // Chained by number, with the end past all slots.
                self.free = u32::try_from(place.counter).ok();
                *place = Entry { element, counter: dot.1, row: dot.0, state: State::One };
                slot
            }
            None => self.push(element, dot),
        };
        self.used += 1;
        let Self { entries, table, .. } = self;
        if entries.len() > SCANNED {
            if table.is_empty() {
                self.index();
            } else {
                table.insert_unique(hash, slot, |&slot| hash_one(&entries[slot as usize].element));
            }
        }
        slot
    }

    /// Frees the entry of an element without dots.
    pub(super) fn release(&mut self, hash: u64, slot: u32) {
        if let Ok(found) = self.table.find_entry(hash, |&other| other == slot) {
            found.remove();
        }
        self.used -= 1;
        self.set_free(slot);
    }

    /// Appends elements without asking whether they are here; to be followed by [`index_from`](Self::index_from).
    pub(super) fn push(&mut self, element: T, (row, counter): RowDot) -> u32 {
        let slot = narrow(self.entries.len());
        grow_by_half(&mut self.entries);
        self.entries.push(Entry { element, counter, row, state: State::One });
        slot
    }

    /// Exactly as much as is needed, unless little is added to much, where to do so each time would move all each time.
    pub(super) fn reserve(&mut self, additional: usize) {
        if additional > self.entries.len() / 4 {
            self.entries.reserve_exact(additional);
        } else {
            self.entries.reserve(additional);
        }
    }

    /// One past the highest slot.
    pub(super) fn end(&self) -> usize {
        self.entries.len()
    }

    /// Indexes all entries.
    pub(super) fn index(&mut self) {
        if self.entries.len() <= SCANNED {
            return;
        }
        let Self { entries, table, .. } = self;
        table.clear();
        table.reserve(entries.len(), |&slot| hash_one(&entries[slot as usize].element));
        in_touched_batches(table, hashes_of(entries), |table, hash, slot| {
            table.insert_unique(hash, slot, |&slot| hash_one(&entries[slot as usize].element));
        });
    }

    /// Indexes the entries appended from slot `from` on, whose hashes are given.
    ///
    /// An element that is here already, or twice among the new ones, keeps its first entry, which gets the dots of the
    /// others; those come back, ascending.
    pub(super) fn index_from(&mut self, from: usize, hashes: &[u64]) -> Vec<Double> {
        let mut doubles = Vec::new();
        self.used += hashes.len();
        let new = (from..).zip(hashes).map(|(slot, hash)| (*hash, narrow(slot)));
        if self.entries.len() <= SCANNED {
            for (_, slot) in new {
                let element = &self.entries[slot as usize].element;
                let same = |entry: &Entry<T>| entry.state != State::Free && entry.element == *element;
                if let Some(first) = self.entries[..slot as usize].iter().position(same) {
                    doubles.push((slot, narrow(first)));
                }
            }
        } else {
            let Self { entries, table, .. } = self;
            let rehash = |&slot: &u32| hash_one(&entries[slot as usize].element);
            if table.capacity() < table.len() + hashes.len() {
                // Growing a table in place looks at every element in the order of the table; this goes in that of the
                // entries.
                *table = HashTable::with_capacity(self.used);
                in_touched_batches(table, hashes_of(&entries[..from]), |table, hash, slot| {
                    table.insert_unique(hash, slot, rehash);
                });
            }
            in_touched_batches(table, new, |table, hash, slot| {
                // Looked up in here, as the element is seldom needed and seldom near.
                let same = |&other: &u32| entries[other as usize].element == entries[slot as usize].element;
                match table.entry(hash, same, rehash) {
                    TableEntry::Occupied(first) => doubles.push((slot, *first.get())),
                    TableEntry::Vacant(vacant) => {
                        vacant.insert(slot);
                    }
                }
            });
        }
        let mut merge = |(slot, first)| {
            let dot = self.first_dot(slot);
            self.add_dot(first, dot);
            self.used -= 1;
            self.set_free(slot);
            Double { slot, first, dot }
        };
        doubles.into_iter().map(&mut merge).collect()
    }
}

impl<T> Arena<T> {
    fn set_free(&mut self, slot: u32) {
        let entry = &mut self.entries[slot as usize];
        entry.state = State::Free;
        entry.counter = self.free.map_or(u64::MAX, u64::from);
        self.free = Some(slot);
    }
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { entries: SmallVec::new(), table: HashTable::new(), more: BTreeSet::new(), free: None, used: 0 }
    }
}

/// The hashes of entries that are not free, with their slots.
fn hashes_of<T: Hash>(entries: &[Entry<T>]) -> impl Iterator<Item = (u64, u32)> {
    let used = entries.iter().enumerate().filter(|(_, entry)| entry.state != State::Free);
    used.map(|(slot, entry)| (hash_one(&entry.element), narrow(slot)))
}

/// Works on a large table a batch at a time, each of which is looked up to no end before it is worked on: lookups do
/// not wait for each other, so their cache misses overlap, and the work then finds its place in the cache. It halves
/// the time to fill a table of a million.
///
/// Tried instead: sorting by bucket first, which fills the table a little faster and loses that by the memory it takes.
fn in_touched_batches(
    table: &mut HashTable<u32>,
    mut items: impl Iterator<Item = (u64, u32)>,
    mut work: impl FnMut(&mut HashTable<u32>, u64, u32),
) {
    let mut batch: SmallVec<[(u64, u32); 32]> = SmallVec::new();
    loop {
        batch.extend(items.by_ref().take(32));
        if batch.is_empty() {
            return;
        }
        let found = batch.iter().filter(|(hash, _)| table.find(*hash, |_| false).is_some()).count();
        // Never found; the optimiser must not know.
        core::hint::black_box(found);
        for (hash, slot) in batch.drain(..) {
            work(table, hash, slot);
        }
    }
}
