//! The elements of a set, each once, with the dots that keep it alive, found by value.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::hash::Hash;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as TableEntry;
use smallvec::SmallVec;

use super::pages::narrow;
use crate::hashing::hash_one;

/// A dot, its replica by number.
pub(super) type RowDot = (u32, u64);

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
    /// Dots beyond the first, of the few elements that were added concurrently.
    more: BTreeMap<u32, SmallVec<[RowDot; 1]>>,
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

    /// The dots of an element, in no order.
    pub(super) fn dots(&self, slot: u32) -> impl Iterator<Item = RowDot> {
        let entry = &self.entries[slot as usize];
        let first = matches!(entry.state, State::One | State::Many).then_some((entry.row, entry.counter));
        let more = self.more.get(&slot).filter(|_| entry.state == State::Many);
        first.into_iter().chain(more.into_iter().flatten().copied())
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
            self.more.entry(slot).or_default().push((row, counter));
        }
    }

    pub(super) fn remove_dot(&mut self, slot: u32, dot: RowDot) {
        let entry = &mut self.entries[slot as usize];
        if entry.state != State::Many {
            entry.state = State::Orphan;
            return;
        }
        let Some(more) = self.more.get_mut(&slot) else { return };
        if (entry.row, entry.counter) == dot {
            if let Some((row, counter)) = more.pop() {
                (entry.row, entry.counter) = (row, counter);
            }
        } else {
            more.retain(|other| *other != dot);
        }
        if more.is_empty() {
            self.more.remove(&slot);
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
        let more = crate::dotted::b_tree_bytes(self.more.len(), size_of::<(u32, SmallVec<[RowDot; 1]>)>());
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
        self.entries.push(Entry { element, counter, row, state: State::One });
        slot
    }

    pub(super) fn reserve(&mut self, additional: usize) {
        self.entries.reserve_exact(additional);
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
        let used = entries.iter().enumerate().filter(|(_, entry)| entry.state != State::Free);
        let items: Vec<(u64, u32)> =
            used.map(|(slot, entry)| (hash_one(&entry.element), narrow(slot))).collect();
        for (hash, slot) in in_bucket_order(items, table.num_buckets()) {
            table.insert_unique(hash, slot, |&slot| hash_one(&entries[slot as usize].element));
        }
    }

    /// Indexes the entries appended from slot `from` on, whose hashes are given.
    ///
    /// An element that is here already, or twice among the new ones, keeps its first entry, which gets the dots of the
    /// others; their slots come back, ascending, with the slot that stands for each.
    pub(super) fn index_from(&mut self, from: usize, hashes: &[u64]) -> Vec<(u32, u32)> {
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
            let mut items: Vec<(u64, u32)> = Vec::new();
            if table.capacity() < table.len() + hashes.len() {
                // Growing a table in place moves every entry by a look at its element; filling a new one in the order
                // of its buckets is twice as fast. Old entries come first and so are found by new ones.
                let old = entries[..from].iter().enumerate().filter(|(_, entry)| entry.state != State::Free);
                items.extend(old.map(|(slot, entry)| (hash_one(&entry.element), narrow(slot))));
                *table = HashTable::with_capacity(items.len() + hashes.len());
            }
            items.extend(new);
            for (hash, slot) in in_bucket_order(items, table.num_buckets()) {
                let element = &entries[slot as usize].element;
                match table.entry(hash, |&other| entries[other as usize].element == *element, rehash) {
                    TableEntry::Occupied(first) => doubles.push((slot, *first.get())),
                    TableEntry::Vacant(vacant) => {
                        vacant.insert(slot);
                    }
                }
            }
            doubles.sort_unstable();
        }
        for &(slot, first) in &doubles {
            let Entry { row, counter, .. } = self.entries[slot as usize];
            self.add_dot(first, (row, counter));
            self.used -= 1;
            self.set_free(slot);
        }
        doubles
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
        Self { entries: SmallVec::new(), table: HashTable::new(), more: BTreeMap::new(), free: None, used: 0 }
    }
}

/// Sorts by the upper bits of the bucket each hash belongs to, in one pass, keeping the order within a part: filling a
/// table part by part touches memory that is still in the cache, and costs a third of filling it at random.
fn in_bucket_order(items: Vec<(u64, u32)>, buckets: usize) -> Vec<(u64, u32)> {
    const PART_BITS: u32 = 11;
    if items.len() < 4 << PART_BITS {
        return items;
    }
    let shift = buckets.trailing_zeros().saturating_sub(PART_BITS);
    #[expect(clippy::cast_possible_truncation, reason = "the table itself looks at these bits only")]
    let part = |hash: u64| (hash as usize & (buckets - 1)) >> shift;
    let mut ends = vec![0_usize; 1 << PART_BITS];
    for (hash, _) in &items {
        ends[part(*hash)] += 1;
    }
    let mut end = 0;
    for size in &mut ends {
        end += *size;
        *size = end - *size;
    }
    let mut sorted = vec![(0, 0); items.len()];
    for item in items {
        let place = &mut ends[part(item.0)];
        sorted[*place] = item;
        *place += 1;
    }
    sorted
}
