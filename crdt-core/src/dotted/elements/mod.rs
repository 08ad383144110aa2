//! The elements of an add-wins set under their live dots, laid out for speed.

mod arena;
mod join;
mod pages;
mod rows;
mod store;
#[cfg(feature = "serde")]
mod wire;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt;
use core::hash::Hash;

use arena::{Arena, RowDot};
use rows::Rows;

use super::DotSet;
use crate::hashing::{fingerprint, hash_one};
use crate::heap::owned_by;
use crate::{CanonicalBytes, Dot, FingerprintWriter, HeapSize, ReplicaId};

/// The elements of an add-wins set, each under one or more live dots: what an [`OrSet`](crate::OrSet) is without its
/// context.
///
/// It says the same as a [`DotMap<T, DotSet>`](super::DotMap), which is the plain form of it, and does it faster:
///
/// - per replica, live dots are bits in pages of 64, so comparing two sets costs a word for 64 dots, and a delta, in
///   either direction, only what it touches;
/// - elements stand in one array in the order of their arrival, found through a hash table of their positions;
/// - per replica, a fingerprint of live dots and elements lets a join leave out what is equal at once. It is keyed,
///   local to this process and never decoded; equality and order do not rely on it.
///
/// A set of one element, as in most deltas, allocates nothing. A set of a million `u64` takes about 40 bytes for each.
///
/// Lookups, adds and removals O(1), joins as told at [`join`](super::DotStore::join). Elements are walked in the order
/// of their dots: by replica, then by counter. That order is the same in equal sets.
///
/// As with `Vec`, growing beyond what the layout can address panics: 2³² - 1 elements, or dots of one replica, which is
/// past 100 GB.
///
/// ```
/// use crdt_core::dotted::{DotSet, ElementStore};
/// use crdt_core::{Dot, ReplicaId};
///
/// let replica = ReplicaId::from_bytes([7; 16]);
/// let dot = |counter| Dot::new(replica, counter).unwrap();
///
/// let mut fruits = ElementStore::<String>::new();
/// assert!(fruits.add(dot(1), "plum".into()).is_empty());
/// assert_eq!(fruits.add(dot(2), "plum".into()), DotSet::from(dot(1)), "superseded by dot 2");
/// assert_eq!(fruits.take("plum"), DotSet::from(dot(2)));
/// assert!(fruits.is_empty());
/// ```
#[derive(Clone)]
pub struct ElementStore<T> {
    rows: Rows,
    arena: Arena<T>,
    tracked: Option<Tracked<T>>,
}

/// A version digest that is kept current.
///
/// The function is taken where `T: CanonicalBytes` is known, so that nothing else here has to ask for it.
struct Tracked<T> {
    sum: u128,
    part: fn(Dot, &T) -> u128,
}

// Derived, both would ask the same of `T`.
impl<T> Clone for Tracked<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Tracked<T> {}

impl<T> ElementStore<T> {
    /// The store without elements.
    pub fn new() -> Self {
        Self { rows: Rows::default(), arena: Arena::default(), tracked: None }
    }

    /// Whether no dot is alive.
    pub fn is_empty(&self) -> bool {
        self.arena.len() == 0
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.arena.len()
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        let tracked = self.tracked.map(|tracked| Tracked { sum: 0, ..tracked });
        *self = Self { tracked, ..Self::new() };
    }

    /// The elements, each at its least dot: by replica, then by counter.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots().map(|slot| self.arena.element(slot))
    }

    /// The slots of the elements, each at its least dot.
    fn slots(&self) -> impl Iterator<Item = u32> {
        // Of an element with several dots the least comes first.
        let mut met = BTreeSet::new();
        let all = self.rows.iter().flat_map(|row| row.pages.iter().map(|(_, slot)| slot));
        all.filter(move |&slot| self.arena.has_one_dot(slot) || met.insert(slot))
    }

    /// The elements in ascending order. O(n log n).
    pub fn to_sorted(&self) -> Vec<&T>
    where
        T: Ord,
    {
        let mut elements: Vec<&T> = self.arena.elements().collect();
        elements.sort_unstable();
        elements
    }

    /// Live dots and the elements they keep alive, by replica, then by counter.
    pub fn iter_dots(&self) -> impl Iterator<Item = (Dot, &T)> {
        self.rows.iter().flat_map(move |row| {
            let dots = row.pages.iter();
            dots.filter_map(move |(counter, slot)| {
                Some((Dot::new(row.id, counter)?, self.arena.element(slot)))
            })
        })
    }

    fn dots_at(&self, slot: u32) -> impl Iterator<Item = Dot> {
        self.arena.dots(slot).filter_map(|dot| self.dot(dot))
    }

    fn dot(&self, (row, counter): RowDot) -> Option<Dot> {
        Dot::new(self.rows.get(row).id, counter)
    }

    /// Notes that an element lives under a dot. The arena has been told.
    fn link(&mut self, hash: u64, slot: u32, (number, counter): RowDot) {
        let row = self.rows.get_mut(number);
        row.pages.insert(counter, slot);
        row.fingerprint = row.fingerprint.wrapping_add(fingerprint(hash, counter));
        if let Some(tracked) = &mut self.tracked
            && let Some(dot) = Dot::new(row.id, counter)
        {
            tracked.sum = tracked.sum.wrapping_add((tracked.part)(dot, self.arena.element(slot)));
        }
    }

    /// Notes that it does no longer.
    fn unlink(&mut self, hash: u64, slot: u32, (number, counter): RowDot) {
        let row = self.rows.get_mut(number);
        row.pages.remove(counter);
        row.fingerprint = row.fingerprint.wrapping_sub(fingerprint(hash, counter));
        if let Some(tracked) = &mut self.tracked
            && let Some(dot) = Dot::new(row.id, counter)
        {
            tracked.sum = tracked.sum.wrapping_sub((tracked.part)(dot, self.arena.element(slot)));
        }
    }
}

impl<T: Eq + Hash> ElementStore<T> {
    /// Whether `element` is in the set.
    pub fn contains<Q: Eq + Hash + ?Sized>(&self, element: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.find(element).is_some()
    }

    /// The live dots of `element`, none if it is not in the set.
    pub fn dots_of<Q: Eq + Hash + ?Sized>(&self, element: &Q) -> DotSet
    where
        T: Borrow<Q>,
    {
        self.find(element).map_or_else(DotSet::new, |slot| self.dots_at(slot).collect())
    }

    /// Adds an element under a fresh dot, which replaces all dots the element had; hands those back.
    ///
    /// The owner of the context mints the dot, and adds to the context both it and the dots handed back.
    pub fn add(&mut self, dot: Dot, element: T) -> DotSet {
        let number = self.rows.number_of(dot.replica);
        let hash = hash_one(&element);
        let new = (number, dot.counter());
        let Some(slot) = self.arena.find(hash, &element) else {
            let slot = self.arena.insert(hash, element, new);
            self.link(hash, slot, new);
            return DotSet::new();
        };
        let superseded = self.drop_dots(hash, slot);
        self.arena.add_dot(slot, new);
        self.link(hash, slot, new);
        superseded
    }

    /// Removes an element and hands back the dots it had, none if it was not there. A remote replica needs exactly
    /// these to do the same.
    pub fn take<Q: Eq + Hash + ?Sized>(&mut self, element: &Q) -> DotSet
    where
        T: Borrow<Q>,
    {
        let hash = hash_one(element);
        let Some(slot) = self.arena.find(hash, element) else { return DotSet::new() };
        let removed = self.drop_dots(hash, slot);
        self.arena.release(hash, slot);
        self.pack_if_sparse();
        removed
    }

    /// Removes an element as far as it lives under `dots`; those that did are handed back.
    pub fn take_dots<Q: Eq + Hash + ?Sized>(&mut self, element: &Q, dots: &DotSet) -> DotSet
    where
        T: Borrow<Q>,
    {
        let hash = hash_one(element);
        let Some(slot) = self.arena.find(hash, element) else { return DotSet::new() };
        let named: DotSet = self.dots_at(slot).filter(|dot| dots.contains(*dot)).collect();
        for dot in named.iter() {
            let gone = (self.rows.number_of(dot.replica), dot.counter());
            self.unlink(hash, slot, gone);
            self.arena.remove_dot(slot, gone);
        }
        if self.arena.is_orphan(slot) {
            self.arena.release(hash, slot);
            self.pack_if_sparse();
        }
        named
    }

    /// Recomputes what is kept beside the elements, the fingerprints and a tracked digest, and says whether it was
    /// right: a guard against failing memory. O(elements).
    pub fn scrub(&self) -> bool {
        let sum_of = |row: &rows::Row| {
            let dots = row.pages.iter();
            dots.fold(0_u128, |sum, (counter, slot)| {
                sum.wrapping_add(fingerprint(hash_one(self.arena.element(slot)), counter))
            })
        };
        let rows = self.rows.iter().all(|row| sum_of(row) == row.fingerprint);
        rows && self.tracked.is_none_or(|tracked| self.sum_parts(tracked.part) == tracked.sum)
    }

    fn find<Q: Eq + Hash + ?Sized>(&self, element: &Q) -> Option<u32>
    where
        T: Borrow<Q>,
    {
        self.arena.find(hash_one(element), element)
    }

    /// Takes all dots from an element, which stays as an orphan.
    fn drop_dots(&mut self, hash: u64, slot: u32) -> DotSet {
        let old: smallvec::SmallVec<[RowDot; 2]> = self.arena.dots(slot).collect();
        let dots = self.dots_at(slot).collect();
        for dot in old {
            self.unlink(hash, slot, dot);
            self.arena.remove_dot(slot, dot);
        }
        dots
    }

    /// Drops leftovers when there are more of them than elements, so that each is moved O(1) times per removal.
    fn pack_if_sparse(&mut self) {
        if !self.arena.is_sparse() {
            return;
        }
        let remap = self.arena.pack();
        for row in self.rows.iter_mut() {
            row.pages.renumber(|slot| remap[slot as usize]);
        }
        self.arena.index();
    }
}

impl<T> ElementStore<T> {
    /// The digest of another store, if that of this one is tracked.
    fn tracked_like(&self, other: &Self) -> Option<Tracked<T>> {
        self.tracked.map(|tracked| Tracked { sum: other.sum_parts(tracked.part), ..tracked })
    }

    fn sum_parts(&self, part: fn(Dot, &T) -> u128) -> u128 {
        crate::fingerprint::sum(self.iter_dots().map(|(dot, element)| part(dot, element)))
    }
}

impl<T: CanonicalBytes> ElementStore<T> {
    /// Keeps the [store digest](super::StoreDigest) current from now on, at the price of one hash for each dot that
    /// comes or goes; asking for it is O(1) then. Copies keep it, too. O(elements) now.
    pub fn track_digest(&mut self) {
        let part = part_under_root::<T>;
        self.tracked = Some(Tracked { sum: self.sum_parts(part), part });
    }
}

/// The hash of an element under a dot, in a store that is filed under nothing.
fn part_under_root<T: CanonicalBytes>(dot: Dot, element: &T) -> u128 {
    digest_part(&FingerprintWriter::new(*b"dotted.."), dot, element)
}

/// The same as for a [`DotMap`](super::DotMap) of elements.
fn digest_part<T: CanonicalBytes>(path: &FingerprintWriter, dot: Dot, element: &T) -> u128 {
    let mut part = path.clone();
    part.write(element);
    part.write(&dot);
    part.finish()
}

impl<T> Default for ElementStore<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Exact: same elements under same dots.
impl<T: PartialEq> PartialEq for ElementStore<T> {
    fn eq(&self, other: &Self) -> bool {
        let same_row = |(ours, theirs): (&rows::Row, &rows::Row)| {
            let elements = || ours.pages.iter().zip(theirs.pages.iter());
            let same = |((_, ours), (_, theirs))| self.arena.element(ours) == other.arena.element(theirs);
            ours.id == theirs.id && ours.pages.same_dots(&theirs.pages) && elements().all(same)
        };
        self.rows.iter().count() == other.rows.iter().count()
            && self.rows.iter().zip(other.rows.iter()).all(same_row)
    }
}

impl<T: Eq> Eq for ElementStore<T> {}

/// Elements under dots that none of the others has; of an element given twice all dots count, a dot given twice keeps
/// its first element.
impl<T: Eq + Hash> FromIterator<(Dot, T)> for ElementStore<T> {
    fn from_iter<I: IntoIterator<Item = (Dot, T)>>(live: I) -> Self {
        let mut store = Self::new();
        for (dot, element) in live {
            store.add_beside(dot, element);
        }
        store
    }
}

impl<T: Eq + Hash> ElementStore<T> {
    /// Adds a dot to those an element has, unless it is alive already.
    fn add_beside(&mut self, dot: Dot, element: T) {
        if self.slot_of(dot.replica, dot.counter()).is_some() {
            return;
        }
        let new = (self.rows.number_of(dot.replica), dot.counter());
        let hash = hash_one(&element);
        let slot = match self.arena.find(hash, &element) {
            Some(slot) => {
                self.arena.add_dot(slot, new);
                slot
            }
            None => self.arena.insert(hash, element, new),
        };
        self.link(hash, slot, new);
    }
}

impl<T: PartialEq> ElementStore<T> {
    fn same_element(&self, slot: u32, other: &Self, their_slot: u32) -> bool {
        self.arena.element(slot) == other.arena.element(their_slot)
    }
}

impl<T> ElementStore<T> {
    fn slot_of(&self, replica: ReplicaId, counter: u64) -> Option<u32> {
        self.rows.find(replica)?.pages.slot(counter)
    }
}

/// `{"plum": {0a0a0a0a:2}, "fig": {0b0b0b0b:1}}`
impl<T: fmt::Debug> fmt::Debug for ElementStore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elements =
            self.slots().map(|slot| (self.arena.element(slot), self.dots_at(slot).collect::<DotSet>()));
        f.debug_map().entries(elements).finish()
    }
}

impl<T: HeapSize> HeapSize for ElementStore<T> {
    fn heap_size(&self) -> usize {
        self.rows.heap_bytes() + self.arena.heap_bytes() + owned_by(self.arena.elements())
    }
}

#[cfg(test)]
mod tests;
